/* tandem report: everything about a study in one HTML file. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/study.h"
#include "cli/table_of.h"
#include "cli/verbs.h"
#include "report/figure_study.h"
#include "report/page.h"

typedef struct report_args {
  study_args study;
  int64_t prompts;
} report_args;

static const cli_option options[] = {
    STUDY_OPTIONS(report_args),
    {.name = "prompts",
     .kind = CLI_INT,
     .offset = offsetof(report_args, prompts),
     .value = "N",
     .help = "prompts whose clips are shown, spread over the study's; 0: no clips",
     .initial = "6",
     .hi = 1000},
    {.name = NULL},
};

typedef struct drawn {
  page_figure *at;
  text *svg;
  figure *f;
  int n, cap;
} drawn;

static void drawn_free(drawn *d) {
  for (int i = 0; i < d->n; i++) figure_free(&d->f[i]), text_free(&d->svg[i]);
  free(d->at), free(d->svg), free(d->f);
}

/* A figure that has nothing to show is left out of the page: no training done, no value yet. */
static int keep(cli *c, drawn *d, int rc) {
  figure *f = &d->f[d->n];
  text *svg = &d->svg[d->n];
  if (rc == OK) rc = figure_draw(&c->err, f, &(figure_size){430, 0}, FIGURE_SVG, svg);
  if (rc == OK) {
    d->at[d->n] = (page_figure){.title = f->title, .alt = f->alt, .svg = svg->p};
    d->n++;
    return OK;
  }
  figure_free(f), text_free(svg);
  *svg = (text){0};
  if (rc == E_ARG) err_clear(&c->err);
  return rc == E_ARG ? OK : rc;
}

static int draw_all(cli *c, const table_room *room, const loaded_study *l, drawn *d) {
  const study *s = l->s;
  figure_scores *scores = NULL;
  int rc = OK, base = figure_distance_metric(s);
  d->cap = s->n_metrics + 2;
  TRY(mem_new(&c->err, d->cap, sizeof *d->at, "figures", &d->at));
  TRY(mem_new(&c->err, d->cap, sizeof *d->svg, "figures", &d->svg));
  TRY(mem_new(&c->err, d->cap, sizeof *d->f, "figures", &d->f));
  TRY(figure_scores_open(&c->err, &room->src.in, &scores));
  if (base > 0) TRY(keep(c, d, figure_scatter(&c->err, scores, base, 0, &d->f[d->n])));
  for (int i = 0; i < s->n_metrics; i++)
    if (s->metrics[i].primary && s->reference >= 0) TRY(keep(c, d, figure_paired(&c->err, scores, i, &d->f[d->n])));
  TRY(keep(c, d, figure_losses(&c->err, room->s, s, l->p, &d->f[d->n])));
out:
  figure_scores_close(scores);
  return rc;
}

static int report_verb(cli *c, const void *args) {
  const report_args *a = args;
  loaded_study l = {0};
  table_room room = {0};
  projection p = {0};
  tables t = {0};
  drawn d = {0};
  text page = {0};
  int64_t clips = 0;
  int rc = OK;
  if (!c->output) FAIL(&c->err, E_CONFIG, "name the page with -o FILE.html");
  TRY(loaded_study_open(c, &a->study, &l));
  TRY(table_room_open(c, &l, &room));
  TRY(projection_complete(&c->err, &room.src.keys, &p));
  TRY(tables_project(&c->err, &room.src.keys, &p, &t));
  TRY(draw_all(c, &room, &l, &d));
  page_input in = {.store = room.s,
                   .study = l.s,
                   .plan = l.p,
                   .tables = &t,
                   .figures = d.at,
                   .n_figures = d.n,
                   .prompts = (int)a->prompts};
  TRY(page_make(&c->err, &in, &page, &clips));
  TRY(file_write(&c->err, c->output, page.p, page.n));
  cli_note(c, "%s: %d figures, %lld clips, %.1f MB", c->output, d.n, (long long)clips, (double)page.n / 1e6);
out:
  text_free(&page);
  drawn_free(&d);
  tables_free(&t);
  projection_free(&p);
  table_room_close(&room);
  loaded_study_close(&l);
  return rc;
}

const cli_verb verb_report = {
    .name = "report",
    .group = "studies",
    .help = "everything about a study in one HTML file",
    .usage = "STUDY [NAME=VALUE]... -o FILE.html",
    .about = "Writes a page that needs nothing beside itself: the table (sortable), figures with their content in "
             "words, and\n"
             "clips with alpha over a backdrop that can be switched. It opens from a file and prints.",
    .examples = "tandem report ablation -o ablation.html",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(report_args),
    .run = report_verb,
};
