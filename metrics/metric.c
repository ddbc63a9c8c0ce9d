#include "metrics/metric.h"

#include <stdio.h>
#include <string.h>

#include "base/words_near.h"
#include "metrics/param.h"

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
      {METRIC_NO_CHANNELS, "the file does not say how far the three decoded channels of its alpha lie apart"},
      {METRIC_NO_LATENTS, "there is no VAE to encode the pictures with, or their size is none it can encode"},
      {METRIC_TOO_FEW_CLIPS, "the score needs more clips in a set"},
      {METRIC_TOO_SMALL, "the frames are too small"},
      {METRIC_SIZES_DIFFER, "clips of the two sets differ in size, and the score takes as many pieces of each"},
      {METRIC_PICTURES_DIFFER, "some clips were read with their background and some multiplied by alpha"},
      {METRIC_NO_FEATURES,
       "the set has a mean and a covariance only, and the score needs the features of every clip"},
      {NULL, NULL},
  };
  return list;
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

int metric_parse(err *e, const char *text, metric_request *out) {
  const char *colon = strchr(text, ':');
  int premultiplied = 0;
  *out = (metric_request){0};
  int rc = parse_id(e, text, colon ? (size_t)(colon - text) : strlen(text), out);
  if (rc != OK) return rc;
  const metric *m = out->metric;
  int compares = m->plane == METRIC_JOINT && m->picture == METRIC_DECODED;
  param_owner o = {.kind = "metric",
                   .id = m->id,
                   .params = m->params,
                   .own_picture = compares ? "decoded" : NULL,
                   .no_picture = "does not compare alpha with the decoded picture"};
  rc = param_parse(e, &o, colon, out->param, &premultiplied);
  if (rc == OK && premultiplied && out->gain)
    rc = err_set(e, E_CONFIG, "metric '%s' has no gain on a premultiplied picture", m->id);
  out->picture = premultiplied ? METRIC_PREMULTIPLIED : m->picture;
  return rc;
}

void metric_print(const metric_request *r, char out[METRIC_TEXT]) {
  char head[METRIC_TEXT];
  snprintf(head, sizeof head, "%s%s", r->metric->id, r->gain ? "_gain" : "");
  param_print(r->metric->params, head, r->picture != r->metric->picture, r->param, out);
}

int metric_circular(const metric_request *r) {
  return r->metric->plane == METRIC_JOINT && r->picture == METRIC_PREMULTIPLIED;
}

void metric_range(const metric_request *r, double *lo, double *hi) {
  const metric *m = r->metric;
  *lo = r->gain ? m->lo - m->hi : m->lo;
  *hi = r->gain ? m->hi - m->lo : m->hi;
}
