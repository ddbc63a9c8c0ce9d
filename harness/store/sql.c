/* SQL from a user: compiled under an authorizer that knows only reading, on top of PRAGMA query_only. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/db.h"
#include "store/query.h"

#define ONLY_READING "only reading is allowed here (SELECT, WITH ... SELECT, EXPLAIN)"

static int may_read(void *user, int action, const char *a, const char *b, const char *c, const char *d) {
  (void)user;
  (void)a;
  (void)c;
  (void)d;
  switch (action) {
  case SQLITE_SELECT:
  case SQLITE_READ:
  case SQLITE_RECURSIVE: return SQLITE_OK;
  case SQLITE_FUNCTION: return b && strcmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
  default: return SQLITE_DENY;
  }
}

static store_value value_at(sqlite3_stmt *p, int col) {
  store_value v = {SQL_NULL, 0, 0, NULL, 0};
  switch (sqlite3_column_type(p, col)) {
  case SQLITE_INTEGER:
    v.type = SQL_INT;
    v.i = sqlite3_column_int64(p, col);
    break;
  case SQLITE_FLOAT:
    v.type = SQL_REAL;
    v.d = sqlite3_column_double(p, col);
    break;
  case SQLITE_TEXT:
    v.type = SQL_TEXT;
    v.text = (const char *)sqlite3_column_text(p, col);
    v.bytes = sqlite3_column_bytes(p, col);
    break;
  case SQLITE_BLOB:
    v.type = SQL_BLOB;
    v.text = sqlite3_column_blob(p, col);
    v.bytes = sqlite3_column_bytes(p, col);
    break;
  default: break;
  }
  return v;
}

/* The user's mistake is E_ARG; a store that cannot be read is E_STORE. */
static int sql_fail(store *s, err *e, int rc) {
  int base = rc & 0xff;
  /* a denied function is reported as a plain error */
  if (base == SQLITE_AUTH || strstr(sqlite3_errmsg(s->db), "not authorized"))
    return err_set(e, E_ARG, "SQL: %s; " ONLY_READING, sqlite3_errmsg(s->db));
  if (base == SQLITE_ERROR || base == SQLITE_RANGE || base == SQLITE_TOOBIG || base == SQLITE_MISMATCH)
    return err_set(e, E_ARG, "SQL: %s", sqlite3_errmsg(s->db));
  return db_fail(e, s->db, s->path, "cannot answer", rc);
}

static int rows(store *s, err *e, sqlite3_stmt *p, store_row_fn *row, void *user) {
  int n = sqlite3_column_count(p), rc = OK, step;
  int64_t seen = 0;
  const char **name = NULL;
  store_value *v = NULL;
  TRY(mem_new(e, n, sizeof *name, "columns", &name));
  TRY(mem_new(e, n, sizeof *v, "columns", &v));
  for (int i = 0; i < n; i++) name[i] = sqlite3_column_name(p, i);
  while ((step = sqlite3_step(p)) == SQLITE_ROW) {
    for (int i = 0; i < n; i++) v[i] = value_at(p, i);
    seen++;
    TRY(row(user, e, n, name, v));
  }
  if (step != SQLITE_DONE) TRY(sql_fail(s, e, step));
  if (!seen) TRY(row(user, e, n, name, NULL));
out:
  free(name);
  free(v);
  return rc;
}

int store_sql(store *s, err *e, const char *sql, store_row_fn *row, void *user) {
  sqlite3_stmt *p = NULL;
  const char *tail = NULL;
  int rc = OK;
  sqlite3_set_authorizer(s->db, may_read, NULL);
  int q = sqlite3_prepare_v2(s->db, sql, -1, &p, &tail);
  if (q != SQLITE_OK) TRY(sql_fail(s, e, q));
  if (!p) FAIL(e, E_ARG, "SQL: empty");
  if (tail[strspn(tail, " \t\r\n;")]) FAIL(e, E_ARG, "SQL: one statement at a time; not '%.60s'", tail);
  if (!sqlite3_stmt_readonly(p)) FAIL(e, E_ARG, "SQL: " ONLY_READING);
  TRY(rows(s, e, p, row, user));
out:
  sqlite3_finalize(p);
  sqlite3_set_authorizer(s->db, NULL, NULL);
  return rc;
}
