/* HTML: a piece that needs nothing around it; a script sorts, but is not needed to read. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/escape.h"
#include "report/render.h"

static void put_letters(text *out, const table *t, const int *note, int n) {
  char letters[40];
  render_letters(note, n, letters);
  if (!letters[0]) return;
  text_add(out, "<sup title=\"");
  for (int i = 0; i < n; i++) {
    text_add(out, i ? "; " : "");
    text_add_html(out, t->notes[note[i]]);
  }
  text_addf(out, "\">%s</sup>", letters);
}

static void put_cell(text *out, const table *t, int64_t r, int64_t c) {
  const table_cell *cell = &t->cells[r * t->n_columns + c];
  char s[112];
  text_add(out, "<td");
  if (cell->state == TABLE_VALUE) {
    text_add(out, " data-v=\"");
    text_add_number(out, cell->mean);
    text_add(out, "\"");
  }
  render_value(cell, t->columns[c].decimals, s);
  text_add(out, cell->best ? "><strong>" : cell->second ? "><u>" : ">");
  text_add(out, strcmp(s, "nan") == 0 ? "NaN" : s);
  text_add(out, cell->best ? "</strong>" : cell->second ? "</u>" : "");
  put_letters(out, t, cell->note, cell->n_notes);
  render_cell_difference(t, r, c, s);
  if (s[0]) text_addf(out, " <span>%s</span>", s);
  if (cell->reference && t->differences) text_add(out, " <span>reference</span>");
  text_add(out, "</td>");
}

static void put_row(text *out, const table *t, int64_t r) {
  const table_row *row = &t->rows[r];
  char s[112];
  if (render_starts_group(t, r)) {
    text_addf(out, "%s<tbody>\n<tr><th scope=\"rowgroup\" colspan=\"%lld\">", r ? "</tbody>\n" : "",
              (long long)t->n_columns + 1 + !render_same_n(t));
    text_add_html(out, row->over);
    text_add(out, "</th></tr>\n");
  } else if (r == 0) {
    text_add(out, "<tbody>\n");
  }
  text_add(out, "<tr><th scope=\"row\">");
  text_add_html(out, row->label);
  if (row->retried) text_add(out, "\xe2\x80\xa0");
  put_letters(out, t, row->note, row->n_notes);
  render_n(row, s);
  text_add(out, "</th>");
  if (!render_same_n(t)) text_addf(out, "<td>%s</td>", s);
  for (int64_t c = 0; c < t->n_columns; c++) put_cell(out, t, r, c);
  text_add(out, "</tr>\n");
}

static int same_head(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

static void put_head(text *out, const table *t) {
  int groups = 0;
  for (int64_t c = 0; c < t->n_columns; c++) groups |= t->columns[c].over != NULL;
  text_add(out, "<thead>\n");
  if (groups) {
    text_addf(out, "<tr><td colspan=\"%d\"></td>", 1 + !render_same_n(t));
    for (int64_t c = 0, to; c < t->n_columns; c = to) {
      for (to = c; to < t->n_columns && same_head(t->columns[c].over, t->columns[to].over);) to++;
      text_addf(out, "<th scope=\"colgroup\" colspan=\"%lld\">", (long long)(to - c));
      if (t->columns[c].over) text_add_html(out, t->columns[c].over);
      text_add(out, "</th>");
    }
    text_add(out, "</tr>\n");
  }
  text_add(out, "<tr><th scope=\"col\" data-text=\"1\">");
  text_add_html(out, t->stub);
  text_add(out, "</th>");
  if (!render_same_n(t)) text_add(out, "<th scope=\"col\" data-text=\"1\">n</th>");
  for (int64_t c = 0; c < t->n_columns; c++) {
    const table_column *col = &t->columns[c];
    text_addf(out, "<th scope=\"col\" data-down=\"%d\">", col->direction == METRIC_UP);
    text_add_html(out, col->label);
    text_add(out, "</th>");
  }
  text_add(out, "</tr>\n</thead>\n");
}

static void put_contrasts(text *out, const table *t) {
  char d[112], raw[32], adjusted[32];
  if (!t->n_contrasts) return;
  text_add(out, "<table>\n<thead>\n<tr><th scope=\"col\">declared contrast</th><th scope=\"col\">difference</th>"
                "<th scope=\"col\">p</th><th scope=\"col\">p, Holm</th></tr>\n</thead>\n<tbody>\n");
  for (int64_t i = 0; i < t->n_contrasts; i++) {
    const table_contrast *x = &t->contrasts[i];
    render_difference(&x->d, t->columns[x->metric].decimals, d);
    render_p(x->d.p, raw);
    render_p(x->d.p_holm, adjusted);
    text_add(out, "<tr><th scope=\"row\">");
    text_add_html(out, t->columns[x->metric].label);
    text_add(out, ": ");
    text_add_html(out, t->rows[x->row].label);
    text_add(out, " \xe2\x88\x92 ");
    text_add_html(out, t->rows[x->against].label);
    text_addf(out, "</th><td>%s</td><td>", d[0] ? d : "\xe2\x80\x94");
    text_add_html(out, raw);
    text_add(out, "</td><td>");
    text_add_html(out, adjusted);
    text_add(out, "</td></tr>\n");
  }
  text_add(out, "</tbody>\n</table>\n");
}

static void put_sets(text *out, const table *t) {
  char s[400];
  if (!t->n_sets) return;
  text_add(out, "<table>\n<thead>\n<tr><th scope=\"col\">score of sets</th><th scope=\"col\">variant</th>"
                "<th scope=\"col\">n, against</th><th scope=\"col\">value</th><th scope=\"col\">null (95 %)</th>"
                "<th scope=\"col\">value is</th><th scope=\"col\">p</th></tr>\n</thead>\n<tbody>\n");
  for (int64_t i = 0; i < t->n_sets; i++) {
    const table_set *x = &t->sets[i];
    const table_set_head *h = &t->set_heads[x->head];
    text_add(out, "<tr><th scope=\"row\">");
    text_add_html(out, h->id);
    text_addf(out, "%s%s against ", h->direction == METRIC_NONE ? "" : " ", render_arrow(h->direction));
    text_add_html(out, h->against);
    text_add(out, "</th><td>");
    render_set_row(t, i, s);
    text_add_html(out, s);
    render_set_n(x, s);
    text_addf(out, "</td><td>%s</td><td>", s);
    render_set_value(t, x, s);
    text_addf(out, "%s</td><td>", s);
    render_set_null(t, x, s);
    text_addf(out, "%s</td><td>", s);
    text_add_html(out, x->state == TABLE_VALUE ? render_null(x->null) : x->why);
    text_add(out, "</td><td>");
    render_p(x->p, s);
    if (x->null != NULL_NONE) text_add_html(out, s);
    text_add(out, "</td></tr>\n");
  }
  text_add(out, "</tbody>\n</table>\n");
}

static void put_note(text *out, const char *mark, const char *s) {
  text_addf(out, "<li>%s", mark);
  text_add_html(out, s);
  text_add(out, "</li>\n");
}

static void put_notes(text *out, const table *t) {
  char letter[8], mark[32], n[112];
  text_add(out, "<ul>\n");
  if (t->reference && t->differences) {
    text_add(out, "<li>small: paired difference to ");
    text_add_html(out, t->reference);
    text_addf(out, " and its %g %% interval</li>\n", t->level * 100);
  }
  render_n(&t->rows[0], n);
  text_addf(out, "<li>n%s%s: train seeds x prompts x sample seeds</li>\n", render_same_n(t) ? " = " : "",
            render_same_n(t) ? n : "");
  if (render_has(t, 0)) put_note(out, "<strong>bold</strong>: ", RENDER_BEST);
  if (render_has(t, 1)) put_note(out, "<u>underlined</u>: ", RENDER_SECOND);
  for (int64_t i = 0; i < t->n_notes; i++) {
    render_letter((int)i, letter);
    snprintf(mark, sizeof mark, "<sup>%s</sup> ", letter);
    put_note(out, mark, t->notes[i]);
  }
  if (t->n_sets) put_note(out, "scores of sets: ", render_set_note());
  for (int64_t i = 0; i < t->n_remarks; i++) put_note(out, "", t->remarks[i]);
  for (int64_t i = 0; i < t->n_builds; i++) put_note(out, "build ", t->builds[i]);
  text_add(out, "</ul>\n");
}

int render_html(err *e, const table *t, const table_style *style, text *out) {
  (void)e;
  render_provenance(out, t, "<!-- ", " -->");
  text_add(out, "<figure class=\"tandem-table\"");
  if (style->label) text_addf(out, " id=\"%s\"", style->label);
  text_add(out, ">\n<figcaption>");
  text_add_html(out, style->caption ? style->caption : t->study);
  if (t->part) {
    text_add(out, ", ");
    text_add_html(out, t->part);
  }
  text_add(out, "</figcaption>\n<div>\n<table>\n");
  put_head(out, t);
  for (int64_t r = 0; r < t->n_rows; r++) put_row(out, t, r);
  text_add(out, "</tbody>\n</table>\n</div>\n");
  put_contrasts(out, t);
  put_sets(out, t);
  put_notes(out, t);
  text_add(out, "</figure>\n");
  return OK;
}
