/* Shared by the stage files only. */
#ifndef TD_RUN_STAGE_INTERNAL_H
#define TD_RUN_STAGE_INTERNAL_H

#include "model/block_vae.h"
#include "model/dit.h"
#include "run/prepare.h"
#include "run/stage.h"

/* Path of the input with this role; E_CONFIG when it is missing. */
int stage_input(err *e, const stage_cell *c, const char *role, const char **path) TD_MUST_CHECK;
int stage_has_input(const stage_cell *c, const char *role);
/* Registers an output and gives its path. */
int stage_output(err *e, stage_cell *c, const stage_env *env, const char *role, const char *kind, const char *suffix,
                 const char **path) TD_MUST_CHECK;

/* The frozen base model of a cell's inputs "config" and "weights", on a context of its own. */
typedef struct stage_model {
  ctx c;
  dit m;
} stage_model;
int stage_model_open(err *e, const stage_cell *cell, const stage_env *env, stage_model *out) TD_MUST_CHECK;
void stage_model_close(stage_model *s);

/* Latent size of the clips a spec asks for. */
typedef struct stage_size {
  int frames, height, width;                   /* pixels */
  int z_frames, z_channels, z_height, z_width; /* latents */
  double fps;
} stage_size;
int stage_read_size(err *e, const json *spec, stage_size *out) TD_MUST_CHECK;

int stage_prepare(err *e, stage_cell *c, const stage_env *env) TD_MUST_CHECK;
int stage_pretrain(err *e, stage_cell *c, const stage_env *env) TD_MUST_CHECK;
int stage_train(err *e, stage_cell *c, const stage_env *env) TD_MUST_CHECK;
/* Samples whose clip is a file of another program (input "file"). */
int stage_import(err *e, stage_cell *cells, int64_t n, const stage_env *env) TD_MUST_CHECK;
int stage_sample(err *e, stage_cell *cells, int64_t n, const stage_env *env) TD_MUST_CHECK;
int stage_score(err *e, stage_cell *c, const stage_env *env) TD_MUST_CHECK;
/* All clips of one set against those of another, or against the data. */
int stage_set(err *e, stage_cell *c, const stage_env *env) TD_MUST_CHECK;
/* Cells of one scorer, answered by one process of it. */
int stage_scorer(err *e, stage_cell *cells, int64_t n, const stage_env *env) TD_MUST_CHECK;
/* Does a program answer this score cell? */
int stage_is_scorer(const stage_cell *c);

#endif
