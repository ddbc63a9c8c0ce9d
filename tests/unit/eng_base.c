/* Errors, memory, arena, texts, whole files, SHA-256. What happens when the system fails is in eng_faults.c. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"

/* --- errors, memory ------------------------------------------------------------------------------------------ */

static void first_failure_wins(void **state) {
  (void)state;
  err e = {0};
  assert_int_equal(err_set(&e, E_IO, "first %d", 1), E_IO);
  assert_int_equal(err_set(&e, E_NAN, "second"), E_IO);
  assert_string_equal(e.text, "first 1");
  assert_int_equal(err_prefix(&e, "cell %s", "ab"), E_IO);
  assert_string_equal(e.text, "cell ab: first 1");
  char longer[3000];
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = 0;
  err_prefix(&e, "%s", longer);
  assert_true(strlen(e.text) < sizeof e.text);
  err_clear(&e);
  assert_int_equal(err_prefix(&e, "nothing to prefix"), OK);
  assert_string_equal(e.text, "");
  assert_int_equal(err_set(NULL, E_NAN, "nobody listens"), E_NAN);
  assert_string_equal(err_name(E_FORMAT), "format");
  assert_string_equal(err_name(E_STORE), "store");
  assert_string_equal(err_name(99), "unknown");
}

static void memory(void **state) {
  (void)state;
  err e = {0};
  char *p = NULL;
  int64_t *q = NULL, cap = 0;
  assert_int_equal(mem_new(&e, 1000, 1, "bytes", &p), OK);
  assert_int_equal((uintptr_t)p % 64, 0);
  for (int i = 0; i < 1000; i++) assert_int_equal(p[i], 0);
  free(p);
  assert_int_equal(mem_new(&e, INT64_MAX / 2, 8, "too much", &p), E_NOMEM);
  assert_non_null(strstr(e.text, "too much"));
  err_clear(&e);
  assert_int_equal(mem_new(&e, -1, 8, "negative", &p), E_NOMEM);
  err_clear(&e);
  for (int64_t i = 0; i < 1000; i++) {
    assert_int_equal(mem_grow(&e, &q, &cap, i + 1, sizeof *q, "list"), OK);
    assert_int_equal(q[i], 0);
    q[i] = i;
  }
  for (int64_t i = 0; i < 1000; i++) assert_int_equal(q[i], i);
  assert_int_equal(mem_grow(&e, &q, &cap, INT64_MAX, sizeof *q, "list"), E_NOMEM);
  assert_int_equal(q[999], 999); /* the old block stays */
  free(q);
}

static void arena_marks_and_measures(void **state) {
  (void)state;
  err e = {0};
  arena real_one, measure;
  void *block = NULL, *a, *b;
  assert_int_equal(posix_memalign(&block, 256, 1 << 16), 0);
  arena_open(&real_one, block, 1 << 16);
  arena_open_measuring(&measure);
  for (int k = 0; k < 2; k++) {
    arena *m = k ? &measure : &real_one;
    size_t mark;
    assert_int_equal(arena_take(m, &e, 10, 4, "first", &a), OK);
    assert_int_equal((uintptr_t)a % ARENA_ALIGN, 0);
    mark = arena_mark(m);
    assert_int_equal(arena_take(m, &e, 1000, 4, "second", &b), OK);
    assert_true((char *)b >= (char *)a + 40);
    arena_release(m, mark);
    assert_true(arena_mark(m) == mark && m->peak >= mark + 4000);
  }
  assert_int_equal(measure.peak, real_one.peak);
  assert_int_equal(arena_take(&real_one, &e, 1 << 17, 1, "the last straw", &a), E_NOMEM);
  assert_non_null(strstr(e.text, "the last straw"));
  arena_release(&real_one, 0);
  free(block);
}

/* --- texts --------------------------------------------------------------------------------------------------- */

static void grow_and_format(void **state) {
  (void)state;
  err e = {0};
  text t = {0};
  assert_int_equal(text_ok(&t, &e), OK);
  assert_string_equal(t.p, "");
  for (int i = 0; i < 1000; i++) {
    text_add(&t, "ab");
    text_addn(&t, "\0c", 2);
    text_addf(&t, "%03d", i);
  }
  assert_int_equal(text_ok(&t, &e), OK);
  assert_int_equal(t.n, 7000);
  assert_int_equal(t.p[7000], 0);
  assert_memory_equal(t.p + 6993, "ab\0c999", 7);
  text_free(&t);
  assert_null(t.p);
}

static void json_literals(void **state) {
  (void)state;
  err e = {0};
  text t = {0};
  text_add_json(&t, "");
  text_add_json(&t, "\"quo\\te\"\b\t\n\f\r/");
  text_add_json(&t, "\x01\x1f\x7f \xc3\xa9 \xf0\x9f\xa6\x8a");
  assert_int_equal(text_ok(&t, &e), OK);
  assert_string_equal(t.p, "\"\""
                           "\"\\\"quo\\\\te\\\"\\b\\t\\n\\f\\r/\""
                           "\"\\u0001\\u001f\x7f \xc3\xa9 \xf0\x9f\xa6\x8a\"");
  text_free(&t);
}

static const char *number(text *t, double v) {
  err e = {0};
  text_free(t);
  text_add_number(t, v);
  assert_int_equal(text_ok(t, &e), OK);
  return t->p;
}

static void numbers_round_trip(void **state) {
  (void)state;
  text t = {0};
  static const struct {
    double v;
    const char *s;
  } known[] = {{0.1, "0.1"},
               {0.3, "0.3"},
               {0.1 + 0.2, "0.30000000000000004"},
               {1, "1"},
               {-2.5, "-2.5"},
               {1e22, "1e+22"},
               {9007199254740991.0, "9007199254740991"},
               {1.7976931348623157e308, "1.7976931348623157e+308"},
               {5e-324, "4.94065645841247e-324"},
               {NAN, "null"},
               {INFINITY, "null"},
               {-INFINITY, "null"}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) assert_string_equal(number(&t, known[i].v), known[i].s);
  for (uint64_t i = 0; i < 20000; i++) {
    uint64_t bits = (uint64_t)rng_u32((rng){1, RNG_TEST, 0}, 2 * i) << 32 | rng_u32((rng){1, RNG_TEST, 0}, 2 * i + 1);
    double v;
    memcpy(&v, &bits, sizeof v);
    if (isfinite(v)) assert_true(strtod(number(&t, v), NULL) == v);
  }
  text_free(&t);
}

static void numbers_ignore_the_locale(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "fr_FR"};
  locale_t comma = (locale_t)0;
  for (size_t i = 0; i < 4 && !comma; i++) comma = newlocale(LC_ALL_MASK, names[i], (locale_t)0);
  if (!comma) skip();
  locale_t old = uselocale(comma);
  text t = {0};
  char check[16];
  snprintf(check, sizeof check, "%.1f", 0.5);
  int is_comma = !strcmp(check, "0,5"), right = !strcmp(number(&t, -0.25), "-0.25");
  uselocale(old);
  freelocale(comma);
  text_free(&t);
  assert_true(is_comma && right);
}

static void utf8(void **state) {
  (void)state;
  static const struct {
    const char *s;
    size_t n, length;
  } known[] = {
      {"a", 1, 1},
      {"\x7f", 1, 1},
      {"\xc2\x80", 2, 2},
      {"\xdf\xbf", 2, 2},
      {"\xe0\xa0\x80", 3, 3},
      {"\xed\x9f\xbf", 3, 3},
      {"\xef\xbf\xbf", 3, 3},
      {"\xf0\x90\x80\x80", 4, 4},
      {"\xf4\x8f\xbf\xbf", 4, 4},
      {"\x80", 1, 0},
      {"\xc0\x80", 2, 0},
      {"\xc1\xbf", 2, 0}, /* overlong */
      {"\xe0\x9f\xbf", 3, 0},
      {"\xf0\x8f\xbf\xbf", 4, 0}, /* overlong */
      {"\xed\xa0\x80", 3, 0},
      {"\xf4\x90\x80\x80", 4, 0}, /* surrogate; over U+10FFFF */
      {"\xf5\x80\x80\x80", 4, 0},
      {"\xff", 1, 0},
      {"\xc3", 1, 0},
      {"\xe2\x82", 2, 0}, /* cut */
      {"\xc3\x28", 2, 0},
      {"\xe2\x28\xa1", 3, 0},
      {"\xe2\x82\x28", 3, 0},
      {"\xf0\x9f\xa6\x28", 4, 0},
  };
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (utf8_length(known[i].s, known[i].n) != known[i].length) fail_msg("sequence %zu", i);
}

/* --- files --------------------------------------------------------------------------------------------------- */

static int make_folder(void **state) {
  char *path = strdup("/tmp/tandem-base-XXXXXX");
  *state = path;
  return path && mkdtemp(path) ? 0 : -1;
}

static int remove_folder(void **state) {
  static const char *const names[] = {"file", "a/b/c", "a/b", "a", ""};
  char path[300];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    snprintf(path, sizeof path, "%s/%s", (char *)*state, names[i]);
    remove(path);
  }
  free(*state);
  return 0;
}

static const char *in(void **state, const char *name) {
  static char path[300];
  snprintf(path, sizeof path, "%s/%s", (const char *)*state, name);
  return path;
}

static void write_then_read(void **state) {
  err e = {0};
  char *got, big[70000];
  size_t n;
  for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * 7);
  const struct {
    const void *data;
    size_t n;
  } content[] = {{"first\0half", 10}, {"", 0}, {big, sizeof big}};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(file_write(&e, in(state, "file"), content[i].data, content[i].n), OK);
    assert_int_equal(file_read(&e, in(state, "file"), 1 << 20, &got, &n), OK);
    assert_int_equal(n, content[i].n);
    assert_int_equal(memcmp(got, content[i].data, n), 0);
    assert_int_equal(got[n], 0);
    free(got);
  }
  const file_part part[] = {{"ab", 2}, {"", 0}, {"cde", 3}};
  assert_int_equal(file_write_parts(&e, in(state, "file"), part, 3), OK);
  assert_int_equal(file_read(&e, in(state, "file"), 5, &got, &n), OK);
  assert_string_equal(got, "abcde");
  free(got);
  assert_true(file_exists(in(state, "file")));
  assert_false(file_exists(in(state, "none")));
}

static void file_refusals(void **state) {
  err e = {0};
  char *got = NULL;
  size_t n = 1;
  assert_int_equal(file_read(&e, in(state, "none"), 10, &got, &n), E_IO);
  assert_non_null(strstr(e.text, in(state, "none")));
  assert_true(got == NULL && n == 0);
  err_clear(&e);
  assert_int_equal(file_read(&e, *state, 10, &got, &n), E_IO); /* a folder */
  err_clear(&e);
  assert_int_equal(file_write(&e, in(state, "file"), "123456", 6), OK);
  assert_int_equal(file_read(&e, in(state, "file"), 5, &got, &n), E_FORMAT);
  assert_non_null(strstr(e.text, in(state, "file")));
  assert_null(got);
  err_clear(&e);
  assert_int_equal(file_read(&e, in(state, "file"), 6, &got, &n), OK);
  free(got);
  assert_int_equal(file_read(&e, "/dev/zero", 5000, &got, &n), E_FORMAT); /* no size to look at */
  err_clear(&e);
  assert_int_equal(file_write(&e, in(state, "no/such/folder"), "x", 1), E_IO);
  err_clear(&e);
  assert_int_equal(file_write(&e, *state, "x", 1), E_IO); /* a folder is in the way */
  char temp[400];
  snprintf(temp, sizeof temp, "%s.tmp-%ld", (char *)*state, (long)getpid());
  assert_false(file_exists(temp));
}

static void folders(void **state) {
  err e = {0};
  struct stat s;
  for (int again = 0; again < 2; again++) assert_int_equal(file_mkdirs(&e, in(state, "a//b/c/")), OK);
  assert_int_equal(stat(in(state, "a/b/c"), &s), 0);
  assert_true(S_ISDIR(s.st_mode));
  assert_int_equal(file_write(&e, in(state, "file"), "x", 1), OK);
  assert_int_equal(file_mkdirs(&e, in(state, "file/b")), E_IO);
  assert_non_null(strstr(e.text, in(state, "file")));
}

/* --- hashes -------------------------------------------------------------------------------------------------- */

/* FIPS 180-4 examples */
static void sha256(void **state) {
  err e = {0};
  char hex[HASH_HEX], file_hex[HASH_HEX], *a;
  assert_int_equal(hash_bytes(&e, "", 0, hex), OK);
  assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert_int_equal(hash_bytes(&e, "abc", 3, hex), OK);
  assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert_int_equal(mem_new(&e, 1000000, 1, "a", &a), OK);
  memset(a, 'a', 1000000);
  hash *h;
  assert_int_equal(hash_open(&e, &h), OK);
  for (size_t at = 0, n = 1; at < 1000000; at += n, n = n * 3 + 1) { /* pieces of uneven sizes */
    if (n > 1000000 - at) n = 1000000 - at;
    hash_add(h, a + at, n);
  }
  assert_int_equal(hash_close(h, &e, hex), OK);
  assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  assert_int_equal(file_write(&e, in(state, "file"), a, 1000000), OK);
  assert_int_equal(hash_file(&e, in(state, "file"), file_hex), OK);
  assert_string_equal(file_hex, hex);
  assert_int_equal(hash_file(&e, in(state, "none"), file_hex), E_IO);
  assert_non_null(strstr(e.text, in(state, "none")));
  assert_string_equal(file_hex, "");
  assert_int_equal(hash_open(&e, &h), OK);
  hash_drop(h);
  hash_drop(NULL);
  free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_failure_wins),
      cmocka_unit_test(memory),
      cmocka_unit_test(arena_marks_and_measures),
      cmocka_unit_test(grow_and_format),
      cmocka_unit_test(json_literals),
      cmocka_unit_test(numbers_round_trip),
      cmocka_unit_test(numbers_ignore_the_locale),
      cmocka_unit_test(utf8),
      cmocka_unit_test_setup_teardown(write_then_read, make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(file_refusals, make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(folders, make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(sha256, make_folder, remove_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
