/* tandem figure: pictures of a study's numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words_near.h"
#include "cli/costs.h"
#include "cli/study.h"
#include "cli/verbs.h"
#include "report/figure_study.h"

typedef enum figure_kind { KIND_SCATTER, KIND_PAIRED, KIND_COST, KIND_LOSSES } figure_kind;
static const char *const kinds[] = {"scatter", "paired", "cost", "losses", NULL};

typedef struct figure_args {
  study_args study;
  int kind;
  const char *metric, *against;
  double width, height;
} figure_args;

static const cli_option options[] = {
    STUDY_OPTIONS(figure_args),
    {.name = "kind",
     .kind = CLI_CHOICE,
     .offset = offsetof(figure_args, kind),
     .value = "KIND",
     .help = "scatter: one metric against another; paired: differences to the reference variant; cost: a metric "
             "against FLOPs of a clip; losses: training curves",
     .initial = "scatter",
     .choices = kinds},
    {.name = "metric",
     .kind = CLI_TEXT,
     .offset = offsetof(figure_args, metric),
     .value = "ID",
     .help = "what is shown, upwards where there are two axes; none: the study's first metric"},
    {.name = "against",
     .kind = CLI_TEXT,
     .offset = offsetof(figure_args, against),
     .value = "ID",
     .help = "the other metric of a scatter plot; none: the study's distance to the base model"},
    {.name = "width",
     .kind = CLI_NUMBER,
     .offset = offsetof(figure_args, width),
     .value = "PT",
     .help = "width in points of 1/72 inch",
     .initial = "400",
     .lo = 100,
     .hi = 2000},
    {.name = "height",
     .kind = CLI_NUMBER,
     .offset = offsetof(figure_args, height),
     .value = "PT",
     .help = "height; 0: by what is shown",
     .initial = "0",
     .lo = 0,
     .hi = 2000},
    {.name = NULL},
};

static int find_metric(err *e, const study *s, const char *id, int *out) {
  near_word near = near_start(id, strlen(id));
  for (int i = 0; i < s->n_metrics; i++) {
    near_offer(&near, s->metrics[i].id);
    if (strcmp(s->metrics[i].id, id) != 0) continue;
    *out = i;
    return OK;
  }
  return err_set(e, E_CONFIG, "the study has no metric '%s'%s", id, near_hint(&near));
}

/* The study's distance to the base model, as its metrics name it. */
static int distance_metric(err *e, const study *s, int *out) {
  for (int i = 0; i < s->n_metrics; i++)
    if (strncmp(s->metrics[i].id, "rgb_", 4) == 0 && strstr(s->metrics[i].id, "_base")) {
      *out = i;
      return OK;
    }
  return err_set(e, E_CONFIG, "the study has no rgb_*_base metric; name the other axis with --against");
}

static int costs_of(err *e, const study *s, double **out) {
  int rc = OK;
  TRY(mem_new(e, s->n_rows, sizeof **out, "costs", out));
  for (int i = 0; i < s->n_rows; i++) TRY(costs_clip(e, &s->rows[i], &(*out)[i]));
out:
  return rc;
}

static int make(cli *c, const figure_args *a, figure_source *from, figure *f) {
  const study *s = from->study;
  int first = 0, other = 0, rc = OK;
  double *costs = NULL;
  if (a->metric) TRY(find_metric(&c->err, s, a->metric, &first));
  switch ((figure_kind)a->kind) {
  case KIND_PAIRED: TRY(figure_paired(&c->err, from, first, f)); break;
  case KIND_LOSSES: TRY(figure_losses(&c->err, from, f)); break;
  case KIND_COST:
    TRY(costs_of(&c->err, s, &costs));
    for (int i = 0; i < s->n_rows; i++) costs[i] /= 1e9;
    from->cost = costs;
    from->cost_label = "GFLOP of the denoiser for one clip, lower is cheaper";
    TRY(figure_cost(&c->err, from, first, f));
    break;
  default:
    TRY(a->against ? find_metric(&c->err, s, a->against, &other) : distance_metric(&c->err, s, &other));
    TRY(figure_scatter(&c->err, from, other, first, f));
  }
out:
  free(costs);
  return rc;
}

static int figure_verb(cli *c, const void *args) {
  const figure_args *a = args;
  loaded_study l = {0};
  store *s = NULL;
  figure f = {0};
  figure_format format;
  text bytes = {0};
  stats_options stats = stats_defaults(0);
  int rc = OK;
  if (!c->output) FAIL(&c->err, E_CONFIG, "name the picture with -o FILE.svg, .pdf or .png");
  TRY(figure_format_of(&c->err, c->output, &format));
  TRY(loaded_study_open(c, &a->study, &l));
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  figure_source from = {.store = s, .study = l.s, .plan = l.p, .stats = &stats};
  TRY(make(c, a, &from, &f));
  TRY(figure_draw(&c->err, &f, &(figure_size){a->width, a->height}, format, &bytes));
  TRY(file_write(&c->err, c->output, bytes.p, bytes.n));
  cli_note(c, "%s: %s", c->output, f.alt);
out:
  figure_free(&f);
  text_free(&bytes);
  store_close(s);
  loaded_study_close(&l);
  return rc;
}

const cli_verb verb_figure = {
    .name = "figure",
    .group = "studies",
    .help = "a picture of a study's numbers: SVG, PDF or PNG",
    .usage = "STUDY [NAME=VALUE]... -o FILE",
    .about =
        "Draws means or paired differences with 95 % clustered bootstrap intervals, or training curves. Colours\n"
        "and shapes of variants are the same in all figures of a study. SVG carries the content in words as\n"
        "its description; the same words go to standard error.",
    .examples = "tandem figure ablation -o fig11.pdf\n"
                "tandem figure ablation --kind paired --metric color_fit_gain -o paired.svg\n"
                "tandem figure ablation --kind cost -o cost.png",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(figure_args),
    .run = figure_verb,
};
