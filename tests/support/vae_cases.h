/* The video VAE against the peer's tensors (tests/golden, made by diffusers); included by the float and by the double
 * program. */
#ifndef TD_TESTS_VAE_CASES_H
#define TD_TESTS_VAE_CASES_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "golden.h"
#include "kernel_ctx.h"
#include "model/dit.h"
#include "model/params.h"
#include "model/vae.h"

#define VAE_TOL 2e-5 /* tests/golden */

typedef struct vae_bench {
  ctx c;
  vae v;
  st_file *weights;
} vae_bench;

static void vae_config_of(ctx *c, const char *file, vae_config *out) {
  json *j = NULL;
  must(c, json_read(&c->err, golden_path(file), &j));
  must(c, vae_config_read(&c->err, j, file, out));
  json_free(j);
}

static void vae_start(vae_bench *b, const char *config, const char *weights, int threads) {
  vae_config cfg;
  *b = (vae_bench){.weights = NULL};
  must(&b->c, ctx_open(&b->c, &(ctx_options){.backend = "cpu", .threads = threads}));
  vae_config_of(&b->c, config, &cfg);
  must(&b->c, vae_open(&b->c, &cfg, VAE_ENCODER | VAE_DECODER, &b->v));
  must(&b->c, st_open(&b->c.err, golden_path(weights), &b->weights));
  must(&b->c, vae_load(&b->c, &b->v, (const st_file *const[]){b->weights}, 1));
}

static void vae_golden(vae_bench *b, int threads) {
  vae_start(b, "vae_config.json", "vae_weights.safetensors", threads);
}

static void vae_end(vae_bench *b) {
  st_close(b->weights);
  vae_close(&b->c, &b->v);
  ctx_close(&b->c);
}

static real *nans(int64_t n) {
  real *p = calloc((size_t)n, sizeof *p);
  assert_non_null(p);
  check_nan(p, n);
  return p;
}

/* A part of a video: the first frames, rows and columns of t [B, C, T, H, W]; 0: all. */
typedef struct crop {
  int64_t frames, height, width;
} crop;

static real *cropped(const st_tensor *t, crop k, vae_shape *s) {
  const int64_t *n = t->shape;
  *s = (vae_shape){n[0], k.frames ? k.frames : n[2], k.height ? k.height : n[3], k.width ? k.width : n[4]};
  real *p = nans(n[0] * n[1] * s->frames * s->height * s->width), *to = p;
  for (int64_t bc = 0; bc < n[0] * n[1]; bc++)
    for (int64_t f = 0; f < s->frames; f++)
      for (int64_t y = 0; y < s->height; y++)
        for (int64_t x = 0; x < s->width; x++)
          *to++ = (real)dtype_get(t->type, t->data, ((bc * n[2] + f) * n[3] + y) * n[4] + x);
  return p;
}

static int64_t pixels(const vae_shape *s) {
  return s->batch * s->frames * s->height * s->width;
}

static real *decoded(vae_bench *b, const vae_options *o, const vae_shape *s, const real *z, vae_shape *out) {
  must(&b->c, vae_decoded_shape(&b->c.err, &b->v.cfg, o, s, out));
  real *frames = nans(pixels(out) * b->v.cfg.out_channels);
  must(&b->c, vae_decode(&b->c, &b->v, o, s, z, frames));
  return frames;
}

/* mean, then logvar */
static real *encoded(vae_bench *b, const vae_options *o, const vae_shape *s, const real *clip, vae_shape *out) {
  must(&b->c, vae_encoded_shape(&b->c.err, &b->v.cfg, o, s, out));
  int64_t n = pixels(out) * b->v.cfg.latent_channels;
  real *moments = nans(2 * n);
  must(&b->c, vae_encode(&b->c, &b->v, o, s, clip, moments, moments + n));
  return moments;
}

static void same_shape(const char *what, const vae_shape *s, int64_t channels, const st_tensor *t) {
  if (!t) fail_msg("%s: not in the golden file", what);
  const int64_t want[5] = {s->batch, channels, s->frames, s->height, s->width};
  if (t->rank != 5 || memcmp(want, t->shape, sizeof want)) fail_msg("%s: another shape", what);
}

static void decode_matches(vae_bench *b, const vae_options *o, const st_tensor *in, crop k, const st_tensor *want) {
  vae_shape s, out;
  real *z = cropped(in, k, &s), *got = decoded(b, o, &s, z, &out);
  same_shape("decode", &out, b->v.cfg.out_channels, want);
  check_below(want->name, golden_rel(want->name, got, want), VAE_TOL);
  free(z);
  free(got);
}

static void encode_matches(vae_bench *b, const vae_options *o, const st_tensor *in, crop k, const st_tensor *mean,
                           const st_tensor *logvar) {
  vae_shape s, out;
  real *clip = cropped(in, k, &s), *got = encoded(b, o, &s, clip, &out);
  same_shape("mean", &out, b->v.cfg.latent_channels, mean);
  same_shape("logvar", &out, b->v.cfg.latent_channels, logvar);
  check_below(mean->name, golden_rel(mean->name, got, mean), VAE_TOL);
  check_below(logvar->name, golden_rel(logvar->name, got + mean->count, logvar), VAE_TOL);
  free(clip);
  free(got);
}

static const st_tensor *named(const st_file *f, const char *fmt, int n) {
  char name[64];
  snprintf(name, sizeof name, fmt, n);
  return st_find(f, name);
}

static const vae_options plain_options;

static void test_vae(void **state) {
  (void)state;
  vae_bench b;
  vae_golden(&b, 2);
  st_file *g = golden_tensors("vae");
  static const int clips[] = {1, 8, 9, 17}, latents[] = {1, 3, 4, 5};
  for (int i = 0; i < 4; i++) {
    encode_matches(&b, &plain_options, st_find(g, "in.clip"), (crop){.frames = clips[i]},
                   named(g, "encode.%d.mean", clips[i]), named(g, "encode.%d.logvar", clips[i]));
    decode_matches(&b, &plain_options, st_find(g, "in.latents"), (crop){.frames = latents[i]},
                   named(g, "decode.%d", latents[i]));
  }
  st_close(g);
  vae_end(&b);
}

typedef struct stages {
  const st_file *want;
  int seen;
} stages;

/* Rows are pixels here, planes of channels in the file. */
static int check_stage(void *user, const char *name, view v, int64_t frames, int64_t height, int64_t width) {
  stages *s = user;
  const st_tensor *t = st_find(s->want, name);
  same_shape(name, &(vae_shape){1, frames, height, width}, v.cols, t);
  real *planes = nans(t->count);
  const int64_t n = frames * height * width;
  for (int64_t i = 0; i < t->count; i++) planes[i] = ((const real *)v.p)[i % n * v.ld + i / n];
  check_below(name, golden_rel(name, planes, t), VAE_TOL);
  free(planes);
  s->seen++;
  return OK;
}

static void test_vae_stages(void **state) {
  (void)state;
  vae_bench b;
  vae_shape s, out;
  vae_golden(&b, 2);
  st_file *g = golden_tensors("vae"), *want = golden_tensors("vae_stages");
  stages seen = {.want = want};
  vae_options o = {.trace = check_stage, .user = &seen};
  real *clip = cropped(st_find(g, "in.clip"), (crop){9, 16, 16}, &s);
  free(encoded(&b, &o, &s, clip, &out));
  real *z = cropped(st_find(g, "in.latents"), (crop){3, 2, 2}, &s);
  free(decoded(&b, &o, &s, z, &out));
  assert_int_equal(seen.seen, st_count(want));
  free(clip);
  free(z);
  st_close(g);
  st_close(want);
  vae_end(&b);
}

static void test_vae_tiled(void **state) {
  (void)state;
  vae_bench b;
  vae_golden(&b, 2);
  st_file *g = golden_tensors("vae_tiled");
  const vae_options o = {.tile = {48, 40}}, whole = {.tile = {96, 80}};
  decode_matches(&b, &o, st_find(g, "in.latents"), (crop){0}, st_find(g, "tiled.decode"));
  encode_matches(&b, &o, st_find(g, "in.clip"), (crop){0}, st_find(g, "tiled.encode.mean"),
                 st_find(g, "tiled.encode.logvar"));
  /* a tile that holds the picture changes nothing */
  vae_shape s, out;
  real *clip = cropped(st_find(g, "in.clip"), (crop){0}, &s), *got = encoded(&b, &whole, &s, clip, &out);
  const st_tensor *want = st_find(g, "untiled.encode.mean");
  check_below("untiled", golden_rel("untiled", got, want), VAE_TOL);
  assert_true(golden_rel("tiled", got, st_find(g, "tiled.encode.mean")) > 1e-3);
  free(clip);
  free(got);
  st_close(g);
  vae_end(&b);
}

/* The networks whose norms all see variances near their epsilon. */
static void test_vae_eps(void **state) {
  (void)state;
  static const char *const shrunk[] = {".conv_in.", ".conv1.", ".conv2."};
  vae_bench b;
  err e = {0};
  st_writer *w = NULL;
  vae_golden(&b, 2);
  assert_int_equal(st_writer_open(&e, &w), OK);
  for (int64_t i = 0; i < st_count(b.weights); i++) {
    const st_tensor *t = st_at(b.weights, i);
    char dotted[128];
    snprintf(dotted, sizeof dotted, ".%s", t->name);
    int small = 0;
    for (int k = 0; k < 3; k++) small |= strstr(dotted, shrunk[k]) != NULL;
    real *p = nans(t->count);
    assert_int_equal(st_read_real(&e, t, p), OK);
    for (int64_t j = 0; small && j < t->count; j++) p[j] *= R(0.0009765625);
    assert_int_equal(st_writer_add_real(w, &e, t->name, DT_F32, t->rank, t->shape, p), OK);
    free(p);
  }
  char path[256];
  snprintf(path, sizeof path, "%s/tandem-vae-eps-%d.safetensors", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
           (int)sizeof(real));
  assert_int_equal(st_writer_save(w, &e, path), OK);
  st_writer_close(w);
  st_file *f = NULL, *g = golden_tensors("eps");
  assert_int_equal(st_open(&e, path, &f), OK);
  must(&b.c, vae_load(&b.c, &b.v, (const st_file *const[]){f}, 1));
  decode_matches(&b, &plain_options, st_find(g, "vae.in.latents"), (crop){0}, st_find(g, "vae.decode"));
  encode_matches(&b, &plain_options, st_find(g, "vae.in.clip"), (crop){0}, st_find(g, "vae.encode.mean"),
                 st_find(g, "vae.encode.logvar"));
  remove(path);
  st_close(f);
  st_close(g);
  vae_end(&b);
}

/* One half of joint latents [1, 2F, C, H, W], as planes of the VAE and divided by the scaling factor. */
static real *half_latents(const vae_config *c, const st_tensor *t, int64_t from, int64_t frames, vae_shape *s) {
  const int64_t channels = t->shape[2], plane = t->shape[3] * t->shape[4];
  *s = (vae_shape){1, frames, t->shape[3], t->shape[4]};
  real *z = nans(channels * frames * plane);
  for (int64_t k = 0; k < channels; k++)
    for (int64_t f = 0; f < frames; f++)
      for (int64_t i = 0; i < plane; i++)
        z[(k * frames + f) * plane + i] =
            (real)(dtype_get(t->type, t->data, ((from + f) * channels + k) * plane + i) / c->scaling_factor);
  return z;
}

static void half_matches(vae_bench *b, const st_tensor *in, int64_t from, int64_t frames, const st_tensor *want) {
  vae_shape s, out;
  real *z = half_latents(&b->v.cfg, in, from, frames, &s), *got = decoded(b, &plain_options, &s, z, &out);
  same_shape("half", &out, 3, want);
  check_below(want->name, golden_rel(want->name, got, want), VAE_TOL);
  free(z);
  free(got);
}

static void test_vae_halves(void **state) {
  (void)state;
  vae_bench b;
  vae_golden(&b, 1);
  st_file *g = golden_tensors("rgba_video");
  half_matches(&b, st_find(g, "in.latents"), 0, 3, st_find(g, "decoded.rgb"));
  half_matches(&b, st_find(g, "in.latents"), 3, 3, st_find(g, "decoded.alpha"));
  st_close(g);
  vae_end(&b);
  vae_start(&b, "tiny-cogvideox/vae/config.json", "tiny-cogvideox/vae/diffusion_pytorch_model.safetensors", 2);
  g = golden_tensors("tiny-cogvideox_forward");
  half_matches(&b, st_find(g, "in.latents"), 0, 3, st_find(g, "decoded"));
  st_close(g);
  vae_end(&b);
}

#define VAE_GOLDEN_CASES                                                                                             \
  cmocka_unit_test(test_vae), cmocka_unit_test(test_vae_stages), cmocka_unit_test(test_vae_tiled),                   \
      cmocka_unit_test(test_vae_eps), cmocka_unit_test(test_vae_halves)

#endif
