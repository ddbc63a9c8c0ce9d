/* The CogVideoX diffusion transformer, forward and backward, over ops.h; joint designs come in as a `layout`.
 *
 * Source of every formula: spec/model.md 3-5, which restates diffusers' cogvideox_transformer_3d.py, embeddings.py,
 * normalization.py, attention_processor.py and TransPixeler's rgba_utils.py. */
#ifndef TD_MODEL_DIT_H
#define TD_MODEL_DIT_H

#include <stdint.h>

#include "base/json.h"
#include "model/layout.h"
#include "model/safetensors.h"
#include "ops/ops.h"

/* config.json of CogVideoXTransformer3DModel; width D = heads * head_dim. */
typedef struct dit_config {
  int layers, heads, head_dim;
  int in_channels, out_channels, patch, patch_t; /* patch_t 1: no time patches */
  int time_dim, ofs_dim;                         /* ofs_dim 0: none */
  int text_dim, max_text;
  int sample_height, sample_width, sample_frames; /* latent height and width, pixel frames */
  int temporal_compression;
  int rotary, learned, slice_positions; /* slice_positions: the 1.5 models' integer positions (patch_t given) */
  double norm_eps;                      /* of every layer norm but the head norms (1e-6) */
  double spatial_scale, temporal_scale; /* interpolation scales of the sincos table */
} dit_config;

int dit_config_read(err *e, const json *j, const char *name, dit_config *out) TD_MUST_CHECK;
static inline int64_t dit_width(const dit_config *c) {
  return (int64_t)c->heads * c->head_dim;
}

/* One tensor of the model or of an adapter: `w` is [rows, cols] over the flat block, `g` its gradient or absent. */
typedef enum param_group {
  PARAM_MATRIX, /* a block matrix: Muon when training from scratch */
  PARAM_PLAIN,  /* AdamW with decay */
  PARAM_DOMAIN, /* own learning rate, no decay */
} param_group;
typedef struct param {
  char name[96]; /* the key in the file */
  int rank;
  int64_t shape[5], count, offset; /* offset in reals from the start of the flat block */
  param_group group;
} param;

typedef struct dit_block {
  view ada1_w, ada1_b, n1_w, n1_b, qkv_w, qkv_b, nq_w, nq_b, nk_w, nk_b, o_w, o_b;
  view ada2_w, ada2_b, n2_w, n2_b, f1_w, f1_b, f2_w, f2_b;
} dit_block;
typedef struct dit_tensors {
  view patch_w, patch_b, text_w, text_b, pos, t1_w, t1_b, t2_w, t2_b, u1_w, u1_b, u2_w, u2_b;
  view nf_w, nf_b, ada_w, ada_b, no_w, no_b, out_w, out_b;
  dit_block *block;
} dit_tensors;

typedef struct dit {
  dit_config cfg;
  int64_t n_params, n_reals;
  param *params;
  real *w, *g;      /* flat blocks in backend memory: reals and their gradients. g is NULL when frozen, and so is w
                     * unless reals are the storage type */
  void *s;          /* the flat block of the storage type, which the model reads; w itself where that is reals */
  dit_tensors t, d; /* views into s and g */
} dit;

/* Allocates the flat block (and gradients when `trainable`). Contents undefined. */
int dit_open(ctx *c, const dit_config *cfg, int trainable, dit *out) TD_MUST_CHECK;
void dit_close(ctx *c, dit *m);
/* The model's tensors, without memory behind them. The caller frees *out. */
int dit_params(err *e, const dit_config *cfg, param **out, int64_t *n) TD_MUST_CHECK;
/* Do the weights fit the config? One message names every hyper-parameter that config and shapes disagree about (with
 * both values), and the missing, misshapen and extra tensors. `config` is a name for messages. */
int dit_check(err *e, const dit_config *cfg, const char *config, const st_file *w) TD_MUST_CHECK;
/* From a path to a model: config read, weights opened (weights_open), checked against each other, read. */
typedef struct dit_source {
  const char *weights; /* file, index or folder */
  const char *config;  /* config.json; NULL: the one beside the weights */
  st_mode mode;
} dit_source;
int dit_from(ctx *c, const dit_source *s, dit *out) TD_MUST_CHECK;
/* Brings `s` up to date after `w` was changed (dit_load and dit_init do so themselves). */
int dit_store(ctx *c, dit *m) TD_MUST_CHECK;
/* Every tensor by its diffusers name; all missing, extra and misshapen ones are listed in one message. */
int dit_load(ctx *c, dit *m, const st_file *f) TD_MUST_CHECK;
/* Init of spec/default-study.md 2: Xavier matrices, zero modulation and output, the rest U(+-1/sqrt(in)). */
int dit_init(ctx *c, dit *m, uint64_t seed) TD_MUST_CHECK;
/* As type t, from `w` (a flat block of reals) or, where that is NULL, from the model. */
int dit_save(ctx *c, const dit *m, const real *w, dtype t, st_writer *to) TD_MUST_CHECK;

/* What a design trains beside the frozen model. */
typedef struct lora_pair {
  view a, b; /* A [rank, D], B [D, rank] */
} lora_pair;
typedef struct adapter_block {
  lora_pair q, k, v, o;
  view qkv_a;                                    /* A of q, k and v, one below the other: [3 * rank, D] */
  view norm_w, norm_b, type_emb, xq, xk, xv, xo; /* exchange module */
} adapter_block;
typedef struct adapter_tensors {
  view domain;       /* [1, D] */
  view in_w;         /* latent_in.weight as [D, C*p*p] */
  view out_w, out_b; /* latent_out */
  adapter_block *block;
} adapter_tensors;
typedef struct adapter {
  int layers, rank, exchange_rank;
  double gamma; /* LoRA scale alpha / rank */
  int64_t n_params, n_reals;
  param *params;
  real *w, *g, *m, *v; /* flat, reals; g, m, v NULL when only sampling */
  void *s;             /* w in the storage type, which the model reads; w itself where that is reals */
  adapter_tensors t, d;
} adapter;

typedef struct adapter_shape {
  int rank, exchange_rank; /* of the LoRA; of the exchange module (0: as the LoRA) */
  double gamma;            /* LoRA scale */
  int trainable;           /* with gradients and AdamW moments */
} adapter_shape;
/* An adapter of a layout that trains nothing is legal and empty. */
int adapter_open(ctx *c, const dit *m, const layout *l, const adapter_shape *s, adapter *out) TD_MUST_CHECK;
void adapter_close(ctx *c, adapter *a);
/* Brings `s` up to date after `w` was changed (adapter_load and adapter_init do so themselves). */
int adapter_store(ctx *c, adapter *a) TD_MUST_CHECK;
/* LoRA A uniform +-1/sqrt(in), B zero, domain zero, exchange: Linear default and o zero, latent_in zero, latent_out
 * copy or zero (spec/model.md 11.2, 5.3, 5.4). */
int adapter_init(ctx *c, adapter *a, const dit *m, const layout *l, uint64_t seed) TD_MUST_CHECK;
/* Reads tensors by name from any of n files; a missing or misshapen one is an error. */
int adapter_load(ctx *c, adapter *a, st_file *const *files, int n) TD_MUST_CHECK;
/* Ranks found in the files' shapes (0 when there is none); gamma from the metadata, else 1 / rank. */
adapter_shape adapter_shape_of(st_file *const *files, int n);
int adapter_save(ctx *c, const adapter *a, st_writer *to) TD_MUST_CHECK;

/* The geometry of one batch: row offsets, row maps, attention groups, position tables. */
typedef struct geom {
  layout l;
  int batch;
  int frames, height, width; /* latents of one half */
  int64_t n_text, n_video;   /* rows of a text and of a video segment of one sample */
  int64_t rows;              /* of the whole batch */
  int64_t seg_rows[LAYOUT_SEGMENTS], seg_at[LAYOUT_SEGMENTS]; /* rows a sample; first row in the batch matrix */
  int64_t video_from;                                         /* first row of the first predicted video segment */
  int n_time; /* rows of the time embedding: batch, twice that with clean segments */
  int n_groups, n_live_groups, n_last_groups, n_last_live_groups;
  attn_group *groups;           /* host */
  attn_group *live_groups;      /* those whose queries can receive a gradient */
  attn_group *last_groups;      /* those with a query from row `last` on: the last block's */
  attn_group *last_live_groups; /* the same of live_groups */
  int64_t last; /* in the last block rows before this one are keys and values only: nothing reads their output */
  int64_t live_in0, live; /* first row with a gradient at the input of block 0 and after it */
  int32_t *map_mod, *map_time, *map_rope, *map_pos, *map_type; /* backend, one entry a row */
  view rope_cos, rope_sin, pos;                                /* tables; pos of the storage type */
  void *store;                                                 /* backend block behind maps and tables */
  size_t store_bytes;
} geom;

int geom_open(ctx *c, const dit *m, const layout *l, int batch, int frames, int height, int width, int64_t n_text,
              geom *out) TD_MUST_CHECK;
void geom_close(ctx *c, geom *g);

/* Called with intermediate rows of the storage type: "embed", "block.N", "norm_out", "time_emb". Rows are in
 * batch-matrix order. */
typedef int (*dit_trace)(void *user, const char *name, view v);

typedef struct dit_io {
  const real *latents; /* backend [B, streams*F, in_channels, H, W] */
  view text;           /* [B * n_text, text_dim] of the storage type, sample after sample */
  const double *t;     /* host [B], integer time steps (or flow time) */
  const double *ofs;   /* host [B] or NULL */
  real *out;           /* backend [B, streams*F, out_channels, H, W]; halves that are not predicted are zero */
  dit_trace trace;
  void *user;
  /* What a block keeps for the backward pass, host [layers]: 0 everything, 1 its input, attention output and
   * log-sum-exp, 2 its input. NULL: 0 for every block. The rest is computed again, with the same bits. */
  const unsigned char *level;
  /* Pieces that the rows of feed-forward parts are taken in: their hidden rows exist for one piece at a time. 0: one.
   * The same bits for any number. A base in training takes one, since its weight gradients sum over all rows. */
  int pieces;
  size_t *kept; /* receives the bytes of what blocks keep for themselves, or NULL */
} dit_io;

typedef struct dit_acts dit_acts; /* what the backward pass needs; lives in the context's arena */

/* Forward for sampling: keeps nothing. */
int dit_forward(ctx *c, const dit *m, const adapter *a, const geom *g, const dit_io *io) TD_MUST_CHECK;
/* Forward and loss = mean (out - target)^2 over the predicted halves' elements (both halves of the tensor when the
 * layout predicts both), then backward: adds to the gradients of `a` (when trainable) and of `m` (when trainable).
 * target: backend, like out. loss: one double in backend memory, added to. */
int dit_loss(ctx *c, dit *m, adapter *a, const geom *g, const dit_io *io, const real *target,
             double *loss) TD_MUST_CHECK;

#endif
