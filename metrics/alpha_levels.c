/* The two levels of alpha, object and ground: affine changes of alpha, which correlations and shares of variance
 * cannot see. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/code8.h"
#include "metrics/metric.h"
#include "metrics/plane.h"

enum { CODES = 256 };

typedef struct histogram {
  int64_t count[CODES];
  double sum[CODES]; /* of the exact values of a code */
} histogram;

/* *gap: between the means of the two classes whose split makes the variance between them largest (Otsu), the first of
 * equals. Returns 0 when all values have one code. */
static int split(const histogram *h, int64_t n, double total, double *gap) {
  int64_t below = 0;
  double sum = 0, most = 0;
  int found = 0;
  for (int k = 0; k + 1 < CODES; k++) {
    below += h->count[k];
    sum += h->sum[k];
    if (!h->count[k] || below == n) continue;
    double apart = (total - sum) / (double)(n - below) - sum / (double)below;
    double between = (double)below / (double)n * ((double)(n - below) / (double)n) * apart * apart;
    if (found && between <= most) continue;
    most = between, *gap = apart, found = 1;
  }
  return found;
}

static int contrast(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  histogram h = {0};
  int64_t n = metric_voxels(v);
  double total = 0, gap = 0;
  for (int64_t i = 0; i < n; i++) {
    int k = code8((double)v->alpha[i]);
    h.count[k]++;
    h.sum[k] += (double)v->alpha[i];
  }
  for (int k = 0; k < CODES; k++) total += h.sum[k];
  return split(&h, n, total, &gap) ? metric_defined(out, gap, n) : metric_undefined(out, METRIC_FLAT_ALPHA, n);
}

static int haze(err *e, const metric_view *v, metric_value *out) {
  float *x;
  int rc = mem_new(e, metric_voxels(v), sizeof *x, "alpha_haze", &x);
  if (rc != OK) return rc;
  memcpy(x, v->alpha, (size_t)metric_voxels(v) * sizeof *x);
  rc = metric_defined(out, plane_quantile(x, metric_voxels(v), 0.05), metric_voxels(v));
  free(x);
  return rc;
}

#define LEVEL                                                                                                        \
  .version = 1, .tier = 0, .cost = METRIC_PIXELS, .unit = "1", .lo = 0, .hi = 1, .plane = METRIC_ALPHA,              \
  .picture = METRIC_NO_PICTURE, .needs = METRIC_NEEDS_ALPHA | METRIC_GATED, .min_frames = 1

const metric metric_alpha_contrast = {
    LEVEL,
    .id = "alpha_contrast",
    .direction = METRIC_UP,
    .help =
        "distance of the mean alphas of object and ground, told apart by Otsu's threshold of 8-bit alpha over the "
        "clip. 1 for a hard mask; mixing alpha with a constant by s leaves (1 - s) of it, which color_fit and the "
        "edge "
        "scores cannot see. Knows nothing of the picture: any hard mask scores 1, glass and smoke score less by "
        "right, and an object of half its opacity looks like glass. Compare designs on the same prompts, beside an "
        "alignment score",
    .citation = "own definition; threshold of Otsu 1979, A Threshold Selection Method from Gray-Level Histograms",
    .reasons = (const char *const[]){METRIC_FLAT_ALPHA, NULL},
    .score = contrast,
};

const metric metric_alpha_haze = {
    LEVEL,
    .id = "alpha_haze",
    .direction = METRIC_DOWN,
    .help =
        "5th percentile of alpha over the clip: the veil over ground that should be clear. 0 for a right matte of "
        "an object that leaves a twentieth of the clip free, more by right for one that does not. Rises when alpha "
        "is lifted or copies the picture's brightness, which a dark ground hides; blind to everything about the "
        "object",
    .citation = "own definition",
    .reasons = (const char *const[]){NULL},
    .score = haze,
};
