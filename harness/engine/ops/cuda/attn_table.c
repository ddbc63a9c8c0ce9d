#include "ops/cuda/attn_table.h"

#include <stdlib.h>

#include "base/mem.h"

static int add_runs(err *e, attn_table *t, const attn_span *s, int n, const float *bias) {
  int rc = mem_grow(e, &t->runs, &t->cap_runs, t->n_runs + n, sizeof *t->runs, "attention runs");
  for (int i = 0; rc == OK && i < n; i++) {
    t->runs[t->n_runs++] =
        (attn_run){.row = (int32_t)s[i].r0, .rows = (int32_t)(s[i].r1 - s[i].r0), .bias = bias ? *bias : s[i].bias};
  }
  return rc;
}

typedef struct tile_list {
  attn_tile **tiles;
  int64_t *n, *cap;
} tile_list;

/* Rows r0 .. r1-1 in tiles, with the runs from `from` on. */
static int add_tiles(err *e, const attn_table *t, tile_list l, attn_span s, int64_t from, int64_t rows) {
  int rc = OK;
  int64_t count = (s.r1 - s.r0 + rows - 1) / rows;
  if (t->n_runs > INT32_MAX) return err_set(e, E_UNSUPPORTED, "attention over more than %d spans", INT32_MAX);
  TRY(mem_grow(e, l.tiles, l.cap, *l.n + count, sizeof **l.tiles, "attention tiles"));
  for (int64_t r = s.r0; r < s.r1; r += rows) {
    (*l.tiles)[(*l.n)++] = (attn_tile){.row = (int32_t)r,
                                       .rows = (int32_t)(s.r1 - r < rows ? s.r1 - r : rows),
                                       .from = (int32_t)from,
                                       .to = (int32_t)t->n_runs};
  }
out:
  return rc;
}

int attn_table_queries(err *e, attn_table *t, const attn_group *groups, int n, int64_t rows) {
  int rc = OK;
  tile_list l = {&t->queries, &t->n_queries, &t->cap_queries};
  t->n_queries = t->n_keys = t->n_runs = 0;
  for (int g = 0; g < n; g++) {
    int64_t from = t->n_runs;
    TRY(add_runs(e, t, groups[g].k, groups[g].nk, NULL));
    for (int i = 0; i < groups[g].nq; i++) TRY(add_tiles(e, t, l, groups[g].q[i], from, rows));
  }
out:
  return rc;
}

static int by_value(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static int find_cuts(err *e, attn_table *t, const op_attn_bwd_args *a, int64_t *count) {
  int rc = OK;
  int64_t n = 0;
  TRY(mem_grow(e, &t->cuts, &t->cap_cuts, (int64_t)a->n_groups * 2 * ATTN_SPANS, sizeof *t->cuts, "attention cuts"));
  for (int g = 0; g < a->n_groups; g++) {
    for (int i = 0; i < a->groups[g].nk; i++) {
      attn_span s = a->groups[g].k[i];
      if (s.r1 <= a->kv_from) continue;
      t->cuts[n++] = s.r0 > a->kv_from ? s.r0 : a->kv_from;
      t->cuts[n++] = s.r1;
    }
  }
  if (n) qsort(t->cuts, (size_t)n, sizeof *t->cuts, by_value);
  *count = n;
out:
  return rc;
}

/* Runs of all queries that see key row r. */
static int add_seers(err *e, attn_table *t, const op_attn_bwd_args *a, int64_t r) {
  int rc = OK;
  for (int g = 0; g < a->n_groups; g++) {
    const attn_group *x = &a->groups[g];
    for (int i = 0; i < x->nk; i++) {
      if (r >= x->k[i].r0 && r < x->k[i].r1) TRY(add_runs(e, t, x->q, x->nq, &x->k[i].bias));
    }
  }
out:
  return rc;
}

int attn_table_keys(err *e, attn_table *t, const op_attn_bwd_args *a, int64_t rows) {
  int rc = OK;
  int64_t cuts = 0;
  tile_list l = {&t->keys, &t->n_keys, &t->cap_keys};
  TRY(find_cuts(e, t, a, &cuts));
  for (int64_t i = 0; i + 1 < cuts; i++) {
    attn_span s = {.r0 = t->cuts[i], .r1 = t->cuts[i + 1]};
    int64_t from = t->n_runs;
    if (s.r0 == s.r1) continue;
    TRY(add_seers(e, t, a, s.r0));
    if (t->n_runs > from) TRY(add_tiles(e, t, l, s, from, rows));
  }
out:
  return rc;
}

void attn_table_free(attn_table *t) {
  free(t->queries);
  free(t->keys);
  free(t->runs);
  free(t->cuts);
  *t = (attn_table){0};
}
