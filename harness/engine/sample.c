#include "sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/plan.h"

#define OFS 2.0 /* what the 1.5 image-to-video models were trained with */
#define CHUNK 4 /* clips sampled together: more leave the cache; any number gives the same bits */

sample_config sample_defaults(void) {
  return (sample_config){.sampler = SAMPLER_DDIM,
                         .spacing = SPACING_TRAILING,
                         .steps = 25,
                         .guidance = 3,
                         .cfg = CFG_CONSTANT,
                         .snr_shift = 1};
}

/* One pass of the sampler over one chunk of clips. Latent tensors are [n, streams*F, C, H, W]. */
typedef struct sampler {
  ctx *c;
  const dit *m;
  const adapter *a;
  const sample_config *cfg;
  const sample_request *r;
  layout l;
  geom g;
  int n, both;         /* clips of the chunk; guidance runs two entries a clip */
  int64_t at;          /* first clip of the chunk in the request */
  int64_t half, whole; /* reals of one half, of one clip's tensor */
  int64_t given;       /* reals of a clip in the request's injected noise: all halves of the design */
  int64_t frame, wide; /* reals of a latent frame, and of a frame of the model's input */
  int64_t from, cols;  /* columns of a clip's row that are denoised */
  view x, in, out, v, x0, x0_old, z, text;
  double *t;   /* host [2n] */
  double *ofs; /* host [2n], of models that have it */
  float *host; /* [n * whole] staging */
  real *stage; /* the same as reals */
  double abar[SCHEDULE_STEPS];
} sampler;

static view active(const sampler *s, view v) {
  return view_cols(v, s->from, s->cols);
}

static int take(sampler *s) {
  int rc = OK;
  ctx *c = s->c;
  int entries = s->n * (1 + s->both);
  TRY(ctx_reals(c, s->n, s->whole, "latents", &s->x));
  TRY(ctx_reals(c, entries * s->l.streams * s->r->frames, s->wide, "model input", &s->in));
  TRY(ctx_reals(c, entries, s->whole, "model output", &s->out));
  TRY(ctx_reals(c, s->n, s->whole, "guided prediction", &s->v));
  TRY(ctx_reals(c, s->n, s->whole, "clean estimate", &s->x0));
  TRY(ctx_reals(c, s->n, s->whole, "last clean estimate", &s->x0_old));
  TRY(ctx_reals(c, s->n, s->whole, "step noise", &s->z));
  TRY(ctx_view(c, entries * s->r->n_text, s->r->text_dim, "text", &s->text));
  TRY(mem_new(&c->err, entries, sizeof(double), "time steps", &s->t));
  TRY(mem_new(&c->err, entries, sizeof(double), "ofs", &s->ofs));
  for (int i = 0; i < entries; i++) s->ofs[i] = OFS;
  TRY(mem_new(&c->err, s->n * s->whole, sizeof(float), "staging", &s->host));
  TRY(mem_new(&c->err, s->n * s->whole, sizeof(real), "staging", &s->stage));
out:
  return rc;
}

static int put(sampler *s, const float *from, view to) {
  int64_t n = s->n * s->whole;
  for (int64_t i = 0; i < n; i++) s->stage[i] = (real)from[i];
  return op_upload(s->c, to.p, s->stage, (size_t)n * sizeof(real));
}

static int get(sampler *s, view from, float *to) {
  int rc = OK;
  int64_t n = s->n * s->whole;
  TRY(op_download(s->c, s->stage, from.p, (size_t)n * sizeof(real)));
  for (int64_t i = 0; i < n; i++) to[i] = (float)s->stage[i];
out:
  return rc;
}

static int put_text(sampler *s) {
  int rc = OK;
  const sample_request *r = s->r;
  int64_t rows = r->n_text * r->text_dim, entries = s->n * (1 + s->both);
  real *buf = NULL;
  TRY(mem_new(&s->c->err, entries * rows, sizeof(real), "text staging", &buf));
  for (int64_t e = 0; e < entries; e++) {
    const float *src = s->both && e < s->n ? r->null_text : r->text + (s->at + e % s->n) * rows;
    for (int64_t i = 0; i < rows; i++) buf[e * rows + i] = (real)src[i];
  }
  TRY(ctx_put(s->c, s->text, buf));
out:
  free(buf);
  return rc;
}

/* The columns of the model's input that no step changes: the image in the first frame of each half, zeros after it.
 */
static int put_image(sampler *s) {
  int rc = OK;
  const int64_t n = s->wide - s->frame, frames = s->r->frames, rows = s->n * s->l.streams * frames;
  real *buf = NULL;
  view fixed = view_cols(s->in, s->frame, n);
  if (n == 0) return OK;
  TRY(op_fill(s->c, fixed, 0));
  TRY(mem_new(&s->c->err, n, sizeof(real), "image latents", &buf));
  for (int64_t i = 0; i < s->n * s->l.streams; i++) {
    const float *from = s->r->image + ((s->at + i / s->l.streams) * 2 + i % s->l.streams) * n;
    for (int64_t k = 0; k < n; k++) buf[k] = (real)from[k];
    for (int e = 0; e <= s->both; e++)
      TRY(op_upload(s->c, view_rows(fixed, i * frames + e * rows, 1).p, buf, (size_t)n * sizeof(real)));
  }
out:
  free(buf);
  return rc;
}

/* Start noise: alpha either repeats the RGB half's (as the released pipeline) or has its own stream. */
static int start(sampler *s) {
  const sample_request *r = s->r;
  for (int64_t i = 0; i < s->n; i++) {
    float *x = s->host + i * s->whole;
    uint64_t seed = r->seeds[s->at + i];
    if (r->start) {
      memcpy(x, r->start + (s->at + i) * s->given, (size_t)s->whole * sizeof(float));
      continue;
    }
    rng_normal((rng){.seed = seed, .stream = RNG_START_RGB}, 0, s->half, x);
    if (s->l.streams == 2) {
      if (s->l.shared_start)
        memcpy(x + s->half, x, (size_t)s->half * sizeof(float));
      else
        rng_normal((rng){.seed = seed, .stream = RNG_START_ALPHA}, 0, s->half, x + s->half);
    }
  }
  return put(s, s->host, s->x);
}

static int step_noise(sampler *s, int step) {
  const sample_request *r = s->r;
  for (int64_t i = 0; i < s->n; i++) {
    float *z = s->host + i * s->whole;
    if (r->step_noise) {
      memcpy(z, r->step_noise + ((int64_t)step * r->clips + s->at + i) * s->given, (size_t)s->whole * sizeof(float));
      continue;
    }
    for (int plane = 0; plane < s->l.streams; plane++) {
      rng q = {.seed = r->seeds[s->at + i], .stream = RNG_STEP, .sub = (uint32_t)(2 * step + plane)};
      rng_normal(q, 0, s->half, z + plane * s->half);
    }
  }
  return put(s, s->host, s->z);
}

/* v = uncond + w (cond - uncond) */
static int predict(sampler *s, double t, double w) {
  int rc = OK;
  ctx *c = s->c;
  int entries = s->n * (1 + s->both);
  for (int e = 0; e < entries; e++) s->t[e] = t;
  const int64_t rows = s->n * s->l.streams * s->r->frames;
  view noisy = view_cols(s->in, 0, s->frame), x = view_of(s->x.p, rows, s->frame);
  for (int e = 0; e <= s->both; e++) TRY(op_copy(c, view_rows(noisy, e * rows, rows), x));
  dit_io io = {.latents = s->in.p, .text = s->text, .t = s->t, .out = s->out.p};
  if (s->m->cfg.ofs_dim) io.ofs = s->ofs;
  TRY(dit_forward(c, s->m, s->a, &s->g, &io));
  view u = view_rows(s->out, 0, s->n), k = view_rows(s->out, s->n, s->n);
  if (s->both)
    TRY(op_lincomb(c, &(op_lincomb_args){.y = s->v, .n = 2, .x = {u, k}, .c = {1 - w, w}}));
  else
    TRY(op_copy(c, s->v, u));
out:
  return rc;
}

static int update_ddim(sampler *s, double abar, double prev) {
  double a, b;
  schedule_ddim(abar, prev, &a, &b);
  view x = active(s, s->x), x0 = active(s, s->x0);
  return op_lincomb(s->c, &(op_lincomb_args){.y = x, .n = 2, .x = {x, x0}, .c = {a, b}});
}

static int update_dpm(sampler *s, const dpm_coef *k, int step) {
  int rc = OK;
  view x = active(s, s->x), x0 = active(s, s->x0), old = active(s, s->x0_old), z = active(s, s->z);
  TRY(step_noise(s, step));
  int terms = k->second_order ? 4 : 3;
  TRY(op_lincomb(s->c,
                 &(op_lincomb_args){
                     .y = x, .n = terms, .x = {x, x0, z, old}, .c = {k->m1, -k->m2 * k->d0, k->mn, k->m2 * k->d1}}));
  TRY(op_copy(s->c, old, x0));
out:
  return rc;
}

static int watch(sampler *s, int step, int64_t t) {
  int rc = OK;
  float *v = NULL, *clean = NULL;
  if (!s->r->watch) return OK;
  TRY(mem_new(&s->c->err, s->n * s->whole, sizeof(float), "watched prediction", &v));
  TRY(mem_new(&s->c->err, s->n * s->whole, sizeof(float), "watched estimate", &clean));
  TRY(get(s, s->v, v));
  TRY(get(s, s->x0, clean));
  TRY(get(s, s->x, s->host));
  const sample_step seen = {.step = step,
                            .steps = s->cfg->steps,
                            .streams = s->l.streams,
                            .t = t,
                            .v = v,
                            .clean = clean,
                            .latents = s->host};
  TRY(s->r->watch(s->r->user, &seen));
out:
  free(v);
  free(clean);
  return rc;
}

static int diffusion_loop(sampler *s) {
  int rc = OK;
  const sample_config *f = s->cfg;
  int64_t ts[SCHEDULE_STEPS];
  schedule_abar(f->snr_shift, s->abar);
  TRY(schedule_timesteps(&s->c->err, f->spacing, f->steps, ts));
  for (int i = 0; i < f->steps; i++) {
    if (s->r->stop && s->r->stop(s->r->user)) FAIL(&s->c->err, E_INTERRUPTED, "stopped at sampling step %d", i);
    int64_t t = ts[i], prev = t - SCHEDULE_STEPS / f->steps;
    double abar = s->abar[t], abar_prev = prev < 0 ? 1 : s->abar[prev];
    TRY(predict(s, (double)t, schedule_guidance(f->cfg, f->guidance, f->steps, i, t)));
    view x = active(s, s->x), v = active(s, s->v), x0 = active(s, s->x0);
    TRY(op_lincomb(s->c, &(op_lincomb_args){.y = x0, .n = 2, .x = {x, v}, .c = {sqrt(abar), -sqrt(1 - abar)}}));
    if (f->sampler == SAMPLER_DDIM) {
      TRY(update_ddim(s, abar, abar_prev));
    } else {
      dpm_coef k = schedule_dpm(s->abar, t, prev, i ? ts[i - 1] : -1);
      TRY(update_dpm(s, &k, i));
    }
    TRY(watch(s, i, t));
  }
out:
  return rc;
}

/* Flow matching: dx/dsigma = -(z - eps) with the prediction z - eps; sigma from 1 to 0 in equal steps. */
static int flow_loop(sampler *s) {
  int rc = OK;
  const sample_config *f = s->cfg;
  for (int i = 0; i < f->steps; i++) {
    if (s->r->stop && s->r->stop(s->r->user)) FAIL(&s->c->err, E_INTERRUPTED, "stopped at sampling step %d", i);
    double sigma = 1 - (double)i / f->steps, t = (1 - sigma) * SCHEDULE_STEPS;
    TRY(predict(s, t, schedule_guidance(f->cfg, f->guidance, f->steps, i, SCHEDULE_STEPS - 1 - (int64_t)t)));
    view x = active(s, s->x), v = active(s, s->v), x0 = active(s, s->x0);
    if (s->r->watch) TRY(op_lincomb(s->c, &(op_lincomb_args){.y = x0, .n = 2, .x = {x, v}, .c = {1, sigma}}));
    TRY(op_lincomb(s->c, &(op_lincomb_args){.y = x, .n = 2, .x = {x, v}, .c = {1, 1.0 / f->steps}}));
    TRY(watch(s, i, (int64_t)t));
  }
out:
  return rc;
}

static int measure(ctx *c, const dit *m, const adapter *a, const layout *l, const sampler *s, size_t *bytes) {
  plan_cost cost;
  plan_request q = {.cfg = m->cfg,
                    .l = *l,
                    .shape = {.rank = a ? a->rank : 0, .exchange_rank = a ? a->exchange_rank : 0},
                    .storage = c->storage,
                    .batch = s->n * (1 + s->both),
                    .frames = s->r->frames,
                    .height = s->r->height,
                    .width = s->r->width,
                    .n_text = s->r->n_text};
  int rc = plan_measure(&c->err, &q, &cost);
  int64_t entries = s->n * (1 + s->both);
  *bytes = cost.arena +
           (size_t)((5 * s->n + entries) * s->whole + entries * l->streams * s->r->frames * s->wide +
                    entries * s->r->n_text * s->r->text_dim) *
               sizeof(real) +
           16 * (ARENA_ALIGN + 256);
  return rc;
}

static int open_pass(sampler *s, const layout *l, int given_rgb) {
  int rc = OK;
  ctx *c = s->c;
  const sample_request *r = s->r;
  s->l = *l;
  s->frame = (int64_t)s->m->cfg.out_channels * r->height * r->width;
  s->wide = (int64_t)s->m->cfg.in_channels * r->height * r->width;
  s->half = r->frames * s->frame;
  s->whole = s->half * l->streams;
  s->from = given_rgb ? s->half : 0;
  s->cols = s->whole - s->from;
  s->both = s->cfg->guidance > 1;
  size_t bytes;
  TRY(measure(c, s->m, s->a, l, s, &bytes));
  TRY(ctx_arena(c, bytes));
  TRY(take(s));
  TRY(put_text(s));
  TRY(put_image(s));
  TRY(geom_open(c, s->m, l, s->n * (1 + s->both), r->frames, r->height, r->width, r->n_text, &s->g));
out:
  return rc;
}

static void close_pass(sampler *s) {
  geom_close(s->c, &s->g);
  free(s->t);
  free(s->ofs);
  free(s->host);
  free(s->stage);
  s->t = s->ofs = NULL;
  s->host = NULL;
  s->stage = NULL;
}

static int loop(sampler *s) {
  return s->cfg->sampler == SAMPLER_EULER ? flow_loop(s) : diffusion_loop(s);
}

/* Runs one layout over the chunk; with `rgb_given` the RGB half is the finished clip and stays as it is. */
static int run_pass(sampler *s, const layout *l, const float *rgb_given, float *rgb, float *alpha) {
  int rc = OK;
  TRY(open_pass(s, l, rgb_given != NULL));
  TRY(start(s));
  if (rgb_given) {
    TRY(get(s, s->x, s->host));
    for (int64_t i = 0; i < s->n; i++)
      memcpy(s->host + i * s->whole, rgb_given + i * s->half, (size_t)s->half * sizeof(float));
    TRY(put(s, s->host, s->x));
  }
  TRY(loop(s));
  TRY(get(s, s->x, s->host));
  for (int64_t i = 0; i < s->n; i++) {
    const float *x = s->host + i * s->whole;
    if (!rgb_given && rgb) memcpy(rgb + i * s->half, x, (size_t)s->half * sizeof(float));
    if (alpha && l->streams == 2) memcpy(alpha + i * s->half, x + s->half, (size_t)s->half * sizeof(float));
  }
out:
  close_pass(s);
  return rc;
}

static int base_layout(err *e, layout *out) {
  design d;
  int rc = design_parse(e, "base", &d);
  if (rc == OK) design_layout(&d, out);
  return rc;
}

static int check(ctx *c, const sample_config *cfg, const sample_request *r, const dit *m) {
  if (r->clips < 1 || cfg->steps < 1 || cfg->steps > SCHEDULE_STEPS)
    return err_set(&c->err, E_ARG, "sample: %lld clips, %d steps", (long long)r->clips, cfg->steps);
  if (m->cfg.in_channels < m->cfg.out_channels)
    return err_set(&c->err, E_UNSUPPORTED, "sample: a model of %d input and %d output channels", m->cfg.in_channels,
                   m->cfg.out_channels);
  if (m->cfg.in_channels > m->cfg.out_channels && !r->image)
    return err_set(&c->err, E_ARG, "sample: an image-to-video model (%d input channels) needs an image",
                   m->cfg.in_channels);
  if (m->cfg.in_channels == m->cfg.out_channels && r->image)
    return err_set(&c->err, E_ARG, "sample: a text-to-video model (%d input channels) takes no image",
                   m->cfg.in_channels);
  if (r->text_dim != m->cfg.text_dim)
    return err_set(&c->err, E_SHAPE, "sample: text rows are %lld wide, the model wants %d", (long long)r->text_dim,
                   m->cfg.text_dim);
  return OK;
}

int sample_run(ctx *c, const dit *m, const adapter *a, const design *d, const sample_config *cfg,
               const sample_request *r, float *rgb, float *alpha) {
  int rc = OK;
  layout l, base;
  design_layout(d, &l);
  TRY(check(c, cfg, r, m));
  TRY(base_layout(&c->err, &base));
  int64_t half = (int64_t)r->frames * m->cfg.out_channels * r->height * r->width;
  for (int64_t at = 0; at < r->clips; at += CHUNK) {
    sampler s = {.c = c, .m = m, .a = a, .cfg = cfg, .r = r, .at = at, .given = half * l.streams};
    s.n = (int)(r->clips - at < CHUNK ? r->clips - at : CHUNK);
    float *to_rgb = rgb + at * half, *to_alpha = alpha ? alpha + at * half : NULL;
    if (l.two_pass) {
      s.a = NULL;
      TRY(run_pass(&s, &base, NULL, to_rgb, NULL));
      s.a = a;
    }
    TRY(run_pass(&s, &l, l.two_pass ? to_rgb : NULL, to_rgb, to_alpha));
  }
out:
  return rc;
}
