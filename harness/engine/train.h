/* Training: a base model from scratch, or a design's adapter over a frozen base. One function, one loop.
 *
 * Latents and text rows are prepared; a step draws a batch, time steps and noise from counter-based streams keyed by
 * the seed and the step, so a resumed run sees exactly what an uninterrupted one would. */
#ifndef TD_ENGINE_TRAIN_H
#define TD_ENGINE_TRAIN_H

#include "model/dit.h"
#include "model/schedule.h"
#include "variants/variant.h"

/* Pieces that feed-forward rows are taken in where a block is run again; any number gives the same bits. */
#define TRAIN_PIECES 8

typedef struct train_data {
  int64_t clips;
  int frames, channels, height, width; /* latents of one half */
  const float *rgb, *alpha;            /* host [clips, F, C, H, W]; alpha NULL for a base model */
  int64_t n_text, text_dim;
  const float *text;      /* host [clips, n_text, text_dim] */
  const float *null_text; /* host [n_text, text_dim]: the empty prompt */
} train_data;

typedef struct train_config {
  int64_t steps, batch;
  uint64_t seed;
  double lr, domain_lr, muon_lr; /* muon_lr 0: AdamW for everything */
  double beta1, beta2, eps, decay, domain_decay, clip;
  int64_t warmup; /* linear warm-up steps; then constant to `hold` of the run, then linear to `floor` */
  double hold, floor;
  double caption_dropout;
  double snr_shift;
  objective objective;
  int stratified;   /* one time step per equal slice of [0,1000) in a batch, else independent uniform */
  int shared_noise; /* the same noise for both halves (else independent, as the released recipe) */
  double ema;       /* decay of the averaged weights of a base model; 0: none */
  int rank;
  double gamma;
  int recompute;            /* keep only the inputs of blocks (level 2 of dit_io) */
  int64_t checkpoint_every; /* steps; 0: only when stopped */
} train_config;

/* The recipe of spec/default-study.md for fine-tuning and for a base. */
train_config train_defaults(int base);

typedef struct train_progress {
  int64_t step, steps;
  double loss, grad_norm;
} train_progress;

typedef struct train_hooks {
  void (*progress)(void *user, const train_progress *p); /* after every step; may be NULL */
  int (*stop)(void *user);                               /* true: checkpoint and return E_INTERRUPTED; may be NULL */
  void *user;
} train_hooks;

typedef struct train_result {
  int64_t steps, resumed_from;
  float *losses; /* [steps], caller frees */
} train_result;

/* Trains `a` (design) or, with design NULL, all of `m`. checkpoint: path of the file kept while training ("" for
 * none); if it exists and matches (same config, data and weights) training goes on from it. E_NAN names the step. */
int train_run(ctx *c, dit *m, adapter *a, const design *d, const train_data *data, const train_config *cfg,
              const char *checkpoint, const train_hooks *hooks, train_result *out) TD_MUST_CHECK;

#endif
