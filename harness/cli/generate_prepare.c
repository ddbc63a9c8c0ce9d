#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/generate.h"
#include "cli/stop.h"
#include "model/folder.h"
#include "model/prompts.h"

int generate_fail(generate *g, int rc) {
  return rc == OK || g->c->err.code ? rc : err_set(&g->c->err, g->x.err.code, "%s", g->x.err.text);
}

/* The design that was asked for; else what the adapter says it was trained as; else the released inference code's for
 * an adapter that says nothing; else none. */
static int choose_design(generate *g) {
  int rc = OK;
  const char *name = g->a->design;
  g->from.gamma = g->a->gamma;
  g->from.d = &g->d;
  TRY(adapters_open(&g->c->err, &g->a->adapters, &g->from));
  for (int i = 0; !name && i < g->from.n; i++) name = st_meta(g->from.file[i], "design");
  if (!name) name = g->from.n ? "soft-mask" : "base";
  TRY(design_parse(&g->c->err, name, &g->d));
  if (design_imports(&g->d)) FAIL(&g->c->err, E_ARG, "design %s runs no model: its clips are read from files", name);
  design_layout(&g->d, &g->l);
  if (g->l.streams == 1 && (g->a->composite || g->a->colour))
    FAIL(&g->c->err, E_ARG,
         "design %s makes no alpha, so there is no composite and no straight or premultiplied colour", name);
out:
  return rc;
}

/* A folder that is a whole pipeline is decoded in any case; a transformer alone can give latents only. */
static int wants_vae(const generate *g) {
  return folder_is_pipeline(g->a->model) || g->a->out || g->a->composite || g->a->preview || g->a->image;
}

static int read_config(generate *g, model_part part) {
  int rc = OK;
  err *e = &g->c->err;
  json *j = NULL;
  text name = {0};
  const char *config = part == PART_TRANSFORMER ? g->a->config : NULL;
  TRY(weights_config(e, &(weights_path){g->a->model, config, part}, &j, &name));
  if (part == PART_VAE)
    TRY(vae_config_read(e, j, name.p, &g->pixels));
  else
    TRY(dit_config_read(e, j, name.p, &g->transformer));
out:
  json_free(j);
  text_free(&name);
  return rc;
}

static int read_configs(generate *g) {
  int rc = OK;
  err *e = &g->c->err;
  if (!file_exists(g->a->model)) FAIL(e, E_IO, "--model %s: no such file or folder", g->a->model);
  TRY(read_config(g, PART_TRANSFORMER));
  g->channels = g->transformer.out_channels;
  g->has_vae = wants_vae(g);
  if (g->has_vae) TRY(read_config(g, PART_VAE));
  if (!g->has_vae && !g->a->noise)
    FAIL(e, E_ARG, "%s is a transformer alone: give its start noise with --noise FILE", g->a->model);
  if (g->has_vae && g->pixels.latent_channels != g->channels)
    FAIL(e, E_CONFIG, "%s: the VAE has %d latent channels, the transformer %d", g->a->model,
         g->pixels.latent_channels, g->channels);
out:
  return rc;
}

static int load_models(generate *g) {
  int rc = OK;
  const st_mode mode = g->c->read ? ST_READ : ST_MAP;
  TRY(dit_from(&g->x, &(dit_source){.weights = g->a->model, .config = g->a->config, .mode = mode}, &g->m));
  TRY(adapters_load(g->c, &g->from, &g->x, &g->m, &g->adapter));
  if (g->adapter.n_params) g->rank = g->adapter.rank, g->gamma = g->adapter.gamma;
  if (g->has_vae) TRY(vae_from(&g->x, g->a->model, mode, VAE_DECODER | (g->a->image ? VAE_ENCODER : 0), &g->v));
out:
  return generate_fail(g, rc);
}

static int read_scheduler(generate *g) {
  int rc = OK;
  json *j = NULL;
  text name = {0};
  const generate_args *a = g->a;
  g->sample = sample_defaults();
  if (folder_is_pipeline(a->model)) {
    TRY(folder_config(&g->c->err, a->model, PART_SCHEDULER, &j, &name));
    TRY(scheduler_read(&g->c->err, j, name.p, &g->sample));
  }
  g->sample.steps = (int)a->steps;
  g->sample.guidance = a->guidance;
  if (a->sampler) g->sample.sampler = (sampler_kind)(a->sampler - 1);
  /* The released pipeline's schedule belongs to its sampler. */
  g->sample.cfg = a->cfg                             ? (cfg_kind)(a->cfg - 1)
                  : g->sample.sampler == SAMPLER_DPM ? CFG_DYNAMIC_RELEASED
                                                     : CFG_CONSTANT;
out:
  json_free(j);
  text_free(&name);
  return rc;
}

static int read_pair(err *e, const char *what, const char *s, int64_t n[2]) {
  if (!cli_sizes(s, 2, n) || n[0] < 1 || n[1] < 1)
    return err_set(e, E_ARG, "%s is HEIGHTxWIDTH in pixels, as in 480x720, not '%.40s'", what, s);
  return OK;
}

/* Frames of a half in the start noise: step noise, where there is some, is that of all halves. */
static int64_t noise_half(const generate *g) {
  const noise_file *z = &g->noise;
  return g->l.streams == 2 && z->step && z->step_frames == z->frames ? z->frames / 2 : z->frames;
}

/* Pixels: as asked for, else as the noise has them, else the model's own. */
static int choose_size(generate *g) {
  int rc = OK;
  const generate_args *a = g->a;
  const dit_config *m = &g->transformer;
  const noise_file *z = &g->noise;
  if (!g->has_vae) { /* latents alone: the noise is their size */
    int halves = z->frames % (2 * m->patch_t) == 0 && z->frames == z->step_frames && g->l.streams == 2 ? 2 : 1;
    g->size =
        (clip_size){.z_frames = (int)(z->frames / halves), .z_height = (int)z->height, .z_width = (int)z->width};
    return OK;
  }
  const int64_t scale = vae_scale(&g->pixels);
  int64_t side[2] = {m->sample_height * scale, m->sample_width * scale}, frames = m->sample_frames;
  if (z->start) {
    side[0] = z->height * scale, side[1] = z->width * scale;
    frames = vae_pixel_frames(&g->pixels, noise_half(g));
  }
  if (a->size) TRY(read_pair(&g->c->err, "--size", a->size, side));
  if (a->frames) frames = a->frames;
  TRY(clip_size_of(&g->c->err, m, &g->pixels, frames, side[0], side[1], &g->size));
out:
  return rc;
}

static int choose_tile(generate *g) {
  int rc = OK;
  int64_t side[2] = {0, 0};
  const char *s = g->a->tile;
  if (!g->has_vae || !strcmp(s, "off")) return OK;
  if (!strcmp(s, "auto")) {
    vae_tile tile = vae_tile_default(&g->pixels);
    if (vae_tile_check(NULL, &g->pixels, tile) == OK) g->decode.tile = tile;
    return OK;
  }
  TRY(read_pair(&g->c->err, "--tile", s, side));
  g->decode.tile = (vae_tile){(int)side[0], (int)side[1]};
  TRY(vae_tile_check(&g->c->err, &g->pixels, g->decode.tile));
out:
  return rc;
}

static int place_noise(generate *g) {
  int rc = OK;
  err *e = &g->c->err;
  const noise_file *z = &g->noise;
  TRY(mem_new(e, g->l.streams * generate_half(g), sizeof *g->z, "latents", &g->z));
  if (!z->start) goto out;
  if (z->channels != g->channels)
    FAIL(e, E_SHAPE, "%s: noise of %lld channels, the model has %d", g->a->noise, (long long)z->channels,
         g->channels);
  TRY(mem_new(e, g->l.streams * generate_half(g), sizeof *g->start, "start noise", &g->start));
  TRY(noise_start(e, z, g->a->noise, g->l.streams, &g->size, g->start));
  if (g->sample.sampler == SAMPLER_DPM && !z->step)
    FAIL(e, E_ARG, "%s: sampler dpm draws noise at every step, and the file has %s", g->a->noise,
         z->several ? "several tensors RUN.noise; say which with --noise-run" : "no tensor 'noise'");
  if (g->sample.sampler == SAMPLER_DPM &&
      (z->steps != g->sample.steps || z->step_frames != (int64_t)g->l.streams * g->size.z_frames))
    FAIL(e, E_SHAPE, "%s: step noise of %lld steps and %lld frames; this run has %d steps and %d frames", g->a->noise,
         (long long)z->steps, (long long)z->step_frames, g->sample.steps, g->l.streams * g->size.z_frames);
out:
  return rc;
}

static int on_text(void *user, int64_t done, int64_t total) {
  generate *g = user;
  progress_tick(&g->progress, done, total, "text encoder");
  return stop_signal();
}

static int read_text(generate *g) {
  int rc = OK;
  err *e = &g->c->err;
  const generate_args *a = g->a;
  const dit_config *m = &g->transformer;
  prompt_rows rows = {0};
  double began = clock_seconds();
  if (a->embeddings) {
    TRY(embeddings_read(e, a->embeddings, &g->text));
    if (g->text.lone && a->guidance > 1)
      FAIL(e, E_ARG,
           "%s: guidance needs the rows of the empty prompt too ([2,T,D] or in.text_uncond); or --guidance 1",
           a->embeddings);
  } else {
    const char *const prompt[2] = {a->prompt, a->negative};
    progress_open(&g->progress, g->c, "block", 0);
    TRY(prompts_encode(e,
                       &(prompt_request){.model = a->model,
                                         .cache = a->cache,
                                         .prompt = prompt,
                                         .n = 2,
                                         .rows = m->max_text,
                                         .threads = (int)g->c->threads,
                                         .progress = on_text,
                                         .user = g},
                       &rows));
    g->text = (text_rows){.rows = rows.rows, .width = rows.width, .at = rows.at};
    g->encoded = rows.encoded;
    rows.at = NULL;
    if (rows.cut) cli_warn("the prompt is longer than %d tokens; what follows is left out", m->max_text - 1);
  }
  if (g->text.width != m->text_dim)
    FAIL(e, E_SHAPE, "text rows are %lld wide, the model wants %d", (long long)g->text.width, m->text_dim);
out:
  progress_close(&g->progress);
  prompts_free(&rows);
  g->seconds[0] = clock_seconds() - began;
  return rc;
}

/* Models with more input than output channels want a first frame, the others have no place for one. */
static int check_image(generate *g) {
  err *e = &g->c->err;
  const dit_config *m = &g->transformer;
  if (m->in_channels == m->out_channels)
    return g->a->image ? err_set(e, E_ARG, "%s is a text-to-video model (%d input channels): it takes no --image",
                                 g->a->model, m->in_channels)
                       : OK;
  if (m->in_channels != 2 * m->out_channels)
    return err_set(e, E_UNSUPPORTED, "%s: a model of %d input and %d output channels", g->a->model, m->in_channels,
                   m->out_channels);
  if (!g->a->image)
    return err_set(e, E_ARG, "%s is an image-to-video model: give its first frame with --image FILE", g->a->model);
  return OK;
}

/* The picture's latents, and those of its alpha where it has one and the design makes one. */
static int read_image(generate *g) {
  int rc = OK;
  err *e = &g->c->err;
  float *picture = NULL, *eps = NULL;
  int has_alpha;
  const dit_config *m = &g->transformer;
  const int64_t n = (int64_t)m->out_channels * g->size.z_height * g->size.z_width,
                pixels = g->size.height * g->size.width;
  if (!g->a->image) return OK;
  TRY(picture_read(e, g->a->image, &g->size, &picture, &has_alpha));
  TRY(mem_new(e, 2 * n, sizeof *g->image, "image latents", &g->image));
  TRY(mem_new(e, n, sizeof *eps, "posterior noise", &eps));
  for (int plane = 0; plane < (has_alpha && g->l.streams == 2 ? 2 : 1); plane++) {
    const rng r = {.seed = (uint64_t)g->a->seed, .stream = RNG_POSTERIOR, .sub = (uint32_t)plane};
    rng_normal(r, 0, n, eps);
    rc = image_latents(&g->x, &g->v, &g->decode, &g->size, picture + 3 * pixels * plane,
                       g->noise.posterior ? g->noise.posterior : eps, g->image + n * plane);
    TRY(generate_fail(g, rc));
  }
  if (g->l.streams == 2 && !has_alpha)
    cli_detail(g->c, "%s has no alpha: the alpha half sees an empty first frame", g->a->image);
out:
  free(picture);
  free(eps);
  return rc;
}

int generate_prepare(generate *g) {
  int rc = OK;
  TRY(choose_design(g));
  TRY(read_configs(g));
  TRY(read_scheduler(g));
  TRY(check_image(g));
  if (g->a->noise) TRY(noise_read(&g->c->err, g->a->noise, g->a->noise_run, &g->noise));
  TRY(choose_size(g));
  TRY(choose_tile(g));
  TRY(place_noise(g));
  TRY(read_text(g));
  TRY(ctx_open(&g->x, &(ctx_options){.backend = "cpu", .threads = (int)g->c->threads}));
  TRY(load_models(g));
  TRY(read_image(g));
out:
  return generate_fail(g, rc);
}
