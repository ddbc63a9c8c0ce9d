#include "metrics/backgrounds.h"

#include <math.h>

const double background_rgb[BACKGROUNDS][3] = {{128 / 255.0, 128 / 255.0, 128 / 255.0},
                                               {0, 0, 0},
                                               {1, 1, 1},
                                               {1, 0, 0},
                                               {0, 1, 0},
                                               {0, 0, 1},
                                               {1, 1, 0},
                                               {0, 1, 1},
                                               {1, 0, 1}};

rgba_moments rgba_error(const float *p, const float *a, const float *q, const float *b, int64_t n) {
  rgba_moments m = {0};
  for (int64_t i = 0; i < n; i++) {
    double da = (double)a[i] - (double)b[i];
    m.aa += da * da;
    for (int c = 0; c < 3; c++) {
      double dp = (double)p[3 * i + c] - (double)q[3 * i + c];
      m.pp[c] += dp * dp, m.pa[c] += dp * da;
    }
  }
  m.aa /= (double)n;
  for (int c = 0; c < 3; c++) m.pp[c] /= (double)n, m.pa[c] /= (double)n;
  return m;
}

double rgba_error_over(const rgba_moments *m, const double ground[3]) {
  double sum = 0;
  for (int c = 0; c < 3; c++) sum += m->pp[c] - 2 * ground[c] * m->pa[c] + ground[c] * ground[c] * m->aa;
  return fmax(0, sum / 3);
}

double background_cut(float p, float alpha, double ground) {
  double a8 = rint((double)alpha * 255), n = rint((double)p * 65025), c8 = a8 > 0 ? n / a8 : 0;
  double blend = (double)p + (1 - (double)alpha) * ground;
  if (fabs((double)alpha * 255 - a8) < 1e-4 && fabs((double)p * 65025 - n) < 0.02 && c8 == rint(c8) && c8 <= 255)
    blend = a8 / 255 * (c8 / 255) + (1 - a8 / 255) * ground;
  return fmin(255, fmax(0, floor(blend * 255))) / 255;
}
