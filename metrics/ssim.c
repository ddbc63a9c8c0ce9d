#include "metrics/ssim.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

enum { W = SSIM_WINDOW, MOMENTS = 5 };

static void taps(double g[W]) {
  double sum = 0;
  for (int i = 0; i < W; i++) {
    double x = i - W / 2;
    sum += g[i] = exp(-x * x / (2 * 1.5 * 1.5));
  }
  for (int i = 0; i < W; i++) g[i] /= sum;
}

/* Window means of a, b, aa, bb, ab down the columns of W rows, into line[m][width]. */
static void columns(const double *a, const double *b, int width, const double g[W], double *const line[MOMENTS]) {
  for (int x = 0; x < width; x++) {
    double s[MOMENTS] = {0};
    for (int k = 0; k < W; k++) {
      double p = a[(int64_t)k * width + x], q = b[(int64_t)k * width + x];
      s[0] += g[k] * p, s[1] += g[k] * q;
      s[2] += g[k] * (p * p), s[3] += g[k] * (q * q), s[4] += g[k] * (p * q);
    }
    for (int m = 0; m < MOMENTS; m++) line[m][x] = s[m];
  }
}

int ssim_plane(err *e, const double *a, const double *b, int height, int width, double peak, int relu,
               ssim_mean *out) {
  double g[W], *store, *line[MOMENTS], c1 = 0.01 * peak * (0.01 * peak), c2 = 0.03 * peak * (0.03 * peak);
  double total = 0, contrast = 0;
  int rows = height - W + 1, cols = width - W + 1;
  int rc = mem_new(e, MOMENTS * (int64_t)width, sizeof *store, "ssim", &store);
  if (rc != OK) return rc;
  taps(g);
  for (int m = 0; m < MOMENTS; m++) line[m] = store + (int64_t)m * width;
  for (int y = 0; y < rows; y++) {
    columns(a + (int64_t)y * width, b + (int64_t)y * width, width, g, line);
    for (int x = 0; x < cols; x++) {
      double s[MOMENTS] = {0};
      for (int m = 0; m < MOMENTS; m++)
        for (int k = 0; k < W; k++) s[m] += g[k] * line[m][x + k];
      double va = s[2] - s[0] * s[0], vb = s[3] - s[1] * s[1], cov = s[4] - s[0] * s[1];
      double cs = (2 * cov + c2) / (va + vb + c2);
      if (relu && cs < 0) cs = 0;
      total += (2 * s[0] * s[1] + c1) / (s[0] * s[0] + s[1] * s[1] + c1) * cs;
      contrast += cs;
    }
  }
  double n = (double)rows * cols;
  *out = (ssim_mean){total / n, contrast / n};
  free(store);
  return OK;
}

static void halve(double *x, int height, int width) {
  int w = width / 2;
  for (int y = 0; y < height / 2; y++)
    for (int i = 0; i < w; i++) {
      const double *p = x + 2 * (int64_t)y * width + 2 * i;
      x[(int64_t)y * w + i] = (p[0] + p[1] + p[width] + p[width + 1]) / 4;
    }
}

int ssim_scales(err *e, double *a, double *b, int height, int width, double peak, double *out) {
  static const double weight[] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
  *out = 1;
  for (int k = 0; k < 5; k++) {
    ssim_mean m;
    int rc = ssim_plane(e, a, b, height, width, peak, 0, &m);
    if (rc != OK) return rc;
    *out *= pow(fmax(0, k == 4 ? m.ssim : m.contrast), weight[k]);
    halve(a, height, width), halve(b, height, width);
    height /= 2, width /= 2;
  }
  return OK;
}
