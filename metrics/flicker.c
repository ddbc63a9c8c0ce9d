/* Flicker and amount of motion (spec/metrics.md 3.4). */
#include "metrics/flicker.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics/code8.h"
#include "metrics/flow.h"
#include "metrics/metric.h"
#include "metrics/plane.h"

/* 1 - mean absolute difference of neighbouring frames of 8-bit codes x [T][n], over 255. */
static double steadiness(const unsigned char *x, int frames, int64_t n) {
  int64_t sum = 0;
  for (int64_t i = 0; i < (frames - 1) * n; i++) sum += abs(x[i + n] - x[i]);
  return (255 - (double)sum / ((double)(frames - 1) * (double)n)) / 255;
}

static int alpha_steady(err *e, const metric_view *v, metric_value *out) {
  int64_t n = (int64_t)v->height * v->width;
  unsigned char *x;
  int rc = mem_new(e, v->frames * n, 1, "flicker", &x);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < v->frames * n; i++) x[i] = (unsigned char)code8((double)v->alpha[i]);
  rc = metric_defined(out, steadiness(x, v->frames, n), v->frames - 1);
  free(x);
  return rc;
}

/* The picture over grey level `ground`; ground 0 leaves the picture as it is. */
static int picture_steady(err *e, const metric_view *v, double ground, metric_value *out) {
  int64_t n = 3 * (int64_t)v->height * v->width;
  unsigned char *x;
  int rc = mem_new(e, v->frames * n, 1, "flicker", &x);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < v->frames * n; i++) {
    double c = (double)v->rgb[i], exact = product8(v->rgb[i]);
    if (exact >= 0) c = exact / 65025; /* alpha over mid grey has ties that float moves */
    if (ground > 0) c += (1 - (double)v->alpha[i / 3]) * ground;
    x[i] = (unsigned char)code8(c);
  }
  rc = metric_defined(out, steadiness(x, v->frames, n), v->frames - 1);
  free(x);
  return rc;
}

static int rgb_steady(err *e, const metric_view *v, metric_value *out) {
  return picture_steady(e, v, 0, out);
}

static int composite_steady(err *e, const metric_view *v, metric_value *out) {
  return picture_steady(e, v, 0.5, out);
}

static int mean_flow(err *e, const metric_view *v, metric_value *out) {
  const float *f;
  fb_params p = flow_read_params(v->param);
  int rc = flow_of(e, v, FLOW_LUMA8, FLOW_FORWARD, &p, &f);
  if (rc != OK) return rc;
  int64_t n = (int64_t)(v->frames - 1) * v->height * v->width;
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += sqrt((double)f[2 * i] * (double)f[2 * i] + (double)f[2 * i + 1] * (double)f[2 * i + 1]);
  return metric_defined(out, sum / (double)n, n);
}

double flow_fastest(const float *flow, int64_t n, float *scratch) {
  int64_t top = n / 20 ? n / 20 : 1, above = 0;
  for (int64_t i = 0; i < n; i++) scratch[i] = sqrtf(flow[2 * i] * flow[2 * i] + flow[2 * i + 1] * flow[2 * i + 1]);
  double sum = 0, edge = plane_quantile(scratch, n, n > 1 ? (double)(n - top) / (double)(n - 1) : 0);
  for (int64_t i = 0; i < n; i++)
    if ((double)scratch[i] > edge) sum += (double)scratch[i], above++;
  return (sum + (double)(top - above) * edge) / (double)top;
}

/* Every step-th frame of the clip's 8-bit luma, and its flow. */
static int decimated(err *e, const metric_view *v, int step, int kept, float **flow) {
  int rc = OK;
  int64_t n = (int64_t)v->height * v->width;
  float *image = NULL;
  fb_params p = flow_read_params(v->param);
  TRY(mem_new(e, kept * n, sizeof(float), "thinned frames", &image));
  TRY(mem_new(e, 2 * (kept - 1) * n, sizeof(float), "flow of thinned frames", flow));
  for (int k = 0; k < kept; k++)
    TRY(flow_image(e, v->rgb + 3 * (int64_t)k * step * n, FLOW_LUMA8, n, 1, image + k * n));
  fb_job job = {
      .x = image, .frames = kept, .height = v->height, .width = v->width, .forward = *flow, .threads = v->threads};
  TRY(fb_flows(e, &p, &job));
out:
  free(image);
  return rc;
}

static int dynamic_degree(err *e, const metric_view *v, metric_value *out) {
  int rc = OK, moving = 0;
  double fps = v->fps > 0 ? v->fps : 8;
  int step = (int)fmax(1, fmin(v->frames, rint(fps / 8))), kept = (v->frames + step - 1) / step;
  int64_t n = (int64_t)v->height * v->width;
  double limit = fmax(1, 8 / fps) * 6 * (v->height < v->width ? v->height : v->width) / 256;
  float *own = NULL, *length = NULL;
  const float *f;
  fb_params p = flow_read_params(v->param);
  if (kept < 2) return metric_undefined(out, METRIC_TOO_FEW_FRAMES, kept);
  if (step == 1) TRY(flow_of(e, v, FLOW_LUMA8, FLOW_FORWARD, &p, &f));
  if (step > 1) {
    TRY(decimated(e, v, step, kept, &own));
    f = own;
  }
  TRY(mem_new(e, n, sizeof(float), "flow lengths", &length));
  for (int t = 0; t < kept - 1; t++, f += 2 * n) moving += flow_fastest(f, n, length) > limit;
  rc = metric_defined(out, moving >= rint(4 * kept / 16.0), kept - 1);
out:
  free(own), free(length);
  return rc;
}

#define STEADY                                                                                                       \
  .tier = 1, .cost = METRIC_PIXELS, .direction = METRIC_UP, .unit = "1", .lo = 0, .hi = 1, .min_frames = 2,          \
  .reasons = (const char *const[]){NULL},                                                                            \
  .citation = "Huang et al. 2024, VBench, temporal_flickering.py, without its filter for static clips"
#define MOTION                                                                                                       \
  .version = 2, .tier = 1, .cost = METRIC_FLOWS, .lo = 0, .plane = METRIC_RGB, .picture = METRIC_SHOWN,              \
  .min_frames = 2, .params = flow_params

const metric metric_flicker_vbench = {
    STEADY,
    .id = "flicker_vbench",
    .version = 1,
    .plane = METRIC_ALPHA,
    .picture = METRIC_NO_PICTURE,
    .needs = METRIC_NEEDS_ALPHA,
    .help = "1 minus the mean absolute difference of neighbouring frames of 8-bit alpha. Mostly measures lack of "
            "motion: a frozen clip scores 1",
    .score = alpha_steady,
};

const metric metric_flicker_vbench_rgb = {
    STEADY,
    .id = "flicker_vbench_rgb",
    .version = 1,
    .plane = METRIC_RGB,
    .picture = METRIC_SHOWN,
    .help = "flicker_vbench of the picture",
    .score = rgb_steady,
};

const metric metric_flicker_vbench_composite = {
    STEADY,
    .id = "flicker_vbench_composite",
    .version = 2,
    .plane = METRIC_RGB,
    .picture = METRIC_PREMULTIPLIED,
    .needs = METRIC_NEEDS_ALPHA,
    .help = "flicker_vbench of the picture over mid grey, where alpha's flicker shows as well",
    .score = composite_steady,
};

const metric metric_mean_flow = {
    MOTION,
    .id = "mean_flow",
    .direction = METRIC_NONE,
    .unit = "px/frame",
    .hi = INFINITY,
    .help = "mean length of the flow of the picture: how much there is to flicker or to tear",
    .citation = "own definition",
    .reasons = (const char *const[]){NULL},
    .score = mean_flow,
};

const metric metric_dynamic_degree_fb = {
    MOTION,
    .id = "dynamic_degree_fb",
    .direction = METRIC_NONE,
    .unit = "1",
    .hi = 1,
    .help =
        "1 when the clip moves: the fastest 5 % of the pixels exceed 6/256 of the shorter side (times 8/fps below "
        "8 frames/s) in a quarter of the frames, after thinning to about 8 frames/s. Needs the true frame rate; "
        "unknown counts as 8",
    .citation = "rule of Huang et al. 2024, VBench, dynamic_degree.py, with Farneback flow for RAFT",
    .reasons = (const char *const[]){METRIC_TOO_FEW_FRAMES, NULL},
    .score = dynamic_degree,
};
