/* Textured procedural RGBA clips of any size, and moving textured plates to put RGBA clips on: larger, smoother and
 * less colourful than world.h, so that neither colour nor chroma alone tells object from background.
 *
 * Textures are sums of 16 plane waves a colour channel, evaluated exactly at any place, so objects move by any
 * fraction of a pixel. Everything follows from the seed (base/rng.h, RNG_WORLD, subs from 16 on). */
#ifndef TD_MEDIA_MOVING_H
#define TD_MEDIA_MOVING_H

#include <stdint.h>

#include "base/clip.h"
#include "base/err.h"

typedef enum moving_kind {
  MOVING_DISC,    /* opaque, edge 3 px wide */
  MOVING_ELLIPSE, /* opaque, turning, soft edge */
  MOVING_GLASS,   /* translucent disc with a highlight */
  MOVING_KINDS
} moving_kind;

/* "disc", "ellipse", "glass" */
const char *moving_name(moving_kind k);

typedef struct moving {
  moving_kind kind;
  int frames, height, width;
  uint64_t seed; /* size, direction, speed of 1.5 to 3 px a frame, textures */
} moving;

/* CLIP_STRAIGHT with its alpha, 0 where alpha is 0, 8 frames a second. The object passes the middle of the frame in
 * the middle of the clip. */
int moving_render(err *e, const moving *m, clip *out) TD_MUST_CHECK;

/* rgb [T][H][W][3]: the colours of `c` over a textured plate of this seed that moves by (-1.2, -.5) px a frame.
 * Straight colour is multiplied by alpha first; decoded clips have a background and are E_ARG, as are clips without
 * alpha. May be c->rgb itself. */
int moving_over(err *e, const clip *c, uint64_t seed, float *rgb) TD_MUST_CHECK;

#endif
