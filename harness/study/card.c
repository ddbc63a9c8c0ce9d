#include "study/card.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/words_near.h"

static const char *const directions[] = {"up", "down", "none", NULL};
static const char *const planes[] = {"rgb", "alpha", "joint", NULL};
static const char *const pictures[] = {"decoded", "premultiplied", "straight", NULL}; /* from METRIC_DECODED on */
static const char *const wants[] = {"rgba8", "base", NULL};
static const char *const card_members[] = {"protocol", "id", "version", "picture", "wants", "measures", NULL};
static const char *const measure_members[] = {"id", "version", "direction", "unit", "range", "plane", "help", NULL};

int card_name_ok(const char *s) {
  size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
  return n > 0 && n < CARD_NAME && s[n] == 0;
}

int card_reason_ok(const char *s) {
  size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_");
  return n > 0 && n < CARD_NAME && s[n] == 0 && s[0] >= 'a' && s[0] <= 'z' && strncmp(s, "scorer_", 7) != 0;
}

static int find(const char *const *words, const char *s) {
  for (int i = 0; words[i]; i++)
    if (strcmp(words[i], s) == 0) return i;
  return -1;
}

static int check_members(err *e, const json *j, const char *const *known, const char *what) {
  for (const json *m = j->child; m; m = m->next) {
    if (strcmp(m->key, "//") == 0 || find(known, m->key) >= 0) continue;
    near_word best = near_start(m->key, strlen(m->key));
    for (int i = 0; known[i]; i++) near_offer(&best, known[i]);
    return err_set(e, E_FORMAT, "%s has an unknown member '%.80s'%s", what, m->key, near_hint(&best));
  }
  return OK;
}

static int read_name(err *e, const json *j, const char *what, char out[CARD_NAME]) {
  const json *id = json_get(j, "id");
  if (!id || id->type != JSON_STRING || !card_name_ok(id->str))
    return err_set(e, E_FORMAT, "%s wants an \"id\" of 1 to 64 of A-Z a-z 0-9 . _ -", what);
  snprintf(out, CARD_NAME, "%s", id->str);
  return OK;
}

static int read_version(err *e, const json *j, const char *what, int64_t initial, int64_t *out) {
  const json *v = json_get(j, "version");
  *out = initial;
  if (!v && initial) return OK;
  if (!v || v->type != JSON_NUMBER || !v->is_int || v->num < 1)
    return err_set(e, E_FORMAT, "%s wants a \"version\", a whole number from 1 on", what);
  *out = (int64_t)v->num;
  return OK;
}

/* Index of a member's word; `initial` when it is not there (-1: it must be). */
static int read_word(err *e, const json *j, const char *key, const char *const *words, int initial, int *out) {
  const json *v = json_get(j, key);
  *out = v && v->type == JSON_STRING ? find(words, v->str) : v ? -1 : initial;
  if (*out >= 0) return OK;
  char list[128] = "";
  for (size_t i = 0, n = 0; words[i] && n < sizeof list; i++)
    n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", words[i]);
  return err_set(e, E_FORMAT, "\"%s\" must be one of %s", key, list);
}

static int read_text(err *e, const json *j, const char *key, char *out, size_t size) {
  const json *v = json_get(j, key);
  if (!v) return OK;
  if (v->type != JSON_STRING || strlen(v->str) >= size)
    return err_set(e, E_FORMAT, "\"%s\" must be a text of at most %zu bytes", key, size - 1);
  snprintf(out, size, "%s", v->str);
  return OK;
}

static int read_range(err *e, const json *j, card_measure *m) {
  const json *v = json_get(j, "range"), *lo = v && v->type == JSON_ARRAY ? v->child : NULL;
  const json *hi = lo ? lo->next : NULL;
  m->lo = -INFINITY, m->hi = INFINITY;
  if (!v) return OK;
  if (hi && !hi->next && lo->type == JSON_NUMBER) m->lo = lo->num;
  if (hi && !hi->next && hi->type == JSON_NUMBER) m->hi = hi->num;
  int known = hi && !hi->next && (lo->type == JSON_NUMBER || lo->type == JSON_NULL) &&
              (hi->type == JSON_NUMBER || hi->type == JSON_NULL);
  if (known && m->lo <= m->hi) return OK;
  return err_set(e, E_FORMAT, "\"range\" must be [lowest, highest], null where it is open");
}

static int read_measure(err *e, const json *j, const scorer_card *c, card_measure *m) {
  int rc = OK, word;
  *m = (card_measure){.unit = "1"};
  if (j->type != JSON_OBJECT) FAIL(e, E_FORMAT, "a measure must be an object");
  TRY(read_name(e, j, "a measure", m->id));
  TRY(check_members(e, j, measure_members, m->id));
  TRY(read_version(e, j, m->id, c->version, &m->version));
  if ((rc = read_word(e, j, "direction", directions, -1, &word)) != OK) goto named;
  m->direction = (metric_direction)word;
  if ((rc = read_word(e, j, "plane", planes, -1, &word)) != OK) goto named;
  m->plane = (metric_plane)word;
  if ((rc = read_text(e, j, "unit", m->unit, sizeof m->unit)) != OK) goto named;
  if ((rc = read_text(e, j, "help", m->help, sizeof m->help)) != OK) goto named;
  if ((rc = read_range(e, j, m)) != OK) goto named;
  for (int i = 0; i < c->n; i++)
    if (strcmp(c->measure[i].id, m->id) == 0) FAIL(e, E_FORMAT, "measure '%s' is described twice", m->id);
out:
  return rc;
named:
  return err_prefix(e, "measure '%s'", m->id);
}

static int read_wants(err *e, const json *j, scorer_card *c) {
  const json *list = json_get(j, "wants");
  if (list && list->type != JSON_ARRAY) return err_set(e, E_FORMAT, "\"wants\" must be a list");
  for (const json *w = list ? list->child : NULL; w; w = w->next) {
    int i = w->type == JSON_STRING ? find(wants, w->str) : -1;
    if (i < 0) return err_set(e, E_FORMAT, "\"wants\" may hold \"rgba8\" and \"base\"");
    *(i == 0 ? &c->wants_rgba8 : &c->wants_base) = 1;
  }
  return OK;
}

int card_parse(err *e, const json *j, scorer_card *out) {
  int rc = OK, word;
  *out = (scorer_card){0};
  if (j->type != JSON_OBJECT) FAIL(e, E_FORMAT, "a description must be one JSON object");
  const json *protocol = json_get(j, "protocol"), *list = json_get(j, "measures");
  if (!protocol || protocol->type != JSON_NUMBER || protocol->num != CARD_PROTOCOL)
    FAIL(e, E_FORMAT, "\"protocol\": %d is what this build speaks", CARD_PROTOCOL);
  TRY(check_members(e, j, card_members, "the description"));
  TRY(read_name(e, j, "the description", out->id));
  TRY(read_version(e, j, "the description", 0, &out->version));
  TRY(read_word(e, j, "picture", pictures, 0, &word));
  out->picture = (metric_picture)(METRIC_DECODED + word);
  TRY(read_wants(e, j, out));
  if (!list || list->type != JSON_ARRAY || !list->child || json_count(list) > CARD_MEASURES)
    FAIL(e, E_FORMAT, "\"measures\" must be a list of 1 to %d", CARD_MEASURES);
  for (const json *m = list->child; m; m = m->next) {
    TRY(read_measure(e, m, out, &out->measure[out->n]));
    out->n++;
  }
out:
  return rc;
}

/* --- out -------------------------------------------------------------------------------------------------------- */

/* json_set frees a value it cannot keep; NULL values and parents are its E_NOMEM. */
static int set_text(json *j, const char *key, const char *s) {
  return json_set(j, key, json_new_string(s));
}

static json *bound(double v) {
  return isfinite(v) ? json_new_number(v) : json_new(JSON_NULL);
}

static json *measure_json(const card_measure *m) {
  int rc = OK;
  json *j = json_new(JSON_OBJECT), *range = json_new(JSON_ARRAY);
  TRY(set_text(j, "id", m->id));
  TRY(json_set(j, "version", json_new_number((double)m->version)));
  TRY(set_text(j, "direction", directions[m->direction]));
  TRY(set_text(j, "unit", m->unit));
  TRY(set_text(j, "plane", planes[m->plane]));
  TRY(json_push(range, bound(m->lo)));
  TRY(json_push(range, bound(m->hi)));
  rc = json_set(j, "range", range);
  range = NULL;
out:
  json_free(range);
  if (rc == OK) return j;
  json_free(j);
  return NULL;
}

int card_json(err *e, const scorer_card *c, json **out) {
  int rc = OK;
  json *j = json_new(JSON_OBJECT), *list = json_new(JSON_ARRAY), *asked = json_new(JSON_ARRAY);
  *out = NULL;
  TRY(json_set(j, "protocol", json_new_number(CARD_PROTOCOL)));
  TRY(set_text(j, "id", c->id));
  TRY(json_set(j, "version", json_new_number((double)c->version)));
  TRY(set_text(j, "picture", pictures[c->picture - METRIC_DECODED]));
  if (c->wants_rgba8) TRY(json_push(asked, json_new_string(wants[0])));
  if (c->wants_base) TRY(json_push(asked, json_new_string(wants[1])));
  for (int i = 0; i < c->n; i++) TRY(json_push(list, measure_json(&c->measure[i])));
  rc = json_set(j, "wants", asked);
  asked = NULL;
  if (rc == OK) {
    rc = json_set(j, "measures", list);
    list = NULL;
  }
out:
  json_free(asked);
  json_free(list);
  if (rc == OK) {
    *out = j;
    return OK;
  }
  json_free(j);
  return err_set(e, E_NOMEM, "no memory for a description");
}
