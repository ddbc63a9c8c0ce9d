#include "report/render.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void render_number(double v, int decimals, int plus, char out[32]) {
  if (v == 0 || !isfinite(v)) {
    snprintf(out, 32, "%s", v == 0 ? "0" : isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
    return;
  }
  if (fabs(v) >= 1e12) {
    snprintf(out, 32, plus ? "%+.6g" : "%.6g", v);
    return;
  }
  snprintf(out, 32, plus ? "%+.*f" : "%.*f", decimals, v);
  if (strpbrk(out, "123456789")) return;
  memmove(out, out + strspn(out, "+-"), strlen(out + strspn(out, "+-")) + 1);
}

void render_letter(int note, char out[8]) {
  if (note < 26) {
    snprintf(out, 8, "%c", 'a' + note);
  } else {
    snprintf(out, 8, "%c%c", 'a' + note / 26 % 27 - 1, 'a' + note % 26);
  }
}

void render_letters(const int *note, int n, char out[40]) {
  char one[8];
  size_t at = 0;
  out[0] = 0;
  for (int i = 0; i < n && i < TABLE_NOTES; i++) {
    render_letter(note[i], one);
    at += (size_t)snprintf(out + at, 40 - at, "%s%s", i ? "," : "", one);
  }
}

void render_value(const table_cell *c, int decimals, char out[32]) {
  switch (c->state) {
  case TABLE_VALUE:
  case TABLE_NOT_FINITE: render_number(c->mean, decimals, 0, out); break;
  case TABLE_UNDEFINED: snprintf(out, 32, "n/a"); break;
  default: snprintf(out, 32, "\xe2\x80\x94"); break;
  }
}

void render_difference(const table_difference *d, int decimals, char out[112]) {
  char mean[32], lo[32], hi[32];
  out[0] = 0;
  if (!d->used) return;
  render_number(d->mean, decimals, 1, mean);
  render_number(d->lo, decimals, 1, lo);
  render_number(d->hi, decimals, 1, hi);
  snprintf(out, 112, "%s [%s, %s]", mean, lo, hi);
}

void render_cell_difference(const table *t, int64_t r, int64_t c, char out[112]) {
  out[0] = 0;
  if (t->differences) render_difference(&t->cells[r * t->n_columns + c].to_reference, t->columns[c].decimals, out);
}

void render_n(const table_row *r, char out[112]) {
  int n = snprintf(out, 112, "%lldx%lldx%lld", (long long)r->trains, (long long)r->prompts, (long long)r->samples);
  /* a matrix with holes, or clips that are not there */
  if (r->scored < r->planned || r->planned < r->trains * r->prompts * r->samples)
    snprintf(out + n, (size_t)(112 - n), ", %lld of %lld", (long long)r->scored, (long long)r->planned);
}

const char *render_state(table_state s) {
  static const char *const name[] = {"value", "not_finite", "undefined", "missing", "excluded"};
  return name[s];
}

const char *render_arrow(metric_direction d) {
  return d == METRIC_UP ? "\xe2\x86\x91" : d == METRIC_DOWN ? "\xe2\x86\x93" : "";
}

void render_p(double p, char out[32]) {
  if (isnan(p)) {
    snprintf(out, 32, "n/a");
  } else if (p < 0.0001) {
    snprintf(out, 32, "<0.0001");
  } else {
    snprintf(out, 32, "%.2g", p);
  }
}

void render_set_n(const table_set *s, char out[112]) {
  const int64_t n[2] = {s->n, s->n_against}, undefined[2] = {s->undefined, s->undefined_against};
  int at = 0;
  out[0] = 0;
  for (int i = 0; i < 2 && s->state != TABLE_MISSING; i++) {
    at += snprintf(out + at, (size_t)(112 - at), "%s%lld", i ? ", " : "", (long long)n[i]);
    if (undefined[i]) at += snprintf(out + at, (size_t)(112 - at), " of %lld", (long long)(n[i] + undefined[i]));
  }
}

void render_set_value(const table *t, const table_set *s, char out[32]) {
  if (s->state == TABLE_VALUE)
    render_number(s->value, t->set_heads[s->head].decimals, 0, out);
  else
    snprintf(out, 32, s->state == TABLE_UNDEFINED ? "n/a" : "\xe2\x80\x94");
}

void render_set_null(const table *t, const table_set *s, char out[112]) {
  char mean[32], lo[32], hi[32];
  int decimals = t->set_heads[s->head].decimals;
  out[0] = 0;
  if (s->null == NULL_NONE) return;
  render_number(s->null_mean, decimals, 0, mean);
  render_number(s->null_lo, decimals, 0, lo);
  render_number(s->null_hi, decimals, 0, hi);
  snprintf(out, 112, "%s [%s, %s]", mean, lo, hi);
}

const char *render_null(table_null n) {
  static const char *const word[] = {"", "within", "above", "below"};
  return word[n];
}

void render_set_row(const table *t, int64_t i, char out[400]) {
  const table_set *s = &t->sets[i];
  int64_t lines = 0;
  for (int64_t k = 0; k < t->n_sets; k++) lines += t->sets[k].head == s->head && t->sets[k].row == s->row;
  int n = snprintf(out, 400, "%.300s", t->rows[s->row].label);
  if (lines > 1) snprintf(out + n, (size_t)(400 - n), ", seed %lld", (long long)s->train_seed);
}

const char *render_set_note(void) {
  return "the null is what the same clips give when it is forgotten which set they came from (mean and 95 % range); "
         "only "
         "a value above it shows a difference, however large it is";
}

int render_has(const table *t, int second) {
  for (int64_t i = 0; i < t->n_rows * t->n_columns; i++)
    if (second ? t->cells[i].second : t->cells[i].best) return 1;
  return 0;
}

int render_starts_group(const table *t, int64_t r) {
  const char *over = t->rows[r].over;
  return over && (r == 0 || !t->rows[r - 1].over || strcmp(over, t->rows[r - 1].over) != 0);
}

int render_same_n(const table *t) {
  char first[112], n[112];
  render_n(&t->rows[0], first);
  for (int64_t r = 1; r < t->n_rows; r++) {
    render_n(&t->rows[r], n);
    if (strcmp(n, first) != 0) return 0;
  }
  return 1;
}

static const struct {
  const char *word, *end; /* of file names */
  table_renderer *render;
} formats[TABLE_FORMATS] = {
    [TABLE_TERMINAL] = {"terminal", ".txt", render_terminal},
    [TABLE_MARKDOWN] = {"md", ".md", render_markdown},
    [TABLE_CSV] = {"csv", ".csv", render_csv},
    [TABLE_JSON] = {"json", ".json", render_json},
    [TABLE_LATEX] = {"latex", ".tex", render_latex},
    [TABLE_HTML] = {"html", ".html", render_html},
};

int table_format_of(err *e, const char *word, table_format *out) {
  for (int i = 0; i < TABLE_FORMATS; i++)
    if (strcmp(word, formats[i].word) == 0) {
      *out = (table_format)i;
      return OK;
    }
  return err_set(e, E_ARG, "unknown format '%.40s' (known: terminal, md, csv, json, latex, html)", word);
}

int table_format_of_file(const char *path, table_format *out) {
  size_t n = strlen(path);
  for (int i = 0; i < TABLE_FORMATS; i++) {
    size_t end = strlen(formats[i].end);
    if (n <= end || strcmp(path + n - end, formats[i].end) != 0) continue;
    *out = (table_format)i;
    return 1;
  }
  return 0;
}

/* What stands before, between and behind tables. */
static const struct {
  const char *before, *between, *behind;
} joints[TABLE_FORMATS] = {
    [TABLE_TERMINAL] = {"", "\n", ""}, [TABLE_MARKDOWN] = {"", "\n", ""}, [TABLE_JSON] = {"[", ",\n", "]\n"},
    [TABLE_LATEX] = {"", "\n", ""},    [TABLE_HTML] = {"", "\n", ""},     [TABLE_CSV] = {"", "", ""},
};

int table_render(err *e, table *const *t, int64_t n, table_format f, const table_style *style, text *out) {
  int rc = OK;
  if ((unsigned)f >= TABLE_FORMATS) return err_set(e, E_ARG, "unknown table format %d", (int)f);
  if (f == TABLE_CSV) render_csv_head(out, t[0]);
  render_document(out, t[0], f, style->standalone, 0);
  if (n > 1) text_add(out, joints[f].before);
  for (int64_t i = 0; i < n; i++) {
    text_add(out, i ? joints[f].between : "");
    TRY(formats[f].render(e, t[i], style, out));
  }
  if (n > 1) text_add(out, joints[f].behind);
  render_document(out, t[0], f, style->standalone, 1);
  TRY(text_ok(out, e));
out:
  return rc;
}
