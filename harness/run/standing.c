#include "run/standing.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int is_settled(store_state s) {
  return s == CELL_DONE || s == CELL_RUNNING || s == CELL_FAILED || s == CELL_SKIPPED;
}

static store_state derived(const plan_cell *c, const store_state *state) {
  store_state r = CELL_READY;
  for (int i = 0; i < c->n_inputs; i++) {
    if (c->input[i].cell < 0) continue;
    store_state up = state[c->input[i].cell];
    if (up == CELL_FAILED || up == CELL_BLOCKED || up == CELL_SKIPPED) return CELL_BLOCKED;
    if (up != CELL_DONE) r = CELL_WAITING;
  }
  return r;
}

int standing_of(err *e, store *s, const plan *p, store_state *out) {
  int rc = OK;
  store_cells c = {0};
  for (int64_t i = 0; i < p->n; i++) out[i] = CELL_WAITING;
  if (s) TRY(store_cells_in(s, e, 0, CELL_STATES, &c));
  for (int64_t i = 0; i < c.n; i++) {
    int64_t at = plan_find(p, c.at[i].key);
    if (at >= 0) out[at] = c.at[i].state;
  }
  for (int64_t i = 0; i < p->n; i++) /* inputs come first */
    if (!is_settled(out[i])) out[i] = derived(&p->cell[i], out);
out:
  store_cells_free(&c);
  return rc;
}

/* --- differences --- */

static int compare_text(const char *a, const char *b) {
  return strcmp(a ? a : "", b ? b : "");
}

/* By stage and axes; then gone before new, so that pairs can be made by one walk. */
static int by_place(const void *a, const void *b) {
  const plan_difference *x = a, *y = b;
  int c = (x->stage > y->stage) - (x->stage < y->stage);
  if (!c) c = compare_text(x->variant, y->variant);
  if (!c) c = (x->train_seed > y->train_seed) - (x->train_seed < y->train_seed);
  if (!c) c = (x->sample_seed > y->sample_seed) - (x->sample_seed < y->sample_seed);
  if (!c) c = compare_text(x->prompt, y->prompt);
  return c;
}

static int by_place_and_kind(const void *a, const void *b) {
  const plan_difference *x = a, *y = b;
  int c = by_place(a, b);
  if (!c) c = (x->kind < y->kind) - (x->kind > y->kind);
  if (!c) c = compare_text(x->before, y->before);
  return c ? c : compare_text(x->key, y->key);
}

/* A gone and a new cell at one place are a changed cell. */
static void make_pairs(plan_differences *d) {
  int64_t n = 0;
  if (d->n) qsort(d->at, (size_t)d->n, sizeof *d->at, by_place_and_kind);
  for (int64_t i = 0, end; i < d->n; i = end) {
    int64_t gone = 0;
    for (end = i; end < d->n && !by_place(&d->at[i], &d->at[end]); end++) gone += d->at[end].kind == PLAN_GONE;
    int64_t fresh = end - i - gone, pairs = gone < fresh ? gone : fresh;
    for (int64_t k = 0; k < pairs; k++) {
      d->at[i + gone + k].kind = PLAN_CHANGED;
      d->at[i + gone + k].before = d->at[i + k].before;
    }
    int64_t from = i + pairs; /* gone cells that found a partner are left out */
    while (from < end) d->at[n++] = d->at[from++];
  }
  d->n = n;
  for (int64_t i = 0; i < n; i++) d->count[d->at[i].kind]++;
}

static int study_number(err *e, store *s, const char *name, int64_t *id) {
  int rc = OK;
  store_studies l = {0};
  *id = 0;
  TRY(store_study_list(s, e, NULL, &l));
  for (int64_t i = 0; i < l.n; i++)
    if (!strcmp(l.at[i].name, name)) *id = l.at[i].study_id;
out:
  store_studies_free(&l);
  return rc;
}

static int gone_cells(err *e, const plan *p, char *had, int64_t *cap, plan_differences *d) {
  int rc = OK;
  for (int64_t i = 0; i < d->old.n; i++) {
    const store_cell_row *c = &d->old.at[i];
    int64_t at = plan_find(p, c->key);
    if (at >= 0) {
      had[at] = 1;
      continue;
    }
    TRY(mem_grow(e, &d->at, cap, d->n + 1, sizeof *d->at, "differences"));
    d->at[d->n++] = (plan_difference){.kind = PLAN_GONE,
                                      .stage = c->stage,
                                      .before = c->key,
                                      .variant = c->variant,
                                      .prompt = c->prompt_id,
                                      .train_seed = c->train_seed,
                                      .sample_seed = c->sample_seed};
  }
out:
  return rc;
}

int plan_differ(err *e, store *s, const char *study_name, const plan *p, plan_differences *out) {
  int rc = OK;
  int64_t id = 0, cap = 0;
  char *had = NULL;
  *out = (plan_differences){0};
  if (s) TRY(study_number(e, s, study_name, &id));
  out->first = id == 0;
  if (!id) return OK;
  TRY(mem_new(e, p->n, 1, "marks", &had));
  TRY(store_cells_in(s, e, id, CELL_STATES, &out->old));
  TRY(gone_cells(e, p, had, &cap, out));
  for (int64_t i = 0; i < p->n; i++) {
    const plan_cell *c = &p->cell[i];
    if (had[i]) continue;
    TRY(mem_grow(e, &out->at, &cap, out->n + 1, sizeof *out->at, "differences"));
    out->at[out->n++] = (plan_difference){.kind = PLAN_NEW,
                                          .stage = c->stage,
                                          .key = c->key,
                                          .variant = c->variant,
                                          .prompt = c->prompt,
                                          .train_seed = c->train_seed,
                                          .sample_seed = c->sample_seed};
  }
  make_pairs(out);
out:
  free(had);
  return rc;
}

void plan_differences_free(plan_differences *d) {
  free(d->at);
  store_cells_free(&d->old);
  *d = (plan_differences){0};
}
