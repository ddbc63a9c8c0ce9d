/* Rows of doubles: derivatives (metrics/plane.c) and the windows of color_fit. Buffers of one call do not alias. */
#ifndef TD_METRICS_KERNELS_PLANE_H
#define TD_METRICS_KERNELS_PLANE_H

#include <stdint.h>

#include "metrics/kernels/kernels.h"

/* Local sums from which every window's variances and covariances follow: a, a^2; r, g, b; a times those; r^2, r g, r
 * b, g^2, g b, b^2. */
enum {
  WINDOW_A,
  WINDOW_AA,
  WINDOW_C,
  WINDOW_CA = WINDOW_C + 3,
  WINDOW_CC = WINDOW_CA + 3,
  WINDOW_SUMS = WINDOW_CC + 6
};

/* Affine fits of alpha on colour, one a pixel of a row. */
typedef struct window_row {
  int width, radius;
  double count, ridge; /* voxels of a window; added to the covariance's diagonal */
  const double *sum;   /* WINDOW_SUMS vertical sums of [width + 2 radius], `stride` apart, the ends repeated */
  int64_t stride;
  double *left,
      *total; /* [KERNEL_BLOCK] each: lane i % KERNEL_BLOCK gets what is left of the variance, and all of it */
} window_row;

typedef struct plane_kernels {
  /* sum[i] += t * in[i * stride] */
  void (*add)(double *sum, const float *in, int64_t stride, double t, int n);
  /* sum[i] += t * in[i] */
  void (*add_double)(double *sum, const double *in, double t, int n);
  /* Adds the products of a row of n pixels, times t, to WINDOW_SUMS rows `stride` apart. */
  void (*window_add)(double *sum, int64_t stride, const float *rgb, const float *alpha, double t, int n);
  void (*window_fit)(const window_row *r);
} plane_kernels;

#endif
