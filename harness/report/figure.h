/* Figures: one model of axes and series, one drawing code, three formats. What the study's figures show is
 * figure_study.h. */
#ifndef TD_REPORT_FIGURE_H
#define TD_REPORT_FIGURE_H

#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

/* A place on the plane and its intervals; NaN bounds: no interval. */
typedef struct figure_mark {
  double x, y, xlo, xhi, ylo, yhi;
} figure_mark;

typedef enum figure_look {
  FIGURE_POINTS, /* a shape at each mark, with its intervals */
  FIGURE_DOTS,   /* small and pale: the single values behind a point */
  FIGURE_LINE,   /* marks joined */
  FIGURE_STEPS,  /* marks joined by a staircase: a frontier */
} figure_look;

typedef struct figure_series {
  char *name; /* in the legend, or beside the point; "" for none */
  int style;  /* colour and shape of this number: equal things look equal in all figures of a study */
  figure_look look;
  figure_mark *mark; /* owned */
  int64_t n, cap;
} figure_series;

typedef struct figure_axis {
  char *label;
  int log;        /* only positive values */
  int zero;       /* a line at 0, which is always in sight */
  char **place;   /* names at 0, 1, ...; NULL: numbers */
  int64_t places; /* from the top downwards on the y axis */
} figure_axis;

typedef struct figure {
  char *title, *alt; /* alt: the content in words, for who cannot see it */
  figure_axis x, y;
  int direct; /* names stand beside points instead of in a legend */
  figure_series *series;
  int64_t n, cap;
} figure;

/* The next series, empty, named (copied). */
int figure_add(err *e, figure *f, const char *name, int style, figure_look look, figure_series **out) TD_MUST_CHECK;
int figure_put(err *e, figure_series *s, const figure_mark *m) TD_MUST_CHECK;
void figure_free(figure *f);

typedef enum figure_format { FIGURE_SVG, FIGURE_PDF, FIGURE_PNG } figure_format;
/* By the ending of a path; E_ARG lists the endings. */
int figure_format_of(err *e, const char *path, figure_format *out) TD_MUST_CHECK;

typedef struct figure_size {
  double width, height; /* points of 1/72 inch; height 0: by what the figure holds */
} figure_size;

/* Appends the file's bytes. SVG carries title and alt text; PNG has 3 pixels a point. The same figure gives the same
 * bytes (on one machine: letters are the system's sans-serif). E_ARG for a figure without a finite mark, or with
 * marks that a logarithmic axis has no place for. */
int figure_draw(err *e, const figure *f, const figure_size *size, figure_format format, text *out) TD_MUST_CHECK;

#endif
