/* bench_engine: how much of the processor's multiply-add peak the engine's operations reach.
 *
 *   bench_engine [--threads N] [--isa v2|v3|v4] [--rounds N] [--only WORD] [--json]
 *
 * Every round measures the peak and then the case, so that a busy or throttled machine moves both; the share is the
 * median over the rounds. With one thread, time is the CPU time of the process; with more it is wall time. Only the
 * products of GEMM and attention count as work, so what a block spends on norms and gates lowers its share. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <omp.h>

#include "base/text.h"
#include "ops/ops.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { ROUNDS_MAX = 64 };

typedef struct bench {
  ctx c;
  int rounds, json;
  const char *only;
  text out;     /* JSON */
  double share; /* of the last case */
} bench;

static double now(const bench *b) {
  struct timespec t;
  clock_gettime(b->c.threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *v, int n) {
  qsort(v, (size_t)n, sizeof *v, ascending);
  return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Twelve independent chains of the level's widest multiply-add, each kept in a register by the empty asm. Returns the
 * flops done. */
#define SPIN(name, isa, type, set, fma, lanes)                                                                       \
  __attribute__((target(isa))) static double name(int64_t n) {                                                       \
    type x = set(1e-20f), a0 = x, a1 = x, a2 = x, a3 = x, a4 = x, a5 = x, a6 = x, a7 = x, a8 = x, a9 = x, a10 = x,   \
         a11 = x;                                                                                                    \
    for (int64_t k = 0; k < n; k++) {                                                                                \
      a0 = fma(x, x, a0), a1 = fma(x, x, a1), a2 = fma(x, x, a2), a3 = fma(x, x, a3), a4 = fma(x, x, a4);            \
      a5 = fma(x, x, a5), a6 = fma(x, x, a6), a7 = fma(x, x, a7), a8 = fma(x, x, a8), a9 = fma(x, x, a9);            \
      a10 = fma(x, x, a10), a11 = fma(x, x, a11);                                                                    \
      __asm__ volatile("" : "+v"(a0), "+v"(a1), "+v"(a2), "+v"(a3), "+v"(a4), "+v"(a5));                             \
      __asm__ volatile("" : "+v"(a6), "+v"(a7), "+v"(a8), "+v"(a9), "+v"(a10), "+v"(a11));                           \
    }                                                                                                                \
    return 24.0 * lanes * (double)n;                                                                                 \
  }
#if defined(__x86_64__)
SPIN(spin_v4, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, 16)
SPIN(spin_v3, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, 8)
#define ADD_MUL(x, y, z) _mm_add_ps(_mm_mul_ps(x, y), z)
SPIN(spin_v2, "sse4.2", __m128, _mm_set1_ps, ADD_MUL, 4)
#endif

static double spin(const char *isa, int64_t n) {
#if defined(__x86_64__)
  if (!strcmp(isa, "v4")) return spin_v4(n);
  if (!strcmp(isa, "v3")) return spin_v3(n);
  return spin_v2(n);
#else
  (void)isa;
  (void)n;
  return 0;
#endif
}

static double peak(const bench *b) {
  double flops = 0, t = now(b);
#pragma omp parallel num_threads(b->c.threads) reduction(+ : flops)
  flops += spin(b->c.isa, 500000);
  return flops / (now(b) - t);
}

/* --- reporting --- */

typedef int (*work_fn)(ctx *c, void *arg);

/* Runs `work` (worth `flops`) in rounds of at least 20 ms and reports its rate and share. */
static int measure(bench *b, const char *name, double flops, work_fn work, void *arg) {
  double rate[ROUNDS_MAX], share[ROUNDS_MAX];
  int rc = OK;
  TRY(work(&b->c, arg));
  for (int r = 0; r < b->rounds; r++) {
    double top = peak(b), t = now(b), spent = 0;
    int64_t runs = 0;
    while (spent < 0.02) {
      TRY(work(&b->c, arg));
      runs++;
      spent = now(b) - t;
    }
    rate[r] = flops * (double)runs / spent;
    share[r] = top > 0 ? rate[r] / top : 0;
  }
  double gflops = median(rate, b->rounds) * 1e-9, of_peak = median(share, b->rounds);
  double ms = flops / gflops * 1e-6;
  b->share = of_peak;
  if (!b->json) printf("%-34s %9.3f ms %8.1f GFLOP/s %6.1f %%\n", name, ms, gflops, 100 * of_peak);
  text_add(&b->out, b->out.n ? ",\n  {\"name\": " : "\n  {\"name\": ");
  text_add_json(&b->out, name);
  text_add(&b->out, ", \"ms\": ");
  text_add_number(&b->out, ms);
  text_add(&b->out, ", \"gflops\": ");
  text_add_number(&b->out, gflops);
  text_add(&b->out, ", \"share\": ");
  text_add_number(&b->out, of_peak);
  text_add(&b->out, "}");
out:
  return rc;
}

static int wanted(const bench *b, const char *name) {
  return !b->only || strstr(name, b->only);
}

/* A view of the arena with values in [-scale/2, scale/2). */
static int fresh(ctx *c, int64_t rows, int64_t cols, double scale, view *out) {
  int rc = OK;
  TRY(ctx_view(c, rows, cols, "bench", out));
  real *p = out->p;
  uint32_t x = 12345;
  for (int64_t i = 0; i < rows * cols; i++) {
    x = x * 1664525u + 1013904223u;
    p[i] = (real)(((double)(x >> 8) / 16777216.0 - 0.5) * scale);
  }
out:
  return rc;
}

/* --- GEMM --- */

static int run_gemm(ctx *c, void *arg) {
  return op_gemm(c, arg);
}

static int one_gemm(bench *b, int64_t m, int64_t n, int64_t k, int kind) {
  static const char *const names[] = {"NN", "NT", "TN", "NT+gelu"};
  char name[64];
  op_gemm_args g = {.alpha = 1, .ta = kind == 2, .tb = kind == 1 || kind == 3, .beta = kind == 2};
  size_t mark = arena_mark(&b->c.mem);
  int rc = OK;
  snprintf(name, sizeof name, "gemm %s %lldx%lldx%lld", names[kind], (long long)m, (long long)n, (long long)k);
  if (!wanted(b, name)) return OK;
  TRY(g.ta ? fresh(&b->c, k, m, 1, &g.a) : fresh(&b->c, m, k, 1, &g.a));
  TRY(g.tb ? fresh(&b->c, n, k, 1, &g.b) : fresh(&b->c, k, n, 1, &g.b));
  TRY(fresh(&b->c, m, n, 1, &g.c));
  if (kind == 3) {
    g.act = ACT_GELU_TANH;
    TRY(fresh(&b->c, 1, n, 1, &g.bias));
    TRY(fresh(&b->c, m, n, 1, &g.pre));
  }
  TRY(measure(b, name, 2.0 * (double)m * (double)n * (double)k, run_gemm, &g));
out:
  arena_release(&b->c.mem, mark);
  return rc;
}

static int all_gemm(bench *b) {
  static const int64_t shapes[][3] = {{1176, 384, 128}, {1176, 128, 128},   {1176, 512, 128},   {1176, 128, 512},
                                      {4704, 384, 128}, {512, 256, 256},    {1024, 768, 256},   {1024, 256, 1024},
                                      {1176, 16, 128},  {1176, 128, 16},    {2048, 16, 1920},   {2048, 1920, 16},
                                      {4096, 512, 512}, {2048, 1920, 1920}, {2048, 7680, 1920}, {1024, 3072, 3072}};
  static const int64_t weights[][3] = {{384, 128, 1176}, {512, 128, 4704}, {16, 128, 1176}, {128, 16, 1176}};
  int rc = OK;
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    for (int kind = 0; kind < 4; kind++) TRY(one_gemm(b, shapes[i][0], shapes[i][1], shapes[i][2], kind));
  }
  for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
    TRY(one_gemm(b, weights[i][0], weights[i][1], weights[i][2], 2));
  }
out:
  return rc;
}

/* --- convolution: the decoder of the released video VAE on one chunk (2 latent frames) of a 240 x 360 tile --- */

static int run_conv(ctx *c, void *arg) {
  return op_conv3d(c, arg);
}

typedef struct conv_shape {
  int frames, height, width, in, out, kt, stride, times; /* times: in a chunk; long ones are cut to 2 frames */
} conv_shape;

/* Taps of one side that lie inside the picture; the zeros around it are no work. */
static double taps(int side, int stride) {
  return stride == 1 ? 3.0 * side - 2 : 3.0 * (side / 2) - (side % 2 == 0);
}

static double conv_flops(const conv_shape *s) {
  return 2.0 * s->frames * s->kt * taps(s->height, s->stride) * taps(s->width, s->stride) * s->in * s->out;
}

static int one_conv(bench *b, const conv_shape *s) {
  char name[64];
  op_conv3d_args a = {.frames = s->frames, .height = s->height, .width = s->width, .kt = s->kt, .stride = s->stride};
  int64_t plane = (int64_t)s->height * s->width;
  int64_t out = (int64_t)s->frames * op_conv3d_side(s->height, s->stride) * op_conv3d_side(s->width, s->stride);
  size_t mark = arena_mark(&b->c.mem);
  int rc = OK;
  b->share = 0;
  snprintf(name, sizeof name, "conv %dx3x3%s %dx%dx%d, %d to %d", s->kt, s->stride == 2 ? "/2" : "", s->frames,
           s->height, s->width, s->in, s->out);
  if (!wanted(b, name)) return OK;
  TRY(fresh(&b->c, s->frames * plane, s->in, 1, &a.x));
  if (s->kt > 1) TRY(fresh(&b->c, 2 * plane, s->in, 1, &a.past));
  TRY(fresh(&b->c, op_conv3d_w_rows(s->out, s->in, s->kt), CONV_PANEL, 1, &a.w));
  TRY(fresh(&b->c, 1, s->out, 1, &a.bias));
  TRY(fresh(&b->c, out, s->out, 1, &a.y));
  TRY(measure(b, name, conv_flops(s), run_conv, &a));
out:
  arena_release(&b->c.mem, mark);
  return rc;
}

/* Work of all convolutions of the chunk over the time they take together, as a share of the peak. */
static void conv_total(const conv_shape *s, const double *share, size_t n, bench *b) {
  double work = 0, spent = 0;
  for (size_t i = 0; i < n; i++) {
    if (!(share[i] > 0)) return; /* not all were measured */
    work += s[i].times * conv_flops(&s[i]);
    spent += s[i].times * conv_flops(&s[i]) / share[i];
  }
  if (!b->json) printf("%-34s %37.1f %%\n", "conv, a decoded chunk", 100 * work / spent);
  text_add(&b->out, ",\n  {\"name\": \"conv, a decoded chunk\", \"share\": ");
  text_add_number(&b->out, work / spent);
  text_add(&b->out, "}");
}

static int all_conv(bench *b) {
  static const conv_shape shapes[] = {
      {2, 30, 45, 16, 512, 3, 1, 1},     {2, 30, 45, 512, 512, 3, 1, 12},  {4, 60, 90, 512, 512, 1, 1, 1},
      {4, 60, 90, 512, 256, 3, 1, 1},    {4, 60, 90, 256, 256, 3, 1, 7},   {2, 120, 180, 256, 256, 1, 1, 4},
      {2, 120, 180, 256, 256, 3, 1, 32}, {2, 240, 360, 256, 256, 1, 1, 4}, {2, 240, 360, 256, 128, 3, 1, 4},
      {2, 240, 360, 128, 128, 3, 1, 28}, {2, 240, 360, 128, 3, 3, 1, 4}};
  static const conv_shape encoder[] = {{2, 240, 360, 3, 128, 3, 1, 0}, {2, 240, 360, 128, 128, 1, 2, 0}};
  enum { N = sizeof shapes / sizeof shapes[0] };
  double share[N];
  int rc = OK;
  for (int i = 0; i < N; i++) {
    TRY(one_conv(b, &shapes[i]));
    share[i] = b->share;
  }
  conv_total(shapes, share, N, b);
  for (int i = 0; i < 2; i++) TRY(one_conv(b, &encoder[i]));
out:
  return rc;
}

/* --- attention --- */

typedef struct attn_case {
  op_attn_args f;
  op_attn_bwd_args b;
} attn_case;

static int run_attn(ctx *c, void *arg) {
  return op_attn(c, &((attn_case *)arg)->f);
}

static int run_attn_bwd(ctx *c, void *arg) {
  return op_attn_bwd(c, &((attn_case *)arg)->b);
}

/* `batch` samples of n rows; with `split`, a sample is text, RGB and alpha rows in three places, as the model has it.
 */
static int attn_groups(ctx *c, int batch, int64_t n, int split, attn_group **out) {
  void *p = NULL;
  int rc = OK;
  TRY(arena_take(&c->mem, &c->err, batch, (int64_t)sizeof(attn_group), "groups", &p));
  attn_group *g = *out = p;
  for (int i = 0; i < batch; i++) {
    int64_t words = 6, half = (n - words) / 2, r = batch * words;
    g[i] = (attn_group){.nq = 1, .nk = 1, .q = {{.r0 = i * n, .r1 = (i + 1) * n}}};
    if (split) {
      g[i].nq = g[i].nk = 3;
      g[i].q[0] = (attn_span){.r0 = i * words, .r1 = (i + 1) * words};
      g[i].q[1] = (attn_span){.r0 = r + i * half, .r1 = r + (i + 1) * half};
      g[i].q[2] = (attn_span){.r0 = r + (batch + i) * half, .r1 = r + (batch + i + 1) * half};
    }
    memcpy(g[i].k, g[i].q, sizeof g[i].k);
  }
out:
  return rc;
}

static int one_attn(bench *b, int batch, int64_t n, int heads, int dim, int split) {
  char fwd[64], bwd[64];
  int64_t rows = batch * n, w = (int64_t)heads * dim;
  ctx *c = &b->c;
  attn_case x = {.f = {.n_groups = batch, .dim = dim}};
  attn_group *g = NULL;
  view qkv, dqkv;
  size_t mark = arena_mark(&c->mem);
  int rc = OK;
  snprintf(fwd, sizeof fwd, "attn fwd %d x %lld rows, %d x %d", batch, (long long)n, heads, dim);
  snprintf(bwd, sizeof bwd, "attn bwd %d x %lld rows, %d x %d", batch, (long long)n, heads, dim);
  if (!wanted(b, fwd) && !wanted(b, bwd)) return OK;
  TRY(fresh(c, rows, 3 * w, 2, &qkv));
  TRY(fresh(c, rows, 3 * w, 1, &dqkv));
  TRY(fresh(c, rows, w, 1, &x.f.o));
  TRY(fresh(c, heads, rows, 1, &x.f.lse));
  TRY(fresh(c, rows, w, 1, &x.b.d_o));
  TRY(fresh(c, heads, rows, 1, &x.b.delta));
  TRY(attn_groups(c, batch, n, split, &g));
  x.f.q = x.b.q = view_cols(qkv, 0, w), x.f.k = x.b.k = view_cols(qkv, w, w),
  x.f.v = x.b.v = view_cols(qkv, 2 * w, w);
  x.b.dq = view_cols(dqkv, 0, w), x.b.dk = view_cols(dqkv, w, w), x.b.dv = view_cols(dqkv, 2 * w, w);
  x.f.groups = x.b.groups = g, x.b.n_groups = batch, x.b.dim = dim, x.b.o = x.f.o, x.b.lse = x.f.lse;
  double pairs = (double)batch * (double)n * (double)n * (double)w;
  if (wanted(b, fwd)) TRY(measure(b, fwd, 4 * pairs, run_attn, &x));
  TRY(run_attn(c, &x));
  if (wanted(b, bwd)) TRY(measure(b, bwd, 10 * pairs, run_attn_bwd, &x));
out:
  arena_release(&c->mem, mark);
  return rc;
}

static int all_attn(bench *b) {
  int rc = OK;
  TRY(one_attn(b, 8, 150, 2, 64, 1));
  TRY(one_attn(b, 8, 294, 2, 64, 1));
  TRY(one_attn(b, 1, 512, 4, 64, 0));
  TRY(one_attn(b, 1, 2048, 8, 64, 0));
  TRY(one_attn(b, 1, 2048, 4, 128, 0));
  TRY(one_attn(b, 1, 8192, 2, 64, 0));
out:
  return rc;
}

/* --- DiT block: modulated norm, attention, gated residual, MLP; gradients of everything --- */

typedef struct block {
  int64_t n, d;
  int32_t *map, *positions;
  attn_group *group;
  view x, h1, qkv, qn, kn, a, p, x1, h2, u, f, y, x2, lse, delta; /* forward */
  view g, t1, t4, da, dx, dqkv;                                   /* backward */
  view wq, wo, w1, w2, bq, bo, b1, b2, nw, nb, mod, cos, sin;
  view dwq, dwo, dw1, dw2, dbq, dbo, db1, db2, dnw, dnb, dmod;
} block;

static int block_rows(ctx *c, block *k) {
  int64_t n = k->n, d = k->d;
  struct {
    view *v;
    int64_t cols;
  } all[] = {{&k->x, d},        {&k->h1, d},   {&k->qkv, 3 * d}, {&k->qn, d},     {&k->kn, d},    {&k->a, d},
             {&k->p, d},        {&k->x1, d},   {&k->h2, d},      {&k->u, 4 * d},  {&k->f, 4 * d}, {&k->y, d},
             {&k->x2, d},       {&k->g, d},    {&k->t1, d},      {&k->t4, 4 * d}, {&k->da, d},    {&k->dx, d},
             {&k->dqkv, 3 * d}, {&k->cos, 32}, {&k->sin, 32}};
  int rc = OK;
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) TRY(fresh(c, n, all[i].cols, 2, all[i].v));
  TRY(fresh(c, d / 64, n, 1, &k->lse));
  TRY(fresh(c, d / 64, n, 1, &k->delta));
out:
  return rc;
}

static int block_weights(ctx *c, block *k) {
  int64_t d = k->d;
  struct {
    view *w, *dw;
    int64_t rows, cols;
  } all[] = {{&k->wq, &k->dwq, 3 * d, d}, {&k->wo, &k->dwo, d, d},      {&k->w1, &k->dw1, 4 * d, d},
             {&k->w2, &k->dw2, d, 4 * d}, {&k->bq, &k->dbq, 1, 3 * d},  {&k->bo, &k->dbo, 1, d},
             {&k->b1, &k->db1, 1, 4 * d}, {&k->b2, &k->db2, 1, d},      {&k->nw, &k->dnw, 1, 64},
             {&k->nb, &k->dnb, 1, 64},    {&k->mod, &k->dmod, 1, 6 * d}};
  int rc = OK;
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    TRY(fresh(c, all[i].rows, all[i].cols, 2 / sqrt((double)d), all[i].w));
    TRY(fresh(c, all[i].rows, all[i].cols, 0, all[i].dw));
  }
out:
  return rc;
}

static int block_open(ctx *c, block *k) {
  void *map = NULL, *positions = NULL;
  int rc = OK;
  TRY(block_rows(c, k));
  TRY(block_weights(c, k));
  TRY(arena_take(&c->mem, &c->err, k->n, 4, "map", &map));
  TRY(arena_take(&c->mem, &c->err, k->n, 4, "positions", &positions));
  TRY(attn_groups(c, 1, k->n, 0, &k->group));
  k->map = map;
  k->positions = positions;
  for (int64_t i = 0; i < k->n; i++) k->map[i] = 0, k->positions[i] = (int32_t)i;
out:
  return rc;
}

static view modulation(view m, int64_t d, int i) {
  return view_cols(m, i * d, d);
}

static int linear(ctx *c, view x, view w, view bias, view y) {
  return op_gemm(c, &(op_gemm_args){.a = x, .b = w, .c = y, .tb = 1, .alpha = 1, .bias = bias});
}

/* dx = dy w; dw += dy^T x; db += column sums of dy */
static int linear_bwd(ctx *c, view x, view w, view dy, view dx, view dw, view db) {
  int rc = OK;
  TRY(op_gemm(c, &(op_gemm_args){.a = dy, .b = x, .c = dw, .ta = 1, .alpha = 1, .beta = 1}));
  TRY(op_colsum(c, db, dy));
  TRY(op_gemm(c, &(op_gemm_args){.a = dy, .b = w, .c = dx, .alpha = 1}));
out:
  return rc;
}

static int norm(ctx *c, const block *k, view x, view y, int i) {
  return op_ln_mod(c, &(op_ln_mod_args){.x = x,
                                        .y = y,
                                        .shift = modulation(k->mod, k->d, i),
                                        .scale = modulation(k->mod, k->d, i + 1),
                                        .map = k->map,
                                        .eps = 1e-6});
}

static int norm_bwd(ctx *c, const block *k, view x, view dy, view dx, int i) {
  return op_ln_mod_bwd(c, &(op_ln_mod_bwd_args){.x = x,
                                                .dy = dy,
                                                .dx = dx,
                                                .scale = modulation(k->mod, k->d, i + 1),
                                                .dshift = modulation(k->dmod, k->d, i),
                                                .dscale = modulation(k->dmod, k->d, i + 1),
                                                .map = k->map,
                                                .eps = 1e-6,
                                                .accumulate = 1});
}

static int rotate(ctx *c, const block *k, view x, view y) {
  op_headnorm_rope_args a = {.x = x, .y = y, .w = k->nw, .b = k->nb, .cos = k->cos, .sin = k->sin};
  a.map = k->positions, a.dim = 64, a.eps = 1e-6;
  return op_headnorm_rope(c, &a);
}

static int rotate_bwd(ctx *c, const block *k, view x, view dy) {
  op_headnorm_rope_bwd_args a = {.x = x, .dy = dy, .dx = dy, .w = k->nw, .cos = k->cos, .sin = k->sin};
  a.dw = k->dnw, a.db = k->dnb, a.map = k->positions, a.dim = 64, a.eps = 1e-6;
  return op_headnorm_rope_bwd(c, &a);
}

static int gate(ctx *c, const block *k, view x, view y, view out, int i) {
  int rc = OK;
  TRY(op_copy(c, out, x));
  TRY(op_gate_add(c, &(op_gate_add_args){.x = out, .y = y, .gate = modulation(k->mod, k->d, i), .map = k->map}));
out:
  return rc;
}

static int gate_bwd(ctx *c, const block *k, view dx, view y, view dy, int i) {
  return op_gate_add_bwd(c, &(op_gate_add_bwd_args){.dx = dx,
                                                    .y = y,
                                                    .gate = modulation(k->mod, k->d, i),
                                                    .dy = dy,
                                                    .dgate = modulation(k->dmod, k->d, i),
                                                    .map = k->map});
}

static int forward(ctx *c, void *arg) {
  block *k = arg;
  int64_t d = k->d;
  int rc = OK;
  TRY(norm(c, k, k->x, k->h1, 0));
  TRY(linear(c, k->h1, k->wq, k->bq, k->qkv));
  TRY(rotate(c, k, view_cols(k->qkv, 0, d), k->qn));
  TRY(rotate(c, k, view_cols(k->qkv, d, d), k->kn));
  op_attn_args a = {.q = k->qn, .k = k->kn, .v = view_cols(k->qkv, 2 * d, d), .o = k->a, .lse = k->lse};
  a.groups = k->group, a.n_groups = 1, a.dim = 64;
  TRY(op_attn(c, &a));
  TRY(linear(c, k->a, k->wo, k->bo, k->p));
  TRY(gate(c, k, k->x, k->p, k->x1, 2));
  TRY(norm(c, k, k->x1, k->h2, 3));
  op_gemm_args up = {.a = k->h2, .b = k->w1, .c = k->f, .tb = 1, .alpha = 1, .bias = k->b1, .pre = k->u};
  up.act = ACT_GELU_TANH;
  TRY(op_gemm(c, &up));
  TRY(linear(c, k->f, k->w2, k->b2, k->y));
  TRY(gate(c, k, k->x1, k->y, k->x2, 5));
out:
  return rc;
}

static int backward(ctx *c, block *k) {
  int64_t d = k->d;
  view dq = view_cols(k->dqkv, 0, d), dk = view_cols(k->dqkv, d, d), dv = view_cols(k->dqkv, 2 * d, d);
  int rc = OK;
  TRY(gate_bwd(c, k, k->g, k->y, k->t1, 5));
  TRY(linear_bwd(c, k->f, k->w2, k->t1, k->t4, k->dw2, k->db2));
  TRY(op_act_bwd(c, &(op_act_bwd_args){.x = k->u, .dy = k->t4, .dx = k->t4, .act = ACT_GELU_TANH}));
  TRY(linear_bwd(c, k->h2, k->w1, k->t4, k->t1, k->dw1, k->db1));
  TRY(op_copy(c, k->dx, k->g));
  TRY(norm_bwd(c, k, k->x1, k->t1, k->dx, 3));
  TRY(gate_bwd(c, k, k->dx, k->p, k->t1, 2));
  TRY(linear_bwd(c, k->a, k->wo, k->t1, k->da, k->dwo, k->dbo));
  op_attn_bwd_args b = {.q = k->qn, .k = k->kn, .v = view_cols(k->qkv, 2 * d, d), .o = k->a, .lse = k->lse};
  b.d_o = k->da, b.dq = dq, b.dk = dk, b.dv = dv, b.delta = k->delta;
  b.groups = k->group, b.n_groups = 1, b.dim = 64;
  TRY(op_attn_bwd(c, &b));
  TRY(rotate_bwd(c, k, view_cols(k->qkv, 0, d), dq));
  TRY(rotate_bwd(c, k, view_cols(k->qkv, d, d), dk));
  TRY(linear_bwd(c, k->h1, k->wq, k->dqkv, k->t1, k->dwq, k->dbq));
  TRY(norm_bwd(c, k, k->x, k->t1, k->dx, 0));
out:
  return rc;
}

static int both(ctx *c, void *arg) {
  int rc = forward(c, arg);
  return rc == OK ? backward(c, arg) : rc;
}

static int one_block(bench *b, int64_t n, int64_t d) {
  char part[64], whole[64];
  block k = {.n = n, .d = d};
  size_t mark = arena_mark(&b->c.mem);
  double rows = (double)n, width = (double)d;
  double fwd = 24 * rows * width * width + 4 * rows * rows * width;
  int rc = OK;
  snprintf(part, sizeof part, "block fwd N %lld D %lld", (long long)n, (long long)d);
  snprintf(whole, sizeof whole, "block fwd+bwd N %lld D %lld", (long long)n, (long long)d);
  if (!wanted(b, part) && !wanted(b, whole)) return OK;
  TRY(block_open(&b->c, &k));
  if (wanted(b, part)) TRY(measure(b, part, fwd, forward, &k));
  if (wanted(b, whole)) {
    TRY(measure(b, whole, fwd + 48 * rows * width * width + 10 * rows * rows * width, both, &k));
  }
out:
  arena_release(&b->c.mem, mark);
  return rc;
}

static int all_blocks(bench *b) {
  int rc = OK;
  TRY(one_block(b, 1176, 128));
  TRY(one_block(b, 512, 256));
  TRY(one_block(b, 1024, 512));
  TRY(one_block(b, 2048, 1920));
out:
  return rc;
}

static int parse(int argc, char **argv, bench *b, ctx_options *o) {
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (!strcmp(argv[i], "--json")) {
      b->json = 1;
      continue;
    }
    if (!value) return E_ARG;
    if (!strcmp(argv[i], "--threads"))
      o->threads = (int)strtol(value, NULL, 10);
    else if (!strcmp(argv[i], "--rounds"))
      b->rounds = (int)strtol(value, NULL, 10);
    else if (!strcmp(argv[i], "--isa"))
      o->isa = value;
    else if (!strcmp(argv[i], "--only"))
      b->only = value;
    else
      return E_ARG;
    i++;
  }
  return b->rounds >= 1 && b->rounds <= ROUNDS_MAX && o->threads >= 1 ? OK : E_ARG;
}

int main(int argc, char **argv) {
  bench b = {.rounds = 7};
  ctx_options o = {.backend = "cpu", .threads = 1};
  int rc = OK;
  if (parse(argc, argv, &b, &o) != OK) {
    fprintf(stderr, "usage: bench_engine [--threads N] [--isa LEVEL] [--rounds 1..%d] [--only WORD] [--json]\n",
            ROUNDS_MAX);
    return 2;
  }
  TRY(ctx_open(&b.c, &o));
  TRY(ctx_arena(&b.c, (size_t)3 << 30));
  if (!b.json) printf("%s, %d thread(s), peak %.1f GFLOP/s\n", b.c.isa, b.c.threads, peak(&b) * 1e-9);
  TRY(all_gemm(&b));
  TRY(all_conv(&b));
  TRY(all_attn(&b));
  TRY(all_blocks(&b));
  TRY(text_ok(&b.out, &b.c.err));
  if (b.json) printf("{\"isa\": \"%s\", \"threads\": %d, \"cases\": [%s\n]}\n", b.c.isa, b.c.threads, b.out.p);
out:
  if (rc != OK) fprintf(stderr, "bench_engine: %s\n", b.c.err.text);
  text_free(&b.out);
  ctx_close(&b.c);
  return rc != OK;
}
