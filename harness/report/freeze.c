#include "report/freeze.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ops/cpu/isa.h"

const char *freeze_host_class(void) {
  return isa_present("v3") ? "x86-64-v3+" : isa_present("v2") ? "x86-64-v2" : "generic";
}

/* --- facts ------------------------------------------------------------------------------------------------------ */

static int by_word(const void *a, const void *b) {
  const char *x, *y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return strcmp(x, y);
}

static int prompts_hash(err *e, const study *st, char hex[HASH_HEX]) {
  const char **line = NULL;
  text t = {0};
  int rc = OK;
  TRY(mem_new(e, st->n_prompts, sizeof *line, "prompts", &line));
  for (int i = 0; i < st->n_prompts; i++) line[i] = st->prompts[i].sha256;
  if (st->n_prompts) qsort(line, (size_t)st->n_prompts, sizeof *line, by_word);
  for (int i = 0; i < st->n_prompts; i++) text_addf(&t, "%s\n", line[i]);
  TRY(text_ok(&t, e));
  TRY(hash_bytes(e, t.p, t.n, hex));
out:
  free(line);
  text_free(&t);
  return rc;
}

/* "0,1,5": each seed once, in the order of the study. */
static void seeds(const study *st, int train, text *out) {
  int some = 0;
  for (int64_t i = 0; i < st->n_points; i++) {
    int64_t seed = train ? st->points[i].train_seed : st->points[i].sample_seed, known = seed == SEED_NONE;
    for (int64_t k = 0; k < i && !known; k++)
      known = seed == (train ? st->points[k].train_seed : st->points[k].sample_seed);
    if (!known) text_addf(out, some++ ? ",%lld" : "%lld", (long long)seed);
  }
}

static int add_fact(err *e, baseline *b, const char *name, const char *v) {
  int rc = OK;
  const char *kept;
  TRY(store_pool_text(b->pool, e, v, &kept));
  b->facts[b->n_facts++] = (baseline_fact){name, kept};
out:
  return rc;
}

static int add_facts(err *e, const study *st, const freeze_options *o, baseline *b) {
  char hex[HASH_HEX];
  text noise = {0};
  int rc = OK;
  TRY(mem_new(e, 4, sizeof *b->facts, "facts", &b->facts));
  TRY(prompts_hash(e, st, hex));
  text_add(&noise, "philox4x32-10; train seeds ");
  seeds(st, 1, &noise);
  text_add(&noise, "; sample seeds ");
  seeds(st, 0, &noise);
  TRY(text_ok(&noise, e));
  TRY(add_fact(e, b, "study.sha256", st->sha256));
  TRY(add_fact(e, b, "prompts.sha256", hex));
  TRY(add_fact(e, b, "noise", noise.p));
  TRY(add_fact(e, b, "host_class", o->host_class));
out:
  text_free(&noise);
  return rc;
}

/* --- values ----------------------------------------------------------------------------------------------------- */

static int add_metrics(err *e, const study *st, int seconds, baseline *b) {
  int rc = OK;
  TRY(mem_new(e, st->n_metrics + 3, sizeof *b->metrics, "metrics", &b->metrics));
  for (int i = 0; i < st->n_metrics; i++) {
    const study_metric *m = &st->metrics[i];
    b->metrics[b->n_metrics++] = (baseline_metric){m->id, m->version, m->direction, m->unit ? m->unit : ""};
  }
  b->metrics[b->n_metrics++] = (baseline_metric){BASELINE_CLIP, 1, METRIC_NONE, ""};
  b->metrics[b->n_metrics++] = (baseline_metric){BASELINE_ADAPTER, 1, METRIC_NONE, ""};
  if (seconds) b->metrics[b->n_metrics++] = (baseline_metric){BASELINE_SECONDS, 1, METRIC_DOWN, "s"};
out:
  return rc;
}

static int add_value(err *e, baseline *b, int64_t *cap, const store_score *sc) {
  int is_hash = strcmp(sc->metric, BASELINE_CLIP) == 0 || strcmp(sc->metric, BASELINE_ADAPTER) == 0, rc = OK;
  const baseline_metric *m = baseline_find_metric(b, sc->metric);
  baseline_value v = {.metric = sc->metric,
                      .variant = sc->variant,
                      .prompt = sc->prompt_id ? sc->prompt_id : "",
                      .version = sc->version,
                      .train_seed = sc->train_seed,
                      .sample_seed = sc->sample_seed,
                      .value = sc->value,
                      .kind = sc->kind};
  if (!m || m->version != sc->version) return OK; /* left from an older study or build */
  TRY(mem_grow(e, &b->values, cap, b->n_values + 1, sizeof v, "baseline"));
  if (is_hash) TRY(store_pool_text(b->pool, e, sc->reason, &v.hash));
  /* the lists' texts go away with them */
  TRY(store_pool_text(b->pool, e, v.metric, &v.metric));
  TRY(store_pool_text(b->pool, e, v.variant, &v.variant));
  TRY(store_pool_text(b->pool, e, v.prompt, &v.prompt));
  b->values[b->n_values++] = v;
out:
  return rc;
}

static store_kind kind_of(double v) {
  return isfinite(v) ? KIND_FINITE : isnan(v) ? KIND_NAN : v > 0 ? KIND_INF : KIND_NEG_INF;
}

/* Several backdrops of one clip: their mean over those that are defined. Values are sorted. */
static void merge_backdrops(baseline *b) {
  int64_t out = 0;
  for (int64_t i = 0, j; i < b->n_values; i = j) {
    baseline_value v = b->values[i];
    int64_t n = 0;
    double sum = 0;
    for (j = i; j < b->n_values && baseline_order(&b->values[i], &b->values[j]) == 0; j++) {
      if (b->values[j].kind == KIND_UNDEFINED) continue;
      sum += b->values[j].value;
      n++;
    }
    if (n) v.value = sum / (double)n, v.kind = kind_of(v.value);
    b->values[out++] = v;
  }
  b->n_values = out;
}

static int64_t count_missing(const study *st, const baseline *b) {
  int64_t missing = 0;
  for (int64_t i = 0; i < st->n_points; i++) {
    const study_point *p = &st->points[i];
    int found = 0;
    for (int m = 0; m < st->n_metrics && !found; m++) {
      const baseline_value key = {.metric = st->metrics[m].id,
                                  .variant = st->rows[p->row].name,
                                  .prompt = st->prompts[p->prompt].id,
                                  .train_seed = p->train_seed,
                                  .sample_seed = p->sample_seed};
      for (int64_t lo = 0, hi = b->n_values; lo < hi && !found;) {
        int64_t mid = lo + (hi - lo) / 2;
        int c = baseline_order(&b->values[mid], &key);
        found = c == 0;
        if (c < 0)
          lo = mid + 1;
        else
          hi = mid;
      }
    }
    missing += !found;
  }
  return missing;
}

static int add_values(err *e, store *s, int64_t study_id, baseline *b) {
  store_scores scores = {0}, made = {0};
  int64_t cap = 0;
  int rc = OK;
  TRY(store_score_list(s, e, study_id, &scores));
  TRY(store_made_list(s, e, study_id, &made));
  for (int64_t i = 0; i < scores.n; i++) TRY(add_value(e, b, &cap, &scores.at[i]));
  for (int64_t i = 0; i < made.n; i++) TRY(add_value(e, b, &cap, &made.at[i]));
  baseline_sort(b);
  merge_backdrops(b);
out:
  store_scores_free(&scores);
  store_scores_free(&made);
  return rc;
}

int freeze_study(err *e, store *s, const study *st, const freeze_options *o, baseline *out, int64_t *missing) {
  store_studies known = {0};
  int rc = OK;
  *out = (baseline){.name = o->name,
                    .study = st->name,
                    .git_sha = o->git_sha ? o->git_sha : "",
                    .note = o->note,
                    .created_ms = o->created_ms};
  TRY(store_pool_open(e, &out->pool));
  TRY(store_study_list(s, e, st->name, &known));
  TRY(add_facts(e, st, o, out));
  TRY(add_metrics(e, st, o->seconds, out));
  TRY(add_values(e, s, known.at[0].study_id, out));
  *missing = count_missing(st, out);
out:
  store_studies_free(&known);
  if (rc != OK) baseline_free(out);
  return rc;
}

int freeze_same_study(err *e, store *s, const study *st) {
  store_studies known = {0};
  int rc = OK;
  TRY(store_study_list(s, e, st->name, &known));
  if (strcmp(known.at[0].spec_sha256, st->sha256) != 0)
    FAIL(e, E_STORE, "the store holds another version of study '%s' (%.12s, the file is %.12s); run the study first",
         st->name, known.at[0].spec_sha256, st->sha256);
out:
  store_studies_free(&known);
  return rc;
}
