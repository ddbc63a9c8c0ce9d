/* Prints a hash of everything the engine and the dearer metrics compute, one "name sha256" a line, for one
 * instruction-set level and number of threads: td_bits LEVEL THREADS. compare.sh demands the same text from every
 * compiler, level and thread count. Exit status 77: this processor lacks the level. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "metrics/farneback.h"
#include "metrics/metric.h"
#include "model/vae.h"
#include "sample.h"
#include "train.h"

enum { POOL = 1 << 22 };

/* Inputs are drawn from one stream, each from its own sub-stream; outputs start as NaN, so that an element nobody
 * wrote is seen. */
typedef struct bench {
  ctx c;
  real *pool;
  int64_t used;
  uint32_t draws;
} bench;

static view take(bench *b, int64_t rows, int64_t cols) {
  view v = view_of(b->pool + b->used, rows, cols);
  b->used += (rows * cols + 63) / 64 * 64;
  return v;
}

static view input(bench *b, int64_t rows, int64_t cols) {
  view v = take(b, rows, cols);
  rng_normal_real((rng){.seed = 11, .stream = RNG_TEST, .sub = b->draws++}, 0, rows * cols, v.p);
  return v;
}

static view output(bench *b, int64_t rows, int64_t cols) {
  view v = take(b, rows, cols);
  real *p = v.p;
  for (int64_t i = 0; i < rows * cols; i++) p[i] = (real)NAN;
  return v;
}

static view zeros(bench *b, int64_t rows, int64_t cols) {
  view v = take(b, rows, cols);
  memset(v.p, 0, (size_t)(rows * cols) * sizeof(real));
  return v;
}

/* One line; refuses a result that is all zeros or not finite, which would compare equal for the wrong reason. */
static int show(bench *b, const char *name, const void *p, int64_t n) {
  const real *x = p;
  char hex[HASH_HEX];
  int64_t live = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite((double)x[i])) return err_set(&b->c.err, E_NAN, "%s: element %lld", name, (long long)i);
    live += x[i] != 0;
  }
  if (!live) return err_set(&b->c.err, E_ARG, "%s: every element is zero", name);
  int rc = hash_bytes(&b->c.err, x, (size_t)n * sizeof(real), hex);
  if (rc == OK) printf("%s %s\n", name, hex);
  return rc;
}

static int show_view(bench *b, const char *name, view v) {
  return show(b, name, v.p, v.rows * v.cols);
}

static int run_random(bench *b) {
  int rc = OK;
  view n = output(b, 1, 1 << 16), u = output(b, 1, 4096);
  rng_normal((rng){.seed = 5, .stream = RNG_TEST}, 3, n.cols, n.p);
  rng_uniform((rng){.seed = 5, .stream = RNG_TEST, .sub = 1}, 3, u.cols, u.p);
  TRY(show_view(b, "rng.normal", n));
  TRY(show_view(b, "rng.uniform", u));
out:
  return rc;
}

static int run_gemm(bench *b) {
  static const struct {
    int64_t m, n, k;
    int ta, tb;
    op_act act;
  } cases[] = {{1, 1, 1, 0, 0, ACT_NONE},           {7, 33, 19, 0, 1, ACT_NONE},
               {64, 384, 128, 0, 1, ACT_GELU_TANH}, {129, 65, 512, 0, 0, ACT_SILU},
               {384, 128, 777, 1, 0, ACT_NONE},     {300, 16, 128, 0, 1, ACT_NONE},
               {300, 128, 16, 0, 1, ACT_NONE},      {33, 31, 1025, 1, 1, ACT_GELU_TANH}};
  int rc = OK;
  char name[64];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t m = cases[i].m, n = cases[i].n, k = cases[i].k;
    b->used = 0;
    op_gemm_args a = {.a = cases[i].ta ? input(b, k, m) : input(b, m, k),
                      .b = cases[i].tb ? input(b, n, k) : input(b, k, n),
                      .c = output(b, m, n),
                      .ta = cases[i].ta,
                      .tb = cases[i].tb,
                      .alpha = 0.7,
                      .bias = input(b, 1, n),
                      .act = cases[i].act,
                      .pre = output(b, m, n)};
    TRY(op_gemm(&b->c, &a));
    snprintf(name, sizeof name, "gemm.%zu", i);
    TRY(show_view(b, name, a.c));
    snprintf(name, sizeof name, "gemm.%zu.pre", i);
    TRY(show_view(b, name, a.pre));
  }
out:
  return rc;
}

static int run_norms(bench *b) {
  enum { ROWS = 93, D = 128, HEADS = 2, TABLE = 5 };
  int rc = OK;
  int32_t map[ROWS];
  for (int i = 0; i < ROWS; i++) map[i] = i % (TABLE + 1) - 1;
  b->used = 0;
  view x = input(b, ROWS, D), y = output(b, ROWS, D), w = input(b, 1, D), bias = input(b, 1, D);
  view shift = input(b, TABLE, D), scale = input(b, TABLE, D), dy = input(b, ROWS, D), dx = output(b, ROWS, D);
  view dw = zeros(b, 1, D), db = zeros(b, 1, D), dshift = zeros(b, TABLE, D), dscale = zeros(b, TABLE, D);
  TRY(op_ln_mod(&b->c, &(op_ln_mod_args){x, y, w, bias, shift, scale, map, 1e-5}));
  TRY(show_view(b, "ln_mod", y));
  TRY(op_ln_mod_bwd(
      &b->c, &(op_ln_mod_bwd_args){x, dy, dx, w, bias, scale, dw, db, dshift, dscale, map, 1e-5, .accumulate = 0}));
  TRY(show_view(b, "ln_mod_bwd.dx", dx));
  TRY(show_view(b, "ln_mod_bwd.dw", dw));
  TRY(show_view(b, "ln_mod_bwd.db", db));
  TRY(show_view(b, "ln_mod_bwd.dshift", dshift));
  TRY(show_view(b, "ln_mod_bwd.dscale", dscale));

  enum { DIM = D / HEADS };
  view hw = input(b, 1, DIM), hb = input(b, 1, DIM), c = input(b, TABLE, DIM / 2), s = input(b, TABLE, DIM / 2);
  view hdw = zeros(b, 1, DIM), hdb = zeros(b, 1, DIM);
  TRY(op_headnorm_rope(&b->c, &(op_headnorm_rope_args){x, y, hw, hb, c, s, map, DIM, 1e-6}));
  TRY(show_view(b, "headnorm_rope", y));
  TRY(op_headnorm_rope_bwd(&b->c, &(op_headnorm_rope_bwd_args){x, dy, dx, hw, c, s, hdw, hdb, map, DIM, 1e-6}));
  TRY(show_view(b, "headnorm_rope_bwd.dx", dx));
  TRY(show_view(b, "headnorm_rope_bwd.dw", hdw));
  TRY(show_view(b, "headnorm_rope_bwd.db", hdb));
out:
  return rc;
}

static int run_rows(bench *b) {
  enum { ROWS = 93, D = 130, TABLE = 4 };
  int rc = OK;
  int32_t map[ROWS];
  for (int i = 0; i < ROWS; i++) map[i] = (i * 7) % TABLE;
  b->used = 0;
  view x = input(b, ROWS, D), y = input(b, ROWS, D), gate = input(b, TABLE, D), dx = input(b, ROWS, D);
  view dy = output(b, ROWS, D), dgate = zeros(b, TABLE, D), dtable = zeros(b, TABLE, D), sum = zeros(b, 1, D);
  TRY(op_gate_add(&b->c, &(op_gate_add_args){x, y, gate, map}));
  TRY(show_view(b, "gate_add", x));
  TRY(op_gate_add_bwd(&b->c, &(op_gate_add_bwd_args){dx, y, gate, dy, dgate, map}));
  TRY(show_view(b, "gate_add_bwd.dy", dy));
  TRY(show_view(b, "gate_add_bwd.dgate", dgate));
  TRY(op_add_rows_bwd(&b->c, &(op_add_rows_bwd_args){dx, dtable, map}));
  TRY(show_view(b, "add_rows_bwd", dtable));
  TRY(op_colsum(&b->c, sum, dx));
  TRY(show_view(b, "colsum", sum));
  for (int act = ACT_GELU_TANH; act <= ACT_SILU; act++) {
    TRY(op_act_fwd(&b->c, &(op_act_args){x, dy, (op_act)act}));
    TRY(show_view(b, act == ACT_SILU ? "silu" : "gelu", dy));
    TRY(op_act_bwd(&b->c, &(op_act_bwd_args){x, dx, dy, (op_act)act}));
    TRY(show_view(b, act == ACT_SILU ? "silu_bwd" : "gelu_bwd", dy));
  }
out:
  return rc;
}

static int run_attention(bench *b) {
  enum { ROWS = 6 + 70 + 70, DIM = 64, HEADS = 2, D = DIM * HEADS };
  static const attn_group groups[] = {
      {.nq = 1, .nk = 2, .q = {{0, 6, 0}}, .k = {{0, 6, 0}, {6, 76, 0}}},
      {.nq = 2, .nk = 3, .q = {{6, 76, 0}, {76, ROWS, 0}}, .k = {{0, 6, 0}, {6, 76, 0}, {76, ROWS, -1}}}};
  int rc = OK;
  b->used = 0;
  view q = input(b, ROWS, D), k = input(b, ROWS, D), v = input(b, ROWS, D), o = output(b, ROWS, D);
  view lse = output(b, HEADS, ROWS), d_o = input(b, ROWS, D), delta = output(b, HEADS, ROWS);
  view dq = output(b, ROWS, D), dk = output(b, ROWS, D), dv = output(b, ROWS, D);
  TRY(op_attn(&b->c, &(op_attn_args){q, k, v, o, lse, groups, 2, DIM}));
  TRY(show_view(b, "attn.o", o));
  TRY(show_view(b, "attn.lse", lse));
  TRY(op_attn_bwd(&b->c, &(op_attn_bwd_args){q, k, v, o, lse, d_o, dq, dk, dv, delta, groups, 2, DIM, .kv_from = 0}));
  TRY(show_view(b, "attn_bwd.dq", dq));
  TRY(show_view(b, "attn_bwd.dk", dk));
  TRY(show_view(b, "attn_bwd.dv", dv));
  TRY(op_attn_small(&b->c, &(op_attn_small_args){q, k, v, o, HEADS}));
  TRY(show_view(b, "attn_small", o));
  TRY(op_attn_small_bwd(&b->c, &(op_attn_small_bwd_args){q, k, v, d_o, dq, dk, dv, HEADS}));
  TRY(show_view(b, "attn_small_bwd.dq", dq));
  TRY(show_view(b, "attn_small_bwd.dk", dk));
  TRY(show_view(b, "attn_small_bwd.dv", dv));
out:
  return rc;
}

static int run_optimiser(bench *b) {
  int rc = OK;
  double sums[2] = {0, 0};
  b->used = 0;
  view w = input(b, 1, 4099), g = input(b, 1, 4099), m = zeros(b, 1, 4099), v = zeros(b, 1, 4099);
  view d = output(b, 1, 4099);
  TRY(op_sumsq(&b->c, &sums[0], g.p, g.cols));
  TRY(op_mse(&b->c, &(op_mse_args){.pred = w, .target = g, .dpred = d, .weight = 0.25, .loss = &sums[1]}));
  TRY(show_view(b, "mse.dpred", d));
  printf("sumsq %a\nmse %a\n", sums[0], sums[1]);
  for (int64_t step = 1; step <= 3; step++)
    TRY(op_adamw(&b->c, &(op_adamw_args){.w = w.p,
                                         .m = m.p,
                                         .v = v.p,
                                         .g = g.p,
                                         .n = w.cols,
                                         .lr = 1e-2,
                                         .beta1 = 0.9,
                                         .beta2 = 0.999,
                                         .eps = 1e-8,
                                         .decay = 1e-2,
                                         .step = step}));
  TRY(show_view(b, "adamw.w", w));
  TRY(show_view(b, "adamw.v", v));
out:
  return rc;
}

/* --- whole model -------------------------------------------------------------------------------------------------
 */

enum { CLIPS = 4, F = 2, C = 4, H = 4, W = 4, N_TEXT = 6, TEXT_DIM = 32, CLIP = F * C * H * W };

typedef struct world {
  float rgb[CLIPS * CLIP], alpha[CLIPS * CLIP], text[CLIPS * N_TEXT * TEXT_DIM], null_text[N_TEXT * TEXT_DIM];
} world;

static dit_config tiny_config(void) {
  return (dit_config){.layers = 2,
                      .heads = 2,
                      .head_dim = 64,
                      .in_channels = C,
                      .out_channels = C,
                      .patch = 2,
                      .patch_t = 1,
                      .time_dim = 64,
                      .text_dim = TEXT_DIM,
                      .max_text = N_TEXT,
                      .sample_height = H,
                      .sample_width = W,
                      .sample_frames = F,
                      .temporal_compression = 1,
                      .rotary = 1,
                      .spatial_scale = 1,
                      .temporal_scale = 1};
}

static void fill_world(world *w) {
  rng r = {.seed = 21, .stream = RNG_TEST};
  rng_normal(r, 0, CLIPS * CLIP, w->rgb);
  r.sub = 1;
  rng_normal(r, 0, CLIPS * CLIP, w->alpha);
  r.sub = 2;
  rng_normal(r, 0, CLIPS * N_TEXT * TEXT_DIM, w->text);
  r.sub = 3;
  rng_normal(r, 0, N_TEXT * TEXT_DIM, w->null_text);
}

static int train(bench *b, dit *m, adapter *a, const design *d, const world *w, const char *name) {
  int rc = OK;
  char label[DESIGN_TEXT + 16];
  train_config cfg = train_defaults(!a);
  cfg.steps = 3;
  cfg.batch = 2;
  cfg.warmup = 1;
  train_data data = {.clips = CLIPS,
                     .frames = F,
                     .channels = C,
                     .height = H,
                     .width = W,
                     .rgb = w->rgb,
                     .alpha = a ? w->alpha : NULL,
                     .n_text = N_TEXT,
                     .text_dim = TEXT_DIM,
                     .text = w->text,
                     .null_text = w->null_text};
  train_result result = {0};
  TRY(train_run(&b->c, m, a, d, &data, &cfg, "", NULL, &result));
  snprintf(label, sizeof label, "train.%s.loss", name);
  TRY(show(b, label, result.losses, result.steps));
  snprintf(label, sizeof label, "train.%s.weights", name);
  TRY(a ? show(b, label, a->w, a->n_reals) : show(b, label, m->w, m->n_reals));
out:
  free(result.losses);
  return rc;
}

static int sample(bench *b, const dit *m, const adapter *a, const design *d, const world *w, const char *name) {
  int rc = OK;
  char label[DESIGN_TEXT + 16];
  static const sampler_kind kinds[] = {SAMPLER_DDIM, SAMPLER_DPM};
  float rgb[2 * CLIP], alpha[2 * CLIP];
  sample_config cfg = sample_defaults();
  cfg.steps = 4;
  sample_request r = {.clips = 2,
                      .frames = F,
                      .height = H,
                      .width = W,
                      .seeds = (const uint64_t[]){0, 7},
                      .n_text = N_TEXT,
                      .text_dim = TEXT_DIM,
                      .text = w->text,
                      .null_text = w->null_text};
  for (int i = 0; i < 2; i++) {
    cfg.sampler = kinds[i];
    TRY(sample_run(&b->c, m, a, d, &cfg, &r, rgb, a->n_params ? alpha : NULL));
    snprintf(label, sizeof label, "sample.%s.%s.rgb", sampler_name(kinds[i]), name);
    TRY(show(b, label, rgb, 2 * CLIP));
    if (!a->n_params) continue;
    snprintf(label, sizeof label, "sample.%s.%s.alpha", sampler_name(kinds[i]), name);
    TRY(show(b, label, alpha, 2 * CLIP));
  }
out:
  return rc;
}

static int run_design(bench *b, const dit *m, const char *name, const world *w) {
  int rc = OK;
  design d;
  layout l;
  adapter a = {0};
  TRY(design_parse(&b->c.err, name, &d));
  design_layout(&d, &l);
  TRY(adapter_open(&b->c, m, &l, &(adapter_shape){.rank = 4, .gamma = 2, .trainable = 1}, &a));
  TRY(adapter_init(&b->c, &a, m, &l, 3));
  /* The base trains nothing: only its samples count. */
  if (a.n_params) TRY(train(b, (dit *)(uintptr_t)m, &a, &d, w, name));
  TRY(sample(b, m, &a, &d, w, name));
out:
  adapter_close(&b->c, &a);
  return rc;
}

static int run_model(bench *b) {
  static const char *const designs[] = {
      "base",   "sequence", "sequence:mask=soft", "sequence:rgb_to_alpha=off", "batch-module", "batch-kv",
      "latent", "predict"};
  int rc = OK;
  dit m = {0}, frozen = {0};
  dit_config cfg = tiny_config();
  world *w = NULL;
  TRY(mem_new(&b->c.err, 1, sizeof *w, "world", &w));
  fill_world(w);
  TRY(ctx_arena(&b->c, (size_t)256 << 20));
  TRY(dit_open(&b->c, &cfg, 1, &m));
  TRY(dit_init(&b->c, &m, 9));
  TRY(train(b, &m, NULL, NULL, w, "base"));
  /* Three steps leave the zero-initialised output nearly silent; noise on every weight makes the designs speak. */
  TRY(dit_open(&b->c, &cfg, 0, &frozen));
  rng_normal_real((rng){.seed = 31, .stream = RNG_TEST}, 0, frozen.n_reals, frozen.w);
  for (int64_t i = 0; i < frozen.n_reals; i++) frozen.w[i] = m.w[i] + R(0.02) * frozen.w[i];
  for (size_t i = 0; i < sizeof designs / sizeof designs[0]; i++) TRY(run_design(b, &frozen, designs[i], w));
out:
  dit_close(&b->c, &frozen);
  dit_close(&b->c, &m);
  free(w);
  return rc;
}

/* --- the video VAE ---------------------------------------------------------------------------------------------- */

static int run_video(bench *b) {
  enum { T = 3, HIGH = 5, WIDE = 19, IN = 24, OUT = 40, TABLE = 7, PLANE = HIGH * WIDE, ROWS = T * PLANE };
  int rc = OK;
  int32_t map[ROWS];
  for (int i = 0; i < ROWS; i++) map[i] = i % (TABLE + 1) - 1;
  b->used = 0;
  op_conv3d_args k = {.x = input(b, ROWS, IN), .past = input(b, 2 * PLANE, IN), .bias = input(b, 1, OUT)};
  k.w = input(b, op_conv3d_w_rows(OUT, IN, 3), CONV_PANEL);
  k.y = output(b, ROWS, OUT);
  k.frames = T, k.height = HIGH, k.width = WIDE, k.kt = 3, k.stride = 1;
  TRY(op_conv3d(&b->c, &k));
  TRY(show_view(b, "conv3d", k.y));
  op_group_norm_args n = {.x = k.y, .w = input(b, 1, OUT), .b = input(b, 1, OUT), .groups = 4, .eps = 1e-6};
  n.y = output(b, ROWS, OUT), n.scale = input(b, TABLE, OUT), n.shift = input(b, TABLE, OUT);
  n.map = map, n.act = ACT_SILU;
  TRY(op_group_norm(&b->c, &n));
  TRY(show_view(b, "group_norm", n.y));
  op_resample_args r = {n.y, output(b, 5 * 4 * PLANE, OUT), T, HIGH, WIDE, RESAMPLE_UP_TIME};
  TRY(op_resample(&b->c, &r));
  TRY(show_view(b, "resample", r.y));
out:
  return rc;
}

/* Random weights; 5 latents and 17 frames in tiles. */
static int run_vae(bench *b) {
  enum { LATENT = 4, SIDE = 7, SMALL = LATENT * 5 * SIDE * SIDE, LARGE = 3 * 17 * 64 * SIDE * SIDE };
  int rc = OK;
  vae v = {0};
  const vae_config cfg = {.in_channels = 3,
                          .out_channels = 3,
                          .latent_channels = LATENT,
                          .blocks = 4,
                          .channels = {8, 16, 16, 24},
                          .layers = 1,
                          .groups = 4,
                          .time_halvings = 2,
                          .norm_eps = 1e-6};
  const vae_options o = {.tile = {48, 40}};
  TRY(vae_open(&b->c, &cfg, VAE_ENCODER | VAE_DECODER, &v));
  rng_normal_real((rng){.seed = 41, .stream = RNG_TEST}, 0, v.n_reals, v.w);
  for (int64_t i = 0; i < v.n_reals; i++) v.w[i] *= R(0.1);
  b->used = 0;
  view z = input(b, 1, SMALL), mean = output(b, 1, SMALL), logvar = output(b, 1, SMALL), x = output(b, 1, LARGE);
  TRY(vae_decode(&b->c, &v, &o, &(vae_shape){1, 5, SIDE, SIDE}, z.p, x.p));
  TRY(show_view(b, "vae.decode", x));
  TRY(vae_encode(&b->c, &v, &o, &(vae_shape){1, 17, 8 * SIDE, 8 * SIDE}, x.p, mean.p, logvar.p));
  TRY(show_view(b, "vae.encode.mean", mean));
  TRY(show_view(b, "vae.encode.logvar", logvar));
out:
  vae_close(&b->c, &v);
  return rc;
}

static int run_flow(bench *b) {
  enum { LONG = 4, HIGH = 70, WIDE = 101 };
  static const fb_params list[] = {{0.5, 3, 15, 3, 5, 1.2, 0}, {0.6, 2, 8, 2, 7, 1.5, 1}};
  int rc = OK;
  view x = input(b, LONG, HIGH * WIDE), f = output(b, LONG - 1, 2 * HIGH * WIDE),
       r = output(b, LONG - 1, 2 * HIGH * WIDE);
  real *p = x.p;
  for (int64_t i = 0; i < x.rows * x.cols; i++) p[i] = (real)rint(128 + 40 * fmax(-3, fmin(3, (double)p[i])));
  for (int k = 0; k < 2; k++) {
    fb_job j = {x.p, LONG, HIGH, WIDE, f.p, r.p, b->c.threads, b->c.isa};
    TRY(fb_flows(&b->c.err, &list[k], &j));
    TRY(show_view(b, k ? "flow.gaussian.forward" : "flow.forward", f));
    TRY(show_view(b, k ? "flow.gaussian.backward" : "flow.backward", r));
  }
out:
  return rc;
}

/* Scores of a noisy clip, at the best level of this processor whichever was asked for. */
static int run_metrics(bench *b) {
  enum { LONG = 4, HIGH = 70, WIDE = 101, N = 4 };
  static const char *const names[N] = {"color_fit", "edge_color", "fd_full", "fd_band_px"};
  int rc = OK;
  view rgb = input(b, LONG, 3 * HIGH * WIDE), alpha = input(b, LONG, HIGH * WIDE);
  real *p = rgb.p, *q = alpha.p;
  char hex[HASH_HEX];
  metric_request list[N];
  metric_value v[N];
  for (int64_t i = 0; i < rgb.rows * rgb.cols; i++) p[i] = (real)fmax(0, fmin(1, 0.5 + 0.2 * (double)p[i]));
  for (int64_t i = 0; i < alpha.rows * alpha.cols; i++)
    q[i] = (real)fmax(0, fmin(1, 0.3 * (double)q[i] + (double)p[3 * i]));
  clip c = {.frames = LONG, .height = HIGH, .width = WIDE, .rgb = p, .alpha = q};
  for (int k = 0; k < N; k++) TRY(metric_parse(&b->c.err, names[k], &list[k]));
  TRY(metric_score(&b->c.err, list, N, &(metric_input){.clip = &c, .threads = b->c.threads}, v));
  for (int k = 0; k < N; k++) {
    if (v[k].reason || v[k].value == 0) FAIL(&b->c.err, E_ARG, "%s has no value", names[k]);
    TRY(hash_bytes(&b->c.err, &v[k].value, sizeof v[k].value, hex));
    printf("metric.%s %s\n", names[k], hex);
  }
out:
  return rc;
}

int main(int argc, char **argv) {
  static int (*const runs[])(bench *) = {run_random, run_gemm,  run_norms, run_rows, run_attention, run_optimiser,
                                         run_model,  run_video, run_vae,   run_flow, run_metrics};
  int rc = OK, missing = 0;
  bench b = {0};
  if (argc != 3) {
    fprintf(stderr, "usage: td_bits LEVEL THREADS\n");
    return 2;
  }
  TRY(mem_new(&b.c.err, POOL, sizeof(real), "pool", &b.pool));
  rc = ctx_open(&b.c, &(ctx_options){.backend = "cpu", .isa = argv[1], .threads = (int)strtol(argv[2], NULL, 10)});
  missing = rc == E_UNSUPPORTED;
  if (rc != OK) goto out;
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) TRY(runs[i](&b));
out:
  if (rc != OK) fprintf(stderr, "td_bits: %s\n", b.c.err.text);
  ctx_close(&b.c);
  free(b.pool);
  return rc == OK ? 0 : missing ? 77 : 1;
}
