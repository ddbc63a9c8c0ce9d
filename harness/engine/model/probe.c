#include "model/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/plan.h"

typedef struct probe {
  ctx *c;
  const dit *m;
  const geom *g;
  st_writer *out;
  int entries;   /* sequences a sample */
  view head_rgb; /* norm_out rows of the RGB half, kept until the alpha half's come */
} probe;

static int64_t rows_of_entry(const probe *p, int entry, int video_only) {
  int64_t n = 0;
  for (int s = 0; s < p->g->l.n_seg; s++)
    if (p->g->l.seg[s].entry == entry && !(video_only && p->g->l.seg[s].kind == SEG_TEXT)) n += p->g->seg_rows[s];
  return n;
}

static int add(const probe *p, const char *name, int rank, const int64_t *shape, const real *data) {
  return st_writer_add_real(p->out, &p->c->err, name, DT_F32, rank, shape, data);
}

/* Batch-matrix rows -> [entries * B, rows of an entry, D]. */
static int add_rows(const probe *p, const char *name, const real *rows, int64_t d) {
  int rc = OK;
  const geom *g = p->g;
  int64_t per = rows_of_entry(p, 0, 0), at = 0;
  real *buf = NULL;
  TRY(mem_new(&p->c->err, g->rows * d, sizeof(real), name, &buf));
  for (int e = 0; e < p->entries; e++)
    for (int64_t b = 0; b < g->batch; b++)
      for (int s = 0; s < g->l.n_seg; s++) {
        if (g->l.seg[s].entry != e) continue;
        int64_t n = g->seg_rows[s];
        memcpy(buf + at * d, rows + (g->seg_at[s] + b * n) * d, (size_t)(n * d) * sizeof(real));
        at += n;
      }
  TRY(add(p, name, 3, (int64_t[]){p->entries * g->batch, per, d}, buf));
out:
  free(buf);
  return rc;
}

/* norm_out comes half by half, [B * n_video, D] each: one sequence interleaves the halves, two keep them apart. */
static int add_head(const probe *p, const real *rgb, const real *alpha, int64_t d) {
  int rc = OK;
  const geom *g = p->g;
  int64_t n = g->n_video * d, at = 0;
  real *buf = NULL;
  int halves = (rgb != NULL) + (alpha != NULL);
  int joint = p->entries == 1 && halves == 2;
  TRY(mem_new(&p->c->err, halves * g->batch * n, sizeof(real), "norm_out", &buf));
  for (int outer = 0; outer < (joint ? 1 : halves); outer++)
    for (int64_t b = 0; b < g->batch; b++)
      for (int inner = 0; inner < (joint ? halves : 1); inner++) {
        int half = joint ? inner : outer;
        const real *src = half == 0 && rgb ? rgb : alpha;
        memcpy(buf + at, src + b * n, (size_t)n * sizeof(real));
        at += n;
      }
  int64_t rows = g->n_video * (joint ? 2 : 1);
  TRY(add(p, "norm_out", 3, (int64_t[]){halves * g->batch * g->n_video / rows, rows, d}, buf));
out:
  free(buf);
  return rc;
}

static int on_trace(void *user, const char *name, view v) {
  int rc = OK;
  probe *p = user;
  real *host = NULL;
  TRY(mem_new(&p->c->err, v.rows * v.cols, sizeof(real), name, &host));
  TRY(ctx_get(p->c, host, v));
  if (!strcmp(name, "time_emb")) {
    TRY(add(p, name, 2, (int64_t[]){p->g->batch, v.cols}, host));
  } else if (!strcmp(name, "norm_out")) {
    p->head_rgb = view_of(host, v.rows, v.cols);
    host = NULL;
    if (p->g->l.streams == 1 || p->g->l.widened) TRY(add_head(p, p->head_rgb.p, NULL, v.cols));
  } else if (!strcmp(name, "norm_out.alpha")) {
    TRY(add_head(p, p->head_rgb.p, host, v.cols));
  } else {
    TRY(add_rows(p, name, host, v.cols));
  }
out:
  free(host);
  return rc;
}

typedef struct inputs {
  const st_tensor *latents, *text, *t, *ofs;
  int batch, frames; /* frames of one half */
} inputs;

static int need_rank(err *e, const st_file *f, const char *name, int rank, const st_tensor **out) {
  int rc = st_need(e, f, name, -1, NULL, out);
  if (rc != OK) return rc;
  if ((*out)->rank != rank)
    return err_set(e, E_SHAPE, "%s: %s has %d dimensions, %d are needed", st_path(f), name, (*out)->rank, rank);
  return OK;
}

static int read_inputs(const probe *p, const layout *l, const st_file *f, inputs *in) {
  int rc = OK;
  err *e = &p->c->err;
  const dit_config *cfg = &p->m->cfg;
  TRY(need_rank(e, f, "in.latents", 5, &in->latents));
  TRY(need_rank(e, f, "in.text", 3, &in->text));
  TRY(need_rank(e, f, "in.timestep", 1, &in->t));
  const int64_t *z = in->latents->shape;
  if (z[2] != cfg->in_channels)
    FAIL(e, E_SHAPE, "%s: in.latents has %lld channels, the model wants %d", st_path(f), (long long)z[2],
         cfg->in_channels);
  if (z[1] % l->streams)
    FAIL(e, E_SHAPE, "%s: in.latents has %lld frames; RGB and alpha halves need an even number", st_path(f),
         (long long)z[1]);
  if (in->text->shape[0] != z[0] || in->t->shape[0] != z[0] || in->text->shape[2] != cfg->text_dim)
    FAIL(e, E_SHAPE, "%s: in.text is [%lld,%lld,%lld] and in.timestep [%lld]; want [%lld,T,%d] and [%lld]",
         st_path(f), (long long)in->text->shape[0], (long long)in->text->shape[1], (long long)in->text->shape[2],
         (long long)in->t->shape[0], (long long)z[0], cfg->text_dim, (long long)z[0]);
  if (cfg->ofs_dim) TRY(st_need(e, f, "in.ofs", 1, z, &in->ofs));
  if (z[0] > 4096 || z[1] > 65536 || z[3] > 65536 || z[4] > 65536)
    FAIL(e, E_SHAPE, "%s: in.latents [%lld,%lld,%lld,%lld,%lld] is too large", st_path(f), (long long)z[0],
         (long long)z[1], (long long)z[2], (long long)z[3], (long long)z[4]);
  in->batch = (int)z[0];
  in->frames = (int)(z[1] / l->streams);
out:
  return rc;
}

static int upload(ctx *c, const st_tensor *t, view dst) {
  int rc = OK;
  real *host = NULL;
  TRY(mem_new(&c->err, t->count, sizeof(real), t->name, &host));
  TRY(st_read_real(&c->err, t, host));
  TRY(ctx_put(c, dst, host));
out:
  free(host);
  return rc;
}

static int run(probe *p, const adapter *a, const inputs *in, int trace) {
  int rc = OK;
  ctx *c = p->c;
  err *e = &c->err;
  const int64_t *z = in->latents->shape;
  int64_t n_out = in->latents->count / z[2] * p->m->cfg.out_channels;
  double *t = NULL, *ofs = NULL;
  real *host = NULL;
  void *latents, *out;
  view rows;
  TRY(arena_take(&c->mem, e, in->latents->count, sizeof(real), "latents", &latents));
  TRY(arena_take(&c->mem, e, n_out, sizeof(real), "output", &out));
  TRY(ctx_view(c, in->batch * in->text->shape[1], in->text->shape[2], "text", &rows));
  TRY(upload(c, in->latents, view_of(latents, 1, in->latents->count)));
  TRY(upload(c, in->text, rows));
  TRY(mem_new(e, in->batch, sizeof(double), "time steps", &t));
  TRY(mem_new(e, in->batch, sizeof(double), "ofs", &ofs));
  for (int b = 0; b < in->batch; b++) {
    t[b] = dtype_get(in->t->type, in->t->data, b);
    if (in->ofs) ofs[b] = dtype_get(in->ofs->type, in->ofs->data, b);
  }
  dit_io io = {.latents = latents, .text = rows, .t = t, .ofs = in->ofs ? ofs : NULL, .out = out};
  if (trace) {
    io.trace = on_trace;
    io.user = p;
  }
  TRY(dit_forward(c, p->m, a, p->g, &io));
  TRY(mem_new(e, n_out, sizeof(real), "output", &host));
  TRY(op_download(c, host, out, (size_t)n_out * sizeof(real)));
  TRY(add(p, "output", 5, (int64_t[]){z[0], z[1], p->m->cfg.out_channels, z[3], z[4]}, host));
out:
  free(t);
  free(ofs);
  free(host);
  return rc;
}

int probe_forward(ctx *c, const dit *m, const adapter *a, const layout *l, const st_file *in, int trace,
                  st_writer *out) {
  int rc = OK;
  geom g = {0};
  probe p = {.c = c, .m = m, .g = &g, .out = out, .entries = 1};
  inputs i = {0};
  plan_cost cost;
  for (int s = 0; s < l->n_seg; s++)
    if (l->seg[s].entry + 1 > p.entries) p.entries = l->seg[s].entry + 1;
  TRY(read_inputs(&p, l, in, &i));
  plan_request q = {.cfg = m->cfg,
                    .l = *l,
                    .shape = {.rank = a ? a->rank : 0, .exchange_rank = a ? a->exchange_rank : 0},
                    .storage = c->storage,
                    .batch = i.batch,
                    .frames = i.frames,
                    .height = (int)i.latents->shape[3],
                    .width = (int)i.latents->shape[4],
                    .n_text = i.text->shape[1]};
  TRY(plan_measure(&c->err, &q, &cost));
  TRY(ctx_arena(c, cost.arena + (1 << 16)));
  TRY(geom_open(c, m, l, i.batch, i.frames, q.height, q.width, q.n_text, &g));
  TRY(run(&p, a, &i, trace));
out:
  free(p.head_rgb.p);
  geom_close(c, &g);
  return rc;
}
