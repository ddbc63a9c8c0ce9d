/* From files to a model: the config, what the shapes say of it, and the weights. */
#include <stdlib.h>

#include "model/dit.h"
#include "model/folder.h"
#include "model/params.h"

#define BLOCK "transformer_blocks.0."

static void compare_patches(const dit_config *c, const st_file *w, disagreement *d) {
  const char *const patch = "patch_embed.proj.weight", *const out = "proj_out.weight";
  int64_t cut = (int64_t)c->patch * c->patch;
  int flat = shape_axis(w, patch, 2, 0) >= 0, image = shape_axis(w, patch, 4, 0) >= 0;
  shape_compare(d, "in_channels", c->in_channels, shape_axis(w, patch, 4, 1), patch);
  shape_compare(d, "patch_size", c->patch, shape_axis(w, patch, 4, 2), patch);
  if (flat || image) shape_compare(d, "patch_size_t being given", c->slice_positions, flat, patch);
  if (flat && c->slice_positions)
    shape_compare(d, "in_channels x patch_size_t x patch_size^2", c->in_channels * c->patch_t * cut,
                  shape_axis(w, patch, 2, 1), patch);
  shape_compare(d, "out_channels x patch_size_t x patch_size^2", c->out_channels * c->patch_t * cut,
                shape_axis(w, out, 2, 0), out);
}

static void compare_positions(const dit_config *c, const st_file *w, disagreement *d) {
  const char *const pos = "patch_embed.pos_embedding";
  int64_t frames = (c->sample_frames - 1) / c->temporal_compression + 1, rows = shape_axis(w, pos, 3, 1);
  shape_compare(d, "use_learned_positional_embeddings", c->learned, st_find(w, pos) != NULL, pos);
  if (c->learned)
    shape_compare(d, "rows of text and of the sample's latents",
                  c->max_text + frames / c->patch_t * (c->sample_height / c->patch) * (c->sample_width / c->patch),
                  rows, pos);
}

int dit_check(err *e, const dit_config *c, const char *config, const st_file *w) {
  int rc = OK;
  param *params = NULL;
  int64_t n, ofs = shape_axis(w, "ofs_embedding.linear_1.weight", 2, 0);
  disagreement d = {0};
  TRY(dit_params(e, c, &params, &n));
  shape_compare(&d, "num_layers", c->layers, shape_blocks(w, "transformer_blocks."), "transformer_blocks.N");
  shape_compare(&d, "num_attention_heads x attention_head_dim", dit_width(c),
                shape_axis(w, "patch_embed.text_proj.weight", 2, 0), "patch_embed.text_proj.weight");
  shape_compare(&d, "attention_head_dim", c->head_dim, shape_axis(w, BLOCK "attn1.norm_q.weight", 1, 0),
                BLOCK "attn1.norm_q.weight");
  shape_compare(&d, "text_embed_dim", c->text_dim, shape_axis(w, "patch_embed.text_proj.weight", 2, 1),
                "patch_embed.text_proj.weight");
  shape_compare(&d, "time_embed_dim", c->time_dim, shape_axis(w, "time_embedding.linear_1.weight", 2, 0),
                "time_embedding.linear_1.weight");
  shape_compare(&d, "ofs_embed_dim", c->ofs_dim, ofs < 0 ? 0 : ofs, "ofs_embedding.linear_1.weight");
  compare_patches(c, w, &d);
  compare_positions(c, w, &d);
  rc = shape_verdict(e, params_check(e, params, n, &w, 1, 1), &d, config, w);
out:
  free(params);
  return rc;
}

int dit_from(ctx *c, const dit_source *s, dit *out) {
  int rc = OK;
  err *e = &c->err;
  json *j = NULL;
  text name = {0};
  st_file *w = NULL;
  dit_config cfg;
  *out = (dit){0};
  TRY(weights_config(e, &(weights_path){s->weights, s->config, PART_TRANSFORMER}, &j, &name));
  TRY(dit_config_read(e, j, name.p, &cfg));
  TRY(weights_open(e, s->weights, PART_TRANSFORMER, s->mode, &w));
  TRY(dit_check(e, &cfg, name.p, w)); /* before memory is taken for what a wrong config asks for */
  TRY(dit_open(c, &cfg, 0, out));
  TRY(dit_load(c, out, w));
out:
  if (rc != OK) dit_close(c, out);
  st_close(w);
  json_free(j);
  text_free(&name);
  return rc;
}
