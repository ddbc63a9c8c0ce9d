/* Scores of two sides, laid on one grid of prompts x train seeds x sample seeds so that equal places pair. */
#ifndef TD_REPORT_PAIRS_H
#define TD_REPORT_PAIRS_H

#include "stats/stats.h"
#include "store/baseline.h"

typedef struct pairs_side {
  const baseline *b;
  const char *variant;
} pairs_side;

enum { PAIRS_NONE, PAIRS_VALUE, PAIRS_UNDEFINED, PAIRS_NOT_FINITE, PAIRS_HASH };

/* Side 0 is judged, side 1 is what it is judged against. A value without an axis (the base model trains nothing)
 * fills every place along it. Only places that both sides have (with whatever outcome) are shared. */
typedef struct pairs {
  int64_t prompts, trains, samples, size;
  double *value[2];
  unsigned char *state[2];                         /* PAIRS_* of each place */
  unsigned char *mask[2];                          /* value is finite at a shared place */
  int64_t clips[2];                                /* values of each side, before any is spread along an axis */
  int64_t only[2];                                 /* places that the other side lacks */
  int64_t undefined[2], not_finite[2], defined[2]; /* of the shared places */
  int64_t shared;
  int64_t differ;  /* shared places where outcome or bits differ, artifacts by hash */
  char first[160]; /* the first of them, or the first place that side 0 lacks */
} pairs;

/* Values of one metric, which either side may lack. */
int pairs_build(err *e, pairs_side now, pairs_side then, const char *id, pairs *out) TD_MUST_CHECK;
void pairs_free(pairs *p);
stats_grid pairs_grid(const pairs *p, int side);
/* Mean over prompts of the mean of shared, finite values; NaN when there is none. The median of them all likewise. */
double pairs_mean(const pairs *p, int side);
int pairs_median(err *e, const pairs *p, int side, double *out) TD_MUST_CHECK;

#endif
