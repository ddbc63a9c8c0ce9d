/* Do the metrics see what is wrong? Known defects of growing strength are planted in the alpha of clips whose right
 * alpha is known, and every metric is asked whether it puts the strengths in order.
 *
 * The picture is never touched: it is the clip with a background of its own, so no alpha under test is printed into
 * it. Metrics that read straight or premultiplied colour get the clip's straight colour where it is known. The clean
 * clip is the reference, its alpha the truth, its trimap 1 (0) where alpha is 1 (0) and half (unknown) within 3 px of
 * anything between; base model and partner (the other seed, for gains) are the partner clip. */
#ifndef TD_REPORT_VALIDATE_H
#define TD_REPORT_VALIDATE_H

#include <stdint.h>

#include "base/clip.h"
#include "base/err.h"
#include "metrics/defects.h"
#include "metrics/metric.h"

#define VALIDATE_NAME 96

typedef struct validate_clip {
  char name[VALIDATE_NAME];
  int set;      /* index into validate_sets */
  clip picture; /* CLIP_DECODED, with the right alpha */
  clip partner; /* another clip of this size, decoded, with its right alpha: other seed, base, the alpha of "other" */
  float *colour;  /* straight colour [T][H][W][3], NULL when not known */
  uint64_t noise; /* seed of the defects that draw */
} validate_clip;

typedef enum validate_set { VALIDATE_WORLD, VALIDATE_MOVING, VALIDATE_GIVEN, VALIDATE_SETS } validate_set;
/* "world", "moving", "given" */
const char *validate_set_name(validate_set s);

typedef struct validate_clips {
  validate_clip *at;
  int64_t n, cap;
} validate_clips;
void validate_clips_free(validate_clips *c);

/* Appends n clips of media/world.h (set "broad") and n of media/moving.h (96x128, 10 frames, kinds in turn). */
int validate_procedural(err *e, uint64_t seed, int64_t n, validate_clips *c) TD_MUST_CHECK;
#define VALIDATE_FRAMES 16
/* Appends a clip of the user, of which the first VALIDATE_FRAMES frames are kept; `c` is taken, and empty afterwards,
 * also on failure. Straight and premultiplied colour is put over a moving textured plate, decoded keeps its
 * background. E_ARG without alpha. */
int validate_add(err *e, uint64_t seed, const char *name, clip *c, validate_clips *list) TD_MUST_CHECK;
/* Gives every added clip its partner: the next one of the same size, else the clip itself turned by 180 degrees. */
int validate_pair(err *e, validate_clips *list) TD_MUST_CHECK;

/* What a metric says of one clip's chain of strengths. */
typedef enum validate_verdict {
  VALIDATE_ORDERED,   /* every step strictly worse (by more than 1e-9) */
  VALIDATE_BY_GATE,   /* likewise, where some step became undefined by a gate and stayed so */
  VALIDATE_TIED,      /* some step equal, none better */
  VALIDATE_WRONG,     /* some step better, or defined again after a gate */
  VALIDATE_UNDEFINED, /* no value for the clean clip, or a reason that is no gate at some step */
  VALIDATE_VERDICTS
} validate_verdict;

/* A reason that says that the alpha itself is degenerate: empty, opaque, flat, without an edge or an inside. */
int validate_is_gate(const char *reason);
/* v[0]: the clean clip, n - 1 steps follow. A clean clip that is METRIC_IDENTICAL to its reference has the best score
 * there is; a step that is so is undefined. A metric without a direction is ORDERED (moved) when the last step has
 * another value than the clean clip or a reason, else TIED. */
validate_verdict validate_order(metric_direction d, const metric_value *v, int n);

typedef struct validate_cell {
  int64_t clips[VALIDATE_SETS]; /* those whose alpha the defect changes at every step, visibly in 8 bits */
  int64_t verdict[VALIDATE_SETS][VALIDATE_VERDICTS];
  int64_t seen; /* clips whose largest strength alone is strictly worse than the clean clip, or gated */
  double sum[DEFECT_STEPS + 1]; /* of the defined values, clean first */
  int64_t defined[DEFECT_STEPS + 1];
} validate_cell;

typedef struct validate_result {
  int64_t metrics;
  validate_cell *cell; /* [metrics][DEFECT_KINDS] */
} validate_result;
void validate_free(validate_result *r);

/* Same bits for any number of threads (0 counts as 1). */
int validate_run(err *e, const validate_clips *c, const metric_request *list, int64_t n, int threads,
                 validate_result *out) TD_MUST_CHECK;

static inline const validate_cell *validate_at(const validate_result *r, int64_t m, defect_kind k) {
  return &r->cell[m * DEFECT_KINDS + (int)k];
}
/* Over all sets. */
int64_t validate_clip_count(const validate_cell *c);
int64_t validate_count(const validate_cell *c, validate_verdict v);
/* Ordered chains, by gate or by value. */
int64_t validate_good(const validate_cell *c);
/* The primary metric with the most clips `seen`, the first of equals; -1 when there is none. */
int64_t validate_seen_by(const validate_result *r, const metric_request *list, defect_kind k);
/* Tier 0 or 1, with a direction, not circular: what a study may rest on. */
int validate_primary(const metric_request *r);
/* Whether request m is primary and orders the defect on at least 90 % of the clips that it changes. */
int validate_reaches(const validate_result *r, const metric_request *list, int64_t m, defect_kind k);
/* The primary metric that orders a defect on most clips, the first of equals; -1 when none reaches 90 %. One that
 * reads the picture goes before those of alpha alone, which would order the defect on any picture. */
int64_t validate_best(const validate_result *r, const metric_request *list, defect_kind k);

#endif
