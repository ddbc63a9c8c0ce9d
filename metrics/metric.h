/* Metrics as plug-ins: one const struct each, one line in metrics.def.
 *
 * A metric is written ID, ID_gain, ID:param=value,... or ID_gain:param=value,...; that text names it in studies,
 * stores and tables. Which picture it reads is part of the text: a joint metric that reads the decoded picture also
 * takes picture=premultiplied, and is then marked circular. The gain of an alignment metric m is m(alpha, own
 * picture) - m(alpha, picture of the same prompt's other seed): what the alpha knows beyond the caption
 * (spec/metrics.md 3.0). It is formed here, once, for all of them.
 *
 * An undefined score is a reason code, never a number. No function here keeps state between calls:
 * clips can be scored in parallel, and a score does not depend on the number of threads or on what else is asked for
 * in the same call. */
#ifndef TD_METRICS_METRIC_H
#define TD_METRICS_METRIC_H

#include <stddef.h>
#include <stdint.h>

#include "base/clip.h"
#include "base/err.h"

#define METRIC_PARAMS 8
#define METRIC_TEXT 256

typedef enum metric_direction { METRIC_UP, METRIC_DOWN, METRIC_NONE } metric_direction; /* which way is better */
typedef enum metric_plane { METRIC_RGB, METRIC_ALPHA, METRIC_JOINT } metric_plane;      /* what it judges */

/* Which picture a metric reads. */
typedef enum metric_picture {
  METRIC_NO_PICTURE,
  METRIC_DECODED,       /* the generated picture with its own background, not multiplied by alpha */
  METRIC_PREMULTIPLIED, /* alpha times colour: circular for alignment, kept to compare with papers */
  METRIC_STRAIGHT,      /* foreground colour, zero where alpha < 8/255 leaves it undefined */
  METRIC_SHOWN,         /* decoded where there is such a picture, else premultiplied: what is seen over black */
} metric_picture;

/* What one clip costs, by its dearest step. */
typedef enum metric_cost {
  METRIC_PIXELS,  /* a pass over the pixels */
  METRIC_FILTERS, /* convolutions, windows, labelling */
  METRIC_FLOWS,   /* optical flow of whole streams, shared by all metrics with the same parameters */
} metric_cost;

/* What must be there (else the reason no_alpha, no_truth...), and the gate. */
enum {
  METRIC_NEEDS_ALPHA = 1,
  METRIC_NEEDS_TRUTH = 2,
  METRIC_NEEDS_BASE = 4,
  METRIC_NEEDS_BASE_TRUTH = 8,
  METRIC_GATED = 16,           /* undefined on an empty (max < .02) or opaque (mean > .99) alpha */
  METRIC_NEEDS_REFERENCE = 32, /* the RGBA clip this one should have been */
  METRIC_NEEDS_TRIMAP = 64,
  METRIC_NEEDS_LATENTS = 128, /* of the clip's picture and the base model's, with METRIC_NEEDS_BASE */
};

/* Reason codes. */
#define METRIC_NO_ALPHA "no_alpha"
#define METRIC_NO_TRUTH "no_truth"
#define METRIC_NO_BASE "no_base"
#define METRIC_NO_PARTNER "no_partner"
#define METRIC_NO_REFERENCE "no_reference"
#define METRIC_NO_TRIMAP "no_trimap"
#define METRIC_CIRCULAR "circular"
#define METRIC_PREMULTIPLIED_RGB "premultiplied_rgb"
#define METRIC_STRAIGHT_RGB "straight_rgb"
#define METRIC_NO_STRAIGHT_RGB "no_straight_rgb"
#define METRIC_EMPTY_CLIP "empty_clip"
#define METRIC_TOO_FEW_FRAMES "too_few_frames"
#define METRIC_NOT_FINITE "not_finite"
#define METRIC_EMPTY_ALPHA "empty_alpha"
#define METRIC_OPAQUE_ALPHA "opaque_alpha"
#define METRIC_FLAT_ALPHA "flat_alpha"
#define METRIC_FLAT_RGB "flat_rgb"
#define METRIC_EMPTY_TRUTH "empty_truth"
#define METRIC_FLAT_TRUTH "flat_truth"
#define METRIC_STATIC "static"
#define METRIC_STATIC_BASE "static_base"
#define METRIC_NO_BAND "no_band"
#define METRIC_NO_MASK "no_mask"
#define METRIC_NO_GROUND "no_ground"
#define METRIC_NO_UNKNOWN "no_unknown"
#define METRIC_TOO_SMALL "too_small"
#define METRIC_NO_COLOUR "no_colour"
#define METRIC_IDENTICAL "identical"
#define METRIC_TOO_FEW_CLIPS "too_few_clips"
#define METRIC_TOO_SMALL "too_small"
#define METRIC_SIZES_DIFFER "sizes_differ"
#define METRIC_PICTURES_DIFFER "pictures_differ"
#define METRIC_NO_CHANNELS "no_channels"
#define METRIC_NO_LATENTS "no_latents"
#define METRIC_NO_FEATURES "no_features"

typedef struct metric_reason {
  const char *code, *help;
} metric_reason;
/* Every code with what it means, ended by a NULL code. */
const metric_reason *metric_reasons(void);

typedef struct metric_value {
  double value;       /* 0 when undefined; never read it without looking at reason */
  const char *reason; /* NULL when defined, else one of the codes above (static storage) */
  int64_t support;    /* pixels, voxels, frames or pairs the value rests on */
  int circular;       /* alpha was compared with a picture that it was multiplied into */
} metric_value;

typedef struct metric_param {
  const char *name, *help;
  double initial, lo, hi;
  int integer; /* only whole numbers */
} metric_param;

typedef struct metric_session metric_session;

/* What one metric sees; pixel layouts as in clip. Planes it did not declare are NULL. */
typedef struct metric_view {
  int frames, height, width;
  const float *rgb;        /* the picture, in the form the metric declares */
  const float *alpha;      /* [T][H][W] */
  const float *truth;      /* [T][H][W]: matte that belongs to the picture */
  const float *base_rgb;   /* the base model's picture for the same prompt and noise; decoded */
  const float *base_truth; /* its matte */
  const float *ref_rgb;    /* the reference clip's picture, in the form the metric declares */
  const float *ref_alpha;  /* its alpha */
  const float *trimap;     /* [T][H][W]: 0 background, 1 foreground, else unknown */
  const float *latents;    /* of the clip's picture, and of the base model's: n_latents each */
  const float *base_latents;
  int64_t n_latents;
  const double *alpha_chroma; /* as in clip; NULL: not known */
  double fps;                 /* 0 when not known */
  int threads;                /* >= 1, for loops whose outputs are disjoint; a value never depends on it */
  const double *param;        /* values in the order of metric.params */
  metric_session *session;    /* for metrics/flow_diff.h */
} metric_view;

typedef struct metric {
  const char *id;
  int version; /* any change of a value on any input is a new version */
  metric_direction direction;
  const char *unit;
  double lo, hi; /* closed range of values; infinite when open */
  int tier;      /* 0 gate, 1 primary, 2 with reference data (spec/metrics.md 8) */
  metric_cost cost;
  metric_plane plane;
  metric_picture picture;
  unsigned needs;
  int min_frames;
  int gain_ok;                /* an alignment of alpha with a picture or its matte: the gain form makes sense */
  const metric_param *params; /* ended by a NULL name; NULL when it has none */
  const char *help, *citation;
  const char *const *reasons; /* NULL-terminated: codes of its own besides those of `needs` and not_finite */
  /* Errors only for lack of memory; everything a clip can be like is a value or a reason. */
  int (*score)(err *e, const metric_view *v, metric_value *out);
} metric;

/* All metrics of this build, NULL-terminated, in the order of metrics.def. */
const metric *const *metric_list(void);

/* A metric with its form and parameters chosen. Plain data, copy freely. */
typedef struct metric_request {
  const metric *metric;
  int gain;
  metric_picture picture; /* the metric's own, or premultiplied by request */
  double param[METRIC_PARAMS];
} metric_request;

/* Reads the text above. E_CONFIG names what is wrong, with the nearest known id. */
int metric_parse(err *e, const char *text, metric_request *out) TD_MUST_CHECK;
/* Canonical text: only parameters that differ from their defaults, in table order. */
void metric_print(const metric_request *r, char out[METRIC_TEXT]);
/* Range of the request's values; of a gain [lo - hi, hi - lo]. */
void metric_range(const metric_request *r, double *lo, double *hi);

/* All clips have the size of `clip`. Any pointer but `clip` may be NULL: what depends on it gets a reason. */
typedef struct metric_input {
  const clip *clip;
  const clip *base;           /* base model, same prompt and noise */
  const clip *partner;        /* same prompt, other seed: for gains */
  const float *truth;         /* [T][H][W] matte of clip's picture, where the world knows it */
  const float *partner_truth; /* matte of partner's picture */
  const float *base_truth;    /* matte of base's picture */
  const clip *reference;      /* what the clip should have been; its alpha is the truth where `truth` is NULL */
  const float *trimap;        /* [T][H][W] */
  const float *latents;       /* of clip's and of base's picture, by the same encoder; n_latents each */
  const float *base_latents;
  int64_t n_latents;
  int threads; /* 0 counts as 1 */
} metric_input;

/* Why a metric of this plane cannot read a clip of this colour as `want`: a reason code; NULL when it can. */
const char *metric_unreadable(metric_picture want, metric_plane plane, clip_colour colour);
/* 1 when the request compares alpha with a picture it was multiplied into. */
int metric_circular(const metric_request *r);

/* Fills out[0 .. n-1]. Flow of a stream is computed once per call. E_SHAPE when clips differ in size; E_NOMEM. */
int metric_score(err *e, const metric_request *list, int64_t n, const metric_input *in,
                 metric_value *out) TD_MUST_CHECK;

/* For score functions. */
static inline int64_t metric_voxels(const metric_view *v) {
  return (int64_t)v->frames * v->height * v->width;
}
static inline int metric_defined(metric_value *out, double value, int64_t support) {
  *out = (metric_value){.value = value, .support = support};
  return OK;
}
static inline int metric_undefined(metric_value *out, const char *reason, int64_t support) {
  *out = (metric_value){.reason = reason, .support = support};
  return OK;
}

#endif
