#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stats/stats.h"

enum { SUB_CLUSTERS = 16, LEAST = 3 };

/* Points in the order of their groups, and room for one resampling of them. */
typedef struct work {
  const stats_points *p;
  int64_t *order;  /* [n] */
  int64_t *count;  /* [clusters] how often a cluster was drawn */
  double *x, *y;   /* [room] */
  double *gx, *gy; /* [groups] means */
  double *kept;    /* [2 * STATS_LEVELS][replicates] */
  int64_t *n_kept; /* [2 * STATS_LEVELS] */
  double value[2 * STATS_LEVELS];
  int64_t n[2 * STATS_LEVELS]; /* spearman's levels, then pearson's */
} work;

static int in_range(err *e, const stats_points *p) {
  for (int64_t i = 0; i < p->n; i++)
    if (p->cluster[i] < 0 || p->cluster[i] >= p->clusters || p->group[i] < 0 || p->group[i] >= p->groups)
      return err_set(e, E_ARG, "correlation: point %lld lies in no cluster or group", (long long)i);
  return OK;
}

/* Room for any resampling: every draw may be the largest cluster. */
static int64_t largest_sample(const stats_points *p, int64_t *size) {
  int64_t most = 0;
  for (int64_t i = 0; i < p->n; i++) size[p->cluster[i]]++;
  for (int64_t c = 0; c < p->clusters; c++)
    if (size[c] > most) most = size[c];
  return most * p->clusters;
}

static int work_open(err *e, work *w, const stats_points *p, int64_t replicates) {
  int rc = OK;
  *w = (work){.p = p};
  TRY(in_range(e, p));
  TRY(mem_new(e, p->n, sizeof *w->order, "correlation", &w->order));
  TRY(mem_new(e, p->clusters, sizeof *w->count, "correlation", &w->count));
  int64_t room = largest_sample(p, w->count), at = 0;
  TRY(mem_new(e, room, sizeof *w->x, "correlation", &w->x));
  TRY(mem_new(e, room, sizeof *w->y, "correlation", &w->y));
  TRY(mem_new(e, p->groups, sizeof *w->gx, "correlation", &w->gx));
  TRY(mem_new(e, p->groups, sizeof *w->gy, "correlation", &w->gy));
  TRY(mem_new(e, 2 * STATS_LEVELS * replicates, sizeof *w->kept, "correlation", &w->kept));
  TRY(mem_new(e, 2 * STATS_LEVELS, sizeof *w->n_kept, "correlation", &w->n_kept));
  for (int64_t g = 0; g < p->groups; g++)
    for (int64_t i = 0; i < p->n; i++)
      if (p->group[i] == g) w->order[at++] = i;
out:
  return rc;
}

static void work_close(work *w) {
  free(w->order), free(w->count), free(w->x), free(w->y);
  free(w->gx), free(w->gy), free(w->kept), free(w->n_kept);
}

/* Both coefficients of n pairs; 0 in defined[] where there are too few or a side is constant. */
static int both(err *e, const double *x, const double *y, int64_t n, double value[2], int defined[2]) {
  int rc = OK;
  defined[0] = defined[1] = 0;
  if (n < LEAST) return OK;
  TRY(stats_spearman(e, x, y, n, &value[0], &defined[0]));
  value[1] = stats_pearson(x, y, n, &defined[1]);
out:
  return rc;
}

static void put(work *w, stats_level level, const double value[2], const int defined[2], int64_t n) {
  for (int k = 0; k < 2; k++) {
    w->value[k * STATS_LEVELS + (int)level] = value[k];
    w->n[k * STATS_LEVELS + (int)level] = defined[k] ? n : 0;
  }
}

/* All levels for the clusters as often as `count` says. */
static int evaluate(err *e, work *w) {
  int rc = OK, defined[2];
  const stats_points *p = w->p;
  int64_t n = 0, groups = 0, at = 0, used[2] = {0};
  double value[2] = {0}, sum[2] = {0};
  for (int64_t g = 0; g < p->groups; g++) {
    int64_t first = n;
    for (; at < p->n && p->group[w->order[at]] == g; at++)
      for (int64_t k = 0; k < w->count[p->cluster[w->order[at]]]; k++, n++)
        w->x[n] = p->x[w->order[at]], w->y[n] = p->y[w->order[at]];
    if (n == first) continue;
    w->gx[groups] = stats_mean(w->x + first, n - first);
    w->gy[groups++] = stats_mean(w->y + first, n - first);
    TRY(both(e, w->x + first, w->y + first, n - first, value, defined));
    for (int k = 0; k < 2; k++)
      if (defined[k]) sum[k] += value[k], used[k]++;
  }
  for (int k = 0; k < 2; k++) {
    w->value[k * STATS_LEVELS + STATS_WITHIN] = used[k] ? sum[k] / (double)used[k] : 0;
    w->n[k * STATS_LEVELS + STATS_WITHIN] = used[k];
  }
  TRY(both(e, w->x, w->y, n, value, defined));
  put(w, STATS_POOLED, value, defined, n);
  TRY(both(e, w->gx, w->gy, groups, value, defined));
  put(w, STATS_BETWEEN, value, defined, groups);
out:
  return rc;
}

static stats_coefficient *slot(stats_correlation *c, int i) {
  return i < STATS_LEVELS ? &c->spearman[i] : &c->pearson[i - STATS_LEVELS];
}

int stats_correlate(err *e, const stats_points *p, int64_t replicates, uint64_t seed, double level,
                    stats_correlation *out) {
  int rc = OK;
  work w;
  rng r = {.seed = seed, .stream = RNG_BOOTSTRAP, .sub = SUB_CLUSTERS};
  *out = (stats_correlation){0};
  TRY(work_open(e, &w, p, replicates));
  for (int64_t c = 0; c < p->clusters; c++) w.count[c] = 1;
  TRY(evaluate(e, &w));
  for (int i = 0; i < 2 * STATS_LEVELS; i++) {
    slot(out, i)->n = w.n[i];
    slot(out, i)->value = w.n[i] ? w.value[i] : 0;
  }
  for (int64_t b = 0; p->clusters > 1 && b < replicates; b++) {
    memset(w.count, 0, (size_t)p->clusters * sizeof *w.count);
    for (int64_t c = 0; c < p->clusters; c++)
      w.count[rng_below(r, (uint64_t)(b * p->clusters + c), (uint64_t)p->clusters)]++;
    TRY(evaluate(e, &w));
    for (int i = 0; i < 2 * STATS_LEVELS; i++)
      if (w.n[i]) w.kept[i * replicates + w.n_kept[i]++] = w.value[i];
  }
  for (int i = 0; i < 2 * STATS_LEVELS; i++) {
    stats_coefficient *s = slot(out, i);
    s->replicates = s->n ? w.n_kept[i] : 0;
    if (s->replicates) stats_interval(w.kept + i * replicates, s->replicates, level, &s->lo, &s->hi);
  }
out:
  work_close(&w);
  return rc;
}
