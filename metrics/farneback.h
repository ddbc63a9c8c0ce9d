/* Dense optical flow by polynomial expansion (Farneback 2003), compatible with cv2.calcOpticalFlowFarneback without
 * an initial flow (spec/metrics.md 3.1.1).
 *
 * Images are float in 0..255: the solve adds a constant 1e-3 to a determinant, so frames in [0,1] would give no flow.
 * Flow is (u to the right, v down) in pixels per frame. No state: same input, same bits, for any number of threads
 * and at every instruction-set level. Two frames without contrast give exactly 0. */
#ifndef TD_METRICS_FARNEBACK_H
#define TD_METRICS_FARNEBACK_H

#include <stdint.h>

#include "base/err.h"

typedef struct fb_params {
  double pyr_scale;  /* size ratio of pyramid levels, in (0,1) */
  int levels;        /* at most levels + 1 images, none with a side under 32 but the full one; 0 .. 16 */
  int window;        /* side of the averaging window, 1 .. FB_WINDOW */
  int iterations;    /* per level, >= 1 */
  int poly_n;        /* radius of the polynomial expansion, 1 .. FB_POLY */
  double poly_sigma; /* of its Gaussian, > 0 */
  int gaussian;      /* Gaussian instead of box averaging */
} fb_params;

#define FB_WINDOW 1023
#define FB_POLY 16
#define FB_LEVELS 16
/* Pixels of a frame, at most. */
#define FB_PIXELS ((int64_t)1 << 27)

fb_params fb_defaults(void); /* .5, 3, 15, 3, 5, 1.2, box */

typedef struct fb_job {
  const float *x; /* [T][H][W], finite */
  int frames, height, width;
  float *forward;  /* [T-1][H][W][2], from frame t to t+1; or NULL */
  float *backward; /* [T-1][H][W][2], from frame t+1 to t; or NULL */
  int threads;     /* over pairs; 0 counts as 1 */
  const char *isa; /* kernels of this level, "v2".. ; NULL: the best here */
} fb_job;

/* Each frame is expanded once, whichever directions are asked for; 2 threads + 1 expansions (43 bytes a pixel each)
 * are held at a time. Buffers do not alias. E_ARG: parameters or a size out of range; E_UNSUPPORTED: no such level.
 */
int fb_flows(err *e, const fb_params *p, const fb_job *j) TD_MUST_CHECK;

/* --- the stages, in their order, for tests -------------------------------------------------------------------- */

/* Highest pyramid level used, and the size of level k. */
int fb_top(const fb_params *p, int height, int width);
void fb_level_size(const fb_params *p, int height, int width, int k, int *level_height, int *level_width);

/* One frame's size and the buffers of one thread. */
typedef struct fb_desk fb_desk;
int fb_desk_open(err *e, const fb_params *p, int height, int width, const char *isa, fb_desk **out) TD_MUST_CHECK;
void fb_desk_close(fb_desk *d);
/* Image of level k: the full image blurred with sigma (1/scale - 1)/2, then resized; k <= fb_top + 1. */
void fb_level_image(fb_desk *d, const float *x, int k, float *out);
/* x [h][w] of level k -> coefficients of y, x, y^2, x^2, xy: out [h][w][FLOW_CELL], what is unused stays. */
void fb_expand(fb_desk *d, const float *x, int k, float *out);
/* A'A (3 values) and A'db (2) of row y at level k for the displacement u, v [h][w]: out [5][w]. r1 is readable for
 * w + 2 cells more. */
void fb_matrices(fb_desk *d, const float *r0, const float *r1, int k, int y, const float *u, const float *v,
                 float *out);
/* One iteration at level k: u, v in place. */
void fb_iterate(fb_desk *d, const float *r0, const float *r1, int k, float *u, float *v);

#endif
