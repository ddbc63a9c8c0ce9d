#include "run/estimate.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/query.h"

typedef struct sample_row {
  char *shape;
  double ms, bytes;
} sample_row;

/* "STAGE {spec without what only says which of several equal pieces of work it is}" */
static int shape_of(err *e, stage st, const char *spec, char **out) {
  static const char *const which[] = {"train_seed", "sample_seed", "prompt"};
  int rc = OK;
  json *whole = NULL, *rest = json_new(JSON_OBJECT);
  text t = {0};
  *out = NULL;
  TRY(json_parse(e, "spec", spec, strlen(spec), &whole));
  for (const json *m = whole->child; m; m = m->next) {
    int skip = 0;
    for (size_t i = 0; i < sizeof which / sizeof which[0]; i++) skip |= !strcmp(m->key, which[i]);
    if (!skip && json_set(rest, m->key, json_copy(m)) != OK) FAIL(e, E_NOMEM, "no memory for a spec");
  }
  text_addf(&t, "%s ", stage_name(st));
  json_canonical(&t, rest);
  TRY(text_ok(&t, e));
  TRY(mem_strdup(e, t.p, out));
out:
  text_free(&t);
  json_free(whole);
  json_free(rest);
  return rc;
}

static int by_shape(const void *a, const void *b) {
  const sample_row *x = a, *y = b;
  int c = strcmp(x->shape, y->shape);
  return c ? c : (x->ms > y->ms) - (x->ms < y->ms);
}

/* The middle of each run of equal shapes, moved to the front; returns how many there are. */
static int64_t medians(sample_row *v, int64_t n) {
  int64_t shapes = 0;
  qsort(v, (size_t)n, sizeof *v, by_shape);
  for (int64_t i = 0, end; i < n; i = end) {
    for (end = i + 1; end < n && !strcmp(v[end].shape, v[i].shape);) end++;
    sample_row mid = v[i + (end - i - 1) / 2];
    v[i + (end - i - 1) / 2] = v[shapes];
    v[shapes++] = mid;
  }
  return shapes;
}

static int measured(err *e, store *s, sample_row **out, int64_t *n) {
  int rc = OK;
  store_costs costs = {0};
  TRY(store_cost_list(s, e, &costs));
  TRY(mem_new(e, costs.n, sizeof **out, "measured cells", out));
  for (; *n < costs.n; (*n)++) {
    const store_cost *c = &costs.at[*n];
    TRY(shape_of(e, c->stage, c->spec_json, &(*out)[*n].shape));
    (*out)[*n].ms = c->ms;
    (*out)[*n].bytes = (double)c->bytes;
  }
out:
  store_costs_free(&costs);
  return rc;
}

int estimate_cells(err *e, store *s, const plan *p, estimate *out) {
  int rc = OK;
  sample_row *v = NULL;
  int64_t n = 0, shapes = 0;
  if (s) TRY(measured(e, s, &v, &n));
  if (n) shapes = medians(v, n);
  for (int64_t i = 0; i < p->n; i++) {
    sample_row key = {0};
    int64_t lo = 0, hi = shapes;
    out[i] = (estimate){-1, -1};
    if (!shapes) continue;
    TRY(shape_of(e, p->cell[i].stage, p->cell[i].spec, &key.shape));
    while (lo < hi) {
      int64_t mid = lo + (hi - lo) / 2;
      if (strcmp(v[mid].shape, key.shape) < 0)
        lo = mid + 1;
      else
        hi = mid;
    }
    if (lo < shapes && !strcmp(v[lo].shape, key.shape)) out[i] = (estimate){v[lo].ms, v[lo].bytes};
    free(key.shape);
  }
out:
  for (int64_t i = 0; i < n; i++) free(v[i].shape);
  free(v);
  return rc;
}
