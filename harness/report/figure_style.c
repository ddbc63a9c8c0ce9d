#include "report/figure_style.h"

#include <cairo.h>
#include <math.h>

/* Okabe and Ito 2008, for all kinds of colour vision; yellow is left out, too pale for lines. */
static const double palette[][3] = {{0, .447, .698}, {.835, .369, 0},    {0, .620, .451}, {.800, .475, .655},
                                    {.902, .624, 0}, {.337, .706, .914}, {.25, .25, .25}};
enum { COLOURS = sizeof palette / sizeof palette[0], SHAPES = 6 };

void figure_dash(cairo_t *c, int style) {
  static const double dash[][4] = {{1, 0, 1, 0}, {4, 2, 4, 2}, {1, 1.5, 1, 1.5}, {5, 1.5, 1, 1.5}};
  int turn = style / COLOURS % 4;
  cairo_set_dash(c, dash[turn], turn ? 4 : 0, 0);
}

void figure_colour(cairo_t *c, int style, double alpha) {
  const double *p = palette[style % COLOURS];
  cairo_set_source_rgba(c, p[0], p[1], p[2], alpha);
}

static void polygon(cairo_t *c, double x, double y, double r, int corners, double turn) {
  for (int i = 0; i < corners; i++) {
    double a = turn + 2 * M_PI * i / corners;
    cairo_line_to(c, x + r * sin(a), y - r * cos(a));
  }
  cairo_close_path(c);
  cairo_fill(c);
}

/* 7 colours and 6 shapes: 42 styles before two are the same. */
void figure_shape(cairo_t *c, int style, double x, double y, double r) {
  cairo_new_path(c);
  switch (style % SHAPES) {
  case 0: cairo_arc(c, x, y, r, 0, 2 * M_PI), cairo_fill(c); break;
  case 1: polygon(c, x, y, r * 1.3, 4, M_PI / 4); break;
  case 2: polygon(c, x, y, r * 1.35, 3, 0); break;
  case 3: polygon(c, x, y, r * 1.35, 4, 0); break;
  case 4: polygon(c, x, y, r * 1.35, 3, M_PI); break;
  default: cairo_set_line_width(c, r * .6); cairo_arc(c, x, y, r * .8, 0, 2 * M_PI), cairo_stroke(c);
  }
}
