/* tandem plan: what `run` would do now, what it would take, and what changed since the last run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/costs.h"
#include "cli/pick.h"
#include "cli/progress.h"
#include "cli/study.h"
#include "cli/verbs.h"
#include "run/estimate.h"
#include "run/host.h"
#include "run/standing.h"

#define SHOWN_DIFFERENCES 10

typedef struct plan_args {
  study_args study;
  int64_t jobs;
} plan_args;

static const cli_option options[] = {
    STUDY_OPTIONS(plan_args),
    {.name = "jobs",
     .alias = 'j',
     .kind = CLI_INT,
     .offset = offsetof(plan_args, jobs),
     .value = "N",
     .help = "worker processes that the time is shared by; 0: one a core",
     .initial = "0",
     .hi = 64},
    {.name = NULL},
};

/* Of the cells that would be run. */
typedef struct need {
  int64_t cells, timed, sized; /* timed, sized: of them, those that something comparable was measured of */
  double ms, bytes;
} need;

typedef struct outlook {
  const loaded_study *l;
  store *s; /* NULL: there is none yet */
  int jobs;
  int64_t count[STAGE_COUNT][CELL_STATES];
  need need[STAGE_COUNT + 1]; /* the last: all stages */
  plan_differences diff;
  cost_table costs;
} outlook;

static const char *const state_column[] = {"done", "running", "to run", "failed", "blocked", "skipped"};
#define STATE_COLUMNS ((int)(sizeof state_column / sizeof state_column[0]))

static int64_t state_cells(const int64_t n[CELL_STATES], int column) {
  static const store_state of[] = {CELL_DONE, CELL_RUNNING, CELL_READY, CELL_FAILED, CELL_BLOCKED, CELL_SKIPPED};
  return n[of[column]] + (of[column] == CELL_READY ? n[CELL_WAITING] : 0);
}

/* --- looking --- */

static void add_need(need *n, const estimate *x) {
  n->cells++;
  n->timed += x->ms >= 0;
  n->sized += x->bytes >= 0;
  if (x->ms > 0) n->ms += x->ms;
  if (x->bytes > 0) n->bytes += x->bytes;
}

static int look(cli *c, outlook *o) {
  int rc = OK;
  const plan *p = o->l->p;
  store_state *state = NULL;
  estimate *guess = NULL;
  TRY(mem_new(&c->err, p->n, sizeof *state, "states", &state));
  TRY(mem_new(&c->err, p->n, sizeof *guess, "estimates", &guess));
  TRY(standing_of(&c->err, o->s, p, state));
  TRY(estimate_cells(&c->err, o->s, p, guess));
  for (int64_t i = 0; i < p->n; i++) {
    stage st = p->cell[i].stage;
    o->count[st][state[i]]++;
    if (state[i] != CELL_READY && state[i] != CELL_WAITING) continue;
    add_need(&o->need[st], &guess[i]);
    add_need(&o->need[STAGE_COUNT], &guess[i]);
  }
  TRY(plan_differ(&c->err, o->s, o->l->s->name, p, &o->diff));
  for (int i = 0; i < o->l->s->n_rows; i++) TRY(costs_row(&c->err, &o->l->s->rows[i], &o->costs));
out:
  free(state);
  free(guess);
  return rc;
}

/* --- JSON --- */

static void set_need(json **j, const need *n) {
  cli_set_number(j, "worker_seconds", n->ms / 1000);
  cli_set_int(j, "cells_of_unknown_time", n->cells - n->timed);
  cli_set_number(j, "bytes", n->bytes);
  cli_set_int(j, "cells_of_unknown_size", n->cells - n->sized);
}

static json *stages_json(const outlook *o) {
  json *all = json_new(JSON_OBJECT);
  for (int s = 0; s < STAGE_COUNT; s++) {
    json *j = json_new(JSON_OBJECT);
    cli_set_int(&j, "cells", o->l->p->count[s]);
    for (int k = 0; k < STATE_COLUMNS; k++)
      cli_set_int(&j, k == 2 ? "to_run" : state_column[k], state_cells(o->count[s], k));
    set_need(&j, &o->need[s]);
    cli_set(&all, stage_name((stage)s), j);
  }
  return all;
}

static const char *const change_name[PLAN_CHANGES] = {"new", "changed", "gone"};

static cell_place place_of(const plan_difference *x) {
  return (cell_place){x->stage, x->variant, x->prompt, x->train_seed, x->sample_seed};
}

static json *difference_json(const plan_differences *d) {
  json *all = json_new(JSON_OBJECT), *list = json_new(JSON_ARRAY);
  cli_set_bool(&all, "first_run", d->first);
  for (int i = 0; i < PLAN_CHANGES; i++) cli_set_int(&all, change_name[i], d->count[i]);
  for (int64_t i = 0; i < d->n; i++) {
    const plan_difference *x = &d->at[i];
    json *j = json_new(JSON_OBJECT);
    cli_set_text(&j, "change", change_name[x->kind]);
    cell_place place = place_of(x);
    cli_set_text(&j, "key", x->key);
    cli_set_text(&j, "before", x->before);
    pick_place_json(&place, &j);
    cli_push(&list, j);
  }
  cli_set(&all, "cells", list);
  return all;
}

static json *as_json(const outlook *o) {
  json *j = json_new(JSON_OBJECT);
  cli_set_text(&j, "study", o->l->s->name);
  cli_set_text(&j, "sha256", o->l->s->sha256);
  cli_set_int(&j, "cells", o->l->p->n);
  cli_set_int(&j, "to_run", o->need[STAGE_COUNT].cells);
  cli_set_int(&j, "jobs", o->jobs);
  set_need(&j, &o->need[STAGE_COUNT]);
  cli_set(&j, "stages", stages_json(o));
  cli_set(&j, "difference", difference_json(&o->diff));
  cli_set(&j, "costs", costs_json(&o->costs));
  return j;
}

/* --- text --- */

static void add_time(grid *g, const need *n) {
  char t[PROGRESS_TIME];
  progress_time(n->ms / 1000, t);
  if (!n->cells)
    grid_add(g, " ");
  else if (!n->timed)
    grid_add(g, "unknown");
  else
    grid_add(g, "%s%s", n->timed < n->cells ? "over " : "", t);
}

static void add_size(grid *g, const need *n) {
  char b[GRID_SHORT];
  grid_bytes(n->bytes, b);
  if (!n->cells)
    grid_add(g, " ");
  else if (!n->sized)
    grid_add(g, "unknown");
  else
    grid_add(g, "%s%s", n->sized < n->cells ? "over " : "", b);
}

static void stages_text(const outlook *o, text *t) {
  grid g = {.cols = 4 + STATE_COLUMNS};
  int64_t total[CELL_STATES] = {0};
  grid_add(&g, "stage");
  grid_add(&g, "cells");
  for (int k = 0; k < STATE_COLUMNS; k++) grid_add(&g, "%s", state_column[k]);
  grid_add(&g, "worker time");
  grid_add(&g, "disk");
  for (int s = 0; s <= STAGE_COUNT; s++) {
    const int64_t *n = s < STAGE_COUNT ? o->count[s] : total;
    grid_add(&g, "%s", s < STAGE_COUNT ? stage_name((stage)s) : "total");
    grid_add(&g, "%lld", (long long)(s < STAGE_COUNT ? o->l->p->count[s] : o->l->p->n));
    for (int k = 0; k < STATE_COLUMNS; k++) grid_add(&g, "%lld", (long long)state_cells(n, k));
    for (int k = 0; s < STAGE_COUNT && k < CELL_STATES; k++) total[k] += n[k];
    add_time(&g, &o->need[s]);
    add_size(&g, &o->need[s]);
  }
  grid_print(&g, t);
  grid_free(&g);
}

static void one_difference(const plan_difference *x, text *t) {
  cell_place place = place_of(x);
  text_addf(t, "  %-8s", change_name[x->kind]);
  pick_place_text(&place, t);
  if (x->before) text_addf(t, " %.12s", x->before);
  if (x->key) text_addf(t, "%s %.12s", x->before ? " ->" : "", x->key);
  text_add(t, "\n");
}

static void difference_text(const outlook *o, text *t) {
  const plan_differences *d = &o->diff;
  if (d->first) {
    text_addf(t, "\nthis store has no earlier run of study %s\n", o->l->s->name);
    return;
  }
  text_addf(t, "\nsince the last run of study %s: %lld cells new, %lld changed, %lld no longer wanted\n",
            o->l->s->name, (long long)d->count[PLAN_NEW], (long long)d->count[PLAN_CHANGED],
            (long long)d->count[PLAN_GONE]);
  for (int64_t i = 0; i < d->n && i < SHOWN_DIFFERENCES; i++) one_difference(&d->at[i], t);
  if (d->n > SHOWN_DIFFERENCES)
    text_addf(t, "  and %lld more (--json has them all)\n", (long long)(d->n - SHOWN_DIFFERENCES));
}

static void as_text(const outlook *o, text *t) {
  const need *all = &o->need[STAGE_COUNT];
  char wall[PROGRESS_TIME];
  text_addf(t, "study %s: %lld cells, %lld to run\n\n", o->l->s->name, (long long)o->l->p->n, (long long)all->cells);
  stages_text(o, t);
  progress_time(all->ms / 1000 / o->jobs, wall);
  if (all->timed)
    text_addf(t, "\n%s %s with %d worker%s", all->timed < all->cells ? "over" : "about", wall, o->jobs,
              o->jobs == 1 ? "" : "s");
  if (all->timed) text_add(t, ", from the median of measured cells of the same stage and shape\n");
  if (all->timed < all->cells)
    text_addf(t, "%sno time is known for %lld cells: none of their stage and shape was measured in this store\n",
              all->timed ? "" : "\n", (long long)(all->cells - all->timed));
  difference_text(o, t);
  if (o->costs.n) {
    text_add(t, "\nper training step and per sampling pass, from the null backend (no work is done)\n");
    costs_text(&o->costs, t);
  }
}

static int open_store(cli *c, store **out) {
  char path[STORE_PATH];
  if (snprintf(path, sizeof path, "%s/store.db", c->results) >= (int)sizeof path)
    return err_set(&c->err, E_ARG, "%s: path too long", c->results);
  return file_exists(path) ? store_open(&c->err, c->results, STORE_READ, out) : OK;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const plan_args *a = args;
  loaded_study l = {0};
  outlook o = {.l = &l, .jobs = a->jobs > 0 ? (int)a->jobs : host_cores()};
  text t = {0};
  TRY(loaded_study_open(c, &a->study, &l));
  TRY(open_store(c, &o.s));
  TRY(look(c, &o));
  if (c->json) {
    TRY(cli_put_json(c, as_json(&o)));
  } else {
    as_text(&o, &t);
    TRY(cli_put(c, &t));
  }
out:
  text_free(&t);
  costs_free(&o.costs);
  plan_differences_free(&o.diff);
  store_close(o.s);
  loaded_study_close(&l);
  return rc;
}

const cli_verb verb_plan = {
    .name = "plan",
    .group = "studies",
    .help = "what a run would do, take and change; nothing is run",
    .usage = "STUDY [NAME=VALUE]...",
    .about =
        "Cells of every stage that are done, to run, failed or blocked in this store; the time and disk of those to\n"
        "run, from the median of measured cells of the same stage and shape; which cells are new, changed or no\n"
        "longer wanted since the study's last run (`why KEY` says what changed); and memory and work of a training\n"
        "step and a sampling pass of every variant. The store is only read, and need not exist.",
    .examples = "tandem plan ablation\n"
                "tandem plan ablation --set train.steps=1200 --jobs 8\n"
                "tandem plan emoji data=clips/ --json",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(plan_args),
    .run = run,
};
