/* tandem metrics: questions about the metrics themselves. */
#include <string.h>

#include "cli/metrics_validate.h"
#include "cli/verbs.h"

typedef struct metrics_args {
  validate_args validate;
} metrics_args;

static const cli_option options[] = {VALIDATE_OPTIONS(metrics_args), {.name = NULL}};

static int run(cli *c, const void *args) {
  const metrics_args *a = args;
  if (strcmp(c->words.v[0], "validate"))
    return err_set(&c->err, E_ARG, "metrics: '%.80s' is not validate", c->words.v[0]);
  return metrics_validate(c, &a->validate, c->words.v + 1, c->words.n - 1);
}

const cli_verb verb_metrics = {
    .name = "metrics",
    .group = "look inside",
    .help = "do the metrics see what is wrong with an alpha?",
    .usage = "validate [CLIP|DIR]...",
    .about = "validate: plants known defects of growing strength in the alpha of procedural clips and of the clips "
             "given, and\n"
             "counts for every metric on how many clips it puts the strengths in order. With --study, correlates the "
             "alignment\n"
             "scores of a study's clips with their true agreement as well.",
    .examples = "tandem metrics validate\n"
                "tandem metrics validate clips/ --clips 0 --metric color_fit,edge_color --json\n"
                "tandem metrics validate --study ablation --markdown",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_THREADS | CLI_OUTPUT,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(metrics_args),
    .run = run,
};
