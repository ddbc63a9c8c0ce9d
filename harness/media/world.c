#include "media/world.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/words.h"

#define SCALE (WORLD_SIDE / 32.0) /* lengths of the study are given on a 32 px canvas */
#define MIDDLE (WORLD_SIDE / 2.0)
#define TWO_PI 6.283185307179586477
#define CHROMA 0.8
#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const char *const material_words[] = {"solid", "glass", "soft"};
static const char *const colour_words[] = {"red", "green", "blue", "yellow", "cyan", "magenta", "white"};
static const char *const shape_words[] = {"circle", "square", "triangle", "ring"};
static const char *const motion_words[] = {"left", "right", "up", "down", "grow", "still"};
static const char *const background_words[] = {"plain", "stripes", "ramp"};

static const double palette[][3] = {{.9, .1, .1}, {.1, .9, .1}, {.1, .1, .9}, {.9, .9, .1},
                                    {.1, .9, .9}, {.9, .1, .9}, {.9, .9, .9}};

static const world_dist presets[] = {
    {.name = "base",
     .colours = {6, {WORLD_RED, WORLD_GREEN, WORLD_BLUE, WORLD_YELLOW, WORLD_CYAN, WORLD_MAGENTA}},
     .shapes = {4, {WORLD_CIRCLE, WORLD_SQUARE, WORLD_TRIANGLE, WORLD_RING}},
     .materials = {3, {WORLD_SOLID, WORLD_GLASS, WORLD_SOFT}},
     .motions = {6, {WORLD_LEFT, WORLD_RIGHT, WORLD_UP, WORLD_DOWN, WORLD_GROW, WORLD_STILL}},
     .backgrounds = {3, {WORLD_PLAIN, WORLD_STRIPES, WORLD_RAMP}},
     .white = .12,
     .speed_min = 1,
     .speed_max = 2.2,
     .fast = 1},
    {.name = "broad",
     .colours = {6, {WORLD_RED, WORLD_GREEN, WORLD_BLUE, WORLD_YELLOW, WORLD_CYAN, WORLD_MAGENTA}},
     .shapes = {4, {WORLD_CIRCLE, WORLD_SQUARE, WORLD_TRIANGLE, WORLD_RING}},
     .materials = {3, {WORLD_SOLID, WORLD_GLASS, WORLD_SOFT}},
     .motions = {6, {WORLD_LEFT, WORLD_RIGHT, WORLD_UP, WORLD_DOWN, WORLD_GROW, WORLD_STILL}},
     .backgrounds = {3, {WORLD_PLAIN, WORLD_STRIPES, WORLD_RAMP}},
     .speed_min = 1,
     .speed_max = 2.2,
     .fast = 1},
    {.name = "narrow",
     .colours = {4, {WORLD_RED, WORLD_GREEN, WORLD_BLUE, WORLD_YELLOW}},
     .shapes = {2, {WORLD_CIRCLE, WORLD_SQUARE}},
     .materials = {2, {WORLD_SOLID, WORLD_SOFT}},
     .motions = {3, {WORLD_LEFT, WORLD_RIGHT, WORLD_STILL}},
     .backgrounds = {1, {WORLD_PLAIN}},
     .speed_min = .2,
     .speed_max = .6,
     .fast = .3}};

int world_dist_find(err *e, const char *name, world_dist *out) {
  for (int i = 0; i < COUNT(presets); i++)
    if (strcmp(presets[i].name, name) == 0) {
      *out = presets[i];
      return OK;
    }
  return err_set(e, E_CONFIG, "world \"%s\" is not known; there are base, broad and narrow", name);
}

static int pick(const world_list *list, double u) {
  int i = (int)(u * list->n);
  return list->value[i < list->n ? i : list->n - 1];
}

world_attributes world_attrs(uint64_t seed, int64_t clip_index, const world_dist *d) {
  double u[19];
  for (int k = 0; k < COUNT(u); k++) u[k] = words_uniform(seed, (uint64_t)clip_index, (uint64_t)k);
  world_attributes a = {
      .labels = {.colour = (world_colour)pick(&d->colours, u[0]),
                 .shape = (world_shape)pick(&d->shapes, u[1]),
                 .material = (world_material)pick(&d->materials, u[2]),
                 .motion = (world_motion)pick(&d->motions, u[3]),
                 .background = (world_background)pick(&d->backgrounds, u[4])},
      .x = SCALE * (d->centred ? 11 + 10 * u[6] : 6 + 20 * u[6]),
      .y = SCALE * (d->centred ? 11 + 10 * u[7] : 6 + 20 * u[7]),
      .radius = SCALE * (d->centred ? 5.5 + 3.5 * u[8] : 4.5 + 3 * u[8]),
      .speed = SCALE * (d->speed_min + (d->speed_max - d->speed_min) * u[9]),
      .fast = d->fast,
      .phase = u[12],
      .period = SCALE * (12 + 8 * u[13]),
      .direction = (int)(4 * u[14]),
      .drift = SCALE * (.5 + u[15]) * d->fast,
      .texture_x = 2 * (u[16] - .5),
      .texture_y = 2 * (u[17] - .5),
      .texture_phase = u[18],
  };
  if (u[5] < d->white) a.labels.colour = WORLD_WHITE;
  a.grey = a.labels.background == WORLD_PLAIN ? .05 + .85 * u[11] : .25 + .5 * u[11];
  return a;
}

void world_caption(const world_labels *l, char out[WORLD_CAPTION]) {
  snprintf(out, WORLD_CAPTION, "%s %s %s %s %s", material_words[l->material], colour_words[l->colour],
           shape_words[l->shape], motion_words[l->motion], background_words[l->background]);
}

/* Takes the next word of *at; its index in `words`, or -1. */
static int take_word(const char **at, const char *const *words, int n) {
  const char *s = *at;
  while (*s == ' ') s++;
  size_t len = strcspn(s, " ");
  *at = s + len;
  for (int i = 0; i < n; i++) {
    if (strlen(words[i]) != len) continue;
    size_t k = 0;
    while (k < len && (s[k] == words[i][k] || (s[k] >= 'A' && s[k] <= 'Z' && s[k] - 'A' + 'a' == words[i][k]))) k++;
    if (k == len) return i;
  }
  return -1;
}

int world_parse_caption(err *e, const char *caption, world_labels *out) {
  static const struct {
    const char *what;
    const char *const *words;
    int n;
  } slot[] = {{"material", material_words, COUNT(material_words)},
              {"colour", colour_words, COUNT(colour_words)},
              {"shape", shape_words, COUNT(shape_words)},
              {"motion", motion_words, COUNT(motion_words)},
              {"background", background_words, COUNT(background_words)}};
  int got[COUNT(slot)];
  const char *at = caption;
  for (int i = 0; i < COUNT(slot); i++) {
    got[i] = take_word(&at, slot[i].words, slot[i].n);
    if (got[i] < 0)
      return err_set(e, E_FORMAT, "caption \"%.60s\": word %d is not a %s of this world (such as \"%s\")", caption,
                     i + 1, slot[i].what, slot[i].words[0]);
  }
  while (*at == ' ') at++;
  if (*at) return err_set(e, E_FORMAT, "caption \"%.60s\" has more than five words", caption);
  *out = (world_labels){.material = (world_material)got[0],
                        .colour = (world_colour)got[1],
                        .shape = (world_shape)got[2],
                        .motion = (world_motion)got[3],
                        .background = (world_background)got[4]};
  return OK;
}

static double clamp01(double x) {
  return x > 0 ? (x < 1 ? x : 1) : 0; /* NaN becomes 0 */
}

/* The thing at one moment: t frames from the middle of the clip. */
typedef struct pose {
  double x, y, radius;
} pose;

static pose pose_at(const world_attributes *a, double t) {
  pose p = {a->x, a->y, a->radius};
  switch (a->labels.motion) {
  case WORLD_LEFT: p.x = MIDDLE + (a->x - MIDDLE) * .6 - a->speed * t; break;
  case WORLD_RIGHT: p.x = MIDDLE + (a->x - MIDDLE) * .6 + a->speed * t; break;
  case WORLD_UP: p.y = MIDDLE + (a->y - MIDDLE) * .6 - a->speed * t; break;
  case WORLD_DOWN: p.y = MIDDLE + (a->y - MIDDLE) * .6 + a->speed * t; break;
  case WORLD_GROW: p.radius = a->radius * (1 + .12 * a->fast * t); break;
  case WORLD_STILL: break;
  }
  return p;
}

/* Signed distance to the outline, negative inside, at (x, y) from the centre. */
static double outline(world_shape s, double r, double x, double y) {
  switch (s) {
  case WORLD_CIRCLE: return sqrt(x * x + y * y) - r;
  case WORLD_SQUARE: return fmax(fabs(x), fabs(y)) - .85 * r;
  case WORLD_TRIANGLE: return fmax(.8660254 * fabs(x) + .5 * y, -y) - .55 * r;
  case WORLD_RING: return fabs(sqrt(x * x + y * y) - .72 * r) - .28 * r;
  }
  return INFINITY;
}

static double background(const world_attributes *a, double t, double x, double y) {
  double along = a->direction < 2 ? x : y, sign = a->direction % 2 ? -1 : 1, wave = 0;
  if (a->labels.background == WORLD_STRIPES)
    wave = sin(TWO_PI * ((along - a->drift * t * sign) / a->period + a->phase));
  if (a->labels.background == WORLD_RAMP) wave = (along - MIDDLE) / MIDDLE * sign;
  return clamp01(a->grey + .2 * wave);
}

int world_render(err *e, const world_attributes *a, clip *out) {
  int rc = clip_new(e, WORLD_FRAMES, WORLD_SIDE, WORLD_SIDE, 1, out);
  if (rc != OK) return rc;
  out->fps = WORLD_FPS;
  out->colour = CLIP_DECODED;
  double edge = a->labels.material == WORLD_SOFT ? 9 : 1.5, opacity = a->labels.material == WORLD_GLASS ? .5 : 1;
  int64_t at = 0;
  for (int f = 0; f < WORLD_FRAMES; f++) {
    double t = f - (WORLD_FRAMES - 1) / 2.0;
    pose p = pose_at(a, t);
    for (int y = 0; y < WORLD_SIDE; y++)
      for (int x = 0; x < WORLD_SIDE; x++, at++) {
        double qx = x + .5 - p.x, qy = y + .5 - p.y;
        double alpha = opacity * clamp01(.5 - outline(a->labels.shape, p.radius, qx, qy) / edge);
        double g = background(a, t, x + .5, y + .5);
        double texture = .1 * sin(TWO_PI * ((qx * a->texture_x + qy * a->texture_y) / p.radius + a->texture_phase));
        for (int c = 0; c < 3; c++)
          out->rgb[at * 3 + c] = (float)clamp01(alpha * (palette[a->labels.colour][c] + texture) + (1 - alpha) * g);
        out->alpha[at] = (float)alpha;
      }
  }
  return OK;
}

static void read_matte(const clip *c, double floor, float *matte) {
  int64_t n = (int64_t)c->frames * c->height * c->width;
  for (int64_t i = 0; i < n; i++) {
    const float *p = c->rgb + 3 * i;
    double hi = fmax(fmax((double)p[0], (double)p[1]), (double)p[2]);
    double lo = fmin(fmin((double)p[0], (double)p[1]), (double)p[2]);
    matte[i] = (float)clamp01((clamp01((hi - lo) / CHROMA) - floor) / (1 - floor));
  }
}

void world_matte_exact(const clip *c, float *matte) {
  read_matte(c, 0, matte);
}

void world_matte(const clip *c, float *matte) {
  read_matte(c, .1, matte);
}

static int listed(const world_list *list, int value) {
  for (int i = 0; i < list->n; i++)
    if (list->value[i] == value) return 1;
  return 0;
}

static int out_of_domain(const world_labels *l, const world_dist *narrow) {
  int differ = !listed(&narrow->backgrounds, (int)l->background) + !listed(&narrow->motions, (int)l->motion) +
               !listed(&narrow->shapes, (int)l->shape) + !listed(&narrow->colours, (int)l->colour);
  return l->colour != WORLD_WHITE && differ >= 2;
}

/* The first n distinct captions of a distribution; `narrow` set: only those outside it. */
static void collect(uint64_t seed, const world_dist *dist, const world_dist *narrow, int n, world_prompt *out) {
  int have = 0;
  for (int64_t i = 0; have < n; i++) {
    world_prompt p = {.labels = world_attrs(seed, i, dist).labels, .in_domain = narrow == NULL};
    if (narrow && !out_of_domain(&p.labels, narrow)) continue;
    world_caption(&p.labels, p.caption);
    int seen = 0;
    for (int k = 0; k < have; k++) seen |= strcmp(out[k].caption, p.caption) == 0;
    if (!seen) out[have++] = p;
  }
}

int world_prompts(err *e, world_prompt out[WORLD_PROMPTS]) {
  int rc = OK;
  world_dist narrow, base;
  TRY(world_dist_find(e, "narrow", &narrow));
  TRY(world_dist_find(e, "base", &base));
  collect(101, &narrow, NULL, 12, out);
  collect(102, &base, &narrow, WORLD_PROMPTS - 12, out + 12);
out:
  return rc;
}

static int base_clip(void *user, err *e, int64_t i, clip *out) {
  world_attributes a = world_attrs(1, i, user);
  return world_render(e, &a, out);
}

int world_fit_vae(err *e, block_vae *out) {
  int rc = OK;
  world_dist base;
  TRY(world_dist_find(e, "base", &base));
  TRY(block_vae_fit(e, WORLD_FIT_CLIPS, base_clip, &base, out));
out:
  return rc;
}
