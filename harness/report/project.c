/* Groups of clips: what the filter leaves, split by the keys beside variant and metric. */
#include "report/project.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const projection_axis *work_axis(const work *w, int axis) {
  return axis == AXIS_ROWS ? &w->p->rows : axis == AXIS_COLUMNS ? &w->p->columns : &w->p->split;
}

/* --- clips ----------------------------------------------------------------------------------------------------- */

static int filtered(const work *w, const source_point *p) {
  const select_facts f = {.variant = w->s->in->rows[p->row],
                          .prompt = p->prompt,
                          .train_seed = p->train_seed,
                          .sample_seed = p->sample_seed};
  return !w->p->filter || select_match(w->p->filter, &f);
}

/* A clip without a seed goes with every seed: the base model trains nothing, and pairs with each training. */
static int value_fits(const work *w, int key, const char *want, const source_point *p) {
  char buf[24];
  if (key == KEY_TRAIN_SEED && p->train_seed == SEED_NONE) return 1;
  if (key == KEY_SAMPLE_SEED && p->sample_seed == SEED_NONE) return 1;
  return strcmp(source_value(w->s, key, p, buf), want) == 0;
}

static int groups_by(int key) {
  return key != KEY_VARIANT && key != KEY_METRIC;
}

static int in_group(const work *w, const place *at, const source_point *p) {
  for (int a = 0; a < AXES; a++)
    for (int i = 0; i < work_axis(w, a)->n; i++) {
      const projection_key *k = &work_axis(w, a)->key[i];
      if (groups_by(k->key) && !value_fits(w, k->key, k->value[at->at[a][i]].name, p)) return 0;
    }
  return 1;
}

static int same_group(const work *w, const place *x, const place *y) {
  for (int a = 0; a < AXES; a++)
    for (int i = 0; i < work_axis(w, a)->n; i++)
      if (groups_by(work_axis(w, a)->key[i].key) && x->at[a][i] != y->at[a][i]) return 0;
  return 1;
}

/* --- the input of a group -------------------------------------------------------------------------------------- */

/* What a group's table_input borrows. */
typedef struct share {
  table_point *points;
  table_excluded *excluded;
  store_cell_row *missing;
  store_fact *retried;
  store_score *scores;
  const char *row[1];
} share;

static void free_share(share *p) {
  free(p->points);
  free(p->excluded);
  free(p->missing);
  free(p->retried);
  free(p->scores);
}

static int64_t row_named(const table_input *in, const char *name) {
  for (int64_t i = 0; name && i < in->n_rows; i++)
    if (strcmp(in->rows[i], name) == 0) return i;
  return -1;
}

/* Of a row of the study and of the group? */
static int belongs(const work *w, const place *at, source_point p) {
  return p.row >= 0 && filtered(w, &p) && in_group(w, at, &p);
}

static int take_clips(const work *w, err *e, const place *at, share *b, table_input *in) {
  const table_input *all = w->s->in;
  int rc = OK;
  in->n_points = in->n_excluded = in->n_missing = in->n_retried = in->n_scores = 0;
  TRY(mem_new(e, all->n_scores, sizeof *b->scores, "scores", &b->scores));
  TRY(mem_new(e, w->n_points, sizeof *b->points, "points", &b->points));
  TRY(mem_new(e, w->n_excluded, sizeof *b->excluded, "points", &b->excluded));
  TRY(mem_new(e, all->n_missing, sizeof *b->missing, "cells", &b->missing));
  TRY(mem_new(e, all->n_retried, sizeof *b->retried, "cells", &b->retried));
  for (int64_t i = 0; i < w->n_points; i++)
    if (in_group(w, at, &w->points[i])) b->points[in->n_points++] = w->points[i];
  for (int64_t i = 0; i < w->n_excluded; i++) {
    const table_excluded *x = &w->excluded[i];
    if (in_group(w, at, &(source_point){x->row, x->prompt, x->train_seed, x->sample_seed}))
      b->excluded[in->n_excluded++] = *x;
  }
  for (int64_t i = 0; i < all->n_missing; i++) {
    const store_cell_row *c = &all->missing[i];
    if (belongs(w, at, (source_point){row_named(all, c->variant), c->prompt_id, c->train_seed, c->sample_seed}))
      b->missing[in->n_missing++] = *c;
  }
  for (int64_t i = 0; i < all->n_retried; i++)
    if (w->retried[i].row >= 0 && in_group(w, at, &w->retried[i])) b->retried[in->n_retried++] = all->retried[i];
  for (int64_t i = 0; i < all->n_scores; i++)
    if (w->scored[i].row >= 0 && in_group(w, at, &w->scored[i])) b->scores[in->n_scores++] = all->scores[i];
  in->scores = b->scores;
  in->points = b->points, in->excluded = b->excluded, in->missing = b->missing, in->retried = b->retried;
out:
  return rc;
}

#define MERGE INT64_C(1000003) /* above every index of a seed */

static int64_t seed_index(int64_t *list, int64_t *n, int64_t seed) {
  int64_t i = 0;
  while (i < *n && list[i] != seed) i++;
  if (i == *n) list[(*n)++] = seed;
  return i;
}

/* All variants of the group become one row. Each keeps its own places on the grid: a sample seed of one variant is
 * not that of another. */
static int merge(const work *w, err *e, share *b, table_input *in) {
  const table_input *all = w->s->in;
  int64_t *seeds = NULL, n_seeds = 0;
  int rc = OK;
  TRY(mem_new(e, in->n_points + in->n_scores + 1, sizeof *seeds, "seeds", &seeds));
  for (int64_t i = 0; i < in->n_points; i++) {
    b->points[i].sample_seed = b->points[i].row * MERGE + seed_index(seeds, &n_seeds, b->points[i].sample_seed);
    b->points[i].row = 0;
  }
  for (int64_t i = 0; i < in->n_excluded; i++) b->excluded[i].row = 0;
  for (int64_t i = 0; i < in->n_missing; i++) b->missing[i].variant = b->row[0];
  for (int64_t i = 0; i < in->n_retried; i++) b->retried[i].text = b->row[0];
  for (int64_t i = 0; i < in->n_scores; i++) {
    store_score *sc = &b->scores[i];
    sc->sample_seed = row_named(all, sc->variant) * MERGE + seed_index(seeds, &n_seeds, sc->sample_seed);
    sc->variant = b->row[0];
  }
  in->rows = b->row, in->n_rows = 1;
  in->reference = -1, in->n_contrasts = 0, in->n_set_wishes = 0;
out:
  free(seeds);
  return rc;
}

/* "averages over variant (ours, batch), train.rank (16, 4)" of the points before they are merged. */
static int find_hidden(const work *w, err *e, const table_input *in, char **out) {
  text t = {0};
  int rc = OK;
  source_values v = {0};
  table_source seen = *w->s;
  for (int key = 0; source_key(w->s, key); key++) {
    int rows = key == KEY_VARIANT || key >= KEY_SETTINGS;
    if (!rows) continue;
    v = (source_values){0};
    for (int64_t i = 0; i < in->n_points; i++) {
      char buf[24];
      TRY(source_values_add(e, &v, source_value(&seen, key, &in->points[i], buf)));
    }
    for (int64_t i = 0; v.n > 1 && i < v.n; i++) {
      if (i == 0) text_addf(&t, "%s%s (", t.n ? ", " : "averages over ", source_key(w->s, key));
      text_addf(&t, "%s%s%s", i ? ", " : "", v.v[i], i + 1 == v.n ? ")" : "");
    }
    source_values_free(&v);
  }
  if (t.n) text_add(&t, "; each counts as sample seeds of its own");
  if (t.n) TRY(text_ok(&t, e));
  *out = t.p;
  t.p = NULL;
out:
  source_values_free(&v);
  text_free(&t);
  return rc;
}

/* --- groups ---------------------------------------------------------------------------------------------------- */

int work_label(const work *w, err *e, const projection_key *k, int64_t value, char **out) {
  const projection_value *v = &k->value[value];
  const char *label = v->label;
  text t = {0};
  for (int64_t i = 0; !label && i < w->p->n_labels; i++)
    if (strcmp(w->p->label[i].name, v->name) == 0) label = w->p->label[i].label;
  if (!label && (k->key >= KEY_SETTINGS || k->key == KEY_TRAIN_SEED || k->key == KEY_SAMPLE_SEED))
    text_addf(&t, "%s ", source_key(w->s, k->key));
  text_add(&t, label ? label : v->name);
  int rc = text_ok(&t, e);
  if (rc == OK)
    *out = t.p;
  else
    text_free(&t);
  return rc;
}

static int name_group(const work *w, err *e, group *g) {
  text t = {0};
  char *label = NULL;
  int rc = OK;
  text_add(&t, "");
  for (int a = AXES - 1; a >= 0; a--)
    for (int i = 0; i < work_axis(w, a)->n; i++) {
      const projection_key *k = &work_axis(w, a)->key[i];
      if (!groups_by(k->key)) continue;
      TRY(work_label(w, e, k, g->at.at[a][i], &label));
      text_addf(&t, "%s%s", t.n ? ", " : "", label);
      free(label);
      label = NULL;
    }
  TRY(text_ok(&t, e));
  g->name = t.p;
  t.p = NULL;
out:
  free(label);
  text_free(&t);
  return rc;
}

static int fill_group(work *w, err *e, group *g) {
  table_input in = *w->s->in;
  share b = {.row = {"all"}};
  int rc = OK;
  in.rows_shown = w->merged ? NULL : w->rows_shown;
  in.metrics_shown = w->metrics_shown;
  TRY(take_clips(w, e, &g->at, &b, &in));
  TRY(name_group(w, e, g));
  if (!in.n_points && !in.n_excluded) goto out;
  if (w->merged) {
    TRY(find_hidden(w, e, &in, &g->hidden));
    TRY(merge(w, e, &b, &in));
  }
  TRY(mem_new(e, in.n_rows, 1, "rows", &g->has));
  for (int64_t i = 0; i < in.n_points; i++) g->has[in.points[i].row] = 1;
  for (int64_t i = 0; i < in.n_excluded; i++) g->has[in.excluded[i].row] = 1;
  TRY(table_build(e, &in, &g->t));
out:
  free_share(&b);
  return rc;
}

int work_group(work *w, err *e, const place *at, int64_t *out) {
  int rc = OK;
  for (*out = 0; *out < w->n_groups; ++*out)
    if (same_group(w, &w->groups[*out].at, at)) return OK;
  TRY(mem_grow(e, &w->groups, &w->cap_groups, w->n_groups + 1, sizeof *w->groups, "groups"));
  group *g = &w->groups[w->n_groups++];
  *g = (group){.at = *at};
  TRY(fill_group(w, e, g));
out:
  return rc;
}

/* --- all of it ------------------------------------------------------------------------------------------------- */

static int filter_points(work *w, err *e) {
  const table_input *in = w->s->in;
  int rc = OK;
  TRY(mem_new(e, in->n_points, sizeof *w->points, "points", &w->points));
  TRY(mem_new(e, in->n_excluded, sizeof *w->excluded, "points", &w->excluded));
  for (int64_t i = 0; i < in->n_points; i++)
    if (filtered(w, &in->points[i])) w->points[w->n_points++] = in->points[i];
  for (int64_t i = 0; i < in->n_excluded; i++) {
    const table_excluded *x = &in->excluded[i];
    if (filtered(w, &(source_point){x->row, x->prompt, x->train_seed, x->sample_seed}))
      w->excluded[w->n_excluded++] = *x;
  }
  if (!w->n_points && !w->n_excluded) FAIL(e, E_CONFIG, "the filter leaves no clip");
out:
  return rc;
}

/* Of each score and each retried cell: the clip, unless the filter takes it away. */
static int find_clips(work *w, err *e) {
  const table_input *in = w->s->in;
  int rc = OK;
  TRY(mem_new(e, in->n_scores, sizeof *w->scored, "points", &w->scored));
  TRY(mem_new(e, in->n_retried, sizeof *w->retried, "points", &w->retried));
  for (int64_t i = 0; i < in->n_retried; i++) w->retried[i].row = -1;
  for (int64_t i = 0; i < in->n_scores; i++) {
    const store_score *sc = &in->scores[i];
    source_point p = {row_named(in, sc->variant), sc->prompt_id, sc->train_seed, sc->sample_seed};
    if (p.row >= 0 && !filtered(w, &p)) p.row = -1;
    w->scored[i] = p;
    if (i && sc->key && in->scores[i - 1].key && strcmp(sc->key, in->scores[i - 1].key) == 0) continue;
    for (int64_t k = 0; k < in->n_retried; k++)
      if (sc->key && strcmp(sc->key, in->retried[k].name) == 0) w->retried[k] = p;
  }
out:
  return rc;
}

static int find_shown(work *w, err *e) {
  const table_input *in = w->s->in;
  int rc = OK;
  w->merged = 1;
  TRY(mem_new(e, in->n_rows, 1, "rows", &w->rows_shown));
  TRY(mem_new(e, in->n_metrics, 1, "metrics", &w->metrics_shown));
  for (int a = 0; a < AXES; a++)
    for (int i = 0; i < work_axis(w, a)->n; i++) {
      const projection_key *k = &work_axis(w, a)->key[i];
      if (k->key == KEY_VARIANT) w->merged = 0;
      for (int64_t v = 0; k->key == KEY_VARIANT && v < k->n; v++) w->rows_shown[row_named(in, k->value[v].name)] = 1;
      for (int64_t m = 0; k->key == KEY_METRIC && m < in->n_metrics; m++)
        for (int64_t v = 0; v < k->n; v++)
          if (strcmp(k->value[v].name, in->metrics[m].id) == 0) w->metrics_shown[m] = 1;
    }
out:
  return rc;
}

static void free_work(work *w) {
  for (int64_t i = 0; i < w->n_groups; i++) {
    table_free(w->groups[i].t);
    free(w->groups[i].has);
    free(w->groups[i].hidden);
    free(w->groups[i].name);
  }
  free(w->groups);
  free(w->points);
  free(w->excluded);
  free(w->scored);
  free(w->retried);
  free(w->rows_shown);
  free(w->metrics_shown);
}

int tables_project(err *e, const table_source *s, const projection *p, tables *out) {
  work w = {.s = s, .p = p};
  place part = {0};
  int rc = OK;
  *out = (tables){0};
  TRY(filter_points(&w, e));
  TRY(find_clips(&w, e));
  TRY(find_shown(&w, e));
  for (int i = 0; i >= 0;) { /* an odometer over the values of split, the last key fastest */
    table *t = NULL;
    TRY(work_compose(&w, e, &part, &t));
    if (t) {
      rc = mem_grow(e, &out->at, &out->cap, out->n + 1, sizeof *out->at, "tables");
      if (rc == OK) out->at[out->n++] = t;
      if (rc != OK) table_free(t);
      TRY(rc);
    }
    for (i = p->split.n - 1; i >= 0 && ++part.at[AXIS_SPLIT][i] == p->split.key[i].n; i--) part.at[AXIS_SPLIT][i] = 0;
  }
  if (!out->n) FAIL(e, E_CONFIG, "the study has no clip that this table shows");
out:
  free_work(&w);
  if (rc != OK) tables_free(out);
  return rc;
}

void tables_free(tables *t) {
  for (int64_t i = 0; i < t->n; i++) table_free(t->at[i]);
  free(t->at);
  *t = (tables){0};
}
