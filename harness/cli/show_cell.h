/* From a cell of a table file back to its clips. */
#ifndef TD_CLI_SHOW_CELL_H
#define TD_CLI_SHOW_CELL_H

#include "cli/cli.h"

/* `given`: FILE:ROW,COLUMN. */
int show_table_cell(cli *c, const char *given) TD_MUST_CHECK;

#endif
