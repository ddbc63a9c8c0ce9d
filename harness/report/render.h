/* What the renderers of a table share. */
#ifndef TD_REPORT_RENDER_H
#define TD_REPORT_RENDER_H

#include "report/table.h"

/* Appends one format. */
typedef int table_renderer(err *e, const table *t, const table_style *style, text *out);
table_renderer render_terminal, render_markdown, render_csv, render_json, render_latex, render_html;
void render_csv_head(text *out, const table *t);
/* What stands before (behind = 0) and behind all tables: style and script of HTML, and for a standalone document its
 * frame. */
void render_document(text *out, const table *t, table_format f, int standalone, int behind);
/* Comment lines: study and spec, metric versions, builds; no clock. */
void render_provenance(text *out, const table *t, const char *open, const char *close);

#define RENDER_BEST "best, and the interval of its difference to the runner-up excludes 0"
#define RENDER_SECOND "second best, likewise against the third"

/* `decimals` digits; exactly 0 is "0", and a rounded 0 has no sign; nan, inf, -inf. `plus`: positive numbers have a
 * sign. */
void render_number(double v, int decimals, int plus, char out[32]);
/* a .. z, aa .. */
void render_letter(int note, char out[8]);
/* "a,b", or "". */
void render_letters(const int *note, int n, char out[40]);
/* Value of a cell without marks: a number, a dash, "n/a". */
void render_value(const table_cell *c, int decimals, char out[32]);
/* "-0.025 [-0.043, -0.006]", or "" when there is nothing to compare. */
void render_difference(const table_difference *d, int decimals, char out[112]);
/* The same for a cell, "" where the table shows none. */
void render_cell_difference(const table *t, int64_t r, int64_t c, char out[112]);
/* n as train seeds x prompts x sample seeds, with what is scored when that is less: "1x8x2, 13 of 16". */
void render_n(const table_row *r, char out[112]);
const char *render_state(table_state s);
const char *render_arrow(metric_direction d); /* UTF-8, or "" */
/* p-value, two digits. */
void render_p(double p, char out[32]);
/* Is any cell marked as best (second = 0) or second? */
int render_has(const table *t, int second);
/* Has the row a head over it? */
int render_starts_group(const table *t, int64_t r);
/* Do all rows have the same n? */
int render_same_n(const table *t);
/* Clips of a score of sets and of its reference, with those there are when some have no features: "14 of 16, 16". */
void render_set_n(const table_set *s, char out[112]);
/* Value, and "mean [lo, hi]" of the null, of a score of sets; "" where there is none. */
void render_set_value(const table *t, const table_set *s, char out[32]);
void render_set_null(const table *t, const table_set *s, char out[112]);
/* "within", "above", "below"; "" without a null. */
const char *render_null(table_null n);
/* Variant of a line, with its train seed where the variant has several lines of this score. */
void render_set_row(const table *t, int64_t i, char out[400]);
/* How to read scores of sets: one sentence under them. */
const char *render_set_note(void);

#endif
