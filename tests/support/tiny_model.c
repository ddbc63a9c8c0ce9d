#include "tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"

#define SIDE_H 4
#define SIDE_W 6
#define CHANNELS 4

void tiny_must(tiny *t, int rc, const char *what) {
  if (rc != OK) fail_msg("%s: %s", what, t->c.err.text);
}
#define MUST(call) tiny_must(t, (call), #call)

void tiny_fill(tiny *t, real *block, int64_t n, double scale, uint32_t sub) {
  float buf[1024];
  (void)t;
  for (int64_t i = 0; i < n; i += 1024) {
    int64_t k = n - i < 1024 ? n - i : 1024;
    rng_normal((rng){.seed = 11, .stream = RNG_TEST, .sub = sub}, (uint64_t)i, k, buf);
    for (int64_t j = 0; j < k; j++) block[i + j] = (real)((double)buf[j] * scale);
  }
}

/* Norm weights near one, matrices with unit gain, everything else clearly away from zero. */
static void fill_params(tiny *t, const param *params, int64_t n, real *w, uint32_t seed) {
  for (int64_t i = 0; i < n; i++) {
    const param *p = &params[i];
    int64_t in = p->rank > 1 ? p->count / p->shape[0] : 1;
    double scale = p->rank > 1 ? 1.0 / __builtin_sqrt((double)in) : 0.3;
    tiny_fill(t, w + p->offset, p->count, scale, (uint32_t)rng_salt(p->name) ^ seed);
    int norm = strstr(p->name, "norm") && strstr(p->name, ".weight") && p->rank == 1;
    for (int64_t k = 0; norm && k < p->count; k++) w[p->offset + k] += R(1.0);
  }
}

/* The model's tensors: numbers of bfloat16 where asked for, so that storing them rounds nothing. */
static void fill_model(tiny *t, uint32_t seed, int narrow) {
  real *w = t->m.w;
  if (!w) MUST(mem_new(&t->c.err, t->m.n_reals, sizeof(real), "weights", &w));
  fill_params(t, t->m.params, t->m.n_params, w, seed);
  for (int64_t i = 0; narrow && i < t->m.n_reals; i++) w[i] = (real)bf16_widen(bf16_round((float)w[i]));
  if (!t->m.w) {
    MUST(ctx_put(&t->c, view_typed(t->c.storage, t->m.s, 1, t->m.n_reals), w));
    free(w);
  }
  MUST(dit_store(&t->c, &t->m));
}

static void fill_text(tiny *t) {
  real rows[TINY_BATCH * TINY_TEXT * TINY_TEXT_DIM];
  tiny_fill(t, rows, sizeof rows / sizeof rows[0], 1, 3);
  MUST(ctx_view(&t->c, TINY_BATCH * TINY_TEXT, TINY_TEXT_DIM, "text", &t->text));
  MUST(ctx_put(&t->c, t->text, rows));
}

static real *block(tiny *t, int64_t n) {
  void *p;
  MUST(arena_take(&t->c.mem, &t->c.err, n, sizeof(real), "block", &p));
  return p;
}

void tiny_open(tiny *t, const tiny_options *o, uint64_t seed) {
  memset(t, 0, sizeof *t);
  dit_config cfg = {.layers = o->layers ? o->layers : 2,
                    .heads = o->heads ? o->heads : 2,
                    .head_dim = o->head_dim ? o->head_dim : 64,
                    .in_channels = CHANNELS,
                    .out_channels = CHANNELS,
                    .patch = 2,
                    .patch_t = 1,
                    .time_dim = 16,
                    .text_dim = TINY_TEXT_DIM,
                    .max_text = TINY_TEXT,
                    .sample_height = SIDE_H,
                    .sample_width = SIDE_W,
                    .sample_frames = 5,
                    .temporal_compression = 4,
                    .rotary = o->rotary,
                    .spatial_scale = 1.875,
                    .temporal_scale = 1,
                    .norm_eps = 1e-5};
  MUST(
      ctx_open(&t->c, &(ctx_options){.backend = "cpu", .threads = o->threads, .isa = o->isa, .storage = o->storage}));
  MUST(ctx_arena(&t->c, (size_t)64 << 20));
  MUST(dit_open(&t->c, &cfg, o->base_trainable, &t->m));
  fill_model(t, (uint32_t)seed, o->narrow_weights);
  MUST(design_parse(&t->c.err, o->design, &t->d));
  design_layout(&t->d, &t->l);
  adapter_shape s = {.rank = 4, .gamma = 0.7, .trainable = o->trainable};
  MUST(adapter_open(&t->c, &t->m, &t->l, &s, &t->a));
  fill_params(t, t->a.params, t->a.n_params, t->a.w, (uint32_t)seed + 1);
  MUST(adapter_store(&t->c, &t->a));
  t->frames = o->frames ? o->frames : 2;
  t->height = SIDE_H;
  t->width = SIDE_W;
  MUST(geom_open(&t->c, &t->m, &t->l, TINY_BATCH, t->frames, SIDE_H, SIDE_W, TINY_TEXT, &t->g));
  t->n_in = t->n_out = (int64_t)TINY_BATCH * t->l.streams * t->frames * CHANNELS * SIDE_H * SIDE_W;
  t->latents = block(t, t->n_in);
  t->out = block(t, t->n_out);
  t->target = block(t, t->n_out);
  t->loss = (double *)(void *)block(t, 4);
  tiny_fill(t, t->latents, t->n_in, 1, 1);
  tiny_fill(t, t->target, t->n_out, 1, 2);
  fill_text(t);
  t->t[0] = 37;
  t->t[1] = 801;
}

void tiny_close(tiny *t) {
  geom_close(&t->c, &t->g);
  adapter_close(&t->c, &t->a);
  dit_close(&t->c, &t->m);
  ctx_close(&t->c);
}

dit_io tiny_io(tiny *t, int level) {
  static const unsigned char levels[3][8] = {{0}, {1, 1, 1, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2, 2, 2, 2}};
  return (dit_io){.latents = t->latents, .text = t->text, .t = t->t, .out = t->out, .level = levels[level]};
}

double tiny_loss(tiny *t, int level) {
  dit_io io = tiny_io(t, level);
  return tiny_loss_of(t, &io);
}

double tiny_loss_of(tiny *t, const dit_io *io) {
  if (t->a.g) MUST(op_fill(&t->c, view_of(t->a.g, 1, t->a.n_reals), 0));
  if (t->m.g) MUST(op_fill(&t->c, view_of(t->m.g, 1, t->m.n_reals), 0));
  t->loss[0] = 0;
  MUST(dit_loss(&t->c, &t->m, &t->a, &t->g, io, t->target, t->loss));
  return t->loss[0];
}

void tiny_forward(tiny *t) {
  dit_io io = tiny_io(t, 0);
  MUST(dit_forward(&t->c, &t->m, &t->a, &t->g, &io));
}

const char *const *tiny_designs(void) {
  static char name[64][DESIGN_TEXT];
  static const char *list[65];
  int n = 0;
  for (const variant *const *v = variant_list(); *v; v++) {
    snprintf(name[n], DESIGN_TEXT, "%s", (*v)->name);
    n++;
    for (const variant_option *o = (*v)->options; o->name; o++)
      for (int k = 0; o->values[k] && n < 64; k++) {
        if (k == o->initial) continue;
        snprintf(name[n], DESIGN_TEXT, "%s:%s=%s", (*v)->name, o->name, o->values[k]);
        n++;
      }
  }
  for (int i = 0; i < n; i++) list[i] = name[i];
  list[n] = NULL;
  return list;
}
