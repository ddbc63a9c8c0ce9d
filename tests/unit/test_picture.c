/* PNG pictures and contact sheets, read back through the video reader. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/text.h"
#include "media/picture.h"
#include "media/video.h"

static char path[64];

static int make_path(void **state) {
  (void)state;
  snprintf(path, sizeof path, "/tmp/tandem-picture-%ld.png", (long)getpid());
  return 0;
}

static int drop_path(void **state) {
  (void)state;
  return unlink(path);
}

static void need(int rc, const err *e) {
  if (rc != OK) fail_msg("%s", e->text);
}

static clip read_back(void) {
  err e = {0};
  clip c;
  need(video_read(&e, path, NULL, &c), &e);
  assert_int_equal(c.frames, 1);
  return c;
}

static void picture(void **state) {
  (void)state;
  err e = {0};
  float rgb[3 * 5 * 3], alpha[3 * 5];
  for (int i = 0; i < 45; i++) rgb[i] = (float)((i * 37) % 256) / 255;
  for (int i = 0; i < 15; i++) alpha[i] = (float)((i * 53) % 256) / 255;
  need(picture_write(&e, path, 3, 5, rgb, alpha), &e);
  clip c = read_back();
  assert_int_equal(c.height * 10 + c.width, 35);
  assert_memory_equal(c.rgb, rgb, sizeof rgb);
  assert_memory_equal(c.alpha, alpha, sizeof alpha);
  clip_free(&c);
  need(picture_write(&e, path, 3, 5, rgb, NULL), &e);
  c = read_back();
  assert_null(c.alpha);
  assert_memory_equal(c.rgb, rgb, sizeof rgb);
  clip_free(&c);
  rgb[7] = NAN;
  assert_int_equal(picture_write(&e, path, 3, 5, rgb, NULL), E_NAN);
  err_clear(&e);
  assert_int_equal(picture_write(&e, path, 0, 5, rgb, NULL), E_ARG);
}

static double pixel(const clip *c, int y, int x, int k) {
  return (double)c->rgb[3 * (y * c->width + x) + k];
}

static void sheet_of(const char *file, int labelled) {
  err e = {0};
  sheet *s;
  static const float red[] = {1, 0, 0, 0, 0, 1}, gray[] = {.2f, 2};
  need(sheet_open(&e, &(sheet_shape){.rows = 2, .columns = 3, .tile_height = 1, .tile_width = 2, .scale = 20}, &s),
       &e);
  need(sheet_rgb(s, &e, 0, 0, red), &e);
  need(sheet_gray(s, &e, 1, 2, gray), &e);
  if (labelled) {
    need(sheet_row_label(s, &e, 0, "sequence"), &e);
    need(sheet_row_label(s, &e, 0, "b\xc3\xa4tch"), &e); /* the second replaces the first */
    need(sheet_column_label(s, &e, 1, "a label far wider than its column"), &e);
  }
  need(sheet_write(s, &e, file), &e);
  assert_int_equal(sheet_rgb(s, &e, 2, 0, red), E_ARG);
  err_clear(&e);
  assert_int_equal(sheet_column_label(s, &e, 3, "x"), E_ARG);
  sheet_close(s);
}

static void tiles(void **state) {
  (void)state;
  sheet_of(path, 0);
  clip c = read_back();
  assert_int_equal(c.width, 3 * 41 - 1);
  assert_int_equal(c.height, 2 * 21 - 1);
  for (int x = 0; x < 40; x++)
    for (int k = 0; k < 3; k++) assert_true(pixel(&c, 19, x, k) == (k == (x < 20 ? 0 : 2)));
  for (int y = 0; y < c.height; y++) assert_true(pixel(&c, y, 40, 1) == 1); /* the gap */
  assert_true(fabs(pixel(&c, 21, 82, 1) - .2) < 1e-6);
  assert_true(pixel(&c, 40, 121, 1) == 1);
  assert_true(fabs(pixel(&c, 0, 60, 0) - 0xee / 255.0) < 1e-6); /* an empty tile */
  clip_free(&c);
}

static void labels(void **state) {
  (void)state;
  err e = {0};
  char one[HASH_HEX], two[HASH_HEX];
  sheet_of(path, 1);
  clip c = read_back();
  int left = c.width - (3 * 41 - 1), top = c.height - (2 * 21 - 1);
  assert_true(left > 20 && left < 120);
  assert_true(top == 16);
  assert_true(pixel(&c, top, left, 0) == 1 && pixel(&c, top, left, 1) == 0);
  int ink[2] = {0, 0}, outside = 0;
  for (int y = 0; y < top; y++)
    for (int x = 0; x < c.width; x++) {
      int dark = pixel(&c, y, x, 0) < .5;
      if (x >= left + 41 && x < left + 81)
        ink[0] += dark;
      else
        outside += dark;
    }
  for (int y = top; y < top + 20; y++)
    for (int x = 0; x < left; x++) ink[1] += pixel(&c, y, x, 0) < .5;
  assert_true(ink[0] > 20 && ink[1] > 20);
  assert_int_equal(outside, 0);
  clip_free(&c);
  need(hash_file(&e, path, one), &e);
  sheet_of(path, 1);
  need(hash_file(&e, path, two), &e);
  assert_string_equal(one, two);
}

static void refusals(void **state) {
  (void)state;
  err e = {0};
  sheet *s;
  assert_int_equal(sheet_open(&e, &(sheet_shape){1, 1, 0, 1, 1}, &s), E_ARG);
  err_clear(&e);
  assert_int_equal(sheet_open(&e, &(sheet_shape){1, 100, 480, 720, 1}, &s), E_ARG);
  err_clear(&e);
  need(sheet_open(&e, &(sheet_shape){1, 1, 4, 4, 1}, &s), &e);
  need(sheet_row_label(s, &e, 0, "\xff\xfe"), &e);
  assert_int_equal(sheet_write(s, &e, path), E_ARG);
  sheet_close(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(picture), cmocka_unit_test(tiles), cmocka_unit_test(labels),
                                     cmocka_unit_test(refusals)};
  return cmocka_run_group_tests(tests, make_path, drop_path);
}
