/* What a VAE's config says, and the arithmetic of frames and tiles that follows from it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/config.h"
#include "model/vae_net.h"

static const json *member(const config_reader *r, const char *key) {
  const json *v = json_get(r->j, key);
  return v && v->type != JSON_NULL ? v : NULL;
}

static int get_channels(const config_reader *r, vae_config *c) {
  const json *v = member(r, "block_out_channels");
  static const int hub[] = {128, 256, 256, 512};
  c->blocks = 4;
  memcpy(c->channels, hub, sizeof hub);
  if (!v) return OK;
  if (v->type != JSON_ARRAY || json_count(v) < 1 || json_count(v) > VAE_BLOCKS)
    return err_set(r->e, E_CONFIG, "%s:%d:%d: 'block_out_channels' must be a list of 1 to %d numbers", r->name,
                   v->line, v->col, VAE_BLOCKS);
  c->blocks = (int)json_count(v);
  for (int i = 0; i < c->blocks; i++) {
    const json *n = json_at(v, i);
    if (n->type != JSON_NUMBER || !n->is_int || n->num < 1 || n->num > 8192)
      return err_set(r->e, E_CONFIG, "%s:%d:%d: a width in 'block_out_channels' must be an integer in 1..8192",
                     r->name, n->line, n->col);
    c->channels[i] = (int)n->num;
  }
  return OK;
}

/* Settings that would change the numbers in ways this engine does not compute. */
static int refuse_others(const config_reader *r, const vae_config *c) {
  static const char *const unused[] = {"shift_factor", "latents_mean", "latents_std"};
  static const char *const lists[] = {"down_block_types", "up_block_types"};
  static const char *const types[] = {"CogVideoXDownBlock3D", "CogVideoXUpBlock3D"};
  const json *v = member(r, "_class_name");
  if (v && (v->type != JSON_STRING || strcmp(v->str, "AutoencoderKLCogVideoX") != 0))
    return err_set(r->e, E_UNSUPPORTED, "%s:%d:%d: '_class_name' is not AutoencoderKLCogVideoX", r->name, v->line,
                   v->col);
  v = member(r, "act_fn");
  if (v && (v->type != JSON_STRING || (strcmp(v->str, "silu") != 0 && strcmp(v->str, "swish") != 0)))
    return err_set(r->e, E_UNSUPPORTED, "%s:%d:%d: 'act_fn' other than silu is not supported", r->name, v->line,
                   v->col);
  for (int i = 0; i < 3; i++)
    if ((v = member(r, unused[i])) && !(v->type == JSON_NUMBER && v->num == 0))
      return err_set(r->e, E_UNSUPPORTED,
                     "%s:%d:%d: '%s' is set; CogVideoX pipelines scale latents by 'scaling_factor' alone", r->name,
                     v->line, v->col, unused[i]);
  for (int l = 0; l < 2; l++) {
    if (!(v = member(r, lists[l]))) continue;
    if (v->type != JSON_ARRAY || json_count(v) != c->blocks)
      return err_set(r->e, E_CONFIG, "%s:%d:%d: '%s' must list as many blocks as 'block_out_channels' (%d)", r->name,
                     v->line, v->col, lists[l], c->blocks);
    for (const json *t = v->child; t; t = t->next)
      if (t->type != JSON_STRING || strcmp(t->str, types[l]) != 0)
        return err_set(r->e, E_UNSUPPORTED, "%s:%d:%d: block types other than %s are not supported", r->name, t->line,
                       t->col, types[l]);
  }
  return OK;
}

static int check(const config_reader *r, const vae_config *c) {
  for (int i = 0; i < c->blocks; i++)
    if (c->channels[i] % c->groups)
      return err_set(r->e, E_CONFIG, "%s: %d channels do not divide into 'norm_num_groups' %d", r->name,
                     c->channels[i], c->groups);
  if (c->time_halvings >= c->blocks)
    return err_set(r->e, E_CONFIG, "%s: 'temporal_compression_ratio' %d needs more than %d blocks", r->name,
                   1 << c->time_halvings, c->blocks);
  /* The reference gives these convolutions the pixels' channels; with others its own encoder does not fit them. */
  if ((c->quant_conv || c->post_quant_conv) && c->latent_channels != c->out_channels)
    return err_set(
        r->e, E_CONFIG,
        "%s: quant convolutions need 'latent_channels' (%d) equal to 'out_channels' (%d), as their width is "
        "that of the pixels",
        r->name, c->latent_channels, c->out_channels);
  return OK;
}

int vae_config_read(err *e, const json *j, const char *name, vae_config *out) {
  int rc = OK, ratio = 4;
  config_reader r = {e, j, name};
  vae_config c = {0};
  if (j->type != JSON_OBJECT) FAIL(e, E_CONFIG, "%s: not a JSON object", name);
  TRY(get_channels(&r, &c));
  TRY(config_int(&r, "in_channels", 3, 1, 4096, &c.in_channels));
  TRY(config_int(&r, "out_channels", 3, 1, 4096, &c.out_channels));
  TRY(config_int(&r, "latent_channels", 16, 1, 4096, &c.latent_channels));
  TRY(config_int(&r, "layers_per_block", 3, 1, 64, &c.layers));
  TRY(config_int(&r, "norm_num_groups", 32, 1, 8192, &c.groups));
  TRY(config_int(&r, "temporal_compression_ratio", 4, 1, 128, &ratio));
  TRY(config_int(&r, "sample_height", 480, 1, 65536, &c.sample_height));
  TRY(config_int(&r, "sample_width", 720, 1, 65536, &c.sample_width));
  TRY(config_number(&r, "norm_eps", 1e-6, &c.norm_eps));
  TRY(config_number(&r, "scaling_factor", 1.15258426, &c.scaling_factor));
  TRY(config_bool(&r, "invert_scale_latents", 0, &c.invert_scale_latents));
  TRY(config_bool(&r, "use_quant_conv", 0, &c.quant_conv));
  TRY(config_bool(&r, "use_post_quant_conv", 0, &c.post_quant_conv));
  while (1 << (c.time_halvings + 1) <= ratio) c.time_halvings++;
  if (1 << c.time_halvings != ratio)
    FAIL(e, E_CONFIG, "%s: 'temporal_compression_ratio' %d is no power of two", name, ratio);
  TRY(refuse_others(&r, &c));
  TRY(check(&r, &c));
  *out = c;
out:
  return rc;
}

int vae_scale(const vae_config *c) {
  return 1 << (c->blocks - 1);
}

double vae_image_factor(const vae_config *c) {
  return c->invert_scale_latents ? 1 / c->scaling_factor : c->scaling_factor;
}

void vae_image_latents(int64_t n, const float *mean, const float *logvar, const float *eps, double factor,
                       float *out) {
  for (int64_t i = 0; i < n; i++)
    out[i] = (float)(((double)mean[i] + exp(.5 * (double)logvar[i]) * (double)eps[i]) * factor);
}

/* --- frames --- */

int64_t vae_chunks(int64_t frames, int64_t size) {
  return frames < 1 ? 0 : frames < size ? 1 : frames / size;
}

void vae_chunk_at(int64_t frames, int64_t size, int64_t i, int64_t *from, int64_t *end) {
  int64_t rest = frames % size;
  *from = i ? size * i + rest : 0;
  *end = size * (i + 1) + rest;
  if (*end > frames) *end = frames;
}

int64_t vae_chunk_frames(const vae_config *c, int encode, int64_t frames) {
  for (int i = 0; i < c->time_halvings; i++) frames = encode ? (frames + 1) / 2 : 2 * frames - frames % 2;
  return frames;
}

static int64_t frames_of(const vae_config *c, int encode, int64_t frames) {
  int64_t sum = 0, size = encode ? VAE_ENCODE_CHUNK : VAE_DECODE_CHUNK, from, end;
  /* all chunks but the first have the same length */
  int64_t chunks = vae_chunks(frames, size);
  if (chunks < 1) return 0;
  vae_chunk_at(frames, size, 0, &from, &end);
  sum = vae_chunk_frames(c, encode, end - from);
  return sum + (chunks - 1) * vae_chunk_frames(c, encode, size);
}

int64_t vae_latent_frames(const vae_config *c, int64_t frames) {
  return frames_of(c, 1, frames);
}

int64_t vae_pixel_frames(const vae_config *c, int64_t latents) {
  return frames_of(c, 0, latents);
}

static int survives(const vae_config *c, int64_t frames) {
  return vae_pixel_frames(c, vae_latent_frames(c, frames)) == frames;
}

int vae_check_frames(err *e, const vae_config *c, int64_t frames) {
  if (frames < 1) return err_set(e, E_ARG, "%lld frames: there must be at least 1", (long long)frames);
  if (survives(c, frames)) return OK;
  int64_t below = frames, above = frames, latents = vae_latent_frames(c, frames);
  while (below > 1 && !survives(c, below)) below--;
  while (above < frames + 64 && !survives(c, above)) above++;
  return err_set(
      e, E_ARG,
      "%lld frames become %lld latent frames, which decode to %lld: the VAE takes 8 frames at a time, so that "
      "only 8k + 1 and 8k frames come back unchanged; take %lld or %lld",
      (long long)frames, (long long)latents, (long long)vae_pixel_frames(c, latents), (long long)below,
      (long long)above);
}

/* --- tiles --- */

vae_tile vae_tile_default(const vae_config *c) {
  return (vae_tile){c->sample_height / 2, c->sample_width / 2};
}

/* Overlaps of the reference. The products below are cut off in double, as there. */
static const double overlap[2] = {1.0 / 6, 1.0 / 5};

vae_axis vae_axis_of(const vae_config *c, int encode, int axis, int tile) {
  int latent = tile / vae_scale(c), in = encode ? tile : latent, out = encode ? latent : tile;
  vae_axis a = {.tile = in, .step = (int)(in * (1 - overlap[axis])), .blend = (int)(out * overlap[axis])};
  a.keep = out - a.blend;
  return a;
}

int vae_tile_check(err *e, const vae_config *c, vae_tile t) {
  const int size[2] = {t.height, t.width}, scale = vae_scale(c), unit[2] = {6 * scale, 5 * scale};
  if (!t.height && !t.width) return OK;
  for (int i = 0; i < 2; i++) {
    vae_axis enc = vae_axis_of(c, 1, i, size[i]), dec = vae_axis_of(c, 0, i, size[i]);
    int fits = size[i] >= scale && size[i] % scale == 0 && enc.step > 0 && dec.step > 0 &&
               dec.step * scale == dec.keep && enc.step == enc.keep * scale;
    if (!fits)
      return err_set(
          e, E_ARG,
          "tile %dx%d: with a %s of %d the kept parts do not add up to the picture; take a multiple of %d for "
          "the height and of %d for the width",
          t.height, t.width, i ? "width" : "height", size[i], unit[0], unit[1]);
  }
  return OK;
}
