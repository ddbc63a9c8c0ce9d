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
  dit_io io = {
      .latents = latents, .text = rows, .t = d->t, .ofs = d->t, .out = out, .level = r->level, .pieces = r->pieces};
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
