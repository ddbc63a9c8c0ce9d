/* Cells of groups laid out as rows and columns. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/project.h"
#include "report/table_grid.h"

#define MOST_PLACES 100000

/* Every combination of the values of one axis, the last key fastest. */
typedef struct places {
  place *at;
  int64_t n;
} places;

static int64_t combinations(const projection_axis *a) {
  double n = 1;
  for (int i = 0; i < a->n; i++) n *= (double)a->key[i].n;
  return n > MOST_PLACES ? -1 : (int64_t)n;
}

static int list_places(const work *w, err *e, int axis, places *out) {
  const projection_axis *a = work_axis(w, axis);
  int64_t n = combinations(a);
  int rc = OK;
  if (n < 0) FAIL(e, E_CONFIG, "the table would have more than %d rows or columns", MOST_PLACES);
  TRY(mem_new(e, n, sizeof *out->at, "rows", &out->at));
  for (out->n = 0; out->n < n; out->n++) {
    int64_t left = out->n;
    for (int i = a->n - 1; i >= 0; i--) {
      out->at[out->n].at[axis][i] = left % a->key[i].n;
      left /= a->key[i].n;
    }
  }
out:
  return rc;
}

/* Where a cell of the table comes from. */
typedef struct origin {
  int64_t group, row, column; /* of the group's table; row -1: the variant is not in the group */
} origin;

typedef struct composing {
  work *w;
  places rows, columns;
  origin *from; /* [rows][columns] */
  table *t;
  int64_t *used, n_used; /* groups of this table */
} composing;

static const char *value_at(const work *w, const place *p, int want) {
  for (int a = 0; a < AXES; a++)
    for (int i = 0; i < work_axis(w, a)->n; i++) {
      const projection_key *k = &work_axis(w, a)->key[i];
      if (k->key == want) return k->value[p->at[a][i]].name;
    }
  return NULL;
}

static int find_origin(composing *c, err *e, const place *p, origin *out) {
  const table_input *in = c->w->s->in;
  const char *name = value_at(c->w, p, KEY_VARIANT), *id = value_at(c->w, p, KEY_METRIC);
  int rc = OK;
  TRY(work_group(c->w, e, p, &out->group));
  out->row = out->column = 0;
  while (name && strcmp(in->rows[out->row], name) != 0) out->row++;
  while (strcmp(in->metrics[out->column].id, id) != 0) out->column++;
  const group *g = &c->w->groups[out->group];
  if (!g->t || !g->has[out->row]) out->row = -1;
out:
  return rc;
}

static int find_origins(composing *c, err *e, const place *part) {
  int rc = OK;
  TRY(mem_new(e, c->rows.n * c->columns.n, sizeof *c->from, "cells", &c->from));
  for (int64_t i = 0; i < c->rows.n * c->columns.n; i++) {
    place p = *part;
    memcpy(p.at[AXIS_ROWS], c->rows.at[i / c->columns.n].at[AXIS_ROWS], sizeof p.at[0]);
    memcpy(p.at[AXIS_COLUMNS], c->columns.at[i % c->columns.n].at[AXIS_COLUMNS], sizeof p.at[0]);
    TRY(find_origin(c, e, &p, &c->from[i]));
  }
out:
  return rc;
}

/* Rows and columns without any clip go away. */
static void drop_empty(composing *c) {
  int64_t rows = 0, columns = 0, all = c->columns.n;
  for (int64_t k = 0; k < c->columns.n; k++) {
    int any = 0;
    for (int64_t r = 0; r < c->rows.n; r++) any |= c->from[r * all + k].row >= 0;
    if (!any) continue;
    for (int64_t r = 0; r < c->rows.n; r++) c->from[r * all + columns] = c->from[r * all + k];
    c->columns.at[columns++] = c->columns.at[k];
  }
  for (int64_t r = 0; r < c->rows.n; r++) {
    int any = 0;
    for (int64_t k = 0; k < columns; k++) any |= c->from[r * all + k].row >= 0;
    if (!any) continue;
    memmove(&c->from[rows * columns], &c->from[r * all], (size_t)columns * sizeof *c->from);
    c->rows.at[rows++] = c->rows.at[r];
  }
  c->rows.n = rows, c->columns.n = columns;
}

/* --- labels ---------------------------------------------------------------------------------------------------- */

/* Label of one key of a place; a metric's has its arrow and unit. */
static int key_label(const composing *c, err *e, const projection_key *k, int64_t value, char **out) {
  char *plain = NULL;
  int rc = OK;
  *out = NULL;
  TRY(work_label(c->w, e, k, value, &plain));
  const table_input *in = c->w->s->in;
  for (int64_t i = 0; k->key == KEY_METRIC && i < in->n_metrics; i++)
    if (strcmp(in->metrics[i].id, k->value[value].name) == 0) {
      const char *unit = in->metrics[i].unit && strcmp(in->metrics[i].unit, "1") != 0 ? in->metrics[i].unit : "";
      TRY(table_head(e, plain, in->metrics[i].direction, unit, out));
    }
  if (!*out) {
    *out = plain;
    plain = NULL;
  }
out:
  free(plain);
  return rc;
}

/* The last key's label, and over it the others'; keys with one value only are told under the table. */
static int place_labels(const composing *c, err *e, int axis, const place *p, char **label, char **over) {
  const projection_axis *a = work_axis(c->w, axis);
  char *one = NULL;
  text t = {0};
  int rc = OK;
  for (int i = 0; i + 1 < a->n; i++) {
    if (a->key[i].n == 1 && a->key[i].key != KEY_METRIC) continue;
    TRY(key_label(c, e, &a->key[i], p->at[axis][i], &one));
    text_addf(&t, "%s", t.n ? ", " : "");
    text_add(&t, one);
    free(one);
    one = NULL;
  }
  TRY(key_label(c, e, &a->key[a->n - 1], p->at[axis][a->n - 1], label));
  if (t.n) TRY(text_ok(&t, e));
  *over = t.p;
  t.p = NULL;
out:
  free(one);
  text_free(&t);
  return rc;
}

/* --- rows, columns, cells -------------------------------------------------------------------------------------- */

static int copy_notes(composing *c, err *e, const table *from, const int *note, int n, int *list, int *n_list) {
  int rc = OK;
  for (int i = 0; i < n; i++) TRY(table_note(e, c->t, from->notes[note[i]], list, n_list));
out:
  return rc;
}

static int has_remark(const table *t, const char *s) {
  for (int64_t i = 0; i < t->n_remarks; i++)
    if (strcmp(t->remarks[i], s) == 0) return 1;
  return 0;
}

static int has_variants(const projection_axis *a) {
  for (int i = 0; i < a->n; i++)
    if (a->key[i].key == KEY_VARIANT) return 1;
  return 0;
}

static int make_row(composing *c, err *e, int64_t r) {
  table_row *row = &c->t->rows[r];
  const table_row *first = NULL;
  int rc = OK, differs = 0;
  for (int64_t k = 0; k < c->columns.n; k++) {
    const origin *o = &c->from[r * c->columns.n + k];
    if (o->row < 0) continue;
    const group *g = &c->w->groups[o->group];
    const table_row *from = &g->t->rows[o->row];
    if (!first) *row = (table_row){.trains = from->trains, .prompts = from->prompts, .samples = from->samples};
    if (!first) row->planned = from->planned, row->scored = from->scored, first = from;
    differs |= from->trains != first->trains || from->prompts != first->prompts || from->samples != first->samples ||
               from->scored != first->scored || from->planned != first->planned;
    row->retried |= from->retried;
    row->reference |= from->reference && has_variants(work_axis(c->w, AXIS_ROWS));
    TRY(copy_notes(c, e, g->t, from->note, from->n_notes, row->note, &row->n_notes));
    if (g->hidden) TRY(table_note(e, c->t, g->hidden, row->note, &row->n_notes));
  }
  TRY(place_labels(c, e, AXIS_ROWS, &c->rows.at[r], &row->label, &row->over));
  const projection_axis *a = work_axis(c->w, AXIS_ROWS);
  const char *name = row->label;
  for (int i = 0; i < a->n; i++)
    if (a->key[i].key == KEY_VARIANT) name = a->key[i].value[c->rows.at[r].at[AXIS_ROWS][i]].name;
  TRY(mem_strdup(e, name, &row->name));
  if (differs && !has_remark(c->t, "n is that of the first columns"))
    TRY(table_remark(e, c->t, "n is that of the first columns"));
out:
  return rc;
}

static int decimals_of(const composing *c, int64_t k, const char *id) {
  const projection *p = c->w->p;
  int found = -1, all = -1, widest = 0;
  for (int64_t i = 0; i < p->n_precisions; i++) {
    if (!p->precision[i].metric) all = p->precision[i].decimals;
    if (p->precision[i].metric && strcmp(p->precision[i].metric, id) == 0) found = p->precision[i].decimals;
  }
  for (int64_t r = 0; r < c->rows.n; r++) {
    const origin *o = &c->from[r * c->columns.n + k];
    if (o->row >= 0 && c->w->groups[o->group].t->columns[o->column].decimals > widest)
      widest = c->w->groups[o->group].t->columns[o->column].decimals;
  }
  return found >= 0 ? found : all >= 0 ? all : widest;
}

static int make_column(composing *c, err *e, int64_t k) {
  table_column *col = &c->t->columns[k];
  const table_metric *m = &c->w->s->in->metrics[c->from[k].column];
  const projection_axis *a = work_axis(c->w, AXIS_COLUMNS);
  int rc = OK;
  TRY(mem_strdup(e, m->id, &col->id));
  TRY(mem_strdup(e, m->unit && strcmp(m->unit, "1") != 0 ? m->unit : "", &col->unit));
  col->version = m->version;
  col->direction = m->direction;
  col->primary = m->primary;
  col->decimals = decimals_of(c, k, m->id);
  for (int i = 0; i < a->n; i++)
    if (a->key[i].key == KEY_VARIANT)
      TRY(mem_strdup(e, a->key[i].value[c->columns.at[k].at[AXIS_COLUMNS][i]].name, &col->variant));
  TRY(place_labels(c, e, AXIS_COLUMNS, &c->columns.at[k], &col->label, &col->over));
out:
  return rc;
}

static int make_cell(composing *c, err *e, int64_t i) {
  const origin *o = &c->from[i];
  const projection *p = c->w->p;
  table_cell *cell = &c->t->cells[i];
  int rc = OK;
  if (o->row < 0) {
    *cell = (table_cell){.state = TABLE_EXCLUDED, .mean = NAN};
    cell->to_reference = (table_difference){.mean = NAN, .lo = NAN, .hi = NAN, .p = NAN, .p_holm = NAN};
    return table_note(e, c->t, "the study has no such clips", cell->note, &cell->n_notes);
  }
  const table *from = c->w->groups[o->group].t;
  const table_cell *was = &from->cells[o->row * from->n_columns + o->column];
  *cell = *was;
  cell->keys = NULL, cell->n_keys = cell->keys_cap = 0;
  cell->n_notes = 0;
  cell->best &= !p->no_best;
  cell->second &= !p->no_second;
  TRY(copy_notes(c, e, from, was->note, was->n_notes, cell->note, &cell->n_notes));
  TRY(mem_grow(e, &cell->keys, &cell->keys_cap, was->n_keys, sizeof *cell->keys, "keys of a cell"));
  if (was->n_keys) memcpy(cell->keys, was->keys, (size_t)was->n_keys * sizeof *cell->keys);
  cell->n_keys = was->n_keys;
out:
  return rc;
}

/* --- what stands around ---------------------------------------------------------------------------------------- */

static int list_used(composing *c, err *e) {
  int rc = OK;
  TRY(mem_new(e, c->w->n_groups, sizeof *c->used, "groups", &c->used));
  for (int64_t i = 0; i < c->rows.n * c->columns.n; i++) {
    int64_t k = 0;
    if (c->from[i].row < 0) continue;
    while (k < c->n_used && c->used[k] != c->from[i].group) k++;
    if (k == c->n_used) c->used[c->n_used++] = c->from[i].group;
  }
out:
  return rc;
}

/* What every group says is said once, the rest with the group's name. */
static int copy_remarks(composing *c, err *e) {
  text t = {0};
  int rc = OK;
  for (int64_t u = 0; u < 2 * c->n_used; u++) { /* what is common first */
    const group *g = &c->w->groups[c->used[u % c->n_used]];
    for (int64_t i = 0; i < g->t->n_remarks; i++) {
      int all = 1;
      for (int64_t v = 0; v < c->n_used; v++) all &= has_remark(c->w->groups[c->used[v]].t, g->t->remarks[i]);
      if (all != (u < c->n_used)) continue;
      text_free(&t);
      if (!all) text_addf(&t, "%s: ", g->name);
      text_add(&t, g->t->remarks[i]);
      TRY(text_ok(&t, e));
      if (!has_remark(c->t, t.p)) TRY(table_remark(e, c->t, t.p));
    }
  }
out:
  text_free(&t);
  return rc;
}

/* Keys that are the same for the whole table: those of split, and those with one value. */
static int remark_constants(composing *c, err *e, const place *part) {
  text t = {0};
  char *label = NULL;
  int rc = OK;
  for (int a = AXES - 1; a >= 0; a--)
    for (int i = 0; i < work_axis(c->w, a)->n; i++) {
      const projection_key *k = &work_axis(c->w, a)->key[i];
      if (a != AXIS_SPLIT && (k->n > 1 || i + 1 == work_axis(c->w, a)->n || k->key == KEY_METRIC)) continue;
      TRY(work_label(c->w, e, k, part->at[a][i], &label));
      text_free(&t);
      if (k->key < KEY_TRAIN_SEED) text_addf(&t, "%s: ", source_key(c->w->s, k->key));
      text_add(&t, label);
      free(label);
      label = NULL;
      TRY(text_ok(&t, e));
      TRY(table_remark(e, c->t, t.p));
      if (a != AXIS_SPLIT) continue;
      char *whole = NULL;
      TRY(mem_strdup(e, t.p, &whole));
      free(c->t->part); /* several keys of split: the last one tells most */
      c->t->part = whole;
    }
  if (c->w->p->filter) {
    char s[120];
    snprintf(s, sizeof s, "filtered: %lld of the study's %lld clips", (long long)c->w->n_points,
             (long long)c->w->s->in->n_points);
    TRY(table_remark(e, c->t, s));
  }
  for (int64_t i = 0; i < c->w->p->n_footnotes; i++) TRY(table_remark(e, c->t, c->w->p->footnote[i]));
out:
  free(label);
  text_free(&t);
  return rc;
}

static int64_t row_named(const table *t, const char *name) {
  for (int64_t r = 0; r < t->n_rows; r++)
    if (strcmp(t->rows[r].name, name) == 0) return r;
  return -1;
}

static int64_t column_named(const table *t, const char *id) {
  for (int64_t k = 0; k < t->n_columns; k++)
    if (strcmp(t->columns[k].id, id) == 0) return k;
  return -1;
}

/* Declared contrasts of what is shown; only where rows are variants and nothing else, and columns metrics. */
static int copy_contrasts(composing *c, err *e) {
  const projection *p = c->w->p;
  int rc = OK;
  if (c->w->merged || c->n_used != 1 || p->rows.n != 1 || p->columns.n != 1) return OK;
  const table *from = c->w->groups[c->used[0]].t;
  TRY(mem_new(e, from->n_contrasts, sizeof *c->t->contrasts, "contrasts", &c->t->contrasts));
  for (int64_t i = 0; i < from->n_contrasts; i++) {
    table_contrast x = from->contrasts[i];
    x.metric = column_named(c->t, from->columns[x.metric].id);
    x.row = row_named(c->t, from->rows[x.row].name);
    x.against = row_named(c->t, from->rows[x.against].name);
    if (x.metric >= 0 && x.row >= 0 && x.against >= 0) c->t->contrasts[c->t->n_contrasts++] = x;
  }
out:
  return rc;
}

static int copy_head(err *e, const table_set_head *from, table *t) {
  table_set_head *h = &t->set_heads[t->n_set_heads++];
  int rc = OK;
  *h = (table_set_head){.version = from->version, .direction = from->direction, .decimals = from->decimals};
  TRY(mem_strdup(e, from->id, &h->id));
  TRY(mem_strdup(e, from->against, &h->against));
  TRY(mem_strdup(e, from->unit, &h->unit));
out:
  return rc;
}

/* Scores of sets are about all clips of a variant: shown only where rows are variants, and nothing is left out. */
static int copy_sets(composing *c, err *e) {
  const projection *p = c->w->p;
  int rc = OK;
  if (c->w->merged || c->n_used != 1 || p->rows.n != 1 || p->columns.n != 1 || p->filter) return OK;
  const table *from = c->w->groups[c->used[0]].t;
  TRY(mem_new(e, from->n_set_heads, sizeof *c->t->set_heads, "scores of sets", &c->t->set_heads));
  for (int64_t i = 0; i < from->n_set_heads; i++) TRY(copy_head(e, &from->set_heads[i], c->t));
  for (int64_t i = 0; i < from->n_sets; i++) {
    table_set x = from->sets[i];
    x.row = row_named(c->t, from->rows[x.row].name);
    if (x.row < 0) continue;
    TRY(mem_grow(e, &c->t->sets, &c->t->sets_cap, c->t->n_sets + 1, sizeof x, "scores of sets"));
    TRY(mem_strdup(e, from->sets[i].why, &x.why));
    c->t->sets[c->t->n_sets++] = x;
  }
out:
  return rc;
}

/* Label of the reference variant, wherever it stands. */
static int name_reference(composing *c, err *e) {
  const table *from = c->w->groups[c->used[0]].t;
  if (!from->reference) return OK;
  for (int a = 0; a < AXES; a++)
    for (int i = 0; i < work_axis(c->w, a)->n; i++) {
      const projection_key *k = &work_axis(c->w, a)->key[i];
      for (int64_t v = 0; k->key == KEY_VARIANT && v < k->n; v++)
        if (strcmp(k->value[v].name, from->reference) == 0) return work_label(c->w, e, k, v, &c->t->reference);
    }
  return mem_strdup(e, from->reference, &c->t->reference);
}

static int allocate(composing *c, err *e) {
  const table *from = c->w->groups[c->used[0]].t;
  table *t = NULL;
  int rc = OK;
  TRY(mem_new(e, 1, sizeof *t, "table", &t));
  c->t = t;
  t->level = from->level;
  t->differences = !c->w->p->no_differences;
  TRY(mem_strdup(e, from->study, &t->study));
  TRY(mem_strdup(e, source_key(c->w->s, c->w->p->rows.key[c->w->p->rows.n - 1].key), &t->stub));
  TRY(mem_strdup(e, from->spec_sha256, &t->spec_sha256));
  TRY(mem_new(e, c->rows.n, sizeof *t->rows, "rows", &t->rows));
  t->n_rows = c->rows.n;
  TRY(mem_new(e, c->columns.n, sizeof *t->columns, "columns", &t->columns));
  t->n_columns = c->columns.n;
  TRY(mem_new(e, c->rows.n * c->columns.n, sizeof *t->cells, "cells", &t->cells));
  TRY(mem_new(e, from->n_builds, sizeof *t->builds, "builds", &t->builds));
  for (int64_t i = 0; i < from->n_builds; i++) {
    TRY(mem_strdup(e, from->builds[i], &t->builds[i]));
    t->n_builds++;
  }
out:
  return rc;
}

static int fill(composing *c, err *e, const place *part) {
  int rc = OK;
  TRY(list_used(c, e));
  TRY(allocate(c, e));
  for (int64_t k = 0; k < c->columns.n; k++) TRY(make_column(c, e, k));
  for (int64_t r = 0; r < c->rows.n; r++) { /* letters in reading order */
    TRY(make_row(c, e, r));
    for (int64_t k = 0; k < c->columns.n; k++) TRY(make_cell(c, e, r * c->columns.n + k));
  }
  TRY(name_reference(c, e));
  TRY(copy_contrasts(c, e));
  TRY(copy_sets(c, e));
  TRY(remark_constants(c, e, part));
  TRY(copy_remarks(c, e));
out:
  return rc;
}

int work_compose(work *w, err *e, const place *part, table **out) {
  composing c = {.w = w};
  int rc = OK;
  *out = NULL;
  TRY(list_places(w, e, AXIS_ROWS, &c.rows));
  TRY(list_places(w, e, AXIS_COLUMNS, &c.columns));
  TRY(find_origins(&c, e, part));
  drop_empty(&c);
  if (!c.rows.n) goto out;
  TRY(fill(&c, e, part));
  *out = c.t;
  c.t = NULL;
out:
  table_free(c.t);
  free(c.rows.at);
  free(c.columns.at);
  free(c.from);
  free(c.used);
  return rc;
}
