/* docs/studies.md says what the settings table says. `test_study_docs --print` prints the block to paste. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page.h"
#include "study/spec.h"

static void add_values(text *t, const setting *s) {
  if (s->kind == SETTING_FILE) text_add(t, "path");
  for (int i = 0; s->choices && s->choices[i]; i++)
    text_addf(t, "%s`%s`", i || s->kind == SETTING_FILE ? ", " : "", s->choices[i]);
  if (s->choices || s->kind == SETTING_FILE) return;
  text_add(t, s->kind == SETTING_NUMBER ? "number " : s->kind == SETTING_INT ? "whole " : "[height, width] ");
  text_add_number(t, s->lo);
  text_add(t, " to ");
  text_add_number(t, s->hi);
  if (s->unit) text_addf(t, " %s", s->unit);
}

static void add_row(text *t, const setting *s) {
  err e = {0};
  json *v = NULL;
  if (spec_default(&e, s, &v) != OK) fail_msg("%s", e.text);
  text_addf(t, "| `%s` | ", s->path);
  add_values(t, s);
  text_add(t, " | ");
  json_canonical(t, v);
  json_free(v);
  text_add(t, " |");
  for (int i = 0; i < STAGE_COUNT; i++)
    if (s->stages & (1u << i)) text_addf(t, " %s", stage_name((stage)i));
  if (s->stages & SPEC_IMPORT) text_add(t, " import");
  text_addf(t, "%s | %s", s->neutral ? ", never in a key" : "", s->help);
  if (s->when) text_addf(t, "; only when `%s`", s->when);
  text_add(t, " |\n");
}

static void settings_block(text *t) {
  text_add(t, "| setting | values | default | read by | what |\n|---|---|---|---|---|\n");
  for (const setting *s = spec_settings(); s->path; s++) add_row(t, s);
}

static void settings_are_documented(void **state) {
  (void)state;
  char *page = page_read("studies.md");
  text t = {0};
  settings_block(&t);
  assert_true(t.n > 1000);
  page_must_contain(page, "test_study_docs --print", &t);
  free(page);
}

static int print_block(void) {
  text t = {0};
  settings_block(&t);
  if (t.p) fputs(t.p, stdout);
  text_free(&t);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "--print")) return print_block();
  const struct CMUnitTest tests[] = {cmocka_unit_test(settings_are_documented)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
