#include "metrics/set.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words_near.h"
#include "metrics/extract.h"
#include "metrics/param.h"
#include "metrics/session.h"

#define S(name) extern const set_metric set_metric_##name;
#include "metrics/sets.def"
#undef S

const set_metric *const *set_list(void) {
  static const set_metric *const list[] = {
#define S(name) &set_metric_##name,
#include "metrics/sets.def"
#undef S
      NULL};
  return list;
}

const set_extractor *const *set_extractors(void) {
  static const set_extractor *const list[] = {&set_hof,         &set_rgba_stats, &set_patches,
                                              &set_random_conv, &set_file,       NULL};
  return list;
}

static const set_metric *find(const char *s, size_t n) {
  for (const set_metric *const *m = set_list(); *m; m++)
    if (strlen((*m)->id) == n && !memcmp((*m)->id, s, n)) return *m;
  return NULL;
}

static int reads_alpha(const set_request *r) {
  set_alpha a = r->metric->extractor->alpha;
  return a == SET_ALPHA_ALWAYS || (a == SET_ALPHA_CHOICE && r->param[0] != 0);
}

int set_parse(err *e, const char *text, set_request *out) {
  const char *colon = strchr(text, ':');
  size_t n = colon ? (size_t)(colon - text) : strlen(text);
  int premultiplied = 0;
  *out = (set_request){.metric = find(text, n)};
  if (!out->metric) {
    near_word best = near_start(text, n);
    for (const set_metric *const *m = set_list(); *m; m++) near_offer(&best, (*m)->id);
    return err_set(e, E_CONFIG, "unknown score of sets '%.*s'%s", (int)n, text, near_hint(&best));
  }
  const set_extractor *x = out->metric->extractor;
  param_owner o = {.kind = "score of sets",
                   .id = out->metric->id,
                   .params = out->metric->params,
                   .own_picture = x->picture == METRIC_SHOWN ? "shown" : NULL,
                   .no_picture = "does not read the shown picture"};
  int rc = param_parse(e, &o, colon, out->param, &premultiplied);
  out->picture = premultiplied ? METRIC_PREMULTIPLIED : x->picture;
  if (x->picture == METRIC_PREMULTIPLIED && !reads_alpha(out)) out->picture = METRIC_SHOWN;
  return rc;
}

static int asked_premultiplied(const set_request *r) {
  return r->metric->extractor->picture == METRIC_SHOWN && r->picture == METRIC_PREMULTIPLIED;
}

void set_print(const set_request *r, char out[METRIC_TEXT]) {
  param_print(r->metric->params, r->metric->id, asked_premultiplied(r), r->param, out);
}

void set_features_print(const set_request *r, char out[METRIC_TEXT]) {
  const set_extractor *x = r->metric->extractor;
  param_print(x->params, x->id, asked_premultiplied(r), r->param, out);
}

void set_rows_free(set_rows *r) {
  free(r->x);
  *r = (set_rows){0};
}

static int all_finite(const double *x, int64_t n) {
  int finite = 1;
  for (int64_t i = 0; i < n; i++) finite &= isfinite(x[i]) != 0;
  return finite;
}

int set_features(err *e, const set_request *r, const clip *c, int threads, set_rows *out) {
  int rc = OK;
  const set_extractor *x = r->metric->extractor;
  metric_input in = {.clip = c, .threads = threads};
  metric_session s = {0};
  metric_view v;
  metric needs = {.plane = METRIC_JOINT, .min_frames = x->min_frames};
  metric_request q = {.metric = &needs, .picture = r->picture};
  const char *why = NULL;
  *out = (set_rows){0};
  if (!x->extract) FAIL(e, E_ARG, "score of sets '%s' takes its features from a file", r->metric->id);
  if (reads_alpha(r)) needs.needs = METRIC_NEEDS_ALPHA;
  memcpy(q.param, r->param, sizeof q.param);
  TRY(session_open(e, &s, &in));
  TRY(session_view(e, &s, &q, SIDE_OWN, &v, &why));
  if (!why && (c->height < x->min_side || c->width < x->min_side)) why = METRIC_TOO_SMALL;
  out->reason = why;
  if (why) goto out;
  int decoded = r->picture == METRIC_SHOWN && c->colour == CLIP_DECODED;
  out->picture = decoded ? METRIC_DECODED : METRIC_PREMULTIPLIED;
  TRY(x->extract(e, &v, out));
  if (!out->reason && !all_finite(out->x, out->rows * out->dim)) out->reason = METRIC_NOT_FINITE;
out:
  if (rc != OK || out->reason) free(out->x), out->x = NULL, out->rows = out->dim = 0;
  session_close(&s);
  return rc;
}

int set_stack(err *e, const set_rows *list, int64_t n, double **store, set_matrix *out) {
  const set_rows *first = NULL;
  *store = NULL;
  *out = (set_matrix){0};
  for (int64_t i = 0; i < n; i++) {
    const set_rows *r = &list[i];
    if (r->reason) continue;
    if (!first) first = r;
    out->n++;
    if (r->rows != first->rows || r->dim != first->dim) out->reason = METRIC_SIZES_DIFFER;
    if (r->picture != first->picture) out->reason = METRIC_PICTURES_DIFFER;
  }
  out->undefined = n - out->n;
  if (!first || out->reason) return OK;
  int64_t each = first->rows * first->dim, at = 0;
  int rc = mem_new(e, out->n, each * (int64_t)sizeof(double), "features of a set", store);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < n; i++)
    if (!list[i].reason) memcpy(*store + each * at++, list[i].x, (size_t)each * sizeof(double));
  out->x = *store, out->rows = first->rows, out->dim = first->dim, out->picture = first->picture;
  return OK;
}

/* Why these sets cannot be compared; NULL when it can be tried. */
static const char *missing(const set_metric *m, const set_matrix *x, const set_matrix *y) {
  const set_matrix *side[] = {x, y};
  int64_t least[] = {m->min_x, m->min_y};
  for (int i = 0; i < 2; i++) {
    const set_matrix *s = side[i];
    if (s->reason) return s->reason;
    if (s->mu && !m->moments) return METRIC_NO_FEATURES;
    if (!s->mu && s->n < least[i]) return METRIC_TOO_FEW_CLIPS;
    if (s->mu && (!all_finite(s->mu, s->dim) || !all_finite(s->sigma, s->dim * s->dim))) return METRIC_NOT_FINITE;
    if (!s->mu && !all_finite(s->x, s->n * s->rows * s->dim)) return METRIC_NOT_FINITE;
  }
  if (x->picture && y->picture && x->picture != y->picture) return METRIC_PICTURES_DIFFER;
  return !x->mu && !y->mu && x->rows != y->rows ? METRIC_SIZES_DIFFER : NULL;
}

int set_score(err *e, const set_request *r, const set_matrix *x, const set_matrix *y, int threads, set_result *out) {
  int rc = OK;
  set_call c = {.x = x, .y = y, .param = r->param, .threads = threads > 1 ? threads : 1};
  *out = (set_result){.n_x = x->n,
                      .n_y = y->n,
                      .undefined_x = x->undefined,
                      .undefined_y = y->undefined,
                      .source_x = x->source,
                      .source_y = y->source};
  out->reason = missing(r->metric, x, y);
  if (out->reason) return OK;
  if (x->dim != y->dim)
    FAIL(e, E_SHAPE, "score of sets '%s': features of %lld and of %lld numbers cannot be compared", r->metric->id,
         (long long)x->dim, (long long)y->dim);
  if (r->metric->extractor != &set_patches && ((!x->mu && x->rows != 1) || (!y->mu && y->rows != 1)))
    FAIL(e, E_SHAPE, "score of sets '%s' takes one row of features a clip", r->metric->id);
  if (x->source && y->source && strcmp(x->source, y->source))
    FAIL(e, E_CONFIG, "score of sets '%s': the features were not made in the same way: %.300s and %.300s",
         r->metric->id, x->source, y->source);
  TRY(r->metric->score(e, &c, out));
  if (!out->reason && !(isfinite(out->value) && isfinite(out->null_mean))) out->reason = METRIC_NOT_FINITE;
  if (out->reason) out->value = out->p = out->null_mean = out->null_sd = out->null_lo = out->null_hi = out->parts = 0;
out:
  if (rc != OK) err_prefix(e, "metrics");
  return rc;
}

const set_extractor set_file = {
    .id = "file",
    .version = 1,
    .alpha = SET_ALPHA_NEVER,
    .picture = METRIC_NO_PICTURE,
    .min_frames = 1,
    .min_side = 1,
    .help =
        "features made by another program, a row a clip (or frame), in .npy, .npz or .safetensors; what they mean is "
        "the file's to say, in a .json of the same name",
    .citation = "the interface of pytorch-fid, videojedi and FVMD caches",
};
