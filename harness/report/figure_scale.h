/* How values of a figure lie on the page. Only report/figure*.c include it. */
#ifndef TD_REPORT_FIGURE_SCALE_H
#define TD_REPORT_FIGURE_SCALE_H

#include "report/figure.h"

#define FIGURE_TICKS 12

/* Values onto a stretch of the page. */
typedef struct figure_scale {
  double lo, hi;   /* values at its ends */
  double from, to; /* their places, points */
  int log;
  double tick[FIGURE_TICKS];
  int ticks, decimals;
} figure_scale;

/* Room for all finite marks of one axis, with a margin, and ticks at round numbers. */
int figure_scale_fit(err *e, const figure *f, int vertical, figure_scale *out) TD_MUST_CHECK;
double figure_at(const figure_scale *s, double v);
/* "0.25", "1e-3" */
void figure_tick_text(const figure_scale *s, int i, char out[32]);

#endif
