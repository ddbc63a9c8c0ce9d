/* The pretrained model itself: RGB only. The reference of every RGB distance. */
#include "variants/variant.h"

static const variant_option options[] = {{0}};

static void make_layout(const design *d, layout *l) {
  (void)d;
  enum { TEXT, RGB };
  l->n_seg = 2;
  l->seg[TEXT] = (segment){.kind = SEG_TEXT};
  l->seg[RGB] = (segment){.kind = SEG_VIDEO, .stream = STREAM_RGB};
  layout_see_all(l);
  l->streams = 1;
  l->loss_rgb = 1;
  l->rgb_is_base = 1;
}

const variant variant_base = {.name = "base",
                              .help = "the pretrained text-to-video model, RGB only",
                              .source = "diffusers cogvideox_transformer_3d.py",
                              .options = options,
                              .layout = make_layout};
