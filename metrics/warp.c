#include "metrics/warp.h"

#include <math.h>

static int clamp(double i, int n) {
  return i < 0 ? 0 : i > n - 1 ? n - 1 : (int)i;
}

warp_taps warp_at(const float *flow, int x, int y, int height, int width) {
  const float *f = flow + 2 * ((int64_t)y * width + x);
  double px = x + (double)f[0], py = y + (double)f[1], x0 = floor(px), y0 = floor(py), ax = px - x0, ay = py - y0;
  int l = clamp(x0, width), r = clamp(x0 + 1, width);
  int64_t a = (int64_t)clamp(y0, height) * width, b = (int64_t)clamp(y0 + 1, height) * width;
  return (warp_taps){{a + l, a + r, b + l, b + r}, {(1 - ax) * (1 - ay), ax * (1 - ay), (1 - ax) * ay, ax * ay}};
}

static double square(double u, double v) {
  return u * u + v * v;
}

void warp_occluded(const float *forward, const float *backward, int height, int width, unsigned char *out) {
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      int64_t i = (int64_t)y * width + x;
      warp_taps k = warp_at(forward, x, y, height, width);
      double u = (double)forward[2 * i], v = (double)forward[2 * i + 1];
      double bu = warp_sample(&k, backward, 2, 0), bv = warp_sample(&k, backward, 2, 1);
      out[i] = square(u + bu, v + bv) > 0.01 * (square(u, v) + square(bu, bv)) + 0.5;
    }
  }
}

static double step(const float *a, const float *b) {
  return square((double)a[0] - (double)b[0], (double)a[1] - (double)b[1]);
}

void warp_boundary(const float *flow, int height, int width, unsigned char *out) {
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      int64_t i = (int64_t)y * width + x;
      const float *f = flow + 2 * i;
      double d = (x < width - 1 ? step(f, f + 2) : 0) + (y < height - 1 ? step(f, f + 2 * (int64_t)width) : 0);
      out[i] = d > 0.01 * square((double)f[0], (double)f[1]) + 0.002;
    }
  }
}

double warp_error(const float *now, const float *next, const float *flow, const unsigned char *keep, int height,
                  int width) {
  double sum = 0;
  int64_t kept = 0;
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      int64_t i = (int64_t)y * width + x;
      if (!keep[i]) continue;
      warp_taps k = warp_at(flow, x, y, height, width);
      for (int c = 0; c < 3; c++) {
        double d = warp_sample(&k, next, 3, c) - (double)now[3 * i + c];
        sum += d * d;
      }
      kept++;
    }
  }
  return sum / (3 * (double)(kept ? kept : (int64_t)height * width));
}
