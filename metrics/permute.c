#include "metrics/permute.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stats/stats.h"

static void order_of(const permute_plan *p, int64_t b, int64_t *order) {
  int64_t all = p->n + p->m;
  if (!p->given) {
    rng r = {.seed = rng_derive(p->seed, rng_salt("set permutations")), .stream = RNG_BOOTSTRAP, .sub = (uint32_t)b};
    rng_permutation(r, all, order);
    return;
  }
  for (int64_t i = 0; i < all; i++) order[i] = p->given[b * all + i];
}

/* null: [permutations]; sorted here. */
static void summarise(double *null, int64_t n, set_result *out) {
  double largest = fabs(out->value), square = 0;
  int64_t hits = 0;
  for (int64_t b = 0; b < n; b++) largest = fmax(largest, fabs(null[b]));
  for (int64_t b = 0; b < n; b++) hits += null[b] >= out->value - 1e-12 * largest;
  out->p = (double)(1 + hits) / (double)(1 + n);
  out->null_mean = stats_mean(null, n);
  for (int64_t b = 0; b < n; b++) square += (null[b] - out->null_mean) * (null[b] - out->null_mean);
  out->null_sd = n > 1 ? sqrt(square / (double)(n - 1)) : 0;
  stats_sort(null, n);
  out->null_lo = stats_quantile(null, n, 0.025);
  out->null_hi = stats_quantile(null, n, 0.975);
}

int permute_run(err *e, const permute_plan *p, double *null, set_result *out) {
  int rc = OK;
  int64_t all = p->n + p->m, *order = NULL;
  double *value = NULL, *scratch = NULL;
  out->permutations = p->permutations;
  out->seed = p->seed;
  TRY(mem_new(e, p->permutations, sizeof *value, "permuted values", &value));
  TRY(mem_new(e, p->threads, all * (int64_t)sizeof *order, "permutations", &order));
  TRY(mem_new(e, p->threads, (p->scratch + 8) * (int64_t)sizeof *scratch, "permutations", &scratch));
  for (int64_t i = 0; i < all; i++) order[i] = i;
  out->value = p->statistic(p->ctx, order, scratch);
  if (p->permutations == 0 || isnan(out->value)) goto out;
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 4)
  for (int64_t b = 0; b < p->permutations; b++) {
    int64_t *own = order + omp_get_thread_num() * all;
    order_of(p, b, own);
    value[b] = p->statistic(p->ctx, own, scratch + omp_get_thread_num() * (p->scratch + 8));
  }
  if (null) memcpy(null, value, (size_t)p->permutations * sizeof *value);
  summarise(value, p->permutations, out);
out:
  free(value), free(order), free(scratch);
  return rc;
}
