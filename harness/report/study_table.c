#include "report/study_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What a table_input borrows. */
typedef struct borrowed {
  const char **rows;
  table_metric *metrics;
  table_point *points;
  table_excluded *excluded;
  table_wish *contrasts;
  store_scores scores;
  store_cells missing;
  store_facts retried, builds;
} borrowed;

static int from_study(err *e, const study *st, borrowed *b, table_input *in) {
  int rc = OK;
  TRY(mem_new(e, st->n_rows, sizeof *b->rows, "rows", &b->rows));
  TRY(mem_new(e, st->n_metrics, sizeof *b->metrics, "metrics", &b->metrics));
  TRY(mem_new(e, st->n_points, sizeof *b->points, "points", &b->points));
  TRY(mem_new(e, st->n_excluded, sizeof *b->excluded, "points", &b->excluded));
  TRY(mem_new(e, st->n_contrasts, sizeof *b->contrasts, "contrasts", &b->contrasts));
  for (int i = 0; i < st->n_rows; i++) b->rows[i] = st->rows[i].name;
  for (int i = 0; i < st->n_metrics; i++) {
    const study_metric *m = &st->metrics[i];
    b->metrics[i] = (table_metric){m->id, m->version, m->direction, m->unit, m->primary};
  }
  for (int64_t i = 0; i < st->n_points; i++) {
    const study_point *p = &st->points[i];
    b->points[i] = (table_point){p->row, st->prompts[p->prompt].id, p->train_seed, p->sample_seed};
  }
  for (int64_t i = 0; i < st->n_excluded; i++)
    b->excluded[i] = (table_excluded){st->excluded[i].point.row, st->excluded[i].reason};
  for (int i = 0; i < st->n_contrasts; i++)
    b->contrasts[i] = (table_wish){st->contrasts[i].metric, st->contrasts[i].row, st->contrasts[i].against};
  in->rows = b->rows, in->n_rows = st->n_rows;
  in->metrics = b->metrics, in->n_metrics = st->n_metrics;
  in->points = b->points, in->n_points = st->n_points;
  in->excluded = b->excluded, in->n_excluded = st->n_excluded;
  in->contrasts = b->contrasts, in->n_contrasts = st->n_contrasts;
out:
  return rc;
}

/* Score cells that are not done: every state but done, one list. Where a clip has a score in process, that one speaks
 * for it: its scorers' cells are not further clips. */
static int unfinished(err *e, store *s, const study *st, int64_t study_id, borrowed *b) {
  int rc = OK, in_process = 0;
  int64_t kept = 0;
  for (int i = 0; i < st->n_metrics; i++) in_process |= st->metrics[i].scorer < 0;
  TRY(store_cells_in(s, e, study_id, CELL_STATES, &b->missing));
  for (int64_t i = 0; i < b->missing.n; i++)
    if (b->missing.at[i].stage == STAGE_SCORE && b->missing.at[i].state != CELL_DONE &&
        !(in_process && b->missing.at[i].by_scorer))
      b->missing.at[kept++] = b->missing.at[i];
  b->missing.n = kept;
out:
  return rc;
}

static int from_store(err *e, store *s, const study *st, int64_t study_id, borrowed *b, table_input *in) {
  int rc = OK;
  TRY(store_score_list(s, e, study_id, &b->scores));
  TRY(unfinished(e, s, st, study_id, b));
  TRY(store_retried_list(s, e, study_id, &b->retried));
  TRY(store_build_list(s, e, study_id, &b->builds));
  in->scores = b->scores.at, in->n_scores = b->scores.n;
  in->missing = b->missing.at, in->n_missing = b->missing.n;
  in->retried = b->retried.at, in->n_retried = b->retried.n;
  in->builds = b->builds.at, in->n_builds = b->builds.n;
out:
  return rc;
}

int study_scores(err *e, store *s, const study *st, const stats_options *stats, study_scores_use *use, void *user) {
  borrowed b = {0};
  store_studies known = {0};
  table_input in = {.study = st->name, .spec_sha256 = st->sha256, .reference = st->reference, .stats = *stats};
  int rc = OK;
  TRY(store_study_list(s, e, st->name, &known));
  in.stored_sha256 = known.at[0].spec_sha256;
  TRY(from_study(e, st, &b, &in));
  TRY(from_store(e, s, st, known.at[0].study_id, &b, &in));
  TRY(use(e, &in, user));
out:
  store_studies_free(&known);
  store_scores_free(&b.scores);
  store_cells_free(&b.missing);
  store_facts_free(&b.retried);
  store_facts_free(&b.builds);
  free(b.rows);
  free(b.metrics);
  free(b.points);
  free(b.excluded);
  free(b.contrasts);
  return rc;
}

static int build(err *e, const table_input *in, void *user) {
  return table_build(e, in, user);
}

int study_table(err *e, store *s, const study *st, const stats_options *stats, table **out) {
  *out = NULL;
  return study_scores(e, s, st, stats, build, out);
}
