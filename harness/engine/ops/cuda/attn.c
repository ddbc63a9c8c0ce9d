/* Attention on the device: tables of tiles, and which kernels take them.
 *
 * A model has a handful of different tables and asks for them again in every block and step. They stay on the device:
 * a call builds its table on the host, and uploads it only when no slot holds the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ops/cuda/attn_args.h"
#include "ops/cuda/attn_table.h"
#include "ops/cuda/cuda.h"
#include "ops/cuda/shape.h"

enum { SLOTS = 8, SLOT_BYTES = 64 << 10 /* smallest */, ENTRY = 16 /* bytes of a tile or run */ };

_Static_assert(sizeof(attn_tile) == ENTRY && sizeof(attn_run) == ENTRY, "a tile and a run are one load each");

/* A table on the device: query tiles, key tiles, runs. */
typedef struct slot {
  char *device, *host; /* of the same contents */
  int64_t cap, n_queries, n_keys, n_runs;
  int64_t used; /* when it was last asked for */
} slot;

struct cuda_attn {
  attn_table table;
  slot slots[SLOTS];
  int64_t turn;
};

/* How one call runs. */
typedef struct way {
  int mma, wide, bf16, pad; /* pad: 64 or 128, the plain kernels' head size */
  int64_t rows;             /* of a tile */
} way;

/* Four elements at a time may be moved. */
static int by_fours(view v, int dim) {
  int64_t bytes = 4 * dtype_size(v.type);
  return dim % 4 == 0 && (int64_t)((uintptr_t)v.p % (uint64_t)bytes) == 0 && v.ld % 4 == 0;
}

static way way_of(const view *v, int n, int dim, int64_t mma_rows) {
  way w = {.mma = v[0].type == DT_BF16 && dim == ATTN_MMA_DIM, .wide = 1, .bf16 = v[0].type == DT_BF16};
  for (int i = 0; i < n; i++) {
    w.mma = w.mma && lines_up(v[i], 0);
    w.wide = w.wide && by_fours(v[i], dim);
  }
  w.pad = dim <= 64 ? 64 : 128;
  w.rows = w.mma ? mma_rows : ATTN_PLAIN_ROWS;
  return w;
}

static int check(ctx *c, view q, int dim) {
  if (dim > ATTN_MAX_DIM) return err_set(&c->err, E_UNSUPPORTED, "head dim %d, at most %d", dim, ATTN_MAX_DIM);
  if (q.rows > INT32_MAX || q.cols / dim > 65535)
    return err_set(&c->err, E_UNSUPPORTED, "%lld rows of %lld heads, at most %d of 65535", (long long)q.rows,
                   (long long)(q.cols / dim), INT32_MAX);
  return OK;
}

/* --- tables --- */

static int state_of(ctx *c, cuda_attn **out) {
  cuda_state *s = cuda_of(c);
  int rc = s->attn ? OK : mem_new(&c->err, 1, sizeof *s->attn, "attention tables", &s->attn);
  *out = s->attn;
  return rc;
}

static void copy_table(const attn_table *t, char *to) {
  if (t->n_queries) memcpy(to, t->queries, (size_t)t->n_queries * ENTRY);
  to += t->n_queries * ENTRY;
  if (t->n_keys) memcpy(to, t->keys, (size_t)t->n_keys * ENTRY);
  to += t->n_keys * ENTRY;
  if (t->n_runs) memcpy(to, t->runs, (size_t)t->n_runs * ENTRY);
}

static int same_entries(const char **at, const void *p, int64_t n) {
  int same = !n || !memcmp(*at, p, (size_t)n * ENTRY);
  *at += n * ENTRY;
  return same;
}

static int holds(const slot *s, const attn_table *t) {
  const char *at = s->host;
  return at && s->n_queries == t->n_queries && s->n_keys == t->n_keys && s->n_runs == t->n_runs &&
         same_entries(&at, t->queries, t->n_queries) && same_entries(&at, t->keys, t->n_keys) &&
         same_entries(&at, t->runs, t->n_runs);
}

static void slot_free(ctx *c, slot *s) {
  c->ops->release(c, s->device);
  free(s->host);
  *s = (slot){0};
}

/* The stream orders the upload behind the kernels that still read the slot's old table. */
static int slot_fill(ctx *c, slot *s, const attn_table *t) {
  int rc = OK;
  int64_t bytes = (t->n_queries + t->n_keys + t->n_runs) * ENTRY;
  if (bytes > s->cap) {
    int64_t cap = s->cap ? s->cap : SLOT_BYTES;
    void *device = NULL;
    while (cap < bytes) cap *= 2;
    slot_free(c, s);
    TRY(c->ops->alloc(c, (size_t)cap, &device));
    s->device = device;
    TRY(mem_new(&c->err, cap, 1, "attention tables", &s->host));
    s->cap = cap;
  }
  s->n_queries = s->n_keys = s->n_runs = -1; /* holds nothing, should the upload fail */
  copy_table(t, s->host);
  TRY(c->ops->upload(c, s->device, s->host, (size_t)bytes));
  s->n_queries = t->n_queries;
  s->n_keys = t->n_keys;
  s->n_runs = t->n_runs;
out:
  if (rc != OK) slot_free(c, s);
  return rc;
}

/* The slot with the table just built: one that holds it, else the one unused for longest. */
static int slot_of(ctx *c, cuda_attn *a, const slot **out) {
  slot *s = &a->slots[0];
  int rc = OK;
  for (int i = 0; i < SLOTS; i++) {
    if (holds(&a->slots[i], &a->table)) {
      s = &a->slots[i];
      goto out;
    }
    if (a->slots[i].used < s->used) s = &a->slots[i];
  }
  TRY(slot_fill(c, s, &a->table));
out:
  s->used = ++a->turn;
  *out = s;
  return rc;
}

static const attn_tile *query_tiles(const slot *s) {
  return (const attn_tile *)(const void *)s->device;
}
static const attn_tile *key_tiles(const slot *s) {
  return query_tiles(s) + s->n_queries;
}
static const attn_run *runs(const slot *s) {
  return (const attn_run *)(const void *)(key_tiles(s) + s->n_keys);
}

void cuda_attn_close(ctx *c) {
  cuda_attn *a = cuda_of(c)->attn;
  if (!a) return;
  for (int i = 0; i < SLOTS; i++) slot_free(c, &a->slots[i]);
  attn_table_free(&a->table);
  free(a);
  cuda_of(c)->attn = NULL;
}

/* --- launching --- */

/* NAME_mma, or the plain kernel of the storage type and head size */
#define KERNEL(name, w)                                                                                              \
  ((w).mma         ? #name "_mma"                                                                                    \
   : (w).pad == 64 ? (w).bf16 ? #name "_bf16_64" : #name "_f32_64"                                                   \
   : (w).bf16      ? #name "_bf16_128"                                                                               \
                   : #name "_f32_128")

typedef struct tile_grid {
  int64_t tiles, heads;
  const way *w;
  unsigned plain_bytes; /* shared memory of the plain kernel */
} tile_grid;

static int launch(ctx *c, const char *kernel, tile_grid g, void *args) {
  return cuda_launch(c, &(cuda_call){.kernel = kernel,
                                     .x = (unsigned)g.tiles,
                                     .y = (unsigned)g.heads,
                                     .threads = g.w->mma ? ATTN_MMA_THREADS : ATTN_PLAIN_THREADS,
                                     .shared = g.w->mma ? 0 : g.plain_bytes,
                                     .args = args});
}

int cuda_attn_run(ctx *c, const op_attn_args *a) {
  int rc = OK;
  cuda_attn *s = NULL;
  const slot *t = NULL;
  TRY(check(c, a->q, a->dim));
  TRY(state_of(c, &s));
  way w = way_of((const view[]){a->q, a->k, a->v, a->o}, 4, a->dim, ATTN_MMA_QUERIES);
  TRY(attn_table_queries(&c->err, &s->table, a->groups, a->n_groups, w.rows));
  TRY(slot_of(c, s, &t));
  TRY(launch(c, KERNEL(attn_fwd, w),
             (tile_grid){.tiles = t->n_queries,
                         .heads = a->q.cols / a->dim,
                         .w = &w,
                         .plain_bytes = (unsigned)ATTN_PLAIN_FWD_BYTES(w.pad)},
             &(attn_fwd_args){.q = mat_of(a->q),
                              .k = mat_of(a->k),
                              .v = mat_of(a->v),
                              .o = mat_of(a->o),
                              .lse = a->lse.p,
                              .lse_ld = a->lse.ld,
                              .tile = query_tiles(t),
                              .run = runs(t),
                              .scale = (float)(1 / sqrt((double)a->dim)),
                              .dim = a->dim,
                              .wide = w.wide}));
out:
  return rc;
}

static int run_delta(ctx *c, const op_attn_bwd_args *a, const slot *t, const way *w) {
  return cuda_launch(c, &(cuda_call){.kernel = w->bf16 ? "attn_delta_bf16" : "attn_delta_f32",
                                     .x = (unsigned)t->n_queries,
                                     .y = (unsigned)(a->q.cols / a->dim),
                                     .threads = ATTN_DELTA_THREADS,
                                     .args = &(attn_delta_args){.o = mat_of(a->o),
                                                                .d_o = mat_of(a->d_o),
                                                                .delta = a->delta.p,
                                                                .delta_ld = a->delta.ld,
                                                                .tile = query_tiles(t),
                                                                .dim = a->dim,
                                                                .wide = w->wide}});
}

int cuda_attn_bwd(ctx *c, const op_attn_bwd_args *a) {
  int rc = OK;
  cuda_attn *s = NULL;
  const slot *t = NULL;
  TRY(check(c, a->q, a->dim));
  TRY(state_of(c, &s));
  const view all[] = {a->q, a->k, a->v, a->o, a->d_o, a->dq, a->dk, a->dv};
  way w = way_of(all, (int)(sizeof all / sizeof all[0]), a->dim, ATTN_MMA_ROWS);
  TRY(attn_table_queries(&c->err, &s->table, a->groups, a->n_groups, w.rows));
  TRY(attn_table_keys(&c->err, &s->table, a, w.rows));
  TRY(slot_of(c, s, &t));
  TRY(run_delta(c, a, t, &w));
  tile_grid g = {
      .tiles = t->n_keys, .heads = a->q.cols / a->dim, .w = &w, .plain_bytes = (unsigned)ATTN_PLAIN_BWD_BYTES(w.pad)};
  attn_bwd_args x = {.lse = a->lse.p,
                     .delta = a->delta.p,
                     .lse_ld = a->lse.ld,
                     .delta_ld = a->delta.ld,
                     .run = runs(t),
                     .scale = (float)(1 / sqrt((double)a->dim)),
                     .dim = a->dim,
                     .wide = w.wide};
  x.a1 = mat_of(a->k), x.a2 = mat_of(a->v), x.b1 = mat_of(a->q), x.b2 = mat_of(a->d_o);
  x.out1 = mat_of(a->dk), x.out2 = mat_of(a->dv), x.tile = key_tiles(t);
  TRY(launch(c, KERNEL(attn_keys, w), g, &x));
  x.a1 = mat_of(a->q), x.a2 = mat_of(a->d_o), x.b1 = mat_of(a->k), x.b2 = mat_of(a->v);
  x.out1 = mat_of(a->dq), x.tile = query_tiles(t), g.tiles = t->n_queries;
  TRY(launch(c, KERNEL(attn_queries, w), g, &x));
out:
  return rc;
}
