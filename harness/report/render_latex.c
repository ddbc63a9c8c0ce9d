/* LaTeX: booktabs rules, siunitx columns. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/escape.h"
#include "report/render.h"

/* Widest number of a column: digits before the point, after it, and a sign. */
typedef struct shape {
  int whole, decimals, minus, difference;
} shape;

typedef struct page {
  const table *t;
  text *out;
  shape *column;
  int counts; /* a column for n */
} page;

static int is_number(const char *s) {
  return strspn(s, "0123456789+-.e") == strlen(s);
}

static int digits(const char *s) {
  return (int)strspn(s + (*s == '-'), "0123456789");
}

static int behind_point(const char *s) {
  const char *point = strchr(s, '.');
  return point ? (int)strspn(point + 1, "0123456789") : 0;
}

static void measure(page *p) {
  const table *t = p->t;
  char s[112];
  for (int64_t i = 0; i < t->n_rows * t->n_columns; i++) {
    shape *w = &p->column[i % t->n_columns];
    render_cell_difference(t, i / t->n_columns, i % t->n_columns, s);
    if (s[0]) w->difference = 1;
    render_value(&t->cells[i], t->columns[i % t->n_columns].decimals, s);
    if (!is_number(s)) continue;
    if (digits(s) > w->whole) w->whole = digits(s);
    if (behind_point(s) > w->decimals) w->decimals = behind_point(s);
    w->minus |= *s == '-';
  }
  p->counts = !render_same_n(t);
}

/* --- cells ----------------------------------------------------------------------------------------------------- */

static void put_letters(text *out, const int *note, int n) {
  char letters[40];
  render_letters(note, n, letters);
  if (letters[0]) text_addf(out, "\\rlap{\\textsuperscript{%s}}", letters);
}

/* What is not a number, in words of mathematics. */
static const char *word_of(const char *s) {
  if (strcmp(s, "nan") == 0) return "NaN";
  if (strcmp(s, "inf") == 0) return "$\\infty$";
  if (strcmp(s, "-inf") == 0) return "$-\\infty$";
  return strcmp(s, "n/a") == 0 ? s : "---";
}

/* siunitx aligns plain numbers only; a marked one is a box, made as wide as the widest number of its column. */
static void put_marked(text *out, const shape *w, const char *s, const char *command) {
  int decimals = behind_point(s), i;
  text_add(out, w->minus && *s != '-' ? "\\phantom{$-$}" : "");
  for (i = digits(s); i < w->whole; i++) text_add(out, "\\phantom{0}");
  text_addf(out, "\\%s{%s%s}", command, *s == '-' ? "$-$" : "", s + (*s == '-'));
  if (decimals < w->decimals) {
    text_add(out, decimals ? "\\phantom{" : "\\phantom{.");
    for (i = decimals; i < w->decimals; i++) text_add(out, "0");
    text_add(out, "}");
  }
}

static void put_value(const page *p, int64_t r, int64_t c) {
  const table_cell *cell = &p->t->cells[r * p->t->n_columns + c];
  char s[32];
  render_value(cell, p->t->columns[c].decimals, s);
  int plain = is_number(s) && !cell->best && !cell->second;
  if (!plain) text_add(p->out, "{");
  if (!is_number(s))
    text_add(p->out, word_of(s));
  else if (plain)
    text_add(p->out, s);
  else
    put_marked(p->out, &p->column[c], s, cell->best ? "textbf" : "underline");
  put_letters(p->out, cell->note, cell->n_notes);
  if (!plain) text_add(p->out, "}");
}

/* Signs of numbers in text as minus, not as hyphens. */
static void put_signed(text *out, const char *s) {
  for (; *s; s++) {
    if (*s == '-')
      text_add(out, "$-$");
    else
      text_addn(out, s, 1);
  }
}

static void put_difference(const page *p, int64_t r, int64_t c) {
  char s[112];
  if (!p->column[c].difference) return;
  text_add(p->out, " & ");
  render_cell_difference(p->t, r, c, s);
  char *interval = strchr(s, '[');
  if (p->t->cells[r * p->t->n_columns + c].reference) text_add(p->out, "reference");
  if (!interval) return;
  interval[-1] = 0;
  put_signed(p->out, s);
  text_add(p->out, " {\\footnotesize ");
  put_signed(p->out, interval);
  text_add(p->out, "}");
}

static int width_of(const page *p) {
  int n = 1 + p->counts;
  for (int64_t c = 0; c < p->t->n_columns; c++) n += 1 + p->column[c].difference;
  return n;
}

static void put_n(text *out, const table_row *row) {
  char s[112];
  render_n(row, s);
  for (const char *at = s; *at; at++) {
    if (*at == 'x')
      text_add(out, "$\\times$");
    else
      text_addn(out, at, 1);
  }
}

static void put_row(const page *p, int64_t r) {
  const table_row *row = &p->t->rows[r];
  if (render_starts_group(p->t, r)) {
    text_addf(p->out, "%s    \\multicolumn{%d}{@{}l}{\\emph{", r ? "    \\addlinespace\n" : "", width_of(p));
    text_add_latex(p->out, row->over);
    text_add(p->out, "}} \\\\\n");
  }
  text_add(p->out, "    ");
  text_add_latex(p->out, row->label);
  if (row->retried) text_add(p->out, "\\textdagger{}");
  put_letters(p->out, row->note, row->n_notes);
  if (p->counts) {
    text_add(p->out, " & ");
    put_n(p->out, row);
  }
  for (int64_t c = 0; c < p->t->n_columns; c++) {
    text_add(p->out, " & ");
    put_value(p, r, c);
    put_difference(p, r, c);
  }
  text_add(p->out, " \\\\\n");
}

/* --- head ------------------------------------------------------------------------------------------------------ */

static void put_preamble(const page *p) {
  text_addf(p->out, "  \\begin{tabular}{@{}l%s", p->counts ? "l" : "");
  for (int64_t c = 0; c < p->t->n_columns; c++) {
    const shape *w = &p->column[c];
    text_addf(p->out, "S[table-format=%s%d.%d,group-digits=false]%s", w->minus ? "-" : "", w->whole ? w->whole : 1,
              w->decimals, w->difference ? "l" : "");
  }
  text_add(p->out, "@{}}\n    \\toprule\n");
}

static int same_head(const char *a, const char *b) {
  return a && b && strcmp(a, b) == 0;
}

/* One line of heads over several columns, and the rules under them. */
static void put_spans(const page *p, int over) {
  const table *t = p->t;
  text rules = {0};
  int at = 2 + p->counts;
  text_add(p->out, over || p->counts == 0 ? "   " : "    & ");
  for (int64_t c = 0, to; c < t->n_columns; c = to) {
    const char *head = over ? t->columns[c].over : t->columns[c].label;
    int n = 0;
    for (to = c; to < t->n_columns && (to == c || (over && same_head(head, t->columns[to].over))); to++)
      n += 1 + p->column[to].difference;
    text_addf(p->out, " & \\multicolumn{%d}{c}{", n);
    if (head) text_add_latex(p->out, head);
    text_add(p->out, "}");
    if (head && n > 1) text_addf(&rules, "\\cmidrule(lr){%d-%d}", at, at + n - 1);
    at += n;
  }
  text_add(p->out, " \\\\\n");
  if (rules.p) text_addf(p->out, "    %s\n", rules.p);
  p->out->failed |= rules.failed;
  text_free(&rules);
}

static void put_head(const page *p) {
  const table *t = p->t;
  int groups = 0, differences = 0;
  for (int64_t c = 0; c < t->n_columns; c++) {
    groups |= t->columns[c].over != NULL;
    differences |= p->column[c].difference;
  }
  if (groups) put_spans(p, 1);
  if (differences) put_spans(p, 0);
  text_add(p->out, "    ");
  text_add_latex(p->out, t->stub);
  text_add(p->out, p->counts ? " & $n$" : "");
  for (int64_t c = 0; c < t->n_columns; c++) {
    text_add(p->out, " & {");
    if (differences)
      text_add(p->out, "mean");
    else
      text_add_latex(p->out, t->columns[c].label);
    text_add(p->out, "}");
    if (!p->column[c].difference) continue;
    text_add(p->out, " & $-$ ");
    text_add_latex(p->out, t->reference);
    text_addf(p->out, " {\\footnotesize {[}%g\\,\\%%{]}}", t->level * 100);
  }
  text_add(p->out, " \\\\\n    \\midrule\n");
}

/* --- notes ----------------------------------------------------------------------------------------------------- */

static void put_note(text *out, const char *mark, const char *s) {
  text_addf(out, "    %s", mark);
  text_add_latex(out, s);
  text_add(out, "\\par\n");
}

static void put_contrasts(const page *p) {
  const table *t = p->t;
  char d[112], raw[32], adjusted[32], s[1024];
  for (int64_t i = 0; i < t->n_contrasts; i++) {
    const table_contrast *x = &t->contrasts[i];
    render_difference(&x->d, t->columns[x->metric].decimals, d);
    render_p(x->d.p, raw);
    render_p(x->d.p_holm, adjusted);
    snprintf(s, sizeof s, "Declared contrast, %.250s: %.250s \xe2\x88\x92 %.250s = ", t->columns[x->metric].label,
             t->rows[x->row].label, t->rows[x->against].label);
    text_add(p->out, "    ");
    text_add_latex(p->out, s);
    put_signed(p->out, d[0] ? d : "nothing to compare");
    snprintf(s, sizeof s, "; p %s, by Holm %s", raw, adjusted);
    if (d[0]) text_add_latex(p->out, s);
    text_add(p->out, "\\par\n");
  }
}

static void put_sets(const page *p) {
  const table *t = p->t;
  char s[1200], row[400], value[32], null[112], pv[32];
  for (int64_t i = 0; i < t->n_sets; i++) {
    const table_set *x = &t->sets[i];
    const table_set_head *h = &t->set_heads[x->head];
    render_set_row(t, i, row);
    render_set_value(t, x, value);
    render_set_null(t, x, null);
    render_p(x->p, pv);
    snprintf(s, sizeof s, "Score of sets, %.250s%s%s against %.250s: %.300s ", h->id,
             h->direction == METRIC_NONE ? "" : " ", render_arrow(h->direction), h->against, row);
    text_add(p->out, "    ");
    text_add_latex(p->out, s);
    text_add_latex(p->out, value);
    if (x->null == NULL_NONE)
      snprintf(s, sizeof s, "%s%.300s", x->why[0] ? ", " : "", x->why);
    else
      snprintf(s, sizeof s, ", null %s (%s it), p %s", null, render_null(x->null), pv);
    text_add_latex(p->out, s);
    text_add(p->out, "\\par\n");
  }
  if (t->n_sets) put_note(p->out, "Scores of sets: ", render_set_note());
}

static void put_notes(const page *p) {
  const table *t = p->t;
  char letter[8], mark[48];
  text_add(p->out, "  \\par\\smallskip\n  \\begin{minipage}{\\linewidth}\\footnotesize\\raggedright\n");
  text_add(p->out, "    $n$");
  if (!p->counts) {
    text_add(p->out, " = ");
    put_n(p->out, &t->rows[0]);
  }
  text_add(p->out, ": train seeds $\\times$ prompts $\\times$ sample seeds.\\par\n");
  if (render_has(t, 0)) put_note(p->out, "\\textbf{Bold}: ", RENDER_BEST ".");
  if (render_has(t, 1)) put_note(p->out, "\\underline{Underlined}: ", RENDER_SECOND ".");
  for (int64_t i = 0; i < t->n_notes; i++) {
    render_letter((int)i, letter);
    snprintf(mark, sizeof mark, "\\textsuperscript{%s}~", letter);
    put_note(p->out, mark, t->notes[i]);
  }
  put_contrasts(p);
  put_sets(p);
  for (int64_t i = 0; i < t->n_remarks; i++) put_note(p->out, "", t->remarks[i]);
  text_add(p->out, "  \\end{minipage}\n");
}

int render_latex(err *e, const table *t, const table_style *style, text *out) {
  page p = {.t = t, .out = out};
  int rc = mem_new(e, t->n_columns, sizeof *p.column, "columns", &p.column);
  if (rc != OK) return rc;
  measure(&p);
  render_provenance(out, t, "% ", "");
  text_add(out, "% needs the packages booktabs and siunitx\n\\begin{table}\n  \\centering\n  \\caption{");
  text_add_latex(out, style->caption ? style->caption : t->study);
  if (t->part) {
    text_add(out, ", ");
    text_add_latex(out, t->part);
  }
  text_add(out, "}\n");
  if (style->label) text_addf(out, "  \\label{%s}\n", style->label);
  text_add(out, "  \\smallskip\n");
  put_preamble(&p);
  put_head(&p);
  for (int64_t r = 0; r < t->n_rows; r++) put_row(&p, r);
  text_add(out, "    \\bottomrule\n  \\end{tabular}\n");
  put_notes(&p);
  text_add(out, "\\end{table}\n");
  free(p.column);
  return OK;
}
