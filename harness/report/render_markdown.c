#include <stdio.h>
#include <string.h>

#include "report/render.h"

/* Text that is not markup, on one line. */
static void put(text *out, const char *s) {
  for (; *s; s++) {
    if (*s == '\n' || *s == '\r' || *s == '\t') {
      text_add(out, " ");
    } else if (*s == '<') {
      text_add(out, "&lt;");
    } else if (*s == '&') {
      text_add(out, "&amp;");
    } else if ((unsigned char)*s >= 32 && *s != 127) {
      if (strchr("\\`*_{}[]|#~", *s)) text_add(out, "\\");
      text_addn(out, s, 1);
    }
  }
}

static void put_letters(text *out, const int *note, int n) {
  char letters[40];
  render_letters(note, n, letters);
  if (letters[0]) text_addf(out, "<sup>%s</sup>", letters);
}

static void put_row(text *out, const table *t, int64_t r) {
  const table_row *row = &t->rows[r];
  char s[112];
  if (render_starts_group(t, r)) {
    text_add(out, "| **");
    put(out, row->over);
    text_add(out, "** | |");
    for (int64_t c = 0; c < t->n_columns; c++) text_add(out, " |");
    text_add(out, "\n");
  }
  text_add(out, "| ");
  put(out, row->label);
  if (row->retried) text_add(out, "\xe2\x80\xa0");
  put_letters(out, row->note, row->n_notes);
  render_n(row, s);
  text_addf(out, " | %s |", s);
  for (int64_t c = 0; c < t->n_columns; c++) {
    const table_cell *cell = &t->cells[r * t->n_columns + c];
    render_value(cell, t->columns[c].decimals, s);
    text_addf(out, cell->best ? " **%s**" : cell->second ? " <u>%s</u>" : " %s", s);
    put_letters(out, cell->note, cell->n_notes);
    render_cell_difference(t, r, c, s);
    if (s[0]) {
      text_add(out, " (");
      put(out, s);
      text_add(out, ")");
    }
    text_add(out, " |");
  }
  text_add(out, "\n");
}

static void put_contrasts(text *out, const table *t) {
  char d[112], raw[32], adjusted[32];
  if (!t->n_contrasts) return;
  text_add(out, "\n| declared contrast | difference | p | p, Holm |\n| --- | --- | --- | --- |\n");
  for (int64_t i = 0; i < t->n_contrasts; i++) {
    const table_contrast *x = &t->contrasts[i];
    render_difference(&x->d, t->columns[x->metric].decimals, d);
    render_p(x->d.p, raw);
    render_p(x->d.p_holm, adjusted);
    text_add(out, "| ");
    put(out, t->columns[x->metric].id);
    text_add(out, ": ");
    put(out, t->rows[x->row].label);
    text_add(out, " - ");
    put(out, t->rows[x->against].label);
    text_add(out, " | ");
    put(out, d[0] ? d : "\xe2\x80\x94");
    text_add(out, " | ");
    put(out, raw);
    text_add(out, " | ");
    put(out, adjusted);
    text_add(out, " |\n");
  }
}

static void put_sets(text *out, const table *t) {
  char s[400];
  if (!t->n_sets) return;
  text_add(out, "\n| score of sets | variant | n, against | value | null (95 %) | value is | p |\n"
                "| --- | --- | --- | --- | --- | --- | --- |\n");
  for (int64_t i = 0; i < t->n_sets; i++) {
    const table_set *x = &t->sets[i];
    const table_set_head *h = &t->set_heads[x->head];
    text_add(out, "| ");
    put(out, h->id);
    text_addf(out, "%s%s", h->direction == METRIC_NONE ? "" : " ", render_arrow(h->direction));
    if (h->unit[0]) {
      text_add(out, " (");
      put(out, h->unit);
      text_add(out, ")");
    }
    text_add(out, " against ");
    put(out, h->against);
    text_add(out, " | ");
    render_set_row(t, i, s);
    put(out, s);
    render_set_n(x, s);
    text_addf(out, " | %s | ", s);
    render_set_value(t, x, s);
    text_addf(out, "%s | ", s);
    render_set_null(t, x, s);
    put(out, s);
    text_add(out, " | ");
    put(out, x->state == TABLE_VALUE ? render_null(x->null) : x->why);
    render_p(x->p, s);
    text_addf(out, " | %s |\n", x->null == NULL_NONE ? "" : s);
  }
}

static void put_notes(text *out, const table *t) {
  char letter[8];
  text_add(out, "\n");
  if (render_has(t, 0)) text_add(out, "- **bold**: " RENDER_BEST "\n");
  if (render_has(t, 1)) text_add(out, "- <u>underlined</u>: " RENDER_SECOND "\n");
  if (t->n_sets) text_addf(out, "- scores of sets: %s\n", render_set_note());
  for (int64_t i = 0; i < t->n_notes; i++) {
    render_letter((int)i, letter);
    text_addf(out, "- <sup>%s</sup> ", letter);
    put(out, t->notes[i]);
    text_add(out, "\n");
  }
  for (int64_t i = 0; i < t->n_remarks; i++) {
    text_add(out, "- ");
    put(out, t->remarks[i]);
    text_add(out, "\n");
  }
  for (int64_t i = 0; i < t->n_builds; i++) {
    text_add(out, "- build ");
    put(out, t->builds[i]);
    text_add(out, "\n");
  }
}

static void put_head(text *out, const table_column *col) {
  if (col->over) {
    put(out, col->over);
    text_add(out, ": ");
  }
  text_add(out, col->primary ? "**" : "");
  put(out, col->label);
  text_add(out, col->primary ? "** |" : " |");
}

int render_markdown(err *e, const table *t, const table_style *style, text *out) {
  (void)e;
  if (style->caption) {
    put(out, style->caption);
    text_add(out, "\n\n");
  }
  text_add(out, "**");
  put(out, t->study);
  text_addf(out, "**, spec %.12s", t->spec_sha256);
  if (t->reference && t->differences) {
    text_add(out, "; in brackets the paired difference to ");
    put(out, t->reference);
    text_addf(out, " with its %g %% interval", t->level * 100);
  }
  text_add(out, "; n is train seeds x prompts x sample seeds");
  if (t->part) {
    text_add(out, "; ");
    put(out, t->part);
  }
  text_add(out, "\n\n| ");
  put(out, t->stub);
  text_add(out, " | n |");
  for (int64_t c = 0; c < t->n_columns; c++) {
    text_add(out, " ");
    put_head(out, &t->columns[c]);
  }
  text_add(out, "\n| --- | --- |");
  for (int64_t c = 0; c < t->n_columns; c++) text_add(out, " --- |");
  text_add(out, "\n");
  for (int64_t r = 0; r < t->n_rows; r++) put_row(out, t, r);
  put_contrasts(out, t);
  put_sets(out, t);
  put_notes(out, t);
  return OK;
}
