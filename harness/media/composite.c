#include "media/composite.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

static int need_alpha(err *e, const clip *c, const char *what) {
  return c->alpha ? OK : err_set(e, E_ARG, "%s: the clip has no alpha", what);
}

int composite_premultiply(err *e, clip *c) {
  int rc = need_alpha(e, c, "premultiply");
  if (rc != OK || c->colour == CLIP_PREMULTIPLIED) return rc;
  for (int64_t i = 0; i < clip_voxels(c); i++)
    for (int k = 0; k < 3; k++) c->rgb[3 * i + k] *= c->alpha[i];
  c->colour = CLIP_PREMULTIPLIED;
  return OK;
}

int composite_unpremultiply(err *e, clip *c) {
  int rc = need_alpha(e, c, "unpremultiply");
  if (rc != OK || c->colour == CLIP_STRAIGHT) return rc;
  if (c->colour == CLIP_DECODED)
    return err_set(e, E_ARG, "unpremultiply: the clip's colour holds its own background");
  for (int64_t i = 0; i < clip_voxels(c); i++)
    for (int k = 0; k < 3; k++) {
      float *p = &c->rgb[3 * i + k], a = c->alpha[i];
      *p = a > 0 ? fminf(fmaxf(*p / a, 0), 1) : 0;
    }
  c->colour = CLIP_STRAIGHT;
  return OK;
}

void composite_matte(int64_t n, const float *decoded, float *alpha, matte_spread *out) {
  double sum = 0;
  *out = (matte_spread){.least = n > 0 ? 1 : 0};
  for (int64_t i = 0; i < n; i++) {
    const float *p = decoded + 3 * i;
    float hi = fmaxf(p[0], fmaxf(p[1], p[2])), lo = fminf(p[0], fminf(p[1], p[2]));
    double spread = (double)hi - (double)lo;
    sum += spread;
    out->most = fmax(out->most, spread);
    out->least = fmin(out->least, spread);
    if (alpha) alpha[i] = hi;
  }
  if (n > 0) out->mean = sum / (double)n;
}

/* Voxel i over one colour. */
static void over(const clip *c, int64_t i, const float colour[3], float *rgb) {
  for (int k = 0; k < 3; k++) {
    float a = c->alpha[i], p = c->rgb[3 * i + k];
    rgb[3 * i + k] = (c->colour == CLIP_PREMULTIPLIED ? p : a * p) + (1 - a) * colour[k];
  }
}

int composite_over(err *e, const clip *c, const float colour[3], float *rgb) {
  int rc = need_alpha(e, c, "composite");
  for (int64_t i = 0; rc == OK && i < clip_voxels(c); i++) over(c, i, colour, rgb);
  return rc;
}

int composite_over_checker(err *e, const clip *c, int side, float *rgb) {
  static const float grey[2][3] = {{.8f, .8f, .8f}, {.6f, .6f, .6f}};
  int rc = need_alpha(e, c, "composite");
  if (rc == OK && side < 1) return err_set(e, E_ARG, "checkerboard of %d pixels a square", side);
  for (int64_t i = 0; rc == OK && i < clip_voxels(c); i++)
    over(c, i, grey[(i % c->width / side + i / c->width % c->height / side) % 2], rgb);
  return rc;
}

int composite_over_picture(err *e, const clip *c, const float *picture, float *rgb) {
  int rc = need_alpha(e, c, "composite");
  int64_t frame = (int64_t)c->height * c->width;
  for (int64_t i = 0; rc == OK && i < clip_voxels(c); i++) over(c, i, picture + 3 * (i % frame), rgb);
  return rc;
}

/* dst[outer][n] = kernel * src[outer][n] along the middle axis, with `inner` interleaved values. */
typedef struct axis {
  int64_t outer, n, inner;
} axis;

static void blur_axis(axis a, const double *kernel, const double *src, double *dst) {
#pragma omp parallel for schedule(static)
  for (int64_t o = 0; o < a.outer; o++)
    for (int64_t i = 0; i < a.n; i++)
      for (int64_t k = 0; k < a.inner; k++) {
        double sum = 0;
        for (int64_t j = 0; j < a.n; j++) sum += kernel[i < j ? j - i : i - j] * src[(o * a.n + j) * a.inner + k];
        dst[(o * a.n + i) * a.inner + k] = sum;
      }
}

int composite_plate(err *e, int height, int width, const float *premultiplied, const float *alpha, float *plate) {
  int rc = OK;
  const int64_t n = (int64_t)height * width, longest = height > width ? height : width;
  const double sigma = .05 * height;
  double *kernel = NULL, *from = NULL, *to = NULL;
  TRY(mem_new(e, longest, sizeof *kernel, "blur kernel", &kernel));
  TRY(mem_new(e, 4 * n, sizeof *from, "blurred plate", &from));
  TRY(mem_new(e, 4 * n, sizeof *to, "blurred plate", &to));
  for (int64_t i = 0; i < longest; i++) kernel[i] = exp(-.5 * (double)(i * i) / (sigma * sigma));
  for (int64_t i = 0; i < n; i++) {
    for (int k = 0; k < 3; k++) from[4 * i + k] = (double)premultiplied[3 * i + k];
    from[4 * i + 3] = (double)alpha[i];
  }
  blur_axis((axis){height, width, 4}, kernel, from, to);
  blur_axis((axis){1, height, 4 * (int64_t)width}, kernel, to, from);
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < 3; k++)
      plate[3 * i + k] = from[4 * i + 3] > 0 ? (float)fmin(1, from[4 * i + k] / from[4 * i + 3]) : 0;
out:
  free(kernel);
  free(from);
  free(to);
  return rc;
}
