/* tandem check: everything that can be said of a study without running it. */
#include <stdlib.h>
#include <string.h>

#include "cli/costs.h"
#include "cli/study.h"
#include "cli/verbs.h"

typedef struct check_args {
  study_args study;
  int plan;
} check_args;

static const cli_option options[] = {
    STUDY_OPTIONS(check_args),
    {.name = "plan",
     .kind = CLI_FLAG,
     .offset = offsetof(check_args, plan),
     .help = "also print memory and work of a training step and a sampling pass of every variant"},
    {.name = NULL},
};

/* --- what is printed --- */

static json *problems_json(const problems *p) {
  json *list = json_new(JSON_ARRAY);
  for (int64_t i = 0; i < p->n; i++) {
    json *j = json_new(JSON_OBJECT);
    cli_set_text(&j, "severity", p->v[i].warning ? "warning" : "error");
    cli_set_text(&j, "file", p->v[i].file);
    cli_set_int(&j, "line", p->v[i].line);
    cli_set_int(&j, "column", p->v[i].col);
    cli_set_text(&j, "text", p->v[i].text);
    cli_push(&list, j);
  }
  return list;
}

static json *rows_json(const study *s) {
  json *list = json_new(JSON_ARRAY);
  char name[DESIGN_TEXT];
  for (int i = 0; i < s->n_rows; i++) {
    json *j = json_new(JSON_OBJECT);
    design_print(&s->rows[i].design, OPTION_TRAIN | OPTION_SAMPLE, name);
    cli_set_text(&j, "variant", s->rows[i].name);
    cli_set_text(&j, "design", name);
    cli_set_bool(&j, "reference", i == s->reference);
    cli_push(&list, j);
  }
  return list;
}

static json *cells_json(const plan *p) {
  json *j = json_new(JSON_OBJECT);
  for (int i = 0; i < STAGE_COUNT; i++) cli_set_int(&j, stage_name((stage)i), p->count[i]);
  cli_set_int(&j, "total", p->n);
  return j;
}

static json *scorers_json(const study *s) {
  json *list = json_new(JSON_ARRAY);
  for (int i = 0; i < s->n_scorers; i++) {
    const study_scorer *x = s->scorers[i];
    json *j = json_new(JSON_OBJECT), *measures = json_new(JSON_ARRAY);
    for (int k = 0; k < s->n_metrics; k++)
      if (s->metrics[k].scorer == i) cli_push(&measures, json_new_string(s->metrics[k].id));
    cli_set_text(&j, "id", x->id);
    cli_set_text(&j, "card", x->card.id);
    cli_set_int(&j, "version", x->card.version);
    cli_set(&j, "measures", measures);
    cli_push(&list, j);
  }
  return list;
}

static json *sets_json(const study *s) {
  json *list = json_new(JSON_ARRAY);
  for (int i = 0; i < s->n_sets; i++) {
    json *j = json_new(JSON_OBJECT);
    cli_set_text(&j, "set", s->sets[i].id);
    cli_set_text(&j, "against", s->sets[i].against);
    cli_push(&list, j);
  }
  return list;
}

static json *as_json(const loaded_study *l, const cost_table *costs) {
  json *j = json_new(JSON_OBJECT);
  cli_set_text(&j, "file", l->file);
  cli_set_bool(&j, "ok", l->p != NULL);
  cli_set(&j, "problems", problems_json(&l->problems));
  if (!l->p) return j;
  cli_set_text(&j, "study", l->s->name);
  cli_set_text(&j, "sha256", l->s->sha256);
  cli_set(&j, "variants", rows_json(l->s));
  cli_set_int(&j, "prompts", l->s->n_prompts);
  cli_set_int(&j, "metrics", l->s->n_metrics);
  cli_set(&j, "scorers", scorers_json(l->s));
  cli_set(&j, "sets", sets_json(l->s));
  cli_set_int(&j, "points", l->s->n_points);
  cli_set_int(&j, "excluded", l->s->n_excluded);
  cli_set(&j, "cells", cells_json(l->p));
  if (costs->n) cli_set(&j, "plan", costs_json(costs));
  return j;
}

static void as_text(const loaded_study *l, const cost_table *costs, text *t) {
  const study *s = l->s;
  grid g = {.cols = 2};
  text_addf(t, "study %s: %d variants, %d prompts, %d metrics, %lld points", s->name, s->n_rows, s->n_prompts,
            s->n_metrics, (long long)s->n_points);
  if (s->n_sets) text_addf(t, ", %d scores of sets", s->n_sets);
  if (s->n_excluded) text_addf(t, " (%lld excluded)", (long long)s->n_excluded);
  text_add(t, "\n\n");
  grid_add(&g, "stage");
  grid_add(&g, "cells");
  for (int i = 0; i < STAGE_COUNT; i++) {
    grid_add(&g, "%s", stage_name((stage)i));
    grid_add(&g, "%lld", (long long)l->p->count[i]);
  }
  grid_add(&g, "total");
  grid_add(&g, "%lld", (long long)l->p->n);
  grid_print(&g, t);
  grid_free(&g);
  if (costs->n) {
    text_add(t, "\nper training step and per sampling pass, from the null backend (no work is done)\n");
    costs_text(costs, t);
  }
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const check_args *a = args;
  loaded_study l;
  cost_table costs = {0};
  text t = {0};
  rc = loaded_study_open(c, &a->study, &l);
  if (rc == E_CONFIG && c->json) {
    err before = c->err; /* the document is printed all the same; its failure to print matters less */
    rc = cli_put_json(c, as_json(&l, &costs));
    c->err = before;
    FAIL(&c->err, E_CONFIG, "%s", before.text);
  }
  TRY(rc);
  for (int i = 0; a->plan && i < l.s->n_rows; i++) TRY(costs_row(&c->err, &l.s->rows[i], &costs));
  if (c->json) {
    TRY(cli_put_json(c, as_json(&l, &costs)));
  } else {
    as_text(&l, &costs, &t);
    TRY(cli_put(c, &t));
  }
out:
  costs_free(&costs);
  loaded_study_close(&l);
  return rc;
}

const cli_verb verb_check = {
    .name = "check",
    .group = "studies",
    .help = "read a study file, list its problems, count its cells",
    .usage = "STUDY [NAME=VALUE]...",
    .about =
        "Reads a study file, validates and expands it and counts the cells of every stage; nothing is run but the\n"
        "--describe of its external scorers. All problems go to standard error as FILE:LINE:COLUMN with the\n"
        "nearest name that exists. STUDY is a file, or the name of one in configs/studies; NAME=VALUE are the\n"
        "study's own arguments.",
    .examples = "tandem check ablation\n"
                "tandem check configs/studies/ablation.json --plan\n"
                "tandem check configs/studies/emoji.json data=clips/ --set train.steps=100 --json",
    .shared = CLI_JSON | CLI_CONFIGS,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(check_args),
    .run = run,
};
