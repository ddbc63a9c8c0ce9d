/* What cells will take, from cells that were measured: the median over done cells of the same stage and shape, a
 * shape being the spec without its seeds and its prompt. */
#ifndef TD_RUN_ESTIMATE_H
#define TD_RUN_ESTIMATE_H

#include "store/store.h"
#include "study/plan.h"

typedef struct estimate {
  double ms;    /* of one worker; the time of a pack is shared by its cells. -1: nothing comparable was measured */
  double bytes; /* of its objects; -1 likewise */
} estimate;

/* out[p->n], one for each cell, done or not. `s` NULL: an empty store. */
int estimate_cells(err *e, store *s, const plan *p, estimate *out) TD_MUST_CHECK;

#endif
