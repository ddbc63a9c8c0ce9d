/* The shape of alpha and of what lies under it: the gate's dearer statistics (spec/metrics.md 3.6). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/code8.h"
#include "metrics/metric.h"
#include "metrics/outline.h"
#include "metrics/plane.h"

static int64_t voxels(const metric_view *v) {
  return (int64_t)v->frames * v->height * v->width;
}

static int p99(err *e, const metric_view *v, metric_value *out) {
  float *x;
  int rc = mem_new(e, voxels(v), sizeof *x, "alpha_p99", &x);
  if (rc != OK) return rc;
  memcpy(x, v->alpha, (size_t)voxels(v) * sizeof *x);
  rc = metric_defined(out, plane_quantile(x, voxels(v), 0.99), voxels(v));
  free(x);
  return rc;
}

static int entropy(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  int64_t bin[256] = {0};
  double bits = 0;
  for (int64_t i = 0; i < voxels(v); i++) bin[code8((double)v->alpha[i])]++;
  for (int k = 0; k < 256; k++) {
    double p = (double)bin[k] / (double)voxels(v);
    if (p > 0) bits -= p * log2(p);
  }
  return metric_defined(out, fmax(0, bits), voxels(v));
}

enum { LEAST_COMPONENT = 16 };

typedef struct shape {
  int64_t components, area, holes;
} shape;

/* Components of a mask of at least 16 pixels, its area, and the area of its holes: background that no 4-connected way
 * joins to the frame's edge. work: 3 h w. */
static shape shape_of(const unsigned char *mask, int height, int width, int32_t *work) {
  int32_t n = (int32_t)((int64_t)height * width), count, *label = work, *stack = work + n, *size = work + 2 * n;
  shape s = {0};
  outline_label(mask, 1, height, width, label, stack, &count);
  memset(size, 0, (size_t)n * sizeof *size);
  for (int32_t i = 0; i < n; i++)
    if (label[i]) size[label[i] - 1]++, s.area++;
  for (int32_t k = 0; k < count; k++) s.components += size[k] >= LEAST_COMPONENT;
  outline_label(mask, 0, height, width, label, stack, &count);
  memset(size, 0, (size_t)n * sizeof *size); /* 1: reaches the edge */
  for (int32_t i = 0; i < n; i++) {
    int32_t x = i % width, y = i / width;
    if (label[i] && (x == 0 || y == 0 || x == width - 1 || y == height - 1)) size[label[i] - 1] = 1;
  }
  for (int32_t i = 0; i < n; i++) s.holes += label[i] && !size[label[i] - 1];
  return s;
}

static int shapes(err *e, const metric_view *v, shape **out) {
  int rc = OK;
  int64_t n = (int64_t)v->height * v->width;
  unsigned char *mask = NULL;
  int32_t *work = NULL;
  if (n > INT32_MAX / 4) FAIL(e, E_SHAPE, "frames of %dx%d are too large to label", v->width, v->height);
  TRY(mem_new(e, v->frames, sizeof **out, "components", out));
  TRY(mem_new(e, n, 1, "components", &mask));
  TRY(mem_new(e, 3 * n, sizeof *work, "components", &work));
  for (int t = 0; t < v->frames; t++) {
    for (int64_t i = 0; i < n; i++) mask[i] = code8((double)v->alpha[t * n + i]) >= 128;
    (*out)[t] = shape_of(mask, v->height, v->width, work);
  }
out:
  free(mask), free(work);
  return rc;
}

static int components(err *e, const metric_view *v, metric_value *out) {
  shape *s = NULL;
  double sum = 0;
  int rc = shapes(e, v, &s);
  for (int t = 0; rc == OK && t < v->frames; t++) sum += (double)s[t].components;
  free(s);
  return rc == OK ? metric_defined(out, sum / v->frames, v->frames) : rc;
}

static int holes(err *e, const metric_view *v, metric_value *out) {
  shape *s = NULL;
  double sum = 0;
  int64_t defined = 0;
  int rc = shapes(e, v, &s);
  for (int t = 0; rc == OK && t < v->frames; t++)
    if (s[t].area) sum += (double)s[t].holes / (double)s[t].area, defined++;
  free(s);
  if (rc != OK) return rc;
  return defined ? metric_defined(out, sum / (double)defined, defined) : metric_undefined(out, METRIC_NO_MASK, 0);
}

static int leak(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double sum = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < voxels(v); i++)
    if (v->alpha[i] < 0.02f) sum += plane_luma(v->rgb + 3 * i), count++;
  return count ? metric_defined(out, sum / (double)count, count) : metric_undefined(out, METRIC_NO_GROUND, 0);
}

static int missing(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  int64_t solid = 0, black = 0;
  for (int64_t i = 0; i < voxels(v); i++) {
    if (!(v->alpha[i] > 0.9f)) continue;
    const float *c = v->rgb + 3 * i;
    solid++;
    black += !code8((double)c[0]) && !code8((double)c[1]) && !code8((double)c[2]);
  }
  return solid ? metric_defined(out, (double)black / (double)solid, solid) : metric_undefined(out, METRIC_NO_MASK, 0);
}

#define SANITY                                                                                                       \
  .version = 1, .tier = 0, .direction = METRIC_NONE, .plane = METRIC_ALPHA, .needs = METRIC_NEEDS_ALPHA,             \
  .min_frames = 1, .lo = 0, .citation = "own definition"

const metric metric_alpha_p99 = {
    SANITY,
    .id = "alpha_p99",
    .cost = METRIC_PIXELS,
    .unit = "1",
    .hi = 1,
    .picture = METRIC_NO_PICTURE,
    .help = "99th percentile of alpha over the clip",
    .reasons = (const char *const[]){NULL},
    .score = p99,
};

const metric metric_alpha_entropy = {
    SANITY,
    .id = "alpha_entropy",
    .cost = METRIC_PIXELS,
    .unit = "bit",
    .hi = 8,
    .picture = METRIC_NO_PICTURE,
    .help = "entropy of the histogram of 8-bit alpha: 0 for a constant, at most 1 for a hard mask",
    .reasons = (const char *const[]){NULL},
    .score = entropy,
};

const metric metric_alpha_components = {
    SANITY,
    .id = "alpha_components",
    .cost = METRIC_FILTERS,
    .unit = "1",
    .hi = INFINITY,
    .picture = METRIC_NO_PICTURE,
    .help = "4-connected components of at least 16 pixels of alpha at one half, mean of the frames",
    .reasons = (const char *const[]){NULL},
    .score = components,
};

const metric metric_alpha_hole_frac = {
    SANITY,
    .id = "alpha_hole_frac",
    .cost = METRIC_FILTERS,
    .unit = "1",
    .hi = INFINITY,
    .picture = METRIC_NO_PICTURE,
    .help = "area of the holes of alpha at one half over its own area, mean of the frames that have some",
    .reasons = (const char *const[]){METRIC_NO_MASK, NULL},
    .score = holes,
};

const metric metric_leak_bg = {
    SANITY,
    .id = "leak_bg",
    .cost = METRIC_PIXELS,
    .unit = "1",
    .hi = 1,
    .picture = METRIC_PREMULTIPLIED,
    .help =
        "mean luma over black where alpha is below .02; above .02 only in files whose premultiplied colour does not "
        "belong to their alpha",
    .reasons = (const char *const[]){METRIC_NO_GROUND, NULL},
    .score = leak,
};

const metric metric_missing_fg = {
    SANITY,
    .id = "missing_fg",
    .cost = METRIC_PIXELS,
    .unit = "1",
    .hi = 1,
    .picture = METRIC_PREMULTIPLIED,
    .help = "share of the pixels with alpha above .9 whose colour over black is 0. Black objects count",
    .reasons = (const char *const[]){METRIC_NO_MASK, NULL},
    .score = missing,
};
