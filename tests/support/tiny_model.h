/* A small random model of the CogVideoX class and a batch for it, for tests that need no fixture. */
#ifndef TD_TESTS_TINY_MODEL_H
#define TD_TESTS_TINY_MODEL_H

#include "model/dit.h"
#include "variants/variant.h"

#define TINY_TEXT 4
#define TINY_TEXT_DIM 24
#define TINY_BATCH 2

typedef struct tiny {
  ctx c;
  dit m;
  adapter a;
  design d;
  layout l;
  geom g;
  int frames, height, width; /* latents of one half */
  real *latents, *out, *target;
  view text; /* of the storage type */
  double *loss;
  double t[TINY_BATCH];
  int64_t n_in, n_out; /* reals of the whole input and output tensors */
} tiny;

typedef struct tiny_options {
  const char *design;
  const char *isa;
  int threads, layers, heads, head_dim;
  int rotary;
  int base_trainable, trainable;
  int frames;         /* 0: 2 */
  dtype storage;      /* DT_BF16, else reals */
  int narrow_weights; /* the model's weights are numbers of bfloat16, as those of released files */
} tiny_options;

/* Every tensor random and away from its default; `seed` chooses the numbers of weights and adapter. */
void tiny_open(tiny *t, const tiny_options *o, uint64_t seed);
void tiny_close(tiny *t);
void tiny_fill(tiny *t, real *block, int64_t n, double scale, uint32_t sub);
/* Fails the running test with the context's text. */
void tiny_must(tiny *t, int rc, const char *what);
/* Forward and loss; gradients of adapter and (if trainable) model are zeroed first. */
double tiny_loss(tiny *t, int level);
/* The same with what the caller chose in tiny_io. */
dit_io tiny_io(tiny *t, int level);
double tiny_loss_of(tiny *t, const dit_io *io);
void tiny_forward(tiny *t);
/* Every design of the table with its defaults, then each option changed alone; ended by NULL. Static storage. */
const char *const *tiny_designs(void);

#endif
