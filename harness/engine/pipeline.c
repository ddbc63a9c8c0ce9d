#include "pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config.h"
#include "model/folder.h"

int clip_size_of(err *e, const dit_config *m, const vae_config *v, int64_t frames, int64_t height, int64_t width,
                 clip_size *out) {
  int rc = OK;
  const int64_t scale = vae_scale(v), step = scale * m->patch;
  TRY(vae_check_frames(e, v, frames));
  if (height < step || width < step || height % step || width % step || height > 1 << 16 || width > 1 << 16)
    FAIL(e, E_ARG,
         "a clip of %lldx%lld: height and width must be multiples of %lld (the VAE shrinks by %lld, the model cuts "
         "patches of %d); the nearest is %lldx%lld",
         (long long)height, (long long)width, (long long)step, (long long)scale, m->patch,
         (long long)(height < step ? step : (height + step / 2) / step * step),
         (long long)(width < step ? step : (width + step / 2) / step * step));
  int64_t z = vae_latent_frames(v, frames), extra = (m->patch_t - z % m->patch_t) % m->patch_t;
  *out = (clip_size){.frames = frames,
                     .height = height,
                     .width = width,
                     .z_frames = (int)(z + extra),
                     .z_height = (int)(height / scale),
                     .z_width = (int)(width / scale),
                     .extra = (int)extra};
out:
  return rc;
}

static int read_word(err *e, const json *j, const char *name, const char *key, const char **out) {
  const json *v = json_get(j, key);
  *out = NULL;
  if (!v || v->type == JSON_NULL) return OK;
  if (v->type != JSON_STRING)
    return err_set(e, E_CONFIG, "%s:%d:%d: '%s' must be a string", name, v->line, v->col, key);
  *out = v->str;
  return OK;
}

int scheduler_read(err *e, const json *j, const char *name, sample_config *out) {
  int rc = OK;
  const char *class, *spacing_word;
  config_reader r = {e, j, name};
  if (j->type != JSON_OBJECT) FAIL(e, E_CONFIG, "%s: not an object", name);
  TRY(config_demand(&r, "prediction_type", "v_prediction"));
  TRY(config_demand(&r, "beta_schedule", "scaled_linear"));
  TRY(config_demand(&r, "rescale_betas_zero_snr", "true"));
  TRY(config_demand(&r, "set_alpha_to_one", "true"));
  TRY(config_demand(&r, "clip_sample", "false"));
  TRY(config_number(&r, "snr_shift_scale", 3, &out->snr_shift));
  TRY(read_word(e, j, name, "_class_name", &class));
  if (class && !strcmp(class, "CogVideoXDPMScheduler"))
    out->sampler = SAMPLER_DPM;
  else if (!class || !strcmp(class, "CogVideoXDDIMScheduler"))
    out->sampler = SAMPLER_DDIM;
  else
    FAIL(e, E_UNSUPPORTED, "%s: scheduler %.60s is not CogVideoXDDIMScheduler or CogVideoXDPMScheduler", name, class);
  TRY(read_word(e, j, name, "timestep_spacing", &spacing_word));
  if (spacing_word && spacing_parse(spacing_word, &out->spacing) != OK)
    FAIL(e, E_CONFIG, "%s: timestep_spacing '%.40s' is not trailing, leading or linspace", name, spacing_word);
  if (!spacing_word) out->spacing = SPACING_LEADING; /* the class's default */
out:
  return rc;
}

int vae_from(ctx *c, const char *path, st_mode mode, unsigned parts, vae *out) {
  int rc = OK;
  json *j = NULL;
  text name = {0};
  st_file *w = NULL;
  vae_config cfg;
  *out = (vae){0};
  TRY(folder_config(&c->err, path, PART_VAE, &j, &name));
  TRY(vae_config_read(&c->err, j, name.p, &cfg));
  TRY(weights_open(&c->err, path, PART_VAE, mode, &w));
  TRY(vae_open(c, &cfg, parts, out));
  TRY(vae_load(c, out, (const st_file *const[]){w}, 1));
out:
  if (rc != OK) vae_close(c, out);
  st_close(w);
  json_free(j);
  text_free(&name);
  return rc;
}

int image_latents(ctx *c, const vae *v, const vae_options *o, const clip_size *s, const float *picture,
                  const float *eps, float *out) {
  int rc = OK;
  const int64_t pixels = 3 * s->height * s->width, n = (int64_t)v->cfg.latent_channels * s->z_height * s->z_width;
  real *in = NULL, *posterior = NULL;
  float *moments = NULL;
  TRY(mem_new(&c->err, pixels, sizeof(real), "picture", &in));
  TRY(mem_new(&c->err, 2 * n, sizeof(real), "posterior", &posterior));
  TRY(mem_new(&c->err, 2 * n, sizeof(float), "posterior", &moments));
  for (int64_t i = 0; i < pixels; i++) in[i] = (real)picture[i];
  const vae_shape shape = {.batch = 1, .frames = 1, .height = s->height, .width = s->width};
  TRY(vae_encode(c, v, o, &shape, in, posterior, posterior + n));
  for (int64_t i = 0; i < 2 * n; i++) moments[i] = (float)posterior[i];
  vae_image_latents(n, moments, moments + n, eps, vae_image_factor(&v->cfg), out);
out:
  free(in);
  free(posterior);
  free(moments);
  return rc;
}

/* Frames from, from + 1, ... of [F][C][h][w] as [3][T][H][W]. */
static int decode(ctx *c, const vae *v, const vae_options *o, const clip_size *s, const float *latents, int64_t n,
                  float *frames) {
  int rc = OK;
  const int64_t plane = (int64_t)s->z_height * s->z_width, channels = v->cfg.latent_channels;
  const vae_shape in = {.batch = 1, .frames = n, .height = s->z_height, .width = s->z_width};
  vae_shape shape;
  real *z = NULL, *x = NULL;
  TRY(vae_decoded_shape(&c->err, &v->cfg, o, &in, &shape));
  const int64_t count = 3 * shape.frames * shape.height * shape.width;
  TRY(mem_new(&c->err, n * channels * plane, sizeof(real), "latents", &z));
  TRY(mem_new(&c->err, count, sizeof(real), "decoded frames", &x));
  for (int64_t t = 0; t < n; t++)
    for (int64_t k = 0; k < channels; k++)
      for (int64_t i = 0; i < plane; i++)
        z[(k * n + t) * plane + i] = (real)((double)latents[(t * channels + k) * plane + i] / v->cfg.scaling_factor);
  TRY(vae_decode(c, v, o, &in, z, x));
  for (int64_t i = 0; i < count; i++) frames[i] = (float)x[i];
out:
  free(z);
  free(x);
  return rc;
}

int decode_half(ctx *c, const vae *v, const vae_options *o, const clip_size *s, const float *latents, float *frames) {
  const int64_t frame = (int64_t)v->cfg.latent_channels * s->z_height * s->z_width;
  return decode(c, v, o, s, latents + s->extra * frame, s->z_frames - s->extra, frames);
}

int decode_frame(ctx *c, const vae *v, const clip_size *s, int at, const float *latents, float *picture) {
  const int64_t frame = (int64_t)v->cfg.latent_channels * s->z_height * s->z_width;
  vae_options o = {.tile = vae_tile_default(&v->cfg)};
  if (vae_tile_check(NULL, &v->cfg, o.tile) != OK) o.tile = (vae_tile){0};
  return decode(c, v, &o, s, latents + at * frame, 1, picture);
}
