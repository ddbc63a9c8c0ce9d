/* tandem sheet: a contact sheet of a study's clips. */
#include "cli/study.h"
#include "cli/verbs.h"
#include "report/contact.h"

typedef struct sheet_args {
  study_args study;
  cli_list prompts, variants;
  int64_t frames, scale;
  const char *planes;
  int rule;
} sheet_args;

static const char *const rules[] = {[CONTACT_EVEN] = "even", [CONTACT_MOTION] = "motion", NULL};

static const cli_option options[] = {
    STUDY_OPTIONS(sheet_args),
    {.name = "prompt",
     .kind = CLI_TEXTS,
     .offset = offsetof(sheet_args, prompts),
     .value = "ID",
     .help = "a prompt to show; may be repeated; none: four spread over the study's"},
    {.name = "variant",
     .kind = CLI_TEXTS,
     .offset = offsetof(sheet_args, variants),
     .value = "NAME",
     .help = "a variant to show; may be repeated; none: all"},
    {.name = "frames",
     .kind = CLI_INT,
     .offset = offsetof(sheet_args, frames),
     .value = "N",
     .help = "frames of each clip",
     .initial = "2",
     .lo = 1,
     .hi = 64},
    {.name = "choose",
     .kind = CLI_CHOICE,
     .offset = offsetof(sheet_args, rule),
     .value = "RULE",
     .help = "which frames: even, from the first to the last (1: the middle one); motion, where alpha changes most",
     .initial = "even",
     .choices = rules},
    {.name = "planes",
     .kind = CLI_TEXT,
     .offset = offsetof(sheet_args, planes),
     .value = "LIST",
     .help = "rows of a variant: rgb, alpha, checker, plate (composites), outline (alpha's contour, green where the "
             "picture has an edge, red where not)",
     .initial = "rgb,alpha,checker"},
    {.name = "scale",
     .kind = CLI_INT,
     .offset = offsetof(sheet_args, scale),
     .value = "N",
     .help = "every pixel becomes N x N",
     .initial = "2",
     .lo = 1,
     .hi = 16},
    {.name = NULL},
};

static int sheet_verb(cli *c, const void *args) {
  int rc = OK;
  const sheet_args *a = args;
  loaded_study l = {0};
  store *s = NULL;
  int64_t shown = 0;
  const char *path = c->output;
  unsigned planes;
  TRY(contact_planes(&c->err, a->planes, &planes));
  TRY(loaded_study_open(c, &a->study, &l));
  if (!path) FAIL(&c->err, E_ARG, "a contact sheet is a PNG file; name it with -o FILE");
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  contact_choice choice = {.prompts = a->prompts.n ? a->prompts.v : NULL,
                           .n_prompts = a->prompts.n,
                           .variants = a->variants.n ? a->variants.v : NULL,
                           .n_variants = a->variants.n,
                           .frames = (int)a->frames,
                           .scale = (int)a->scale,
                           .planes = planes,
                           .rule = (contact_rule)a->rule};
  TRY(contact_study(&c->err, s, l.s, l.p, &choice, path, &shown));
  cli_note(c, "%s: %lld clips", path, (long long)shown);
out:
  store_close(s);
  loaded_study_close(&l);
  return rc;
}

const cli_verb verb_sheet = {
    .name = "sheet",
    .group = "studies",
    .help = "a contact sheet of a study's clips",
    .usage = "STUDY [NAME=VALUE]... -o FILE",
    .about = "Writes a PNG: for every variant a row of each plane; for every prompt the same frames of the first "
             "seed.\n"
             "Clips that are not made yet stay grey.",
    .examples = "tandem sheet demo -o demo.png\n"
                "tandem sheet ablation --prompt in-01 --prompt out-05 --frames 4 -o sheet.png\n"
                "tandem sheet ablation --variant ours --planes rgb,alpha,plate,outline --choose motion -o ours.png",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(sheet_args),
    .run = sheet_verb,
};
