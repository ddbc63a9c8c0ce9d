/* Colours and shapes of a figure. Only report/figure*.c include it. */
#ifndef TD_REPORT_FIGURE_STYLE_H
#define TD_REPORT_FIGURE_STYLE_H

typedef struct _cairo cairo_t; /* cairo.h, which .c files include */

void figure_colour(cairo_t *c, int style, double alpha);
/* Lines of one colour differ in their dashes. */
void figure_dash(cairo_t *c, int style);
void figure_shape(cairo_t *c, int style, double x, double y, double radius);

#endif
