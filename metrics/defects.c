#include "metrics/defects.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "metrics/plane.h"

/* Streams of their own below RNG_WORLD, whose subs from 16 on are procedural clips. */
enum { SUB_NOISE = 1, SUB_HOLES = 2 };

static const defect_info table[DEFECT_KINDS] = {
    [DEFECT_SHIFT] = {"shift", "px", "moved to the right", 3, {1, 2, 4}, 1e6},
    [DEFECT_DELAY] = {"delay", "frames", "late; the first frame is held", 3, {1, 2, 4}, 1e6},
    [DEFECT_BLUR] = {"blur", "px", "blurred by a Gaussian of this sigma", 3, {1, 2, 4}, 64},
    [DEFECT_DILATE] = {"dilate", "px", "grown by a disc of this radius", 3, {1, 2, 3}, 64},
    [DEFECT_ERODE] = {"erode", "px", "shrunk by a disc of this radius", 3, {1, 2, 3}, 64},
    [DEFECT_OPAQUE] = {"opaque", "share", "mixed with 1", 3, {.25, .5, 1}, 1},
    [DEFECT_EMPTY] = {"empty", "share", "mixed with 0", 3, {.25, .5, 1}, 1},
    [DEFECT_HALF] = {"half", "share", "mixed with half of itself", 3, {.25, .5, 1}, 1},
    [DEFECT_CONSTANT] = {"constant", "share", "mixed with 128/255", 3, {.25, .5, 1}, 1},
    [DEFECT_FROZEN] = {"frozen", "share", "mixed with its first frame", 3, {.25, .5, 1}, 1},
    [DEFECT_LUMA] = {"luma", "share", "mixed with the picture's luma", 3, {.25, .5, 1}, 1},
    [DEFECT_OTHER] = {"other", "share", "mixed with another clip's alpha", 3, {.25, .5, 1}, 1},
    [DEFECT_FLICKER] = {"flicker", "share", "every second frame is weaker by this share", 3, {.05, .1, .2}, 1},
    [DEFECT_NOISE] = {"noise", "sigma", "normal noise of this sigma added", 3, {.025, .05, .1}, 10},
    [DEFECT_HOLES] = {"holes", "share", "this share of the object's blocks is cut out", 3, {.05, .1, .2}, 1},
};

const defect_info *defect_about(defect_kind k) {
  return &table[k];
}

static float clamp01(double v) {
  return (float)(v > 0 ? v < 1 ? v : 1 : 0);
}

static int64_t plane_of(const clip *c) {
  return (int64_t)c->height * c->width;
}

static void shift(const clip *c, int64_t k, float *out) {
  for (int64_t i = 0; i < c->frames * plane_of(c); i++) out[i] = i % c->width >= k ? c->alpha[i - k] : 0;
}

static void delay(const clip *c, int64_t k, float *out) {
  size_t bytes = (size_t)plane_of(c) * sizeof *out;
  for (int64_t t = 0; t < c->frames; t++)
    memcpy(out + t * plane_of(c), c->alpha + (t > k ? t - k : 0) * plane_of(c), bytes);
}

static int64_t within(int64_t i, int64_t n) {
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* n values `stride` floats apart, to values as far apart. */
static void blur_line(const float *x, int64_t n, int64_t stride, const double *g, int radius, float *out) {
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int k = -radius; k <= radius; k++) sum += g[k + radius] * (double)x[within(i + k, n) * stride];
    out[i * stride] = (float)sum;
  }
}

static int blur(err *e, const clip *c, double sigma, float *out) {
  int rc = OK, radius = (int)(4 * sigma + 0.5);
  double *g = NULL, sum = 0;
  float *rows = NULL;
  TRY(mem_new(e, 2 * radius + 1, sizeof *g, "blur", &g));
  TRY(mem_new(e, plane_of(c), sizeof *rows, "blur", &rows));
  for (int k = -radius; k <= radius; k++) sum += g[k + radius] = sigma > 0 ? exp(-k * k / (2 * sigma * sigma)) : 1;
  for (int k = 0; k <= 2 * radius; k++) g[k] /= sum;
  for (int64_t t = 0; t < c->frames; t++) {
    const float *x = c->alpha + t * plane_of(c);
    for (int64_t i = 0; i < c->width; i++) blur_line(x + i, c->height, c->width, g, radius, rows + i);
    for (int64_t y = 0; y < c->height; y++)
      blur_line(rows + y * c->width, c->width, 1, g, radius, out + t * plane_of(c) + y * c->width);
  }
out:
  free(g), free(rows);
  return rc;
}

/* Extreme over the disc around (y, x); sign -1 looks for the minimum. */
static float extreme(const float *frame, const clip *c, int64_t y, int64_t x, int64_t r, float sign) {
  float best = frame[y * c->width + x];
  for (int64_t dy = -r; dy <= r; dy++) {
    if (y + dy < 0 || y + dy >= c->height) continue;
    int64_t reach = (int64_t)sqrt((double)(r * r - dy * dy));
    int64_t from = x > reach ? x - reach : 0, to = x + reach < c->width ? x + reach : c->width - 1;
    for (int64_t i = from; i <= to; i++) {
      float v = frame[(y + dy) * c->width + i];
      if (sign * v > sign * best) best = v;
    }
  }
  return best;
}

static void grow(const clip *c, int64_t r, float sign, float *out) {
  for (int64_t t = 0; t < c->frames; t++)
    for (int64_t i = 0; i < plane_of(c); i++)
      out[t * plane_of(c) + i] = extreme(c->alpha + t * plane_of(c), c, i / c->width, i % c->width, r, sign);
}

/* What a mix goes to at one voxel. */
static double degenerate(const clip *c, const defect *d, int64_t i) {
  switch (d->kind) {
  case DEFECT_OPAQUE: return 1;
  case DEFECT_HALF: return (double)c->alpha[i] / 2;
  case DEFECT_CONSTANT: return 128.0 / 255;
  case DEFECT_FROZEN: return (double)c->alpha[i % plane_of(c)];
  case DEFECT_LUMA: return plane_luma(c->rgb + 3 * i) * (c->colour == CLIP_STRAIGHT ? (double)c->alpha[i] : 1);
  case DEFECT_OTHER: return (double)d->other[i];
  default: return 0;
  }
}

static void mix(const clip *c, const defect *d, float *out) {
  for (int64_t i = 0; i < c->frames * plane_of(c); i++)
    out[i] = clamp01((1 - d->strength) * (double)c->alpha[i] + d->strength * degenerate(c, d, i));
}

static void flicker(const clip *c, double s, float *out) {
  for (int64_t i = 0; i < c->frames * plane_of(c); i++)
    out[i] = i / plane_of(c) % 2 ? (float)((1 - s) * (double)c->alpha[i]) : c->alpha[i];
}

static void noise(const clip *c, const defect *d, float *out) {
  int64_t n = c->frames * plane_of(c);
  rng_normal((rng){.seed = d->seed, .stream = RNG_WORLD, .sub = SUB_NOISE}, 0, n, out);
  for (int64_t i = 0; i < n; i++) out[i] = clamp01((double)c->alpha[i] + d->strength * (double)out[i]);
}

/* Marks the blocks in which alpha reaches one half; returns how many. */
static int64_t object_blocks(const clip *c, int64_t side, int64_t across, unsigned char *is) {
  int64_t n = 0;
  for (int64_t i = 0; i < c->frames * plane_of(c); i++) {
    int64_t y = i % plane_of(c) / c->width, x = i % c->width;
    unsigned char *b = &is[y / side * across + x / side];
    if (*b || !(c->alpha[i] >= 0.5F)) continue;
    *b = 1;
    n++;
  }
  return n;
}

static int holes(err *e, const clip *c, const defect *d, float *out) {
  int rc = OK;
  int64_t side = lrint((c->height < c->width ? c->height : c->width) / 16.0), *order = NULL;
  unsigned char *is = NULL;
  if (side < 2) side = 2;
  int64_t across = (c->width + side - 1) / side, blocks = across * ((c->height + side - 1) / side);
  TRY(mem_new(e, blocks, 1, "holes", &is));
  TRY(mem_new(e, blocks, sizeof *order, "holes", &order));
  int64_t cut = (int64_t)ceil(d->strength * (double)object_blocks(c, side, across, is) - 1e-9);
  rng_permutation((rng){.seed = d->seed, .stream = RNG_WORLD, .sub = SUB_HOLES}, blocks, order);
  for (int64_t i = 0; i < blocks; i++) { /* 2: cut */
    if (cut <= 0 || !is[order[i]]) continue;
    is[order[i]] = 2;
    cut--;
  }
  for (int64_t i = 0; i < c->frames * plane_of(c); i++)
    out[i] = is[i % plane_of(c) / c->width / side * across + i % c->width / side] == 2 ? 0 : c->alpha[i];
out:
  free(is), free(order);
  return rc;
}

static int check(err *e, const clip *c, const defect *d) {
  const defect_info *info = defect_about(d->kind);
  double s = d->strength;
  int whole =
      d->kind == DEFECT_SHIFT || d->kind == DEFECT_DELAY || d->kind == DEFECT_DILATE || d->kind == DEFECT_ERODE;
  if (!c->alpha) return err_set(e, E_ARG, "defect %s: the clip has no alpha", info->name);
  if (d->kind == DEFECT_OTHER && !d->other) return err_set(e, E_ARG, "defect other: there is no other alpha");
  if (!(s >= 0 && s <= info->most) || (whole && s != rint(s)))
    return err_set(e, E_ARG, "defect %s: strength %g is not a %s from 0 to %g", info->name, s,
                   whole ? "whole number" : "number", info->most);
  return OK;
}

int defect_apply(err *e, const clip *c, const defect *d, float *out) {
  int rc = check(e, c, d);
  if (rc != OK) return rc;
  int64_t whole = (int64_t)d->strength;
  switch (d->kind) {
  case DEFECT_SHIFT: shift(c, whole, out); break;
  case DEFECT_DELAY: delay(c, whole, out); break;
  case DEFECT_BLUR: return blur(e, c, d->strength, out);
  case DEFECT_DILATE: grow(c, whole, 1, out); break;
  case DEFECT_ERODE: grow(c, whole, -1, out); break;
  case DEFECT_FLICKER: flicker(c, d->strength, out); break;
  case DEFECT_NOISE: noise(c, d, out); break;
  case DEFECT_HOLES: return holes(e, c, d, out);
  default: mix(c, d, out); break;
  }
  return OK;
}
