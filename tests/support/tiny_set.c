#include "tiny_set.h"

#include "base/rng.h"

void tiny_set_fill(tiny_set *s, uint32_t sub) {
  rng r = {.seed = 4, .stream = RNG_TEST, .sub = sub};
  rng_normal(r, 0, TINY_CLIPS * TINY_HALF, s->rgb);
  for (int i = 0; i < TINY_CLIPS * TINY_HALF; i++) s->alpha[i] = 0.5f * s->rgb[i] + 0.2f;
  rng_normal(r, 1 << 20, TINY_CLIPS * TINY_TEXT * TINY_TEXT_DIM, s->rows);
  rng_normal(r, 2 << 20, TINY_TEXT * TINY_TEXT_DIM, s->none);
}

train_data tiny_set_data(const tiny_set *s) {
  return (train_data){.clips = TINY_CLIPS,
                      .frames = TINY_FRAMES,
                      .channels = TINY_CHANNELS,
                      .height = TINY_HEIGHT,
                      .width = TINY_WIDTH,
                      .rgb = s->rgb,
                      .alpha = s->alpha,
                      .n_text = TINY_TEXT,
                      .text_dim = TINY_TEXT_DIM,
                      .text = s->rows,
                      .null_text = s->none};
}
