/* The part of a plan that a selector chooses. */
#ifndef TD_RUN_ONLY_H
#define TD_RUN_ONLY_H

#include "study/plan.h"
#include "study/select.h"

/* Fields that a planned cell has: all but state and class. */
#define ONLY_FIELDS (SELECT_ALL & ~(SELECT_BIT(SELECT_STATE) | SELECT_BIT(SELECT_CLASS)))

/* Keys of the chosen cells and of all that they are made from; they point into `p`, the caller frees the array.
 * E_ARG when nothing is chosen. */
int only_keys(err *e, const plan *p, const char *study_name, const selector *want, const char ***keys,
              int64_t *n) TD_MUST_CHECK;

#endif
