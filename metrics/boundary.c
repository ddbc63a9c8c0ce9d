/* Do the outline of alpha and the outline of what is visible in the picture coincide (spec/metrics.md 3.5: E3, E4).
 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics/code8.h"
#include "metrics/metric.h"
#include "metrics/outline.h"
#include "metrics/plane.h"

typedef struct masks {
  unsigned char *alpha, *picture, *spare[2]; /* [n] each, of one thread */
} masks;

static int64_t both(const unsigned char *a, const unsigned char *b, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) count += a[i] & b[i];
  return count;
}

/* F-measure of the contours, matched within ceil(.008 diagonal). Both empty 1, one empty 0. */
static double f_measure(const metric_view *v, masks *m) {
  int64_t n = (int64_t)v->height * v->width;
  int r = (int)ceil(0.008 * hypot(v->height, v->width));
  int64_t na = outline_contour(m->alpha, v->height, v->width, m->alpha);
  int64_t np = outline_contour(m->picture, v->height, v->width, m->picture);
  if (!na || !np) return na == np;
  outline_dilate(m->picture, v->height, v->width, r, m->spare[0]);
  double p = (double)both(m->alpha, m->spare[0], n) / (double)na;
  outline_dilate(m->alpha, v->height, v->width, r, m->spare[0]);
  double q = (double)both(m->picture, m->spare[0], n) / (double)np;
  return p + q > 0 ? 2 * p * q / (p + q) : 0;
}

/* NaN when neither mask has a boundary. */
static double iou(const metric_view *v, masks *m) {
  int64_t n = (int64_t)v->height * v->width;
  int d = (int)rint(0.02 * hypot(v->height, v->width));
  if (d < 1) d = 1;
  outline_boundary(m->alpha, v->height, v->width, d, m->alpha, m->spare[0]);
  outline_boundary(m->picture, v->height, v->width, d, m->picture, m->spare[0]);
  int64_t common = both(m->alpha, m->picture, n), all = 0;
  for (int64_t i = 0; i < n; i++) all += m->alpha[i] | m->picture[i];
  return all ? (double)common / (double)all : NAN;
}

static int over_frames(err *e, const metric_view *v, double (*frame)(const metric_view *, masks *),
                       metric_value *out) {
  int rc = OK;
  int64_t n = (int64_t)v->height * v->width, defined = 0;
  double cut, sum = 0, *part = NULL;
  unsigned char *store = NULL;
  TRY(outline_threshold(e, v->alpha, v->frames * n, &cut));
  TRY(mem_new(e, v->frames, sizeof *part, "boundaries", &part));
  TRY(mem_new(e, 4 * v->threads * n, 1, "boundaries", &store));
#pragma omp parallel for num_threads(v->threads) schedule(static)
  for (int t = 0; t < v->frames; t++) {
    unsigned char *p = store + 4 * omp_get_thread_num() * n;
    masks m = {p, p + n, {p + 2 * n, p + 3 * n}};
    for (int64_t i = 0; i < n; i++) {
      m.alpha[i] = (double)v->alpha[t * n + i] >= cut;
      m.picture[i] = luma8(v->rgb + 3 * (t * n + i)) > 10;
    }
    part[t] = frame(v, &m);
  }
  for (int t = 0; t < v->frames; t++)
    if (!isnan(part[t])) sum += part[t], defined++;
  rc = defined ? metric_defined(out, sum / (double)defined, defined) : metric_undefined(out, METRIC_EMPTY_ALPHA, 0);
out:
  free(part), free(store);
  return rc;
}

static int boundary_f(err *e, const metric_view *v, metric_value *out) {
  return over_frames(e, v, f_measure, out);
}

static int boundary_iou(err *e, const metric_view *v, metric_value *out) {
  return over_frames(e, v, iou, out);
}

#define BOUNDARY                                                                                                     \
  .version = 2, .tier = 1, .cost = METRIC_FILTERS, .direction = METRIC_UP, .unit = "1", .lo = 0, .hi = 1,            \
  .plane = METRIC_JOINT, .picture = METRIC_DECODED, .needs = METRIC_NEEDS_ALPHA, .min_frames = 1, .gain_ok = 1

const metric metric_boundary_f = {
    BOUNDARY,
    .id = "boundary_f",
    .help = "F-measure of the contours of alpha at one half and of luma above 10/255, matched within .008 of the "
            "diagonal, mean of the frames. Means something for an object over black; low for soft or translucent "
            "mattes. An alpha that never reaches one half is cut at half its 99.5 percentile",
    .citation = "Perazzi et al. 2016, DAVIS, measures/f_boundary.py",
    .reasons = (const char *const[]){METRIC_EMPTY_ALPHA, NULL},
    .score = boundary_f,
};

const metric metric_boundary_iou = {
    BOUNDARY,
    .id = "boundary_iou",
    .help = "intersection over union of the bands of .02 of the diagonal inside the masks of boundary_f, mean of the "
            "frames that have one. Means something for an object over black",
    .citation = "Cheng et al. 2021, Boundary IoU, boundary_utils.py",
    .reasons = (const char *const[]){METRIC_EMPTY_ALPHA, NULL},
    .score = boundary_iou,
};
