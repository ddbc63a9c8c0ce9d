/* Errors of alpha against the true one, by the conventions of their sources (spec/metrics.md 3.7). */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics/farneback.h"
#include "metrics/matte_error.h"
#include "metrics/code8.h"
#include "metrics/metric.h"

/* The value of an 8-bit source as a double, which its float only rounds; other values as they are. */
static double exact(float x) {
  double c = rint((double)x * 255);
  return fabs((double)x * 255 - c) < 1e-4 ? c / 255 : (double)x;
}

/* A clip's mattes as doubles, and its unknown pixels. */
typedef struct mattes {
  double *pred, *truth; /* [T][n] */
  unsigned char *mask;  /* [T][n] of 0 and 1; NULL without a trimap */
  int64_t n;
} mattes;

static void drop(mattes *m) {
  free(m->pred), free(m->mask);
}

static int open(err *e, const metric_view *v, mattes *m) {
  int rc = OK;
  int64_t all;
  *m = (mattes){.n = (int64_t)v->height * v->width};
  all = v->frames * m->n;
  TRY(mem_new(e, 2 * all, sizeof *m->pred, "mattes", &m->pred));
  m->truth = m->pred + all;
  for (int64_t i = 0; i < all; i++) m->pred[i] = exact(v->alpha[i]), m->truth[i] = exact(v->truth[i]);
  if (!v->trimap) goto out;
  TRY(mem_new(e, all, 1, "trimap", &m->mask));
  for (int64_t i = 0; i < all; i++) m->mask[i] = code8((double)v->trimap[i]) > 0 && code8((double)v->trimap[i]) < 255;
out:
  if (rc != OK) drop(m);
  return rc;
}

static matte_pair frame_of(const metric_view *v, const mattes *m, int t) {
  int64_t at = t * m->n;
  return (matte_pair){m->pred + at, m->truth + at, m->mask ? m->mask + at : NULL, v->height, v->width};
}

/* Sum over the pixels that count of |d|^power, and how many there are. */
static double powers(const matte_pair *p, int power, int64_t *count) {
  double sum = 0;
  *count = 0;
  for (int64_t i = 0; i < (int64_t)p->height * p->width; i++) {
    if (p->mask && !p->mask[i]) continue;
    double d = p->pred[i] - p->truth[i];
    sum += power == 1 ? fabs(d) : d * d;
    ++*count;
  }
  return sum;
}

typedef int (*frame_error)(err *e, const matte_pair *p, double *out); /* NaN: no pixel counts */

static int mad(err *e, const matte_pair *p, double *out) {
  (void)e;
  int64_t n;
  double sum = powers(p, 1, &n);
  *out = n ? sum / (double)n : NAN;
  return OK;
}
static int mse(err *e, const matte_pair *p, double *out) {
  (void)e;
  int64_t n;
  double sum = powers(p, 2, &n);
  *out = n ? sum / (double)n : NAN;
  return OK;
}
static int mad_1e3(err *e, const matte_pair *p, double *out) {
  int rc = mad(e, p, out);
  *out *= 1e3;
  return rc;
}
static int mse_1e3(err *e, const matte_pair *p, double *out) {
  int rc = mse(e, p, out);
  *out *= 1e3;
  return rc;
}
static int sad(err *e, const matte_pair *p, double *out) {
  (void)e;
  int64_t n;
  *out = powers(p, 1, &n) / 1000;
  return OK;
}
static int mse_or_0(err *e, const matte_pair *p, double *out) {
  int rc = mse(e, p, out);
  if (isnan(*out)) *out = 0;
  return rc;
}
static int ssda(err *e, const matte_pair *p, double *out) {
  (void)e;
  int64_t n;
  *out = sqrt(powers(p, 2, &n));
  return OK;
}
static int grad_lr(err *e, const matte_pair *p, double *out) {
  return matte_gradient_error(e, p, 1, out);
}
static int grad_hr(err *e, const matte_pair *p, double *out) {
  return matte_gradient_error(e, p, 0, out);
}
static int conn_single(err *e, const matte_pair *p, double *out) {
  return matte_connectivity_error(e, p, 1, out);
}
static int conn_double(err *e, const matte_pair *p, double *out) {
  return matte_connectivity_error(e, p, 0, out);
}

/* Mean over the frames. */
static int mean(err *e, const metric_view *v, frame_error f, metric_value *out) {
  int rc = OK, first = OK;
  mattes m = {0};
  double *part = NULL, sum = 0;
  TRY(open(e, v, &m));
  TRY(mem_new(e, v->frames, sizeof *part, "matte errors", &part));
#pragma omp parallel for num_threads(v->threads) schedule(static)
  for (int t = 0; t < v->frames; t++) {
    err mine = {0};
    matte_pair p = frame_of(v, &m, t);
    int got = f(&mine, &p, &part[t]);
    if (got == OK) continue;
#pragma omp critical(matte_errors)
    if (first == OK) first = got, *e = mine;
  }
  TRY(first);
  for (int t = 0; t < v->frames; t++) sum += part[t];
  rc = isnan(sum) ? metric_undefined(out, METRIC_NO_UNKNOWN, 0) : metric_defined(out, sum / v->frames, v->frames);
out:
  drop(&m);
  free(part);
  return rc;
}

#define MEAN(name, f)                                                                                                \
  static int name(err *e, const metric_view *v, metric_value *out) {                                                 \
    return mean(e, v, f, out);                                                                                       \
  }
MEAN(rvm_mad, mad_1e3)
MEAN(rvm_mse, mse_1e3)
MEAN(rvm_grad_lr, grad_lr)
MEAN(rvm_grad_hr, grad_hr)
MEAN(rvm_conn, conn_single)
MEAN(conn, conn_double)
MEAN(mm_sad, sad)
MEAN(mm_mse, mse_or_0)
MEAN(mm_grad, grad_lr)
MEAN(tc_msad, mad)
MEAN(tc_mse, mse)
MEAN(tc_ssda, ssda)

/* --- over time --- */

typedef enum dt_form { DT_RVM, DT_RVM_PAIRS, DT_TCVOM } dt_form;

static int dtssd(err *e, const metric_view *v, dt_form form, metric_value *out) {
  mattes m;
  double all = 0;
  int rc = open(e, v, &m);
  if (rc != OK) return rc;
  for (int t = 0; t < v->frames - 1; t++) {
    double sum = 0;
    for (int64_t i = t * m.n; i < (t + 1) * m.n; i++) {
      if (m.mask && !m.mask[i]) continue;
      double d = (m.pred[i + m.n] - m.truth[i + m.n]) - (m.pred[i] - m.truth[i]);
      sum += d * d;
    }
    all += form == DT_TCVOM ? sqrt(sum) : sqrt(sum / (double)m.n) * 1e2;
  }
  drop(&m);
  return metric_defined(out, all / (form == DT_RVM_PAIRS ? v->frames - 1 : v->frames), v->frames - 1);
}

static int dtssd_rvm(err *e, const metric_view *v, metric_value *out) {
  return dtssd(e, v, DT_RVM, out);
}
static int dtssd_pairs(err *e, const metric_view *v, metric_value *out) {
  return dtssd(e, v, DT_RVM_PAIRS, out);
}
static int dtssd_tcvom(err *e, const metric_view *v, metric_value *out) {
  return dtssd(e, v, DT_TCVOM, out);
}

/* Flow of the true alpha's 8-bit frames, in hundredths of a pixel as TCVOM stores it. */
static int truth_flow(err *e, const metric_view *v, float **flow) {
  int rc = OK;
  int64_t n = (int64_t)v->height * v->width;
  float *image = NULL;
  fb_params p = fb_defaults();
  TRY(mem_new(e, v->frames * n, sizeof(float), "true alpha's frames", &image));
  TRY(mem_new(e, 2 * (v->frames - 1) * n, sizeof(float), "true alpha's flow", flow));
  for (int64_t i = 0; i < v->frames * n; i++) image[i] = (float)code8((double)v->truth[i]);
  fb_job job = {.x = image,
                .frames = v->frames,
                .height = v->height,
                .width = v->width,
                .forward = *flow,
                .threads = v->threads};
  TRY(fb_flows(e, &p, &job));
  for (int64_t i = 0; i < 2 * (v->frames - 1) * n; i++) (*flow)[i] = rintf((*flow)[i] * 100) / 100;
out:
  free(image);
  return rc;
}

static int messddt_of(err *e, const metric_view *v, int squared, metric_value *out) {
  int rc = OK;
  mattes m = {0};
  float *flow = NULL;
  double sum = 0;
  TRY(open(e, v, &m));
  TRY(truth_flow(e, v, &flow));
  for (int t = 0; t < v->frames - 1; t++) {
    matte_pair now = frame_of(v, &m, t), next = frame_of(v, &m, t + 1);
    sum += matte_temporal_error(&now, &next, flow + 2 * t * m.n, NULL, squared);
  }
  rc = metric_defined(out, sum / v->frames, v->frames - 1);
out:
  drop(&m);
  free(flow);
  return rc;
}

static int messddt(err *e, const metric_view *v, metric_value *out) {
  return messddt_of(e, v, 1, out);
}
static int messddt_fix(err *e, const metric_view *v, metric_value *out) {
  return messddt_of(e, v, 0, out);
}

/* --- foreground colour --- */

static int colour_error(const metric_view *v, int power, metric_value *out) {
  double sum = 0;
  int64_t n = 0;
  for (int64_t i = 0; i < (int64_t)v->frames * v->height * v->width; i++) {
    if (!(v->ref_alpha[i] >= 8.0f / 255 && v->alpha[i] >= 8.0f / 255)) continue;
    for (int c = 0; c < 3; c++) {
      double d = (double)v->rgb[3 * i + c] - (double)v->ref_rgb[3 * i + c];
      sum += power == 1 ? fabs(d) : d * d;
    }
    n++;
  }
  return n ? metric_defined(out, 1e3 * sum / (3 * (double)n), n) : metric_undefined(out, METRIC_NO_COLOUR, 0);
}

static int fgr_mad(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  return colour_error(v, 1, out);
}
static int fgr_mse(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  return colour_error(v, 2, out);
}

/* --- descriptors --- */

#define MATTE_FRAMES(NAME, SCORE, NEEDS, FRAMES, COST, HELP, CITE, REASON)                                           \
  const metric metric_##NAME = {                                                                                     \
      .id = #NAME,                                                                                                   \
      .version = 1,                                                                                                  \
      .tier = 2,                                                                                                     \
      .cost = COST,                                                                                                  \
      .direction = METRIC_DOWN,                                                                                      \
      .unit = "1",                                                                                                   \
      .lo = 0,                                                                                                       \
      .hi = INFINITY,                                                                                                \
      .plane = METRIC_ALPHA,                                                                                         \
      .picture = METRIC_NO_PICTURE,                                                                                  \
      .needs = METRIC_NEEDS_ALPHA | METRIC_NEEDS_TRUTH | (NEEDS),                                                    \
      .min_frames = FRAMES,                                                                                          \
      .help = HELP,                                                                                                  \
      .citation = CITE,                                                                                              \
      .reasons = (const char *const[]){REASON, NULL},                                                                \
      .score = SCORE,                                                                                                \
  }
#define RVM "Lin et al. 2021, Robust Video Matting, evaluation/evaluate_lr.py"
#define MM "mmagic, evaluation/metrics, after Rhemann et al. 2009"
#define TCVOM "Zhang et al. 2021, TCVOM, calc_metric.py"
#define TRIMAP METRIC_NEEDS_TRIMAP

MATTE_FRAMES(rvm_mad, rvm_mad, 0, 1, METRIC_PIXELS, "mean absolute error of alpha times 1000, mean of the frames",
             RVM, NULL);
MATTE_FRAMES(rvm_mse, rvm_mse, 0, 1, METRIC_PIXELS, "mean squared error of alpha times 1000, mean of the frames", RVM,
             NULL);
MATTE_FRAMES(
    rvm_grad_lr, rvm_grad_lr, 0, 1, METRIC_FILTERS,
    "gradient error over 1000, mean of the frames. Both mattes are stretched from minimum to maximum first, so "
    "half the truth scores 0: use rvm_grad_hr where opacity matters",
    RVM, NULL);
MATTE_FRAMES(rvm_grad_hr, rvm_grad_hr, 0, 1, METRIC_FILTERS,
             "gradient error over 1000 without stretching, mean of the frames",
             "Lin et al. 2021, Robust Video Matting, evaluation/evaluate_hr.py", NULL);
MATTE_FRAMES(rvm_conn_f32, rvm_conn, 0, 1, METRIC_FILTERS,
             "connectivity error over 1000 in float32, mean of the frames. 8-bit values on a threshold decide "
             "differently in double: conn_f64",
             RVM, NULL);
MATTE_FRAMES(conn_f64, conn, 0, 1, METRIC_FILTERS, "connectivity error over 1000 in double, mean of the frames", MM,
             NULL);
MATTE_FRAMES(dtssd_rvm, dtssd_rvm, 0, 2, METRIC_PIXELS,
             "root mean square error of the frame difference of alpha times 100; the first frame counts as 0 in the "
             "mean, as in the source",
             RVM, NULL);
MATTE_FRAMES(dtssd_rvm_noframe0, dtssd_pairs, 0, 2, METRIC_PIXELS, "dtssd_rvm averaged over the pairs of frames", RVM,
             NULL);
MATTE_FRAMES(mm_sad, mm_sad, TRIMAP, 1, METRIC_PIXELS,
             "sum of absolute errors in the trimap's unknown region over 1000, mean of the frames", MM, NULL);
MATTE_FRAMES(mm_mse, mm_mse, TRIMAP, 1, METRIC_PIXELS,
             "mean squared error in the trimap's unknown region (0 where there is none), mean of the frames", MM,
             NULL);
MATTE_FRAMES(mm_grad, mm_grad, TRIMAP, 1, METRIC_FILTERS, "rvm_grad_lr summed in the trimap's unknown region", MM,
             NULL);
MATTE_FRAMES(mm_conn_f64, conn, TRIMAP, 1, METRIC_FILTERS, "conn_f64 summed in the trimap's unknown region", MM,
             NULL);
MATTE_FRAMES(tc_msad, tc_msad, TRIMAP, 1, METRIC_PIXELS,
             "mean absolute error in the trimap's unknown region, mean of the frames", TCVOM, METRIC_NO_UNKNOWN);
MATTE_FRAMES(tc_mse, tc_mse, TRIMAP, 1, METRIC_PIXELS,
             "mean squared error in the trimap's unknown region, mean of the frames", TCVOM, METRIC_NO_UNKNOWN);
MATTE_FRAMES(tc_ssda, tc_ssda, TRIMAP, 1, METRIC_PIXELS,
             "root of the summed squared errors in the trimap's unknown region, mean of the frames", TCVOM, NULL);
MATTE_FRAMES(
    dtssd_tcvom, dtssd_tcvom, TRIMAP, 2, METRIC_PIXELS,
    "root of the summed squared errors of alpha's frame difference in the unknown region; the last frame counts "
    "as 0 in the mean, as in the source",
    TCVOM, NULL);
MATTE_FRAMES(
    messddt, messddt, TRIMAP, 2, METRIC_FLOWS,
    "summed change of the squared error along the motion of the true alpha, in the unknown region; the last "
    "frame counts as 0 in the mean. Motion is Farneback's on the true alpha's 8-bit frames, to 1/100 px, valid "
    "everywhere",
    TCVOM, NULL);
MATTE_FRAMES(messddt_fix, messddt_fix, TRIMAP, 2, METRIC_FLOWS,
             "messddt with the change of the error itself for that of its square", TCVOM, NULL);

#define FOREGROUND                                                                                                   \
  .version = 1, .tier = 2, .cost = METRIC_PIXELS, .direction = METRIC_DOWN, .unit = "1", .lo = 0, .hi = 1000,        \
  .plane = METRIC_RGB, .picture = METRIC_STRAIGHT, .needs = METRIC_NEEDS_ALPHA | METRIC_NEEDS_REFERENCE,             \
  .min_frames = 1, .citation = RVM, .reasons = (const char *const[]) {                                               \
    METRIC_NO_COLOUR, NULL                                                                                           \
  }

const metric metric_rvm_fgr_mad = {
    FOREGROUND,
    .id = "rvm_fgr_mad",
    .help =
        "mean absolute error of the foreground colour times 1000, where both alphas are at least 8/255 and so have "
        "one (the source: where the true alpha is above 0)",
    .score = fgr_mad,
};

const metric metric_rvm_fgr_mse = {
    FOREGROUND,
    .id = "rvm_fgr_mse",
    .help = "mean squared error of the foreground colour times 1000, where both alphas are at least 8/255",
    .score = fgr_mse,
};
