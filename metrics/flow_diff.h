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

#endif
