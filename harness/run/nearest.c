#include "run/nearest.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define DEEPEST 8 /* score, sample, train, pretrain, prepare; the rest is room */

typedef struct source {
  err *e;
  store *s;
  const plan *p;
  leaves *out;
} source;

static int add_cell(source *f, const char *key, const char *prefix, int depth);

/* An input: another cell's leaves, or a hash. */
static int add_input(source *f, const char *prefix, const char *role, const char *key, const char *sha, int depth) {
  int rc = OK;
  text t = {0};
  text_addf(&t, "%sinputs/%s%s", prefix, role, key ? "/" : "");
  TRY(text_ok(&t, f->e));
  TRY(key ? add_cell(f, key, t.p, depth + 1) : leaves_put(f->e, f->out, t.p, "", sha ? sha : ""));
out:
  text_free(&t);
  return rc;
}

static int add_spec(source *f, const char *prefix, const char *spec) {
  int rc = OK;
  json *j = NULL;
  text t = {0};
  text_addf(&t, "%sspec/", prefix);
  TRY(text_ok(&t, f->e));
  TRY(json_parse(f->e, "spec", spec, strlen(spec), &j));
  TRY(leaves_add(f->e, f->out, t.p, j));
out:
  text_free(&t);
  json_free(j);
  return rc;
}

static int add_planned(source *f, const plan_cell *c, const char *prefix, int depth) {
  int rc = OK;
  TRY(add_spec(f, prefix, c->spec));
  for (int i = 0; i < c->n_inputs; i++) {
    const plan_input *in = &c->input[i];
    TRY(add_input(f, prefix, in->role, in->cell >= 0 ? in->hash : NULL, in->hash, depth));
  }
out:
  return rc;
}

static int add_stored(source *f, const char *key, const char *prefix, int depth) {
  int rc = OK;
  store_cells c = {0};
  store_inputs in = {0};
  TRY(store_cell_find(f->s, f->e, key, &c));
  TRY(add_spec(f, prefix, c.at[0].spec_json));
  TRY(store_input_list(f->s, f->e, key, &in));
  for (int64_t i = 0; i < in.n; i++) TRY(add_input(f, prefix, in.at[i].role, in.at[i].key, in.at[i].sha256, depth));
out:
  store_cells_free(&c);
  store_inputs_free(&in);
  return rc;
}

static int add_cell(source *f, const char *key, const char *prefix, int depth) {
  int64_t at = f->p ? plan_find(f->p, key) : -1;
  if (depth > DEEPEST) return err_set(f->e, E_STORE, "cell %.12s has inputs without an end", key);
  if (at >= 0) return add_planned(f, &f->p->cell[at], prefix, depth);
  if (f->s) return add_stored(f, key, prefix, depth);
  return err_set(f->e, E_ARG, "cell %.12s is neither in the plan nor in a store", key);
}

int cell_leaves(err *e, store *s, const plan *p, const char *key, leaves *out) {
  source f = {e, s, p, out};
  *out = (leaves){0};
  int rc = add_cell(&f, key, "", 0);
  if (rc != OK) leaves_free(out);
  leaves_sort(out);
  return rc;
}

/* --- nearest --- */

static int count_one(void *user, err *e, const char *path, const char *before, const char *after) {
  (void)e, (void)path, (void)before, (void)after;
  ++*(int64_t *)user;
  return OK;
}

static int same_text(const char *a, const char *b) {
  return !strcmp(a ? a : "", b ? b : "");
}

static int same_place(const nearest_request *r, const store_cell_row *c) {
  return c->variant && same_text(c->variant, r->variant) && same_text(c->prompt_id, r->prompt) &&
         c->train_seed == r->train_seed && c->sample_seed == r->sample_seed;
}

static int nearest(err *e, const nearest_request *r, const leaves *mine, int at_place, int64_t *out) {
  int rc = OK;
  int64_t least = INT64_MAX;
  leaves other = {0};
  *out = -1;
  for (int64_t i = 0; i < r->among->n; i++) {
    const store_cell_row *c = &r->among->at[i];
    int64_t n = 0;
    if (c->stage != r->stage || !strcmp(c->key, r->key) || (at_place && !same_place(r, c))) continue;
    TRY(cell_leaves(e, r->s, r->p, c->key, &other));
    TRY(leaves_differ(e, &other, mine, count_one, &n));
    leaves_free(&other);
    n = 2 * n + (c->state != CELL_DONE);
    if (n < least) {
      least = n;
      *out = i;
    }
  }
out:
  leaves_free(&other);
  return rc;
}

int cell_nearest(err *e, const nearest_request *r, int64_t *out) {
  int rc = OK;
  leaves mine = {0};
  *out = -1;
  TRY(cell_leaves(e, r->s, r->p, r->key, &mine));
  TRY(nearest(e, r, &mine, 1, out));
  if (*out < 0) TRY(nearest(e, r, &mine, 0, out));
out:
  leaves_free(&mine);
  return rc;
}
