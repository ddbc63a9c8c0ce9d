#include "study/leaves.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int join(err *e, const char *prefix, const char *name, const char *end, char **out) {
  int rc = OK;
  text t = {0};
  text_addf(&t, "%s%s%s", prefix, name, end);
  TRY(text_ok(&t, e));
  TRY(mem_strdup(e, t.p, out));
out:
  text_free(&t);
  return rc;
}

int leaves_put(err *e, leaves *l, const char *prefix, const char *name, const char *value) {
  int rc = OK;
  TRY(mem_grow(e, &l->at, &l->cap, l->n + 1, sizeof *l->at, "leaves"));
  leaf *x = &l->at[l->n++];
  TRY(join(e, prefix, name, "", &x->path));
  TRY(mem_strdup(e, value, &x->value));
out:
  return rc;
}

static int put_scalar(err *e, leaves *l, const char *prefix, const char *name, const json *j) {
  int rc = OK;
  text t = {0};
  json_canonical(&t, j);
  TRY(text_ok(&t, e));
  TRY(leaves_put(e, l, prefix, name, t.p));
out:
  text_free(&t);
  return rc;
}

int leaves_add(err *e, leaves *l, const char *prefix, const json *j) {
  int rc = OK;
  int64_t i = 0;
  char *below = NULL;
  for (const json *m = j->child; m; m = m->next, i++) {
    char number[24];
    const json *id = m->type == JSON_OBJECT ? json_get(m, "id") : NULL;
    snprintf(number, sizeof number, "%lld", (long long)i);
    const char *name = j->type == JSON_OBJECT ? m->key : id && id->type == JSON_STRING ? id->str : number;
    if (j->type == JSON_OBJECT && !strcmp(name, "//")) continue;
    if (m->child) {
      TRY(join(e, prefix, name, "/", &below));
      TRY(leaves_add(e, l, below, m));
      free(below);
      below = NULL;
    } else {
      TRY(put_scalar(e, l, prefix, name, m));
    }
  }
out:
  free(below);
  return rc;
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const leaf *)a)->path, ((const leaf *)b)->path);
}

void leaves_sort(leaves *l) {
  if (l->n) qsort(l->at, (size_t)l->n, sizeof *l->at, by_path);
}

void leaves_free(leaves *l) {
  for (int64_t i = 0; i < l->n; i++) {
    free(l->at[i].path);
    free(l->at[i].value);
  }
  free(l->at);
  *l = (leaves){0};
}

int leaves_differ(err *e, const leaves *before, const leaves *after, leaves_fn *fn, void *user) {
  int rc = OK;
  int64_t i = 0, k = 0;
  while (i < before->n || k < after->n) {
    const leaf *b = i < before->n ? &before->at[i] : NULL, *a = k < after->n ? &after->at[k] : NULL;
    int c = !b ? 1 : !a ? -1 : strcmp(b->path, a->path);
    i += c <= 0;
    k += c >= 0;
    if (c < 0)
      TRY(fn(user, e, b->path, b->value, NULL));
    else if (c > 0)
      TRY(fn(user, e, a->path, NULL, a->value));
    else if (strcmp(b->value, a->value) != 0)
      TRY(fn(user, e, b->path, b->value, a->value));
  }
out:
  return rc;
}
