/* The VAE's config against the shapes of its weights. */
#include <stdio.h>

#include "model/params.h"
#include "model/vae.h"

static void compare(const vae_config *c, const st_file *w, disagreement *d) {
  char key[48], name[64];
  shape_compare(d, "in_channels", c->in_channels, shape_axis(w, "encoder.conv_in.conv.weight", 5, 1),
                "encoder.conv_in.conv.weight");
  shape_compare(d, "out_channels", c->out_channels, shape_axis(w, "decoder.conv_out.conv.weight", 5, 0),
                "decoder.conv_out.conv.weight");
  shape_compare(d, "latent_channels", c->latent_channels, shape_axis(w, "decoder.conv_in.conv.weight", 5, 1),
                "decoder.conv_in.conv.weight");
  shape_compare(d, "layers_per_block", c->layers, shape_blocks(w, "encoder.down_blocks.0.resnets."),
                "encoder.down_blocks.0.resnets.N");
  shape_compare(d, "the number of block_out_channels", c->blocks, shape_blocks(w, "encoder.down_blocks."),
                "encoder.down_blocks.N");
  for (int i = 0; i < c->blocks; i++) {
    snprintf(key, sizeof key, "block_out_channels[%d]", i);
    snprintf(name, sizeof name, "encoder.down_blocks.%d.resnets.0.conv1.conv.weight", i);
    shape_compare(d, key, c->channels[i], shape_axis(w, name, 5, 0), name);
  }
}

int vae_check(err *e, const vae_config *cfg, const char *config, const st_file *w) {
  int rc = OK;
  ctx c = {0};
  vae v = {0};
  disagreement d = {0};
  rc = ctx_open(&c, &(ctx_options){.backend = "null"}); /* the list of tensors, without memory behind it */
  if (rc == OK) rc = vae_open(&c, cfg, VAE_ENCODER | VAE_DECODER, &v);
  if (rc != OK) FAIL(e, c.err.code, "%s", c.err.text);
  compare(cfg, w, &d);
  rc = shape_verdict(e, params_check(e, v.params, v.n_params, &w, 1, 1), &d, config, w);
out:
  vae_close(&c, &v);
  ctx_close(&c);
  return rc;
}
