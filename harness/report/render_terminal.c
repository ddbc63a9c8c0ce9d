#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/render.h"
#include "report/width.h"

#define GAP 2

/* Widths of what one metric shows: number, marks behind it, difference; `all` covers the head too. */
typedef struct layout_column {
  int number, marks, difference, all;
} layout_column;

typedef struct page {
  const table *t;
  const table_style *style;
  text *out;
  int label, n; /* widths of the first two columns */
  layout_column *column;
} page;

static int larger(int a, int b) {
  return a > b ? a : b;
}

static void cell_marks(const table_cell *c, char out[48]) {
  char letters[40];
  render_letters(c->note, c->n_notes, letters);
  snprintf(out, 48, "%s%s%s%s",
           c->best     ? "*"
           : c->second ? "+"
                       : "",
           letters[0] ? "[" : "", letters, letters[0] ? "]" : "");
}

static void row_label(const table_row *r, char out[400]) {
  char letters[40];
  render_letters(r->note, r->n_notes, letters);
  snprintf(out, 400, "%.300s%s%s%s%s", r->label, r->retried ? "\xe2\x80\xa0" : "", letters[0] ? "[" : "", letters,
           letters[0] ? "]" : "");
}

static void subhead(const page *p, int64_t c, char out[400]) {
  const table *t = p->t;
  if (p->column[c].difference) {
    snprintf(out, 400, "%-*s - %.300s [%g %%]", p->column[c].number + p->column[c].marks, "mean", t->reference,
             t->level * 100);
  } else {
    snprintf(out, 400, "mean");
  }
}

static void measure(page *p) {
  const table *t = p->t;
  char s[400];
  for (int64_t r = 0; r < t->n_rows; r++) {
    row_label(&t->rows[r], s);
    p->label = larger(p->label, text_width(s));
    render_n(&t->rows[r], s);
    p->n = larger(p->n, text_width(s));
  }
  p->label = larger(p->label, text_width(t->stub));
  int most = p->style->width ? larger(p->style->width / 3, 12) : p->label;
  if (p->label > most) p->label = most;
  for (int64_t c = 0; c < t->n_columns; c++) {
    layout_column *w = &p->column[c];
    for (int64_t r = 0; r < t->n_rows; r++) {
      const table_cell *cell = &t->cells[r * t->n_columns + c];
      render_value(cell, t->columns[c].decimals, s);
      w->number = larger(w->number, text_width(s));
      cell_marks(cell, s);
      w->marks = larger(w->marks, text_width(s));
      render_cell_difference(t, r, c, s);
      w->difference = larger(w->difference, text_width(s));
    }
    w->number = larger(w->number, 4);
    w->all = w->number + w->marks + (w->difference ? GAP + w->difference : 0);
    w->all = larger(w->all, text_width(t->columns[c].label));
    if (t->columns[c].over) w->all = larger(w->all, text_width(t->columns[c].over));
    subhead(p, c, s);
    w->all = larger(w->all, text_width(s));
    if (p->style->width && w->all > p->style->width - p->label - GAP)
      w->all = larger(p->style->width - p->label - GAP, w->number + w->marks + GAP + w->difference);
  }
}

static void style_on(const page *p, const char *code) {
  if (p->style->colour) text_addf(p->out, "\x1b[%sm", code);
}

static void end_line(text *t) {
  while (t->n && t->p[t->n - 1] == ' ') t->n--;
  text_add(t, "\n");
}

static void put_cell(const page *p, int64_t r, int64_t c) {
  const table *t = p->t;
  const table_cell *cell = &t->cells[r * t->n_columns + c];
  const layout_column *w = &p->column[c];
  char s[400];
  int used = w->number + w->marks;
  if (cell->best || cell->second) style_on(p, cell->best ? "1" : "4");
  render_value(cell, t->columns[c].decimals, s);
  text_add_cell(p->out, s, w->number, 1);
  cell_marks(cell, s);
  text_add_cell(p->out, s, w->marks, 0);
  if (cell->best || cell->second) style_on(p, "0");
  if (w->difference) {
    render_cell_difference(t, r, c, s);
    text_addf(p->out, "%*s", GAP, "");
    text_add_cell(p->out, cell->reference ? "reference" : s, w->difference, 0);
    used += GAP + w->difference;
  }
  text_addf(p->out, "%*s", larger(w->all - used, 0), "");
}

/* One line of a head: group, name, what the numbers are. */
static void put_head(const page *p, int line, int64_t from, int64_t to) {
  const table *t = p->t;
  char s[400];
  style_on(p, line == 2 ? "2" : "1");
  text_add_cell(p->out, line == 1 ? p->t->stub : "", p->label, 0);
  if (from == 0) {
    text_addf(p->out, "%*s", GAP, "");
    text_add_cell(p->out, line == 1 ? "n" : "", p->n, 0);
  }
  for (int64_t c = from; c < to; c++) {
    const char *over = t->columns[c].over ? t->columns[c].over : "";
    subhead(p, c, s);
    text_addf(p->out, "%*s", GAP, "");
    text_add_cell(p->out, line == 0 ? over : line == 1 ? t->columns[c].label : s, p->column[c].all, 0);
  }
  style_on(p, "0");
  end_line(p->out);
}

static void put_row(const page *p, int64_t r, int64_t from, int64_t to) {
  const table *t = p->t;
  char s[400];
  if (render_starts_group(t, r)) {
    style_on(p, "1");
    text_add_cell(p->out, t->rows[r].over, larger(text_width(t->rows[r].over), 1), 0);
    style_on(p, "0");
    end_line(p->out);
  }
  row_label(&t->rows[r], s);
  text_add_cell(p->out, s, p->label, 0);
  if (from == 0) {
    render_n(&t->rows[r], s);
    text_addf(p->out, "%*s", GAP, "");
    text_add_cell(p->out, s, p->n, 0);
  }
  for (int64_t c = from; c < to; c++) {
    text_addf(p->out, "%*s", GAP, "");
    put_cell(p, r, c);
  }
  end_line(p->out);
}

/* Columns from .. to - 1 under each other; the counts only beside the first ones. */
static void put_band(const page *p, int64_t from, int64_t to) {
  int groups = 0;
  for (int64_t c = from; c < to; c++) groups |= p->t->columns[c].over != NULL;
  for (int line = groups ? 0 : 1; line < 3; line++) put_head(p, line, from, to);
  for (int64_t r = 0; r < p->t->n_rows; r++) put_row(p, r, from, to);
}

static void put_bands(const page *p) {
  const table *t = p->t;
  for (int64_t from = 0, to; from < t->n_columns; from = to) {
    int used = p->label + (from ? 0 : GAP + p->n);
    for (to = from; to < t->n_columns; to++) {
      int more = GAP + p->column[to].all;
      if (to > from && p->style->width && used + more > p->style->width) break;
      used += more;
    }
    if (from) text_add(p->out, "\n");
    put_band(p, from, to);
  }
}

/* "mark  text", continued under the text. */
static void put_note(const page *p, const char *mark, const char *s) {
  int indent = text_width(mark) + 1, room = p->style->width ? larger(p->style->width - indent, 20) : 0;
  text_add(p->out, mark);
  int used = 0;
  while (*s) {
    size_t n = strcspn(s, " ");
    char word[512];
    snprintf(word, sizeof word, "%.*s", (int)(n < 500 ? n : 500), s);
    int w = text_width(word);
    if (used && room && used + 1 + w > room) {
      text_addf(p->out, "\n%*s", indent - 1, "");
      used = 0;
    }
    text_add(p->out, " ");
    text_add_cell(p->out, word, w, 0);
    used += w + (used ? 1 : 0);
    s += n;
    s += strspn(s, " ");
  }
  text_add(p->out, "\n");
}

static void put_contrasts(const page *p) {
  const table *t = p->t;
  char s[1024], d[112], raw[32], adjusted[32];
  if (!t->n_contrasts) return;
  text_add(p->out, "\n");
  put_note(p, "declared contrasts", "(p by sign flips over prompts; Holm over all of them)");
  for (int64_t i = 0; i < t->n_contrasts; i++) {
    const table_contrast *x = &t->contrasts[i];
    render_difference(&x->d, t->columns[x->metric].decimals, d);
    render_p(x->d.p, raw);
    render_p(x->d.p_holm, adjusted);
    snprintf(s, sizeof s, "%.250s: %.250s - %.250s = %s", t->columns[x->metric].id, t->rows[x->row].label,
             t->rows[x->against].label, d[0] ? d : "nothing to compare");
    size_t n = strlen(s);
    if (d[0]) snprintf(s + n, sizeof s - n, "  p %s, Holm %s", raw, adjusted);
    put_note(p, " ", s);
  }
}

/* A metric of several columns. */
static int seen_before(const table *t, int64_t c) {
  for (int64_t i = 0; i < c; i++)
    if (strcmp(t->columns[i].id, t->columns[c].id) == 0) return 1;
  return 0;
}

static void set_head(const table *t, int64_t h, char out[1000]) {
  const table_set_head *x = &t->set_heads[h];
  snprintf(out, 1000, "%.250s%s%s%s%.60s%s against %.250s", x->id, x->direction == METRIC_NONE ? "" : " ",
           render_arrow(x->direction), x->unit[0] ? " (" : "", x->unit, x->unit[0] ? ")" : "", x->against);
}

enum { SET_ROW, SET_N, SET_VALUE, SET_NULL, SET_WHERE, SET_P, SET_COLUMNS };

/* Line i, or with -1 the heads. */
static void set_fields(const table *t, int64_t i, char field[SET_COLUMNS][400]) {
  static const char *const heads[SET_COLUMNS] = {"variant", "n, against", "value", "null [95 %]", "value is", "p"};
  if (i < 0) {
    for (int k = 0; k < SET_COLUMNS; k++) snprintf(field[k], 400, "%s", heads[k]);
    return;
  }
  const table_set *s = &t->sets[i];
  render_set_row(t, i, field[SET_ROW]);
  render_set_n(s, field[SET_N]);
  render_set_value(t, s, field[SET_VALUE]);
  snprintf(field[SET_NULL], 400, "%.300s", s->why); /* a line without a value has no null either */
  if (s->null != NULL_NONE) render_set_null(t, s, field[SET_NULL]);
  snprintf(field[SET_WHERE], 400, "%s", render_null(s->null));
  field[SET_P][0] = 0;
  if (s->null != NULL_NONE) render_p(s->p, field[SET_P]);
}

static void put_set_line(const page *p, int64_t i, const int *width) {
  char field[SET_COLUMNS][400];
  set_fields(p->t, i, field);
  if (i < 0) style_on(p, "2");
  text_add(p->out, "  ");
  for (int k = 0; k < SET_COLUMNS; k++) {
    if (k) text_addf(p->out, "%*s", GAP, "");
    text_add_cell(p->out, field[k], width[k], k == SET_VALUE);
  }
  if (i < 0) style_on(p, "0");
  end_line(p->out);
}

/* What is left of the page goes to the names. */
static void set_widths(const page *p, int *width) {
  char field[SET_COLUMNS][400];
  int rest = 2;
  for (int k = 0; k < SET_COLUMNS; k++) width[k] = 0;
  for (int64_t i = -1; i < p->t->n_sets; i++) {
    set_fields(p->t, i, field);
    for (int k = 0; k < SET_COLUMNS; k++) width[k] = larger(width[k], text_width(field[k]));
  }
  for (int k = 1; k < SET_COLUMNS; k++) rest += GAP + width[k];
  if (p->style->width && width[SET_ROW] > p->style->width - rest) width[SET_ROW] = larger(p->style->width - rest, 8);
}

static void put_sets(const page *p) {
  const table *t = p->t;
  char s[1000];
  int width[SET_COLUMNS];
  if (!t->n_sets) return;
  text_add(p->out, "\n");
  put_note(p, "scores of sets", "(all clips of a variant against all of a reference)");
  set_widths(p, width);
  for (int64_t h = 0; h < t->n_set_heads; h++) {
    set_head(t, h, s);
    text_add(p->out, h ? "\n" : "");
    put_note(p, "", s);
    put_set_line(p, -1, width);
    for (int64_t i = 0; i < t->n_sets; i++)
      if (t->sets[i].head == h) put_set_line(p, i, width);
  }
}

static void put_notes(const page *p) {
  const table *t = p->t;
  char s[1024], letter[8], mark[16];
  text_add(p->out, "\n");
  size_t n = 0;
  for (int64_t c = 0; c < t->n_columns && n < 900; c++)
    if (t->columns[c].primary && !seen_before(t, c))
      n += (size_t)snprintf(s + n, 1000 - n, "%s%.90s", n ? ", " : "", t->columns[c].id);
  if (n) put_note(p, "primary:", s);
  put_note(p, "n:", "train seeds x prompts x sample seeds");
  if (render_has(t, 0)) put_note(p, "*", RENDER_BEST);
  if (render_has(t, 1)) put_note(p, "+", RENDER_SECOND);
  if (t->n_sets) put_note(p, "scores of sets:", render_set_note());
  for (int64_t i = 0; i < t->n_notes; i++) {
    render_letter((int)i, letter);
    snprintf(mark, sizeof mark, "[%s]", letter);
    put_note(p, mark, t->notes[i]);
  }
  for (int64_t i = 0; i < t->n_remarks; i++) put_note(p, "-", t->remarks[i]);
  for (int64_t i = 0; i < t->n_builds; i++) put_note(p, "build:", t->builds[i]);
}

int render_terminal(err *e, const table *t, const table_style *style, text *out) {
  page p = {.t = t, .style = style, .out = out};
  char s[600];
  int rc = mem_new(e, t->n_columns, sizeof *p.column, "columns", &p.column);
  if (rc != OK) return rc;
  measure(&p);
  snprintf(s, sizeof s, "%.200s  (spec %.12s%s%.120s)%s%.120s", t->study, t->spec_sha256,
           t->reference ? ", reference " : "", t->reference ? t->reference : "", t->part ? "  " : "",
           t->part ? t->part : "");
  if (style->caption) put_note(&p, "table", style->caption);
  style_on(&p, "1");
  put_note(&p, "study", s);
  style_on(&p, "0");
  text_add(out, "\n");
  put_bands(&p);
  put_contrasts(&p);
  put_sets(&p);
  put_notes(&p);
  free(p.column);
  return OK;
}
