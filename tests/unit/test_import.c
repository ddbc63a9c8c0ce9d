/* The sample stage of clips that another program made: what is kept, what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "media/video.h"
#include "run/stage.h"
#include "scratch.h"
#include "study/content.h"

enum { FRAMES = 3, HEIGHT = 5, WIDTH = 7, PIXELS = FRAMES * HEIGHT * WIDTH };

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

static int on_temp(void *user, err *e, const char *suffix, char path[STAGE_PATH]) {
  int *made = user;
  char name[64];
  (void)e;
  snprintf(name, sizeof name, "out%d%s", (*made)++, suffix);
  snprintf(path, STAGE_PATH, "%s", scratch_path(7, name));
  return OK;
}

/* Codes of `levels` (255 or 65535), so that a file of those bits holds them exactly. */
static void put(const char *name, int frames, clip_colour colour, int has_alpha, int bits) {
  err e = {0};
  clip c;
  int levels = bits == 16 ? 65535 : 255;
  need(clip_new(&e, frames, HEIGHT, WIDTH, has_alpha, &c), &e);
  c.fps = 25;
  c.colour = colour;
  for (int i = 0; i < frames * HEIGHT * WIDTH; i++) {
    for (int k = 0; k < 3; k++) c.rgb[3 * i + k] = (float)((i * 37 + k * 101 + 3) % levels) / (float)levels;
    if (has_alpha) c.alpha[i] = (float)((i * 613 + 77) % levels) / (float)levels;
  }
  need(video_write(&e, scratch_path(0, name), &c, &(video_write_options){.bits = bits}), &e);
  clip_free(&c);
}

typedef struct imported {
  int rc;
  err e;
  clip c;
} imported;

static imported import(const char *name, const char *design_words, const char *sha) {
  static const char *const format =
      "{\"data\": {\"fps\": 8, \"frames\": %d, \"size\": [%d, %d]}, \"design\": \"%s\"}";
  imported r = {0};
  char spec[256];
  int made = 0;
  json *j = NULL;
  stage_file in = {.role = "file", .sha256 = sha};
  snprintf(in.path, sizeof in.path, "%s", scratch_path(0, name));
  snprintf(spec, sizeof spec, format, FRAMES, HEIGHT, WIDTH, design_words);
  need(json_parse(&r.e, "spec", spec, strlen(spec), &j), &r.e);
  stage_cell cell = {.spec = j, .inputs = &in, .n_inputs = 1};
  stage_env env = {.threads = 1, .checkpoint = "", .temp = on_temp, .user = &made};
  r.rc = stage_run(&r.e, STAGE_SAMPLE, &cell, 1, &env);
  if (r.rc == OK) {
    assert_int_equal(cell.n_outputs, 1);
    assert_string_equal(cell.outputs[0].role, "clip");
    need(video_read(&r.e, cell.outputs[0].path, NULL, &r.c), &r.e);
  }
  json_free(j);
  return r;
}

static void refused(imported r, const char *words) {
  assert_int_not_equal(r.rc, OK);
  if (!strstr(r.e.text, words)) fail_msg("\"%s\" is not in: %s", words, r.e.text);
}

/* The clip as a file of its own gives the same floats, and they vary. */
static void same_pixels(const clip *got, const char *name) {
  err e = {0};
  clip want;
  need(video_read(&e, scratch_path(0, name), NULL, &want), &e);
  assert_int_equal(got->frames, FRAMES);
  assert_int_equal(got->height, HEIGHT);
  assert_int_equal(got->width, WIDTH);
  assert_memory_equal(got->rgb, want.rgb, 3 * PIXELS * sizeof(float));
  assert_memory_equal(got->alpha, want.alpha, PIXELS * sizeof(float));
  float lo = 1, hi = 0;
  for (int i = 0; i < PIXELS; i++) {
    lo = fminf(lo, got->alpha[i]);
    hi = fmaxf(hi, got->alpha[i]);
  }
  assert_true(lo < 0.1f && hi > 0.9f);
  clip_free(&want);
}

static void pixels_are_kept(void **state) {
  (void)state;
  static const int bits[] = {8, 16};
  for (int i = 0; i < 2; i++) {
    put("a.mkv", FRAMES, CLIP_PREMULTIPLIED, 1, bits[i]);
    imported r = import("a.mkv", "external:colour=straight", NULL);
    need(r.rc, &r.e);
    same_pixels(&r.c, "a.mkv");
    assert_int_equal(r.c.colour, CLIP_PREMULTIPLIED); /* the file says so itself */
    assert_true(fabs(r.c.fps - 8) < 1e-6);
    clip_free(&r.c);
  }
}

/* A WebP carries no word about its colour. */
static void colour_is_stated(void **state) {
  (void)state;
  static const char *const words[] = {"external", "external:colour=decoded", "external:colour=premultiplied"};
  static const clip_colour want[] = {CLIP_STRAIGHT, CLIP_DECODED, CLIP_PREMULTIPLIED};
  err e = {0};
  clip c;
  float *alpha;
  need(clip_new(&e, 1, HEIGHT, WIDTH, 1, &c), &e);
  alpha = c.alpha;
  for (int i = 0; i < HEIGHT * WIDTH; i++) alpha[i] = (float)(i + 1) / 255;
  c.fps = 8;
  scratch_write("w/notes.txt", "");
  char name[32];
  for (int k = 0; k < FRAMES; k++) {
    snprintf(name, sizeof name, "w/%d.webp", 5 + k);
    need(video_write(&e, scratch_path(0, name), &c, &(video_write_options){.codec = VIDEO_WEBP}), &e);
  }
  clip_free(&c);
  for (int i = 0; i < 3; i++) {
    imported r = import("w", words[i], NULL);
    if (r.rc == OK) assert_int_equal(r.c.colour, want[i]);
    need(r.rc, &r.e);
    for (int k = 0; k < PIXELS; k++) assert_int_equal((int)(r.c.alpha[k] * 255 + 0.5f), k % (HEIGHT * WIDTH) + 1);
    clip_free(&r.c);
  }
}

static void wrong_clips_are_refused(void **state) {
  (void)state;
  put("short.mkv", FRAMES - 1, CLIP_STRAIGHT, 1, 8);
  refused(import("short.mkv", "external", NULL), "short.mkv has 2 frames of 7x5");
  put("long.mkv", FRAMES + 1, CLIP_STRAIGHT, 1, 8);
  refused(import("long.mkv", "external", NULL), "clips have 3 of 7x5");
  put("bare.mkv", FRAMES, CLIP_DECODED, 0, 8);
  refused(import("bare.mkv", "external", NULL), "alpha was lost");
  scratch_write("text.mkv", "no video");
  refused(import("text.mkv", "external", NULL), "text.mkv");
  refused(import("gone.mkv", "external", NULL), "gone.mkv");
  scratch_write("empty/readme.txt", "");
  refused(import("empty", "external", NULL), "no numbered sequence");
}

static void changed_files_are_refused(void **state) {
  (void)state;
  err e = {0};
  char sha[HASH_HEX];
  put("c.mkv", FRAMES, CLIP_STRAIGHT, 1, 8);
  need(content_sha(NULL, &e, scratch_path(0, "c.mkv"), sha), &e);
  imported r = import("c.mkv", "external", sha);
  need(r.rc, &r.e);
  clip_free(&r.c);
  put("c.mkv", FRAMES, CLIP_STRAIGHT, 1, 16);
  r = import("c.mkv", "external", sha);
  refused(r, "changed since the study was planned");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(pixels_are_kept), cmocka_unit_test(colour_is_stated),
                                     cmocka_unit_test(wrong_clips_are_refused),
                                     cmocka_unit_test(changed_files_are_refused)};
  return cmocka_run_group_tests(tests, open_folder, close_folder);
}
