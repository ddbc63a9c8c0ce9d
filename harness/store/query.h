/* Questions to the store. Every list owns its strings: store_*_free, or store_pool_free of its pool. */
#ifndef TD_STORE_QUERY_H
#define TD_STORE_QUERY_H

#include "store/store.h"

typedef struct store_pool store_pool; /* strings of one answer */
void store_pool_free(store_pool *p);

typedef struct store_study_row {
  int64_t study_id, created_ms, cells;
  const char *name, *spec_sha256, *spec_json;
} store_study_row;
typedef struct store_studies {
  store_study_row *at;
  int64_t n;
  store_pool *pool;
} store_studies;
/* `name` NULL: all, by name. A name that is not there is E_STORE and lists those that are. */
int store_study_list(store *s, err *e, const char *name, store_studies *out) TD_MUST_CHECK;
void store_studies_free(store_studies *l);

typedef struct store_counts {
  int64_t n[STAGE_COUNT][CELL_STATES];
  int64_t lost; /* running cells whose lease has expired */
} store_counts;
int store_status(store *s, err *e, int64_t study_id, int64_t now_ms, store_counts *out) TD_MUST_CHECK;
/* Median duration, by stage, of the attempts that made cells done (of any study when 0); -1 when there is none. */
int store_medians(store *s, err *e, int64_t study_id, int64_t ms[STAGE_COUNT]) TD_MUST_CHECK;

typedef struct store_cell_row {
  const char *key, *spec_json, *lease_owner; /* lease_owner NULL unless running */
  stage stage;
  store_state state;
  int64_t tries, max_tries, lease_until_ms, done_attempt_id; /* 0: none */
  /* from the study asked for, else from any study that has the cell */
  const char *study, *variant, *prompt_id, *axes_json;
  int64_t train_seed, sample_seed;
  /* from the last attempt */
  const char *fail_class, *fail_msg, *log_path;
  int64_t attempts;
  int by_scorer; /* a score that an external scorer answers */
  int of_sets;   /* a score that compares sets of clips */
  int depth;     /* lineage: 0 the cell, 1 its inputs (or dependants)...; role is how it was reached */
  const char *role;
} store_cell_row;
typedef struct store_cells {
  store_cell_row *at;
  int64_t n;
  store_pool *pool;
} store_cells;
/* One cell by a unique prefix (>= 4 hex digits) of its key. */
int store_cell_find(store *s, err *e, const char *prefix, store_cells *out) TD_MUST_CHECK;
/* Cells of a study in a state, by (stage, priority, key); CELL_STATES means all. */
int store_cells_in(store *s, err *e, int64_t study_id, store_state state, store_cells *out) TD_MUST_CHECK;
/* Those that are not done, in the same order. */
int store_cells_undone(store *s, err *e, int64_t study_id, store_cells *out) TD_MUST_CHECK;
/* Every cell of the store, once for each study that has it, by (stage, priority, key, study). */
int store_cells_each(store *s, err *e, store_cells *out) TD_MUST_CHECK;
/* Everything the cell was made from (down = 0), or everything made from it (down = 1), nearest first. */
int store_lineage(store *s, err *e, const char *key, int down, store_cells *out) TD_MUST_CHECK;
void store_cells_free(store_cells *l);

typedef struct store_input_row {
  const char *role, *key, *sha256; /* a cell's key, or the hash of a file; the other is NULL */
} store_input_row;
typedef struct store_inputs {
  store_input_row *at;
  int64_t n;
  store_pool *pool;
} store_inputs;
/* What a cell reads, by role. One cell may have several roles, which store_lineage does not show. */
int store_input_list(store *s, err *e, const char *key, store_inputs *out) TD_MUST_CHECK;
void store_inputs_free(store_inputs *l);

typedef struct store_artifact_row {
  const char *role, *kind, *sha256, *media_json;
  int64_t bytes;
} store_artifact_row;
typedef struct store_artifacts {
  store_artifact_row *at;
  int64_t n;
  store_pool *pool;
} store_artifacts;
/* Of the attempt that made the cell done, by role; empty when it is not done. */
int store_artifact_list(store *s, err *e, const char *key, store_artifacts *out) TD_MUST_CHECK;
void store_artifacts_free(store_artifacts *l);

typedef struct store_attempt_row {
  int64_t attempt_id, n, started_ms, ended_ms, exit_code, term_signal; /* -1: not known */
  int64_t resumed_from_step, peak_rss_bytes, peak_vram_bytes, gpu_ms;
  const char *state, *fail_class, *fail_msg, *build_id, *host_id, *log_path;
} store_attempt_row;
typedef struct store_attempts {
  store_attempt_row *at;
  int64_t n;
  store_pool *pool;
} store_attempts;
int store_attempt_list(store *s, err *e, const char *key, store_attempts *out) TD_MUST_CHECK;
void store_attempts_free(store_attempts *l);

typedef struct store_cost {
  stage stage;
  const char *spec_json;
  double ms;     /* the cell's share of the time of the pack that it was run in */
  int64_t bytes; /* of its objects */
} store_cost;
typedef struct store_costs {
  store_cost *at;
  int64_t n;
  store_pool *pool;
} store_costs;
/* What every done cell took, of any study. */
int store_cost_list(store *s, err *e, store_costs *out) TD_MUST_CHECK;
void store_costs_free(store_costs *l);

typedef enum store_kind { KIND_FINITE, KIND_INF, KIND_NEG_INF, KIND_NAN, KIND_UNDEFINED } store_kind;

typedef struct store_score {
  const char *key, *variant, *prompt_id; /* prompt_id NULL: no such axis */
  int64_t train_seed, sample_seed;       /* SEED_NONE likewise */
  const char *metric, *backdrop;
  int64_t version;
  double value; /* NaN unless KIND_FINITE or an infinity */
  store_kind kind;
  const char *reason;             /* KIND_UNDEFINED only, else NULL */
  int64_t n;                      /* support */
  const char *build_id, *host_id; /* or NULL */
} store_score;
typedef struct store_scores {
  store_score *at;
  int64_t n;
  store_pool *pool;
} store_scores;
/* Clip-level measures of a study's done score cells, by (variant, prompt, seeds, metric, version, backdrop). */
int store_score_list(store *s, err *e, int64_t study_id, store_scores *out) TD_MUST_CHECK;
/* A score of sets (study/set_cell.h). What is not known is SEED_NONE, 0, NaN or NULL. */
typedef struct store_set {
  const char *key, *variant, *metric, *against, *fail_class; /* fail_class: of the last attempt, or NULL */
  store_state state;
  int64_t train_seed, version;
  double value;       /* NaN where undefined or not done */
  const char *reason; /* of an undefined one */
  int64_t n, n_against, undefined, undefined_against, permutations;
  double p, null_mean, null_lo, null_hi;
} store_set;
typedef struct store_sets {
  store_set *at;
  int64_t n;
  store_pool *pool;
} store_sets;
/* Of a study, done or not, by (variant, train seed, metric, against). */
int store_set_list(store *s, err *e, int64_t study_id, store_sets *out) TD_MUST_CHECK;
void store_sets_free(store_sets *l);

/* Measures of one cell at any scope, same struct (variant and axes from any study that has it). */
int store_measure_list(store *s, err *e, const char *key, store_scores *out) TD_MUST_CHECK;
void store_scores_free(store_scores *l);

typedef struct store_fact {
  const char *name, *text; /* build or host id; one line that describes it */
  int64_t attempts;        /* done attempts of the study that used it */
} store_fact;
typedef struct store_facts {
  store_fact *at;
  int64_t n;
  store_pool *pool;
} store_facts;
/* Builds and hosts that made the done cells of a study, by id; study_id 0: of any cell. */
int store_build_list(store *s, err *e, int64_t study_id, store_facts *out) TD_MUST_CHECK;
int store_host_list(store *s, err *e, int64_t study_id, store_facts *out) TD_MUST_CHECK;
/* Score cells that needed more than one attempt somewhere in their lineage: name = key, text = variant. */
int store_retried_list(store *s, err *e, int64_t study_id, store_facts *out) TD_MUST_CHECK;
/* Owners of current leases: name = owner, attempts = leases held. */
int store_owner_list(store *s, err *e, store_facts *out) TD_MUST_CHECK;
void store_facts_free(store_facts *l);

/* Read-only SQL from a user. */
typedef enum store_type { SQL_NULL, SQL_INT, SQL_REAL, SQL_TEXT, SQL_BLOB } store_type;
typedef struct store_value {
  store_type type;
  int64_t i;
  double d;
  const char *text; /* SQL_TEXT: zero-terminated; SQL_BLOB: the bytes */
  int64_t bytes;
} store_value;
/* Called once per row (and once with values NULL when there is no row, for the names); non-OK stops and is returned.
 */
typedef int store_row_fn(void *user, err *e, int n, const char *const *names, const store_value *values);
/* One SELECT (or WITH ... SELECT, EXPLAIN); anything that could write, attach or load is E_ARG. */
int store_sql(store *s, err *e, const char *sql, store_row_fn *row, void *user) TD_MUST_CHECK;

#endif
