/* tandem score: which files make its clips, and what is paired with what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli/score_jobs.h"
#include "scratch.h"

static int open_folder(void **state) {
  (void)state;
  if (!scratch_open()) return -1;
  static const char *const names[] = {"clips/in-01.mkv",  "clips/in-010.mkv", "clips/b.c.webm",   "clips/seq/1.png",
                                      "clips/seq/2.png",  "base/in-01.mov",   "base/b.c.mkv",     "base/seq.mkv",
                                      "alpha/in-01.png",  "alpha/in-010.png", "alpha/b.c.png",    "alpha/seq.png",
                                      "alpha/unused.png", "more/in-01.mkv",   "set/fgr/x.mp4",    "set/fgr/y.mp4",
                                      "set/pha/x.png",    "set/pha/y.png",    "list/a/one.mkv",   "list/two.mkv",
                                      "list/m.png",       "half/fgr/x.mp4",   "half/pha/z.png",   "row/3.png",
                                      "row/4.png",        "row/5.png",        "nothing/text.txt", NULL};
  for (const char *const *n = names; *n; n++) scratch_write(*n, "x");
  scratch_write("list/manifest.jsonl", "{\"file\": \"two.mkv\", \"caption\": \"t\", \"alpha\": \"premultiplied\"}\n"
                                       "{\"file\": \"a/one.mkv\", \"caption\": \"o\", \"matte\": \"m.png\"}\n");
  return 0;
}

static int close_folder(void **state) {
  (void)state;
  scratch_close();
  return 0;
}

static const char *in(int slot, const char *name) {
  return scratch_path(slot, name);
}

static score_jobs jobs(score_sources from) {
  err e = {0};
  score_jobs j;
  if (score_jobs_open(&e, &from, &j) != OK) fail_msg("%s", e.text);
  return j;
}

static void refuse(score_sources from, int want, const char *words) {
  err e = {0};
  score_jobs j;
  int rc = score_jobs_open(&e, &from, &j);
  if (rc != want) fail_msg("rc %d instead of %d: %s", rc, want, e.text);
  if (!strstr(e.text, words)) fail_msg("\"%s\" is not in: %s", words, e.text);
  assert_int_equal(j.n, 0);
}

static void names_are(const score_jobs *j, const char *const *want) {
  for (int64_t i = 0; i < j->n; i++) {
    assert_non_null(want[i]);
    assert_string_equal(j->at[i].name, want[i]);
  }
  assert_null(want[j->n]);
}

static void pairs_are_by_name(void **state) {
  (void)state;
  const char *clips[] = {in(0, "clips")};
  score_jobs j = jobs((score_sources){.clips = clips, .n_clips = 1, .beside[SCORE_BASE] = in(1, "base")});
  names_are(&j, (const char *const[]){"b.c", "in-01", "in-010", "seq", NULL});
  assert_string_equal(j.at[0].beside[SCORE_BASE], in(2, "base/b.c.mkv"));
  assert_string_equal(j.at[1].beside[SCORE_BASE], in(2, "base/in-01.mov"));
  assert_null(j.at[2].beside[SCORE_BASE]);
  assert_string_equal(j.at[3].file, in(2, "clips/seq/%d.png"));
  assert_string_equal(j.at[3].beside[SCORE_BASE], in(2, "base/seq.mkv"));
  assert_int_equal(j.alone[SCORE_BASE], 1);
  assert_int_equal(j.alone[SCORE_TRUTH], 0);
  assert_null(j.frames);
  score_jobs_close(&j);
}

static void alphas_are_by_name(void **state) {
  (void)state;
  score_jobs j = jobs((score_sources){.rgb = in(0, "clips"), .alpha = in(1, "alpha")});
  assert_int_equal(j.n, 4);
  for (int64_t i = 0; i < j.n; i++) {
    char want[64];
    snprintf(want, sizeof want, "alpha/%s.png", j.at[i].name);
    assert_string_equal(j.at[i].alpha, in(2, want));
    assert_false(j.at[i].coloured);
  }
  score_jobs_close(&j);
  refuse((score_sources){.rgb = in(0, "clips"), .alpha = in(1, "base")}, E_ARG, "nothing there is called in-010");
}

static void one_file_is_of_one_clip(void **state) {
  (void)state;
  const char *one[] = {in(0, "clips/in-01.mkv")}, *two[] = {one[0], in(1, "clips/b.c.webm")};
  score_jobs j = jobs((score_sources){.clips = one, .n_clips = 1, .beside[SCORE_TRUTH] = in(2, "alpha/unused.png")});
  assert_string_equal(j.at[0].beside[SCORE_TRUTH], in(3, "alpha/unused.png"));
  score_jobs_close(&j);
  refuse((score_sources){.clips = two, .n_clips = 2, .beside[SCORE_TRUTH] = in(2, "alpha/unused.png")}, E_ARG,
         "one file for 2 clips");
  refuse((score_sources){.clips = two, .n_clips = 2, .beside[SCORE_TRIMAP] = in(2, "row")}, E_ARG,
         "no file there has the name of a clip");
}

static void equal_names_are_told_apart(void **state) {
  (void)state;
  const char *clips[] = {in(0, "clips/in-01.mkv"), in(1, "more"), in(2, "clips/b.c.webm")};
  score_jobs j = jobs((score_sources){.clips = clips, .n_clips = 3, .beside[SCORE_BASE] = in(3, "base")});
  names_are(&j, (const char *const[]){clips[0], in(4, "more/in-01.mkv"), "b.c", NULL});
  assert_string_equal(j.at[0].beside[SCORE_BASE], j.at[1].beside[SCORE_BASE]);
  score_jobs_close(&j);
}

static void datasets_say_what_they_are(void **state) {
  (void)state;
  const char *list[] = {in(0, "list")}, *set[] = {in(1, "set")}, *half[] = {in(2, "half")};
  score_jobs j = jobs((score_sources){.clips = list, .n_clips = 1});
  names_are(&j, (const char *const[]){"two", "one", NULL});
  assert_true(j.at[0].coloured && j.at[0].colour == CLIP_PREMULTIPLIED && !j.at[0].alpha);
  assert_true(j.at[1].coloured && j.at[1].colour == CLIP_STRAIGHT);
  assert_string_equal(j.at[1].alpha, in(3, "list/m.png"));
  score_jobs_close(&j);
  j = jobs((score_sources){.clips = set, .n_clips = 1});
  names_are(&j, (const char *const[]){"x", "y", NULL});
  for (int i = 0; i < 2; i++) assert_true(j.at[i].coloured && j.at[i].colour == CLIP_STRAIGHT);
  assert_string_equal(j.at[1].alpha, in(3, "set/pha/y.png"));
  score_jobs_close(&j);
  refuse((score_sources){.clips = half, .n_clips = 1}, E_ARG, "no file there has the name of a clip");
}

static void numbered_pictures_are_noted(void **state) {
  (void)state;
  const char *row[] = {in(0, "row")}, *alpha[] = {in(1, "alpha")}, *nothing[] = {in(2, "nothing")},
             *none[] = {in(3, "none.mkv")};
  score_jobs j = jobs((score_sources){.clips = row, .n_clips = 1});
  names_are(&j, (const char *const[]){"3", "4", "5", NULL});
  assert_string_equal(j.frames, in(4, "row/%d.png"));
  score_jobs_close(&j);
  j = jobs((score_sources){.clips = alpha, .n_clips = 1});
  assert_int_equal(j.n, 5);
  assert_null(j.frames);
  score_jobs_close(&j);
  refuse((score_sources){.clips = nothing, .n_clips = 1}, E_ARG, "holds no video or image");
  j = jobs((score_sources){.clips = none, .n_clips = 1}); /* that it is missing shows when it is read */
  names_are(&j, (const char *const[]){"none", NULL});
  score_jobs_close(&j);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pairs_are_by_name),          cmocka_unit_test(alphas_are_by_name),
      cmocka_unit_test(one_file_is_of_one_clip),    cmocka_unit_test(equal_names_are_told_apart),
      cmocka_unit_test(datasets_say_what_they_are), cmocka_unit_test(numbered_pictures_are_noted)};
  return cmocka_run_group_tests(tests, open_folder, close_folder);
}
