/* Inside of projections: groups of clips and their tables. Only report/project*.c include it. */
#ifndef TD_REPORT_PROJECT_H
#define TD_REPORT_PROJECT_H

#include "report/projection.h"

enum { AXIS_ROWS, AXIS_COLUMNS, AXIS_SPLIT, AXES };

/* One value of each key: indices into projection_key.value. */
typedef struct place {
  int64_t at[AXES][PROJECTION_KEYS];
} place;

/* Clips that agree in every key beside variant and metric, and the table of all variants and metrics over them. */
typedef struct group {
  place at;
  table *t;           /* NULL: the study has no such clip */
  unsigned char *has; /* [rows of t] a clip, planned or excluded */
  char *hidden;       /* what a cell averages over, or NULL */
  char *name;         /* "category fg, train.rank 4" */
} group;

typedef struct work {
  const table_source *s;
  const projection *p;
  table_point *points; /* that the filter leaves */
  int64_t n_points;
  table_excluded *excluded;
  int64_t n_excluded;
  source_point *scored, *retried; /* [in->n_scores], [in->n_retried]: whose they are; row -1: of none that is shown */
  unsigned char *rows_shown, *metrics_shown;
  int merged; /* variants are no key: each group is one row */
  group *groups;
  int64_t n_groups, cap_groups;
} work;

const projection_axis *work_axis(const work *w, int axis);
/* The group of a place, made when it is the first to ask. */
int work_group(work *w, err *e, const place *at, int64_t *out) TD_MUST_CHECK;
/* Label of a value for people; the caller frees it. Values of settings and seeds have their key before them. */
int work_label(const work *w, err *e, const projection_key *k, int64_t value, char **out) TD_MUST_CHECK;
/* The table of one value of split; NULL when nothing is in it. */
int work_compose(work *w, err *e, const place *part, table **out) TD_MUST_CHECK;

#endif
