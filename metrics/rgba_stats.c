/* Fourteen statistics of a clip that tell designs apart (spec/metrics.md 3.9.5, D1). */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics/band.h"
#include "metrics/extract.h"
#include "metrics/flow.h"
#include "metrics/flow_diff.h"
#include "metrics/plane.h"
#include "metrics/warp.h"

enum { FLOW_DIFFERENCE, EDGES, WARP, COVERAGE, SOFT, CHANGE, LEAK, STATS };

/* Values over time, and how many there are. A statistic that no frame defines has the mean of `none` and no spread.
 */
typedef struct series {
  double *value[STATS]; /* [frames] each */
  int count[STATS];
} series;

static const double none[STATS] = {[FLOW_DIFFERENCE] = 1, [WARP] = 1};

static void add(series *s, int stat, double v) {
  s->value[stat][s->count[stat]++] = v;
}

typedef struct buffers {
  const float *forward, *backward, *flow_alpha;
  const unsigned char *band;
  float *luma;             /* [n] */
  double *gx, *gy, *a, *y; /* [n] */
  double *pad;             /* of plane_gradient */
  unsigned char *occluded; /* [n] */
} buffers;

static void magnitude(const float *x, const metric_view *v, buffers *b, double *out) {
  plane_gradient(x, 1, v->height, v->width, 1.4, b->gx, b->gy, b->pad);
  for (int64_t i = 0; i < (int64_t)v->height * v->width; i++)
    out[i] = sqrt(b->gx[i] * b->gx[i] + b->gy[i] * b->gy[i]);
}

static void of_frame(const metric_view *v, int t, buffers *b, series *s) {
  int64_t n = (int64_t)v->height * v->width, soft = 0, outside = 0;
  const float *alpha = v->alpha + t * n;
  double sum = 0, leak = 0;
  for (int64_t i = 0; i < n; i++) {
    double a = (double)alpha[i], y = plane_luma(v->rgb + 3 * (t * n + i));
    b->luma[i] = (float)y;
    sum += a;
    soft += a > 0.05 && a < 0.95;
    if (a < 0.02) leak += y, outside++;
  }
  add(s, COVERAGE, sum / (double)n);
  add(s, SOFT, (double)soft / (double)n);
  if (outside) add(s, LEAK, leak / (double)outside);
  magnitude(alpha, v, b, b->a);
  magnitude(b->luma, v, b, b->y);
  moments ma = plane_moments(b->a, n), my = plane_moments(b->y, n);
  if (ma.sd > 1e-6 && my.sd > 1e-6) add(s, EDGES, plane_corr(b->a, ma, b->y, my, n));
}

/* Frames t and t + 1. Where nothing moves no flow differs, and no change is left over. */
static void of_pair(const metric_view *v, int t, buffers *b, series *s) {
  int64_t n = (int64_t)v->height * v->width, kept = 0;
  const float *now = v->alpha + t * n, *next = now + n, *f = b->forward + 2 * t * n;
  const unsigned char *band = b->band + t * n;
  double change = 0, warped = 0, still = 0;
  for (int64_t i = 0; i < n; i++) change += fabs((double)next[i] - (double)now[i]);
  add(s, CHANGE, change / (double)n);
  flow_band d = flow_diff_band(f, b->flow_alpha + 2 * t * n, band, n);
  if (d.pixels) add(s, FLOW_DIFFERENCE, d.still ? 0 : d.rel);
  warp_occluded(f, b->backward + 2 * t * n, v->height, v->width, b->occluded);
  for (int64_t i = 0; i < n; i++) {
    if (!band[i] || b->occluded[i]) continue;
    warp_taps k = warp_at(f, (int)(i % v->width), (int)(i / v->width), v->height, v->width);
    warped += fabs((double)now[i] - warp_sample(&k, next, 1, 0));
    still += fabs((double)now[i] - (double)next[i]);
    kept++;
  }
  if (kept) add(s, WARP, still / (double)kept < 1e-3 ? 0 : warped / still);
}

static int prepare(err *e, const metric_view *v, buffers *b) {
  int rc = OK;
  int64_t n = (int64_t)v->height * v->width;
  fb_params p = fb_defaults();
  TRY(flow_of(e, v, FLOW_LUMA_STRETCHED, FLOW_FORWARD, &p, &b->forward));
  TRY(flow_of(e, v, FLOW_LUMA_STRETCHED, FLOW_BACKWARD, &p, &b->backward));
  TRY(flow_of(e, v, FLOW_ALPHA_STRETCHED, FLOW_FORWARD, &p, &b->flow_alpha));
  TRY(band_of(e, v, &b->band));
  TRY(mem_new(e, n, sizeof *b->luma, "rgba_stats", &b->luma));
  TRY(mem_new(e, n, 1, "rgba_stats", &b->occluded));
  TRY(mem_new(e, 4 * n + plane_scratch(v->height, v->width), sizeof *b->gx, "rgba_stats", &b->gx));
  b->gy = b->gx + n, b->a = b->gy + n, b->y = b->a + n, b->pad = b->y + n;
out:
  return rc;
}

static int extract(err *e, const metric_view *v, set_rows *out) {
  int rc = OK;
  buffers b = {0};
  series s = {0};
  double *block = NULL;
  out->rows = 1;
  out->dim = 2 * STATS;
  TRY(mem_new(e, out->dim, sizeof *out->x, "rgba_stats", &out->x));
  TRY(mem_new(e, STATS, v->frames * (int64_t)sizeof *block, "rgba_stats", &block));
  TRY(prepare(e, v, &b));
  for (int k = 0; k < STATS; k++) s.value[k] = block + (int64_t)k * v->frames;
  for (int t = 0; t < v->frames; t++) of_frame(v, t, &b, &s);
  for (int t = 0; t < v->frames - 1; t++) of_pair(v, t, &b, &s);
  for (int k = 0; k < STATS; k++) {
    moments m = {none[k], 0};
    if (s.count[k]) m = plane_moments(s.value[k], s.count[k]);
    out->x[k] = m.mean;
    out->x[STATS + k] = m.sd;
  }
out:
  free(block), free(b.luma), free(b.occluded), free(b.gx);
  return rc;
}

const set_extractor set_rgba_stats = {
    .id = "rgba_stats",
    .version = 1,
    .alpha = SET_ALPHA_ALWAYS,
    .picture = METRIC_SHOWN,
    .min_frames = 2,
    .min_side = 2,
    .help =
        "means over time, then population standard deviations over time, of 7 values. Per pair of frames: "
        "fd_band_rel (0 where it is static), alpha_warp_R (0 where alpha stands still), mean |change of alpha|. Per "
        "frame: edge_corr with sigma 1.4, mean alpha, share of .05 < alpha < .95, mean luma where alpha < .02. In "
        "the order flow difference, edges, warp, coverage, soft, change, leak. Frames where a value is undefined "
        "are left out; where all are, flow difference and warp count as 1 and the others as 0",
    .citation = "own definition (spec/metrics.md 3.9.5)",
    .extract = extract,
};
