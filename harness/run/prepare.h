/* The first two stages: clips and captions become latents and text rows; procedural RGB clips become a base model. */
#ifndef TD_RUN_PREPARE_H
#define TD_RUN_PREPARE_H

#include "media/world.h"
#include "train.h"

/* Latents and text rows of a set of clips, in memory. Freed with prepared_free. */
typedef struct prepared {
  int64_t clips;
  int frames, channels, height, width; /* latents of one half */
  int64_t n_text, text_dim;
  float *rgb, *alpha, *text, *null_text; /* as in train_data; alpha NULL for RGB-only sets */
} prepared;

/* Room for the sizes already set in *p. */
int prepared_allocate(err *e, prepared *p, int with_alpha) TD_MUST_CHECK;
void prepared_free(prepared *p);
train_data prepared_data(const prepared *p);
/* `clips` clips of the procedural world, from clip 0 on. `threads` 0: OpenMP's default. */
int prepare_world(err *e, const world_dist *dist, uint64_t seed, int64_t clips, const block_vae *vae, int with_alpha,
                  int threads, prepared *out) TD_MUST_CHECK;
/* A safetensors file with rgb, alpha, text and null_text. */
int prepared_save(err *e, const prepared *p, const char *path) TD_MUST_CHECK;
int prepared_load(err *e, const char *path, prepared *out) TD_MUST_CHECK;

typedef struct pretrain_request {
  const char *config, *vae; /* paths */
  train_config train;
  int64_t clips;
  uint64_t data_seed;
  const char *checkpoint; /* "" for none */
  int threads;
  const char *backend; /* ctx_options.backend; NULL: cpu */
  int device;
  const train_hooks *hooks;
} pretrain_request;

/* Trains a base model from scratch on the "base" set and writes its (averaged) weights as F16 with the diffusers
 * names; metadata says how they were made. losses: [train.steps], caller frees. */
int pretrain_run(err *e, const pretrain_request *r, const char *out_path, train_result *result) TD_MUST_CHECK;

#endif
