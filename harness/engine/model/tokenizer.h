/* Prompts -> token ids, by SentencePiece where the build has it (libsentencepiece-dev; see tokenizer_library).
 *
 * T5's convention: the pieces' ids, cut to length - 1, then eos, then pads up to `length`. Without the library
 * tokenizer_open fails with E_UNSUPPORTED; ready embeddings never need a tokenizer. */
#ifndef TD_MODEL_TOKENIZER_H
#define TD_MODEL_TOKENIZER_H

#include <stdint.h>

#include "base/err.h"

typedef struct tokenizer tokenizer;

/* "SentencePiece", or NULL when this build has none. */
const char *tokenizer_library(void);
/* `path` names a spiece.model. E_FORMAT for bytes that are none. */
int tokenizer_open(err *e, const char *path, tokenizer **out) TD_MUST_CHECK;
void tokenizer_close(tokenizer *t);
/* Pieces the model knows: ids are below it. */
int64_t tokenizer_size(const tokenizer *t);
/* ids[length], length >= 1. *used (optional): ids before the padding, eos included; `cut` (optional): the prompt was
 * longer. E_ARG for a prompt that is not UTF-8. */
int tokenizer_encode(const tokenizer *t, err *e, const char *prompt, int64_t length, int32_t *ids, int64_t *used,
                     int *cut) TD_MUST_CHECK;

#endif
