#include "model/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

typedef struct dry {
  ctx c;
  dit m;
  adapter a;
  geom g;
  double *t;
  size_t kept;
} dry;

static int run(dry *d, const plan_request *r) {
  int rc = OK;
  ctx *c = &d->c;
  TRY(mem_new(&c->err, r->batch, sizeof(double), "time steps", &d->t));
  view rows;
  void *latents, *out, *target, *loss;
  TRY(ctx_view(c, r->batch * r->n_text, r->cfg.text_dim, "text", &rows));
  int64_t half = (int64_t)r->batch * r->l.streams * r->frames * r->height * r->width;
  TRY(arena_take(&c->mem, &c->err, half * r->cfg.in_channels, sizeof(real), "latents", &latents));
  TRY(arena_take(&c->mem, &c->err, half * r->cfg.out_channels, sizeof(real), "output", &out));
  TRY(arena_take(&c->mem, &c->err, 1, sizeof(double), "loss", &loss));
  dit_io io = {.latents = latents,
               .text = rows,
               .t = d->t,
               .ofs = d->t,
               .out = out,
               .level = r->level,
               .pieces = r->pieces,
               .kept = &d->kept};
  memset(c->count, 0, sizeof c->count);
  if (!r->train) {
    TRY(dit_forward(c, &d->m, &d->a, &d->g, &io));
    goto out;
  }
  TRY(arena_take(&c->mem, &c->err, half * r->cfg.out_channels, sizeof(real), "target", &target));
  TRY(dit_loss(c, &d->m, &d->a, &d->g, &io, target, loss));
out:
  return rc;
}

static void count_memory(const dry *d, const plan_request *r, plan_bytes *b) {
  size_t n = (size_t)d->a.n_reals, narrow = d->c.storage == DT_REAL ? 0 : (size_t)dtype_size(d->c.storage);
  size_t model = (size_t)d->m.n_reals;
  if (r->train && r->base)
    n = model;
  else
    b->weights = model * (narrow ? narrow : sizeof(real));
  b->masters = n * sizeof(real);
  b->copies = n * narrow;
  if (r->train) {
    b->gradients = n * sizeof(real);
    b->moments = 2 * n * sizeof(real);
    b->kept = d->kept;
  }
  b->working = d->c.mem.peak - b->kept;
  b->tables = d->g.store_bytes;
  b->workspace = PLAN_WORKSPACE;
  b->total = b->weights + b->masters + b->copies + b->gradients + b->moments + b->kept + b->working + b->tables +
             b->workspace;
}

int plan_measure(err *e, const plan_request *r, plan_cost *out) {
  int rc = OK;
  dry d = {0};
  *out = (plan_cost){0};
  adapter_shape shape = r->shape;
  shape.trainable = r->train;
  TRY(ctx_open(&d.c, &(ctx_options){.backend = "null", .storage = r->storage}));
  TRY(ctx_arena(&d.c, 0));
  TRY(dit_open(&d.c, &r->cfg, r->train && r->base, &d.m));
  TRY(adapter_open(&d.c, &d.m, &r->l, &shape, &d.a));
  TRY(geom_open(&d.c, &d.m, &r->l, r->batch, r->frames, r->height, r->width, r->n_text, &d.g));
  TRY(run(&d, r));
  out->arena = d.c.mem.peak;
  count_memory(&d, r, &out->memory);
  out->params = d.m.n_reals;
  out->trained = r->base ? d.m.n_reals : d.a.n_reals;
  memcpy(out->count, d.c.count, sizeof out->count);
  for (int i = 0; i < OP_COUNT; i++) {
    out->flops += d.c.count[i].flops;
    out->bytes += d.c.count[i].bytes;
  }
out:
  if (rc != OK) err_set(e, d.c.err.code, "%s", d.c.err.text);
  geom_close(&d.c, &d.g);
  adapter_close(&d.c, &d.a);
  dit_close(&d.c, &d.m);
  free(d.t);
  ctx_close(&d.c);
  return rc;
}

/* The first n0 blocks keep everything, up to n1 also their attention output, the rest their input. */
static int try_levels(err *e, plan_request *r, unsigned char *level, const int n[2], plan_cost *out) {
  for (int i = 0; i < r->cfg.layers; i++) level[i] = i < n[0] ? 0 : i < n[1] ? 1 : 2;
  return plan_measure(e, r, out);
}

int plan_fit(err *e, const plan_request *r, size_t budget, unsigned char *level, plan_cost *out, int *fits) {
  int rc = OK, layers = r->cfg.layers, n[2] = {layers, layers};
  plan_request q = *r;
  q.train = 1;
  q.level = level;
  q.pieces = PLAN_PIECES;
  *fits = 1;
  TRY(try_levels(e, &q, level, n, out));
  if (out->memory.total <= budget) goto out;
  n[0] = n[1] = 0;
  TRY(try_levels(e, &q, level, n, out));
  *fits = out->memory.total <= budget;
  for (int k = 1; k >= 0 && *fits && (k || n[1] == layers); k--) {
    int low = 0, high = layers; /* low fits */
    while (low < high) {
      n[k] = (low + high + 1) / 2;
      TRY(try_levels(e, &q, level, n, out));
      if (out->memory.total <= budget)
        low = n[k];
      else
        high = n[k] - 1;
    }
    n[k] = low;
  }
  TRY(try_levels(e, &q, level, n, out));
out:
  return rc;
}
