/* Encode and decode: samples, tiles, chunks; and what they cost. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/vae_run.h"

static int64_t min64(int64_t a, int64_t b) {
  return a < b ? a : b;
}
static int64_t max64(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* --- geometry --- */

/* One side of the picture, in pixels of the input and of the output. */
typedef struct side {
  vae_axis a;
  int64_t in, out, tiles;
} side;

typedef struct grid {
  int encode;
  int64_t frames, out_frames, in_channels, out_channels, chunk;
  int scale;
  side y, x;
  int tiled;
} grid;

static int64_t scaled(const grid *g, int64_t n) {
  return g->encode ? n / g->scale : n * g->scale;
}

/* Reals of one sample of the output or of the input. */
static int64_t sample_reals(const grid *g, int out) {
  return out ? g->out_channels * g->out_frames * g->y.out * g->x.out : g->in_channels * g->frames * g->y.in * g->x.in;
}

static int side_of(err *e, const grid *g, const vae_config *c, int axis, int64_t n, int tile, side *out) {
  *out = (side){.in = n, .out = scaled(g, n), .tiles = 1};
  if (g->tiled) {
    out->a = vae_axis_of(c, g->encode, axis, tile);
    out->tiles = (n + out->a.step - 1) / out->a.step;
  } else {
    out->a = (vae_axis){.tile = (int)n, .step = (int)n, .keep = (int)out->out};
  }
  if (g->encode && n - (out->tiles - 1) * out->a.step < g->scale)
    return err_set(e, E_SHAPE, "VAE encode: %s %lld %s less than the %d pixels of one latent",
                   axis ? "width" : "height", (long long)n, g->tiled ? "leaves a last tile of" : "is", g->scale);
  return OK;
}

static int grid_of(err *e, const vae_config *c, int encode, const vae_options *o, const vae_shape *s, grid *out) {
  int rc = OK;
  const int scale = vae_scale(c);
  grid g = *out = (grid){.encode = encode, .frames = s->frames, .scale = scale};
  const int64_t most = 1 << 16, div = encode ? 1 : scale;
  if (s->batch < 1 || s->frames < 1 || s->height < 1 || s->width < 1 || s->batch > most || s->frames > most ||
      s->height > most / div || s->width > most / div)
    FAIL(e, E_SHAPE,
         "VAE %s: %lld samples of %lld frames of %lldx%lld: sizes must be positive, and at most %lld samples, frames "
         "and pixels a side",
         encode ? "encode" : "decode", (long long)s->batch, (long long)s->frames, (long long)s->height,
         (long long)s->width, (long long)most);
  TRY(vae_tile_check(e, c, o->tile));
  g.in_channels = encode ? c->in_channels : c->latent_channels;
  g.out_channels = encode ? 2 * c->latent_channels : c->out_channels;
  g.chunk = encode ? VAE_ENCODE_CHUNK : VAE_DECODE_CHUNK;
  g.out_frames = encode ? vae_latent_frames(c, s->frames) : vae_pixel_frames(c, s->frames);
  g.tiled = o->tile.height && (s->height > o->tile.height / div || s->width > o->tile.width / div);
  TRY(side_of(e, &g, c, 0, s->height, o->tile.height, &g.y));
  TRY(side_of(e, &g, c, 1, s->width, o->tile.width, &g.x));
  if ((double)s->batch * (double)sample_reals(&g, 1) + (double)s->batch * (double)sample_reals(&g, 0) > 1e15)
    FAIL(e, E_SHAPE, "VAE %s: %lld samples of %lld frames of %lldx%lld are more than any machine holds",
         encode ? "encode" : "decode", (long long)s->batch, (long long)s->frames, (long long)s->height,
         (long long)s->width);
  *out = g;
out:
  return rc;
}

static int shape_of(err *e, const vae_config *c, int encode, const vae_options *o, const vae_shape *s,
                    vae_shape *out) {
  grid g;
  int rc = grid_of(e, c, encode, o, s, &g);
  if (rc == OK) *out = (vae_shape){s->batch, g.out_frames, g.y.out, g.x.out};
  return rc;
}

int vae_encoded_shape(err *e, const vae_config *c, const vae_options *o, const vae_shape *s, vae_shape *out) {
  return shape_of(e, c, 1, o, s, out);
}

int vae_decoded_shape(err *e, const vae_config *c, const vae_options *o, const vae_shape *s, vae_shape *out) {
  return shape_of(e, c, 0, o, s, out);
}

/* --- host side --- */

/* Planes (channel, frame) of height x width. */
typedef struct planes {
  real *p;
  int64_t n, height, width;
} planes;

typedef struct host {
  real *stage;   /* rows of one chunk */
  real *tile;    /* one tile of the output, when tiled */
  real *above;   /* last rows of the row of tiles above: blended, whole tiles side by side */
  real *left;    /* last columns of the tile to the left */
  real *moments; /* of one sample, when encoding */
  int64_t n_stage, n_tile, n_above, n_left, n_moments;
} host;

static int64_t longest_chunk(const grid *g) {
  return min64(g->chunk + g->frames % g->chunk, g->frames);
}

static void host_sizes(const grid *g, const vae_config *c, host *h) {
  const int64_t n = g->out_channels * g->out_frames, in = longest_chunk(g);
  const int64_t ty = min64(g->y.a.tile, g->y.in), tx = min64(g->x.a.tile, g->x.in);
  const int64_t oy = scaled(g, ty), ox = scaled(g, tx);
  h->n_stage = max64(in * ty * tx * g->in_channels, vae_chunk_frames(c, g->encode, in) * oy * ox * g->out_channels);
  if (g->tiled) {
    h->n_tile = n * oy * ox;
    h->n_above = n * g->y.a.blend * g->x.tiles * ox;
    h->n_left = n * oy * g->x.a.blend;
  }
  if (g->encode) h->n_moments = sample_reals(g, 1);
}

static int64_t host_bytes(const host *h) {
  return (h->n_stage + h->n_tile + h->n_above + h->n_left + h->n_moments) * (int64_t)sizeof(real);
}

static int host_open(err *e, host *h) {
  int rc = OK;
  const struct {
    int64_t n;
    real **p;
  } all[] = {{h->n_stage, &h->stage},
             {h->n_tile, &h->tile},
             {h->n_above, &h->above},
             {h->n_left, &h->left},
             {h->n_moments, &h->moments}};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    TRY(mem_new(e, all[i].n, sizeof(real), "VAE tiles", all[i].p));
out:
  return rc;
}

static void host_close(host *h) {
  free(h->stage);
  free(h->tile);
  free(h->above);
  free(h->left);
  free(h->moments);
}

/* --- one tile --- */

typedef struct job {
  const grid *g;
  vae_run r;
  host h;
  const real *in; /* of the sample: [channels, frames, height, width] */
} job;

/* Rectangle of the input a tile looks at. */
typedef struct area {
  int64_t y, x, height, width;
} area;

static area area_of(const grid *g, int64_t i, int64_t j) {
  area a = {.y = i * g->y.a.step, .x = j * g->x.a.step};
  a.height = min64(g->y.a.tile, g->y.in - a.y);
  a.width = min64(g->x.a.tile, g->x.in - a.x);
  return a;
}

/* Frames [from, end) of the area: planes of the sample -> rows. */
static void gather(const job *k, const area *a, int64_t from, int64_t end) {
  const grid *g = k->g;
  real *to = k->h.stage;
  for (int64_t t = from; t < end; t++)
    for (int64_t y = a->y; y < a->y + a->height; y++)
      for (int64_t x = a->x; x < a->x + a->width; x++)
        for (int64_t c = 0; c < g->in_channels; c++) *to++ = k->in[((c * g->frames + t) * g->y.in + y) * g->x.in + x];
}

/* Rows of a chunk -> frames from `at` on of the planes. */
static void scatter(const job *k, const planes *to, int64_t at, int64_t frames) {
  const int64_t channels = k->g->out_channels, plane = to->height * to->width;
  const real *from = k->h.stage;
  for (int64_t t = at; t < at + frames; t++)
    for (int64_t i = 0; i < plane; i++)
      for (int64_t c = 0; c < channels; c++) to->p[(c * k->g->out_frames + t) * plane + i] = *from++;
}

static int run_chunk(job *k, const area *a, int64_t i, int64_t chunks, const planes *out) {
  int rc = OK;
  vae_run *r = &k->r;
  const grid *g = k->g;
  const int dry = r->c->ops->is_null;
  int64_t from, end;
  view in, rows;
  vae_chunk_at(g->frames, g->chunk, i, &from, &end);
  r->frames = (int)(end - from), r->height = (int)a->height, r->width = (int)a->width;
  r->first = i == 0, r->last = i == chunks - 1;
  TRY(vae_slot_view(r, SLOT_IN, r->frames * a->height * a->width, g->in_channels, &in));
  if (!dry) gather(k, a, from, end);
  if (!dry) TRY(op_upload(r->c, in.p, k->h.stage, (size_t)(in.rows * in.cols) * sizeof(real)));
  TRY(vae_run_chunk(r, &rows));
  if (!dry) {
    TRY(op_download(r->c, k->h.stage, rows.p, (size_t)(rows.rows * rows.cols) * sizeof(real)));
    /* all chunks but the first yield the same number of frames */
    int64_t at = i ? g->out_frames - (chunks - i) * r->frames : 0;
    scatter(k, out, at, r->frames);
  }
  r->tick.frames += end - from;
  TRY(vae_run_tick(r));
out:
  return rc;
}

static int run_tile(job *k, const area *a, const planes *out) {
  int rc = OK;
  const int64_t chunks = vae_chunks(k->g->frames, k->g->chunk);
  const size_t mark = arena_mark(&k->r.mem);
  k->r.tick.tile++;
  k->r.tick.frames = 0;
  for (int64_t i = 0; i < chunks; i++) TRY(run_chunk(k, a, i, chunks, out));
out:
  arena_release(&k->r.mem, mark);
  return rc;
}

/* --- blending --- */

/* Fades from the last rows of `above` (`have` of them, above_width wide, from column x) into the first of the tile.
 */
static void blend_rows(const planes *tile, const real *above, int64_t have, int64_t above_width, int64_t extent) {
  const int64_t e = min64(min64(have, tile->height), extent);
  for (int64_t n = 0; n < tile->n; n++)
    for (int64_t y = 0; y < e; y++) {
      const real in = (real)((double)y / (double)e), out = (real)(1 - (double)y / (double)e);
      const real *a = above + (n * have + have - e + y) * above_width;
      real *b = tile->p + (n * tile->height + y) * tile->width;
      for (int64_t x = 0; x < tile->width; x++) b[x] = a[x] * out + b[x] * in;
    }
}

/* The same with the last `have` columns of the tile to the left. */
static void blend_columns(const planes *tile, const real *left, int64_t have, int64_t extent) {
  const int64_t e = min64(min64(have, tile->width), extent);
  for (int64_t n = 0; n < tile->n * tile->height; n++)
    for (int64_t x = 0; x < e; x++) {
      const real in = (real)((double)x / (double)e), out = (real)(1 - (double)x / (double)e);
      real *b = tile->p + n * tile->width + x;
      *b = left[n * have + have - e + x] * out + *b * in;
    }
}

/* Blends tile (i, j), keeps its edges for the next ones, puts its kept part into the picture. */
static void place(job *k, int64_t i, int64_t j, const planes *tile, const planes *picture) {
  const grid *g = k->g;
  const vae_axis *ya = &g->y.a, *xa = &g->x.a;
  const area up = area_of(g, i ? i - 1 : 0, j), before = area_of(g, i, j ? j - 1 : 0);
  const int64_t stride = g->x.tiles * scaled(g, min64(xa->tile, g->x.in));
  const int64_t at = j * scaled(g, min64(xa->tile, g->x.in));
  const int64_t kept_above = min64(ya->blend, scaled(g, up.height));
  const int64_t kept_left = min64(xa->blend, scaled(g, before.width));
  if (i) blend_rows(tile, k->h.above + at, kept_above, stride, ya->blend);
  if (j) blend_columns(tile, k->h.left, kept_left, xa->blend);
  const int64_t rows = min64(ya->blend, tile->height), cols = min64(xa->blend, tile->width);
  for (int64_t n = 0; n < tile->n; n++) {
    const real *from = tile->p + n * tile->height * tile->width;
    for (int64_t y = 0; y < rows; y++)
      memcpy(k->h.above + (n * rows + y) * stride + at, from + (tile->height - rows + y) * tile->width,
             (size_t)tile->width * sizeof(real));
    for (int64_t y = 0; y < tile->height; y++)
      memcpy(k->h.left + (n * tile->height + y) * cols, from + (y + 1) * tile->width - cols,
             (size_t)cols * sizeof(real));
    for (int64_t y = 0; y < min64(ya->keep, tile->height); y++)
      memcpy(picture->p + (n * picture->height + i * ya->keep + y) * picture->width + j * xa->keep,
             from + y * tile->width, (size_t)min64(xa->keep, tile->width) * sizeof(real));
  }
}

/* --- a whole sample --- */

static int run_sample(job *k, const planes *picture) {
  int rc = OK;
  const grid *g = k->g;
  k->r.tick.tile = 0;
  for (int64_t i = 0; i < g->y.tiles; i++)
    for (int64_t j = 0; j < g->x.tiles; j++) {
      const area a = area_of(g, i, j);
      planes tile = {.p = k->h.tile, .n = picture->n, .height = scaled(g, a.height), .width = scaled(g, a.width)};
      if (!g->tiled) tile = *picture;
      TRY(run_tile(k, &a, &tile));
      if (g->tiled && !k->r.c->ops->is_null) place(k, i, j, &tile, picture);
    }
out:
  return rc;
}

/* --- cost --- */

/* What a call needs, from a run on the null backend. */
typedef struct needs {
  int64_t slot[SLOTS], map_rows;
  size_t arena;
  double flops, conv_flops;
  op_count count[OP_COUNT];
} needs;

/* Slots and map at their full size, on whatever memory the arena has. */
static int take_slots(vae_run *r, const int64_t slot[SLOTS], int64_t map_rows) {
  int rc = OK;
  void *p;
  for (int s = 0; s < SLOTS; s++) {
    TRY(arena_take(&r->mem, &r->c->err, slot[s], sizeof(real), "VAE activations", &p));
    r->slot[s] = p;
    r->have[s] = slot[s];
  }
  TRY(arena_take(&r->mem, &r->c->err, map_rows, sizeof(int32_t), "VAE map", &p));
  r->map = p;
out:
  return rc;
}

#define WIDE_OPEN ((int64_t)1 << 52) /* reals: addresses of the null backend cost nothing */

static int dry_slots(ctx *c, vae_run *r) {
  int rc = OK;
  void *p;
  for (int s = 0; s < SLOTS; s++) {
    TRY(c->ops->alloc(c, (size_t)WIDE_OPEN * sizeof(real), &p));
    r->slot[s] = p;
    r->have[s] = WIDE_OPEN;
  }
  TRY(c->ops->alloc(c, (size_t)WIDE_OPEN, &p));
  r->map = p;
out:
  return rc;
}

static int dry_run(ctx *c, const vae_config *cfg, const grid *g, const vae_options *o, needs *out) {
  int rc = OK;
  vae v = {0};
  job k = {.g = g};
  TRY(vae_open(c, cfg, g->encode ? VAE_ENCODER : VAE_DECODER, &v));
  k.r = (vae_run){.c = c, .cfg = &v.cfg, .net = g->encode ? &v.net->enc : &v.net->dec, .o = o};
  arena_open_measuring(&k.r.mem);
  TRY(dry_slots(c, &k.r));
  memset(c->count, 0, sizeof c->count);
  TRY(run_sample(&k, &(planes){0}));
  memcpy(out->slot, k.r.need, sizeof out->slot);
  out->map_rows = k.r.map_rows;
  k.r.mem.used = k.r.mem.peak;
  TRY(take_slots(&k.r, out->slot, out->map_rows));
  out->arena = k.r.mem.peak;
  memcpy(out->count, c->count, sizeof out->count);
  for (int i = 0; i < OP_COUNT; i++) out->flops += c->count[i].flops;
  out->conv_flops = c->count[OP_CONV3D].flops;
out:
  free(k.r.past);
  vae_close(c, &v);
  return rc;
}

static int find_needs(err *e, const vae_config *cfg, const grid *g, const vae_options *o, needs *out) {
  int rc = OK;
  ctx c;
  *out = (needs){.arena = 0};
  TRY(ctx_open(&c, &(ctx_options){.backend = "null"}));
  TRY(dry_run(&c, cfg, g, o, out));
out:
  if (rc != OK) err_set(e, c.err.code, "%s", c.err.text);
  ctx_close(&c);
  return rc;
}

int vae_measure(err *e, const vae_config *cfg, vae_part part, const vae_options *o, const vae_shape *s,
                vae_cost *out) {
  int rc = OK;
  grid g;
  needs n;
  host h = {0};
  ctx c = {0};
  vae v = {0};
  *out = (vae_cost){0};
  TRY(grid_of(e, cfg, part == VAE_ENCODER, o, s, &g));
  TRY(find_needs(e, cfg, &g, o, &n));
  TRY(ctx_open(&c, &(ctx_options){.backend = "null"}));
  TRY(vae_open(&c, cfg, part, &v));
  host_sizes(&g, cfg, &h);
  out->weights = v.n_reals * (int64_t)sizeof(real);
  out->work = (int64_t)n.arena + host_bytes(&h) + n.map_rows * (int64_t)sizeof(int32_t);
  out->input = s->batch * sample_reals(&g, 0) * (int64_t)sizeof(real);
  out->output = s->batch * sample_reals(&g, 1) * (int64_t)sizeof(real);
  out->tiles = g.y.tiles * g.x.tiles;
  out->chunks = vae_chunks(g.frames, g.chunk);
  for (int i = 0; i < OP_COUNT; i++) {
    out->count[i].calls = n.count[i].calls * s->batch;
    out->count[i].flops = n.count[i].flops * (double)s->batch;
    out->count[i].bytes = n.count[i].bytes * (double)s->batch;
  }
  out->flops = n.flops * (double)s->batch;
  out->conv_flops = n.conv_flops * (double)s->batch;
out:
  if (rc != OK && c.err.code) err_set(e, c.err.code, "%s", c.err.text);
  vae_close(&c, &v);
  ctx_close(&c);
  return rc;
}

/* --- the calls --- */

/* Splits and clamps one sample's moments. */
static void split(const grid *g, const real *moments, real *mean, real *logvar) {
  const int64_t n = sample_reals(g, 1) / 2;
  memcpy(mean, moments, (size_t)n * sizeof(real));
  for (int64_t i = 0; i < n; i++) {
    const real v = moments[n + i];
    logvar[i] = v < R(-30.0) ? R(-30.0) : v > R(20.0) ? R(20.0) : v;
  }
}

typedef struct ends {
  const real *in;
  real *out, *logvar; /* frames, or mean and logvar */
} ends;

static int run_samples(job *k, const vae_shape *s, const ends *x) {
  int rc = OK;
  const grid *g = k->g;
  const int64_t in = sample_reals(g, 0);
  planes picture = {.n = g->out_channels * g->out_frames, .height = g->y.out, .width = g->x.out};
  const int64_t out = sample_reals(g, 1) / (g->encode ? 2 : 1);
  for (int64_t b = 0; b < s->batch; b++) {
    k->in = x->in + b * in;
    picture.p = g->encode ? k->h.moments : x->out + b * out;
    TRY(run_sample(k, &picture));
    if (g->encode) split(g, k->h.moments, x->out + b * out, x->logvar + b * out);
  }
out:
  return rc;
}

static int run_all(ctx *c, const vae *v, const vae_options *o, const vae_shape *s, const grid *g, const ends *x) {
  int rc = OK;
  needs n;
  void *block = NULL;
  job k = {.g = g};
  TRY(find_needs(&c->err, &v->cfg, g, o, &n));
  k.r = (vae_run){.c = c, .cfg = &v->cfg, .net = g->encode ? &v->net->enc : &v->net->dec, .o = o};
  k.r.tick =
      (vae_tick){.total = n.flops * (double)s->batch, .tiles = g->y.tiles * g->x.tiles, .of_frames = g->frames};
  for (int i = 0; i < OP_COUNT; i++) k.r.flops_before += c->count[i].flops;
  TRY(c->ops->alloc(c, n.arena, &block));
  arena_open(&k.r.mem, block, n.arena);
  TRY(take_slots(&k.r, n.slot, n.map_rows));
  TRY(mem_new(&c->err, n.map_rows, sizeof(int32_t), "VAE map", &k.r.host_map));
  host_sizes(g, &v->cfg, &k.h);
  TRY(host_open(&c->err, &k.h));
  TRY(run_samples(&k, s, x));
out:
  host_close(&k.h);
  free(k.r.host_map);
  free(k.r.past);
  if (block) c->ops->release(c, block);
  return rc;
}

int vae_encode(ctx *c, const vae *v, const vae_options *o, const vae_shape *s, const real *clip, real *mean,
               real *logvar) {
  int rc = OK;
  grid g;
  if (!(v->parts & VAE_ENCODER)) FAIL(&c->err, E_ARG, "vae_encode: opened without the encoder");
  TRY(grid_of(&c->err, &v->cfg, 1, o, s, &g));
  TRY(run_all(c, v, o, s, &g, &(ends){clip, mean, logvar}));
out:
  return rc;
}

int vae_decode(ctx *c, const vae *v, const vae_options *o, const vae_shape *s, const real *latents, real *frames) {
  int rc = OK;
  grid g;
  if (!(v->parts & VAE_DECODER)) FAIL(&c->err, E_ARG, "vae_decode: opened without the decoder");
  TRY(grid_of(&c->err, &v->cfg, 0, o, s, &g));
  TRY(run_all(c, v, o, s, &g, &(ends){latents, frames, NULL}));
out:
  return rc;
}
