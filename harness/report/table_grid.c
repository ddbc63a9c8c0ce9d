#include "report/table_grid.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define AXIS 4096 /* most seeds or prompts of a study */

static int add_seed(err *e, int64_t *list, int64_t *n, int64_t v) {
  for (int64_t i = 0; i < *n; i++)
    if (list[i] == v) return OK;
  if (*n == AXIS) return err_set(e, E_ARG, "a table has room for %d seeds", AXIS);
  list[(*n)++] = v;
  return OK;
}

static int same_text(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

static int add_prompt(err *e, grid *g, const char *id) {
  for (int64_t i = g->n_prompts; i-- > 0;) /* points of one prompt come together */
    if (same_text(g->prompts[i], id)) return OK;
  if (g->n_prompts == AXIS) return err_set(e, E_ARG, "a table has room for %d prompts", AXIS);
  g->prompts[g->n_prompts++] = id;
  return OK;
}

static int make_grid(err *e, const table_input *in, grid *g) {
  int rc = OK;
  TRY(mem_new(e, AXIS, sizeof *g->prompts, "prompts", &g->prompts));
  TRY(mem_new(e, AXIS, sizeof *g->trains, "seeds", &g->trains));
  TRY(mem_new(e, AXIS, sizeof *g->samples, "seeds", &g->samples));
  for (int64_t i = 0; i < in->n_points; i++) {
    const table_point *p = &in->points[i];
    if (p->row < 0 || p->row >= in->n_rows) FAIL(e, E_ARG, "a point names row %lld", (long long)p->row);
    if (p->prompt) TRY(add_prompt(e, g, p->prompt));
    if (p->train_seed != SEED_NONE) TRY(add_seed(e, g->trains, &g->n_trains, p->train_seed));
    if (p->sample_seed != SEED_NONE) TRY(add_seed(e, g->samples, &g->n_samples, p->sample_seed));
  }
  if (!g->n_prompts) g->prompts[g->n_prompts++] = NULL;
  if (!g->n_trains) g->trains[g->n_trains++] = SEED_NONE;
  if (!g->n_samples) g->samples[g->n_samples++] = SEED_NONE;
  g->size = g->n_prompts * g->n_trains * g->n_samples;
out:
  return rc;
}

/* Range of places along one axis: one, or all of them for a clip without the axis. */
typedef struct span {
  int64_t from, to;
} span;

static span seed_span(const int64_t *list, int64_t n, int64_t v) {
  if (v == SEED_NONE) return (span){0, n};
  for (int64_t i = 0; i < n; i++)
    if (list[i] == v) return (span){i, i + 1};
  return (span){0, 0};
}

static span prompt_span(const grid *g, const char *id, int64_t *hint) {
  if (!id) return (span){0, g->n_prompts};
  for (int64_t k = 0; k < g->n_prompts; k++) {
    int64_t i = (*hint + k) % g->n_prompts;
    if (same_text(g->prompts[i], id)) return (span){*hint = i, i + 1};
  }
  return (span){0, 0};
}

typedef struct box {
  span p, t, s;
} box;

static int box_empty(const box *b) {
  return b->p.to == b->p.from || b->t.to == b->t.from || b->s.to == b->s.from;
}

static int64_t place(const grid *g, int64_t p, int64_t t, int64_t s) {
  return (p * g->n_trains + t) * g->n_samples + s;
}

static void mark_planned(tally *y) {
  int64_t hint = 0;
  const grid *g = &y->g;
  for (int64_t i = 0; i < y->in->n_points; i++) {
    const table_point *q = &y->in->points[i];
    box b = {prompt_span(g, q->prompt, &hint), seed_span(g->trains, g->n_trains, q->train_seed),
             seed_span(g->samples, g->n_samples, q->sample_seed)};
    if (box_empty(&b)) continue;
    for (int64_t p = b.p.from; p < b.p.to; p++)
      for (int64_t t = b.t.from; t < b.t.to; t++)
        for (int64_t s = b.s.from; s < b.s.to; s++) y->planned[q->row * g->size + place(g, p, t, s)] = 1;
    y->own[q->row * g->size + place(g, b.p.from, b.t.from, b.s.from)] = 1;
  }
}

/* --- scores into the grid -------------------------------------------------------------------------------------- */

static int64_t row_of(const table_input *in, const char *name, int64_t *hint) {
  for (int64_t k = 0; name && k < in->n_rows; k++) {
    int64_t i = (*hint + k) % in->n_rows;
    if (strcmp(in->rows[i], name) == 0) return *hint = i;
  }
  return -1;
}

static int64_t column_of(const table_input *in, const char *id, int64_t *hint) {
  for (int64_t k = 0; k < in->n_metrics; k++) {
    int64_t i = (*hint + k) % in->n_metrics;
    if (strcmp(in->metrics[i].id, id) == 0) return *hint = i;
  }
  return -1;
}

/* 1 when the study wants the clip. */
static int add_score(tally *y, const store_score *sc, int64_t row, int64_t column, int64_t at) {
  int64_t i = (row * y->in->n_metrics + column) * y->g.size + at;
  if (!y->planned[row * y->g.size + at]) return 0;
  y->scored[row * y->g.size + at] = 1;
  if (sc->kind == KIND_UNDEFINED) {
    y->reason[i] = sc->reason;
    if (y->state[i] == GRID_NONE) y->state[i] = GRID_UNDEFINED;
    return 1;
  }
  y->value[i] += sc->value;
  y->count[i]++;
  y->state[i] = y->state[i] == GRID_NOT_FINITE || !isfinite(sc->value) ? GRID_NOT_FINITE : GRID_VALUE;
  return 1;
}

/* Scores come sorted, so those of one clip over several backdrops follow each other. */
static int keep_key(err *e, table_cell *c, const char *key) {
  if (c->n_keys && strcmp(c->keys[c->n_keys - 1], key) == 0) return OK;
  int rc = mem_grow(e, &c->keys, &c->keys_cap, c->n_keys + 1, sizeof *c->keys, "keys of a cell");
  if (rc == OK) snprintf(c->keys[c->n_keys++], sizeof *c->keys, "%s", key);
  return rc;
}

static int take_scores(tally *y, err *e) {
  const grid *g = &y->g;
  int64_t row_hint = 0, column_hint = 0, prompt_hint = 0, *old = NULL;
  int rc = OK;
  TRY(mem_new(e, y->in->n_metrics, sizeof *old, "counts", &old));
  for (int64_t i = 0; i < y->in->n_scores; i++) {
    const store_score *sc = &y->in->scores[i];
    int64_t row = row_of(y->in, sc->variant, &row_hint), column = column_of(y->in, sc->metric, &column_hint);
    if (row < 0 || column < 0) continue;
    if (sc->version != y->in->metrics[column].version) {
      old[column]++;
      continue;
    }
    box b = {prompt_span(g, sc->prompt_id, &prompt_hint), seed_span(g->trains, g->n_trains, sc->train_seed),
             seed_span(g->samples, g->n_samples, sc->sample_seed)};
    int taken = 0;
    for (int64_t p = b.p.from; p < b.p.to; p++)
      for (int64_t t = b.t.from; t < b.t.to; t++)
        for (int64_t s = b.s.from; s < b.s.to; s++) taken |= add_score(y, sc, row, column, place(g, p, t, s));
    if (taken && sc->key) TRY(keep_key(e, &y->t->cells[row * y->in->n_metrics + column], sc->key));
  }
  int64_t total = y->in->n_rows * y->in->n_metrics * g->size, averaged = 0;
  for (int64_t i = 0; i < total; i++)
    if (y->count[i] > 1) y->value[i] /= y->count[i], averaged = y->count[i];
  char s[400];
  for (int64_t i = 0; i < y->in->n_metrics; i++) {
    if (!old[i] || (y->in->metrics_shown && !y->in->metrics_shown[i])) continue;
    snprintf(s, sizeof s, "%.200s: %lld scores of other versions than %lld are left out", y->in->metrics[i].id,
             (long long)old[i], (long long)y->in->metrics[i].version);
    TRY(table_remark(e, y->t, s));
  }
  if (averaged) TRY(table_remark(e, y->t, "where a clip is scored over several backdrops, its score is their mean"));
out:
  free(old);
  return rc;
}

/* --- all of it ------------------------------------------------------------------------------------------------- */

static int allocate(tally *y, err *e) {
  int64_t rows = y->in->n_rows, cells = rows * y->in->n_metrics, size = y->g.size;
  int rc = OK;
  if (size > INT64_MAX / 64 / cells) FAIL(e, E_ARG, "the table is too large");
  TRY(mem_new(e, rows * size, 1, "grid", &y->planned));
  TRY(mem_new(e, rows * size, 1, "grid", &y->own));
  TRY(mem_new(e, rows * size, 1, "grid", &y->scored));
  TRY(mem_new(e, cells * size, sizeof *y->value, "grid", &y->value));
  TRY(mem_new(e, cells * size, sizeof *y->count, "grid", &y->count));
  TRY(mem_new(e, cells * size, 1, "grid", &y->state));
  TRY(mem_new(e, cells * size, sizeof *y->reason, "grid", &y->reason));
out:
  return rc;
}

int tally_fill(tally *y, err *e) {
  int rc = OK;
  TRY(make_grid(e, y->in, &y->g));
  TRY(allocate(y, e));
  mark_planned(y);
  TRY(take_scores(y, e));
out:
  return rc;
}

void tally_free(tally *y) {
  free(y->g.prompts);
  free(y->g.trains);
  free(y->g.samples);
  free(y->planned);
  free(y->own);
  free(y->scored);
  free(y->value);
  free(y->count);
  free(y->state);
  free(y->reason);
}

stats_grid tally_grid(const tally *y, int64_t row, int64_t column, unsigned char *mask) {
  int64_t at = (row * y->in->n_metrics + column) * y->g.size;
  for (int64_t i = 0; i < y->g.size; i++) mask[i] = y->state[at + i] == GRID_VALUE;
  return (stats_grid){y->g.n_prompts, y->g.n_trains, y->g.n_samples, y->value + at, mask};
}
