/* Drawing of figures: formats, same bytes, hostile names, ticks, what cannot be drawn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "report/figure.h"
#include "report/figure_scale.h"

#define NONE NAN, NAN, NAN, NAN

static err err0;
#define GOOD(call)                                                                                                   \
  do {                                                                                                               \
    err0 = (err){0};                                                                                                 \
    if ((call) != OK) fail_msg("%s: %s", #call, err0.text);                                                          \
  } while (0)

static figure sample(const char *name) {
  figure f = {.direct = 1};
  figure_series *s;
  GOOD(mem_strdup(&err0, "a < b & \"c\"", &f.title));
  GOOD(mem_strdup(&err0, "says <what> it shows", &f.alt));
  GOOD(mem_strdup(&err0, "x", &f.x.label));
  GOOD(mem_strdup(&err0, "y", &f.y.label));
  GOOD(figure_add(&err0, &f, name, 0, FIGURE_POINTS, &s));
  GOOD(figure_put(&err0, s, &(figure_mark){.1, .2, .05, .15, .1, .3}));
  GOOD(figure_add(&err0, &f, "second", 9, FIGURE_POINTS, &s));
  GOOD(figure_put(&err0, s, &(figure_mark){.4, -.2, NONE}));
  GOOD(figure_put(&err0, s, &(figure_mark){NAN, 5, NONE}));
  return f;
}

static void starts(figure_format format, const char *head) {
  figure f = sample("first");
  text a = {0}, b = {0};
  GOOD(figure_draw(&err0, &f, &(figure_size){300, 0}, format, &a));
  GOOD(figure_draw(&err0, &f, &(figure_size){300, 0}, format, &b));
  assert_true(a.n > 1000);
  assert_memory_equal(a.p, head, strlen(head));
  assert_int_equal(a.n, b.n);
  assert_memory_equal(a.p, b.p, a.n);
  f.series[1].mark[0].x = .3; /* another figure is other bytes */
  text_free(&b);
  GOOD(figure_draw(&err0, &f, &(figure_size){300, 0}, format, &b));
  assert_false(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
  text_free(&a), text_free(&b);
  figure_free(&f);
}

static void formats(void **state) {
  (void)state;
  starts(FIGURE_SVG, "<?xml");
  starts(FIGURE_PDF, "%PDF-");
  starts(FIGURE_PNG, "\x89PNG");
  figure_format format;
  GOOD(figure_format_of(&err0, "a.b.pdf", &format));
  assert_int_equal(format, FIGURE_PDF);
  assert_int_equal(figure_format_of(&err0, ".pdf", &format), E_ARG);
  err0 = (err){0};
  assert_int_equal(figure_format_of(&err0, "a.jpg", &format), E_ARG);
  assert_non_null(strstr(err0.text, ".svg, .pdf or .png"));
}

static void svg_says_what_it_shows(void **state) {
  (void)state;
  figure f = sample("n<a>me & \xc3\xa9");
  text a = {0};
  GOOD(figure_draw(&err0, &f, &(figure_size){300, 200}, FIGURE_SVG, &a));
  assert_non_null(strstr(a.p, "<title>a &lt; b &amp; \"c\"</title>"));
  assert_non_null(strstr(a.p, "<desc>says &lt;what&gt; it shows</desc>"));
  assert_null(strstr(a.p, "<what>"));
  text_free(&a);
  figure_free(&f);
}

static void nothing_to_show(void **state) {
  (void)state;
  figure f = sample("first");
  text a = {0};
  for (int64_t i = 0; i < f.n; i++)
    for (int64_t k = 0; k < f.series[i].n; k++) f.series[i].mark[k].y = NAN;
  err0 = (err){0};
  assert_int_equal(figure_draw(&err0, &f, &(figure_size){300, 200}, FIGURE_SVG, &a), E_ARG);
  assert_non_null(strstr(err0.text, "nothing to show"));
  figure_free(&f);
  f = sample("a name that takes all the width there is and more than that, so that no room is left for the plot");
  f.direct = 0;
  err0 = (err){0};
  assert_int_equal(figure_draw(&err0, &f, &(figure_size){120, 100}, FIGURE_SVG, &a), E_ARG);
  assert_non_null(strstr(err0.text, "too small"));
  assert_int_equal(a.n, 0);
  figure_free(&f);
}

/* Every mark and interval is inside the scale, ticks are inside and evenly spaced, and a number's place is monotone.
 */
static void scales(void **state) {
  (void)state;
  static const double spans[][2] = {{0, 1}, {-3e-7, 4e-7}, {12345, 12346}, {-1e9, 1}, {.2, .2}, {0, 0}, {1e-3, 900}};
  for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++)
    for (int log = 0; log < 2; log++) {
      figure f = sample("s");
      figure_scale s;
      if (log && spans[i][0] <= 0) {
        figure_free(&f);
        continue;
      }
      f.n = 1;
      f.x.log = log;
      f.series[0].mark[0] = (figure_mark){spans[i][0], 1, spans[i][0], spans[i][1], NAN, NAN};
      GOOD(figure_scale_fit(&err0, &f, 0, &s));
      s.from = 10, s.to = 20;
      assert_true(s.lo <= spans[i][0] && s.hi >= spans[i][1] && s.lo < s.hi);
      assert_true(s.ticks >= 2 && s.ticks <= FIGURE_TICKS);
      for (int k = 0; k < s.ticks; k++) {
        double at = figure_at(&s, s.tick[k]);
        assert_true(at >= 10 - 1e-6 && at <= 20 + 1e-6 && (!k || at > figure_at(&s, s.tick[k - 1])));
      }
      f.n = 2;
      figure_free(&f);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(formats),
      cmocka_unit_test(svg_says_what_it_shows),
      cmocka_unit_test(nothing_to_show),
      cmocka_unit_test(scales),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
