#include "store/baseline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/db.h"

static const char *const kinds[] = {"finite", "inf", "-inf", "nan", "undefined"};
#define HASH_KIND "sha256:" /* value_kind of an artifact: the hash follows */

/* --- in memory -------------------------------------------------------------------------------------------------- */

static int by_number(int64_t a, int64_t b) {
  return (a > b) - (a < b);
}

int baseline_order(const baseline_value *a, const baseline_value *b) {
  int c = strcmp(a->metric, b->metric);
  if (!c) c = strcmp(a->variant, b->variant);
  if (!c) c = strcmp(a->prompt, b->prompt);
  if (!c) c = by_number(a->train_seed, b->train_seed);
  return c ? c : by_number(a->sample_seed, b->sample_seed);
}

static int value_order(const void *a, const void *b) {
  return baseline_order(a, b);
}

static int metric_order(const void *a, const void *b) {
  const baseline_metric *x = a, *y = b;
  return strcmp(x->id, y->id);
}

static int fact_order(const void *a, const void *b) {
  const baseline_fact *x = a, *y = b;
  return strcmp(x->name, y->name);
}

void baseline_sort(baseline *b) {
  if (b->n_metrics) qsort(b->metrics, (size_t)b->n_metrics, sizeof *b->metrics, metric_order);
  if (b->n_values) qsort(b->values, (size_t)b->n_values, sizeof *b->values, value_order);
  if (b->n_facts) qsort(b->facts, (size_t)b->n_facts, sizeof *b->facts, fact_order);
}

const baseline_metric *baseline_find_metric(const baseline *b, const char *id) {
  for (int64_t i = 0; i < b->n_metrics; i++)
    if (strcmp(b->metrics[i].id, id) == 0) return &b->metrics[i];
  return NULL;
}

const char *baseline_find_fact(const baseline *b, const char *name) {
  for (int64_t i = 0; i < b->n_facts; i++)
    if (strcmp(b->facts[i].name, name) == 0) return b->facts[i].text;
  return NULL;
}

void baseline_free(baseline *b) {
  free(b->metrics);
  free(b->values);
  free(b->facts);
  store_pool_free(b->pool);
  json_free(b->tree);
  *b = (baseline){0};
}

int store_pool_open(err *e, store_pool **out) {
  return pool_new(e, out);
}

int store_pool_text(store_pool *p, err *e, const char *v, const char **out) {
  return pool_keep(p, e, v, out);
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

static int drop_rows(store *s, err *e, const char *name) {
  static const char *const sql[] = {"DELETE FROM baseline_fact WHERE name=?",
                                    "DELETE FROM baseline_value WHERE name=?", "DELETE FROM baseline WHERE name=?"};
  int rc = OK;
  for (int i = 0; rc == OK && i < 3; i++) {
    stmt q;
    rc = stmt_open(&q, s, e, sql[i]);
    if (rc == OK) stmt_text(&q, name), rc = stmt_run(&q);
    stmt_close(&q);
  }
  return rc;
}

static int put_head(store *s, err *e, const baseline *b, int64_t study_id) {
  stmt q = {0};
  int rc = OK;
  TRY(stmt_open(&q, s, e, "INSERT INTO baseline(name, study_id, git_sha, note, created_ms) VALUES(?,?,?,?,?)"));
  stmt_text(&q, b->name);
  stmt_int(&q, study_id);
  stmt_text(&q, b->git_sha);
  stmt_text(&q, b->note);
  stmt_int(&q, b->created_ms);
  TRY(stmt_run(&q));
  stmt_close(&q);
  TRY(stmt_open(&q, s, e, "INSERT INTO baseline_fact(name, fact, value) VALUES(?,?,?)"));
  for (int64_t i = 0; i < b->n_facts; i++) {
    stmt_text(&q, b->name);
    stmt_text(&q, b->facts[i].name);
    stmt_text(&q, b->facts[i].text);
    TRY(stmt_run(&q));
  }
out:
  stmt_close(&q);
  return rc;
}

static int put_values(store *s, err *e, const baseline *b) {
  stmt q = {0};
  char kind[96];
  int rc = OK;
  TRY(stmt_open(
      &q, s, e,
      "INSERT INTO baseline_value(name, metric, version, variant, prompt_id, train_seed, sample_seed, value,"
      " value_kind) VALUES(?,?,?,?,?,?,?,?,?)"));
  for (int64_t i = 0; i < b->n_values; i++) {
    const baseline_value *v = &b->values[i];
    stmt_text(&q, b->name);
    stmt_text(&q, v->metric);
    stmt_int(&q, v->version);
    stmt_text(&q, v->variant);
    stmt_text(&q, v->prompt);
    stmt_int(&q, v->train_seed);
    stmt_int(&q, v->sample_seed);
    stmt_real(&q, v->kind == KIND_FINITE ? v->value : NAN);
    snprintf(kind, sizeof kind, "%s%.64s", v->hash ? HASH_KIND : "", v->hash ? v->hash : kinds[v->kind]);
    stmt_text(&q, kind);
    TRY(stmt_run(&q));
  }
out:
  stmt_close(&q);
  return rc;
}

int store_baseline_put(store *s, err *e, const baseline *b) {
  store_studies known = {0};
  int rc = OK;
  if (!study_name_ok(b->name))
    FAIL(e, E_ARG, "'%.80s' is no name for a baseline: letters, digits, '.', '_' and '-', at most 64", b->name);
  if (!b->note[strspn(b->note, " \t\r\n")]) FAIL(e, E_ARG, "a baseline wants a note that says why it was saved");
  TRY(store_study_list(s, e, b->study, &known));
  TRY(db_begin(s, e));
  rc = db_exec(s, e, db_baseline_fact); /* stores made before facts lack the table */
  if (rc == OK) rc = drop_rows(s, e, b->name);
  if (rc == OK) rc = put_head(s, e, b, known.at[0].study_id);
  if (rc == OK) rc = put_values(s, e, b);
  rc = db_end(s, e, rc);
out:
  store_studies_free(&known);
  return rc;
}

int store_baseline_remove(store *s, err *e, const char *name) {
  baseline b = {0};
  int rc = OK;
  TRY(store_baseline_get(s, e, name, &b));
  TRY(db_begin(s, e));
  rc = db_end(s, e, drop_rows(s, e, name));
out:
  baseline_free(&b);
  return rc;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static int get_head(store *s, err *e, const char *name, baseline *b) {
  stmt q = {0};
  int row, rc = OK;
  store_baselines all = {0};
  text known = {0};
  TRY(stmt_open(&q, s, e,
                "SELECT b.name, s.name, coalesce(b.git_sha, ''), b.note, b.created_ms FROM baseline b"
                " JOIN study s USING(study_id) WHERE b.name=?"));
  stmt_text(&q, name);
  TRY(stmt_row(&q, &row));
  if (!row) {
    TRY(store_baseline_list(s, e, &all));
    for (int64_t i = 0; i < all.n; i++) text_addf(&known, "%s%s", i ? ", " : "", all.at[i].name);
    FAIL(e, E_STORE, "%s: no baseline '%.80s' here (known: %.900s)", s->path, name, known.n ? known.p : "none");
  }
  TRY(pool_col(b->pool, &q, 0, &b->name));
  TRY(pool_col(b->pool, &q, 1, &b->study));
  TRY(pool_col(b->pool, &q, 2, &b->git_sha));
  TRY(pool_col(b->pool, &q, 3, &b->note));
  b->created_ms = stmt_i64(&q, 4, 0);
out:
  stmt_close(&q);
  store_baselines_free(&all);
  text_free(&known);
  return rc;
}

static int fill_value(stmt *q, baseline *b, baseline_value *v) {
  const char *kind = NULL;
  int rc = OK;
  TRY(pool_col(b->pool, q, 0, &v->metric));
  TRY(pool_col(b->pool, q, 1, &v->variant));
  TRY(pool_col(b->pool, q, 2, &v->prompt));
  TRY(pool_col(b->pool, q, 3, &kind));
  v->version = stmt_i64(q, 4, 0);
  v->train_seed = stmt_i64(q, 5, SEED_NONE);
  v->sample_seed = stmt_i64(q, 6, SEED_NONE);
  v->kind = KIND_UNDEFINED;
  for (int i = 0; i < 5; i++)
    if (strcmp(kind, kinds[i]) == 0) v->kind = (store_kind)i;
  if (strncmp(kind, HASH_KIND, strlen(HASH_KIND)) == 0) v->hash = kind + strlen(HASH_KIND);
  v->value = v->kind == KIND_FINITE    ? sqlite3_column_double(q->p, 7)
             : v->kind == KIND_INF     ? INFINITY
             : v->kind == KIND_NEG_INF ? -INFINITY
                                       : NAN;
out:
  return rc;
}

static int get_values(store *s, err *e, baseline *b) {
  stmt q = {0};
  int64_t cap = 0;
  int row, rc = OK;
  TRY(stmt_open(&q, s, e,
                "SELECT metric, variant, prompt_id, value_kind, version, train_seed, sample_seed, value"
                " FROM baseline_value WHERE name=?"));
  stmt_text(&q, b->name);
  for (;;) {
    TRY(stmt_row(&q, &row));
    if (!row) break;
    TRY(mem_grow(e, &b->values, &cap, b->n_values + 1, sizeof *b->values, "baseline"));
    TRY(fill_value(&q, b, &b->values[b->n_values]));
    b->n_values++;
  }
out:
  stmt_close(&q);
  return rc;
}

static metric_direction direction_of(const char *word) {
  return strcmp(word, "up") == 0 ? METRIC_UP : strcmp(word, "down") == 0 ? METRIC_DOWN : METRIC_NONE;
}

/* Names that are no metrics have no definition in the store. */
static int get_metrics(store *s, err *e, baseline *b) {
  stmt q = {0};
  int64_t cap = 0;
  int row, rc = OK;
  const char *direction = NULL;
  TRY(stmt_open(&q, s, e,
                "SELECT v.metric, coalesce(d.direction, iif(v.metric='" BASELINE_SECONDS "', 'down', 'none')),"
                " coalesce(d.unit, iif(v.metric='" BASELINE_SECONDS "', 's', '')), v.version"
                " FROM (SELECT DISTINCT metric, version FROM baseline_value WHERE name=?) v"
                " LEFT JOIN metric_def d ON d.metric=v.metric AND d.version=v.version"));
  stmt_text(&q, b->name);
  for (;;) {
    TRY(stmt_row(&q, &row));
    if (!row) break;
    TRY(mem_grow(e, &b->metrics, &cap, b->n_metrics + 1, sizeof *b->metrics, "baseline"));
    baseline_metric *m = &b->metrics[b->n_metrics++];
    TRY(pool_col(b->pool, &q, 0, &m->id));
    TRY(pool_col(b->pool, &q, 1, &direction));
    TRY(pool_col(b->pool, &q, 2, &m->unit));
    m->direction = direction_of(direction);
    m->version = stmt_i64(&q, 3, 0);
  }
out:
  stmt_close(&q);
  return rc;
}

static int get_facts(store *s, err *e, baseline *b) {
  stmt q = {0};
  int64_t cap = 0;
  int row, rc = OK;
  TRY(stmt_open(&q, s, e, "SELECT fact, value FROM baseline_fact WHERE name=?"));
  stmt_text(&q, b->name);
  for (;;) {
    TRY(stmt_row(&q, &row));
    if (!row) break;
    TRY(mem_grow(e, &b->facts, &cap, b->n_facts + 1, sizeof *b->facts, "baseline"));
    baseline_fact *f = &b->facts[b->n_facts++];
    TRY(pool_col(b->pool, &q, 0, &f->name));
    TRY(pool_col(b->pool, &q, 1, &f->text));
  }
out:
  stmt_close(&q);
  return rc;
}

int store_baseline_get(store *s, err *e, const char *name, baseline *out) {
  int rc = OK;
  *out = (baseline){0};
  TRY(pool_new(e, &out->pool));
  TRY(get_head(s, e, name, out));
  TRY(get_values(s, e, out));
  TRY(get_metrics(s, e, out));
  TRY(get_facts(s, e, out));
  baseline_sort(out);
  return OK;
out:
  baseline_free(out);
  return rc;
}
