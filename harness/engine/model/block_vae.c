#include "model/block_vae.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

#define CH BLOCK_VAE_CHANNELS
#define SIDE BLOCK_VAE_SIDE
#define PIXELS BLOCK_VAE_PIXELS

typedef struct frequency {
  int colour, t, y, x;
} frequency;

/* Coefficients kept of colour axis 0 and of axes 1, 2 at each time frequency. */
static const int kept[2][BLOCK_VAE_FRAMES] = {{10, 6}, {8, 4}};

static int before(frequency a, frequency b) {
  int sa = a.y + a.x, sb = b.y + b.x, da = abs(a.y - a.x), db = abs(b.y - b.x);
  if (sa != sb) return sa < sb;
  if (da != db) return da < db;
  return a.y < b.y;
}

/* The n-th frequency of the order: the one with n others before it. */
static frequency nth_frequency(int n) {
  frequency f = {0, 0, 0, 0};
  for (f.y = 0; f.y < SIDE; f.y++)
    for (f.x = 0; f.x < SIDE; f.x++) {
      int rank = 0;
      for (int i = 0; i < SIDE * SIDE; i++) rank += before((frequency){0, 0, i / SIDE, i % SIDE}, f);
      if (rank == n) return f;
    }
  return f;
}

/* Orthonormal DCT-II of n points: frequency k at point i. */
static double dct(int n, int k, int i) {
  return sqrt((k == 0 ? 1.0 : 2.0) / n) * cos(3.14159265358979323846 * (i + .5) * k / n);
}

static double opponent(int axis, int channel) {
  static const double rows[3][3] = {{1, 1, 1}, {1, 0, -1}, {1, -2, 1}};
  static const double norm2[3] = {3, 2, 6};
  return rows[axis][channel] / sqrt(norm2[axis]);
}

static void fill_column(block_vae *v, int column, frequency f) {
  int p = 0;
  for (int c = 0; c < 3; c++)
    for (int t = 0; t < BLOCK_VAE_FRAMES; t++)
      for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++, p++)
          v->basis[p][column] =
              opponent(f.colour, c) * dct(BLOCK_VAE_FRAMES, f.t, t) * dct(SIDE, f.y, y) * dct(SIDE, f.x, x);
}

int block_vae_open(err *e, const double scale[CH], block_vae *out) {
  for (int k = 0; k < CH; k++)
    if (!(isfinite(scale[k]) && scale[k] > 0))
      return err_set(e, E_ARG, "latent scale %d is %g; it must be positive", k, scale[k]);
  memcpy(out->scale, scale, sizeof out->scale);
  int column = 0;
  for (int c = 0; c < 3; c++)
    for (int t = 0; t < BLOCK_VAE_FRAMES; t++)
      for (int n = 0; n < kept[c > 0][t]; n++) {
        frequency f = nth_frequency(n);
        fill_column(out, column++, (frequency){c, t, f.y, f.x});
      }
  return OK;
}

int block_vae_count(err *e, int frames, int height, int width, int64_t *out) {
  *out = 0;
  if (frames <= 0 || height <= 0 || width <= 0 || frames % BLOCK_VAE_FRAMES || height % SIDE || width % SIDE)
    return err_set(e, E_SHAPE, "latents of %d frames of %dx%d: frames must be even, sides multiples of %d", frames,
                   width, height, SIDE);
  *out = (int64_t)(frames / BLOCK_VAE_FRAMES) * CH * (height / SIDE) * (width / SIDE);
  return OK;
}

/* Where the pixels of one block lie in a clip, and the grid of blocks. */
typedef struct grid {
  int frames, height, width; /* in blocks */
} grid;

static grid grid_of(const clip *c) {
  return (grid){c->frames / BLOCK_VAE_FRAMES, c->height / SIDE, c->width / SIDE};
}

/* Index in [T][H][W] of the first pixel of row y of frame t of block b. */
static int64_t block_row(grid g, int64_t b, int t, int y) {
  int64_t bx = b % g.width, by = b / g.width % g.height, bt = b / ((int64_t)g.width * g.height);
  int64_t row = (bt * BLOCK_VAE_FRAMES + t) * g.height * SIDE + by * SIDE + y;
  return row * g.width * SIDE + bx * SIDE;
}

/* Index of channel 0 of block b in [F][C][h][w]; channels are h * w apart. */
static int64_t latent_at(grid g, int64_t b) {
  int64_t plane = (int64_t)g.height * g.width;
  return b / plane * CH * plane + b % plane;
}

static void block_load(const clip *c, grid g, int64_t b, block_vae_plane plane, double px[PIXELS]) {
  int p = 0;
  for (int o = 0; o < 3; o++)
    for (int t = 0; t < BLOCK_VAE_FRAMES; t++)
      for (int y = 0; y < SIDE; y++) {
        int64_t at = block_row(g, b, t, y);
        for (int x = 0; x < SIDE; x++, p++)
          px[p] = 2.0 * (double)(plane == BLOCK_VAE_RGB ? c->rgb[(at + x) * 3 + o] : c->alpha[at + x]) - 1;
      }
}

static void project(const block_vae *v, const double px[PIXELS], double z[CH]) {
  memset(z, 0, CH * sizeof *z);
  for (int p = 0; p < PIXELS; p++)
    for (int k = 0; k < CH; k++) z[k] += px[p] * v->basis[p][k];
}

int block_vae_encode(err *e, const block_vae *v, const clip *c, block_vae_plane plane, float *latents) {
  int64_t count;
  int rc = block_vae_count(e, c->frames, c->height, c->width, &count);
  if (rc != OK) return rc;
  if (plane == BLOCK_VAE_RGB ? !c->rgb : !c->alpha)
    return err_set(e, E_ARG, "the clip to encode has no %s", plane == BLOCK_VAE_RGB ? "colour" : "alpha");
  grid g = grid_of(c);
  int64_t blocks = count / CH, step = (int64_t)g.height * g.width;
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < blocks; b++) {
    double px[PIXELS], z[CH];
    block_load(c, g, b, plane, px);
    project(v, px, z);
    for (int k = 0; k < CH; k++) latents[latent_at(g, b) + k * step] = (float)(z[k] / v->scale[k]);
  }
  return OK;
}

static double clamp01(double x) {
  return x > 0 ? (x < 1 ? x : 1) : 0; /* NaN becomes 0 */
}

static void block_expand(const block_vae *v, const float *latents, int64_t at, int64_t step, double px[PIXELS]) {
  double z[CH];
  for (int k = 0; k < CH; k++) z[k] = (double)latents[at + k * step] * v->scale[k];
  for (int p = 0; p < PIXELS; p++) {
    double sum = 0;
    for (int k = 0; k < CH; k++) sum += z[k] * v->basis[p][k];
    px[p] = clamp01((sum + 1) / 2);
  }
}

static void block_store(clip *c, grid g, int64_t b, block_vae_plane plane, const double px[PIXELS]) {
  const int third = PIXELS / 3;
  for (int t = 0; t < BLOCK_VAE_FRAMES; t++)
    for (int y = 0; y < SIDE; y++) {
      int64_t at = block_row(g, b, t, y);
      const double *row = px + (t * SIDE + y) * SIDE;
      for (int x = 0; x < SIDE; x++) {
        double r = row[x], q = row[x + third], s = row[x + 2 * third];
        if (plane == BLOCK_VAE_ALPHA) {
          c->alpha[at + x] = (float)((r + q + s) / 3);
          continue;
        }
        float *to = c->rgb + (at + x) * 3;
        to[0] = (float)r, to[1] = (float)q, to[2] = (float)s;
      }
    }
}

int block_vae_decode(err *e, const block_vae *v, const float *rgb, const float *alpha, clip *c) {
  int64_t count;
  int rc = block_vae_count(e, c->frames, c->height, c->width, &count);
  if (rc != OK) return rc;
  if (alpha && !c->alpha) return err_set(e, E_ARG, "alpha latents, but the clip to fill has no alpha");
  grid g = grid_of(c);
  int64_t blocks = count / CH, step = (int64_t)g.height * g.width;
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < blocks; b++) {
    double px[PIXELS];
    block_expand(v, rgb, latent_at(g, b), step, px);
    block_store(c, g, b, BLOCK_VAE_RGB, px);
    if (!alpha) continue;
    block_expand(v, alpha, latent_at(g, b), step, px);
    block_store(c, g, b, BLOCK_VAE_ALPHA, px);
  }
  c->colour = CLIP_DECODED;
  return OK;
}

typedef struct moments {
  int64_t n;
  double sum[CH], square[CH];
} moments;

static int moments_add(moments *m, err *e, const block_vae *v, const clip *c) {
  int64_t count;
  int rc = block_vae_count(e, c->frames, c->height, c->width, &count);
  if (rc != OK) return rc;
  grid g = grid_of(c);
  for (int64_t b = 0; b < count / CH; b++) {
    double px[PIXELS], z[CH];
    block_load(c, g, b, BLOCK_VAE_RGB, px);
    project(v, px, z);
    for (int k = 0; k < CH; k++) m->sum[k] += z[k], m->square[k] += z[k] * z[k];
  }
  m->n += count / CH;
  return OK;
}

static void scales_from(const moments *m, double scale[CH]) {
  double n = (double)m->n, power = 0;
  for (int k = 0; k < CH; k++) {
    double var = (m->square[k] - m->sum[k] * m->sum[k] / n) / (n - 1);
    scale[k] = sqrt(var > 1e-6 ? var : 1e-6);
    power += m->square[k] / n / (scale[k] * scale[k]);
  }
  for (int k = 0; k < CH; k++) scale[k] *= sqrt(power / CH);
}

int block_vae_fit(err *e, int64_t n, block_vae_source source, void *user, block_vae *out) {
  int rc = OK;
  moments *m = NULL;
  double scale[CH];
  clip c = {0};
  for (int k = 0; k < CH; k++) scale[k] = 1;
  TRY(block_vae_open(e, scale, out));
  TRY(mem_new(e, 1, sizeof *m, "latent moments", &m));
  for (int64_t i = 0; i < n; i++) {
    TRY(source(user, e, i, &c));
    TRY(moments_add(m, e, out, &c));
    clip_free(&c);
  }
  if (m->n < 2) FAIL(e, E_ARG, "latent scales need at least two blocks of pixels");
  scales_from(m, scale);
  TRY(block_vae_open(e, scale, out));
out:
  clip_free(&c);
  free(m);
  return rc;
}

int block_vae_load(err *e, const char *path, block_vae *out) {
  int rc = OK;
  double scale[CH];
  json *j = NULL;
  TRY(json_read(e, path, &j));
  const json *kind = json_get(j, "kind"), *list = json_get(j, "scale");
  if (!kind || kind->type != JSON_STRING || strcmp(kind->str, "block-dct") != 0)
    FAIL(e, E_FORMAT, "%s: \"kind\" must be \"block-dct\"", path);
  if (!list || list->type != JSON_ARRAY || json_count(list) != CH)
    FAIL(e, E_FORMAT, "%s: \"scale\" must be a list of %d numbers", path, CH);
  const json *item = list->child;
  for (int k = 0; k < CH; k++, item = item->next) {
    if (item->type != JSON_NUMBER) FAIL(e, E_FORMAT, "%s:%d: scale %d is not a number", path, item->line, k);
    scale[k] = item->num;
  }
  TRY(block_vae_open(e, scale, out));
out:
  json_free(j);
  if (rc != OK) err_prefix(e, "latent scales");
  return rc;
}

int block_vae_save(err *e, const block_vae *v, const char *fitted_on, const char *path) {
  int rc = OK;
  text t = {0};
  text_addf(&t, "{\n  \"kind\": \"block-dct\",\n  \"block\": [%d, %d, %d],\n  \"fitted_on\": ", BLOCK_VAE_FRAMES,
            SIDE, SIDE);
  text_add_json(&t, fitted_on);
  text_add(&t, ",\n  \"scale\": [\n    ");
  for (int k = 0; k < CH; k++) {
    text_add_number(&t, v->scale[k]);
    text_add(&t, k + 1 == CH ? "\n  ]\n}\n" : k % 4 == 3 ? ",\n    " : ", ");
  }
  TRY(text_ok(&t, e));
  TRY(file_write(e, path, t.p, t.n));
out:
  text_free(&t);
  return rc;
}
