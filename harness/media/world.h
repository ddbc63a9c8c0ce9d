/* The default study's world: procedural RGBA clips with captions, 48x48, 8 frames (spec/default-study.md 3, in the
 * form of 14; WIDE placement of 7).
 *
 * One coloured thing (circle, square, triangle or ring; solid, glass or soft) moves over an achromatic background.
 * Every chroma colour has max - min = 0.8 and texture and background are achromatic, so the true matte of *any*
 * picture of this world, rendered or generated, can be read off it. Every draw is u(seed, clip, k): clips can be made
 * alone and in any order. */
#ifndef TD_MEDIA_WORLD_H
#define TD_MEDIA_WORLD_H

#include <stdint.h>

#include "base/clip.h"
#include "base/err.h"
#include "model/block_vae.h"

#define WORLD_FRAMES 8
#define WORLD_SIDE 48
#define WORLD_FPS 8
#define WORLD_CAPTION 64 /* bytes of the longest caption, with its zero */
#define WORLD_FIT_CLIPS 1024

typedef enum world_material { WORLD_SOLID, WORLD_GLASS, WORLD_SOFT } world_material;
typedef enum world_colour {
  WORLD_RED,
  WORLD_GREEN,
  WORLD_BLUE,
  WORLD_YELLOW,
  WORLD_CYAN,
  WORLD_MAGENTA,
  WORLD_WHITE, /* has no chroma: its matte cannot be read off */
} world_colour;
typedef enum world_shape { WORLD_CIRCLE, WORLD_SQUARE, WORLD_TRIANGLE, WORLD_RING } world_shape;
typedef enum world_motion {
  WORLD_LEFT,
  WORLD_RIGHT,
  WORLD_UP,
  WORLD_DOWN,
  WORLD_GROW,
  WORLD_STILL,
} world_motion;
typedef enum world_background { WORLD_PLAIN, WORLD_STRIPES, WORLD_RAMP } world_background;

/* What a caption says. */
typedef struct world_labels {
  world_material material;
  world_colour colour;
  world_shape shape;
  world_motion motion;
  world_background background;
} world_labels;

typedef struct world_list {
  int n, value[6];
} world_list;

/* A distribution of clips: lists to pick from (all entries equally likely) and ranges. */
typedef struct world_dist {
  const char *name;
  world_list colours, shapes, materials, motions, backgrounds;
  double white;                /* probability that the colour is replaced by white */
  double speed_min, speed_max; /* px per frame on a 32 px canvas */
  double fast;                 /* scales growth and the drift of stripes */
  int centred;                 /* larger objects near the centre instead of the WIDE placement */
} world_dist;

/* "base" (12 % white), "broad" (no white) or "narrow" (few slow kinds), with WIDE placement. E_CONFIG names the
 * three.
 */
int world_dist_find(err *e, const char *name, world_dist *out) TD_MUST_CHECK;

/* Lengths in pixels, times in frames, phases in turns. */
typedef struct world_attributes {
  world_labels labels;
  double x, y, radius, speed, fast;
  double grey;                                /* mean of the background */
  double phase, period, drift;                /* of the background's pattern */
  int direction;                              /* +x, -x, +y, -y */
  double texture_x, texture_y, texture_phase; /* of the foreground */
} world_attributes;

world_attributes world_attrs(uint64_t seed, int64_t clip_index, const world_dist *dist);
/* "solid red circle left plain" */
void world_caption(const world_labels *labels, char out[WORLD_CAPTION]);
/* The five words of world_caption in their order, ASCII letters of any case; E_FORMAT names the word that is wrong.
 */
int world_parse_caption(err *e, const char *caption, world_labels *out) TD_MUST_CHECK;
/* Allocates *out: RGB over its background (CLIP_DECODED), true alpha, fps 8. */
int world_render(err *e, const world_attributes *a, clip *out) TD_MUST_CHECK;

/* The matte read off a picture of this world: m = clamp01((max_c - min_c) / 0.8). Exact on rendered clips that are
 * not white. matte: [T][H][W]. */
void world_matte_exact(const clip *c, float *matte);
/* clamp01((m - 0.1) / 0.9) of it: without the noise floor that max - min has on generated pictures. */
void world_matte(const clip *c, float *matte);

#define WORLD_PROMPTS 32
typedef struct world_prompt {
  char caption[WORLD_CAPTION];
  world_labels labels;
  int in_domain; /* a kind of the narrow set */
} world_prompt;
/* The evaluation prompts: 12 distinct captions of "narrow" with seed 101, then 20 of "base" with seed 102 that are
 * not white and differ from "narrow" in at least two of background, motion, shape and colour. */
int world_prompts(err *e, world_prompt out[WORLD_PROMPTS]) TD_MUST_CHECK;

/* Latent scales of configs/models/tiny-vae.json: clips 0 .. WORLD_FIT_CLIPS - 1 of "base" with seed 1. */
int world_fit_vae(err *e, block_vae *out) TD_MUST_CHECK;

#endif
