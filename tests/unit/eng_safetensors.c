#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"
#include "golden.h"
#include "model/safetensors.h"

/* --- helpers ------------------------------------------------------------------------------------------------- */

/* A temporary file's name; the caller unlinks. */
static const char *temp_path(void) {
  static char path[64];
  snprintf(path, sizeof path, "/tmp/tandem-st-%ld", (long)getpid());
  return path;
}

static void slurp(const char *path, char **data, size_t *n) {
  err e = {0};
  if (file_read(&e, path, 1 << 28, data, n) != OK) fail_msg("%s", e.text);
}

/* Length, header and `data_size` bytes counting up. */
static void make(text *t, const char *header, size_t header_size, size_t data_size) {
  *t = (text){0};
  for (int i = 0; i < 8; i++) text_addn(t, &(char){(char)((uint64_t)header_size >> (8 * i))}, 1);
  text_addn(t, header, header_size);
  for (size_t i = 0; i < data_size; i++) text_addn(t, &(char){(char)i}, 1);
  assert_int_equal(text_ok(t, NULL), OK);
}

/* Opens a copy that ends where its block ends, so that the sanitizer sees a read behind it. */
static int open_copy(err *e, const char *bytes, size_t n, char **copy, st_file **f) {
  *copy = malloc(n ? n : 1);
  assert_non_null(*copy);
  if (n) memcpy(*copy, bytes, n);
  *f = (st_file *)(uintptr_t)1;
  return st_open_bytes(e, "f", *copy, n, f);
}

static void refused_bytes(const char *bytes, size_t n, const char *message) {
  err e = {0};
  char *copy;
  st_file *f;
  int rc = open_copy(&e, bytes, n, &copy, &f);
  if (rc != E_FORMAT || strncmp(e.text, "f: ", 3) != 0 || !strstr(e.text, message))
    fail_msg("code %d, '%s'; wanted '%s'", rc, e.text, message);
  assert_null(f);
  free(copy);
}

static void refused(const char *header, size_t data_size, const char *message) {
  text t;
  make(&t, header, strlen(header), data_size);
  refused_bytes(t.p, t.n, message);
  text_free(&t);
}

static void accepted(const char *header, size_t data_size, int64_t count) {
  text t;
  err e = {0};
  char *copy;
  st_file *f;
  make(&t, header, strlen(header), data_size);
  if (open_copy(&e, t.p, t.n, &copy, &f) != OK) fail_msg("%s", e.text);
  assert_int_equal(st_count(f), count);
  st_close(f);
  free(copy);
  text_free(&t);
}

/* --- reading ------------------------------------------------------------------------------------------------- */

static void reads_the_format(void **state) {
  (void)state;
  static const char header[] =
      " \n{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]} , \"__metadata__\":{\"k\":\"\\\"v\\u00e9"
      "\\ud83e\\udd8a\\n\", \"\":\"\"},\n\t\"a\":{\"data_offsets\":[0,8],\"shape\":[1, 2],\"dtype\":\"F32\"},"
      "\"e\":{\"dtype\":\"I64\",\"shape\":[2,0],\"data_offsets\":[8,8]},\"s\":{\"dtype\":\"U8\",\"shape\":[],"
      "\"data_offsets\":[11,12]}}      ";
  err e = {0};
  text t;
  char *copy;
  st_file *f;
  make(&t, header + 2, sizeof header - 3, 12);
  assert_int_equal(open_copy(&e, t.p, t.n, &copy, &f), OK);
  assert_string_equal(st_path(f), "f");
  assert_int_equal(st_count(f), 4);
  static const char *const names[] = {"a", "b", "e", "s"};
  for (int i = 0; i < 4; i++) {
    assert_string_equal(st_at(f, i)->name, names[i]);
    assert_ptr_equal(st_find(f, names[i]), st_at(f, i));
  }
  assert_null(st_at(f, 4));
  assert_null(st_at(f, -1));
  assert_null(st_find(f, "c"));
  assert_null(st_find(f, "__metadata__"));
  const st_tensor *a = st_find(f, "a"), *b = st_find(f, "b"), *z = st_find(f, "e"), *s = st_find(f, "s");
  assert_true(a->type == DT_F32 && a->rank == 2 && a->shape[0] == 1 && a->shape[1] == 2 && a->count == 2);
  assert_true(b->type == DT_U8 && b->rank == 1 && b->count == 3 && dtype_get(b->type, b->data, 2) == 10);
  assert_true(z->type == DT_I64 && z->rank == 2 && z->shape[1] == 0 && z->count == 0);
  assert_true(s->rank == 0 && s->count == 1 && dtype_get(s->type, s->data, 0) == 11);
  assert_ptr_equal(a->data, copy + t.n - 12);
  assert_string_equal(st_meta(f, "k"), "\"v\xc3\xa9\xf0\x9f\xa6\x8a\n");
  assert_string_equal(st_meta(f, ""), "");
  assert_null(st_meta(f, "K"));
  st_close(f);
  st_close(NULL);
  free(copy);
  text_free(&t);
}

static void accepts_small_files(void **state) {
  (void)state;
  accepted("{}", 0, 0);
  accepted("{} ", 0, 0);
  accepted("{\"__metadata__\":{}}", 0, 0);
  accepted("{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, 1);
  /* empty tensors at one place, and in front of a full one */
  accepted("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":{\"dtype\":\"U8\",\"shape\":[0],"
           "\"data_offsets\":[0,0]},\"c\":{\"dtype\":\"F64\",\"shape\":[0,9],\"data_offsets\":[1,1]}}",
           1, 3);
  accepted("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, 1);
  /* data that is not aligned to its type is read as it lies */
  accepted("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
           "\"data_offsets\":[1,5]}}",
           5, 2);
}

static void refuses_bad_lengths(void **state) {
  (void)state;
  text t;
  refused_bytes("", 0, "at least 8");
  refused_bytes("1234567", 7, "at least 8");
  refused_bytes("\2\0\0\0\0\0\0\0{", 9, "cut short");
  refused_bytes("\377\377\377\377\377\377\377\377{}", 10, "at most 100000000");
  refused_bytes("\1\xe1\xf5\5\0\0\0\0{}", 10, "at most 100000000"); /* 100,000,001 */
  refused_bytes("\0\xe1\xf5\5\0\0\0\0{}", 10, "cut short");         /* 100,000,000 */
  refused_bytes("\0\0\0\0\0\0\0\0", 8, "begins with '{'");
  make(&t, " {}", 3, 0);
  refused_bytes(t.p, t.n, "begins with '{'");
  text_free(&t);
  make(&t, "{}\0", 3, 0);
  refused_bytes(t.p, t.n, "follows the closing");
  text_free(&t);
}

#define A "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}"

static void refuses_bad_grammar(void **state) {
  (void)state;
  refused("[]", 0, "begins with '{'");
  refused("{" A "}x", 2, "follows the closing");
  refused("{" A, 2, "wanted ',' or '}'");
  refused("{" A ",}", 2, "wanted '\"'");
  refused("{\"a\"}", 0, "wanted ':'");
  refused("{\"a\":1}", 0, "wanted '{'");
  refused("{\"a\":{}}", 0, "wanted '\"'");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}", 0, "exactly dtype, shape and data_offsets");
  refused("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "each once");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":[]}}", 0, "exactly dtype");
  refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2,
          "tensor 'a': dtype 'I8' is not one of");
  refused("{\"a\":{\"dtype\":\"f32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype 'f32'");
  refused("{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "wanted '\"'");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,2]}}", 2, "rank over 8");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2,2]}}", 2, "more than 2 numbers");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2]}}", 2, "fewer than 2 numbers");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[-2],\"data_offsets\":[0,2]}}", 2, "whole number, 0 or more");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2.0],\"data_offsets\":[0,2]}}", 2, "wanted ',' or ']'");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[02],\"data_offsets\":[0,2]}}", 2, "leading zero");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2,],\"data_offsets\":[0,2]}}", 2, "whole number");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775808],\"data_offsets\":[0,2]}}", 2, "over 2^63 - 1");
  refused("{\"__metadata__\":{\"a\":1}}", 0, "wanted '\"'");
  refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ twice");
  refused("{\"__metadata__\":{\"a\":\"1\",\"b\":\"\",\"\\u0061\":\"2\"}}", 0, "metadata 'a' is there twice");
  refused("{\"__metadata__\":[]}", 0, "wanted '{'");
}

static void refuses_bad_strings(void **state) {
  (void)state;
  refused("{\"a", 0, "does not end");
  refused("{\"a\\", 0, "unknown escape");
  refused("{\"a\\u12", 0, "four hex digits");
  refused("{\"a\\x\":1}", 0, "unknown escape");
  refused("{\"a\\u00g0\":1}", 0, "four hex digits");
  refused("{\"a\\u0000\":1}", 0, "NUL");
  refused("{\"a\\ud800\":1}", 0, "surrogate");
  refused("{\"a\\ud800\\u0041\":1}", 0, "surrogate");
  refused("{\"a\\udc00\":1}", 0, "surrogate");
  refused("{\"a\n\":1}", 0, "bare control character");
  refused("{\"a\xff\":1}", 0, "not UTF-8");
  refused("{\"a\xc3", 0, "not UTF-8");
  refused("{\"a\\u001b[31m\":1}", 0, "name holds a control character");
}

static void refuses_bad_ranges(void **state) {
  (void)state;
  refused("{" A "}", 1, "tensor 'a': data_offsets [0, 2] are outside the file's 1 data bytes");
  refused("{" A "}", 3, "the tensors end at data byte 2, the file at 3");
  refused("{}", 1, "the tensors end at data byte 0");
  refused("{" A "," A "}", 2, "overlaps another tensor");
  refused("{" A ",\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}", 4, "tensor 'a' is there twice");
  refused("{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "overlaps another tensor");
  refused("{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]}}", 4, "a hole before it");
  refused("{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, "a hole before it");
  refused("{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]}}", 2, "overlaps another tensor");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,0]}}", 2, "data_offsets [2, 0]");
  refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,4]}}", 4,
          "tensor 'a': F32 [1, 2] wants 8 bytes, found 4");
  refused("{\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "BF16 [] wants 2 bytes, found 4");
  /* products that overflow, in elements and in bytes, also with a zero behind them */
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, "more elements");
  refused("{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0, "more elements");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296,0],\"data_offsets\":[0,0]}}", 0,
          "more elements");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807],\"data_offsets\":[0,9223372036854775807]}}", 0,
          "outside the file");
}

/* Every file that ends early is refused, through memory and through a mapping. */
static void truncations(void **state) {
  (void)state;
  static const char header[] = "{\"__metadata__\":{\"k\":\"v\"}," A ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
                               "\"data_offsets\":[2,6]}}";
  text t;
  make(&t, header, sizeof header - 1, 6);
  for (size_t n = 0; n < t.n; n++) {
    err e = {0};
    st_file *f = NULL;
    refused_bytes(t.p, n, "");
    assert_int_equal(file_write(&e, temp_path(), t.p, n), OK);
    assert_int_equal(st_open(&e, temp_path(), &f), E_FORMAT);
    assert_non_null(strstr(e.text, temp_path()));
    assert_null(f);
  }
  unlink(temp_path());
  text_free(&t);
}

/* A good file with any one byte changed: refused with a message, or a file all of whose data can be read. */
static void mutations(void **state) {
  (void)state;
  static const char header[] = "{\"__metadata__\":{\"k\":\"\\u00e9\"}," A ",\"b\":{\"dtype\":\"F32\",\"shape\":[1,1],"
                               "\"data_offsets\":[2,6]}}";
  static const char bytes[] = "\"\\{}[]:,0129-.eutab /\n\x01\x7f\x80\xc3\xff"; /* and its final NUL */
  text t;
  int64_t good = 0, bad = 0;
  double sum = 0;
  make(&t, header, sizeof header - 1, 6);
  for (size_t i = 0; i < t.n - 6; i++)
    for (size_t k = 0; k < sizeof bytes; k++) {
      err e = {0};
      char old = t.p[i], *copy;
      st_file *f;
      t.p[i] = bytes[k];
      int rc = open_copy(&e, t.p, t.n, &copy, &f);
      t.p[i] = old;
      assert_true(rc == OK || (rc == E_FORMAT && !strncmp(e.text, "f: ", 3)));
      good += rc == OK;
      bad += rc != OK;
      for (int64_t j = 0; rc == OK && j < st_count(f); j++)
        for (int64_t x = 0; x < st_at(f, j)->count; x++) sum += dtype_get(st_at(f, j)->type, st_at(f, j)->data, x);
      st_close(f);
      free(copy);
    }
  assert_true(good > 50 && bad > 2000 && isfinite(sum));
  text_free(&t);
}

static void needs(void **state) {
  (void)state;
  text t;
  err e = {0};
  st_file *f;
  const st_tensor *a;
  static const char header[] = "{\"w\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[0,6]}}";
  make(&t, header, strlen(header), 6);
  assert_int_equal(st_open_bytes(&e, "model.st", t.p, t.n, &f), OK);
  assert_int_equal(st_need(&e, f, "w", 2, (int64_t[]){2, 3}, &a), OK);
  assert_ptr_equal(a, st_find(f, "w"));
  assert_int_equal(st_need(&e, f, "w", -1, NULL, &a), OK);
  static const struct {
    int rank;
    int64_t shape[3];
    const char *wanted;
  } wrong[] = {{2, {3, 2}, "[3, 2]"}, {1, {2}, "[2]"}, {3, {2, 3, 1}, "[2, 3, 1]"}, {0, {0}, "[]"}};
  for (int i = 0; i < 4; i++) {
    err_clear(&e);
    assert_int_equal(st_need(&e, f, "w", wrong[i].rank, wrong[i].shape, &a), E_SHAPE);
    assert_null(a);
    assert_non_null(strstr(e.text, "model.st: tensor 'w': wanted shape "));
    assert_non_null(strstr(e.text, wrong[i].wanted));
    assert_non_null(strstr(e.text, "found [2, 3]"));
  }
  err_clear(&e);
  assert_int_equal(st_need(&e, f, "bias", 1, (int64_t[]){7}, &a), E_FORMAT);
  assert_string_equal(e.text, "model.st: tensor 'bias' is missing; wanted shape [7]");
  real x[6];
  for (int i = 0; i < 6; i++) x[i] = (real)NAN;
  err_clear(&e);
  assert_int_equal(st_read_real(&e, st_find(f, "w"), x), OK);
  for (int i = 0; i < 6; i++) assert_true(x[i] == (real)i);
  assert_int_equal(st_read_real(&e, NULL, x), E_ARG);
  st_close(f);
  text_free(&t);
}

static void not_files(void **state) {
  (void)state;
  err e = {0};
  st_file *f;
  assert_int_equal(st_open(&e, "/nonexistent/x.safetensors", &f), E_IO);
  assert_non_null(strstr(e.text, "/nonexistent/x.safetensors"));
  err_clear(&e);
  assert_int_equal(st_open(&e, "/tmp", &f), E_IO);
  err_clear(&e);
  assert_int_equal(st_open(&e, "/dev/zero", &f), E_IO);
  assert_null(f);
}

/* --- writing ------------------------------------------------------------------------------------------------- */

/* Byte for byte what safetensors 0.8.0 (Python) writes for {"b": F32 [2], "a": F16 [1,1], "c": F32 []}. */
static void writes_the_format(void **state) {
  (void)state;
  static const char want[] =
      "\xc8\0\0\0\0\0\0\0{\"__metadata__\":{\"design\":\"seq\\\"\\n\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2],"
      "\"data_offsets\":[0,8]},\"c\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]},\"a\":{\"dtype\":"
      "\"F16\",\"shape\":[1,1],\"data_offsets\":[12,14]}}"
      "\0\0\x80\x3f\0\0\0\xc0\0\0\0\x3f\0\x3e";
  static const int order[2][3] = {{0, 1, 2}, {2, 1, 0}};
  static const char *const name[] = {"a", "b", "c"};
  static const real value[3][2] = {{R(1.5), 0}, {1, -2}, {R(0.5), 0}};
  static const int64_t shape[3][2] = {{1, 1}, {2, 0}, {0, 0}};
  for (int k = 0; k < 2; k++) { /* the order of adding does not show */
    err e = {0};
    st_writer *w;
    char *got;
    size_t n;
    assert_int_equal(st_writer_open(&e, &w), OK);
    if (k) assert_int_equal(st_writer_meta(w, &e, "design", "seq\"\n"), OK);
    for (int i = 0; i < 3; i++) {
      int t = order[k][i];
      assert_int_equal(st_writer_add_real(w, &e, name[t], t ? DT_F32 : DT_F16, 2 - t, shape[t], value[t]), OK);
    }
    if (!k) assert_int_equal(st_writer_meta(w, &e, "design", "seq\"\n"), OK);
    assert_int_equal(st_writer_save(w, &e, temp_path()), OK);
    st_writer_close(w);
    slurp(temp_path(), &got, &n);
    assert_int_equal(n, sizeof want - 1);
    assert_memory_equal(got, want, n);
    free(got);
  }
  unlink(temp_path());
}

static void round_trip(void **state) {
  (void)state;
  static const int64_t shape[ST_RANK] = {1, 2, 1, 3, 1, 1, 2, 1};
  unsigned char data[12 * 8 + DT_COUNT];
  err e = {0};
  st_writer *w;
  st_file *f;
  for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 37 + 11);
  assert_int_equal(st_writer_open(&e, &w), OK);
  for (int t = 0; t < DT_COUNT; t++)
    for (int rank = 0; rank <= ST_RANK; rank++) {
      char name[40];
      snprintf(name, sizeof name, "%s.\xc3\xa9 \"%d\"", dtype_name((dtype)t), rank);
      assert_int_equal(st_writer_add(w, &e, name, (dtype)t, rank, shape, data + t), OK);
    }
  assert_int_equal(st_writer_add(w, &e, "empty", DT_F64, 3, (int64_t[]){4, 0, 4}, NULL), OK);
  assert_int_equal(st_writer_meta(w, &e, "\xf0\x9f\xa6\x8a", "{\"rank\": 4}\\\x01"), OK);
  assert_int_equal(st_writer_save(w, &e, temp_path()), OK);
  assert_int_equal(st_writer_save(w, &e, temp_path()), OK); /* again, over it */
  st_writer_close(w);
  assert_int_equal(st_open(&e, temp_path(), &f), OK);
  assert_int_equal(st_count(f), DT_COUNT * (ST_RANK + 1) + 1);
  for (int t = 0; t < DT_COUNT; t++)
    for (int rank = 0; rank <= ST_RANK; rank++) {
      char name[40];
      const st_tensor *x;
      snprintf(name, sizeof name, "%s.\xc3\xa9 \"%d\"", dtype_name((dtype)t), rank);
      assert_int_equal(st_need(&e, f, name, rank, shape, &x), OK);
      assert_int_equal(x->type, t);
      assert_memory_equal(x->data, data + t, (size_t)(x->count * dtype_size(x->type)));
      assert_int_equal((uintptr_t)x->data % (uintptr_t)dtype_size(x->type), 0);
    }
  assert_int_equal(st_find(f, "empty")->count, 0);
  assert_string_equal(st_meta(f, "\xf0\x9f\xa6\x8a"), "{\"rank\": 4}\\\x01");
  st_close(f);
  unlink(temp_path());
}

static void writer_refusals(void **state) {
  (void)state;
  err e = {0};
  st_writer *w;
  const int64_t one[ST_RANK + 1] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, huge[2] = {INT64_MAX, 2}, negative[1] = {-1};
  const real x[1] = {0};
  assert_int_equal(st_writer_open(&e, &w), OK);
  assert_int_equal(st_writer_add(w, &e, "a", DT_F32, 1, one, &(float){1}), OK);
  const struct {
    const char *name;
    int type, rank;
    const int64_t *shape;
  } wrong[] = {{"a", DT_F32, 1, one},    {"__metadata__", DT_F32, 1, one}, {"\xff", DT_F32, 1, one},
               {"a\nb", DT_F32, 1, one}, {"b", DT_COUNT, 1, one},          {"b", DT_F32, 9, one},
               {"b", DT_F32, -1, one},   {"b", DT_F32, 2, huge},           {"b", DT_F32, 1, negative}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    err_clear(&e);
    assert_int_equal(st_writer_add(w, &e, wrong[i].name, (dtype)wrong[i].type, wrong[i].rank, wrong[i].shape, x),
                     E_ARG);
    assert_true(e.text[0] != 0);
  }
  err_clear(&e);
  assert_int_equal(st_writer_add_real(w, &e, "b", DT_I64, 1, one, x), E_ARG);
  err_clear(&e);
  assert_int_equal(st_writer_meta(w, &e, "k", "\xc3"), E_ARG);
  err_clear(&e);
  assert_int_equal(st_writer_meta(w, &e, "k", "v"), OK);
  assert_int_equal(st_writer_meta(w, &e, "k", "v"), E_ARG);
  err_clear(&e);
  assert_int_equal(st_writer_save(w, &e, "/nonexistent/x"), E_IO);
  st_writer_close(w);
  st_writer_close(NULL);
}

static void many_tensors(void **state) {
  (void)state;
  enum { COUNT = 1000 };
  err e = {0};
  st_writer *w;
  st_file *f;
  char name[60];
  assert_int_equal(st_writer_open(&e, &w), OK);
  for (int32_t i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "transformer_blocks.%d.attn1.to_q.weight", i * 7 % COUNT);
    assert_int_equal(st_writer_add(w, &e, name, DT_I32, 1, (int64_t[]){1}, &(int32_t){i * 7 % COUNT}), OK);
  }
  assert_int_equal(st_writer_save(w, &e, temp_path()), OK);
  st_writer_close(w);
  assert_int_equal(st_open(&e, temp_path(), &f), OK);
  assert_int_equal(st_count(f), COUNT);
  for (int i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "transformer_blocks.%d.attn1.to_q.weight", i);
    const st_tensor *t = st_find(f, name);
    assert_non_null(t);
    assert_true(dtype_get(t->type, t->data, 0) == i);
    if (i) assert_true(strcmp(st_at(f, i - 1)->name, st_at(f, i)->name) < 0);
  }
  st_close(f);
  unlink(temp_path());
}

/* --- files of the reference implementation ------------------------------------------------------------------- */

static void copy_file(const st_file *f) {
  err e = {0};
  st_writer *w;
  assert_int_equal(st_writer_open(&e, &w), OK);
  for (int64_t i = 0; i < st_count(f); i++) {
    const st_tensor *t = st_at(f, i);
    assert_int_equal(st_writer_add(w, &e, t->name, t->type, t->rank, t->shape, t->data), OK);
  }
  if (st_meta(f, "config")) assert_int_equal(st_writer_meta(w, &e, "config", st_meta(f, "config")), OK);
  assert_int_equal(st_writer_save(w, &e, temp_path()), OK);
  st_writer_close(w);
}

/* Each is read, holds something, and comes back from our writer with the same tensors. */
static void golden_files(void **state) {
  (void)state;
  DIR *folder = opendir(golden_path(""));
  assert_non_null(folder);
  int files = 0;
  for (struct dirent *d; (d = readdir(folder));) {
    size_t n = strlen(d->d_name);
    if (n < 12 || strcmp(d->d_name + n - 12, ".safetensors") != 0) continue;
    err e = {0};
    st_file *f, *g;
    double scale = 0;
    if (st_open(&e, golden_path(d->d_name), &f) != OK) fail_msg("%s", e.text);
    copy_file(f);
    assert_int_equal(st_open(&e, temp_path(), &g), OK);
    assert_int_equal(st_count(g), st_count(f));
    for (int64_t i = 0; i < st_count(f); i++) {
      const st_tensor *a = st_at(f, i), *b = st_at(g, i);
      assert_string_equal(a->name, b->name);
      assert_true(a->type == b->type && a->rank == b->rank && !memcmp(a->shape, b->shape, sizeof a->shape));
      assert_int_equal(memcmp(a->data, b->data, (size_t)(a->count * dtype_size(a->type))), 0);
      for (int64_t k = 0; k < a->count; k++) scale = fmax(scale, fabs(dtype_get(a->type, a->data, k)));
    }
    assert_true(scale > 0);
    if (st_meta(f, "config")) assert_string_equal(st_meta(f, "config"), st_meta(g, "config"));
    st_close(f);
    st_close(g);
    files++;
  }
  closedir(folder);
  unlink(temp_path());
  assert_true(files > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_the_format),
      cmocka_unit_test(accepts_small_files),
      cmocka_unit_test(refuses_bad_lengths),
      cmocka_unit_test(refuses_bad_grammar),
      cmocka_unit_test(refuses_bad_strings),
      cmocka_unit_test(refuses_bad_ranges),
      cmocka_unit_test(truncations),
      cmocka_unit_test(mutations),
      cmocka_unit_test(needs),
      cmocka_unit_test(not_files),
      cmocka_unit_test(writes_the_format),
      cmocka_unit_test(round_trip),
      cmocka_unit_test(writer_refusals),
      cmocka_unit_test(many_tensors),
      cmocka_unit_test(golden_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
