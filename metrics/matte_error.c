#include "metrics/matte_error.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/outline.h"

enum { HALF = 4, TAPS = 2 * HALF + 1 };

void matte_gradient_taps(double across[9], double along[9]) {
  double sigma = 1.4, gg = 0, dd = 0;
  for (int i = 0; i < TAPS; i++) {
    double x = i - HALF;
    across[i] = exp(-x * x / (2 * sigma * sigma)) / (sigma * sqrt(2 * M_PI));
    along[i] = -x * across[i] / (sigma * sigma);
    gg += across[i] * across[i], dd += along[i] * along[i];
  }
  for (int i = 0; i < TAPS; i++) across[i] /= sqrt(gg), along[i] /= sqrt(dd);
}

static int clamp(int i, int n) {
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static void down(const double *x, int h, int w, const double *k, double *out) {
  for (int y = 0; y < h; y++)
    for (int i = 0; i < w; i++) {
      double s = 0;
      for (int t = -HALF; t <= HALF; t++) s += k[t + HALF] * x[(int64_t)clamp(y + t, h) * w + i];
      out[(int64_t)y * w + i] = s;
    }
}

static void across_rows(const double *x, int h, int w, const double *k, double *out) {
  for (int y = 0; y < h; y++)
    for (int i = 0; i < w; i++) {
      double s = 0;
      for (int t = -HALF; t <= HALF; t++) s += k[t + HALF] * x[(int64_t)y * w + clamp(i + t, w)];
      out[(int64_t)y * w + i] = s;
    }
}

/* Magnitude of the gradient of x, which is overwritten. spare: 2 h w. */
static void magnitude(double *x, int h, int w, double *spare) {
  double g[TAPS], d[TAPS], *gx = spare, *tmp = spare + (int64_t)h * w;
  matte_gradient_taps(g, d);
  down(x, h, w, g, tmp);
  across_rows(tmp, h, w, d, gx);
  down(x, h, w, d, tmp);
  across_rows(tmp, h, w, g, x);
  for (int64_t i = 0; i < (int64_t)h * w; i++) x[i] = sqrt(gx[i] * gx[i] + x[i] * x[i]);
}

static void stretched(double *x, int64_t n) {
  double lo = x[0], hi = x[0];
  for (int64_t i = 1; i < n; i++) lo = fmin(lo, x[i]), hi = fmax(hi, x[i]);
  for (int64_t i = 0; i < n; i++) x[i] = hi - lo > DBL_EPSILON ? (x[i] - lo) / (hi - lo) : 0;
}

int matte_gradient_error(err *e, const matte_pair *p, int stretch, double *out) {
  int64_t n = (int64_t)p->height * p->width;
  double *x;
  int rc = mem_new(e, 4 * n, sizeof *x, "matte gradients", &x);
  if (rc != OK) return rc;
  memcpy(x, p->pred, (size_t)n * sizeof *x);
  memcpy(x + n, p->truth, (size_t)n * sizeof *x);
  for (int k = 0; k < 2; k++) {
    if (stretch) stretched(x + k * n, n);
    magnitude(x + k * n, p->height, p->width, x + 2 * n);
  }
  *out = 0;
  for (int64_t i = 0; i < n; i++)
    if (!p->mask || p->mask[i]) *out += (x[i] - x[n + i]) * (x[i] - x[n + i]);
  *out /= 1000;
  free(x);
  return OK;
}

/* A value as float32 arithmetic has it. */
static double rounded(double x, int single) {
  return single ? (double)(float)x : x;
}

typedef struct connectivity {
  double *pred, *truth, *level; /* level: -1 until a pixel leaves the largest component */
  unsigned char *common;
  int32_t *label, *stack, *size;
  int64_t n;
} connectivity;

/* Pixels outside the largest component of {both >= threshold} get the level below, if they have none yet. */
static void cut(connectivity *k, int height, int width, double threshold, double below) {
  int32_t count, best = 0;
  for (int64_t i = 0; i < k->n; i++) k->common[i] = k->truth[i] >= threshold && k->pred[i] >= threshold;
  outline_label(k->common, 1, height, width, k->label, k->stack, &count);
  memset(k->size, 0, ((size_t)k->n + 1) * sizeof *k->size);
  for (int64_t i = 0; i < k->n; i++) k->size[k->label[i]] += k->label[i] > 0;
  for (int32_t c = 1; c <= count; c++)
    if (!best || k->size[c] > k->size[best]) best = c;
  for (int64_t i = 0; i < k->n; i++)
    if (k->level[i] < 0 && !(best && k->label[i] == best)) k->level[i] = below;
}

static int open_connectivity(err *e, int64_t n, connectivity *k, double **store, int32_t **ints) {
  int rc = OK;
  TRY(mem_new(e, 4 * n, sizeof **store, "connectivity", store));
  TRY(mem_new(e, 3 * n + 1, sizeof **ints, "connectivity", ints));
  *k = (connectivity){.pred = *store, .truth = *store + n, .level = *store + 2 * n, .n = n};
  k->common = (unsigned char *)(*store + 3 * n);
  k->label = *ints, k->stack = *ints + n, k->size = *ints + 2 * n;
out:
  return rc;
}

int matte_connectivity_error(err *e, const matte_pair *p, int single, double *out) {
  int rc = OK;
  int64_t n = (int64_t)p->height * p->width;
  double *store = NULL, tolerance = rounded(0.15, single);
  int32_t *ints = NULL;
  connectivity k;
  if (n > INT32_MAX / 4) FAIL(e, E_SHAPE, "frames of %dx%d are too large to label", p->width, p->height);
  TRY(open_connectivity(e, n, &k, &store, &ints));
  for (int64_t i = 0; i < n; i++) {
    k.pred[i] = rounded(p->pred[i], single), k.truth[i] = rounded(p->truth[i], single);
    k.level[i] = -1;
  }
  for (int i = 1; i <= 10; i++)
    cut(&k, p->height, p->width, rounded(i * 0.1, single), rounded((i - 1) * 0.1, single));
  *out = 0;
  for (int64_t i = 0; i < n; i++) {
    if (p->mask && !p->mask[i]) continue;
    double level = k.level[i] < 0 ? 1 : k.level[i];
    double dg = rounded(k.truth[i] - level, single), dp = rounded(k.pred[i] - level, single);
    double g = rounded(1 - (dg >= tolerance ? dg : 0), single), q = rounded(1 - (dp >= tolerance ? dp : 0), single);
    *out += fabs(rounded(g - q, single));
  }
  *out /= 1000;
out:
  free(store), free(ints);
  return rc;
}

/* pred - truth of the next frame at (x + u, y + v); outside is 0. */
static double warped_error(const matte_pair *p, double px, double py) {
  double x0 = floor(px), y0 = floor(py), ax = px - x0, ay = py - y0, sum = 0;
  for (int k = 0; k < 4; k++) {
    double x = x0 + (k & 1), y = y0 + (k >> 1);
    if (x < 0 || y < 0 || x > p->width - 1 || y > p->height - 1) continue;
    int64_t i = (int64_t)y * p->width + (int64_t)x;
    sum += (k & 1 ? ax : 1 - ax) * (k >> 1 ? ay : 1 - ay) * (p->pred[i] - p->truth[i]);
  }
  return sum;
}

double matte_temporal_error(const matte_pair *now, const matte_pair *next, const float *flow,
                            const unsigned char *valid, int squared) {
  double sum = 0;
  for (int y = 0; y < now->height; y++) {
    for (int x = 0; x < now->width; x++) {
      int64_t i = (int64_t)y * now->width + x;
      if ((now->mask && !now->mask[i]) || (valid && !valid[i])) continue;
      double d = now->pred[i] - now->truth[i];
      double w = warped_error(next, x + (double)flow[2 * i], y + (double)flow[2 * i + 1]);
      sum += fabs(squared ? d * d - w * w : d - w);
    }
  }
  return sum;
}
