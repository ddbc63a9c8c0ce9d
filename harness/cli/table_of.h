/* Result tables: what `table`, `demo` and `paper` share. */
#ifndef TD_CLI_TABLE_OF_H
#define TD_CLI_TABLE_OF_H

#include "cli/study.h"
#include "report/study_table.h"
#include "report/table_spec.h"

/* The store of --results and what it has for the study's tables. */
typedef struct table_room {
  store *s;
  study_source src;
} table_room;
int table_room_open(cli *c, const loaded_study *l, table_room *out) TD_MUST_CHECK;
void table_room_close(table_room *r);

/* Reads a table spec; its problems go to standard error. */
int table_spec_of(cli *c, const char *path, const table_source *s, table_spec *out) TD_MUST_CHECK;

/* The plain table of a study, to standard output or -o: variants and metrics. */
int table_of_study(cli *c, const loaded_study *l, table_format f) TD_MUST_CHECK;

#endif
