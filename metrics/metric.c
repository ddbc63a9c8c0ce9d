#include "metrics/metric.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/words_near.h"

#define M(name) extern const metric metric_##name;
#include "metrics/metrics.def"
#undef M

const metric *const *metric_list(void) {
  static const metric *const list[] = {
#define M(name) &metric_##name,
#include "metrics/metrics.def"
#undef M
      NULL};
  return list;
}

const metric_reason *metric_reasons(void) {
  static const metric_reason list[] = {
      {METRIC_NO_ALPHA, "the clip has no alpha"},
      {METRIC_NO_TRUTH, "the picture's true matte is not known"},
      {METRIC_NO_BASE, "there is no clip of the base model for this prompt and noise"},
      {METRIC_NO_REFERENCE, "there is no clip that says what this one should have been"},
      {METRIC_NO_TRIMAP, "there is no trimap"},
      {METRIC_NO_PARTNER, "there is no clip of the same prompt with another seed"},
      {METRIC_CIRCULAR, "the picture is multiplied by the alpha under test, which would be compared with itself"},
      {METRIC_PREMULTIPLIED_RGB, "the picture is multiplied by alpha and the metric needs the decoded one"},
      {METRIC_STRAIGHT_RGB, "the picture is a foreground colour without a background"},
      {METRIC_NO_STRAIGHT_RGB, "the foreground colour cannot be taken out of a picture with a background"},
      {METRIC_EMPTY_CLIP, "the clip has no pixels"},
      {METRIC_TOO_FEW_FRAMES, "the metric needs more frames"},
      {METRIC_NOT_FINITE, "a pixel or the result is not finite"},
      {METRIC_EMPTY_ALPHA, "alpha is empty (nowhere above .02, or no mass)"},
      {METRIC_OPAQUE_ALPHA, "alpha is opaque (mean above .99)"},
      {METRIC_FLAT_ALPHA, "alpha is constant"},
      {METRIC_FLAT_RGB, "the picture is constant"},
      {METRIC_EMPTY_TRUTH, "the picture's matte is empty"},
      {METRIC_FLAT_TRUTH, "the picture's matte is constant"},
      {METRIC_STATIC, "nothing moves"},
      {METRIC_STATIC_BASE, "the base model's object does not move"},
      {METRIC_NO_BAND, "alpha has no edge"},
      {METRIC_NO_MASK, "alpha is nowhere at least one half"},
      {METRIC_NO_GROUND, "alpha is nowhere below .02"},
      {METRIC_NO_UNKNOWN, "a frame's trimap has no unknown pixels"},
      {METRIC_TOO_SMALL, "the frames are smaller than the metric's window"},
      {METRIC_NO_COLOUR, "nowhere do both clips have a foreground colour"},
      {METRIC_IDENTICAL, "the pictures are equal, the ratio is infinite"},
      {NULL, NULL},
  };
  return list;
}

static int count_params(const metric *m) {
  int n = 0;
  while (m->params && m->params[n].name) n++;
  return n;
}

static const metric *find(const char *s, size_t n) {
  for (const metric *const *m = metric_list(); *m; m++)
    if (strlen((*m)->id) == n && !memcmp((*m)->id, s, n)) return *m;
  return NULL;
}

/* Resolves ID or ID_gain. */
static int parse_id(err *e, const char *s, size_t n, metric_request *out) {
  static const char suffix[] = "_gain";
  size_t tail = sizeof suffix - 1;
  out->metric = find(s, n);
  if (out->metric) return OK;
  if (n > tail && !memcmp(s + n - tail, suffix, tail)) {
    out->metric = find(s, n - tail);
    out->gain = out->metric != NULL;
  }
  if (out->metric && !out->metric->gain_ok)
    return err_set(e, E_CONFIG, "metric '%s' has no gain: it does not compare alpha with a picture", out->metric->id);
  if (out->metric) return OK;
  near_word best = near_start(s, n);
  for (const metric *const *m = metric_list(); *m; m++) near_offer(&best, (*m)->id);
  return err_set(e, E_CONFIG, "unknown metric '%.*s'%s", (int)n, s, near_hint(&best));
}

static int find_param(err *e, const metric *m, const char *s, size_t n, int *out) {
  int params = count_params(m);
  near_word best = near_start(s, n);
  for (int i = 0; i < params; i++) {
    *out = i;
    if (strlen(m->params[i].name) == n && !memcmp(m->params[i].name, s, n)) return OK;
    near_offer(&best, m->params[i].name);
  }
  return err_set(e, E_CONFIG, "metric '%s' has no parameter '%.*s'%s", m->id, (int)n, s, near_hint(&best));
}

/* "picture=..." of n bytes: decoded is what these metrics read by default. */
static int parse_picture(err *e, const char *s, size_t n, metric_request *out, unsigned *seen) {
  static const char premultiplied[] = "picture=premultiplied";
  const metric *m = out->metric;
  if (m->plane != METRIC_JOINT || m->picture != METRIC_DECODED)
    return err_set(e, E_CONFIG, "metric '%s' does not compare alpha with the decoded picture: it has no 'picture'",
                   m->id);
  if (*seen & 1u << METRIC_PARAMS) return err_set(e, E_CONFIG, "metric '%s': 'picture' is given twice", m->id);
  *seen |= 1u << METRIC_PARAMS;
  if (n == strlen("picture=decoded") && !memcmp(s, "picture=decoded", n)) return OK;
  if (n != sizeof premultiplied - 1 || memcmp(s, premultiplied, n))
    return err_set(e, E_CONFIG, "metric '%s': %.*s must be decoded or premultiplied", m->id, (int)n, s);
  if (out->gain) return err_set(e, E_CONFIG, "metric '%s' has no gain on a premultiplied picture", m->id);
  out->picture = METRIC_PREMULTIPLIED;
  return OK;
}

/* One "name=value" of n bytes. */
static int parse_param(err *e, const char *s, size_t n, metric_request *out, unsigned *seen) {
  const metric *m = out->metric;
  const char *eq = memchr(s, '=', n);
  int i = 0;
  if (!eq) return err_set(e, E_CONFIG, "metric '%s': '%.*s' is not parameter=value", m->id, (int)n, s);
  if ((size_t)(eq - s) == strlen("picture") && !memcmp(s, "picture", (size_t)(eq - s)))
    return parse_picture(e, s, n, out, seen);
  int rc = find_param(e, m, s, (size_t)(eq - s), &i);
  if (rc != OK) return rc;
  const metric_param *p = &m->params[i];
  if (*seen & 1u << i) return err_set(e, E_CONFIG, "metric '%s': '%s' is given twice", m->id, p->name);
  *seen |= 1u << i;
  char *end;
  double v = strtod(eq + 1, &end);
  if (end == eq + 1 || end != s + n || strchr(" \t\n", eq[1]))
    return err_set(e, E_CONFIG, "metric '%s': %.*s is not a number", m->id, (int)n, s);
  if (!(v >= p->lo && v <= p->hi) || (p->integer && v != rint(v)))
    return err_set(e, E_CONFIG, "metric '%s': %.*s must be a %s in [%g, %g]", m->id, (int)n, s,
                   p->integer ? "whole number" : "number", p->lo, p->hi);
  out->param[i] = v;
  return OK;
}

int metric_parse(err *e, const char *text, metric_request *out) {
  const char *colon = strchr(text, ':'), *s;
  unsigned seen = 0;
  *out = (metric_request){0};
  int rc = parse_id(e, text, colon ? (size_t)(colon - text) : strlen(text), out);
  if (rc != OK) return rc;
  out->picture = out->metric->picture;
  for (int i = 0; i < count_params(out->metric); i++) out->param[i] = out->metric->params[i].initial;
  for (s = colon; rc == OK && s; s = strchr(s + 1, ',')) rc = parse_param(e, s + 1, strcspn(s + 1, ","), out, &seen);
  return rc;
}

void metric_print(const metric_request *r, char out[METRIC_TEXT]) {
  char sep = ':', number[32];
  int premultiplied = r->picture != r->metric->picture;
  size_t n = (size_t)snprintf(out, METRIC_TEXT, "%s%s%s", r->metric->id, r->gain ? "_gain" : "",
                              premultiplied ? ":picture=premultiplied" : "");
  if (premultiplied) sep = ',';
  for (int i = 0; i < count_params(r->metric); i++) {
    const metric_param *p = &r->metric->params[i];
    if (r->param[i] == p->initial) continue;
    for (int digits = 15; digits <= 17; digits++) {
      snprintf(number, sizeof number, "%.*g", digits, r->param[i]);
      if (strtod(number, NULL) == r->param[i]) break;
    }
    int k = snprintf(out + n, METRIC_TEXT - n, "%c%s=%s", sep, p->name, number);
    n += (size_t)k < METRIC_TEXT - n ? (size_t)k : METRIC_TEXT - 1 - n;
    sep = ',';
  }
}

int metric_circular(const metric_request *r) {
  return r->metric->plane == METRIC_JOINT && r->picture == METRIC_PREMULTIPLIED;
}

void metric_range(const metric_request *r, double *lo, double *hi) {
  const metric *m = r->metric;
  *lo = r->gain ? m->lo - m->hi : m->lo;
  *hi = r->gain ? m->hi - m->lo : m->hi;
}
