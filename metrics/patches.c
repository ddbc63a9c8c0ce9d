/* 7x7 patches of a Laplacian pyramid of premultiplied colour and alpha: what swd compares (spec/metrics.md 3.9.5,
 * D2). */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "metrics/code8.h"
#include "metrics/extract.h"

/* Whole-sample symmetric. */
static int mirror(int i, int n) {
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * n - 2 - i;
  return i;
}

static int half(int n) {
  return (n + 1) / 2;
}

int pyramid_levels(int height, int width) {
  int n = 0;
  while (n < SET_PARTS && height >= PATCH_LEAST && width >= PATCH_LEAST)
    n++, height = half(height), width = half(width);
  return n;
}

void pyramid_free(pyramid *p) {
  free(p->store);
  *p = (pyramid){0};
}

static const double binomial[5] = {1 / 16.0, 4 / 16.0, 6 / 16.0, 4 / 16.0, 1 / 16.0};

/* In place; work: [height][width]. */
static void blur(double *x, int h, int w, double *work) {
  for (int y = 0; y < h; y++)
    for (int i = 0; i < w; i++) {
      double sum = 0;
      for (int k = 0; k < 5; k++) sum += binomial[k] * x[(int64_t)mirror(y + k - 2, h) * w + i];
      work[(int64_t)y * w + i] = sum;
    }
  for (int y = 0; y < h; y++)
    for (int i = 0; i < w; i++) {
      double sum = 0;
      for (int k = 0; k < 5; k++) sum += binomial[k] * work[(int64_t)y * w + mirror(i + k - 2, w)];
      x[(int64_t)y * w + i] = sum;
    }
}

/* One plane of a level: `small` becomes its half, `x` what the half lacks. work: 2 h w. */
static void split(double *x, int h, int w, double *small, double *work) {
  double *up = work + (int64_t)h * w;
  int hs = half(h), ws = half(w);
  memcpy(up, x, (size_t)((int64_t)h * w) * sizeof *up);
  blur(up, h, w, work);
  for (int y = 0; y < hs; y++)
    for (int i = 0; i < ws; i++) small[(int64_t)y * ws + i] = up[2 * (int64_t)y * w + 2 * i];
  memset(up, 0, (size_t)((int64_t)h * w) * sizeof *up);
  for (int y = 0; y < hs; y++)
    for (int i = 0; i < ws; i++) up[2 * (int64_t)y * w + 2 * i] = small[(int64_t)y * ws + i];
  blur(up, h, w, work);
  for (int64_t i = 0; i < (int64_t)h * w; i++) x[i] -= 4 * up[i];
}

int pyramid_build(err *e, const double *image, int planes, int height, int width, int levels, pyramid *out) {
  int rc = OK;
  int64_t total = 0, n = (int64_t)height * width;
  *out = (pyramid){.levels = levels};
  for (int k = 0; k < levels; k++) {
    out->height[k] = k ? half(out->height[k - 1]) : height;
    out->width[k] = k ? half(out->width[k - 1]) : width;
    total += planes * (int64_t)out->height[k] * out->width[k];
  }
  TRY(mem_new(e, total + 2 * n, sizeof *out->store, "pyramid", &out->store));
  double *at = out->store;
  for (int k = 0; k < levels; k++) out->level[k] = at, at += planes * (int64_t)out->height[k] * out->width[k];
  memcpy(out->level[0], image, (size_t)(planes * n) * sizeof *image);
  for (int k = 0; k + 1 < levels; k++)
    for (int c = 0; c < planes; c++) {
      int64_t now = (int64_t)out->height[k] * out->width[k], next = (int64_t)out->height[k + 1] * out->width[k + 1];
      split(out->level[k] + c * now, out->height[k], out->width[k], out->level[k + 1] + c * next, at);
    }
out:
  return rc;
}

void pyramid_patch(const pyramid *p, int level, int planes, int y, int x, double *out) {
  int h = p->height[level], w = p->width[level], r = PATCH_SIDE / 2;
  for (int c = 0; c < planes; c++)
    for (int dy = -r; dy <= r; dy++)
      for (int dx = -r; dx <= r; dx++) *out++ = p->level[level][((int64_t)c * h + y + dy) * w + x + dx];
}

/* Frame t as 8-bit codes, plane by plane. */
static void planes_of(const metric_view *v, int t, double *out) {
  int64_t n = (int64_t)v->height * v->width;
  for (int64_t i = 0; i < n; i++) {
    for (int c = 0; c < 3; c++) out[c * n + i] = code8((double)v->rgb[3 * (t * n + i) + c]);
    if (v->alpha) out[3 * n + i] = code8((double)v->alpha[t * n + i]);
  }
}

/* What is drawn depends on frame, level and patch, not on the clip: sets are compared at the same places. */
static int place(rng r, int64_t patch, int axis, int side) {
  int range = side - 2 * (PATCH_SIDE / 2);
  return PATCH_SIDE / 2 + (int)rng_below(r, (uint64_t)(2 * patch + axis), (uint64_t)range);
}

enum { ALPHA, FRAMES, PATCHES, SEED };

static int extract(err *e, const metric_view *v, set_rows *out) {
  int rc = OK, planes = v->alpha ? 4 : 3, levels = pyramid_levels(v->height, v->width);
  int64_t frames = (int64_t)v->param[FRAMES], patches = (int64_t)v->param[PATCHES];
  int64_t n = (int64_t)v->height * v->width;
  uint64_t seed = rng_derive((uint64_t)v->param[SEED], rng_salt("swd places"));
  double *image = NULL;
  pyramid p = {0};
  out->rows = levels * frames * patches;
  out->dim = planes * PATCH_SIDE * PATCH_SIDE;
  TRY(mem_new(e, out->rows, out->dim * (int64_t)sizeof *out->x, "patches", &out->x));
  TRY(mem_new(e, planes * n, sizeof *image, "patches", &image));
  for (int64_t f = 0; f < frames; f++) {
    planes_of(v, (int)((2 * f + 1) * v->frames / (2 * frames)), image);
    TRY(pyramid_build(e, image, planes, v->height, v->width, levels, &p));
    for (int k = 0; k < levels; k++) {
      rng r = {.seed = seed, .stream = RNG_BOOTSTRAP, .sub = (uint32_t)(f * SET_PARTS + k)};
      for (int64_t i = 0; i < patches; i++)
        pyramid_patch(&p, k, planes, place(r, i, 0, p.height[k]), place(r, i, 1, p.width[k]),
                      out->x + ((k * frames + f) * patches + i) * out->dim);
    }
    pyramid_free(&p);
  }
out:
  pyramid_free(&p), free(image);
  return rc;
}

const set_extractor set_patches = {
    .id = "patches",
    .version = 1,
    .alpha = SET_ALPHA_CHOICE,
    .picture = METRIC_PREMULTIPLIED,
    .min_frames = 1,
    .min_side = PATCH_LEAST,
    .params = (const metric_param[]){SET_PATCHES_ROWS, SET_SEED_ROW, {0}},
    .help =
        "7x7 patches of the Laplacian pyramid of 8-bit premultiplied colour and alpha, at random places of evenly "
        "spread frames, levels down to 16 pixels. Places depend on seed, frame, level and frame size, and are the "
        "same in every clip",
    .citation =
        "Karras et al. 2018, Progressive Growing of GANs (sliced_wasserstein.py), with alpha as a fourth channel",
    .extract = extract,
};
