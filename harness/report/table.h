/* The result table: rows are the variants of a study in its order, columns its metrics, primary ones first. One
 * model, built once from scores and statistics, and a renderer for each format.
 *
 * A cell is the mean over prompts of the clips that have a score, and the paired difference to the reference variant
 * with its clustered bootstrap interval (harness/stats). Nothing is left out in silence: missing, undefined, excluded
 * and retried clips, and everything a mean averages over, are footnotes. */
#ifndef TD_REPORT_TABLE_H
#define TD_REPORT_TABLE_H

#include "base/hash.h"
#include "base/text.h"
#include "metrics/metric.h"
#include "stats/stats.h"
#include "store/query.h"

typedef struct table_metric {
  const char *id;
  int64_t version;
  metric_direction direction;
  const char *unit; /* NULL, "" or "1": none */
  int primary;
} table_metric;

/* One clip that the study wants. SEED_NONE and NULL where an axis does not apply. */
typedef struct table_point {
  int64_t row;
  const char *prompt;
  int64_t train_seed, sample_seed;
} table_point;

typedef struct table_excluded {
  int64_t row;
  const char *reason; /* NULL: none given */
  const char *prompt;
  int64_t train_seed, sample_seed;
} table_excluded;

typedef struct table_wish {
  int64_t metric, row, against;
} table_wish;

/* A score of sets that the study wants of each row. */
typedef struct table_set_wish {
  const char *id, *against, *unit;
  int64_t version;
  metric_direction direction;
} table_set_wish;

/* Everything is borrowed and only read. */
typedef struct table_input {
  const char *study, *spec_sha256;
  const char *stored_sha256; /* of the study the scores were computed for; NULL: the same */
  const char *const *rows;   /* names of variants */
  int64_t n_rows, reference; /* reference: index of a row, -1: no differences */
  const table_metric *metrics;
  int64_t n_metrics;
  /* [n_rows], [n_metrics]: what will be shown; NULL: all. The rest belongs to the families, but takes no mark. */
  const unsigned char *rows_shown, *metrics_shown;
  const table_point *points;
  int64_t n_points;
  const store_score *scores; /* of other variants, metrics or versions: ignored, versions with a note */
  int64_t n_scores;
  const store_cell_row *missing; /* score cells that are not done, for the reasons */
  int64_t n_missing;
  const table_excluded *excluded;
  int64_t n_excluded;
  const store_fact *retried; /* text: variant */
  int64_t n_retried;
  const store_fact *builds;
  int64_t n_builds;
  const table_wish *contrasts; /* declared comparisons, a family of their own */
  int64_t n_contrasts;
  const table_set_wish *set_wishes;
  int64_t n_set_wishes;
  const store_set *sets; /* of other variants or scores: ignored */
  int64_t n_sets;
  stats_options stats;
} table_input;

typedef enum table_state {
  TABLE_VALUE,
  TABLE_NOT_FINITE, /* a score is NaN or infinite, so the mean is */
  TABLE_UNDEFINED,  /* no clip has a defined score */
  TABLE_MISSING,    /* no clip has been scored */
  TABLE_EXCLUDED,   /* the study excludes the whole row */
} table_state;

/* A comparison; used = 0: nothing else is defined. */
typedef struct table_difference {
  int64_t pairs, used;
  double mean, lo, hi, p, p_holm; /* p_holm NaN outside a family */
} table_difference;

#define TABLE_NOTES 4 /* most footnotes of one cell or row */

typedef struct table_cell {
  table_state state;
  double mean;
  int64_t defined, undefined, missing; /* clips */
  table_difference to_reference;
  int reference;                  /* of the reference variant: what the others are compared with */
  int best;                       /* better than the runner-up, and the interval of their difference excludes 0 */
  int second;                     /* there is a best, and the same holds between this one and the third */
  int note[TABLE_NOTES], n_notes; /* indices into table.notes */
  char (*keys)[HASH_HEX];         /* score cells that it rests on, by prompt and seeds */
  int64_t n_keys, keys_cap;
} table_cell;

typedef struct table_row {
  char *name;                       /* of the variant; of a projected row without variants, its keys' values */
  char *label;                      /* for people */
  char *over;                       /* head of the rows from here on that have the same; NULL: none */
  int64_t trains, prompts, samples; /* seeds x prompts x samples of the row */
  int64_t planned, scored;          /* clips */
  int reference, retried;
  int note[TABLE_NOTES], n_notes;
} table_row;

typedef struct table_column {
  char *id, *unit;
  char *variant;      /* where variants are columns; else NULL */
  char *label, *over; /* for people, with arrow and unit; over: as for rows */
  int64_t version;
  metric_direction direction;
  int primary;
  int decimals; /* from the narrowest interval of the column */
} table_column;

typedef struct table_contrast {
  int64_t metric, row, against;
  table_difference d;
} table_contrast;

/* Where a score of sets lies in its null. */
typedef enum table_null {
  NULL_NONE,   /* there is none */
  NULL_WITHIN, /* between its 2.5 and 97.5 percentile: the sets cannot be told apart */
  NULL_ABOVE,
  NULL_BELOW, /* nearer than independent sets: clips of the same prompts and noise pair up */
} table_null;

/* One score of sets: no mean over clips, so neither difference nor mark. Lines of one score and reference stand
 * together, in the order of rows and train seeds. */
typedef struct table_set {
  int64_t head; /* index into table.set_heads */
  int64_t row, train_seed;
  table_state state; /* TABLE_VALUE, TABLE_UNDEFINED, TABLE_MISSING */
  char *why;         /* reason, state or class of failure; "" with a value */
  double value;      /* what follows is NaN or 0 where it is not known */
  int64_t n, n_against, undefined, undefined_against, permutations;
  double p, null_mean, null_lo, null_hi;
  table_null null;
} table_set;

typedef struct table_set_head {
  char *id, *against, *unit;
  int64_t version;
  metric_direction direction;
  int decimals; /* from the narrowest null */
} table_set_head;

typedef struct table {
  char *study, *spec_sha256;
  char *stub;      /* head of the rows' labels: "variant" */
  char *part;      /* which of several tables: "category: glass"; NULL: there is one */
  double level;    /* of the intervals */
  char *reference; /* label of what differences are to; NULL: there are none */
  int differences; /* formats for people show them */
  table_row *rows;
  int64_t n_rows;
  table_column *columns;
  int64_t n_columns;
  table_cell *cells; /* [n_rows][n_columns] */
  table_contrast *contrasts;
  int64_t n_contrasts;
  table_set_head *set_heads;
  int64_t n_set_heads;
  table_set *sets;
  int64_t n_sets, sets_cap;
  char **notes; /* referred to by letter: a, b... */
  int64_t n_notes, notes_cap;
  char **remarks; /* about the whole table */
  int64_t n_remarks, remarks_cap;
  char **builds;
  int64_t n_builds;
} table;

int table_build(err *e, const table_input *in, table **out) TD_MUST_CHECK;
void table_free(table *t);

/* "metric_id \u2191 (unit)": arrow and unit where there are any. */
int table_head(err *e, const char *name, metric_direction d, const char *unit, char **out) TD_MUST_CHECK;

typedef enum table_format {
  TABLE_TERMINAL,
  TABLE_MARKDOWN,
  TABLE_CSV,
  TABLE_JSON,
  TABLE_LATEX,
  TABLE_HTML,
  TABLE_FORMATS
} table_format;
/* "terminal", "md", "csv", "json", "latex", "html". E_ARG lists them. */
int table_format_of(err *e, const char *word, table_format *out) TD_MUST_CHECK;
/* By the end of a file's name: .md .csv .json .tex .html .txt. 0 when it has none of them. */
int table_format_of_file(const char *path, table_format *out);

typedef struct table_style {
  int width;                   /* columns of the terminal; 0: unlimited */
  int colour;                  /* escape sequences for bold, dim, underline; marks are there in any case */
  int standalone;              /* LaTeX, HTML: a document of its own, else a piece of one */
  const char *caption, *label; /* plain text, or NULL; label is LaTeX's, an id in HTML */
} table_style;

/* Appends the tables one after another (CSV with one head; JSON as a list when there are several). The same tables
 * give the same bytes: no clock, no locale. LaTeX wants booktabs and siunitx, and no more. */
int table_render(err *e, table *const *t, int64_t n, table_format f, const table_style *style,
                 text *out) TD_MUST_CHECK;

#endif
