/* Rules between settings, row by row. Messages name no row: what is wrong in `base` is one problem, not one a
 * variant. */
#include "study/load.h"

#include <string.h>

#include "media/world.h"

static const study_value *value_of(const study_row *r, const char *path) {
  return &r->value[spec_find(path)];
}

static int is(const study_row *r, const char *path, const char *word) {
  return strcmp(value_of(r, path)->v->str, word) == 0;
}

/* The place of a value that was given, else of the row: a default has no line to point at. */
static where place(const study_row *r, const char *path) {
  const study_value *v = value_of(r, path);
  return v->given == GIVEN_DEFAULT ? r->at : v->at;
}

/* A value that was given but that no row reads: most likely something else is missing. */
static void check_unread(loader *l, int i) {
  const setting *s = &spec_settings()[i];
  const study *st = l->s;
  const study_value *unread = NULL;
  if (!s->when) return;
  for (int r = 0; r < st->n_rows; r++) {
    const study_value *v = &st->rows[r].value[i];
    if (v->given == GIVEN_DEFAULT || v->given == GIVEN_BAD) continue;
    for (int k = 0; k < STAGE_COUNT; k++)
      if (study_reads(&st->rows[r], s, (stage)k)) return;
    unread = v;
  }
  if (unread) problem_error(l->p, unread->at, "%s is read only when %s, and no variant has that", s->path, s->when);
}

static void check_sampler(loader *l, const study_row *r) {
  int flow = is(r, "train.objective", "flow"), euler = is(r, "sample.sampler", "euler");
  where at = place(r, value_of(r, "sample.sampler")->given ? "sample.sampler" : "train.objective");
  if (flow != euler)
    problem_error(l->p, at, "sample.sampler euler goes with train.objective flow, ddim and dpm go with v");
  if (euler) return;
  err why = {0};
  spacing sp;
  int64_t t[SCHEDULE_STEPS];
  int steps = (int)value_of(r, "sample.steps")->v->num;
  int rc = spacing_parse(value_of(r, "sample.spacing")->v->str, &sp);
  if (rc == OK) rc = schedule_timesteps(&why, sp, steps, t);
  if (rc != OK) problem_error(l->p, place(r, "sample.steps"), "sample.steps: %s", why.text);
}

static void check_data(loader *l, const study_row *r) {
  const json *size = value_of(r, "data.size")->v;
  int folder = is(r, "data.kind", "folder");
  if (folder && is(r, "data.folder", "") && value_of(r, "data.folder")->given != GIVEN_BAD)
    problem_error(l->p, place(r, "data.kind"), "data.kind folder wants data.folder");
  if (!folder && value_of(r, "data.clips")->v->num < 1)
    problem_error(l->p, place(r, "data.clips"), "a world has no end: data.clips wants a number above 0");
  if (!folder && (value_of(r, "data.frames")->v->num != WORLD_FRAMES || size->child->num != WORLD_SIDE ||
                  size->child->next->num != WORLD_SIDE || value_of(r, "data.fps")->v->num != WORLD_FPS))
    problem_error(l->p, place(r, "data.size"), "clips of the world have %d frames of %d x %d pixels, %d a second",
                  WORLD_FRAMES, WORLD_SIDE, WORLD_SIDE, WORLD_FPS);
  for (const json *n = size->child; n; n = n->next)
    if ((int)n->num % 8 != 0) {
      problem_error(l->p, place(r, "data.size"), "data.size: height and width must be multiples of 8");
      break;
    }
}

static void check_import(loader *l, const study_row *r) {
  if (is(r, "external.dir", "") && value_of(r, "external.dir")->given != GIVEN_BAD)
    problem_error(l->p, r->at, "design external wants the folder of its clips: \"external:dir=FOLDER\"");
}

static void check_training(loader *l, const study_row *r) {
  if (!r->trains) return;
  double steps = value_of(r, "train.steps")->v->num;
  if (value_of(r, "train.warmup")->v->num >= steps)
    problem_warning(l->p, place(r, "train.steps"),
                    "the warm-up is as long as the run; the learning rate never reaches its peak");
}

static void check_metrics(loader *l) {
  const study *s = l->s;
  int pairs = 0, world = 0;
  for (int64_t i = 1; i < s->n_points && !pairs; i++) {
    const study_point *a = &s->points[i], *b = &s->points[0];
    pairs = a->row == b->row && a->prompt == b->prompt && a->train_seed == b->train_seed;
  }
  for (int r = 0; r < s->n_rows; r++) world |= s->rows[r].in_matrix && is(&s->rows[r], "data.kind", "world");
  for (int i = 0; i < s->n_metrics; i++) {
    const study_metric *m = &s->metrics[i];
    if (m->scorer >= 0) continue;
    if (m->request.gain && !pairs)
      problem_warning(l->p, m->at, "%s needs at least two sample seeds; it will be undefined", m->id);
    if ((m->request.metric->needs & METRIC_NEEDS_TRUTH) && !world)
      problem_warning(l->p, m->at, "%s needs the world's own matte; over a folder it will be undefined", m->id);
  }
}

void load_checks(loader *l) {
  for (int i = 0; i < spec_count(); i++) check_unread(l, i);
  for (int r = 0; r < l->s->n_rows; r++) {
    const study_row *row = &l->s->rows[r];
    if (!row->in_matrix) continue;
    if (row->design.v && design_imports(&row->design)) check_import(l, row);
    check_sampler(l, row);
    check_data(l, row);
    check_training(l, row);
  }
  check_metrics(l);
}
