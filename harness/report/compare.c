#include "report/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int has_values(pairs_side s, const char *id) {
  for (int64_t i = 0; i < s.b->n_values; i++)
    if (strcmp(s.b->values[i].metric, id) == 0 && strcmp(s.b->values[i].variant, s.variant) == 0) return 1;
  return 0;
}

static int is_score(const char *id) {
  return strcmp(id, BASELINE_CLIP) != 0 && strcmp(id, BASELINE_ADAPTER) != 0 && strcmp(id, BASELINE_SECONDS) != 0;
}

static int unknown(err *e, const compare_input *in, const char *id) {
  text t = {0};
  for (int64_t i = 0; i < in->a.b->n_metrics; i++)
    if (is_score(in->a.b->metrics[i].id)) text_addf(&t, "%s%s", t.n ? ", " : "", in->a.b->metrics[i].id);
  int rc = err_set(e, E_ARG, "metric '%.80s' was not measured (known: %.900s)", id, t.n ? t.p : "none");
  text_free(&t);
  return rc;
}

static int measure(err *e, const compare_input *in, verdict_list *l, verdict_check *c) {
  pairs p = {0};
  int rc = OK;
  TRY(pairs_build(e, in->a, in->b, c->metric, &p));
  TRY(verdict_measure(e, &p, &in->stats, c));
  c->bounds = (verdict_bounds){-in->margin, in->margin};
  if (!p.shared) {
    TRY(verdict_why(e, c, VERDICT_MISSING, "the sides share no clip of the same prompt and seeds"));
    goto out;
  }
  if (p.only[0] || p.only[1])
    TRY(verdict_note(e, l, "%.80s: %lld clips of %.64s and %lld of %.64s have no partner and are left out", c->metric,
                     (long long)p.only[0], c->variant, (long long)p.only[1], c->against));
  if (!c->tested)
    TRY(verdict_why(e, c, VERDICT_UNCLEAR, "no clip has a defined score on both sides"));
  else
    c->verdict = verdict_between(c->stats.lo, c->stats.hi, in->margin, c->direction);
out:
  pairs_free(&p);
  return rc;
}

static int one(err *e, const compare_input *in, verdict_list *l, const char *id) {
  const baseline_metric *a = baseline_find_metric(in->a.b, id), *b = baseline_find_metric(in->b.b, id);
  verdict_check *c;
  int rc = OK, there[2] = {has_values(in->a, id), has_values(in->b, id)};
  if (!a && !b) return unknown(e, in, id);
  TRY(verdict_add(e, l, id, in->a.variant, &c));
  TRY(mem_strdup(e, in->b.variant, &c->against));
  TRY(mem_strdup(e, (a ? a : b)->unit, &c->unit));
  c->direction = (a ? a : b)->direction;
  if (!there[0] && !there[1])
    TRY(verdict_why(e, c, VERDICT_MISSING, "neither side has a score of version %lld",
                    (long long)(a ? a : b)->version));
  else if (!a || !b || !there[0] || !there[1])
    TRY(verdict_why(e, c, VERDICT_MISSING, "%.64s has no score", a && there[0] ? c->against : c->variant));
  else if (a->version != b->version || a->direction != b->direction)
    TRY(verdict_why(e, c, VERDICT_MISSING, "version %lld against version %lld of the metric", (long long)a->version,
                    (long long)b->version));
  else
    TRY(measure(e, in, l, c));
out:
  return rc;
}

static int correct(err *e, verdict_list *l) {
  unsigned char *member = NULL;
  double floor = INFINITY;
  int rc = OK, single = 0;
  TRY(mem_new(e, l->n, 1, "family", &member));
  memset(member, 1, (size_t)l->n);
  TRY(verdict_family(e, l, member));
  for (int64_t i = 0; i < l->n; i++) {
    verdict_check *c = &l->checks[i];
    if (!c->tested) continue;
    single |= c->stats.single_run;
    floor = fmin(floor, c->stats.test.floor);
    int claims = c->verdict == VERDICT_BETTER || c->verdict == VERDICT_WORSE;
    if (claims && c->p_holm > l->alpha)
      TRY(verdict_why(e, c, VERDICT_UNCLEAR, "the interval excludes the margin, but p = %.2g after Holm over %lld",
                      c->p_holm, (long long)l->n));
    else if (c->verdict == VERDICT_UNCLEAR && c->direction == METRIC_NONE &&
             (c->stats.lo > c->bounds.hi || c->stats.hi < c->bounds.lo))
      TRY(verdict_why(e, c, VERDICT_UNCLEAR, "differs, and neither way is better"));
  }
  if (isfinite(floor) && floor * (double)l->n > l->alpha)
    TRY(verdict_note(e, l,
                     "n is too small: the smallest p these prompts can reach is %.2g, over %lld metrics %.2g, above "
                     "%g; nothing here can be better or worse",
                     floor, (long long)l->n, fmin(1, floor * (double)l->n), l->alpha));
  if (single) TRY(verdict_note(e, l, "single training run: no between-run error in the intervals"));
out:
  free(member);
  return rc;
}

int compare_variants(err *e, const compare_input *in, verdict_list *out) {
  text title = {0};
  int rc = OK;
  *out = (verdict_list){.alpha = in->alpha};
  text_addf(&title,
            "%s:%s against %s:%s; change is the first minus the second, with its %g %% interval; n is train "
            "seeds x prompts x sample seeds",
            in->a.b->study, in->a.variant, in->b.b->study, in->b.variant, in->stats.level * 100);
  out->title = title.p;
  TRY(text_ok(&title, e));
  TRY(mem_strdup(e, "", &out->file));
  for (int i = 0; i < in->n_metrics; i++) TRY(one(e, in, out, in->metrics[i]));
  for (int64_t i = 0; i < in->a.b->n_metrics && !in->n_metrics; i++) {
    const char *id = in->a.b->metrics[i].id;
    if (is_score(id)) TRY(one(e, in, out, id));
  }
  TRY(correct(e, out));
out:
  if (rc != OK) verdict_list_free(out);
  return rc;
}
