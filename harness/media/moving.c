#include "media/moving.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"

#define WAVES 16
#define TWO_PI 6.283185307179586477

enum { SUB_POSE = 16, SUB_OBJECT = 17, SUB_PLATE = 18 };

static const char *const names[MOVING_KINDS] = {"disc", "ellipse", "glass"};

const char *moving_name(moving_kind k) {
  return names[k];
}

typedef struct texture {
  double kx[3][WAVES], ky[3][WAVES], phase[3][WAVES], base[3];
} texture;

/* Waves of at most `fmax` turns a pixel in x and y. */
static texture texture_of(uint64_t seed, uint32_t sub, double fmax) {
  texture t;
  float u[3 * (3 * WAVES + 1)];
  int at = 0;
  rng_uniform((rng){.seed = seed, .stream = RNG_WORLD, .sub = sub}, 0, (int64_t)(sizeof u / sizeof u[0]), u);
  for (int c = 0; c < 3; c++) {
    for (int w = 0; w < WAVES; w++) {
      t.kx[c][w] = fmax * (2 * (double)u[at++] - 1);
      t.ky[c][w] = fmax * (2 * (double)u[at++] - 1);
      t.phase[c][w] = TWO_PI * (double)u[at++];
    }
    t.base[c] = 0.35 + 0.3 * (double)u[at++];
  }
  return t;
}

static double clamp01(double v) {
  return v > 0 ? v < 1 ? v : 1 : 0;
}

static void texture_at(const texture *t, double x, double y, double out[3]) {
  for (int c = 0; c < 3; c++) {
    double sum = 0;
    for (int w = 0; w < WAVES; w++) sum += cos(TWO_PI * (x * t->kx[c][w] + y * t->ky[c][w]) + t->phase[c][w]);
    out[c] = clamp01(t->base[c] + 0.45 / sqrt(WAVES) * sum);
  }
}

typedef struct pose {
  double radius, vx, vy, spin;
} pose;

static pose pose_of(const moving *m) {
  float u[4];
  rng_uniform((rng){.seed = m->seed, .stream = RNG_WORLD, .sub = SUB_POSE}, 0, 4, u);
  double speed = 1.5 + 1.5 * (double)u[0], angle = TWO_PI * (double)u[1];
  int side = m->height < m->width ? m->height : m->width;
  return (pose){.radius = (0.2 + 0.1 * (double)u[2]) * side,
                .vx = speed * cos(angle),
                .vy = speed * sin(angle),
                .spin = m->kind == MOVING_ELLIPSE ? 0.04 + 0.04 * (double)u[3] : 0};
}

/* Alpha at (u, v) from the centre, in the object's own axes. */
static double matte(moving_kind k, double r, double u, double v) {
  if (k == MOVING_ELLIPSE) return clamp01((1 - hypot(u / (1.5 * r), v / (0.8 * r))) * r * 0.1 + 0.5);
  double a = clamp01((r - hypot(u, v)) / 3 + 0.5), gu = (u + 0.4 * r) / (0.3 * r), gv = (v + 0.4 * r) / (0.3 * r);
  return k == MOVING_GLASS ? a * (0.45 + 0.35 * exp(-gu * gu - gv * gv)) : a;
}

int moving_render(err *e, const moving *m, clip *out) {
  int rc = clip_new(e, m->frames, m->height, m->width, 1, out);
  if (rc != OK) return rc;
  out->colour = CLIP_STRAIGHT;
  texture t = texture_of(m->seed, SUB_OBJECT, 0.11);
  pose p = pose_of(m);
  int64_t at = 0;
  for (int f = 0; f < m->frames; f++) {
    double time = f - (m->frames - 1) / 2.0, c = cos(p.spin * f), s = sin(p.spin * f);
    for (int y = 0; y < m->height; y++)
      for (int x = 0; x < m->width; x++, at++) {
        double dx = x + 0.5 - m->width / 2.0 - p.vx * time, dy = y + 0.5 - m->height / 2.0 - p.vy * time;
        double u = c * dx + s * dy, v = c * dy - s * dx, colour[3];
        out->alpha[at] = (float)matte(m->kind, p.radius, u, v);
        if (!(out->alpha[at] > 0)) continue;
        texture_at(&t, u, v, colour);
        for (int i = 0; i < 3; i++) out->rgb[3 * at + i] = (float)colour[i];
      }
  }
  return OK;
}

/* cos and sin of every wave along x, and of one row's part of the angle: cos(a + b) needs no cosine a pixel. */
typedef struct waves {
  double *x; /* [3][WAVES][width][2] */
  double y[3][WAVES][2];
} waves;

static void waves_x(const texture *t, int width, double *out) {
  for (int c = 0; c < 3; c++)
    for (int w = 0; w < WAVES; w++)
      for (int x = 0; x < width; x++, out += 2) {
        out[0] = cos(TWO_PI * t->kx[c][w] * x);
        out[1] = sin(TWO_PI * t->kx[c][w] * x);
      }
}

static void waves_row(const texture *t, int frame, int y, waves *out) {
  for (int c = 0; c < 3; c++)
    for (int w = 0; w < WAVES; w++) {
      double angle = TWO_PI * (t->kx[c][w] * 1.2 * frame + t->ky[c][w] * (y + 0.5 * frame)) + t->phase[c][w];
      out->y[c][w][0] = cos(angle), out->y[c][w][1] = sin(angle);
    }
}

static double plate_at(const texture *t, const waves *s, int width, int x, int c) {
  double sum = 0;
  for (int w = 0; w < WAVES; w++) {
    const double *a = s->x + 2 * ((int64_t)(c * WAVES + w) * width + x);
    sum += a[0] * s->y[c][w][0] - a[1] * s->y[c][w][1];
  }
  return clamp01(t->base[c] + 0.45 / sqrt(WAVES) * sum);
}

int moving_over(err *e, const clip *c, uint64_t seed, float *rgb) {
  int rc = OK;
  waves s = {0};
  texture t = texture_of(seed, SUB_PLATE, 0.06);
  int64_t at = 0;
  if (!c->alpha) FAIL(e, E_ARG, "plate: the clip has no alpha");
  if (c->colour == CLIP_DECODED) FAIL(e, E_ARG, "plate: the clip has a background of its own");
  TRY(mem_new(e, 2 * 3 * WAVES * (int64_t)c->width, sizeof *s.x, "plate", &s.x));
  waves_x(&t, c->width, s.x);
  for (int f = 0; f < c->frames; f++)
    for (int y = 0; y < c->height; y++) {
      waves_row(&t, f, y, &s);
      for (int x = 0; x < c->width; x++, at++) {
        double a = (double)c->alpha[at];
        for (int i = 0; i < 3; i++) {
          double own = (double)c->rgb[3 * at + i] * (c->colour == CLIP_STRAIGHT ? a : 1);
          rgb[3 * at + i] = (float)clamp01(own + (1 - a) * plate_at(&t, &s, c->width, x, i));
        }
      }
    }
out:
  free(s.x);
  return rc;
}
