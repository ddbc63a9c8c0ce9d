/* Agreement of alpha with the matte of its picture, where the world knows that matte (spec/default-study.md 3, 5). */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics/metric.h"
#include "metrics/plane.h"

#define TRUTH                                                                                                        \
  .version = 1, .tier = 2, .cost = METRIC_PIXELS, .plane = METRIC_JOINT, .picture = METRIC_NO_PICTURE, .gain_ok = 1, \
  .needs = METRIC_NEEDS_ALPHA | METRIC_NEEDS_TRUTH

/* A matte with less mass than one pixel has no place, and one with less change than this rms has no motion. */
static const double no_mass = 1, no_motion = 1e-4;

static int iou(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double lo = 0, hi = 0;
  for (int64_t i = 0; i < metric_voxels(v); i++) {
    double a = (double)v->alpha[i], m = (double)v->truth[i];
    lo += a < m ? a : m;
    hi += a < m ? m : a;
  }
  return hi > 0 ? metric_defined(out, lo / hi, metric_voxels(v))
                : metric_undefined(out, METRIC_EMPTY_TRUTH, metric_voxels(v));
}

static int mad(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double sum = 0;
  for (int64_t i = 0; i < metric_voxels(v); i++) sum += fabs((double)v->alpha[i] - (double)v->truth[i]);
  return metric_defined(out, sum / (double)metric_voxels(v), metric_voxels(v));
}

static int corr(err *e, const metric_view *v, metric_value *out) {
  int rc = OK;
  int64_t n = metric_voxels(v);
  double *x = NULL;
  TRY(mem_new(e, 2 * n, sizeof(double), "true_corr", &x));
  for (int64_t i = 0; i < n; i++) x[i] = (double)v->alpha[i], x[n + i] = (double)v->truth[i];
  moments a = plane_moments(x, n), m = plane_moments(x + n, n);
  if (a.sd <= 1e-6 || m.sd <= 1e-6) {
    rc = metric_undefined(out, a.sd <= 1e-6 ? METRIC_FLAT_ALPHA : METRIC_FLAT_TRUTH, n);
  } else {
    rc = metric_defined(out, plane_corr(x, a, x + n, m, n), n);
  }
out:
  free(x);
  return rc;
}

static int tcorr(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  int64_t n = (int64_t)v->height * v->width, pairs = metric_voxels(v) - n;
  double aa = 0, mm = 0, am = 0;
  for (int64_t i = 0; i < pairs; i++) {
    double a = (double)v->alpha[i + n] - (double)v->alpha[i], m = (double)v->truth[i + n] - (double)v->truth[i];
    aa += a * a, mm += m * m, am += a * m;
  }
  double still = no_motion * no_motion * (double)pairs;
  if (aa <= still || mm <= still) return metric_undefined(out, METRIC_STATIC, pairs);
  return metric_defined(out, fmax(-1, fmin(1, am / sqrt(aa * mm))), pairs);
}

static int distance(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  int64_t n = (int64_t)v->height * v->width, frames = 0;
  double sum = 0, ax, ay, mx, my;
  int empty_alpha = 0;
  for (int t = 0; t < v->frames; t++) {
    double a = plane_centroid(v->alpha + t * n, v->height, v->width, &ax, &ay);
    double m = plane_centroid(v->truth + t * n, v->height, v->width, &mx, &my);
    empty_alpha += a < no_mass;
    if (a < no_mass || m < no_mass) continue;
    sum += hypot(ax - mx, ay - my);
    frames++;
  }
  if (!frames) return metric_undefined(out, empty_alpha ? METRIC_EMPTY_ALPHA : METRIC_EMPTY_TRUTH, 0);
  return metric_defined(out, sum / (double)frames, frames);
}

const metric metric_true_iou = {
    TRUTH,
    .id = "true_iou",
    .direction = METRIC_UP,
    .unit = "1",
    .lo = 0,
    .hi = 1,
    .min_frames = 1,
    .help = "soft intersection over union of alpha and the picture's true matte, sum min / sum max over the clip. "
            "Its level "
            "is partly fixed by the caption: report the gain",
    .citation = "soft IoU of LayerD (Suzuki et al. 2025)",
    .reasons = (const char *const[]){METRIC_EMPTY_TRUTH, NULL},
    .score = iou,
};

const metric metric_true_mad = {
    TRUTH,
    .id = "true_mad",
    .direction = METRIC_DOWN,
    .unit = "1",
    .lo = 0,
    .hi = 1,
    .min_frames = 1,
    .help = "mean absolute difference of alpha and the picture's true matte",
    .citation = "MAD of Lin et al. 2021, Robust Video Matting, without its factor 1000",
    .reasons = (const char *const[]){NULL},
    .score = mad,
};

const metric metric_true_corr = {
    TRUTH,
    .id = "true_corr",
    .direction = METRIC_UP,
    .unit = "1",
    .lo = -1,
    .hi = 1,
    .min_frames = 1,
    .help = "Pearson correlation of alpha and the picture's true matte over all voxels",
    .citation = "own definition",
    .reasons = (const char *const[]){METRIC_FLAT_ALPHA, METRIC_FLAT_TRUTH, NULL},
    .score = corr,
};

const metric metric_true_tcorr = {
    TRUTH,
    .id = "true_tcorr",
    .direction = METRIC_UP,
    .unit = "1",
    .lo = -1,
    .hi = 1,
    .min_frames = 2,
    .help = "cosine of the frame differences of alpha and of the picture's true matte: do they change together",
    .citation = "own definition",
    .reasons = (const char *const[]){METRIC_STATIC, NULL},
    .score = tcorr,
};

const metric metric_true_displacement = {
    TRUTH,
    .id = "true_displacement",
    .direction = METRIC_DOWN,
    .unit = "px",
    .lo = 0,
    .hi = INFINITY,
    .min_frames = 1,
    .help = "distance between the centres of mass of alpha and of the picture's true matte, mean of the frames where "
            "both "
            "have the mass of a pixel",
    .citation = "own definition",
    .reasons = (const char *const[]){METRIC_EMPTY_ALPHA, METRIC_EMPTY_TRUTH, NULL},
    .score = distance,
};
