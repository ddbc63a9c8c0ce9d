/* Structural similarity of two planes (Wang et al. 2004): Gaussian window of 11 taps and sigma 1.5, population
 * moments, K .01 and .03, valid region only; as scikit-image with gaussian_weights and use_sample_covariance off. */
#ifndef TD_METRICS_SSIM_H
#define TD_METRICS_SSIM_H

#include "base/err.h"

#define SSIM_WINDOW 11
/* Smallest side that is still a window at the fifth scale. */
#define SSIM_SCALES_SIDE (SSIM_WINDOW * 16)

typedef struct ssim_mean {
  double ssim;     /* mean of the map */
  double contrast; /* mean of its contrast-structure factor */
} ssim_mean;

/* a, b: [h][w], both sides at least SSIM_WINDOW; peak: their range. `relu`: negative contrast-structure counts as 0
 * (pyiqa). */
int ssim_plane(err *e, const double *a, const double *b, int height, int width, double peak, int relu,
               ssim_mean *out) TD_MUST_CHECK;
/* Five scales, halved by 2x2 averages, weights of Wang et al. 2003; a and b are overwritten. */
int ssim_scales(err *e, double *a, double *b, int height, int width, double peak, double *out) TD_MUST_CHECK;

#endif
