/* tandem compare: two variants, clip by clip. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/frozen.h"
#include "cli/requests.h"
#include "cli/verbs.h"
#include "report/compare.h"

typedef struct compare_args {
  study_args study;
  cli_list metrics;
  const char *format, *other_results;
  double margin, alpha;
} compare_args;

static const cli_option options[] = {
    STUDY_OPTIONS(compare_args),
    {.name = "metric",
     .kind = CLI_TEXTS,
     .offset = offsetof(compare_args, metrics),
     .value = "LIST",
     .help = "metrics to compare, the family of the correction; all of the study when absent"},
    {.name = "margin",
     .kind = CLI_NUMBER,
     .offset = offsetof(compare_args, margin),
     .value = "X",
     .help = "differences up to X count as the same, in the metric's unit",
     .initial = "0",
     .hi = 1e300},
    {.name = "alpha",
     .kind = CLI_NUMBER,
     .offset = offsetof(compare_args, alpha),
     .value = "P",
     .help = "level of the family of tests",
     .initial = "0.05",
     .lo = 1e-12,
     .hi = 1},
    {.name = "other-results",
     .kind = CLI_TEXT,
     .offset = offsetof(compare_args, other_results),
     .value = "DIR",
     .help = "the result store of B; --results when absent"},
    {.name = "format",
     .kind = CLI_TEXT,
     .offset = offsetof(compare_args, format),
     .value = "FORMAT",
     .help = "terminal, md or json",
     .initial = "terminal"},
    {.name = NULL},
};

/* One side of the comparison. */
typedef struct side {
  char *study, *variant;
  loaded_study l;
  baseline b;
} side;

static void side_free(side *s) {
  baseline_free(&s->b);
  loaded_study_close(&s->l);
  free(s->study);
  free(s->variant);
}

/* "STUDY:VARIANT", or with a study to fall back on "VARIANT". */
static int split(cli *c, const char *word, const char *fallback, side *s) {
  const char *colon = strrchr(word, ':');
  int rc = OK;
  if (!colon && !fallback)
    FAIL(&c->err, E_ARG, "'%.200s' names no study: write STUDY:VARIANT, e.g. ablation:batch", word);
  TRY(mem_strdup(&c->err, colon ? word : fallback, &s->study));
  if (colon) s->study[colon - word] = 0;
  TRY(mem_strdup(&c->err, colon ? colon + 1 : word, &s->variant));
out:
  return rc;
}

static int open_side(cli *c, const compare_args *a, const char *folder, side *s) {
  int rc = OK;
  int64_t missing;
  text known = {0};
  TRY(frozen_open_study(c, &a->study, s->study, 2, &s->l));
  if (study_row_find(s->l.s, s->variant) >= 0) goto found;
  for (int i = 0; i < s->l.s->n_rows; i++) text_addf(&known, "%s%s", i ? ", " : "", s->l.s->rows[i].name);
  FAIL(&c->err, E_ARG, "study %s has no variant '%.80s' (known: %.900s)", s->l.s->name, s->variant,
       known.n ? known.p : "none");
found:
  TRY(frozen_scores(c, folder, &s->l, &s->b, &missing));
  if (missing) cli_warn("%s: %lld clips have no score yet", s->l.s->name, (long long)missing);
out:
  text_free(&known);
  return rc;
}

static int format_of(cli *c, const compare_args *a, int *out) {
  static const char *const words[] = {"terminal", "md", "json"};
  for (*out = 0; *out < 3; ++*out)
    if (strcmp(c->json ? "json" : a->format, words[*out]) == 0) return OK;
  return err_set(&c->err, E_ARG, "unknown format '%.40s' (known: terminal, md, json)", a->format);
}

/* The texts of all --metric lists, one after the other; the caller frees both. */
typedef struct names {
  char (*text)[METRIC_TEXT];
  const char **v;
  int64_t n, cap;
} names;

static int read_names(cli *c, const cli_list *lists, names *out) {
  int rc = OK;
  for (int i = 0; i < lists->n; i++) {
    const char *rest = lists->v[i];
    while (*rest) {
      TRY(mem_grow(&c->err, &out->text, &out->cap, out->n + 1, sizeof *out->text, "metrics"));
      TRY(requests_next(&c->err, "--metric", &rest, out->text[out->n]));
      out->n++;
    }
  }
  TRY(mem_new(&c->err, out->n, sizeof *out->v, "metrics", &out->v));
  for (int64_t i = 0; i < out->n; i++) out->v[i] = out->text[i];
out:
  return rc;
}

static int run(cli *c, const void *args) {
  const compare_args *a = args;
  side s[2] = {{0}, {0}};
  verdict_list l = {0};
  text out = {0};
  names wanted = {0};
  int rc = OK, format;
  TRY(format_of(c, a, &format));
  TRY(read_names(c, &a->metrics, &wanted));
  TRY(split(c, c->words.v[0], NULL, &s[0]));
  TRY(split(c, c->words.v[1], s[0].study, &s[1]));
  TRY(open_side(c, a, c->results, &s[0]));
  TRY(open_side(c, a, a->other_results ? a->other_results : c->results, &s[1]));
  compare_input in = {.a = {&s[0].b, s[0].variant},
                      .b = {&s[1].b, s[1].variant},
                      .metrics = wanted.v,
                      .n_metrics = (int)wanted.n,
                      .margin = a->margin,
                      .alpha = a->alpha,
                      .stats = stats_defaults(0)};
  TRY(compare_variants(&c->err, &in, &l));
  if (format == 0)
    verdict_terminal(&l, cli_color(c, 1), &out);
  else if (format == 1)
    verdict_markdown(&l, &out);
  else
    verdict_json(&l, &out);
  TRY(cli_put(c, &out));
out:
  text_free(&out);
  verdict_list_free(&l);
  free(wanted.text);
  free(wanted.v);
  for (int i = 0; i < 2; i++) side_free(&s[i]);
  return rc;
}

const cli_verb verb_compare = {
    .name = "compare",
    .group = "studies",
    .help = "two variants clip by clip: better, same, worse, unclear or missing",
    .usage = "STUDY:VARIANT [STUDY:]VARIANT [NAME=VALUE]...",
    .about =
        "The first minus the second, paired by prompt, train seed and sample seed: mean with its 95 % clustered\n"
        "bootstrap interval, sign-flip permutation test with Holm's correction over the metrics compared, IQM,\n"
        "probability of improvement, prompts won, tied and lost, undefined scores. The verdict is 'same' when\n"
        "the interval lies within the margin, 'better' or 'worse' when it lies beyond it and the corrected test\n"
        "agrees, else 'unclear'. Judging is no failure: the exit code is 0 (see gate).",
    .examples = "tandem compare ablation:batch ours\n"
                "tandem compare ablation:batch ours --metric true_iou_gain --margin 0.01 --format md\n"
                "tandem compare ablation:ours ablation:ours --other-results ../before/results/local",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .min_words = 2,
    .max_words = -1,
    .args_size = sizeof(compare_args),
    .run = run,
};
