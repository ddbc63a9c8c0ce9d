#include "metrics/frechet.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/extract.h"
#include "metrics/matrix.h"
#include "metrics/permute.h"

/* OpenBLAS, where it stands behind LAPACK, would split sums over its threads. */
extern void openblas_set_num_threads(int n) __attribute__((weak));

static void one_thread(void) {
  if (openblas_set_num_threads) openblas_set_num_threads(1);
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* Parts of the scratch of frechet_rows, in doubles. */
typedef struct parts {
  int64_t rx, ry;      /* rows that are left of x and y */
  int64_t tau, work;   /* of the LQ decompositions */
  int64_t cross, flip; /* [rx][ry] and the transposed y */
  int64_t svd, iwork;
} parts;

static parts parts_of(const frechet_shape *s) {
  parts p = {.rx = least(s->n, s->d), .ry = least(s->m, s->d)};
  int64_t mn = least(p.rx, p.ry), mx = p.rx > p.ry ? p.rx : p.ry;
  p.tau = s->d;
  p.work = 32 * s->d;
  p.cross = p.rx * p.ry;
  p.flip = p.ry * s->d;
  p.svd = mn + 3 * mn + (mx > 7 * mn ? mx : 7 * mn) + 32 * (mx + mn);
  p.iwork = 8 * mn; /* ints, half of a double each: twice what is needed */
  return p;
}

int frechet_scratch(err *e, const frechet_shape *s, int64_t *out) {
  int64_t limit = 46340; /* products of two sizes must fit LAPACK's 32-bit indices */
  if (s->d > limit || s->n > INT32_MAX / s->d || s->m > INT32_MAX / s->d)
    return err_set(e, E_ARG, "Frechet distance: sets of %lld and %lld rows of %lld numbers are too large",
                   (long long)s->n, (long long)s->m, (long long)s->d);
  parts p = parts_of(s);
  *out = p.tau + p.work + p.cross + p.flip + p.svd + p.iwork + s->d;
  one_thread();
  return OK;
}

static void centre(double *x, int64_t n, int64_t d, double divisor, const double *mean, double *trace) {
  double scale = 1 / sqrt(divisor);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < d; k++) {
      double v = (x[i * d + k] - mean[k]) * scale;
      x[i * d + k] = v;
      *trace += v * v;
    }
}

/* x [n][d] with more rows than columns becomes R [d][d] with R'R = x'x: same nuclear norm of every product x y'. */
static int shorten(double *x, int64_t n, int64_t d, double *tau, double *work) {
  if (n <= d) return 0;
  lapack_int size = (lapack_int)d; /* the bytes of x are a d x n matrix in LAPACK's order */
  lapack_int info = LAPACKE_dgelqf_work(LAPACK_COL_MAJOR, size, (lapack_int)n, x, size, tau, work, 32 * size);
  for (int64_t r = 0; r < d; r++)
    for (int64_t c = 0; c < r; c++) x[r * d + c] = 0;
  return info;
}

static double nuclear_norm(double *a, int64_t rows, int64_t cols, double *work, int64_t lwork, lapack_int *iwork) {
  double sum = 0, none;
  int64_t k = least(rows, cols);
  lapack_int info =
      LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'N', (lapack_int)cols, (lapack_int)rows, a, (lapack_int)cols, work, &none,
                          1, &none, 1, work + k, (lapack_int)(lwork - k), iwork);
  for (int64_t i = 0; i < k; i++) sum += work[i];
  return info ? NAN : sum;
}

double frechet_rows(const frechet_shape *s, double *x, double *y, double *scratch) {
  parts p = parts_of(s);
  double *mx = scratch, *my = mx + p.tau; /* my lies where LQ works later */
  double *work = mx + p.tau, *cross = work + p.work, *flip = cross + p.cross, *svd = flip + p.flip;
  double between = 0, trace = 0;
  matrix_mean(x, s->n, s->d, mx);
  matrix_mean(y, s->m, s->d, my);
  for (int64_t k = 0; k < s->d; k++) between += (mx[k] - my[k]) * (mx[k] - my[k]);
  centre(x, s->n, s->d, (double)(s->population ? s->n : s->n - 1), mx, &trace);
  centre(y, s->m, s->d, (double)(s->population ? s->m : s->m - 1), my, &trace);
  if (shorten(x, s->n, s->d, mx, work) || shorten(y, s->m, s->d, mx, work)) return NAN;
  matrix_transpose(y, p.ry, s->d, flip);
  matrix_product(x, flip, p.rx, s->d, p.ry, cross);
  return between + trace - 2 * nuclear_norm(cross, p.rx, p.ry, svd, p.svd, (lapack_int *)(void *)(svd + p.svd));
}

void frechet_covariance(const double *x, int64_t n, int64_t d, int population, double *mu, double *sigma) {
  matrix_mean(x, n, d, mu);
  memset(sigma, 0, (size_t)(d * d) * sizeof *sigma);
  for (int64_t i = 0; i < n; i++) {
    const double *row = x + i * d;
    for (int64_t a = 0; a < d; a++)
      for (int64_t b = 0; b < d; b++) sigma[a * d + b] += (row[a] - mu[a]) * (row[b] - mu[b]);
  }
  for (int64_t i = 0; i < d * d; i++) sigma[i] /= (double)(population ? n : n - 1);
}

/* dsyevd: 1 + 6 d + 2 d^2 doubles and 3 + 5 d ints. */
int64_t frechet_eigen_scratch(int64_t d) {
  return 2 * d * d + 6 * d + 1 + 5 * d + 3;
}

int frechet_eigen(double *a, int64_t d, double *value, double *scratch) {
  int64_t lwork = 2 * d * d + 6 * d + 1;
  one_thread();
  return LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', 'U', (lapack_int)d, a, (lapack_int)d, value, scratch,
                             (lapack_int)lwork, (lapack_int *)(void *)(scratch + lwork), (lapack_int)(5 * d + 3));
}

/* out [d][d] = symmetric square root of a (overwritten), negative eigenvalues as 0. flip: [d][d]. */
static int square_root(double *a, int64_t d, double *out, double *flip, double *scratch) {
  double *value = scratch, *work = scratch + d;
  if (frechet_eigen(a, d, value, work)) return -1;
  for (int64_t k = 0; k < d; k++)
    for (int64_t i = 0; i < d; i++) a[k * d + i] *= sqrt(sqrt(fmax(0, value[k]))); /* both factors get a root */
  matrix_transpose(a, d, d, flip);
  matrix_product(flip, a, d, d, d, out);
  return 0;
}

int frechet_gaussians(err *e, frechet_moments x, frechet_moments y, int64_t d, double *out) {
  int rc = OK;
  double *block = NULL, sum = 0;
  if (d > 30000) FAIL(e, E_ARG, "Frechet distance: covariances of %lld numbers a side are too large", (long long)d);
  TRY(mem_new(e, 3 * d * d + d + frechet_eigen_scratch(d), sizeof *block, "Frechet distance", &block));
  double *a = block, *root = a + d * d, *flip = root + d * d, *scratch = flip + d * d;
  *out = NAN;
  memcpy(a, x.sigma, (size_t)(d * d) * sizeof *a);
  if (square_root(a, d, root, flip, scratch)) goto out;
  matrix_product(root, y.sigma, d, d, d, flip);
  matrix_product(flip, root, d, d, d, a);
  if (frechet_eigen(a, d, scratch, scratch + d)) goto out;
  for (int64_t k = 0; k < d; k++)
    sum += (x.mu[k] - y.mu[k]) * (x.mu[k] - y.mu[k]) + x.sigma[k * d + k] + y.sigma[k * d + k] -
           2 * sqrt(fmax(0, scratch[k]));
  *out = sum;
out:
  free(block);
  return rc;
}

/* --- the scores ------------------------------------------------------------------------------------------------ */

typedef struct sample {
  const double *x, *y; /* rows of the two sets */
  frechet_shape shape;
} sample;

static double of_order(const void *ctx, const int64_t *order, double *scratch) {
  const sample *s = ctx;
  int64_t d = s->shape.d, all = s->shape.n + s->shape.m;
  for (int64_t i = 0; i < all; i++) {
    int64_t k = order[i];
    const double *row = k < s->shape.n ? s->x + k * d : s->y + (k - s->shape.n) * d;
    memcpy(scratch + i * d, row, (size_t)d * sizeof *row);
  }
  return frechet_rows(&s->shape, scratch, scratch + s->shape.n * d, scratch + all * d);
}

/* Mean and covariance of a set, made from rows where it has them; *store is freed by the caller. */
static int moments_of(err *e, const set_matrix *s, int population, double **store, frechet_moments *out) {
  *out = (frechet_moments){s->mu, s->sigma};
  if (s->mu) return OK;
  int rc = mem_new(e, s->dim * (s->dim + 1), sizeof **store, "covariance", store);
  if (rc != OK) return rc;
  frechet_covariance(s->x, s->n, s->dim, population, *store, *store + s->dim);
  *out = (frechet_moments){*store, *store + s->dim};
  return OK;
}

enum { POPULATION, PERMUTATIONS, SEED };

static int score(err *e, const set_call *c, set_result *out) {
  int rc = OK, population = c->param[POPULATION] != 0;
  double *store[2] = {NULL, NULL};
  if (c->x->mu || c->y->mu) {
    frechet_moments x, y;
    TRY(moments_of(e, c->x, population, &store[0], &x));
    TRY(moments_of(e, c->y, population, &store[1], &y));
    TRY(frechet_gaussians(e, x, y, c->x->dim, &out->value));
    goto out;
  }
  sample s = {c->x->x, c->y->x, {c->x->n, c->y->n, c->x->dim, population}};
  permute_plan p = {.n = s.shape.n,
                    .m = s.shape.m,
                    .permutations = (int64_t)c->param[PERMUTATIONS],
                    .seed = (uint64_t)c->param[SEED],
                    .threads = c->threads,
                    .statistic = of_order,
                    .ctx = &s};
  TRY(frechet_scratch(e, &s.shape, &p.scratch));
  p.scratch += (s.shape.n + s.shape.m) * s.shape.d;
  TRY(permute_run(e, &p, NULL, out));
out:
  free(store[0]), free(store[1]);
  return rc;
}

const set_metric set_metric_frechet = {
    .id = "frechet",
    .version = 1,
    .tier = 3,
    .direction = METRIC_DOWN,
    .unit = "1",
    .lo = -INFINITY,
    .hi = INFINITY,
    .plane = METRIC_RGB,
    .extractor = &set_file,
    .min_x = 2,
    .min_y = 2,
    .moments = 1,
    .params = (const metric_param[]){{"population", "1: covariances divided by n instead of n - 1", 0, 0, 1, 1},
                                     SET_PERMUTATIONS_ROW(0, 99),
                                     SET_SEED_ROW,
                                     {0}},
    .help = "Frechet distance of Gaussians fitted to features that a file gives: FID or FVD by the file's extractor, "
            "whose name belongs beside the number. Grows as the sets shrink, far above 0 for two samples of one "
            "distribution while clips are fewer than numbers: read it with its null. From mean and covariance alone "
            "there is neither null nor p",
    .citation = "Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule; population: StyleGAN-V, cd-fvd",
    .reasons = (const char *const[]){METRIC_SIZES_DIFFER, NULL},
    .score = score,
};
