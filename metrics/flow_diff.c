#include "metrics/flow_diff.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics/flow.h"
#include "metrics/metric.h"
#include "metrics/plane.h"

static double length(double u, double v) {
  return sqrt(u * u + v * v);
}

double flow_diff_full(const float *fc, const float *fa, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += length((double)fc[2 * i] - (double)fa[2 * i], (double)fc[2 * i + 1] - (double)fa[2 * i + 1]);
  return sum / (double)n;
}

flow_band flow_diff_band(const float *fc, const float *fa, const unsigned char *mask, int64_t n) {
  flow_band b = {.still = 1, .cos = NAN, .logmag = NAN};
  double d = 0, c = 0, a = 0, dot = 0, both = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!mask[i]) continue;
    double cu = (double)fc[2 * i], cv = (double)fc[2 * i + 1], au = (double)fa[2 * i], av = (double)fa[2 * i + 1];
    double lc = length(cu, cv), la = length(au, av);
    b.pixels++;
    d += length(cu - au, cv - av);
    c += lc, a += la;
    dot += cu * au + cv * av;
    both += lc * la;
  }
  if (!b.pixels) return b;
  b.px = d / (double)b.pixels;
  b.rgb = c / (double)b.pixels;
  b.still = (c + a) / (double)b.pixels < 0.1;
  if (!b.still) b.rel = fmin(1, d / (c + a)); /* triangle inequality, but for rounding */
  if (fmin(c, a) / (double)b.pixels < 1e-3) return b;
  b.logmag = log(a / c);
  if (both > 0) b.cos = fmax(-1, fmin(1, dot / both)); /* both may be 0 where the fields never meet */
  return b;
}

typedef struct flows {
  const float *rgb, *alpha; /* [pairs * pixels][2] */
  int64_t n;                /* vectors */
} flows;

static int both_flows(err *e, const metric_view *v, flow_stream rgb, flow_stream alpha, flows *out) {
  int rc = OK;
  fb_params p = flow_read_params(v->param);
  out->n = (int64_t)(v->frames - 1) * v->height * v->width;
  TRY(flow_of(e, v, rgb, FLOW_FORWARD, &p, &out->rgb));
  TRY(flow_of(e, v, alpha, FLOW_FORWARD, &p, &out->alpha));
out:
  return rc;
}

static int full(err *e, const metric_view *v, metric_value *out) {
  flows f;
  int rc = both_flows(e, v, FLOW_LUMA8, FLOW_ALPHA8, &f);
  return rc == OK ? metric_defined(out, flow_diff_full(f.rgb, f.alpha, f.n), f.n) : rc;
}

/* Over alpha >= one half in the first frame of each pair. */
static int masked(err *e, const metric_view *v, flow_band *b) {
  int rc = OK;
  flows f;
  unsigned char *mask = NULL;
  TRY(both_flows(e, v, FLOW_LUMA8, FLOW_ALPHA8, &f));
  TRY(mem_new(e, f.n, 1, "flow mask", &mask));
  for (int64_t i = 0; i < f.n; i++) mask[i] = v->alpha[i] >= 0.5f;
  *b = flow_diff_band(f.rgb, f.alpha, mask, f.n);
out:
  free(mask);
  return rc;
}

static int mask_px(err *e, const metric_view *v, metric_value *out) {
  flow_band b;
  int rc = masked(e, v, &b);
  if (rc != OK) return rc;
  return b.pixels ? metric_defined(out, b.px, b.pixels) : metric_undefined(out, METRIC_NO_MASK, 0);
}

static int mask_rel(err *e, const metric_view *v, metric_value *out) {
  flow_band b;
  int rc = masked(e, v, &b);
  if (rc != OK) return rc;
  return b.pixels ? metric_defined(out, b.px / (b.rgb + 1e-6), b.pixels) : metric_undefined(out, METRIC_NO_MASK, 0);
}

/* Over the band of the tested alpha in the first frame of each pair, on stretched streams. */
static int banded(err *e, const metric_view *v, flow_band *b) {
  int rc = OK;
  int64_t n = (int64_t)v->height * v->width, pixels = 0;
  flows f;
  unsigned char *band = NULL;
  double *scratch = NULL;
  *b = (flow_band){0};
  TRY(mem_new(e, (v->frames - 1) * n, 1, "flow band", &band));
  TRY(mem_new(e, plane_band_scratch(v->height, v->width), sizeof(double), "flow band", &scratch));
  for (int t = 0; t < v->frames - 1; t++)
    pixels += plane_band(v->alpha + t * n, v->height, v->width, band + t * n, scratch);
  if (!pixels) goto out; /* no flow needed */
  TRY(both_flows(e, v, FLOW_LUMA_STRETCHED, FLOW_ALPHA_STRETCHED, &f));
  *b = flow_diff_band(f.rgb, f.alpha, band, f.n);
out:
  free(band), free(scratch);
  return rc;
}

static int band_px(err *e, const metric_view *v, metric_value *out) {
  flow_band b;
  int rc = banded(e, v, &b);
  if (rc != OK) return rc;
  return b.pixels ? metric_defined(out, b.px, b.pixels) : metric_undefined(out, METRIC_NO_BAND, 0);
}

static int band_rgb(err *e, const metric_view *v, metric_value *out) {
  flow_band b;
  int rc = banded(e, v, &b);
  if (rc != OK) return rc;
  return b.pixels ? metric_defined(out, b.rgb, b.pixels) : metric_undefined(out, METRIC_NO_BAND, 0);
}

/* A ratio of band sums: undefined without a band, without motion, or where the ratio itself is (NaN). */
static int band_ratio(const flow_band *b, double value, metric_value *out) {
  if (!b->pixels) return metric_undefined(out, METRIC_NO_BAND, 0);
  if (b->still || isnan(value)) return metric_undefined(out, METRIC_STATIC, b->pixels);
  return metric_defined(out, value, b->pixels);
}

static int band_rel(err *e, const metric_view *v, metric_value *out) {
  flow_band b;
  int rc = banded(e, v, &b);
  return rc == OK ? band_ratio(&b, b.rel, out) : rc;
}

static int band_cos(err *e, const metric_view *v, metric_value *out) {
  flow_band b;
  int rc = banded(e, v, &b);
  return rc == OK ? band_ratio(&b, b.cos, out) : rc;
}

static int band_logmag(err *e, const metric_view *v, metric_value *out) {
  flow_band b;
  int rc = banded(e, v, &b);
  return rc == OK ? band_ratio(&b, b.logmag, out) : rc;
}

#define FLOW_DIFF                                                                                                    \
  .version = 1, .plane = METRIC_JOINT, .needs = METRIC_NEEDS_ALPHA, .tier = 1, .cost = METRIC_FLOWS,                 \
  .min_frames = 2, .params = flow_params
#define CITE_FARNEBACK "Farneback 2003, Two-frame motion estimation based on polynomial expansion, as in OpenCV"

const metric metric_fd_full = {
    FLOW_DIFF,
    .id = "fd_full",
    .direction = METRIC_DOWN,
    .unit = "px/frame",
    .lo = 0,
    .hi = INFINITY,
    .picture = METRIC_DECODED,
    .gain_ok = 1,
    .help = "mean distance of the flow of the decoded 8-bit luma and the flow of 8-bit alpha over the whole frame. "
            "Dominated "
            "by the inside of opaque objects, where alpha has no texture; an alpha equal to luma scores 0",
    .citation = CITE_FARNEBACK,
    .reasons = (const char *const[]){NULL},
    .score = full,
};

const metric metric_fd_mask = {
    FLOW_DIFF,
    .id = "fd_mask",
    .direction = METRIC_DOWN,
    .unit = "px/frame",
    .lo = 0,
    .hi = INFINITY,
    .picture = METRIC_DECODED,
    .gain_ok = 1,
    .help = "fd_full over the pixels with alpha of at least one half in the first frame of each pair",
    .citation = CITE_FARNEBACK,
    .reasons = (const char *const[]){METRIC_NO_MASK, NULL},
    .score = mask_px,
};

const metric metric_fd_mask_rel = {
    FLOW_DIFF,
    .id = "fd_mask_rel",
    .direction = METRIC_DOWN,
    .unit = "1",
    .lo = 0,
    .hi = INFINITY,
    .picture = METRIC_DECODED,
    .gain_ok = 1,
    .help = "fd_mask over the mean length of the picture's flow there",
    .citation = CITE_FARNEBACK,
    .reasons = (const char *const[]){METRIC_NO_MASK, NULL},
    .score = mask_rel,
};

const metric metric_fd_band_px = {
    FLOW_DIFF,
    .id = "fd_band_px",
    .direction = METRIC_DOWN,
    .unit = "px/frame",
    .lo = 0,
    .hi = INFINITY,
    .picture = METRIC_DECODED,
    .gain_ok = 1,
    .help = "mean distance of the two flows near alpha's edges, both streams stretched to full contrast per clip",
    .citation = CITE_FARNEBACK,
    .reasons = (const char *const[]){METRIC_NO_BAND, NULL},
    .score = band_px,
};

const metric metric_fd_band_rel = {
    FLOW_DIFF,
    .id = "fd_band_rel",
    .direction = METRIC_DOWN,
    .unit = "1",
    .lo = 0,
    .hi = 1,
    .picture = METRIC_DECODED,
    .gain_ok = 1,
    .help = "summed distance of the two flows near alpha's edges over their summed lengths; 1 when one stream stands "
            "still. "
            "Says little under some 64 pixels a side or without motion: read it with fd_band_rgb",
    .citation = CITE_FARNEBACK,
    .reasons = (const char *const[]){METRIC_NO_BAND, METRIC_STATIC, NULL},
    .score = band_rel,
};

const metric metric_fd_band_cos = {
    FLOW_DIFF,
    .id = "fd_band_cos",
    .direction = METRIC_UP,
    .unit = "1",
    .lo = -1,
    .hi = 1,
    .picture = METRIC_DECODED,
    .gain_ok = 1,
    .help = "pooled cosine of the two flows near alpha's edges",
    .citation = CITE_FARNEBACK,
    .reasons = (const char *const[]){METRIC_NO_BAND, METRIC_STATIC, NULL},
    .score = band_cos,
};

const metric metric_fd_band_logmag = {
    FLOW_DIFF,
    .id = "fd_band_logmag",
    .direction = METRIC_NONE,
    .unit = "1",
    .lo = -INFINITY,
    .hi = INFINITY,
    .picture = METRIC_DECODED,
    .help = "ln of the flows' summed lengths near alpha's edges, alpha over picture: below 0 alpha moves too little",
    .citation = CITE_FARNEBACK,
    .reasons = (const char *const[]){METRIC_NO_BAND, METRIC_STATIC, NULL},
    .score = band_logmag,
};

const metric metric_fd_band_rgb = {
    FLOW_DIFF,
    .id = "fd_band_rgb",
    .direction = METRIC_NONE,
    .unit = "px/frame",
    .lo = 0,
    .hi = INFINITY,
    .picture = METRIC_DECODED,
    .help = "mean length of the picture's flow near alpha's edges: how much motion the other fd_band scores rest on",
    .citation = CITE_FARNEBACK,
    .reasons = (const char *const[]){METRIC_NO_BAND, NULL},
    .score = band_rgb,
};
