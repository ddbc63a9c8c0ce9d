/* What verbs that take a study share: `STUDY [NAME=VALUE]... [--set PATH=VALUE]... [--limit N]`. */
#ifndef TD_CLI_STUDY_H
#define TD_CLI_STUDY_H

#include "cli/cli.h"
#include "study/plan.h"
#include "study/study.h"

typedef struct study_args {
  cli_list sets;
  int64_t limit;
} study_args;

/* Rows for a verb's option table; `type` has a member `study` of type study_args. */
#define STUDY_OPTIONS(type)                                                                                          \
  {.name = "set",                                                                                                    \
   .kind = CLI_TEXTS,                                                                                                \
   .offset = offsetof(type, study.sets),                                                                             \
   .value = "PATH=VALUE",                                                                                            \
   .help = "a setting that wins over the study file, e.g. train.steps=100"},                                         \
  {                                                                                                                  \
    .name = "limit", .kind = CLI_INT, .offset = offsetof(type, study.limit), .value = "N", .initial = "0",           \
    .hi = 1e12, .help = "most points the matrix may have; 0: 100000"                                                 \
  }

typedef struct loaded_study {
  char *file;
  study *s;
  plan *p;
  problems problems;
} loaded_study;

/* Reads, checks and expands words[0] of the command line with words[1..] as the study's arguments. Every problem goes
 * to standard error; with errors the result is E_CONFIG and s and p are NULL, the problems stay. */
int loaded_study_open(cli *c, const study_args *a, loaded_study *out) TD_MUST_CHECK;
/* The same for a study that an option names, with `args` as its arguments. */
int loaded_study_named(cli *c, const char *name, const study_args *a, const cli_list *args,
                       loaded_study *out) TD_MUST_CHECK;
/* loaded_study_open without the plan (p stays NULL): for verbs that only read scores, of which no file that the study
 * names is opened. */
int loaded_study_unplanned(cli *c, const study_args *a, loaded_study *out) TD_MUST_CHECK;
void loaded_study_close(loaded_study *l);

#endif
