/* Features of a set of clips, made by another program: what FID, FVD, KID and JEDi compare (spec/metrics.md 4).
 *
 * .npy: a 2-D array, a row a clip. .npz and .safetensors: the array `features`, else `mu` [d] with `sigma` [d][d] as
 * pytorch-fid saves them, else the only array there is. Which kind a file is, its first bytes say. Files are read as
 * hostile input and whole, at most FEATURES_LIMIT bytes.
 *
 * Beside FILE.npy a file FILE.json may say where the features come from: strings `extractor`, `weights` (hash),
 * `preprocessing`, `frame_rule`, all optional; other members are left alone. */
#ifndef TD_MEDIA_FEATURES_H
#define TD_MEDIA_FEATURES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FEATURES_LIMIT ((size_t)1 << 30)

typedef struct features {
  double *x;          /* [n][dim]; NULL where there is only mu and sigma */
  int64_t n, dim;     /* n is 0 with mu and sigma */
  double *mu, *sigma; /* [dim], [dim][dim] */
  char *source;       /* the four members as canonical JSON; NULL when none is given */
} features;

/* E_IO, E_FORMAT for damaged files, E_UNSUPPORTED for what is well formed and not read here. Values may be NaN. */
int features_read(err *e, const char *path, features *out) TD_MUST_CHECK;
/* The same from bytes, without the JSON file; `name` is for messages. */
int features_parse(err *e, const char *name, const void *data, size_t n, features *out) TD_MUST_CHECK;
void features_free(features *f);

#endif
