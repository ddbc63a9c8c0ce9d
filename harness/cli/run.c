/* tandem run: make a study's cells exist, running only what is missing. tandem demo: the same on a study that comes
 * with the program, then its table. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/run_view.h"
#include "cli/study.h"
#include "cli/verbs.h"
#include "run/host.h"

typedef struct run_args {
  study_args study;
  int64_t jobs, max_fail;
  int retry;
} run_args;

static const cli_option options[] = {
    STUDY_OPTIONS(run_args),
    {.name = "jobs",
     .alias = 'j',
     .kind = CLI_INT,
     .offset = offsetof(run_args, jobs),
     .value = "N",
     .help = "worker processes; 0: one a core",
     .initial = "0",
     .hi = RUN_VIEW_WORKERS},
    {.name = "retry",
     .kind = CLI_FLAG,
     .offset = offsetof(run_args, retry),
     .help = "try cells again that failed in an earlier run, and ask scorers again that did not answer"},
    {.name = "max-fail",
     .kind = CLI_INT,
     .offset = offsetof(run_args, max_fail),
     .value = "N",
     .help = "stop when N cells have failed; 0: never",
     .initial = "0",
     .hi = 1e9},
    {.name = NULL},
};

static json *summary_json(const loaded_study *l, const run_summary *s) {
  json *j = json_new(JSON_OBJECT);
  cli_set_text(&j, "study", l->s->name);
  cli_set_int(&j, "cells", s->total);
  cli_set_int(&j, "hits", s->hits);
  cli_set_int(&j, "ran", s->ran);
  cli_set_int(&j, "failed", s->failed);
  cli_set_int(&j, "blocked", s->blocked);
  cli_set_int(&j, "unanswered", s->unanswered);
  cli_set_int(&j, "signal", s->stopped_by);
  cli_set_number(&j, "seconds", s->seconds);
  return j;
}

static void conclude(cli *c, const loaded_study *l, const run_summary *s) {
  if (s->stopped_by) {
    cli_note(c, "stopped; run the same command again to go on");
    c->status = s->stopped_by == SIGINT ? EXIT_INTERRUPTED : EXIT_AGAIN;
    return;
  }
  cli_note(c, "%s: %lld cells, %lld run, %lld were done already; %.1f s", l->s->name, (long long)s->total,
           (long long)s->ran, (long long)s->hits, s->seconds);
  if (s->unanswered)
    cli_note(c,
             "scorers failed on %lld clips; `%s table` gives the reasons, their logs the details (`%s show KEY`); "
             "run again with --retry to ask again",
             (long long)s->unanswered, c->program, c->program);
  if (s->failed + s->blocked) {
    cli_note(c, "%lld cells failed, %lld are blocked by them; see `%s status`, then run again with --retry",
             (long long)s->failed, (long long)s->blocked, c->program);
    c->status = EXIT_CELLS;
  }
}

int run_verb_study(cli *c, const loaded_study *l, const run_verb_options *o, run_summary *sum) {
  int rc = OK;
  run_view display;
  char self[512];
  snprintf(self, sizeof self, "%s run %s --results %s --retry", c->program, l->file, c->results);
  run_request r = {.study = l->s,
                   .plan = l->p,
                   .results = c->results,
                   .jobs = (int)o->jobs,
                   .threads = (int)c->threads,
                   .retry = o->retry,
                   .max_fail = o->max_fail,
                   .self = self,
                   .event = run_view_event,
                   .user = &display};
  run_view_open(&display, c, o->jobs > 0 ? (int)o->jobs : host_cores());
  rc = run_study(&c->err, &r, sum);
  run_view_close(&display);
  if (rc == OK) conclude(c, l, sum);
  return rc;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const run_args *a = args;
  loaded_study l = {0};
  run_summary sum;
  TRY(loaded_study_open(c, &a->study, &l));
  run_verb_options o = {.jobs = a->jobs, .retry = a->retry, .max_fail = a->max_fail};
  TRY(run_verb_study(c, &l, &o, &sum));
  if (c->json) TRY(cli_put_json(c, summary_json(&l, &sum)));
out:
  loaded_study_close(&l);
  return rc;
}

const cli_verb verb_run = {
    .name = "run",
    .group = "studies",
    .help = "run what is missing of a study",
    .usage = "STUDY [NAME=VALUE]...",
    .about =
        "Prepares, trains, samples and scores every cell of the study that the store does not have yet. Cells run "
        "in\n"
        "processes of their own; what is done is never done again. Ctrl-C saves and says how to go on; the same\n"
        "command resumes. Several runs of one study may work on one store at the same time.",
    .examples = "tandem run ablation\n"
                "tandem run my-study.json --jobs 1 --set train.steps=300\n"
                "tandem run emoji data=/path/to/clips",
    .exits = CLI_EXIT_CELLS | CLI_EXIT_STORE | CLI_EXIT_STOPPED,
    .shared = CLI_RESULTS | CLI_JSON | CLI_THREADS | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(run_args),
    .run = run,
};
