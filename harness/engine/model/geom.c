/* Geometry of a batch: where each segment's rows lie, which table row each of them uses, who sees whom. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/acts.h"

typedef struct grid {
  int64_t t, y, x; /* tokens along time, height, width of one half */
} grid;

static grid grid_of(const dit_config *c, int frames, int height, int width) {
  return (grid){frames / c->patch_t, height / c->patch, width / c->patch};
}

/* --- position tables --- */

/* numpy/torch linspace in float: forward from the start in the first half, backward from the end in the second. */
static double linspace(double a, double b, int64_t n, int64_t i) {
  if (n < 2) return (double)(float)a;
  float step = ((float)b - (float)a) / (float)(n - 1);
  return i < n / 2 ? (double)((float)a + step * (float)i) : (double)((float)b - step * (float)(n - 1 - i));
}

typedef struct span_box {
  double y0, y1, x0, x1;
} span_box;

/* get_resize_crop_region_for_grid of diffusers; Python's round is half to even, as rint. */
static span_box crop_region(const dit_config *c, const grid *g) {
  double th = c->sample_height / c->patch, tw = c->sample_width / c->patch;
  double gh = (double)g->y, gw = (double)g->x, rh, rw;
  if (gh / gw > th / tw) {
    rh = th;
    rw = rint(th / gh * gw);
  } else {
    rw = tw;
    rh = rint(tw / gw * gh);
  }
  double top = rint((th - rh) / 2), left = rint((tw - rw) / 2);
  return (span_box){top, (top + rh) * (gh - 1) / gh, left, (left + rw) * (gw - 1) / gw};
}

/* Angles are float products of a position and a float frequency, as the reference computes them. */
static void axis_angles(double pos, int dim, real *cs, real *sn) {
  for (int i = 0; i < dim / 2; i++) {
    float freq = (float)(1.0 / (double)(float)pow(10000.0, (double)((float)(2 * i) / (float)dim)));
    float angle = (float)pos * freq;
    cs[i] = (real)(float)cos((double)angle);
    sn[i] = (real)(float)sin((double)angle);
  }
}

static void rope_tables(const dit_config *c, const grid *g, int64_t frames, real *cs, real *sn) {
  int dim = c->head_dim, dt = dim / 4, ds = dim / 8 * 3, half = dim / 2;
  span_box box = crop_region(c, g);
  for (int64_t t = 0; t < frames; t++)
    for (int64_t y = 0; y < g->y; y++)
      for (int64_t x = 0; x < g->x; x++) {
        int64_t row = (t * g->y + y) * g->x + x;
        real *cr = cs + row * half, *sr = sn + row * half;
        double py = c->slice_positions ? (double)y : linspace(box.y0, box.y1, g->y, y);
        double px = c->slice_positions ? (double)x : linspace(box.x0, box.x1, g->x, x);
        axis_angles((double)t, dt, cr, sr);
        axis_angles(py, ds, cr + dt / 2, sr + dt / 2);
        axis_angles(px, ds, cr + dt / 2 + ds / 2, sr + dt / 2 + ds / 2);
      }
}

static void sincos_axis(double pos, int64_t width, real *out) {
  for (int64_t i = 0; i < width / 2; i++) {
    double angle = pos * pow(10000.0, -(double)i / ((double)width / 2));
    out[i] = (real)(float)sin(angle);
    out[width / 2 + i] = (real)(float)cos(angle);
  }
}

/* get_3d_sincos_pos_embed: a quarter of the width for time, then x, then y. */
static void sincos_table(const dit_config *c, const grid *g, int64_t frames, real *out) {
  int64_t d = dit_width(c), dt = d / 4, ds = 3 * d / 8;
  for (int64_t t = 0; t < frames; t++)
    for (int64_t y = 0; y < g->y; y++)
      for (int64_t x = 0; x < g->x; x++) {
        real *row = out + ((t * g->y + y) * g->x + x) * d;
        sincos_axis((double)t / c->temporal_scale, dt, row);
        sincos_axis((double)x / c->spatial_scale, ds, row + dt);
        sincos_axis((double)y / c->spatial_scale, ds, row + dt + ds);
      }
}

/* --- rows --- */

static void place_segments(geom *g) {
  int64_t at = 0;
  g->video_from = -1;
  for (int s = 0; s < g->l.n_seg; s++) {
    g->seg_rows[s] = g->l.seg[s].kind == SEG_TEXT ? g->n_text : g->n_video;
    g->seg_at[s] = at;
    if (g->l.seg[s].kind == SEG_VIDEO && g->video_from < 0) g->video_from = at;
    at += g->batch * g->seg_rows[s];
  }
  g->rows = at;
}

static int any_clean(const layout *l) {
  for (int s = 0; s < l->n_seg; s++)
    if (l->seg[s].clean) return 1;
  return 0;
}

typedef struct maps {
  int32_t *mod, *time, *rope, *pos, *type;
} maps;

static void fill_maps(const geom *g, int learned, int sincos, maps *m) {
  for (int s = 0; s < g->l.n_seg; s++) {
    const segment *seg = &g->l.seg[s];
    int is_text = seg->kind == SEG_TEXT;
    for (int64_t b = 0; b < g->batch; b++)
      for (int64_t i = 0; i < g->seg_rows[s]; i++) {
        int64_t r = g->seg_at[s] + b * g->seg_rows[s] + i;
        int64_t e = b + (seg->clean ? g->batch : 0);
        int64_t place = i + (seg->continued ? g->n_video : 0);
        m->time[r] = (int32_t)e;
        m->mod[r] = (int32_t)(2 * e + is_text);
        m->rope[r] = is_text ? -1 : (int32_t)place;
        m->pos[r] = learned ? (int32_t)(is_text ? i : g->n_text + i) : sincos && !is_text ? (int32_t)place : -1;
        m->type[r] = seg->stream == STREAM_ALPHA;
      }
  }
}

/* --- attention groups --- */

static int same_sight(const layout *l, int a, int b) {
  for (int k = 0; k < l->n_seg; k++)
    if (l->sees[a][k] != l->sees[b][k] || (l->sees[a][k] && l->bias[a][k] != l->bias[b][k])) return 0;
  return 1;
}

static attn_span span_of(const geom *g, int s, int64_t b, float bias) {
  int64_t r0 = g->seg_at[s] + b * g->seg_rows[s];
  return (attn_span){r0, r0 + g->seg_rows[s], bias};
}

/* One group a sample for each set of segments with the same sight; queries below `from` are left out, and groups
 * without a query from row `last` on. Others keep their queries before that row: what is summed over a group's
 * queries must be cut into the same tiles in every block. */
static int make_groups(const geom *g, int64_t from, int64_t last, attn_group *out) {
  int n = 0;
  const layout *l = &g->l;
  for (int64_t b = 0; b < g->batch; b++)
    for (int s = 0; s < l->n_seg; s++) {
      int first = 1;
      for (int p = 0; p < s; p++) first &= !same_sight(l, p, s);
      if (!first) continue;
      attn_group *a = &out[n];
      *a = (attn_group){0};
      for (int q = s; q < l->n_seg; q++)
        if (same_sight(l, s, q) && g->seg_at[q] >= from) a->q[a->nq++] = span_of(g, q, b, 0);
      for (int k = 0; k < l->n_seg; k++)
        if (l->sees[s][k]) a->k[a->nk++] = span_of(g, k, b, l->bias[s][k]);
      n += a->nq > 0 && a->q[a->nq - 1].r0 >= last;
    }
  return n;
}

static int list_groups(ctx *c, const geom *g, int64_t from, int64_t last, attn_group **list, int *n) {
  int rc = mem_new(&c->err, (int64_t)g->batch * g->l.n_seg, sizeof(attn_group), "attention groups", list);
  if (rc == OK) *n = make_groups(g, from, last, *list);
  return rc;
}

/* Which rows can depend on something trained: a suffix of the batch matrix at the input of block 0 and after it. */
static void find_live(geom *g, int base_trained) {
  const layout *l = &g->l;
  int live[LAYOUT_SEGMENTS] = {0};
  g->live_in0 = g->live = g->rows;
  for (int s = l->n_seg - 1; s >= 0; s--) {
    live[s] = base_trained || l->seg[s].domain || (l->widened && l->seg[s].stream == STREAM_FUSED);
    if (l->seg[s].kind == SEG_TEXT && !base_trained) live[s] = 0;
    if (live[s]) g->live_in0 = g->seg_at[s];
  }
  for (int turn = 0; turn < LAYOUT_SEGMENTS; turn++)
    for (int s = 0; s < l->n_seg; s++) {
      live[s] |= l->seg[s].lora;
      for (int k = 0; k < l->n_seg; k++) live[s] |= l->sees[s][k] && (live[k] || l->seg[k].lora);
      live[s] |= l->exchange && l->seg[s].kind == SEG_VIDEO;
    }
  for (int s = l->n_seg - 1; s >= 0; s--)
    if (live[s]) g->live = g->seg_at[s];
}

/* A base in training keeps all rows: its weight gradients sum over them. */
static int64_t find_last(const geom *g, int base_trained) {
  const layout *l = &g->l;
  if (base_trained) return 0;
  for (int s = 0; s < l->n_seg; s++)
    if (l->seg[s].lora || segment_predicted(l, &l->seg[s]) || (l->exchange && l->seg[s].kind == SEG_VIDEO))
      return g->seg_at[s];
  return 0;
}

/* --- opening --- */

static int check(ctx *c, const dit_config *f, const geom *g, int64_t n_text) {
  if (g->batch < 1 || g->frames < 1 || g->height < 1 || g->width < 1 || n_text < 1)
    return err_set(&c->err, E_SHAPE, "batch of %d latents %dx%dx%d with %lld text rows", g->batch, g->frames,
                   g->height, g->width, (long long)n_text);
  if (g->frames % f->patch_t || g->height % f->patch || g->width % f->patch)
    return err_set(&c->err, E_SHAPE, "latents of %d frames, %dx%d: the model cuts patches of %d frames, %dx%d",
                   g->frames, g->height, g->width, f->patch_t, f->patch, f->patch);
  if (g->l.streams == 2 && f->learned)
    for (int s = 0; s < g->l.n_seg; s++)
      if (g->l.seg[s].continued)
        return err_set(&c->err, E_UNSUPPORTED, "continued positions need more rows than the learned table has");
  if (f->learned && (g->height != f->sample_height || g->width != f->sample_width))
    return err_set(&c->err, E_SHAPE, "latents of %dx%d: this model's learned positions fit %dx%d only", g->height,
                   g->width, f->sample_height, f->sample_width);
  if (f->learned && n_text != f->max_text)
    return err_set(&c->err, E_SHAPE, "%lld text rows: this model's learned positions need %d", (long long)n_text,
                   f->max_text);
  return OK;
}

static int upload_maps(ctx *c, geom *g, int learned, int sincos) {
  int rc = OK;
  int32_t *host = NULL;
  TRY(mem_new(&c->err, 5 * g->rows, sizeof(int32_t), "row maps", &host));
  maps m = {host, host + g->rows, host + 2 * g->rows, host + 3 * g->rows, host + 4 * g->rows};
  fill_maps(g, learned, sincos, &m);
  TRY(op_upload(c, g->map_mod, host, 5 * (size_t)g->rows * sizeof(int32_t)));
out:
  free(host);
  return rc;
}

static int upload_tables(ctx *c, const dit_config *f, geom *g, int64_t frames, int sincos) {
  int rc = OK;
  if (c->ops->is_null) return OK; /* nothing reads them, and they take longer than all the rest of a plan */
  grid gr = grid_of(f, g->frames, g->height, g->width);
  int64_t p = frames * gr.y * gr.x, half = f->head_dim / 2, d = dit_width(f);
  real *cs = NULL, *sn = NULL, *pos = NULL;
  if (f->rotary) {
    TRY(mem_new(&c->err, p * half, sizeof(real), "rotary table", &cs));
    TRY(mem_new(&c->err, p * half, sizeof(real), "rotary table", &sn));
    rope_tables(f, &gr, frames, cs, sn);
    TRY(ctx_put(c, g->rope_cos, cs));
    TRY(ctx_put(c, g->rope_sin, sn));
  }
  if (sincos) {
    TRY(mem_new(&c->err, p * d, sizeof(real), "position table", &pos));
    sincos_table(f, &gr, frames, pos);
    TRY(ctx_put(c, g->pos, pos));
  }
out:
  free(cs);
  free(sn);
  free(pos);
  return rc;
}

int geom_open(ctx *c, const dit *m, const layout *l, int batch, int frames, int height, int width, int64_t n_text,
              geom *out) {
  int rc = OK;
  const dit_config *f = &m->cfg;
  geom *g = out;
  *g = (geom){.l = *l, .batch = batch, .frames = frames, .height = height, .width = width, .n_text = n_text};
  TRY(check(c, f, g, n_text));
  grid gr = grid_of(f, frames, height, width);
  g->n_video = gr.t * gr.y * gr.x;
  place_segments(g);
  g->n_time = batch * (any_clean(l) ? 2 : 1);
  int64_t table_frames = gr.t * 2; /* enough for positions that continue */
  int64_t native = (f->sample_frames - 1) / f->temporal_compression + 1;
  /* diffusers falls back to a fresh sincos table when only the frame count differs from the learned one. */
  int learned = f->learned && frames == native;
  int sincos = !learned && (f->learned || !f->rotary);
  int64_t p = table_frames * gr.y * gr.x, half = f->head_dim / 2, d = dit_width(f);
  size_t map_bytes = (5 * (size_t)g->rows * sizeof(int32_t) + 255) & ~(size_t)255;
  size_t rope_bytes = f->rotary ? (size_t)(2 * p * half) * sizeof(real) : 0;
  size_t pos_bytes = sincos ? (size_t)(p * d * dtype_size(c->storage)) : 0;
  g->store_bytes = map_bytes + rope_bytes + pos_bytes;
  TRY(c->ops->alloc(c, g->store_bytes, &g->store));
  g->map_mod = g->store;
  g->map_time = g->map_mod + g->rows;
  g->map_rope = g->map_time + g->rows;
  g->map_pos = g->map_rope + g->rows;
  g->map_type = g->map_pos + g->rows;
  real *tables = (real *)(void *)((char *)g->store + map_bytes);
  if (f->rotary) {
    g->rope_cos = view_of(tables, p, half);
    g->rope_sin = view_of(tables + p * half, p, half);
  }
  if (sincos) g->pos = view_typed(c->storage, (char *)tables + rope_bytes, p, d);
  if (learned) g->pos = m->t.pos;
  TRY(upload_maps(c, g, learned, sincos));
  TRY(upload_tables(c, f, g, table_frames, sincos));
  find_live(g, m->g != NULL);
  g->last = find_last(g, m->g != NULL);
  TRY(list_groups(c, g, 0, 0, &g->groups, &g->n_groups));
  TRY(list_groups(c, g, g->live, 0, &g->live_groups, &g->n_live_groups));
  TRY(list_groups(c, g, 0, g->last, &g->last_groups, &g->n_last_groups));
  TRY(list_groups(c, g, g->live, g->last, &g->last_live_groups, &g->n_last_live_groups));
out:
  if (rc != OK) geom_close(c, g);
  return rc;
}

void geom_close(ctx *c, geom *g) {
  if (g->store) c->ops->release(c, g->store);
  free(g->groups);
  free(g->live_groups);
  free(g->last_groups);
  free(g->last_live_groups);
  *g = (geom){0};
}
