/* Model folders of real size without weights: headers are written, the data is a hole that ftruncate makes. Names and
 * shapes come from the tables of spec/model.md 3.2, 4.2, 7 and 8, not from the engine's code. */
#ifndef TD_TESTS_SPARSE_MODEL_H
#define TD_TESTS_SPARSE_MODEL_H

#include <stdint.h>

typedef enum sparse_kind {
  SPARSE_2B,
  SPARSE_5B,
  SPARSE_5B_I2V,
  SPARSE_15_5B,
  SPARSE_15_5B_I2V,
  SPARSE_VAE,
  SPARSE_T5_XXL,
  SPARSE_ADAPTER
} sparse_kind;

/* Writes config.json and BF16 (2B: F16) weights into the folder, in `shards` files (with an index when there is more
 * than one). The adapter and a single shard are model.safetensors. Returns the number of tensors; fails the test when
 * it cannot write. */
int64_t sparse_model(const char *folder, sparse_kind kind, int shards);
/* A pipeline folder: model_index.json, the transformer in two shards, VAE, T5-XXL in two shards, scheduler, and a
 * copy of the tokenizer at `spiece` (NULL: none). */
void sparse_pipeline(const char *folder, sparse_kind transformer, const char *spiece);

#endif
