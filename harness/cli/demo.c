/* tandem demo: the whole loop on the study that comes with the program. */
#include <stdio.h>

#include "cli/run_view.h"
#include "cli/table_of.h"
#include "cli/verbs.h"

typedef struct demo_args {
  study_args study;
  int64_t jobs;
} demo_args;

static const cli_option options[] = {
    STUDY_OPTIONS(demo_args),
    {.name = "jobs",
     .alias = 'j',
     .kind = CLI_INT,
     .offset = offsetof(demo_args, jobs),
     .value = "N",
     .help = "worker processes; 0: one a core",
     .initial = "0",
     .hi = RUN_VIEW_WORKERS},
    {.name = NULL},
};

static int demo(cli *c, const void *args) {
  int rc = OK;
  const demo_args *a = args;
  static const char *word = "demo";
  loaded_study l = {0};
  run_summary sum;
  c->words = (cli_list){&word, 1};
  TRY(loaded_study_open(c, &a->study, &l));
  TRY(run_verb_study(c, &l, &(run_verb_options){.jobs = a->jobs}, &sum));
  if (sum.stopped_by) goto out;
  TRY(table_of_study(c, &l, c->json ? TABLE_JSON : TABLE_TERMINAL));
  cli_note(c, "clips and scores are in %s; try `%s table demo`, `%s status demo`, `%s run ablation`", c->results,
           c->program, c->program, c->program);
out:
  loaded_study_close(&l);
  c->words = (cli_list){0};
  return rc;
}

const cli_verb verb_demo = {
    .name = "demo",
    .group = "start here",
    .help = "train, sample and compare four designs in under a minute",
    .usage = "",
    .about = "Runs configs/studies/demo.json from the base model that comes with the program and prints its table. "
             "Nothing\n"
             "is downloaded. A second run only prints the table again.",
    .examples = "tandem demo\n"
                "tandem demo --json",
    .exits = CLI_EXIT_CELLS | CLI_EXIT_STORE | CLI_EXIT_STOPPED,
    .shared = CLI_RESULTS | CLI_JSON | CLI_THREADS | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .args_size = sizeof(demo_args),
    .run = demo,
};
