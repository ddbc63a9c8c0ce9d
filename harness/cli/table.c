/* tandem table: the result table of a study. */
#include "cli/table_of.h"
#include "cli/verbs.h"

typedef struct table_args {
  study_args study;
  const char *format;
} table_args;

static const cli_option options[] = {
    STUDY_OPTIONS(table_args),
    {.name = "format",
     .kind = CLI_TEXT,
     .offset = offsetof(table_args, format),
     .value = "FORMAT",
     .help = "terminal, md, csv or json",
     .initial = "terminal"},
    {.name = NULL},
};

static int run(cli *c, const void *args) {
  int rc = OK;
  const table_args *a = args;
  loaded_study l = {0};
  table_format f = TABLE_JSON;
  if (!c->json) TRY(table_format_of(&c->err, a->format, &f));
  TRY(loaded_study_open(c, &a->study, &l));
  TRY(table_of_study(c, &l, f));
out:
  loaded_study_close(&l);
  return rc;
}

const cli_verb verb_table = {
    .name = "table",
    .group = "studies",
    .help = "the result table of a study",
    .usage = "STUDY [NAME=VALUE]...",
    .about =
        "Rows are variants, columns metrics: means, paired differences to the reference variant with 95 % clustered\n"
        "bootstrap intervals, declared contrasts with Holm's correction, scores of sets beside their nulls. "
        "Missing,\n"
        "undefined, excluded and retried clips are footnotes. CSV and JSON have every digit.",
    .examples = "tandem table ablation\n"
                "tandem table ablation --format md -o table.md",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(table_args),
    .run = run,
};
