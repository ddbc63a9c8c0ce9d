#include "report/study_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What a table_input and a table_source borrow. */
typedef struct study_lists {
  const char **rows;
  table_metric *metrics;
  table_point *points;
  table_excluded *excluded;
  table_wish *contrasts;
  table_set_wish *set_wishes;
  store_sets sets;
  store_scores scores;
  store_cells missing;
  store_facts retried, builds;
  const char **prompts, **categories, **settings;
  char *stored_sha256;
  char **values; /* [rows][n_settings] */
  int64_t n_values;
} study_lists;

static int from_study(err *e, const study *st, study_lists *b, table_input *in) {
  int rc = OK;
  TRY(mem_new(e, st->n_rows, sizeof *b->rows, "rows", &b->rows));
  TRY(mem_new(e, st->n_metrics, sizeof *b->metrics, "metrics", &b->metrics));
  TRY(mem_new(e, st->n_points, sizeof *b->points, "points", &b->points));
  TRY(mem_new(e, st->n_excluded, sizeof *b->excluded, "points", &b->excluded));
  TRY(mem_new(e, st->n_contrasts, sizeof *b->contrasts, "contrasts", &b->contrasts));
  TRY(mem_new(e, st->n_sets, sizeof *b->set_wishes, "scores of sets", &b->set_wishes));
  for (int i = 0; i < st->n_rows; i++) b->rows[i] = st->rows[i].name;
  for (int i = 0; i < st->n_metrics; i++) {
    const study_metric *m = &st->metrics[i];
    b->metrics[i] = (table_metric){m->id, m->version, m->direction, m->unit, m->primary};
  }
  for (int64_t i = 0; i < st->n_points; i++) {
    const study_point *p = &st->points[i];
    b->points[i] = (table_point){p->row, st->prompts[p->prompt].id, p->train_seed, p->sample_seed};
  }
  for (int64_t i = 0; i < st->n_excluded; i++) {
    const study_point *p = &st->excluded[i].point;
    b->excluded[i] =
        (table_excluded){p->row, st->excluded[i].reason, st->prompts[p->prompt].id, p->train_seed, p->sample_seed};
  }
  for (int i = 0; i < st->n_contrasts; i++)
    b->contrasts[i] = (table_wish){st->contrasts[i].metric, st->contrasts[i].row, st->contrasts[i].against};
  for (int i = 0; i < st->n_sets; i++) {
    const study_set *x = &st->sets[i];
    const set_metric *m = x->request.metric;
    b->set_wishes[i] = (table_set_wish){x->id, x->against, m->unit, m->version, m->direction};
  }
  in->rows = b->rows, in->n_rows = st->n_rows;
  in->metrics = b->metrics, in->n_metrics = st->n_metrics;
  in->points = b->points, in->n_points = st->n_points;
  in->excluded = b->excluded, in->n_excluded = st->n_excluded;
  in->contrasts = b->contrasts, in->n_contrasts = st->n_contrasts;
  in->set_wishes = b->set_wishes, in->n_set_wishes = st->n_sets;
out:
  return rc;
}

/* Score cells that are not done. Where a clip has a score in process, that one speaks
 * for it: its scorers' cells are not further clips. */
static int unfinished(err *e, store *s, const study *st, int64_t study_id, study_lists *b) {
  int rc = OK, in_process = 0;
  int64_t kept = 0;
  for (int i = 0; i < st->n_metrics; i++) in_process |= st->metrics[i].scorer < 0;
  TRY(store_cells_undone(s, e, study_id, &b->missing));
  for (int64_t i = 0; i < b->missing.n; i++)
    if (b->missing.at[i].stage == STAGE_SCORE && !b->missing.at[i].of_sets &&
        !(in_process && b->missing.at[i].by_scorer))
      b->missing.at[kept++] = b->missing.at[i];
  b->missing.n = kept;
out:
  return rc;
}

static int from_store(err *e, store *s, const study *st, int64_t study_id, study_lists *b, table_input *in) {
  int rc = OK;
  TRY(store_score_list(s, e, study_id, &b->scores));
  TRY(unfinished(e, s, st, study_id, b));
  TRY(store_set_list(s, e, study_id, &b->sets));
  TRY(store_retried_list(s, e, study_id, &b->retried));
  TRY(store_build_list(s, e, study_id, &b->builds));
  in->scores = b->scores.at, in->n_scores = b->scores.n;
  in->missing = b->missing.at, in->n_missing = b->missing.n;
  in->sets = b->sets.at, in->n_sets = b->sets.n;
  in->retried = b->retried.at, in->n_retried = b->retried.n;
  in->builds = b->builds.at, in->n_builds = b->builds.n;
out:
  return rc;
}

/* --- keys ------------------------------------------------------------------------------------------------------ */

static int value_text(err *e, const json *v, char **out) {
  text t = {0};
  if (v->type == JSON_STRING)
    text_add(&t, v->str);
  else
    json_canonical(&t, v);
  text_add(&t, "");
  int rc = text_ok(&t, e);
  if (rc == OK)
    *out = t.p;
  else
    text_free(&t);
  return rc;
}

/* Does a setting of any stage that the row reads differ from the first row's? Files are their paths. */
static int varies(err *e, const study *st, int index, int *out) {
  char *first = NULL, *other = NULL;
  int rc = OK;
  *out = 0;
  for (int r = 0; r < st->n_rows && !*out; r++) {
    TRY(value_text(e, st->rows[r].value[index].v, r ? &other : &first));
    if (r) *out = strcmp(first, other) != 0;
    free(other);
    other = NULL;
  }
out:
  free(first);
  return rc;
}

static int take_settings(err *e, const study *st, study_lists *b, table_source *keys) {
  int rc = OK, differs = 0, index[SPEC_SETTINGS];
  TRY(mem_new(e, spec_count(), sizeof *b->settings, "settings", &b->settings));
  for (int i = 0; i < spec_count(); i++) {
    TRY(varies(e, st, i, &differs));
    if (!differs || spec_settings()[i].neutral) continue;
    index[keys->n_settings] = i;
    b->settings[keys->n_settings++] = spec_settings()[i].path;
  }
  TRY(mem_new(e, st->n_rows * keys->n_settings, sizeof *b->values, "settings", &b->values));
  for (int r = 0; r < st->n_rows; r++)
    for (int64_t i = 0; i < keys->n_settings; i++) {
      TRY(value_text(e, st->rows[r].value[index[i]].v, &b->values[b->n_values]));
      b->n_values++;
    }
  keys->settings = b->settings;
  keys->setting_values = (const char *const *)b->values;
out:
  return rc;
}

static int take_prompts(err *e, const study *st, study_lists *b, table_source *keys) {
  int rc = OK;
  TRY(mem_new(e, st->n_prompts, sizeof *b->prompts, "prompts", &b->prompts));
  TRY(mem_new(e, st->n_prompts, sizeof *b->categories, "prompts", &b->categories));
  for (int i = 0; i < st->n_prompts; i++) {
    b->prompts[i] = st->prompts[i].id;
    b->categories[i] = st->prompts[i].category ? st->prompts[i].category : "";
  }
  keys->prompts = b->prompts, keys->categories = b->categories, keys->n_prompts = st->n_prompts;
out:
  return rc;
}

/* --- all of it ------------------------------------------------------------------------------------------------- */

int study_source_open(err *e, store *s, const study *st, const stats_options *stats, study_source *out) {
  store_studies known = {0};
  int rc = OK;
  *out = (study_source){
      .in = {.study = st->name, .spec_sha256 = st->sha256, .reference = st->reference, .stats = *stats}};
  TRY(mem_new(e, 1, sizeof *out->lists, "table", &out->lists));
  TRY(store_study_list(s, e, st->name, &known));
  TRY(from_study(e, st, out->lists, &out->in));
  TRY(from_store(e, s, st, known.at[0].study_id, out->lists, &out->in));
  TRY(take_prompts(e, st, out->lists, &out->keys));
  TRY(take_settings(e, st, out->lists, &out->keys));
  TRY(mem_strdup(e, known.at[0].spec_sha256, &out->lists->stored_sha256));
  out->in.stored_sha256 = out->lists->stored_sha256;
  out->keys.in = &out->in;
out:
  store_studies_free(&known);
  if (rc != OK) study_source_close(out);
  return rc;
}

void study_source_close(study_source *s) {
  study_lists *b = s->lists;
  if (!b) return;
  store_scores_free(&b->scores);
  store_cells_free(&b->missing);
  store_sets_free(&b->sets);
  store_facts_free(&b->retried);
  store_facts_free(&b->builds);
  free(b->rows);
  free(b->metrics);
  free(b->points);
  free(b->excluded);
  free(b->contrasts);
  free(b->set_wishes);
  free(b->prompts);
  free(b->categories);
  free(b->settings);
  for (int64_t i = 0; i < b->n_values; i++) free(b->values[i]);
  free(b->values);
  free(b->stored_sha256);
  free(b);
  *s = (study_source){0};
}
