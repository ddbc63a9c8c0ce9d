#include "run/stage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/video.h"
#include "model/words.h"
#include "run/data_clips.h"
#include "run/stage_internal.h"
#include "study/set_cell.h"
#include "base/mem.h"

void stage_cell_clear(stage_cell *c) {
  free(c->measures);
  c->measures = NULL;
  c->n_measures = 0;
}

int stage_has_input(const stage_cell *c, const char *role) {
  for (int i = 0; i < c->n_inputs; i++)
    if (!strcmp(c->inputs[i].role, role)) return 1;
  return 0;
}

int stage_input(err *e, const stage_cell *c, const char *role, const char **path) {
  for (int i = 0; i < c->n_inputs; i++)
    if (!strcmp(c->inputs[i].role, role)) {
      *path = c->inputs[i].path;
      return OK;
    }
  return err_set(e, E_CONFIG, "this cell has no input '%s'", role);
}

int stage_output(err *e, stage_cell *c, const stage_env *env, const char *role, const char *kind, const char *suffix,
                 const char **path) {
  int rc = OK;
  if (c->n_outputs == STAGE_OUTPUTS) FAIL(e, E_ARG, "more than %d outputs", STAGE_OUTPUTS);
  stage_file *f = &c->outputs[c->n_outputs];
  *f = (stage_file){.role = role, .kind = kind};
  TRY(env->temp(env->user, e, suffix, f->path));
  *path = f->path;
  c->n_outputs++;
out:
  return rc;
}

int stage_model_open(err *e, const stage_cell *cell, const stage_env *env, stage_model *out) {
  int rc = OK;
  const char *config = NULL, *weights = NULL;
  *out = (stage_model){0};
  TRY(stage_input(e, cell, "config", &config));
  TRY(stage_input(e, cell, "weights", &weights));
  rc = ctx_open(
      &out->c,
      &(ctx_options){.backend = env->backend ? env->backend : "cpu", .threads = env->threads, .device = env->device});
  if (*out->c.note) fprintf(stderr, "%s\n", out->c.note);
  if (*out->c.library) fprintf(stderr, "computing on %s, %s, %s\n", out->c.ops->name, out->c.isa, out->c.library);
  if (rc == OK) rc = dit_from(&out->c, &(dit_source){.weights = weights, .config = config}, &out->m);
  if (rc != OK) FAIL(e, out->c.err.code, "%s", out->c.err.text);
out:
  if (rc != OK) stage_model_close(out);
  return rc;
}

void stage_model_close(stage_model *s) {
  dit_close(&s->c, &s->m);
  ctx_close(&s->c);
}

int stage_read_size(err *e, const json *spec, stage_size *out) {
  int rc = OK;
  int64_t frames, n;
  *out = (stage_size){0};
  TRY(spec_int(e, spec, "data.frames", &frames));
  TRY(spec_size(e, spec, "data.size", &out->height, &out->width));
  TRY(spec_number(e, spec, "data.fps", &out->fps));
  out->frames = (int)frames;
  TRY(block_vae_count(e, out->frames, out->height, out->width, &n)); /* refuses sizes without latents */
  out->z_frames = out->frames / BLOCK_VAE_FRAMES;
  out->z_channels = BLOCK_VAE_CHANNELS;
  out->z_height = out->height / BLOCK_VAE_SIDE;
  out->z_width = out->width / BLOCK_VAE_SIDE;
out:
  return rc;
}

/* --- prepare --- */

static int prepare_folder(err *e, const data_clips *d, const stage_size *size, const stage_env *env,
                          const block_vae *vae, prepared *out) {
  int rc = OK;
  int64_t half;
  clip frames = {0};
  *out = (prepared){.clips = d->n,
                    .frames = size->z_frames,
                    .channels = size->z_channels,
                    .height = size->z_height,
                    .width = size->z_width,
                    .n_text = WORDS_ROWS,
                    .text_dim = WORDS_DIM};
  TRY(prepared_allocate(e, out, 1));
  half = (int64_t)out->frames * out->channels * out->height * out->width;
  TRY(words_rows(e, NULL, out->n_text, out->text_dim, out->null_text));
  for (int64_t i = 0; i < d->n; i++) {
    if (env->stop && env->stop(env->user)) FAIL(e, E_INTERRUPTED, "stopped at clip %lld", (long long)i);
    TRY(data_clips_load(e, d, i, &frames));
    TRY(block_vae_encode(e, vae, &frames, BLOCK_VAE_RGB, out->rgb + i * half));
    TRY(block_vae_encode(e, vae, &frames, BLOCK_VAE_ALPHA, out->alpha + i * half));
    TRY(words_rows(e, d->folder.items[i].caption, out->n_text, out->text_dim,
                   out->text + i * out->n_text * out->text_dim));
    clip_free(&frames);
    if (env->progress) env->progress(env->user, i + 1, d->n, NAN);
  }
out:
  clip_free(&frames);
  return rc;
}

int stage_prepare(err *e, stage_cell *c, const stage_env *env) {
  int rc = OK;
  const char *path = NULL, *scales = NULL;
  block_vae *vae = NULL;
  prepared data = {0};
  data_clips clips = {0};
  stage_size size;
  TRY(mem_new(e, 1, sizeof *vae, "latent transform", &vae));
  TRY(stage_input(e, c, "vae", &scales));
  TRY(block_vae_load(e, scales, vae));
  TRY(stage_read_size(e, c->spec, &size));
  TRY(data_clips_open(e, c, &clips));
  TRY(clips.world ? prepare_world(e, &clips.dist, clips.seed, clips.n, vae, 1, env->threads, &data)
                  : prepare_folder(e, &clips, &size, env, vae, &data));
  TRY(stage_output(e, c, env, "latents", "latents", ".safetensors", &path));
  TRY(prepared_save(e, &data, path));
out:
  data_clips_close(&clips);
  prepared_free(&data);
  free(vae);
  return rc;
}

/* --- training --- */

static void on_step(void *user, const train_progress *p) {
  const stage_env *env = user;
  if (env->progress) env->progress(env->user, p->step, p->steps, p->loss);
}

static int on_stop(void *user) {
  const stage_env *env = user;
  return env->stop && env->stop(env->user);
}

static int save_losses(err *e, stage_cell *c, const stage_env *env, const train_result *r) {
  int rc = OK;
  const char *path = NULL;
  st_writer *w = NULL;
  TRY(stage_output(e, c, env, "losses", "losses", ".safetensors", &path));
  TRY(st_writer_open(e, &w));
  TRY(st_writer_add(w, e, "losses", DT_F32, 1, &r->steps, r->losses));
  TRY(st_writer_save(w, e, path));
out:
  st_writer_close(w);
  return rc;
}

int stage_pretrain(err *e, stage_cell *c, const stage_env *env) {
  int rc = OK;
  int64_t seed;
  const char *path = NULL;
  train_result result = {0};
  train_hooks hooks = {on_step, on_stop, (void *)(uintptr_t)env};
  pretrain_request r = {.checkpoint = env->checkpoint,
                        .threads = env->threads,
                        .backend = env->backend,
                        .device = env->device,
                        .hooks = &hooks};
  TRY(stage_input(e, c, "config", &r.config));
  TRY(stage_input(e, c, "vae", &r.vae));
  TRY(spec_train_config(e, c->spec, c->hints, STAGE_PRETRAIN, &r.train));
  TRY(spec_int(e, c->spec, "pretrain.clips", &r.clips));
  TRY(spec_int(e, c->spec, "pretrain.data_seed", &seed));
  r.data_seed = (uint64_t)seed;
  TRY(stage_output(e, c, env, "weights", "weights", ".safetensors", &path));
  TRY(pretrain_run(e, &r, path, &result));
  c->resumed_from = result.resumed_from ? result.resumed_from : -1;
  TRY(save_losses(e, c, env, &result));
out:
  free(result.losses);
  return rc;
}

static int save_adapter(err *e, stage_cell *c, const stage_env *env, stage_model *s, const adapter *a,
                        const char *name, const train_config *cfg) {
  int rc = OK;
  const char *path = NULL;
  char number[64];
  st_writer *w = NULL;
  TRY(stage_output(e, c, env, "adapter", "weights", ".safetensors", &path));
  TRY(st_writer_open(e, &w));
  TRY(st_writer_meta(w, e, "design", name));
  const struct {
    const char *key;
    double value;
  } facts[] = {{"rank", a->rank}, {"gamma", a->gamma}, {"steps", (double)cfg->steps}, {"seed", (double)cfg->seed}};
  for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
    snprintf(number, sizeof number, "%.17g", facts[i].value);
    TRY(st_writer_meta(w, e, facts[i].key, number));
  }
  if (adapter_save(&s->c, a, w) != OK) FAIL(e, s->c.err.code, "%s", s->c.err.text);
  TRY(st_writer_save(w, e, path));
out:
  st_writer_close(w);
  return rc;
}

int stage_train(err *e, stage_cell *c, const stage_env *env) {
  int rc = OK;
  const char *name = NULL, *latents = NULL;
  design d;
  layout l;
  train_config cfg;
  stage_model s = {0};
  adapter a = {0};
  prepared data = {0};
  train_result result = {0};
  train_hooks hooks = {on_step, on_stop, (void *)(uintptr_t)env};
  TRY(spec_text(e, c->spec, "design", &name));
  TRY(design_parse(e, name, &d));
  design_layout(&d, &l);
  TRY(spec_train_config(e, c->spec, c->hints, STAGE_TRAIN, &cfg));
  TRY(spec_seed(e, c->spec, "train_seed", &cfg.seed));
  TRY(stage_input(e, c, "data", &latents));
  TRY(prepared_load(e, latents, &data));
  TRY(stage_model_open(e, c, env, &s));
  adapter_shape shape = {.rank = cfg.rank, .gamma = cfg.gamma, .trainable = 1};
  train_data td = prepared_data(&data);
  rc = adapter_open(&s.c, &s.m, &l, &shape, &a);
  if (rc == OK) rc = adapter_init(&s.c, &a, &s.m, &l, cfg.seed);
  if (rc == OK) rc = train_run(&s.c, &s.m, &a, &d, &td, &cfg, env->checkpoint, &hooks, &result);
  if (rc != OK) FAIL(e, s.c.err.code, "%s", s.c.err.text);
  c->resumed_from = result.resumed_from ? result.resumed_from : -1;
  TRY(save_adapter(e, c, env, &s, &a, name, &cfg));
  TRY(save_losses(e, c, env, &result));
out:
  free(result.losses);
  adapter_close(&s.c, &a);
  stage_model_close(&s);
  prepared_free(&data);
  return rc;
}

/* A pack may hold clips of both kinds. */
static int run_samples(err *e, stage_cell *cells, int64_t n, const stage_env *env) {
  int rc = OK;
  for (int64_t from = 0, to; from < n; from = to) {
    int import = stage_has_input(&cells[from], "file");
    for (to = from + 1; to < n && stage_has_input(&cells[to], "file") == import;) to++;
    TRY(import ? stage_import(e, cells + from, to - from, env) : stage_sample(e, cells + from, to - from, env));
  }
out:
  return rc;
}

int stage_run(err *e, stage s, stage_cell *cells, int64_t n, const stage_env *env) {
  int rc = OK;
  for (int64_t i = 0; i < n; i++) cells[i].resumed_from = -1;
  if (s == STAGE_SAMPLE) return run_samples(e, cells, n, env);
  if (s == STAGE_SCORE && stage_is_scorer(&cells[0])) return stage_scorer(e, cells, n, env);
  for (int64_t i = 0; i < n; i++) {
    if (env->stop && env->stop(env->user)) FAIL(e, E_INTERRUPTED, "stopped before cell %lld", (long long)i);
    switch (s) {
    case STAGE_PREPARE: TRY(stage_prepare(e, &cells[i], env)); break;
    case STAGE_PRETRAIN: TRY(stage_pretrain(e, &cells[i], env)); break;
    case STAGE_TRAIN: TRY(stage_train(e, &cells[i], env)); break;
    case STAGE_SCORE:
      TRY(stage_has_input(&cells[i], SET_FIRST) ? stage_set(e, &cells[i], env) : stage_score(e, &cells[i], env));
      break;
    default: FAIL(e, E_ARG, "no such stage");
    }
  }
out:
  return rc;
}
