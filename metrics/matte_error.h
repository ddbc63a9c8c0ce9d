/* Errors of a matte against the true one, for one frame: the arithmetic of metrics/matting.c (spec/metrics.md 3.7).
 * Planes are [h][w] in [0,1]; NULL masks are everything. */
#ifndef TD_METRICS_MATTE_ERROR_H
#define TD_METRICS_MATTE_ERROR_H

#include <stdint.h>

#include "base/err.h"

typedef struct matte_pair {
  const double *pred, *truth;
  const unsigned char *mask; /* pixels that count; NULL: all */
  int height, width;
} matte_pair;

/* The 9-tap factors of the Gaussian gradient of Rhemann et al. 2009, sigma 1.4: kernel(i, j) = across[i] along[j]. */
void matte_gradient_taps(double across[9], double along[9]);
/* Sum of squared differences of gradient magnitudes / 1000; `stretch`: both planes from minimum to maximum first. */
int matte_gradient_error(err *e, const matte_pair *p, int stretch, double *out) TD_MUST_CHECK;
/* Connectivity error / 1000 (Rhemann et al. 2009): steps .1, tolerance .15, 4-connected, the first of equally large
 * components. `single`: every quantity and threshold in float32, as RVM; 8-bit values decide differently there. */
int matte_connectivity_error(err *e, const matte_pair *p, int single, double *out) TD_MUST_CHECK;
/* Summed |d - d'| or |d^2 - d'^2| of the error d = pred - truth and the next frame's error warped back along the flow
 * [h][w][2]; taps outside count as 0. valid: NULL or [h][w]. */
double matte_temporal_error(const matte_pair *now, const matte_pair *next, const float *flow,
                            const unsigned char *valid, int squared);

#endif
