/* Inside of the store: the handle, prepared statements with sticky errors, transactions. Only this room includes it.
 */
#ifndef TD_STORE_DB_H
#define TD_STORE_DB_H

#include <sqlite3.h>

#include "store/query.h"
#include "store/store.h"

struct store {
  sqlite3 *db;
  char *folder, *path; /* path: FOLDER/store.db */
  store_mode mode;
  char note[512];
  char (*focus)[STORE_KEY]; /* sorted; NULL: every cell */
  int64_t n_focus;
  int64_t patience_ms, busy_since_ms; /* how long to wait for a lock; when the present wait for a lock began */
};

#define DB_FILE "store.db"
#define DB_APPLICATION_ID 0x52474241 /* "RGBA" */

/* The statements that make schema STORE_SCHEMA, NULL at the end. */
extern const char *const db_schema[];
/* Scores of sets, a row each, and the index of standings. Made in every store that is opened for writing, so that
 * they need no new schema; a change of their columns needs a new name. */
extern const char db_additions[];
/* The table of a baseline's facts, if it is not there. */
extern const char db_baseline_fact[];
/* Of cells c that store_focus left in view; an SQL function of this connection. */
#define DB_WANTED " AND wanted(c.key)"
/* Of a measure that an external scorer failed to give. */
#define DB_UNANSWERED "reason GLOB 'scorer_*'"
/* Cells below a failed, skipped or blocked one become blocked, whatever their distance. */
extern const char db_block_sql[];
/* waiting, ready and blocked follow from the states of a cell's inputs: derives them anew for all cells. */
int db_settle(store *s, err *e) TD_MUST_CHECK;

/* Turns the last SQLite failure into E_STORE with the remedy. `db` may be NULL (open failed). */
int db_fail(err *e, sqlite3 *db, const char *path, const char *what, int sqlite_rc);
int db_exec(store *s, err *e, const char *sql) TD_MUST_CHECK;
int db_begin(store *s, err *e) TD_MUST_CHECK;
/* Commits when rc is OK (and may fail itself), else rolls back; returns the final status. */
int db_end(store *s, err *e, int rc) TD_MUST_CHECK;

/* A statement. Parameters are bound in order; a failed bind is reported by the next stmt_row or stmt_run. */
typedef struct stmt {
  store *s;
  err *e;
  sqlite3_stmt *p;
  int at;  /* parameters bound so far */
  int bad; /* first failed bind, an SQLite code */
} stmt;

int stmt_open(stmt *q, store *s, err *e, const char *sql) TD_MUST_CHECK;
void stmt_text(stmt *q, const char *v); /* NULL binds NULL; the bytes must live until the statement is stepped */
void stmt_int(stmt *q, int64_t v);
void stmt_real(stmt *q, double v);  /* NaN and infinities bind NULL */
void stmt_seed(stmt *q, int64_t v); /* SEED_NONE binds NULL */
/* *row = 1 when there is a row to read. After the last row the statement is ready to be bound again. */
int stmt_row(stmt *q, int *row) TD_MUST_CHECK;
/* All rows are dropped; then the statement is ready to be bound again. */
int stmt_run(stmt *q) TD_MUST_CHECK;
void stmt_reset(stmt *q);
void stmt_close(stmt *q);
const char *stmt_str(stmt *q, int col); /* NULL for NULL; valid until the next step */
int64_t stmt_i64(stmt *q, int col, int64_t if_null);
/* First column of the first row, or `if_none`. Parameters must be bound. Resets. */
int stmt_one(stmt *q, int64_t if_none, int64_t *out) TD_MUST_CHECK;

/* Strings of one answer. A string equal to the last one kept from the same column is not copied again. */
struct store_pool {
  struct pool_block *head;
  const char *last[24];
};
int pool_new(err *e, store_pool **out) TD_MUST_CHECK;
/* *out = NULL for NULL. */
int pool_keep(store_pool *p, err *e, const char *v, const char **out) TD_MUST_CHECK;
int pool_col(store_pool *p, stmt *q, int col, const char **out) TD_MUST_CHECK;

int db_state_of(const char *word, store_state *out);

#endif
