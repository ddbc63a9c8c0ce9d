/* tandem status: how far a study is, and what went wrong. */
#include <stdlib.h>
#include <string.h>

#include "cli/grid.h"
#include "cli/study.h"
#include "cli/verbs.h"
#include "store/query.h"

/* A study in the store by the name in its file, or by the word itself when there is no such file. */
static int find_study(cli *c, store *s, store_studies *out) {
  int rc = OK;
  char *file = NULL;
  json *j = NULL;
  err quiet = {0};
  const char *name = c->words.n ? c->words.v[0] : NULL;
  if (name && cli_study_file(c, name, &file) == OK && json_read(&quiet, file, &j) == OK) {
    const json *v = json_get(j, "study");
    if (v && v->type == JSON_STRING) name = v->str;
  }
  err_clear(&c->err);
  TRY(store_study_list(s, &c->err, name, out));
out:
  json_free(j);
  free(file);
  return rc;
}

static json *counts_json(const store_counts *n) {
  json *stages = json_new(JSON_OBJECT);
  for (int s = 0; s < STAGE_COUNT; s++) {
    json *o = json_new(JSON_OBJECT);
    for (int k = 0; k < CELL_STATES; k++) cli_set_int(&o, store_state_name((store_state)k), n->n[s][k]);
    cli_set_int(&o, "median_ms", n->stage_ms[s]);
    cli_set(&stages, stage_name((stage)s), o);
  }
  return stages;
}

static void counts_text(const store_counts *n, text *t) {
  grid g = {.cols = 2 + CELL_STATES};
  grid_add(&g, "stage");
  for (int k = 0; k < CELL_STATES; k++) grid_add(&g, "%s", store_state_name((store_state)k));
  grid_add(&g, "median");
  for (int s = 0; s < STAGE_COUNT; s++) {
    grid_add(&g, "%s", stage_name((stage)s));
    for (int k = 0; k < CELL_STATES; k++) grid_add(&g, "%lld", (long long)n->n[s][k]);
    if (n->stage_ms[s] >= 0)
      grid_add(&g, "%.1f s", (double)n->stage_ms[s] / 1000);
    else
      grid_add(&g, " ");
  }
  grid_print(&g, t);
  grid_free(&g);
}

static json *failures_json(const store_cells *f) {
  json *list = json_new(JSON_ARRAY);
  for (int64_t i = 0; i < f->n; i++) {
    json *o = json_new(JSON_OBJECT);
    cli_set_text(&o, "key", f->at[i].key);
    cli_set_text(&o, "stage", stage_name(f->at[i].stage));
    cli_set_text(&o, "variant", f->at[i].variant);
    cli_set_text(&o, "class", f->at[i].fail_class);
    cli_set_text(&o, "message", f->at[i].fail_msg);
    cli_push(&list, o);
  }
  return list;
}

static int one_study(cli *c, store *s, const store_study_row *st, json **list, text *t) {
  int rc = OK;
  store_counts n;
  store_cells failed = {0};
  TRY(store_status(s, &c->err, st->study_id, store_now_ms(), &n));
  TRY(store_cells_in(s, &c->err, st->study_id, CELL_FAILED, &failed));
  if (c->json) {
    json *o = json_new(JSON_OBJECT);
    cli_set_text(&o, "study", st->name);
    cli_set_text(&o, "spec_sha256", st->spec_sha256);
    cli_set_int(&o, "cells", st->cells);
    cli_set_int(&o, "lost", n.lost);
    cli_set(&o, "stages", counts_json(&n));
    cli_set(&o, "failed", failures_json(&failed));
    cli_push(list, o);
    goto out;
  }
  text_addf(t, "study %s (spec %.12s): %lld cells", st->name, st->spec_sha256, (long long)st->cells);
  if (n.lost) text_addf(t, ", %lld lost", (long long)n.lost);
  text_add(t, "\n");
  counts_text(&n, t);
  for (int64_t i = 0; i < failed.n; i++)
    text_addf(t, "failed: %s %s %.12s: %s: %.300s\n", stage_name(failed.at[i].stage),
              failed.at[i].variant ? failed.at[i].variant : "", failed.at[i].key,
              failed.at[i].fail_class ? failed.at[i].fail_class : "?",
              failed.at[i].fail_msg ? failed.at[i].fail_msg : "");
out:
  store_cells_free(&failed);
  return rc;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  store *s = NULL;
  store_studies l = {0};
  json *list = json_new(JSON_ARRAY);
  text t = {0};
  (void)args;
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  TRY(find_study(c, s, &l));
  if (store_note(s)) cli_note(c, "%s", store_note(s));
  for (int64_t i = 0; i < l.n; i++) {
    if (i && !c->json) text_add(&t, "\n");
    TRY(one_study(c, s, &l.at[i], &list, &t));
  }
  if (c->json) {
    rc = cli_put_json(c, list);
    list = NULL;
  } else {
    rc = cli_put(c, &t);
  }
out:
  json_free(list);
  text_free(&t);
  store_studies_free(&l);
  store_close(s);
  return rc;
}

const cli_verb verb_status = {
    .name = "status",
    .group = "studies",
    .help = "how far a study is, and what went wrong",
    .usage = "[STUDY]",
    .about = "Cells by stage and state, the median time of a cell, and every failed cell with its class and reason.\n"
             "Without a study: all studies of the store.",
    .examples = "tandem status ablation\n"
                "tandem status --json",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_CONFIGS | CLI_OUTPUT,
    .max_words = 1,
    .args_size = sizeof(int),
    .run = run,
};
