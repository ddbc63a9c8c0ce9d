/* The sample stage: an adapter, prompts and noise seeds become RGBA clips. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/composite.h"
#include "media/video.h"
#include "model/words.h"
#include "run/stage_internal.h"
#include "sample.h"

/* Cells that differ only in prompt and seed are sampled in one call. */
typedef struct batch {
  const stage_env *env;
  stage_model *s;
  const adapter *a;
  const block_vae *vae;
  design d;
  sample_config cfg;
  stage_size size;
  stage_cell **cell;
  int64_t n, done, total;
  float *rgb, *alpha, *text, *null_text;
  uint64_t *seeds;
} batch;

static int on_stop(void *user) {
  const batch *b = user;
  return b->env->stop && b->env->stop(b->env->user);
}

static int fill_request(err *e, batch *b, sample_request *r) {
  int rc = OK;
  int64_t rows = WORDS_ROWS * (int64_t)WORDS_DIM;
  int64_t half = (int64_t)b->size.z_frames * b->size.z_channels * b->size.z_height * b->size.z_width;
  TRY(mem_new(e, b->n * half, sizeof(float), "RGB latents", &b->rgb));
  TRY(mem_new(e, b->n * half, sizeof(float), "alpha latents", &b->alpha));
  TRY(mem_new(e, b->n * rows, sizeof(float), "text rows", &b->text));
  TRY(mem_new(e, rows, sizeof(float), "empty prompt", &b->null_text));
  TRY(mem_new(e, b->n, sizeof(uint64_t), "noise seeds", &b->seeds));
  TRY(words_rows(e, NULL, WORDS_ROWS, WORDS_DIM, b->null_text));
  for (int64_t i = 0; i < b->n; i++) {
    const char *prompt;
    uint64_t seed;
    TRY(spec_text(e, b->cell[i]->spec, "prompt", &prompt));
    TRY(spec_seed(e, b->cell[i]->spec, "sample_seed", &seed));
    b->seeds[i] = spec_noise_seed(seed, prompt);
    TRY(words_rows(e, prompt, WORDS_ROWS, WORDS_DIM, b->text + i * rows));
  }
  *r = (sample_request){.clips = b->n,
                        .frames = b->size.z_frames,
                        .height = b->size.z_height,
                        .width = b->size.z_width,
                        .seeds = b->seeds,
                        .n_text = WORDS_ROWS,
                        .text_dim = WORDS_DIM,
                        .text = b->text,
                        .null_text = b->null_text,
                        .stop = on_stop,
                        .user = b};
out:
  return rc;
}

static int check_finite(err *e, const float *z, int64_t n, const char *what) {
  for (int64_t i = 0; i < n; i++)
    if (!isfinite((double)z[i])) return err_set(e, E_NAN, "%s latents are not finite", what);
  return OK;
}

/* What the three decoded channels of alpha say beyond their mean, which the clip holds already: how far they lie
 * apart (spec/metrics.md 3.6, alpha_chroma), and with `maximum` the clip's alpha. The released code takes the
 * maximum; the mean is steadier on noisy alphas. */
static int reduce_channels(err *e, const block_vae *vae, const float *alpha, int maximum, clip *c) {
  int rc = OK;
  clip three = {0};
  matte_spread spread;
  TRY(clip_new(e, c->frames, c->height, c->width, 0, &three));
  TRY(block_vae_decode(e, vae, alpha, NULL, &three));
  composite_matte(clip_voxels(c), three.rgb, maximum ? c->alpha : NULL, &spread);
  c->alpha_chroma = spread.mean;
  c->alpha_chroma_known = 1;
out:
  clip_free(&three);
  return rc;
}

static int write_clip(err *e, const batch *b, int64_t i, int has_alpha) {
  int rc = OK;
  const char *path = NULL, *reduce = NULL;
  int64_t half = (int64_t)b->size.z_frames * b->size.z_channels * b->size.z_height * b->size.z_width;
  const float *rgb = b->rgb + i * half, *alpha = has_alpha ? b->alpha + i * half : NULL;
  clip c = {0};
  TRY(check_finite(e, rgb, half, "RGB"));
  if (alpha) TRY(check_finite(e, alpha, half, "alpha"));
  TRY(clip_new(e, b->size.frames, b->size.height, b->size.width, has_alpha, &c));
  c.fps = b->size.fps;
  TRY(block_vae_decode(e, b->vae, rgb, alpha, &c));
  TRY(spec_text(e, b->cell[i]->spec, "output.alpha", &reduce));
  if (alpha) TRY(reduce_channels(e, b->vae, alpha, !strcmp(reduce, "max"), &c));
  TRY(stage_output(e, b->cell[i], b->env, "clip", "clip", ".mkv", &path));
  TRY(video_write(e, path, &c, NULL));
out:
  clip_free(&c);
  return rc;
}

static int run_batch(err *e, batch *b) {
  int rc = OK;
  sample_request r;
  layout l;
  design_layout(&b->d, &l);
  TRY(fill_request(e, b, &r));
  if (sample_run(&b->s->c, &b->s->m, b->a, &b->d, &b->cfg, &r, b->rgb, b->alpha) != OK)
    FAIL(e, b->s->c.err.code, "%s", b->s->c.err.text);
  for (int64_t i = 0; i < b->n; i++) {
    TRY(write_clip(e, b, i, l.streams == 2));
    if (b->env->progress) b->env->progress(b->env->user, b->done + i + 1, b->total, NAN);
  }
out:
  free(b->rgb);
  free(b->alpha);
  free(b->text);
  free(b->null_text);
  free(b->seeds);
  return rc;
}

/* The spec without what may differ inside a batch, as text to compare. */
static int signature(err *e, const json *spec, char **out) {
  int rc = OK;
  text t = {0};
  json *copy = json_copy(spec);
  if (!copy) FAIL(e, E_NOMEM, "no memory for a spec");
  TRY(json_set(copy, "prompt", json_new(JSON_NULL)));
  TRY(json_set(copy, "sample_seed", json_new(JSON_NULL)));
  json_canonical(&t, copy);
  TRY(text_ok(&t, e));
  *out = t.p;
  t.p = NULL;
out:
  text_free(&t);
  json_free(copy);
  return rc;
}

static int open_adapter(err *e, const stage_cell *c, stage_model *s, const layout *l, adapter *a) {
  int rc = OK;
  const char *path = NULL;
  st_file *f = NULL;
  if (!stage_has_input(c, "adapter")) return OK;
  TRY(stage_input(e, c, "adapter", &path));
  TRY(st_open(e, path, &f));
  adapter_shape shape = adapter_shape_of(&f, 1);
  rc = adapter_open(&s->c, &s->m, l, &shape, a);
  if (rc == OK) rc = adapter_load(&s->c, a, &f, 1);
  if (rc != OK) FAIL(e, s->c.err.code, "%s", s->c.err.text);
out:
  st_close(f);
  return rc;
}

static int open_batch(err *e, batch *b, stage_cell *first, adapter *a) {
  int rc = OK;
  const char *name = NULL;
  layout l;
  TRY(spec_text(e, first->spec, "design", &name));
  TRY(design_parse(e, name, &b->d));
  design_layout(&b->d, &l);
  TRY(spec_sample_config(e, first->spec, &b->cfg));
  TRY(stage_read_size(e, first->spec, &b->size));
  TRY(open_adapter(e, first, b->s, &l, a));
  b->a = a->n_reals ? a : NULL;
  if (l.streams == 2 && !b->a) FAIL(e, E_CONFIG, "design %s has no adapter to sample with", name);
out:
  return rc;
}

/* group[i]: the first cell that cell i can be sampled with. */
static int make_groups(err *e, const stage_cell *cells, int64_t n, int64_t *group) {
  int rc = OK;
  char **sign = NULL;
  TRY(mem_new(e, n, sizeof *sign, "specs", &sign));
  for (int64_t i = 0; i < n; i++) TRY(signature(e, cells[i].spec, &sign[i]));
  for (int64_t i = 0; i < n; i++) {
    group[i] = i;
    for (int64_t j = 0; j < i && group[i] == i; j++)
      if (!strcmp(sign[i], sign[j])) group[i] = j;
  }
out:
  for (int64_t i = 0; sign && i < n; i++) free(sign[i]);
  free(sign);
  return rc;
}

int stage_sample(err *e, stage_cell *cells, int64_t n, const stage_env *env) {
  int rc = OK;
  const char *scales = NULL;
  stage_model s = {0};
  block_vae *vae = NULL;
  int64_t *group = NULL, done = 0;
  stage_cell **pick = NULL;
  adapter a = {0};
  TRY(mem_new(e, 1, sizeof *vae, "latent transform", &vae));
  TRY(mem_new(e, n, sizeof *group, "groups", &group));
  TRY(mem_new(e, n, sizeof *pick, "batch", &pick));
  TRY(make_groups(e, cells, n, group));
  TRY(stage_input(e, &cells[0], "vae", &scales));
  TRY(block_vae_load(e, scales, vae));
  TRY(stage_model_open(e, &cells[0], env, &s));
  for (int64_t i = 0; i < n; i++) {
    if (group[i] != i) continue;
    batch b = {.env = env, .s = &s, .vae = vae, .cell = pick, .done = done, .total = n};
    for (int64_t j = i; j < n; j++)
      if (group[j] == i) pick[b.n++] = &cells[j];
    TRY(open_batch(e, &b, &cells[i], &a));
    TRY(run_batch(e, &b));
    adapter_close(&s.c, &a);
    done += b.n;
  }
out:
  free(group);
  free(pick);
  adapter_close(&s.c, &a);
  stage_model_close(&s);
  free(vae);
  return rc;
}
