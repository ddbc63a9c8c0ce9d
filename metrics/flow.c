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
  for (int64_t i = 0; i < c->n; i++)
    free(c->entry[i].image), free(c->entry[i].flow[FLOW_FORWARD]), free(c->entry[i].flow[FLOW_BACKWARD]);
  free(c->entry);
  *c = (flow_cache){0};
}

static int same_params(const fb_params *a, const fb_params *b) {
  return a->pyr_scale == b->pyr_scale && a->levels == b->levels && a->window == b->window &&
         a->iterations == b->iterations && a->poly_n == b->poly_n && a->poly_sigma == b->poly_sigma &&
         a->gaussian == b->gaussian;
}

static int stretch(err *e, float *x, int64_t n, int threads) {
  float *copy;
  int rc = mem_new(e, n, sizeof(float), "flow stretch", &copy);
  if (rc != OK) return rc;
  memcpy(copy, x, (size_t)n * sizeof *x);
  double lo = plane_quantile(copy, n, 0.005), hi = plane_quantile(copy, n, 0.995);
  if (hi - lo < 1.0 / 255) lo = plane_quantile(copy, n, 0), hi = plane_quantile(copy, n, 1);
  free(copy);
  int flat = hi - lo < 1.0 / 255;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; i++) {
    double v = ((double)x[i] - lo) / (hi - lo);
    x[i] = flat ? 0 : (float)((v > 1 ? 1 : v > 0 ? v : 0) * 255);
  }
  return OK;
}

int flow_image(err *e, const float *plane, flow_stream stream, int64_t n, int threads, float *out) {
  int luma = stream == FLOW_LUMA8 || stream == FLOW_LUMA_STRETCHED;
  int stretched = stream == FLOW_LUMA_STRETCHED || stream == FLOW_ALPHA_STRETCHED;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; i++) {
    const float *x = plane + (luma ? 3 : 1) * i;
    if (stretched)
      out[i] = luma ? (float)plane_luma(x) : *x;
    else
      out[i] = (float)(luma ? luma8(x) : code8((double)*x));
  }
  return stretched ? stretch(e, out, n, threads) : OK;
}

static flow_entry *find(flow_cache *c, const float *plane, flow_stream stream, const fb_params *p) {
  for (int64_t i = 0; i < c->n; i++) {
    flow_entry *x = &c->entry[i];
    if (x->plane == plane && x->stream == stream && (!p || same_params(&x->params, p))) return x;
  }
  return NULL;
}

/* The stream is the same for all parameters: the first entry owns its image. */
static int image_of(err *e, const metric_view *v, const flow_entry *x, float **out) {
  int rc = OK;
  int64_t n = (int64_t)v->frames * v->height * v->width;
  flow_entry *first = find(&v->session->flows, x->plane, x->stream, NULL);
  if (!first->image) {
    TRY(mem_new(e, n, sizeof(float), "flow stream", &first->image));
    TRY(flow_image(e, x->plane, x->stream, n, v->threads, first->image));
  }
  *out = first->image;
out:
  return rc;
}

/* Who asks for backward flow asks for forward flow as well: where that is not there yet, both at once save the second
 * expansion of every frame. */
static int compute(err *e, const metric_view *v, flow_entry *x, flow_direction d) {
  int rc = OK, both = d == FLOW_BACKWARD && !x->flow[FLOW_FORWARD];
  int64_t n = (int64_t)v->height * v->width, size = 2 * (v->frames - 1) * n;
  float *image, *flow[2] = {NULL, NULL};
  TRY(image_of(e, v, x, &image));
  for (int i = 0; i < 2; i++)
    if (both || i == (int)d) TRY(mem_new(e, size, sizeof(float), "flow", &flow[i]));
  fb_job job = {.x = image,
                .frames = v->frames,
                .height = v->height,
                .width = v->width,
                .forward = flow[FLOW_FORWARD],
                .backward = flow[FLOW_BACKWARD],
                .threads = v->threads};
  TRY(fb_flows(e, &x->params, &job));
  for (int i = 0; i < 2; i++)
    if (flow[i]) x->flow[i] = flow[i], flow[i] = NULL;
out:
  free(flow[0]), free(flow[1]);
  return rc;
}

int flow_of(err *e, const metric_view *v, flow_stream stream, flow_direction d, const fb_params *p,
            const float **out) {
  int rc = OK;
  flow_cache *c = &v->session->flows;
  const float *plane = stream == FLOW_LUMA8 || stream == FLOW_LUMA_STRETCHED ? v->rgb : v->alpha;
  flow_entry *x = find(c, plane, stream, p);
  if (!x) {
    TRY(mem_grow(e, &c->entry, &c->cap, c->n + 1, sizeof *c->entry, "flow cache"));
    x = &c->entry[c->n++];
    *x = (flow_entry){.plane = plane, .stream = stream, .params = *p};
  }
  if (!x->flow[d]) TRY(compute(e, v, x, d));
  *out = x->flow[d];
out:
  return rc;
}
