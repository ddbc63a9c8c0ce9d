#include "metrics/farneback.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { COEFS = 5 };

fb_params fb_defaults(void) {
  return (fb_params){.pyr_scale = 0.5, .levels = 3, .window = 15, .iterations = 3, .poly_n = 5, .poly_sigma = 1.2};
}

static int clamp(int i, int n) {
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* dcb|abcd|cba */
static int mirror(int i, int n) {
  if (n == 1) return 0;
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

static double level_scale(const fb_params *p, int k) {
  double s = 1;
  while (k-- > 0) s *= p->pyr_scale;
  return s;
}

int fb_top(const fb_params *p, int height, int width) {
  int k = 0;
  double s = p->pyr_scale;
  while (k < p->levels && width * s >= 32 && height * s >= 32) k++, s *= p->pyr_scale;
  return k;
}

void fb_level_size(const fb_params *p, int height, int width, int k, int *level_height, int *level_width) {
  double s = level_scale(p, k);
  *level_height = (int)rint(height * s);
  *level_width = (int)rint(width * s);
}

/* Normalised Gaussian taps; sigma 0 is OpenCV's fixed 3-tap kernel. */
static void gauss_taps(double sigma, int size, double *g) {
  double sum = 0, mid = (size - 1) / 2.0;
  for (int i = 0; i < size; i++) {
    double x = i - mid;
    sum += g[i] = sigma > 0 ? exp(-x * x / (2 * sigma * sigma)) : i == size / 2 ? 0.5 : 0.25;
  }
  for (int i = 0; i < size; i++) g[i] /= sum;
}

/* row: w + size doubles. */
static void blur(const float *x, int h, int w, const double *g, int size, double *row, float *out) {
  int r = size / 2;
  double *in = row + r;
  for (int y = 0; y < h; y++) {
    float *o = out + (int64_t)y * w;
    memset(in, 0, (size_t)w * sizeof *in);
    for (int k = -r; k <= r; k++) {
      const float *src = x + (int64_t)mirror(y + k, h) * w;
      for (int i = 0; i < w; i++) in[i] += g[k + r] * (double)src[i];
    }
    for (int k = 1; k <= r; k++) in[-k] = in[mirror(-k, w)], in[w - 1 + k] = in[mirror(w - 1 + k, w)];
    for (int i = 0; i < w; i++) {
      double sum = 0;
      for (int k = 0; k < size; k++) sum += g[k] * row[i + k];
      o[i] = (float)sum;
    }
  }
}

typedef struct tap {
  int at[2];
  double f; /* weight of at[1] */
} tap;

/* Bilinear sample of a line of n at the centre of pixel i of m: half-pixel centres, clamped. */
static tap resize_tap(int i, int m, int n) {
  double s = (i + 0.5) * ((double)n / m) - 0.5;
  int a = (int)floor(s);
  if (a < 0) return (tap){{0, n > 1 ? 1 : 0}, 0};
  if (a >= n - 1) return (tap){{n - 1, n - 1}, 0};
  return (tap){{a, a + 1}, s - a};
}

/* Interleaved channels; every value times gain. */
static void resize(const float *x, int h, int w, int channels, double gain, float *out, int oh, int ow) {
  for (int y = 0; y < oh; y++) {
    tap ty = resize_tap(y, oh, h);
    const float *a = x + (int64_t)ty.at[0] * w * channels, *b = x + (int64_t)ty.at[1] * w * channels;
    for (int i = 0; i < ow; i++) {
      tap tx = resize_tap(i, ow, w);
      for (int c = 0; c < channels; c++) {
        int l = tx.at[0] * channels + c, r = tx.at[1] * channels + c;
        double top = (double)a[l] * (1 - tx.f) + (double)a[r] * tx.f;
        double low = (double)b[l] * (1 - tx.f) + (double)b[r] * tx.f;
        out[((int64_t)y * ow + i) * channels + c] = (float)(gain * (top * (1 - ty.f) + low * ty.f));
      }
    }
  }
}

int fb_level_image(err *e, const fb_params *p, const float *x, int height, int width, int k, float *out) {
  int rc = OK, lh, lw;
  double sigma = (1 / level_scale(p, k) - 1) / 2, *g = NULL;
  float *full = NULL;
  int size = (int)rint(5 * sigma) | 1;
  if (size < 3) size = 3;
  fb_level_size(p, height, width, k, &lh, &lw);
  TRY(mem_new(e, 2 * (int64_t)size + width, sizeof(double), "flow blur", &g));
  if (k > 0) TRY(mem_new(e, (int64_t)height * width, sizeof(float), "flow blur", &full));
  gauss_taps(sigma, size, g);
  blur(x, height, width, g, size, g + size, full ? full : out);
  if (full) resize(full, height, width, 1, 1, out, lh, lw);
out:
  free(g), free(full);
  return rc;
}

/* --- polynomial expansion ------------------------------------------------------------------------------------- */

typedef struct expansion {
  int n;
  double g[FB_POLY + 1]; /* g at 0 .. n */
  double ig11, ig03, ig33, ig55;
} expansion;

/* Entries of the inverse Gram matrix of 1, x, y, x^2, y^2, xy under g(x) g(y). With m2, m4 the moments of g, the
 * block of 1, x^2, y^2 is [1 m2 m2; m2 m4 m2^2; m2 m2^2 m4]: on x^2 + y^2 and x^2 - y^2 it falls apart into 2x2 and
 * 1x1. */
static expansion prepare(const fb_params *p) {
  expansion k = {.n = p->poly_n};
  double sum = 0, m2 = 0, m4 = 0;
  for (int i = 0; i <= k.n; i++) k.g[i] = exp(-i * i / (2 * p->poly_sigma * p->poly_sigma));
  for (int i = -k.n; i <= k.n; i++) sum += k.g[abs(i)];
  for (int i = 0; i <= k.n; i++) k.g[i] /= sum;
  for (int i = -k.n; i <= k.n; i++) {
    double q = (double)i * i;
    m2 += k.g[abs(i)] * q, m4 += k.g[abs(i)] * q * q;
  }
  double d = m4 - m2 * m2;
  k.ig11 = 1 / m2;
  k.ig55 = 1 / (m2 * m2);
  k.ig03 = -m2 / d;
  k.ig33 = 1 / d;
  return k;
}

/* Vertical moments of row y under g, y g, y^2 g into v[0..2], each w + 2n with replicated ends. Differences of
 * mirrored rows keep the odd moment of a constant exactly zero. */
static void vertical_moments(const expansion *k, const float *x, int h, int w, int y, double *const v[3]) {
  int n = k->n;
  const float *mid = x + (int64_t)y * w;
  for (int i = 0; i < w; i++) v[0][n + i] = k->g[0] * (double)mid[i], v[1][n + i] = 0, v[2][n + i] = 0;
  for (int j = 1; j <= n; j++) {
    const float *up = x + (int64_t)clamp(y - j, h) * w, *down = x + (int64_t)clamp(y + j, h) * w;
    double g = k->g[j], g1 = g * j, g2 = g1 * j;
    for (int i = 0; i < w; i++) {
      double a = (double)up[i], b = (double)down[i], s = a + b;
      v[0][n + i] += g * s;
      v[1][n + i] += g1 * (b - a);
      v[2][n + i] += g2 * s;
    }
  }
  for (int m = 0; m < 3; m++)
    for (int i = 0; i < n; i++) v[m][i] = v[m][n], v[m][n + w + i] = v[m][n + w - 1];
}

/* out: the row in the first plane; planes are `plane` floats apart. */
static void horizontal_moments(const expansion *k, double *const v[3], int w, float *out, int64_t plane) {
  int n = k->n;
  for (int i = 0; i < w; i++) {
    const double *v0 = v[0] + n + i, *v1 = v[1] + n + i, *v2 = v[2] + n + i;
    double b1 = k->g[0] * v0[0], b2 = 0, b3 = k->g[0] * v1[0], b4 = 0, b5 = k->g[0] * v2[0], b6 = 0;
    for (int j = 1; j <= n; j++) {
      double g = k->g[j], g1 = g * j, s = v0[j] + v0[-j];
      b1 += g * s;
      b2 += g1 * (v0[j] - v0[-j]);
      b4 += g1 * j * s;
      b3 += g * (v1[j] + v1[-j]);
      b6 += g1 * (v1[j] - v1[-j]);
      b5 += g * (v2[j] + v2[-j]);
    }
    out[i] = (float)(b3 * k->ig11);
    out[i + plane] = (float)(b2 * k->ig11);
    out[i + 2 * plane] = (float)(b1 * k->ig03 + b5 * k->ig33);
    out[i + 3 * plane] = (float)(b1 * k->ig03 + b4 * k->ig33);
    out[i + 4 * plane] = (float)(b6 * k->ig55);
  }
}

int fb_expand(err *e, const fb_params *p, const float *x, int height, int width, float *out) {
  expansion k = prepare(p);
  int64_t line = width + 2 * (int64_t)k.n;
  double *row;
  int rc = mem_new(e, 3 * line, sizeof(double), "flow expansion", &row);
  if (rc != OK) return rc;
  double *const v[3] = {row, row + line, row + 2 * line};
  for (int y = 0; y < height; y++) {
    vertical_moments(&k, x, height, width, y, v);
    horizontal_moments(&k, v, width, out + (int64_t)y * width, (int64_t)height * width);
  }
  free(row);
  return OK;
}

/* --- displacement update -------------------------------------------------------------------------------------- */

static float border(int i, int n) {
  static const float edge[] = {0.14f, 0.14f, 0.4472f, 0.4472f, 0.4472f};
  float s = 1;
  if (i < 5) s *= edge[i];
  if (n - 1 - i < 5) s *= edge[n - 1 - i];
  return s;
}

/* r1's coefficients at (fx, fy); 0 when a corner of the cell lies outside (so always in the last row and column). The
 * test is on floats: a wild displacement never becomes an integer. */
static int sample(const float *r1, int64_t plane, int h, int w, float fx, float fy, float s[COEFS]) {
  float x = floorf(fx), y = floorf(fy);
  if (!(x >= 0 && x < (float)(w - 1) && y >= 0 && y < (float)(h - 1))) return 0;
  float ax = fx - x, ay = fy - y;
  float w00 = (1 - ax) * (1 - ay), w01 = ax * (1 - ay), w10 = (1 - ax) * ay, w11 = ax * ay;
  const float *at = r1 + (int64_t)y * w + (int64_t)x;
  for (int c = 0; c < COEFS; c++, at += plane) s[c] = w00 * at[0] + w01 * at[1] + w10 * at[w] + w11 * at[w + 1];
  return 1;
}

void fb_matrices(const float *r0, const float *r1, const float *flow, int height, int width, float *out) {
  int64_t plane = (int64_t)height * width;
  for (int y = 0; y < height; y++) {
    float wy = border(y, height);
    for (int x = 0; x < width; x++) {
      int64_t i = (int64_t)y * width + x;
      float dx = flow[2 * i], dy = flow[2 * i + 1], s[COEFS] = {0}, q = wy * border(x, width);
      float yy = r0[i + 2 * plane], xx = r0[i + 3 * plane], xy = r0[i + 4 * plane] * 0.5f;
      if (sample(r1, plane, height, width, (float)x + dx, (float)y + dy, s)) {
        yy = (yy + s[2]) * 0.5f;
        xx = (xx + s[3]) * 0.5f;
        xy = (r0[i + 4 * plane] + s[4]) * 0.25f;
      }
      float by = ((r0[i] - s[0]) * 0.5f + yy * dy + xy * dx) * q;
      float bx = ((r0[i + plane] - s[1]) * 0.5f + xy * dy + xx * dx) * q;
      yy *= q, xx *= q, xy *= q;
      out[i] = yy * yy + xy * xy;
      out[i + plane] = (yy + xx) * xy;
      out[i + 2 * plane] = xx * xx + xy * xy;
      out[i + 3 * plane] = yy * by + xy * bx;
      out[i + 4 * plane] = xy * by + xx * bx;
    }
  }
}

typedef struct average {
  int r, gaussian;
  double norm;
  double *tap;         /* 2 r + 1 weights; Gaussian only */
  double *line[COEFS]; /* w + 2 r vertical sums, ends replicated */
} average;

static void add_row(double *v, const float *row, int w, double t) {
  for (int i = 0; i < w; i++) v[i] += t * (double)row[i];
}

/* Vertical sums of row y, taken in ascending order of y. The box slides: a row enters, a row leaves; sums are double,
 * so what they leave behind is far below a float's rounding. */
static void vertical_average(const average *k, const float *m, int h, int w, int y) {
  int r = k->r, slide = !k->gaussian && y > 0;
  for (int c = 0; c < COEFS; c++) {
    const float *p = m + (int64_t)c * h * w;
    double *v = k->line[c] + r;
    if (slide) {
      add_row(v, p + (int64_t)clamp(y + r, h) * w, w, 1);
      add_row(v, p + (int64_t)clamp(y - r - 1, h) * w, w, -1);
    } else {
      memset(v, 0, (size_t)w * sizeof *v);
      for (int j = -r; j <= r; j++) add_row(v, p + (int64_t)clamp(y + j, h) * w, w, k->gaussian ? k->tap[j + r] : 1);
    }
    for (int i = 1; i <= r; i++) v[-i] = v[0], v[w - 1 + i] = v[w - 1];
  }
}

static void solve_pixel(const double s[COEFS], double norm, float *flow) {
  double g11 = s[0] * norm, g12 = s[1] * norm, g22 = s[2] * norm, h1 = s[3] * norm, h2 = s[4] * norm;
  double idet = 1 / (g11 * g22 - g12 * g12 + 1e-3);
  flow[0] = (float)((g11 * h2 - g12 * h1) * idet);
  flow[1] = (float)((g22 * h1 - g12 * h2) * idet);
}

static void solve_row(const average *k, int w, float *flow) {
  int span = 2 * k->r + 1;
  double s[COEFS] = {0};
  for (int c = 0; c < COEFS; c++)
    for (int j = 0; j < span - 1; j++) s[c] += k->line[c][j];
  for (int x = 0; x < w; x++) {
    for (int c = 0; c < COEFS; c++) {
      if (k->gaussian) {
        s[c] = 0;
        for (int j = 0; j < span; j++) s[c] += k->tap[j] * k->line[c][x + j];
      } else {
        s[c] += k->line[c][x + span - 1];
      }
    }
    solve_pixel(s, k->norm, flow + 2 * (int64_t)x);
    for (int c = 0; c < COEFS; c++) s[c] -= k->line[c][x];
  }
}

int fb_solve(err *e, const fb_params *p, const float *m, int height, int width, float *flow) {
  average k = {.r = p->window / 2, .gaussian = p->gaussian};
  int span = 2 * k.r + 1;
  int64_t line = width + 2 * (int64_t)k.r;
  double *block;
  int rc = mem_new(e, COEFS * line + span, sizeof(double), "flow average", &block);
  if (rc != OK) return rc;
  for (int c = 0; c < COEFS; c++) k.line[c] = block + c * line;
  k.tap = block + COEFS * line;
  k.norm = k.gaussian ? 1 : 1 / ((double)p->window * p->window);
  if (k.gaussian) gauss_taps(0.3 * k.r, span, k.tap);
  for (int y = 0; y < height; y++) {
    vertical_average(&k, m, height, width, y);
    solve_row(&k, width, flow + 2 * (int64_t)y * width);
  }
  free(block);
  return OK;
}

/* --- pyramid -------------------------------------------------------------------------------------------------- */

typedef struct pyramid {
  const fb_params *p;
  int height, width, top;
  int h[FB_LEVELS + 1], w[FB_LEVELS + 1];
  float *level;                     /* one level image */
  float *poly[2][FB_LEVELS + 1];    /* expansions of two neighbouring frames */
  float *matrices, *flow, *resized; /* of one level */
} pyramid;

static int pyramid_open(err *e, pyramid *k) {
  int rc = OK;
  int64_t n = (int64_t)k->height * k->width;
  for (int l = 0; l <= k->top; l++) {
    fb_level_size(k->p, k->height, k->width, l, &k->h[l], &k->w[l]);
    for (int i = 0; i < 2; i++)
      TRY(mem_new(e, COEFS * (int64_t)k->h[l] * k->w[l], sizeof(float), "flow pyramid", &k->poly[i][l]));
  }
  TRY(mem_new(e, n, sizeof(float), "flow level", &k->level));
  TRY(mem_new(e, COEFS * n, sizeof(float), "flow matrices", &k->matrices));
  TRY(mem_new(e, 2 * n, sizeof(float), "flow", &k->flow));
  TRY(mem_new(e, 2 * n, sizeof(float), "flow", &k->resized));
out:
  return rc;
}

static void pyramid_close(pyramid *k) {
  for (int l = 0; l <= k->top; l++) free(k->poly[0][l]), free(k->poly[1][l]);
  free(k->level), free(k->matrices), free(k->flow), free(k->resized);
}

static int pyramid_frame(err *e, pyramid *k, const float *x, int slot) {
  int rc = OK;
  for (int l = 0; l <= k->top; l++) {
    TRY(fb_level_image(e, k->p, x, k->height, k->width, l, k->level));
    TRY(fb_expand(e, k->p, k->level, k->h[l], k->w[l], k->poly[slot][l]));
  }
out:
  return rc;
}

static int pyramid_flow(err *e, pyramid *k, int from, int to, float *out) {
  int rc = OK;
  memset(k->flow, 0, (size_t)(2 * (int64_t)k->h[k->top] * k->w[k->top]) * sizeof(float));
  for (int l = k->top; l >= 0; l--) {
    if (l < k->top) {
      resize(k->flow, k->h[l + 1], k->w[l + 1], 2, 1 / k->p->pyr_scale, k->resized, k->h[l], k->w[l]);
      float *t = k->flow;
      k->flow = k->resized, k->resized = t;
    }
    for (int i = 0; i < k->p->iterations; i++) {
      fb_matrices(k->poly[from][l], k->poly[to][l], k->flow, k->h[l], k->w[l], k->matrices);
      TRY(fb_solve(e, k->p, k->matrices, k->h[l], k->w[l], k->flow));
    }
  }
  memcpy(out, k->flow, (size_t)(2 * (int64_t)k->height * k->width) * sizeof(float));
out:
  return rc;
}

int fb_clip(err *e, const fb_params *p, const float *x, int frames, int height, int width, float *flow) {
  int rc = OK;
  int64_t n = (int64_t)height * width;
  pyramid k = {.p = p, .height = height, .width = width};
  if (!(p->pyr_scale > 0 && p->pyr_scale < 1) || p->levels < 0 || p->levels > FB_LEVELS || p->window < 1 ||
      p->iterations < 1 || p->poly_n < 1 || p->poly_n > FB_POLY || !(p->poly_sigma > 0) || height < 1 || width < 1)
    FAIL(e, E_ARG, "flow: parameters or a size out of range");
  k.top = fb_top(p, height, width);
  TRY(pyramid_open(e, &k));
  for (int t = 0; t < frames; t++) {
    TRY(pyramid_frame(e, &k, x + t * n, t % 2));
    if (t > 0) TRY(pyramid_flow(e, &k, (t - 1) % 2, t % 2, flow + 2 * (t - 1) * n));
  }
out:
  pyramid_close(&k);
  return rc;
}
