#include "report/figure_study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/safetensors.h"
#include "report/table_grid.h"
#include "store/object.h"

struct figure_scores {
  const table_input *in;
  table *t;
  tally y;
  unsigned char *mask; /* [2][grid] */
  double *room;        /* [replicates or grid] */
};

void figure_scores_close(figure_scores *s) {
  if (!s) return;
  tally_free(&s->y);
  table_free(s->t);
  free(s->mask);
  free(s->room);
  free(s);
}

int figure_scores_open(err *e, const table_input *in, figure_scores **out) {
  figure_scores *s = NULL;
  int rc = OK;
  *out = NULL;
  TRY(mem_new(e, 1, sizeof *s, "scores of figures", &s));
  s->in = in;
  TRY(table_build(e, in, &s->t));
  s->y = (tally){.in = in, .t = s->t};
  TRY(tally_fill(&s->y, e));
  int64_t n = in->stats.bootstrap.replicates > s->y.g.size ? in->stats.bootstrap.replicates : s->y.g.size;
  TRY(mem_new(e, 2 * s->y.g.size, 1, "masks", &s->mask));
  TRY(mem_new(e, n, sizeof *s->room, "replicates", &s->room));
  *out = s;
  s = NULL;
out:
  figure_scores_close(s);
  return rc;
}

int figure_distance_metric(const study *st) {
  for (int i = 0; i < st->n_metrics; i++)
    if (strncmp(st->metrics[i].id, "rgb_", 4) == 0 && strstr(st->metrics[i].id, "_base")) return i;
  return -1;
}

static const table_cell *cell_of(const figure_scores *s, int64_t row, int64_t column) {
  return &s->t->cells[row * s->t->n_columns + column];
}

/* Mean of a row with its interval; 0 when it has none. */
static int mean_of(err *e, figure_scores *s, int64_t row, int column, double v[3]) {
  stats_options o = s->in->stats;
  stats_grid g = tally_grid(&s->y, row, column, s->mask);
  int64_t n = 0;
  int rc = OK;
  v[0] = cell_of(s, row, column)->mean;
  v[1] = v[2] = NAN;
  TRY(stats_resample(e, &g, &o.bootstrap, s->room, &n));
  if (n) stats_interval(s->room, n, o.level, &v[1], &v[2]);
out:
  return rc;
}

/* --- words ----------------------------------------------------------------------------------------------------- */

static int set_text(err *e, text *t, char **to) {
  int rc = text_ok(t, e);
  if (rc == OK) rc = mem_strdup(e, t->p, to);
  text_free(t);
  return rc;
}

static void add_metric(text *t, const table_column *c) {
  static const char *const better[] = {
      [METRIC_UP] = ", higher is better", [METRIC_DOWN] = ", lower is better", [METRIC_NONE] = ""};
  text_addf(t, "%s%s%s%s%s", c->id, c->unit[0] ? " (" : "", c->unit, c->unit[0] ? ")" : "", better[c->direction]);
}

static int metric_label(err *e, const table_column *c, const char *after, char **to) {
  text t = {0};
  add_metric(&t, c);
  text_add(&t, after);
  return set_text(e, &t, to);
}

/* Starts the alt text, which each variant then adds a sentence to. */
static int name_figure(err *e, figure *f, const table *t, const char *title) {
  text s = {0};
  text_addf(&s, "%s: %s", t->study, title);
  return set_text(e, &s, &f->title);
}

static void alt_value(text *alt, const char *name, const double v[3]) {
  text_addf(alt, " %s %.4g", name, v[0]);
  if (isfinite(v[1])) text_addf(alt, " [%.4g, %.4g]", v[1], v[2]);
}

/* --- one metric against another, or against cost -----------------------------------------------------------------
 */

typedef struct plane_call {
  figure *f;
  int x, y; /* metrics; x -1: cost */
  const double *cost;
  const char *cost_label;
} plane_call;

static int plane_point(err *e, figure_scores *s, const plane_call *call, int64_t r, text *alt) {
  double x[3] = {NAN, NAN, NAN}, y[3];
  const char *name = s->t->rows[r].name;
  figure_series *to;
  int rc = OK;
  int known = cell_of(s, r, call->y)->state == TABLE_VALUE &&
              (call->x < 0 ? isfinite(call->cost[r]) : cell_of(s, r, call->x)->state == TABLE_VALUE);
  if (!known) {
    text_addf(alt, " %s: no value.", name);
    return OK;
  }
  TRY(mean_of(e, s, r, call->y, y));
  if (call->x >= 0)
    TRY(mean_of(e, s, r, call->x, x));
  else
    x[0] = call->cost[r];
  TRY(figure_add(e, call->f, name, (int)r, FIGURE_POINTS, &to));
  TRY(figure_put(e, to, &(figure_mark){x[0], y[0], x[1], x[2], y[1], y[2]}));
  alt_value(alt, name, y);
  alt_value(alt, " at", x);
  text_add(alt, ".");
out:
  return rc;
}

/* Variants that no other beats in cost and value, from the cheapest on. */
static int frontier(err *e, figure *f, int down) {
  figure_series *line;
  int64_t points = f->n;
  int rc = OK;
  double reached = -INFINITY, at = -INFINITY;
  TRY(figure_add(e, f, "", 6, FIGURE_STEPS, &line));
  for (;;) {
    const figure_mark *next = NULL;
    for (int64_t i = 0; i < points; i++) {
      const figure_mark *m = &f->series[i].mark[0];
      double v = down ? -m->y : m->y;
      if (v <= reached || m->x < at) continue;
      if (!next || m->x < next->x || (m->x == next->x && v > (down ? -next->y : next->y))) next = m;
    }
    if (!next) break;
    reached = down ? -next->y : next->y, at = next->x;
    TRY(figure_put(e, line, &(figure_mark){next->x, next->y, NAN, NAN, NAN, NAN}));
  }
out:
  return rc;
}

/* Dearest over cheapest. */
static double spread(const figure *f) {
  double lo = INFINITY, hi = 0;
  for (int64_t i = 0; i < f->n; i++) lo = fmin(lo, f->series[i].mark[0].x), hi = fmax(hi, f->series[i].mark[0].x);
  return f->n ? hi / lo : 1;
}

static int draw_plane(err *e, figure_scores *s, const plane_call *call) {
  figure *f = call->f;
  const table_column *y = &s->t->columns[call->y], *x = call->x < 0 ? NULL : &s->t->columns[call->x];
  text alt = {0}, title = {0};
  int rc = OK;
  f->direct = 1;
  text_addf(&title, "%s against %s", y->id, x ? x->id : "cost");
  TRY(text_ok(&title, e));
  TRY(name_figure(e, f, s->t, title.p));
  TRY(metric_label(e, y, "", &f->y.label));
  if (x)
    TRY(metric_label(e, x, "", &f->x.label));
  else
    TRY(mem_strdup(e, call->cost_label, &f->x.label));
  text_addf(&alt, "Scatter plot, %s, means over prompts with %.0f %% intervals:", title.p, 100 * s->in->stats.level);
  for (int64_t r = 0; r < s->t->n_rows; r++) TRY(plane_point(e, s, call, r, &alt));
  if (!x) {
    f->x.log = spread(f) > 10;
    TRY(frontier(e, f, y->direction == METRIC_DOWN));
  }
  TRY(set_text(e, &alt, &f->alt));
out:
  text_free(&alt);
  text_free(&title);
  return rc;
}

int figure_scatter(err *e, figure_scores *s, int x_metric, int y_metric, figure *out) {
  return draw_plane(e, s, &(plane_call){.f = out, .x = x_metric, .y = y_metric});
}

int figure_cost(err *e, figure_scores *s, int y_metric, const double *cost, const char *label, figure *out) {
  return draw_plane(e, s, &(plane_call){.f = out, .x = -1, .y = y_metric, .cost = cost, .cost_label = label});
}

/* --- paired differences ------------------------------------------------------------------------------------------
 */

/* One dot a prompt: the mean difference of its pairs. */
static int prompt_dots(err *e, figure_scores *s, int64_t row, int column, double y, figure *f) {
  stats_grid a = tally_grid(&s->y, row, column, s->mask);
  stats_grid b = tally_grid(&s->y, s->in->reference, column, s->mask + s->y.g.size);
  double *d = NULL;
  unsigned char *defined = NULL;
  figure_series *dots;
  int rc = OK;
  TRY(mem_new(e, s->y.g.size, sizeof *d, "differences", &d));
  TRY(mem_new(e, s->y.g.size, 1, "differences", &defined));
  TRY(stats_difference(e, &a, &b, d, defined));
  stats_grid g = a;
  g.value = d, g.defined = defined;
  int64_t n = stats_prompt_means(&g, s->room);
  TRY(figure_add(e, f, "", (int)row, FIGURE_DOTS, &dots));
  for (int64_t i = 0; i < n; i++) {
    double spread = .22 * (i % 2 ? 1 : -1) * (double)(1 + i % 3) / 3; /* equal values must not hide each other */
    TRY(figure_put(e, dots, &(figure_mark){s->room[i], y + spread, NAN, NAN, NAN, NAN}));
  }
out:
  free(d);
  free(defined);
  return rc;
}

static int paired_row(err *e, figure_scores *s, int column, int64_t r, figure *f, text *alt) {
  const table_difference *d = &cell_of(s, r, column)->to_reference;
  figure_series *point;
  int rc = OK;
  if (r == s->in->reference) return OK;
  if (!d->used) {
    text_addf(alt, " %s: nothing to compare.", s->t->rows[r].name);
    return OK;
  }
  double y = (double)f->y.places, v[3] = {d->mean, d->lo, d->hi};
  TRY(mem_strdup(e, s->t->rows[r].name, &f->y.place[f->y.places]));
  f->y.places++;
  TRY(prompt_dots(e, s, r, column, y, f));
  TRY(figure_add(e, f, "", (int)r, FIGURE_POINTS, &point));
  TRY(figure_put(e, point, &(figure_mark){v[0], y, v[1], v[2], NAN, NAN}));
  alt_value(alt, s->t->rows[r].name, v);
  text_add(alt, ".");
out:
  return rc;
}

int figure_paired(err *e, figure_scores *s, int column, figure *f) {
  const table_column *c = &s->t->columns[column];
  text alt = {0}, title = {0}, label = {0};
  int rc = OK;
  if (!s->t->reference) FAIL(e, E_ARG, "the study has no reference variant to pair with");
  const char *reference = s->t->reference;
  text_addf(&title, "%s, difference to %s", c->id, reference);
  TRY(text_ok(&title, e));
  TRY(name_figure(e, f, s->t, title.p));
  add_metric(&label, c);
  text_addf(&label, ": variant - %s; dots are prompts", reference);
  TRY(set_text(e, &label, &f->x.label));
  TRY(mem_strdup(e, "", &f->y.label));
  f->x.zero = 1;
  TRY(mem_new(e, s->t->n_rows, sizeof *f->y.place, "names", &f->y.place));
  text_addf(&alt, "Paired differences, %s, with %.0f %% intervals:", title.p, 100 * s->in->stats.level);
  for (int64_t r = 0; r < s->t->n_rows; r++) TRY(paired_row(e, s, column, r, f, &alt));
  TRY(set_text(e, &alt, &f->alt));
out:
  text_free(&alt);
  text_free(&title);
  text_free(&label);
  return rc;
}

/* --- training losses ---------------------------------------------------------------------------------------------
 */

/* The losses that a done training kept, as reals the caller frees; none: *n = 0. */
static int read_losses(err *e, store *s, const char *key, real **out, int64_t *n) {
  char path[STORE_PATH];
  store_artifacts list = {0};
  st_file *file = NULL;
  int rc = OK;
  *out = NULL, *n = 0;
  TRY(store_artifact_list(s, e, key, &list));
  for (int64_t i = 0; i < list.n; i++) {
    if (strcmp(list.at[i].kind, "losses") != 0) continue;
    TRY(object_verify(s, e, list.at[i].sha256));
    TRY(object_path(s, e, list.at[i].sha256, path));
    TRY(st_open(e, path, &file));
    const st_tensor *t = st_find(file, "losses");
    if (!t || t->rank != 1) FAIL(e, E_FORMAT, "%s: holds no list of losses", path);
    TRY(mem_new(e, t->count, sizeof **out, "losses", out));
    TRY(st_read_real(e, t, *out));
    *n = t->count;
    break;
  }
out:
  st_close(file);
  store_artifacts_free(&list);
  return rc;
}

static int add_losses(err *e, figure *f, const real *loss, int64_t n, int style, const char *name) {
  int64_t window = n / 10 > 1 ? n / 10 : 1, stride = n / 400 > 1 ? n / 400 : 1;
  figure_series *line;
  double sum = 0;
  int rc = OK;
  TRY(figure_add(e, f, name, style, FIGURE_LINE, &line));
  for (int64_t i = 0; i < n; i++) {
    sum += (double)loss[i] - (i >= window ? (double)loss[i - window] : 0);
    if (i + 1 < window || ((i + 1) % stride && i + 1 < n)) continue;
    TRY(figure_put(e, line, &(figure_mark){(double)(i + 1), sum / (double)window, NAN, NAN, NAN, NAN}));
  }
out:
  return rc;
}

static int loss_line(err *e, store *from, const study *st, const plan_cell *c, figure *f, text *alt) {
  real *loss = NULL;
  int64_t n = 0;
  int rc = OK, again = 0;
  TRY(read_losses(e, from, c->key, &loss, &n));
  if (!n) return OK;
  for (int64_t i = 0; i < f->n; i++) again |= strcmp(f->series[i].name, c->variant) == 0;
  TRY(add_losses(e, f, loss, n, study_row_find(st, c->variant), again ? "" : c->variant));
  const figure_series *line = &f->series[f->n - 1];
  text_addf(alt, " %s seed %lld ends at %.4g.", c->variant, (long long)c->train_seed, line->mark[line->n - 1].y);
out:
  free(loss);
  return rc;
}

int figure_losses(err *e, store *from, const study *st, const plan *p, figure *out) {
  text alt = {0}, title = {0};
  int rc = OK;
  text_addf(&title, "%s: training losses", st->name);
  TRY(set_text(e, &title, &out->title));
  TRY(mem_strdup(e, "step", &out->x.label));
  TRY(mem_strdup(e, "loss, mean of the last tenth of the run", &out->y.label));
  text_add(&alt, "Training losses over steps:");
  for (int64_t i = 0; i < p->n; i++)
    if (p->cell[i].stage == STAGE_TRAIN) TRY(loss_line(e, from, st, &p->cell[i], out, &alt));
  if (!out->n) FAIL(e, E_ARG, "no training of study '%s' is done yet", st->name);
  TRY(set_text(e, &alt, &out->alt));
out:
  text_free(&alt);
  text_free(&title);
  return rc;
}
