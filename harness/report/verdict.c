#include "report/verdict.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char *verdict_name(verdict v) {
  static const char *const name[VERDICTS] = {"better", "same", "worse", "unclear", "missing"};
  return name[v];
}

verdict verdict_of(double lo, double hi, verdict_bounds b, double slack) {
  double margin_lo = isinf(b.lo) ? b.hi : -b.lo, margin_hi = isinf(b.hi) ? -b.lo : b.hi;
  if (isnan(lo) || isnan(hi)) return VERDICT_UNCLEAR;
  if (hi < b.lo - slack || lo > b.hi + slack) return VERDICT_WORSE;
  if (lo < b.lo - slack || hi > b.hi + slack) return VERDICT_UNCLEAR;
  if (isinf(b.hi) && !isinf(b.lo) && lo > margin_lo + slack) return VERDICT_BETTER;
  if (isinf(b.lo) && !isinf(b.hi) && hi < -margin_hi - slack) return VERDICT_BETTER;
  return VERDICT_SAME;
}

verdict verdict_between(double lo, double hi, double margin, metric_direction d) {
  if (isnan(lo) || isnan(hi)) return VERDICT_UNCLEAR;
  if (lo >= -margin && hi <= margin) return VERDICT_SAME;
  if (d == METRIC_NONE || (lo <= margin && hi >= -margin)) return VERDICT_UNCLEAR;
  return (lo > margin) == (d == METRIC_UP) ? VERDICT_BETTER : VERDICT_WORSE;
}

int verdict_add(err *e, verdict_list *l, const char *id, const char *row, verdict_check **out) {
  int rc = OK;
  TRY(mem_grow(e, &l->checks, &l->cap, l->n + 1, sizeof *l->checks, "verdicts"));
  verdict_check *c = &l->checks[l->n++];
  *c = (verdict_check){.rule = -1,
                       .verdict = VERDICT_MISSING,
                       .direction = METRIC_NONE,
                       .bounds = {-INFINITY, INFINITY},
                       .now = NAN,
                       .then = NAN,
                       .delta = NAN,
                       .p_holm = NAN};
  TRY(mem_strdup(e, id, &c->metric));
  TRY(mem_strdup(e, row, &c->variant));
  TRY(mem_strdup(e, "", &c->why));
  *out = c;
out:
  return rc;
}

static int sentence(err *e, const char *fmt, va_list ap, char **out) {
  char s[1024];
  vsnprintf(s, sizeof s, fmt, ap);
  return mem_strdup(e, s, out);
}

int verdict_why(err *e, verdict_check *c, verdict v, const char *fmt, ...) {
  char *why = NULL;
  va_list ap;
  va_start(ap, fmt);
  int rc = sentence(e, fmt, ap, &why);
  va_end(ap);
  if (rc != OK) return rc;
  free(c->why);
  c->why = why;
  c->verdict = v;
  return OK;
}

int verdict_note(err *e, verdict_list *l, const char *fmt, ...) {
  va_list ap;
  int rc = mem_grow(e, &l->notes, &l->cap_notes, l->n_notes + 1, sizeof *l->notes, "notes");
  if (rc != OK) return rc;
  va_start(ap, fmt);
  rc = sentence(e, fmt, ap, &l->notes[l->n_notes]);
  va_end(ap);
  if (rc == OK) l->n_notes++;
  return rc;
}

void verdict_list_free(verdict_list *l) {
  for (int64_t i = 0; i < l->n; i++) {
    verdict_check *c = &l->checks[i];
    free(c->metric), free(c->variant), free(c->against), free(c->unit), free(c->why);
  }
  for (int64_t i = 0; i < l->n_notes; i++) free(l->notes[i]);
  free(l->checks), free(l->notes), free(l->title), free(l->file);
  *l = (verdict_list){0};
}

void verdict_count(const verdict_list *l, int64_t n[VERDICTS]) {
  for (int i = 0; i < VERDICTS; i++) n[i] = 0;
  for (int64_t i = 0; i < l->n; i++)
    if (!l->checks[i].muted) n[l->checks[i].verdict]++;
}

void verdict_headline(const verdict_list *l, text *out) {
  static const verdict order[] = {VERDICT_WORSE, VERDICT_MISSING, VERDICT_UNCLEAR, VERDICT_BETTER, VERDICT_SAME};
  int64_t n[VERDICTS], muted = l->n, some = 0;
  verdict_count(l, n);
  for (int i = 0; i < VERDICTS; i++) muted -= n[i];
  if (l->file[0]) text_add(out, l->exit_status ? "FAIL: " : "PASS: ");
  for (int i = 0; i < VERDICTS; i++) {
    if (!n[order[i]]) continue;
    text_addf(out, "%s%lld %s", some++ ? ", " : "", (long long)n[order[i]], verdict_name(order[i]));
  }
  if (muted) text_addf(out, "%s%lld muted", some++ ? ", " : "", (long long)muted);
  if (!some) text_add(out, "nothing was judged");
}

int verdict_measure(err *e, const pairs *p, const stats_options *o, verdict_check *c) {
  stats_grid now = pairs_grid(p, 0), then = pairs_grid(p, 1);
  int rc = stats_compare(e, &now, &then, o, &c->stats);
  c->shared = p->shared;
  c->missing = p->only[1];
  for (int k = 0; k < 2; k++) c->undefined[k] = p->undefined[k];
  c->now = pairs_mean(p, 0);
  c->then = pairs_mean(p, 1);
  c->tested = rc == OK && c->stats.used > 0;
  if (c->tested) c->delta = c->stats.mean;
  if (c->direction == METRIC_DOWN) { /* a win is what is better */
    int64_t wins = c->stats.wins;
    c->stats.wins = c->stats.losses;
    c->stats.losses = wins;
    c->stats.improvement = 1 - c->stats.improvement;
  }
  return rc;
}

int verdict_family(err *e, verdict_list *l, const unsigned char *member) {
  double *p = NULL;
  int64_t n = 0;
  int rc = OK;
  TRY(mem_new(e, l->n, sizeof *p, "family", &p));
  for (int64_t i = 0; i < l->n; i++)
    if (member[i]) p[n++] = l->checks[i].tested ? l->checks[i].stats.test.p : 1;
  if (n) TRY(stats_holm(e, p, n, p));
  n = 0;
  for (int64_t i = 0; i < l->n; i++)
    if (member[i]) l->checks[i].p_holm = p[n++];
out:
  free(p);
  return rc;
}
