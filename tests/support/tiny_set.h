/* Random clips for the model of tiny_model.h, for tests that train. */
#ifndef TD_TESTS_TINY_SET_H
#define TD_TESTS_TINY_SET_H

#include "tiny_model.h"
#include "train.h"

#define TINY_CLIPS 6
#define TINY_FRAMES 2
#define TINY_CHANNELS 4
#define TINY_HEIGHT 4
#define TINY_WIDTH 6
#define TINY_HALF (TINY_FRAMES * TINY_CHANNELS * TINY_HEIGHT * TINY_WIDTH)

typedef struct tiny_set {
  float rgb[TINY_CLIPS * TINY_HALF], alpha[TINY_CLIPS * TINY_HALF], rows[TINY_CLIPS * TINY_TEXT * TINY_TEXT_DIM],
      none[TINY_TEXT * TINY_TEXT_DIM];
} tiny_set;

/* alpha is a function of RGB, so there is something to learn. `sub` chooses the numbers. */
void tiny_set_fill(tiny_set *s, uint32_t sub);
/* All clips of the set, which must outlive the result. */
train_data tiny_set_data(const tiny_set *s);

#endif
