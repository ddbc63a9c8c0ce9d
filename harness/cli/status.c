/* tandem status: how far a study is, and what went wrong. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/grid.h"
#include "cli/pick.h"
#include "cli/stop.h"
#include "cli/study.h"
#include "cli/verbs.h"
#include "run/host.h"
#include "store/query.h"

#define SHOWN_CELLS 20

typedef struct status_args {
  int watch;
  double every;
} status_args;

static const cli_option options[] = {
    {.name = "watch",
     .alias = 'w',
     .kind = CLI_FLAG,
     .offset = offsetof(status_args, watch),
     .help = "print again while cells are open: on a terminal in place, else when something changed"},
    {.name = "every",
     .kind = CLI_NUMBER,
     .offset = offsetof(status_args, every),
     .value = "SECONDS",
     .help = "between looks with --watch",
     .initial = "2",
     .lo = 0.1,
     .hi = 3600},
    {.name = NULL},
};

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

static json *counts_json(const store_counts *n, const int64_t ms[STAGE_COUNT]) {
  json *stages = json_new(JSON_OBJECT);
  for (int s = 0; s < STAGE_COUNT; s++) {
    json *o = json_new(JSON_OBJECT);
    for (int k = 0; k < CELL_STATES; k++) cli_set_int(&o, store_state_name((store_state)k), n->n[s][k]);
    cli_set_int(&o, "median_ms", ms[s]);
    cli_set(&stages, stage_name((stage)s), o);
  }
  return stages;
}

static void counts_text(const store_counts *n, const int64_t ms[STAGE_COUNT], text *t) {
  grid g = {.cols = 2 + CELL_STATES};
  grid_add(&g, "stage");
  for (int k = 0; k < CELL_STATES; k++) grid_add(&g, "%s", store_state_name((store_state)k));
  grid_add(&g, "median");
  for (int s = 0; s < STAGE_COUNT; s++) {
    grid_add(&g, "%s", stage_name((stage)s));
    for (int k = 0; k < CELL_STATES; k++) grid_add(&g, "%lld", (long long)n->n[s][k]);
    if (ms[s] >= 0)
      grid_add(&g, "%.1f s", (double)ms[s] / 1000);
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

/* What is said of one study. */
typedef struct standing {
  const store_study_row *study;
  store_counts n;
  int64_t ms[STAGE_COUNT]; /* medians */
  store_cells failed, running;
  char *lost; /* [running.n] */
} standing;

static void standing_free(standing *x) {
  store_cells_free(&x->failed);
  store_cells_free(&x->running);
  free(x->lost);
}

/* Lost: leases that expired, and those of processes of this machine that are gone; the next run takes their cells. */
static int look(cli *c, store *s, const store_study_row *st, standing *x) {
  int rc = OK;
  int64_t now = store_now_ms();
  *x = (standing){.study = st};
  TRY(store_status(s, &c->err, st->study_id, now, &x->n));
  TRY(store_medians(s, &c->err, st->study_id, x->ms));
  TRY(store_cells_in(s, &c->err, st->study_id, CELL_FAILED, &x->failed));
  TRY(store_cells_in(s, &c->err, st->study_id, CELL_RUNNING, &x->running));
  TRY(mem_new(&c->err, x->running.n, 1, "marks", &x->lost));
  x->n.lost = 0;
  for (int64_t i = 0; i < x->running.n; i++) {
    const store_cell_row *r = &x->running.at[i];
    x->lost[i] = r->lease_until_ms < now || (r->lease_owner && host_owner_is_dead(r->lease_owner));
    x->n.lost += x->lost[i];
  }
out:
  return rc;
}

static json *running_json(const standing *x) {
  json *list = json_new(JSON_ARRAY);
  for (int64_t i = 0; i < x->running.n; i++) {
    cell_place place = pick_place(&x->running.at[i]);
    json *o = json_new(JSON_OBJECT);
    cli_set_text(&o, "key", x->running.at[i].key);
    pick_place_json(&place, &o);
    cli_set_text(&o, "worker", x->running.at[i].lease_owner);
    cli_set_bool(&o, "lost", x->lost[i]);
    cli_push(&list, o);
  }
  return list;
}

static json *as_json(const standing *x) {
  json *o = json_new(JSON_OBJECT);
  cli_set_text(&o, "study", x->study->name);
  cli_set_text(&o, "spec_sha256", x->study->spec_sha256);
  cli_set_int(&o, "cells", x->study->cells);
  cli_set_int(&o, "lost", x->n.lost);
  cli_set(&o, "stages", counts_json(&x->n, x->ms));
  cli_set(&o, "running", running_json(x));
  cli_set(&o, "failed", failures_json(&x->failed));
  return o;
}

static void more_text(int64_t n, const char *state, text *t) {
  if (n > SHOWN_CELLS)
    text_addf(t, "and %lld more: tandem why --most 0 state=%s\n", (long long)(n - SHOWN_CELLS), state);
}

static void classes_text(const store_cells *failed, text *t) {
  const char *const *all = select_classes();
  int shown = 0;
  for (int i = 0; all[i]; i++) {
    int64_t n = 0;
    for (int64_t k = 0; k < failed->n; k++)
      n += failed->at[k].fail_class && !strcmp(failed->at[k].fail_class, all[i]);
    if (n) text_addf(t, "%s%s %lld", shown++ ? ", " : "failed by class: ", all[i], (long long)n);
  }
  if (shown) text_add(t, "\n");
}

static void as_text(const standing *x, text *t) {
  text_addf(t, "study %s (spec %.12s): %lld cells", x->study->name, x->study->spec_sha256,
            (long long)x->study->cells);
  if (x->n.lost) text_addf(t, ", %lld lost", (long long)x->n.lost);
  text_add(t, "\n");
  counts_text(&x->n, x->ms, t);
  for (int64_t i = 0; i < x->running.n && i < SHOWN_CELLS; i++) {
    cell_place place = pick_place(&x->running.at[i]);
    text_addf(t, "%s: ", x->lost[i] ? "lost" : "running");
    pick_place_text(&place, t);
    text_addf(t, " %.12s (%s)\n", x->running.at[i].key,
              x->running.at[i].lease_owner ? x->running.at[i].lease_owner : "?");
  }
  more_text(x->running.n, "running,lost", t);
  classes_text(&x->failed, t);
  for (int64_t i = 0; i < x->failed.n && i < SHOWN_CELLS; i++)
    text_addf(t, "failed: %s %s %.12s: %s: %.300s\n", stage_name(x->failed.at[i].stage),
              x->failed.at[i].variant ? x->failed.at[i].variant : "", x->failed.at[i].key,
              x->failed.at[i].fail_class ? x->failed.at[i].fail_class : "lost",
              x->failed.at[i].fail_msg ? x->failed.at[i].fail_msg : "");
  more_text(x->failed.n, "failed", t);
}

/* Everything once, as text or into a list; *open: cells that a run could still take or is at. */
static int once(cli *c, store *s, json **list, text *t, int64_t *open) {
  int rc = OK;
  store_studies l = {0};
  *open = 0;
  TRY(find_study(c, s, &l));
  for (int64_t i = 0; rc == OK && i < l.n; i++) {
    standing x;
    rc = look(c, s, &l.at[i], &x);
    if (rc == OK && c->json) cli_push(list, as_json(&x));
    if (rc == OK && !c->json) {
      text_add(t, i ? "\n" : "");
      as_text(&x, t);
    }
    for (int k = 0; k < STAGE_COUNT; k++)
      *open += x.n.n[k][CELL_WAITING] + x.n.n[k][CELL_READY] + x.n.n[k][CELL_RUNNING];
    standing_free(&x);
  }
out:
  store_studies_free(&l);
  return rc;
}

static int watch(cli *c, store *s, double every) {
  int rc = OK, live = cli_live() && isatty(1);
  int64_t open = 1;
  text now = {0}, before = {0};
  stop_listen();
  while (open && !stop_signal()) {
    TRY(once(c, s, NULL, &now, &open));
    TRY(text_ok(&now, &c->err));
    if (!before.p || strcmp(before.p, now.p) != 0) {
      if (live) TRY(cli_write(c, "\033[H\033[J", 6));
      if (!live && before.p) TRY(cli_write(c, "\n", 1));
      TRY(cli_write(c, now.p, now.n));
      if (fflush(stdout) != 0) break; /* the reader went away; the dispatcher says so */
    }
    text_free(&before);
    before = now;
    now = (text){0};
    struct timespec rest = {(time_t)every, (long)((every - floor(every)) * 1e9)};
    if (open) nanosleep(&rest, NULL);
  }
  if (stop_signal()) c->status = stop_status(stop_signal());
out:
  text_free(&now);
  text_free(&before);
  return rc;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const status_args *a = args;
  store *s = NULL;
  json *list = json_new(JSON_ARRAY);
  text t = {0};
  int64_t open;
  if (a->watch && (c->json || c->output)) FAIL(&c->err, E_ARG, "--watch prints text to standard output only");
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  if (store_note(s)) cli_note(c, "%s", store_note(s));
  if (a->watch) {
    TRY(watch(c, s, a->every));
    goto out;
  }
  TRY(once(c, s, &list, &t, &open));
  if (c->json) {
    rc = cli_put_json(c, list);
    list = NULL;
  } else {
    rc = cli_put(c, &t);
  }
out:
  json_free(list);
  text_free(&t);
  store_close(s);
  return rc;
}

const cli_verb verb_status = {
    .name = "status",
    .group = "studies",
    .help = "how far a study is, and what went wrong",
    .usage = "[STUDY]",
    .about = "Cells by stage and state, the median time of an attempt, what runs where, and failed cells with class\n"
             "and reason. A lost cell is one whose worker gives no sign of life; the next run takes it. Without a\n"
             "study: all studies of the store.",
    .examples = "tandem status ablation\n"
                "tandem status ablation --watch\n"
                "tandem status --json",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .max_words = 1,
    .args_size = sizeof(status_args),
    .run = run,
};
