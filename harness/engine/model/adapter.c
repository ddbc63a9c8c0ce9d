/* What a design trains: LoRA pairs, the domain vector, the exchange module, widened projections. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/params.h"

typedef struct adapter_plan {
  const dit_config *cfg;
  const layout *l;
  int rank, exchange_rank;
} adapter_plan;

#define T(slot) (w ? &w->slot : NULL), (g ? &g->slot : NULL)

static void declare_lora(param_list *p, const adapter_plan *a, int i, adapter_block *w, adapter_block *g) {
  int64_t d = dit_width(a->cfg), r = a->rank;
#define NAME(s) "transformer.transformer_blocks.%d.attn1." s, i
  /* The A matrices of q, k and v lie one below the other, so that one product serves all three. */
  params_add(p, T(q.a), PARAM_PLAIN, 2, (int64_t[]){r, d}, NAME("to_q.lora_A.weight"));
  params_add(p, T(k.a), PARAM_PLAIN, 2, (int64_t[]){r, d}, NAME("to_k.lora_A.weight"));
  params_add(p, T(v.a), PARAM_PLAIN, 2, (int64_t[]){r, d}, NAME("to_v.lora_A.weight"));
  params_add(p, T(q.b), PARAM_PLAIN, 2, (int64_t[]){d, r}, NAME("to_q.lora_B.weight"));
  params_add(p, T(k.b), PARAM_PLAIN, 2, (int64_t[]){d, r}, NAME("to_k.lora_B.weight"));
  params_add(p, T(v.b), PARAM_PLAIN, 2, (int64_t[]){d, r}, NAME("to_v.lora_B.weight"));
  params_add(p, T(o.a), PARAM_PLAIN, 2, (int64_t[]){r, d}, NAME("to_out.0.lora_A.weight"));
  params_add(p, T(o.b), PARAM_PLAIN, 2, (int64_t[]){d, r}, NAME("to_out.0.lora_B.weight"));
#undef NAME
  if (w && w->q.a.p) w->qkv_a = view_typed(w->q.a.type, w->q.a.p, 3 * r, d);
  if (g && g->q.a.p) g->qkv_a = view_of(g->q.a.p, 3 * r, d);
}

static void declare_exchange(param_list *p, const adapter_plan *a, int i, adapter_block *w, adapter_block *g) {
  int64_t d = dit_width(a->cfg), r = a->exchange_rank;
#define NAME(s) "inter.%d." s, i
  params_add(p, T(norm_w), PARAM_PLAIN, 1, (int64_t[]){d}, NAME("norm.weight"));
  params_add(p, T(norm_b), PARAM_PLAIN, 1, (int64_t[]){d}, NAME("norm.bias"));
  params_add(p, T(type_emb), PARAM_PLAIN, 2, (int64_t[]){2, d}, NAME("type_emb"));
  params_add(p, T(xq), PARAM_PLAIN, 2, (int64_t[]){r, d}, NAME("q.weight"));
  params_add(p, T(xk), PARAM_PLAIN, 2, (int64_t[]){r, d}, NAME("k.weight"));
  params_add(p, T(xv), PARAM_PLAIN, 2, (int64_t[]){r, d}, NAME("v.weight"));
  params_add(p, T(xo), PARAM_PLAIN, 2, (int64_t[]){d, r}, NAME("o.weight"));
#undef NAME
}

static void declare(param_list *p, const adapter_plan *a, adapter_tensors *w, adapter_tensors *g) {
  const dit_config *c = a->cfg;
  int64_t d = dit_width(c), pp = (int64_t)c->patch_t * c->patch * c->patch, out = c->out_channels * pp;
  if (a->l->domain) params_add(p, T(domain), PARAM_DOMAIN, 3, (int64_t[]){1, 1, d}, "domain_emb");
  if (a->l->widened) {
    if (c->slice_positions)
      params_add(p, T(in_w), PARAM_PLAIN, 2, (int64_t[]){d, c->in_channels * pp}, "latent_in.weight");
    else
      params_add(p, T(in_w), PARAM_PLAIN, 4, (int64_t[]){d, c->in_channels, c->patch, c->patch}, "latent_in.weight");
    params_add(p, T(out_w), PARAM_PLAIN, 2, (int64_t[]){out, d}, "latent_out.weight");
    params_add(p, T(out_b), PARAM_PLAIN, 1, (int64_t[]){out}, "latent_out.bias");
  }
  for (int i = 0; i < c->layers; i++) {
    adapter_block *bw = w ? &w->block[i] : NULL, *bg = g ? &g->block[i] : NULL;
    if (a->l->lora) declare_lora(p, a, i, bw, bg);
    if (a->l->exchange) declare_exchange(p, a, i, bw, bg);
  }
}

static int check(ctx *c, const layout *l, const adapter_shape *s, int exchange_rank) {
  if (l->lora && s->rank < 1) return err_set(&c->err, E_ARG, "LoRA rank %d", s->rank);
  if (l->exchange && (exchange_rank < 1 || exchange_rank % l->exchange_heads))
    return err_set(&c->err, E_CONFIG, "exchange rank %d is no multiple of its %d heads", exchange_rank,
                   l->exchange_heads);
  return OK;
}

int adapter_open(ctx *c, const dit *m, const layout *l, const adapter_shape *s, adapter *out) {
  int rc = OK;
  adapter *a = out;
  int xr = s->exchange_rank > 0 ? s->exchange_rank : s->rank;
  *a = (adapter){.layers = m->cfg.layers, .rank = s->rank, .exchange_rank = xr, .gamma = s->gamma};
  adapter_plan plan = {&m->cfg, l, s->rank, xr};
  param_list p = {.e = &c->err};
  TRY(check(c, l, s, xr));
  TRY(mem_new(&c->err, a->layers, sizeof(adapter_block), "adapter blocks", &a->t.block));
  TRY(mem_new(&c->err, a->layers, sizeof(adapter_block), "adapter blocks", &a->d.block));
  declare(&p, &plan, NULL, NULL);
  TRY(params_end(&p));
  a->params = p.param;
  a->n_params = p.n;
  a->n_reals = p.reals;
  if (a->n_reals) {
    real **blocks[3] = {&a->g, &a->m, &a->v};
    TRY(params_alloc(c, a->n_reals, 1, &a->w, &a->s));
    TRY(op_fill(c, view_of(a->w, 1, a->n_reals), 0));
    for (int i = 0; s->trainable && i < 3; i++) {
      TRY(c->ops->alloc(c, (size_t)a->n_reals * sizeof(real), (void **)blocks[i]));
      TRY(op_fill(c, view_of(*blocks[i], 1, a->n_reals), 0));
    }
    TRY(adapter_store(c, a));
  }
  param_list bind = {.e = &c->err, .w = a->s, .type = c->storage, .g = a->g, .bind = 1};
  declare(&bind, &plan, &a->t, &a->d);
out:
  if (rc != OK) adapter_close(c, a);
  return rc;
}
#undef T

void adapter_close(ctx *c, adapter *a) {
  real *blocks[4] = {a->w, a->g, a->m, a->v};
  if (a->s && a->s != a->w) c->ops->release(c, a->s);
  for (int i = 0; i < 4; i++)
    if (blocks[i]) c->ops->release(c, blocks[i]);
  free(a->t.block);
  free(a->d.block);
  free(a->params);
  *a = (adapter){0};
}

int adapter_store(ctx *c, adapter *a) {
  return params_store(c, a->n_reals, a->w, a->s);
}

/* The reals behind a tensor. */
static view master_of(const ctx *c, const adapter *a, view stored) {
  int64_t at = ((char *)stored.p - (char *)a->s) / dtype_size(c->storage);
  return view_of(a->w + at, stored.rows, stored.cols);
}

static int has(const char *name, const char *part) {
  return strstr(name, part) != NULL;
}

static void init_one(const param *p, uint64_t seed, real *w) {
  rng r = {.seed = seed, .stream = RNG_INIT, .sub = (uint32_t)rng_salt(p->name)};
  int64_t in = p->rank > 1 ? p->count / p->shape[0] : 1;
  int inter = !strncmp(p->name, "inter.", 6);
  if (has(p->name, "lora_A") ||
      (inter && !has(p->name, ".norm.") && !has(p->name, "type_emb") && !has(p->name, ".o.")))
    params_uniform(r, 1 / sqrt((double)in), p->count, w);
  else if (inter && has(p->name, ".norm.weight"))
    for (int64_t i = 0; i < p->count; i++) w[i] = R(1.0);
}

int adapter_init(ctx *c, adapter *a, const dit *m, const layout *l, uint64_t seed) {
  int rc = OK;
  real *w = NULL;
  if (!a->n_reals) return OK;
  TRY(mem_new(&c->err, a->n_reals, sizeof(real), "initial adapter", &w)); /* zeroed */
  for (int64_t i = 0; i < a->n_params; i++) init_one(&a->params[i], seed, w + a->params[i].offset);
  TRY(op_upload(c, a->w, w, (size_t)a->n_reals * sizeof(real)));
  if (l->widened && l->out_copy) {
    TRY(op_cast(c, master_of(c, a, a->t.out_w), m->t.out_w));
    TRY(op_cast(c, master_of(c, a, a->t.out_b), m->t.out_b));
  }
  TRY(adapter_store(c, a));
out:
  free(w);
  return rc;
}

int adapter_load(ctx *c, adapter *a, st_file *const *files, int n) {
  int rc = OK;
  params_io io = {.c = c, .params = a->params, .n = a->n_params, .w = a->w, .type = DT_REAL};
  TRY(params_load(&io, (const st_file *const *)files, n, 0));
  TRY(adapter_store(c, a));
out:
  return rc;
}

adapter_shape adapter_shape_of(st_file *const *files, int n) {
  adapter_shape s = {0};
  for (int f = 0; f < n; f++) {
    const char *gamma = st_meta(files[f], "gamma");
    if (gamma) s.gamma = strtod(gamma, NULL);
    for (int64_t i = 0; i < st_count(files[f]); i++) {
      const st_tensor *t = st_at(files[f], i);
      if (t->rank != 2) continue;
      if (has(t->name, ".lora_A.weight")) s.rank = (int)t->shape[0];
      if (!strncmp(t->name, "inter.", 6) && has(t->name, ".q.weight")) s.exchange_rank = (int)t->shape[0];
    }
  }
  if (!(s.gamma > 0) && s.rank > 0) s.gamma = 1.0 / s.rank;
  return s;
}

int adapter_save(ctx *c, const adapter *a, st_writer *to) {
  return params_save(&(params_io){.c = c, .params = a->params, .n = a->n_params, .w = a->w, .type = DT_REAL}, DT_F32,
                     to);
}
