/* What a cell is made of, down to the start, and the stored cell that is most like it. */
#ifndef TD_RUN_NEAREST_H
#define TD_RUN_NEAREST_H

#include "store/query.h"
#include "study/leaves.h"
#include "study/plan.h"

/* Leaves of the cell and of all that it was made from: "spec/..." of its own, "inputs/ROLE/spec/..." of an input
 * cell, "inputs/ROLE" with the hash of a file. The cell is looked up in the plan (may be NULL), then in the store
 * (may be NULL). Sorted; the caller frees them. */
int cell_leaves(err *e, store *s, const plan *p, const char *key, leaves *out) TD_MUST_CHECK;

typedef struct nearest_request {
  store *s;
  const plan *p;            /* or NULL */
  const char *key;          /* of the cell in question, in the plan or the store */
  const store_cells *among; /* candidates: those of its stage, except itself */
  /* the cell's place; candidates at the same place win over all others */
  stage stage;
  const char *variant, *prompt;
  int64_t train_seed, sample_seed;
} nearest_request;

/* Index in `among` of the candidate of fewest differing leaves (a done one first among equals), -1: there is none. */
int cell_nearest(err *e, const nearest_request *r, int64_t *out) TD_MUST_CHECK;

#endif
