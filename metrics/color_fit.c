#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/metric.h"

/* Local sums of these, from which every window's variances and covariances follow. */
enum { A, AA, C0, CA0 = C0 + 3, CC00 = CA0 + 3, CC01, CC02, CC11, CC12, CC22, PLANES };

typedef struct windows {
  int frames, height, width, r, rt;
  double ridge;
  const float *rgb, *alpha;
  double *ring;    /* 2 rt + 1 frames of PLANES box sums */
  double *row;     /* PLANES rows */
  double *scratch; /* one plane and one padded row */
} windows;

static void products(const float *rgb, const float *alpha, int64_t n, double *p) {
  for (int64_t i = 0; i < n; i++) {
    double a = (double)alpha[i], c[3] = {(double)rgb[3 * i], (double)rgb[3 * i + 1], (double)rgb[3 * i + 2]};
    p[A * n + i] = a;
    p[AA * n + i] = a * a;
    for (int k = 0; k < 3; k++) p[(C0 + k) * n + i] = c[k], p[(CA0 + k) * n + i] = c[k] * a;
    for (int k = 0; k < 3; k++) p[(CC00 + k) * n + i] = c[0] * c[k];
    p[CC11 * n + i] = c[1] * c[1];
    p[CC12 * n + i] = c[1] * c[2];
    p[CC22 * n + i] = c[2] * c[2];
  }
}

/* In place: x(y, x) <- sum of the (2r+1)^2 box around it, coordinates clamped. Sliding sums: O(1) a pixel in r. */
static void box_sum(double *x, int h, int w, int r, double *scratch) {
  double *pad = scratch + (int64_t)h * w;
  for (int y = 0; y < h; y++) {
    const double *in = x + (int64_t)y * w;
    double *out = scratch + (int64_t)y * w, sum = 0;
    for (int i = -r; i < w + r; i++) pad[i + r] = in[i < 0 ? 0 : i >= w ? w - 1 : i];
    for (int i = 0; i < 2 * r; i++) sum += pad[i];
    for (int i = 0; i < w; i++) {
      sum += pad[i + 2 * r];
      out[i] = sum;
      sum -= pad[i];
    }
  }
  memset(pad, 0, (size_t)w * sizeof *pad);
  for (int y = -r; y < h + r; y++) {
    const double *in = scratch + (int64_t)(y < 0 ? 0 : y >= h ? h - 1 : y) * w;
    for (int i = 0; i < w; i++) pad[i] += in[i];
    int at = y - r;
    if (at < 0) continue;
    const double *old = scratch + (int64_t)(at - r < 0 ? 0 : at - r) * w;
    double *out = x + (int64_t)at * w;
    for (int i = 0; i < w; i++) {
      out[i] = pad[i];
      pad[i] -= old[i];
    }
  }
}

/* c' (S + ridge I)^-1 c through Cholesky: S is a covariance, so the sum is positive definite. */
static double explained(const double s[6], const double c[3], double ridge) {
  double l00 = sqrt(s[0] + ridge), l10 = s[1] / l00, l20 = s[2] / l00;
  double l11 = sqrt(s[3] + ridge - l10 * l10), l21 = (s[4] - l20 * l10) / l11;
  double l22 = sqrt(s[5] + ridge - l20 * l20 - l21 * l21);
  double z0 = c[0] / l00, z1 = (c[1] - l10 * z0) / l11, z2 = (c[2] - l20 * z0 - l21 * z1) / l22;
  return z0 * z0 + z1 * z1 + z2 * z2;
}

/* Adds one row's residual and total variance. m: PLANES means of one window, width apart. */
static void fit_row(const double *row, int w, double count, double ridge, double *residual, double *total) {
  for (int x = 0; x < w; x++) {
    double m[PLANES], c[3], s[6];
    for (int p = 0; p < PLANES; p++) m[p] = row[(int64_t)p * w + x] / count;
    for (int k = 0; k < 3; k++) c[k] = m[CA0 + k] - m[C0 + k] * m[A];
    for (int k = 0; k < 3; k++) s[k] = m[CC00 + k] - m[C0] * m[C0 + k];
    s[3] = m[CC11] - m[C0 + 1] * m[C0 + 1];
    s[4] = m[CC12] - m[C0 + 1] * m[C0 + 2];
    s[5] = m[CC22] - m[C0 + 2] * m[C0 + 2];
    double var = m[AA] - m[A] * m[A];
    if (var < 0) var = 0; /* rounding */
    double left = var - explained(s, c, ridge);
    *residual += left > 0 ? left : 0;
    *total += var;
  }
}

static void fill_frame(const windows *k, int t) {
  int64_t n = (int64_t)k->height * k->width;
  double *slot = k->ring + (t % (2 * k->rt + 1)) * PLANES * n;
  products(k->rgb + 3 * t * n, k->alpha + t * n, n, slot);
  for (int p = 0; p < PLANES; p++) box_sum(slot + p * n, k->height, k->width, k->r, k->scratch);
}

static void fit_clip(const windows *k, double *residual, double *total) {
  int64_t n = (int64_t)k->height * k->width;
  int span = 2 * k->rt + 1, done = 0;
  double count = (double)span * (2 * k->r + 1) * (2 * k->r + 1);
  for (int t = 0; t < k->frames; t++) {
    for (; done < k->frames && done <= t + k->rt; done++) fill_frame(k, done);
    for (int y = 0; y < k->height; y++) {
      memset(k->row, 0, (size_t)PLANES * (size_t)k->width * sizeof(double));
      for (int u = t - k->rt; u <= t + k->rt; u++) {
        int f = u < 0 ? 0 : u >= k->frames ? k->frames - 1 : u;
        const double *slot = k->ring + (f % span) * PLANES * n + (int64_t)y * k->width;
        for (int p = 0; p < PLANES; p++)
          for (int x = 0; x < k->width; x++) k->row[(int64_t)p * k->width + x] += slot[p * n + x];
      }
      fit_row(k->row, k->width, count, k->ridge, residual, total);
    }
  }
}

static int score(err *e, const metric_view *v, metric_value *out) {
  int rc = OK;
  int64_t n = (int64_t)v->height * v->width, voxels = n * v->frames;
  int small = v->height < v->width ? v->height : v->width, r = (int)v->param[0];
  windows k = {
      .frames = v->frames, .height = v->height, .width = v->width, .rt = (int)v->param[1], .ridge = v->param[2]};
  double residual = 0, total = 0;
  k.r = r > 0 ? r : (int)fmax(3, rint(small / 16.0));
  k.rgb = v->rgb, k.alpha = v->alpha;
  TRY(mem_new(e, (2 * k.rt + 1) * PLANES * n, sizeof(double), "color_fit windows", &k.ring));
  TRY(mem_new(e, (int64_t)PLANES * v->width, sizeof(double), "color_fit row", &k.row));
  TRY(mem_new(e, n + v->width + 2 * k.r, sizeof(double), "color_fit box", &k.scratch));
  fit_clip(&k, &residual, &total);
  rc = total / (double)voxels < 1e-6 ? metric_undefined(out, METRIC_FLAT_ALPHA, voxels)
                                     : metric_defined(out, 1 - residual / total, voxels);
out:
  free(k.ring), free(k.row), free(k.scratch);
  return rc;
}

const metric metric_color_fit = {
    .id = "color_fit",
    .version = 1,
    .tier = 1,
    .cost = METRIC_FILTERS,
    .direction = METRIC_UP,
    .unit = "1",
    .lo = 0,
    .hi = 1,
    .plane = METRIC_JOINT,
    .picture = METRIC_DECODED,
    .needs = METRIC_NEEDS_ALPHA | METRIC_GATED,
    .min_frames = 1,
    .gain_ok = 1,
    .params =
        (const metric_param[]){{"r", "window radius in pixels; 0 takes max(3, round(min(H, W) / 16))", 0, 0, 256, 1},
                               {"rt", "window radius in frames", 1, 0, 16, 1},
                               {"ridge", "added to the colour covariance's diagonal", 1e-4, 1e-8, 1, 0},
                               {0}},
    .help =
        "share of alpha's local variance that an affine function of the picture's colours explains, over windows of "
        "(2 rt + 1)(2 r + 1)^2 voxels. Blind to affine changes of alpha (0.7 alpha and 1 - alpha score the same); "
        "any "
        "alpha that is a colour function of the picture scores 1: read it with alpha_luma_corr. Its level depends on "
        "texture and window: compare designs on the same prompts",
    .citation = "colour-line model of Levin, Lischinski, Weiss 2008, A Closed-Form Solution to Natural Image Matting",
    .reasons = (const char *const[]){METRIC_FLAT_ALPHA, NULL},
    .score = score,
};
