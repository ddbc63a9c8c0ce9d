/* docs/metrics.md says what the code does: every row that metrics.def implies must be on the page, word for word.
 * `test_docs --print` prints the rows, to paste into the page after a change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/metric.h"
#include "page.h"

static const char *direction(const metric *m) {
  return m->direction == METRIC_UP ? "up" : m->direction == METRIC_DOWN ? "down" : "-";
}

static const char *picture(const metric *m) {
  switch (m->picture) {
  case METRIC_DECODED: return "decoded";
  case METRIC_PREMULTIPLIED: return "premultiplied";
  case METRIC_STRAIGHT: return "straight";
  default: return "-";
  }
}

static void add_bound(text *t, double v) {
  if (isinf(v))
    text_add(t, v < 0 ? "-inf" : "inf");
  else
    text_addf(t, "%g", v);
}

/* The first metric with this table of parameters: it lists them, the others name it. */
static const char *first_with(const metric_param *params) {
  const metric *const *m = metric_list();
  while (*m && (*m)->params != params) m++;
  return *m ? (*m)->id : "";
}

/* One section a metric: facts, what it is, its parameters and when it is undefined. */
static void metric_block(text *t, const metric *m) {
  text_addf(t, "### `%s`\n\n%s.\n\n", m->id, m->help);
  text_addf(t, "version %d, better: %s, unit %s, range [", m->version, direction(m), m->unit[0] ? m->unit : "1");
  add_bound(t, m->lo);
  text_add(t, ", ");
  add_bound(t, m->hi);
  text_addf(t, "], picture: %s, gain: %s\n", picture(m), m->gain_ok ? "yes" : "no");
  const char *same = first_with(m->params);
  if (m->params && strcmp(same, m->id))
    text_addf(t, "- parameters: as `%s`\n", same);
  else
    for (const metric_param *p = m->params; p && p->name; p++)
      text_addf(t, "- `%s` = %g in [%g, %g]: %s\n", p->name, p->initial, p->lo, p->hi, p->help);
  if (m->reasons && m->reasons[0]) {
    text_add(t, "- undefined:");
    for (int i = 0; m->reasons[i]; i++) text_addf(t, "%s `%s`", i ? "," : "", m->reasons[i]);
    text_add(t, "\n");
  }
  text_addf(t, "- source: %s\n", m->citation);
}

static void reason_row(text *t, const metric_reason *r) {
  text_addf(t, "| `%s` | %s |\n", r->code, r->help);
}

static void metrics_are_documented(void **state) {
  (void)state;
  char *page = page_read("metrics.md");
  int n = 0;
  for (const metric *const *m = metric_list(); *m; m++, n++) {
    text t = {0};
    metric_block(&t, *m);
    page_must_contain(page, "test_docs --print", &t);
  }
  assert_true(n > 0);
  free(page);
}

static void reasons_are_documented(void **state) {
  (void)state;
  char *page = page_read("metrics.md");
  int n = 0;
  for (const metric_reason *r = metric_reasons(); r->code; r++, n++) {
    text t = {0};
    reason_row(&t, r);
    page_must_contain(page, "test_docs --print", &t);
  }
  assert_true(n > 0);
  free(page);
}

/* The page names no metric that is gone. */
static void no_stale_sections(void **state) {
  (void)state;
  char *page = page_read("metrics.md");
  for (const char *p = page; (p = strstr(p, "\n### `")); p++) {
    size_t n = strcspn(p + 6, "`");
    int known = 0;
    for (const metric *const *m = metric_list(); *m; m++)
      known |= strlen((*m)->id) == n && !memcmp((*m)->id, p + 6, n);
    if (!known) fail_msg("docs/metrics.md describes '%.*s', which is no metric", (int)n, p + 6);
  }
  free(page);
}

static int print_blocks(void) {
  text t = {0};
  for (const metric *const *m = metric_list(); *m; m++) {
    metric_block(&t, *m);
    text_add(&t, "\n");
  }
  for (const metric_reason *r = metric_reasons(); r->code; r++) reason_row(&t, r);
  if (t.p) fputs(t.p, stdout);
  text_free(&t);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "--print")) return print_blocks();
  const struct CMUnitTest tests[] = {cmocka_unit_test(metrics_are_documented),
                                     cmocka_unit_test(reasons_are_documented), cmocka_unit_test(no_stale_sections)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
