#include "metrics/flow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/code8.h"
#include "metrics/plane.h"
#include "metrics/session.h"

const metric_param flow_params[] = {FLOW_PARAM_ROWS, {0}};

fb_params flow_read_params(const double *v) {
  return (fb_params){v[0], (int)v[1], (int)v[2], (int)v[3], (int)v[4], v[5], (int)v[6]};
}

void flow_cache_close(flow_cache *c) {
  for (int64_t i = 0; i < c->n; i++) free(c->entry[i].flow);
  free(c->entry);
  *c = (flow_cache){0};
}

static int same_params(const fb_params *a, const fb_params *b) {
  return a->pyr_scale == b->pyr_scale && a->levels == b->levels && a->window == b->window &&
         a->iterations == b->iterations && a->poly_n == b->poly_n && a->poly_sigma == b->poly_sigma &&
         a->gaussian == b->gaussian;
}

static int stretch(err *e, float *x, int64_t n) {
  float *copy;
  int rc = mem_new(e, n, sizeof(float), "flow stretch", &copy);
  if (rc != OK) return rc;
  memcpy(copy, x, (size_t)n * sizeof *x);
  double lo = plane_quantile(copy, n, 0.005), hi = plane_quantile(copy, n, 0.995);
  if (hi - lo < 1.0 / 255) lo = plane_quantile(copy, n, 0), hi = plane_quantile(copy, n, 1);
  free(copy);
  int flat = hi - lo < 1.0 / 255;
  for (int64_t i = 0; i < n; i++) x[i] = flat ? 0 : (float)(fmax(0, fmin(1, ((double)x[i] - lo) / (hi - lo))) * 255);
  return OK;
}

int flow_image(err *e, const float *plane, flow_stream stream, int64_t n, float *out) {
  int luma = stream == FLOW_LUMA8 || stream == FLOW_LUMA_STRETCHED;
  int stretched = stream == FLOW_LUMA_STRETCHED || stream == FLOW_ALPHA_STRETCHED;
  for (int64_t i = 0; i < n; i++) {
    double v = luma ? plane_luma(plane + 3 * i) : (double)plane[i];
    out[i] = stretched ? (float)v : (float)code8(v);
  }
  return stretched ? stretch(e, out, n) : OK;
}

static void swap(float *a, float *b, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    float x = a[i];
    a[i] = b[i], b[i] = x;
  }
}

/* Flow of the frames in reverse order, put back in order. */
static int backward(err *e, const fb_params *p, float *image, const metric_view *v, float *flow) {
  int64_t n = (int64_t)v->height * v->width;
  for (int t = 0; t < v->frames / 2; t++) swap(image + t * n, image + (v->frames - 1 - t) * n, n);
  int rc = fb_clip(e, p, image, v->frames, v->height, v->width, flow), pairs = v->frames - 1;
  for (int t = 0; t < pairs / 2; t++) swap(flow + 2 * t * n, flow + 2 * (pairs - 1 - t) * n, 2 * n);
  return rc;
}

int flow_of(err *e, const metric_view *v, flow_stream stream, flow_direction d, const fb_params *p,
            const float **out) {
  int rc = OK;
  flow_cache *c = &v->session->flows;
  const float *plane = stream == FLOW_LUMA8 || stream == FLOW_LUMA_STRETCHED ? v->rgb : v->alpha;
  int64_t n = (int64_t)v->height * v->width;
  float *image = NULL, *flow = NULL;
  for (int64_t i = 0; i < c->n; i++) {
    const flow_entry *x = &c->entry[i];
    *out = x->flow;
    if (x->plane == plane && x->stream == stream && x->direction == d && same_params(&x->params, p)) return OK;
  }
  TRY(mem_new(e, v->frames * n, sizeof(float), "flow stream", &image));
  TRY(mem_new(e, 2 * (v->frames - 1) * n, sizeof(float), "flow", &flow));
  TRY(flow_image(e, plane, stream, v->frames * n, image));
  if (d == FLOW_FORWARD) TRY(fb_clip(e, p, image, v->frames, v->height, v->width, flow));
  if (d == FLOW_BACKWARD) TRY(backward(e, p, image, v, flow));
  TRY(mem_grow(e, &c->entry, &c->cap, c->n + 1, sizeof *c->entry, "flow cache"));
  c->entry[c->n++] = (flow_entry){plane, stream, d, *p, flow};
  *out = flow;
  flow = NULL;
out:
  free(image), free(flow);
  return rc;
}
