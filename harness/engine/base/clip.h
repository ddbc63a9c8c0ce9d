/* A clip in memory: what media reads and writes and what metrics score. */
#ifndef TD_BASE_CLIP_H
#define TD_BASE_CLIP_H

#include <stdint.h>

#include "base/err.h"

/* What the RGB planes mean (spec/metrics.md 2 and 3.0). */
typedef enum clip_colour {
  CLIP_DECODED,       /* the generated picture with its own background; alpha is beside it, not in it */
  CLIP_STRAIGHT,      /* foreground colour, not multiplied by alpha; undefined where alpha is 0 */
  CLIP_PREMULTIPLIED, /* alpha times foreground */
} clip_colour;

typedef struct clip {
  int frames, height, width;
  double fps;
  clip_colour colour;
  float *rgb;   /* [T][H][W][3] in [0,1] */
  float *alpha; /* [T][H][W] in [0,1]; NULL when the clip has none */
  /* Mean over the clip of max - min of the three channels that alpha was decoded as, in [0,1]; it is a fact about how
   * this alpha was made and means nothing unless alpha_chroma_known. */
  double alpha_chroma;
  int alpha_chroma_known;
} clip;

static inline int64_t clip_voxels(const clip *c) {
  return (int64_t)c->frames * c->height * c->width;
}

/* Allocates rgb (and alpha when has_alpha), zeroed. */
int clip_new(err *e, int frames, int height, int width, int has_alpha, clip *out) TD_MUST_CHECK;
void clip_free(clip *c);

#endif
