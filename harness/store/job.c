#include "store/job.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/db.h"
#include "store/object.h"

/* --- claiming -------------------------------------------------------------------------------------------------- */

/* A named owner is known to be dead with all its workers: that says nothing about the cells, so it costs no try. A
 * lease that merely expired may well be the cell's own doing. */
static int reap(store *s, err *e, const char *owner, int64_t now_ms, int64_t *n) {
  stmt q = {0};
  int rc = OK;
  *n = 0;
  TRY(stmt_open(&q, s, e,
                "UPDATE attempt SET state='lost', ended_ms=?1, fail_msg='the worker ' || coalesce((SELECT lease_owner"
                " FROM cell WHERE key=attempt.key), '?') || ' gave no sign of life; it died or was killed'"
                " WHERE state='running' AND key IN (SELECT key FROM cell WHERE state='running'"
                " AND iif(?2 IS NULL, lease_until_ms<?1, lease_owner=?2))"));
  stmt_int(&q, now_ms);
  stmt_text(&q, owner);
  TRY(stmt_run(&q));
  stmt_close(&q);
  TRY(stmt_open(&q, s, e,
                "UPDATE cell SET state=iif(?2 IS NOT NULL OR tries<max_tries, 'ready', 'failed'),"
                " tries=tries-(?2 IS NOT NULL), lease_owner=NULL, lease_until_ms=NULL"
                " WHERE state='running' AND iif(?2 IS NULL, lease_until_ms<?1, lease_owner=?2)"));
  stmt_int(&q, now_ms);
  stmt_text(&q, owner);
  TRY(stmt_run(&q));
  *n = sqlite3_changes(s->db);
  if (*n) TRY(db_exec(s, e, db_block_sql));
out:
  stmt_close(&q);
  return rc;
}

int store_reap(store *s, err *e, const char *owner, int64_t now_ms, int64_t *n) {
  int rc = db_begin(s, e);
  return rc != OK ? rc : db_end(s, e, reap(s, e, owner, now_ms, n));
}

#define ALONE "EXISTS(SELECT 1 FROM cell_input o WHERE o.key=c.key AND o.role=?6)"
#define READY                                                                                                        \
  " FROM cell c LEFT JOIN cell_input i ON i.key=c.key AND i.role=?4"                                                 \
  " WHERE c.state='ready' AND coalesce(c.lease_until_ms, 0)<=?1 AND (?2 IS NULL OR c.stage=?2)"                      \
  " AND (?3=0 OR EXISTS(SELECT 1 FROM study_cell sc WHERE sc.study_id=?3 AND sc.key=c.key))"                         \
  " AND (?5 IS NULL OR c.key=?5)"

static void bind_ready(stmt *q, const store_want *w, const char *stage_word) {
  stmt_int(q, w->now_ms);
  stmt_text(q, stage_word);
  stmt_int(q, w->study_id);
  stmt_text(q, w->pack_role);
  stmt_text(q, w->key);
  stmt_text(q, w->alone_role);
}

/* Keys of the first ready cell and of those that go with it, in claiming order. */
static int choose(store *s, err *e, const store_want *w, int64_t max, char (*key)[STORE_KEY], int64_t *n) {
  stmt first = {0}, rest = {0};
  int row, rc = OK;
  *n = 0;
  TRY(stmt_open(&first, s, e,
                "SELECT c.stage, i.input_key, i.input_sha256, " ALONE READY " ORDER BY c.priority, c.key LIMIT 1"));
  bind_ready(&first, w, w->has_stage ? stage_name(w->stage) : NULL);
  TRY(stmt_row(&first, &row));
  if (!row) goto out;
  int alone = stmt_i64(&first, 3, 0) != 0;
  TRY(stmt_open(&rest, s, e,
                "SELECT c.key" READY " AND i.input_key IS ?7 AND i.input_sha256 IS ?8 AND " ALONE "=?9"
                " ORDER BY c.priority, c.key LIMIT ?10"));
  bind_ready(&rest, w, stmt_str(&first, 0));
  stmt_text(&rest, stmt_str(&first, 1));
  stmt_text(&rest, stmt_str(&first, 2));
  if (w->max_with_role && (stmt_str(&first, 1) || stmt_str(&first, 2))) max = w->max_with_role;
  if (alone) max = 1;
  stmt_int(&rest, alone);
  stmt_int(&rest, max);
  while (*n < max) {
    TRY(stmt_row(&rest, &row));
    if (!row) break;
    snprintf(key[(*n)++], STORE_KEY, "%s", stmt_str(&rest, 0));
  }
out:
  stmt_close(&first);
  stmt_close(&rest);
  return rc;
}

static int start(store *s, err *e, const store_want *w, const char *key, int64_t *attempt_id) {
  stmt q = {0};
  int rc = OK;
  TRY(stmt_open(&q, s, e,
                "UPDATE cell SET state='running', tries=tries+1, lease_owner=?, lease_until_ms=? WHERE key=?"));
  stmt_text(&q, w->owner);
  stmt_int(&q, w->now_ms + w->lease_ms);
  stmt_text(&q, key);
  TRY(stmt_run(&q));
  stmt_close(&q);
  TRY(stmt_open(
      &q, s, e,
      "INSERT INTO attempt(attempt_uuid, key, n, state, started_ms, heartbeat_ms, build_id, host_id, log_path)"
      " SELECT lower(hex(randomblob(16))), ?1, n, 'running', ?2, ?2, ?3, ?4,"
      " 'logs/' || substr(?1, 1, 12) || '-' || n || '.log'"
      " FROM (SELECT 1+coalesce(max(n), 0) AS n FROM attempt WHERE key=?1)"));
  stmt_text(&q, key);
  stmt_int(&q, w->now_ms);
  stmt_text(&q, w->build_id);
  stmt_text(&q, w->host_id);
  TRY(stmt_run(&q));
  *attempt_id = sqlite3_last_insert_rowid(s->db);
out:
  stmt_close(&q);
  return rc;
}

static int load_inputs(store *s, err *e, store_pool *pool, store_job *job) {
  stmt q = {0};
  int64_t cap = 0;
  int row, rc = OK;
  TRY(stmt_open(&q, s, e, "SELECT role, input_key, input_sha256 FROM cell_input WHERE key=? ORDER BY role"));
  stmt_text(&q, job->key);
  for (;; job->n_inputs++) {
    TRY(stmt_row(&q, &row));
    if (!row) break;
    TRY(mem_grow(e, &job->inputs, &cap, job->n_inputs + 1, sizeof *job->inputs, "inputs"));
    store_job_input *in = &job->inputs[job->n_inputs];
    TRY(pool_keep(pool, e, stmt_str(&q, 0), &in->role));
    TRY(pool_keep(pool, e, stmt_str(&q, 1), &in->key));
    TRY(pool_keep(pool, e, stmt_str(&q, 2), &in->sha256));
  }
out:
  stmt_close(&q);
  return rc;
}

static int load_job(store *s, err *e, int64_t attempt_id, store_pool *pool, store_job *job) {
  stmt q = {0};
  int row, rc = OK;
  TRY(stmt_open(&q, s, e,
                "SELECT a.n, c.key, c.spec_json, a.log_path, c.stage, a.state"
                " FROM attempt a JOIN cell c USING(key) WHERE a.attempt_id=?"));
  stmt_int(&q, attempt_id);
  TRY(stmt_row(&q, &row));
  if (!row) FAIL(e, E_STORE, "%s: no attempt %lld; was another store meant?", s->path, (long long)attempt_id);
  if (strcmp(stmt_str(&q, 5), "running") != 0)
    FAIL(e, E_STORE, "attempt %lld has ended (%s); claim the cell again", (long long)attempt_id, stmt_str(&q, 5));
  job->attempt_id = attempt_id;
  job->n = stmt_i64(&q, 0, 0);
  TRY(pool_keep(pool, e, stmt_str(&q, 1), &job->key));
  TRY(pool_keep(pool, e, stmt_str(&q, 2), &job->spec_json));
  TRY(pool_keep(pool, e, stmt_str(&q, 3), &job->log_path));
  if (stage_parse(stmt_str(&q, 4), &job->stage) != OK)
    FAIL(e, E_STORE, "cell %.12s has the unknown stage '%s'", job->key, stmt_str(&q, 4));
  TRY(load_inputs(s, e, pool, job));
out:
  stmt_close(&q);
  return rc;
}

void store_jobs_free(store_jobs *jobs) {
  for (int64_t i = 0; i < jobs->n; i++) free(jobs->at[i].inputs);
  free(jobs->at);
  store_pool_free(jobs->pool);
  *jobs = (store_jobs){0};
}

int store_job_get(store *s, err *e, int64_t attempt_id, store_jobs *out) {
  int rc = OK;
  *out = (store_jobs){0};
  TRY(pool_new(e, &out->pool));
  TRY(mem_new(e, 1, sizeof *out->at, "job", &out->at));
  out->n = 1;
  TRY(load_job(s, e, attempt_id, out->pool, &out->at[0]));
  return OK;
out:
  store_jobs_free(out);
  return rc;
}

static int claim(store *s, err *e, const store_want *w, int64_t max, char (*key)[STORE_KEY], store_jobs *out) {
  int64_t n, lost, attempt;
  int rc = OK;
  TRY(reap(s, e, NULL, w->now_ms, &lost));
  TRY(choose(s, e, w, max, key, &n));
  for (int64_t i = 0; i < n; i++) {
    TRY(start(s, e, w, key[i], &attempt));
    out->n = i + 1;
    TRY(load_job(s, e, attempt, out->pool, &out->at[i]));
  }
out:
  return rc;
}

int store_claim(store *s, err *e, const store_want *want, store_jobs *out) {
  int64_t max = want->pack_role && want->max_cells > 1 ? want->max_cells : 1;
  int64_t most = want->max_with_role > max ? want->max_with_role : max;
  char(*key)[STORE_KEY] = NULL;
  int rc = OK;
  *out = (store_jobs){0};
  if (!want->owner || want->lease_ms <= 0) return err_set(e, E_ARG, "a claim needs an owner and a lease");
  TRY(pool_new(e, &out->pool));
  TRY(mem_new(e, most, sizeof *out->at, "jobs", &out->at));
  TRY(mem_new(e, most, sizeof *key, "keys", &key));
  TRY(db_begin(s, e));
  TRY(db_end(s, e, claim(s, e, want, max, key, out)));
out:
  free(key);
  if (rc != OK) store_jobs_free(out);
  return rc;
}

static int heartbeat(store *s, err *e, int64_t attempt_id, int64_t now_ms, int64_t lease_ms, int *ours) {
  stmt q = {0};
  int rc = OK;
  TRY(stmt_open(&q, s, e, "UPDATE attempt SET heartbeat_ms=? WHERE attempt_id=? AND state='running'"));
  stmt_int(&q, now_ms);
  stmt_int(&q, attempt_id);
  TRY(stmt_run(&q));
  *ours = sqlite3_changes(s->db) == 1;
  if (!*ours) goto out;
  stmt_close(&q);
  TRY(stmt_open(&q, s, e, "UPDATE cell SET lease_until_ms=? WHERE key=(SELECT key FROM attempt WHERE attempt_id=?)"));
  stmt_int(&q, now_ms + lease_ms);
  stmt_int(&q, attempt_id);
  TRY(stmt_run(&q));
out:
  stmt_close(&q);
  return rc;
}

int store_heartbeat(store *s, err *e, int64_t attempt_id, int64_t now_ms, int64_t lease_ms, int *ours) {
  int rc = db_begin(s, e);
  *ours = 0;
  return rc != OK ? rc : db_end(s, e, heartbeat(s, e, attempt_id, now_ms, lease_ms, ours));
}

/* --- ending an attempt ----------------------------------------------------------------------------------------- */

static void bind_known(stmt *q, int64_t v) {
  if (v < 0) {
    stmt_text(q, NULL);
  } else {
    stmt_int(q, v);
  }
}

static int attempt_key(store *s, err *e, int64_t attempt_id, char key[STORE_KEY]) {
  stmt q = {0};
  int row, rc = OK;
  TRY(stmt_open(&q, s, e, "SELECT key, state FROM attempt WHERE attempt_id=?"));
  stmt_int(&q, attempt_id);
  TRY(stmt_row(&q, &row));
  if (!row) FAIL(e, E_STORE, "%s: no attempt %lld; was another store meant?", s->path, (long long)attempt_id);
  snprintf(key, STORE_KEY, "%s", stmt_str(&q, 0));
  if (strcmp(stmt_str(&q, 1), "running") != 0)
    FAIL(e, E_STORE,
         "attempt %lld of cell %.12s has already ended (%s); its result is dropped. A lease is given up when the "
         "worker gives no sign of life for too long",
         (long long)attempt_id, key, stmt_str(&q, 1));
out:
  stmt_close(&q);
  return rc;
}

typedef struct ending {
  const char *state, *fail_class, *message;
  int64_t exit_code, term_signal, now_ms;
  store_usage usage;
} ending;

static int end_attempt(store *s, err *e, int64_t attempt_id, const ending *x) {
  stmt q;
  int rc = stmt_open(&q, s, e,
                     "UPDATE attempt SET state=?, fail_class=?, fail_msg=?, exit_code=?, term_signal=?, ended_ms=?,"
                     " resumed_from_step=?, peak_rss_bytes=?, peak_vram_bytes=?, gpu_ms=? WHERE attempt_id=?");
  if (rc != OK) return rc;
  stmt_text(&q, x->state);
  stmt_text(&q, x->fail_class);
  stmt_text(&q, x->message);
  bind_known(&q, x->exit_code);
  bind_known(&q, x->term_signal);
  stmt_int(&q, x->now_ms);
  bind_known(&q, x->usage.resumed_from_step);
  bind_known(&q, x->usage.peak_rss_bytes);
  bind_known(&q, x->usage.peak_vram_bytes);
  bind_known(&q, x->usage.gpu_ms);
  stmt_int(&q, attempt_id);
  rc = stmt_run(&q);
  stmt_close(&q);
  return rc;
}

static int put_artifacts(store *s, err *e, int64_t attempt_id, const store_result *r) {
  stmt object = {0}, use = {0};
  char path[STORE_PATH];
  int rc = OK;
  TRY(stmt_open(&object, s, e,
                "INSERT INTO artifact(sha256, kind, bytes, rel_path, media_json) VALUES(?,?,?,?,?)"
                " ON CONFLICT DO NOTHING"));
  TRY(stmt_open(&use, s, e, "INSERT INTO attempt_artifact(attempt_id, role, sha256) VALUES(?,?,?)"));
  for (int64_t i = 0; i < r->n_artifacts; i++) {
    const store_artifact *a = &r->artifacts[i];
    TRY(object_path(s, e, a->sha256, path));
    if (access(path, R_OK) != 0)
      FAIL(e, E_STORE, "%s: the object is not there; put it before finishing the cell", path);
    stmt_text(&object, a->sha256);
    stmt_text(&object, a->kind);
    stmt_int(&object, a->bytes);
    stmt_text(&object, path + strlen(s->folder) + 1);
    stmt_text(&object, a->media_json);
    TRY(stmt_run(&object));
    stmt_int(&use, attempt_id);
    stmt_text(&use, a->role);
    stmt_text(&use, a->sha256);
    TRY(stmt_run(&use));
  }
out:
  stmt_close(&object);
  stmt_close(&use);
  return rc;
}

static const char *kind_of(const store_measure *m) {
  if (m->reason) return "undefined";
  if (isnan(m->value)) return "nan";
  if (isinf(m->value)) return m->value > 0 ? "inf" : "-inf";
  return "finite";
}

/* Rounding may carry a correlation to 1 + 1e-16; a metric that is really out of range is a wrong metric. */
static int check_range(stmt *def, err *e, const store_measure *m) {
  int row, rc = OK;
  stmt_text(def, m->metric);
  stmt_int(def, m->version);
  TRY(stmt_row(def, &row));
  if (!row) FAIL(e, E_ARG, "metric %s version %lld is not defined in this store", m->metric, (long long)m->version);
  double lo = sqlite3_column_type(def->p, 0) == SQLITE_NULL ? -INFINITY : sqlite3_column_double(def->p, 0);
  double hi = sqlite3_column_type(def->p, 1) == SQLITE_NULL ? INFINITY : sqlite3_column_double(def->p, 1);
  double slack = isfinite(hi - lo) ? 1e-9 * (hi - lo) : 0;
  if (!m->reason && isfinite(m->value) && (m->value < lo - slack || m->value > hi + slack))
    FAIL(e, E_ARG, "metric %s version %lld gave %.17g, outside its declared range [%g, %g]", m->metric,
         (long long)m->version, m->value, lo, hi);
out:
  stmt_reset(def);
  return rc;
}

static int put_measures(store *s, err *e, int64_t attempt_id, const store_result *r) {
  stmt def = {0}, q = {0};
  int rc = OK;
  TRY(stmt_open(&def, s, e, "SELECT lo, hi FROM metric_def WHERE metric=? AND version=?"));
  TRY(stmt_open(&q, s, e,
                "INSERT INTO measure(attempt_id, metric, version, scope, idx, backdrop, value, value_kind, reason, n)"
                " VALUES(?,?,?,?,?,?,?,?,?,?)"));
  for (int64_t i = 0; i < r->n_measures; i++) {
    const store_measure *m = &r->measures[i];
    TRY(check_range(&def, e, m));
    stmt_int(&q, attempt_id);
    stmt_text(&q, m->metric);
    stmt_int(&q, m->version);
    stmt_text(&q, m->scope);
    stmt_int(&q, m->idx);
    stmt_text(&q, m->backdrop ? m->backdrop : "");
    stmt_real(&q, m->reason ? NAN : m->value);
    stmt_text(&q, kind_of(m));
    stmt_text(&q, m->reason);
    stmt_int(&q, m->n);
    TRY(stmt_run(&q));
  }
out:
  stmt_close(&def);
  stmt_close(&q);
  return rc;
}

static int cell_done(store *s, err *e, const char *key, int64_t attempt_id) {
  stmt q = {0};
  int rc = OK;
  TRY(stmt_open(
      &q, s, e,
      "UPDATE cell SET state='done', done_attempt_id=?, lease_owner=NULL, lease_until_ms=NULL WHERE key=?"));
  stmt_int(&q, attempt_id);
  stmt_text(&q, key);
  TRY(stmt_run(&q));
  stmt_close(&q);
  TRY(stmt_open(&q, s, e,
                "UPDATE cell SET state='ready' WHERE state='waiting'"
                " AND key IN (SELECT key FROM cell_input WHERE input_key=?)"
                " AND NOT EXISTS(SELECT 1 FROM cell_input i JOIN cell u ON u.key=i.input_key"
                "                WHERE i.key=cell.key AND u.state<>'done')"));
  stmt_text(&q, key);
  TRY(stmt_run(&q));
out:
  stmt_close(&q);
  return rc;
}

int store_finish(store *s, err *e, int64_t attempt_id, const store_result *result) {
  char key[STORE_KEY];
  int rc = db_begin(s, e);
  if (rc != OK) return rc;
  TRY(attempt_key(s, e, attempt_id, key));
  TRY(put_artifacts(s, e, attempt_id, result));
  TRY(put_measures(s, e, attempt_id, result));
  TRY(end_attempt(
      s, e, attempt_id,
      &(ending){
          .state = "done", .exit_code = -1, .term_signal = -1, .now_ms = result->now_ms, .usage = result->usage}));
  TRY(cell_done(s, e, key, attempt_id));
out:
  return db_end(s, e, rc);
}

/* tries: what the cell's count becomes is tries - forgive; it is tried again while that is below max_tries. */
static int cell_again(store *s, err *e, const char *key, int forgive, int may_retry, int64_t not_before, int *retry) {
  stmt q = {0};
  int row, rc = OK;
  TRY(stmt_open(&q, s, e,
                "UPDATE cell SET state=iif(?2 AND tries-?3<max_tries, 'ready', 'failed'), tries=tries-?3,"
                " lease_owner=NULL, lease_until_ms=?4 WHERE key=?1 RETURNING state='ready'"));
  stmt_text(&q, key);
  stmt_int(&q, may_retry);
  stmt_int(&q, forgive);
  bind_known(&q, may_retry ? not_before : -1);
  TRY(stmt_row(&q, &row));
  *retry = row && stmt_i64(&q, 0, 0) != 0;
  if (row) TRY(stmt_run(&q));
  if (!*retry) TRY(db_exec(s, e, db_block_sql));
out:
  stmt_close(&q);
  return rc;
}

int store_fail(store *s, err *e, int64_t attempt_id, const store_failure *f, int *retry) {
  char key[STORE_KEY];
  int preempted = strcmp(f->fail_class, "preempted") == 0;
  int may = preempted || strcmp(f->fail_class, "io") == 0 || strcmp(f->fail_class, "timeout") == 0 ||
            strcmp(f->fail_class, "signal") == 0;
  int rc = db_begin(s, e);
  if (rc != OK) return rc;
  TRY(attempt_key(s, e, attempt_id, key));
  TRY(end_attempt(s, e, attempt_id,
                  &(ending){"failed", f->fail_class, f->message, f->exit_code, f->term_signal, f->now_ms, f->usage}));
  TRY(cell_again(s, e, key, preempted, may, f->now_ms + f->retry_after_ms, retry));
out:
  return db_end(s, e, rc);
}

int store_cancel(store *s, err *e, int64_t attempt_id, int64_t now_ms) {
  char key[STORE_KEY];
  int retry, rc = db_begin(s, e);
  if (rc != OK) return rc;
  TRY(attempt_key(s, e, attempt_id, key));
  TRY(end_attempt(
      s, e, attempt_id,
      &(ending){
          .state = "cancelled", .exit_code = -1, .term_signal = -1, .now_ms = now_ms, .usage = {-1, -1, -1, -1}}));
  TRY(cell_again(s, e, key, 1, 1, -1, &retry));
out:
  return db_end(s, e, rc);
}

#define UNANSWERED "reason GLOB 'scorer_*'"

int store_retry(store *s, err *e, int64_t study_id, const char *key, int64_t *n) {
  stmt q = {0};
  int rc = db_begin(s, e);
  *n = 0;
  if (rc != OK) return rc;
  TRY(stmt_open(&q, s, e,
                "UPDATE cell SET state='waiting', tries=0 WHERE state='failed' AND (?1 IS NULL OR key=?1)"
                " AND (?2=0 OR key IN (SELECT key FROM study_cell WHERE study_id=?2))"));
  stmt_text(&q, key);
  stmt_int(&q, study_id);
  TRY(stmt_run(&q));
  *n = sqlite3_changes(s->db);
  stmt_close(&q);
  TRY(stmt_open(&q, s, e,
                "UPDATE cell SET state='waiting', tries=0, done_attempt_id=NULL WHERE state='done' AND stage='score'"
                " AND (?1 IS NULL OR key=?1)"
                " AND (?2=0 OR key IN (SELECT key FROM study_cell WHERE study_id=?2))"
                " AND done_attempt_id IN (SELECT attempt_id FROM measure WHERE " UNANSWERED ")"));
  stmt_text(&q, key);
  stmt_int(&q, study_id);
  TRY(stmt_run(&q));
  *n += sqlite3_changes(s->db);
  TRY(db_settle(s, e));
out:
  stmt_close(&q);
  return db_end(s, e, rc);
}

int store_unanswered(store *s, err *e, int64_t study_id, int64_t *n) {
  stmt q = {0};
  int row, rc = OK;
  TRY(stmt_open(&q, s, e,
                "SELECT count(*) FROM study_cell sc JOIN cell c USING(key) WHERE sc.study_id=? AND c.state='done'"
                " AND c.stage='score' AND EXISTS(SELECT 1 FROM measure WHERE attempt_id=c.done_attempt_id"
                " AND " UNANSWERED ")"));
  stmt_int(&q, study_id);
  TRY(stmt_row(&q, &row));
  *n = row ? stmt_i64(&q, 0, 0) : 0;
out:
  stmt_close(&q);
  return rc;
}

int store_reset(store *s, err *e, const char *key) {
  stmt q = {0};
  int rc = db_begin(s, e);
  if (rc != OK) return rc;
  TRY(stmt_open(&q, s, e,
                "UPDATE cell SET state='waiting', tries=0, done_attempt_id=NULL WHERE state='done' AND key=?"));
  stmt_text(&q, key);
  TRY(stmt_run(&q));
  if (sqlite3_changes(s->db) != 1) FAIL(e, E_ARG, "cell %.12s is not done", key);
  TRY(db_settle(s, e));
out:
  stmt_close(&q);
  return db_end(s, e, rc);
}
