/* Do alpha's edges lie where the picture's luma has edges (spec/metrics.md 3.5: E1, E2, E5). */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics/metric.h"
#include "metrics/outline.h"
#include "metrics/plane.h"

/* What one frame gives, or why it gives nothing. */
typedef struct frame_score {
  double corr, cos;
  double to_edge, to_contour; /* mean distance of contour pixels to edges, and of edge pixels to the contour */
  const char *reason;
} frame_score;

/* Buffers of one thread for frames of n pixels. */
typedef struct workspace {
  float *luma;                   /* [n] */
  double *a, *y, *gx, *gy, *pad; /* [n] each; pad: scratch of plane_gradient */
  unsigned char *contour, *edge; /* [n] */
} workspace;

static void luma_of(const metric_view *v, int t, float *out) {
  int64_t n = (int64_t)v->height * v->width;
  for (int64_t i = 0; i < n; i++) out[i] = (float)plane_luma(v->rgb + 3 * (t * n + i));
}

static void magnitude(const metric_view *v, const float *x, double sigma, workspace *w, double *out) {
  int64_t n = (int64_t)v->height * v->width;
  plane_gradient(x, 1, v->height, v->width, sigma, w->gx, w->gy, w->pad);
  for (int64_t i = 0; i < n; i++) out[i] = sqrt(w->gx[i] * w->gx[i] + w->gy[i] * w->gy[i]);
}

static frame_score correlate(const metric_view *v, int t, workspace *w) {
  int64_t n = (int64_t)v->height * v->width;
  double ay = 0, aa = 0, yy = 0;
  luma_of(v, t, w->luma);
  magnitude(v, v->alpha + t * n, v->param[0], w, w->a);
  magnitude(v, w->luma, v->param[0], w, w->y);
  moments ma = plane_moments(w->a, n), my = plane_moments(w->y, n);
  if (ma.sd < 1e-6) return (frame_score){.reason = METRIC_FLAT_ALPHA};
  if (my.sd < 1e-6) return (frame_score){.reason = METRIC_FLAT_RGB};
  for (int64_t i = 0; i < n; i++) ay += w->a[i] * w->y[i], aa += w->a[i] * w->a[i], yy += w->y[i] * w->y[i];
  return (frame_score){.corr = plane_corr(w->a, ma, w->y, my, n), .cos = fmin(1, ay / sqrt(aa * yy))};
}

/* Strong edges: luma gradient above .02 and not below its two neighbours across the edge (the axis nearer to the
 * gradient). */
static int64_t strong_edges(const metric_view *v, workspace *w) {
  int64_t count = 0;
  for (int y = 0; y < v->height; y++) {
    for (int x = 0; x < v->width; x++) {
      int64_t i = (int64_t)y * v->width + x;
      int across = fabs(w->gx[i]) >= fabs(w->gy[i]);
      int64_t by = across ? 1 : v->width;
      int first = across ? x == 0 : y == 0, last = across ? x == v->width - 1 : y == v->height - 1;
      double m = w->y[i];
      w->edge[i] = m > 0.02 && (first || m >= w->y[i - by]) && (last || m >= w->y[i + by]);
      count += w->edge[i];
    }
  }
  return count;
}

static double mean_distance(const unsigned char *from, const double *squared, int64_t n) {
  double sum = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++)
    if (from[i]) sum += sqrt(squared[i]), count++;
  return sum / (double)count;
}

static frame_score chamfer(const metric_view *v, int t, double cut, workspace *w) {
  int64_t n = (int64_t)v->height * v->width, contour = 0;
  const float *alpha = v->alpha + t * n;
  luma_of(v, t, w->luma);
  magnitude(v, w->luma, v->param[0], w, w->y);
  if (!strong_edges(v, w)) return (frame_score){.reason = METRIC_FLAT_RGB};
  for (int64_t i = 0; i < n; i++) w->contour[i] = (double)alpha[i] >= cut; /* the mask; becomes its contour */
  contour = outline_contour(w->contour, v->height, v->width, w->contour);
  if (!contour) return (frame_score){.reason = METRIC_FLAT_ALPHA};
  frame_score s = {0};
  outline_distance(w->edge, v->height, v->width, w->a, w->pad);
  s.to_edge = mean_distance(w->contour, w->a, n);
  outline_distance(w->contour, v->height, v->width, w->a, w->pad);
  s.to_contour = mean_distance(w->edge, w->a, n);
  return s;
}

static int workspaces(err *e, const metric_view *v, workspace **list, double **store) {
  int rc = OK;
  int64_t n = (int64_t)v->height * v->width, pad = plane_scratch(v->height, v->width);
  if (pad < OUTLINE_SCRATCH(v->height, v->width)) pad = OUTLINE_SCRATCH(v->height, v->width);
  int64_t each = 6 * n + pad; /* doubles: a, y, gx, gy, luma and masks, pad */
  TRY(mem_new(e, v->threads, sizeof **list, "edge scores", list));
  TRY(mem_new(e, v->threads * each, sizeof(double), "edge scores", store));
  for (int k = 0; k < v->threads; k++) {
    double *p = *store + k * each;
    workspace *w = &(*list)[k];
    *w = (workspace){
        .a = p, .y = p + n, .gx = p + 2 * n, .gy = p + 3 * n, .luma = (float *)(p + 4 * n), .pad = p + 6 * n};
    w->contour = (unsigned char *)(p + 5 * n), w->edge = w->contour + n;
  }
out:
  return rc;
}

typedef enum edge_form { EDGE_CORR, EDGE_COS, EDGE_CHAMFER, EDGE_CHAMFER_BOTH } edge_form;

static double pick(const frame_score *s, edge_form form) {
  switch (form) {
  case EDGE_CORR: return s->corr;
  case EDGE_COS: return s->cos;
  case EDGE_CHAMFER: return s->to_edge;
  default: return (s->to_edge + s->to_contour) / 2;
  }
}

/* Mean of the frames that have a value. */
static int over_frames(err *e, const metric_view *v, edge_form form, metric_value *out) {
  int rc = OK, matching = form >= EDGE_CHAMFER;
  double cut = 0, sum = 0, *store = NULL;
  int64_t defined = 0;
  workspace *list = NULL;
  frame_score *part = NULL;
  const char *why = NULL;
  if (matching) TRY(outline_threshold(e, v->alpha, (int64_t)v->frames * v->height * v->width, &cut));
  TRY(workspaces(e, v, &list, &store));
  TRY(mem_new(e, v->frames, sizeof *part, "edge scores", &part));
#pragma omp parallel for num_threads(v->threads) schedule(static)
  for (int t = 0; t < v->frames; t++) {
    workspace *w = &list[omp_get_thread_num()];
    part[t] = matching ? chamfer(v, t, cut, w) : correlate(v, t, w);
  }
  for (int t = 0; t < v->frames; t++) {
    if (part[t].reason) {
      why = part[t].reason;
      continue;
    }
    sum += pick(&part[t], form);
    defined++;
  }
  rc = defined ? metric_defined(out, sum / (double)defined, defined) : metric_undefined(out, why, 0);
out:
  free(list), free(store), free(part);
  return rc;
}

static int corr(err *e, const metric_view *v, metric_value *out) {
  return over_frames(e, v, EDGE_CORR, out);
}
static int cosine(err *e, const metric_view *v, metric_value *out) {
  return over_frames(e, v, EDGE_COS, out);
}
static int nearest(err *e, const metric_view *v, metric_value *out) {
  return over_frames(e, v, EDGE_CHAMFER, out);
}
static int nearest_both(err *e, const metric_view *v, metric_value *out) {
  return over_frames(e, v, EDGE_CHAMFER_BOTH, out);
}

static const metric_param edge_params[] = {
    {"sigma", "of the Gaussian derivatives, in pixels", 1.4, 0.5, PLANE_SIGMA, 0},
    {0},
};

#define EDGES                                                                                                        \
  .version = 1, .tier = 1, .cost = METRIC_FILTERS, .plane = METRIC_JOINT, .picture = METRIC_DECODED,                 \
  .needs = METRIC_NEEDS_ALPHA, .min_frames = 1, .gain_ok = 1, .params = edge_params,                                 \
  .reasons = (const char *const[]) {                                                                                 \
    METRIC_FLAT_ALPHA, METRIC_FLAT_RGB, NULL                                                                         \
  }

const metric metric_edge_corr = {
    EDGES,
    .id = "edge_corr",
    .direction = METRIC_UP,
    .unit = "1",
    .lo = -1,
    .hi = 1,
    .help =
        "Pearson correlation of the gradient magnitudes of luma and alpha, mean of the frames where both vary. Its "
        "ceiling depends on texture: compare designs on the same prompts. An alpha equal to luma scores 1, and an "
        "object as bright as its ground has no luma edge: prefer edge_color",
    .citation = "own definition; gradient as scipy.ndimage.gaussian_gradient_magnitude",
    .score = corr,
};

const metric metric_edge_cos = {
    EDGES,
    .id = "edge_cos",
    .direction = METRIC_UP,
    .unit = "1",
    .lo = 0,
    .hi = 1,
    .help = "cosine of the gradient magnitudes of luma and alpha, mean of the frames where both vary. Rises under "
            "noise: prefer edge_corr",
    .citation = "own definition; gradient as scipy.ndimage.gaussian_gradient_magnitude",
    .score = cosine,
};

const metric metric_edge_chamfer = {
    EDGES,
    .id = "edge_chamfer",
    .direction = METRIC_DOWN,
    .unit = "px",
    .lo = 0,
    .hi = INFINITY,
    .help =
        "mean distance from the contour of alpha at one half (boundary_f's threshold) to the nearest strong luma "
        "edge: gradient above .02 and not below its neighbours across the edge. Mean of the frames that have both. "
        "Texture is an edge as well: a busy picture scores low for any alpha",
    .citation = "own definition; exact distances after Felzenszwalb and Huttenlocher 2012",
    .score = nearest,
};

const metric metric_edge_chamfer_both = {
    EDGES,
    .id = "edge_chamfer_both",
    .direction = METRIC_DOWN,
    .unit = "px",
    .lo = 0,
    .hi = INFINITY,
    .help = "mean of edge_chamfer and of the mean distance from strong luma edges to alpha's contour, which the "
            "background's edges raise: compare designs on the same prompts",
    .citation = "own definition; exact distances after Felzenszwalb and Huttenlocher 2012",
    .score = nearest_both,
};
