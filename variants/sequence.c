/* Sequence extension: [text | RGB | alpha] in one sequence (TransPixeler; spec/model.md 4, 5.1, 5.2). */
#include "variants/variant.h"

static const char *const off_on[] = {"off", "on", NULL};
static const char *const masks[] = {"hard", "soft", "none", NULL};
static const char *const positions[] = {"shared", "continued", NULL};
static const char *const scopes[] = {"alpha", "video", "all", NULL};
static const char *const noises[] = {"shared", "independent", NULL};

enum { RGB_TO_ALPHA, TEXT_TO_ALPHA, MASK, POSITIONS, DOMAIN, SCOPE, NOISE };
enum { HARD, SOFT, NONE };

static const variant_option options[] = {
    [RGB_TO_ALPHA] = {"rgb_to_alpha", "RGB rows look at alpha rows", off_on, 1, OPTION_TRAIN},
    [TEXT_TO_ALPHA] = {"text_to_alpha", "text rows look at alpha rows", off_on, 0, OPTION_TRAIN},
    [MASK] = {"mask", "how a blocked pair is blocked: never computed, a logit bias of -1 (released code), not at all",
              masks, HARD, OPTION_TRAIN},
    [POSITIONS] = {"positions", "alpha frames share the RGB frames' time positions or continue after them", positions,
                   0, OPTION_TRAIN},
    [DOMAIN] = {"domain_embedding", "one learned vector is added to every alpha row", off_on, 1, OPTION_TRAIN},
    [SCOPE] = {"lora", "rows that carry the LoRA update", scopes, 0, OPTION_TRAIN},
    [NOISE] = {"start_noise", "the sampler starts alpha from the RGB noise or from its own", noises, 0,
               OPTION_SAMPLE},
    {0}};

/* mask=none blocks nothing: the same design as both switches on. */
static void settle(design *d) {
  if (d->value[MASK] == NONE) {
    d->value[MASK] = HARD;
    d->value[RGB_TO_ALPHA] = d->value[TEXT_TO_ALPHA] = 1;
  }
  if (d->value[RGB_TO_ALPHA] && d->value[TEXT_TO_ALPHA]) d->value[MASK] = HARD;
}

static void block(layout *l, int q, int k, int soft) {
  l->sees[q][k] = (unsigned char)soft;
  l->bias[q][k] = soft ? -1.0f : 0.0f;
}

static void make_layout(const design *d, layout *l) {
  enum { TEXT, RGB, ALPHA };
  int scope = d->value[SCOPE], soft = d->value[MASK] == SOFT;
  l->n_seg = 3;
  l->seg[TEXT] = (segment){.kind = SEG_TEXT, .lora = scope == 2};
  l->seg[RGB] = (segment){.kind = SEG_VIDEO, .stream = STREAM_RGB, .lora = scope >= 1};
  l->seg[ALPHA] = (segment){.kind = SEG_VIDEO,
                            .stream = STREAM_ALPHA,
                            .lora = 1,
                            .domain = d->value[DOMAIN],
                            .continued = d->value[POSITIONS]};
  layout_see_all(l);
  if (!d->value[TEXT_TO_ALPHA]) block(l, TEXT, ALPHA, soft);
  if (!d->value[RGB_TO_ALPHA]) block(l, RGB, ALPHA, soft);
  l->streams = 2;
  l->loss_rgb = l->loss_alpha = 1;
  l->domain = d->value[DOMAIN];
  l->lora = 1;
  l->shared_start = d->value[NOISE] == 0;
  l->rgb_is_base = !d->value[RGB_TO_ALPHA] && !d->value[TEXT_TO_ALPHA] && !soft && scope == 0;
}

const variant variant_sequence = {.name = "sequence",
                                  .help = "RGB and alpha tokens in one sequence, LoRA and domain vector on alpha",
                                  .source = "TransPixeler (CVPR 2025) section 3; CogVideoX/rgba_utils.py",
                                  .options = options,
                                  .settle = settle,
                                  .layout = make_layout};
