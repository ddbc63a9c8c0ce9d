#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "report/table_grid.h"

/* One comparison of two rows on one metric. */
typedef struct task {
  int64_t column, row, against;
  table_difference *out;
} task;

typedef struct tasks {
  task *at;
  int64_t n, cap;
} tasks;

static int add(err *e, tasks *l, int64_t column, int64_t row, int64_t against, table_difference *out) {
  int rc = mem_grow(e, &l->at, &l->cap, l->n + 1, sizeof *l->at, "comparisons");
  *out = (table_difference){.mean = NAN, .lo = NAN, .hi = NAN, .p = NAN, .p_holm = NAN};
  if (rc == OK) l->at[l->n++] = (task){column, row, against, out};
  return rc;
}

static int value_state(const tally *y, int64_t row, int64_t column) {
  return y->t->cells[row * y->in->n_metrics + column].state == TABLE_VALUE;
}

/* All at once, so that they share their draws. */
static int run(const tally *y, err *e, const tasks *l) {
  unsigned char *masks = NULL;
  stats_grid *a = NULL;
  stats_comparison *x = NULL;
  int64_t n = 0, size = y->g.size, *task_of = NULL;
  int rc = OK;
  TRY(mem_new(e, 2 * l->n, size, "masks", &masks));
  TRY(mem_new(e, 2 * l->n, sizeof *a, "comparisons", &a));
  TRY(mem_new(e, l->n, sizeof *x, "comparisons", &x));
  TRY(mem_new(e, l->n, sizeof *task_of, "comparisons", &task_of));
  stats_grid *b = a + l->n;
  for (int64_t i = 0; i < l->n; i++) {
    const task *k = &l->at[i];
    if (!value_state(y, k->row, k->column) || !value_state(y, k->against, k->column)) continue;
    a[n] = tally_grid(y, k->row, k->column, masks + 2 * n * size);
    b[n] = tally_grid(y, k->against, k->column, masks + (2 * n + 1) * size);
    task_of[n++] = i;
  }
  TRY(stats_compare_many(e, a, b, n, &y->in->stats, x));
  for (int64_t i = 0; i < n; i++)
    if (x[i].used)
      *l->at[task_of[i]].out =
          (table_difference){x[i].pairs, x[i].used, x[i].mean, x[i].lo, x[i].hi, x[i].test.p, NAN};
out:
  free(masks);
  free(a);
  free(x);
  free(task_of);
  return rc;
}

#define TOP 3

/* The best rows in order, of those that are complete and shown; -1 where there is none. */
static void top_rows(const tally *y, int64_t c, int64_t top[TOP]) {
  const table_input *in = y->in;
  double sign = in->metrics[c].direction == METRIC_DOWN ? -1 : 1;
  for (int k = 0; k < TOP; k++) top[k] = -1;
  if (in->metrics[c].direction == METRIC_NONE) return;
  for (int64_t r = 0; r < in->n_rows; r++) {
    double mean = sign * y->t->cells[r * in->n_metrics + c].mean;
    if (!value_state(y, r, c) || y->t->rows[r].scored < y->t->rows[r].planned) continue;
    if (in->rows_shown && !in->rows_shown[r]) continue;
    for (int k = 0; k < TOP; k++) {
      if (top[k] >= 0 && mean <= sign * y->t->cells[top[k] * in->n_metrics + c].mean) continue;
      for (int i = TOP - 1; i > k; i--) top[i] = top[i - 1];
      top[k] = r;
      break;
    }
  }
}

/* Two significant digits of the narrowest interval's half width. */
static int choose_decimals(const table *t, int64_t c) {
  double narrow = INFINITY;
  for (int64_t r = 0; r < t->n_rows; r++) {
    const table_difference *d = &t->cells[r * t->n_columns + c].to_reference;
    if (d->used && d->hi > d->lo) narrow = fmin(narrow, (d->hi - d->lo) / 2);
  }
  if (!isfinite(narrow)) return 3;
  double digits = 1 - floor(log10(narrow));
  return digits < 0 ? 0 : digits > 5 ? 5 : (int)digits;
}

/* A family keeps the size it was declared with: what could not be compared counts as p = 1. Excluded rows were never
 * part of it. */
static int holm(err *e, table_difference *const *member, int64_t n) {
  double *p = NULL;
  int rc = mem_new(e, n, sizeof *p, "p-values", &p);
  for (int64_t i = 0; rc == OK && i < n; i++) p[i] = member[i]->used ? member[i]->p : 1;
  if (rc == OK && n) rc = stats_holm(e, p, n, p);
  for (int64_t i = 0; rc == OK && i < n; i++)
    if (member[i]->used) member[i]->p_holm = p[i];
  free(p);
  return rc;
}

/* Declared contrasts are one family; the primary metrics against the reference are another. */
static int adjust(const tally *y, err *e) {
  table *t = y->t;
  table_difference **member = NULL;
  int64_t n = 0;
  int rc = OK;
  TRY(mem_new(e, t->n_rows * t->n_columns + t->n_contrasts, sizeof *member, "family", &member));
  for (int64_t i = 0; i < t->n_rows * t->n_columns; i++)
    if (t->columns[i % t->n_columns].primary && t->reference && !t->cells[i].reference &&
        t->cells[i].state != TABLE_EXCLUDED)
      member[n++] = &t->cells[i].to_reference;
  TRY(holm(e, member, n));
  for (n = 0; n < t->n_contrasts; n++) member[n] = &t->contrasts[n].d;
  TRY(holm(e, member, n));
out:
  free(member);
  return rc;
}

static int plan_tasks(tally *y, err *e, tasks *l, table_difference *lead) {
  const table_input *in = y->in;
  table *t = y->t;
  int64_t top[TOP];
  int rc = OK;
  for (int64_t c = 0; c < in->n_metrics; c++) {
    for (int64_t r = 0; r < in->n_rows; r++) {
      table_difference *d = &t->cells[r * in->n_metrics + c].to_reference;
      TRY(add(e, l, c, r, in->reference, d));
      if (in->reference < 0 || r == in->reference) l->n--;
    }
    top_rows(y, c, top);
    for (int k = 0; k + 1 < TOP; k++)
      if (top[k + 1] >= 0) TRY(add(e, l, c, top[k], top[k + 1], &lead[c * (TOP - 1) + k]));
  }
  for (int64_t i = 0; i < in->n_contrasts; i++) {
    const table_wish *x = &in->contrasts[i];
    t->contrasts[i] = (table_contrast){.metric = x->metric, .row = x->row, .against = x->against};
    TRY(add(e, l, x->metric, x->row, x->against, &t->contrasts[i].d));
  }
out:
  return rc;
}

/* `lead`: of each place over the next one. Who is second is known only when the best is. */
static void mark(tally *y, int64_t c, const table_difference *lead) {
  table *t = y->t;
  int64_t top[TOP];
  int down = y->in->metrics[c].direction == METRIC_DOWN, holds[TOP - 1];
  top_rows(y, c, top);
  for (int k = 0; k + 1 < TOP; k++) holds[k] = lead[k].used && (down ? lead[k].hi < 0 : lead[k].lo > 0);
  if (holds[0]) t->cells[top[0] * t->n_columns + c].best = 1;
  if (holds[0] && holds[1]) t->cells[top[1] * t->n_columns + c].second = 1;
}

int tally_compare(tally *y, err *e) {
  table *t = y->t;
  tasks l = {0};
  table_difference *lead = NULL;
  int rc = OK;
  TRY(mem_new(e, t->n_columns * (TOP - 1), sizeof *lead, "best", &lead));
  TRY(plan_tasks(y, e, &l, lead));
  TRY(run(y, e, &l));
  for (int64_t c = 0; c < t->n_columns; c++) {
    mark(y, c, lead + c * (TOP - 1));
    t->columns[c].decimals = choose_decimals(t, c);
  }
  TRY(adjust(y, e));
out:
  free(lead);
  free(l.at);
  return rc;
}
