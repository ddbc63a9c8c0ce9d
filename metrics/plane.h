/* Arithmetic on planes of pixels that several metrics share. All sums are in double and in raster order. */
#ifndef TD_METRICS_PLANE_H
#define TD_METRICS_PLANE_H

#include <stdint.h>

#include "base/err.h"

/* Largest sigma that plane_gradient takes. */
#define PLANE_SIGMA 4.0

/* Doubles of scratch that plane_gradient needs. */
int64_t plane_scratch(int height, int width);
/* Gaussian derivatives of x [h][w], whose pixels lie `stride` floats apart: gx to the right, gy down, [h*w] each.
 * Radius int(4 sigma + .5), derivative kernel t/sigma^2 g(t) with g normalised, border dcba|abcd (as
 * scipy.ndimage.gaussian_filter1d). 0 < sigma <= PLANE_SIGMA. Outputs do not alias. */
void plane_gradient(const float *x, int64_t stride, int height, int width, double sigma, double *gx, double *gy,
                    double *scratch);

/* Lengths of n gradients; out may be gx. */
void plane_lengths(const double *gx, const double *gy, int64_t n, double *out);
/* Sets the pixels of mask [h][w] within the disc dx^2 + dy^2 <= r^2 around (y, x). */
void plane_disc(unsigned char *mask, int height, int width, int y, int x, int r);

/* Pixels within a disc of radius max(2, round(.005 diagonal)) of |gradient sigma 1.4| > .02: where a matte has an
 * edge. alpha, band: [h][w]; band is 0 or 1. Returns the pixels set; scratch: plane_band_scratch doubles. */
int64_t plane_band_scratch(int height, int width);
int64_t plane_band(const float *alpha, int height, int width, unsigned char *band, double *scratch);

/* .299 R + .587 G + .114 B of one pixel. */
static inline double plane_luma(const float *rgb) {
  return 0.299 * (double)rgb[0] + 0.587 * (double)rgb[1] + 0.114 * (double)rgb[2];
}

/* Quantiles q in [0,1] of x, linear between order statistics. Reorders x; n > 0. */
double plane_quantile(float *x, int64_t n, double q);

typedef struct moments {
  double mean, sd; /* population */
} moments;
moments plane_moments(const double *x, int64_t n);
/* Pearson correlation of x and y from their moments; both sd > 0. */
double plane_corr(const double *x, moments mx, const double *y, moments my, int64_t n);

/* Centre of mass of m [h][w] in pixels (index of a pixel is its centre); returns the mass. */
double plane_centroid(const float *m, int height, int width, double *x, double *y);

#endif
