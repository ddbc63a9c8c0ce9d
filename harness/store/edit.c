#include "store/edit.h"

#include <string.h>

#include "store/db.h"
#include "store/job.h"

#define MARKED " AND key IN (SELECT key FROM temp.marked)"

static int mark(store *s, err *e, const char *const *keys, int64_t n) {
  stmt q = {0};
  int rc = OK;
  TRY(db_exec(s, e, "CREATE TEMP TABLE IF NOT EXISTS marked(key TEXT PRIMARY KEY); DELETE FROM temp.marked"));
  TRY(stmt_open(&q, s, e, "INSERT INTO temp.marked VALUES(?) ON CONFLICT DO NOTHING"));
  for (int64_t i = 0; i < n; i++) {
    stmt_text(&q, keys[i]);
    TRY(stmt_run(&q));
  }
out:
  stmt_close(&q);
  return rc;
}

int store_edit_applies(store_edit what, const store_cell_row *c) {
  switch (what) {
  case STORE_RETRY:
    return c->state == CELL_FAILED || c->state == CELL_SKIPPED || (c->state == CELL_DONE && c->by_scorer);
  case STORE_SKIP: return c->state <= CELL_RUNNING || c->state == CELL_BLOCKED;
  case STORE_RESET: return c->state == CELL_DONE;
  default: return c->state != CELL_RUNNING;
  }
}

static int change(store *s, err *e, const char *sql, int64_t *changed) {
  int rc = db_exec(s, e, sql);
  if (rc == OK) *changed += sqlite3_changes(s->db);
  return rc;
}

static int skip(store *s, err *e, int64_t *changed) {
  stmt q = {0};
  int rc = OK;
  TRY(stmt_open(&q, s, e, "UPDATE attempt SET state='cancelled', ended_ms=? WHERE state='running'" MARKED));
  stmt_int(&q, store_now_ms());
  TRY(stmt_run(&q));
  TRY(change(s, e,
             "UPDATE cell SET state='skipped', lease_owner=NULL, lease_until_ms=NULL"
             " WHERE state IN('waiting','ready','running','blocked')" MARKED,
             changed));
out:
  stmt_close(&q);
  return rc;
}

static int refuse_needed(store *s, err *e) {
  stmt q = {0};
  int row, rc = OK;
  TRY(stmt_open(
      &q, s, e,
      "SELECT input_key, count(*), min(key) FROM cell_input WHERE input_key IN (SELECT key FROM temp.marked)"
      " AND key NOT IN (SELECT key FROM temp.marked) GROUP BY input_key LIMIT 1"));
  TRY(stmt_row(&q, &row));
  if (row)
    FAIL(e, E_ARG,
         "cell %.12s stays needed: %lld cells that are not chosen are made from it (%.12s); choose them too",
         stmt_str(&q, 0), (long long)stmt_i64(&q, 1, 0), stmt_str(&q, 2));
out:
  stmt_close(&q);
  return rc;
}

static int remove_cells(store *s, err *e, int64_t *changed) {
  int rc = OK;
  TRY(db_exec(s, e, "DELETE FROM temp.marked WHERE key NOT IN (SELECT key FROM cell WHERE state<>'running')"));
  TRY(refuse_needed(s, e));
  TRY(db_exec(s, e, "UPDATE cell SET done_attempt_id=NULL WHERE true" MARKED));
  TRY(db_exec(s, e, "DELETE FROM measure WHERE attempt_id IN (SELECT attempt_id FROM attempt WHERE true" MARKED ")"));
  TRY(db_exec(s, e,
              "DELETE FROM attempt_artifact WHERE attempt_id IN (SELECT attempt_id FROM attempt WHERE true" MARKED
              ")"));
  TRY(db_exec(s, e, "DELETE FROM artifact WHERE sha256 NOT IN (SELECT sha256 FROM attempt_artifact)"));
  TRY(db_exec(s, e, "DELETE FROM attempt WHERE true" MARKED));
  TRY(db_exec(s, e, "DELETE FROM study_cell WHERE true" MARKED));
  TRY(db_exec(s, e, "DELETE FROM cell_input WHERE true" MARKED));
  TRY(change(s, e, "DELETE FROM cell WHERE true" MARKED, changed));
out:
  return rc;
}

static int edit(store *s, err *e, store_edit what, int64_t *changed) {
  int rc = OK;
  switch (what) {
  case STORE_RETRY:
    TRY(change(s, e, "UPDATE cell SET state='waiting', tries=0 WHERE state IN('failed','skipped')" MARKED, changed));
    TRY(change(s, e,
               "UPDATE cell SET state='waiting', tries=0, done_attempt_id=NULL WHERE state='done' AND stage='score'"
               " AND done_attempt_id IN (SELECT attempt_id FROM measure WHERE " DB_UNANSWERED ")" MARKED,
               changed));
    break;
  case STORE_SKIP: TRY(skip(s, e, changed)); break;
  case STORE_RESET:
    TRY(change(s, e, "UPDATE cell SET state='waiting', tries=0, done_attempt_id=NULL WHERE state='done'" MARKED,
               changed));
    break;
  default: TRY(remove_cells(s, e, changed));
  }
  TRY(db_settle(s, e));
out:
  return rc;
}

int store_edit_cells(store *s, err *e, store_edit what, const char *const *keys, int64_t n, int64_t *changed) {
  int rc = OK;
  *changed = 0;
  TRY(db_begin(s, e));
  rc = mark(s, e, keys, n);
  if (rc == OK) rc = edit(s, e, what, changed);
  rc = db_end(s, e, rc);
  if (rc != OK) *changed = 0;
out:
  return rc;
}

/* --- health --- */

int store_integrity(store *s, err *e, store_line_fn *line, void *user) {
  stmt q = {0};
  int row, rc = OK;
  TRY(stmt_open(&q, s, e, "PRAGMA integrity_check"));
  for (;;) {
    TRY(stmt_row(&q, &row));
    if (!row) break;
    const char *found = stmt_str(&q, 0);
    if (found && strcmp(found, "ok") != 0) TRY(line(user, e, found));
  }
  stmt_close(&q);
  TRY(stmt_open(&q, s, e,
                "SELECT 'a row of ' || \"table\" || ' refers to a missing row of ' || parent"
                " FROM pragma_foreign_key_check() UNION ALL"
                " SELECT 'cell ' || key || ' is done by no attempt of its own' FROM cell c WHERE state='done'"
                " AND NOT EXISTS(SELECT 1 FROM attempt a WHERE a.attempt_id=c.done_attempt_id AND a.key=c.key"
                "                AND a.state='done')"));
  for (;;) {
    TRY(stmt_row(&q, &row));
    if (!row) break;
    TRY(line(user, e, stmt_str(&q, 0)));
  }
out:
  stmt_close(&q);
  return rc;
}
