/* Permutation tests of a statistic of two sets, for set scores and their tests. Private to metrics/. */
#ifndef TD_METRICS_PERMUTE_H
#define TD_METRICS_PERMUTE_H

#include <stdint.h>

#include "base/err.h"
#include "metrics/set.h"

typedef struct permute_plan {
  int64_t n, m;         /* items of set one and two; items 0 .. n-1 are set one */
  int64_t permutations; /* 0: the value alone */
  uint64_t seed;        /* permutation b is rng_permutation of (rng_derive(seed, "set permutations"), bootstrap, b) */
  const int32_t *given; /* [permutations][n + m] instead of the generator's, for tests; else NULL */
  int threads;
  int64_t scratch; /* doubles a call of the statistic may use */
  /* Value of the sets order[0 .. n-1] and order[n .. n+m-1]; NaN when it has none. Called from several threads. */
  double (*statistic)(const void *ctx, const int64_t *order, double *scratch);
  const void *ctx;
} permute_plan;

/* Sets value, p, null_*, permutations and seed of out. p counts a permuted value that is below the value by less than
 * 1e-12 of the largest as not below it: sums in another order differ in their last bits. null: [permutations] values
 * in the order of the permutations, or NULL. */
int permute_run(err *e, const permute_plan *p, double *null, set_result *out) TD_MUST_CHECK;

#endif
