/* Optical flow of the streams that motion metrics compare, computed once per metric_score call. Private to metrics/
 * but for the parameters. */
#ifndef TD_METRICS_FLOW_H
#define TD_METRICS_FLOW_H

#include "base/err.h"
#include "metrics/farneback.h"
#include "metrics/metric.h"

typedef enum flow_stream {
  FLOW_LUMA8,           /* 8-bit luma of the view's picture */
  FLOW_ALPHA8,          /* 8-bit alpha */
  FLOW_LUMA_STRETCHED,  /* luma, .5 to 99.5 percentile of the clip stretched to 0..255, not rounded */
  FLOW_ALPHA_STRETCHED, /* alpha, likewise */
} flow_stream;

typedef enum flow_direction { FLOW_FORWARD, FLOW_BACKWARD } flow_direction;

typedef struct flow_entry {
  const float *plane; /* the picture or alpha it was computed from: what tells own and partner apart */
  flow_stream stream;
  fb_params params;
  float *image;   /* the stream, in the first entry of a plane and stream; else NULL */
  float *flow[2]; /* by direction; NULL: not asked for yet */
} flow_entry;

typedef struct flow_cache {
  flow_entry *entry;
  int64_t n, cap;
} flow_cache;

/* The seven numbers of the flow, the first parameters of every metric that reads one. */
#define FLOW_PARAM_ROWS                                                                                              \
  {"pyr_scale", "size ratio of pyramid levels", 0.5, 0.1, 0.95, 0},                                                  \
      {"levels", "at most this many levels above the full image", 3, 0, FB_LEVELS, 1},                               \
      {"window", "side of the averaging window, px", 15, 1, 255, 1}, {"iterations", "per level", 3, 1, 100, 1},      \
      {"poly_n", "radius of the polynomial expansion, px", 5, 1, FB_POLY, 1},                                        \
      {"poly_sigma", "of its Gaussian, px", 1.2, 0.1, 16, 0}, {                                                      \
    "gaussian", "1: Gaussian instead of box averaging", 0, 0, 1, 1                                                   \
  }
extern const metric_param flow_params[];
fb_params flow_read_params(const double *param);

void flow_cache_close(flow_cache *c);
/* *out: [T-1][H][W][2] of the view's stream, owned by its session. out[t] is the flow from frame t to t+1; backward,
 * from frame t+1 to t. Needs at least two frames. */
int flow_of(err *e, const metric_view *v, flow_stream stream, flow_direction d, const fb_params *p,
            const float **out) TD_MUST_CHECK;

/* The stream itself, [n] in 0..255, for flow_of and its tests. `plane`: [n][3] colour or [n] alpha. Percentiles
 * closer than 1/255 fall back to minimum and maximum, and those to an all-zero stream. */
int flow_image(err *e, const float *plane, flow_stream stream, int64_t n, int threads, float *out) TD_MUST_CHECK;

#endif
