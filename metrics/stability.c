/* Does a stream stay the same along the motion of the picture: warping errors (spec/metrics.md 3.3). */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics/band.h"
#include "metrics/code8.h"
#include "metrics/flow.h"
#include "metrics/memo.h"
#include "metrics/metric.h"
#include "metrics/warp.h"

/* Per pixel: E = moved, D = still. */
typedef struct alpha_warp {
  double e, d;
  int64_t pixels;
} alpha_warp;

static int pool(err *e, const metric_view *v, alpha_warp *out) {
  int rc = OK, pairs = v->frames - 1;
  int64_t n = (int64_t)v->height * v->width;
  const float *f, *b;
  const unsigned char *band;
  unsigned char *mask = NULL;
  warp_sums *part = NULL, all = {0};
  fb_params p = flow_read_params(v->param);
  TRY(flow_of(e, v, FLOW_LUMA_STRETCHED, FLOW_FORWARD, &p, &f));
  TRY(flow_of(e, v, FLOW_LUMA_STRETCHED, FLOW_BACKWARD, &p, &b));
  TRY(band_of(e, v, &band));
  TRY(mem_new(e, v->threads * n, 1, "alpha warp", &mask));
  TRY(mem_new(e, pairs, sizeof *part, "alpha warp", &part));
#pragma omp parallel for num_threads(v->threads) schedule(static)
  for (int t = 0; t < pairs; t++) {
    warp_pair pair = {v->alpha + t * n, v->alpha + (t + 1) * n, f + 2 * t * n, b + 2 * t * n, band + t * n, v->height,
                      v->width};
    part[t] = warp_alpha(&pair, mask + omp_get_thread_num() * n);
  }
  for (int t = 0; t < pairs; t++)
    all.moved += part[t].moved, all.still += part[t].still, all.pixels += part[t].pixels;
  *out = (alpha_warp){.pixels = all.pixels};
  if (all.pixels) out->e = all.moved / (double)all.pixels, out->d = all.still / (double)all.pixels;
out:
  free(mask), free(part);
  return rc;
}

static int pooled(err *e, const metric_view *v, alpha_warp *out) {
  int rc = OK;
  memo *m;
  TRY(memo_of(e, v, "alpha along the flow", sizeof *out, &m));
  if (!m->made) TRY(pool(e, v, m->data));
  m->made = 1;
  *out = *(alpha_warp *)m->data;
out:
  return rc;
}

static int warp_e(err *e, const metric_view *v, metric_value *out) {
  alpha_warp w;
  int rc = pooled(e, v, &w);
  if (rc != OK) return rc;
  return w.pixels ? metric_defined(out, w.e, w.pixels) : metric_undefined(out, METRIC_NO_BAND, 0);
}

static int warp_r(err *e, const metric_view *v, metric_value *out) {
  alpha_warp w;
  int rc = pooled(e, v, &w);
  if (rc != OK) return rc;
  if (!w.pixels) return metric_undefined(out, METRIC_NO_BAND, 0);
  if (w.d < 1e-3) return metric_undefined(out, METRIC_STATIC, w.pixels);
  return metric_defined(out, w.e / w.d, w.pixels);
}

enum { FLOW_PARAMS = 7, RGB_SUM = FLOW_PARAMS };

/* 8-bit colour of the whole clip, scaled back to [0,1]. */
static int rounded(err *e, const metric_view *v, float **out) {
  int64_t n = 3 * (int64_t)v->frames * v->height * v->width;
  int rc = mem_new(e, n, sizeof(float), "8-bit picture", out);
  for (int64_t i = 0; rc == OK && i < n; i++) (*out)[i] = (float)(code8((double)v->rgb[i]) / 255.0);
  return rc;
}

static int rgb_error(err *e, const metric_view *v, metric_value *out) {
  int rc = OK, pairs = v->frames - 1;
  int64_t n = (int64_t)v->height * v->width;
  const float *f, *b;
  float *rgb = NULL;
  unsigned char *mask = NULL;
  double *part = NULL, sum = 0;
  fb_params p = flow_read_params(v->param);
  TRY(flow_of(e, v, FLOW_LUMA8, FLOW_FORWARD, &p, &f));
  TRY(flow_of(e, v, FLOW_LUMA8, FLOW_BACKWARD, &p, &b));
  TRY(rounded(e, v, &rgb));
  TRY(mem_new(e, 2 * v->threads * n, 1, "warp masks", &mask));
  TRY(mem_new(e, pairs, sizeof *part, "warp errors", &part));
#pragma omp parallel for num_threads(v->threads) schedule(static)
  for (int t = 0; t < pairs; t++) {
    unsigned char *keep = mask + 2 * omp_get_thread_num() * n, *edge = keep + n;
    warp_occluded(f + 2 * t * n, b + 2 * t * n, v->height, v->width, keep);
    warp_boundary(f + 2 * t * n, v->height, v->width, edge);
    for (int64_t i = 0; i < n; i++) keep[i] = !(keep[i] || edge[i]);
    part[t] = warp_error(rgb + 3 * t * n, rgb + 3 * (t + 1) * n, f + 2 * t * n, keep, v->height, v->width);
  }
  for (int t = 0; t < pairs; t++) sum += part[t];
  rc = metric_defined(out, (v->param[RGB_SUM] != 0 ? 3 : 1) * sum / pairs, pairs);
out:
  free(rgb), free(mask), free(part);
  return rc;
}

/* Sum over pixels and channels of |now - mean of the two neighbours along the flows to them|. */
static double between(const metric_view *v, const float *now, const float *back, const float *ahead) {
  const int64_t n = (int64_t)v->height * v->width;
  double sum = 0;
  for (int64_t i = 0; i < n; i++) {
    int x = (int)(i % v->width), y = (int)(i / v->width);
    warp_taps k = warp_at(back, x, y, v->height, v->width), l = warp_at(ahead, x, y, v->height, v->width);
    for (int c = 0; c < 3; c++) {
      double mean = (warp_sample(&k, now - 3 * n, 3, c) + warp_sample(&l, now + 3 * n, 3, c)) / 2;
      sum += fabs((double)now[3 * i + c] - mean);
    }
  }
  return sum;
}

static int midframe(err *e, const metric_view *v, metric_value *out) {
  int rc = OK, inner = v->frames - 2;
  int64_t n = (int64_t)v->height * v->width;
  const float *f, *b;
  float *rgb = NULL;
  double *part = NULL, sum = 0;
  fb_params p = flow_read_params(v->param);
  TRY(flow_of(e, v, FLOW_LUMA8, FLOW_FORWARD, &p, &f));
  TRY(flow_of(e, v, FLOW_LUMA8, FLOW_BACKWARD, &p, &b));
  TRY(rounded(e, v, &rgb));
  TRY(mem_new(e, inner, sizeof *part, "middle frames", &part));
#pragma omp parallel for num_threads(v->threads) schedule(static)
  for (int t = 0; t < inner; t++) part[t] = between(v, rgb + 3 * (t + 1) * n, b + 2 * t * n, f + 2 * (t + 1) * n);
  for (int t = 0; t < inner; t++) sum += part[t];
  rc = metric_defined(out, sum / (3 * (double)n * inner), inner);
out:
  free(rgb), free(part);
  return rc;
}

static const metric_param rgb_params[] = {
    FLOW_PARAM_ROWS,
    {"sum", "1: summed over the colour channels, as EvalCrafter, three times the mean", 0, 0, 1, 1},
    {0},
};

#define ALPHA_WARP                                                                                                   \
  .version = 1, .tier = 1, .cost = METRIC_FLOWS, .direction = METRIC_DOWN, .unit = "1", .lo = 0,                     \
  .plane = METRIC_JOINT, .picture = METRIC_DECODED, .needs = METRIC_NEEDS_ALPHA, .min_frames = 2, .gain_ok = 1,      \
  .params = flow_params, .citation = "alpha flow loss of Kasten et al. 2021, Layered Neural Atlases (eq. 12)"

const metric metric_alpha_warp_R = {
    ALPHA_WARP,
    .id = "alpha_warp_R",
    .hi = INFINITY,
    .help = "change of alpha along the picture's flow over its change in place, near alpha's edges where forward and "
            "backward flow agree: 0 when the picture's motion explains alpha's, 1 when it does not help. A blurred "
            "alpha scores better and shifts do not show: read it with edge_corr and alpha_soft_frac",
    .reasons = (const char *const[]){METRIC_NO_BAND, METRIC_STATIC, NULL},
    .score = warp_r,
};

const metric metric_alpha_warp_E = {
    ALPHA_WARP,
    .id = "alpha_warp_E",
    .hi = 1,
    .help = "mean absolute change of alpha along the picture's flow, near alpha's edges where forward and backward "
            "flow agree. A still or blurred alpha scores well: read it with alpha_warp_R",
    .reasons = (const char *const[]){METRIC_NO_BAND, NULL},
    .score = warp_e,
};

const metric metric_rgb_warp_error = {
    .id = "rgb_warp_error",
    .version = 2,
    .tier = 1,
    .cost = METRIC_FLOWS,
    .direction = METRIC_DOWN,
    .unit = "1",
    .lo = 0,
    .hi = 3,
    .plane = METRIC_RGB,
    .picture = METRIC_SHOWN,
    .min_frames = 2,
    .params = rgb_params,
    .help = "mean squared change of the 8-bit picture along its own flow, without occlusions and motion "
            "boundaries, mean of the pairs. A still clip scores 0: read it with mean_flow",
    .citation = "Lai et al. 2018, Learning Blind Video Temporal Consistency, evaluate_WarpError.py, with Farneback "
                "flow of the clip itself; sum=1: EvalCrafter",
    .reasons = (const char *const[]){NULL},
    .score = rgb_error,
};

const metric metric_midframe_residual = {
    .id = "midframe_residual",
    .version = 1,
    .tier = 1,
    .cost = METRIC_FLOWS,
    .direction = METRIC_DOWN,
    .unit = "1",
    .lo = 0,
    .hi = 1,
    .plane = METRIC_RGB,
    .picture = METRIC_SHOWN,
    .min_frames = 3,
    .params = flow_params,
    .help =
        "mean absolute difference of every frame between two others to the mean of its neighbours along its flows to "
        "them: jerks and flicker. The flows see the middle frame, occlusions count, and a still clip scores 0: "
        "read it with mean_flow. Not VBench's motion smoothness, which has a trained interpolator",
    .citation = "own definition",
    .reasons = (const char *const[]){NULL},
    .score = midframe,
};
