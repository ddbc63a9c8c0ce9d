/* Differences of two flow fields: the arithmetic behind the fd_ metrics (spec/metrics.md 3.2). */
#ifndef TD_METRICS_FLOW_DIFF_H
#define TD_METRICS_FLOW_DIFF_H

#include <stdint.h>

typedef struct flow_band {
  int64_t pixels; /* in the band */
  double px;      /* mean distance of the flows, px; needs pixels > 0 */
  double rgb;     /* mean length of the first field, px; needs pixels > 0 */
  double rel;     /* summed distance over summed lengths, in [0,1]; needs still == 0 */
  double cos;     /* pooled cosine; NaN when a field's mean length is under 1e-3 px, where it is only rounding */
  double logmag;  /* ln of summed lengths, second over first; NaN likewise */
  int still;      /* mean of both lengths together is under .1 px */
} flow_band;

/* Mean distance over n vectors (u, v), n > 0. */
double flow_diff_full(const float *fc, const float *fa, int64_t n);
/* Over the vectors where mask is not 0. */
flow_band flow_diff_band(const float *fc, const float *fa, const unsigned char *mask, int64_t n);

enum { FLOW_LAG = 4, FLOW_LAGS = 2 * FLOW_LAG + 1 };

/* cost[FLOW_LAG + k] is flow_band.rel of the picture's flow at t and alpha's at t + k in alpha's band at t + k; NaN
 * where that is undefined. */
typedef struct flow_lags {
  double cost[FLOW_LAGS];
  int best;   /* index of the smallest, ties to the smaller |k|, then to the smaller k; -1 when all are NaN */
  int banded; /* the band of k = 0 is not empty */
  int64_t pixels;
} flow_lags;

typedef struct flow_pairs {
  const float *fc, *fa;      /* [pairs][n][2]: the picture's flow and alpha's */
  const unsigned char *band; /* [pairs][n] */
  int pairs;
  int64_t n; /* pixels of a frame */
} flow_pairs;
/* The costs are shared out over `threads`. */
flow_lags flow_diff_lags(const flow_pairs *p, int threads);

#endif
