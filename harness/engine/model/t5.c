#include "model/t5.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/config.h"
#include "model/params.h"

#define TOGETHER 4 /* prompts whose rows go through a block at once */

int t5_config_read(err *e, const json *j, const char *name, t5_config *out) {
  int rc = OK, big = 1 << 20;
  config_reader r = {e, j, name};
  t5_config c = {0};
  int64_t must = INT64_MIN;
  if (j->type != JSON_OBJECT) FAIL(e, E_CONFIG, "%s: not a JSON object", name);
  TRY(config_int(&r, "num_layers", must, 1, 1000, &c.layers));
  TRY(config_int(&r, "num_heads", must, 1, 1024, &c.heads));
  TRY(config_int(&r, "d_kv", must, 1, 1024, &c.head_dim));
  TRY(config_int(&r, "d_model", must, 1, big, &c.width));
  TRY(config_int(&r, "d_ff", must, 1, big, &c.ff));
  TRY(config_int(&r, "vocab_size", must, 1, 1 << 24, &c.vocab));
  TRY(config_int(&r, "relative_attention_num_buckets", 32, 4, 1 << 16, &c.buckets));
  TRY(config_int(&r, "relative_attention_max_distance", 128, 2, big, &c.max_distance));
  TRY(config_int(&r, "pad_token_id", 0, 0, c.vocab - 1, &c.pad_id));
  TRY(config_int(&r, "eos_token_id", 1, 0, c.vocab - 1, &c.eos_id));
  TRY(config_number(&r, "layer_norm_epsilon", 1e-6, &c.eps));
  TRY(config_demand(&r, "feed_forward_proj", "gated-gelu"));
  TRY(config_demand(&r, "dense_act_fn", "gelu_new"));
  TRY(config_demand(&r, "is_gated_act", "true"));
  if (!json_get(j, "feed_forward_proj"))
    FAIL(e, E_UNSUPPORTED, "%s: 'feed_forward_proj' is missing; only the gated-gelu encoders (T5 v1.1) are supported",
         name);
  if (c.buckets % 4 || c.max_distance <= c.buckets / 4)
    FAIL(e, E_CONFIG,
         "%s: %d relative buckets up to distance %d: want a multiple of 4, and a distance over a quarter of it", name,
         c.buckets, c.max_distance);
  *out = c;
out:
  return rc;
}

int t5_bucket(const t5_config *c, int64_t delta) {
  int half = c->buckets / 2, exact = half / 2, base = delta > 0 ? half : 0;
  int64_t n = delta > 0 ? delta : -delta;
  if (n < exact) return base + (int)n;
  double far = log((double)n / exact) / log((double)c->max_distance / exact) * (half - exact);
  return base + (far >= half - 1 - exact ? half - 1 : exact + (int)far);
}

/* --- tensors --------------------------------------------------------------------------------------------------- */

typedef struct t5_block {
  view q, k, v, o, n1, wi0, wi1, wo, n2;
} t5_block;

typedef struct t5_small { /* what is needed beside the blocks: the bias table of all blocks, the last norm */
  view bias, norm;
} t5_small;

static void declare_shared(param_list *p, const t5_config *c, view *shared) {
  params_add(p, shared, NULL, PARAM_PLAIN, 2, (int64_t[]){c->vocab, c->width}, "shared.weight");
}

static void declare_small(param_list *p, const t5_config *c, t5_small *s) {
  params_add(p, s ? &s->bias : NULL, NULL, PARAM_PLAIN, 2, (int64_t[]){c->buckets, c->heads},
             "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
  params_add(p, s ? &s->norm : NULL, NULL, PARAM_PLAIN, 1, (int64_t[]){c->width}, "encoder.final_layer_norm.weight");
}

#define T(member) b ? &b->member : NULL, NULL
static void declare_block(param_list *p, const t5_config *c, int i, t5_block *b) {
  const int64_t inner = (int64_t)c->heads * c->head_dim, d = c->width;
#define NAME(tail) "encoder.block.%d.layer." tail, i
  /* q, k and v side by side: one product makes all three */
  params_add(p, T(q), PARAM_PLAIN, 2, (int64_t[]){inner, d}, NAME("0.SelfAttention.q.weight"));
  params_add(p, T(k), PARAM_PLAIN, 2, (int64_t[]){inner, d}, NAME("0.SelfAttention.k.weight"));
  params_add(p, T(v), PARAM_PLAIN, 2, (int64_t[]){inner, d}, NAME("0.SelfAttention.v.weight"));
  params_add(p, T(o), PARAM_PLAIN, 2, (int64_t[]){d, inner}, NAME("0.SelfAttention.o.weight"));
  params_add(p, T(n1), PARAM_PLAIN, 1, (int64_t[]){d}, NAME("0.layer_norm.weight"));
  params_add(p, T(wi0), PARAM_PLAIN, 2, (int64_t[]){c->ff, d}, NAME("1.DenseReluDense.wi_0.weight"));
  params_add(p, T(wi1), PARAM_PLAIN, 2, (int64_t[]){c->ff, d}, NAME("1.DenseReluDense.wi_1.weight"));
  params_add(p, T(wo), PARAM_PLAIN, 2, (int64_t[]){d, c->ff}, NAME("1.DenseReluDense.wo.weight"));
  params_add(p, T(n2), PARAM_PLAIN, 1, (int64_t[]){d}, NAME("1.layer_norm.weight"));
#undef NAME
}
#undef T

int t5_params(err *e, const t5_config *c, param **out, int64_t *n) {
  param_list p = {.e = e};
  declare_shared(&p, c, NULL);
  declare_small(&p, c, NULL);
  for (int i = 0; i < c->layers; i++) declare_block(&p, c, i, NULL);
  int rc = params_end(&p);
  *out = p.param;
  *n = rc == OK ? p.n : 0;
  return rc;
}

int t5_check(err *e, const t5_config *c, const char *config, const st_file *w) {
  int rc = OK;
  param *params = NULL;
  int64_t n;
  disagreement d = {0};
  static const char bias[] = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                    q[] = "encoder.block.0.layer.0.SelfAttention.q.weight",
                    ff[] = "encoder.block.0.layer.1.DenseReluDense.wi_0.weight";
  TRY(t5_params(e, c, &params, &n));
  shape_compare(&d, "num_layers", c->layers, shape_blocks(w, "encoder.block."), "encoder.block.N");
  shape_compare(&d, "vocab_size", c->vocab, shape_axis(w, "shared.weight", 2, 0), "shared.weight");
  shape_compare(&d, "d_model", c->width, shape_axis(w, "shared.weight", 2, 1), "shared.weight");
  shape_compare(&d, "num_heads", c->heads, shape_axis(w, bias, 2, 1), bias);
  shape_compare(&d, "relative_attention_num_buckets", c->buckets, shape_axis(w, bias, 2, 0), bias);
  shape_compare(&d, "num_heads x d_kv", (int64_t)c->heads * c->head_dim, shape_axis(w, q, 2, 0), q);
  shape_compare(&d, "d_ff", c->ff, shape_axis(w, ff, 2, 0), ff);
  rc = shape_verdict(e, params_check(e, params, n, &w, 1, 1), &d, config, w);
out:
  free(params);
  return rc;
}

/* --- encoding -------------------------------------------------------------------------------------------------- */

typedef struct encoder {
  ctx *c;
  const t5_request *r;
  const t5_config *cfg;
  real *slot; /* the embedding, then block after block */
  t5_small small;
  int32_t *ids, *bucket;        /* backend */
  view h;                       /* all rows */
  view u, qkv, scores, o, a, g; /* of TOGETHER prompts; scores of one */
} encoder;

/* Reads the tensors of a list that was only collected. */
static int load(const encoder *x, const param_list *p, real *to) {
  if (x->c->ops->is_null) return OK;
  return params_load(&(params_io){.c = x->c, .params = p->param, .n = p->n, .w = to}, &x->r->weights, 1, 0);
}

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static int load_small(encoder *x) {
  int rc = OK;
  real *at = NULL;
  param_list p = {.e = &x->c->err};
  declare_small(&p, x->cfg, NULL);
  TRY(params_end(&p));
  TRY(arena_take(&x->c->mem, &x->c->err, p.reals, sizeof(real), "bias and last norm", (void **)&at));
  TRY(load(x, &p, at));
  declare_small(&(param_list){.e = &x->c->err, .w = at, .bind = 1}, x->cfg, &x->small);
out:
  free(p.param);
  return rc;
}

static int upload_ints(encoder *x, int64_t n, const int32_t *from, const char *what, int32_t **out) {
  int rc = OK;
  void *p;
  TRY(arena_take(&x->c->mem, &x->c->err, n, sizeof(int32_t), what, &p));
  if (!x->c->ops->is_null) TRY(op_upload(x->c, p, from, (size_t)n * sizeof(int32_t)));
  *out = p;
out:
  return rc;
}

static int upload_buckets(encoder *x) {
  int rc = OK;
  const int64_t n = x->r->length;
  int32_t *host = NULL;
  TRY(mem_new(&x->c->err, 2 * n - 1, sizeof *host, "relative buckets", &host));
  for (int64_t d = 1 - n; d < n; d++) host[d + n - 1] = (int32_t)t5_bucket(x->cfg, d);
  TRY(upload_ints(x, 2 * n - 1, host, "relative buckets", &x->bucket));
out:
  free(host);
  return rc;
}

static int take_memory(encoder *x) {
  int rc = OK;
  ctx *c = x->c;
  const t5_config *f = x->cfg;
  const int64_t n = x->r->length, inner = (int64_t)f->heads * f->head_dim;
  const int64_t rows = n * (x->r->batch < TOGETHER ? x->r->batch : TOGETHER);
  param_list shared = {.e = &c->err}, block = {.e = &c->err};
  void *slot;
  declare_shared(&shared, f, NULL);
  declare_block(&block, f, 0, NULL);
  TRY(params_end(&shared));
  TRY(params_end(&block));
  TRY(arena_take(&c->mem, &c->err, larger(shared.reals, block.reals), sizeof(real), "weights of a block", &slot));
  x->slot = slot;
  TRY(ctx_view(c, n * x->r->batch, f->width, "text rows", &x->h));
  TRY(ctx_view(c, rows, f->width, "normalised rows", &x->u));
  TRY(ctx_view(c, rows, 3 * inner, "queries, keys and values", &x->qkv));
  TRY(ctx_view(c, f->heads * n, n, "scores", &x->scores));
  TRY(ctx_view(c, rows, inner, "attention", &x->o));
  TRY(ctx_view(c, rows, f->ff, "hidden rows", &x->a));
  TRY(ctx_view(c, rows, f->ff, "gate", &x->g));
  TRY(upload_ints(x, n * x->r->batch, x->r->ids, "token ids", &x->ids));
  TRY(upload_buckets(x));
out:
  free(shared.param);
  free(block.param);
  return rc;
}

static int embed(encoder *x) {
  int rc = OK;
  view table;
  param_list p = {.e = &x->c->err};
  declare_shared(&p, x->cfg, NULL);
  TRY(params_end(&p));
  TRY(load(x, &p, x->slot));
  declare_shared(&(param_list){.e = &x->c->err, .w = x->slot, .bind = 1}, x->cfg, &table);
  TRY(op_fill(x->c, x->h, 0));
  TRY(op_add_rows(x->c, &(op_add_rows_args){.x = x->h, .table = table, .map = x->ids}));
out:
  free(p.param);
  return rc;
}

/* y = x w^T + beta y */
static int linear(ctx *c, view x, view w, double beta, view y) {
  return op_gemm(c, &(op_gemm_args){.a = x, .b = w, .c = y, .tb = 1, .alpha = 1, .beta = beta});
}

/* One prompt: qkv [n, 3 * inner] -> o [n, inner]. */
static int attend(const encoder *x, view qkv, view o) {
  int rc = OK;
  ctx *c = x->c;
  const int64_t n = qkv.rows, dim = x->cfg->head_dim, inner = (int64_t)x->cfg->heads * dim;
  for (int64_t h = 0; h < x->cfg->heads; h++)
    TRY(linear(c, view_cols(qkv, h * dim, dim), view_cols(qkv, inner + h * dim, dim), 0,
               view_rows(x->scores, h * n, n)));
  TRY(op_softmax_rel(
      c, &(op_softmax_rel_args){.x = x->scores, .y = x->scores, .table = x->small.bias, .bucket = x->bucket}));
  for (int64_t h = 0; h < x->cfg->heads; h++)
    TRY(op_gemm(c, &(op_gemm_args){.a = view_rows(x->scores, h * n, n),
                                   .b = view_cols(qkv, 2 * inner + h * dim, dim),
                                   .c = view_cols(o, h * dim, dim),
                                   .alpha = 1}));
out:
  return rc;
}

/* A block on the rows of some prompts, in place. */
static int block_rows(const encoder *x, const t5_block *b, view h) {
  int rc = OK;
  ctx *c = x->c;
  const int64_t n = x->r->length;
  const view u = view_rows(x->u, 0, h.rows), qkv = view_rows(x->qkv, 0, h.rows), o = view_rows(x->o, 0, h.rows),
             a = view_rows(x->a, 0, h.rows), g = view_rows(x->g, 0, h.rows);
  view qkv_w = b->q;
  qkv_w.rows *= 3;
  TRY(op_rmsnorm(c, &(op_rmsnorm_args){.x = h, .y = u, .w = b->n1, .eps = x->cfg->eps}));
  TRY(linear(c, u, qkv_w, 0, qkv));
  for (int64_t r = 0; r < h.rows; r += n) TRY(attend(x, view_rows(qkv, r, n), view_rows(o, r, n)));
  TRY(linear(c, o, b->o, 1, h));
  TRY(op_rmsnorm(c, &(op_rmsnorm_args){.x = h, .y = u, .w = b->n2, .eps = x->cfg->eps}));
  TRY(linear(c, u, b->wi0, 0, a));
  TRY(linear(c, u, b->wi1, 0, g));
  TRY(op_act_mul(c, &(op_act_mul_args){.x = a, .g = g, .y = a, .act = ACT_GELU_TANH}));
  TRY(linear(c, a, b->wo, 1, h));
out:
  return rc;
}

static int block(const encoder *x, int i) {
  int rc = OK;
  const t5_request *r = x->r;
  t5_block b;
  param_list p = {.e = &x->c->err};
  if (r->trace && r->trace(r->user, x->c, i, x->h)) FAIL(&x->c->err, E_INTERRUPTED, "stopped at block %d", i);
  declare_block(&p, x->cfg, i, NULL);
  TRY(params_end(&p));
  TRY(load(x, &p, x->slot));
  declare_block(&(param_list){.e = &x->c->err, .w = x->slot, .bind = 1}, x->cfg, i, &b);
  for (int64_t at = 0; at < r->batch; at += TOGETHER) {
    int64_t prompts = r->batch - at < TOGETHER ? r->batch - at : TOGETHER;
    TRY(block_rows(x, &b, view_rows(x->h, at * r->length, prompts * r->length)));
  }
  if (r->progress && r->progress(r->user, i + 1, x->cfg->layers))
    FAIL(&x->c->err, E_INTERRUPTED, "the text encoder was stopped after block %d of %d", i + 1, x->cfg->layers);
out:
  free(p.param);
  return rc;
}

static int run(encoder *x, real *out) {
  int rc = OK;
  ctx *c = x->c;
  TRY(take_memory(x));
  TRY(load_small(x));
  TRY(embed(x));
  for (int i = 0; i < x->cfg->layers; i++) TRY(block(x, i));
  TRY(op_rmsnorm(c, &(op_rmsnorm_args){.x = x->h, .y = x->h, .w = x->small.norm, .eps = x->cfg->eps}));
  if (out) TRY(op_download(c, out, x->h.p, (size_t)(x->h.rows * x->h.cols) * sizeof(real)));
out:
  return rc;
}

static int check_request(err *e, const t5_request *r) {
  int rc = OK;
  int64_t n;
  if (r->batch < 1 || r->length < 1 || r->length > 1 << 16 || __builtin_mul_overflow(r->batch, r->length, &n) ||
      n > INT32_MAX)
    FAIL(e, E_SHAPE, "token ids [%lld,%lld]: want prompts of 1 to 65536 ids", (long long)r->batch,
         (long long)r->length);
  for (int64_t i = 0; r->ids && i < n; i++)
    if (r->ids[i] < 0 || r->ids[i] >= r->cfg->vocab)
      FAIL(e, E_ARG, "token id %d of prompt %lld, place %lld: the encoder knows 0 to %d; is this its tokenizer?",
           (int)r->ids[i], (long long)(i / r->length), (long long)(i % r->length), r->cfg->vocab - 1);
out:
  return rc;
}

int t5_encode(ctx *c, const t5_request *r, real *out) {
  int rc = OK;
  plan_cost cost = {0};
  encoder x = {.c = c, .r = r, .cfg = r->cfg};
  TRY(check_request(&c->err, r));
  TRY(t5_measure(&c->err, r->cfg, r->batch, r->length, &cost));
  TRY(ctx_arena(c, cost.arena));
  TRY(run(&x, out));
out:
  return rc;
}

int t5_measure(err *e, const t5_config *cfg, int64_t batch, int64_t length, plan_cost *out) {
  int rc = OK;
  ctx c = {0};
  param *params = NULL;
  int64_t n = 0;
  const t5_request r = {.cfg = cfg, .batch = batch, .length = length};
  encoder x = {.c = &c, .r = &r, .cfg = cfg};
  *out = (plan_cost){0};
  TRY(check_request(e, &r));
  TRY(t5_params(e, cfg, &params, &n));
  for (int64_t i = 0; i < n; i++) out->params += params[i].count;
  rc = ctx_open(&c, &(ctx_options){.backend = "null"});
  if (rc == OK) rc = ctx_arena(&c, 0);
  if (rc == OK) rc = run(&x, NULL);
  if (rc != OK) FAIL(e, c.err.code, "%s", c.err.text);
  out->arena = c.mem.peak;
  for (int i = 0; i < OP_COUNT; i++) {
    out->count[i] = c.count[i];
    out->flops += c.count[i].flops;
    out->bytes += c.count[i].bytes;
  }
out:
  free(params);
  ctx_close(&c);
  return rc;
}
