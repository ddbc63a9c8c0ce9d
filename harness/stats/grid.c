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

/* --- bootstrap -------------------------------------------------------------------------------------------------- */

typedef struct draws {
  const stats_grid *g;
  const stats_bootstrap *b;
  const int64_t *prompt; /* the prompts that have a defined cell */
  int64_t kept;
} draws;

/* One index below n: as given, or from the generator, or `whole` where the level is not resampled. */
static int64_t draw(const draws *d, unsigned level, const int32_t *given, int64_t at, int64_t n, int64_t whole) {
  if (!(d->b->levels & level)) return whole;
  if (given) return given[at];
  rng r = {.seed = d->b->seed, .stream = RNG_BOOTSTRAP, .sub = level};
  return (int64_t)rng_below(r, (uint64_t)at, (uint64_t)n);
}

/* Mean over the drawn prompts of the mean of their drawn, defined cells; 0 when there is none. */
static int replicate(const draws *d, int64_t rep, double *mean) {
  const stats_grid *g = d->g;
  double total = 0;
  int64_t used = 0;
  for (int64_t j = 0; j < d->kept; j++) {
    int64_t p = d->prompt[draw(d, STATS_PROMPTS, d->b->prompts, rep * d->kept + j, d->kept, j)], n = 0;
    double sum = 0;
    for (int64_t r = 0; r < g->trains; r++) {
      int64_t train = draw(d, STATS_TRAINS, d->b->trains, rep * g->trains + r, g->trains, r);
      for (int64_t s = 0; s < g->samples; s++) {
        int64_t at = ((rep * d->kept + j) * g->trains + r) * g->samples + s;
        int64_t sample = draw(d, STATS_SAMPLES, d->b->samples, at, g->samples, s);
        int64_t i = (p * g->trains + train) * g->samples + sample;
        if (!is_defined(g, i)) continue;
        sum += g->value[i];
        n++;
      }
    }
    if (!n) continue;
    total += sum / (double)n;
    used++;
  }
  *mean = used ? total / (double)used : 0;
  return used > 0;
}

int stats_resample(err *e, const stats_grid *g, const stats_bootstrap *b, double *out, int64_t *n) {
  int rc = OK;
  int64_t *prompt = NULL, per = g->trains * g->samples;
  draws d = {.g = g, .b = b};
  double unused;
  *n = 0;
  TRY(mem_new(e, g->prompts, sizeof *prompt, "bootstrap prompts", &prompt));
  for (int64_t p = 0; p < g->prompts; p++)
    if (cell_mean(g, p * per, per, &unused)) prompt[d.kept++] = p;
  d.prompt = prompt;
  for (int64_t rep = 0; rep < b->replicates; rep++) *n += replicate(&d, rep, &out[*n]);
out:
  free(prompt);
  return rc;
}

static int draw_level(err *e, const stats_bootstrap *b, unsigned level, int64_t per_replicate, int64_t below,
                      int32_t **out) {
  int64_t n = b->replicates * per_replicate;
  if (below > INT32_MAX) return err_set(e, E_ARG, "bootstrap: too many places");
  int rc = mem_new(e, n, sizeof **out, "bootstrap draws", out);
  rng r = {.seed = b->seed, .stream = RNG_BOOTSTRAP, .sub = level};
  for (int64_t i = 0; rc == OK && i < n; i++) (*out)[i] = (int32_t)rng_below(r, (uint64_t)i, (uint64_t)below);
  return rc;
}

int stats_draw(err *e, const stats_grid *shape, const stats_bootstrap *b, stats_draws *out) {
  int rc = OK;
  *out = (stats_draws){0};
  TRY(draw_level(e, b, STATS_TRAINS, shape->trains, shape->trains, &out->trains));
  TRY(draw_level(e, b, STATS_PROMPTS, shape->prompts, shape->prompts, &out->prompts));
  TRY(draw_level(e, b, STATS_SAMPLES, stats_cells(shape), shape->samples, &out->samples));
  return OK;
out:
  stats_draws_free(out);
  return rc;
}

void stats_use_draws(const stats_draws *d, stats_bootstrap *b) {
  b->trains = d->trains;
  b->prompts = d->prompts;
  b->samples = d->samples;
}

void stats_draws_free(stats_draws *d) {
  free(d->trains), free(d->prompts), free(d->samples);
  *d = (stats_draws){0};
}

void stats_interval(double *x, int64_t n, double level, double *lo, double *hi) {
  stats_sort(x, n);
  *lo = stats_quantile(x, n, (1 - level) / 2);
  *hi = stats_quantile(x, n, (1 + level) / 2);
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

/* Everything that follows from the differences d. `work` has room for replicates, prompts and cells. */
static int describe(err *e, const stats_grid *d, const stats_options *o, double *work, stats_comparison *out) {
  int rc = OK;
  int64_t n;
  double *mean = work + o->bootstrap.replicates, *pair = mean + d->prompts;
  out->used = stats_prompt_means(d, mean);
  if (!out->used) goto out;
  TRY(stats_resample(e, d, &o->bootstrap, work, &n));
  if (!n) FAIL(e, E_ARG, "bootstrap: no replicate has a defined score");
  stats_interval(work, n, o->level, &out->lo, &out->hi);
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
  return rc;
}

int stats_compare(err *e, const stats_grid *a, const stats_grid *b, const stats_options *o, stats_comparison *out) {
  int rc = OK, defined;
  int64_t cells = stats_cells(a);
  double *d = NULL, *work = NULL;
  unsigned char *mask = NULL;
  *out = (stats_comparison){.prompts = a->prompts, .trains = a->trains, .samples = a->samples};
  out->single_run = a->trains < 2;
  TRY(same_shape(e, a, b));
  if (!cells) goto out;
  TRY(mem_new(e, cells, sizeof *d, "paired differences", &d));
  TRY(mem_new(e, cells, 1, "paired differences", &mask));
  TRY(mem_new(e, o->bootstrap.replicates + a->prompts + cells, sizeof *work, "bootstrap", &work));
  TRY(stats_difference(e, a, b, d, mask));
  out->undefined_a = 1 - (double)stats_defined(a) / (double)cells;
  out->undefined_b = 1 - (double)stats_defined(b) / (double)cells;
  stats_grid diff = *a;
  diff.value = d, diff.defined = mask;
  TRY(describe(e, &diff, o, work, out));
  TRY(stats_improvement(e, a, b, &out->improvement, &defined));
out:
  free(d), free(mask), free(work);
  return rc;
}
