#include "model/vae_run.h"

#include <stdio.h>

#include "base/mem.h"

int vae_slot_view(vae_run *r, vae_slot s, int64_t rows, int64_t cols, view *out) {
  int64_t n;
  if (__builtin_mul_overflow(rows, cols, &n) || n > r->have[s])
    return err_set(&r->c->err, E_NOMEM, "VAE: %lld rows of %lld channels are more than planned", (long long)rows,
                   (long long)cols);
  if (n > r->need[s]) r->need[s] = n;
  *out = view_of(r->slot[s], rows, cols);
  return OK;
}

int vae_run_tick(vae_run *r) {
  double flops = -r->flops_before;
  if (!r->o->tick || r->c->ops->is_null) return OK;
  for (int i = 0; i < OP_COUNT; i++) flops += r->c->count[i].flops;
  r->tick.done = flops;
  return r->o->tick(r->o->user, &r->tick) ? err_set(&r->c->err, E_INTERRUPTED, "stopped") : OK;
}

static int64_t plane(const vae_run *r) {
  return (int64_t)r->height * r->width;
}
static int64_t rows(const vae_run *r) {
  return r->frames * plane(r);
}
static vae_slot other_slot(const vae_run *r) {
  return r->main == SLOT_A ? SLOT_B : SLOT_A;
}
static void swap(vae_run *r) {
  r->main = other_slot(r);
}
static int main_view(vae_run *r, int other, int64_t cols, view *out) {
  return vae_slot_view(r, other ? other_slot(r) : r->main, rows(r), cols, out);
}

static int trace(vae_run *r, view v, const char *fmt, int i) {
  char name[64];
  int n = snprintf(name, sizeof name, "%s.", r->net->encoder ? "encoder" : "decoder");
  if (!r->o->trace || r->c->ops->is_null) return OK;
  snprintf(name + n, sizeof name - (size_t)n, fmt, i);
  return r->o->trace(r->o->user, name, v, r->frames, r->height, r->width);
}

/* y = a product of single pixels. */
static int mix(vae_run *r, const vae_conv *k, view x, view y) {
  return op_gemm(r->c, &(op_gemm_args){.a = x, .b = k->w, .c = y, .tb = 1, .alpha = 1, .bias = k->b});
}

/* Keeps the last two frames of `past` followed by x. */
static int remember(vae_run *r, view x, view past) {
  int rc = OK;
  const int64_t n = plane(r);
  if (r->frames >= 2) return op_copy(r->c, past, view_rows(x, (r->frames - 2) * n, 2 * n));
  TRY(op_copy(r->c, view_rows(past, 0, n), r->first ? x : view_rows(past, n, n)));
  TRY(op_copy(r->c, view_rows(past, n, n), x));
out:
  return rc;
}

/* The past frames of the causal convolution that runs now; made in a tile's first chunk unless that is the only one.
 */
static int past_of(vae_run *r, view x, view *out) {
  int rc = OK;
  void *p;
  *out = (view){0};
  if (r->first && r->last) return OK;
  if (r->first) {
    TRY(mem_grow(&r->c->err, &r->past, &r->past_cap, r->at_past + 1, sizeof(view), "past frames"));
    TRY(arena_take(&r->mem, &r->c->err, 2 * plane(r) * x.cols, sizeof(real), "past frames", &p));
    r->past[r->at_past] = view_of(p, 2 * plane(r), x.cols);
  }
  *out = r->past[r->at_past++];
out:
  return rc;
}

/* y = (add ? y : 0) + convolution of x */
static int convolve(vae_run *r, const vae_conv *k, view x, view y, int add) {
  int rc = OK;
  view past = {0};
  if (k->kt > 1) TRY(past_of(r, x, &past));
  op_conv3d_args a = {.x = x, .w = k->w, .bias = k->b, .y = y, .kt = k->kt, .stride = 1, .accumulate = add};
  a.frames = r->frames, a.height = r->height, a.width = r->width;
  if (!r->first) a.past = past;
  TRY(op_conv3d(r->c, &a));
  if (past.p && !r->last) TRY(remember(r, x, past));
out:
  return rc;
}

/* Nearest latent of every pixel; of an odd number of frames the first is by itself. */
static int make_map(vae_run *r) {
  if (!r->z.p) return OK;
  if (rows(r) > r->map_rows) r->map_rows = rows(r);
  if (r->c->ops->is_null) return OK;
  const int alone = r->frames > 1 && r->frames % 2;
  int32_t *to = r->host_map;
  for (int64_t t = 0; t < r->frames; t++) {
    int64_t zt = !alone ? t * r->z_frames / r->frames : t ? 1 + (t - 1) * (r->z_frames - 1) / (r->frames - 1) : 0;
    for (int64_t y = 0; y < r->height; y++) {
      int64_t line = (zt * r->z_height + y * r->z_height / r->height) * r->z_width;
      for (int64_t x = 0; x < r->width; x++) *to++ = (int32_t)(line + x * r->z_width / r->width);
    }
  }
  return op_upload(r->c, r->map, r->host_map, (size_t)rows(r) * sizeof *to);
}

/* y = SiLU(norm(x)); y may be x */
static int normalise(vae_run *r, const vae_norm *k, view x, view y) {
  int rc = OK;
  op_group_norm_args a = {.x = x, .y = y, .w = k->w, .b = k->b, .groups = r->cfg->groups, .eps = k->eps};
  a.act = ACT_SILU;
  if (!r->net->encoder) {
    TRY(vae_slot_view(r, SLOT_SCALE, r->z.rows, x.cols, &a.scale));
    TRY(vae_slot_view(r, SLOT_SHIFT, r->z.rows, x.cols, &a.shift));
    TRY(mix(r, &k->scale, r->z, a.scale));
    TRY(mix(r, &k->shift, r->z, a.shift));
    a.map = r->map;
  }
  TRY(op_group_norm(r->c, &a));
out:
  return rc;
}

static int residual(vae_run *r, const vae_res *b) {
  int rc = OK;
  view x, normed, inner, y;
  TRY(main_view(r, 0, b->in, &x));
  TRY(main_view(r, 1, b->in, &normed));
  TRY(vae_slot_view(r, SLOT_INNER, rows(r), b->out, &inner));
  TRY(normalise(r, &b->norm1, x, normed));
  TRY(convolve(r, &b->conv1, normed, inner, 0));
  TRY(normalise(r, &b->norm2, inner, inner));
  y = x;
  if (b->in != b->out) {
    TRY(main_view(r, 1, b->out, &y));
    TRY(mix(r, &b->shortcut, x, y));
    swap(r);
  }
  TRY(convolve(r, &b->conv2, inner, y, 1));
  TRY(vae_run_tick(r));
out:
  return rc;
}

static int resample(vae_run *r, op_resampling kind, int64_t cols) {
  int rc = OK;
  view x, y;
  op_resample_args a = {.frames = r->frames, .height = r->height, .width = r->width, .kind = kind};
  TRY(main_view(r, 0, cols, &x));
  r->frames = op_resample_frames(r->frames, kind);
  if (kind != RESAMPLE_POOL_TIME) r->height *= 2, r->width *= 2;
  swap(r);
  TRY(main_view(r, 0, cols, &y));
  a.x = x, a.y = y;
  TRY(op_resample(r->c, &a));
out:
  return rc;
}

static int shrink(vae_run *r, const vae_conv *k, int time) {
  int rc = OK;
  view x, y;
  const int64_t cols = k->b.cols;
  if (time && r->frames > 1) TRY(resample(r, RESAMPLE_POOL_TIME, cols));
  TRY(main_view(r, 0, cols, &x));
  op_conv3d_args a = {.x = x, .w = k->w, .bias = k->b, .kt = 1, .stride = 2};
  a.frames = r->frames, a.height = r->height, a.width = r->width;
  r->height /= 2, r->width /= 2;
  swap(r);
  TRY(main_view(r, 0, cols, &y));
  a.y = y;
  TRY(op_conv3d(r->c, &a));
out:
  return rc;
}

static int grow(vae_run *r, const vae_conv *k, int time) {
  int rc = OK;
  view x, y;
  TRY(resample(r, time ? RESAMPLE_UP_TIME : RESAMPLE_UP, k->b.cols));
  TRY(make_map(r));
  TRY(main_view(r, 0, k->b.cols, &x));
  TRY(main_view(r, 1, k->b.cols, &y));
  TRY(convolve(r, k, x, y, 0));
  swap(r);
out:
  return rc;
}

static int stage(vae_run *r, int s) {
  int rc = OK;
  view x;
  const vae_half *n = r->net;
  const int time = s < r->cfg->time_halvings;
  for (int i = 0; i < n->layers; i++) TRY(residual(r, &n->stage[s][i]));
  if (s < n->stages - 1) TRY(n->encoder ? shrink(r, &n->sample[s], time) : grow(r, &n->sample[s], time));
  TRY(main_view(r, 0, n->stage[s][0].out, &x));
  TRY(trace(r, x, n->encoder ? "down_blocks.%d" : "up_blocks.%d", s));
  TRY(vae_run_tick(r));
out:
  return rc;
}

static int middle(vae_run *r) {
  int rc = OK;
  view x;
  for (int i = 0; i < 2; i++) TRY(residual(r, &r->net->mid[i]));
  TRY(main_view(r, 0, r->net->mid[0].out, &x));
  TRY(trace(r, x, "mid_block", 0));
out:
  return rc;
}

/* The input after the decoder's quant convolution, and what conditions the norms. */
static int begin(vae_run *r, view *in) {
  int rc = OK;
  const int channels = r->net->encoder ? r->cfg->in_channels : r->cfg->latent_channels;
  TRY(vae_slot_view(r, SLOT_IN, rows(r), channels, in));
  r->z = (view){0};
  if (r->net->encoder) return OK;
  if (r->net->quant.w.p) {
    view quant;
    TRY(vae_slot_view(r, SLOT_QUANT, rows(r), channels, &quant));
    TRY(mix(r, &r->net->quant, *in, quant));
    *in = quant;
  }
  r->z = *in;
  r->z_frames = r->frames, r->z_height = r->height, r->z_width = r->width;
  TRY(make_map(r));
out:
  return rc;
}

int vae_run_chunk(vae_run *r, view *out) {
  int rc = OK;
  view in, x, normed;
  const vae_half *n = r->net;
  r->at_past = 0;
  r->main = SLOT_A;
  TRY(begin(r, &in));
  TRY(main_view(r, 0, n->conv_in.b.cols, &x));
  TRY(convolve(r, &n->conv_in, in, x, 0));
  TRY(trace(r, x, "conv_in", 0));
  if (!n->encoder) TRY(middle(r));
  for (int s = 0; s < n->stages; s++) TRY(stage(r, s));
  if (n->encoder) TRY(middle(r));
  TRY(main_view(r, 0, n->norm_out.w.cols, &x));
  TRY(main_view(r, 1, n->norm_out.w.cols, &normed));
  TRY(normalise(r, &n->norm_out, x, normed));
  TRY(vae_slot_view(r, SLOT_INNER, rows(r), n->conv_out.b.cols, out));
  TRY(convolve(r, &n->conv_out, normed, *out, 0));
  if (n->encoder && n->quant.w.p) {
    view moments = *out;
    TRY(vae_slot_view(r, SLOT_QUANT, rows(r), n->quant.b.cols, out));
    TRY(mix(r, &n->quant, moments, *out));
  }
  TRY(vae_run_tick(r));
out:
  return rc;
}
