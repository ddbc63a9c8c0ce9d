/* The way back from a table: which score cells each of its cells rests on, and their values as prose can name them.
 */
#ifndef TD_REPORT_TABLE_CELLS_H
#define TD_REPORT_TABLE_CELLS_H

#include "base/json.h"
#include "report/projection.h"

/* The sidecar of a table file, FILE.cells.json: keys once, cells as lists of indices into them; rows are counted
 * through all tables of the file. */
int table_cells_json(err *e, const tables *t, text *out) TD_MUST_CHECK;

/* Cell (row, column) of a sidecar, from 1; pointers into `root`. */
typedef struct cell_address {
  const char *row, *column, *metric, *part; /* part NULL: there is one table */
  int64_t version;
  const json *keys, *indices;
} cell_address;
/* E_FORMAT when the document is no sidecar, E_ARG outside of the table. */
int table_cells_find(err *e, const json *root, int64_t row, int64_t column, cell_address *out) TD_MUST_CHECK;

/* LaTeX macros, \tdOursTrueIouGain and so on: mean, and Diff, Lo, Hi of its difference to the reference. */
typedef struct number {
  char *name, *value;
} number;
typedef struct numbers {
  number *at;
  int64_t n, cap;
  source_values metrics; /* "true_iou_gain 1": with their versions */
} numbers;
/* E_CONFIG when two cells would have one name and different values. */
int numbers_add(err *e, numbers *to, const tables *t) TD_MUST_CHECK;
/* Comment lines and \newcommand lines, by name. `t` says of which study and builds. */
int numbers_print(err *e, const numbers *l, const table *t, text *out) TD_MUST_CHECK;
void numbers_free(numbers *l);

#endif
