#include "sparse_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"

#define TENSORS_MOST 1200

typedef struct tensor {
  char name[96];
  int rank;
  int64_t shape[5], bytes;
} tensor;

typedef struct list {
  tensor at[TENSORS_MOST];
  int n;
} list;

static void add(list *l, int rank, const int64_t *shape, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void add(list *l, int rank, const int64_t *shape, const char *fmt, ...) {
  assert_true(l->n < TENSORS_MOST);
  tensor *t = &l->at[l->n++];
  *t = (tensor){.rank = rank, .bytes = 2};
  for (int i = 0; i < rank; i++) {
    t->shape[i] = shape[i];
    t->bytes *= shape[i];
  }
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(t->name, sizeof t->name, fmt, ap);
  va_end(ap);
}
#define S(...)                                                                                                       \
  (int64_t[]) {                                                                                                      \
    __VA_ARGS__                                                                                                      \
  }

/* .weight [out, in] and .bias [out] */
static void linear(list *l, int64_t out, int64_t in, const char *name) {
  add(l, 2, S(out, in), "%s.weight", name);
  add(l, 1, S(out), "%s.bias", name);
}
static void norm(list *l, int64_t n, const char *name) {
  add(l, 1, S(n), "%s.weight", name);
  add(l, 1, S(n), "%s.bias", name);
}

/* --- transformers, spec/model.md 3.1 and 3.2 ------------------------------------------------------------------- */

typedef struct shape {
  int layers, heads, in, pt, rotary, learned, ofs, height, width, frames;
} shape;

static shape shape_of(sparse_kind kind) {
  switch (kind) {
  case SPARSE_2B: return (shape){30, 30, 16, 0, 0, 0, 0, 60, 90, 49};
  case SPARSE_5B_I2V: return (shape){42, 48, 32, 0, 1, 1, 0, 60, 90, 49};
  case SPARSE_15_5B: return (shape){42, 48, 16, 2, 1, 0, 0, 300, 300, 81};
  case SPARSE_15_5B_I2V: return (shape){42, 48, 32, 2, 1, 0, 512, 300, 300, 81};
  default: return (shape){42, 48, 16, 0, 1, 0, 0, 60, 90, 49};
  }
}

static void block(list *l, int i, int64_t d) {
  static const char *const products[] = {"attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0"};
  char name[96];
#define AT(part) (snprintf(name, sizeof name, "transformer_blocks.%d.%s", i, part), name)
  linear(l, 6 * d, 512, AT("norm1.linear"));
  norm(l, d, AT("norm1.norm"));
  for (int k = 0; k < 4; k++) linear(l, d, d, AT(products[k]));
  norm(l, 64, AT("attn1.norm_q"));
  norm(l, 64, AT("attn1.norm_k"));
  linear(l, 6 * d, 512, AT("norm2.linear"));
  norm(l, d, AT("norm2.norm"));
  linear(l, 4 * d, d, AT("ff.net.0.proj"));
  linear(l, d, 4 * d, AT("ff.net.2"));
#undef AT
}

static void transformer(list *l, const shape *s) {
  int64_t d = 64 * s->heads, out = 16 * 4 * (s->pt ? s->pt : 1);
  if (s->pt)
    add(l, 2, S(d, s->in * 4 * s->pt), "patch_embed.proj.weight");
  else
    add(l, 4, S(d, s->in, 2, 2), "patch_embed.proj.weight");
  add(l, 1, S(d), "patch_embed.proj.bias");
  linear(l, d, 4096, "patch_embed.text_proj");
  if (s->learned) add(l, 3, S(1, 226 + 17550, d), "patch_embed.pos_embedding");
  linear(l, 512, d, "time_embedding.linear_1");
  linear(l, 512, 512, "time_embedding.linear_2");
  if (s->ofs) linear(l, 512, 512, "ofs_embedding.linear_1");
  if (s->ofs) linear(l, 512, 512, "ofs_embedding.linear_2");
  for (int i = 0; i < s->layers; i++) block(l, i, d);
  norm(l, d, "norm_final");
  linear(l, 2 * d, 512, "norm_out.linear");
  norm(l, d, "norm_out.norm");
  linear(l, out, d, "proj_out");
}

static void transformer_config(text *t, const shape *s) {
  text_addf(t,
            "{\"_class_name\": \"CogVideoXTransformer3DModel\", \"num_layers\": %d, \"num_attention_heads\": %d, "
            "\"attention_head_dim\": 64, \"in_channels\": %d, \"out_channels\": 16, \"patch_size\": 2, "
            "\"time_embed_dim\": 512, \"text_embed_dim\": 4096, \"max_text_seq_length\": 226, \"sample_height\": %d, "
            "\"sample_width\": %d, \"sample_frames\": %d, \"use_rotary_positional_embeddings\": %s, "
            "\"use_learned_positional_embeddings\": %s, ",
            s->layers, s->heads, s->in, s->height, s->width, s->frames, s->rotary ? "true" : "false",
            s->learned ? "true" : "false");
  if (s->pt)
    text_addf(t, "\"patch_size_t\": %d, ", s->pt);
  else
    text_add(t, "\"patch_size_t\": null, ");
  text_addf(t, s->ofs ? "\"ofs_embed_dim\": %d}" : "\"ofs_embed_dim\": null}", s->ofs);
}

/* --- text encoder, VAE, adapter -------------------------------------------------------------------------------- */

static void encoder(list *l) {
  add(l, 2, S(32128, 4096), "shared.weight");
  add(l, 2, S(32, 64), "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
  for (int i = 0; i < 24; i++) {
    for (int k = 0; k < 4; k++)
      add(l, 2, S(4096, 4096), "encoder.block.%d.layer.0.SelfAttention.%c.weight", i, "qkvo"[k]);
    add(l, 1, S(4096), "encoder.block.%d.layer.0.layer_norm.weight", i);
    add(l, 2, S(10240, 4096), "encoder.block.%d.layer.1.DenseReluDense.wi_0.weight", i);
    add(l, 2, S(10240, 4096), "encoder.block.%d.layer.1.DenseReluDense.wi_1.weight", i);
    add(l, 2, S(4096, 10240), "encoder.block.%d.layer.1.DenseReluDense.wo.weight", i);
    add(l, 1, S(4096), "encoder.block.%d.layer.1.layer_norm.weight", i);
  }
  add(l, 1, S(4096), "encoder.final_layer_norm.weight");
}

static void conv3(list *l, int64_t out, int64_t in, int64_t k, const char *name) {
  add(l, 5, S(out, in, k, k, k), "%s.conv.weight", name);
  add(l, 1, S(out), "%s.conv.bias", name);
}

/* A norm of the encoder, or of the decoder, which is steered by the latents. */
static void vae_norm(list *l, int64_t n, int steered, const char *name) {
  char part[160];
  if (!steered) {
    norm(l, n, name);
    return;
  }
  snprintf(part, sizeof part, "%s.norm_layer", name), norm(l, n, part);
  snprintf(part, sizeof part, "%s.conv_y", name), conv3(l, n, 16, 1, part);
  snprintf(part, sizeof part, "%s.conv_b", name), conv3(l, n, 16, 1, part);
}

static void resnet(list *l, int64_t in, int64_t out, int steered, const char *name) {
  char part[128];
  snprintf(part, sizeof part, "%s.norm1", name), vae_norm(l, in, steered, part);
  snprintf(part, sizeof part, "%s.conv1", name), conv3(l, out, in, 3, part);
  snprintf(part, sizeof part, "%s.norm2", name), vae_norm(l, out, steered, part);
  snprintf(part, sizeof part, "%s.conv2", name), conv3(l, out, out, 3, part);
  if (in == out) return;
  add(l, 5, S(out, in, 1, 1, 1), "%s.conv_shortcut.weight", name);
  add(l, 1, S(out), "%s.conv_shortcut.bias", name);
}

static void vae_half(list *l, int decoder) {
  static const int64_t width[] = {128, 256, 256, 512};
  const char *half = decoder ? "decoder" : "encoder", *blocks = decoder ? "up_blocks" : "down_blocks",
             *scale = decoder ? "upsamplers" : "downsamplers";
  char name[96];
  int64_t at = decoder ? 512 : 128;
  snprintf(name, sizeof name, "%s.conv_in", half);
  conv3(l, at, decoder ? 16 : 3, 3, name);
  for (int i = 0; i < 4; i++) {
    int64_t to = width[decoder ? 3 - i : i];
    for (int j = 0; j < 3 + decoder; j++, at = to) {
      snprintf(name, sizeof name, "%s.%s.%d.resnets.%d", half, blocks, i, j);
      resnet(l, at, to, decoder, name);
    }
    if (i == 3) continue;
    add(l, 4, S(to, to, 3, 3), "%s.%s.%d.%s.0.conv.weight", half, blocks, i, scale);
    add(l, 1, S(to), "%s.%s.%d.%s.0.conv.bias", half, blocks, i, scale);
  }
  for (int j = 0; j < 2; j++) {
    snprintf(name, sizeof name, "%s.mid_block.resnets.%d", half, j);
    resnet(l, 512, 512, decoder, name);
  }
  snprintf(name, sizeof name, "%s.norm_out", half);
  vae_norm(l, at, decoder, name);
  snprintf(name, sizeof name, "%s.conv_out", half);
  conv3(l, decoder ? 3 : 32, at, 3, name);
}

static void adapter(list *l) {
  static const char *const products[] = {"to_q", "to_k", "to_v", "to_out.0"};
  add(l, 2, S(1, 3072), "domain_emb");
  for (int i = 0; i < 42; i++)
    for (int k = 0; k < 4; k++) {
      add(l, 2, S(128, 3072), "transformer.transformer_blocks.%d.attn1.%s.lora_A.weight", i, products[k]);
      add(l, 2, S(3072, 128), "transformer.transformer_blocks.%d.attn1.%s.lora_B.weight", i, products[k]);
    }
}

/* --- files ----------------------------------------------------------------------------------------------------- */

static void must(int rc, const err *e) {
  if (rc != OK) fail_msg("%s", e->text);
}

static void write_text(const char *folder, const char *name, text *t) {
  err e = {0};
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  must(text_ok(t, &e), &e);
  must(file_write(&e, path, t->p, t->n), &e);
  text_free(t);
}

static void write_shard(const char *folder, const char *name, const char *dtype, const list *l, int from, int to) {
  text t = {0};
  int64_t at = 0;
  char path[1024];
  text_addn(&t, "\0\0\0\0\0\0\0\0", 8);
  for (int i = from; i < to; i++) {
    const tensor *x = &l->at[i];
    text_addf(&t, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i == from ? "{" : ",", x->name, dtype);
    for (int k = 0; k < x->rank; k++) text_addf(&t, "%s%lld", k ? "," : "", (long long)x->shape[k]);
    text_addf(&t, "],\"data_offsets\":[%lld,%lld]}", (long long)at, (long long)(at + x->bytes));
    at += x->bytes;
  }
  text_add(&t, "}");
  assert_false(t.failed);
  uint64_t head = t.n - 8;
  for (int i = 0; i < 8; i++) t.p[i] = (char)(head >> (8 * i) & 255);
  at += (int64_t)t.n;
  write_text(folder, name, &t);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_int_equal(truncate(path, (off_t)at), 0);
}

static void write_weights(const char *folder, const char *dtype, const list *l, int shards) {
  text index = {0};
  char name[64];
  if (shards == 1) {
    write_shard(folder, "model.safetensors", dtype, l, 0, l->n);
    return;
  }
  text_add(&index, "{\"metadata\": {}, \"weight_map\": {");
  for (int s = 0; s < shards; s++) {
    int from = l->n * s / shards, to = l->n * (s + 1) / shards;
    snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", s + 1, shards);
    write_shard(folder, name, dtype, l, from, to);
    for (int i = from; i < to; i++) text_addf(&index, "%s\"%s\": \"%s\"", i ? ", " : "", l->at[i].name, name);
  }
  text_add(&index, "}}");
  write_text(folder, "model.safetensors.index.json", &index);
}

int64_t sparse_model(const char *folder, sparse_kind kind, int shards) {
  list *l = calloc(1, sizeof *l);
  text config = {0};
  shape s = shape_of(kind);
  err e = {0};
  assert_non_null(l);
  must(file_mkdirs(&e, folder), &e);
  if (kind == SPARSE_T5_XXL) {
    encoder(l);
    text_add(&config, "{\"num_layers\": 24, \"num_heads\": 64, \"d_kv\": 64, \"d_model\": 4096, \"d_ff\": 10240, "
                      "\"vocab_size\": 32128, \"feed_forward_proj\": \"gated-gelu\"}");
  } else if (kind == SPARSE_VAE) {
    vae_half(l, 0);
    vae_half(l, 1);
    text_add(&config,
             "{\"_class_name\": \"AutoencoderKLCogVideoX\", \"block_out_channels\": [128, 256, 256, 512], "
             "\"layers_per_block\": 3, \"latent_channels\": 16, \"norm_num_groups\": 32, \"in_channels\": 3, "
             "\"out_channels\": 3, \"scaling_factor\": 0.7}");
  } else if (kind == SPARSE_ADAPTER) {
    adapter(l);
  } else {
    transformer(l, &s);
    transformer_config(&config, &s);
  }
  if (config.n) write_text(folder, "config.json", &config);
  write_weights(folder, kind == SPARSE_2B ? "F16" : "BF16", l, shards);
  int64_t n = l->n;
  free(l);
  return n;
}

void sparse_pipeline(const char *folder, sparse_kind kind, const char *spiece) {
  char path[900];
  err e = {0};
  char *data = NULL;
  size_t n = 0;
  text t = {0};
#define PART(name) (snprintf(path, sizeof path, "%s/%s", folder, name), path)
  sparse_model(PART("transformer"), kind, 2);
  sparse_model(PART("vae"), SPARSE_VAE, 1);
  sparse_model(PART("text_encoder"), SPARSE_T5_XXL, 2);
  must(file_mkdirs(&e, PART("scheduler")), &e);
  text_add(&t, "{\"snr_shift_scale\": 1.0, \"prediction_type\": \"v_prediction\"}");
  write_text(path, "scheduler_config.json", &t);
  if (spiece) {
    must(file_read(&e, spiece, 1 << 24, &data, &n), &e);
    must(file_mkdirs(&e, PART("tokenizer")), &e);
    must(file_write(&e, PART("tokenizer/spiece.model"), data, n), &e);
    free(data);
  }
  text_addf(&t,
            "{\"_class_name\": \"CogVideoXPipeline\", \"scheduler\": [\"diffusers\", \"CogVideoXDDIMScheduler\"], "
            "\"text_encoder\": [\"transformers\", \"T5EncoderModel\"], %s\"transformer\": [\"diffusers\", "
            "\"CogVideoXTransformer3DModel\"], \"vae\": [\"diffusers\", \"AutoencoderKLCogVideoX\"]}",
            spiece ? "\"tokenizer\": [\"transformers\", \"T5Tokenizer\"], " : "");
  write_text(folder, "model_index.json", &t);
#undef PART
}
