#include "metrics/energy.h"

#include <math.h>
#include <string.h>

#include "metrics/extract.h"
#include "metrics/frechet.h"
#include "metrics/matrix.h"
#include "metrics/permute.h"

double energy_distance(const double *dist, int64_t all, const int64_t *order, int64_t n, int64_t m) {
  double xy = 0, xx = 0, yy = 0;
  for (int64_t i = 0; i < n + m; i++) {
    const double *row = dist + order[i] * all;
    double *within = i < n ? &xx : &yy;
    int64_t first = i < n ? 0 : n; /* earlier items of the same set */
    for (int64_t j = first; j < i; j++) *within += row[order[j]];
    if (i < n)
      for (int64_t j = n; j < n + m; j++) xy += row[order[j]];
  }
  double fn = (double)n, fm = (double)m;
  return 2 * xy / (fn * fm) - 2 * xx / (fn * (fn - 1)) - 2 * yy / (fm * (fm - 1));
}

void energy_standardise(const row_sets *s, const int64_t *order, double *out, double *scratch) {
  int64_t d = s->d, all = s->n + s->m;
  double *mean = scratch, *scale = scratch + d;
  for (int64_t i = 0; i < all; i++) memcpy(out + i * d, row_of(s, order[i]), (size_t)d * sizeof *out);
  matrix_mean(out + s->n * d, s->m, d, mean);
  memset(scale, 0, (size_t)d * sizeof *scale);
  for (int64_t i = s->n; i < all; i++)
    for (int64_t k = 0; k < d; k++) scale[k] += (out[i * d + k] - mean[k]) * (out[i * d + k] - mean[k]);
  for (int64_t k = 0; k < d; k++) scale[k] = 1 / (sqrt(scale[k] / (double)s->m) + 1e-6);
  for (int64_t i = 0; i < all; i++)
    for (int64_t k = 0; k < d; k++) out[i * d + k] = fmax(-10, fmin(10, (out[i * d + k] - mean[k]) * scale[k]));
}

/* The reference of each arrangement standardises it: else the p of sets of one distribution would not be uniform. */
static double energy_of(const void *ctx, const int64_t *order, double *scratch) {
  const row_sets *s = ctx;
  int64_t all = s->n + s->m;
  double *z = scratch, *flip = z + all * s->d, *dist = flip + all * s->d;
  int64_t *same = (int64_t *)(void *)(dist + all * all);
  energy_standardise(s, order, z, dist);
  matrix_transpose(z, all, s->d, flip);
  matrix_distances(z, flip, all, s->d, all, dist);
  for (int64_t i = 0; i < all; i++) same[i] = i;
  return energy_distance(dist, all, same, s->n, s->m);
}

static int run(err *e, const set_call *c, const double *param, permute_plan *p, set_result *out) {
  p->n = c->x->n;
  p->m = c->y->n;
  p->permutations = (int64_t)param[0];
  p->seed = (uint64_t)param[1];
  p->threads = c->threads;
  return permute_run(e, p, NULL, out);
}

static row_sets sets_of(const set_call *c) {
  return (row_sets){c->x->x, c->y->x, c->x->n, c->y->n, c->x->dim};
}

static int energy(err *e, const set_call *c, const double *param, set_result *out) {
  row_sets s = sets_of(c);
  int64_t all = s.n + s.m;
  permute_plan p = {.scratch = 2 * all * s.d + all * all + 2 * s.d + all, .statistic = energy_of, .ctx = &s};
  return run(e, c, param, &p, out);
}

static int hof_energy(err *e, const set_call *c, set_result *out) {
  return energy(e, c, c->param + 1, out);
}

static int stats_energy(err *e, const set_call *c, set_result *out) {
  return energy(e, c, c->param, out);
}

enum { COMPONENTS = 8 };

/* Scratch of projected(), in doubles before that of frechet_rows. */
typedef struct pca_layout {
  int64_t z, sigma, value, eigen, out;
} pca_layout;

static pca_layout layout_of(const row_sets *s) {
  int64_t all = s->n + s->m;
  return (pca_layout){all * s->d, s->d * s->d, 2 * s->d, frechet_eigen_scratch(s->d), all * COMPONENTS};
}

/* Components whose variance is rounding have no direction: they project to 0. */
static double projected(const void *ctx, const int64_t *order, double *scratch) {
  const row_sets *s = ctx;
  int64_t d = s->d, all = s->n + s->m;
  pca_layout at = layout_of(s);
  double *z = scratch, *sigma = z + at.z, *value = sigma + at.sigma, *eigen = value + at.value, *q = eigen + at.eigen;
  energy_standardise(s, order, z, value);
  frechet_covariance(z + s->n * d, s->m, d, 0, value, sigma);
  if (frechet_eigen(sigma, d, value, eigen)) return NAN;
  for (int64_t i = 0; i < all; i++)
    for (int64_t k = 0; k < COMPONENTS; k++) {
      const double *row = sigma + (d - 1 - k) * d;
      double sum = 0;
      for (int64_t j = 0; k < d && j < d; j++) sum += z[i * d + j] * row[j];
      q[i * COMPONENTS + k] = k < d && value[d - 1 - k] > 1e-12 * value[d - 1] ? sum : 0;
    }
  frechet_shape shape = {s->n, s->m, COMPONENTS, 0};
  return frechet_rows(&shape, q, q + s->n * COMPONENTS, q + at.out);
}

static int frechet8(err *e, const set_call *c, set_result *out) {
  int rc = OK;
  row_sets s = sets_of(c);
  pca_layout at = layout_of(&s);
  frechet_shape shape = {s.n, s.m, COMPONENTS, 0};
  permute_plan p = {.statistic = projected, .ctx = &s};
  TRY(frechet_scratch(e, &shape, &p.scratch));
  p.scratch += at.z + at.sigma + at.value + at.eigen + at.out;
  TRY(run(e, c, c->param + 1, &p, out));
out:
  return rc;
}

#define FLOW_SET                                                                                                     \
  .version = 1, .tier = 2, .direction = METRIC_DOWN, .unit = "1", .lo = -INFINITY, .hi = INFINITY,                   \
  .plane = METRIC_JOINT, .min_x = 2

const set_metric set_metric_hof_energy = {
    FLOW_SET,
    .id = "hof_energy",
    .extractor = &set_hof,
    .min_y = 2,
    .params =
        (const metric_param[]){
            SET_ALPHA_ROW, SET_PERMUTATIONS_ROW(SET_PERMUTATIONS, SET_PERMUTATIONS), SET_SEED_ROW, {0}},
    .help =
        "energy distance of motion histograms, standardised by the reference set and cut at 10 standard deviations: "
        "a weight-free stand-in for FVD that works from two dozen clips. About 0 for two samples of one "
        "distribution, at any number of clips. Sees motion alone: neither a shifted alpha nor a blurred picture. A "
        "late "
        "or frozen alpha hardly moves it, and the later the less: the picture's half of the numbers dilutes it, and "
        "rgba_stats_energy sees both",
    .citation = "own definition; energy distance of Szekely and Rizzo 2013, histograms after FVMD (Liu et al. 2024)",
    .reasons = (const char *const[]){NULL},
    .score = hof_energy,
};

const set_metric set_metric_hof_frechet8 = {
    FLOW_SET,
    .id = "hof_frechet8",
    .extractor = &set_hof,
    .min_y = COMPONENTS + 1,
    .params =
        (const metric_param[]){
            SET_ALPHA_ROW, SET_PERMUTATIONS_ROW(SET_PERMUTATIONS, SET_PERMUTATIONS), SET_SEED_ROW, {0}},
    .help =
        "Frechet distance of the same standardised histograms on the first 8 principal components of the reference "
        "set. Its null lies far above 0, so it misses what hof_energy finds: read it with its null",
    .citation = "own definition (spec/metrics.md 3.9.5)",
    .reasons = (const char *const[]){NULL},
    .score = frechet8,
};

const set_metric set_metric_rgba_stats_energy = {
    FLOW_SET,
    .id = "rgba_stats_energy",
    .extractor = &set_rgba_stats,
    .min_y = 2,
    .params = (const metric_param[]){SET_PERMUTATIONS_ROW(SET_PERMUTATIONS, SET_PERMUTATIONS), SET_SEED_ROW, {0}},
    .help =
        "energy distance of 14 statistics of alpha and its agreement with the picture, standardised by the reference "
        "set and cut at 10 standard deviations. Sees shifted, delayed, frozen, flickering and opaque alpha and "
        "blurred pictures",
    .citation = "own definition (spec/metrics.md 3.9.5)",
    .reasons = (const char *const[]){NULL},
    .score = stats_energy,
};
