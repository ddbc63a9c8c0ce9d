#include "cli/show_cell.h"

#include <stdlib.h>
#include <string.h>

#include "cli/grid.h"
#include "report/table_cells.h"
#include "store/object.h"
#include "store/query.h"

/* One clip behind a cell. */
typedef struct clip_line {
  store_cells cell;
  store_scores measures;
  store_inputs inputs;
  store_artifacts artifacts;
  const store_score *score; /* NULL: the store has none of this metric and version */
  char clip[STORE_PATH];    /* "" when it is not there */
} clip_line;

static void drop(clip_line *l) {
  store_cells_free(&l->cell);
  store_scores_free(&l->measures);
  store_inputs_free(&l->inputs);
  store_artifacts_free(&l->artifacts);
}

static int find_line(cli *c, store *s, const cell_address *a, const char *key, clip_line *l) {
  int rc = OK;
  *l = (clip_line){0};
  TRY(store_cell_find(s, &c->err, key, &l->cell));
  TRY(store_measure_list(s, &c->err, key, &l->measures));
  for (int64_t i = 0; i < l->measures.n; i++)
    if (strcmp(l->measures.at[i].metric, a->metric) == 0 && l->measures.at[i].version == a->version)
      l->score = &l->measures.at[i];
  TRY(store_input_list(s, &c->err, key, &l->inputs));
  for (int64_t i = 0; i < l->inputs.n; i++) {
    if (strcmp(l->inputs.at[i].role, "sample") != 0 || !l->inputs.at[i].key) continue;
    TRY(store_artifact_list(s, &c->err, l->inputs.at[i].key, &l->artifacts));
  }
  for (int64_t i = 0; i < l->artifacts.n; i++)
    if (strcmp(l->artifacts.at[i].role, "clip") == 0)
      TRY(object_path(s, &c->err, l->artifacts.at[i].sha256, l->clip));
out:
  return rc;
}

static void add_seed(grid *g, int64_t seed) {
  if (seed == SEED_NONE)
    grid_add(g, "-");
  else
    grid_add(g, "%lld", (long long)seed);
}

static void add_line(grid *g, const clip_line *l) {
  const store_cell_row *r = &l->cell.at[0];
  grid_add(g, "%.12s", r->key);
  grid_add(g, "%s", r->variant ? r->variant : "-");
  grid_add(g, "%s", r->prompt_id ? r->prompt_id : "-");
  add_seed(g, r->train_seed);
  add_seed(g, r->sample_seed);
  if (l->score && l->score->kind != KIND_UNDEFINED)
    grid_add(g, "%.6g", l->score->value);
  else
    grid_add(g, "%s", l->score ? l->score->reason : "no score");
  grid_add(g, "%s", l->clip[0] ? l->clip : "-");
}

static json *line_json(const clip_line *l) {
  json *o = json_new(JSON_OBJECT);
  const store_cell_row *r = &l->cell.at[0];
  cli_set_text(&o, "key", r->key);
  cli_set_text(&o, "variant", r->variant);
  cli_set_text(&o, "prompt", r->prompt_id);
  cli_set(&o, "train_seed",
          r->train_seed == SEED_NONE ? json_new(JSON_NULL) : json_new_number((double)r->train_seed));
  cli_set(&o, "sample_seed",
          r->sample_seed == SEED_NONE ? json_new(JSON_NULL) : json_new_number((double)r->sample_seed));
  cli_set(&o, "value",
          l->score && l->score->kind == KIND_FINITE ? json_new_number(l->score->value) : json_new(JSON_NULL));
  cli_set_text(&o, "reason", l->score ? l->score->reason : "no score");
  cli_set_text(&o, "clip", l->clip[0] ? l->clip : NULL);
  return o;
}

static const char *key_at(const cell_address *a, const json *index) {
  const json *k =
      index->type == JSON_NUMBER && index->is_int && index->num >= 0 ? json_at(a->keys, (int64_t)index->num) : NULL;
  return k && k->type == JSON_STRING ? k->str : NULL;
}

static int show(cli *c, const cell_address *a, const char *given) {
  int rc = OK;
  store *s = NULL;
  clip_line l = {0};
  grid g = {.cols = 7};
  text t = {0};
  json *all = json_new(JSON_ARRAY);
  static const char *const head[] = {"cell", "variant", "prompt", "train", "sample", "value", "clip"};
  for (int i = 0; i < 7; i++) grid_add(&g, "%s", head[i]);
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  for (const json *i = a->indices->child; i; i = i->next) {
    const char *key = key_at(a, i);
    if (!key) FAIL(&c->err, E_FORMAT, "%s: this is no cells.json of a table", given);
    drop(&l);
    TRY(find_line(c, s, a, key, &l));
    add_line(&g, &l);
    if (c->json) cli_push(&all, line_json(&l));
  }
  if (c->json) {
    json *o = json_new(JSON_OBJECT);
    cli_set_text(&o, "row", a->row);
    cli_set_text(&o, "column", a->column);
    cli_set_text(&o, "part", a->part);
    cli_set_text(&o, "metric", a->metric);
    cli_set_int(&o, "version", a->version);
    cli_set(&o, "clips", all);
    all = NULL;
    TRY(cli_put_json(c, o));
    goto out;
  }
  text_addf(&t, "%s%s%s, %s: %s version %lld over %lld clips\n", a->part ? a->part : "", a->part ? ", " : "", a->row,
            a->column, a->metric, (long long)a->version, (long long)json_count(a->indices));
  grid_print(&g, &t);
  TRY(cli_put(c, &t));
out:
  json_free(all);
  drop(&l);
  grid_free(&g);
  text_free(&t);
  store_close(s);
  return rc;
}

int show_table_cell(cli *c, const char *given) {
  const char *colon = strrchr(given, ':');
  char *end = NULL;
  text path = {0};
  json *root = NULL;
  cell_address a;
  int rc = OK;
  long row = colon ? strtol(colon + 1, &end, 10) : 0, column = end && *end == ',' ? strtol(end + 1, &end, 10) : 0;
  if (!colon || colon == given || row < 1 || column < 1 || *end)
    FAIL(&c->err, E_ARG, "--cell '%.200s': wants FILE:ROW,COLUMN, counted from 1: tab.tex:3,2", given);
  text_addn(&path, given, (size_t)(colon - given));
  text_add(&path, ".cells.json");
  TRY(text_ok(&path, &c->err));
  TRY(json_read(&c->err, path.p, &root));
  if (table_cells_find(&c->err, root, row, column, &a) != OK) TRY(err_prefix(&c->err, "%s", path.p));
  TRY(show(c, &a, path.p));
out:
  json_free(root);
  text_free(&path);
  return rc;
}
