#include "model/params.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static int64_t product(int rank, const int64_t *shape) {
  int64_t n = 1;
  for (int i = 0; i < rank; i++) n *= shape[i];
  return n;
}

static view element(dtype type, void *block, int64_t offset, int64_t count) {
  return view_typed(type, (char *)block + offset * dtype_size(type), 1, count);
}

/* `block` at the tensor's offset. */
static void set_view(view *v, view block, int rank, const int64_t *shape) {
  if (!v) return;
  int64_t n = product(rank, shape), rows = rank == 1 ? 1 : shape[0];
  if (rank == 3 && shape[0] == 1) rows = shape[1]; /* [1, rows, cols] tables */
  *v = view_typed(block.type, block.p, rows, n / rows);
}

void params_add(param_list *p, view *w, view *g, param_group group, int rank, const int64_t *shape, const char *name,
                ...) {
  int64_t count = product(rank, shape), offset = p->reals;
  p->reals += count;
  if (p->bind) {
    if (p->w) set_view(w, element(p->type, p->w, offset, count), rank, shape);
    if (p->g) set_view(g, element(DT_REAL, p->g, offset, count), rank, shape);
    return;
  }
  if (p->rc == OK) p->rc = mem_grow(p->e, &p->param, &p->cap, p->n + 1, sizeof(param), "parameter list");
  if (p->rc != OK) return;
  param *q = &p->param[p->n++];
  *q = (param){.rank = rank, .count = count, .offset = offset, .group = group};
  for (int i = 0; i < rank; i++) q->shape[i] = shape[i];
  va_list ap;
  va_start(ap, name);
  vsnprintf(q->name, sizeof q->name, name, ap);
  va_end(ap);
}

int params_end(param_list *p) {
  if (p->rc == OK) return OK;
  free(p->param);
  p->param = NULL;
  return p->rc;
}

int params_alloc(ctx *c, int64_t n, int master, real **w, void **s) {
  int rc = OK;
  void *p = NULL;
  if (c->storage != DT_REAL) TRY(c->ops->alloc(c, (size_t)(n * dtype_size(c->storage)), s));
  if (c->storage == DT_REAL || master) TRY(c->ops->alloc(c, (size_t)n * sizeof(real), &p));
  *w = p;
  if (c->storage == DT_REAL) *s = p;
out:
  return rc;
}

int params_store(ctx *c, int64_t n, const real *w, void *s) {
  if (!w || w == s) return OK;
  return op_cast(c, view_typed(c->storage, s, 1, n), view_of((void *)(uintptr_t)w, 1, n));
}

void params_uniform(rng r, double bound, int64_t n, real *out) {
  float u[256];
  for (int64_t i = 0; i < n; i += 256) {
    int64_t k = n - i < 256 ? n - i : 256;
    rng_uniform(r, (uint64_t)i, k, u);
    for (int64_t j = 0; j < k; j++) out[i + j] = (real)(float)((2 * (double)u[j] - 1) * bound);
  }
}

static void add_shape(text *t, int rank, const int64_t *shape) {
  text_add(t, "[");
  for (int i = 0; i < rank; i++) text_addf(t, "%s%lld", i ? "," : "", (long long)shape[i]);
  text_add(t, "]");
}

/* Equal up to leading ones. */
static int fits(const param *p, const st_tensor *t) {
  int a = 0, b = 0;
  while (a < p->rank - 1 && p->shape[a] == 1) a++;
  while (b < t->rank - 1 && t->shape[b] == 1) b++;
  if (p->rank - a != t->rank - b) return 0;
  return !memcmp(p->shape + a, t->shape + b, (size_t)(p->rank - a) * sizeof(int64_t));
}

const st_tensor *params_find(const st_file *const *files, int n, const char *name) {
  const st_tensor *t = NULL;
  for (int i = 0; i < n && !t; i++) t = st_find(files[i], name);
  return t;
}

/* What a check looks at, and what it found. */
typedef struct checking {
  const param *params;
  int64_t n;
  const st_file *const *files;
  int n_files;
  text list;
  int64_t missing, misshapen, extra;
} checking;

#define LISTED 6 /* of each kind */

static void find_missing(checking *k) {
  for (int64_t i = 0; i < k->n; i++) {
    const param *p = &k->params[i];
    if (params_find(k->files, k->n_files, p->name) || k->missing++ >= LISTED) continue;
    text_addf(&k->list, "\n  %s: want ", p->name);
    add_shape(&k->list, p->rank, p->shape);
    text_add(&k->list, ", file has none");
  }
}

static int floating(dtype t) {
  return t == DT_F32 || t == DT_F64 || t == DT_F16 || t == DT_BF16;
}

static void find_misshapen(checking *k) {
  for (int64_t i = 0; i < k->n; i++) {
    const param *p = &k->params[i];
    const st_tensor *t = params_find(k->files, k->n_files, p->name);
    if (!t || (fits(p, t) && floating(t->type)) || k->misshapen++ >= LISTED) continue;
    text_addf(&k->list, "\n  %s: want ", p->name);
    add_shape(&k->list, p->rank, p->shape);
    text_addf(&k->list, ", file has %s ", dtype_name(t->type));
    add_shape(&k->list, t->rank, t->shape);
  }
}

static int wanted(const checking *k, const char *name) {
  for (int64_t i = 0; i < k->n; i++)
    if (!strcmp(k->params[i].name, name)) return 1;
  return 0;
}

static void find_extra(checking *k) {
  for (int f = 0; f < k->n_files; f++)
    for (int64_t i = 0; i < st_count(k->files[f]); i++) {
      const char *name = st_at(k->files[f], i)->name;
      if (!wanted(k, name) && k->extra++ < LISTED)
        text_addf(&k->list, "\n  %.100s: the model has no such tensor", name);
    }
}

int params_check(err *e, const param *params, int64_t n, const st_file *const *files, int n_files, int strict) {
  int rc = OK;
  checking k = {.params = params, .n = n, .files = files, .n_files = n_files};
  find_missing(&k);
  find_misshapen(&k);
  if (strict) find_extra(&k);
  TRY(text_ok(&k.list, e));
  if (k.missing + k.misshapen + k.extra)
    FAIL(e, E_SHAPE, "%s: tensors do not fit the model: %lld missing, %lld misshapen, %lld extra%s%s",
         n_files ? st_path(files[0]) : "(no file)", (long long)k.missing, (long long)k.misshapen, (long long)k.extra,
         k.list.p, k.missing > LISTED || k.misshapen > LISTED || k.extra > LISTED ? "\n  ..." : "");
out:
  text_free(&k.list);
  return rc;
}

/* --- hyper-parameters out of shapes ---------------------------------------------------------------------------- */

int64_t shape_axis(const st_file *f, const char *name, int rank, int axis) {
  const st_tensor *t = st_find(f, name);
  return t && t->rank == rank && axis < rank ? t->shape[axis] : -1;
}

int64_t shape_blocks(const st_file *f, const char *prefix) {
  int64_t blocks = 0;
  size_t n = strlen(prefix);
  for (int64_t i = 0; i < st_count(f); i++) {
    const char *name = st_at(f, i)->name;
    int64_t k = 0;
    if (strncmp(name, prefix, n) != 0) continue;
    for (name += n; *name >= '0' && *name <= '9' && k < 100000; name++) k = 10 * k + (*name - '0');
    if (*name == '.' && k + 1 > blocks) blocks = k + 1;
  }
  return blocks;
}

void shape_compare(disagreement *d, const char *key, int64_t config, int64_t found, const char *where) {
  if (found < 0 || found == config) return;
  text_addf(&d->lines, "%s%s is %lld in the config, %lld in the weights (%s)", d->n++ ? "; " : "", key,
            (long long)config, (long long)found, where);
}

int shape_verdict(err *e, int rc, disagreement *d, const char *config, const st_file *f) {
  if (rc == E_SHAPE && d->n && !d->lines.failed)
    rc = err_prefix(e, "%s and %s disagree: %s", config, st_path(f), d->lines.p);
  text_free(&d->lines);
  return rc;
}

int params_load(const params_io *io, const st_file *const *files, int n_files, int strict) {
  int rc = OK;
  err *e = &io->c->err;
  real *buffer = NULL;
  TRY(params_check(e, io->params, io->n, files, n_files, strict));
  for (int64_t i = 0; i < io->n; i++) {
    const param *p = &io->params[i];
    TRY(mem_new(e, p->count, sizeof(real), p->name, &buffer));
    TRY(st_read_real(e, params_find(files, n_files, p->name), buffer));
    TRY(ctx_put(io->c, element(io->type, io->w, p->offset, p->count), buffer));
    free(buffer);
    buffer = NULL;
  }
out:
  free(buffer);
  return rc;
}

int params_save(const params_io *io, dtype t, st_writer *to) {
  int rc = OK;
  err *e = &io->c->err;
  real *buffer = NULL;
  for (int64_t i = 0; i < io->n; i++) {
    const param *p = &io->params[i];
    TRY(mem_new(e, p->count, sizeof(real), p->name, &buffer));
    TRY(ctx_get(io->c, buffer, element(io->type, io->w, p->offset, p->count)));
    TRY(st_writer_add_real(to, e, p->name, t, p->rank, p->shape, buffer));
    free(buffer);
    buffer = NULL;
  }
out:
  free(buffer);
  return rc;
}
