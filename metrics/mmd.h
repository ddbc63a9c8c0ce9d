/* Maximum mean discrepancy from a kernel matrix, for set scores and their tests. Private to metrics/. */
#ifndef TD_METRICS_MMD_H
#define TD_METRICS_MMD_H

#include <stdint.h>

/* (x y / d + offset)^degree for all pairs of n rows: out [n][n]. flip: d n doubles. */
void mmd_polynomial(const double *rows, int64_t n, int64_t d, int degree, double offset, double *out, double *flip);
/* Items of k [all][all] that form the two sets; an item may be in both. */
typedef struct mmd_items {
  const int64_t *x, *y;
  int64_t n, m; /* >= 2 where unbiased */
} mmd_items;
/* Means over pairs of different items within x and within y, minus twice the mean over pairs across: can be below 0.
 */
double mmd_unbiased(const double *k, int64_t all, const mmd_items *s);
/* Means over all pairs: never below 0 but for rounding. */
double mmd_biased(const double *k, int64_t all, const mmd_items *s);

#endif
