#include "cli/pick.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

select_facts pick_facts(const store_cell_row *c, int64_t now_ms) {
  int lost = c->state == CELL_RUNNING && c->lease_until_ms < now_ms;
  return (select_facts){.key = c->key,
                        .stage = stage_name(c->stage),
                        .state = lost ? "lost" : store_state_name(c->state),
                        .fail_class = c->fail_class,
                        .study = c->study,
                        .variant = c->variant,
                        .prompt = c->prompt_id,
                        .train_seed = c->train_seed,
                        .sample_seed = c->sample_seed};
}

int pick_selector(cli *c, unsigned fields, selector **out) {
  int rc = OK;
  text t = {0};
  *out = NULL;
  for (int i = 0; i < c->words.n; i++) text_addf(&t, "%s%s", i ? " " : "", c->words.v[i]);
  TRY(text_ok(&t, &c->err));
  TRY(select_parse(&c->err, t.p ? t.p : "", fields, out));
out:
  text_free(&t);
  return rc;
}

int pick_cells(cli *c, store *s, picked *out) {
  int rc = OK;
  selector *want = NULL;
  int64_t now = store_now_ms();
  *out = (picked){0};
  TRY(pick_selector(c, SELECT_ALL, &want));
  TRY(store_cells_each(s, &c->err, &out->all));
  TRY(mem_new(&c->err, out->all.n, sizeof *out->at, "cells", &out->at));
  for (int64_t i = 0; i < out->all.n; i++) {
    const store_cell_row *row = &out->all.at[i];
    select_facts f = pick_facts(row, now);
    int again = out->n && !strcmp(out->at[out->n - 1]->key, row->key); /* another study has it too */
    if (!again && select_match(want, &f)) out->at[out->n++] = row;
  }
  if (!out->n && select_has(want, SELECT_KEY)) FAIL(&c->err, E_ARG, "%s: no cell of the store matches", c->results);
out:
  select_free(want);
  return rc;
}

void picked_free(picked *p) {
  free(p->at);
  store_cells_free(&p->all);
  *p = (picked){0};
}

cell_place pick_place(const store_cell_row *c) {
  return (cell_place){c->stage, c->variant, c->prompt_id, c->train_seed, c->sample_seed};
}

void pick_place_text(const cell_place *p, text *t) {
  text_add(t, stage_name(p->stage));
  if (p->variant && *p->variant) text_addf(t, " %s", p->variant);
  if (p->train_seed != SEED_NONE) text_addf(t, " train seed %lld", (long long)p->train_seed);
  if (p->sample_seed != SEED_NONE) text_addf(t, " sample seed %lld", (long long)p->sample_seed);
  if (p->prompt) text_addf(t, " prompt %s", p->prompt);
}

static void set_seed(json **j, const char *name, int64_t v) {
  cli_set(j, name, v == SEED_NONE ? json_new(JSON_NULL) : json_new_number((double)v));
}

void pick_place_json(const cell_place *p, json **j) {
  cli_set_text(j, "stage", stage_name(p->stage));
  cli_set_text(j, "variant", p->variant);
  cli_set_text(j, "prompt", p->prompt);
  set_seed(j, "train_seed", p->train_seed);
  set_seed(j, "sample_seed", p->sample_seed);
}
