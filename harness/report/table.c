#include "report/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/table_grid.h"

int table_remark(err *e, table *t, const char *s) {
  int rc = mem_grow(e, &t->remarks, &t->remarks_cap, t->n_remarks + 1, sizeof *t->remarks, "remarks");
  if (rc == OK) rc = mem_strdup(e, s, &t->remarks[t->n_remarks]);
  if (rc == OK) t->n_remarks++;
  return rc;
}

static int same_text(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

/* --- footnotes ------------------------------------------------------------------------------------------------- */

int table_note(err *e, table *t, const char *s, int *list, int *n) {
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
  return rc == OK ? table_note(e, t, s->p, list, n) : rc;
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
    TRY(mem_strdup(e, row->name, &row->label));
    row->reference = r == y->in->reference;
    count_axes(y, r, row);
    for (int64_t i = 0; i < y->in->n_retried; i++) row->retried |= same_text(y->in->retried[i].text, row->name);
    if (row->scored < row->planned) TRY(note_missing(y, e, r));
    TRY(note_excluded(y, e, r));
  }
out:
  return rc;
}

static int make_cell(tally *y, err *e, int64_t r, int64_t c, unsigned char *mask, double *mean) {
  table_cell *cell = &y->t->cells[r * y->in->n_metrics + c];
  const table_row *row = &y->t->rows[r];
  const unsigned char *own = y->own + r * y->g.size;
  int64_t at = (r * y->in->n_metrics + c) * y->g.size, bad = 0;
  double sum_bad = 0;
  cell->reference = row->reference;
  for (int64_t i = 0; i < y->g.size; i++) {
    if (!own[i]) continue;
    cell->defined += y->state[at + i] == GRID_VALUE;
    cell->undefined += y->state[at + i] == GRID_UNDEFINED;
    cell->missing += y->state[at + i] == GRID_NONE && y->scored[r * y->g.size + i];
    if (y->state[at + i] == GRID_NOT_FINITE) sum_bad += y->value[at + i], bad++;
  }
  stats_grid g = tally_grid(y, r, c, mask);
  int64_t n = stats_prompt_means(&g, mean);
  cell->mean = n ? stats_mean(mean, n) : NAN;
  cell->state = TABLE_VALUE;
  if (bad) {
    cell->state = TABLE_NOT_FINITE;
    cell->mean = sum_bad;
  } else if (!cell->defined) {
    cell->state = cell->undefined ? TABLE_UNDEFINED : !row->planned ? TABLE_EXCLUDED : TABLE_MISSING;
  }
  return note_cell(y, e, r, c, bad);
}

static int make_columns(tally *y, err *e) {
  const table_input *in = y->in;
  unsigned char *mask = NULL;
  double *mean = NULL;
  int rc = OK;
  TRY(mem_new(e, y->g.size, 1, "mask", &mask));
  TRY(mem_new(e, y->g.n_prompts, sizeof *mean, "means", &mean));
  for (int64_t c = 0; c < in->n_metrics; c++) {
    const table_metric *m = &in->metrics[c];
    table_column *col = &y->t->columns[c];
    TRY(mem_strdup(e, m->id, &col->id));
    int plain = !m->unit || strcmp(m->unit, "1") == 0; /* a pure number needs no unit beside its name */
    TRY(mem_strdup(e, plain ? "" : m->unit, &col->unit));
    TRY(table_head(e, m->id, m->direction, col->unit, &col->label));
    col->version = m->version;
    col->direction = m->direction;
    col->primary = m->primary;
    for (int64_t r = 0; r < in->n_rows; r++) TRY(make_cell(y, e, r, c, mask, mean));
  }
out:
  free(mask);
  free(mean);
  return rc;
}

/* --- remarks --------------------------------------------------------------------------------------------------- */

static const char *plural(int64_t n) {
  return n == 1 ? "" : "s";
}

static int remark_axes(tally *y, err *e) {
  const grid *g = &y->g;
  char s[200];
  int rc = OK;
  snprintf(s, sizeof s, "values are means over %lld prompt%s, %lld train seed%s and %lld sample seed%s",
           (long long)g->n_prompts, plural(g->n_prompts), (long long)g->n_trains, plural(g->n_trains),
           (long long)g->n_samples, plural(g->n_samples));
  TRY(table_remark(e, y->t, s));
  if (g->n_trains < 2) TRY(table_remark(e, y->t, "single training run: intervals hold no between-run error"));
  if (y->in->reference >= 0 && g->n_prompts < 6) {
    snprintf(s, sizeof s, "%lld prompts: no test can reach p < 0.05 (smallest possible %.3g)",
             (long long)g->n_prompts, ldexp(1, (int)(1 - g->n_prompts)));
    TRY(table_remark(e, y->t, s));
  }
out:
  return rc;
}

static int remark_versions(tally *y, err *e) {
  text s = {0};
  const unsigned char *shown = y->in->metrics_shown;
  for (int64_t c = 0; c < y->in->n_metrics; c++)
    if (!shown || shown[c])
      text_addf(&s, "%s %s %lld", s.n ? "," : "metric versions:", y->in->metrics[c].id,
                (long long)y->in->metrics[c].version);
  for (int64_t i = 0; i < y->in->n_set_wishes; i++) {
    const table_set_wish *w = y->in->set_wishes;
    int64_t k = 0;
    while (strcmp(w[k].id, w[i].id) != 0) k++;
    if (k == i) text_addf(&s, ", %s %lld", w[i].id, (long long)w[i].version); /* once, whatever it is against */
  }
  int rc = text_ok(&s, e);
  if (rc == OK) rc = table_remark(e, y->t, s.p);
  text_free(&s);
  return rc;
}

static int remark_rest(tally *y, err *e) {
  table *t = y->t;
  char s[200];
  int rc = OK, retried = 0;
  if (y->in->stored_sha256 && strcmp(y->in->stored_sha256, y->in->spec_sha256) != 0) {
    snprintf(s, sizeof s, "the store holds another version of this study (spec %.12s); run it to bring both together",
             y->in->stored_sha256);
    TRY(table_remark(e, t, s));
  }
  TRY(remark_axes(y, e));
  for (int64_t r = 0; r < t->n_rows; r++) retried |= t->rows[r].retried;
  if (retried) {
    snprintf(s, sizeof s, "\xe2\x80\xa0 %lld clips needed more than one attempt", (long long)y->in->n_retried);
    TRY(table_remark(e, t, s));
  }
  TRY(remark_versions(y, e));
  if (y->in->n_builds > 1) {
    snprintf(s, sizeof s, "results come from %lld different builds", (long long)y->in->n_builds);
    TRY(table_remark(e, t, s));
  }
  for (int64_t i = 0; i < y->in->n_builds; i++) {
    char *line;
    snprintf(s, sizeof s, "%.12s (%.100s)", y->in->builds[i].name,
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

static int allocate(err *e, const table_input *in, table *t) {
  int rc = OK;
  TRY(mem_strdup(e, in->study, &t->study));
  TRY(mem_strdup(e, "variant", &t->stub));
  TRY(mem_strdup(e, in->spec_sha256, &t->spec_sha256));
  if (in->reference >= 0) TRY(mem_strdup(e, in->rows[in->reference], &t->reference));
  t->level = in->stats.level;
  t->differences = 1;
  TRY(mem_new(e, in->n_rows, sizeof *t->rows, "rows", &t->rows));
  t->n_rows = in->n_rows;
  TRY(mem_new(e, in->n_metrics, sizeof *t->columns, "columns", &t->columns));
  t->n_columns = in->n_metrics;
  TRY(mem_new(e, in->n_rows * in->n_metrics, sizeof *t->cells, "cells", &t->cells));
  TRY(mem_new(e, in->n_contrasts, sizeof *t->contrasts, "contrasts", &t->contrasts));
  t->n_contrasts = in->n_contrasts;
  TRY(mem_new(e, in->n_set_wishes, sizeof *t->set_heads, "scores of sets", &t->set_heads));
  TRY(mem_new(e, in->n_builds, sizeof *t->builds, "builds", &t->builds));
out:
  return rc;
}

int table_head(err *e, const char *name, metric_direction d, const char *unit, char **out) {
  text t = {0};
  text_add(&t, name);
  if (d != METRIC_NONE) text_addf(&t, " %s", d == METRIC_UP ? "\xe2\x86\x91" : "\xe2\x86\x93");
  if (unit[0]) text_addf(&t, " (%s)", unit);
  int rc = text_ok(&t, e);
  if (rc == OK)
    *out = t.p;
  else
    text_free(&t);
  return rc;
}

int table_build(err *e, const table_input *in, table **out) {
  tally y = {.in = in};
  int rc = OK;
  *out = NULL;
  TRY(check_input(e, in));
  TRY(mem_new(e, 1, sizeof *y.t, "table", &y.t));
  TRY(allocate(e, in, y.t));
  TRY(tally_fill(&y, e));
  TRY(make_rows(&y, e));
  TRY(make_columns(&y, e));
  TRY(tally_compare(&y, e));
  TRY(tally_sets(&y, e));
  TRY(remark_rest(&y, e));
  *out = y.t;
  y.t = NULL;
out:
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
  for (int64_t i = 0; i < t->n_rows; i++) {
    free(t->rows[i].name);
    free(t->rows[i].label);
    free(t->rows[i].over);
  }
  for (int64_t i = 0; i < t->n_columns; i++) {
    free(t->columns[i].id);
    free(t->columns[i].unit);
    free(t->columns[i].variant);
    free(t->columns[i].label);
    free(t->columns[i].over);
  }
  for (int64_t i = 0; i < t->n_rows * t->n_columns; i++) free(t->cells[i].keys);
  for (int64_t i = 0; i < t->n_set_heads; i++) {
    free(t->set_heads[i].id);
    free(t->set_heads[i].against);
    free(t->set_heads[i].unit);
  }
  for (int64_t i = 0; i < t->n_sets; i++) free(t->sets[i].why);
  free(t->set_heads);
  free(t->sets);
  free_texts(t->notes, t->n_notes);
  free_texts(t->remarks, t->n_remarks);
  free_texts(t->builds, t->n_builds);
  free(t->rows);
  free(t->columns);
  free(t->cells);
  free(t->contrasts);
  free(t->study);
  free(t->spec_sha256);
  free(t->reference);
  free(t->part);
  free(t->stub);
  free(t);
}
