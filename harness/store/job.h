/* Running cells: claim, heartbeat, finish, fail (spec/harness.md 6.4 and 8).
 *
 *   waiting -> ready -> running -> done
 *                ^         |-----> failed   (and everything downstream: blocked)
 *                +---------+  lost lease, preemption, io, timeout or signal, while tries < max_tries
 *
 * A claim starts an attempt. An attempt ends once: done, failed, lost or cancelled; ending it a second time is
 * E_STORE and changes nothing, so a worker that lost its lease cannot overwrite its successor. */
#ifndef TD_STORE_JOB_H
#define TD_STORE_JOB_H

#include "store/query.h"
#include "store/store.h"

typedef struct store_want {
  int64_t study_id; /* 0: of any study */
  const char *key;  /* this cell only, or NULL */
  int has_stage;    /* only cells of `stage` */
  stage stage;
  const char *pack_role; /* NULL: one cell. Else also further ready cells of the stage whose input of this role is the
                            same (cells without the role go together) */
  const char *alone_role;         /* cells with an input of this role go one by one; NULL: none do */
  int64_t max_cells;              /* size of a pack */
  int64_t max_with_role;          /* the same where the first cell has the role; 0: max_cells */
  const char *owner;              /* names the worker process uniquely, e.g. HOST:PID:START */
  const char *build_id, *host_id; /* rows of store_put_build and store_put_host, or NULL */
  int64_t now_ms, lease_ms;
} store_want;

typedef struct store_job_input {
  const char *role, *key, *sha256; /* as in store_input */
} store_job_input;

typedef struct store_job {
  int64_t attempt_id, n;                  /* n: 1 for the first attempt of the cell */
  const char *key, *spec_json, *log_path; /* log_path is relative to the store's folder */
  stage stage;
  store_job_input *inputs; /* sorted by role */
  int64_t n_inputs;
} store_job;

typedef struct store_jobs {
  store_job *at;
  int64_t n; /* 0: nothing is ready now */
  store_pool *pool;
} store_jobs;

/* First gives up expired leases, then claims by (priority, key). */
int store_claim(store *s, err *e, const store_want *want, store_jobs *out) TD_MUST_CHECK;
/* The job of a running attempt, for a process that was handed its number. */
int store_job_get(store *s, err *e, int64_t attempt_id, store_jobs *out) TD_MUST_CHECK;
void store_jobs_free(store_jobs *jobs);

/* Renews the lease. *ours = 0: the lease was given up (or the attempt ended) and the work should stop. */
int store_heartbeat(store *s, err *e, int64_t attempt_id, int64_t now_ms, int64_t lease_ms, int *ours) TD_MUST_CHECK;

typedef struct store_artifact {
  const char *role, *kind; /* kind: "clip", "weights", "latents", "log"... */
  const char *sha256;      /* an object of this store */
  int64_t bytes;
  const char *media_json; /* or NULL */
} store_artifact;

typedef struct store_measure {
  const char *metric;
  int64_t version;
  const char *scope;    /* "set", "video", "frame" */
  int64_t idx;          /* frame number, -1 for set and video */
  const char *backdrop; /* or NULL */
  double value;         /* ignored when reason is set; NaN and infinities are stored as kinds */
  const char *reason;   /* why the value is undefined, or NULL */
  int64_t n;            /* support: pixels, pairs... */
} store_measure;

typedef struct store_usage {
  int64_t resumed_from_step, peak_rss_bytes, peak_vram_bytes, gpu_ms; /* -1: not known */
} store_usage;

typedef struct store_result {
  const store_artifact *artifacts;
  int64_t n_artifacts;
  const store_measure *measures;
  int64_t n_measures;
  store_usage usage;
  int64_t now_ms;
} store_result;

/* Artifacts, measures and the done cell in one transaction; cells that waited for it become ready. The objects must
 * be in place (E_STORE). A finite value outside its metric's declared range is E_ARG and stores nothing. */
int store_finish(store *s, err *e, int64_t attempt_id, const store_result *result) TD_MUST_CHECK;

typedef struct store_failure {
  const char *fail_class; /* config oom_host oom_gpu timeout preempted signal nan_loss io metric internal */
  const char *message;
  int64_t exit_code, term_signal; /* -1: none */
  store_usage usage;
  int64_t now_ms;
  int64_t retry_after_ms; /* a retried cell is not claimed before now_ms + this */
} store_failure;

/* preempted: ready again, does not count as a try. io, timeout, signal: ready again while tries < max_tries.
 * Everything else, and the last try: the cell is failed and everything downstream of it blocked. *retry tells which.
 */
int store_fail(store *s, err *e, int64_t attempt_id, const store_failure *f, int *retry) TD_MUST_CHECK;
/* The user stopped it: the cell is ready again and the try does not count. */
int store_cancel(store *s, err *e, int64_t attempt_id, int64_t now_ms) TD_MUST_CHECK;
/* Gives up leases that expired before now_ms, or all leases of `owner` (a runner known to be dead; costs no try). */
int store_reap(store *s, err *e, const char *owner, int64_t now_ms, int64_t *n) TD_MUST_CHECK;

/* Failed cells (of the study, or of any when 0; only `key` when given) become ready again with a fresh count of
 * tries, and what they blocked waits again. So do done scores with a measure that an external scorer failed to answer
 * (a reason that begins with "scorer_"). */
int store_retry(store *s, err *e, int64_t study_id, const char *key, int64_t *n) TD_MUST_CHECK;
/* How many done scores of the study such a retry would ask again. */
int store_unanswered(store *s, err *e, int64_t study_id, int64_t *n) TD_MUST_CHECK;
/* A done cell is computed again (its objects were damaged). What was made from it stays. E_ARG unless it is done. */
int store_reset(store *s, err *e, const char *key) TD_MUST_CHECK;

#endif
