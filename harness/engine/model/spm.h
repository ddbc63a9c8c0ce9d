/* SentencePiece, which is C++, behind C functions; the only place that sees it is spm.cc. Compiled where the library
 * was found (TD_SENTENCEPIECE). Nothing thrown leaves it: `why` gets the reason, cut to fit. */
#ifndef TD_MODEL_SPM_H
#define TD_MODEL_SPM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct spm spm;

/* 0, or -1 and a reason. The bytes are not kept. */
int spm_open(const void *data, size_t n, spm **out, char *why, size_t room);
void spm_close(spm *s);
int spm_size(const spm *s);
int spm_eos(const spm *s); /* -1: none */
int spm_pad(const spm *s);
/* The first `most` ids; returns how many there are in all, or -1 and a reason. */
int64_t spm_encode(const spm *s, const char *text, size_t n, int32_t *ids, int64_t most, char *why, size_t room);

#ifdef __cplusplus
}
#endif

#endif
