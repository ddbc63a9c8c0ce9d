/* How the cells of a plan stand in a store, nothing being run or registered. */
#ifndef TD_RUN_STANDING_H
#define TD_RUN_STANDING_H

#include "store/query.h"
#include "study/plan.h"

/* out[p->n]: done, running, failed and skipped as stored; of the others blocked below one that failed or was skipped,
 * ready when all inputs are done, else waiting. `s` NULL: an empty store. */
int standing_of(err *e, store *s, const plan *p, store_state *out) TD_MUST_CHECK;

typedef enum plan_change {
  PLAN_NEW,     /* the study had no such cell */
  PLAN_CHANGED, /* it had another one of the same stage and axes */
  PLAN_GONE,    /* the study had it, the plan has not */
  PLAN_CHANGES
} plan_change;

typedef struct plan_difference {
  plan_change kind;
  stage stage;
  const char *key, *before; /* now and then; NULL where there is none */
  const char *variant, *prompt;
  int64_t train_seed, sample_seed;
} plan_difference;

typedef struct plan_differences {
  plan_difference *at;
  int64_t n, count[PLAN_CHANGES];
  store_cells old; /* what strings of gone cells point into */
  int first;       /* the store does not know the study: there is nothing to differ from */
} plan_differences;

/* The plan against the cells that the study of this name has in the store. Points into `p`. */
int plan_differ(err *e, store *s, const char *study_name, const plan *p, plan_differences *out) TD_MUST_CHECK;
void plan_differences_free(plan_differences *d);

#endif
