#include "report/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define AXIS 4096 /* most seeds or prompts of a study */

/* --- the grid of clips ----------------------------------------------------------------------------------------- */

/* Scores lie on one grid of prompts x train seeds x sample seeds for all rows. A row without an axis (the base model
 * trains nothing) fills every place along it with the same clip, which is what pairs it with the others; `own` marks
 * the place that counts as the clip. */
typedef struct grid {
  const char **prompts;
  int64_t *trains, *samples;
  int64_t n_prompts, n_trains, n_samples, size;
} grid;

typedef struct tally {
  const table_input *in;
  table *t;
  grid g;
  unsigned char *planned, *own, *scored; /* [rows][size] */
  double *value;                         /* [rows][columns][size]; sums while several backdrops come in */
  unsigned char *state;                  /* same shape: GRID_* */
  int *count;                            /* same shape */
  const char **reason;                   /* same shape: of the last undefined score */
} tally;

enum { GRID_NONE, GRID_VALUE, GRID_UNDEFINED, GRID_NOT_FINITE };

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

static void add_score(tally *y, const store_score *sc, int64_t row, int64_t column, int64_t at) {
  int64_t i = (row * y->in->n_metrics + column) * y->g.size + at;
  if (!y->planned[row * y->g.size + at]) return;
  y->scored[row * y->g.size + at] = 1;
  if (sc->kind == KIND_UNDEFINED) {
    y->reason[i] = sc->reason;
    if (y->state[i] == GRID_NONE) y->state[i] = GRID_UNDEFINED;
    return;
  }
  y->value[i] += sc->value;
  y->count[i]++;
  y->state[i] = y->state[i] == GRID_NOT_FINITE || !isfinite(sc->value) ? GRID_NOT_FINITE : GRID_VALUE;
}

static int add_remark(err *e, table *t, const char *s) {
  int rc = mem_grow(e, &t->remarks, &t->remarks_cap, t->n_remarks + 1, sizeof *t->remarks, "remarks");
  if (rc == OK) rc = mem_strdup(e, s, &t->remarks[t->n_remarks]);
  if (rc == OK) t->n_remarks++;
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
    for (int64_t p = b.p.from; p < b.p.to; p++)
      for (int64_t t = b.t.from; t < b.t.to; t++)
        for (int64_t s = b.s.from; s < b.s.to; s++) add_score(y, sc, row, column, place(g, p, t, s));
  }
  int64_t total = y->in->n_rows * y->in->n_metrics * g->size, averaged = 0;
  for (int64_t i = 0; i < total; i++)
    if (y->count[i] > 1) y->value[i] /= y->count[i], averaged = y->count[i];
  char s[400];
  for (int64_t i = 0; i < y->in->n_metrics; i++) {
    if (!old[i]) continue;
    snprintf(s, sizeof s, "%.200s: %lld scores of other versions than %lld are left out", y->in->metrics[i].id,
             (long long)old[i], (long long)y->in->metrics[i].version);
    TRY(add_remark(e, y->t, s));
  }
  if (averaged) TRY(add_remark(e, y->t, "where a clip is scored over several backdrops, its score is their mean"));
out:
  free(old);
  return rc;
}

/* --- footnotes ------------------------------------------------------------------------------------------------- */

/* Equal notes share a letter. */
static int add_note(err *e, table *t, const char *s, int *list, int *n) {
  int rc = OK, k = 0;
  while (k < t->n_notes && strcmp(t->notes[k], s) != 0) k++;
  if (k == t->n_notes) {
    TRY(mem_grow(e, &t->notes, &t->notes_cap, t->n_notes + 1, sizeof *t->notes, "notes"));
    TRY(mem_strdup(e, s, &t->notes[t->n_notes]));
    t->n_notes++;
  }
  for (int i = 0; i < *n; i++)
    if (list[i] == k) return OK;
  if (*n < TABLE_NOTES) list[(*n)++] = k;
out:
  return rc;
}

/* "empty_alpha 4, static 1", in order of first appearance. */
typedef struct words {
  const char *word[16];
  int64_t n[16], rest;
  int used;
} words;

static void words_count(words *w, const char *s) {
  for (int i = 0; i < w->used; i++)
    if (strcmp(w->word[i], s) == 0) {
      w->n[i]++;
      return;
    }
  if (w->used == 16) {
    w->rest++;
  } else {
    w->word[w->used] = s;
    w->n[w->used++] = 1;
  }
}

static void words_print(const words *w, text *t) {
  for (int i = 0; i < w->used; i++) text_addf(t, "%s%s %lld", i ? ", " : "", w->word[i], (long long)w->n[i]);
  if (w->rest) text_addf(t, ", other %lld", (long long)w->rest);
}

static int note_text(err *e, table *t, text *s, int *list, int *n) {
  int rc = text_ok(s, e);
  return rc == OK ? add_note(e, t, s->p, list, n) : rc;
}

static int note_missing(tally *y, err *e, int64_t r) {
  table_row *row = &y->t->rows[r];
  int64_t left = row->planned - row->scored;
  words w = {0};
  text s = {0};
  int rc = OK;
  for (int64_t i = 0; i < y->in->n_missing; i++) {
    const store_cell_row *c = &y->in->missing[i];
    if (c->stage != STAGE_SCORE || !same_text(c->variant, row->name)) continue;
    words_count(&w, c->state == CELL_FAILED && c->fail_class ? c->fail_class : store_state_name(c->state));
    left--;
  }
  text_addf(&s, "%lld of %lld clips are missing (", (long long)(row->planned - row->scored), (long long)row->planned);
  words_print(&w, &s);
  if (left > 0) text_addf(&s, "%snot run %lld", w.used ? ", " : "", (long long)left);
  text_add(&s, "); values of this row rest on the others");
  TRY(note_text(e, y->t, &s, row->note, &row->n_notes));
out:
  text_free(&s);
  return rc;
}

static int note_excluded(tally *y, err *e, int64_t r) {
  table_row *row = &y->t->rows[r];
  words w = {0};
  text s = {0};
  int rc = OK;
  int64_t n = 0;
  for (int64_t i = 0; i < y->in->n_excluded; i++) {
    const table_excluded *x = &y->in->excluded[i];
    if (x->row != r) continue;
    words_count(&w, x->reason && x->reason[0] ? x->reason : "no reason given");
    n++;
  }
  if (!n) return OK;
  text_addf(&s, "%lld clips are excluded by the study (", (long long)n);
  words_print(&w, &s);
  text_add(&s, ")");
  TRY(note_text(e, y->t, &s, row->note, &row->n_notes));
out:
  text_free(&s);
  return rc;
}

static int note_cell(tally *y, err *e, int64_t r, int64_t c, int64_t not_finite) {
  table_cell *cell = &y->t->cells[r * y->in->n_metrics + c];
  const unsigned char *state = y->state + (r * y->in->n_metrics + c) * y->g.size, *own = y->own + r * y->g.size;
  int64_t clips = cell->defined + cell->undefined + not_finite;
  words w = {0};
  text s = {0};
  int rc = OK;
  if (cell->undefined) {
    for (int64_t i = 0; i < y->g.size; i++)
      if (own[i] && state[i] == GRID_UNDEFINED) {
        const char *why = y->reason[(r * y->in->n_metrics + c) * y->g.size + i];
        words_count(&w, why ? why : "no reason given");
      }
    text_addf(&s, "undefined on %lld of %lld clips (", (long long)cell->undefined, (long long)clips);
    words_print(&w, &s);
    text_add(&s, ")");
    TRY(note_text(e, y->t, &s, cell->note, &cell->n_notes));
  }
  text_free(&s);
  if (not_finite) {
    text_addf(&s, "not finite on %lld of %lld clips", (long long)not_finite, (long long)clips);
    TRY(note_text(e, y->t, &s, cell->note, &cell->n_notes));
  }
  text_free(&s);
  if (cell->missing) {
    text_addf(&s, "%lld scored clips have no score of this metric", (long long)cell->missing);
    TRY(note_text(e, y->t, &s, cell->note, &cell->n_notes));
  }
out:
  text_free(&s);
  return rc;
}

/* --- rows and cells -------------------------------------------------------------------------------------------- */

static void count_axes(const tally *y, int64_t r, table_row *row) {
  const grid *g = &y->g;
  const unsigned char *own = y->own + r * g->size;
  for (int64_t p = 0; p < g->n_prompts; p++) {
    int any = 0;
    for (int64_t i = 0; i < g->n_trains * g->n_samples; i++) any |= own[p * g->n_trains * g->n_samples + i];
    row->prompts += any;
  }
  for (int64_t t = 0; t < g->n_trains; t++) {
    int any = 0;
    for (int64_t i = 0; i < g->size; i++) any |= own[i] && i / g->n_samples % g->n_trains == t;
    row->trains += any;
  }
  for (int64_t s = 0; s < g->n_samples; s++) {
    int any = 0;
    for (int64_t i = s; i < g->size; i += g->n_samples) any |= own[i];
    row->samples += any;
  }
  for (int64_t i = 0; i < g->size; i++) {
    row->planned += own[i];
    row->scored += own[i] && y->scored[r * g->size + i];
  }
}

static int make_rows(tally *y, err *e) {
  table *t = y->t;
  int rc = OK;
  for (int64_t r = 0; r < y->in->n_rows; r++) {
    table_row *row = &t->rows[r];
    TRY(mem_strdup(e, y->in->rows[r], &row->name));
    row->reference = r == y->in->reference;
    count_axes(y, r, row);
    for (int64_t i = 0; i < y->in->n_retried; i++) row->retried |= same_text(y->in->retried[i].text, row->name);
    if (row->scored < row->planned) TRY(note_missing(y, e, r));
    TRY(note_excluded(y, e, r));
  }
out:
  return rc;
}

static stats_grid cell_grid(const tally *y, int64_t r, int64_t c, unsigned char *mask) {
  int64_t at = (r * y->in->n_metrics + c) * y->g.size;
  for (int64_t i = 0; i < y->g.size; i++) mask[i] = y->state[at + i] == GRID_VALUE;
  return (stats_grid){y->g.n_prompts, y->g.n_trains, y->g.n_samples, y->value + at, mask};
}

typedef struct scratch {
  unsigned char *a, *b; /* [size] */
  double *mean;         /* [prompts] */
} scratch;

static int make_cell(tally *y, err *e, int64_t r, int64_t c, scratch *w) {
  table_cell *cell = &y->t->cells[r * y->in->n_metrics + c];
  const table_row *row = &y->t->rows[r];
  const unsigned char *own = y->own + r * y->g.size;
  int64_t at = (r * y->in->n_metrics + c) * y->g.size, bad = 0;
  double sum_bad = 0;
  for (int64_t i = 0; i < y->g.size; i++) {
    if (!own[i]) continue;
    cell->defined += y->state[at + i] == GRID_VALUE;
    cell->undefined += y->state[at + i] == GRID_UNDEFINED;
    cell->missing += y->state[at + i] == GRID_NONE && y->scored[r * y->g.size + i];
    if (y->state[at + i] == GRID_NOT_FINITE) sum_bad += y->value[at + i], bad++;
  }
  stats_grid g = cell_grid(y, r, c, w->a);
  int64_t n = stats_prompt_means(&g, w->mean);
  cell->mean = n ? stats_mean(w->mean, n) : NAN;
  cell->state = TABLE_VALUE;
  if (bad) {
    cell->state = TABLE_NOT_FINITE;
    cell->mean = sum_bad;
  } else if (!cell->defined) {
    cell->state = cell->undefined ? TABLE_UNDEFINED : !row->planned ? TABLE_EXCLUDED : TABLE_MISSING;
  }
  return note_cell(y, e, r, c, bad);
}

static int compare(tally *y, err *e, int64_t c, const int64_t row[2], scratch *w, table_difference *d) {
  stats_grid a = cell_grid(y, row[0], c, w->a), b = cell_grid(y, row[1], c, w->b);
  stats_comparison x;
  *d = (table_difference){.mean = NAN, .lo = NAN, .hi = NAN, .p = NAN, .p_holm = NAN};
  for (int i = 0; i < 2; i++)
    if (y->t->cells[row[i] * y->in->n_metrics + c].state != TABLE_VALUE) return OK;
  int rc = stats_compare(e, &a, &b, &y->in->stats, &x);
  if (rc != OK || !x.used) return rc;
  *d = (table_difference){x.pairs, x.used, x.mean, x.lo, x.hi, x.test.p, NAN};
  return OK;
}

/* The best complete row, if what sets it apart from the runner-up is more than noise. */
static int mark_best(tally *y, err *e, int64_t c, scratch *w) {
  double sign = y->in->metrics[c].direction == METRIC_DOWN ? -1 : 1;
  int64_t top[2] = {-1, -1};
  table_difference d;
  if (y->in->metrics[c].direction == METRIC_NONE) return OK;
  for (int64_t r = 0; r < y->in->n_rows; r++) {
    const table_cell *cell = &y->t->cells[r * y->in->n_metrics + c];
    if (cell->state != TABLE_VALUE || y->t->rows[r].scored < y->t->rows[r].planned) continue;
    for (int k = 0; k < 2; k++) {
      if (top[k] >= 0 && sign * cell->mean <= sign * y->t->cells[top[k] * y->in->n_metrics + c].mean) continue;
      if (k == 0) top[1] = top[0];
      top[k] = r;
      break;
    }
  }
  if (top[1] < 0) return OK;
  int rc = compare(y, e, c, top, w, &d);
  if (rc == OK && d.used && (sign > 0 ? d.lo > 0 : d.hi < 0)) y->t->cells[top[0] * y->in->n_metrics + c].best = 1;
  return rc;
}

/* Two significant digits of the narrowest interval's half width. */
static int choose_decimals(const table *t, int64_t c) {
  double narrow = INFINITY;
  for (int64_t r = 0; r < t->n_rows; r++) {
    const table_difference *d = &t->cells[r * t->n_columns + c].to_reference;
    if (d->used && d->hi > d->lo) narrow = fmin(narrow, (d->hi - d->lo) / 2);
  }
  if (!isfinite(narrow)) return 3;
  double digits = 1 - floor(log10(narrow));
  return digits < 0 ? 0 : digits > 5 ? 5 : (int)digits;
}

static int make_columns(tally *y, err *e, scratch *w) {
  const table_input *in = y->in;
  table *t = y->t;
  int rc = OK;
  for (int64_t c = 0; c < in->n_metrics; c++) {
    const table_metric *m = &in->metrics[c];
    table_column *col = &t->columns[c];
    TRY(mem_strdup(e, m->id, &col->id));
    TRY(mem_strdup(e, m->unit ? m->unit : "", &col->unit));
    col->version = m->version;
    col->direction = m->direction;
    col->primary = m->primary;
    for (int64_t r = 0; r < in->n_rows; r++) TRY(make_cell(y, e, r, c, w));
    for (int64_t r = 0; r < in->n_rows; r++) {
      table_difference *d = &t->cells[r * in->n_metrics + c].to_reference;
      *d = (table_difference){.mean = NAN, .lo = NAN, .hi = NAN, .p = NAN, .p_holm = NAN};
      if (in->reference >= 0 && r != in->reference) TRY(compare(y, e, c, (const int64_t[]){r, in->reference}, w, d));
    }
    TRY(mark_best(y, e, c, w));
    col->decimals = choose_decimals(t, c);
  }
out:
  return rc;
}

/* --- families of tests ----------------------------------------------------------------------------------------- */

static int holm(err *e, table_difference *const *member, int64_t n) {
  double *p = NULL;
  int rc = mem_new(e, n, sizeof *p, "p-values", &p);
  for (int64_t i = 0; rc == OK && i < n; i++) p[i] = member[i]->p;
  if (rc == OK && n) rc = stats_holm(e, p, n, p);
  for (int64_t i = 0; rc == OK && i < n; i++) member[i]->p_holm = p[i];
  free(p);
  return rc;
}

/* Declared contrasts are one family; the primary metrics against the reference are another. */
static int adjust(tally *y, err *e, scratch *w) {
  const table_input *in = y->in;
  table *t = y->t;
  table_difference **member = NULL;
  int64_t n = 0;
  int rc = OK;
  TRY(mem_new(e, t->n_rows * t->n_columns + in->n_contrasts, sizeof *member, "family", &member));
  for (int64_t i = 0; i < t->n_rows * t->n_columns; i++)
    if (t->columns[i % t->n_columns].primary && t->cells[i].to_reference.used)
      member[n++] = &t->cells[i].to_reference;
  TRY(holm(e, member, n));
  n = 0;
  for (int64_t i = 0; i < in->n_contrasts; i++) {
    const table_wish *x = &in->contrasts[i];
    t->contrasts[i] = (table_contrast){.metric = x->metric, .row = x->row, .against = x->against};
    TRY(compare(y, e, x->metric, (const int64_t[]){x->row, x->against}, w, &t->contrasts[i].d));
    if (t->contrasts[i].d.used) member[n++] = &t->contrasts[i].d;
  }
  TRY(holm(e, member, n));
out:
  free(member);
  return rc;
}

/* --- remarks --------------------------------------------------------------------------------------------------- */

static int remark_axes(tally *y, err *e) {
  const grid *g = &y->g;
  char s[200];
  int rc = OK;
  snprintf(s, sizeof s, "values are means over %lld prompts, %lld train seeds and %lld sample seeds",
           (long long)g->n_prompts, (long long)g->n_trains, (long long)g->n_samples);
  TRY(add_remark(e, y->t, s));
  if (g->n_trains < 2) TRY(add_remark(e, y->t, "single training run: intervals hold no between-run error"));
  if (y->in->reference >= 0 && g->n_prompts < 6) {
    snprintf(s, sizeof s, "%lld prompts: no test can reach p < 0.05 (smallest possible %.3g)",
             (long long)g->n_prompts, ldexp(1, (int)(1 - g->n_prompts)));
    TRY(add_remark(e, y->t, s));
  }
out:
  return rc;
}

static int remark_rest(tally *y, err *e) {
  table *t = y->t;
  char s[200];
  int rc = OK, retried = 0;
  if (y->in->stored_sha256 && strcmp(y->in->stored_sha256, y->in->spec_sha256) != 0) {
    snprintf(s, sizeof s, "the store holds another version of this study (spec %.12s); run it to bring both together",
             y->in->stored_sha256);
    TRY(add_remark(e, t, s));
  }
  TRY(remark_axes(y, e));
  for (int64_t r = 0; r < t->n_rows; r++) retried |= t->rows[r].retried;
  if (retried) {
    snprintf(s, sizeof s, "\xe2\x80\xa0 %lld clips needed more than one attempt", (long long)y->in->n_retried);
    TRY(add_remark(e, t, s));
  }
  if (y->in->n_builds > 1) {
    snprintf(s, sizeof s, "results come from %lld different builds", (long long)y->in->n_builds);
    TRY(add_remark(e, t, s));
  }
  for (int64_t i = 0; i < y->in->n_builds; i++) {
    char *line;
    snprintf(s, sizeof s, "%.60s (%.100s)", y->in->builds[i].name,
             y->in->builds[i].text ? y->in->builds[i].text : "");
    TRY(mem_strdup(e, s, &line));
    t->builds[t->n_builds++] = line;
  }
out:
  return rc;
}

/* --- all of it ------------------------------------------------------------------------------------------------- */

static int check_input(err *e, const table_input *in) {
  if (in->n_rows < 1 || in->n_metrics < 1) return err_set(e, E_ARG, "a table needs a row and a metric");
  if (in->reference >= in->n_rows) return err_set(e, E_ARG, "the reference is not a row of the table");
  for (int64_t i = 0; i < in->n_contrasts; i++) {
    const table_wish *x = &in->contrasts[i];
    if (x->metric < 0 || x->metric >= in->n_metrics || x->row < 0 || x->row >= in->n_rows || x->against < 0 ||
        x->against >= in->n_rows)
      return err_set(e, E_ARG, "contrast %lld names a row or metric that is not there", (long long)i);
  }
  return OK;
}

static int allocate(tally *y, err *e) {
  const table_input *in = y->in;
  table *t = y->t;
  int64_t rows = in->n_rows, cells = rows * in->n_metrics, size = y->g.size;
  int rc = OK;
  if (size > INT64_MAX / 64 / cells) FAIL(e, E_ARG, "the table is too large");
  TRY(mem_new(e, rows, sizeof *t->rows, "rows", &t->rows));
  t->n_rows = rows;
  TRY(mem_new(e, in->n_metrics, sizeof *t->columns, "columns", &t->columns));
  t->n_columns = in->n_metrics;
  TRY(mem_new(e, cells, sizeof *t->cells, "cells", &t->cells));
  TRY(mem_new(e, in->n_contrasts, sizeof *t->contrasts, "contrasts", &t->contrasts));
  t->n_contrasts = in->n_contrasts;
  TRY(mem_new(e, in->n_builds, sizeof *t->builds, "builds", &t->builds));
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

static void tally_free(tally *y) {
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

int table_build(err *e, const table_input *in, table **out) {
  tally y = {.in = in};
  scratch w = {0};
  int rc = OK;
  *out = NULL;
  TRY(check_input(e, in));
  TRY(mem_new(e, 1, sizeof *y.t, "table", &y.t));
  TRY(mem_strdup(e, in->study, &y.t->study));
  TRY(mem_strdup(e, in->spec_sha256, &y.t->spec_sha256));
  y.t->reference = in->reference;
  y.t->level = in->stats.level;
  TRY(make_grid(e, in, &y.g));
  TRY(allocate(&y, e));
  TRY(mem_new(e, y.g.size, 1, "mask", &w.a));
  TRY(mem_new(e, y.g.size, 1, "mask", &w.b));
  TRY(mem_new(e, y.g.n_prompts, sizeof *w.mean, "means", &w.mean));
  mark_planned(&y);
  TRY(take_scores(&y, e));
  TRY(make_rows(&y, e));
  TRY(make_columns(&y, e, &w));
  TRY(adjust(&y, e, &w));
  TRY(remark_rest(&y, e));
  *out = y.t;
  y.t = NULL;
out:
  free(w.a);
  free(w.b);
  free(w.mean);
  tally_free(&y);
  table_free(y.t);
  return rc;
}

static void free_texts(char **list, int64_t n) {
  for (int64_t i = 0; i < n; i++) free(list[i]);
  free(list);
}

void table_free(table *t) {
  if (!t) return;
  for (int64_t i = 0; i < t->n_rows; i++) free(t->rows[i].name);
  for (int64_t i = 0; i < t->n_columns; i++) {
    free(t->columns[i].id);
    free(t->columns[i].unit);
  }
  free_texts(t->notes, t->n_notes);
  free_texts(t->remarks, t->n_remarks);
  free_texts(t->builds, t->n_builds);
  free(t->rows);
  free(t->columns);
  free(t->cells);
  free(t->contrasts);
  free(t->study);
  free(t->spec_sha256);
  free(t);
}
