/* JSON trees as sorted lists of leaves, and what differs between two of them. */
#ifndef TD_STUDY_LEAVES_H
#define TD_STUDY_LEAVES_H

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

typedef struct leaf {
  char *path;  /* "train/steps"; an array element that is an object with an id is named by it, else by its number */
  char *value; /* canonical JSON of a scalar, of {} or of [] */
} leaf;

typedef struct leaves {
  leaf *at;
  int64_t n, cap;
} leaves;

/* Appends the leaves of `j`; "//" members are left out. `prefix` is "" or ends in '/'. */
int leaves_add(err *e, leaves *l, const char *prefix, const json *j) TD_MUST_CHECK;
/* One leaf more. */
int leaves_put(err *e, leaves *l, const char *prefix, const char *name, const char *value) TD_MUST_CHECK;
/* By path; needed before leaves_differ. */
void leaves_sort(leaves *l);
void leaves_free(leaves *l);

/* Called once per path on which they differ, by path; NULL where one has no such path. Non-OK stops. */
typedef int leaves_fn(void *user, err *e, const char *path, const char *before, const char *after);
int leaves_differ(err *e, const leaves *before, const leaves *after, leaves_fn *fn, void *user) TD_MUST_CHECK;

#endif
