#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/kernels/kernels.h"
#include "metrics/backgrounds.h"
#include "metrics/session.h"

static int bad(const float *x, int64_t n) {
  int found = 0;
  for (int64_t i = 0; x && i < n; i++) found |= !isfinite(x[i]);
  return found;
}

static int same_size(const clip *a, const clip *b) {
  return a->frames == b->frames && a->height == b->height && a->width == b->width;
}

int session_open(err *e, metric_session *s, const metric_input *in) {
  const clip *c = in->clip, *other[] = {in->base, in->partner, in->reference};
  static const char *const name[] = {"base", "partner", "reference"};
  *s = (metric_session){.in = in};
  if (!metric_kernels_of(NULL)) return err_set(e, E_UNSUPPORTED, "this CPU has not even level v2");
  for (int i = 0; i < 3; i++)
    if (other[i] && !same_size(c, other[i]))
      return err_set(e, E_SHAPE, "score: the clip is %dx%dx%d, its %s clip %dx%dx%d", c->frames, c->height, c->width,
                     name[i], other[i]->frames, other[i]->height, other[i]->width);
  int64_t n = clip_voxels(c);
  s->bad_alpha = bad(c->alpha, n);
  s->bad_rgb[SIDE_OWN] = bad(c->rgb, 3 * n);
  s->bad_rgb[SIDE_PARTNER] = in->partner && bad(in->partner->rgb, 3 * n);
  s->truth[SIDE_OWN] = in->truth ? in->truth : in->reference ? in->reference->alpha : NULL;
  s->truth[SIDE_PARTNER] = in->partner_truth;
  for (int i = 0; i < SIDES; i++) s->bad_truth[i] = bad(s->truth[i], n);
  s->bad_base = in->base && bad(in->base->rgb, 3 * n);
  s->bad_base_truth = bad(in->base_truth, n);
  s->bad_reference = in->reference && (bad(in->reference->rgb, 3 * n) || bad(in->reference->alpha, n));
  s->bad_trimap = bad(in->trimap, n);
  for (int64_t i = 0; c->alpha && i < n; i++) {
    double a = (double)c->alpha[i];
    s->alpha_mean += a / (double)n;
    if (a > s->alpha_max) s->alpha_max = a;
  }
  return OK;
}

void session_close(metric_session *s) {
  for (int i = 0; i < SOURCES; i++)
    for (int k = 0; k <= METRIC_SHOWN; k++) free(s->form[i][k]);
  free(s->band);
  flow_cache_close(&s->flows);
  memo_free(s->memos);
}

const char *metric_unreadable(metric_picture want, metric_plane plane, clip_colour colour) {
  if (want == METRIC_DECODED && colour == CLIP_PREMULTIPLIED)
    return plane == METRIC_RGB ? METRIC_PREMULTIPLIED_RGB : METRIC_CIRCULAR;
  if (want == METRIC_DECODED && colour == CLIP_STRAIGHT) return METRIC_STRAIGHT_RGB;
  if (want == METRIC_STRAIGHT && colour == CLIP_DECODED) return METRIC_NO_STRAIGHT_RGB;
  return NULL;
}

/* Why the metric cannot be computed on this side; NULL when it can be tried. */
static const char *missing(const metric_session *s, const metric_request *r, session_side side) {
  const metric_input *in = s->in;
  const metric *m = r->metric;
  const clip *own = in->clip, *pic = side == SIDE_OWN ? own : in->partner;
  int alpha = (m->needs & METRIC_NEEDS_ALPHA) || r->picture == METRIC_STRAIGHT;
  const char *why = NULL;
  if (!pic) return METRIC_NO_PARTNER;
  if (clip_voxels(own) == 0) return METRIC_EMPTY_CLIP;
  if (alpha && !own->alpha) return METRIC_NO_ALPHA;
  if ((m->needs & METRIC_NEEDS_TRUTH) && !s->truth[side]) return METRIC_NO_TRUTH;
  if ((m->needs & METRIC_NEEDS_BASE) && !in->base) return METRIC_NO_BASE;
  if ((m->needs & METRIC_NEEDS_BASE_TRUTH) && !in->base_truth) return METRIC_NO_BASE;
  if ((m->needs & METRIC_NEEDS_REFERENCE) && !(in->reference && in->reference->alpha)) return METRIC_NO_REFERENCE;
  if ((m->needs & METRIC_NEEDS_TRIMAP) && !in->trimap) return METRIC_NO_TRIMAP;
  if (own->frames < m->min_frames) return METRIC_TOO_FEW_FRAMES;
  if ((why = metric_unreadable(r->picture, m->plane, pic->colour))) return why;
  if ((m->needs & METRIC_NEEDS_BASE) && (why = metric_unreadable(r->picture, m->plane, in->base->colour))) return why;
  if ((m->needs & METRIC_NEEDS_REFERENCE) && (why = metric_unreadable(r->picture, m->plane, in->reference->colour)))
    return why;
  if ((m->needs & METRIC_NEEDS_LATENTS) && !(in->latents && in->base_latents)) return METRIC_NO_LATENTS;
  int multiplied = r->picture == METRIC_PREMULTIPLIED || r->picture == METRIC_SHOWN;
  if (((alpha || multiplied) && s->bad_alpha) || (r->picture != METRIC_NO_PICTURE && s->bad_rgb[side]) ||
      ((m->needs & METRIC_NEEDS_TRUTH) && s->bad_truth[side]) || ((m->needs & METRIC_NEEDS_BASE) && s->bad_base) ||
      ((m->needs & METRIC_NEEDS_BASE_TRUTH) && s->bad_base_truth) ||
      ((m->needs & METRIC_NEEDS_REFERENCE) && s->bad_reference) ||
      ((m->needs & METRIC_NEEDS_TRIMAP) && s->bad_trimap))
    return METRIC_NOT_FINITE;
  if ((m->needs & METRIC_GATED) && s->alpha_max < 0.02) return METRIC_EMPTY_ALPHA;
  if ((m->needs & METRIC_GATED) && s->alpha_mean > 0.99) return METRIC_OPAQUE_ALPHA;
  return NULL;
}

/* The picture of a source in the form a metric reads; made once. Straight colour below 8/255 is lost to rounding. A
 * partner's picture is read through the alpha under test. */
static int picture(err *e, metric_session *s, session_side side, metric_picture want, const float **out) {
  const clip *c = side == SIDE_OWN ? s->in->clip : side == SIDE_PARTNER ? s->in->partner : s->in->reference;
  const float *alpha = side == SIDE_REFERENCE ? c->alpha : s->in->clip->alpha;
  *out = c->rgb;
  if (want == METRIC_SHOWN) want = c->colour == CLIP_DECODED ? METRIC_DECODED : METRIC_PREMULTIPLIED;
  if (want == METRIC_NO_PICTURE) *out = NULL;
  if (want == METRIC_NO_PICTURE || want == METRIC_DECODED) return OK;
  if (want == METRIC_PREMULTIPLIED && (c->colour == CLIP_PREMULTIPLIED || !alpha)) return OK; /* opaque */
  float **made = &s->form[side][want];
  *out = *made;
  if (*made) return OK;
  int rc = mem_new(e, 3 * clip_voxels(c), sizeof(float), "picture", made);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < clip_voxels(c); i++) {
    float factor = alpha[i];
    if (want == METRIC_STRAIGHT) {
      factor = c->colour == CLIP_PREMULTIPLIED ? 1 / alpha[i] : 1;
      if (!(alpha[i] >= COLOUR_LEAST_ALPHA)) factor = 0;
    }
    for (int k = 0; k < 3; k++) (*made)[3 * i + k] = factor * c->rgb[3 * i + k];
  }
  *out = *made;
  return OK;
}

int session_view(err *e, metric_session *s, const metric_request *r, session_side side, metric_view *out,
                 const char **why) {
  const metric *m = r->metric;
  const metric_input *in = s->in;
  *out = (metric_view){.frames = in->clip->frames,
                       .height = in->clip->height,
                       .width = in->clip->width,
                       .fps = in->clip->fps,
                       .threads = in->threads > 1 ? in->threads : 1,
                       .param = r->param,
                       .session = s};
  *why = missing(s, r, side);
  if (*why) return OK;
  int rc = picture(e, s, side, r->picture, &out->rgb);
  if (rc == OK && (m->needs & METRIC_NEEDS_REFERENCE)) rc = picture(e, s, SIDE_REFERENCE, r->picture, &out->ref_rgb);
  if (rc != OK) return rc;
  if (m->needs & METRIC_NEEDS_ALPHA) out->alpha = in->clip->alpha;
  if (m->needs & METRIC_NEEDS_TRUTH) out->truth = s->truth[side];
  if (m->needs & METRIC_NEEDS_BASE) out->base_rgb = in->base->rgb;
  if (m->needs & METRIC_NEEDS_BASE_TRUTH) out->base_truth = in->base_truth;
  if (m->needs & METRIC_NEEDS_REFERENCE) out->ref_alpha = in->reference->alpha;
  if (m->needs & METRIC_NEEDS_TRIMAP) out->trimap = in->trimap;
  if (m->needs & METRIC_NEEDS_LATENTS)
    out->latents = in->latents, out->base_latents = in->base_latents, out->n_latents = in->n_latents;
  if (m->needs & METRIC_NEEDS_ALPHA && in->clip->alpha_chroma_known) out->alpha_chroma = &in->clip->alpha_chroma;
  return OK;
}

static int score_side(err *e, metric_session *s, const metric_request *r, session_side side, metric_value *out) {
  metric_view v;
  const char *why;
  int rc = session_view(e, s, r, side, &v, &why);
  if (rc != OK) return rc;
  if (why) return metric_undefined(out, why, 0);
  rc = r->metric->score(e, &v, out);
  if (rc == OK && !out->reason && !isfinite(out->value)) rc = metric_undefined(out, METRIC_NOT_FINITE, out->support);
  out->circular = metric_circular(r);
  return rc;
}

static int score_one(err *e, metric_session *s, const metric_request *r, metric_value *out) {
  metric_value own, other;
  int rc = score_side(e, s, r, SIDE_OWN, &own);
  *out = own;
  if (rc != OK || !r->gain || own.reason) return rc;
  rc = score_side(e, s, r, SIDE_PARTNER, &other);
  if (rc != OK) return rc;
  int64_t support = own.support < other.support ? own.support : other.support;
  return other.reason ? metric_undefined(out, other.reason, support)
                      : metric_defined(out, own.value - other.value, support);
}

int metric_score(err *e, const metric_request *list, int64_t n, const metric_input *in, metric_value *out) {
  metric_session s;
  int rc = session_open(e, &s, in);
  for (int64_t i = 0; rc == OK && i < n; i++) rc = score_one(e, &s, &list[i], &out[i]);
  if (rc != OK) err_prefix(e, "metrics");
  session_close(&s);
  return rc;
}
