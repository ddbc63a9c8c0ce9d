#include "metrics/mmd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "metrics/extract.h"
#include "metrics/matrix.h"
#include "metrics/permute.h"
#include "metrics/plane.h"
#include "stats/stats.h"

void mmd_polynomial(const double *rows, int64_t n, int64_t d, int degree, double offset, double *out, double *flip) {
  matrix_transpose(rows, n, d, flip);
  matrix_product(rows, flip, n, d, n, out);
  for (int64_t i = 0; i < n * n; i++) {
    double base = out[i] / (double)d + offset, power = base;
    for (int k = 1; k < degree; k++) power *= base;
    out[i] = power;
  }
}

typedef struct sums {
  double xx, yy, xy, diagonal_x, diagonal_y;
} sums;

static double block(const double *k, int64_t all, const int64_t *a, int64_t n, const int64_t *b, int64_t m) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < m; j++) sum += k[a[i] * all + b[j]];
  return sum;
}

static sums sums_of(const double *k, int64_t all, const mmd_items *s) {
  sums r = {.xx = block(k, all, s->x, s->n, s->x, s->n),
            .yy = block(k, all, s->y, s->m, s->y, s->m),
            .xy = block(k, all, s->x, s->n, s->y, s->m)};
  for (int64_t i = 0; i < s->n; i++) r.diagonal_x += k[s->x[i] * all + s->x[i]];
  for (int64_t i = 0; i < s->m; i++) r.diagonal_y += k[s->y[i] * all + s->y[i]];
  return r;
}

double mmd_unbiased(const double *k, int64_t all, const mmd_items *s) {
  sums r = sums_of(k, all, s);
  double n = (double)s->n, m = (double)s->m;
  return (r.xx - r.diagonal_x) / (n * (n - 1)) + (r.yy - r.diagonal_y) / (m * (m - 1)) - 2 * r.xy / (n * m);
}

double mmd_biased(const double *k, int64_t all, const mmd_items *s) {
  sums r = sums_of(k, all, s);
  double n = (double)s->n, m = (double)s->m;
  return r.xx / (n * n) + r.yy / (m * m) - 2 * r.xy / (n * m);
}

/* What a value is made of: places in the order of the pool, so that every permutation is scored alike. */
typedef struct kernel {
  double *k; /* [n + m][n + m] */
  int64_t n, m;
  int biased;
  double factor;
  int64_t subsets, size; /* subsets 0: all clips once */
  int64_t *pick;         /* [subsets][2][size] */
} kernel;

static double of_order(const void *ctx, const int64_t *order, double *scratch) {
  const kernel *s = ctx;
  int64_t all = s->n + s->m, *item = (int64_t *)(void *)scratch;
  if (!s->subsets) {
    mmd_items whole = {order, order + s->n, s->n, s->m};
    return s->factor * (s->biased ? mmd_biased(s->k, all, &whole) : mmd_unbiased(s->k, all, &whole));
  }
  double sum = 0;
  for (int64_t i = 0; i < s->subsets; i++) {
    const int64_t *pick = s->pick + 2 * i * s->size;
    for (int64_t j = 0; j < s->size; j++)
      item[j] = order[pick[j]], item[s->size + j] = order[s->n + pick[s->size + j]];
    mmd_items part = {item, item + s->size, s->size, s->size};
    sum += mmd_unbiased(s->k, all, &part);
  }
  return s->factor * sum / (double)s->subsets;
}

/* Both sets' rows, one after the other. */
static int pool(err *e, const set_call *c, double **out) {
  int64_t d = c->x->dim, n = c->x->n, m = c->y->n;
  int rc = mem_new(e, (n + m) * d, sizeof **out, "features", out);
  if (rc != OK) return rc;
  memcpy(*out, c->x->x, (size_t)(n * d) * sizeof **out);
  memcpy(*out + n * d, c->y->x, (size_t)(m * d) * sizeof **out);
  return OK;
}

/* param: permutations, seed. Frees k's parts. */
static int finish(err *e, const set_call *c, const double *param, kernel *k, set_result *out) {
  permute_plan p = {.n = k->n,
                    .m = k->m,
                    .permutations = (int64_t)param[0],
                    .seed = (uint64_t)param[1],
                    .threads = c->threads,
                    .scratch = 2 * k->size,
                    .statistic = of_order,
                    .ctx = k};
  int rc = permute_run(e, &p, NULL, out);
  free(k->k), free(k->pick);
  return rc;
}

static int polynomial(err *e, const set_call *c, int degree, double offset, kernel *k) {
  int rc = OK;
  double *rows = NULL, *flip = NULL;
  k->n = c->x->n, k->m = c->y->n;
  int64_t all = k->n + k->m;
  TRY(pool(e, c, &rows));
  TRY(mem_new(e, all * c->x->dim, sizeof *flip, "kernel", &flip));
  TRY(mem_new(e, all, all * (int64_t)sizeof(double), "kernel", &k->k));
  mmd_polynomial(rows, all, c->x->dim, degree, offset, k->k, flip);
out:
  free(rows), free(flip);
  return rc;
}

/* Subset i draws `size` of n clips and of m: the heads of two permutations. */
static int draw_subsets(err *e, kernel *k, uint64_t seed) {
  int rc = OK;
  int64_t most = k->n > k->m ? k->n : k->m, *p = NULL;
  TRY(mem_new(e, most, sizeof *p, "subsets", &p));
  TRY(mem_new(e, k->subsets, 2 * k->size * (int64_t)sizeof *k->pick, "subsets", &k->pick));
  for (int64_t i = 0; i < 2 * k->subsets; i++) {
    rng r = {.seed = rng_derive(seed, rng_salt("kid subsets")), .stream = RNG_BOOTSTRAP, .sub = (uint32_t)i};
    rng_permutation(r, i % 2 ? k->m : k->n, p);
    memcpy(k->pick + i * k->size, p, (size_t)k->size * sizeof *p);
  }
out:
  free(p);
  return rc;
}

enum { SUBSETS, SUBSET_SIZE, KID_PERMUTATIONS, KID_SEED };

static int kid(err *e, const set_call *c, set_result *out) {
  int rc = OK;
  kernel k = {.factor = 1, .subsets = (int64_t)c->param[SUBSETS], .size = (int64_t)c->param[SUBSET_SIZE]};
  if (k.size > c->x->n) k.size = c->x->n;
  if (k.size > c->y->n) k.size = c->y->n;
  TRY(polynomial(e, c, 3, 1, &k));
  if (k.subsets) TRY(draw_subsets(e, &k, (uint64_t)c->param[KID_SEED]));
  return finish(e, c, c->param + KID_PERMUTATIONS, &k, out);
out:
  free(k.k), free(k.pick);
  return rc;
}

static int jedi(err *e, const set_call *c, set_result *out) {
  kernel k = {.factor = 100, .biased = 1};
  int rc = polynomial(e, c, 2, 0, &k);
  if (rc == OK) return finish(e, c, c->param, &k, out);
  free(k.k);
  return rc;
}

/* Distances become exp(-d^2 / 2 s^2) with s their median, or mean where half the clips are equal. */
static int gaussian(err *e, double *k, int64_t all) {
  int64_t pairs = all * (all - 1) / 2, at = 0;
  double *d;
  int rc = mem_new(e, pairs, sizeof *d, "kernel", &d);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < all; i++)
    for (int64_t j = 0; j < i; j++) d[at++] = k[i * all + j];
  double mean = stats_mean(d, pairs);
  stats_sort(d, pairs);
  double s = stats_quantile(d, pairs, 0.5);
  if (s <= 0) s = mean > 0 ? mean : 1;
  for (int64_t i = 0; i < all * all; i++) k[i] = exp(-k[i] * k[i] / (2 * s * s));
  free(d);
  return OK;
}

/* Every number minus its mean over both sets, over its standard deviation: the layers' channels differ in size. */
static void standardise(double *x, int64_t n, int64_t d, double *column) {
  for (int64_t k = 0; k < d; k++) {
    for (int64_t i = 0; i < n; i++) column[i] = x[i * d + k];
    moments m = plane_moments(column, n);
    for (int64_t i = 0; i < n; i++) x[i * d + k] = m.sd > 0 ? (column[i] - m.mean) / m.sd : 0;
  }
}

enum { CONV_PARAMS = 2 };

static int rand_mmd(err *e, const set_call *c, set_result *out) {
  int rc = OK;
  kernel k = {.factor = 1, .n = c->x->n, .m = c->y->n};
  int64_t all = k.n + k.m, d = c->x->dim;
  double *rows = NULL, *flip = NULL;
  double param[2] = {c->param[CONV_PARAMS], c->param[1]}; /* the net's seed also permutes */
  TRY(pool(e, c, &rows));
  TRY(mem_new(e, all * d, sizeof *flip, "kernel", &flip));
  TRY(mem_new(e, all, all * (int64_t)sizeof(double), "kernel", &k.k));
  standardise(rows, all, d, flip);
  matrix_transpose(rows, all, d, flip);
  matrix_distances(rows, flip, all, d, all, k.k);
  TRY(gaussian(e, k.k, all));
  rc = finish(e, c, param, &k, out);
  k.k = NULL;
out:
  free(rows), free(flip), free(k.k);
  return rc;
}

#define MMD                                                                                                          \
  .version = 1, .direction = METRIC_DOWN, .unit = "1", .hi = INFINITY, .min_x = 2, .min_y = 2,                       \
  .reasons = (const char *const[]) {                                                                                 \
    NULL                                                                                                             \
  }

const set_metric set_metric_kid = {
    MMD,
    .id = "kid",
    .tier = 3,
    .lo = -INFINITY,
    .plane = METRIC_RGB,
    .extractor = &set_file,
    .params =
        (const metric_param[]){{"subsets", "means over so many random subsets; 0: all clips once", 0, 0, 1000, 1},
                               {"subset_size", "clips of each set in a subset, at most all", 1000, 2, 1e6, 1},
                               SET_PERMUTATIONS_ROW(0, SET_PERMUTATIONS),
                               SET_SEED_ROW,
                               {0}},
    .help = "kernel distance (x y / d + 1)^3 of features that a file gives, unbiased: about 0 for two samples of one "
            "distribution at any number of clips, below 0 as often as above. Not times 1000",
    .citation = "Binkowski et al. 2018, Demystifying MMD GANs",
    .score = kid,
};

const set_metric set_metric_jedi = {
    MMD,
    .id = "jedi",
    .tier = 3,
    .lo = -INFINITY,
    .plane = METRIC_RGB,
    .extractor = &set_file,
    .params = (const metric_param[]){SET_PERMUTATIONS_ROW(0, SET_PERMUTATIONS), SET_SEED_ROW, {0}},
    .help =
        "100 times the biased kernel distance (x y / d)^2 of features that a file gives: JEDi with V-JEPA features. "
        "Never below 0 but for rounding, so above 0 for two samples of one distribution: read it with its null",
    .citation = "Luo et al. 2024, Beyond FVD (videojedi)",
    .score = jedi,
};

const set_metric set_metric_rand_mmd = {
    MMD,
    .id = "rand_mmd",
    .tier = 2,
    .lo = -INFINITY,
    .plane = METRIC_JOINT,
    .extractor = &set_random_conv,
    .params = (const metric_param[]){SET_ALPHA_ROW, SET_SEED_ROW, SET_PERMUTATIONS_ROW(0, SET_PERMUTATIONS), {0}},
    .help =
        "unbiased kernel distance exp(-|x - y|^2 / 2 s^2), s the median distance of all clips, of the features of an "
        "untrained 3-D convolutional net, standardised over both sets: texture and motion without weights. Coarse: "
        "with a few dozen clips it sees a wrong matte or added noise, not a late or a jittering one. Values of "
        "another "
        "seed are another net's: compare within one",
    .citation = "own definition; random embeddings after Naeem et al. 2020, kernel test of Gretton et al. 2012",
    .score = rand_mmd,
};
