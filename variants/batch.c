/* Batch extension: RGB and alpha are two sequences with the same prompt (spec/model.md 5.3). */
#include "variants/variant.h"

static const char *const exchanges[] = {"none", "module", "kv", NULL};
static const char *const noises[] = {"shared", "independent", NULL};

enum { EXCHANGE, NOISE };
enum { NONE, MODULE, KV };

static const variant_option options[] = {
    [EXCHANGE] = {"exchange",
                  "what crosses between the two sequences: nothing, a 2x2 attention module per position, "
                  "each other's video keys and values",
                  exchanges, NONE, OPTION_TRAIN},
    [NOISE] = {"start_noise", "the sampler starts alpha from the RGB noise or from its own", noises, 0,
               OPTION_SAMPLE},
    {0}};

static void make_layout(const design *d, layout *l) {
  enum { TEXT_RGB, RGB, TEXT_ALPHA, ALPHA };
  l->n_seg = 4;
  l->seg[TEXT_RGB] = (segment){.kind = SEG_TEXT, .entry = 0};
  l->seg[RGB] = (segment){.kind = SEG_VIDEO, .stream = STREAM_RGB, .entry = 0};
  l->seg[TEXT_ALPHA] = (segment){.kind = SEG_TEXT, .entry = 1};
  l->seg[ALPHA] = (segment){.kind = SEG_VIDEO, .stream = STREAM_ALPHA, .entry = 1, .lora = 1, .domain = 1};
  for (int q = 0; q < 4; q++)
    for (int k = 0; k < 4; k++) l->sees[q][k] = l->seg[q].entry == l->seg[k].entry;
  if (d->value[EXCHANGE] == KV) l->sees[RGB][ALPHA] = l->sees[ALPHA][RGB] = 1;
  l->exchange = d->value[EXCHANGE] == MODULE;
  l->exchange_heads = 2;
  l->streams = 2;
  l->loss_rgb = l->loss_alpha = 1;
  l->domain = 1;
  l->lora = 1;
  l->shared_start = d->value[NOISE] == 0;
  l->rgb_is_base = d->value[EXCHANGE] == NONE;
}

const variant variant_batch = {.name = "batch",
                               .help = "RGB and alpha as two batch entries, with or without an exchange between them",
                               .source = "TransPixeler Fig. 9 (a); spec/model.md 5.3 D0, D1, D2",
                               .options = options,
                               .layout = make_layout};
