/* Baselines: scores of a study frozen under a name, with a note that says why.
 *
 * A baseline is complete in itself: every value it holds, the metrics' versions and directions, and facts about what
 * was measured. Nothing in it follows later runs. It lives in the store, or in a file that a repository commits
 * (report/baseline_file.h). */
#ifndef TD_STORE_BASELINE_H
#define TD_STORE_BASELINE_H

#include "base/json.h"
#include "metrics/metric.h"
#include "store/query.h"

/* Names that are no metrics: what a clip or an adapter is, bit by bit, and how long a clip took. */
#define BASELINE_CLIP "artifact_sha256"
#define BASELINE_ADAPTER "adapter_sha256"
#define BASELINE_SECONDS "sample_seconds"

typedef struct baseline_metric {
  const char *id;
  int64_t version;
  metric_direction direction;
  const char *unit; /* "": none */
} baseline_metric;

/* One clip on one metric. `prompt` "" and seeds SEED_NONE where an axis does not apply. */
typedef struct baseline_value {
  const char *metric, *variant, *prompt;
  int64_t version, train_seed, sample_seed;
  double value; /* NaN unless finite or an infinity */
  store_kind kind;
  const char *hash; /* 64 hex digits of an artifact, else NULL; kind is then KIND_UNDEFINED and says nothing */
} baseline_value;

typedef struct baseline_fact {
  const char *name, *text;
} baseline_fact;

typedef struct baseline {
  const char *name, *study, *git_sha, *note; /* git_sha "": not known */
  int64_t created_ms;
  baseline_metric *metrics; /* by id; one version of each */
  int64_t n_metrics;
  baseline_value *values; /* by baseline_order */
  int64_t n_values;
  baseline_fact *facts; /* by name */
  int64_t n_facts;
  /* what the texts point into */
  store_pool *pool;
  json *tree;
} baseline;

/* Order of values: metric, variant, prompt, train seed, sample seed. */
int baseline_order(const baseline_value *a, const baseline_value *b);
/* Sorts metrics, values and facts. */
void baseline_sort(baseline *b);
const baseline_metric *baseline_find_metric(const baseline *b, const char *id); /* or NULL */
const char *baseline_find_fact(const baseline *b, const char *name);            /* or NULL */
void baseline_free(baseline *b);

/* A pool for a baseline that comes from elsewhere; v NULL gives NULL. baseline_free frees it. */
int store_pool_open(err *e, store_pool **out) TD_MUST_CHECK;
int store_pool_text(store_pool *p, err *e, const char *v, const char **out) TD_MUST_CHECK;

/* Replaces a baseline of the same name; E_STORE when the store does not have the study, E_ARG without a note. */
int store_baseline_put(store *s, err *e, const baseline *b) TD_MUST_CHECK;
/* E_STORE when there is none of that name, with those there are. */
int store_baseline_get(store *s, err *e, const char *name, baseline *out) TD_MUST_CHECK;
int store_baseline_remove(store *s, err *e, const char *name) TD_MUST_CHECK;

typedef struct store_baseline_row {
  const char *name, *study, *git_sha, *note;
  int64_t created_ms, values;
} store_baseline_row;
typedef struct store_baselines {
  store_baseline_row *at;
  int64_t n;
  store_pool *pool;
} store_baselines;
int store_baseline_list(store *s, err *e, store_baselines *out) TD_MUST_CHECK;
void store_baselines_free(store_baselines *l);

/* What a study's done cells made: clips and adapters by hash (reason), and the seconds a clip took (value). Rows in
 * the form of scores, metric one of the names above. */
int store_made_list(store *s, err *e, int64_t study_id, store_scores *out) TD_MUST_CHECK;

#endif
