#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/metric.h"
#include "metrics/plane.h"

typedef struct gradients {
  double *gx, *gy, *scratch;
  double *xx, *xy, *yy; /* structure tensor; xx then holds its strength */
  double *matte;
} gradients;

/* Square root of the larger eigenvalue of sum_c grad_c grad_c' (Di Zenzo), into g->xx. */
static void colour_gradient(const float *rgb, int h, int w, double sigma, gradients *g) {
  int64_t n = (int64_t)h * w;
  memset(g->xx, 0, (size_t)n * sizeof(double));
  memset(g->xy, 0, (size_t)n * sizeof(double));
  memset(g->yy, 0, (size_t)n * sizeof(double));
  for (int c = 0; c < 3; c++) {
    plane_gradient(rgb + c, 3, h, w, sigma, g->gx, g->gy, g->scratch);
    for (int64_t i = 0; i < n; i++) {
      g->xx[i] += g->gx[i] * g->gx[i];
      g->xy[i] += g->gx[i] * g->gy[i];
      g->yy[i] += g->gy[i] * g->gy[i];
    }
  }
  for (int64_t i = 0; i < n; i++) {
    double d = g->xx[i] - g->yy[i], q = sqrt(d * d + 4 * g->xy[i] * g->xy[i]);
    g->xx[i] = sqrt((g->xx[i] + g->yy[i] + q) / 2);
  }
}

typedef struct frame_corr {
  double value;
  const char *reason;
} frame_corr;

static frame_corr correlate(const metric_view *v, int t, gradients *g) {
  int64_t n = (int64_t)v->height * v->width;
  double sigma = v->param[0];
  plane_gradient(v->alpha + t * n, 1, v->height, v->width, sigma, g->gx, g->gy, g->scratch);
  for (int64_t i = 0; i < n; i++) g->matte[i] = sqrt(g->gx[i] * g->gx[i] + g->gy[i] * g->gy[i]);
  moments matte = plane_moments(g->matte, n);
  if (matte.sd <= 1e-6) return (frame_corr){.reason = METRIC_FLAT_ALPHA};
  colour_gradient(v->rgb + 3 * t * n, v->height, v->width, sigma, g);
  moments colour = plane_moments(g->xx, n);
  if (colour.sd <= 1e-6) return (frame_corr){.reason = METRIC_FLAT_RGB};
  return (frame_corr){.value = plane_corr(g->xx, colour, g->matte, matte, n)};
}

static int score(err *e, const metric_view *v, metric_value *out) {
  int rc = OK, frames = 0, flat_rgb = 0;
  int64_t n = (int64_t)v->height * v->width, each = 6 * n + plane_scratch(v->height, v->width);
  double sum = 0, *block = NULL;
  frame_corr *corr = NULL;
  TRY(mem_new(e, v->threads * each, sizeof(double), "edge_color gradients", &block));
  TRY(mem_new(e, v->frames, sizeof *corr, "edge_color", &corr));
#pragma omp parallel for num_threads(v->threads) schedule(dynamic)
  for (int t = 0; t < v->frames; t++) {
    double *at = block + omp_get_thread_num() * each;
    gradients g = {.gx = at,
                   .gy = at + n,
                   .xx = at + 2 * n,
                   .xy = at + 3 * n,
                   .yy = at + 4 * n,
                   .matte = at + 5 * n,
                   .scratch = at + 6 * n};
    corr[t] = correlate(v, t, &g);
  }
  for (int t = 0; t < v->frames; t++) {
    if (corr[t].reason)
      flat_rgb += !strcmp(corr[t].reason, METRIC_FLAT_RGB);
    else
      sum += corr[t].value, frames++;
  }
  rc = frames ? metric_defined(out, sum / frames, frames * n)
              : metric_undefined(out, flat_rgb ? METRIC_FLAT_RGB : METRIC_FLAT_ALPHA, 0);
out:
  free(block), free(corr);
  return rc;
}

const metric metric_edge_color = {
    .id = "edge_color",
    .version = 1,
    .tier = 1,
    .cost = METRIC_FILTERS,
    .direction = METRIC_UP,
    .unit = "1",
    .lo = -1,
    .hi = 1,
    .plane = METRIC_JOINT,
    .picture = METRIC_DECODED,
    .needs = METRIC_NEEDS_ALPHA | METRIC_GATED,
    .min_frames = 1,
    .gain_ok = 1,
    .params =
        (const metric_param[]){{"sigma", "of the Gaussian derivatives, in pixels", 1, 0.5, PLANE_SIGMA, 0}, {0}},
    .help = "Pearson correlation of the picture's colour gradient with alpha's gradient magnitude, mean of the "
            "frames where "
            "both vary. Falls with background texture: compare designs on the same prompts; an alpha that copies the "
            "picture's edges scores high",
    .citation = "Di Zenzo 1986, A note on the gradient of a multi-image",
    .reasons = (const char *const[]){METRIC_FLAT_ALPHA, METRIC_FLAT_RGB, NULL},
    .score = score,
};
