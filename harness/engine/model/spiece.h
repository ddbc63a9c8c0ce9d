/* Is a spiece.model sound? SentencePiece trusts what is inside: a hostile rule table makes it read outside its
 * memory, and some contradictions end the process. So the bytes are checked before the library sees them.
 *
 * Format: protocol buffers, ModelProto {1: pieces {1: text, 2: score, 3: type}, 2: trainer {3: model type}, 3 and 5:
 * rules of normalisation {2: charsmap}}. A charsmap is a 4-byte little-endian length, a double array (Darts) of so
 * many bytes, and zero-terminated replacement texts that its values point into. */
#ifndef TD_MODEL_SPIECE_H
#define TD_MODEL_SPIECE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* E_FORMAT naming the place, or E_UNSUPPORTED for models that are not Unigram. *pieces: how many there are. */
int spiece_check(err *e, const char *name, const void *data, size_t n, int64_t *pieces) TD_MUST_CHECK;

#endif
