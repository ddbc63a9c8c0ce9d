#include "train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "model/plan.h"
#include "model/safetensors.h"

#define MUON_MOMENTUM 0.95

train_config train_defaults(int base) {
  train_config f = {.steps = base ? 3000 : 900,
                    .batch = base ? 16 : 8,
                    .lr = base ? 2.5e-3 : 4e-3,
                    .domain_lr = 1e-2,
                    .muon_lr = base ? 0.025 : 0,
                    .beta1 = 0.9,
                    .beta2 = 0.95,
                    .eps = 1e-8,
                    .decay = 1e-2,
                    .clip = 1,
                    .warmup = base ? 50 : 20,
                    .hold = 0.5,
                    .floor = 0.02,
                    .caption_dropout = 0.1,
                    .snr_shift = 1,
                    .objective = OBJ_V,
                    .stratified = 1,
                    .ema = base ? 0.995 : 0,
                    .rank = 16,
                    .gamma = 2,
                    .checkpoint_every = 500};
  return f;
}

/* Everything one run holds. The trained block is the adapter's or the model's; m1 doubles as Muon's momentum. */
typedef struct trainer {
  ctx *c;
  dit *m;
  adapter *a; /* NULL for a base */
  const train_data *data;
  const train_config *cfg;
  const train_hooks *hooks;
  layout l;
  geom g;
  int64_t half, whole;
  real *w, *grad, *m1, *m2, *ema; /* backend, [n] */
  int own_moments;
  const param *params;
  int64_t n_params, n;
  view latents, target, out, text;
  double *scalars; /* backend: loss, gradient square sum, clipping factor */
  real *stage, *stage_target, *stage_text;
  float *noise;
  double *t;
  unsigned char *level; /* [layers], NULL: everything is kept */
  int64_t *order, epoch;
  float *losses;
  double abar[SCHEDULE_STEPS];
  char identity[HASH_HEX];
  int64_t step;
} trainer;

/* --- opening --- */

static int measure(trainer *r, size_t *bytes) {
  plan_cost cost;
  const train_config *f = r->cfg;
  plan_request q = {.cfg = r->m->cfg,
                    .l = r->l,
                    .shape = {.rank = r->a ? r->a->rank : 0, .exchange_rank = r->a ? r->a->exchange_rank : 0},
                    .storage = r->c->storage,
                    .batch = (int)f->batch,
                    .frames = r->data->frames,
                    .height = r->data->height,
                    .width = r->data->width,
                    .n_text = r->data->n_text,
                    .train = 1,
                    .base = !r->a,
                    .level = r->level,
                    .pieces = r->level ? TRAIN_PIECES : 1};
  int rc = plan_measure(&r->c->err, &q, &cost);
  int64_t d = dit_width(&r->m->cfg), big = 4 * d * d;
  size_t muon = f->muon_lr > 0 ? (size_t)(3 * big + 2 * d * d) * sizeof(real) + 8 * ARENA_ALIGN : 0;
  /* Muon runs after the step's activations are released, so the larger of the two counts. */
  *bytes = (cost.arena > muon ? cost.arena : muon) + (size_t)(f->batch * r->whole) * 3 * sizeof(real) + (1 << 16);
  return rc;
}

static int take(trainer *r) {
  int rc = OK;
  ctx *c = r->c;
  err *e = &c->err;
  int64_t b = r->cfg->batch, text_reals = b * r->data->n_text * r->data->text_dim;
  void *p;
  TRY(ctx_reals(c, b, r->whole, "latents", &r->latents));
  TRY(ctx_reals(c, b, r->whole, "targets", &r->target));
  TRY(ctx_reals(c, b, r->whole, "predictions", &r->out));
  TRY(ctx_view(c, b * r->data->n_text, r->data->text_dim, "text", &r->text));
  TRY(arena_take(&c->mem, e, 4, sizeof(double), "scalars", &p));
  r->scalars = p;
  TRY(mem_new(e, b * r->whole, sizeof(real), "batch", &r->stage));
  TRY(mem_new(e, b * r->whole, sizeof(real), "batch", &r->stage_target));
  TRY(mem_new(e, text_reals, sizeof(real), "batch text", &r->stage_text));
  TRY(mem_new(e, r->half, sizeof(float), "noise", &r->noise));
  TRY(mem_new(e, b, sizeof(double), "time steps", &r->t));
  TRY(mem_new(e, r->data->clips, sizeof(int64_t), "data order", &r->order));
  TRY(mem_new(e, r->cfg->steps, sizeof(float), "loss history", &r->losses));
out:
  return rc;
}

static int new_block(trainer *r, real **out, double fill) {
  int rc = OK;
  TRY(r->c->ops->alloc(r->c, (size_t)r->n * sizeof(real), (void **)out));
  TRY(op_fill(r->c, view_of(*out, 1, r->n), fill));
out:
  return rc;
}

static int take_moments(trainer *r) {
  int rc = OK;
  if (r->a) {
    r->m1 = r->a->m;
    r->m2 = r->a->v;
    TRY(op_fill(r->c, view_of(r->m1, 1, r->n), 0));
    TRY(op_fill(r->c, view_of(r->m2, 1, r->n), 0));
  } else {
    r->own_moments = 1;
    TRY(new_block(r, &r->m1, 0));
    TRY(new_block(r, &r->m2, 0));
  }
  if (r->cfg->ema > 0) {
    TRY(new_block(r, &r->ema, 0));
    TRY(op_copy(r->c, view_of(r->ema, 1, r->n), view_of(r->w, 1, r->n)));
  }
out:
  return rc;
}

static int check(trainer *r) {
  err *e = &r->c->err;
  const train_config *f = r->cfg;
  const train_data *d = r->data;
  if (f->steps < 1 || f->batch < 1 || d->clips < 1)
    return err_set(e, E_ARG, "train: %lld steps of %lld clips out of %lld", (long long)f->steps, (long long)f->batch,
                   (long long)d->clips);
  if (d->channels != r->m->cfg.in_channels || d->text_dim != r->m->cfg.text_dim)
    return err_set(e, E_SHAPE,
                   "train: latents have %d channels and text rows %lld columns; the model wants %d and %d",
                   d->channels, (long long)d->text_dim, r->m->cfg.in_channels, r->m->cfg.text_dim);
  if (r->l.streams == 2 && !d->alpha) return err_set(e, E_ARG, "train: this design needs alpha latents");
  if (!r->grad) return err_set(e, E_ARG, "train: nothing to train (no trainable adapter, frozen model)");
  return OK;
}

/* What a checkpoint must match to be continued: settings, data, frozen weights and starting point. */
static int identify(trainer *r) {
  int rc = OK;
  err *e = &r->c->err;
  const train_data *d = r->data;
  const train_config *f = r->cfg;
  hash *h = NULL;
  real *w = NULL;
  text t = {0};
  int64_t most = r->m->n_reals > r->n ? r->m->n_reals : r->n, clip = r->half * d->clips;
  text_addf(&t, "%lld %lld %llu %d %d %d %d %d %d|", (long long)f->steps, (long long)f->batch,
            (unsigned long long)f->seed, (int)f->objective, f->stratified, f->shared_noise, f->rank,
            (int)sizeof(real), r->l.n_seg);
  const double number[] = {f->lr,        f->domain_lr,    f->muon_lr, f->beta1,         f->beta2, f->eps,
                           f->decay,     f->domain_decay, f->clip,    f->hold,          f->floor, f->caption_dropout,
                           f->snr_shift, f->ema,          f->gamma,   (double)f->warmup};
  for (size_t i = 0; i < sizeof number / sizeof number[0]; i++) text_addf(&t, "%.17g ", number[i]);
  if (r->c->storage != DT_REAL) text_add(&t, dtype_name(r->c->storage));
  TRY(text_ok(&t, e));
  TRY(mem_new(e, most, sizeof(real), "weights to hash", &w));
  TRY(hash_open(e, &h));
  hash_add(h, t.p, t.n);
  hash_add(h, &r->l, sizeof r->l);
  hash_add(h, d->rgb, (size_t)clip * sizeof(float));
  if (d->alpha && r->l.streams == 2) hash_add(h, d->alpha, (size_t)clip * sizeof(float));
  hash_add(h, d->text, (size_t)(d->clips * d->n_text * d->text_dim) * sizeof(float));
  size_t size = r->m->w ? sizeof(real) : (size_t)dtype_size(r->c->storage);
  TRY(op_download(r->c, w, r->m->w ? (void *)r->m->w : r->m->s, (size_t)r->m->n_reals * size));
  hash_add(h, w, (size_t)r->m->n_reals * size);
  if (r->a) {
    TRY(op_download(r->c, w, r->w, (size_t)r->n * sizeof(real)));
    hash_add(h, w, (size_t)r->n * sizeof(real));
  }
  rc = hash_close(h, e, r->identity);
  h = NULL;
out:
  hash_drop(h);
  free(w);
  text_free(&t);
  return rc;
}

/* --- checkpoints --- */

static int add_block(trainer *r, st_writer *to, const char *name, const real *block) {
  int rc = OK;
  real *host = NULL;
  if (!block) return OK;
  TRY(mem_new(&r->c->err, r->n, sizeof(real), name, &host));
  TRY(op_download(r->c, host, block, (size_t)r->n * sizeof(real)));
  TRY(st_writer_add(to, &r->c->err, name, DT_REAL, 1, &r->n, host));
out:
  free(host);
  return rc;
}

static int save_checkpoint(trainer *r, const char *path) {
  int rc = OK;
  err *e = &r->c->err;
  st_writer *to = NULL;
  char step[32];
  if (!path || !path[0]) return OK;
  snprintf(step, sizeof step, "%lld", (long long)r->step);
  TRY(st_writer_open(e, &to));
  TRY(st_writer_meta(to, e, "identity", r->identity));
  TRY(st_writer_meta(to, e, "step", step));
  TRY(add_block(r, to, "w", r->w));
  TRY(add_block(r, to, "m1", r->m1));
  TRY(add_block(r, to, "m2", r->m2));
  TRY(add_block(r, to, "ema", r->ema));
  TRY(st_writer_add(to, e, "losses", DT_F32, 1, &r->step, r->losses));
  TRY(st_writer_save(to, e, path));
out:
  st_writer_close(to);
  return rc;
}

static int load_block(trainer *r, const st_file *f, const char *name, real *block) {
  int rc = OK;
  const st_tensor *t;
  real *host = NULL;
  if (!block) return OK;
  TRY(st_need(&r->c->err, f, name, 1, &r->n, &t));
  TRY(mem_new(&r->c->err, r->n, sizeof(real), name, &host));
  TRY(st_read_real(&r->c->err, t, host));
  TRY(op_upload(r->c, block, host, (size_t)r->n * sizeof(real)));
out:
  free(host);
  return rc;
}

/* A checkpoint of another run (other data, settings or weights) is not an error: training starts over. */
static int load_checkpoint(trainer *r, const char *path) {
  int rc = OK;
  st_file *f = NULL;
  const st_tensor *t;
  if (!path || !path[0] || !file_exists(path)) return OK;
  TRY(st_open(&r->c->err, path, &f));
  const char *identity = st_meta(f, "identity"), *step = st_meta(f, "step");
  if (!identity || !step || strcmp(identity, r->identity)) goto out;
  int64_t at = strtoll(step, NULL, 10);
  if (at < 0 || at > r->cfg->steps) goto out;
  TRY(st_need(&r->c->err, f, "losses", 1, &at, &t));
  memcpy(r->losses, t->data, (size_t)at * sizeof(float));
  TRY(load_block(r, f, "w", r->w));
  TRY(load_block(r, f, "m1", r->m1));
  TRY(load_block(r, f, "m2", r->m2));
  TRY(load_block(r, f, "ema", r->ema));
  r->step = at;
out:
  st_close(f);
  return rc;
}

/* --- one step --- */

static void draw_order(trainer *r) {
  int64_t per_epoch = r->data->clips / r->cfg->batch, epoch;
  if (per_epoch < 1) per_epoch = 1;
  epoch = r->step / per_epoch;
  if (epoch == r->epoch) return;
  rng_permutation((rng){.seed = r->cfg->seed, .stream = RNG_DATA_ORDER, .sub = (uint32_t)epoch}, r->data->clips,
                  r->order);
  r->epoch = epoch;
}

static int64_t clip_of(const trainer *r, int64_t b) {
  int64_t per_epoch = r->data->clips / r->cfg->batch;
  if (per_epoch < 1) per_epoch = 1;
  return r->order[(r->step % per_epoch * r->cfg->batch + b) % r->data->clips];
}

/* Noise level in [0,1) of sample b. */
static double draw_level(const trainer *r, int64_t b) {
  rng q = {.seed = r->cfg->seed, .stream = RNG_TRAIN_TIME, .sub = (uint32_t)r->step};
  float u;
  rng_uniform(q, r->cfg->stratified ? 0 : (uint64_t)b, 1, &u);
  if (!r->cfg->stratified) return (double)u;
  return fmod((double)u + (double)b / (double)r->cfg->batch, 1.0);
}

/* x = cz z + ce eps, target = tz z + te eps */
typedef struct mix {
  double cz, ce, tz, te, t;
} mix;

static mix mix_at(const trainer *r, double u) {
  if (r->cfg->objective == OBJ_FLOW) return (mix){1 - u, u, 1, -1, (1 - u) * SCHEDULE_STEPS};
  int64_t t = (int64_t)(u * SCHEDULE_STEPS);
  if (t >= SCHEDULE_STEPS) t = SCHEDULE_STEPS - 1;
  double a = sqrt(r->abar[t]), s = sqrt(1 - r->abar[t]);
  return (mix){a, s, -s, a, (double)t};
}

static void noise_half(trainer *r, int64_t b, int plane, const float *z, const mix *k) {
  int64_t at = b * r->whole + plane * r->half;
  int clean = plane == 0 && r->l.two_pass;
  rng q = {.seed = r->cfg->seed, .stream = RNG_TRAIN_NOISE, .sub = (uint32_t)r->step};
  uint64_t first = (uint64_t)((b * 2 + (r->cfg->shared_noise ? 0 : plane)) * r->half);
  if (!clean) rng_normal(q, first, r->half, r->noise);
  for (int64_t i = 0; i < r->half; i++) {
    double v = (double)z[i], n = clean ? 0 : (double)r->noise[i];
    r->stage[at + i] = clean ? (real)v : (real)(k->cz * v + k->ce * n);
    r->stage_target[at + i] = clean ? R(0.0) : (real)(k->tz * v + k->te * n);
  }
}

static void draw_text(trainer *r, int64_t b, int64_t clip) {
  int64_t n = r->data->n_text * r->data->text_dim;
  rng q = {.seed = r->cfg->seed, .stream = RNG_CAPTION_DROP, .sub = (uint32_t)r->step};
  float u;
  rng_uniform(q, (uint64_t)b, 1, &u);
  const float *src = (double)u < r->cfg->caption_dropout ? r->data->null_text : r->data->text + clip * n;
  for (int64_t i = 0; i < n; i++) r->stage_text[b * n + i] = (real)src[i];
}

static int draw_batch(trainer *r) {
  int rc = OK;
  ctx *c = r->c;
  int64_t n = r->cfg->batch;
  draw_order(r);
  for (int64_t b = 0; b < n; b++) {
    int64_t clip = clip_of(r, b);
    mix k = mix_at(r, draw_level(r, b));
    r->t[b] = k.t;
    noise_half(r, b, 0, r->data->rgb + clip * r->half, &k);
    if (r->l.streams == 2) noise_half(r, b, 1, r->data->alpha + clip * r->half, &k);
    draw_text(r, b, clip);
  }
  TRY(op_upload(c, r->latents.p, r->stage, (size_t)(n * r->whole) * sizeof(real)));
  TRY(op_upload(c, r->target.p, r->stage_target, (size_t)(n * r->whole) * sizeof(real)));
  TRY(ctx_put(c, r->text, r->stage_text));
out:
  return rc;
}

static double learning_scale(const trainer *r) {
  const train_config *f = r->cfg;
  double at = (double)r->step / (double)f->steps;
  double warm = f->warmup > 0 ? (double)(r->step + 1) / (double)f->warmup : 1;
  double fall = at <= f->hold ? 1 : (1 - at) / (1 - f->hold);
  if (fall < f->floor) fall = f->floor;
  return (warm < 1 ? warm : 1) * fall;
}

static int read_scalar(trainer *r, int i, double *out) {
  return op_download(r->c, out, r->scalars + i, sizeof(double));
}

static int write_scalar(trainer *r, int i, double v) {
  return op_upload(r->c, r->scalars + i, &v, sizeof v);
}

/* X <- a X + (b Z + c Z^2) X with Z = X X^T, five times: the nearest orthogonal matrix of a normalised X (Keller
 * Jordan's Muon). For tall X the products go through X^T X. */
static int orthogonalise(trainer *r, view x, view y, view z, view z2) {
  int rc = OK;
  ctx *c = r->c;
  int tall = x.rows > x.cols;
  int64_t k = tall ? x.cols : x.rows;
  view zz = view_of(z.p, k, k), q = view_of(z2.p, k, k);
  for (int i = 0; i < 5; i++) {
    TRY(op_gemm(c, &(op_gemm_args){.a = x, .b = x, .ta = tall, .tb = !tall, .c = zz, .alpha = 1}));
    TRY(op_gemm(c, &(op_gemm_args){.a = zz, .b = zz, .c = q, .alpha = 2.0315}));
    TRY(op_lincomb(c, &(op_lincomb_args){.y = q, .n = 2, .x = {q, zz}, .c = {1, -4.7750}}));
    TRY(op_copy(c, y, x));
    if (tall)
      TRY(op_gemm(c, &(op_gemm_args){.a = x, .b = q, .c = y, .alpha = 1, .beta = 3.4445}));
    else
      TRY(op_gemm(c, &(op_gemm_args){.a = q, .b = x, .c = y, .alpha = 1, .beta = 3.4445}));
    TRY(op_copy(c, x, y));
  }
out:
  return rc;
}

static int muon_step(trainer *r, const param *p, double clip, double scale) {
  int rc = OK;
  ctx *c = r->c;
  size_t mark = arena_mark(&c->mem);
  int64_t rows = p->shape[0], cols = p->count / rows, k = rows < cols ? rows : cols;
  view g = view_of(r->grad + p->offset, rows, cols), buf = view_of(r->m1 + p->offset, rows, cols);
  view w = view_of(r->w + p->offset, rows, cols), x, y, z, z2;
  double square, lr = r->cfg->muon_lr * scale, ratio = (double)rows / (double)cols;
  TRY(ctx_reals(c, rows, cols, "Muon", &x));
  TRY(ctx_reals(c, rows, cols, "Muon", &y));
  TRY(ctx_reals(c, k, k, "Muon", &z));
  TRY(ctx_reals(c, k, k, "Muon", &z2));
  TRY(op_lincomb(c, &(op_lincomb_args){.y = buf, .n = 2, .x = {buf, g}, .c = {MUON_MOMENTUM, clip}}));
  TRY(op_lincomb(c, &(op_lincomb_args){.y = x, .n = 2, .x = {g, buf}, .c = {clip, MUON_MOMENTUM}}));
  TRY(write_scalar(r, 3, 0));
  TRY(op_sumsq(c, r->scalars + 3, x.p, p->count));
  TRY(read_scalar(r, 3, &square));
  TRY(op_lincomb(c, &(op_lincomb_args){.y = x, .n = 1, .x = {x}, .c = {1 / (sqrt(square) + 1e-7)}}));
  TRY(orthogonalise(r, x, y, z, z2));
  TRY(op_lincomb(c,
                 &(op_lincomb_args){
                     .y = w, .n = 2, .x = {w, x}, .c = {1 - r->cfg->decay * lr, -lr * sqrt(ratio > 1 ? ratio : 1)}}));
out:
  arena_release(&c->mem, mark);
  return rc;
}

/* Neighbouring tensors of one group are one array to AdamW. */
static int adamw_steps(trainer *r, double scale) {
  int rc = OK;
  const train_config *f = r->cfg;
  for (int64_t i = 0, j; i < r->n_params; i = j) {
    const param *p = &r->params[i];
    int64_t n = p->count;
    for (j = i + 1; j < r->n_params && r->params[j].group == p->group; j++) n += r->params[j].count;
    if (p->group == PARAM_MATRIX && f->muon_lr > 0) continue;
    int domain = p->group == PARAM_DOMAIN;
    TRY(op_adamw(r->c, &(op_adamw_args){.w = r->w + p->offset,
                                        .m = r->m1 + p->offset,
                                        .v = r->m2 + p->offset,
                                        .g = r->grad + p->offset,
                                        .n = n,
                                        .lr = (domain ? f->domain_lr : f->lr) * scale,
                                        .beta1 = f->beta1,
                                        .beta2 = f->beta2,
                                        .eps = f->eps,
                                        .decay = domain ? f->domain_decay : f->decay,
                                        .step = r->step + 1,
                                        .scale = r->scalars + 2}));
  }
out:
  return rc;
}

static int update(trainer *r, double grad_norm) {
  int rc = OK;
  const train_config *f = r->cfg;
  double scale = learning_scale(r), clip = f->clip > 0 ? f->clip / (grad_norm + 1e-6) : 1;
  if (clip > 1) clip = 1;
  TRY(write_scalar(r, 2, clip));
  TRY(adamw_steps(r, scale));
  for (int64_t i = 0; f->muon_lr > 0 && i < r->n_params; i++)
    if (r->params[i].group == PARAM_MATRIX) TRY(muon_step(r, &r->params[i], clip, scale));
  if (r->ema) {
    double late = (double)(2 + r->step) / (double)(11 + r->step), d = f->ema < late ? f->ema : late;
    view ema = view_of(r->ema, 1, r->n), w = view_of(r->w, 1, r->n);
    TRY(op_lincomb(r->c, &(op_lincomb_args){.y = ema, .n = 2, .x = {ema, w}, .c = {d, 1 - d}}));
  }
out:
  return rc;
}

/* The model reads the trained reals in the storage type. */
static int store(trainer *r) {
  return r->a ? adapter_store(r->c, r->a) : dit_store(r->c, r->m);
}

static int train_step(trainer *r, double *grad_norm) {
  int rc = OK;
  double loss, square;
  TRY(draw_batch(r));
  TRY(op_fill(r->c, view_of(r->grad, 1, r->n), 0));
  TRY(write_scalar(r, 0, 0));
  TRY(write_scalar(r, 1, 0));
  dit_io io = {.latents = r->latents.p,
               .text = r->text,
               .t = r->t,
               .ofs = NULL,
               .out = r->out.p,
               .level = r->level,
               .pieces = r->level ? TRAIN_PIECES : 1};
  TRY(dit_loss(r->c, r->m, r->a, &r->g, &io, r->target.p, r->scalars));
  TRY(op_sumsq(r->c, r->scalars + 1, r->grad, r->n));
  TRY(read_scalar(r, 0, &loss));
  TRY(read_scalar(r, 1, &square));
  if (!isfinite(loss) || !isfinite(square))
    FAIL(&r->c->err, E_NAN, "step %lld: loss %g, gradient norm %g", (long long)r->step, fabs(loss),
         fabs(sqrt(square)));
  *grad_norm = sqrt(square);
  r->losses[r->step] = (float)loss;
  TRY(update(r, *grad_norm));
  TRY(store(r));
  r->step++;
out:
  return rc;
}

/* Where RGB rows are the base model's own, their loss is a constant: it is left out, and so are segments that nothing
 * trained looks at (the RGB sequence of a batch design without exchange). */
static void leave_out_constants(layout *l) {
  layout from = *l;
  int need[LAYOUT_SEGMENTS] = {0}, at[LAYOUT_SEGMENTS], n = 0;
  if (l->streams == 1 || !l->rgb_is_base) return;
  l->loss_rgb = 0;
  for (int s = 0; s < from.n_seg; s++) need[s] = from.seg[s].kind == SEG_VIDEO && from.seg[s].stream == STREAM_ALPHA;
  for (int pass = 0; pass < from.n_seg; pass++)
    for (int q = 0; q < from.n_seg; q++)
      for (int k = 0; k < from.n_seg; k++) need[k] |= need[q] && from.sees[q][k];
  for (int s = 0; s < from.n_seg; s++)
    if (need[s]) at[n++] = s;
  l->n_seg = n;
  for (int q = 0; q < n; q++) {
    l->seg[q] = from.seg[at[q]];
    for (int k = 0; k < n; k++) {
      l->sees[q][k] = from.sees[at[q]][at[k]];
      l->bias[q][k] = from.bias[at[q]][at[k]];
    }
  }
}

static int open_trainer(trainer *r, const design *d) {
  int rc = OK;
  ctx *c = r->c;
  design base;
  size_t bytes;
  TRY(design_parse(&c->err, "base", &base));
  design_layout(d ? d : &base, &r->l);
  if (d) leave_out_constants(&r->l);
  r->half = (int64_t)r->data->frames * r->data->channels * r->data->height * r->data->width;
  r->whole = r->half * r->l.streams;
  r->w = r->a ? r->a->w : r->m->w;
  r->grad = r->a ? r->a->g : r->m->g;
  r->params = r->a ? r->a->params : r->m->params;
  r->n_params = r->a ? r->a->n_params : r->m->n_params;
  r->n = r->a ? r->a->n_reals : r->m->n_reals;
  r->epoch = -1;
  schedule_abar(r->cfg->snr_shift, r->abar);
  TRY(check(r));
  if (r->cfg->recompute) TRY(mem_new(&c->err, r->m->cfg.layers, 1, "levels", &r->level));
  if (r->level) memset(r->level, 2, (size_t)r->m->cfg.layers);
  TRY(measure(r, &bytes));
  TRY(ctx_arena(c, bytes));
  TRY(take(r));
  TRY(take_moments(r));
  TRY(geom_open(c, r->m, &r->l, (int)r->cfg->batch, r->data->frames, r->data->height, r->data->width, r->data->n_text,
                &r->g));
  TRY(identify(r));
out:
  return rc;
}

static void close_trainer(trainer *r) {
  geom_close(r->c, &r->g);
  if (r->own_moments && r->m1) r->c->ops->release(r->c, r->m1);
  if (r->own_moments && r->m2) r->c->ops->release(r->c, r->m2);
  if (r->ema) r->c->ops->release(r->c, r->ema);
  free(r->stage);
  free(r->stage_target);
  free(r->stage_text);
  free(r->noise);
  free(r->t);
  free(r->level);
  free(r->order);
  free(r->losses);
}

int train_run(ctx *c, dit *m, adapter *a, const design *d, const train_data *data, const train_config *cfg,
              const char *checkpoint, const train_hooks *hooks, train_result *out) {
  int rc = OK;
  trainer r = {.c = c, .m = m, .a = d ? a : NULL, .data = data, .cfg = cfg, .hooks = hooks};
  *out = (train_result){0};
  TRY(open_trainer(&r, d));
  TRY(load_checkpoint(&r, checkpoint));
  TRY(store(&r));
  out->resumed_from = r.step;
  while (r.step < cfg->steps) {
    double norm = 0;
    TRY(train_step(&r, &norm));
    if (hooks && hooks->progress)
      hooks->progress(hooks->user, &(train_progress){r.step, cfg->steps, (double)r.losses[r.step - 1], norm});
    int stop = hooks && hooks->stop && r.step < cfg->steps && hooks->stop(hooks->user);
    if (stop || (cfg->checkpoint_every > 0 && r.step % cfg->checkpoint_every == 0))
      TRY(save_checkpoint(&r, checkpoint));
    if (stop) FAIL(&c->err, E_INTERRUPTED, "stopped after step %lld", (long long)r.step);
  }
  if (r.ema) TRY(op_copy(c, view_of(r.w, 1, r.n), view_of(r.ema, 1, r.n)));
  TRY(store(&r));
  out->steps = r.step;
  out->losses = r.losses;
  r.losses = NULL;
out:
  close_trainer(&r);
  return rc;
}
