#include "report/table_cells.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* --- writing --------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All keys of the tables, sorted, each once; they point into the cells. */
static int collect(err *e, const tables *t, const char ***out, int64_t *n) {
  int64_t all = 0, kept = 0;
  const char **v = NULL;
  for (int64_t i = 0; i < t->n; i++)
    for (int64_t k = 0; k < t->at[i]->n_rows * t->at[i]->n_columns; k++) all += t->at[i]->cells[k].n_keys;
  int rc = mem_new(e, all, sizeof *v, "keys", &v);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < t->n; i++)
    for (int64_t k = 0; k < t->at[i]->n_rows * t->at[i]->n_columns; k++)
      for (int64_t j = 0; j < t->at[i]->cells[k].n_keys; j++) v[kept++] = t->at[i]->cells[k].keys[j];
  if (all) qsort(v, (size_t)all, sizeof *v, by_text);
  for (int64_t i = kept = 0; i < all; i++)
    if (!i || strcmp(v[i], v[kept - 1]) != 0) v[kept++] = v[i];
  *out = v;
  *n = kept;
  return OK;
}

static void put_member(text *out, const char *name, const char *value, int first) {
  text_addf(out, "%s\"%s\": ", first ? "" : ", ", name);
  text_add_json(out, value);
}

static void put_columns(text *out, const table *t) {
  text_add(out, "     \"columns\": [");
  for (int64_t c = 0; c < t->n_columns; c++) {
    const table_column *col = &t->columns[c];
    text_add(out, c ? ",\n       {" : "\n       {");
    put_member(out, "metric", col->id, 1);
    text_addf(out, ", \"version\": %lld", (long long)col->version);
    if (col->variant) put_member(out, "variant", col->variant, 0);
    if (col->over) put_member(out, "group", col->over, 0);
    put_member(out, "label", col->label, 0);
    text_add(out, "}");
  }
  text_add(out, "],\n");
}

static void put_rows(text *out, const table *t, const char *const *keys, int64_t n) {
  text_add(out, "     \"rows\": [");
  for (int64_t r = 0; r < t->n_rows; r++) {
    text_add(out, r ? ",\n       {" : "\n       {");
    put_member(out, "name", t->rows[r].name, 1);
    if (t->rows[r].over) put_member(out, "group", t->rows[r].over, 0);
    put_member(out, "label", t->rows[r].label, 0);
    text_add(out, ", \"cells\": [");
    for (int64_t c = 0; c < t->n_columns; c++) {
      const table_cell *cell = &t->cells[r * t->n_columns + c];
      text_add(out, c ? ",\n         [" : "\n         [");
      for (int64_t k = 0; k < cell->n_keys; k++) {
        const char *one = cell->keys[k];
        const char *const *found = bsearch(&one, keys, (size_t)n, sizeof *keys, by_text);
        text_addf(out, "%s%lld", k ? "," : "", found ? (long long)(found - keys) : -1LL);
      }
      text_add(out, "]");
    }
    text_add(out, "]}");
  }
  text_add(out, "]");
}

int table_cells_json(err *e, const tables *t, text *out) {
  const char **keys = NULL;
  int64_t n = 0;
  int rc = collect(e, t, &keys, &n);
  if (rc != OK) return rc;
  text_add(out, "{\"schema\": 1, ");
  put_member(out, "study", t->at[0]->study, 1);
  put_member(out, "spec_sha256", t->at[0]->spec_sha256, 0);
  text_add(out, ",\n \"tables\": [");
  for (int64_t i = 0; i < t->n; i++) {
    text_add(out, i ? ",\n    {" : "\n    {");
    if (t->at[i]->part) put_member(out, "part", t->at[i]->part, 1);
    text_add(out, t->at[i]->part ? ",\n" : "\n");
    put_columns(out, t->at[i]);
    put_rows(out, t->at[i], keys, n);
    text_add(out, "}");
  }
  text_add(out, "],\n \"keys\": [");
  for (int64_t i = 0; i < n; i++) text_addf(out, "%s\n  \"%s\"", i ? "," : "", keys[i]);
  text_add(out, "]}\n");
  free(keys);
  return text_ok(out, e);
}

/* --- reading --------------------------------------------------------------------------------------------------- */

static const json *list_of(const json *o, const char *name) {
  const json *j = o && o->type == JSON_OBJECT ? json_get(o, name) : NULL;
  return j && j->type == JSON_ARRAY ? j : NULL;
}

static const char *text_of(const json *o, const char *name) {
  const json *j = o && o->type == JSON_OBJECT ? json_get(o, name) : NULL;
  return j && j->type == JSON_STRING ? j->str : NULL;
}

int table_cells_find(err *e, const json *root, int64_t row, int64_t column, cell_address *out) {
  const json *all = list_of(root, "tables");
  int64_t left = row - 1;
  *out = (cell_address){.keys = list_of(root, "keys")};
  if (!all || !out->keys) return err_set(e, E_FORMAT, "this is no cells.json of a table");
  for (const json *t = all->child; t; t = t->next) {
    const json *rows = list_of(t, "rows"), *columns = list_of(t, "columns");
    if (!rows || !columns) return err_set(e, E_FORMAT, "this is no cells.json of a table");
    if (left >= json_count(rows)) {
      left -= json_count(rows);
      continue;
    }
    const json *col = column >= 1 ? json_at(columns, column - 1) : NULL, *r = left >= 0 ? json_at(rows, left) : NULL;
    if (!col || !r) break;
    const json *version = json_get(col, "version"), *cells = list_of(r, "cells");
    out->indices = cells ? json_at(cells, column - 1) : NULL;
    out->row = text_of(r, "label");
    out->column = text_of(col, "label");
    out->metric = text_of(col, "metric");
    out->part = text_of(t, "part");
    out->version = version && version->type == JSON_NUMBER ? (int64_t)version->num : 0;
    if (!out->indices || out->indices->type != JSON_ARRAY || !out->row || !out->column || !out->metric)
      return err_set(e, E_FORMAT, "this is no cells.json of a table");
    return OK;
  }
  return err_set(e, E_ARG, "the table has no cell %lld,%lld (rows and columns of numbers are counted from 1)",
                 (long long)row, (long long)column);
}
