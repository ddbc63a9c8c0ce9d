/* 8-bit codes of values in [0,1], for scores that their sources define on 8-bit frames. */
#ifndef TD_METRICS_CODE8_H
#define TD_METRICS_CODE8_H

#include <math.h>

#include "metrics/plane.h"

/* Nearest code, ties up, with room for what float made of the exact ties of 8-bit sources. */
static inline int code8(double v) {
  double c = v * 255 + 0.5 + 1e-5;
  return c >= 255 ? 255 : c > 0 ? (int)c : 0;
}

/* alpha * colour of 8-bit sources is k / 65025 with a whole k, which float still tells: three roundings move 65025 p
 * by at most .012. The whole k where there is one, else -1. Codes themselves, c / 255, are such products too. */
static inline double product8(float p) {
  double x = (double)p * 65025, k = rint(x);
  return fabs(x - k) < 1.0 / 64 && k >= 0 && k <= 65025 ? k : -1;
}

/* 8-bit luma of a pixel: exact for products of 8-bit codes, (299 R + 587 G + 114 B + 127500) / 255000 in whole
 * numbers; else the nearest code. */
static inline int luma8(const float *rgb) {
  double r = product8(rgb[0]), g = product8(rgb[1]), b = product8(rgb[2]);
  if (r < 0 || g < 0 || b < 0) return code8(plane_luma(rgb));
  return ((int)(299 * r + 587 * g + 114 * b) + 127500) / 255000;
}

#endif
