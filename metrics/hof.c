/* Histograms of optical flow of a clip's picture and alpha (spec/metrics.md 3.9.5, D1). */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/extract.h"
#include "metrics/flow.h"

static const double pi = 3.14159265358979323846;

/* In double: float would move angles just below a bin's edge into it. */
int hof_bin(double u, double v) {
  return (int)floor((atan2(v, u) + pi) / (2 * pi) * HOF_BINS) % HOF_BINS;
}

typedef struct fields {
  const float *flow;
  int count, height, width;
  int difference; /* of field t + 1 and field t, instead of field t */
} fields;

static void histogram(const fields *f, double out[HOF_FIELD]) {
  int64_t n = (int64_t)f->height * f->width;
  int top = f->height / 2, left = f->width / 2;
  memset(out, 0, HOF_FIELD * sizeof *out);
  for (int64_t i = 0; i < f->count * n; i++) {
    int64_t y = i % n / f->width, x = i % n % f->width;
    double u = (double)f->flow[2 * i], v = (double)f->flow[2 * i + 1];
    if (f->difference) u = (double)f->flow[2 * (i + n)] - u, v = (double)f->flow[2 * (i + n) + 1] - v;
    int cell = 2 * (y >= top) + (x >= left);
    out[cell * HOF_BINS + hof_bin(u, v)] += log2(1 + sqrt(u * u + v * v));
  }
  for (int k = 0; k < HOF_FIELD; k++) {
    int cell = k / HOF_BINS;
    double pixels = (double)(cell / 2 ? f->height - top : top) * (cell % 2 ? f->width - left : left);
    if (pixels * f->count > 0) out[k] /= pixels * f->count;
  }
}

void hof_histogram(const float *flow, int count, int height, int width, double out[HOF_FIELD]) {
  histogram(&(fields){flow, count, height, width, 0}, out);
}

void hof_difference(const float *flow, int count, int height, int width, double out[HOF_FIELD]) {
  histogram(&(fields){flow, count - 1, height, width, 1}, out);
}

static int extract(err *e, const metric_view *v, set_rows *out) {
  int rc = OK, streams = v->alpha ? 2 : 1;
  static const flow_stream stream[] = {FLOW_LUMA_STRETCHED, FLOW_ALPHA_STRETCHED};
  fb_params p = fb_defaults();
  out->rows = 1;
  out->dim = 2 * HOF_FIELD * streams;
  TRY(mem_new(e, out->dim, sizeof *out->x, "hof", &out->x));
  for (int k = 0; k < streams; k++) {
    const float *flow;
    TRY(flow_of(e, v, stream[k], FLOW_FORWARD, &p, &flow));
    double *to = out->x + 2 * k * HOF_FIELD;
    hof_histogram(flow, v->frames - 1, v->height, v->width, to);
    hof_difference(flow, v->frames - 1, v->height, v->width, to + HOF_FIELD);
  }
out:
  return rc;
}

const set_extractor set_hof = {
    .id = "hof",
    .version = 1,
    .alpha = SET_ALPHA_CHOICE,
    .picture = METRIC_SHOWN,
    .min_frames = 3,
    .min_side = 2,
    .params = (const metric_param[]){SET_ALPHA_ROW, {0}},
    .help =
        "128 numbers: for the flow of the picture's luma, its change over time, the flow of alpha and its change, a "
        "histogram in 2x2 cells by 8 directions, weighted by log2(1 + length). Both streams stretched to full "
        "contrast per clip, flow with the defaults of fd_full. alpha=0: the picture's 64",
    .citation = "after FVMD (Liu et al. 2024), with flow in place of tracks",
    .extract = extract,
};
