/* Selectors: what each operator matches, what the absence of a field means, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "store/store.h"
#include "study/select.h"

static const select_facts a_clip = {.key = "abcd12",
                                    .stage = "sample",
                                    .state = "failed",
                                    .fail_class = "io",
                                    .study = "one",
                                    .variant = "ours",
                                    .prompt = "thin smoke",
                                    .train_seed = 0,
                                    .sample_seed = 2};
static const select_facts an_adapter = {.key = "0123ab",
                                        .stage = "train",
                                        .state = "done",
                                        .study = "one",
                                        .variant = "ours-wide",
                                        .train_seed = 1,
                                        .sample_seed = SEED_NONE};
static const select_facts some_latents = {
    .key = "9999ff", .stage = "prepare", .state = "lost", .train_seed = SEED_NONE, .sample_seed = SEED_NONE};

/* Which of the three a selector takes, as digits: "1.3". */
static void takes(const char *terms, const char *want) {
  err e = {0};
  selector *s = NULL;
  char got[4] = "...";
  const select_facts *const all[] = {&a_clip, &an_adapter, &some_latents};
  if (select_parse(&e, terms, SELECT_ALL, &s) != OK) fail_msg("'%s': %s", terms, e.text);
  for (int i = 0; i < 3; i++)
    if (select_match(s, all[i])) got[i] = (char)('1' + i);
  if (strcmp(got, want) != 0) fail_msg("'%s' takes %s, not %s", terms, got, want);
  select_free(s);
}

static void refused(const char *terms, unsigned fields, const char *part) {
  err e = {0};
  selector *s = NULL;
  if (select_parse(&e, terms, fields, &s) != E_ARG) fail_msg("'%s' was not refused", terms);
  assert_null(s);
  if (!strstr(e.text, part)) fail_msg("wanted '%s' in: %s", part, e.text);
}

static void operators(void **state) {
  (void)state;
  takes("", "123");
  takes(" \t\n ", "123");
  takes("variant=ours", "1..");
  takes("variant~ours", "12.");
  takes("variant=ours,ours-wide", "12.");
  takes("!variant=ours", ".23");
  takes("stage=train,prepare state=done", ".2.");
  takes("stage=train state=failed", "...");
  takes("state=lost", "..3");
  takes("class=io", "1..");
  takes("!class=io", ".23");
  takes("prompt~smoke", "1..");
  takes("prompt=\"thin smoke\"", "1..");
  takes("prompt=\"thin smoke\",b stage=sample", "1..");
  takes("prompt=\"a,b\"", "...");
  takes("!study=one", "..3");
  takes("study~o !variant~wide", "1..");
}

static void keys(void **state) {
  (void)state;
  takes("key=abcd", "1..");
  takes("abcd", "1..");
  takes("abcd,0123", "12.");
  takes("!abcd12", ".23");
  takes("bcd1", "...");
  takes("abcd123", "...");
}

static void seeds(void **state) {
  (void)state;
  takes("seed=0", "...");
  takes("seed=2", "1..");
  takes("seed=1", ".2.");
  takes("seed=0..2", "12.");
  takes("seed=..1", ".2.");
  takes("seed=2..", "1..");
  takes("seed=0,2..3", "1..");
  takes("train_seed=0", "1..");
  takes("train_seed=0..1", "12.");
  takes("sample_seed=0..9", "1..");
  takes("!sample_seed=0..9", ".23");
  takes("seed=..5", "12.");
}

static void wrong_ones_are_refused(void **state) {
  (void)state;
  refused("varaint=ours", SELECT_ALL, "did you mean 'variant'?");
  refused("stage=trian", SELECT_ALL, "did you mean 'train'?");
  refused("state=faild", SELECT_ALL, "did you mean 'failed'?");
  refused("class=oom", SELECT_ALL, "oom_host");
  refused("state=done", SELECT_BIT(SELECT_VARIANT) | SELECT_BIT(SELECT_PROMPT), "(known: variant, prompt)");
  refused("abcd", SELECT_BIT(SELECT_VARIANT), "FIELD=VALUE");
  refused("ours", SELECT_ALL, "column 1");
  refused("seed=1 ours", SELECT_ALL, "column 8");
  refused("abc", SELECT_ALL, "column 1");
  refused("key=xyz1", SELECT_ALL, "not a key");
  refused("key=abc", SELECT_ALL, "not a key");
  refused("key~abcd", SELECT_ALL, "'='");
  refused("seed~1", SELECT_ALL, "'='");
  refused("seed=..", SELECT_ALL, "range");
  refused("seed=2..1", SELECT_ALL, "range");
  refused("seed=1x", SELECT_ALL, "range");
  refused("seed=99999999999999999999", SELECT_ALL, "range");
  refused("variant=", SELECT_ALL, "missing");
  refused("variant=a,", SELECT_ALL, "missing");
  refused("variant=\"\"", SELECT_ALL, "missing");
  refused("variant=\"a", SELECT_ALL, "no end");
  refused("variant=\"a\"b", SELECT_ALL, "quoted");
  refused("variant=a\"b", SELECT_ALL, "quote");
  refused("=a", SELECT_ALL, "column 1");
  refused("!", SELECT_ALL, "column 2");
}

static void fields_are_known(void **state) {
  (void)state;
  err e = {0};
  selector *s = NULL;
  assert_int_equal(select_parse(&e, "variant=a !state=done", SELECT_ALL, &s), OK);
  assert_true(select_has(s, SELECT_STATE));
  assert_true(select_has(s, SELECT_VARIANT));
  assert_false(select_has(s, SELECT_STUDY));
  select_free(s);
}

/* The words of the grammar are those of the store and of the stages. */
static void words_are_the_stores(void **state) {
  (void)state;
  char terms[64];
  for (int i = 0; i < CELL_STATES; i++) {
    err e = {0};
    selector *s = NULL;
    snprintf(terms, sizeof terms, "state=%s", store_state_name((store_state)i));
    assert_int_equal(select_parse(&e, terms, SELECT_ALL, &s), OK);
    select_free(s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(operators),
      cmocka_unit_test(keys),
      cmocka_unit_test(seeds),
      cmocka_unit_test(wrong_ones_are_refused),
      cmocka_unit_test(fields_are_known),
      cmocka_unit_test(words_are_the_stores),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
