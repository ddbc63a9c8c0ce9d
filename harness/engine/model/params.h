/* Lists of named tensors over one flat block: shared by the model and by adapters. */
#ifndef TD_MODEL_PARAMS_H
#define TD_MODEL_PARAMS_H

#include "base/rng.h"
#include "base/text.h"
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
/* The tensor of that name in one of the files, or NULL. */
const st_tensor *params_find(const st_file *const *files, int n_files, const char *name);
/* Do the files hold every parameter in its shape, in a floating type? Missing and misshapen tensors, and with
 * `strict` those that no parameter asked for, are counted and listed in one message, some of each kind. [n], [1,n]
 * and [1,1,n] fit each other. */
int params_check(err *e, const param *params, int64_t n, const st_file *const *files, int n_files,
                 int strict) TD_MUST_CHECK;
/* params_check, then fills w from the files by name; each tensor is read once. */
int params_load(const params_io *io, const st_file *const *files, int n_files, int strict) TD_MUST_CHECK;
int params_save(const params_io *io, dtype t, st_writer *to) TD_MUST_CHECK;
/* Hyper-parameters that a config and the tensors' shapes disagree about, collected for one message. */
typedef struct disagreement {
  text lines;
  int n;
} disagreement;
/* Size of an axis, -1 when there is no such tensor or it has another rank. */
int64_t shape_axis(const st_file *f, const char *name, int rank, int axis);
/* One more than the largest N of names PREFIX N . ... */
int64_t shape_blocks(const st_file *f, const char *prefix);
/* Adds a line when they differ; found < 0 (nothing to compare with) adds none. `where`: what the value was read from.
 */
void shape_compare(disagreement *d, const char *key, int64_t config, int64_t found, const char *where);
/* The result `rc` of params_check, its message preceded by the disagreements. Frees the lines. */
int shape_verdict(err *e, int rc, disagreement *d, const char *config, const st_file *f) TD_MUST_CHECK;
/* Uniform in +-bound. */
void params_uniform(rng r, double bound, int64_t n, real *out);

#endif
