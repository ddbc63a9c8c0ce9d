/* Alpha's contour over the picture: does it lie where the picture has an edge? */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics/plane.h"
#include "report/contact.h"
#include "stats/stats.h"

/* The greatest step of luma to the right, below and below right: where outline_contour looks too. */
static double step(const float *rgb, int height, int width, int y, int x) {
  double here = plane_luma(rgb + 3 * ((int64_t)y * width + x)), most = 0;
  for (int k = 1; k < 4; k++) {
    int v = y + k / 2, u = x + k % 2;
    if (v < height && u < width) most = fmax(most, fabs(plane_luma(rgb + 3 * ((int64_t)v * width + u)) - here));
  }
  return most;
}

int contact_edge(err *e, const clip *c, double *edge) {
  int64_t n = (int64_t)c->height * c->width;
  double *all = NULL;
  int rc = mem_new(e, c->frames * n, sizeof *all, "edges", &all);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < c->frames * n; i++) {
    int64_t at = i % n;
    all[i] = step(c->rgb + (i - at) * 3, c->height, c->width, (int)(at / c->width), (int)(at % c->width));
  }
  stats_sort(all, c->frames * n);
  *edge = fmax(1.0 / 255, stats_quantile(all, c->frames * n, .95));
  free(all);
  return OK;
}

static int on_contour(const float *alpha, int height, int width, int y, int x, double cut) {
  int inside = (double)alpha[(int64_t)y * width + x] >= cut;
  for (int k = 1; k < 4; k++) {
    int v = y + k / 2, u = x + k % 2;
    if (v < height && u < width && ((double)alpha[(int64_t)v * width + u] >= cut) != inside) return 1;
  }
  return 0;
}

void contact_outline(const clip *c, int frame, double cut, double edge, float *out) {
  int64_t n = (int64_t)c->height * c->width;
  const float *rgb = c->rgb + frame * n * 3, *alpha = c->alpha + frame * n;
  for (int64_t i = 0; i < n; i++) {
    int y = (int)(i / c->width), x = (int)(i % c->width);
    float pale = (float)(.55 + .4 * plane_luma(rgb + 3 * i)), colour[3] = {pale, pale, pale};
    if (on_contour(alpha, c->height, c->width, y, x, cut)) {
      double most = 0;
      for (int v = y > 0 ? y - 1 : 0; v <= y + 1 && v < c->height; v++)
        for (int u = x > 0 ? x - 1 : 0; u <= x + 1 && u < c->width; u++)
          most = fmax(most, step(rgb, c->height, c->width, v, u));
      float good = (float)fmin(1, most / edge);
      colour[0] = .85f * (1 - good), colour[1] = .6f * good, colour[2] = .1f;
    }
    for (int k = 0; k < 3; k++) out[3 * i + k] = colour[k];
  }
}
