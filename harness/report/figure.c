#include "report/figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cairo-pdf.h>
#include <cairo-svg.h>

#include "base/mem.h"
#include "report/figure_scale.h"
#include "report/figure_style.h"

#define FONT 8.0 /* points */

int figure_add(err *e, figure *f, const char *name, int style, figure_look look, figure_series **out) {
  int rc = mem_grow(e, &f->series, &f->cap, f->n + 1, sizeof *f->series, "series of a figure");
  if (rc != OK) return rc;
  f->series[f->n] = (figure_series){.style = style, .look = look};
  rc = mem_strdup(e, name, &f->series[f->n].name);
  if (rc == OK) *out = &f->series[f->n++];
  return rc;
}

int figure_put(err *e, figure_series *s, const figure_mark *m) {
  int rc = mem_grow(e, &s->mark, &s->cap, s->n + 1, sizeof *s->mark, "marks of a figure");
  if (rc == OK) s->mark[s->n++] = *m;
  return rc;
}

static void axis_free(figure_axis *a) {
  for (int64_t i = 0; a->place && i < a->places; i++) free(a->place[i]);
  free(a->place);
  free(a->label);
}

void figure_free(figure *f) {
  for (int64_t i = 0; i < f->n; i++) {
    free(f->series[i].name);
    free(f->series[i].mark);
  }
  free(f->series);
  axis_free(&f->x);
  axis_free(&f->y);
  free(f->title);
  free(f->alt);
  *f = (figure){0};
}

static const char *const endings[] = {[FIGURE_SVG] = ".svg", [FIGURE_PDF] = ".pdf", [FIGURE_PNG] = ".png"};

int figure_format_of(err *e, const char *path, figure_format *out) {
  size_t n = strlen(path);
  for (int i = 0; i < 3; i++)
    if (n > 4 && strcmp(path + n - 4, endings[i]) == 0) {
      *out = (figure_format)i;
      return OK;
    }
  return err_set(e, E_ARG, "%s: a figure is .svg, .pdf or .png", path);
}

/* --- the page -------------------------------------------------------------------------------------------------- */

typedef struct page {
  const figure *f;
  cairo_t *c;
  figure_scale x, y;
  double width, height;
} page;

static double text_width(cairo_t *c, const char *s) {
  cairo_text_extents_t t;
  cairo_text_extents(c, s, &t);
  return t.x_advance;
}

/* align 0: starts at x, .5: centred, 1: ends there. */
static void put_text(cairo_t *c, double x, double y, double align, const char *s) {
  cairo_move_to(c, x - align * text_width(c, s), y);
  cairo_show_text(c, s);
}

static void line(cairo_t *c, double x0, double y0, double x1, double y1) {
  cairo_move_to(c, x0, y0);
  cairo_line_to(c, x1, y1);
  cairo_stroke(c);
}

static double widest_tick(page *p) {
  char s[32];
  double w = 0;
  for (int64_t i = 0; i < p->f->y.places; i++) w = fmax(w, text_width(p->c, p->f->y.place[i]));
  for (int i = 0; !p->f->y.place && i < p->y.ticks; i++) {
    figure_tick_text(&p->y, i, s);
    w = fmax(w, text_width(p->c, s));
  }
  return w;
}

static int legend_rows(const figure *f) {
  int n = 0;
  for (int64_t i = 0; !f->direct && i < f->n; i++) n += f->series[i].name[0] != 0;
  return n;
}

static double legend_width(page *p) {
  double w = 0;
  if (!legend_rows(p->f)) return 0;
  for (int64_t i = 0; i < p->f->n; i++) w = fmax(w, text_width(p->c, p->f->series[i].name));
  return w + 24;
}

static void place_axes(page *p) {
  double label = p->f->y.label[0] ? FONT + 6 : 0;
  p->x.from = 4 + label + widest_tick(p) + 6;
  p->x.to = p->width - 8 - legend_width(p);
  p->y.from = p->height - (2 * FONT + 14);
  p->y.to = p->f->title[0] ? FONT + 12 : 6;
  if (p->f->y.place) p->y.from = p->y.to, p->y.to = p->height - (2 * FONT + 14); /* first place on top */
}

static void draw_y_axis(page *p) {
  char s[32];
  cairo_t *c = p->c;
  int64_t n = p->f->y.place ? p->f->y.places : p->y.ticks;
  for (int64_t i = 0; i < n; i++) {
    double y = figure_at(&p->y, p->f->y.place ? (double)i : p->y.tick[i]);
    cairo_set_source_rgb(c, .9, .9, .9);
    line(c, p->x.from, y, p->x.to, y);
    cairo_set_source_rgb(c, .15, .15, .15);
    if (!p->f->y.place) figure_tick_text(&p->y, (int)i, s);
    put_text(c, p->x.from - 4, y + FONT * .35, 1, p->f->y.place ? p->f->y.place[i] : s);
  }
  cairo_save(c);
  cairo_translate(c, FONT + 2, (p->y.from + p->y.to) / 2);
  cairo_rotate(c, -M_PI / 2);
  put_text(c, 0, 0, .5, p->f->y.label);
  cairo_restore(c);
}

static void draw_x_axis(page *p) {
  char s[32];
  cairo_t *c = p->c;
  double low = fmax(p->y.from, p->y.to), high = fmin(p->y.from, p->y.to);
  for (int i = 0; i < p->x.ticks; i++) {
    double x = figure_at(&p->x, p->x.tick[i]);
    cairo_set_source_rgb(c, .9, .9, .9);
    line(c, x, low, x, high);
    cairo_set_source_rgb(c, .15, .15, .15);
    figure_tick_text(&p->x, i, s);
    put_text(c, x, low + FONT + 3, .5, s);
  }
  put_text(c, (p->x.from + p->x.to) / 2, low + 2 * FONT + 8, .5, p->f->x.label);
}

static void draw_frame(page *p) {
  cairo_t *c = p->c;
  cairo_set_line_width(c, .5);
  draw_y_axis(p);
  draw_x_axis(p);
  cairo_set_source_rgb(c, .35, .35, .35);
  cairo_rectangle(c, p->x.from, p->y.to, p->x.to - p->x.from, p->y.from - p->y.to);
  cairo_stroke(c);
  cairo_set_line_width(c, .8);
  if (p->f->x.zero) line(c, figure_at(&p->x, 0), p->y.from, figure_at(&p->x, 0), p->y.to);
  if (p->f->y.zero) line(c, p->x.from, figure_at(&p->y, 0), p->x.to, figure_at(&p->y, 0));
  cairo_set_source_rgb(c, 0, 0, 0);
  put_text(c, (p->x.from + p->x.to) / 2, FONT + 3, .5, p->f->title);
}

/* --- series ---------------------------------------------------------------------------------------------------- */

static int visible(const figure_mark *m) {
  return isfinite(m->x) && isfinite(m->y);
}

static void draw_intervals(page *p, const figure_series *s) {
  cairo_set_line_width(p->c, 1);
  figure_colour(p->c, s->style, 1);
  for (int64_t i = 0; i < s->n; i++) {
    const figure_mark *m = &s->mark[i];
    double x = figure_at(&p->x, m->x), y = figure_at(&p->y, m->y);
    if (!visible(m)) continue;
    if (isfinite(m->xlo) && isfinite(m->xhi)) line(p->c, figure_at(&p->x, m->xlo), y, figure_at(&p->x, m->xhi), y);
    if (isfinite(m->ylo) && isfinite(m->yhi)) line(p->c, x, figure_at(&p->y, m->ylo), x, figure_at(&p->y, m->yhi));
  }
}

static void draw_path(page *p, const figure_series *s) {
  int open = 0;
  double last = 0;
  cairo_set_line_width(p->c, s->look == FIGURE_STEPS ? .8 : 1);
  figure_colour(p->c, s->style, 1);
  figure_dash(p->c, s->style);
  for (int64_t i = 0; i < s->n; i++) {
    const figure_mark *m = &s->mark[i];
    if (!visible(m)) {
      open = 0;
      continue;
    }
    double x = figure_at(&p->x, m->x), y = figure_at(&p->y, m->y);
    if (open && s->look == FIGURE_STEPS) cairo_line_to(p->c, x, last);
    if (open)
      cairo_line_to(p->c, x, y);
    else
      cairo_move_to(p->c, x, y);
    open = 1;
    last = y;
  }
  cairo_stroke(p->c);
  figure_dash(p->c, 0);
}

static void draw_shapes(page *p, const figure_series *s) {
  int dots = s->look == FIGURE_DOTS;
  for (int64_t i = 0; i < s->n; i++) {
    const figure_mark *m = &s->mark[i];
    if (!visible(m)) continue;
    figure_colour(p->c, s->style, dots ? .35 : 1);
    figure_shape(p->c, s->style, figure_at(&p->x, m->x), figure_at(&p->y, m->y), dots ? 1.3 : 3);
  }
}

static void draw_series(page *p) {
  cairo_save(p->c);
  cairo_rectangle(p->c, p->x.from - 4, fmin(p->y.from, p->y.to) - 4, p->x.to - p->x.from + 8,
                  fabs(p->y.from - p->y.to) + 8);
  cairo_clip(p->c);
  for (int pass = 0; pass < 2; pass++) /* what is behind first */
    for (int64_t i = 0; i < p->f->n; i++) {
      const figure_series *s = &p->f->series[i];
      if ((s->look == FIGURE_POINTS) != pass) continue;
      if (s->look == FIGURE_LINE || s->look == FIGURE_STEPS) draw_path(p, s);
      if (s->look == FIGURE_POINTS) draw_intervals(p, s);
      if (s->look == FIGURE_POINTS || s->look == FIGURE_DOTS) draw_shapes(p, s);
    }
  cairo_restore(p->c);
}

/* --- names ----------------------------------------------------------------------------------------------------- */

typedef struct box {
  double x0, y0, x1, y1;
} box;

static double overlap(const box *a, const box *b) {
  double w = fmin(a->x1, b->x1) - fmax(a->x0, b->x0), h = fmin(a->y1, b->y1) - fmax(a->y0, b->y0);
  return w > 0 && h > 0 ? w * h : 0;
}

/* What a name at this place would cover: other points, names that are there, the outside. */
static double cost(const page *p, const box *b, const box *taken, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += overlap(b, &taken[i]);
  double outside = fmax(0, p->x.from - b->x0) + fmax(0, b->x1 - p->x.to) + fmax(0, fmin(p->y.from, p->y.to) - b->y0) +
                   fmax(0, b->y1 - fmax(p->y.from, p->y.to));
  return sum + 20 * outside;
}

/* Beside its point, where it covers least: eight directions, near before far. */
static box best_box(page *p, double x, double y, double w, const box *taken, int64_t n) {
  static const signed char way[][2] = {{1, 0}, {-1, 0}, {1, -1}, {1, 1}, {-1, -1}, {-1, 1}, {0, -1}, {0, 1}};
  const double h = FONT;
  box best = {0};
  double least = INFINITY;
  for (int far = 0; far < 3; far++)
    for (int k = 0; k < 8; k++) {
      double gap = 5 + 8 * far, x0 = x + way[k][0] * gap - (way[k][0] < 0 ? w : way[k][0] == 0 ? w / 2 : 0);
      double y0 = y + way[k][1] * gap - h / 2;
      box b = {x0, y0, x0 + w, y0 + h};
      double c = cost(p, &b, taken, n) + far;
      if (c < least) least = c, best = b;
    }
  return best;
}

/* The box around two values of an axis each, which may be missing. */
static box around(const page *p, double x0, double x1, double y0, double y1) {
  double a = figure_at(&p->x, x0), b = figure_at(&p->x, x1), c = figure_at(&p->y, y0), d = figure_at(&p->y, y1);
  return (box){fmin(a, b) - 1, fmin(c, d) - 1, fmax(a, b) + 1, fmax(c, d) + 1};
}

/* Names keep off points, intervals and stairs: at most 4 boxes a mark. */
static int64_t obstacles(const page *p, box *taken) {
  int64_t n = 0;
  for (int64_t i = 0; i < p->f->n; i++)
    for (int64_t k = 0; k < p->f->series[i].n; k++) {
      const figure_series *s = &p->f->series[i];
      const figure_mark *m = &s->mark[k], *b = k ? &s->mark[k - 1] : m;
      if (!visible(m) || !visible(b)) continue;
      double x = figure_at(&p->x, m->x), y = figure_at(&p->y, m->y);
      if (s->look == FIGURE_POINTS) taken[n++] = (box){x - 4, y - 4, x + 4, y + 4};
      if (isfinite(m->xlo) && isfinite(m->xhi)) taken[n++] = around(p, m->xlo, m->xhi, m->y, m->y);
      if (isfinite(m->ylo) && isfinite(m->yhi)) taken[n++] = around(p, m->x, m->x, m->ylo, m->yhi);
      if (s->look != FIGURE_STEPS) continue;
      taken[n++] = around(p, b->x, m->x, b->y, b->y);
      taken[n++] = around(p, m->x, m->x, b->y, m->y);
    }
  return n;
}

static int draw_direct(page *p, err *e) {
  const figure *f = p->f;
  box *taken = NULL;
  int64_t n = f->n;
  int rc = OK;
  for (int64_t i = 0; i < f->n; i++) n += 4 * f->series[i].n;
  TRY(mem_new(e, n, sizeof *taken, "names", &taken));
  n = obstacles(p, taken);
  for (int64_t i = 0; i < f->n; i++) {
    const figure_series *s = &f->series[i];
    if (s->look != FIGURE_POINTS || !s->n || !s->name[0] || !visible(&s->mark[0])) continue;
    box b = best_box(p, figure_at(&p->x, s->mark[0].x), figure_at(&p->y, s->mark[0].y), text_width(p->c, s->name),
                     taken, n);
    taken[n++] = b;
    cairo_set_source_rgb(p->c, 0, 0, 0);
    put_text(p->c, b.x0, b.y1 - 1, 0, s->name);
  }
out:
  free(taken);
  return rc;
}

static void draw_legend(page *p) {
  double x = p->x.to + 6, y = fmin(p->y.from, p->y.to) + 6;
  for (int64_t i = 0; i < p->f->n; i++) {
    const figure_series *s = &p->f->series[i];
    if (!s->name[0]) continue;
    figure_colour(p->c, s->style, 1);
    cairo_set_line_width(p->c, 1.5);
    figure_dash(p->c, s->style);
    if (s->look == FIGURE_LINE || s->look == FIGURE_STEPS) line(p->c, x, y, x + 12, y);
    figure_dash(p->c, 0);
    if (s->look == FIGURE_POINTS || s->look == FIGURE_DOTS) figure_shape(p->c, s->style, x + 6, y, 3);
    cairo_set_source_rgb(p->c, 0, 0, 0);
    put_text(p->c, x + 16, y + FONT * .35, 0, s->name);
    y += FONT + 3;
  }
}

static int draw(page *p, err *e) {
  int rc = OK;
  cairo_t *c = p->c;
  cairo_set_source_rgb(c, 1, 1, 1);
  cairo_paint(c);
  cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(c, FONT);
  place_axes(p);
  if (p->x.to - p->x.from < 30 || fabs(p->y.from - p->y.to) < 20)
    FAIL(e, E_ARG, "a figure of %.0fx%.0f points is too small for its labels", p->width, p->height);
  draw_frame(p);
  draw_series(p);
  if (p->f->direct)
    TRY(draw_direct(p, e));
  else
    draw_legend(p);
  if (cairo_status(c)) FAIL(e, E_NOMEM, "figure: %s", cairo_status_to_string(cairo_status(c)));
out:
  return rc;
}

/* --- files ----------------------------------------------------------------------------------------------------- */

static cairo_status_t append(void *to, const unsigned char *data, unsigned n) {
  text *t = to;
  text_addn(t, data, n);
  return t->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

static void add_escaped(text *t, const char *s) {
  for (; *s; s++) {
    if (*s == '<')
      text_add(t, "&lt;");
    else if (*s == '>')
      text_add(t, "&gt;");
    else if (*s == '&')
      text_add(t, "&amp;");
    else
      text_addn(t, s, 1);
  }
}

/* cairo numbers the surfaces of a process: the number is left out, so that a figure's bytes do not depend on what was
 * drawn before. There is one surface in the file, and nothing refers to it. */
static void add_unnumbered(text *out, const char *s) {
  static const char mark[] = "id=\"surface";
  const char *at;
  while ((at = strstr(s, mark))) {
    at += sizeof mark - 1;
    text_addn(out, s, (size_t)(at - s));
    s = at + strspn(at, "0123456789");
  }
  text_add(out, s);
}

/* cairo writes no title: it goes behind the opening tag. */
static void add_svg(text *out, const text *svg, const figure *f) {
  const char *tag = strstr(svg->p, "<svg"), *end = tag ? strchr(tag, '>') : NULL;
  size_t head = end ? (size_t)(end + 1 - svg->p) : 0;
  text_addn(out, svg->p, head);
  if (head) {
    text_add(out, "\n<title>");
    add_escaped(out, f->title);
    text_add(out, "</title>\n<desc>");
    add_escaped(out, f->alt);
    text_add(out, "</desc>");
  }
  add_unnumbered(out, svg->p + head);
}

#define PNG_SCALE 3

static cairo_surface_t *surface_new(figure_format format, const figure_size *z, text *to) {
  if (format == FIGURE_SVG) return cairo_svg_surface_create_for_stream(append, to, z->width, z->height);
  if (format == FIGURE_PDF) {
    cairo_surface_t *s = cairo_pdf_surface_create_for_stream(append, to, z->width, z->height);
    cairo_pdf_surface_set_metadata(s, CAIRO_PDF_METADATA_CREATE_DATE, "1970-01-01T00:00:00Z"); /* no clock in it */
    return s;
  }
  return cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(z->width * PNG_SCALE),
                                    (int)ceil(z->height * PNG_SCALE));
}

static double natural_height(const figure *f, double width) {
  double rows = (double)legend_rows(f) * (FONT + 3) + 60; /* 60: title and x axis */
  return fmax(rows, f->y.place ? 60 + 14 * (double)f->y.places : width * .7);
}

int figure_draw(err *e, const figure *f, const figure_size *size, figure_format format, text *out) {
  page p = {.f = f, .width = size->width, .height = size->height > 0 ? size->height : natural_height(f, size->width)};
  text bytes = {0};
  cairo_surface_t *s = NULL;
  int rc = OK;
  TRY(figure_scale_fit(e, f, 0, &p.x));
  TRY(figure_scale_fit(e, f, 1, &p.y));
  if (!(p.width > 0 && p.width <= 5000 && p.height > 0 && p.height <= 5000))
    FAIL(e, E_ARG, "a figure of %.0fx%.0f points", p.width, p.height);
  s = surface_new(format, &(figure_size){p.width, p.height}, &bytes);
  p.c = cairo_create(s);
  if (format == FIGURE_PNG) cairo_scale(p.c, PNG_SCALE, PNG_SCALE);
  if (format == FIGURE_PDF) cairo_pdf_surface_set_metadata(s, CAIRO_PDF_METADATA_TITLE, f->title);
  TRY(draw(&p, e));
  cairo_show_page(p.c);
  if (format == FIGURE_PNG) cairo_surface_write_to_png_stream(s, append, &bytes);
  cairo_surface_finish(s);
  if (cairo_surface_status(s) || bytes.failed) FAIL(e, E_NOMEM, "no memory for a figure");
  TRY(text_ok(&bytes, e));
  if (format == FIGURE_SVG)
    add_svg(out, &bytes, f);
  else
    text_addn(out, bytes.p, bytes.n);
  TRY(text_ok(out, e));
out:
  if (p.c) cairo_destroy(p.c);
  if (s) cairo_surface_destroy(s);
  text_free(&bytes);
  return rc;
}
