#include "metrics/matrix.h"

#include <math.h>
#include <string.h>

void matrix_transpose(const double *x, int64_t n, int64_t d, double *out) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < d; k++) out[k * n + i] = x[i * d + k];
}

void matrix_product(const double *x, const double *yt, int64_t n, int64_t d, int64_t m, double *out) {
  memset(out, 0, (size_t)(n * m) * sizeof *out);
  for (int64_t i = 0; i < n; i++) {
    double *o = out + i * m;
    for (int64_t k = 0; k < d; k++) {
      const double *y = yt + k * m;
      double a = x[i * d + k];
      for (int64_t j = 0; j < m; j++) o[j] += a * y[j];
    }
  }
}

void matrix_distances(const double *x, const double *yt, int64_t n, int64_t d, int64_t m, double *out) {
  memset(out, 0, (size_t)(n * m) * sizeof *out);
  for (int64_t i = 0; i < n; i++) {
    double *o = out + i * m;
    for (int64_t k = 0; k < d; k++) {
      const double *y = yt + k * m;
      double a = x[i * d + k];
      for (int64_t j = 0; j < m; j++) o[j] += (a - y[j]) * (a - y[j]);
    }
    for (int64_t j = 0; j < m; j++) o[j] = sqrt(o[j]);
  }
}

void matrix_mean(const double *x, int64_t n, int64_t d, double *mean) {
  memset(mean, 0, (size_t)d * sizeof *mean);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < d; k++) mean[k] += x[i * d + k];
  for (int64_t k = 0; k < d; k++) mean[k] /= (double)n;
}
