#include "model/config.h"
#include "model/dit.h"

static int check(const config_reader *r, const dit_config *c) {
  if (c->head_dim % 8 || c->head_dim > 128)
    return err_set(r->e, E_UNSUPPORTED, "%s: attention_head_dim %d; multiples of 8 up to 128 are supported", r->name,
                   c->head_dim);
  if (dit_width(c) % 4) return err_set(r->e, E_CONFIG, "%s: width %lld", r->name, (long long)dit_width(c));
  if (c->ofs_dim && c->ofs_dim != c->time_dim)
    return err_set(r->e, E_CONFIG, "%s: ofs_embed_dim %d must equal time_embed_dim %d (they are added)", r->name,
                   c->ofs_dim, c->time_dim);
  if (c->sample_height % c->patch || c->sample_width % c->patch)
    return err_set(r->e, E_CONFIG, "%s: sample size %dx%d is no multiple of patch_size %d", r->name, c->sample_height,
                   c->sample_width, c->patch);
  return OK;
}

int dit_config_read(err *e, const json *j, const char *name, dit_config *out) {
  int rc = OK, big = 1 << 20;
  config_reader r = {e, j, name};
  dit_config c = {0};
  int64_t must = INT64_MIN;
  if (j->type != JSON_OBJECT) FAIL(e, E_CONFIG, "%s: not a JSON object", name);
  TRY(config_int(&r, "num_layers", must, 1, 1000, &c.layers));
  TRY(config_int(&r, "num_attention_heads", must, 1, 1024, &c.heads));
  TRY(config_int(&r, "attention_head_dim", must, 8, 128, &c.head_dim));
  TRY(config_int(&r, "in_channels", must, 1, 4096, &c.in_channels));
  TRY(config_int(&r, "out_channels", c.in_channels, 1, 4096, &c.out_channels));
  TRY(config_int(&r, "patch_size", must, 1, 16, &c.patch));
  TRY(config_int(&r, "patch_size_t", 1, 1, 16, &c.patch_t));
  const json *pt = json_get(j, "patch_size_t");
  c.slice_positions = pt && pt->type == JSON_NUMBER;
  TRY(config_int(&r, "time_embed_dim", must, 2, big, &c.time_dim));
  TRY(config_int(&r, "ofs_embed_dim", 0, 0, big, &c.ofs_dim));
  TRY(config_int(&r, "text_embed_dim", must, 1, big, &c.text_dim));
  TRY(config_int(&r, "max_text_seq_length", 226, 1, big, &c.max_text));
  TRY(config_int(&r, "sample_height", 60, 1, 65536, &c.sample_height));
  TRY(config_int(&r, "sample_width", 90, 1, 65536, &c.sample_width));
  TRY(config_int(&r, "sample_frames", 49, 1, 65536, &c.sample_frames));
  TRY(config_int(&r, "temporal_compression_ratio", 4, 1, 64, &c.temporal_compression));
  TRY(config_bool(&r, "use_rotary_positional_embeddings", 0, &c.rotary));
  TRY(config_bool(&r, "use_learned_positional_embeddings", 0, &c.learned));
  TRY(config_number(&r, "spatial_interpolation_scale", 1.875, &c.spatial_scale));
  TRY(config_number(&r, "temporal_interpolation_scale", 1.0, &c.temporal_scale));
  TRY(config_number(&r, "norm_eps", 1e-5, &c.norm_eps));
  TRY(config_demand(&r, "activation_fn", "gelu-approximate"));
  TRY(config_demand(&r, "timestep_activation_fn", "silu"));
  TRY(config_demand(&r, "norm_elementwise_affine", "true"));
  TRY(config_demand(&r, "attention_bias", "true"));
  TRY(config_demand(&r, "flip_sin_to_cos", "true"));
  TRY(check(&r, &c));
  *out = c;
out:
  return rc;
}
