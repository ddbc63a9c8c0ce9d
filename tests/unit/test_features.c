/* Feature files: those that NumPy wrote (tests/golden/features, made by make.py there), hostile ones, safetensors,
 * and the JSON file beside them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "golden.h"
#include "media/features.h"
#include "media/zip.h"
#include "metrics/set.h"
#include "scratch.h"

static const char *file(const char *name) {
  char path[96];
  snprintf(path, sizeof path, "features/%s", name);
  return golden_path(path);
}

static features read_good(const char *path) {
  err e = {0};
  features f;
  if (features_read(&e, path, &f) != OK) fail_msg("%s: %s", path, e.text);
  return f;
}

static void is_x(const char *name, const features *f) {
  assert_true(f->n == 5 && f->dim == 3 && f->x && !f->mu && !f->sigma);
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 3; k++)
      if (f->x[3 * i + k] != i + k / 4.0 - 1) fail_msg("%s: [%d][%d] is %g", name, i, k, f->x[3 * i + k]);
}

static void numpy_files(void **state) {
  (void)state;
  static const char *const name[] = {"v1.npy",       "v2.npy",  "v3.npy",   "f8.npy",    "stored.npz",
                                     "deflated.npz", "one.npz", "good.npz", "packed.npz"};
  for (int i = 0; i < 9; i++) {
    features f = read_good(file(name[i]));
    is_x(name[i], &f);
    assert_null(f.source);
    features_free(&f);
  }
  features f = read_good(file("none.npy"));
  assert_true(f.n == 0 && f.dim == 3);
  features_free(&f);
}

static void moments(void **state) {
  (void)state;
  static const char *const name[] = {"moments.npz", "moments_packed.npz"};
  for (int i = 0; i < 2; i++) {
    features f = read_good(file(name[i]));
    assert_true(!f.x && f.n == 0 && f.dim == 3);
    for (int k = 0; k < 3; k++) {
      assert_true(f.mu[k] == k / 2.0);
      for (int j = 0; j < 3; j++) assert_true(f.sigma[3 * k + j] == (k == j) + 0.125);
    }
    features_free(&f);
  }
}

/* From files to a distance: equal covariances leave the distance of the means. */
static void files_to_scores(void **state) {
  (void)state;
  err e = {0};
  features a = read_good(file("moments.npz")), b = read_good(file("moments_packed.npz")),
           x = read_good(file("f8.npy"));
  set_request r;
  set_result out;
  set_matrix ma = {.mu = a.mu, .sigma = a.sigma, .dim = 3}, mb = {.mu = b.mu, .sigma = b.sigma, .dim = 3};
  b.mu[1] += 3, b.mu[2] -= 4;
  assert_int_equal(set_parse(&e, "frechet", &r), OK);
  assert_int_equal(set_score(&e, &r, &ma, &mb, 1, &out), OK);
  assert_true(!out.reason && fabs(out.value - 25) < 1e-12);
  set_matrix mx = {.x = x.x, .n = x.n, .rows = 1, .dim = x.dim};
  assert_int_equal(set_score(&e, &r, &mx, &ma, 1, &out), OK);
  assert_true(!out.reason && out.value > 0 && out.n_x == 5 && out.n_y == 0);
  features_free(&a), features_free(&b), features_free(&x);
}

static void refused(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int code;
    const char *what;
  } plan[] = {{"fortran.npy", E_UNSUPPORTED, "Fortran order"},
              {"big.npy", E_UNSUPPORTED, "big-endian"},
              {"half.npy", E_UNSUPPORTED, "'<f2'"},
              {"object.npy", E_UNSUPPORTED, "pickled"},
              {"pickle.npy", E_UNSUPPORTED, "pickle"},
              {"record.npy", E_UNSUPPORTED, "structured"},
              {"cube.npy", E_FORMAT, "3 axes"},
              {"line.npy", E_FORMAT, "1 axes"},
              {"torch.npz", E_UNSUPPORTED, "data.pkl"},
              {"two.npz", E_FORMAT, "2 arrays"},
              {"skew.npz", E_FORMAT, "not symmetric"},
              {"up.npz", E_FORMAT, "leads out"},
              {"bomb.npz", E_FORMAT, "1048576 bytes follow"},
              {"bzip2.npz", E_UNSUPPORTED, "method 12"},
              {"huge.npz", E_FORMAT, "4294967280 bytes"},
              {"zip64.npz", E_UNSUPPORTED, "zip64"},
              {"locked.npz", E_UNSUPPORTED, "encrypted"},
              {"crc.npz", E_FORMAT, "checksum"},
              {"away.npz", E_FORMAT, "not where"},
              {"count.npz", E_FORMAT, "damaged"},
              {"twice.npz", E_FORMAT, "there twice"},
              {"overlap.npz", E_FORMAT, "overlap"},
              {"no such file.npy", E_IO, "no such file"}};
  for (size_t i = 0; i < sizeof plan / sizeof plan[0]; i++) {
    err e = {0};
    features f;
    memset(&f, 0xff, sizeof f);
    int rc = features_read(&e, file(plan[i].name), &f);
    if (rc != plan[i].code || !strstr(e.text, plan[i].what) || !strstr(e.text, plan[i].name))
      fail_msg("%s: %d, %s", plan[i].name, rc, e.text);
    assert_true(!f.x && !f.mu && !f.sigma && !f.source && f.n == 0);
  }
}

/* Every shorter file is refused. */
static void cut_short(void **state) {
  (void)state;
  static const char *const name[] = {"v1.npy", "v3.npy", "stored.npz", "deflated.npz", "moments_packed.npz"};
  for (int i = 0; i < 5; i++) {
    err e = {0};
    char *data;
    size_t n;
    features f;
    assert_int_equal(file_read(&e, file(name[i]), 1 << 16, &data, &n), OK);
    for (size_t k = 0; k < n; k++) {
      char *copy = malloc(k + 1);
      assert_non_null(copy);
      memcpy(copy, data, k);
      if (features_parse(&e, "cut", copy, k, &f) == OK) fail_msg("%s cut to %zu bytes is read", name[i], k);
      err_clear(&e);
      free(copy);
    }
    free(data);
  }
}

/* Headers that no NumPy writes. */
static void odd_headers(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",
      "{",
      "{}",
      "{'descr': '<f4', 'fortran_order': False}",
      "{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 1)}",
      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)} x",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 1)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), 'more': 1}",
      "{'descr': __import__('os'), 'fortran_order': False, 'shape': (1, 1)}"};
  static const char good[] = "{'shape': (1,1), \"descr\" : '<f4','fortran_order':False}";
  for (size_t i = 0; i <= sizeof bad / sizeof bad[0]; i++) {
    err e = {0};
    features f;
    const char *header = i < sizeof bad / sizeof bad[0] ? bad[i] : good;
    size_t n = strlen(header);
    char data[256] = "\x93NUMPY\x01";
    data[8] = (char)n;
    memcpy(data + 10, header, n);
    memcpy(data + 10 + n, "\0\0\x40\x40", 4); /* 3.0f */
    int rc = features_parse(&e, "odd", data, n + 14, &f);
    if ((header == good) != (rc == OK)) fail_msg("%s: %d %s", header, rc, e.text);
    if (rc == OK) assert_true(f.n == 1 && f.dim == 1 && f.x[0] == 3);
    features_free(&f);
  }
}

static void tensor_files(void **state) {
  (void)state;
  err e = {0};
  st_writer *w;
  const int64_t shape[] = {2, 3}, one[] = {3}, square[] = {3, 3};
  const double x[] = {1, 2, 3, 4, 5, 6}, sigma[] = {2, 1, 0, 1, 2, 0, 0, 0, 1};
  assert_int_equal(st_writer_open(&e, &w), OK);
  assert_int_equal(st_writer_add(w, &e, "mu", DT_F64, 1, one, x), OK);
  assert_int_equal(st_writer_add(w, &e, "sigma", DT_F64, 2, square, sigma), OK);
  assert_int_equal(st_writer_save(w, &e, scratch_path(0, "moments.safetensors")), OK);
  assert_int_equal(st_writer_add(w, &e, "features", DT_F64, 2, shape, x), OK);
  assert_int_equal(st_writer_save(w, &e, scratch_path(1, "rows.safetensors")), OK);
  st_writer_close(w);
  features f = read_good(scratch_path(0, "moments.safetensors"));
  assert_true(f.dim == 3 && f.mu[2] == 3 && f.sigma[1] == 1 && !f.x);
  features_free(&f);
  f = read_good(scratch_path(1, "rows.safetensors"));
  assert_true(f.n == 2 && f.dim == 3 && f.x[5] == 6 && !f.mu);
  features_free(&f);
}

static void copy_features(const char *name) {
  err e = {0};
  char *data;
  size_t n;
  assert_int_equal(file_read(&e, file("v1.npy"), 1 << 16, &data, &n), OK);
  assert_int_equal(file_write(&e, scratch_path(2, name), data, n), OK);
  free(data);
}

static void where_from(void **state) {
  (void)state;
  copy_features("a.b.npy");
  scratch_write("a.b.json",
                "{\"weights\": \"sha256:1\", \"extractor\": \"i3d\", \"note\": [1], \"frame_rule\": \"16\"}");
  features f = read_good(scratch_path(2, "a.b.npy"));
  assert_string_equal(f.source, "{\"extractor\":\"i3d\",\"frame_rule\":\"16\",\"weights\":\"sha256:1\"}");
  is_x("a.b.npy", &f);
  features_free(&f);
  scratch_write("a.b.json", "{\"clips\": 3}");
  f = read_good(scratch_path(2, "a.b.npy"));
  assert_null(f.source);
  features_free(&f);
  static const char *const bad[] = {"{\"extractor\": 3}", "[]", "{", "{\"extractor\": \"a\", \"extractor\": \"b\"}"};
  for (int i = 0; i < 4; i++) {
    err e = {0};
    scratch_write("a.b.json", bad[i]);
    assert_int_equal(features_read(&e, scratch_path(2, "a.b.npy"), &f), E_FORMAT);
    assert_non_null(strstr(e.text, "a.b.json"));
    assert_true(!f.x && !f.source);
  }
}

static int open_scratch(void **state) {
  (void)state;
  return scratch_open() ? 0 : -1;
}

static int close_scratch(void **state) {
  (void)state;
  scratch_close();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(numpy_files),     cmocka_unit_test(moments),
                                     cmocka_unit_test(files_to_scores), cmocka_unit_test(refused),
                                     cmocka_unit_test(cut_short),       cmocka_unit_test(odd_headers),
                                     cmocka_unit_test(tensor_files),    cmocka_unit_test(where_from)};
  return cmocka_run_group_tests(tests, open_scratch, close_scratch);
}
