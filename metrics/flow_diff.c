#include "metrics/flow_diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/band.h"
#include "metrics/flow.h"
#include "metrics/memo.h"
#include "metrics/metric.h"

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
  memo *m;
  flows f;
  unsigned char *mask = NULL;
  TRY(memo_of(e, v, "flows in the mask", sizeof *b, &m));
  if (!m->made) {
    TRY(both_flows(e, v, FLOW_LUMA8, FLOW_ALPHA8, &f));
    TRY(mem_new(e, f.n, 1, "flow mask", &mask));
    for (int64_t i = 0; i < f.n; i++) mask[i] = v->alpha[i] >= 0.5f;
    *(flow_band *)m->data = flow_diff_band(f.rgb, f.alpha, mask, f.n);
    m->made = 1;
  }
  *b = *(flow_band *)m->data;
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
  int64_t n = (int64_t)(v->frames - 1) * v->height * v->width;
  const unsigned char *band;
  memo *m;
  flows f;
  TRY(memo_of(e, v, "flows in the band", sizeof *b, &m));
  if (!m->made) {
    TRY(band_of(e, v, &band));
    if (memchr(band, 1, (size_t)n)) { /* else no flow is needed */
      TRY(both_flows(e, v, FLOW_LUMA_STRETCHED, FLOW_ALPHA_STRETCHED, &f));
      *(flow_band *)m->data = flow_diff_band(f.rgb, f.alpha, band, f.n);
    }
    m->made = 1;
  }
  *b = *(flow_band *)m->data;
out:
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

flow_lags flow_diff_lags(const flow_pairs *p, int threads) {
  flow_lags out = {.best = -1};
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int i = 0; i < FLOW_LAGS; i++) {
    int k = i - FLOW_LAG, t0 = k < 0 ? -k : 0, t1 = k > 0 ? p->pairs - k : p->pairs;
    int64_t from = t0 * p->n, to = (t0 + k) * p->n;
    flow_band b = {0};
    if (t1 > t0) b = flow_diff_band(p->fc + 2 * from, p->fa + 2 * to, p->band + to, (t1 - t0) * p->n);
    out.cost[i] = b.pixels && !b.still ? b.rel : NAN;
    if (k == 0) out.banded = b.pixels > 0, out.pixels = b.pixels;
  }
  for (int d = 0; d <= FLOW_LAG; d++)
    for (int side = -1; side <= 1; side += 2) {
      int i = FLOW_LAG + side * d;
      if (!isnan(out.cost[i]) && (out.best < 0 || out.cost[i] < out.cost[out.best])) out.best = i;
    }
  return out;
}

static int lag(err *e, const metric_view *v, flow_lags *out) {
  int rc = OK;
  const unsigned char *band;
  memo *m;
  flows f;
  TRY(memo_of(e, v, "flows at lags", sizeof *out, &m));
  if (!m->made) {
    TRY(band_of(e, v, &band));
    TRY(both_flows(e, v, FLOW_LUMA_STRETCHED, FLOW_ALPHA_STRETCHED, &f));
    flow_pairs p = {f.rgb, f.alpha, band, v->frames - 1, (int64_t)v->height * v->width};
    *(flow_lags *)m->data = flow_diff_lags(&p, v->threads);
    m->made = 1;
  }
  *out = *(flow_lags *)m->data;
out:
  return rc;
}

static int lag_undefined(const flow_lags *l, metric_value *out) {
  return metric_undefined(out, l->banded ? METRIC_STATIC : METRIC_NO_BAND, l->pixels);
}

static int alpha_lag(err *e, const metric_view *v, metric_value *out) {
  flow_lags l;
  int rc = lag(e, v, &l);
  if (rc != OK) return rc;
  return l.best < 0 ? lag_undefined(&l, out) : metric_defined(out, l.best - FLOW_LAG, l.pixels);
}

static int abs_lag(err *e, const metric_view *v, metric_value *out) {
  flow_lags l;
  int rc = lag(e, v, &l);
  if (rc != OK) return rc;
  return l.best < 0 ? lag_undefined(&l, out) : metric_defined(out, abs(l.best - FLOW_LAG), l.pixels);
}

/* The nearer of the two neighbouring costs over the smallest. */
static int lag_contrast(err *e, const metric_view *v, metric_value *out) {
  flow_lags l;
  int rc = lag(e, v, &l);
  if (rc != OK) return rc;
  if (l.best < 0) return lag_undefined(&l, out);
  double beside = INFINITY, best = l.cost[l.best];
  if (l.best > 0 && !isnan(l.cost[l.best - 1])) beside = l.cost[l.best - 1];
  if (l.best < FLOW_LAGS - 1 && !isnan(l.cost[l.best + 1])) beside = fmin(beside, l.cost[l.best + 1]);
  if (isinf(beside)) return metric_undefined(out, METRIC_TOO_FEW_FRAMES, l.pixels);
  if (best <= 0) return metric_undefined(out, METRIC_IDENTICAL, l.pixels);
  return metric_defined(out, beside / best, l.pixels);
}

#define FLOW_DIFF                                                                                                    \
  .plane = METRIC_JOINT, .needs = METRIC_NEEDS_ALPHA, .tier = 1, .cost = METRIC_FLOWS, .min_frames = 2,              \
  .params = flow_params
#define CITE_FARNEBACK "Farneback 2003, Two-frame motion estimation based on polynomial expansion, as in OpenCV"

const metric metric_fd_full = {
    FLOW_DIFF,
    .id = "fd_full",
    .version = 2,
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
    .version = 2,
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
    .version = 2,
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
    .version = 1,
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
    .version = 1,
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
    .version = 1,
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
    .version = 1,
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
    .version = 1,
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

const metric metric_alpha_lag = {
    FLOW_DIFF,
    .id = "alpha_lag",
    .version = 1,
    .direction = METRIC_NONE,
    .unit = "frames",
    .lo = -FLOW_LAG,
    .hi = FLOW_LAG,
    .picture = METRIC_DECODED,
    .help =
        "frames by which alpha trails the picture: the shift with the smallest fd_band_rel, within 4 frames. Needs "
        "motion that changes over time: under steady or periodic motion it is arbitrary, see alpha_lag_contrast",
    .citation = "own definition",
    .reasons = (const char *const[]){METRIC_NO_BAND, METRIC_STATIC, NULL},
    .score = alpha_lag,
};

const metric metric_abs_lag = {
    FLOW_DIFF,
    .id = "abs_lag",
    .version = 1,
    .direction = METRIC_DOWN,
    .unit = "frames",
    .lo = 0,
    .hi = FLOW_LAG,
    .picture = METRIC_DECODED,
    .gain_ok = 1,
    .help = "size of alpha_lag",
    .citation = "own definition",
    .reasons = (const char *const[]){METRIC_NO_BAND, METRIC_STATIC, NULL},
    .score = abs_lag,
};

const metric metric_alpha_lag_contrast = {
    FLOW_DIFF,
    .id = "alpha_lag_contrast",
    .version = 1,
    .direction = METRIC_NONE,
    .unit = "1",
    .lo = 0,
    .hi = INFINITY,
    .picture = METRIC_DECODED,
    .help =
        "fd_band_rel one frame beside alpha_lag, the smaller side, over its minimum: under about 2 the lag is not "
        "identified",
    .citation = "own definition",
    .reasons = (const char *const[]){METRIC_NO_BAND, METRIC_STATIC, METRIC_IDENTICAL, NULL},
    .score = lag_contrast,
};
