#include "store/query.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/baseline.h"
#include "store/db.h"
#include "study/set_cell.h"

/* Every list is {rows, n, pool}: grows one row, which the caller fills from the statement. */
typedef struct any_list {
  void *at;
  int64_t n;
  store_pool *pool;
} any_list;

typedef int fill_fn(stmt *q, err *e, store_pool *p, void *row);

/* Rows of a bound statement into *list (a pointer to one of the public lists); closes the statement. */
static int collect(stmt *q, err *e, void *list, int64_t size, fill_fn *fill) {
  any_list l = {0};
  int64_t cap = 0;
  int row, rc = OK;
  TRY(pool_new(e, &l.pool));
  for (;; l.n++) {
    TRY(stmt_row(q, &row));
    if (!row) break;
    TRY(mem_grow(e, &l.at, &cap, l.n + 1, size, "answer"));
    TRY(fill(q, e, l.pool, (char *)l.at + l.n * size));
  }
out:
  if (rc != OK) {
    free(l.at);
    store_pool_free(l.pool);
    l = (any_list){0};
  }
  stmt_close(q);
  memcpy(list, &l, sizeof l);
  return rc;
}

static void drop(void *list) {
  any_list l;
  memcpy(&l, list, sizeof l);
  free(l.at);
  store_pool_free(l.pool);
  l = (any_list){0};
  memcpy(list, &l, sizeof l);
}

void store_studies_free(store_studies *l) {
  drop(l);
}
void store_cells_free(store_cells *l) {
  drop(l);
}
void store_inputs_free(store_inputs *l) {
  drop(l);
}
void store_artifacts_free(store_artifacts *l) {
  drop(l);
}
void store_attempts_free(store_attempts *l) {
  drop(l);
}
void store_scores_free(store_scores *l) {
  drop(l);
}
void store_sets_free(store_sets *l) {
  drop(l);
}
void store_costs_free(store_costs *l) {
  drop(l);
}
void store_facts_free(store_facts *l) {
  drop(l);
}

/* --- studies and counts ---------------------------------------------------------------------------------------- */

static int fill_study(stmt *q, err *e, store_pool *p, void *row) {
  store_study_row *r = row;
  int rc = OK;
  (void)e;
  r->study_id = stmt_i64(q, 0, 0);
  r->created_ms = stmt_i64(q, 1, 0);
  r->cells = stmt_i64(q, 2, 0);
  TRY(pool_col(p, q, 3, &r->name));
  TRY(pool_col(p, q, 4, &r->spec_sha256));
  TRY(pool_col(p, q, 5, &r->spec_json));
out:
  return rc;
}

int store_study_list(store *s, err *e, const char *name, store_studies *out) {
  stmt q;
  text known = {0};
  int rc = OK;
  *out = (store_studies){0};
  TRY(stmt_open(&q, s, e,
                "SELECT study_id, created_ms, (SELECT count(*) FROM study_cell c WHERE c.study_id=study.study_id),"
                " name, spec_sha256, spec_json FROM study WHERE ?1 IS NULL OR name=?1 ORDER BY name"));
  stmt_text(&q, name);
  TRY(collect(&q, e, out, sizeof *out->at, fill_study));
  if (!name || out->n) return OK;
  drop(out);
  store_studies all;
  TRY(store_study_list(s, e, NULL, &all));
  for (int64_t i = 0; i < all.n; i++) text_addf(&known, "%s%s", i ? ", " : "", all.at[i].name);
  store_studies_free(&all);
  rc = err_set(e, E_STORE, "%s: no study '%.80s' here (known: %.900s)", s->path, name, known.n ? known.p : "none");
out:
  text_free(&known);
  return rc;
}

static int count_states(store *s, err *e, int64_t study_id, int64_t now_ms, store_counts *out) {
  stmt q = {0};
  int row, rc = OK;
  TRY(stmt_open(&q, s, e,
                "SELECT c.stage, c.state, count(*), sum(c.state='running' AND c.lease_until_ms<?2) FROM cell c"
                " WHERE (?1=0 OR EXISTS(SELECT 1 FROM study_cell sc WHERE sc.study_id=?1 AND sc.key=c.key))" DB_WANTED
                " GROUP BY c.stage, c.state"));
  stmt_int(&q, study_id);
  stmt_int(&q, now_ms);
  for (;;) {
    stage st;
    TRY(stmt_row(&q, &row));
    if (!row) break;
    store_state state;
    if (stage_parse(stmt_str(&q, 0), &st) == OK && db_state_of(stmt_str(&q, 1), &state) == OK)
      out->n[st][state] = stmt_i64(&q, 2, 0);
    out->lost += stmt_i64(&q, 3, 0);
  }
out:
  stmt_close(&q);
  return rc;
}

int store_status(store *s, err *e, int64_t study_id, int64_t now_ms, store_counts *out) {
  *out = (store_counts){0};
  return count_states(s, e, study_id, now_ms, out);
}

typedef struct stage_time {
  stage stage;
  int64_t ms;
} stage_time;

static int fill_time(stmt *q, err *e, store_pool *p, void *row) {
  stage_time *r = row;
  (void)p;
  r->ms = stmt_i64(q, 1, 0);
  return stage_parse(stmt_str(q, 0), &r->stage) == OK ? OK : err_set(e, E_STORE, "a cell of an unknown stage");
}

static int by_stage_and_time(const void *a, const void *b) {
  const stage_time *x = a, *y = b;
  int c = (x->stage > y->stage) - (x->stage < y->stage);
  return c ? c : (x->ms > y->ms) - (x->ms < y->ms);
}

/* Sorted here: SQLite's window functions take several times as long. */
int store_medians(store *s, err *e, int64_t study_id, int64_t ms[STAGE_COUNT]) {
  stmt q;
  any_list l = {0};
  int rc = OK;
  for (int i = 0; i < STAGE_COUNT; i++) ms[i] = -1;
  TRY(stmt_open(&q, s, e,
                "SELECT c.stage, a.ended_ms-a.started_ms FROM cell c JOIN attempt a ON a.attempt_id=c.done_attempt_id"
                " WHERE ?1=0 OR EXISTS(SELECT 1 FROM study_cell sc WHERE sc.study_id=?1 AND sc.key=c.key)"));
  stmt_int(&q, study_id);
  TRY(collect(&q, e, &l, sizeof(stage_time), fill_time));
  stage_time *t = l.at;
  if (l.n) qsort(t, (size_t)l.n, sizeof *t, by_stage_and_time);
  for (int64_t i = 0, end; i < l.n; i = end) {
    for (end = i + 1; end < l.n && t[end].stage == t[i].stage;) end++;
    ms[t[i].stage] = t[i + (end - i - 1) / 2].ms;
  }
out:
  drop(&l);
  return rc;
}

/* --- cells ----------------------------------------------------------------------------------------------------- */

#define OF_SETS(key) " EXISTS(SELECT 1 FROM cell_input i WHERE i.key=" key " AND i.role='" SET_FIRST "')"

/* Columns 0-20 of every question about cells; c is the cell, x its depth and role. */
#define CELL_COLUMNS                                                                                                 \
  "c.key, c.spec_json, c.lease_owner, c.stage, c.state, c.tries, c.max_tries, c.lease_until_ms, c.done_attempt_id,"  \
  " s.name, sc.variant, sc.prompt_id, sc.axes_json, sc.train_seed, sc.sample_seed, a.fail_class, a.fail_msg,"        \
  " a.log_path, a.n, EXISTS(SELECT 1 FROM cell_input i WHERE i.key=c.key AND i.role='scorer')," OF_SETS("c.key")
/* ?1 is the study to prefer, or 0 */
#define CELL_JOINS                                                                                                   \
  " LEFT JOIN study_cell sc ON sc.key=c.key AND sc.study_id=(SELECT study_id FROM study_cell z WHERE z.key=c.key"    \
  "   ORDER BY z.study_id=?1 DESC, z.study_id LIMIT 1)"                                                              \
  " LEFT JOIN study s ON s.study_id=sc.study_id"                                                                     \
  " LEFT JOIN attempt a ON a.key=c.key AND a.n=(SELECT max(n) FROM attempt z WHERE z.key=c.key)"

#define CELL_ORDER                                                                                                   \
  " ORDER BY CASE c.stage WHEN 'prepare' THEN 0 WHEN 'pretrain' THEN 1 WHEN 'train' THEN 2 WHEN 'sample' THEN 3"     \
  " ELSE 4 END, c.priority, c.key"

static int fill_cell(stmt *q, err *e, store_pool *p, void *row) {
  store_cell_row *r = row;
  const char **const word[] = {
      &r->key, &r->spec_json,  &r->lease_owner, NULL,        NULL,          NULL,          NULL,
      NULL,    NULL,           &r->study,       &r->variant, &r->prompt_id, &r->axes_json, NULL,
      NULL,    &r->fail_class, &r->fail_msg,    &r->log_path};
  int rc = OK;
  for (int i = 0; i < (int)(sizeof word / sizeof word[0]); i++)
    if (word[i]) TRY(pool_col(p, q, i, word[i]));
  if (stage_parse(stmt_str(q, 3), &r->stage) != OK || db_state_of(stmt_str(q, 4), &r->state) != OK)
    FAIL(e, E_STORE, "cell %.12s has an unknown stage or state", r->key);
  r->tries = stmt_i64(q, 5, 0);
  r->max_tries = stmt_i64(q, 6, 0);
  r->lease_until_ms = stmt_i64(q, 7, 0);
  r->done_attempt_id = stmt_i64(q, 8, 0);
  r->train_seed = stmt_i64(q, 13, SEED_NONE);
  r->sample_seed = stmt_i64(q, 14, SEED_NONE);
  r->attempts = stmt_i64(q, 18, 0);
  r->by_scorer = (int)stmt_i64(q, 19, 0);
  r->of_sets = (int)stmt_i64(q, 20, 0);
  if (sqlite3_column_count(q->p) > 21) {
    r->depth = (int)stmt_i64(q, 21, 0);
    TRY(pool_keep(p, e, stmt_str(q, 22), &r->role));
  }
out:
  return rc;
}

int store_cell_find(store *s, err *e, const char *prefix, store_cells *out) {
  stmt q;
  char low[STORE_KEY], high[STORE_KEY + 1];
  size_t n = strlen(prefix);
  int rc = OK;
  *out = (store_cells){0};
  if (n < 4 || n > 64 || strspn(prefix, "0123456789abcdef") != n)
    FAIL(e, E_ARG, "'%.80s' is not a cell: give at least 4 of the 64 hex digits (0-9a-f) of its key", prefix);
  memcpy(low, prefix, n + 1);
  memcpy(high, prefix, n);
  memcpy(high + n, "g", 2); /* above every hex digit */
  TRY(stmt_open(&q, s, e,
                "SELECT " CELL_COLUMNS " FROM cell c" CELL_JOINS
                " WHERE c.key>=?2 AND c.key<?3 ORDER BY c.key LIMIT 5"));
  stmt_int(&q, 0);
  stmt_text(&q, low);
  stmt_text(&q, high);
  TRY(collect(&q, e, out, sizeof *out->at, fill_cell));
  if (out->n == 0) FAIL(e, E_STORE, "%s: no cell whose key begins with %s", s->path, prefix);
  if (out->n > 1)
    FAIL(e, E_ARG, "%s begins the keys of several cells (%.16s, %.16s%s); give more digits", prefix, out->at[0].key,
         out->at[1].key, out->n > 2 ? "..." : "");
  return OK;
out:
  drop(out);
  return rc;
}

#define CELLS_OF "SELECT " CELL_COLUMNS " FROM cell c" CELL_JOINS " WHERE (?1=0 OR sc.study_id=?1)"

static int cells_of(store *s, err *e, const char *sql, int64_t study_id, const char *state, store_cells *out) {
  stmt q;
  int rc = OK;
  *out = (store_cells){0};
  TRY(stmt_open(&q, s, e, sql));
  stmt_int(&q, study_id);
  if (state) stmt_text(&q, state);
  TRY(collect(&q, e, out, sizeof *out->at, fill_cell));
out:
  return rc;
}

/* Cells of some states come by the index cell_claim: the others are not looked at. */
int store_cells_in(store *s, err *e, int64_t study_id, store_state state, store_cells *out) {
  if (state == CELL_STATES) return cells_of(s, e, CELLS_OF CELL_ORDER, study_id, NULL, out);
  return cells_of(s, e, CELLS_OF " AND c.state=?2" CELL_ORDER, study_id, store_state_name(state), out);
}

int store_cells_undone(store *s, err *e, int64_t study_id, store_cells *out) {
  static const char sql[] =
      CELLS_OF " AND c.state IN('waiting','ready','running','failed','blocked','skipped')" CELL_ORDER;
  return cells_of(s, e, sql, study_id, NULL, out);
}

int store_cells_each(store *s, err *e, store_cells *out) {
  stmt q;
  int rc = OK;
  *out = (store_cells){0};
  TRY(stmt_open(
      &q, s, e,
      "SELECT " CELL_COLUMNS " FROM cell c LEFT JOIN study_cell sc ON sc.key=c.key"
      " LEFT JOIN study s ON s.study_id=sc.study_id"
      " LEFT JOIN attempt a ON a.key=c.key AND a.n=(SELECT max(n) FROM attempt z WHERE z.key=c.key)" CELL_ORDER
      ", s.name"));
  TRY(collect(&q, e, out, sizeof *out->at, fill_cell));
out:
  return rc;
}

int store_lineage(store *s, err *e, const char *key, int down, store_cells *out) {
  static const char up_sql[] =
      "WITH RECURSIVE x(key, depth, role) AS (SELECT ?2, 0, '' UNION"
      " SELECT i.input_key, x.depth+1, i.role FROM x JOIN cell_input i ON i.key=x.key WHERE i.input_key IS NOT NULL)"
      " SELECT " CELL_COLUMNS ", min(x.depth), x.role FROM x JOIN cell c ON c.key=x.key" CELL_JOINS
      " GROUP BY c.key ORDER BY min(x.depth), x.role, c.key";
  static const char down_sql[] =
      "WITH RECURSIVE x(key, depth, role) AS (SELECT ?2, 0, '' UNION"
      " SELECT i.key, x.depth+1, i.role FROM x JOIN cell_input i ON i.input_key=x.key)"
      " SELECT " CELL_COLUMNS ", min(x.depth), x.role FROM x JOIN cell c ON c.key=x.key" CELL_JOINS
      " GROUP BY c.key ORDER BY min(x.depth), x.role, c.key";
  stmt q;
  int rc = OK;
  *out = (store_cells){0};
  TRY(stmt_open(&q, s, e, down ? down_sql : up_sql));
  stmt_int(&q, 0);
  stmt_text(&q, key);
  TRY(collect(&q, e, out, sizeof *out->at, fill_cell));
out:
  return rc;
}

static int fill_input(stmt *q, err *e, store_pool *p, void *row) {
  store_input_row *r = row;
  int rc = OK;
  (void)e;
  TRY(pool_col(p, q, 0, &r->role));
  TRY(pool_col(p, q, 1, &r->key));
  TRY(pool_col(p, q, 2, &r->sha256));
out:
  return rc;
}

int store_input_list(store *s, err *e, const char *key, store_inputs *out) {
  stmt q;
  int rc = OK;
  *out = (store_inputs){0};
  TRY(stmt_open(&q, s, e, "SELECT role, input_key, input_sha256 FROM cell_input WHERE key=? ORDER BY role"));
  stmt_text(&q, key);
  TRY(collect(&q, e, out, sizeof *out->at, fill_input));
out:
  return rc;
}

static int fill_artifact(stmt *q, err *e, store_pool *p, void *row) {
  store_artifact_row *r = row;
  int rc = OK;
  (void)e;
  TRY(pool_col(p, q, 0, &r->role));
  TRY(pool_col(p, q, 1, &r->kind));
  TRY(pool_col(p, q, 2, &r->sha256));
  TRY(pool_col(p, q, 3, &r->media_json));
  r->bytes = stmt_i64(q, 4, 0);
out:
  return rc;
}

int store_artifact_list(store *s, err *e, const char *key, store_artifacts *out) {
  stmt q;
  int rc = OK;
  *out = (store_artifacts){0};
  TRY(stmt_open(&q, s, e,
                "SELECT t.role, f.kind, f.sha256, f.media_json, f.bytes FROM cell c"
                " JOIN attempt_artifact t ON t.attempt_id=c.done_attempt_id JOIN artifact f ON f.sha256=t.sha256"
                " WHERE c.key=? ORDER BY t.role"));
  stmt_text(&q, key);
  TRY(collect(&q, e, out, sizeof *out->at, fill_artifact));
out:
  return rc;
}

static int fill_attempt(stmt *q, err *e, store_pool *p, void *row) {
  store_attempt_row *r = row;
  int64_t *const number[] = {&r->attempt_id,      &r->n,           &r->started_ms,        &r->ended_ms,
                             &r->exit_code,       &r->term_signal, &r->resumed_from_step, &r->peak_rss_bytes,
                             &r->peak_vram_bytes, &r->gpu_ms};
  const char **const word[] = {&r->state, &r->fail_class, &r->fail_msg, &r->build_id, &r->host_id, &r->log_path};
  int rc = OK;
  (void)e;
  for (int i = 0; i < 10; i++) *number[i] = stmt_i64(q, i, -1);
  for (int i = 0; i < 6; i++) TRY(pool_col(p, q, 10 + i, word[i]));
out:
  return rc;
}

int store_attempt_list(store *s, err *e, const char *key, store_attempts *out) {
  stmt q;
  int rc = OK;
  *out = (store_attempts){0};
  TRY(stmt_open(&q, s, e,
                "SELECT attempt_id, n, started_ms, ended_ms, exit_code, term_signal, resumed_from_step,"
                " peak_rss_bytes, peak_vram_bytes, gpu_ms, state, fail_class, fail_msg, build_id, host_id, log_path"
                " FROM attempt WHERE key=? ORDER BY n"));
  stmt_text(&q, key);
  TRY(collect(&q, e, out, sizeof *out->at, fill_attempt));
out:
  return rc;
}

static int fill_cost(stmt *q, err *e, store_pool *p, void *row) {
  store_cost *r = row;
  int rc = OK;
  if (stage_parse(stmt_str(q, 0), &r->stage) != OK)
    FAIL(e, E_STORE, "a cell has the unknown stage '%s'", stmt_str(q, 0));
  TRY(pool_col(p, q, 1, &r->spec_json));
  r->ms = sqlite3_column_double(q->p, 2);
  r->bytes = stmt_i64(q, 3, 0);
out:
  return rc;
}

/* Cells of one pack were claimed in one moment. */
int store_cost_list(store *s, err *e, store_costs *out) {
  stmt q;
  int rc = OK;
  *out = (store_costs){0};
  TRY(stmt_open(&q, s, e,
                "SELECT c.stage, c.spec_json, (max(a.ended_ms) OVER w - a.started_ms) * 1.0 / count(*) OVER w,"
                " (SELECT sum(f.bytes) FROM attempt_artifact t JOIN artifact f USING(sha256)"
                "  WHERE t.attempt_id=a.attempt_id)"
                " FROM cell c JOIN attempt a ON a.attempt_id=c.done_attempt_id"
                " WINDOW w AS (PARTITION BY c.stage, a.started_ms) ORDER BY c.stage, c.spec_json"));
  TRY(collect(&q, e, out, sizeof *out->at, fill_cost));
out:
  return rc;
}

/* --- measures -------------------------------------------------------------------------------------------------- */

#define SCORE_COLUMNS                                                                                                \
  "a.key, sc.variant, sc.prompt_id, m.metric, m.backdrop, m.value_kind, m.reason, a.build_id, a.host_id,"            \
  " sc.train_seed, sc.sample_seed, m.version, m.value, m.n"

static int fill_score(stmt *q, err *e, store_pool *p, void *row) {
  static const char *const kind[] = {"finite", "inf", "-inf", "nan", "undefined"};
  store_score *r = row;
  const char *kind_word = NULL;
  const char **const word[] = {&r->key,    &r->variant, &r->prompt_id, &r->metric, &r->backdrop,
                               &kind_word, &r->reason,  &r->build_id,  &r->host_id};
  int rc = OK;
  (void)e;
  for (int i = 0; i < 9; i++) TRY(pool_col(p, q, i, word[i]));
  for (int i = 0; i < 5; i++)
    if (strcmp(kind_word, kind[i]) == 0) r->kind = (store_kind)i;
  r->train_seed = stmt_i64(q, 9, SEED_NONE);
  r->sample_seed = stmt_i64(q, 10, SEED_NONE);
  r->version = stmt_i64(q, 11, 0);
  r->value = r->kind == KIND_FINITE    ? sqlite3_column_double(q->p, 12)
             : r->kind == KIND_INF     ? INFINITY
             : r->kind == KIND_NEG_INF ? -INFINITY
                                       : NAN;
  r->n = stmt_i64(q, 13, 0);
out:
  return rc;
}

int store_score_list(store *s, err *e, int64_t study_id, store_scores *out) {
  stmt q;
  int rc = OK;
  *out = (store_scores){0};
  TRY(stmt_open(
      &q, s, e,
      "SELECT " SCORE_COLUMNS " FROM study_cell sc JOIN cell c ON c.key=sc.key"
      " JOIN attempt a ON a.attempt_id=c.done_attempt_id JOIN measure m ON m.attempt_id=a.attempt_id"
      " WHERE sc.study_id=? AND c.stage='score' AND m.scope='video'"
      " ORDER BY sc.variant, sc.prompt_id, sc.train_seed, sc.sample_seed, m.metric, m.version, m.backdrop"));
  stmt_int(&q, study_id);
  TRY(collect(&q, e, out, sizeof *out->at, fill_score));
out:
  return rc;
}

int store_measure_list(store *s, err *e, const char *key, store_scores *out) {
  stmt q;
  int rc = OK;
  *out = (store_scores){0};
  TRY(stmt_open(&q, s, e,
                "SELECT " SCORE_COLUMNS " FROM cell c JOIN attempt a ON a.attempt_id=c.done_attempt_id"
                " JOIN measure m ON m.attempt_id=a.attempt_id LEFT JOIN study_cell sc ON sc.key=c.key"
                "  AND sc.study_id=(SELECT min(study_id) FROM study_cell z WHERE z.key=c.key)"
                " WHERE c.key=? ORDER BY m.metric, m.version, m.scope, m.idx, m.backdrop"));
  stmt_text(&q, key);
  TRY(collect(&q, e, out, sizeof *out->at, fill_score));
out:
  return rc;
}

static double real_or_nan(stmt *q, int col) {
  return sqlite3_column_type(q->p, col) == SQLITE_NULL ? NAN : sqlite3_column_double(q->p, col);
}

static int fill_set(stmt *q, err *e, store_pool *p, void *row) {
  store_set *r = row;
  const char **const word[] = {&r->key, &r->variant, &r->metric, &r->against, &r->fail_class, &r->reason};
  int64_t *const number[] = {&r->version,           &r->n,           &r->n_against, &r->undefined,
                             &r->undefined_against, &r->permutations};
  double *const part[] = {&r->value, &r->p, &r->null_mean, &r->null_lo, &r->null_hi};
  int rc = OK;
  for (int i = 0; i < 6; i++) TRY(pool_col(p, q, i, word[i]));
  if (db_state_of(stmt_str(q, 6), &r->state) != OK) FAIL(e, E_STORE, "cell %.12s has an unknown state", r->key);
  r->train_seed = stmt_i64(q, 7, SEED_NONE);
  for (int i = 0; i < 6; i++) *number[i] = stmt_i64(q, 8 + i, 0);
  for (int i = 0; i < 5; i++) *part[i] = real_or_nan(q, 14 + i);
out:
  return rc;
}

int store_set_list(store *s, err *e, int64_t study_id, store_sets *out) {
  stmt q;
  int64_t there;
  int rc = OK;
  *out = (store_sets){0};
  TRY(stmt_open(&q, s, e, "SELECT count(*) FROM sqlite_schema WHERE name='v_set'"));
  rc = stmt_one(&q, 0, &there);
  stmt_close(&q);
  if (rc != OK || !there) goto out; /* a store that no build with such scores has written to */
  TRY(stmt_open(&q, s, e,
                "SELECT key, variant, metric, against, fail_class, reason, state, train_seed, version, n, n_against,"
                " undefined, undefined_against, permutations, value, p, null_mean, null_lo, null_hi FROM v_set"
                " WHERE study=(SELECT name FROM study WHERE study_id=?)"
                " ORDER BY variant, train_seed, metric, against"));
  stmt_int(&q, study_id);
  TRY(collect(&q, e, out, sizeof *out->at, fill_set));
out:
  return rc;
}

int store_made_list(store *s, err *e, int64_t study_id, store_scores *out) {
  stmt q;
  int rc = OK;
  *out = (store_scores){0};
  TRY(stmt_open(&q, s, e,
                "SELECT a.key, sc.variant, sc.prompt_id, CASE t.role WHEN 'clip' THEN '" BASELINE_CLIP
                "' ELSE '" BASELINE_ADAPTER "' END, '', 'undefined', t.sha256, a.build_id, a.host_id, sc.train_seed,"
                " sc.sample_seed, 1, NULL, 1 FROM study_cell sc JOIN cell c ON c.key=sc.key"
                " JOIN attempt a ON a.attempt_id=c.done_attempt_id JOIN attempt_artifact t USING(attempt_id)"
                " WHERE sc.study_id=?1 AND ((c.stage='sample' AND t.role='clip') OR"
                "  (c.stage='train' AND t.role='adapter'))"
                " UNION ALL SELECT a.key, sc.variant, sc.prompt_id, '" BASELINE_SECONDS "', '', 'finite', NULL,"
                " a.build_id, a.host_id, sc.train_seed, sc.sample_seed, 1, (a.ended_ms-a.started_ms)/1000.0, 1"
                " FROM study_cell sc JOIN cell c ON c.key=sc.key JOIN attempt a ON a.attempt_id=c.done_attempt_id"
                " WHERE sc.study_id=?1 AND c.stage='sample' AND a.ended_ms IS NOT NULL"));
  stmt_int(&q, study_id);
  TRY(collect(&q, e, out, sizeof *out->at, fill_score));
out:
  return rc;
}

/* --- facts ----------------------------------------------------------------------------------------------------- */

static int fill_baseline(stmt *q, err *e, store_pool *p, void *row) {
  store_baseline_row *r = row;
  int rc = OK;
  (void)e;
  TRY(pool_col(p, q, 0, &r->name));
  TRY(pool_col(p, q, 1, &r->study));
  TRY(pool_col(p, q, 2, &r->git_sha));
  TRY(pool_col(p, q, 3, &r->note));
  r->created_ms = stmt_i64(q, 4, 0);
  r->values = stmt_i64(q, 5, 0);
out:
  return rc;
}

int store_baseline_list(store *s, err *e, store_baselines *out) {
  stmt q;
  int rc = OK;
  *out = (store_baselines){0};
  TRY(stmt_open(&q, s, e,
                "SELECT b.name, s.name, coalesce(b.git_sha, ''), b.note, b.created_ms,"
                " (SELECT count(*) FROM baseline_value v WHERE v.name=b.name)"
                " FROM baseline b JOIN study s USING(study_id) ORDER BY b.name"));
  TRY(collect(&q, e, out, sizeof *out->at, fill_baseline));
out:
  return rc;
}

void store_baselines_free(store_baselines *l) {
  drop(l);
}

static int fill_fact(stmt *q, err *e, store_pool *p, void *row) {
  store_fact *r = row;
  int rc = OK;
  (void)e;
  TRY(pool_col(p, q, 0, &r->name));
  TRY(pool_col(p, q, 1, &r->text));
  r->attempts = stmt_i64(q, 2, 0);
out:
  return rc;
}

static int facts(store *s, err *e, int64_t study_id, const char *sql, store_facts *out) {
  stmt q;
  int rc = OK;
  *out = (store_facts){0};
  TRY(stmt_open(&q, s, e, sql));
  if (sqlite3_bind_parameter_count(q.p)) stmt_int(&q, study_id);
  TRY(collect(&q, e, out, sizeof *out->at, fill_fact));
out:
  return rc;
}

#define DONE_ATTEMPTS " FROM cell c JOIN attempt a ON a.attempt_id=c.done_attempt_id"
#define IN_STUDY " WHERE (?1=0 OR EXISTS(SELECT 1 FROM study_cell sc WHERE sc.study_id=?1 AND sc.key=c.key))"

int store_build_list(store *s, err *e, int64_t study_id, store_facts *out) {
  return facts(s, e, study_id,
               "SELECT b.build_id, coalesce(substr(b.git_sha, 1, 12), 'no git') || iif(b.git_dirty, '+changes', '')"
               " || coalesce(', ' || b.compiler, ''), count(*)" DONE_ATTEMPTS
               " JOIN build b ON b.build_id=a.build_id" IN_STUDY " GROUP BY b.build_id ORDER BY b.build_id",
               out);
}

int store_host_list(store *s, err *e, int64_t study_id, store_facts *out) {
  return facts(s, e, study_id,
               "SELECT h.host_id, coalesce(h.cpu, 'unknown CPU') || coalesce(' x ' || h.ncpu, '') ||"
               " coalesce(', ' || h.os, ''), count(*)" DONE_ATTEMPTS " JOIN host h ON h.host_id=a.host_id" IN_STUDY
               " GROUP BY h.host_id ORDER BY h.host_id",
               out);
}

int store_retried_list(store *s, err *e, int64_t study_id, store_facts *out) {
  return facts(s, e, study_id,
               "WITH RECURSIVE again(key) AS (SELECT DISTINCT a.key FROM attempt a WHERE a.state IN('failed','lost')"
               "  UNION SELECT i.key FROM again JOIN cell_input i ON i.input_key=again.key)"
               " SELECT c.key, sc.variant, c.tries FROM again JOIN cell c USING(key)"
               " JOIN study_cell sc ON sc.key=c.key AND sc.study_id=?1 WHERE c.stage='score' AND c.state='done'"
               " AND NOT" OF_SETS("c.key") " ORDER BY sc.variant, c.key",
               out);
}

int store_owner_list(store *s, err *e, store_facts *out) {
  return facts(s, e, 0,
               "SELECT lease_owner, NULL, count(*) FROM cell WHERE state='running' AND lease_owner IS NOT NULL"
               " GROUP BY lease_owner ORDER BY lease_owner",
               out);
}
