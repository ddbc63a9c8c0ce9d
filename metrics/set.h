/* Scores of two SETS of clips: how far apart their distributions are (spec/metrics.md 3.9). One const struct each,
 * one line in sets.def.
 *
 * A score is written ID or ID:param=value,...; picture=premultiplied is a parameter of those that read the shown
 * picture. Two phases: set_features turns one clip into rows of numbers (a pure function of the clip and the
 * parameters of the extractor, so rows can be kept and made in parallel); set_score compares two stacks of rows. The
 * set under test is x, the reference is y.
 *
 * A distance of small sets is biased upwards, often by more than the effect: read value with null_mean, null_lo and
 * null_hi, which say what the same clips give when it is forgotten which set they came from, and with p. Identical
 * sets give about 0, rounding and the unbiased forms' below 0 included.
 *
 * An undefined score is a reason code, never a number. Random numbers are Philox (base/rng.h): the parameter `seed`,
 * salted by the name of what is drawn. Values depend neither on the number of threads nor, where LAPACK is used, on
 * the number of its own: it is told to use one. */
#ifndef TD_METRICS_SET_H
#define TD_METRICS_SET_H

#include <stdint.h>

#include "metrics/metric.h"

#define SET_PARTS 8
#define SET_PERMUTATIONS 499 /* by default: p is at least 1/500 */

/* Features of one clip. */
typedef struct set_rows {
  double *x; /* [rows][dim]; NULL when undefined; set_rows_free */
  int64_t rows, dim;
  metric_picture picture; /* what was read: METRIC_DECODED or METRIC_PREMULTIPLIED */
  const char *reason;     /* why there are none, else NULL */
} set_rows;

/* Whether an extractor reads alpha. */
typedef enum set_alpha {
  SET_ALPHA_NEVER,
  SET_ALPHA_ALWAYS,
  SET_ALPHA_CHOICE, /* its first parameter is `alpha`, 0 or 1 */
} set_alpha;

typedef struct set_extractor {
  const char *id;
  int version; /* any change of a feature is a new version */
  set_alpha alpha;
  metric_picture picture; /* METRIC_SHOWN, where picture=premultiplied can be asked for, or METRIC_PREMULTIPLIED,
                           * which becomes METRIC_SHOWN with alpha=0 */
  int min_frames, min_side;
  const metric_param *params; /* ended by a NULL name; NULL when it has none */
  const char *help, *citation;
  /* v->alpha is NULL with alpha=0. NULL: features come from outside (media/features.h). */
  int (*extract)(err *e, const metric_view *v, set_rows *out);
} set_extractor;

/* Features of a set: n clips, clip after clip; or mean and covariance alone. Borrows everything. */
typedef struct set_matrix {
  const double *x; /* [n * rows][dim] */
  int64_t n, rows, dim;
  int64_t undefined;        /* clips left out because they had no features */
  const double *mu, *sigma; /* [dim], [dim][dim]: instead of x; n may then be 0, not known */
  metric_picture picture;   /* METRIC_NO_PICTURE: not known */
  const char *source;       /* what a feature file says of itself, or NULL */
  const char *reason;       /* why these clips cannot be one set, else NULL */
} set_matrix;

typedef struct set_result {
  double value;       /* 0 when undefined; never read it without looking at reason */
  const char *reason; /* NULL when defined, else a code of metric_reasons() */
  int64_t n_x, n_y;   /* clips that were compared */
  int64_t undefined_x, undefined_y;
  double p; /* (1 + # null >= value) / (1 + permutations); 0 when permutations is 0 */
  double null_mean, null_sd, null_lo, null_hi; /* of the permuted values; 2.5 and 97.5 percentile */
  int64_t permutations;
  uint64_t seed;
  int parts; /* of a score that is a mean of parts (swd: levels, the finest first) */
  double part[SET_PARTS];
  const char *source_x, *source_y; /* of the matrices */
} set_result;

/* What one score sees: matrices of equal rows and dim, all finite, with n >= 2 each or with moments. */
typedef struct set_call {
  const set_matrix *x, *y;
  const double *param; /* in the order of the score's params */
  int threads;         /* >= 1 */
} set_call;

typedef struct set_metric {
  const char *id;
  int version; /* any change of a value, null or p on any input is a new version */
  metric_direction direction;
  const char *unit;
  double lo, hi;
  int tier;
  metric_plane plane;
  const set_extractor *extractor;
  int64_t min_x, min_y;       /* clips of each set: 2 or more */
  int moments;                /* takes mean and covariance instead of rows */
  const metric_param *params; /* the extractor's first, then its own; ended by a NULL name */
  const char *help, *citation;
  const char *const *reasons; /* besides the extractor's, too_few_clips, not_finite, pictures_differ */
  int (*score)(err *e, const set_call *c, set_result *out);
} set_metric;

/* All set scores, and the extractors they use, NULL-terminated. */
const set_metric *const *set_list(void);
const set_extractor *const *set_extractors(void);

typedef struct set_request {
  const set_metric *metric;
  metric_picture picture; /* of the extractor, after the parameters */
  double param[METRIC_PARAMS];
} set_request;

/* Reads and prints the text above; as metric_parse and metric_print. */
int set_parse(err *e, const char *text, set_request *out) TD_MUST_CHECK;
void set_print(const set_request *r, char out[METRIC_TEXT]);
/* Text of the request's features: requests of equal text take the same features, "hof:alpha=0". */
void set_features_print(const set_request *r, char out[METRIC_TEXT]);

/* Features of one clip for this request. Everything a clip can be like is rows or a reason; errors: E_NOMEM, E_ARG
 * for features that come from outside. */
int set_features(err *e, const set_request *r, const clip *c, int threads, set_rows *out) TD_MUST_CHECK;
void set_rows_free(set_rows *r);
/* Puts clips with features together in their order; the others are counted as undefined. *store holds the numbers,
 * the caller frees it. Clips whose rows differ in shape or in what was read leave a reason in out. */
int set_stack(err *e, const set_rows *list, int64_t n, double **store, set_matrix *out) TD_MUST_CHECK;

/* Compares x with the reference y. E_SHAPE when dim differs, E_CONFIG when both sets say where their features come
 * from and it is not the same; E_NOMEM. */
int set_score(err *e, const set_request *r, const set_matrix *x, const set_matrix *y, int threads,
              set_result *out) TD_MUST_CHECK;

static inline int set_undefined(set_result *out, const char *reason) {
  out->reason = reason;
  return OK;
}

#endif
