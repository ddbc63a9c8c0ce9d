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

#include "base/json.h"
#include "base/rng.h"

static json *parse(const char *s) {
  err e = {0};
  json *j = NULL;
  if (json_parse(&e, "t", s, strlen(s), &j) != OK) fail_msg("%s", e.text);
  return j;
}

static void canonical(const char *s, text *t) {
  err e = {0};
  json *j = parse(s);
  *t = (text){0};
  json_canonical(t, j);
  assert_int_equal(text_ok(t, &e), OK);
  json_free(j);
}

static void check_canonical(const char *s, const char *want) {
  text t;
  canonical(s, &t);
  assert_string_equal(t.p, want);
  text_free(&t);
}

static void refusedn(const char *s, size_t n, const char *message) {
  err e = {0};
  json *j = (json *)(uintptr_t)1;
  int rc = json_parse(&e, "f.json", s, n, &j);
  if (rc != E_FORMAT || !strstr(e.text, message))
    fail_msg("'%s': code %d, '%s'; wanted '%s'", s, rc, e.text, message);
  assert_null(j);
}

static void refused(const char *s, const char *message) {
  refusedn(s, strlen(s), message);
}

static void values(void **state) {
  (void)state;
  json *j = parse(
      "{\"n\": null, \"t\": true, \"f\": false, \"i\": -12, \"d\": 1.5e-3, \"s\": \"a\\u00e9\\ud83e\\udd8a\\n\","
      " \"a\": [1, [2, {}], []], \"o\": {\"x\": 0}}");
  assert_int_equal(j->type, JSON_OBJECT);
  assert_int_equal(json_count(j), 8);
  assert_int_equal(json_get(j, "n")->type, JSON_NULL);
  assert_true(json_get(j, "t")->type == JSON_BOOL && json_get(j, "t")->num == 1);
  assert_true(json_get(j, "f")->type == JSON_BOOL && json_get(j, "f")->num == 0);
  const json *i = json_get(j, "i"), *d = json_get(j, "d"), *a = json_get(j, "a");
  assert_true(i->type == JSON_NUMBER && i->num == -12 && i->is_int);
  assert_true(d->type == JSON_NUMBER && d->num == 1.5e-3 && !d->is_int);
  assert_string_equal(json_get(j, "s")->str, "a\xc3\xa9\xf0\x9f\xa6\x8a\n");
  assert_true(a->type == JSON_ARRAY && json_count(a) == 3);
  assert_true(json_at(a, 0)->num == 1 && json_at(json_at(a, 1), 0)->num == 2);
  assert_null(json_at(a, 3));
  assert_null(json_at(a, -1));
  assert_int_equal(json_count(json_at(a, 2)), 0);
  assert_true(json_get(json_get(j, "o"), "x")->num == 0);
  assert_null(json_get(j, "N")); /* case matters */
  assert_null(json_get(a, "x"));
  assert_null(json_get(NULL, "x"));
  json_free(j);
  json_free(NULL);
}

/* Which numbers are integers that a double holds exactly. */
static void integers(void **state) {
  (void)state;
  static const struct {
    const char *s;
    int is_int;
  } known[] = {{"0", 1},
               {"-0", 1},
               {"1.0", 0},
               {"1e3", 0},
               {"9007199254740991", 1},
               {"-9007199254740991", 1},
               {"9007199254740992", 0}, /* cannot be told from ...993 */
               {"9007199254740993", 0},
               {"18446744073709551615", 0}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    json *j = parse(known[i].s);
    assert_int_equal(j->is_int, known[i].is_int);
    assert_true(j->num == strtod(known[i].s, NULL));
    json_free(j);
  }
}

static void places(void **state) {
  (void)state;
  json *j = parse("\n {\"a\": 1,\r\n\t\"\xc3\xa9\xc3\xa9\": [true,\n  [ null]], \"c\":\n{\"d\":2}}\n");
  const json *b = json_get(j, "\xc3\xa9\xc3\xa9"), *c = json_get(j, "c");
  assert_true(j->line == 2 && j->col == 2);
  assert_true(json_get(j, "a")->line == 2 && json_get(j, "a")->col == 3);
  assert_true(b->line == 3 && b->col == 2);
  assert_true(json_at(b, 0)->line == 3 && json_at(b, 0)->col == 9); /* characters, not bytes */
  assert_true(json_at(b, 1)->line == 4 && json_at(b, 1)->col == 3);
  assert_true(json_at(json_at(b, 1), 0)->line == 4 && json_at(json_at(b, 1), 0)->col == 5);
  assert_true(c->line == 4 && c->col == 13); /* its key */
  assert_true(json_get(c, "d")->line == 5 && json_get(c, "d")->col == 2);
  json_free(j);
}

/* The traps of spec/harness.md 12.2, and the rest of what JSON does not allow; each names the place. */
static void refusals(void **state) {
  (void)state;
  refused("", "f.json:1:1: the text ends too early");
  refused("  \n ", "f.json:2:2: the text ends too early");
  refused("{\"a\":1}trailing", "f.json:1:8: text after the end");
  refused("{} {}", "f.json:1:4: text after the end");
  refused("{\"a\":1,\n \"b\":2,\"a\":3}", "f.json:2:8: member \"a\" is there twice (first at 1:2)");
  refused("{\"o\":{\"\\u0061\":1,\"a\":3}}", "member \"a\" is there twice");
  refused("01", "f.json:1:1: a number with a leading zero");
  refused("[-012]", "leading zero");
  refused("1. ", "f.json:1:3: a number needs a digit after '.'");
  refused("1.", "the text ends too early");
  refused("[1.e2]", "f.json:1:4: a number needs a digit after '.'");
  refused(".5", "not a JSON value");
  refused("+1", "not a JSON value");
  refused("[1e]", "digit in its exponent");
  refused("[1e+]", "digit in its exponent");
  refused("[-]", "digit after '-'");
  refused("0x10", "text after the end");
  refused("NaN", "not a JSON value");
  refused("-Infinity", "digit after '-'");
  refused("[0,\n1e400]", "f.json:2:1: the number is too large");
  refused("-1e400", "too large");
  refused("1000000000000000000000000000000000000000000000000000000000000000", "more than 63 characters");
  refused("\xef\xbb\xbf{}", "f.json:1:1: begins with a byte-order mark");
  refusedn("{\"a\0\":1}", 8, "control character");
  refusedn("{}\0", 3, "f.json:1:3: text after the end");
  refusedn("\0{}", 3, "not a JSON value");
  refused("\"a\\u0000b\"", "f.json:1:3: \\u0000");
  refused("\"a\nb\"", "f.json:1:1: the string does not end on its line");
  refused("\"a\tb\"", "f.json:1:3: a bare control character");
  refused("\"\\x41\"", "unknown escape");
  refused("\"\\u12g4\"", "four hex digits");
  refused("\"\\uZZZZ\"", "four hex digits");
  refused("\"\\ud800\"", "first half of a surrogate pair");
  refused("\"\\ud800\\u0041\"", "first half of a surrogate pair");
  refused("\"\\udc00\"", "second half of a surrogate pair");
  refused("\"\xc3\"", "not UTF-8");
  refused("\"\xed\xa0\x80\"", "not UTF-8");
  refused("\"\xff\"", "f.json:1:2: bytes that are not UTF-8");
  refused("\"abc", "f.json:1:1: the string does not end");
  refused("\"abc\\", "f.json:1:5: unknown escape");
  refused("[1,]", "f.json:1:4: a comma before a closing bracket");
  refused("{\"a\":1,}", "a comma before a closing bracket");
  refused("[1 2]", "f.json:1:4: wanted ',' or ']'");
  refused("{\"a\":1 \"b\":2}", "wanted ',' or '}'");
  refused("{\"a\" 1}", "f.json:1:6: wanted ':'");
  refused("{a:1}", "f.json:1:2: wanted a member name");
  refused("{'a':1}", "wanted a member name");
  refused("{1:1}", "wanted a member name");
  refused("[1}", "wanted ',' or ']'");
  refused("[", "the text ends too early");
  refused("{\"a\":", "f.json:1:6: the text ends too early");
  refused("[tru]", "not a JSON value");
  refused("True", "not a JSON value");
  refused("/* no */ 1", "not a JSON value");
  refused("[1]\v", "text after the end"); /* cJSON takes any control character for white space */
}

static void nesting(void **state) {
  (void)state;
  char s[1000];
  for (int depth = 199; depth <= 201; depth++) {
    memset(s, '[', (size_t)depth);
    memset(s + depth, ']', (size_t)depth);
    s[2 * depth] = 0;
    if (depth <= 200)
      json_free(parse(s));
    else
      refused(s, "f.json:1:201: nested deeper than 200");
  }
  for (size_t i = 0; i + 5 <= sizeof s; i += 5) memcpy(s + i, "{\"a\":", 5);
  refusedn(s, 1000 / 5 * 5, "the text ends too early");
}

/* A line of a million values: columns are counted once, and a wide object is searched by sorting. */
static void wide(void **state) {
  (void)state;
  text t = {0};
  err e = {0};
  json *j;
  text_add(&t, "{");
  for (int i = 0; i < 100000; i++) text_addf(&t, "\"%d\":%d,", i, i);
  text_add(&t, "\"7\":0}");
  assert_int_equal(text_ok(&t, &e), OK);
  assert_int_equal(json_parse(&e, "w", t.p, t.n, &j), E_FORMAT);
  assert_non_null(strstr(e.text, "member \"7\" is there twice (first at 1:44)"));
  text_free(&t);
}

static void not_terminated(void **state) {
  (void)state;
  static const double want[] = {1, 12, 123, 1234};
  char *s = malloc(4); /* exactly its bytes: a read behind them is seen by the sanitizer */
  json *j;
  assert_non_null(s);
  memcpy(s, "1234", 4);
  for (size_t n = 1; n <= 4; n++) {
    assert_int_equal(json_parse(NULL, "t", s, n, &j), OK);
    assert_true(j->num == want[n - 1]);
    json_free(j);
  }
  free(s);
}

static void canonical_form(void **state) {
  (void)state;
  check_canonical(" { \"b\" : 1 , \"a\" : [ ] , \"B\" : { } } ", "{\"B\":{},\"a\":[],\"b\":1}");
  check_canonical("[1, 1.0, 10e-1, 1e0]", "[1,1,1,1]");
  check_canonical("[-0, -0.0, 0e5, 0.0]", "[0,0,0,0]");
  check_canonical("[1e3, 1e15, 9007199254740991, -9007199254740991]",
                  "[1000,1000000000000000,9007199254740991,-9007199254740991]");
  check_canonical("[1e16, 1e300, 0.3, 0.30000000000000004, 1.7976931348623157e308, 5e-324]",
                  "[1e+16,1e+300,0.3,0.30000000000000004,1.7976931348623157e+308,4.94065645841247e-324]");
  check_canonical("[\"\\u00e9\\/\\u0001\\\"\\\\\", \"\xc3\xa9\"]", "[\"\xc3\xa9/\\u0001\\\"\\\\\",\"\xc3\xa9\"]");
  check_canonical("{\"//\": \"why\", \"a\": {\"//\": [1], \"//\": 2, \"b\": null}}", "{\"a\":{\"b\":null}}");
  check_canonical("{\"//\": 1}", "{}");
  check_canonical("{\"z\":1,\"\xc3\xa9\":2,\"a\":3,\"ab\":4,\"\":5}",
                  "{\"\":5,\"a\":3,\"ab\":4,\"z\":1,\"\xc3\xa9\":2}");
  check_canonical("[true,false,null]", "[true,false,null]");
}

/* A random tree as text, with random member order, white space and spelling of numbers. */
static void random_text(text *t, rng r, uint64_t *at, int depth, int shuffle) {
  uint64_t kind = rng_below(r, (*at)++, depth ? 6 : 4);
  uint64_t value = rng_below(r, (*at)++, 1000000);
  if (kind == 0) text_addf(t, shuffle ? "%d.0" : "%d", (int)value);
  if (kind == 1) text_addf(t, "%.17g", (double)value / 7);
  if (kind == 2) text_addf(t, shuffle ? "\"s\\u0020%d\"" : "\"s %d\"", (int)value);
  if (kind == 3) text_add(t, value % 2 ? "null" : "true");
  if (kind < 4) return;
  text piece[3] = {{0}, {0}, {0}};
  for (int i = 0; i < 3; i++) random_text(&piece[i], r, at, depth - 1, shuffle);
  text_add(t, kind == 4 ? "[" : shuffle ? "{ \"//\":0,\n" : "{");
  for (int i = 0; i < 3; i++) {
    int k = kind == 5 && shuffle ? 2 - i : i;
    if (i) text_add(t, shuffle ? " ,\t" : ",");
    if (kind == 5) text_addf(t, "\"k%d\":", k);
    text_addn(t, piece[k].p, piece[k].n);
    if (shuffle) text_add(t, "\r\n");
  }
  text_add(t, kind == 4 ? "]" : "}");
  for (int i = 0; i < 3; i++) text_free(&piece[i]);
}

/* Reformatting, member order, comments: the same bytes. Reading the canonical form or the printed one gives it again.
 */
static void canonical_is_stable(void **state) {
  (void)state;
  for (uint32_t sub = 0; sub < 300; sub++) {
    rng r = {7, RNG_TEST, sub};
    text in[4] = {{0}, {0}, {0}, {0}}, out;
    uint64_t at = 0;
    random_text(&in[0], r, &at, 4, 0);
    at = 0;
    random_text(&in[1], r, &at, 4, 1);
    canonical(in[0].p, &out);
    json *j = parse(in[1].p), *copy = json_copy(j);
    json_print(&in[2], j);
    json_canonical(&in[3], copy);
    for (int i = 1; i < 4; i++) {
      text again;
      canonical(in[i].p, &again);
      assert_string_equal(again.p, out.p);
      text_free(&again);
    }
    json_free(j);
    json_free(copy);
    text_free(&out);
    for (int i = 0; i < 4; i++) text_free(&in[i]);
  }
}

static void printed(void **state) {
  (void)state;
  err e = {0};
  text t = {0};
  json *j = parse("{\"b\":[1,{}],\"//\":\"why\",\"a\":{\"x\":[]}}");
  json_print(&t, j);
  assert_int_equal(text_ok(&t, &e), OK);
  assert_string_equal(t.p,
                      "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"//\": \"why\",\n  \"a\": {\n    \"x\": []\n  }\n}");
  json_free(j);
  text_free(&t);
}

static void builders(void **state) {
  (void)state;
  err e = {0};
  text t = {0};
  json *o = json_new(JSON_OBJECT), *a = json_new(JSON_ARRAY);
  assert_int_equal(json_push(a, json_new_number(1)), OK);
  assert_int_equal(json_push(a, json_new_string("two")), OK);
  assert_int_equal(json_push(a, json_new_bool(7)), OK);
  assert_int_equal(json_push(a, json_new(JSON_NULL)), OK);
  assert_int_equal(json_set(o, "z", json_new_number(0.1)), OK);
  assert_int_equal(json_set(o, "a", a), OK);
  assert_int_equal(json_set(o, "y", json_new(JSON_OBJECT)), OK);
  assert_int_equal(json_set(o, "z", json_new_number(-2)), OK); /* replaced, in its place */
  assert_int_equal(json_count(o), 3);
  assert_string_equal(o->child->key, "z");
  assert_true(o->child->is_int);
  json *c = json_copy(json_get(o, "a")); /* without its siblings, and its own */
  assert_null(c->next);
  json_free(o);
  json_canonical(&t, c);
  assert_int_equal(text_ok(&t, &e), OK);
  assert_string_equal(t.p, "[1,\"two\",true,null]");
  json_free(c);
  text_free(&t);
}

static void builders_fail_with_their_parts(void **state) {
  (void)state;
  json *o = json_new(JSON_OBJECT);
  assert_null(json_new_number(NAN));
  assert_null(json_new_number(INFINITY));
  assert_int_equal(json_set(o, "x", NULL), E_NOMEM);
  assert_int_equal(json_push(o, NULL), E_NOMEM);
  assert_int_equal(json_set(NULL, "x", json_new_number(1)), E_NOMEM); /* the value is freed: seen by LeakSanitizer */
  assert_int_equal(json_push(NULL, json_new_number(1)), E_NOMEM);
  assert_int_equal(json_count(o), 0);
  json_free(o);
}

static void files(void **state) {
  (void)state;
  char path[] = "/tmp/tandem-json-XXXXXX";
  err e = {0};
  json *j;
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(file_write(&e, path, "{\"a\":\n 1}\n", 10), OK);
  assert_int_equal(json_read(&e, path, &j), OK);
  assert_true(json_get(j, "a")->num == 1);
  json_free(j);
  assert_int_equal(file_write(&e, path, "{\"a\":\n x}\n", 10), OK);
  assert_int_equal(json_read(&e, path, &j), E_FORMAT);
  assert_null(j);
  char want[100];
  snprintf(want, sizeof want, "%s:2:2: ", path);
  assert_int_equal(strncmp(e.text, want, strlen(want)), 0);
  unlink(path);
  err_clear(&e);
  assert_int_equal(json_read(&e, path, &j), E_IO);
  assert_non_null(strstr(e.text, path));
}

/* Whatever one changes in a good text: a value or a message with a place, never a crash. */
static void mutations(void **state) {
  (void)state;
  static const char good[] = "{\"a\":[1,-2.5e3,\"x\\u00e9\\n\"],\"\xc3\xa9\":{\"b\":null,\"//\":true},\"c\":false}";
  static const char bytes[] = "\"\\{}[]:,0-.eut/ \n\t\x01\x7f\x80\xc3\xff";
  size_t n = sizeof good - 1;
  int64_t accepted = 0, rejected = 0;
  char *s = malloc(n);
  assert_non_null(s);
  for (size_t i = 0; i <= n; i++)
    for (size_t k = 0; k <= sizeof bytes; k++) { /* the last but one is a NUL; the last cuts the text there */
      err e = {0};
      json *j;
      size_t len = k == sizeof bytes ? i : n;
      memcpy(s, good, n);
      if (i < n && k < sizeof bytes) s[i] = bytes[k];
      int rc = json_parse(&e, "m", s, len, &j);
      assert_true(rc == OK || (rc == E_FORMAT && !strncmp(e.text, "m:1:", 4)) ||
                  (rc == E_FORMAT && !strncmp(e.text, "m:2:", 4)));
      accepted += rc == OK;
      rejected += rc != OK;
      json_free(j);
    }
  assert_true(accepted > 100 && rejected > 1000);
  free(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values),
      cmocka_unit_test(integers),
      cmocka_unit_test(places),
      cmocka_unit_test(refusals),
      cmocka_unit_test(nesting),
      cmocka_unit_test(wide),
      cmocka_unit_test(not_terminated),
      cmocka_unit_test(canonical_form),
      cmocka_unit_test(canonical_is_stable),
      cmocka_unit_test(printed),
      cmocka_unit_test(builders),
      cmocka_unit_test(builders_fail_with_their_parts),
      cmocka_unit_test(files),
      cmocka_unit_test(mutations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
