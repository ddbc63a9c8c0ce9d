/* Prompts -> rows of text by a model folder's own tokenizer and T5, kept in a cache by content.
 *
 * A cache file is named by the SHA-256 of what its rows follow from: the encoder's config and weights, the tokenizer,
 * the number of rows, the prompt's bytes. It holds `text` [rows, width] F32 and those hashes as metadata; a file that
 * does not say what its name promises is made again. The hash of the weights, 9.5 GB for T5-XXL, is itself kept
 * beside the cache under the files' size, inode and times. */
#ifndef TD_MODEL_PROMPTS_H
#define TD_MODEL_PROMPTS_H

#include <stdint.h>

#include "base/err.h"

typedef struct prompt_request {
  const char *model;         /* pipeline folder, for the parts not given below; may be NULL when both are */
  const char *text_encoder;  /* weights of the encoder: file, index or folder with config.json beside; or NULL */
  const char *tokenizer;     /* spiece.model or a folder with one; or NULL */
  const char *cache;         /* folder of the cache, made when absent; NULL: no cache */
  const char *const *prompt; /* UTF-8; "" is the empty prompt of guidance */
  int64_t n, rows;           /* prompts; rows of each, T5_ROWS for CogVideoX */
  int threads;               /* of the cpu backend; 0: its default */
  int (*progress)(void *user, int64_t done, int64_t total); /* blocks of the encoder; not called when all is cached */
  void *user;
} prompt_request;

typedef struct prompt_rows {
  float *at; /* [n, rows, width] */
  int64_t n, rows, width;
  int64_t encoded; /* distinct prompts that were not in the cache */
  int64_t cut;     /* prompts longer than `rows` */
} prompt_rows;

/* Prompts that occur twice are encoded once. The encoder is not opened when every prompt is cached. */
int prompts_encode(err *e, const prompt_request *r, prompt_rows *out) TD_MUST_CHECK;
void prompts_free(prompt_rows *p);

#endif
