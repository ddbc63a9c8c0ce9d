#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stats/stats.h"

/* The same draws serve all grids of one shape that have the same prompts, so places are drawn once, and grids lie
 * side by side: what is drawn for one is added up for all lanes in one vector. The order of a replicate's sum is that
 * of its draws, whatever else is computed beside it. */
enum { LANES = 8, DRAWN = 1 << 20, BYTES = 255 };

typedef struct pack {
  double (*value)[LANES]; /* [cells]; 0 where undefined, which leaves a sum as it is */
  uint64_t *mask;         /* [cells], a byte a lane: 1 where defined */
  int64_t grid[LANES];
  int lanes;
} pack;

/* Grids that share their draws. */
typedef struct group {
  const stats_grid *g;
  const stats_bootstrap *b;
  int64_t *prompt, kept; /* the prompts that have a defined cell */
  int64_t *member, n;
  pack *packs;
  int64_t n_packs, at_once; /* replicates drawn at a time */
  int32_t *place;           /* [at_once][kept][trains * samples] cells */
  uint32_t *train, *chosen, *sample;
  double *out;
  int64_t *out_n;
} group;

static int has_defined(const stats_grid *g, int64_t p) {
  int64_t per = g->trains * g->samples;
  for (int64_t i = p * per; i < (p + 1) * per; i++)
    if (!g->defined || g->defined[i]) return 1;
  return 0;
}

/* --- draws ------------------------------------------------------------------------------------------------------ */

/* Draws first .. first+n-1 of a level: as given, or from the generator. Nothing where the level is kept whole. */
static void draw(const group *x, unsigned level, const int32_t *given, int64_t first, uint32_t *out) {
  const stats_grid *g = x->g;
  int64_t each = level == STATS_TRAINS    ? g->trains
                 : level == STATS_PROMPTS ? x->kept
                                          : x->kept * g->trains * g->samples;
  int64_t n = x->at_once * each, below = level == STATS_TRAINS    ? g->trains
                                         : level == STATS_PROMPTS ? x->kept
                                                                  : g->samples;
  if (first + x->at_once > x->b->replicates) n = (x->b->replicates - first) * each;
  rng r = {.seed = x->b->seed, .stream = RNG_BOOTSTRAP, .sub = level};
  if (!(x->b->levels & level)) return;
  if (!given) rng_below_many(r, (uint64_t)(first * each), n, (uint32_t)below, out);
  for (int64_t i = 0; given && i < n; i++) out[i] = (uint32_t)given[first * each + i];
}

/* The cells of replicates first .. of the next at_once. */
static void draw_places(group *x, int64_t first, int64_t n) {
  const stats_grid *g = x->g;
  unsigned levels = x->b->levels;
  draw(x, STATS_TRAINS, x->b->trains, first, x->train);
  draw(x, STATS_PROMPTS, x->b->prompts, first, x->chosen);
  draw(x, STATS_SAMPLES, x->b->samples, first, x->sample);
  for (int64_t rep = 0, at = 0; rep < n; rep++) {
    for (int64_t j = 0; j < x->kept; j++) {
      int64_t p = x->prompt[levels & STATS_PROMPTS ? x->chosen[rep * x->kept + j] : j];
      for (int64_t r = 0; r < g->trains; r++) {
        int64_t train = levels & STATS_TRAINS ? x->train[rep * g->trains + r] : r;
        for (int64_t s = 0; s < g->samples; s++, at++)
          x->place[at] =
              (int32_t)((p * g->trains + train) * g->samples + (levels & STATS_SAMPLES ? x->sample[at] : s));
      }
    }
  }
}

/* --- sums ------------------------------------------------------------------------------------------------------- */

/* Mean over the drawn prompts of the mean of their drawn, defined cells, lane by lane; used: of how many prompts. */
static void replicate(const pack *k, const int32_t *place, int64_t kept, int64_t per, double mean[LANES],
                      int64_t used[LANES]) {
  double total[LANES] = {0};
  memset(used, 0, LANES * sizeof *used);
  for (int64_t j = 0; j < kept; j++, place += per) {
    double sum[LANES] = {0}, n[LANES] = {0};
    for (int64_t from = 0; from < per; from += BYTES) { /* as many as a byte counts */
      int64_t to = per - from < BYTES ? per : from + BYTES;
      uint64_t count = 0;
      for (int64_t c = from; c < to; c++) {
        const double *v = k->value[place[c]];
        count += k->mask[place[c]];
        for (int l = 0; l < LANES; l++) sum[l] += v[l];
      }
      for (int l = 0; l < LANES; l++) n[l] += (double)(count >> 8 * l & 255);
    }
    for (int l = 0; l < LANES; l++) {
      total[l] += sum[l] / (n[l] > 0 ? n[l] : 1); /* sum is 0 where n is */
      used[l] += n[l] > 0;
    }
  }
  for (int l = 0; l < LANES; l++) mean[l] = used[l] ? total[l] / (double)used[l] : 0;
}

static void run_pack(const group *x, const pack *k, int64_t n) {
  int64_t per = x->g->trains * x->g->samples, used[LANES];
  double mean[LANES];
  for (int64_t rep = 0; rep < n; rep++) {
    replicate(k, x->place + rep * x->kept * per, x->kept, per, mean, used);
    for (int l = 0; l < k->lanes; l++) {
      int64_t i = k->grid[l];
      if (used[l]) x->out[i * x->b->replicates + x->out_n[i]++] = mean[l];
    }
  }
}

/* --- groups ----------------------------------------------------------------------------------------------------- */

static int fill_pack(err *e, const group *x, int64_t from, pack *k) {
  int64_t cells = stats_cells(x->g);
  int rc = OK;
  TRY(mem_new(e, cells, sizeof *k->value, "bootstrap", &k->value));
  TRY(mem_new(e, cells, sizeof *k->mask, "bootstrap", &k->mask));
  for (k->lanes = 0; k->lanes < LANES && from + k->lanes < x->n; k->lanes++) {
    const stats_grid *g = &x->g[k->grid[k->lanes] = x->member[from + k->lanes]];
    for (int64_t i = 0; i < cells; i++) {
      int defined = !g->defined || g->defined[i];
      k->value[i][k->lanes] = defined ? g->value[i] : 0;
      k->mask[i] |= (uint64_t)defined << 8 * k->lanes;
    }
  }
out:
  return rc;
}

static int run_group(err *e, group *x) {
  int64_t per = x->g->trains * x->g->samples, each = x->kept * per;
  int rc = OK;
  x->n_packs = (x->n + LANES - 1) / LANES;
  x->at_once = each > DRAWN ? 1 : DRAWN / each;
  if (x->at_once > x->b->replicates) x->at_once = x->b->replicates;
  TRY(mem_new(e, x->n_packs, sizeof *x->packs, "bootstrap", &x->packs));
  for (int64_t i = 0; i < x->n_packs; i++) TRY(fill_pack(e, x, i * LANES, &x->packs[i]));
  TRY(mem_new(e, x->at_once, each * (int64_t)sizeof *x->place, "bootstrap draws", &x->place));
  TRY(mem_new(e, x->at_once, each * (int64_t)sizeof *x->sample, "bootstrap draws", &x->sample));
  TRY(mem_new(e, x->at_once, x->kept * (int64_t)sizeof *x->chosen, "bootstrap draws", &x->chosen));
  TRY(mem_new(e, x->at_once, x->g->trains * (int64_t)sizeof *x->train, "bootstrap draws", &x->train));
  for (int64_t first = 0; first < x->b->replicates; first += x->at_once) {
    int64_t n = x->b->replicates - first < x->at_once ? x->b->replicates - first : x->at_once;
    draw_places(x, first, n);
#pragma omp parallel for schedule(dynamic) if (x->n_packs > 1)
    for (int64_t i = 0; i < x->n_packs; i++) run_pack(x, &x->packs[i], n);
  }
out:
  for (int64_t i = 0; x->packs && i < x->n_packs; i++) free(x->packs[i].value), free(x->packs[i].mask);
  free(x->packs), free(x->place), free(x->sample), free(x->chosen), free(x->train);
  x->packs = NULL, x->place = NULL, x->sample = x->chosen = x->train = NULL;
  return rc;
}

/* The next group: the first grid that is not done and all that have its prompts. */
static void gather(group *x, const unsigned char *kept, unsigned char *done, int64_t first, int64_t count) {
  size_t prompts = (size_t)x->g->prompts;
  const unsigned char *own = kept + (size_t)first * prompts;
  x->n = x->kept = 0;
  for (int64_t p = 0; p < x->g->prompts; p++)
    if (own[p]) x->prompt[x->kept++] = p;
  for (int64_t i = first; i < count; i++) {
    if (done[i] || memcmp(own, kept + (size_t)i * prompts, prompts) != 0) continue;
    x->member[x->n++] = i;
    done[i] = 1;
  }
}

int stats_resample_many(err *e, const stats_grid *g, int64_t count, const stats_bootstrap *b, double *out,
                        int64_t *n) {
  unsigned char *kept = NULL, *done = NULL;
  group x = {.g = g, .b = b, .out = out, .out_n = n};
  int rc = OK;
  for (int64_t i = 0; i < count; i++) n[i] = 0;
  if (!count || !stats_cells(g)) return OK;
  if (stats_cells(g) > INT32_MAX) FAIL(e, E_ARG, "bootstrap: a grid has more than %d scores", INT32_MAX);
  TRY(mem_new(e, count, g->prompts, "bootstrap prompts", &kept));
  TRY(mem_new(e, count, 1, "bootstrap", &done));
  TRY(mem_new(e, count, sizeof *x.member, "bootstrap", &x.member));
  TRY(mem_new(e, g->prompts, sizeof *x.prompt, "bootstrap prompts", &x.prompt));
  for (int64_t i = 0; i < count * g->prompts; i++)
    kept[i] = (unsigned char)has_defined(&g[i / g->prompts], i % g->prompts);
  for (int64_t i = 0; i < count; i++) {
    if (done[i]) continue;
    gather(&x, kept, done, i, count);
    if (x.kept) TRY(run_group(e, &x));
  }
out:
  free(kept), free(done), free(x.member), free(x.prompt);
  return rc;
}

int stats_resample(err *e, const stats_grid *g, const stats_bootstrap *b, double *out, int64_t *n) {
  return stats_resample_many(e, g, 1, b, out, n);
}

/* --- interval --------------------------------------------------------------------------------------------------- */

/* Puts in place what sorting would put at k, with nothing larger before it and nothing smaller behind. */
static void place_at(double *x, int64_t n, int64_t k) {
  for (int64_t low = 0, high = n - 1; low < high;) {
    double pivot = x[low + (high - low) / 2];
    int64_t i = low, j = high;
    while (i <= j) {
      while (x[i] < pivot) i++;
      while (x[j] > pivot) j--;
      if (i > j) break;
      double swap = x[i];
      x[i++] = x[j], x[j--] = swap;
    }
    if (k <= j)
      high = j;
    else if (k >= i)
      low = i;
    else
      return;
  }
}

/* stats_quantile without the sorting of everything. */
static double quantile(double *x, int64_t n, double q) {
  double at = q * (double)(n - 1), two[2];
  int64_t k = (int64_t)at;
  if (k >= n - 1) k = n - 1;
  place_at(x, n, k);
  if (k == n - 1) return x[k];
  two[0] = x[k], two[1] = x[k + 1];
  for (int64_t i = k + 2; i < n; i++)
    if (x[i] < two[1]) two[1] = x[i];
  return two[0] + (two[1] - two[0]) * (at - (double)k);
}

void stats_interval(double *x, int64_t n, double level, double *lo, double *hi) {
  *lo = quantile(x, n, (1 - level) / 2);
  *hi = quantile(x, n, (1 + level) / 2);
}
