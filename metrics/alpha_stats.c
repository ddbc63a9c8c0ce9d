/* Cheap statistics of alpha that tell a degenerate matte from a good one (spec/metrics.md 3.6). */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics/band.h"
#include "metrics/metric.h"
#include "metrics/plane.h"

#define ALPHA_STAT                                                                                                   \
  .version = 1, .tier = 0, .cost = METRIC_PIXELS, .direction = METRIC_NONE, .unit = "1", .plane = METRIC_ALPHA,      \
  .picture = METRIC_NO_PICTURE, .needs = METRIC_NEEDS_ALPHA, .min_frames = 1, .citation = "own definition"

static int coverage(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double sum = 0;
  for (int64_t i = 0; i < metric_voxels(v); i++) sum += (double)v->alpha[i];
  return metric_defined(out, sum / (double)metric_voxels(v), metric_voxels(v));
}

static int soft(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  int64_t count = 0;
  for (int64_t i = 0; i < metric_voxels(v); i++) count += v->alpha[i] > 0.05f && v->alpha[i] < 0.95f;
  return metric_defined(out, (double)count / (double)metric_voxels(v), metric_voxels(v));
}

static int lowest(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  float m = v->alpha[0];
  for (int64_t i = 1; i < metric_voxels(v); i++) m = v->alpha[i] < m ? v->alpha[i] : m;
  return metric_defined(out, (double)m, metric_voxels(v));
}

static int highest(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  float m = v->alpha[0];
  for (int64_t i = 1; i < metric_voxels(v); i++) m = v->alpha[i] > m ? v->alpha[i] : m;
  return metric_defined(out, (double)m, metric_voxels(v));
}

static int chroma(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  return v->alpha_chroma ? metric_defined(out, *v->alpha_chroma, metric_voxels(v))
                         : metric_undefined(out, METRIC_NO_CHANNELS, 0);
}

/* Gathers alpha and luma where band is 0; all pixels when band is NULL. Returns how many. */
static int64_t gather(const metric_view *v, const unsigned char *band, double *x, double *y) {
  int64_t k = 0;
  for (int64_t i = 0; i < metric_voxels(v); i++) {
    if (band && band[i]) continue;
    x[k] = (double)v->alpha[i];
    y[k++] = plane_luma(v->rgb + 3 * i);
  }
  return k;
}

static int luma_corr(err *e, const metric_view *v, metric_value *out) {
  int rc = OK;
  const unsigned char *band;
  double *x = NULL;
  TRY(band_of(e, v, &band));
  TRY(mem_new(e, 2 * metric_voxels(v), sizeof(double), "alpha_luma_corr", &x));
  double *y = x + metric_voxels(v);
  int64_t k = gather(v, band, x, y);
  /* The copy of a textured picture is all edges. */
  if (10 * k < metric_voxels(v)) k = gather(v, NULL, x, y);
  moments a = plane_moments(x, k), m = plane_moments(y, k);
  if (a.sd <= 1e-6 || m.sd <= 1e-6) {
    rc = metric_undefined(out, a.sd <= 1e-6 ? METRIC_FLAT_ALPHA : METRIC_FLAT_RGB, k);
  } else {
    rc = metric_defined(out, plane_corr(x, a, y, m, k), k);
  }
out:
  free(x);
  return rc;
}

/* Residual of the least-squares line through the frames' total opacity, relative to its mean. */
static int flicker(err *e, const metric_view *v, metric_value *out) {
  int rc = OK;
  int64_t n = (int64_t)v->height * v->width;
  double *sum = NULL, mean = 0, tt = 0, ts = 0, square = 0, mid = (v->frames - 1) / 2.0;
  TRY(mem_new(e, v->frames, sizeof(double), "opacity_flicker", &sum));
  for (int t = 0; t < v->frames; t++) {
    for (int64_t i = 0; i < n; i++) sum[t] += (double)v->alpha[t * n + i];
    mean += sum[t] / v->frames;
  }
  if (mean <= 0) {
    rc = metric_undefined(out, METRIC_EMPTY_ALPHA, v->frames);
    goto out;
  }
  for (int t = 0; t < v->frames; t++) tt += (t - mid) * (t - mid), ts += (t - mid) * (sum[t] - mean);
  for (int t = 0; t < v->frames; t++) {
    double left = sum[t] - mean - ts / tt * (t - mid);
    square += left * left;
  }
  rc = metric_defined(out, sqrt(square / v->frames) / mean, v->frames);
out:
  free(sum);
  return rc;
}

const metric metric_alpha_coverage = {
    ALPHA_STAT,        .id = "alpha_coverage",           .lo = 0,
    .hi = 1,           .help = "mean alpha of the clip", .reasons = (const char *const[]){NULL},
    .score = coverage,
};

const metric metric_alpha_soft_frac = {
    ALPHA_STAT,
    .id = "alpha_soft_frac",
    .lo = 0,
    .hi = 1,
    .help = "share of pixels with .05 < alpha < .95",
    .reasons = (const char *const[]){NULL},
    .score = soft,
};

const metric metric_alpha_min = {
    ALPHA_STAT,
    .id = "alpha_min",
    .lo = 0,
    .hi = 1,
    .help = "smallest alpha of the clip",
    .reasons = (const char *const[]){NULL},
    .score = lowest,
};

const metric metric_alpha_max = {
    ALPHA_STAT,
    .id = "alpha_max",
    .lo = 0,
    .hi = 1,
    .help = "largest alpha of the clip; under .02 the matte is empty",
    .reasons = (const char *const[]){NULL},
    .score = highest,
};

const metric metric_alpha_chroma = {
    ALPHA_STAT,
    .id = "alpha_chroma",
    .lo = 0,
    .hi = 1,
    .help =
        "mean spread (largest minus smallest) of the three channels that alpha was decoded as, before they became "
        "one: how far the model has drifted from a grey alpha. Known of clips that tandem sampled",
    .reasons = (const char *const[]){METRIC_NO_CHANNELS, NULL},
    .score = chroma,
};

const metric metric_alpha_luma_corr = {
    .id = "alpha_luma_corr",
    .version = 2,
    .tier = 0,
    .cost = METRIC_PIXELS,
    .direction = METRIC_NONE,
    .unit = "1",
    .lo = -1,
    .hi = 1,
    .plane = METRIC_JOINT,
    .picture = METRIC_DECODED,
    .needs = METRIC_NEEDS_ALPHA,
    .min_frames = 1,
    .help = "Pearson correlation of alpha and luma away from alpha's edges, or of all pixels when under a tenth is "
            "left; near 1 the matte is a copy of the picture's "
            "brightness, and alignment scores mean nothing",
    .citation = "own definition",
    .reasons = (const char *const[]){METRIC_FLAT_ALPHA, METRIC_FLAT_RGB, NULL},
    .score = luma_corr,
};

const metric metric_opacity_flicker = {
    .id = "opacity_flicker",
    .version = 1,
    .tier = 0,
    .cost = METRIC_PIXELS,
    .direction = METRIC_DOWN,
    .unit = "1",
    .lo = 0,
    .hi = INFINITY,
    .plane = METRIC_ALPHA,
    .picture = METRIC_NO_PICTURE,
    .needs = METRIC_NEEDS_ALPHA,
    .min_frames = 2,
    .help =
        "standard deviation over time of the total opacity about its straight line, over its mean: pumping that flow "
        "cannot see",
    .citation = "own definition",
    .reasons = (const char *const[]){METRIC_EMPTY_ALPHA, NULL},
    .score = flicker,
};
