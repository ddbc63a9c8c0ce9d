/* Scores of two sets of clips: the arithmetic against tests/golden/metrics/distribution.* (injected subsets,
 * permutations, directions and places), closed forms, the permutation test, the extractors and the registry. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/rng.h"
#include "golden.h"
#include "metrics/energy.h"
#include "metrics/extract.h"
#include "metrics/frechet.h"
#include "metrics/matrix.h"
#include "metrics/mmd.h"
#include "metrics/permute.h"
#include "metrics/set.h"
#include "metrics/swd.h"
#include "model/safetensors.h"

static struct {
  st_file *dist, *warp;
  json *expected, *closed;
} golden;

static json *open_json(const char *name) {
  err e = {0};
  json *j = NULL;
  assert_int_equal(json_read(&e, golden_path(name), &j), OK);
  return j;
}

static int setup(void **state) {
  (void)state;
  err e = {0};
  assert_int_equal(st_open(&e, golden_path("metrics/distribution.safetensors"), &golden.dist), OK);
  assert_int_equal(st_open(&e, golden_path("metrics/warp.safetensors"), &golden.warp), OK);
  golden.expected = open_json("metrics/distribution.json");
  golden.closed = open_json("metrics/closed_forms.json");
  return 0;
}

static int teardown(void **state) {
  (void)state;
  st_close(golden.dist);
  st_close(golden.warp);
  json_free(golden.expected);
  json_free(golden.closed);
  return 0;
}

static double *doubles(int64_t n) {
  double *p = malloc((size_t)(n + 1) * sizeof *p);
  assert_non_null(p);
  for (int64_t i = 0; i < n; i++) p[i] = NAN;
  return p;
}

static const json *want(const char *a, const char *b) {
  const json *j = json_get(json_get(golden.expected, "expected"), a);
  if (b) j = json_get(j, b);
  assert_non_null(j);
  return j;
}

static const st_tensor *tensor(const st_file *f, const char *name) {
  const st_tensor *t = st_find(f, name);
  if (!t) fail_msg("no tensor %s", name);
  return t;
}

static double *values(const st_file *f, const char *name) {
  const st_tensor *t = tensor(f, name);
  double *p = doubles(t->count), size = 0;
  for (int64_t i = 0; i < t->count; i++) size += fabs(p[i] = dtype_get(t->type, t->data, i));
  assert_true(size > 0);
  return p;
}

static void close_to(const char *what, double got, double wanted, double rel) {
  assert_true(wanted != 0 && isfinite(wanted));
  if (!(fabs(got - wanted) <= rel * fabs(wanted))) fail_msg("%s: %.17g, expected %.17g", what, got, wanted);
}

/* n rows of d normals plus shift, of the test's stream. */
static double *normals(uint32_t tag, int64_t n, int64_t d, double shift) {
  double *x = doubles(n * d);
  for (int64_t i = 0; i < n * d; i++) {
    float v;
    rng_normal((rng){.seed = 20, .stream = RNG_TEST, .sub = tag}, (uint64_t)i, 1, &v);
    x[i] = (double)v + shift;
  }
  return x;
}

static set_matrix matrix_of(const double *x, int64_t n, int64_t d) {
  return (set_matrix){.x = x, .n = n, .rows = 1, .dim = d};
}

static set_request request(const char *score) {
  err e = {0};
  set_request r;
  if (set_parse(&e, score, &r) != OK) fail_msg("%s: %s", score, e.text);
  return r;
}

static set_result compare_on(const char *score, const set_matrix *x, const set_matrix *y, int threads) {
  err e = {0};
  set_request r = request(score);
  set_result out;
  memset(&out, 0xff, sizeof out);
  if (set_score(&e, &r, x, y, threads, &out) != OK) fail_msg("%s: %s", score, e.text);
  assert_true(isfinite(out.value) && isfinite(out.p) && isfinite(out.null_mean) && isfinite(out.null_sd));
  return out;
}

static set_result compare(const char *score, const set_matrix *x, const set_matrix *y) {
  return compare_on(score, x, y, 1);
}

/* A golden pair of sets under a score. */
static set_result golden_score(const char *score, const char *name) {
  char key[64];
  snprintf(key, sizeof key, "%s.x", name);
  const st_tensor *tx = tensor(golden.dist, key);
  double *x = values(golden.dist, key);
  snprintf(key, sizeof key, "%s.y", name);
  const st_tensor *ty = tensor(golden.dist, key);
  double *y = values(golden.dist, key);
  set_matrix mx = matrix_of(x, tx->shape[0], tx->shape[1]), my = matrix_of(y, ty->shape[0], ty->shape[1]);
  set_result r = compare(score, &mx, &my);
  assert_true(!r.reason && r.n_x == mx.n && r.n_y == my.n);
  free(x), free(y);
  return r;
}

/* --- Frechet ---------------------------------------------------------------------------------------------------- */

static void frechet_golden(void **state) {
  (void)state;
  static const char *const pair[] = {"full", "deficient", "fvd", "one"};
  for (int i = 0; i < 4; i++) {
    const json *w = want("frechet", pair[i]);
    close_to(pair[i], golden_score("frechet:permutations=0", pair[i]).value, json_get(w, "value")->num, 1e-8);
    close_to(pair[i], golden_score("frechet:population=1,permutations=0", pair[i]).value,
             json_get(w, "population_cov")->num, 1e-8);
  }
}

/* The value of a set and itself is rounding, and is not forced to 0. */
static void frechet_identical(void **state) {
  (void)state;
  double *x = normals(1, 30, 12, 5);
  set_matrix m = matrix_of(x, 30, 12);
  set_result r = compare("frechet:permutations=0", &m, &m);
  assert_true(!r.reason && fabs(r.value) < 1e-10 && r.p == 0 && r.permutations == 0);
  r = compare("frechet:permutations=19", &m, &m);
  assert_true(fabs(r.value) < 1e-10 && r.p == 1 && r.null_lo > 0.01); /* every split is farther apart */
  free(x);
}

/* d = 1: (mean difference)^2 + (sd difference)^2. */
static void frechet_one_number(void **state) {
  (void)state;
  const double x[] = {1, 2, 4, 9}, y[] = {-3, 5, 0.5};
  double mx = 4, my = 2.5 / 3, vx = (9 + 4 + 0 + 25) / 3.0, vy = 0;
  for (int i = 0; i < 3; i++) vy += (y[i] - my) * (y[i] - my) / 2;
  double wanted = (mx - my) * (mx - my) + (sqrt(vx) - sqrt(vy)) * (sqrt(vx) - sqrt(vy));
  set_matrix a = matrix_of(x, 4, 1), b = matrix_of(y, 3, 1);
  close_to("d = 1", compare("frechet:permutations=0", &a, &b).value, wanted, 1e-13);
  close_to("d = 1, swapped", compare("frechet:permutations=0", &b, &a).value, wanted, 1e-13);
}

/* Mean and covariance alone: as from the rows; also with one side's rows. */
static void frechet_from_moments(void **state) {
  (void)state;
  static const struct {
    const char *name;
    double rel;
  } pair[] = {{"full", 1e-8}, {"deficient", 1e-6}, {"one", 1e-8}};
  for (int i = 0; i < 3; i++) {
    char key[64];
    snprintf(key, sizeof key, "%s.x", pair[i].name);
    const st_tensor *t = tensor(golden.dist, key);
    int64_t n = t->shape[0], d = t->shape[1];
    double *x = values(golden.dist, key), *block = doubles(2 * d * (d + 1)), *second = block + d * (d + 1);
    snprintf(key, sizeof key, "%s.y", pair[i].name);
    int64_t m = tensor(golden.dist, key)->shape[0];
    double *y = values(golden.dist, key);
    frechet_covariance(x, n, d, 0, block, block + d);
    frechet_covariance(y, m, d, 0, second, second + d);
    set_matrix sx = {.mu = block, .sigma = block + d, .dim = d}, sy = {.mu = second, .sigma = second + d, .dim = d};
    double wanted = json_get(want("frechet", pair[i].name), "value")->num;
    set_result r = compare("frechet", &sx, &sy);
    close_to("moments", r.value, wanted, pair[i].rel);
    assert_true(r.p == 0 && r.permutations == 0 && r.n_x == 0);
    set_matrix rows = matrix_of(y, m, d);
    close_to("moments and rows", compare("frechet", &sx, &rows).value, wanted, pair[i].rel);
    assert_string_equal(compare("kid", &sx, &rows).reason, METRIC_NO_FEATURES);
    free(x), free(y), free(block);
  }
}

/* More rows than numbers, fewer, and one side of each: the nuclear norm does not care how it is reached. */
static void frechet_shapes(void **state) {
  (void)state;
  static const int64_t shape[][3] = {{40, 35, 6}, {4, 5, 9}, {5, 30, 8}, {30, 5, 8}, {2, 2, 3}, {9, 9, 9}};
  for (int i = 0; i < 6; i++) {
    int64_t n = shape[i][0], m = shape[i][1], d = shape[i][2];
    double *x = normals(2, n, d, 0), *y = normals(3, m, d, 0.3);
    double *a = doubles(2 * d * (d + 1)), *b = a + d * (d + 1), rest;
    for (int64_t k = 0; k < m * d; k++) y[k] *= 1.5;
    frechet_covariance(x, n, d, 0, a, a + d);
    frechet_covariance(y, m, d, 0, b, b + d);
    err e = {0};
    assert_int_equal(frechet_gaussians(&e, (frechet_moments){a, a + d}, (frechet_moments){b, b + d}, d, &rest), OK);
    set_matrix sx = matrix_of(x, n, d), sy = matrix_of(y, m, d);
    set_result r = compare("frechet:permutations=0", &sx, &sy);
    close_to("rows and moments", r.value, rest, 1e-6);
    close_to("symmetric", compare("frechet:permutations=0", &sy, &sx).value, r.value, 1e-10);
    free(x), free(y), free(a);
  }
}

/* --- kernels ---------------------------------------------------------------------------------------------------- */

static void kid_golden(void **state) {
  (void)state;
  const st_tensor *sub[] = {tensor(golden.dist, "kid.subset_x"), tensor(golden.dist, "kid.subset_y")};
  const json *w = want("kid", NULL);
  double *x = values(golden.dist, "kid.x"), *y = values(golden.dist, "kid.y");
  double *pool = doubles(110 * 32), *k = doubles(110 * 110), *flip = doubles(110 * 32), sum = 0;
  memcpy(pool, x, 60 * 32 * sizeof *x);
  memcpy(pool + 60 * 32, y, 50 * 32 * sizeof *y);
  mmd_polynomial(pool, 110, 32, 3, 1, k, flip);
  for (int i = 0; i < 6; i++) {
    int64_t item[2][20];
    for (int s = 0; s < 2; s++)
      for (int j = 0; j < 20; j++) item[s][j] = (int64_t)dtype_get(sub[s]->type, sub[s]->data, 20 * i + j) + 60 * s;
    double v = mmd_unbiased(k, 110, &(mmd_items){item[0], item[1], 20, 20});
    close_to("kid subset", v, json_at(json_get(w, "subsets"), i)->num, 1e-9);
    sum += v / 6;
  }
  close_to("kid mean", sum, json_get(w, "mean")->num, 1e-9);
  close_to("kid", golden_score("kid", "kid").value, json_get(w, "all_samples")->num, 1e-9);
  close_to("jedi", golden_score("jedi", "kid").value, json_get(w, "jedi_biased_deg2_x100")->num, 1e-9);
  set_matrix same = matrix_of(x, 60, 32);
  close_to("kid of a set and itself", compare("kid:permutations=0", &same, &same).value, json_get(w, "same_set")->num,
           1e-9);
  free(x), free(y), free(pool), free(k), free(flip);
}

/* Subsets of all clips are all clips; smaller ones scatter about the whole, and differ by seed. */
static void kid_subsets(void **state) {
  (void)state;
  double *x = normals(4, 40, 5, 0), *y = normals(5, 40, 5, 0.5);
  set_matrix a = matrix_of(x, 40, 5), b = matrix_of(y, 40, 5);
  double all = compare("kid:permutations=0", &a, &b).value;
  close_to("subsets of all", compare("kid:permutations=0,subsets=3", &a, &b).value, all, 1e-12);
  set_result r = compare("kid:permutations=99,subsets=50,subset_size=20", &a, &b);
  assert_true(r.value != all && fabs(r.value - all) < 0.5 * all && r.p == 0.01);
  assert_true(r.value != compare("kid:permutations=0,subsets=50,subset_size=20,seed=1", &a, &b).value);
  free(x), free(y);
}

/* --- energy ----------------------------------------------------------------------------------------------------- */

typedef struct distances {
  const double *dist;
  int64_t n, m;
} distances;

static double energy_statistic(const void *ctx, const int64_t *order, double *scratch) {
  (void)scratch;
  const distances *d = ctx;
  return energy_distance(d->dist, d->n + d->m, order, d->n, d->m);
}

static void energy_golden(void **state) {
  (void)state;
  err e = {0};
  const st_tensor *given = tensor(golden.dist, "energy.perm");
  const json *w = want("energy", NULL);
  double *x = values(golden.dist, "energy.x"), *y = values(golden.dist, "energy.y");
  double *pool = doubles(44 * 14), *flip = doubles(44 * 14), *dist = doubles(44 * 44), *null = doubles(199);
  int32_t *perm = malloc(199 * 44 * sizeof *perm);
  assert_non_null(perm);
  memcpy(pool, x, 24 * 14 * sizeof *x);
  memcpy(pool + 24 * 14, y, 20 * 14 * sizeof *y);
  matrix_transpose(pool, 44, 14, flip);
  matrix_distances(pool, flip, 44, 14, 44, dist);
  for (int64_t i = 0; i < given->count; i++) perm[i] = (int32_t)dtype_get(given->type, given->data, i);
  distances d = {dist, 24, 20};
  permute_plan p = {.n = 24, .m = 20, .permutations = 199, .given = perm, .threads = 2};
  p.statistic = energy_statistic;
  p.ctx = &d;
  set_result r = {0};
  assert_int_equal(permute_run(&e, &p, null, &r), OK);
  close_to("energy", r.value, json_get(w, "value")->num, 1e-9);
  for (int i = 0; i < 5; i++)
    close_to("permuted energy", null[i], json_at(json_get(w, "permuted_first5"), i)->num, 1e-9);
  assert_true(r.p == json_get(w, "p")->num && r.null_lo < r.null_mean && r.null_mean < r.null_hi && r.null_sd > 0);
  free(x), free(y), free(pool), free(flip), free(dist), free(null), free(perm);
}

/* Two sets of two numbers, by hand: the reference {0, 2} makes z = x - 1. */
static void energy_by_hand(void **state) {
  (void)state;
  const double x[] = {1, 4}, y[] = {0, 2};
  set_matrix a = matrix_of(x, 2, 1), b = matrix_of(y, 2, 1);
  double cross = (1 + 1 + 4 + 2) / 4.0, s = 1 / (1 + 1e-6);
  close_to("energy", compare("rgba_stats_energy", &a, &b).value, s * (2 * cross - 3 - 2), 1e-12);
  const double far[] = {1, 1000}; /* cut at 10 */
  a.x = far;
  close_to("cut", compare("rgba_stats_energy", &a, &b).value, 2 * (s + s + 10 + s + 10 - s) / 4 - 10 - 2 * s, 1e-12);
}

/* What is compared when nothing differs lies about 0 and is no evidence; what differs is found. */
static void energy_finds(void **state) {
  (void)state;
  static const char *const score[] = {"hof_energy", "rgba_stats_energy", "rand_mmd", "kid", "hof_frechet8"};
  double *x = normals(6, 24, 16, 0), *y = normals(7, 24, 16, 0), *z = normals(8, 24, 16, 0.5);
  set_matrix a = matrix_of(x, 24, 16), b = matrix_of(y, 24, 16), c = matrix_of(z, 24, 16);
  for (int i = 0; i < 5; i++) {
    set_result same = compare(score[i], &a, &b), other = compare(score[i], &c, &b);
    if (!(same.p > 0.05 && other.p <= 0.01 && other.value > same.null_hi))
      fail_msg("%s: p %g and %g", score[i], same.p, other.p);
    assert_true(same.null_lo <= same.value && same.value <= same.null_hi && same.permutations == SET_PERMUTATIONS);
    set_result twice = compare(score[i], &a, &a);
    if (!(twice.value < same.null_hi && twice.p > 0.5)) fail_msg("%s of a set and itself: %g", score[i], twice.value);
  }
  free(x), free(y), free(z);
}

/* --- the permutation test --------------------------------------------------------------------------------------- */

/* Largest distance of the p values' distribution from the uniform one on the grid of reachable values. */
static double kolmogorov(const double *p, int n, int permutations) {
  double worst = 0;
  for (int k = 1; k <= permutations + 1; k++) {
    int below = 0;
    double at = k / (1.0 + permutations);
    for (int i = 0; i < n; i++) below += p[i] <= at + 1e-12;
    worst = fmax(worst, fabs(below / (double)n - at));
  }
  return worst;
}

enum { DRAWS = 300 };

/* Both sets from one distribution, far fewer clips than numbers: p is uniform. 1.63 / sqrt(draws) is the 1 % point of
 * the Kolmogorov-Smirnov statistic; the seeds are fixed. */
static void p_is_uniform(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t n, m, d;
    int permutations;
  } plan[] = {{"hof_energy", 6, 5, 12, 499},
              {"rgba_stats_energy", 4, 8, 5, 499},
              {"frechet:permutations=99", 6, 5, 4, 99},
              {"kid:permutations=99", 5, 6, 7, 99},
              {"rand_mmd:permutations=99", 5, 6, 7, 99},
              {"hof_frechet8", 5, 9, 10, 499}};
  for (int i = 0; i < 6; i++) {
    double p[DRAWS];
    for (int k = 0; k < DRAWS; k++) {
      uint32_t tag = (uint32_t)(1000 + 2000 * i + 2 * k);
      double *x = normals(tag, plan[i].n, plan[i].d, 0), *y = normals(tag + 1, plan[i].m, plan[i].d, 0);
      set_matrix a = matrix_of(x, plan[i].n, plan[i].d), b = matrix_of(y, plan[i].m, plan[i].d);
      p[k] = compare(plan[i].text, &a, &b).p;
      free(x), free(y);
    }
    double d = kolmogorov(p, DRAWS, plan[i].permutations);
    if (d > 1.63 / sqrt(DRAWS)) fail_msg("%s: p is not uniform, distance %g", plan[i].text, d);
  }
}

/* The order of the clips within a set does not matter to the value; a seed gives the same null twice; the number of
 * threads changes no bit. */
static void order_and_threads(void **state) {
  (void)state;
  static const char *const score[] = {
      "hof_energy", "rgba_stats_energy",       "hof_frechet8",
      "rand_mmd",   "frechet:permutations=50", "kid:subsets=4,subset_size=5,permutations=50",
      "jedi"};
  double *x = normals(9, 14, 8, 0.2), *y = normals(10, 11, 8, 0), *turned = doubles(14 * 8);
  for (int i = 0; i < 14; i++) memcpy(turned + 8 * i, x + 8 * (13 - i), 8 * sizeof *x);
  set_matrix a = matrix_of(x, 14, 8), b = matrix_of(y, 11, 8), t = matrix_of(turned, 14, 8);
  for (int i = 0; i < 7; i++) {
    set_result one = compare_on(score[i], &a, &b, 1);
    assert_true(one.value != 0 && one.null_sd > 0);
    for (int threads = 2; threads <= 3; threads++) {
      set_result r = compare_on(score[i], &a, &b, threads);
      assert_memory_equal(&r, &one, sizeof r);
    }
    if (!strstr(score[i], "subsets")) close_to(score[i], compare(score[i], &t, &b).value, one.value, 1e-9);
  }
  set_result r = compare("hof_energy:seed=7", &a, &b), s = compare("hof_energy", &a, &b);
  assert_true(r.value == s.value && r.null_mean != s.null_mean && r.seed == 7 && s.seed == 0);
  free(x), free(y), free(turned);
}

/* --- histograms of flow ----------------------------------------------------------------------------------------- */

static void hof_golden(void **state) {
  (void)state;
  const st_tensor *wanted = tensor(golden.warp, "flowdiff.hof");
  static const char *const stream[] = {"flowdiff.flow_rgb", "flowdiff.flow_alpha"};
  double got[4 * HOF_FIELD], *w = values(golden.warp, "flowdiff.hof");
  assert_int_equal(wanted->count, 4 * HOF_FIELD);
  for (int k = 0; k < 2; k++) {
    const st_tensor *t = tensor(golden.warp, stream[k]);
    float *flow = malloc((size_t)t->count * sizeof *flow);
    assert_non_null(flow);
    for (int64_t i = 0; i < t->count; i++) flow[i] = (float)dtype_get(t->type, t->data, i);
    int f = (int)t->shape[0], h = (int)t->shape[1], width = (int)t->shape[2];
    hof_histogram(flow, f, h, width, got + 2 * k * HOF_FIELD);
    hof_difference(flow, f, h, width, got + (2 * k + 1) * HOF_FIELD);
    free(flow);
  }
  for (int i = 0; i < 4 * HOF_FIELD; i++)
    if (!(fabs(got[i] - w[i]) <= 1e-6 * fmax(w[i], 1e-3))) fail_msg("hof %d: %.9g, expected %.9g", i, got[i], w[i]);
  free(w);
}

static double component(const json *c, int i) {
  return strtod(json_at(json_get(c, "vector"), i)->str, NULL);
}

static void hof_bins(void **state) {
  (void)state;
  const json *list = json_get(json_get(golden.closed, "expected"), "hof_bins");
  int n = 0;
  for (const json *c = list->child; c; c = c->next, n++) {
    double u = component(c, 0), v = component(c, 1), out[HOF_FIELD], sum = 0;
    const json *bin = json_get(c, "bin");
    if (bin->type == JSON_NUMBER) assert_int_equal(hof_bin(u, v), (int)bin->num);
    float flow[2] = {(float)u, (float)v};
    hof_histogram(flow, 1, 1, 1, out); /* one pixel lies in the last cell */
    for (int i = 0; i < HOF_FIELD; i++) sum += out[i];
    assert_true(fabs(sum - json_get(c, "weight")->num) <= 1e-6);
    if (bin->type == JSON_NUMBER) assert_true(out[3 * HOF_BINS + (int)bin->num] == sum);
  }
  assert_int_equal(n, 11);
}

/* --- sliced Wasserstein ----------------------------------------------------------------------------------------- */

static void swd_golden(void **state) {
  (void)state;
  double *x = values(golden.dist, "swd.x"), *y = values(golden.dist, "swd.y"),
         *dirs = values(golden.dist, "swd.dirs");
  double *scratch = doubles(2 * 128 + 32);
  swd_sets s = {x, y, 64, 64, 20};
  close_to("swd", swd_sliced(&s, dirs, 32, 2, scratch), json_get(want("swd", NULL), "value")->num, 1e-5);
  free(x), free(y), free(dirs), free(scratch);
}

/* Descriptors of one level of four images at the golden's places. */
static double *golden_patches(const char *side, int level) {
  char key[64];
  err e = {0};
  snprintf(key, sizeof key, "swdpyr.%s", side);
  const st_tensor *t = tensor(golden.dist, key);
  double *image = values(golden.dist, key), *out = doubles(128 * 196);
  snprintf(key, sizeof key, "swdpyr.pos%d_%s", level, side);
  double *place = values(golden.dist, key);
  int64_t each = t->count / t->shape[0];
  for (int i = 0; i < 4; i++) {
    pyramid p;
    assert_int_equal(pyramid_build(&e, image + i * each, 4, (int)t->shape[2], (int)t->shape[3], 3, &p), OK);
    for (int k = 32 * i; k < 32 * i + 32; k++)
      pyramid_patch(&p, level, 4, (int)place[2 * k], (int)place[2 * k + 1], out + 196 * k);
    pyramid_free(&p);
  }
  free(image), free(place);
  swd_standardise(out, 128, 4, 49);
  return out;
}

static void swd_pyramid_golden(void **state) {
  (void)state;
  const json *w = want("swd_pyramid_x1e3", NULL);
  double *dirs = values(golden.dist, "swdpyr.dirs"), *scratch = doubles(256 + 32), sum = 0;
  for (int k = 0; k < 3; k++) {
    double *x = golden_patches("x", k), *y = golden_patches("y", k);
    swd_sets s = {x, y, 128, 128, 196};
    double v = 1e3 * swd_sliced(&s, dirs, 32, 1, scratch);
    close_to("swd level", v, json_at(json_get(w, "levels"), k)->num, 1e-5);
    sum += v / 3;
    free(x), free(y);
  }
  close_to("swd mean", sum, json_get(w, "mean")->num, 1e-5);
  free(dirs), free(scratch);
}

/* Unequal counts: the integral over quantiles, by hand; a repeated sample is the same sample. */
static void swd_unequal(void **state) {
  (void)state;
  const double a[] = {0, 1, 5}, b[] = {2, 3}, twice[] = {0, 0, 1, 1, 5, 5};
  close_to("3 and 2", swd_sorted(a, 3, b, 2), (2 * 2 + 1 * 1 + 1 * 2 + 2 * 2) / 6.0, 1e-14);
  close_to("2 and 3", swd_sorted(b, 2, a, 3), (2 * 2 + 1 * 1 + 1 * 2 + 2 * 2) / 6.0, 1e-14);
  assert_true(swd_sorted(a, 3, twice, 6) == 0 && swd_sorted(a, 3, a, 3) == 0);
  close_to("equal", swd_sorted(a, 3, (const double[]){1, 1, 1}, 3), 5 / 3.0, 1e-14);
}

static void pyramid_shapes(void **state) {
  (void)state;
  assert_int_equal(pyramid_levels(64, 64), 3);
  assert_int_equal(pyramid_levels(15, 64), 0);
  assert_int_equal(pyramid_levels(31, 300), 2); /* 31 -> 16 */
  assert_int_equal(pyramid_levels(100000, 100000), SET_PARTS);
  err e = {0};
  pyramid p;
  double flat[33 * 21];
  for (int i = 0; i < 33 * 21; i++) flat[i] = 7;
  assert_int_equal(pyramid_build(&e, flat, 1, 33, 21, 2, &p), OK);
  assert_true(p.height[1] == 17 && p.width[1] == 11);
  for (int i = 0; i < 17 * 11; i++) assert_true(fabs(p.level[1][i] - 7) < 1e-12);
  for (int y = 2; y < 31; y++) /* inside, what the half lacks of a flat image is nothing */
    for (int x = 2; x < 19; x++) assert_true(fabs(p.level[0][y * 21 + x]) < 1e-12);
  pyramid_free(&p);
}

/* --- clips ------------------------------------------------------------------------------------------------------ */

enum { CLIPS = 10 };

/* A textured disc that moves over a textured ground; clip k of a set. */
static clip disc(uint32_t tag, int frames, int height, int width) {
  err e = {0};
  clip c;
  float r[6];
  rng_uniform((rng){.seed = 31, .stream = RNG_TEST, .sub = tag}, 0, 6, r);
  assert_int_equal(clip_new(&e, frames, height, width, 1, &c), OK);
  c.fps = 8;
  for (int t = 0; t < frames; t++)
    for (int y = 0; y < height; y++)
      for (int x = 0; x < width; x++) {
        int64_t i = ((int64_t)t * height + y) * width + x;
        double cx = width * (0.35 + 0.3 * (double)r[0]) + t * (5 * (double)r[1] - 2.5),
               cy = height * 0.5 + t * (3 * (double)r[2] - 1.5);
        double d = hypot(x - cx, y - cy) - height * (0.18 + 0.1 * (double)r[3]);
        double a = fmax(0, fmin(1, 0.5 - d / 2)), tone = 0.3 + 0.5 * (double)r[4];
        c.alpha[i] = (float)a;
        for (int k = 0; k < 3; k++) {
          double ground = 0.3 + 0.2 * sin(0.5 * x + 0.3 * y + k + 6 * (double)r[5]);
          c.rgb[3 * i + k] = (float)(a * (tone + 0.2 * sin(0.8 * (x - cx) + k)) + (1 - a) * ground);
        }
      }
  return c;
}

static set_rows rows_on(const char *score, const clip *c, int threads) {
  err e = {0};
  set_request r = request(score);
  set_rows out;
  if (set_features(&e, &r, c, threads, &out) != OK) fail_msg("%s: %s", score, e.text);
  assert_true(out.reason ? !out.x : out.rows > 0 && out.dim > 0);
  return out;
}

/* Stacked features of CLIPS discs, changed by `defect`. */
typedef struct stacked {
  double *store;
  set_matrix m;
} stacked;

static stacked stack_of(const char *score, uint32_t first, void (*defect)(clip *)) {
  err e = {0};
  set_rows list[CLIPS];
  stacked s;
  for (uint32_t k = 0; k < CLIPS; k++) {
    clip c = disc(first + k, 5, 32, 36);
    if (defect) defect(&c);
    list[k] = rows_on(score, &c, 1);
    clip_free(&c);
  }
  assert_int_equal(set_stack(&e, list, CLIPS, &s.store, &s.m), OK);
  for (int k = 0; k < CLIPS; k++) set_rows_free(&list[k]);
  return s;
}

static void frozen_alpha(clip *c) {
  int64_t n = (int64_t)c->height * c->width;
  for (int t = 1; t < c->frames; t++) memcpy(c->alpha + t * n, c->alpha, (size_t)n * sizeof *c->alpha);
}

/* Every other frame, picture and alpha, 2 px down; rows that come in repeat the first. */
static void jittered(clip *c) {
  int64_t w = c->width;
  for (int t = 1; t < c->frames; t += 2)
    for (int y = c->height - 1; y > 0; y--) {
      int64_t to = (int64_t)t * c->height + y, from = (int64_t)t * c->height + (y < 2 ? 0 : y - 2);
      memcpy(c->alpha + to * w, c->alpha + from * w, (size_t)w * sizeof *c->alpha);
      memcpy(c->rgb + 3 * to * w, c->rgb + 3 * from * w, (size_t)(3 * w) * sizeof *c->rgb);
    }
}

static void opaque_alpha(clip *c) {
  for (int64_t i = 0; i < (int64_t)c->frames * c->height * c->width; i++) c->alpha[i] = 1;
}

static void noisy(clip *c) {
  int64_t n = 3 * (int64_t)c->frames * c->height * c->width;
  for (int64_t i = 0; i < n; i++) {
    float v;
    rng_uniform((rng){.seed = 3, .stream = RNG_TEST, .sub = 0}, (uint64_t)i, 1, &v);
    c->rgb[i] = 0.7f * c->rgb[i] + 0.3f * v;
  }
}

/* From clips to scores: same distribution, and planted defects. */
static void clips_to_scores(void **state) {
  (void)state;
  static const struct {
    const char *text;
    void (*defect)(clip *);
    int64_t dim;
  } plan[] = {{"hof_energy", jittered, 128},
              {"hof_energy:alpha=0", noisy, 64},
              {"rgba_stats_energy", opaque_alpha, 14},
              {"rgba_stats_energy", frozen_alpha, 14},
              {"rand_mmd", opaque_alpha, 128},
              {"rand_mmd:alpha=0", noisy, 128},
              {"swd:directions=32,patches=16,permutations=39", opaque_alpha, 196},
              {"swd:directions=32,patches=16,permutations=39,alpha=0", noisy, 147}};
  for (size_t i = 0; i < sizeof plan / sizeof plan[0]; i++) {
    stacked x = stack_of(plan[i].text, 0, NULL), y = stack_of(plan[i].text, 100, NULL);
    stacked bad = stack_of(plan[i].text, 0, plan[i].defect);
    assert_true(x.m.n == CLIPS && x.m.dim == plan[i].dim && x.m.undefined == 0);
    set_result same = compare(plan[i].text, &x.m, &y.m), other = compare(plan[i].text, &bad.m, &y.m);
    assert_true(!same.reason && !other.reason);
    if (!(same.p > 0.04 && other.p <= 1.0 / 40 && other.value > same.value))
      fail_msg("%s: %g (p %g) and %g (p %g)", plan[i].text, same.value, same.p, other.value, other.p);
    set_result one = compare_on(plan[i].text, &x.m, &x.m, 2);
    assert_true(one.value < same.value && one.p > 0.5);
    free(x.store), free(y.store), free(bad.store);
  }
}

/* A feature is a function of the clip alone: same bits for any number of threads, others for another clip. */
static void features_are_pure(void **state) {
  (void)state;
  static const char *const score[] = {"hof_energy", "rgba_stats_energy", "rand_mmd", "swd"};
  clip c = disc(1, 4, 27, 33), other = disc(2, 4, 27, 33);
  for (int i = 0; i < 4; i++) {
    set_rows a = rows_on(score[i], &c, 1), b = rows_on(score[i], &c, 3), d = rows_on(score[i], &other, 1);
    assert_true(a.rows == b.rows && a.dim == b.dim && a.picture == (i < 2 ? METRIC_DECODED : METRIC_PREMULTIPLIED));
    assert_memory_equal(a.x, b.x, (size_t)(a.rows * a.dim) * sizeof *a.x);
    assert_true(memcmp(a.x, d.x, (size_t)(a.rows * a.dim) * sizeof *a.x));
    set_rows_free(&a), set_rows_free(&b), set_rows_free(&d);
  }
  clip_free(&c), clip_free(&other);
}

/* The statistics' means against metrics of the same clip that are defined on it. */
static void stats_are_metrics(void **state) {
  (void)state;
  err e = {0};
  clip c = disc(5, 2, 48, 48); /* one pair: pooled and mean of pairs agree */
  static const char *const name[] = {"fd_band_rel", "edge_corr", "alpha_warp_R", "alpha_coverage", "alpha_soft_frac"};
  set_rows r = rows_on("rgba_stats_energy", &c, 1);
  for (int i = 0; i < 5; i++) {
    metric_request q;
    metric_value v;
    assert_int_equal(metric_parse(&e, name[i], &q), OK);
    assert_int_equal(metric_score(&e, &q, 1, &(metric_input){.clip = &c}, &v), OK);
    assert_null(v.reason);
    if (!(fabs(r.x[i] - v.value) <= 1e-9 * fabs(v.value))) fail_msg("%s: %.12g and %.12g", name[i], r.x[i], v.value);
  }
  double change = 0, leak[2] = {0}, outside[2] = {0};
  int64_t n = 48 * 48;
  for (int64_t i = 0; i < n; i++) change += fabs((double)c.alpha[n + i] - (double)c.alpha[i]) / (double)n;
  for (int64_t i = 0; i < 2 * n; i++)
    if ((double)c.alpha[i] < 0.02)
      leak[i / n] +=
          0.299 * (double)c.rgb[3 * i] + 0.587 * (double)c.rgb[3 * i + 1] + 0.114 * (double)c.rgb[3 * i + 2],
          outside[i / n]++;
  close_to("change", r.x[5], change, 1e-9);
  close_to("leak", r.x[6], (leak[0] / outside[0] + leak[1] / outside[1]) / 2, 1e-9);
  close_to("spread of the leak", r.x[13], fabs(leak[0] / outside[0] - leak[1] / outside[1]) / 2, 1e-6);
  assert_true(r.x[7] == 0 && r.x[9] == 0 && r.x[12] == 0); /* one pair has no spread */
  set_rows_free(&r);
  clip_free(&c);
}

/* Degenerate mattes have features: that is how they are found. */
static void stats_of_degenerate_alpha(void **state) {
  (void)state;
  clip c = disc(5, 4, 32, 32);
  opaque_alpha(&c);
  set_rows r = rows_on("rgba_stats_energy", &c, 1);
  const double opaque[7] = {1, 0, 1, 1, 0, 0, 0};
  for (int i = 0; i < 7; i++) assert_true(r.x[i] == opaque[i] && r.x[7 + i] == 0);
  set_rows_free(&r);
  memset(c.alpha, 0, (size_t)4 * 32 * 32 * sizeof *c.alpha);
  r = rows_on("rgba_stats_energy", &c, 1);
  assert_true(r.x[0] == 1 && r.x[2] == 1 && r.x[3] == 0 && r.x[6] > 0.1);
  set_rows_free(&r);
  clip_free(&c);
}

/* One-frame, two-frame, small, odd, empty, RGB-only, premultiplied and broken clips. */
static void clips_without_features(void **state) {
  (void)state;
  static const struct {
    const char *text, *reason;
    int frames, height, width;
  } plan[] = {{"hof_energy", METRIC_TOO_FEW_FRAMES, 2, 32, 32},
              {"hof_energy", NULL, 3, 17, 19},
              {"rgba_stats_energy", METRIC_TOO_FEW_FRAMES, 1, 32, 32},
              {"rgba_stats_energy", NULL, 2, 17, 19},
              {"rand_mmd", METRIC_TOO_SMALL, 1, 7, 32},
              {"rand_mmd", NULL, 1, 9, 11},
              {"rand_mmd", NULL, 2, 8, 8},
              {"swd", METRIC_TOO_SMALL, 4, 32, 15},
              {"swd", NULL, 1, 16, 17}};
  for (size_t i = 0; i < sizeof plan / sizeof plan[0]; i++) {
    clip c = disc(7, plan[i].frames, plan[i].height, plan[i].width);
    set_rows r = rows_on(plan[i].text, &c, 1);
    if (plan[i].reason ? !r.reason || strcmp(r.reason, plan[i].reason) : r.reason != NULL)
      fail_msg("%s of %dx%dx%d: %s", plan[i].text, plan[i].frames, plan[i].height, plan[i].width,
               r.reason ? r.reason : "a value");
    set_rows_free(&r);
    clip_free(&c);
  }
  clip c = disc(7, 4, 32, 32), rgb = c;
  rgb.alpha = NULL;
  assert_string_equal(rows_on("hof_energy", &rgb, 1).reason, METRIC_NO_ALPHA);
  assert_string_equal(rows_on("swd", &rgb, 1).reason, METRIC_NO_ALPHA);
  set_rows r = rows_on("hof_energy:alpha=0", &rgb, 1), s = rows_on("hof_energy", &c, 1);
  assert_true(r.dim == 64 && !memcmp(r.x, s.x, 64 * sizeof *r.x));
  set_rows_free(&r), set_rows_free(&s);
  c.colour = CLIP_PREMULTIPLIED;
  r = rows_on("hof_energy", &c, 1);
  assert_true(r.picture == METRIC_PREMULTIPLIED);
  set_rows_free(&r);
  c.rgb[5] = NAN;
  assert_string_equal(rows_on("rand_mmd", &c, 1).reason, METRIC_NOT_FINITE);
  clip empty = {.frames = 0, .height = 0, .width = 0};
  assert_string_equal(rows_on("hof_energy:alpha=0", &empty, 1).reason, METRIC_EMPTY_CLIP);
  clip_free(&c);
}

static void premultiplied_is_asked_for(void **state) {
  (void)state;
  clip c = disc(8, 4, 24, 24), p = disc(8, 4, 24, 24);
  for (int64_t i = 0; i < 4 * 24 * 24; i++)
    for (int k = 0; k < 3; k++) p.rgb[3 * i + k] *= p.alpha[i];
  p.colour = CLIP_PREMULTIPLIED;
  set_rows own = rows_on("hof_energy", &c, 1), asked = rows_on("hof_energy:picture=premultiplied", &c, 1);
  set_rows made = rows_on("hof_energy", &p, 1);
  assert_memory_equal(asked.x, made.x, 128 * sizeof *made.x);
  assert_true(memcmp(own.x, made.x, 128 * sizeof *made.x) && own.picture != asked.picture);
  set_rows_free(&own), set_rows_free(&asked), set_rows_free(&made);
  clip_free(&c), clip_free(&p);
}

/* --- sets ------------------------------------------------------------------------------------------------------- */

static void few_clips(void **state) {
  (void)state;
  double *x = normals(11, 12, 4, 0);
  set_matrix many = matrix_of(x, 12, 4), none = {0};
  for (const set_metric *const *m = set_list(); *m; m++) {
    set_matrix a = matrix_of(x, (*m)->min_x - 1, 4), b = matrix_of(x, (*m)->min_y - 1, 4);
    assert_string_equal(compare((*m)->id, &a, &many).reason, METRIC_TOO_FEW_CLIPS);
    assert_string_equal(compare((*m)->id, &many, &b).reason, METRIC_TOO_FEW_CLIPS);
    assert_string_equal(compare((*m)->id, &none, &many).reason, METRIC_TOO_FEW_CLIPS);
    if ((*m)->extractor == &set_patches) continue;
    set_matrix least = matrix_of(x, (*m)->min_x, 4), base = matrix_of(x, (*m)->min_y, 4);
    assert_null(compare((*m)->id, &least, &base).reason);
  }
  double keep = x[7];
  x[7] = INFINITY;
  set_result r = compare("kid", &many, &many);
  assert_true(r.reason && !strcmp(r.reason, METRIC_NOT_FINITE) && r.value == 0);
  x[7] = keep;
  double flat[12 * 4];
  for (int i = 0; i < 48; i++) flat[i] = 3; /* nothing varies: the null is a point */
  set_matrix same = matrix_of(flat, 12, 4);
  for (const set_metric *const *m = set_list(); *m; m++)
    if ((*m)->extractor != &set_patches) {
      r = compare((*m)->id, &same, &same);
      assert_true(!r.reason && fabs(r.value) < 1e-9 && r.p == 1);
    }
  free(x);
}

static void stacks(void **state) {
  (void)state;
  err e = {0};
  double a[] = {1, 2}, b[] = {3, 4}, c[] = {5, 6, 7}, *store;
  set_rows list[3] = {
      {a, 1, 2, METRIC_DECODED, NULL}, {NULL, 0, 0, 0, METRIC_NO_ALPHA}, {b, 1, 2, METRIC_DECODED, NULL}};
  set_matrix m;
  assert_int_equal(set_stack(&e, list, 3, &store, &m), OK);
  assert_true(m.n == 2 && m.undefined == 1 && m.dim == 2 && m.x[0] == 1 && m.x[3] == 4 && !m.reason);
  set_result r = compare("kid", &m, &m);
  assert_true(r.undefined_x == 1 && r.undefined_y == 1 && r.n_x == 2);
  free(store);
  list[1] = (set_rows){c, 1, 3, METRIC_DECODED, NULL};
  assert_int_equal(set_stack(&e, list, 3, &store, &m), OK);
  assert_string_equal(m.reason, METRIC_SIZES_DIFFER);
  assert_string_equal(compare("kid", &m, &m).reason, METRIC_SIZES_DIFFER);
  free(store);
  list[1] = (set_rows){b, 1, 2, METRIC_PREMULTIPLIED, NULL};
  assert_int_equal(set_stack(&e, list, 3, &store, &m), OK);
  assert_string_equal(m.reason, METRIC_PICTURES_DIFFER);
  free(store);
  set_matrix x = matrix_of(a, 2, 1), y = matrix_of(b, 2, 1);
  x.picture = METRIC_DECODED, y.picture = METRIC_PREMULTIPLIED;
  assert_string_equal(compare("kid", &x, &y).reason, METRIC_PICTURES_DIFFER);
}

static void sets_that_do_not_fit(void **state) {
  (void)state;
  err e = {0};
  double x[] = {1, 2, 3, 5, 4, 6};
  set_result r;
  set_request q = request("kid");
  set_matrix a = matrix_of(x, 2, 3), b = matrix_of(x, 3, 2), c = a;
  assert_int_equal(set_score(&e, &q, &a, &b, 1, &r), E_SHAPE);
  assert_non_null(strstr(e.text, "3 and of 2"));
  err_clear(&e);
  a.source = "{\"extractor\":\"i3d\"}", c.source = "{\"extractor\":\"vjepa\"}";
  assert_int_equal(set_score(&e, &q, &a, &c, 1, &r), E_CONFIG);
  assert_non_null(strstr(e.text, "vjepa"));
  err_clear(&e);
  c.source = "{\"extractor\":\"i3d\"}";
  assert_int_equal(set_score(&e, &q, &a, &c, 1, &r), OK);
  assert_string_equal(r.source_y, c.source);
  set_rows rows;
  clip k = disc(1, 3, 16, 16);
  assert_int_equal(set_features(&e, &q, &k, 1, &rows), E_ARG);
  clip_free(&k);
}

/* --- registry --------------------------------------------------------------------------------------------------- */

static int known_reason(const char *code) {
  for (const metric_reason *r = metric_reasons(); r->code; r++)
    if (!strcmp(r->code, code)) return 1;
  return 0;
}

static void registry_is_sound(void **state) {
  (void)state;
  int n = 0;
  for (const set_metric *const *m = set_list(); *m; m++, n++) {
    const set_metric *s = *m;
    const metric_param *p = s->params, *own = s->extractor->params;
    assert_true(s->version >= 1 && s->extractor->version >= 1 && s->min_x >= 2 && s->min_y >= 2 && s->score);
    assert_true(s->lo < s->hi && s->direction == METRIC_DOWN && strlen(s->help) > 10 && strlen(s->citation) > 3);
    for (int k = 0; s->reasons[k]; k++) assert_true(known_reason(s->reasons[k]));
    for (; own && own->name; own++, p++) /* the extractor's come first */
      assert_true(!strcmp(own->name, p->name) && own->initial == p->initial && own->lo == p->lo && own->hi == p->hi);
    for (int k = 0; s->params[k].name; k++) assert_true(k < METRIC_PARAMS && s->params[k].lo <= s->params[k].initial);
    err e = {0};
    metric_request other;
    assert_int_equal(metric_parse(&e, s->id, &other), E_CONFIG); /* a name means one thing */
    char print[METRIC_TEXT];
    set_request r = request(s->id);
    set_print(&r, print);
    assert_string_equal(print, s->id);
    int listed = 0;
    for (const set_extractor *const *x = set_extractors(); *x; x++) listed |= *x == s->extractor;
    assert_true(listed);
  }
  assert_int_equal(n, 8);
}

static void names_parse(void **state) {
  (void)state;
  char print[METRIC_TEXT];
  set_request r = request("swd:seed=9007199254740991,frames=2,directions=7");
  set_print(&r, print);
  assert_string_equal(print, "swd:frames=2,seed=9007199254740991,directions=7");
  set_features_print(&r, print);
  assert_string_equal(print, "patches:frames=2,seed=9007199254740991");
  r = request("hof_frechet8:picture=premultiplied,seed=3,alpha=0");
  set_print(&r, print);
  assert_string_equal(print, "hof_frechet8:picture=premultiplied,alpha=0,seed=3");
  set_features_print(&r, print);
  assert_string_equal(print, "hof:picture=premultiplied,alpha=0");
  static const char *const bad[][2] = {{"hof_enrgy", "did you mean 'hof_energy'"},
                                       {"swd:picture=premultiplied", "no 'picture'"},
                                       {"hof_energy:picture=decoded", "must be shown or premultiplied"},
                                       {"hof_energy:permutations=100", "in [499, 1e+06]"},
                                       {"frechet:population=0.5", "whole number"},
                                       {"kid:sed=1", "did you mean 'seed'"},
                                       {"kid:seed=1,seed=2", "given twice"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    err e = {0};
    assert_int_equal(set_parse(&e, bad[i][0], &r), E_CONFIG);
    if (!strstr(e.text, bad[i][1])) fail_msg("'%s': %s", bad[i][0], e.text);
  }
}

/* Rows of a layer are orthogonal with norm sqrt 2, and other seeds give other weights. */
static void conv_is_orthogonal(void **state) {
  (void)state;
  err e = {0};
  for (int k = 0; k < CONV_LAYERS; k++) {
    int rows = conv_out(k), n = conv_in(k) * 27;
    float *w = malloc((size_t)(2 * rows * n) * sizeof *w), *other = w + rows * n;
    assert_non_null(w);
    assert_int_equal(conv_weights(&e, 0, k, w), OK);
    assert_int_equal(conv_weights(&e, 1, k, other), OK);
    assert_true(memcmp(w, other, (size_t)(rows * n) * sizeof *w));
    for (int a = 0; a < rows; a++)
      for (int b = 0; b <= a; b++) {
        double dot = 0;
        for (int i = 0; i < n; i++) dot += (double)w[a * n + i] * (double)w[b * n + i];
        assert_true(fabs(dot - (a == b ? 2 : 0)) < 1e-6);
      }
    free(w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(frechet_golden),
                                     cmocka_unit_test(frechet_identical),
                                     cmocka_unit_test(frechet_one_number),
                                     cmocka_unit_test(frechet_from_moments),
                                     cmocka_unit_test(frechet_shapes),
                                     cmocka_unit_test(kid_golden),
                                     cmocka_unit_test(kid_subsets),
                                     cmocka_unit_test(energy_golden),
                                     cmocka_unit_test(energy_by_hand),
                                     cmocka_unit_test(energy_finds),
                                     cmocka_unit_test(p_is_uniform),
                                     cmocka_unit_test(order_and_threads),
                                     cmocka_unit_test(hof_golden),
                                     cmocka_unit_test(hof_bins),
                                     cmocka_unit_test(swd_golden),
                                     cmocka_unit_test(swd_pyramid_golden),
                                     cmocka_unit_test(swd_unequal),
                                     cmocka_unit_test(pyramid_shapes),
                                     cmocka_unit_test(clips_to_scores),
                                     cmocka_unit_test(features_are_pure),
                                     cmocka_unit_test(stats_are_metrics),
                                     cmocka_unit_test(stats_of_degenerate_alpha),
                                     cmocka_unit_test(clips_without_features),
                                     cmocka_unit_test(premultiplied_is_asked_for),
                                     cmocka_unit_test(few_clips),
                                     cmocka_unit_test(stacks),
                                     cmocka_unit_test(sets_that_do_not_fit),
                                     cmocka_unit_test(registry_is_sound),
                                     cmocka_unit_test(names_parse),
                                     cmocka_unit_test(conv_is_orthogonal)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
