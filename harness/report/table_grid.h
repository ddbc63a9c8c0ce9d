/* Inside of the table: scores on their grid, and comparisons between rows. Only report/table*.c and figure_study.c
 * include it. */
#ifndef TD_REPORT_TABLE_GRID_H
#define TD_REPORT_TABLE_GRID_H

#include "report/table.h"

/* Scores lie on one grid of prompts x train seeds x sample seeds for all rows. A row without an axis (the base model
 * trains nothing) fills every place along it with the same clip, which is what pairs it with the others; `own` marks
 * the place that counts as the clip. */
typedef struct grid {
  const char **prompts;
  int64_t *trains, *samples;
  int64_t n_prompts, n_trains, n_samples, size;
} grid;

typedef struct tally {
  const table_input *in;
  table *t;
  grid g;
  unsigned char *planned, *own, *scored; /* [rows][size] */
  double *value;                         /* [rows][columns][size]; sums while several backdrops come in */
  unsigned char *state;                  /* same shape: GRID_* */
  int *count;                            /* same shape */
  const char **reason;                   /* same shape: of the last undefined score */
} tally;

enum { GRID_NONE, GRID_VALUE, GRID_UNDEFINED, GRID_NOT_FINITE };

/* Grid, planned and scored places, values. y->in and y->t must be set, y->t with its rows, columns and cells. */
int tally_fill(tally *y, err *e) TD_MUST_CHECK;
void tally_free(tally *y);
/* One row and metric as statistics see it; mask has y->g.size places. */
stats_grid tally_grid(const tally *y, int64_t row, int64_t column, unsigned char *mask);

/* Differences to the reference, best marks, contrasts and families; cells must have their means and states. */
int tally_compare(tally *y, err *e) TD_MUST_CHECK;

/* Scores of sets. */
int tally_sets(tally *y, err *e) TD_MUST_CHECK;

int table_remark(err *e, table *t, const char *s) TD_MUST_CHECK;
/* A footnote of a row or cell; equal ones share a letter. */
int table_note(err *e, table *t, const char *s, int *list, int *n) TD_MUST_CHECK;

#endif
