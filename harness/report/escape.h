/* Text that is not markup, as markup. */
#ifndef TD_REPORT_ESCAPE_H
#define TD_REPORT_ESCAPE_H

#include "base/text.h"

/* LaTeX text mode, for pdflatex with any font encoding: its special characters, brackets and stars (which could be
 * an argument of a line's end), arrows, common signs and Greek as commands; accented Latin as it is; any other
 * character as U+XXXX; control characters as spaces, malformed bytes as '?'. */
void text_add_latex(text *t, const char *s);
/* HTML text and quoted attributes: & < > " '; control characters as spaces, malformed bytes as U+FFFD. */
void text_add_html(text *t, const char *s);

#endif
