/* Lists of named tensors over one flat block: shared by the model and by adapters. */
#ifndef TD_MODEL_PARAMS_H
#define TD_MODEL_PARAMS_H

#include "base/rng.h"
#include "model/dit.h"

/* Declared twice in the same order: first to collect names and sizes, then (bind) to set the views. */
typedef struct param_list {
  err *e;
  param *param;
  int64_t n, cap, reals;
  int bind;
  real *w, *g; /* the blocks views are set into */
  int rc;
} param_list;

/* w, g: views to set when binding (either may be NULL). A tensor of rank 1 is a [1, n] view, others [shape[0], rest].
 */
void params_add(param_list *p, view *w, view *g, param_group group, int rank, const int64_t *shape, const char *name,
                ...) __attribute__((format(printf, 7, 8)));
/* First failure of any params_add. On failure the list is freed. */
int params_end(param_list *p) TD_MUST_CHECK;

typedef struct params_io {
  ctx *c;
  const param *params;
  int64_t n;
  real *w; /* backend */
} params_io;
/* The tensor of that name in one of the files, or NULL. */
const st_tensor *params_find(const st_file *const *files, int n_files, const char *name);
/* Are all parameters in the files? All missing and misshapen tensors are listed in one message; with `strict`,
 * tensors of the files that no parameter asked for are listed too. [n], [1,n] and [1,1,n] fit each other. */
int params_check(const params_io *io, const st_file *const *files, int n_files, int strict) TD_MUST_CHECK;
/* The same, then fills w. */
int params_load(const params_io *io, const st_file *const *files, int n_files, int strict) TD_MUST_CHECK;
int params_save(const params_io *io, dtype t, st_writer *to) TD_MUST_CHECK;
/* Uniform in +-bound. */
void params_uniform(rng r, double bound, int64_t n, real *out);

#endif
