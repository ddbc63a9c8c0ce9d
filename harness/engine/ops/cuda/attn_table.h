/* From lists of spans to tiles and runs; plain host work. */
#ifndef TD_OPS_CUDA_ATTN_TABLE_H
#define TD_OPS_CUDA_ATTN_TABLE_H

#include "base/err.h"
#include "ops/cuda/attn_tile.h"
#include "ops/ops.h"

/* Filled anew for every call; its memory stays. Zero it first, attn_table_free last. */
typedef struct attn_table {
  attn_tile *queries, *keys; /* tiles of either kind; `from` and `to` count in `runs` */
  attn_run *runs;
  int64_t n_queries, n_keys, n_runs;
  int64_t cap_queries, cap_keys, cap_runs;
  int64_t *cuts; /* where the set of groups that see a key may change */
  int64_t cap_cuts;
} attn_table;

/* Tiles of `rows` queries, none across the end of a span; their runs are the key spans of the group, in its order.
 * Empties the table first. */
int attn_table_queries(err *e, attn_table *t, const attn_group *groups, int n, int64_t rows) TD_MUST_CHECK;
/* Adds tiles of `rows` keys: every key row >= from that a group sees, once. Keys of a tile are seen by the same
 * groups with the same biases; their runs are those groups' query spans, in the order of the groups. */
int attn_table_keys(err *e, attn_table *t, const op_attn_bwd_args *a, int64_t rows) TD_MUST_CHECK;
void attn_table_free(attn_table *t);

#endif
