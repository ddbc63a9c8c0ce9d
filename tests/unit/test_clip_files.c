/* Clips by name: what counts as one, order, pairing, numbered frames and their gaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "media/clip_files.h"
#include "media/picture.h"
#include "media/video.h"
#include "scratch.h"

static int open_folder(void **state) {
  (void)state;
  return scratch_open() ? 0 : -1;
}

static int close_folder(void **state) {
  (void)state;
  scratch_close();
  return 0;
}

static void need(int rc, const err *e) {
  if (rc != OK) fail_msg("%s", e->text);
}

static void refuse(int rc, int want, err *e, const char *words) {
  if (rc != want) fail_msg("rc %d instead of %d: %s", rc, want, e->text);
  if (!strstr(e->text, words)) fail_msg("\"%s\" is not in: %s", words, e->text);
  err_clear(e);
}

static clip_files list(const char *folder) {
  err e = {0};
  clip_files l;
  need(clip_files_list(&e, scratch_path(0, folder), &l), &e);
  return l;
}

static void put(const char *folder, const char *const *names) {
  char path[128];
  for (; *names; names++) {
    snprintf(path, sizeof path, "%s/%s", folder, *names);
    scratch_write(path, "x");
  }
}

static void clips_are_listed_by_name(void **state) {
  (void)state;
  static const char *const names[] = {"b.mkv",       "a.MOV",        "a.b.webm",    "notes.txt", ".hidden.mkv",
                                      "noending",    "in-01_10.png", "in-01_9.mp4", "x/1.png",   "x/2.png",
                                      "y/1.png",     "y/k.png",      "z/1.txt",     "w/.1.png",  "v/f_009.tif",
                                      "v/f_010.tif", "u/a1b.png",    "mix/1.mkv",   "mix/2.mkv", NULL};
  static const char *const want[] = {"a", "a.b", "b", "in-01_10", "in-01_9", "u", "v", "x"};
  put("l", names);
  clip_files l = list("l");
  assert_int_equal(l.n, sizeof want / sizeof want[0]);
  for (int64_t i = 0; i < l.n; i++) assert_string_equal(l.at[i].name, want[i]);
  assert_string_equal(l.at[1].path, scratch_path(1, "l/a.b.webm"));
  assert_string_equal(l.at[7].path, scratch_path(1, "l/x"));
  clip_files_close(&l);
}

static void names_are_found(void **state) {
  (void)state;
  static const char *const names[] = {"in-01_0.mkv", "in-01_1.png", "in-010_0.webm", "q.r.gif", NULL};
  put("f", names);
  clip_files l = list("f");
  assert_int_equal(l.n, 4);
  for (int64_t i = 0; i < l.n; i++) assert_ptr_equal(clip_files_find(&l, l.at[i].name), &l.at[i]);
  static const char *const absent[] = {"", "in-01", "in-01_0.mkv", "in-01_2", "q", "q.r.gif", "zz", "IN-01_0"};
  for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) assert_null(clip_files_find(&l, absent[i]));
  clip_files_close(&l);
  assert_null(clip_files_find(&l, "q.r"));
}

static void equal_names_are_refused(void **state) {
  (void)state;
  err e = {0};
  clip_files l;
  static const char *const names[] = {"a.mkv", "b.mkv", "b/1.png", NULL};
  put("t", names);
  refuse(clip_files_list(&e, scratch_path(0, "t"), &l), E_ARG, &e, "b.mkv");
  assert_int_equal(l.n, 0);
  refuse(clip_files_list(&e, scratch_path(0, "none"), &l), E_IO, &e, "none");
}

static void pattern(const char *folder, const char *want) {
  err e = {0};
  char *got = NULL;
  need(clip_files_open_path(&e, scratch_path(0, folder), &got), &e);
  assert_string_equal(got, scratch_path(1, want));
  free(got);
}

static void frames_give_a_pattern(void **state) {
  (void)state;
  static const char *const padded[] = {"f_0998.png", "f_0999.png", "f_1000.png", NULL};
  static const char *const plain[] = {"9.jpg", "10.jpg", "11.jpg", "readme.txt", NULL};
  static const char *const percent[] = {"5%07.png", "5%08.png", NULL};
  static const char *const wide[] = {"a2b100c.bmp", "a2b099c.bmp", NULL};
  put("padded", padded);
  put("plain", plain);
  put("percent", percent);
  put("wide", wide);
  pattern("padded", "padded/f_%04d.png");
  pattern("plain", "plain/%d.jpg");
  pattern("percent", "percent/5%%%02d.png");
  pattern("wide", "wide/a2b%03dc.bmp");
  scratch_write("one.mkv", "x");
  pattern("one.mkv", "one.mkv");
}

static void gaps_are_refused(void **state) {
  (void)state;
  err e = {0};
  char *got;
  clip_files l;
  static const char *const gap[] = {"07.png", "08.png", "10.png", "12.png", NULL};
  static const char *const ragged[] = {"01.png", "2.png", NULL};
  static const char *const two[] = {"a1.png", "b2.png", NULL};
  static const char *const huge[] = {"12345678901234567890.png", NULL};
  put("g/gap", gap);
  put("ragged", ragged);
  put("two", two);
  put("huge", huge);
  put("empty", (const char *const[]){"x.txt", NULL});
  refuse(clip_files_open_path(&e, scratch_path(0, "g/gap"), &got), E_FORMAT, &e, "2 frames");
  assert_null(got);
  refuse(clip_files_list(&e, scratch_path(0, "g"), &l), E_FORMAT, &e, "2 frames");
  static const char *const none[] = {"ragged", "two", "huge", "empty"};
  for (int i = 0; i < 4; i++)
    refuse(clip_files_open_path(&e, scratch_path(0, none[i]), &got), E_FORMAT, &e, "no numbered sequence");
}

/* Frames numbered from 1001 on are all read, in order, with their alpha. */
static void sequences_can_be_read(void **state) {
  (void)state;
  err e = {0};
  enum { N = 5, H = 3, W = 4 };
  char name[64], *path = NULL;
  clip c = {0};
  scratch_write("seq/notes.txt", "x");
  for (int k = 0; k < N; k++) {
    float rgb[H * W * 3], alpha[H * W];
    for (int i = 0; i < H * W; i++) {
      alpha[i] = (float)(k * 10 + i) / 255;
      for (int j = 0; j < 3; j++) rgb[3 * i + j] = (float)(200 - 20 * k - i - j) / 255;
    }
    snprintf(name, sizeof name, "seq/p%%s_%d.png", 1001 + k);
    need(picture_write(&e, scratch_path(0, name), H, W, rgb, alpha), &e);
  }
  need(clip_files_open_path(&e, scratch_path(0, "seq"), &path), &e);
  need(video_read(&e, path, &(video_options){.need_alpha = 1}, &c), &e);
  assert_int_equal(c.frames, N);
  assert_int_equal(c.height, H);
  assert_int_equal(c.width, W);
  for (int i = 0; i < N * H * W; i++) {
    int k = i / (H * W), p = i % (H * W);
    assert_int_equal((int)(c.alpha[i] * 255 + 0.5f), k * 10 + p);
    for (int j = 0; j < 3; j++) assert_int_equal((int)(c.rgb[3 * i + j] * 255 + 0.5f), 200 - 20 * k - p - j);
  }
  clip_free(&c);
  free(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clips_are_listed_by_name), cmocka_unit_test(names_are_found),
      cmocka_unit_test(equal_names_are_refused),  cmocka_unit_test(frames_give_a_pattern),
      cmocka_unit_test(gaps_are_refused),         cmocka_unit_test(sequences_can_be_read)};
  return cmocka_run_group_tests(tests, open_folder, close_folder);
}
