/* The golden flow of cv2 through `tandem flow`: pictures in, .flo out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "media/flo.h"
#include "media/picture.h"
#include "model/safetensors.h"
#include "scratch.h"

static uint32_t word(const char *p) {
  uint32_t v = 0;
  for (int k = 3; k >= 0; k--) v = v << 8 | (unsigned char)p[k];
  return v;
}

static float number(const char *p) {
  uint32_t bits = word(p);
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

/* Frame t of the golden pair as a gray PNG. */
static const char *write_frame(const st_tensor *pair, int t) {
  err e = {0};
  int h = (int)pair->shape[1], w = (int)pair->shape[2];
  int64_t n = (int64_t)h * w;
  float *rgb = malloc((size_t)(3 * n) * sizeof *rgb);
  const char *path = scratch_path(t, t ? "b.png" : "a.png");
  assert_non_null(rgb);
  for (int64_t i = 0; i < 3 * n; i++) rgb[i] = (float)(dtype_get(pair->type, pair->data, t * n + i / 3) / 255);
  assert_int_equal(picture_write(&e, path, h, w, rgb, NULL), OK);
  free(rgb);
  return path;
}

static void check(const char *pair_name, const char *flow_name, const char *params) {
  err e = {0};
  st_file *st = NULL;
  char command[2048], *bytes = NULL;
  size_t size = 0;
  st = golden_tensors("metrics/farneback");
  const st_tensor *pair = st_find(st, pair_name), *want = st_find(st, flow_name);
  assert_true(pair && want);
  int64_t n = pair->shape[1] * pair->shape[2];
  const char *a = write_frame(pair, 0), *b = write_frame(pair, 1), *flo = scratch_path(2, "x.flo");
  snprintf(command, sizeof command, "'%s' flow -q '%s' '%s' --params %s -o '%s'", getenv("TANDEM_BINARY"), a, b,
           params, flo);
  assert_int_equal(system(command), 0);
  assert_int_equal(file_read(&e, flo, 1 << 26, &bytes, &size), OK);
  assert_true((int64_t)size == 12 + 8 * n);
  assert_true(number(bytes) == 202021.25f);
  assert_true(word(bytes + 4) == (uint32_t)pair->shape[2] && word(bytes + 8) == (uint32_t)pair->shape[1]);
  double max = 0, sum = 0, length = 0;
  for (int64_t i = 0; i < n; i++) {
    double u = dtype_get(want->type, want->data, 2 * i), v = dtype_get(want->type, want->data, 2 * i + 1);
    double d = hypot((double)number(bytes + 12 + 8 * i) - u, (double)number(bytes + 16 + 8 * i) - v);
    assert_true(isfinite(d));
    max = d > max ? d : max, sum += d, length += hypot(u, v);
  }
  print_message("%-16s max %.2e mean %.2e px\n", flow_name, max, sum / (double)n);
  assert_true(length / (double)n > 0.1);
  assert_true(max <= 1e-3 && sum / (double)n <= 1e-5);
  free(bytes);
  st_close(st);
}

static void golden_flow(void **state) {
  (void)state;
  check("pair.tex96", "flow.tex96", "0.5,3,15,3,5,1.2,0");
  check("pair.tex96", "flow.tex96_gauss", "0.5,3,15,3,5,1.2,256");
  check("pair.emoji_luma", "flow.emoji_luma", "0.5,3,15,3,5,1.2,0");
}

static void bytes_are_little_endian(void **state) {
  (void)state;
  err e = {0};
  static const float flow[] = {1, -2, 0.5f, 0};
  static const unsigned char want[] = {'P',  'I',  'E', 'H', 1, 0,    0, 0, 2, 0,    0, 0, 0, 0,
                                       0x80, 0x3f, 0,   0,   0, 0xc0, 0, 0, 0, 0x3f, 0, 0, 0, 0};
  text t = {0};
  flo_print(&t, flow, 2, 1);
  assert_int_equal(text_ok(&t, &e), OK);
  assert_int_equal(t.n, sizeof want);
  assert_memory_equal(t.p, want, sizeof want);
  text_free(&t);
}

int main(void) {
  if (!getenv("TANDEM_BINARY") || !getenv("TANDEM_SOURCE")) {
    fprintf(stderr, "TANDEM_BINARY names no program\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(golden_flow), cmocka_unit_test(bytes_are_little_endian)};
  return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
