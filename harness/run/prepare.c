#include "run/prepare.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/words.h"

void prepared_free(prepared *p) {
  free(p->rgb);
  free(p->alpha);
  free(p->text);
  free(p->null_text);
  *p = (prepared){0};
}

train_data prepared_data(const prepared *p) {
  return (train_data){.clips = p->clips,
                      .frames = p->frames,
                      .channels = p->channels,
                      .height = p->height,
                      .width = p->width,
                      .rgb = p->rgb,
                      .alpha = p->alpha,
                      .n_text = p->n_text,
                      .text_dim = p->text_dim,
                      .text = p->text,
                      .null_text = p->null_text};
}

static int64_t half_of(const prepared *p) {
  return (int64_t)p->frames * p->channels * p->height * p->width;
}

int prepared_allocate(err *e, prepared *p, int with_alpha) {
  int rc = OK;
  int64_t half = half_of(p), rows = p->n_text * p->text_dim;
  TRY(mem_new(e, p->clips * half, sizeof(float), "RGB latents", &p->rgb));
  if (with_alpha) TRY(mem_new(e, p->clips * half, sizeof(float), "alpha latents", &p->alpha));
  TRY(mem_new(e, p->clips * rows, sizeof(float), "text rows", &p->text));
  TRY(mem_new(e, rows, sizeof(float), "empty prompt", &p->null_text));
out:
  return rc;
}

typedef struct world_job {
  const world_dist *dist;
  uint64_t seed;
  const block_vae *vae;
  prepared *to;
} world_job;

static int encode_one(const world_job *j, err *e, int64_t i) {
  int rc = OK;
  clip c = {0};
  char caption[WORLD_CAPTION];
  int64_t half = half_of(j->to), rows = j->to->n_text * j->to->text_dim;
  world_attributes a = world_attrs(j->seed, i, j->dist);
  world_caption(&a.labels, caption);
  TRY(world_render(e, &a, &c));
  TRY(block_vae_encode(e, j->vae, &c, BLOCK_VAE_RGB, j->to->rgb + i * half));
  if (j->to->alpha) TRY(block_vae_encode(e, j->vae, &c, BLOCK_VAE_ALPHA, j->to->alpha + i * half));
  TRY(words_rows(e, caption, j->to->n_text, j->to->text_dim, j->to->text + i * rows));
out:
  clip_free(&c);
  return rc;
}

int prepare_world(err *e, const world_dist *dist, uint64_t seed, int64_t clips, const block_vae *vae, int with_alpha,
                  int threads, prepared *out) {
  int rc = OK, failed = 0;
  *out = (prepared){.clips = clips,
                    .frames = WORLD_FRAMES / BLOCK_VAE_FRAMES,
                    .channels = BLOCK_VAE_CHANNELS,
                    .height = WORLD_SIDE / BLOCK_VAE_SIDE,
                    .width = WORLD_SIDE / BLOCK_VAE_SIDE,
                    .n_text = WORDS_ROWS,
                    .text_dim = WORDS_DIM};
  world_job job = {dist, seed, vae, out};
  if (clips < 1) FAIL(e, E_ARG, "%lld clips were asked for", (long long)clips);
  TRY(prepared_allocate(e, out, with_alpha));
  TRY(words_rows(e, NULL, out->n_text, out->text_dim, out->null_text));
#pragma omp parallel for schedule(static) num_threads(threads > 0 ? threads : omp_get_max_threads())
  for (int64_t i = 0; i < clips; i++) {
    err mine = {0};
    if (encode_one(&job, &mine, i) != OK) {
#pragma omp critical
      failed = err_set(e, mine.code, "clip %lld: %s", (long long)i, mine.text);
    }
  }
  rc = failed;
out:
  if (rc != OK) prepared_free(out);
  return rc;
}

int prepared_save(err *e, const prepared *p, const char *path) {
  int rc = OK;
  st_writer *w = NULL;
  const int64_t z[5] = {p->clips, p->frames, p->channels, p->height, p->width};
  const int64_t rows[3] = {p->clips, p->n_text, p->text_dim};
  TRY(st_writer_open(e, &w));
  TRY(st_writer_add(w, e, "rgb", DT_F32, 5, z, p->rgb));
  if (p->alpha) TRY(st_writer_add(w, e, "alpha", DT_F32, 5, z, p->alpha));
  TRY(st_writer_add(w, e, "text", DT_F32, 3, rows, p->text));
  TRY(st_writer_add(w, e, "null_text", DT_F32, 2, rows + 1, p->null_text));
  TRY(st_writer_save(w, e, path));
out:
  st_writer_close(w);
  return rc;
}

int prepared_load(err *e, const char *path, prepared *out) {
  int rc = OK;
  st_file *f = NULL;
  const st_tensor *rgb, *alpha, *text_rows, *null_rows;
  *out = (prepared){0};
  TRY(st_open(e, path, &f));
  TRY(st_need(e, f, "rgb", -1, NULL, &rgb));
  TRY(st_need(e, f, "text", -1, NULL, &text_rows));
  if (rgb->rank != 5 || text_rows->rank != 3 || rgb->type != DT_F32 || text_rows->type != DT_F32)
    FAIL(e, E_FORMAT, "%s: not a file of prepared latents", path);
  const int64_t *z = rgb->shape, *t = text_rows->shape;
  *out = (prepared){.clips = z[0],
                    .frames = (int)z[1],
                    .channels = (int)z[2],
                    .height = (int)z[3],
                    .width = (int)z[4],
                    .n_text = t[1],
                    .text_dim = t[2]};
  alpha = st_find(f, "alpha");
  TRY(prepared_allocate(e, out, alpha != NULL));
  memcpy(out->rgb, rgb->data, (size_t)rgb->count * sizeof(float));
  if (alpha) {
    TRY(st_need(e, f, "alpha", 5, z, &alpha));
    memcpy(out->alpha, alpha->data, (size_t)alpha->count * sizeof(float));
  }
  TRY(st_need(e, f, "text", 3, (int64_t[]){z[0], t[1], t[2]}, &text_rows));
  TRY(st_need(e, f, "null_text", 2, t + 1, &null_rows));
  memcpy(out->text, text_rows->data, (size_t)text_rows->count * sizeof(float));
  memcpy(out->null_text, null_rows->data, (size_t)null_rows->count * sizeof(float));
out:
  if (rc != OK) prepared_free(out);
  st_close(f);
  return rc;
}

static int add_provenance(err *e, st_writer *w, const pretrain_request *r, const dit *m, double last) {
  int rc = OK;
  char hex[HASH_HEX], number[64];
  const train_config *t = &r->train;
  const struct {
    const char *key;
    double value;
  } facts[] = {{"steps", (double)t->steps},
               {"batch", (double)t->batch},
               {"seed", (double)t->seed},
               {"clips", (double)r->clips},
               {"data_seed", (double)r->data_seed},
               {"lr", t->lr},
               {"muon_lr", t->muon_lr},
               {"ema", t->ema},
               {"final_loss", last},
               {"parameters", (double)m->n_reals}};
  TRY(hash_file(e, r->config, hex));
  TRY(st_writer_meta(w, e, "config_sha256", hex));
  TRY(hash_file(e, r->vae, hex));
  TRY(st_writer_meta(w, e, "vae_sha256", hex));
  for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
    snprintf(number, sizeof number, "%.10g", facts[i].value);
    TRY(st_writer_meta(w, e, facts[i].key, number));
  }
out:
  return rc;
}

/* Mean of the last 200 losses (or all, when there are fewer). */
static double final_loss(const train_result *r) {
  int64_t n = r->steps < 200 ? r->steps : 200;
  double sum = 0;
  for (int64_t i = r->steps - n; i < r->steps; i++) sum += (double)r->losses[i];
  return n ? sum / (double)n : 0;
}

int pretrain_run(err *e, const pretrain_request *r, const char *out_path, train_result *result) {
  int rc = OK;
  ctx c = {0};
  dit m = {0};
  json *j = NULL;
  dit_config cfg;
  block_vae *vae = NULL;
  world_dist dist;
  prepared data = {0};
  st_writer *w = NULL;
  *result = (train_result){0};
  TRY(mem_new(e, 1, sizeof *vae, "latent transform", &vae));
  TRY(json_read(e, r->config, &j));
  TRY(dit_config_read(e, j, r->config, &cfg));
  TRY(block_vae_load(e, r->vae, vae));
  TRY(world_dist_find(e, "base", &dist));
  TRY(prepare_world(e, &dist, r->data_seed, r->clips, vae, 0, r->threads, &data));
  rc = ctx_open(
      &c, &(ctx_options){.backend = r->backend ? r->backend : "cpu", .threads = r->threads, .device = r->device});
  if (*c.note) fprintf(stderr, "%s\n", c.note);
  if (rc == OK) rc = dit_open(&c, &cfg, 1, &m);
  if (rc == OK) rc = dit_init(&c, &m, r->train.seed);
  train_data d = prepared_data(&data);
  if (rc == OK) rc = train_run(&c, &m, NULL, NULL, &d, &r->train, r->checkpoint, r->hooks, result);
  if (rc != OK) FAIL(e, c.err.code, "%s", c.err.text);
  TRY(st_writer_open(e, &w));
  TRY(add_provenance(e, w, r, &m, final_loss(result)));
  if (dit_save(&c, &m, NULL, DT_F16, w) != OK) FAIL(e, c.err.code, "%s", c.err.text);
  TRY(st_writer_save(w, e, out_path));
out:
  st_writer_close(w);
  prepared_free(&data);
  dit_close(&c, &m);
  ctx_close(&c);
  json_free(j);
  free(vae);
  return rc;
}
