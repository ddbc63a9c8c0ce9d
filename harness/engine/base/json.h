/* JSON in: the one reader of the project, cJSON behind guards (spec/harness.md 12.2).
 *
 * Refused: trailing text, duplicate keys, numbers that are not finite or have a leading zero, a byte-order mark,
 * NULs, invalid UTF-8, nesting over 200, files over 64 MiB. Keys are case-sensitive. Every value knows its line and
 * column. "//" members are comments: they may be repeated, stay in the tree (member name "//") and users skip them.
 */
#ifndef TD_BASE_JSON_H
#define TD_BASE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

typedef enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } json_type;

typedef struct json {
  json_type type;
  char *key;          /* member name when the parent is an object */
  char *str;          /* JSON_STRING */
  double num;         /* JSON_NUMBER; JSON_BOOL as 0 or 1 */
  int is_int;         /* the number was written without '.', 'e', and is below 2^53 in size: exact */
  struct json *child; /* first element or member */
  struct json *next;
  int line, col; /* 1-based, in characters: the value's place; the key's for members; 0 when built */
} json;

/* `name` is used in messages: "name:line:col: ..." */
int json_parse(err *e, const char *name, const char *data, size_t n, json **out) TD_MUST_CHECK;
int json_read(err *e, const char *path, json **out) TD_MUST_CHECK;
void json_free(json *j);
/* Member of an object by exact name, or NULL. */
const json *json_get(const json *object, const char *key);
int64_t json_count(const json *array_or_object);
const json *json_at(const json *array, int64_t i);
/* Canonical bytes (spec/harness.md 8): keys sorted bytewise, no white space, integers as integers, doubles with 17
 * digits, -0 as 0, comments dropped. Equal trees give equal bytes. */
void json_canonical(text *t, const json *j);
/* The same tree, indented by two spaces, in file order. */
void json_print(text *t, const json *j);

/* Builders, for writing specs; a failed allocation or a number that is not finite gives NULL, and adding NULL to a
 * parent (or anything to a NULL parent) fails with E_NOMEM. A value that could not be added is freed. */
json *json_new(json_type type);
json *json_new_string(const char *s);
json *json_new_number(double v);
json *json_new_bool(int v);
/* Adds (or replaces) a member and takes ownership; returns OK or E_NOMEM. */
int json_set(json *object, const char *key, json *value) TD_MUST_CHECK;
int json_push(json *array, json *value) TD_MUST_CHECK;
/* The value and all below it, without its siblings; NULL when there is no memory. */
json *json_copy(const json *j);
/* Version of the parser that is loaded. */
const char *json_library(void);

#endif
