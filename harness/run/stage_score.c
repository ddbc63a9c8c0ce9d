/* The score stage: one clip, its partner (same prompt, other seed) and the base model's clip become measures. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/metric.h"
#include "run/score_files.h"
#include "run/stage_internal.h"

/* Path of an input, or NULL where the cell has none of this role. */
static int find_input(err *e, const stage_cell *cell, const char *role, const char **path) {
  *path = NULL;
  return stage_has_input(cell, role) ? stage_input(e, cell, role, path) : OK;
}

static int read_requests(err *e, const stage_cell *cell, metric_request **out, int64_t *n) {
  int rc = OK;
  const json *list = json_get(cell->spec, "metrics");
  if (!list || list->type != JSON_ARRAY) FAIL(e, E_CONFIG, "the spec of a score has no list of metrics");
  *n = json_count(list);
  TRY(mem_new(e, *n, sizeof **out, "metrics", out));
  int64_t i = 0;
  for (const json *m = list->child; m; m = m->next, i++) {
    const json *id = json_get(m, "id"), *version = json_get(m, "version");
    if (!id || id->type != JSON_STRING || !version) FAIL(e, E_CONFIG, "a metric of the spec has no id or version");
    TRY(metric_parse(e, id->str, &(*out)[i]));
    if ((*out)[i].metric->version != (int)version->num)
      FAIL(e, E_CONFIG, "metric %s has version %d in this build, the plan asks for %d; run the study again", id->str,
           (*out)[i].metric->version, (int)version->num);
  }
out:
  return rc;
}

static int keep(err *e, stage_cell *cell, const metric_request *list, const metric_value *value, int64_t n) {
  int rc = OK;
  TRY(mem_new(e, n, sizeof(stage_measure), "measures", &cell->measures));
  cell->n_measures = n;
  for (int64_t i = 0; i < n; i++) {
    stage_measure *m = &cell->measures[i];
    metric_print(&list[i], m->metric);
    m->version = list[i].metric->version;
    m->value = value[i].value;
    m->reason = value[i].reason;
    m->support = value[i].support;
  }
out:
  return rc;
}

int stage_score(err *e, stage_cell *cell, const stage_env *env) {
  int rc = OK;
  const char *kind;
  int64_t n = 0;
  score_files f = {0};
  metric_request *list = NULL;
  metric_value *value = NULL;
  (void)env;
  TRY(spec_text(e, cell->spec, "data.kind", &kind));
  f.world = !strcmp(kind, "world");
  TRY(read_requests(e, cell, &list, &n));
  TRY(mem_new(e, n, sizeof *value, "scores", &value));
  TRY(find_input(e, cell, "sample", &f.sample));
  if (!f.sample) FAIL(e, E_CONFIG, "this cell has no clip to score");
  TRY(find_input(e, cell, "partner", &f.partner));
  TRY(find_input(e, cell, "base", &f.base));
  TRY(find_input(e, cell, "vae", &f.vae));
  TRY(score_files_run(e, &f, list, n, value));
  TRY(keep(e, cell, list, value, n));
out:
  free(list);
  free(value);
  return rc;
}
