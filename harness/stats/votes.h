/* Statistics of pairwise comparisons by people (spec/metrics.md 3.11): pure functions, same bits on every run. */
#ifndef TD_STATS_VOTES_H
#define TD_STATS_VOTES_H

#include <stdint.h>

#include "base/err.h"

/* Quantile of the standard normal, 0 < p < 1: Wichura's AS 241 (PPND16), relative error about 1e-16. */
double stats_normal_quantile(double p);
/* Wilson's score interval of a share: k of n, 0 <= k <= n; k may be a half (ties). n = 0 gives [0,1]. */
void stats_wilson(double k, double n, double level, double *lo, double *hi);

/* Bradley-Terry strengths p[n], positive, sum 1: P(i beats j) = p_i / (p_i + p_j), by the MM algorithm of Hunter
 * (2004). wins [n][n]: row beats column; a tie is half a win for each; the diagonal is not read. The maximum exists
 * only when every split of the variants has wins both ways; otherwise 0.1 win is added both ways to every pair that
 * was compared, and *regularised = 1. *defined = 0, p untouched, when comparisons do not connect all variants.
 * E_ARG: n < 1, a count that is negative or not finite. */
int stats_bradley_terry(err *e, const double *wins, int64_t n, double *p, int *defined,
                        int *regularised) TD_MUST_CHECK;

/* Krippendorff's alpha for nominal values; count [units][categories] is how many raters gave the unit that value.
 * Units with fewer than two values do not count. *defined = 0 when no unit is left or all values are the same. */
double stats_krippendorff(const double *count, int64_t units, int64_t categories, int *defined);

typedef struct stats_vote {
  int32_t prompt, voter;
  int32_t a, b; /* variants, different */
  double share; /* of a: 1, 0.5 for a tie, 0 */
} stats_vote;

typedef struct stats_votes {
  const stats_vote *v;
  int64_t n, prompts, voters, variants;
} stats_votes;

typedef struct stats_votes_options {
  int64_t replicates;
  uint64_t seed;
  double level;
} stats_votes_options;

/* One number with its bootstrap interval. replicates: in which it was defined; 0: no interval. */
typedef struct stats_estimate {
  double value, lo, hi;
  int64_t replicates;
  int defined;
} stats_estimate;

/* Of a set of votes. Intervals resample prompts and voters, both with replacement: a vote counts as often as its
 * prompt times its voter was drawn; a level with one member is kept whole, and with one of each nothing varies and
 * there is no interval. */
typedef struct stats_preference {
  int64_t variants;
  int defined, regularised; /* of the strengths of all votes */
  int64_t regularised_replicates;
  double *wins, *ties;      /* [variants][variants]: row beats column, ties not in; ties: symmetric */
  stats_estimate *rate;     /* [variants] share of a variant's comparisons that it won, ties half */
  stats_estimate *pair;     /* [variants][variants] share of row against column */
  stats_estimate *strength; /* [variants] log of p, centred: the mean over variants is 0 */
  double *p;                /* [variants] 0 when not defined */
} stats_preference;

/* E_ARG: an index out of range, a == b, another share. */
int stats_prefer(err *e, const stats_votes *votes, const stats_votes_options *o, stats_preference *out) TD_MUST_CHECK;
void stats_preference_free(stats_preference *p);

/* Krippendorff's alpha of votes; a unit is a prompt and a pair. The values "first", "second", "tie" depend on which
 * variant is named first, so every unit enters in both orders: alpha then does not. *units: with two or more votes.
 */
int stats_vote_agreement(err *e, const stats_votes *votes, double *alpha, int64_t *units, int *defined) TD_MUST_CHECK;

#endif
