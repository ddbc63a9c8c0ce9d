/* Amount of motion: the arithmetic behind dynamic_degree_fb (spec/metrics.md 3.4). Private to metrics/. */
#ifndef TD_METRICS_FLICKER_H
#define TD_METRICS_FLICKER_H

#include <stdint.h>

/* Mean length of the fastest 5 % (floor(n / 20), at least one) of n > 0 flow vectors (u, v); scratch: [n]. */
double flow_fastest(const float *flow, int64_t n, float *scratch);

#endif
