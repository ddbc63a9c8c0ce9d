/* Any bytes: a message that names the file, or a model that SentencePiece (where the build has it) opens or refuses,
 * and with which it then turns a text into ids below its size, without reading outside its memory. */
#include "fuzz.h"

#include <string.h>

#include "model/spiece.h"
#include "model/spm.h"
#include "model/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static const char text[] = "a caf\xc3\xa9 rainbow, \xef\xbc\xa1 \xe8\x99\x8e";
  err e = {0};
  int64_t pieces;
  char why[128];
  spm *s;
  int32_t ids[64];
  int rc = spiece_check(&e, "f", data, n, &pieces);
  if (rc != OK) {
    MUST((rc == E_FORMAT || rc == E_UNSUPPORTED) && !strncmp(e.text, "f: ", 3));
    return 0;
  }
  MUST(pieces > 0);
  if (!tokenizer_library() || spm_open(data, n, &s, why, sizeof why)) return 0;
  int64_t count = spm_encode(s, text, strlen(text), ids, 64, why, sizeof why);
  for (int64_t i = 0; i < count && i < 64; i++) MUST(ids[i] >= 0 && ids[i] < spm_size(s));
  spm_close(s);
  return 0;
}
