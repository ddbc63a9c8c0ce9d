/* Planted defects: what a wrong alpha looks like, with a strength. Metrics are checked against them
 * (`tandem metrics validate`).
 *
 * Each is a pure function of the clean alpha and the picture; strength 0 gives the clean alpha, larger strengths are
 * worse. Where two sources say what a defect is, they agree: the variants of the metric goldens are these functions
 * at one strength (shift 1, 2, 4; delay 1, 2; blur 2; dilate 3; opaque, constant, frozen, luma, other 1; flicker .1;
 * noise .05), before their rounding to 8 bits. A mix is (1 - s) alpha + s degenerate. */
#ifndef TD_METRICS_DEFECTS_H
#define TD_METRICS_DEFECTS_H

#include <stdint.h>

#include "base/clip.h"
#include "base/err.h"

typedef enum defect_kind {
  DEFECT_SHIFT,    /* to the right by s pixels (whole), zeros in */
  DEFECT_DELAY,    /* frame t shows max(t - s, 0), s whole */
  DEFECT_BLUR,     /* Gaussian of sigma s, radius int(4 s + .5), border replicated */
  DEFECT_DILATE,   /* maximum over the disc dx^2 + dy^2 <= s^2 within the frame, s whole */
  DEFECT_ERODE,    /* minimum over the same disc */
  DEFECT_OPAQUE,   /* mix with 1 */
  DEFECT_EMPTY,    /* mix with 0 */
  DEFECT_HALF,     /* mix with alpha / 2 */
  DEFECT_CONSTANT, /* mix with 128/255 */
  DEFECT_FROZEN,   /* mix with the first frame */
  DEFECT_LUMA,     /* mix with the picture's luma; straight colour is multiplied by the clean alpha first */
  DEFECT_OTHER,    /* mix with another clip's alpha */
  DEFECT_FLICKER,  /* frames 1, 3, 5... times 1 - s */
  DEFECT_NOISE,    /* + s N(0,1) per voxel, clamped; the same normals for every s */
  DEFECT_HOLES,    /* the share s of the object's blocks (side max(2, round(min(H, W) / 16)) px) is 0 in all frames;
                      a block is the object's when alpha reaches one half in it. ceil(s n) of n blocks, nested in s */
  DEFECT_KINDS
} defect_kind;

#define DEFECT_STEPS 4

typedef struct defect_info {
  const char *name, *unit, *help; /* unit: of the strength */
  int steps;
  double strength[DEFECT_STEPS]; /* what validation plants: growing, chosen before any metric was looked at */
  double most;                   /* largest strength that defect_apply takes */
} defect_info;

const defect_info *defect_about(defect_kind k);

typedef struct defect {
  defect_kind kind;
  double strength;
  uint64_t seed;      /* of noise and holes */
  const float *other; /* [T][H][W], read by DEFECT_OTHER only */
} defect;

/* out [T][H][W] from c->alpha (and c->rgb for DEFECT_LUMA); c is not changed and out must not overlap it.
 * E_ARG: no alpha, no `other`, a strength that is negative, not finite, beyond `most`, or not whole where it has to
 * be. */
int defect_apply(err *e, const clip *c, const defect *d, float *out) TD_MUST_CHECK;

#endif
