/* Latent-dimension extension: the halves are stacked on channels and share their tokens (spec/model.md 5.4). */
#include "variants/variant.h"

static const char *const inits[] = {"copy", "zero", NULL};
static const char *const noises[] = {"shared", "independent", NULL};

enum { INIT, NOISE };

static const variant_option options[] = {
    [INIT] = {"init", "the alpha rows of the output projection start as a copy of the RGB rows or at zero", inits, 0,
              OPTION_TRAIN},
    [NOISE] = {"start_noise", "the sampler starts alpha from the RGB noise or from its own", noises, 0,
               OPTION_SAMPLE},
    {0}};

static void make_layout(const design *d, layout *l) {
  enum { TEXT, VIDEO };
  l->n_seg = 2;
  l->seg[TEXT] = (segment){.kind = SEG_TEXT};
  l->seg[VIDEO] = (segment){.kind = SEG_VIDEO, .stream = STREAM_FUSED, .lora = 1};
  layout_see_all(l);
  l->streams = 2;
  l->loss_rgb = l->loss_alpha = 1;
  l->widened = 1;
  l->out_copy = d->value[INIT] == 0;
  l->lora = 1;
  l->shared_start = d->value[NOISE] == 0;
}

const variant variant_latent = {.name = "latent",
                                .help = "alpha latents as further channels of the RGB tokens, widened projections",
                                .source = "TransPixeler Fig. 9 (c); spec/model.md 5.4",
                                .options = options,
                                .layout = make_layout};
