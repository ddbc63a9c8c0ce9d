#include "model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/spiece.h"
#include "model/spm.h"

#define MODEL_MAX ((size_t)256 << 20)

struct tokenizer {
  spm *s;
  int32_t eos, pad;
};

#ifdef TD_SENTENCEPIECE

const char *tokenizer_library(void) {
  return "SentencePiece";
}

#else /* the same door, closed */

const char *tokenizer_library(void) {
  return NULL;
}

int spm_open(const void *data, size_t n, spm **out, char *why, size_t room) {
  (void)data, (void)n, (void)why, (void)room;
  *out = NULL;
  return -1;
}
void spm_close(spm *s) {
  (void)s;
}
int spm_size(const spm *s) {
  (void)s;
  return 0;
}
int spm_eos(const spm *s) {
  (void)s;
  return -1;
}
int spm_pad(const spm *s) {
  (void)s;
  return -1;
}
int64_t spm_encode(const spm *s, const char *text, size_t n, int32_t *ids, int64_t most, char *why, size_t room) {
  (void)s, (void)text, (void)n, (void)ids, (void)most, (void)why, (void)room;
  return -1;
}

#endif

int tokenizer_open(err *e, const char *path, tokenizer **out) {
  int rc = OK;
  char *data = NULL, why[256] = "";
  size_t n;
  int64_t pieces;
  tokenizer *t = NULL;
  *out = NULL;
  if (!tokenizer_library())
    FAIL(e, E_UNSUPPORTED,
         "%s: this build has no SentencePiece; install libsentencepiece-dev and build again, or give ready text "
         "embeddings (.safetensors, .npy), which need no tokenizer",
         path);
  TRY(file_read(e, path, MODEL_MAX, &data, &n));
  TRY(spiece_check(e, path, data, n, &pieces));
  TRY(mem_new(e, 1, sizeof *t, "tokenizer", &t));
  if (spm_open(data, n, &t->s, why, sizeof why)) FAIL(e, E_FORMAT, "%s: SentencePiece refuses it: %s", path, why);
  t->eos = spm_eos(t->s);
  t->pad = spm_pad(t->s);
  if (t->eos < 0 || t->pad < 0 || spm_size(t->s) != pieces)
    FAIL(e, E_FORMAT, "%s: has no piece for the end or for padding; a T5 tokenizer has both", path);
  *out = t;
  t = NULL;
out:
  tokenizer_close(t);
  free(data);
  return rc;
}

void tokenizer_close(tokenizer *t) {
  if (!t) return;
  spm_close(t->s);
  free(t);
}

int64_t tokenizer_size(const tokenizer *t) {
  return spm_size(t->s);
}

int tokenizer_encode(const tokenizer *t, err *e, const char *prompt, int64_t length, int32_t *ids, int64_t *used,
                     int *cut) {
  size_t n = strlen(prompt), len;
  char why[256] = "";
  if (length < 1) return err_set(e, E_ARG, "a prompt of %lld ids", (long long)length);
  for (size_t i = 0; i < n; i += len)
    if ((len = utf8_length(prompt + i, n - i)) == 0)
      return err_set(e, E_ARG, "prompt '%.60s': byte %zu is not UTF-8", prompt, i);
  int64_t count = spm_encode(t->s, prompt, n, ids, length - 1, why, sizeof why);
  if (count < 0) return err_set(e, E_FORMAT, "prompt '%.60s': SentencePiece fails: %s", prompt, why);
  int64_t kept = count < length - 1 ? count : length - 1;
  ids[kept] = t->eos;
  for (int64_t i = kept + 1; i < length; i++) ids[i] = t->pad;
  if (used) *used = kept + 1;
  if (cut) *cut = count > kept;
  return OK;
}
