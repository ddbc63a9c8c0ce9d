/* Sliced Wasserstein distance of patches, for swd and its tests. Private to metrics/. */
#ifndef TD_METRICS_SWD_H
#define TD_METRICS_SWD_H

#include <stdint.h>

/* Distance of two sorted samples: the integral of |difference of their quantile functions|; mean |a_i - b_i| where
 * n = m. n, m > 0. */
double swd_sorted(const double *a, int64_t n, const double *b, int64_t m);
/* Mean over `dirs` directions [dirs][d] of the distance of the rows' projections; x [n][d], y [m][d].
 * scratch: threads (n + m) + dirs. */
typedef struct swd_sets {
  const double *x, *y;
  int64_t n, m, d;
} swd_sets;
double swd_sliced(const swd_sets *s, const double *direction, int64_t dirs, int threads, double *scratch);
/* Every channel of patches [n][channels][per] minus its mean over the set, over its population standard deviation
 * (a constant channel becomes 0), in place. */
void swd_standardise(double *x, int64_t n, int64_t channels, int64_t per);

#endif
