#include "store/db.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *remedy(int sqlite_rc) {
  switch (sqlite_rc & 0xff) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return "another process has kept it locked, or the disk is very slow; wait for it or end it (fuser shows which), "
           "then run the same command again";
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return "the file is damaged or not a store; put a backup in its place, or rescue what is left with: sqlite3 "
           "store.db .recover | sqlite3 new.db; the files under objects/ are not touched";
  case SQLITE_FULL:
    return "the disk is full; free some space and run the same command again, finished cells are kept";
  case SQLITE_READONLY:
  case SQLITE_PERM:
  case SQLITE_AUTH:
  case SQLITE_CANTOPEN:
    return "the folder or the file may not be written (or opened) by this user; change its permissions or name "
           "another folder";
  case SQLITE_IOERR:
    return "the disk refused to read or write; check its space and health, then run the same command again";
  case SQLITE_NOMEM: return "no memory";
  default: return "this is a bug of tandem or a store edited by hand; please report it";
  }
}

int db_fail(err *e, sqlite3 *db, const char *path, const char *what, int sqlite_rc) {
  const char *why = db ? sqlite3_errmsg(db) : sqlite3_errstr(sqlite_rc);
  return err_set(e, E_STORE, "%s: %s: %s (SQLite %d); %s", path, what, why, sqlite_rc, remedy(sqlite_rc));
}

int db_exec(store *s, err *e, const char *sql) {
  int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
  return rc == SQLITE_OK ? OK : db_fail(e, s->db, s->path, sql, rc);
}

int db_begin(store *s, err *e) {
  if (s->mode == STORE_READ)
    return err_set(e, E_ARG, "%s: opened for reading, cannot write; open it for writing", s->path);
  int rc = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
  return rc == SQLITE_OK ? OK : db_fail(e, s->db, s->path, "cannot start writing", rc);
}

int db_end(store *s, err *e, int rc) {
  if (rc == OK) {
    int q = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
    if (q == SQLITE_OK) return OK;
    rc = db_fail(e, s->db, s->path, "cannot commit", q);
  }
  if (!sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
  return rc;
}

int stmt_open(stmt *q, store *s, err *e, const char *sql) {
  *q = (stmt){.s = s, .e = e};
  int rc = sqlite3_prepare_v2(s->db, sql, -1, &q->p, NULL);
  return rc == SQLITE_OK ? OK : db_fail(e, s->db, s->path, "cannot prepare a statement", rc);
}

static void bound(stmt *q, int rc) {
  if (rc != SQLITE_OK && !q->bad) q->bad = rc;
}

void stmt_text(stmt *q, const char *v) {
  q->at++;
  bound(q, v ? sqlite3_bind_text(q->p, q->at, v, -1, SQLITE_STATIC) : sqlite3_bind_null(q->p, q->at));
}

void stmt_int(stmt *q, int64_t v) {
  q->at++;
  bound(q, sqlite3_bind_int64(q->p, q->at, v));
}

void stmt_real(stmt *q, double v) {
  q->at++;
  bound(q, isfinite(v) ? sqlite3_bind_double(q->p, q->at, v) : sqlite3_bind_null(q->p, q->at));
}

void stmt_seed(stmt *q, int64_t v) {
  q->at++;
  bound(q, v == SEED_NONE ? sqlite3_bind_null(q->p, q->at) : sqlite3_bind_int64(q->p, q->at, v));
}

void stmt_reset(stmt *q) {
  sqlite3_reset(q->p);
  q->at = 0;
}

int stmt_row(stmt *q, int *row) {
  *row = 0;
  if (q->bad) return db_fail(q->e, q->s->db, q->s->path, "cannot bind a value", q->bad);
  int rc = sqlite3_step(q->p);
  if (rc == SQLITE_ROW) {
    *row = 1;
    return OK;
  }
  if (rc == SQLITE_DONE) {
    stmt_reset(q);
    return OK;
  }
  rc = db_fail(q->e, q->s->db, q->s->path, "a statement failed", rc);
  stmt_reset(q);
  return rc;
}

int stmt_run(stmt *q) {
  int rc = OK, row = 1;
  while (rc == OK && row) rc = stmt_row(q, &row);
  return rc;
}

void stmt_close(stmt *q) {
  sqlite3_finalize(q->p);
  q->p = NULL;
}

const char *stmt_str(stmt *q, int col) {
  return (const char *)sqlite3_column_text(q->p, col);
}

int64_t stmt_i64(stmt *q, int col, int64_t if_null) {
  return sqlite3_column_type(q->p, col) == SQLITE_NULL ? if_null : sqlite3_column_int64(q->p, col);
}

int stmt_one(stmt *q, int64_t if_none, int64_t *out) {
  int row, rc = stmt_row(q, &row);
  *out = rc == OK && row ? stmt_i64(q, 0, if_none) : if_none;
  stmt_reset(q);
  return rc;
}

#define POOL_BLOCK 16384

typedef struct pool_block {
  struct pool_block *next;
  size_t used, cap;
  char bytes[];
} pool_block;

int pool_new(err *e, store_pool **out) {
  return mem_new(e, 1, sizeof(store_pool), "answer", out);
}

void store_pool_free(store_pool *p) {
  if (!p) return;
  for (pool_block *b = p->head, *next; b; b = next) {
    next = b->next;
    free(b);
  }
  free(p);
}

int pool_keep(store_pool *p, err *e, const char *v, const char **out) {
  *out = NULL;
  if (!v) return OK;
  size_t n = strlen(v) + 1;
  if (!p->head || p->head->cap - p->head->used < n) {
    size_t cap = n > POOL_BLOCK ? n : POOL_BLOCK;
    pool_block *b;
    int rc = mem_new(e, (int64_t)(sizeof *b + cap), 1, "answer", &b);
    if (rc != OK) return rc;
    b->cap = cap;
    b->next = p->head;
    p->head = b;
  }
  char *at = p->head->bytes + p->head->used;
  memcpy(at, v, n);
  p->head->used += n;
  *out = at;
  return OK;
}

int pool_col(store_pool *p, stmt *q, int col, const char **out) {
  const char *v = stmt_str(q, col), **last = &p->last[col];
  if (v && *last && strcmp(v, *last) == 0) {
    *out = *last;
    return OK;
  }
  int rc = pool_keep(p, q->e, v, out);
  if (rc == OK) *last = *out;
  return rc;
}
