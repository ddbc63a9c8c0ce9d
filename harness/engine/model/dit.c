/* The model's tensors: names, shapes, memory, files. What they compute is in forward.c and backward.c. */
#include "model/dit.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/params.h"

/* --- tensors in the order of the flat block --- */

static void declare_block(param_list *p, const dit_config *c, int i, dit_block *w, dit_block *g) {
  int64_t d = dit_width(c), h = c->head_dim, e = c->time_dim;
#define T(slot) (w ? &w->slot : NULL), (g ? &g->slot : NULL)
#define NAME(s) "transformer_blocks.%d." s, i
  params_add(p, T(ada1_w), PARAM_PLAIN, 2, (int64_t[]){6 * d, e}, NAME("norm1.linear.weight"));
  params_add(p, T(ada1_b), PARAM_PLAIN, 1, (int64_t[]){6 * d}, NAME("norm1.linear.bias"));
  params_add(p, T(n1_w), PARAM_PLAIN, 1, (int64_t[]){d}, NAME("norm1.norm.weight"));
  params_add(p, T(n1_b), PARAM_PLAIN, 1, (int64_t[]){d}, NAME("norm1.norm.bias"));
  /* q, k and v lie one below the other, so that one product makes all three. */
  params_add(p, T(qkv_w), PARAM_MATRIX, 2, (int64_t[]){d, d}, NAME("attn1.to_q.weight"));
  params_add(p, NULL, NULL, PARAM_MATRIX, 2, (int64_t[]){d, d}, NAME("attn1.to_k.weight"));
  params_add(p, NULL, NULL, PARAM_MATRIX, 2, (int64_t[]){d, d}, NAME("attn1.to_v.weight"));
  params_add(p, T(qkv_b), PARAM_PLAIN, 1, (int64_t[]){d}, NAME("attn1.to_q.bias"));
  params_add(p, NULL, NULL, PARAM_PLAIN, 1, (int64_t[]){d}, NAME("attn1.to_k.bias"));
  params_add(p, NULL, NULL, PARAM_PLAIN, 1, (int64_t[]){d}, NAME("attn1.to_v.bias"));
  params_add(p, T(nq_w), PARAM_PLAIN, 1, (int64_t[]){h}, NAME("attn1.norm_q.weight"));
  params_add(p, T(nq_b), PARAM_PLAIN, 1, (int64_t[]){h}, NAME("attn1.norm_q.bias"));
  params_add(p, T(nk_w), PARAM_PLAIN, 1, (int64_t[]){h}, NAME("attn1.norm_k.weight"));
  params_add(p, T(nk_b), PARAM_PLAIN, 1, (int64_t[]){h}, NAME("attn1.norm_k.bias"));
  params_add(p, T(o_w), PARAM_MATRIX, 2, (int64_t[]){d, d}, NAME("attn1.to_out.0.weight"));
  params_add(p, T(o_b), PARAM_PLAIN, 1, (int64_t[]){d}, NAME("attn1.to_out.0.bias"));
  params_add(p, T(ada2_w), PARAM_PLAIN, 2, (int64_t[]){6 * d, e}, NAME("norm2.linear.weight"));
  params_add(p, T(ada2_b), PARAM_PLAIN, 1, (int64_t[]){6 * d}, NAME("norm2.linear.bias"));
  params_add(p, T(n2_w), PARAM_PLAIN, 1, (int64_t[]){d}, NAME("norm2.norm.weight"));
  params_add(p, T(n2_b), PARAM_PLAIN, 1, (int64_t[]){d}, NAME("norm2.norm.bias"));
  params_add(p, T(f1_w), PARAM_MATRIX, 2, (int64_t[]){4 * d, d}, NAME("ff.net.0.proj.weight"));
  params_add(p, T(f1_b), PARAM_PLAIN, 1, (int64_t[]){4 * d}, NAME("ff.net.0.proj.bias"));
  params_add(p, T(f2_w), PARAM_MATRIX, 2, (int64_t[]){d, 4 * d}, NAME("ff.net.2.weight"));
  params_add(p, T(f2_b), PARAM_PLAIN, 1, (int64_t[]){d}, NAME("ff.net.2.bias"));
#undef NAME
}

static void declare_embedding(param_list *p, const dit_config *c, dit_tensors *w, dit_tensors *g) {
  int64_t d = dit_width(c), e = c->time_dim, pp = (int64_t)c->patch * c->patch;
  if (c->slice_positions)
    params_add(p, T(patch_w), PARAM_PLAIN, 2, (int64_t[]){d, c->in_channels * c->patch_t * pp},
               "patch_embed.proj.weight");
  else
    params_add(p, T(patch_w), PARAM_PLAIN, 4, (int64_t[]){d, c->in_channels, c->patch, c->patch},
               "patch_embed.proj.weight");
  params_add(p, T(patch_b), PARAM_PLAIN, 1, (int64_t[]){d}, "patch_embed.proj.bias");
  params_add(p, T(text_w), PARAM_PLAIN, 2, (int64_t[]){d, c->text_dim}, "patch_embed.text_proj.weight");
  params_add(p, T(text_b), PARAM_PLAIN, 1, (int64_t[]){d}, "patch_embed.text_proj.bias");
  if (c->learned) {
    int64_t frames = (c->sample_frames - 1) / c->temporal_compression + 1;
    int64_t n = c->max_text + frames / c->patch_t * (c->sample_height / c->patch) * (c->sample_width / c->patch);
    params_add(p, T(pos), PARAM_PLAIN, 3, (int64_t[]){1, n, d}, "patch_embed.pos_embedding");
  }
  params_add(p, T(t1_w), PARAM_PLAIN, 2, (int64_t[]){e, d}, "time_embedding.linear_1.weight");
  params_add(p, T(t1_b), PARAM_PLAIN, 1, (int64_t[]){e}, "time_embedding.linear_1.bias");
  params_add(p, T(t2_w), PARAM_PLAIN, 2, (int64_t[]){e, e}, "time_embedding.linear_2.weight");
  params_add(p, T(t2_b), PARAM_PLAIN, 1, (int64_t[]){e}, "time_embedding.linear_2.bias");
  if (c->ofs_dim) {
    params_add(p, T(u1_w), PARAM_PLAIN, 2, (int64_t[]){c->ofs_dim, c->ofs_dim}, "ofs_embedding.linear_1.weight");
    params_add(p, T(u1_b), PARAM_PLAIN, 1, (int64_t[]){c->ofs_dim}, "ofs_embedding.linear_1.bias");
    params_add(p, T(u2_w), PARAM_PLAIN, 2, (int64_t[]){c->ofs_dim, c->ofs_dim}, "ofs_embedding.linear_2.weight");
    params_add(p, T(u2_b), PARAM_PLAIN, 1, (int64_t[]){c->ofs_dim}, "ofs_embedding.linear_2.bias");
  }
}

static void declare(param_list *p, const dit_config *c, dit_tensors *w, dit_tensors *g) {
  int64_t d = dit_width(c), e = c->time_dim;
  int64_t out = (int64_t)c->out_channels * c->patch_t * c->patch * c->patch;
  declare_embedding(p, c, w, g);
  for (int i = 0; i < c->layers; i++) declare_block(p, c, i, w ? &w->block[i] : NULL, g ? &g->block[i] : NULL);
  params_add(p, T(nf_w), PARAM_PLAIN, 1, (int64_t[]){d}, "norm_final.weight");
  params_add(p, T(nf_b), PARAM_PLAIN, 1, (int64_t[]){d}, "norm_final.bias");
  params_add(p, T(ada_w), PARAM_PLAIN, 2, (int64_t[]){2 * d, e}, "norm_out.linear.weight");
  params_add(p, T(ada_b), PARAM_PLAIN, 1, (int64_t[]){2 * d}, "norm_out.linear.bias");
  params_add(p, T(no_w), PARAM_PLAIN, 1, (int64_t[]){d}, "norm_out.norm.weight");
  params_add(p, T(no_b), PARAM_PLAIN, 1, (int64_t[]){d}, "norm_out.norm.bias");
  params_add(p, T(out_w), PARAM_PLAIN, 2, (int64_t[]){out, d}, "proj_out.weight");
  params_add(p, T(out_b), PARAM_PLAIN, 1, (int64_t[]){out}, "proj_out.bias");
#undef T
}

/* The fused q|k|v views: three tensors of equal shape without a gap between them. */
static void fuse_qkv(dit_tensors *t, int layers) {
  for (int i = 0; i < layers; i++) {
    t->block[i].qkv_w.rows *= 3;
    t->block[i].qkv_b.cols = t->block[i].qkv_b.ld = 3 * t->block[i].qkv_b.cols;
  }
}

int dit_open(ctx *c, const dit_config *cfg, int trainable, dit *out) {
  int rc = OK;
  *out = (dit){.cfg = *cfg};
  dit *m = out;
  param_list p = {.e = &c->err};
  TRY(mem_new(&c->err, cfg->layers, sizeof(dit_block), "model blocks", &m->t.block));
  TRY(mem_new(&c->err, cfg->layers, sizeof(dit_block), "model blocks", &m->d.block));
  declare(&p, cfg, NULL, NULL);
  TRY(params_end(&p));
  m->params = p.param;
  m->n_params = p.n;
  m->n_reals = p.reals;
  TRY(params_alloc(c, m->n_reals, trainable, &m->w, &m->s));
  if (trainable) {
    TRY(c->ops->alloc(c, (size_t)m->n_reals * sizeof(real), (void **)&m->g));
    TRY(op_fill(c, view_of(m->g, 1, m->n_reals), 0));
  }
  param_list bind = {.e = &c->err, .w = m->s, .type = c->storage, .g = m->g, .bind = 1};
  declare(&bind, cfg, &m->t, &m->d);
  fuse_qkv(&m->t, cfg->layers);
  fuse_qkv(&m->d, cfg->layers);
out:
  if (rc != OK) dit_close(c, m);
  return rc;
}

void dit_close(ctx *c, dit *m) {
  if (m->s && m->s != m->w) c->ops->release(c, m->s);
  if (m->w) c->ops->release(c, m->w);
  if (m->g) c->ops->release(c, m->g);
  free(m->t.block);
  free(m->d.block);
  free(m->params);
  *m = (dit){0};
}

int dit_params(err *e, const dit_config *cfg, param **out, int64_t *n) {
  param_list p = {.e = e};
  declare(&p, cfg, NULL, NULL);
  int rc = params_end(&p);
  *out = p.param;
  *n = rc == OK ? p.n : 0;
  return rc;
}

int dit_store(ctx *c, dit *m) {
  return params_store(c, m->n_reals, m->w, m->s);
}

/* The tensors where they are kept: as reals if there are any. */
static params_io io_of(ctx *c, const dit *m) {
  return (params_io){
      .c = c, .params = m->params, .n = m->n_params, .w = m->w ? m->w : m->s, .type = m->w ? DT_REAL : c->storage};
}

int dit_load(ctx *c, dit *m, const st_file *f) {
  int rc = OK;
  params_io io = io_of(c, m);
  TRY(params_load(&io, &f, 1, 1));
  TRY(dit_store(c, m));
out:
  return rc;
}

/* spec/default-study.md 2 */
static void init_one(const param *p, uint64_t seed, real *w) {
  rng r = {.seed = seed, .stream = RNG_INIT, .sub = (uint32_t)rng_salt(p->name)};
  double bound = 0;
  int64_t in = p->rank > 1 ? p->count / p->shape[0] : 0;
  int zero = strstr(p->name, "norm1.linear") || strstr(p->name, "norm2.linear") ||
             strstr(p->name, "norm_out.linear") || !strncmp(p->name, "proj_out", 8) ||
             strstr(p->name, "pos_embedding");
  int norm = strstr(p->name, ".norm_q.") || strstr(p->name, ".norm_k.") || strstr(p->name, ".norm.") ||
             !strncmp(p->name, "norm_final", 10);
  if (p->group == PARAM_MATRIX) {
    bound = sqrt(6.0 / (double)(in + p->shape[0]));
  } else if (!zero && !norm && !strncmp(p->name, "transformer_blocks", 18)) {
    zero = 1; /* biases of the block matrices */
  } else if (p->rank > 1) {
    bound = 1 / sqrt((double)in);
  }
  for (int64_t i = 0; i < p->count; i++) w[i] = norm && text_ends(p->name, ".weight") ? R(1.0) : R(0.0);
  if (!zero && !norm && bound > 0) params_uniform(r, bound, p->count, w);
}

/* A Linear's default bias is uniform in +-1/sqrt(in): the width comes from the weight that stands before it. */
static void init_bias(const param *weight, const param *bias, uint64_t seed, real *w) {
  int64_t in = weight->count / weight->shape[0];
  rng r = {.seed = seed, .stream = RNG_INIT, .sub = (uint32_t)rng_salt(bias->name)};
  params_uniform(r, 1 / sqrt((double)in), bias->count, w);
}

int dit_init(ctx *c, dit *m, uint64_t seed) {
  int rc = OK;
  real *w = NULL;
  TRY(mem_new(&c->err, m->n_reals, sizeof(real), "initial weights", &w));
  for (int64_t i = 0; i < m->n_params; i++) {
    const param *p = &m->params[i];
    init_one(p, seed, w + p->offset);
    int plain =
        !strncmp(p->name, "patch_embed", 11) || !strncmp(p->name, "time_emb", 8) || !strncmp(p->name, "ofs_", 4);
    if (plain && p->rank == 1 && i) init_bias(&m->params[i - 1], p, seed, w + p->offset);
  }
  params_io io = io_of(c, m);
  TRY(ctx_put(c, view_typed(io.type, io.w, 1, m->n_reals), w));
  TRY(dit_store(c, m));
out:
  free(w);
  return rc;
}

int dit_save(ctx *c, const dit *m, const real *w, dtype t, st_writer *to) {
  params_io io = io_of(c, m);
  if (w) io.w = (void *)(uintptr_t)w, io.type = DT_REAL;
  return params_save(&io, t, to);
}
