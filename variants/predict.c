/* Generation, then prediction: the base model makes the RGB clip; alpha rows are denoised beside its clean rows
 * (spec/default-study.md 2, row P; spec/model.md 14.1). */
#include "variants/variant.h"

static const char *const noises[] = {"shared", "independent", NULL};

enum { NOISE };

static const variant_option options[] = {[NOISE] = {"start_noise",
                                                    "the sampler starts alpha from the RGB noise or from its own",
                                                    noises, 0, OPTION_SAMPLE},
                                         {0}};

static void make_layout(const design *d, layout *l) {
  enum { TEXT, RGB, ALPHA };
  l->n_seg = 3;
  l->seg[TEXT] = (segment){.kind = SEG_TEXT, .clean = 1};
  l->seg[RGB] = (segment){.kind = SEG_VIDEO, .stream = STREAM_RGB, .clean = 1};
  l->seg[ALPHA] = (segment){.kind = SEG_VIDEO, .stream = STREAM_ALPHA, .lora = 1, .domain = 1};
  layout_see_all(l);
  l->sees[TEXT][ALPHA] = l->sees[RGB][ALPHA] = 0;
  l->streams = 2;
  l->loss_alpha = 1;
  l->domain = 1;
  l->lora = 1;
  l->shared_start = d->value[NOISE] == 0;
  l->two_pass = 1;
  l->rgb_is_base = 1;
}

const variant variant_predict = {.name = "predict",
                                 .help = "generation, then prediction: alpha is denoised given the finished RGB clip",
                                 .source = "TransPixeler Fig. 7 (roles); spec/default-study.md 2",
                                 .options = options,
                                 .layout = make_layout};
