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
  void *w; /* the blocks views are set into: w of `type`, g of reals */
  dtype type;
  real *g;
  int rc;
} param_list;

/* w, g: views to set when binding (either may be NULL). A tensor of rank 1 is a [1, n] view, others [shape[0], rest].
 */
void params_add(param_list *p, view *w, view *g, param_group group, int rank, const int64_t *shape, const char *name,
                ...) __attribute__((format(printf, 7, 8)));
/* First failure of any params_add. On failure the list is freed. */
int params_end(param_list *p) TD_MUST_CHECK;

/* Memory for n reals and for their copy in the storage type: one block where that is reals; without `master` only
 * what the model reads. Contents undefined. */
int params_alloc(ctx *c, int64_t n, int master, real **w, void **s) TD_MUST_CHECK;
/* s = w in the storage type; nothing to do where they are one block or w is NULL. */
int params_store(ctx *c, int64_t n, const real *w, void *s) TD_MUST_CHECK;

typedef struct params_io {
  ctx *c;
  const param *params;
  int64_t n;
  void *w; /* backend, of `type` */
  dtype type;
} params_io;
/* Fills w from the files by name. All missing and misshapen tensors are listed in one message; with `strict`, tensors
 * of the files that no parameter asked for are listed too. [n], [1,n] and [1,1,n] fit each other. */
int params_load(const params_io *io, const st_file *const *files, int n_files, int strict) TD_MUST_CHECK;
int params_save(const params_io *io, dtype t, st_writer *to) TD_MUST_CHECK;
/* Uniform in +-bound. */
void params_uniform(rng r, double bound, int64_t n, real *out);

#endif
