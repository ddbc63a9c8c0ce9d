#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/mem.h"

#define SIZE_MAX_JSON ((size_t)64 << 20)
#define DEPTH_MAX 200
#define NUMBER_MAX 63 /* cJSON cuts numbers here */
#define INTEGER_MAX 0x1p53

/* cJSON finds nothing wrong with 01, a BOM, bare control characters, "\uZZZZ" or two equal keys, and does not say
 * where a value stood. So the text is scanned first: the scan refuses whatever JSON does not allow and builds the
 * tree with its places, cJSON then decodes the same text, and fill() brings strings and numbers over. */
typedef struct scan {
  err *e;
  const char *name;
  const char *p, *end;
  const char *mark; /* columns are counted up to here: once over the text, however long its lines */
  int line, col, depth;
} scan;

typedef struct place {
  const char *p;
  int line, col;
} place;

/* Where the scan is; a column is a character, not a byte. */
static place here(scan *s) {
  for (; s->mark < s->p; s->mark++) s->col += ((unsigned char)*s->mark & 0xc0) != 0x80;
  return (place){s->p, s->line, s->col};
}

static int refuse_at(const scan *s, place at, const char *what) {
  return err_set(s->e, E_FORMAT, "%s:%d:%d: %s", s->name, at.line, at.col, what);
}

static int refuse(scan *s, const char *what) {
  return refuse_at(s, here(s),
                   s->p < s->end ? what : "the text ends too early; a value, quote or bracket is missing");
}

static void skip_space(scan *s) {
  for (; s->p < s->end; s->p++) {
    if (*s->p == '\n') {
      s->line++;
      s->mark = s->p + 1;
      s->col = 1;
    } else if (*s->p != ' ' && *s->p != '\t' && *s->p != '\r') {
      break;
    }
  }
}

static int at_char(const scan *s, char c) {
  return s->p < s->end && *s->p == c;
}

static int hex4(const scan *s, const char *p, unsigned *out) {
  *out = 0;
  for (int i = 0; i < 4; i++) {
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *d = p + i < s->end && p[i] ? strchr(digits, p[i]) : NULL;
    if (!d) return 0;
    *out = *out << 4 | (unsigned)((d - digits) & 15);
  }
  return 1;
}

/* At a backslash. */
static int scan_escape(scan *s) {
  unsigned u, low;
  if (s->end - s->p >= 2 && s->p[1] && strchr("\"\\/bfnrt", s->p[1])) {
    s->p += 2;
    return OK;
  }
  if (s->end - s->p < 2 || s->p[1] != 'u')
    return refuse(s,
                  "unknown escape; JSON has \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX; write \\\\ for a backslash");
  if (!hex4(s, s->p + 2, &u)) return refuse(s, "\\u needs four hex digits");
  if (u == 0) return refuse(s, "\\u0000; a text here cannot hold a NUL; remove it");
  if (u >= 0xdc00 && u <= 0xdfff) return refuse(s, "second half of a surrogate pair without the first");
  int pair = u >= 0xd800 && u <= 0xdbff;
  if (pair && !(s->end - s->p >= 12 && s->p[6] == '\\' && s->p[7] == 'u' && hex4(s, s->p + 8, &low) &&
                low >= 0xdc00 && low <= 0xdfff))
    return refuse(s, "first half of a surrogate pair without the second");
  s->p += pair ? 12 : 6;
  return OK;
}

static int scan_string(scan *s) {
  int rc = OK;
  place start = here(s);
  s->p++;
  while (s->p < s->end && *s->p != '"') {
    size_t len = utf8_length(s->p, (size_t)(s->end - s->p));
    if (*s->p == '\n') return refuse_at(s, start, "the string does not end on its line; close it, or write \\n");
    if ((unsigned char)*s->p < 0x20) return refuse(s, "a bare control character in a string; write \\t or \\u00XX");
    if (len == 0) return refuse(s, "bytes that are not UTF-8; save the file as UTF-8");
    if (*s->p == '\\')
      TRY(scan_escape(s));
    else
      s->p += len;
  }
  if (s->p >= s->end) return refuse_at(s, start, "the string does not end; close it with \"");
  s->p++;
out:
  return rc;
}

static int64_t skip_digits(scan *s) {
  const char *from = s->p;
  while (s->p < s->end && *s->p >= '0' && *s->p <= '9') s->p++;
  return s->p - from;
}

static int scan_number(scan *s, json *out) {
  place start = here(s);
  out->type = JSON_NUMBER;
  out->is_int = 1;
  if (at_char(s, '-')) s->p++;
  const char *first = s->p;
  int64_t digits = skip_digits(s);
  if (digits == 0) return refuse(s, "a number needs a digit after '-'");
  if (*first == '0' && digits > 1)
    return refuse_at(s, start, "a number with a leading zero; JSON has no octal; remove the zero");
  if (at_char(s, '.')) {
    out->is_int = 0;
    s->p++;
    if (skip_digits(s) == 0) return refuse(s, "a number needs a digit after '.'");
  }
  if (at_char(s, 'e') || at_char(s, 'E')) {
    out->is_int = 0;
    s->p++;
    if (at_char(s, '+') || at_char(s, '-')) s->p++;
    if (skip_digits(s) == 0) return refuse(s, "a number needs a digit in its exponent");
  }
  if (s->p - start.p > NUMBER_MAX)
    return refuse_at(s, start, "a number of more than 63 characters; a double holds 17 digits; shorten it");
  return OK;
}

static int scan_word(scan *s, json *out) {
  static const struct {
    const char *word;
    json_type type;
    double num;
  } known[] = {{"null", JSON_NULL, 0}, {"true", JSON_BOOL, 1}, {"false", JSON_BOOL, 0}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    size_t n = strlen(known[i].word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, known[i].word, n) != 0) continue;
    out->type = known[i].type;
    out->num = known[i].num;
    s->p += n;
    return OK;
  }
  return refuse(s, "not a JSON value; wanted {, [, a \"string\" in double quotes, a number, true, false or null");
}

static int scan_value(scan *s, json *out);

/* "key": , leaving the scan at the value. */
static int scan_key(scan *s) {
  int rc = OK;
  if (!at_char(s, '"')) return refuse(s, "wanted a member name in double quotes (a comma before '}' is not allowed)");
  TRY(scan_string(s));
  skip_space(s);
  if (!at_char(s, ':')) return refuse(s, "wanted ':' after the member name");
  s->p++;
  skip_space(s);
out:
  return rc;
}

static int scan_children(scan *s, json *out) {
  int rc = OK;
  char close = *s->p == '{' ? '}' : ']';
  json **tail = &out->child;
  out->type = close == '}' ? JSON_OBJECT : JSON_ARRAY;
  if (++s->depth > DEPTH_MAX) return refuse(s, "nested deeper than 200; flatten the file");
  s->p++;
  skip_space(s);
  while (!at_char(s, close)) {
    TRY(mem_new(s->e, 1, sizeof **tail, "JSON value", tail));
    place start = here(s);
    if (close == '}') TRY(scan_key(s));
    TRY(scan_value(s, *tail));
    (*tail)->line = start.line;
    (*tail)->col = start.col;
    tail = &(*tail)->next;
    skip_space(s);
    if (at_char(s, close)) break;
    if (!at_char(s, ',')) return refuse(s, close == '}' ? "wanted ',' or '}'" : "wanted ',' or ']'");
    s->p++;
    skip_space(s);
    if (at_char(s, close)) return refuse(s, "a comma before a closing bracket; JSON does not allow it; remove it");
  }
  s->p++;
  s->depth--;
out:
  return rc;
}

static int scan_value(scan *s, json *out) {
  if (at_char(s, '{') || at_char(s, '[')) return scan_children(s, out);
  if (at_char(s, '"')) {
    out->type = JSON_STRING;
    return scan_string(s);
  }
  if (s->p < s->end && (*s->p == '-' || (*s->p >= '0' && *s->p <= '9'))) return scan_number(s, out);
  return scan_word(s, out);
}

static int scan_text(scan *s, json *out) {
  int rc = OK;
  if (s->end - s->p >= 3 && !memcmp(s->p, "\xef\xbb\xbf", 3))
    return refuse(s, "begins with a byte-order mark; JSON has none; save the file as UTF-8 without BOM");
  skip_space(s);
  out->line = s->line;
  out->col = here(s).col;
  TRY(scan_value(s, out));
  skip_space(s);
  if (s->p < s->end) return refuse(s, "text after the end of the value; a file holds one value; remove the rest");
out:
  return rc;
}

static int by_key(const void *a, const void *b) {
  const json *x = *(const json *const *)a, *y = *(const json *const *)b;
  int order = strcmp(x->key, y->key);
  return order ? order : (x->line != y->line ? x->line - y->line : x->col - y->col);
}

static int is_comment(const json *j) {
  return j->key && !strcmp(j->key, "//");
}

/* The members of an object that are not comments, sorted bytewise by key; the caller frees. */
static int sorted_members(err *e, const json *object, const json ***out, int64_t *n) {
  int rc = OK;
  *n = 0;
  TRY(mem_new(e, json_count(object), sizeof **out, "JSON members", out));
  for (const json *m = object->child; m; m = m->next)
    if (!is_comment(m)) (*out)[(*n)++] = m;
  if (*n > 1) qsort(*out, (size_t)*n, sizeof **out, by_key);
out:
  return rc;
}

static int check_duplicates(const scan *s, const json *object) {
  int rc = OK;
  const json **m = NULL;
  int64_t n;
  TRY(sorted_members(s->e, object, &m, &n));
  for (int64_t i = 1; i < n; i++)
    if (!strcmp(m[i - 1]->key, m[i]->key))
      FAIL(s->e, E_FORMAT,
           "%s:%d:%d: member \"%.100s\" is there twice (first at %d:%d); one would be lost; remove one", s->name,
           m[i]->line, m[i]->col, m[i]->key, m[i - 1]->line, m[i - 1]->col);
out:
  free(m);
  return rc;
}

/* Brings what cJSON decoded into the scanned tree; both were read from the same text and have the same form. */
static int fill(const scan *s, json *j, const cJSON *c) {
  int rc = OK;
  if (c->string) TRY(mem_strdup(s->e, c->string, &j->key));
  if (j->type == JSON_STRING) TRY(mem_strdup(s->e, c->valuestring, &j->str));
  if (j->type == JSON_NUMBER) {
    j->num = c->valuedouble;
    if (!isfinite(j->num))
      FAIL(s->e, E_FORMAT, "%s:%d:%d: the number is too large for a double (about 1.8e308); write it as a string",
           s->name, j->line, j->col);
    if (!(fabs(j->num) < INTEGER_MAX)) j->is_int = 0;
  }
  const cJSON *d = c->child;
  for (json *k = j->child; k; k = k->next, d = d->next) TRY(fill(s, k, d));
  if (j->type == JSON_OBJECT) TRY(check_duplicates(s, j));
out:
  return rc;
}

int json_parse(err *e, const char *name, const char *data, size_t n, json **out) {
  int rc = OK;
  char *copy = NULL;
  json *j = NULL;
  cJSON *c = NULL;
  scan s = {.e = e, .name = name, .p = data, .end = data + n, .mark = data, .line = 1, .col = 1};
  *out = NULL;
  if (n > SIZE_MAX_JSON) FAIL(e, E_FORMAT, "%s: %zu bytes of JSON, at most %zu are read", name, n, SIZE_MAX_JSON);
  TRY(mem_new(e, 1, sizeof *j, "JSON value", &j));
  TRY(scan_text(&s, j));
  /* cJSON's variants for texts without a final zero have read past the end (CVE-2023-53154). */
  TRY(mem_new(e, (int64_t)n + 1, 1, "JSON text", &copy));
  memcpy(copy, data, n);
  c = cJSON_ParseWithOpts(copy, NULL, 1);
  if (!c) FAIL(e, E_NOMEM, "%s: no memory to decode %zu bytes of JSON", name, n); /* the scan found it well formed */
  TRY(fill(&s, j, c));
  *out = j;
  j = NULL;
out:
  cJSON_Delete(c);
  free(copy);
  json_free(j);
  return rc;
}

int json_read(err *e, const char *path, json **out) {
  char *data;
  size_t n;
  *out = NULL;
  int rc = file_read(e, path, SIZE_MAX_JSON, &data, &n);
  if (rc != OK) return rc;
  rc = json_parse(e, path, data, n, out);
  free(data);
  return rc;
}

/* Recursion goes by depth, which is bounded, and never along a list. */
void json_free(json *j) {
  while (j) {
    json *next = j->next;
    json_free(j->child);
    free(j->key);
    free(j->str);
    free(j);
    j = next;
  }
}

const json *json_get(const json *object, const char *key) {
  if (!object || object->type != JSON_OBJECT) return NULL;
  for (const json *m = object->child; m; m = m->next)
    if (!strcmp(m->key, key)) return m;
  return NULL;
}

int64_t json_count(const json *array_or_object) {
  int64_t n = 0;
  for (const json *k = array_or_object->child; k; k = k->next) n++;
  return n;
}

const json *json_at(const json *array, int64_t i) {
  const json *k = i < 0 ? NULL : array->child;
  while (k && i-- > 0) k = k->next;
  return k;
}

/* --- writing ------------------------------------------------------------------------------------------------- */

static void add_number(text *t, double v) {
  if (fabs(v) < INTEGER_MAX && v == (double)(int64_t)v)
    text_addf(t, "%lld", (long long)v); /* also makes -0 a 0 */
  else
    text_add_number(t, v);
}

static void add_scalar(text *t, const json *j) {
  switch (j->type) {
  case JSON_BOOL: text_add(t, j->num != 0 ? "true" : "false"); break;
  case JSON_NUMBER: add_number(t, j->num); break;
  case JSON_STRING: text_add_json(t, j->str); break;
  default: text_add(t, "null"); break;
  }
}

static void canonical_object(text *t, const json *j) {
  const json **m = NULL;
  int64_t n;
  if (sorted_members(NULL, j, &m, &n) != OK) t->failed = 1;
  text_add(t, "{");
  for (int64_t i = 0; i < n; i++) {
    if (i) text_add(t, ",");
    text_add_json(t, m[i]->key);
    text_add(t, ":");
    json_canonical(t, m[i]);
  }
  text_add(t, "}");
  free(m);
}

void json_canonical(text *t, const json *j) {
  if (j->type == JSON_OBJECT) {
    canonical_object(t, j);
  } else if (j->type == JSON_ARRAY) {
    text_add(t, "[");
    for (const json *k = j->child; k; k = k->next) {
      if (k != j->child) text_add(t, ",");
      json_canonical(t, k);
    }
    text_add(t, "]");
  } else {
    add_scalar(t, j);
  }
}

static void print_line(text *t, int depth) {
  text_add(t, "\n");
  for (int i = 0; i < depth; i++) text_add(t, "  ");
}

static void print_at(text *t, const json *j, int depth) {
  int object = j->type == JSON_OBJECT;
  if (!object && j->type != JSON_ARRAY) {
    add_scalar(t, j);
    return;
  }
  text_add(t, object ? "{" : "[");
  for (const json *k = j->child; k; k = k->next) {
    print_line(t, depth + 1);
    if (object) {
      text_add_json(t, k->key);
      text_add(t, ": ");
    }
    print_at(t, k, depth + 1);
    if (k->next) text_add(t, ",");
  }
  if (j->child) print_line(t, depth);
  text_add(t, object ? "}" : "]");
}

void json_print(text *t, const json *j) {
  print_at(t, j, 0);
}

/* --- building ------------------------------------------------------------------------------------------------ */

json *json_new(json_type type) {
  json *j;
  if (mem_new(NULL, 1, sizeof *j, "JSON value", &j) != OK) return NULL;
  j->type = type;
  return j;
}

json *json_new_string(const char *s) {
  json *j = json_new(JSON_STRING);
  if (j && mem_strdup(NULL, s, &j->str) != OK) {
    json_free(j);
    return NULL;
  }
  return j;
}

json *json_new_number(double v) {
  json *j = isfinite(v) ? json_new(JSON_NUMBER) : NULL;
  if (!j) return NULL;
  j->num = v;
  j->is_int = fabs(v) < INTEGER_MAX && v == (double)(int64_t)v;
  return j;
}

json *json_new_bool(int v) {
  json *j = json_new(JSON_BOOL);
  if (j) j->num = v != 0;
  return j;
}

int json_set(json *object, const char *key, json *value) {
  int rc = OK;
  if (!object || !value) {
    rc = E_NOMEM;
    goto out;
  }
  free(value->key);
  value->key = NULL;
  TRY(mem_strdup(NULL, key, &value->key));
  json **at = &object->child;
  while (*at && strcmp((*at)->key, key) != 0) at = &(*at)->next;
  if (*at) { /* takes the old member's place */
    json *old = *at;
    value->next = old->next;
    old->next = NULL;
    json_free(old);
  }
  *at = value;
  value = NULL;
out:
  json_free(value);
  return rc;
}

int json_push(json *array, json *value) {
  if (!array || !value) {
    json_free(value);
    return E_NOMEM;
  }
  json **at = &array->child;
  while (*at) at = &(*at)->next;
  *at = value;
  return OK;
}

/* A copy of j without its siblings. */
json *json_copy(const json *j) {
  json *c = json_new(j->type);
  if (!c) return NULL;
  c->num = j->num;
  c->is_int = j->is_int;
  c->line = j->line;
  c->col = j->col;
  if (j->key && mem_strdup(NULL, j->key, &c->key) != OK) goto fail;
  if (j->str && mem_strdup(NULL, j->str, &c->str) != OK) goto fail;
  json **tail = &c->child;
  for (const json *k = j->child; k; k = k->next, tail = &(*tail)->next)
    if (!(*tail = json_copy(k))) goto fail;
  return c;
fail:
  json_free(c);
  return NULL;
}

const char *json_library(void) {
  return cJSON_Version();
}
