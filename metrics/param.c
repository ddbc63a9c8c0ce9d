#include "metrics/param.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/words_near.h"

int param_count(const metric_param *params) {
  int n = 0;
  while (params && params[n].name) n++;
  return n;
}

void param_defaults(const metric_param *params, double *value) {
  for (int i = 0; i < param_count(params); i++) value[i] = params[i].initial;
}

static int find_param(err *e, const param_owner *o, const char *s, size_t n, int *out) {
  near_word best = near_start(s, n);
  for (int i = 0; i < param_count(o->params); i++) {
    *out = i;
    if (strlen(o->params[i].name) == n && !memcmp(o->params[i].name, s, n)) return OK;
    near_offer(&best, o->params[i].name);
  }
  return err_set(e, E_CONFIG, "%s '%s' has no parameter '%.*s'%s", o->kind, o->id, (int)n, s, near_hint(&best));
}

/* What has been read so far. */
typedef struct reading {
  double *value;
  unsigned seen; /* a bit a parameter, and above them the picture's */
  int premultiplied;
} reading;

/* "picture=..." of n bytes. */
static int parse_picture(err *e, const param_owner *o, const char *s, size_t n, reading *r) {
  const char *word = s + strlen("picture=");
  size_t len = n - strlen("picture=");
  if (!o->own_picture) return err_set(e, E_CONFIG, "%s '%s' %s: it has no 'picture'", o->kind, o->id, o->no_picture);
  if (len == strlen(o->own_picture) && !memcmp(word, o->own_picture, len)) return OK;
  r->premultiplied = len == strlen("premultiplied") && !memcmp(word, "premultiplied", len);
  if (r->premultiplied) return OK;
  return err_set(e, E_CONFIG, "%s '%s': %.*s must be %s or premultiplied", o->kind, o->id, (int)n, s, o->own_picture);
}

/* One "name=value" of n bytes. */
static int parse_one(err *e, const param_owner *o, const char *s, size_t n, reading *r) {
  const char *eq = memchr(s, '=', n);
  int i = METRIC_PARAMS;
  if (!eq) return err_set(e, E_CONFIG, "%s '%s': '%.*s' is not parameter=value", o->kind, o->id, (int)n, s);
  int picture = (size_t)(eq - s) == strlen("picture") && !memcmp(s, "picture", (size_t)(eq - s));
  int rc = picture ? OK : find_param(e, o, s, (size_t)(eq - s), &i);
  if (rc != OK) return rc;
  if (r->seen & 1u << i)
    return err_set(e, E_CONFIG, "%s '%s': '%.*s' is given twice", o->kind, o->id, (int)(eq - s), s);
  r->seen |= 1u << i;
  if (picture) return parse_picture(e, o, s, n, r);
  const metric_param *p = &o->params[i];
  char *end;
  double v = strtod(eq + 1, &end);
  if (end == eq + 1 || end != s + n || strchr(" \t\n", eq[1]))
    return err_set(e, E_CONFIG, "%s '%s': %.*s is not a number", o->kind, o->id, (int)n, s);
  if (!(v >= p->lo && v <= p->hi) || (p->integer && v != rint(v)))
    return err_set(e, E_CONFIG, "%s '%s': %.*s must be a %s in [%g, %g]", o->kind, o->id, (int)n, s,
                   p->integer ? "whole number" : "number", p->lo, p->hi);
  r->value[i] = v;
  return OK;
}

int param_parse(err *e, const param_owner *o, const char *text, double *value, int *premultiplied) {
  reading r = {.value = value};
  int rc = OK;
  param_defaults(o->params, value);
  for (const char *s = text; rc == OK && s; s = strchr(s + 1, ','))
    rc = parse_one(e, o, s + 1, strcspn(s + 1, ","), &r);
  *premultiplied = r.premultiplied;
  return rc;
}

void param_print(const metric_param *params, const char *head, int premultiplied, const double *value,
                 char out[METRIC_TEXT]) {
  char sep = premultiplied ? ',' : ':', number[32];
  size_t n = (size_t)snprintf(out, METRIC_TEXT, "%s%s", head, premultiplied ? ":picture=premultiplied" : "");
  for (int i = 0; i < param_count(params); i++) {
    if (value[i] == params[i].initial) continue;
    for (int digits = 15; digits <= 17; digits++) {
      snprintf(number, sizeof number, "%.*g", digits, value[i]);
      if (strtod(number, NULL) == value[i]) break;
    }
    int k = snprintf(out + n, METRIC_TEXT - n, "%c%s=%s", sep, params[i].name, number);
    n += (size_t)k < METRIC_TEXT - n ? (size_t)k : METRIC_TEXT - 1 - n;
    sep = ',';
  }
}
