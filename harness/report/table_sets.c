/* Scores of sets: lines of their own below the table, each beside its null. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "report/table_grid.h"

static table_null place_in_null(const store_set *s) {
  if (!s->permutations || isnan(s->value) || isnan(s->null_hi)) return NULL_NONE;
  return s->value > s->null_hi ? NULL_ABOVE : s->value < s->null_lo ? NULL_BELOW : NULL_WITHIN;
}

static const char *why_missing(const store_set *s, int64_t version) {
  if (!s) return "not run";
  if (s->state == CELL_FAILED && s->fail_class) return s->fail_class;
  if (s->state != CELL_DONE) return store_state_name(s->state);
  return s->version != version ? "of another version" : "";
}

/* `s` NULL: the store has no such cell. */
static int add_line(table *t, err *e, int64_t head, int64_t row, const store_set *s) {
  table_set x = {.head = head, .row = row, .train_seed = SEED_NONE, .state = TABLE_MISSING};
  const char *why = why_missing(s, t->set_heads[head].version);
  int rc = OK;
  x.value = x.p = x.null_mean = x.null_lo = x.null_hi = NAN;
  if (s) x.train_seed = s->train_seed;
  if (!why[0]) {
    x.state = s->reason ? TABLE_UNDEFINED : TABLE_VALUE;
    if (s->reason) why = s->reason;
    x.value = s->value;
    x.n = s->n, x.n_against = s->n_against;
    x.undefined = s->undefined, x.undefined_against = s->undefined_against;
    x.permutations = s->permutations;
    x.p = s->p, x.null_mean = s->null_mean, x.null_lo = s->null_lo, x.null_hi = s->null_hi;
    x.null = place_in_null(s);
  }
  TRY(mem_grow(e, &t->sets, &t->sets_cap, t->n_sets + 1, sizeof x, "scores of sets"));
  TRY(mem_strdup(e, why, &x.why));
  t->sets[t->n_sets++] = x;
out:
  return rc;
}

static int asked_for(const table_set_wish *w, const store_set *s) {
  return strcmp(s->metric, w->id) == 0 && strcmp(s->against, w->against) == 0;
}

/* A row without a cell is the reference itself, unless there are no cells at all. */
static int add_lines(tally *y, err *e, int64_t head) {
  const table_input *in = y->in;
  const table_set_wish *w = &in->set_wishes[head];
  int rc = OK, any = 0;
  for (int64_t i = 0; i < in->n_sets; i++) any |= asked_for(w, &in->sets[i]);
  for (int64_t r = 0; r < in->n_rows; r++) {
    int64_t before = y->t->n_sets;
    for (int64_t i = 0; i < in->n_sets; i++)
      if (asked_for(w, &in->sets[i]) && strcmp(in->sets[i].variant, in->rows[r]) == 0)
        TRY(add_line(y->t, e, head, r, &in->sets[i]));
    if (!any && y->t->n_sets == before && y->t->rows[r].planned && strcmp(in->rows[r], w->against) != 0)
      TRY(add_line(y->t, e, head, r, NULL));
  }
out:
  return rc;
}

/* Two significant digits of half the narrowest null, as columns have of their intervals. */
static int choose_decimals(const table *t, int64_t head) {
  double narrow = INFINITY;
  for (int64_t i = 0; i < t->n_sets; i++) {
    const table_set *s = &t->sets[i];
    if (s->head == head && s->null != NULL_NONE && s->null_hi > s->null_lo)
      narrow = fmin(narrow, (s->null_hi - s->null_lo) / 2);
  }
  if (!isfinite(narrow)) return 3;
  double digits = 1 - floor(log10(narrow));
  return digits < 0 ? 0 : digits > 6 ? 6 : (int)digits;
}

int tally_sets(tally *y, err *e) {
  table *t = y->t;
  int rc = OK;
  for (int64_t i = 0; i < y->in->n_set_wishes; i++) {
    const table_set_wish *w = &y->in->set_wishes[i];
    table_set_head *h = &t->set_heads[t->n_set_heads++];
    TRY(mem_strdup(e, w->id, &h->id));
    TRY(mem_strdup(e, w->against, &h->against));
    TRY(mem_strdup(e, !w->unit || strcmp(w->unit, "1") == 0 ? "" : w->unit, &h->unit));
    h->version = w->version;
    h->direction = w->direction;
    TRY(add_lines(y, e, i));
    h->decimals = choose_decimals(t, i);
  }
out:
  return rc;
}
