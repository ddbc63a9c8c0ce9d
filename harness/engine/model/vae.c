/* The VAE's tensors: names, shapes, memory, files. What they compute is in vae_run.c. */
#include "model/vae.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/params.h"
#include "model/vae_net.h"

/* Declared twice in the same order: first to collect names and shapes, then to set the views. */
typedef struct lister {
  param_list p;
  const vae *v;  /* NULL in the first pass */
  int64_t i, at; /* tensor, and reals before it in memory */
} lister;

/* Kernels of 3 x 3 lie in memory as op_conv3d wants them; everything else as in the file. */
static int is_kernel(const param *p) {
  return p->rank >= 4 && p->shape[p->rank - 1] == 3;
}

static int kernel_frames(const param *p) {
  return p->rank == 5 ? (int)p->shape[2] : 1;
}

static int64_t reals_of(const param *p) {
  if (!is_kernel(p)) return p->count;
  return op_conv3d_w_rows(p->shape[0], p->shape[1], kernel_frames(p)) * CONV_PANEL;
}

static vae_part part_of(const param *p) {
  return !strncmp(p->name, "decoder.", 8) || !strncmp(p->name, "post_quant", 10) ? VAE_DECODER : VAE_ENCODER;
}

static int held(const vae *v, const param *p) {
  return (v->parts & (unsigned)part_of(p)) != 0;
}

static view view_in(const vae *v, const param *p, int64_t at) {
  if (is_kernel(p)) return view_of(v->w + at, reals_of(p) / CONV_PANEL, CONV_PANEL);
  return p->rank == 1 ? view_of(v->w + at, 1, p->count) : view_of(v->w + at, p->shape[0], p->count / p->shape[0]);
}

static void add(lister *l, view *slot, int rank, const int64_t *shape, const char *name) {
  if (!l->v) {
    params_add(&l->p, NULL, NULL, PARAM_PLAIN, rank, shape, "%s", name);
    return;
  }
  const param *p = &l->v->params[l->i++];
  if (!held(l->v, p)) return;
  *slot = view_in(l->v, p, l->at);
  l->at += reals_of(p);
}

enum { NAME = sizeof((param *)0)->name };

static void join(char out[NAME], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void join(char out[NAME], const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(out, NAME, fmt, ap);
  va_end(ap);
}

static void add_vector(lister *l, view *slot, int64_t n, const char *base, const char *tail) {
  char name[NAME];
  join(name, "%s.%s", base, tail);
  add(l, slot, 1, &n, name);
}

/* kt frames of k x k; kt 0: a kernel without a time axis. */
static void add_conv(lister *l, vae_conv *c, const int64_t io[2], int kt, int k, const char *name) {
  char key[NAME];
  int64_t shape[5] = {io[1], io[0], kt, k, k}, flat[4] = {io[1], io[0], k, k};
  c->kt = kt ? kt : 1;
  join(key, "%s.weight", name);
  add(l, &c->w, kt ? 5 : 4, kt ? shape : flat, key);
  add_vector(l, &c->b, io[1], name, "bias");
}

static void add_norm(lister *l, vae_norm *n, int width, int latent, double eps, const char *name) {
  char key[NAME];
  n->eps = eps;
  join(key, latent ? "%s.norm_layer" : "%s", name);
  add_vector(l, &n->w, width, key, "weight");
  add_vector(l, &n->b, width, key, "bias");
  if (!latent) return;
  join(key, "%s.conv_y.conv", name);
  add_conv(l, &n->scale, (int64_t[]){latent, width}, 1, 1, key);
  join(key, "%s.conv_b.conv", name);
  add_conv(l, &n->shift, (int64_t[]){latent, width}, 1, 1, key);
}

/* The reference fixes the epsilon of conditioned norms and takes the config's for the others. */
#define FIXED_EPS 1e-6

static void add_res(lister *l, vae_res *b, const vae_config *c, int latent, const char *name) {
  char key[NAME];
  double eps = latent ? FIXED_EPS : c->norm_eps;
  join(key, "%s.norm1", name);
  add_norm(l, &b->norm1, b->in, latent, eps, key);
  join(key, "%s.conv1.conv", name);
  add_conv(l, &b->conv1, (int64_t[]){b->in, b->out}, 3, 3, key);
  join(key, "%s.norm2", name);
  add_norm(l, &b->norm2, b->out, latent, eps, key);
  join(key, "%s.conv2.conv", name);
  add_conv(l, &b->conv2, (int64_t[]){b->out, b->out}, 3, 3, key);
  if (b->in == b->out) return;
  join(key, "%s.conv_shortcut", name);
  add_conv(l, &b->shortcut, (int64_t[]){b->in, b->out}, 1, 1, key);
}

static void add_half(lister *l, vae_half *h, const vae_config *c) {
  char key[NAME];
  const char *side = h->encoder ? "encoder" : "decoder", *dir = h->encoder ? "down" : "up";
  int latent = h->encoder ? 0 : c->latent_channels, last = c->blocks - 1, width = c->channels[h->encoder ? 0 : last];
  int inner = c->channels[last];
  join(key, "%s.conv_in.conv", side);
  add_conv(l, &h->conv_in, (int64_t[]){h->encoder ? c->in_channels : latent, width}, 3, 3, key);
  for (int s = 0; s < h->stages; s++) {
    int out = c->channels[h->encoder ? s : last - s];
    for (int i = 0; i < h->layers; i++) {
      h->stage[s][i].in = i ? out : width;
      h->stage[s][i].out = out;
      join(key, "%s.%s_blocks.%d.resnets.%d", side, dir, s, i);
      add_res(l, &h->stage[s][i], c, latent, key);
    }
    width = out;
    if (s == last) continue;
    join(key, "%s.%s_blocks.%d.%ssamplers.0.conv", side, dir, s, dir);
    add_conv(l, &h->sample[s], (int64_t[]){out, out}, 0, 3, key);
  }
  for (int i = 0; i < 2; i++) {
    h->mid[i].in = h->mid[i].out = inner;
    join(key, "%s.mid_block.resnets.%d", side, i);
    add_res(l, &h->mid[i], c, latent, key);
  }
  join(key, "%s.norm_out", side);
  add_norm(l, &h->norm_out, width, latent, FIXED_EPS, key);
  join(key, "%s.conv_out.conv", side);
  add_conv(l, &h->conv_out, (int64_t[]){width, h->encoder ? 2 * c->latent_channels : c->out_channels}, 3, 3, key);
}

static void declare(lister *l, const vae_config *c, vae_net *n) {
  const int64_t moments = 2 * c->latent_channels, latents = c->latent_channels;
  add_half(l, &n->enc, c);
  add_half(l, &n->dec, c);
  if (c->quant_conv) add_conv(l, &n->enc.quant, (int64_t[]){moments, moments}, 1, 1, "quant_conv");
  if (c->post_quant_conv) add_conv(l, &n->dec.quant, (int64_t[]){latents, latents}, 1, 1, "post_quant_conv");
}

static int open_net(ctx *c, const vae_config *cfg, vae_net **out) {
  int rc = OK;
  TRY(mem_new(&c->err, 1, sizeof **out, "VAE", out));
  vae_net *n = *out;
  n->enc = (vae_half){.encoder = 1, .stages = cfg->blocks, .layers = cfg->layers};
  n->dec = (vae_half){.stages = cfg->blocks, .layers = cfg->layers + 1};
  TRY(mem_new(&c->err, (int64_t)cfg->blocks * (2 * cfg->layers + 1), sizeof(vae_res), "VAE blocks", &n->store));
  vae_res *at = n->store;
  for (int s = 0; s < cfg->blocks; s++) {
    n->enc.stage[s] = at;
    n->dec.stage[s] = at + n->enc.layers;
    at += n->enc.layers + n->dec.layers;
  }
out:
  return rc;
}

int vae_open(ctx *c, const vae_config *cfg, unsigned parts, vae *out) {
  int rc = OK;
  *out = (vae){.cfg = *cfg, .parts = parts};
  vae *v = out;
  lister names = {.p = {.e = &c->err}};
  TRY(open_net(c, cfg, &v->net));
  declare(&names, cfg, v->net);
  TRY(params_end(&names.p));
  v->params = names.p.param;
  v->n_params = names.p.n;
  v->n_file_reals = names.p.reals;
  for (int64_t i = 0; i < v->n_params; i++)
    if (held(v, &v->params[i])) v->n_reals += reals_of(&v->params[i]);
  TRY(c->ops->alloc(c, (size_t)v->n_reals * sizeof(real), (void **)&v->w));
  lister views = {.v = v};
  declare(&views, cfg, v->net);
out:
  if (rc != OK) vae_close(c, v);
  return rc;
}

void vae_close(ctx *c, vae *v) {
  if (v->w) c->ops->release(c, v->w);
  if (v->net) free(v->net->store);
  free(v->net);
  free(v->params);
  *v = (vae){0};
}

/* [out, in, kt, 3, 3] of the file -> panels of op_conv3d; `to` is all zeros. */
static void arrange(const param *p, const real *from, real *to) {
  const int64_t out = p->shape[0], in = p->shape[1], taps = 9 * kernel_frames(p);
  for (int64_t o = 0; o < out; o++)
    for (int64_t i = 0; i < in; i++)
      for (int64_t t = 0; t < taps; t++)
        to[((o / CONV_PANEL * taps + t) * in + i) * CONV_PANEL + o % CONV_PANEL] = from[(o * in + i) * taps + t];
}

static int load_one(ctx *c, vae *v, const param *p, const st_tensor *t, int64_t at) {
  int rc = OK;
  err *e = &c->err;
  real *file = NULL, *panels = NULL;
  TRY(mem_new(e, p->count, sizeof(real), p->name, &file));
  TRY(st_read_real(e, t, file));
  if (is_kernel(p)) {
    TRY(mem_new(e, reals_of(p), sizeof(real), p->name, &panels));
    arrange(p, file, panels);
  }
  TRY(op_upload(c, v->w + at, panels ? panels : file, (size_t)reals_of(p) * sizeof(real)));
out:
  free(file);
  free(panels);
  return rc;
}

/* What the shapes say about the config, so that a wrong config is named as such. */
static void compare_shapes(const vae_config *c, const st_file *f, disagreement *d) {
  char name[NAME], key[32];
  shape_compare(d, "latent_channels", c->latent_channels, shape_axis(f, "decoder.conv_in.conv.weight", 5, 1),
                "decoder.conv_in.conv.weight");
  shape_compare(d, "in_channels", c->in_channels, shape_axis(f, "encoder.conv_in.conv.weight", 5, 1),
                "encoder.conv_in.conv.weight");
  shape_compare(d, "out_channels", c->out_channels, shape_axis(f, "decoder.conv_out.conv.weight", 5, 0),
                "decoder.conv_out.conv.weight");
  const int64_t blocks = shape_blocks(f, "encoder.down_blocks."),
                layers = shape_blocks(f, "encoder.down_blocks.0.resnets.");
  shape_compare(d, "the length of block_out_channels", c->blocks, blocks ? blocks : -1, "encoder.down_blocks");
  shape_compare(d, "layers_per_block", c->layers, layers ? layers : -1, "encoder.down_blocks.0.resnets");
  for (int i = 0; i < c->blocks; i++) {
    join(name, "encoder.down_blocks.%d.resnets.0.conv2.conv.weight", i);
    snprintf(key, sizeof key, "block_out_channels[%d]", i);
    shape_compare(d, key, c->channels[i], shape_axis(f, name, 5, 0), name);
  }
}

int vae_load(ctx *c, vae *v, const st_file *const *files, int n) {
  int rc = OK;
  int64_t at = 0;
  disagreement d = {.n = 0};
  rc = params_check(&c->err, v->params, v->n_params, files, n, 1);
  if (n > 0) compare_shapes(&v->cfg, files[0], &d);
  TRY(shape_verdict(&c->err, rc, &d, "the config", n > 0 ? files[0] : NULL));
  for (int64_t i = 0; i < v->n_params; i++) {
    const param *p = &v->params[i];
    if (!held(v, p)) continue;
    TRY(load_one(c, v, p, params_find(files, n, p->name), at));
    at += reals_of(p);
  }
out:
  return rc;
}
