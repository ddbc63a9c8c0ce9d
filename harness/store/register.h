/* What a plan writes into the store: studies and their cells, and the tables that measures refer to. All calls are
 * idempotent: registering the same thing again changes nothing. */
#ifndef TD_STORE_REGISTER_H
#define TD_STORE_REGISTER_H

#include "store/store.h"
#include "study/plan.h"

typedef struct store_prompt {
  const char *id, *text, *category; /* category may be NULL */
} store_prompt;

/* One input of a cell: another cell, or the hash of bytes from outside (weights, a data manifest). */
typedef struct store_input {
  const char *role;
  const char *key;    /* upstream cell or NULL */
  const char *sha256; /* content hash or NULL */
} store_input;

typedef struct store_cell {
  const char *key; /* 64 hex digits */
  int64_t key_version;
  stage stage;
  const char *spec_json;
  int64_t priority;  /* smaller runs first; the default of the schema is 100 */
  int64_t max_tries; /* attempts before a lost, timed out or io-failed cell is failed; 0 means 2 */
  const store_input *inputs;
  int64_t n_inputs;
  /* the axes of this study that lead here */
  const char *variant;
  int64_t train_seed, sample_seed; /* SEED_NONE when the stage does not have the axis */
  const char *prompt_id;           /* NULL likewise */
  const char *axes_json;           /* every axis of the cell, as one JSON object; NULL means {} */
} store_cell;

typedef struct store_study {
  const char *name, *spec_sha256, *spec_json;
  const store_prompt *prompts;
  int64_t n_prompts;
  const store_cell *cells; /* inputs may name cells of this array or of the store */
  int64_t n_cells;
} store_study;

/* One transaction. Cells that are already in the store keep their state (that is the cache hit); cells whose inputs
 * are done become ready, cells below a failed one blocked. Axes of the study are replaced by the given ones, so cells
 * that left the plan leave its tables. A key may occur several times: the first occurrence gives the axes, except
 * that two score cells of different variants must differ (E_ARG: the variants are the same experiment). */
int store_register(store *s, err *e, const store_study *st, int64_t now_ms, int64_t *study_id) TD_MUST_CHECK;

/* The same from a plan; also stores the definitions of the study's metrics. Cells run in the order of the plan within
 * their stage. A row's score cells are those that answer its points. */
int store_register_plan(store *s, err *e, const study *st, const plan *p, int64_t now_ms,
                        int64_t *study_id) TD_MUST_CHECK;

typedef struct store_metric {
  const char *metric;
  int64_t version;
  const char *direction; /* "up", "down", "none" */
  const char *unit;      /* or NULL */
  double lo, hi;         /* declared range, +-INFINITY when open */
  const char *plane;     /* "rgb", "alpha", "joint", "composite", "system" */
  int needs_ref;
  const char *doc;
} store_metric;

/* E_ARG when a metric of the same id and version is stored with another direction, unit, range or plane: its meaning
 * changed, so its version must. */
int store_metrics(store *s, err *e, const store_metric *m, int64_t n) TD_MUST_CHECK;

typedef struct store_build {
  const char *build_id, *git_sha, *diff_sha256, *binary_sha256, *compiler, *flags, *cuda, *libs_json;
  int git_dirty;
} store_build;

typedef struct store_host {
  const char *host_id, *os, *kernel, *cpu, *gpu_json, *scheduler_json;
  int64_t ncpu, ram_bytes;
} store_host;

int store_put_build(store *s, err *e, const store_build *b) TD_MUST_CHECK;
int store_put_host(store *s, err *e, const store_host *h) TD_MUST_CHECK;

#endif
