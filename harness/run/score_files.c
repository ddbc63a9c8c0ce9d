#include "run/score_files.h"

#include <stdlib.h>

#include "base/mem.h"
#include "media/video.h"
#include "media/world.h"

typedef struct scored {
  clip c;
  float *truth; /* NULL where no world knows it */
} scored;

static int read_one(err *e, const char *path, int world, scored *out) {
  int rc = OK;
  if (!path) return OK;
  TRY(video_read(e, path, NULL, &out->c));
  if (world && out->c.colour == CLIP_DECODED) { /* the matte is read off a picture with its background */
    TRY(mem_new(e, (int64_t)out->c.frames * out->c.height * out->c.width, sizeof(float), "matte", &out->truth));
    world_matte(&out->c, out->truth);
  }
out:
  return rc;
}

static void drop(scored *s) {
  clip_free(&s->c);
  free(s->truth);
}

int score_latents(err *e, const block_vae *v, metric_input *in, float **out) {
  int rc = OK;
  int64_t n;
  err unfit = {0};
  *out = NULL;
  const clip *c = in->clip, *base = in->base;
  if (!base || base->frames != c->frames || base->height != c->height || base->width != c->width) goto out;
  if (block_vae_count(&unfit, c->frames, c->height, c->width, &n) != OK) goto out;
  TRY(mem_new(e, 2 * n, sizeof **out, "latents", out));
  TRY(block_vae_encode(e, v, c, BLOCK_VAE_RGB, *out));
  TRY(block_vae_encode(e, v, base, BLOCK_VAE_RGB, *out + n));
  in->latents = *out, in->base_latents = *out + n, in->n_latents = n;
out:
  return rc;
}

static int read_latents(err *e, const char *path, metric_input *in, float **out) {
  int rc = OK;
  block_vae *vae = NULL;
  TRY(mem_new(e, 1, sizeof *vae, "latent transform", &vae));
  TRY(block_vae_load(e, path, vae));
  TRY(score_latents(e, vae, in, out));
out:
  free(vae);
  return rc;
}

int score_files_run(err *e, const score_files *f, const metric_request *list, int64_t n, metric_value *out) {
  int rc = OK;
  float *latents = NULL;
  scored own = {0}, partner = {0}, base = {0};
  TRY(read_one(e, f->sample, f->world, &own));
  TRY(read_one(e, f->partner, f->world, &partner));
  TRY(read_one(e, f->base, f->world, &base));
  metric_input in = {.clip = &own.c,
                     .base = f->base ? &base.c : NULL,
                     .partner = f->partner ? &partner.c : NULL,
                     .truth = own.truth,
                     .partner_truth = partner.truth,
                     .base_truth = base.truth};
  if (f->vae) TRY(read_latents(e, f->vae, &in, &latents));
  TRY(metric_score(e, list, n, &in, out));
out:
  free(latents);
  drop(&own);
  drop(&partner);
  drop(&base);
  return rc;
}
