#include "metrics/swd.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "metrics/extract.h"
#include "metrics/permute.h"
#include "stats/stats.h"

double swd_sorted(const double *a, int64_t n, const double *b, int64_t m) {
  double sum = 0;
  int64_t i = 0, j = 0, at = 0; /* places on a line of n m steps: exact where quantiles of both sets meet */
  while (i < n && j < m) {
    int64_t next = (i + 1) * m < (j + 1) * n ? (i + 1) * m : (j + 1) * n;
    sum += (double)(next - at) * fabs(a[i] - b[j]);
    at = next;
    if (at == (i + 1) * m) i++;
    if (at == (j + 1) * n) j++;
  }
  return sum / ((double)n * (double)m);
}

static void project(const double *x, int64_t n, int64_t d, const double *direction, double *out) {
  for (int64_t i = 0; i < n; i++) {
    double sum[4] = {0}; /* four sums keep the adder busy */
    int64_t k = 0;
    for (; k + 4 <= d; k += 4)
      for (int j = 0; j < 4; j++) sum[j] += x[i * d + k + j] * direction[k + j];
    for (; k < d; k++) sum[0] += x[i * d + k] * direction[k];
    out[i] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }
  stats_sort(out, n);
}

double swd_sliced(const swd_sets *s, const double *direction, int64_t dirs, int threads, double *scratch) {
  double sum = 0, *each = scratch + threads * (s->n + s->m);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t k = 0; k < dirs; k++) {
    double *x = scratch + omp_get_thread_num() * (s->n + s->m), *y = x + s->n;
    project(s->x, s->n, s->d, direction + k * s->d, x);
    project(s->y, s->m, s->d, direction + k * s->d, y);
    each[k] = swd_sorted(x, s->n, y, s->m);
  }
  for (int64_t k = 0; k < dirs; k++) sum += each[k];
  return sum / (double)dirs;
}

void swd_standardise(double *x, int64_t n, int64_t channels, int64_t per) {
  for (int64_t c = 0; c < channels; c++) {
    double mean = 0, square = 0, count = (double)(n * per), scale;
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k < per; k++) mean += x[(i * channels + c) * per + k];
    mean /= count;
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k < per; k++) {
        double v = x[(i * channels + c) * per + k] - mean;
        square += v * v;
      }
    scale = square > 0 ? 1 / sqrt(square / count) : 0;
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k < per; k++) {
        double *v = &x[(i * channels + c) * per + k];
        *v = (*v - mean) * scale;
      }
  }
}

/* Patches of both sets: clip after clip, in a clip level after level, `each` patches a level. */
typedef struct sample {
  const double *x, *y;
  int64_t n, m, rows, d, each;
  int levels;
  const double *direction; /* [dirs][d] */
  int64_t dirs;
} sample;

static const double *patches_of(const sample *s, int64_t item, int level) {
  const double *first = item < s->n ? s->x + item * s->rows * s->d : s->y + (item - s->n) * s->rows * s->d;
  return first + level * s->each * s->d;
}

/* Patches of a level of all clips, and what swd_sliced needs. */
static int64_t scratch_of(const sample *s, int threads) {
  int64_t patches = (s->n + s->m) * s->each;
  return patches * (s->d + threads) + s->dirs;
}

static double of_level(const sample *s, const int64_t *order, int level, int threads, double *scratch) {
  int64_t all = s->n + s->m, block = s->each * s->d;
  for (int64_t i = 0; i < all; i++)
    memcpy(scratch + i * block, patches_of(s, order[i], level), (size_t)block * sizeof *scratch);
  swd_sets sets = {scratch, scratch + s->n * block, s->n * s->each, s->m * s->each, s->d};
  int64_t per = PATCH_SIDE * PATCH_SIDE;
  swd_standardise(scratch, sets.n, s->d / per, per);
  swd_standardise(scratch + s->n * block, sets.m, s->d / per, per);
  return 1e3 * swd_sliced(&sets, s->direction, s->dirs, threads, scratch + all * block);
}

static double of_order(const void *ctx, const int64_t *order, double *scratch) {
  const sample *s = ctx;
  double sum = 0;
  for (int k = 0; k < s->levels; k++) sum += of_level(s, order, k, 1, scratch);
  return sum / s->levels;
}

/* Unit vectors, shared by the levels. */
static int directions(err *e, uint64_t seed, int64_t dirs, int64_t d, double **out) {
  int rc = OK;
  float *normal = NULL;
  TRY(mem_new(e, dirs, d * (int64_t)sizeof **out, "directions", out));
  TRY(mem_new(e, d, sizeof *normal, "directions", &normal));
  for (int64_t k = 0; k < dirs; k++) {
    double square = 0;
    rng r = {.seed = rng_derive(seed, rng_salt("swd directions")), .stream = RNG_BOOTSTRAP, .sub = (uint32_t)k};
    rng_normal(r, 0, d, normal);
    for (int64_t i = 0; i < d; i++) square += (double)normal[i] * (double)normal[i];
    for (int64_t i = 0; i < d; i++) (*out)[k * d + i] = (double)normal[i] / sqrt(square);
  }
out:
  free(normal);
  return rc;
}

enum { ALPHA, FRAMES, PATCHES, SEED, DIRECTIONS, PERMUTATIONS };

static int score(err *e, const set_call *c, set_result *out) {
  int rc = OK;
  double *direction = NULL, *scratch = NULL;
  int64_t *order = NULL, all = c->x->n + c->y->n;
  sample s = {c->x->x, c->y->x, c->x->n, c->y->n, c->x->rows, c->x->dim, 0, 0, NULL, (int64_t)c->param[DIRECTIONS]};
  s.each = (int64_t)c->param[FRAMES] * (int64_t)c->param[PATCHES];
  s.levels = (int)(s.rows / s.each);
  permute_plan p = {.n = s.n,
                    .m = s.m,
                    .permutations = (int64_t)c->param[PERMUTATIONS],
                    .seed = (uint64_t)c->param[SEED],
                    .threads = c->threads,
                    .scratch = scratch_of(&s, 1),
                    .statistic = of_order,
                    .ctx = &s};
  TRY(directions(e, p.seed, s.dirs, s.d, &direction));
  s.direction = direction;
  TRY(mem_new(e, scratch_of(&s, c->threads), sizeof *scratch, "swd", &scratch));
  TRY(mem_new(e, all, sizeof *order, "swd", &order));
  for (int64_t i = 0; i < all; i++) order[i] = i;
  for (int k = 0; k < s.levels; k++) {
    out->part[k] = of_level(&s, order, k, c->threads, scratch);
    out->value += out->part[k] / s.levels;
  }
  out->parts = s.levels;
  out->seed = p.seed;
  if (p.permutations) TRY(permute_run(e, &p, NULL, out));
out:
  free(direction), free(scratch), free(order);
  return rc;
}

const set_metric set_metric_swd = {
    .id = "swd",
    .version = 1,
    .tier = 2,
    .direction = METRIC_DOWN,
    .unit = "1e-3",
    .lo = 0,
    .hi = INFINITY,
    .plane = METRIC_JOINT,
    .extractor = &set_patches,
    .min_x = 2,
    .min_y = 2,
    .params = (const metric_param[]){SET_PATCHES_ROWS,
                                     SET_SEED_ROW,
                                     {"directions", "random projections", 512, 1, 65536, 1},
                                     SET_PERMUTATIONS_ROW(0, 0),
                                     {0}},
    .help = "1000 times the sliced Wasserstein distance of 7x7 patches of premultiplied colour and alpha, channels "
            "standardised over each set: mean over the pyramid's levels, which the parts list from fine to coarse. "
            "Texture and edges of single frames; blind to motion and to where things are. Above 0 for two samples of "
            "one distribution; permutations give its null, at the cost of that many scores",
    .citation = "Karras et al. 2018, Progressive Growing of GANs for Improved Quality, Stability, and Variation",
    .reasons = (const char *const[]){METRIC_SIZES_DIFFER, METRIC_TOO_SMALL, NULL},
    .score = score,
};
