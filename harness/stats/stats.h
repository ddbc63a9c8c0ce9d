/* Statistics of paired scores: pure functions, no state, same bits on every run (spec/metrics.md 3.12,
 * harness.md 10.1).
 *
 * Scores of one design form a grid over prompts, training seeds and sample seeds. A score that is undefined is
 * masked, never NaN; what to do with it is decided here: a pair counts when both scores are defined (pairwise
 * complete), a prompt's value is the mean of its pairs, and prompts without a pair are left out and counted. The unit
 * of analysis is the prompt. Random draws come from base/rng.h (RNG_BOOTSTRAP), addressed by replicate and position.
 */
#ifndef TD_STATS_STATS_H
#define TD_STATS_STATS_H

#include <stdint.h>

#include "base/err.h"

/* --- plain summaries: x has n > 0 finite values ---------------------------------------------------------------- */

double stats_mean(const double *x, int64_t n);
/* Sort x. */
void stats_sort(double *x, int64_t n);
/* Quantile q in [0,1] of sorted x, linear between order statistics. */
double stats_quantile(const double *sorted, int64_t n, double q);
/* Mean of sorted x without floor(n/4) values at each end. */
double stats_iqm(const double *sorted, int64_t n);

/* Pearson's r; 0 with *defined = 0 when n < 2 or a side is constant. */
double stats_pearson(const double *x, const double *y, int64_t n, int *defined);
/* Pearson's r of mid-ranks. */
int stats_spearman(err *e, const double *x, const double *y, int64_t n, double *rho, int *defined) TD_MUST_CHECK;
/* Ranks 1 .. n, ties share their mean. */
int stats_ranks(err *e, const double *x, int64_t n, double *rank) TD_MUST_CHECK;

/* Holm's step-down adjustment of n p-values (the whole pre-declared family); out may be p. */
int stats_holm(err *e, const double *p, int64_t n, double *out) TD_MUST_CHECK;

#define STATS_EXACT 20 /* sign flips are enumerated up to this many values */

typedef struct stats_test {
  double p;     /* two-sided */
  double floor; /* smallest p that n values can reach: above the level, no data could be significant */
  int exact;
} stats_test;

/* Paired sign-flip permutation of the mean of d (n > 0 differences): exact for n <= STATS_EXACT, else `flips` random
 * flips with p = (1 + hits) / (1 + flips). */
int stats_sign_flip(err *e, const double *d, int64_t n, int64_t flips, uint64_t seed, stats_test *out) TD_MUST_CHECK;

/* --- grids of scores ------------------------------------------------------------------------------------------- */

typedef struct stats_grid {
  int64_t prompts, trains, samples; /* trains: training seeds; samples: sample seeds of a prompt */
  const double *value;              /* [prompts][trains][samples] */
  const unsigned char *defined;     /* same shape; NULL: all. value is not read where it is 0 */
} stats_grid;

int64_t stats_cells(const stats_grid *g);
/* Cells that are defined. */
int64_t stats_defined(const stats_grid *g);
/* a - b where both are defined; d and defined have stats_cells elements. E_SHAPE when the grids differ. */
int stats_difference(err *e, const stats_grid *a, const stats_grid *b, double *d,
                     unsigned char *defined) TD_MUST_CHECK;
/* Mean of the defined cells of every prompt that has one, into mean[0 .. returned - 1] (room for all prompts). */
int64_t stats_prompt_means(const stats_grid *g, double *mean);
/* Mean over prompts of P(a beats b) over all pairs of their defined cells, ties one half; higher values win. Prompts
 * without a cell on a side are left out; *defined = 0 when none is left. */
int stats_improvement(err *e, const stats_grid *a, const stats_grid *b, double *p, int *defined) TD_MUST_CHECK;

enum { STATS_TRAINS = 1, STATS_PROMPTS = 2, STATS_SAMPLES = 4 };

/* Clustered bootstrap of the mean over prompts. Training seeds are drawn once a replicate, for all prompts; sample
 * seeds anew for every drawn prompt and training seed. */
typedef struct stats_bootstrap {
  int64_t replicates;
  uint64_t seed;
  unsigned levels; /* what is resampled; the rest is kept whole */
  /* Injected draws instead of the generator's, for tests; NULL otherwise. [replicates][trains],
   * [replicates][prompts], [replicates][prompts][trains][samples]; prompt draws index the prompts that have a defined
   * cell. */
  const int32_t *trains, *prompts, *samples;
} stats_bootstrap;

/* Means of the replicates into out[0 .. *n - 1]; replicates whose draws hit no defined cell are left out. */
int stats_resample(err *e, const stats_grid *g, const stats_bootstrap *b, double *out, int64_t *n) TD_MUST_CHECK;
/* The same bits for `count` grids of one shape, with draws made once: those of grid i into out[i * replicates ..
 * i * replicates + n[i] - 1]. */
int stats_resample_many(err *e, const stats_grid *g, int64_t count, const stats_bootstrap *b, double *out,
                        int64_t *n) TD_MUST_CHECK;
/* Percentile interval; changes the order of x. n > 0. */
void stats_interval(double *x, int64_t n, double level, double *lo, double *hi);

/* --- agreement of two scores over designs and prompts ----------------------------------------------------------- */

/* n pairs (x, y). Clusters are what is resampled (prompts), groups what is compared (designs). */
typedef struct stats_points {
  int64_t n;
  const double *x, *y;
  const int32_t *cluster, *group; /* 0 .. clusters - 1, 0 .. groups - 1 */
  int64_t clusters, groups;
} stats_points;

typedef enum stats_level {
  STATS_POOLED,  /* over all points */
  STATS_WITHIN,  /* mean over the groups of the coefficient within each */
  STATS_BETWEEN, /* over the group means */
  STATS_LEVELS
} stats_level;

typedef struct stats_coefficient {
  double value, lo, hi; /* lo, hi: percentile interval */
  int64_t n;          /* points, groups, groups; 0: nothing here is defined. A group counts within from 3 points on */
  int64_t replicates; /* in which it was defined; 0: no interval */
} stats_coefficient;

typedef struct stats_correlation {
  stats_coefficient spearman[STATS_LEVELS], pearson[STATS_LEVELS];
} stats_correlation;

/* Both coefficients at every level, with intervals from resampling whole clusters (two or more). Undefined, with
 * n = 0: fewer than 3 points (or groups), or a constant side. E_ARG when a cluster or group is out of range. */
int stats_correlate(err *e, const stats_points *p, int64_t replicates, uint64_t seed, double level,
                    stats_correlation *out) TD_MUST_CHECK;

/* --- one row of a table ---------------------------------------------------------------------------------------- */

typedef struct stats_options {
  stats_bootstrap bootstrap;
  double level;  /* of the interval: .95 */
  int64_t flips; /* for more than STATS_EXACT prompts */
} stats_options;
/* 10000 replicates over all three levels, 95 %, 100000 flips. */
stats_options stats_defaults(uint64_t seed);

/* What is known about a - b. */
typedef struct stats_comparison {
  int64_t prompts, trains, samples; /* of the grids */
  int64_t pairs;                    /* defined on both sides */
  int64_t used;                     /* prompts with a pair; 0: nothing below is defined */
  double undefined_a, undefined_b;  /* shares of undefined cells: an outcome of its own */
  double mean, iqm, median, lo, hi; /* mean, median and interval over prompts; IQM over pairs */
  stats_test test;                  /* on prompt means */
  double improvement;               /* P(a beats b), higher values win */
  int64_t wins, ties, losses;       /* prompts with mean difference > 0, = 0, < 0 */
  int single_run;                   /* one training seed: no between-run error in the interval */
} stats_comparison;

int stats_compare(err *e, const stats_grid *a, const stats_grid *b, const stats_options *o,
                  stats_comparison *out) TD_MUST_CHECK;
/* The same for `count` pairs, all of one shape, with the same bits: out[i] is what is known about a[i] - b[i]. */
int stats_compare_many(err *e, const stats_grid *a, const stats_grid *b, int64_t count, const stats_options *o,
                       stats_comparison *out) TD_MUST_CHECK;

#endif
