/* What a table shows: which keys are its rows, its columns, and what tells several tables apart; benchstat's
 * projections.
 *
 *   variant@(ours batch="Batch ext.")     these values, in this order, under these labels; '*' is all the others
 *   category variant                      every category, and in it every variant
 *   metric@(true_iou_gain=IoU)            in columns only
 *
 * Keys are variant, metric, prompt, category, train_seed, sample_seed, and every setting that varies between rows
 * ("train.rank"). A value may hold '=' itself: the longest one that the study knows is taken. */
#ifndef TD_REPORT_PROJECTION_H
#define TD_REPORT_PROJECTION_H

#include "report/table.h"
#include "study/problem.h"
#include "study/select.h"

enum { KEY_VARIANT, KEY_METRIC, KEY_PROMPT, KEY_CATEGORY, KEY_TRAIN_SEED, KEY_SAMPLE_SEED, KEY_SETTINGS };

/* What can be shown. Everything is borrowed and only read. */
typedef struct table_source {
  const table_input *in;
  const char *const *prompts, *const *categories; /* [n_prompts]; a category may be "" */
  int64_t n_prompts;
  const char *const *settings; /* [n_settings] paths */
  int64_t n_settings;
  const char *const *setting_values; /* [in->n_rows][n_settings] */
} table_source;

/* One clip as keys see it. */
typedef table_point source_point;
/* Text of a key's value; `buf` holds numbers. Key metric has none: "". */
const char *source_value(const table_source *s, int key, const source_point *p, char buf[24]);
/* "train.rank", or NULL when there is no such key. */
const char *source_key(const table_source *s, int key);

/* All values of a key, in the order of the study. */
typedef struct source_values {
  char **v;
  int64_t n, cap;
} source_values;
int source_values_of(err *e, const table_source *s, int key, source_values *out) TD_MUST_CHECK;
/* Unless it is there. */
int source_values_add(err *e, source_values *l, const char *v) TD_MUST_CHECK;
void source_values_free(source_values *v);

typedef struct projection_value {
  char *name, *label; /* label NULL: its name */
} projection_value;

typedef struct projection_key {
  int key;
  projection_value *value; /* what is shown, in order */
  int64_t n, cap;
} projection_key;

#define PROJECTION_KEYS 4
typedef struct projection_axis {
  projection_key key[PROJECTION_KEYS];
  int n;
} projection_axis;

typedef struct projection_precision {
  char *metric; /* NULL: every other */
  int decimals;
} projection_precision;

typedef struct projection {
  projection_axis rows, columns, split;
  selector *filter;        /* NULL: everything */
  projection_value *label; /* of any value that the axes give none */
  int64_t n_labels, cap_labels;
  projection_precision *precision;
  int64_t n_precisions, cap_precisions;
  char **footnote;
  int64_t n_footnotes, cap_footnotes;
  int no_best, no_second, no_differences;
} projection;

/* Reads one axis; E_CONFIG says what is wrong and what is known. */
int projection_axis_parse(err *e, const table_source *s, const char *given, projection_axis *out) TD_MUST_CHECK;
/* A selector of clips (study/select.h): variant, prompt and seeds. */
int projection_filter(err *e, const char *given, projection *p) TD_MUST_CHECK;
int projection_add_label(err *e, projection *p, const char *name, const char *label) TD_MUST_CHECK;
int projection_add_footnote(err *e, projection *p, const char *line) TD_MUST_CHECK;
/* `id` NULL: of every other metric. */
int projection_add_precision(err *e, projection *p, const char *id, int decimals) TD_MUST_CHECK;
/* Axes that were not given: rows are variants, columns metrics. Then what does not fit together: a key twice,
 * metrics elsewhere than in columns. E_CONFIG. */
int projection_complete(err *e, const table_source *s, projection *p) TD_MUST_CHECK;
void projection_free(projection *p);

typedef struct tables {
  table **at;
  int64_t n, cap;
} tables;
/* One table for each value of split. Statistics are those of all rows and metrics, shown or not, so that showing less
 * makes no family smaller; of the clips that the filter leaves. Each combination of keys beside variant and metric is
 * compared and marked within itself; differences and marks are between variants, and where variants are no key, what
 * a cell averages over is a footnote. */
int tables_project(err *e, const table_source *s, const projection *p, tables *out) TD_MUST_CHECK;
void tables_free(tables *t);

#endif
