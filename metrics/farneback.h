/* Dense optical flow by polynomial expansion (Farneback 2003), compatible with cv2.calcOpticalFlowFarneback without
 * an initial flow (spec/model.md 14.3).
 *
 * Images are float in 0..255: the solve adds a constant 1e-3 to a determinant, so frames in [0,1] would give no flow.
 * Flow is (u to the right, v down) in pixels per frame. Single-threaded, no state: same input, same bits. */
#ifndef TD_METRICS_FARNEBACK_H
#define TD_METRICS_FARNEBACK_H

#include <stdint.h>

#include "base/err.h"

typedef struct fb_params {
  double pyr_scale;  /* size ratio of pyramid levels, in (0,1) */
  int levels;        /* at most levels + 1 images, none with a side under 32 but the full one; 0 .. 16 */
  int window;        /* side of the averaging window, >= 1 */
  int iterations;    /* per level, >= 1 */
  int poly_n;        /* radius of the polynomial expansion, 1 .. FB_POLY */
  double poly_sigma; /* of its Gaussian, > 0 */
  int gaussian;      /* Gaussian instead of box averaging */
} fb_params;

#define FB_POLY 16
#define FB_LEVELS 16

fb_params fb_defaults(void); /* .5, 3, 15, 3, 5, 1.2, box */

/* x [T][H][W] -> flow [T-1][H][W][2], flow[t] from frame t to t+1. Pixels must be finite. Buffers do not alias. */
int fb_clip(err *e, const fb_params *p, const float *x, int frames, int height, int width, float *flow) TD_MUST_CHECK;

/* --- the stages, in their order, for tests -------------------------------------------------------------------- */

/* Highest pyramid level used, and the size of level k. */
int fb_top(const fb_params *p, int height, int width);
void fb_level_size(const fb_params *p, int height, int width, int k, int *level_height, int *level_width);
/* Image of level k: the full image blurred with sigma (1/scale - 1)/2, then resized. */
int fb_level_image(err *e, const fb_params *p, const float *x, int height, int width, int k,
                   float *out) TD_MUST_CHECK;
/* Coefficients of y, x, y^2, x^2, xy: out [5][h][w]. */
int fb_expand(err *e, const fb_params *p, const float *x, int height, int width, float *out) TD_MUST_CHECK;
/* A'A (3 values) and A'db (2) at every pixel for the displacement `flow` [h][w][2]: out [5][h][w]. */
void fb_matrices(const float *r0, const float *r1, const float *flow, int height, int width, float *out);
/* Averages m over the window and solves: flow [h][w][2]. */
int fb_solve(err *e, const fb_params *p, const float *m, int height, int width, float *flow) TD_MUST_CHECK;

#endif
