/* The clips that defects are planted in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "media/moving.h"
#include "media/world.h"
#include "report/validate.h"

enum { MOVING_FRAMES = 10, MOVING_HEIGHT = 96, MOVING_WIDTH = 128 };

/* Salts of a clip's seeds: what it draws must not follow from what another one draws. */
enum { SALT_NOISE = 1, SALT_PLATE = 2, SALT_OBJECT = 3, SALT_PARTNER = 4, SALTS = 8 };

static uint64_t seed_of(uint64_t seed, int64_t clip_index, int salt) {
  return rng_derive(seed, (uint64_t)(clip_index * SALTS + salt));
}

const char *validate_set_name(validate_set s) {
  static const char *const names[VALIDATE_SETS] = {"world", "moving", "given"};
  return names[s];
}

static void drop(validate_clip *c) {
  clip_free(&c->picture);
  clip_free(&c->partner);
  free(c->colour);
}

void validate_clips_free(validate_clips *c) {
  for (int64_t i = 0; i < c->n; i++) drop(&c->at[i]);
  free(c->at);
  *c = (validate_clips){0};
}

static int push(err *e, validate_clips *c, validate_clip **out) {
  int rc = mem_grow(e, &c->at, &c->cap, c->n + 1, sizeof *c->at, "clips");
  if (rc == OK) *out = &c->at[c->n++];
  return rc;
}

/* Clip `index` of the world, and the next one after it with the same caption. */
static int add_world(err *e, uint64_t seed, int64_t index, validate_clips *list) {
  int rc = OK;
  world_dist broad;
  validate_clip *c;
  TRY(push(e, list, &c));
  TRY(world_dist_find(e, "broad", &broad));
  world_attributes own = world_attrs(seed, index, &broad), other;
  int64_t at = index;
  do other = world_attrs(seed, ++at, &broad);
  while (memcmp(&own.labels, &other.labels, sizeof own.labels) != 0);
  c->set = VALIDATE_WORLD;
  c->noise = seed_of(seed, index, SALT_NOISE);
  snprintf(c->name, sizeof c->name, "world %lld", (long long)index);
  TRY(world_render(e, &own, &c->picture));
  TRY(world_render(e, &other, &c->partner));
out:
  return rc;
}

/* Over the plate of this seed; the straight colour stays in `colour` unless that is NULL. */
static int onto_plate(err *e, clip *c, uint64_t seed, float **colour) {
  int rc = OK;
  float *rgb = NULL;
  if (c->colour == CLIP_DECODED) return OK;
  TRY(mem_new(e, 3 * (int64_t)c->frames * c->height * c->width, sizeof *rgb, "picture", &rgb));
  TRY(moving_over(e, c, seed, rgb));
  float *old = c->rgb;
  c->rgb = rgb;
  if (colour && c->colour == CLIP_STRAIGHT)
    *colour = old;
  else
    free(old);
  c->colour = CLIP_DECODED;
  return OK;
out:
  free(rgb);
  return rc;
}

static int add_moving(err *e, uint64_t seed, int64_t index, validate_clips *list) {
  int rc = OK;
  validate_clip *c;
  moving m = {.kind = (moving_kind)(index % MOVING_KINDS),
              .frames = MOVING_FRAMES,
              .height = MOVING_HEIGHT,
              .width = MOVING_WIDTH,
              .seed = seed_of(seed, index, SALT_OBJECT)};
  TRY(push(e, list, &c));
  c->set = VALIDATE_MOVING;
  c->noise = seed_of(seed, index, SALT_NOISE);
  snprintf(c->name, sizeof c->name, "%s %lld", moving_name(m.kind), (long long)index);
  TRY(moving_render(e, &m, &c->picture));
  TRY(onto_plate(e, &c->picture, seed_of(seed, index, SALT_PLATE), &c->colour));
  m.seed = seed_of(seed, index, SALT_PARTNER);
  TRY(moving_render(e, &m, &c->partner));
  TRY(onto_plate(e, &c->partner, m.seed, NULL));
out:
  return rc;
}

int validate_procedural(err *e, uint64_t seed, int64_t n, validate_clips *c) {
  int rc = OK;
  for (int64_t i = 0; i < n; i++) TRY(add_world(e, seed, i, c));
  for (int64_t i = 0; i < n; i++) TRY(add_moving(e, seed, i, c));
out:
  return rc;
}

/* --- clips of the user ------------------------------------------------------------------------------------------ */

int validate_add(err *e, uint64_t seed, const char *name, clip *taken, validate_clips *list) {
  int rc = OK;
  int64_t index = 0;
  validate_clip *c;
  for (int64_t i = 0; i < list->n; i++) index += list->at[i].set == VALIDATE_GIVEN;
  TRY(push(e, list, &c));
  c->set = VALIDATE_GIVEN;
  c->noise = seed_of(seed, index, SALT_NOISE);
  snprintf(c->name, sizeof c->name, "%s", name);
  c->picture = *taken;
  *taken = (clip){0};
  if (c->picture.frames > VALIDATE_FRAMES) c->picture.frames = VALIDATE_FRAMES;
  if (!c->picture.alpha) FAIL(e, E_ARG, "%s: the clip has no alpha to plant defects in", name);
  TRY(onto_plate(e, &c->picture, seed_of(seed, index, SALT_PLATE), &c->colour));
out:
  if (rc != OK) clip_free(taken);
  return rc;
}

static int same_size(const clip *a, const clip *b) {
  return a->frames == b->frames && a->height == b->height && a->width == b->width;
}

/* A copy of `from`, every frame turned by 180 degrees when `turn`. */
static int copy_clip(err *e, const clip *from, int turn, clip *to) {
  int64_t n = (int64_t)from->height * from->width;
  int rc = clip_new(e, from->frames, from->height, from->width, 1, to);
  if (rc != OK) return rc;
  to->fps = from->fps;
  to->colour = from->colour;
  for (int64_t i = 0; i < from->frames * n; i++) {
    int64_t at = turn ? i / n * n + n - 1 - i % n : i;
    to->alpha[i] = from->alpha[at];
    memcpy(to->rgb + 3 * i, from->rgb + 3 * at, 3 * sizeof *to->rgb);
  }
  return OK;
}

static int find_partner(err *e, const validate_clips *list, int64_t index) {
  validate_clip *own = &list->at[index];
  for (int64_t k = 1; k < list->n; k++) {
    const validate_clip *next = &list->at[(index + k) % list->n];
    if (next->set == VALIDATE_GIVEN && same_size(&own->picture, &next->picture))
      return copy_clip(e, &next->picture, 0, &own->partner);
  }
  return copy_clip(e, &own->picture, 1, &own->partner);
}

int validate_pair(err *e, validate_clips *list) {
  int rc = OK;
  for (int64_t i = 0; i < list->n; i++)
    if (list->at[i].set == VALIDATE_GIVEN) TRY(find_partner(e, list, i));
out:
  return rc;
}
