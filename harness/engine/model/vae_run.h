/* One half of the VAE run over one chunk of one tile; between vae_run.c and vae_tiles.c.
 *
 * Activations live in slots, each as large as the largest matrix it ever holds. Sizes are found by a run on the null
 * backend, whose slots are wide open. */
#ifndef TD_MODEL_VAE_RUN_H
#define TD_MODEL_VAE_RUN_H

#include "model/vae_net.h"

typedef enum vae_slot {
  SLOT_A, /* the two main ones change places */
  SLOT_B,
  SLOT_INNER, /* between a residual block's convolutions; the output */
  SLOT_IN,    /* the input chunk; the decoder's norms look at it */
  SLOT_QUANT, /* the same after the quant convolution */
  SLOT_SCALE,
  SLOT_SHIFT,
  SLOTS
} vae_slot;

typedef struct vae_run {
  ctx *c;
  const vae_config *cfg;
  const vae_half *net;
  const vae_options *o;
  arena mem; /* what slots, map and past frames stand on */
  real *slot[SLOTS];
  int64_t have[SLOTS], need[SLOTS]; /* reals */
  int32_t *map, *host_map;          /* row of the latent chunk each pixel belongs to: backend, host */
  int64_t map_rows;                 /* most rows ever */
  /* the chunk */
  vae_slot main; /* A or B: where the activations are */
  int frames, height, width;
  view z; /* latents that condition the decoder's norms */
  int z_frames, z_height, z_width;
  int first, last; /* chunk of its tile: nothing before it, nothing after it */
  view *past;      /* the last 2 input frames of each causal convolution, in the order they run */
  int64_t n_past, past_cap, at_past;
  vae_tick tick;
  double flops_before; /* counted by the context before this call */
} vae_run;

/* Runs the chunk in SLOT_IN, frames x height x width pixels; *out: rows of the result, in a slot. The geometry in r
 * is then that of the result. */
int vae_run_chunk(vae_run *r, view *out) TD_MUST_CHECK;
/* rows x cols of a slot. */
int vae_slot_view(vae_run *r, vae_slot s, int64_t rows, int64_t cols, view *out) TD_MUST_CHECK;
/* Reports progress, asks whether to go on. */
int vae_run_tick(vae_run *r) TD_MUST_CHECK;

#endif
