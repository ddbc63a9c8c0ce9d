/* Columns of text for people: cells row by row, the first row is the head. Columns of numbers are set to the right.
 */
#ifndef TD_CLI_GRID_H
#define TD_CLI_GRID_H

#include <stdint.h>

#include "base/text.h"

typedef struct grid {
  int cols;
  int64_t n, cap; /* cells */
  char **cell;
  int failed;
} grid;

void grid_add(grid *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Takes any length and any bytes; control characters are shown as spaces. */
void grid_add_text(grid *g, const char *s);
void grid_print(const grid *g, text *out);
void grid_free(grid *g);

/* "12.3 GiB", "1.23e+15" style numbers that stay narrow. */
#define GRID_SHORT 24
void grid_bytes(double bytes, char out[GRID_SHORT]);
void grid_count(double n, char out[GRID_SHORT]); /* "5.57e9" as "5.57 G" */

#endif
