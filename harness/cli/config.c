/* tandem config: what a study's settings are, and which file, line or argument made them so. */
#include <stdlib.h>
#include <string.h>

#include "base/words_near.h"
#include "cli/grid.h"
#include "cli/study.h"
#include "cli/verbs.h"

typedef struct config_args {
  study_args study;
  const char *variant, *explain;
} config_args;

static const cli_option options[] = {
    STUDY_OPTIONS(config_args),
    {.name = "variant",
     .kind = CLI_TEXT,
     .offset = offsetof(config_args, variant),
     .value = "NAME",
     .help = "the row to show; the reference when absent"},
    {.name = "explain",
     .kind = CLI_TEXT,
     .offset = offsetof(config_args, explain),
     .value = "PATH",
     .help = "one setting, in every row"},
    {.name = NULL},
};

/* Does the row have cells of the stage? A design that trains nothing prepares nothing either. */
static int has_stage(const study_row *r, stage st) {
  const json *weights = r->value[spec_find("model.weights")].v;
  if (st == STAGE_PREPARE || st == STAGE_TRAIN) return r->trains;
  return st != STAGE_PRETRAIN || (weights->type == JSON_STRING && strcmp(weights->str, "pretrain") == 0);
}

/* Does any stage of the row read it? */
static int is_read(const study_row *r, const setting *s) {
  for (int st = 0; st < STAGE_COUNT; st++)
    if (has_stage(r, (stage)st) && study_reads(r, s, (stage)st)) return 1;
  return 0;
}

static void origin(const study_value *v, text *t) {
  if (v->given == GIVEN_DEFAULT)
    text_add(t, "default");
  else if (v->given == GIVEN_COMMAND)
    text_add(t, "command line");
  else
    text_addf(t, "%s:%d:%d", v->at.file ? v->at.file : "", v->at.line, v->at.col);
}

static void one_text(const study_row *r, int i, grid *g) {
  text value = {0}, from = {0};
  json_canonical(&value, r->value[i].v);
  origin(&r->value[i], &from);
  grid_add_text(g, value.p ? value.p : "");
  grid_add_text(g, !is_read(r, &spec_settings()[i]) ? "not read" : from.p ? from.p : "");
  text_free(&value);
  text_free(&from);
}

static json *one_json(const study_row *r, int i) {
  json *j = json_new(JSON_OBJECT);
  text from = {0};
  origin(&r->value[i], &from);
  cli_set_text(&j, "variant", r->name);
  cli_set_text(&j, "setting", spec_settings()[i].path);
  cli_set(&j, "value", json_copy(r->value[i].v));
  cli_set_text(&j, "from", from.p);
  cli_set_bool(&j, "read", is_read(r, &spec_settings()[i]));
  text_free(&from);
  return j;
}

static int find_setting(cli *c, const char *path, int *out) {
  near_word near = near_start(path, strlen(path));
  *out = spec_find(path);
  if (*out >= 0) return OK;
  for (int i = 0; i < spec_count(); i++) near_offer(&near, spec_settings()[i].path);
  return err_set(&c->err, E_ARG, "setting '%.80s' is not known%s; docs/studies.md lists them", path,
                 near_hint(&near));
}

/* The rows, as a table under what `t` says or as the list. Frees all three. */
static int say(cli *c, grid *g, text *t, json *list) {
  int rc;
  grid_print(g, t);
  if (c->json) {
    rc = cli_put_json(c, list);
  } else {
    rc = cli_put(c, t);
    json_free(list);
  }
  grid_free(g);
  text_free(t);
  return rc;
}

/* One setting, a line a row. */
static int explain(cli *c, const study *s, const char *path) {
  int i, rc = OK;
  grid g = {.cols = 3};
  text t = {0};
  json *list = json_new(JSON_ARRAY);
  TRY(find_setting(c, path, &i));
  const setting *x = &spec_settings()[i];
  text_addf(&t, "%s: %s%s%s\n", x->path, x->help, x->unit && x->unit[0] ? "; " : "", x->unit ? x->unit : "");
  grid_add(&g, "variant"), grid_add(&g, "value"), grid_add(&g, "from");
  for (int r = 0; r < s->n_rows; r++) {
    grid_add_text(&g, s->rows[r].name);
    one_text(&s->rows[r], i, &g);
    if (c->json) cli_push(&list, one_json(&s->rows[r], i));
  }
  return say(c, &g, &t, list);
out:
  json_free(list);
  return rc;
}

/* Every setting that the row reads. */
static int show(cli *c, const study_row *r) {
  grid g = {.cols = 3};
  text t = {0};
  json *list = json_new(JSON_ARRAY);
  grid_add(&g, "setting"), grid_add(&g, "value"), grid_add(&g, "from");
  for (int i = 0; i < spec_count(); i++) {
    if (!is_read(r, &spec_settings()[i])) continue;
    grid_add_text(&g, spec_settings()[i].path);
    one_text(r, i, &g);
    if (c->json) cli_push(&list, one_json(r, i));
  }
  return say(c, &g, &t, list);
}

static int run(cli *c, const void *args) {
  int rc = OK, row;
  const config_args *a = args;
  loaded_study l = {0};
  TRY(loaded_study_unplanned(c, &a->study, &l));
  row = a->variant ? study_row_find(l.s, a->variant) : l.s->reference;
  if (row < 0) FAIL(&c->err, E_ARG, "the study has no variant '%.80s'", a->variant ? a->variant : "");
  rc = a->explain ? explain(c, l.s, a->explain) : show(c, &l.s->rows[row]);
out:
  loaded_study_close(&l);
  return rc;
}

const cli_verb verb_config = {
    .name = "config",
    .group = "studies",
    .help = "what a study's settings are and where each comes from",
    .usage = "STUDY [NAME=VALUE]...",
    .about =
        "Every setting that a variant reads, with its value and what made it so: the default, FILE:LINE:COLUMN of\n"
        "the study or of a file it extends, or the command line. With --explain one setting in every variant. The\n"
        "order in which they win: default, base of extended files, base, variant, matrix, --set.",
    .examples = "tandem config ablation --variant latent\n"
                "tandem config ablation --explain train.steps\n"
                "tandem config ablation --set train.steps=100 --explain train.steps --json",
    .shared = CLI_JSON | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(config_args),
    .run = run,
};
