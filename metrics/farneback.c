#include "metrics/farneback.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <omp.h>

#include "base/mem.h"
#include "metrics/kernels/flow.h"

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

static double level_sigma(const fb_params *p, int k) {
  return (1 / level_scale(p, k) - 1) / 2;
}

static int level_taps(const fb_params *p, int k) {
  int size = (int)rint(5 * level_sigma(p, k)) | 1;
  return size < 3 ? 3 : size;
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

/* --- desk ----------------------------------------------------------------------------------------------------- */

typedef struct pick {
  int a, b;
  float f; /* weight of b */
} pick;

struct fb_desk {
  fb_params p;
  const flow_kernels *kernels;
  int height, width, top;
  int h[FB_LEVELS + 2], w[FB_LEVELS + 2];
  float poly[5][FB_POLY + 1];
  flow_taps taps;

  double *block, *blur; /* doubles; taps of the level's blur */
  double *sum[FLOW_COEFS], *average;
  float *floats, *mixed, *padded, *blurred; /* blur taps between two rows; a row before and after the second pass */
  float *moment[3];
  float *columns, *ring; /* border weights; rows of matrices */
  float *u, *v, *spare;  /* planes; spare: a level image while frames are expanded */
  const float **row;
  pick *picks; /* of the columns */
};

typedef struct need {
  float **p;
  int64_t n;
} need;

/* One block for all, each part at a cache line. */
static int cut_floats(err *e, const need *list, int n, float **block) {
  int64_t total = 0;
  for (int i = 0; i < n; i++) total += (list[i].n + 15) / 16 * 16;
  int rc = mem_new(e, total, sizeof(float), "flow", block);
  if (rc != OK) return rc;
  float *at = *block;
  for (int i = 0; i < n; i++) *list[i].p = at, at += (list[i].n + 15) / 16 * 16;
  return OK;
}

/* Entries of the inverse Gram matrix of 1, x, y, x^2, y^2, xy under g(x) g(y). With m2, m4 the moments of g, the
 * block of 1, x^2, y^2 is [1 m2 m2; m2 m4 m2^2; m2 m2^2 m4]: on x^2 + y^2 and x^2 - y^2 it falls apart into 2x2 and
 * 1x1. */
static void expansion_taps(fb_desk *k) {
  int n = k->p.poly_n;
  double g[FB_POLY + 1], sum = 0, m2 = 0, m4 = 0;
  for (int i = 0; i <= n; i++) g[i] = exp(-i * i / (2 * k->p.poly_sigma * k->p.poly_sigma));
  for (int i = -n; i <= n; i++) sum += g[abs(i)];
  for (int i = 0; i <= n; i++) g[i] /= sum;
  for (int i = -n; i <= n; i++) {
    double q = (double)i * i;
    m2 += g[abs(i)] * q, m4 += g[abs(i)] * q * q;
  }
  double d = m4 - m2 * m2, ig11 = 1 / m2, ig55 = 1 / (m2 * m2), ig03 = -m2 / d, ig33 = 1 / d;
  for (int i = 0; i <= n; i++) {
    k->poly[0][i] = (float)g[i];
    k->poly[1][i] = (float)(g[i] * i);
    k->poly[2][i] = (float)(g[i] * i * ig11);
    k->poly[3][i] = (float)(g[i] * (ig03 + ig33 * i * i));
    k->poly[4][i] = (float)(g[i] * i * ig55);
  }
  k->taps = (flow_taps){.n = n,
                        .ig11 = (float)ig11,
                        .g = k->poly[0],
                        .g1 = k->poly[1],
                        .x = k->poly[2],
                        .xx = k->poly[3],
                        .xy = k->poly[4]};
}

static int ring_rows(const fb_desk *k, int l) {
  int want = 2 * (k->p.window / 2) + 2;
  return want < k->h[l] ? want : k->h[l];
}

static int desk_buffers(err *e, fb_desk *k) {
  int rc = OK, r = k->p.window / 2, span = 2 * r + 1, size = level_taps(&k->p, k->top + 1), n = k->p.poly_n;
  int64_t w = k->width, pixels = (int64_t)k->height * w, moment = w + 2 * n;
  int64_t rows = size + 1 > 2 * n + 1 ? size + 1 : 2 * n + 1, stride = (w + 15) / 16 * 16;
  const need list[] = {{&k->mixed, size + 1},   {&k->padded, w + size + 1},
                       {&k->blurred, w},        {&k->moment[0], moment},
                       {&k->moment[1], moment}, {&k->moment[2], moment},
                       {&k->columns, w},        {&k->ring, FLOW_COEFS * stride * ring_rows(k, 0)},
                       {&k->u, pixels},         {&k->v, pixels},
                       {&k->spare, pixels}};
  TRY(cut_floats(e, list, (int)(sizeof list / sizeof list[0]), &k->floats));
  TRY(mem_new(e, size + span + FLOW_COEFS * (w + 2 * r), sizeof(double), "flow", &k->block));
  k->blur = k->block, k->average = k->blur + size;
  for (int c = 0; c < FLOW_COEFS; c++) k->sum[c] = k->average + span + c * (w + 2 * r);
  TRY(mem_new(e, rows, sizeof *k->row, "flow", &k->row));
  TRY(mem_new(e, w, sizeof *k->picks, "flow", &k->picks));
  if (k->p.gaussian) gauss_taps(0.3 * r, span, k->average);
out:
  return rc;
}

int fb_desk_open(err *e, const fb_params *p, int height, int width, const char *isa, fb_desk **out) {
  int rc = OK;
  fb_desk *k = NULL;
  *out = NULL;
  if (!(p->pyr_scale > 0 && p->pyr_scale < 1) || p->levels < 0 || p->levels > FB_LEVELS || p->window < 1 ||
      p->window > FB_WINDOW || p->iterations < 1 || p->poly_n < 1 || p->poly_n > FB_POLY || !(p->poly_sigma > 0) ||
      height < 1 || width < 1 || (int64_t)height * width > FB_PIXELS)
    FAIL(e, E_ARG, "flow: parameters or a size out of range");
  TRY(mem_new(e, 1, sizeof *k, "flow", &k));
  *k = (fb_desk){.p = *p, .height = height, .width = width, .top = fb_top(p, height, width)};
  const metric_kernels *kernels = metric_kernels_of(isa);
  if (!kernels) FAIL(e, E_UNSUPPORTED, "flow: this CPU or build does not have level %s", isa ? isa : "v2");
  k->kernels = kernels->flow;
  for (int l = 0; l <= k->top + 1; l++) fb_level_size(p, height, width, l, &k->h[l], &k->w[l]);
  expansion_taps(k);
  TRY(desk_buffers(e, k));
  *out = k;
  k = NULL;
out:
  fb_desk_close(k);
  return rc;
}

void fb_desk_close(fb_desk *d) {
  if (!d) return;
  free(d->block), free(d->floats), free(d->row), free(d->picks);
  free(d);
}

/* --- level images --------------------------------------------------------------------------------------------- */

/* Bilinear sample of a line of n at the centre of pixel i of m: half-pixel centres, clamped. */
static pick pick_of(int i, int m, int n) {
  double s = (i + 0.5) * ((double)n / m) - 0.5;
  int a = (int)floor(s);
  if (a < 0) return (pick){0, 0, 0};
  if (a >= n - 1) return (pick){n - 1, n - 1, 0};
  return (pick){a, a + 1, (float)(s - a)};
}

static void pick_columns(fb_desk *k, int m, int n) {
  for (int i = 0; i < m; i++) k->picks[i] = pick_of(i, m, n);
}

/* Vertical blur and resize in one: the taps of two neighbouring rows, mixed. */
static void blur_down(fb_desk *k, const float *x, int size, pick y) {
  int r = size / 2;
  for (int i = 0; i <= size; i++) {
    double a = i < size ? k->blur[i] : 0, b = i > 0 ? k->blur[i - 1] : 0;
    k->mixed[i] = (float)(a + (double)y.f * (b - a));
    k->row[i] = x + (int64_t)mirror(y.a - r + i, k->height) * k->width;
  }
  k->kernels->down(k->row, k->mixed, y.f > 0 ? size + 1 : size, k->width, k->padded + r);
}

void fb_level_image(fb_desk *d, const float *x, int k, float *out) {
  int size = level_taps(&d->p, k), r = size / 2, w = d->width;
  float *in = d->padded + r;
  gauss_taps(level_sigma(&d->p, k), size, d->blur);
  pick_columns(d, d->w[k], w);
  for (int y = 0; y < d->h[k]; y++) {
    float *o = out + (int64_t)y * d->w[k];
    blur_down(d, x, size, pick_of(y, d->h[k], d->height));
    for (int i = 1; i <= r; i++) in[-i] = in[mirror(-i, w)], in[w - 1 + i] = in[mirror(w - 1 + i, w)];
    for (int i = 0; i < size; i++) d->mixed[i] = (float)d->blur[i];
    d->kernels->along(d->padded, d->mixed, size, w, k > 0 ? d->blurred : o);
    for (int i = 0; k > 0 && i < d->w[k]; i++) {
      pick p = d->picks[i];
      o[i] = d->blurred[p.a] + p.f * (d->blurred[p.b] - d->blurred[p.a]);
    }
  }
}

void fb_expand(fb_desk *d, const float *x, int k, float *out) {
  int h = d->h[k], w = d->w[k], n = d->p.poly_n;
  float *const moment[3] = {d->moment[0] + n, d->moment[1] + n, d->moment[2] + n};
  for (int y = 0; y < h; y++) {
    for (int j = -n; j <= n; j++) d->row[n + j] = x + (int64_t)clamp(y + j, h) * w;
    d->kernels->expand_down(&d->taps, d->row, w, moment);
    for (int m = 0; m < 3; m++)
      for (int i = 1; i <= n; i++) moment[m][-i] = moment[m][0], moment[m][w - 1 + i] = moment[m][w - 1];
    d->kernels->expand_along(&d->taps, moment, w, out + (int64_t)y * w * FLOW_CELL);
  }
}

/* --- iterations ----------------------------------------------------------------------------------------------- */

static float border(int i, int n) {
  static const float edge[] = {0.14f, 0.14f, 0.4472f, 0.4472f, 0.4472f};
  float s = 1;
  if (i < 5) s *= edge[i];
  if (n - 1 - i < 5) s *= edge[n - 1 - i];
  return s;
}

static void matrices(const fb_desk *d, const float *r0, const float *r1, int k, int y, const float *u, const float *v,
                     float *out, int64_t stride) {
  int64_t at = (int64_t)y * d->w[k];
  flow_matrices m = {.height = d->h[k],
                     .width = d->w[k],
                     .y = y,
                     .r0 = r0 + at * FLOW_CELL,
                     .r1 = r1,
                     .u = u + at,
                     .v = v + at,
                     .columns = d->columns,
                     .row_weight = border(y, d->h[k]),
                     .out = out,
                     .stride = stride};
  d->kernels->matrices(&m);
}

static void set_columns(fb_desk *d, int k) {
  for (int i = 0; i < d->w[k]; i++) d->columns[i] = border(i, d->w[k]);
}

void fb_matrices(fb_desk *d, const float *r0, const float *r1, int k, int y, const float *u, const float *v,
                 float *out) {
  set_columns(d, k);
  matrices(d, r0, r1, k, y, u, v, out, d->w[k]);
}

/* Adds the ring's row y (clamped) to the vertical sums. */
static void add_row(const fb_desk *d, int k, int y, double t) {
  int rows = ring_rows(d, k), r = d->p.window / 2;
  int64_t stride = (d->w[k] + 15) / 16 * 16;
  const float *in = d->ring + clamp(y, d->h[k]) % rows * FLOW_COEFS * stride;
  for (int c = 0; c < FLOW_COEFS; c++) d->kernels->add(d->sum[c] + r, in + c * stride, t, d->w[k]);
}

/* The box moves down: row `in` enters, row `out` leaves. Sums are double, so what they leave behind is far below a
 * float's rounding. */
static void slide_row(const fb_desk *d, int k, int in, int out) {
  int rows = ring_rows(d, k), r = d->p.window / 2;
  int64_t stride = (d->w[k] + 15) / 16 * 16, step = FLOW_COEFS * stride;
  const float *a = d->ring + clamp(in, d->h[k]) % rows * step, *b = d->ring + clamp(out, d->h[k]) % rows * step;
  for (int c = 0; c < FLOW_COEFS; c++) d->kernels->slide(d->sum[c] + r, a + c * stride, b + c * stride, d->w[k]);
}

static void sum_rows(const fb_desk *d, int k, int y) {
  int r = d->p.window / 2, w = d->w[k];
  if (y > 0 && !d->p.gaussian) {
    slide_row(d, k, y + r, y - r - 1);
  } else {
    for (int c = 0; c < FLOW_COEFS; c++) memset(d->sum[c] + r, 0, (size_t)w * sizeof(double));
    for (int j = -r; j <= r; j++) add_row(d, k, y + j, d->p.gaussian ? d->average[j + r] : 1);
  }
  for (int c = 0; c < FLOW_COEFS; c++) {
    double *s = d->sum[c] + r;
    for (int i = 1; i <= r; i++) s[-i] = s[0], s[w - 1 + i] = s[w - 1];
  }
}

/* Matrices live in a ring of the window's rows. A row's flow is overwritten only after its matrices were made. */
void fb_iterate(fb_desk *d, const float *r0, const float *r1, int k, float *u, float *v) {
  int h = d->h[k], w = d->w[k], r = d->p.window / 2, rows = ring_rows(d, k), made = 0;
  int64_t stride = (w + 15) / 16 * 16;
  flow_solve s = {.width = w,
                  .radius = r,
                  .norm = d->p.gaussian ? 1 : 1 / ((double)d->p.window * d->p.window),
                  .tap = d->p.gaussian ? d->average : NULL};
  for (int c = 0; c < FLOW_COEFS; c++) s.line[c] = d->sum[c];
  set_columns(d, k);
  for (int y = 0; y < h; y++) {
    for (; made < h && made <= y + r; made++)
      matrices(d, r0, r1, k, made, u, v, d->ring + made % rows * FLOW_COEFS * stride, stride);
    sum_rows(d, k, y);
    s.u = u + (int64_t)y * w, s.v = v + (int64_t)y * w;
    d->kernels->solve(&s);
  }
}

/* --- pairs ---------------------------------------------------------------------------------------------------- */

/* *x of level k + 1 -> of level k, every value times gain; swaps *x with the desk's spare plane. */
static void refine(fb_desk *d, int k, float **x) {
  int h = d->h[k], w = d->w[k], ch = d->h[k + 1], cw = d->w[k + 1];
  float gain = (float)(1 / d->p.pyr_scale), *line = d->blurred, *done = d->spare;
  for (int y = 0; y < h; y++) {
    pick py = pick_of(y, h, ch);
    const float *a = *x + (int64_t)py.a * cw, *b = *x + (int64_t)py.b * cw;
    for (int i = 0; i < cw; i++) line[i] = a[i] + py.f * (b[i] - a[i]);
    float *o = done + (int64_t)y * w;
    for (int i = 0; i < w; i++) {
      pick p = d->picks[i];
      o[i] = gain * (line[p.a] + p.f * (line[p.b] - line[p.a]));
    }
  }
  d->spare = *x, *x = done;
}

/* Cells of level k within a frame's expansion; behind the last there is room to read. */
static int64_t cells_before(const fb_desk *d, int k) {
  int64_t n = 0;
  for (int l = 0; l < k; l++) n += ((int64_t)d->h[l] * d->w[l] + d->w[l] + 2) * FLOW_CELL;
  return n;
}

static void expand_frame(fb_desk *d, const float *x, float *cells) {
  for (int l = 0; l <= d->top; l++) {
    fb_level_image(d, x, l, d->spare);
    fb_expand(d, d->spare, l, cells + cells_before(d, l));
  }
}

static void pair_flow(fb_desk *d, const float *from, const float *to, float *out) {
  int64_t n = (int64_t)d->height * d->width, coarse = (int64_t)d->h[d->top] * d->w[d->top];
  memset(d->u, 0, (size_t)coarse * sizeof(float));
  memset(d->v, 0, (size_t)coarse * sizeof(float));
  for (int l = d->top; l >= 0; l--) {
    if (l < d->top) {
      pick_columns(d, d->w[l], d->w[l + 1]);
      refine(d, l, &d->u);
      refine(d, l, &d->v);
    }
    int64_t at = cells_before(d, l);
    for (int i = 0; i < d->p.iterations; i++) fb_iterate(d, from + at, to + at, l, d->u, d->v);
  }
  for (int64_t i = 0; i < n; i++) out[2 * i] = d->u[i], out[2 * i + 1] = d->v[i];
}

typedef struct crew {
  const fb_job *job;
  int threads, slots;
  fb_desk **desk; /* one a thread */
  float **cells;  /* expansions; frame t in slot t % slots */
} crew;

/* Pairs t0 .. t1-1: first the frames that are not expanded yet, then the flows. */
static void crew_stretch(crew *c, int t0, int t1) {
  const fb_job *j = c->job;
  int64_t n = (int64_t)j->height * j->width;
  int pairs = t1 - t0, first = t0 > 0 ? t0 + 1 : 0;
#pragma omp parallel for schedule(dynamic) num_threads(c->threads)
  for (int t = first; t <= t1; t++) expand_frame(c->desk[omp_get_thread_num()], j->x + t * n, c->cells[t % c->slots]);
#pragma omp parallel for schedule(dynamic) num_threads(c->threads)
  for (int q = 0; q < 2 * pairs; q++) {
    int t = t0 + q % pairs;
    const float *a = c->cells[t % c->slots], *b = c->cells[(t + 1) % c->slots];
    fb_desk *d = c->desk[omp_get_thread_num()];
    if (q < pairs && j->forward) pair_flow(d, a, b, j->forward + 2 * t * n);
    if (q >= pairs && j->backward) pair_flow(d, b, a, j->backward + 2 * t * n);
  }
}

int fb_flows(err *e, const fb_params *p, const fb_job *j) {
  int rc = OK, pairs = j->frames - 1;
  crew c = {.job = j, .threads = j->threads < 1 ? 1 : j->threads < pairs ? j->threads : pairs};
  if (pairs < 1) FAIL(e, E_ARG, "flow: needs two frames");
  c.slots = 2 * c.threads < pairs ? 2 * c.threads + 1 : pairs + 1;
  TRY(mem_new(e, c.threads, sizeof *c.desk, "flow", &c.desk));
  for (int i = 0; i < c.threads; i++) TRY(fb_desk_open(e, p, j->height, j->width, j->isa, &c.desk[i]));
  TRY(mem_new(e, c.slots, sizeof *c.cells, "flow", &c.cells));
  for (int i = 0; i < c.slots; i++)
    TRY(mem_new(e, cells_before(c.desk[0], c.desk[0]->top + 1), sizeof(float), "flow expansion", &c.cells[i]));
  for (int t = 0; t < pairs; t += c.slots - 1) crew_stretch(&c, t, t + c.slots - 1 < pairs ? t + c.slots - 1 : pairs);
out:
  for (int i = 0; c.desk && i < c.threads; i++) fb_desk_close(c.desk[i]);
  for (int i = 0; c.cells && i < c.slots; i++) free(c.cells[i]);
  free(c.desk), free(c.cells);
  return rc;
}
