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

#include "metrics/describe.h"
#include "page.h"

static void reason_row(text *t, const metric_reason *r) {
  text_addf(t, "| `%s` | %s |\n", r->code, r->help);
}

static void metrics_are_documented(void **state) {
  (void)state;
  char *page = page_read("metrics.md");
  int n = 0;
  for (const metric *const *m = metric_list(); *m; m++, n++) {
    text t = {0};
    metric_describe(*m, 1, &t);
    page_must_contain(page, "test_docs --print", &t);
  }
  for (const set_metric *const *m = set_list(); *m; m++) {
    text t = {0};
    set_describe(*m, &t);
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
    for (const set_metric *const *m = set_list(); *m; m++)
      known |= strlen((*m)->id) == n && !memcmp((*m)->id, p + 6, n);
    if (!known) fail_msg("docs/metrics.md describes '%.*s', which is no metric", (int)n, p + 6);
  }
  free(page);
}

static int print_blocks(void) {
  text t = {0};
  for (const metric *const *m = metric_list(); *m; m++) {
    metric_describe(*m, 1, &t);
    text_add(&t, "\n");
  }
  text_add(&t, "## Scores of sets\n\n");
  for (const set_metric *const *m = set_list(); *m; m++) {
    set_describe(*m, &t);
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
