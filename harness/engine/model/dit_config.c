#include "model/dit.h"

#include <math.h>
#include <string.h>

typedef struct reader {
  err *e;
  const json *j;
  const char *name;
} reader;

/* An integer in lo..hi; `initial` stands in for an absent or null member, INT64_MIN makes it required. */
static int get_int(const reader *r, const char *key, int64_t initial, int lo, int hi, int *out) {
  const json *v = json_get(r->j, key);
  if (!v || v->type == JSON_NULL) {
    if (initial == INT64_MIN) return err_set(r->e, E_CONFIG, "%s: '%s' is missing", r->name, key);
    *out = (int)initial;
    return OK;
  }
  if (v->type != JSON_NUMBER || !v->is_int || v->num < lo || v->num > hi)
    return err_set(r->e, E_CONFIG, "%s:%d:%d: '%s' must be an integer in %d..%d", r->name, v->line, v->col, key, lo,
                   hi);
  *out = (int)v->num;
  return OK;
}

static int get_number(const reader *r, const char *key, double initial, double *out) {
  const json *v = json_get(r->j, key);
  *out = initial;
  if (!v || v->type == JSON_NULL) return OK;
  if (v->type != JSON_NUMBER || !(v->num > 0))
    return err_set(r->e, E_CONFIG, "%s:%d:%d: '%s' must be a positive number", r->name, v->line, v->col, key);
  *out = v->num;
  return OK;
}

static int get_bool(const reader *r, const char *key, int initial, int *out) {
  const json *v = json_get(r->j, key);
  *out = initial;
  if (!v || v->type == JSON_NULL) return OK;
  if (v->type != JSON_BOOL)
    return err_set(r->e, E_CONFIG, "%s:%d:%d: '%s' must be true or false", r->name, v->line, v->col, key);
  *out = v->num != 0;
  return OK;
}

/* Settings this engine computes in one way only: another value is refused instead of being ignored. */
static int demand(const reader *r, const char *key, const char *want) {
  const json *v = json_get(r->j, key);
  if (!v || v->type == JSON_NULL) return OK;
  int same = v->type == JSON_STRING ? !strcmp(v->str, want) : v->type == JSON_BOOL && v->num == (want[0] == 't');
  return same ? OK
              : err_set(r->e, E_UNSUPPORTED, "%s:%d:%d: '%s' other than %s is not supported", r->name, v->line,
                        v->col, key, want);
}

static int check(const reader *r, const dit_config *c) {
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
  reader r = {e, j, name};
  dit_config c = {0};
  int64_t must = INT64_MIN;
  if (j->type != JSON_OBJECT) FAIL(e, E_CONFIG, "%s: not a JSON object", name);
  TRY(get_int(&r, "num_layers", must, 1, 1000, &c.layers));
  TRY(get_int(&r, "num_attention_heads", must, 1, 1024, &c.heads));
  TRY(get_int(&r, "attention_head_dim", must, 8, 128, &c.head_dim));
  TRY(get_int(&r, "in_channels", must, 1, 4096, &c.in_channels));
  TRY(get_int(&r, "out_channels", c.in_channels, 1, 4096, &c.out_channels));
  TRY(get_int(&r, "patch_size", must, 1, 16, &c.patch));
  TRY(get_int(&r, "patch_size_t", 1, 1, 16, &c.patch_t));
  const json *pt = json_get(j, "patch_size_t");
  c.slice_positions = pt && pt->type == JSON_NUMBER;
  TRY(get_int(&r, "time_embed_dim", must, 2, big, &c.time_dim));
  TRY(get_int(&r, "ofs_embed_dim", 0, 0, big, &c.ofs_dim));
  TRY(get_int(&r, "text_embed_dim", must, 1, big, &c.text_dim));
  TRY(get_int(&r, "max_text_seq_length", 226, 1, big, &c.max_text));
  TRY(get_int(&r, "sample_height", 60, 1, 65536, &c.sample_height));
  TRY(get_int(&r, "sample_width", 90, 1, 65536, &c.sample_width));
  TRY(get_int(&r, "sample_frames", 49, 1, 65536, &c.sample_frames));
  TRY(get_int(&r, "temporal_compression_ratio", 4, 1, 64, &c.temporal_compression));
  TRY(get_bool(&r, "use_rotary_positional_embeddings", 0, &c.rotary));
  TRY(get_bool(&r, "use_learned_positional_embeddings", 0, &c.learned));
  TRY(get_number(&r, "spatial_interpolation_scale", 1.875, &c.spatial_scale));
  TRY(get_number(&r, "temporal_interpolation_scale", 1.0, &c.temporal_scale));
  TRY(get_number(&r, "norm_eps", 1e-5, &c.norm_eps));
  TRY(demand(&r, "activation_fn", "gelu-approximate"));
  TRY(demand(&r, "timestep_activation_fn", "silu"));
  TRY(demand(&r, "norm_elementwise_affine", "true"));
  TRY(demand(&r, "attention_bias", "true"));
  TRY(demand(&r, "flip_sin_to_cos", "true"));
  TRY(check(&r, &c));
  *out = c;
out:
  return rc;
}
