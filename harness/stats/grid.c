#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stats/stats.h"

int64_t stats_cells(const stats_grid *g) {
  return g->prompts * g->trains * g->samples;
}

static int is_defined(const stats_grid *g, int64_t i) {
  return !g->defined || g->defined[i];
}

int64_t stats_defined(const stats_grid *g) {
  int64_t n = 0;
  for (int64_t i = 0; i < stats_cells(g); i++) n += is_defined(g, i);
  return n;
}

static int same_shape(err *e, const stats_grid *a, const stats_grid *b) {
  if (a->prompts == b->prompts && a->trains == b->trains && a->samples == b->samples) return OK;
  return err_set(e, E_SHAPE, "grids of %lldx%lldx%lld and %lldx%lldx%lld scores cannot be paired",
                 (long long)a->prompts, (long long)a->trains, (long long)a->samples, (long long)b->prompts,
                 (long long)b->trains, (long long)b->samples);
}

int stats_difference(err *e, const stats_grid *a, const stats_grid *b, double *d, unsigned char *defined) {
  int rc = same_shape(e, a, b);
  for (int64_t i = 0; rc == OK && i < stats_cells(a); i++) {
    defined[i] = is_defined(a, i) && is_defined(b, i);
    d[i] = defined[i] ? a->value[i] - b->value[i] : 0;
  }
  return rc;
}

/* Mean of the defined cells among `count` cells from `first`; returns how many. */
static int64_t cell_mean(const stats_grid *g, int64_t first, int64_t count, double *mean) {
  int64_t n = 0;
  double sum = 0;
  for (int64_t i = first; i < first + count; i++) {
    if (!is_defined(g, i)) continue;
    sum += g->value[i];
    n++;
  }
  *mean = n ? sum / (double)n : 0;
  return n;
}

int64_t stats_prompt_means(const stats_grid *g, double *mean) {
  int64_t n = 0, per = g->trains * g->samples;
  for (int64_t p = 0; p < g->prompts; p++) n += cell_mean(g, p * per, per, &mean[n]) > 0;
  return n;
}

int stats_improvement(err *e, const stats_grid *a, const stats_grid *b, double *p, int *defined) {
  int rc = same_shape(e, a, b);
  int64_t per = a->trains * a->samples, used = 0;
  double total = 0;
  for (int64_t first = 0; rc == OK && first < stats_cells(a); first += per) {
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = first; i < first + per; i++) {
      for (int64_t j = first; is_defined(a, i) && j < first + per; j++) {
        if (!is_defined(b, j)) continue;
        sum += a->value[i] > b->value[j] ? 1 : a->value[i] == b->value[j] ? 0.5 : 0;
        n++;
      }
    }
    if (!n) continue;
    total += sum / (double)n;
    used++;
  }
  *defined = used > 0;
  *p = used ? total / (double)used : 0;
  return rc;
}

/* --- comparison ------------------------------------------------------------------------------------------------- */

stats_options stats_defaults(uint64_t seed) {
  return (stats_options){
      .bootstrap = {.replicates = 10000, .seed = seed, .levels = STATS_TRAINS | STATS_PROMPTS | STATS_SAMPLES},
      .level = 0.95,
      .flips = 100000};
}

static void count_wins(const double *mean, int64_t n, stats_comparison *out) {
  for (int64_t i = 0; i < n; i++) {
    out->wins += mean[i] > 0;
    out->ties += mean[i] == 0;
    out->losses += mean[i] < 0;
  }
}

/* Everything that follows from the differences d and their n replicates. */
static int describe(err *e, const stats_grid *d, const stats_options *o, double *boot, int64_t n,
                    stats_comparison *out) {
  int rc = OK;
  double *mean = NULL, *pair;
  TRY(mem_new(e, d->prompts + stats_cells(d), sizeof *mean, "paired differences", &mean));
  pair = mean + d->prompts;
  out->used = stats_prompt_means(d, mean);
  if (!out->used) goto out;
  if (!n) FAIL(e, E_ARG, "bootstrap: no replicate has a defined score");
  stats_interval(boot, n, o->level, &out->lo, &out->hi);
  out->mean = stats_mean(mean, out->used);
  TRY(stats_sign_flip(e, mean, out->used, o->flips, o->bootstrap.seed, &out->test));
  count_wins(mean, out->used, out);
  stats_sort(mean, out->used);
  out->median = stats_quantile(mean, out->used, 0.5);
  for (int64_t i = 0; i < stats_cells(d); i++)
    if (is_defined(d, i)) pair[out->pairs++] = d->value[i];
  stats_sort(pair, out->pairs);
  out->iqm = stats_iqm(pair, out->pairs);
out:
  free(mean);
  return rc;
}

/* Comparisons whose differences are resampled together. */
typedef struct batch {
  const stats_grid *a, *b;
  const stats_options *o;
  stats_comparison *out;
  int64_t count;
  stats_grid *diff;
  double *d, *boot;
  unsigned char *mask;
  int64_t *n;
  int *status;
  err *errs;
} batch;

static int open_batch(err *e, batch *x) {
  int64_t cells = stats_cells(x->a);
  int rc = OK;
  TRY(mem_new(e, x->count, cells * (int64_t)sizeof *x->d, "paired differences", &x->d));
  TRY(mem_new(e, x->count, cells, "paired differences", &x->mask));
  TRY(mem_new(e, x->count, x->o->bootstrap.replicates * (int64_t)sizeof *x->boot, "bootstrap", &x->boot));
  TRY(mem_new(e, x->count, sizeof *x->diff, "comparisons", &x->diff));
  TRY(mem_new(e, x->count, sizeof *x->n, "comparisons", &x->n));
  TRY(mem_new(e, x->count, sizeof *x->status, "comparisons", &x->status));
  TRY(mem_new(e, x->count, sizeof *x->errs, "comparisons", &x->errs));
  for (int64_t i = 0; i < x->count; i++) {
    x->diff[i] = x->a[i];
    x->diff[i].value = x->d + i * cells, x->diff[i].defined = x->mask + i * cells;
    TRY(stats_difference(e, &x->a[i], &x->b[i], x->d + i * cells, x->mask + i * cells));
  }
out:
  return rc;
}

static int one_of(const batch *x, int64_t i, err *e) {
  const stats_grid *a = &x->a[i], *b = &x->b[i];
  stats_comparison *out = &x->out[i];
  double cells = (double)stats_cells(a);
  int defined, rc = OK;
  *out = (stats_comparison){.prompts = a->prompts, .trains = a->trains, .samples = a->samples};
  out->single_run = a->trains < 2;
  if (cells <= 0) return OK;
  out->undefined_a = 1 - (double)stats_defined(a) / cells;
  out->undefined_b = 1 - (double)stats_defined(b) / cells;
  TRY(describe(e, &x->diff[i], x->o, x->boot + i * x->o->bootstrap.replicates, x->n[i], out));
  TRY(stats_improvement(e, a, b, &out->improvement, &defined));
out:
  return rc;
}

/* Comparisons do not depend on each other, so neither do their bits on who makes them. */
static int run_batch(err *e, batch *x) {
  int rc = OK;
  TRY(open_batch(e, x));
  TRY(stats_resample_many(e, x->diff, x->count, &x->o->bootstrap, x->boot, x->n));
#pragma omp parallel for schedule(dynamic) if (x->count > 1)
  for (int64_t i = 0; i < x->count; i++) x->status[i] = one_of(x, i, &x->errs[i]);
  for (int64_t i = 0; i < x->count; i++)
    if (x->status[i] != OK) FAIL(e, x->status[i], "%s", x->errs[i].text);
out:
  free(x->diff), free(x->d), free(x->boot), free(x->mask), free(x->n), free(x->status), free(x->errs);
  return rc;
}

#define TOGETHER 256 /* bounds the memory of replicates */

int stats_compare_many(err *e, const stats_grid *a, const stats_grid *b, int64_t count, const stats_options *o,
                       stats_comparison *out) {
  int rc = OK;
  for (int64_t i = 0; i < count; i++) {
    TRY(same_shape(e, &a[0], &a[i]));
    TRY(same_shape(e, &a[i], &b[i]));
  }
  for (int64_t i = 0; rc == OK && i < count; i += TOGETHER) {
    batch x = {.a = a + i, .b = b + i, .o = o, .out = out + i};
    x.count = count - i < TOGETHER ? count - i : TOGETHER;
    rc = run_batch(e, &x);
  }
out:
  return rc;
}

int stats_compare(err *e, const stats_grid *a, const stats_grid *b, const stats_options *o, stats_comparison *out) {
  return stats_compare_many(e, a, b, 1, o, out);
}
