#include "report/gate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/describe.h"

/* What the judging of one list carries along. */
typedef struct bench {
  err *e;
  const gate_input *in;
  verdict_list *l;
  char *differs;         /* why nothing here can be compared; NULL: it can */
  const char **variants; /* of both sides */
  int64_t n_variants, cap_variants;
} bench;

int gate_rule_applies(const gate_input *in, const gate_rule *r) {
  return (!r->study || strcmp(r->study, in->now->study) == 0) &&
         (!r->host_class || strcmp(r->host_class, in->host_class) == 0);
}

double gate_margin(const gate_bound *b, double mean) {
  return !b->percent ? b->v : isnan(mean) ? NAN : b->v / 100 * fabs(mean);
}

static int has_values(const baseline *b, const char *id, const char *row) {
  for (int64_t i = 0; i < b->n_values; i++)
    if ((!id || strcmp(b->values[i].metric, id) == 0) && (!row || strcmp(b->values[i].variant, row) == 0)) return 1;
  return 0;
}

/* --- preparation ------------------------------------------------------------------------------------------------ */

static int compare_facts(bench *b) {
  static const struct {
    unsigned bit;
    const char *name;
  } facts[] = {{GATE_SAME_PROMPTS, "prompts.sha256"},
               {GATE_SAME_NOISE, "noise"},
               {GATE_SAME_HOST, "host_class"},
               {GATE_SAME_STUDY, "study.sha256"}};
  text t = {0};
  int rc = OK;
  for (int i = 0; i < 4; i++) {
    const char *now = baseline_find_fact(b->in->now, facts[i].name);
    const char *then = baseline_find_fact(b->in->then, facts[i].name);
    if (!(b->in->rules->same & facts[i].bit) || (now && then && strcmp(now, then) == 0)) continue;
    text_addf(&t, "%s%s must be the same: the baseline has '%.64s', here it is '%.64s'", t.n ? "; " : "",
              facts[i].name, then ? then : "none", now ? now : "none");
  }
  if (!t.n) return OK;
  TRY(text_ok(&t, b->e));
  b->differs = t.p;
  return OK;
out:
  text_free(&t);
  return rc;
}

static int list_variants(bench *b) {
  int rc = OK;
  const baseline *side[2] = {b->in->then, b->in->now};
  for (int k = 0; k < 2; k++)
    for (int64_t i = 0; i < side[k]->n_values; i++) {
      const char *v = side[k]->values[i].variant;
      int known = 0;
      for (int64_t j = b->n_variants; j-- > 0 && !known;) known = strcmp(b->variants[j], v) == 0;
      if (known) continue;
      TRY(mem_grow(b->e, &b->variants, &b->cap_variants, b->n_variants + 1, sizeof *b->variants, "variants"));
      b->variants[b->n_variants++] = v;
    }
out:
  return rc;
}

/* --- one check -------------------------------------------------------------------------------------------------- */

static int needs_baseline(const gate_rule *r) {
  return r->test == GATE_EQUAL || r->drop.given || r->rise.given || r->undefined.given;
}

/* Is the metric there, and the same metric? *done when that settled the verdict. */
static int compare_definitions(bench *b, const gate_rule *r, verdict_check *c, int *done) {
  const baseline_metric *now = baseline_find_metric(b->in->now, c->metric);
  const baseline_metric *then = baseline_find_metric(b->in->then, c->metric), *m = then ? then : now;
  int rc = OK;
  *done = 1;
  if (m) {
    c->direction = m->direction;
    TRY(mem_strdup(b->e, m->unit, &c->unit));
  }
  if (b->differs) return verdict_why(b->e, c, VERDICT_UNCLEAR, "%.900s", b->differs);
  if (!now || !has_values(b->in->now, c->metric, c->variant))
    return verdict_why(b->e, c, VERDICT_MISSING, "not measured here%s", then ? "; the baseline has it" : "");
  if (then && now->version != then->version)
    return verdict_why(b->e, c, VERDICT_MISSING,
                       "version %lld of the metric, the baseline has version %lld: save a new baseline",
                       (long long)now->version, (long long)then->version);
  if (then && now->direction != then->direction)
    return verdict_why(b->e, c, VERDICT_MISSING, "direction '%s', the baseline has '%s' under the same version",
                       metric_direction_name(now->direction), metric_direction_name(then->direction));
  int absent = !then || !has_values(b->in->then, c->metric, c->variant);
  if (absent && needs_baseline(r))
    return verdict_why(b->e, c, VERDICT_MISSING, "not in the baseline: save a new one");
  *done = 0;
out:
  return rc;
}

/* Clips that went missing, values that are no numbers. *done as above; *open: why a good answer is still unclear. */
static int compare_clips(bench *b, const gate_rule *r, const pairs *p, verdict_check *c, int *done, int64_t *open) {
  int64_t undefined = p->undefined[0] - p->undefined[1];
  *done = 1;
  if (p->only[1])
    return verdict_why(b->e, c, VERDICT_MISSING, "%lld of the baseline's %lld clips have no score here (first: %s)",
                       (long long)p->only[1], (long long)(p->only[1] + p->shared), p->first);
  if (r->test == GATE_EQUAL) {
    if (!p->differ)
      return verdict_why(b->e, c, VERDICT_SAME, "%lld of %lld equal", (long long)p->shared, (long long)p->shared);
    return verdict_why(b->e, c, VERDICT_WORSE, "%lld of %lld values differ (first: %s)", (long long)p->differ,
                       (long long)p->shared, p->first);
  }
  if (p->shared == p->undefined[0] && p->shared == p->undefined[1])
    return verdict_why(b->e, c, VERDICT_SAME, "undefined on every clip, as in the baseline");
  if (p->not_finite[0] > p->not_finite[1])
    return verdict_why(b->e, c, VERDICT_WORSE, "NaN or infinite on %lld of %lld clips", (long long)p->not_finite[0],
                       (long long)p->shared);
  double allowed = r->undefined.percent ? r->undefined.v / 100 : r->undefined.v;
  if (r->undefined.given && (double)undefined > allowed * (double)p->shared + 1e-9)
    return verdict_why(b->e, c, VERDICT_WORSE, "undefined on %lld more of %lld clips", (long long)undefined,
                       (long long)p->shared);
  *open = r->undefined.given || undefined < 0 ? 0 : undefined;
  *done = 0;
  return OK;
}

static int weigh(bench *b, const gate_rule *r, const pairs *p, verdict_check *c) {
  int rc = OK;
  double lo, hi;
  TRY(verdict_measure(b->e, p, &b->in->stats, c));
  if (r->test == GATE_MEDIAN) {
    TRY(pairs_median(b->e, p, 0, &c->now));
    TRY(pairs_median(b->e, p, 1, &c->then));
    c->delta = c->now - c->then;
  }
  if (r->drop.given) c->bounds.lo = -gate_margin(&r->drop, c->then);
  if (r->rise.given) c->bounds.hi = gate_margin(&r->rise, c->then);
  lo = r->test == GATE_PAIRED && c->tested ? c->stats.lo : c->delta;
  hi = r->test == GATE_PAIRED && c->tested ? c->stats.hi : c->delta;
  double slack = 1e-12 * (fabs(c->now) + fabs(c->then));
  c->verdict = r->drop.given || r->rise.given ? verdict_of(lo, hi, c->bounds, slack) : VERDICT_SAME;
  if (isnan(c->now)) return verdict_why(b->e, c, VERDICT_UNCLEAR, "undefined on every clip");
  if (isnan(lo)) return verdict_why(b->e, c, VERDICT_UNCLEAR, "no clip has a score on both sides");
  c->outright = c->now < r->floor - slack || c->now > r->ceiling + slack;
  if (c->now < r->floor - slack)
    return verdict_why(b->e, c, VERDICT_WORSE, "%.6g is below the floor %.6g", c->now, r->floor);
  if (c->now > r->ceiling + slack)
    return verdict_why(b->e, c, VERDICT_WORSE, "%.6g is above the ceiling %.6g", c->now, r->ceiling);
  if (c->then == 0 && c->verdict == VERDICT_WORSE && (r->drop.percent || r->rise.percent))
    return verdict_why(b->e, c, c->verdict, "the baseline is 0, and a share of 0 allows no change");
out:
  return rc;
}

static int judge(bench *b, const gate_rule *r, verdict_check *c) {
  int rc = OK, done, alone = !has_values(b->in->then, c->metric, c->variant);
  int64_t open = 0;
  pairs p = {0};
  pairs_side now = {b->in->now, c->variant}, then = {b->in->then, c->variant};
  TRY(compare_definitions(b, r, c, &done));
  if (done) return OK;
  if (alone) then = now; /* floor and ceiling need no baseline */
  TRY(pairs_build(b->e, now, then, c->metric, &p));
  c->shared = p.shared;
  c->missing = p.only[1];
  for (int k = 0; k < 2; k++) c->undefined[k] = p.undefined[k];
  TRY(compare_clips(b, r, &p, c, &done, &open));
  if (!done) TRY(weigh(b, r, &p, c));
  if (alone) c->then = c->delta = NAN, c->tested = 0;
  if (open && (c->verdict == VERDICT_SAME || c->verdict == VERDICT_BETTER))
    TRY(verdict_why(b->e, c, VERDICT_UNCLEAR, "undefined on %lld more of %lld clips: the mean is over fewer",
                    (long long)open, (long long)p.shared));
  if (p.only[0])
    TRY(verdict_note(b->e, b->l, "%.80s of %.64s: %lld clips are not in the baseline and were left out", c->metric,
                     c->variant, (long long)p.only[0]));
out:
  pairs_free(&p);
  return rc;
}

static int mute(bench *b, verdict_check *c) {
  int rc = OK;
  for (int64_t i = 0; i < b->in->rules->n_mutes; i++) {
    const gate_mute *m = &b->in->rules->mutes[i];
    if (strcmp(m->metric, c->metric) != 0 || (strcmp(m->variant, "*") != 0 && strcmp(m->variant, c->variant) != 0))
      continue;
    int live = strcmp(b->in->today, m->until) <= 0;
    c->muted |= live;
    TRY(verdict_note(b->e, b->l,
                     live ? "%.80s of %.64s is muted up to %.10s: %.300s"
                          : "%.80s of %.64s was muted up to %.10s and "
                            "counts again: %.300s",
                     c->metric, c->variant, m->until, m->why));
  }
out:
  return rc;
}

/* --- all of them ------------------------------------------------------------------------------------------------ */

static int run_rule(bench *b, int index) {
  const gate_rule *r = &b->in->rules->rules[index];
  int every = strcmp(r->variant, "*") == 0, rc = OK;
  int64_t found = 0;
  verdict_check *c;
  if (!gate_rule_applies(b->in, r))
    return verdict_note(b->e, b->l, "rule %d (%.80s) is for %s%.64s and was not judged", index + 1, r->metric,
                        r->study && strcmp(r->study, b->in->now->study) != 0 ? "study " : "host class ",
                        r->study && strcmp(r->study, b->in->now->study) != 0 ? r->study : r->host_class);
  for (int64_t i = 0; i < b->n_variants; i++) {
    const char *v = b->variants[i];
    if (!every && strcmp(r->variant, v) != 0) continue;
    if (every && !has_values(b->in->then, r->metric, v) && !has_values(b->in->now, r->metric, v)) continue;
    TRY(verdict_add(b->e, b->l, r->metric, v, &c));
    c->rule = index, c->line = r->line, c->col = r->col;
    found++;
    TRY(judge(b, r, c));
    TRY(mute(b, c));
  }
  if (found) return OK;
  TRY(verdict_add(b->e, b->l, r->metric, r->variant, &c));
  c->rule = index, c->line = r->line, c->col = r->col;
  TRY(verdict_why(b->e, c, VERDICT_MISSING, "no variant has this metric"));
out:
  return rc;
}

/* Fewer than the quorum beyond a bound together: noise. */
static int apply_quorum(bench *b, int index) {
  int64_t beyond = 0, quorum = b->in->rules->rules[index].quorum;
  int rc = OK;
  for (int64_t i = 0; i < b->l->n; i++)
    beyond += b->l->checks[i].rule == index && b->l->checks[i].verdict == VERDICT_WORSE;
  for (int64_t i = 0; i < b->l->n && beyond < quorum; i++) {
    verdict_check *c = &b->l->checks[i];
    if (c->rule != index || c->verdict != VERDICT_WORSE) continue;
    TRY(verdict_why(b->e, c, VERDICT_SAME, "beyond the bound, but with %lld variants of the %lld that it takes",
                    (long long)beyond, (long long)quorum));
  }
out:
  return rc;
}

/* Worse stands only where it also survives the family's correction. */
static int correct(bench *b) {
  unsigned char *member = NULL;
  int64_t n = 0, tested = 0;
  double floor = 0;
  int rc = OK;
  TRY(mem_new(b->e, b->l->n, 1, "family", &member));
  for (int64_t i = 0; i < b->l->n; i++) {
    const verdict_check *c = &b->l->checks[i];
    member[i] = c->rule >= 0 && b->in->rules->rules[c->rule].test == GATE_PAIRED && !c->muted;
    n += member[i];
    if (!member[i] || !c->tested) continue;
    tested++;
    floor = tested == 1 ? c->stats.test.floor : fmin(floor, c->stats.test.floor);
  }
  TRY(verdict_family(b->e, b->l, member));
  for (int64_t i = 0; i < b->l->n; i++) {
    verdict_check *c = &b->l->checks[i];
    if (!member[i] || c->verdict != VERDICT_WORSE || !c->tested || c->p_holm <= b->l->alpha || c->outright) continue;
    TRY(verdict_why(b->e, c, VERDICT_UNCLEAR, "beyond the bound, but p = %.2g after Holm over %lld tests", c->p_holm,
                    (long long)n));
  }
  if (tested && floor * (double)n > b->l->alpha)
    TRY(verdict_note(b->e, b->l,
                     "n is too small: the smallest p these prompts can reach is %.2g, over %lld tests %.2g, above "
                     "family_alpha %g; no paired rule can ever be worse",
                     floor, (long long)n, fmin(1, floor * (double)n), b->l->alpha));
out:
  free(member);
  return rc;
}

static int is_metric(const char *id) {
  return strcmp(id, BASELINE_CLIP) != 0 && strcmp(id, BASELINE_ADAPTER) != 0 && strcmp(id, BASELINE_SECONDS) != 0;
}

static int ruled(const bench *b, const char *id, const char *row) {
  for (int64_t i = 0; i < b->l->n; i++) {
    const verdict_check *c = &b->l->checks[i];
    if ((!id || strcmp(c->metric, id) == 0) && (!row || strcmp(c->variant, row) == 0)) return 1;
  }
  return 0;
}

static int vanished(bench *b) {
  const baseline *now = b->in->now, *then = b->in->then;
  verdict_check *c;
  int rc = OK;
  for (int64_t i = 0; i < then->n_metrics; i++) {
    const char *id = then->metrics[i].id;
    if (!has_values(then, id, NULL) || has_values(now, id, NULL) || ruled(b, id, NULL)) continue;
    TRY(verdict_add(b->e, b->l, id, "*", &c));
    TRY(verdict_why(b->e, c, VERDICT_MISSING, "vanished: the baseline has it, no rule looks at it"));
    TRY(mute(b, c));
  }
  for (int64_t i = 0; i < b->n_variants; i++) {
    const char *v = b->variants[i];
    if (has_values(now, NULL, v) || ruled(b, NULL, v)) continue;
    TRY(verdict_add(b->e, b->l, "*", v, &c));
    TRY(verdict_why(b->e, c, VERDICT_MISSING, "vanished: the baseline has this variant, no rule looks at it"));
  }
out:
  return rc;
}

/* Names of metrics of now that are new or that no rule looks at. */
static int list_unmatched(bench *b) {
  const baseline *now = b->in->now;
  text fresh = {0}, free_of_rules = {0};
  int rc = OK;
  for (int64_t i = 0; i < now->n_metrics; i++) {
    const char *id = now->metrics[i].id;
    if (!is_metric(id)) continue;
    if (!has_values(b->in->then, id, NULL)) text_addf(&fresh, "%s%s", fresh.n ? ", " : "", id);
    if (!ruled(b, id, NULL)) text_addf(&free_of_rules, "%s%s", free_of_rules.n ? ", " : "", id);
  }
  for (int64_t i = 0; i < b->n_variants; i++)
    if (!has_values(b->in->then, NULL, b->variants[i]))
      text_addf(&fresh, "%svariant %s", fresh.n ? ", " : "", b->variants[i]);
  TRY(text_ok(&fresh, b->e));
  TRY(text_ok(&free_of_rules, b->e));
  if (fresh.n) TRY(verdict_note(b->e, b->l, "new, not in the baseline: %.900s", fresh.p));
  if (free_of_rules.n) TRY(verdict_note(b->e, b->l, "no rule looks at: %.900s", free_of_rules.p));
out:
  text_free(&fresh);
  text_free(&free_of_rules);
  return rc;
}

static int conclude(bench *b) {
  int64_t n[VERDICTS], judged = 0;
  int rc = OK, single = 0;
  verdict_count(b->l, n);
  for (int i = 0; i < VERDICTS; i++) judged += n[i];
  for (int64_t i = 0; i < b->l->n; i++) single |= b->l->checks[i].tested && b->l->checks[i].stats.single_run;
  if (single) TRY(verdict_note(b->e, b->l, "single training run: no between-run error in the intervals"));
  if (!judged) TRY(verdict_note(b->e, b->l, "every check is muted or for another study or host: nothing was judged"));
  const gate_rules *g = b->in->rules;
  b->l->exit_status =
      n[VERDICT_WORSE]                                                                                  ? GATE_RED
      : !judged || (n[VERDICT_UNCLEAR] && !g->pass_unclear) || (n[VERDICT_MISSING] && !g->pass_missing) ? GATE_OPEN
                                                                                                        : GATE_PASS;
out:
  return rc;
}

int gate_judge(err *e, const gate_input *in, verdict_list *out) {
  bench b = {.e = e, .in = in, .l = out};
  text title = {0};
  int rc = OK;
  *out = (verdict_list){.alpha = in->rules->alpha};
  text_addf(&title, "study %s against baseline %s", in->now->study, in->then->name);
  out->title = title.p;
  TRY(text_ok(&title, e));
  TRY(mem_strdup(e, in->rules->file, &out->file));
  TRY(compare_facts(&b));
  TRY(list_variants(&b));
  for (int64_t i = 0; i < in->rules->n_rules; i++) {
    TRY(run_rule(&b, (int)i));
    TRY(apply_quorum(&b, (int)i));
  }
  TRY(correct(&b));
  TRY(vanished(&b));
  TRY(list_unmatched(&b));
  TRY(conclude(&b));
out:
  free(b.differs);
  free(b.variants);
  if (rc != OK) verdict_list_free(out);
  return rc;
}
