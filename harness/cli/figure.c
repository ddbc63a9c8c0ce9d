/* tandem figure: pictures of a study's numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words_near.h"
#include "cli/costs.h"
#include "cli/study.h"
#include "cli/table_of.h"
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

static int costs_of(err *e, const study *s, double **out) {
  int rc = OK;
  TRY(mem_new(e, s->n_rows, sizeof **out, "costs", out));
  for (int i = 0; i < s->n_rows; i++) TRY(costs_clip(e, &s->rows[i], &(*out)[i]));
out:
  return rc;
}

static int draw_cost(cli *c, const study *s, figure_scores *scores, int metric_index, figure *f) {
  double *costs = NULL;
  int rc = OK;
  TRY(costs_of(&c->err, s, &costs));
  for (int i = 0; i < s->n_rows; i++) costs[i] /= 1e9;
  TRY(figure_cost(&c->err, scores, metric_index, costs, "GFLOP of the denoiser for one clip, lower is cheaper", f));
out:
  free(costs);
  return rc;
}

static int draw_scores(cli *c, const figure_args *a, const study *s, figure_scores *scores, figure *f) {
  int first = 0, other = figure_distance_metric(s), rc = OK;
  if (a->metric) TRY(find_metric(&c->err, s, a->metric, &first));
  if (a->kind == KIND_PAIRED) return figure_paired(&c->err, scores, first, f);
  if (a->kind == KIND_COST) return draw_cost(c, s, scores, first, f);
  if (a->against) TRY(find_metric(&c->err, s, a->against, &other));
  if (other < 0) FAIL(&c->err, E_CONFIG, "the study has no rgb_*_base metric; name the other axis with --against");
  TRY(figure_scatter(&c->err, scores, other, first, f));
out:
  return rc;
}

static int figure_verb(cli *c, const void *args) {
  const figure_args *a = args;
  loaded_study l = {0};
  table_room room = {0};
  figure_scores *scores = NULL;
  figure f = {0};
  figure_format format;
  text bytes = {0};
  int rc = OK;
  if (!c->output) FAIL(&c->err, E_CONFIG, "name the picture with -o FILE.svg, .pdf or .png");
  TRY(figure_format_of(&c->err, c->output, &format));
  TRY(loaded_study_open(c, &a->study, &l));
  TRY(table_room_open(c, &l, &room));
  if (a->kind == KIND_LOSSES) {
    TRY(figure_losses(&c->err, room.s, l.s, l.p, &f));
  } else {
    TRY(figure_scores_open(&c->err, &room.src.in, &scores));
    TRY(draw_scores(c, a, l.s, scores, &f));
  }
  TRY(figure_draw(&c->err, &f, &(figure_size){a->width, a->height}, format, &bytes));
  TRY(file_write(&c->err, c->output, bytes.p, bytes.n));
  cli_note(c, "%s: %s", c->output, f.alt);
out:
  figure_free(&f);
  text_free(&bytes);
  figure_scores_close(scores);
  table_room_close(&room);
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
