/* Columns that UTF-8 text takes on a terminal. */
#ifndef TD_REPORT_WIDTH_H
#define TD_REPORT_WIDTH_H

#include "base/text.h"

/* Combining marks take none, wide East Asian characters and emoji two, everything else one. Malformed bytes and
 * control characters count one each, as text_add_cell writes them. */
int text_width(const char *s);
/* `s` in exactly `width` columns: padded (right-aligned when `right`), or cut with an ellipsis. Control characters
 * and malformed bytes become '?', so that a name cannot move the cursor. */
void text_add_cell(text *t, const char *s, int width, int right);

#endif
