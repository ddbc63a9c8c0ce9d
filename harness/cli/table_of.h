/* The result table of a study to standard output or -o. */
#ifndef TD_CLI_TABLE_OF_H
#define TD_CLI_TABLE_OF_H

#include "cli/study.h"
#include "report/study_table.h"

int table_of_study(cli *c, const loaded_study *l, table_format f) TD_MUST_CHECK;

#endif
