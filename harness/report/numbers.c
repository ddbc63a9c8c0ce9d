/* Cells as LaTeX macros. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/escape.h"
#include "report/render.h"
#include "report/table_cells.h"

/* TeX's names are letters only: words begin with a capital, digits are spelled, the rest falls away. */
static void add_words(text *t, const char *s) {
  static const char *const digit[] = {"Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"};
  int first = 1;
  for (; *s; s++) {
    char c = *s;
    int lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z';
    if (c >= '0' && c <= '9') text_add(t, digit[c - '0']);
    if (lower && first) c = (char)(c - 'a' + 'A');
    if (lower || upper) text_addn(t, &c, 1);
    first = !lower && !upper;
  }
}

static int push(err *e, numbers *l, const text *name, const char *value) {
  int rc = OK;
  for (int64_t i = 0; i < l->n; i++) {
    if (strcmp(l->at[i].name, name->p) != 0) continue;
    if (strcmp(l->at[i].value, value) == 0) return OK; /* one cell in two tables */
    return err_set(
        e, E_CONFIG,
        "two cells would be \\%s, '%.80s' and '%.80s': names keep letters and digits only, and a cell of two"
        " tables must have one precision and filter",
        name->p, l->at[i].value, value);
  }
  TRY(mem_grow(e, &l->at, &l->cap, l->n + 1, sizeof *l->at, "numbers"));
  l->at[l->n] = (number){0};
  l->n++;
  TRY(mem_strdup(e, name->p, &l->at[l->n - 1].name));
  TRY(mem_strdup(e, value, &l->at[l->n - 1].value));
out:
  return rc;
}

static int add_one(err *e, numbers *l, const text *base, const char *suffix, const char *shown, const char *unit) {
  text name = {0}, value = {0};
  int rc = OK;
  text_addf(&name, "%s%s", base->p, suffix);
  if (strspn(shown, "0123456789+-.e") == strlen(shown))
    text_addf(&value, "\\ensuremath{%s}", shown);
  else
    text_add(&value, strcmp(shown, "nan") == 0 ? "NaN"
                     : strstr(shown, "inf")    ? (*shown == '-' ? "\\ensuremath{-\\infty}" : "\\ensuremath{\\infty}")
                     : strcmp(shown, "n/a") == 0 ? "n/a"
                                                 : "---");
  if (unit[0] && strstr(value.p ? value.p : "", "ensuremath")) {
    text_add(&value, "\\,");
    text_add_latex(&value, unit);
  }
  TRY(text_ok(&name, e));
  TRY(text_ok(&value, e));
  TRY(push(e, l, &name, value.p));
out:
  text_free(&name);
  text_free(&value);
  return rc;
}

static int add_cell(err *e, numbers *l, const table *t, int64_t r, int64_t c) {
  const table_row *row = &t->rows[r];
  const table_column *col = &t->columns[c];
  const table_cell *cell = &t->cells[r * t->n_columns + c];
  const table_difference *d = &cell->to_reference;
  text base = {0};
  char s[32];
  int rc = OK;
  text_add(&base, "td");
  const char *const part[] = {t->part, row->over, row->name, col->variant ? NULL : col->over, col->variant};
  for (size_t i = 0; i < sizeof part / sizeof part[0]; i++)
    if (part[i]) add_words(&base, part[i]);
  add_words(&base, col->id);
  TRY(text_ok(&base, e));
  render_value(cell, col->decimals, s);
  TRY(add_one(e, l, &base, "", s, col->unit));
  if (!d->used) goto out;
  const double v[] = {d->mean, d->lo, d->hi};
  static const char *const suffix[] = {"Diff", "Lo", "Hi"};
  for (int i = 0; i < 3; i++) {
    render_number(v[i], col->decimals, 1, s);
    TRY(add_one(e, l, &base, suffix[i], s, col->unit));
  }
out:
  text_free(&base);
  return rc;
}

static int add_version(err *e, numbers *to, const table_column *col) {
  text s = {0};
  text_addf(&s, "%s %lld", col->id, (long long)col->version);
  int rc = text_ok(&s, e);
  if (rc == OK) rc = source_values_add(e, &to->metrics, s.p);
  text_free(&s);
  return rc;
}

int numbers_add(err *e, numbers *to, const tables *t) {
  int rc = OK;
  for (int64_t i = 0; i < t->n; i++)
    for (int64_t c = 0; c < t->at[i]->n_columns; c++) TRY(add_version(e, to, &t->at[i]->columns[c]));
  for (int64_t i = 0; i < t->n; i++)
    for (int64_t k = 0; k < t->at[i]->n_rows * t->at[i]->n_columns; k++)
      TRY(add_cell(e, to, t->at[i], k / t->at[i]->n_columns, k % t->at[i]->n_columns));
out:
  return rc;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const number *)a)->name, ((const number *)b)->name);
}

int numbers_print(err *e, const numbers *l, const table *t, text *out) {
  number *sorted = NULL;
  int rc = mem_new(e, l->n, sizeof *sorted, "numbers", &sorted);
  if (rc != OK) return rc;
  if (l->n) memcpy(sorted, l->at, (size_t)l->n * sizeof *sorted);
  if (l->n) qsort(sorted, (size_t)l->n, sizeof *sorted, by_name);
  text_addf(out, "%% study %s, spec %s\n%% metric versions:", t->study, t->spec_sha256);
  for (int64_t i = 0; i < l->metrics.n; i++) text_addf(out, "%s %s", i ? "," : "", l->metrics.v[i]);
  text_add(out, "\n");
  for (int64_t i = 0; i < t->n_builds; i++) text_addf(out, "%% build %s\n", t->builds[i]);
  for (int64_t i = 0; i < l->n; i++) text_addf(out, "\\newcommand{\\%s}{%s}\n", sorted[i].name, sorted[i].value);
  free(sorted);
  return text_ok(out, e);
}

void numbers_free(numbers *l) {
  for (int64_t i = 0; i < l->n; i++) {
    free(l->at[i].name);
    free(l->at[i].value);
  }
  free(l->at);
  source_values_free(&l->metrics);
  *l = (numbers){0};
}
