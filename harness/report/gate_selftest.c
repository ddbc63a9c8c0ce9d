/* Changed copies of the baseline, judged by the same gate. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/gate.h"

typedef struct trial {
  err *e;
  const gate_input *in;
  baseline now; /* the copy: its own arrays, the baseline's texts */
  char changed_hash[HASH_HEX];
  text *out;
  int64_t claims, failed;
} trial;

static int copy_baseline(trial *t) {
  const baseline *b = t->in->then;
  int rc = OK;
  free(t->now.metrics), free(t->now.values);
  t->now = *b;
  t->now.pool = NULL, t->now.tree = NULL, t->now.metrics = NULL, t->now.values = NULL;
  TRY(mem_new(t->e, b->n_metrics, sizeof *b->metrics, "baseline", &t->now.metrics));
  TRY(mem_new(t->e, b->n_values, sizeof *b->values, "baseline", &t->now.values));
  for (int64_t i = 0; i < b->n_metrics; i++) t->now.metrics[i] = b->metrics[i];
  for (int64_t i = 0; i < b->n_values; i++) t->now.values[i] = b->values[i];
out:
  return rc;
}

static int judge(trial *t, verdict_list *l) {
  gate_input in = *t->in;
  in.now = &t->now;
  return gate_judge(t->e, &in, l);
}

static void claim(trial *t, int held, const char *what, const char *seen) {
  t->claims++;
  t->failed += !held;
  text_addf(t->out, "%s  %s: %s\n", held ? "ok  " : "FAIL", what, seen);
}

static int covers(const gate_rule *r, const baseline_value *v) {
  return strcmp(v->metric, r->metric) == 0 && (strcmp(r->variant, "*") == 0 || strcmp(r->variant, v->variant) == 0);
}

/* --- a regression of one rule's own kind ------------------------------------------------------------------------ */

typedef struct step {
  double times;     /* of the margin */
  const char *what; /* "just inside", "2 x" */
  verdict want;
} step;

static int mean_of(trial *t, const gate_rule *r, const char *row, double *out) {
  pairs p = {0};
  pairs_side s = {t->in->then, row};
  *out = NAN;
  int rc = pairs_build(t->e, s, s, r->metric, &p);
  if (rc == OK && r->test == GATE_MEDIAN)
    rc = pairs_median(t->e, &p, 0, out);
  else if (rc == OK)
    *out = pairs_mean(&p, 0);
  pairs_free(&p);
  return rc;
}

/* How far values must move for the step; NaN: the rule cannot be moved so. A bound of 0 is passed by a thousandth. */
static double shift_of(const gate_rule *r, double mean, const step *s) {
  double edge = 1e-9 * fmax(1, fabs(mean)), hair = 1e-3 * fmax(1, fabs(mean));
  int beyond = s->want == VERDICT_WORSE;
  if (r->drop.given || r->rise.given) {
    double margin = gate_margin(r->drop.given ? &r->drop : &r->rise, mean);
    double far = margin > 0 ? s->times * margin : beyond ? hair : 0;
    return r->drop.given ? -far : far;
  }
  if (!isnan(r->floor)) return r->floor - mean + (beyond ? -hair : edge);
  if (!isnan(r->ceiling)) return r->ceiling - mean + (beyond ? hair : -edge);
  return NAN;
}

static void change_bits(trial *t, baseline_value *v) {
  if (v->hash) {
    snprintf(t->changed_hash, sizeof t->changed_hash, "%.64s", v->hash);
    t->changed_hash[0] = v->hash[0] == '0' ? '1' : '0';
    v->hash = t->changed_hash;
  } else if (v->kind == KIND_FINITE) {
    v->value = nextafter(v->value, INFINITY);
  } else {
    v->kind = KIND_FINITE, v->value = 0;
  }
}

/* Moves what the rule covers; *moved counts the variants. */
static int apply(trial *t, const gate_rule *r, const step *s, int64_t *moved) {
  const char *row = "";
  double shift = 0, mean;
  int rc = OK;
  *moved = 0;
  for (int64_t i = 0; i < t->now.n_values; i++) {
    baseline_value *v = &t->now.values[i];
    if (!covers(r, v)) continue;
    int next = strcmp(row, v->variant) != 0;
    row = v->variant;
    if (r->test == GATE_EQUAL) {
      if (next && s->want == VERDICT_WORSE) change_bits(t, v);
      *moved += next;
      continue;
    }
    if (next) {
      TRY(mean_of(t, r, row, &mean));
      shift = shift_of(r, mean, s);
      *moved += isfinite(shift);
    }
    if (v->kind == KIND_FINITE && isfinite(shift)) v->value += shift;
  }
out:
  return rc;
}

/* Of the rule's checks that have numbers and are not muted: all as wanted? *muted counts those that are. */
static int all_as(const verdict_list *l, int rule, verdict want, int64_t *muted, const verdict_check **other) {
  int64_t n = 0;
  *muted = 0;
  *other = NULL;
  for (int64_t i = 0; i < l->n; i++) {
    const verdict_check *c = &l->checks[i];
    if (c->rule != rule) continue;
    *muted += c->muted;
    if (c->muted || (c->shared && c->shared == c->undefined[0])) continue;
    n++;
    int good = want == VERDICT_WORSE ? c->verdict == VERDICT_WORSE : c->verdict != VERDICT_WORSE;
    if (!good && !*other) *other = c;
  }
  return n > 0 && !*other;
}

static int try_step(trial *t, int index, const step *s) {
  const gate_rule *r = &t->in->rules->rules[index];
  const verdict_check *other = NULL;
  verdict_list l = {0};
  char what[240], seen[400];
  int64_t moved, quiet;
  int rc = OK;
  TRY(copy_baseline(t));
  TRY(apply(t, r, s, &moved));
  TRY(judge(t, &l));
  int held = all_as(&l, index, s->want, &quiet, &other), want = s->want == VERDICT_WORSE ? GATE_RED : GATE_PASS;
  int muted = quiet > 0 && !held && !other;
  if (s->want == VERDICT_WORSE) held = held && l.exit_status == want;
  snprintf(what, sizeof what, "rule %d (line %d) %.100s of %.64s, %s", index + 1, r->line, r->metric, r->variant,
           s->what);
  if (other)
    snprintf(seen, sizeof seen, "%.64s is %s%s%.200s, exit %d", other->variant, verdict_name(other->verdict),
             other->why[0] ? ", " : "", other->why, l.exit_status);
  else
    snprintf(seen, sizeof seen, "%s, exit %d",
             muted                      ? "muted"
             : !moved                   ? "the baseline has nothing it covers"
             : s->want == VERDICT_WORSE ? "worse"
                                        : "not worse",
             l.exit_status);
  claim(t, held || muted, what, seen);
out:
  verdict_list_free(&l);
  return rc;
}

static int try_rule(trial *t, int index) {
  const gate_rule *r = &t->in->rules->rules[index];
  static const step equal[] = {{0, "untouched", VERDICT_SAME}, {0, "one bit changed", VERDICT_WORSE}};
  static const step bounds[] = {{1, "moved by its margin", VERDICT_SAME},
                                {2, "moved by twice its margin", VERDICT_WORSE}};
  static const step levels[] = {{0, "just inside its level", VERDICT_SAME},
                                {0, "just beyond its level", VERDICT_WORSE}};
  const step *s = r->test == GATE_EQUAL ? equal : r->drop.given || r->rise.given ? bounds : levels;
  int rc = OK;
  if (!gate_rule_applies(t->in, r)) return OK;
  for (int i = 0; i < 2; i++) TRY(try_step(t, index, &s[i]));
out:
  return rc;
}

/* --- what no rule may overlook ---------------------------------------------------------------------------------- */

typedef enum harm { HARM_NONE, HARM_CLIP, HARM_HALF, HARM_METRIC, HARM_DIRECTION, HARM_VERSION, HARMS } harm;

/* Values of the metric that go away: one, every other, or all. */
static void drop_values(baseline *b, const char *id, int one, int every) {
  int64_t kept = 0, seen = 0;
  for (int64_t i = 0; i < b->n_values; i++) {
    int match = strcmp(b->values[i].metric, id) == 0, gone = match && (one ? seen == 0 : seen % every == 0);
    seen += match;
    if (!gone) b->values[kept++] = b->values[i];
  }
  b->n_values = kept;
}

static void hurt(baseline *b, harm h, const char *id) {
  baseline_metric *m = b->metrics;
  while (m < b->metrics + b->n_metrics && strcmp(m->id, id) != 0) m++;
  switch (h) {
  case HARM_CLIP: drop_values(b, id, 1, 1); break;
  case HARM_HALF: drop_values(b, id, 0, 2); break;
  case HARM_METRIC: drop_values(b, id, 0, 1); break;
  case HARM_DIRECTION: m->direction = m->direction == METRIC_UP ? METRIC_DOWN : METRIC_UP; break;
  case HARM_VERSION:
    m->version++;
    for (int64_t i = 0; i < b->n_values; i++)
      if (strcmp(b->values[i].metric, id) == 0) b->values[i].version++;
    break;
  default: break;
  }
}

static int try_harm(trial *t, harm h, const char *id) {
  static const char *const name[HARMS] = {"nothing changed",    "one clip lost",         "half of the clips lost",
                                          "the metric is gone", "its direction flipped", "its version changed"};
  verdict_list l = {0};
  int64_t n[VERDICTS];
  char what[240], seen[120];
  int rc = OK;
  TRY(copy_baseline(t));
  hurt(&t->now, h, id);
  TRY(judge(t, &l));
  verdict_count(&l, n);
  int want = h == HARM_NONE || t->in->rules->pass_missing ? GATE_PASS : GATE_OPEN;
  int held =
      l.exit_status == want && (h == HARM_NONE ? !n[VERDICT_MISSING] && !n[VERDICT_WORSE] : n[VERDICT_MISSING] > 0);
  snprintf(what, sizeof what, "%s%s%.120s", name[h], h == HARM_NONE ? "" : ", ", h == HARM_NONE ? "" : id);
  snprintf(seen, sizeof seen, "%lld worse, %lld missing, %lld unclear, exit %d", (long long)n[VERDICT_WORSE],
           (long long)n[VERDICT_MISSING], (long long)n[VERDICT_UNCLEAR], l.exit_status);
  claim(t, held, what, seen);
out:
  verdict_list_free(&l);
  return rc;
}

/* A metric that a relative rule covers and the baseline has; NULL: none. */
static const char *some_metric(const trial *t) {
  for (int64_t i = 0; i < t->in->rules->n_rules; i++) {
    const gate_rule *r = &t->in->rules->rules[i];
    int relative = r->drop.given || r->rise.given || r->test == GATE_EQUAL, muted = 0;
    for (int64_t k = 0; k < t->in->rules->n_mutes; k++)
      muted |= strcmp(t->in->rules->mutes[k].metric, r->metric) == 0;
    if (!relative || muted || !gate_rule_applies(t->in, r)) continue;
    for (int64_t k = 0; k < t->in->then->n_values; k++)
      if (covers(r, &t->in->then->values[k])) return r->metric;
  }
  return NULL;
}

int gate_selftest(err *e, const gate_input *in, text *out, int64_t *failed) {
  trial t = {.e = e, .in = in, .out = out};
  const char *id = some_metric(&t);
  int rc = OK;
  TRY(try_harm(&t, HARM_NONE, ""));
  for (int64_t i = 0; i < in->rules->n_rules; i++) TRY(try_rule(&t, (int)i));
  for (int h = HARM_CLIP; id && h < HARMS; h++) TRY(try_harm(&t, (harm)h, id));
  *failed = t.failed;
  text_addf(out, "%lld of %lld claims hold%s\n", (long long)(t.claims - t.failed), (long long)t.claims,
            t.failed ? ": this gate cannot be trusted" : ": this gate can go red");
out:
  free(t.now.metrics), free(t.now.values);
  return rc;
}
