/* `tandem metrics validate`: planted defects and, with --study, agreement with the truth. */
#ifndef TD_CLI_METRICS_VALIDATE_H
#define TD_CLI_METRICS_VALIDATE_H

#include "cli/cli.h"

typedef struct validate_args {
  cli_list metrics;
  const char *study;
  int64_t clips, seed, replicates;
  int markdown, strict;
} validate_args;

/* Rows for the option table of the verb; `type` has a member `validate` of type validate_args. The verb also needs
 * CLI_RESULTS, CLI_JSON, CLI_THREADS and CLI_OUTPUT. */
#define VALIDATE_OPTIONS(type)                                                                                       \
  {.name = "metric",                                                                                                 \
   .kind = CLI_TEXTS,                                                                                                \
   .offset = offsetof(type, validate.metrics),                                                                       \
   .value = "ID,...",                                                                                                \
   .help = "validate: these instead of all metrics, their gains and color_fit in a fine window"},                    \
      {.name = "study",                                                                                              \
       .kind = CLI_TEXT,                                                                                             \
       .offset = offsetof(type, validate.study),                                                                     \
       .value = "NAME",                                                                                              \
       .help = "validate: also correlate scores with the truth on this study's clips in the store"},                 \
      {.name = "clips",                                                                                              \
       .kind = CLI_INT,                                                                                              \
       .offset = offsetof(type, validate.clips),                                                                     \
       .value = "N",                                                                                                 \
       .initial = "12",                                                                                              \
       .hi = 10000,                                                                                                  \
       .help = "validate: procedural clips of each of the two kinds; 0: only those given"},                          \
      {.name = "seed",                                                                                               \
       .kind = CLI_INT,                                                                                              \
       .offset = offsetof(type, validate.seed),                                                                      \
       .value = "N",                                                                                                 \
       .initial = "1",                                                                                               \
       .hi = 9007199254740991,                                                                                       \
       .help = "validate: of procedural clips, plates, noise and resampling"},                                       \
      {.name = "replicates",                                                                                         \
       .kind = CLI_INT,                                                                                              \
       .offset = offsetof(type, validate.replicates),                                                                \
       .value = "N",                                                                                                 \
       .initial = "1000",                                                                                            \
       .lo = 1,                                                                                                      \
       .hi = 1000000,                                                                                                \
       .help = "validate: resamplings of the prompts of --study"},                                                   \
      {.name = "markdown",                                                                                           \
       .kind = CLI_FLAG,                                                                                             \
       .offset = offsetof(type, validate.markdown),                                                                  \
       .help = "validate: the section of docs/metrics.md"},                                                          \
  {                                                                                                                  \
    .name = "strict", .kind = CLI_FLAG, .offset = offsetof(type, validate.strict),                                   \
    .help = "validate: exit 1 when a defect has no primary metric that orders it on 90 % of the clips"               \
  }

/* Whether an option of `validate` was given that a list of metrics cannot use. */
int metrics_validate_asked(const validate_args *a);
/* words: the clips and folders after the word "validate". */
int metrics_validate(cli *c, const validate_args *a, const char *const *words, int n) TD_MUST_CHECK;

#endif
