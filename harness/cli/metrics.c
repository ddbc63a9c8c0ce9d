/* tandem metrics: what the metrics of this build are, and what they see. */
#include <math.h>
#include <string.h>

#include "cli/grid.h"
#include "cli/metrics_validate.h"
#include "cli/verbs.h"
#include "metrics/describe.h"

static void bounds_json(json **j, double lo, double hi) {
  cli_set(j, "lo", isfinite(lo) ? json_new_number(lo) : json_new(JSON_NULL));
  cli_set(j, "hi", isfinite(hi) ? json_new_number(hi) : json_new(JSON_NULL));
}

static json *params_json(const metric_param *p) {
  json *all = json_new(JSON_ARRAY);
  for (; p && p->name; p++) {
    json *one = json_new(JSON_OBJECT);
    cli_set_text(&one, "name", p->name);
    cli_set_number(&one, "default", p->initial);
    cli_set_number(&one, "lo", p->lo);
    cli_set_number(&one, "hi", p->hi);
    cli_set_text(&one, "help", p->help);
    cli_push(&all, one);
  }
  return all;
}

static json *set_json(const set_metric *m) {
  json *j = json_new(JSON_OBJECT);
  cli_set_text(&j, "id", m->id);
  cli_set_bool(&j, "set", 1);
  cli_set_int(&j, "version", m->version);
  cli_set_int(&j, "tier", m->tier);
  cli_set_text(&j, "direction", metric_direction_name(m->direction));
  cli_set_text(&j, "unit", m->unit);
  bounds_json(&j, m->lo, m->hi);
  cli_set_text(&j, "plane", metric_plane_name(m->plane));
  cli_set_text(&j, "picture", metric_picture_name(m->extractor->picture));
  cli_set_text(&j, "features", m->extractor->id);
  cli_set(&j, "parameters", params_json(m->params));
  cli_set_text(&j, "help", m->help);
  cli_set_text(&j, "source", m->citation);
  return j;
}

static json *metric_json(const metric *m) {
  json *j = json_new(JSON_OBJECT), *reasons = json_new(JSON_ARRAY);
  text needs = {0};
  metric_needs_text(m, &needs);
  cli_set_text(&j, "id", m->id);
  cli_set_int(&j, "version", m->version);
  cli_set_int(&j, "tier", m->tier);
  cli_set_text(&j, "cost", metric_cost_name(m->cost));
  cli_set_text(&j, "direction", metric_direction_name(m->direction));
  cli_set_text(&j, "unit", m->unit);
  bounds_json(&j, m->lo, m->hi);
  cli_set_text(&j, "plane", metric_plane_name(m->plane));
  cli_set_text(&j, "picture", metric_picture_name(m->picture));
  cli_set_text(&j, "needs", needs.p);
  cli_set_int(&j, "min_frames", m->min_frames);
  cli_set_bool(&j, "gain", m->gain_ok);
  cli_set(&j, "parameters", params_json(m->params));
  for (int i = 0; m->reasons[i]; i++) cli_push(&reasons, cli_string(m->reasons[i]));
  cli_set(&j, "reasons", reasons);
  cli_set_text(&j, "help", m->help);
  cli_set_text(&j, "source", m->citation);
  if (text_ok(&needs, NULL) != OK) json_free(j), j = NULL;
  text_free(&needs);
  return j;
}

static int list(cli *c) {
  json *all = NULL;
  grid g = {.cols = 8};
  text out = {0};
  if (c->json) {
    all = json_new(JSON_ARRAY);
    for (const metric *const *m = metric_list(); *m; m++) cli_push(&all, metric_json(*m));
    for (const set_metric *const *m = set_list(); *m; m++) cli_push(&all, set_json(*m));
    return cli_put_json(c, all);
  }
  static const char *const head[] = {"METRIC", "TIER", "BETTER", "UNIT", "PICTURE", "GAIN", "COST", "NEEDS"};
  for (int i = 0; i < 8; i++) grid_add_text(&g, head[i]);
  for (const metric *const *m = metric_list(); *m; m++) {
    text needs = {0};
    metric_needs_text(*m, &needs);
    grid_add_text(&g, (*m)->id);
    grid_add(&g, "%d", (*m)->tier);
    grid_add_text(&g, (*m)->direction == METRIC_NONE ? "-" : metric_direction_name((*m)->direction));
    grid_add_text(&g, (*m)->unit);
    grid_add_text(&g, (*m)->picture == METRIC_NO_PICTURE ? "-" : metric_picture_name((*m)->picture));
    grid_add_text(&g, (*m)->gain_ok ? "yes" : "-");
    grid_add_text(&g, metric_cost_name((*m)->cost));
    grid_add_text(&g, needs.p ? needs.p : "");
    text_free(&needs);
  }
  for (const set_metric *const *m = set_list(); *m; m++) {
    metric_picture p = (*m)->extractor->picture;
    grid_add_text(&g, (*m)->id);
    grid_add(&g, "%d", (*m)->tier);
    grid_add_text(&g, (*m)->direction == METRIC_NONE ? "-" : metric_direction_name((*m)->direction));
    grid_add_text(&g, (*m)->unit);
    grid_add_text(&g, p == METRIC_NO_PICTURE ? "-" : metric_picture_name(p));
    grid_add_text(&g, "-");
    grid_add_text(&g, "set");
    grid_add(&g, "two sets, %s", (*m)->extractor->id);
  }
  grid_print(&g, &out);
  grid_free(&g);
  return cli_put(c, &out);
}

static int show(cli *c, const char *name) {
  metric_request r;
  set_request sets;
  err unused = {0};
  text out = {0};
  if (set_parse(&unused, name, &sets) == OK) {
    if (c->json) return cli_put_json(c, set_json(sets.metric));
    set_describe(sets.metric, &out);
    return cli_put(c, &out);
  }
  int rc = metric_parse(&c->err, name, &r);
  if (rc != OK) return rc;
  if (c->json) return cli_put_json(c, metric_json(r.metric));
  metric_describe(r.metric, 0, &out);
  if (r.metric->reasons[0]) text_add(&out, "\n");
  for (int i = 0; r.metric->reasons[i]; i++)
    text_addf(&out, "%s: %s\n", r.metric->reasons[i], metric_reason_help(r.metric->reasons[i]));
  return cli_put(c, &out);
}

typedef struct metrics_args {
  validate_args validate;
} metrics_args;

static const cli_option options[] = {VALIDATE_OPTIONS(metrics_args), {.name = NULL}};

static int run(cli *c, const void *args) {
  const metrics_args *a = args;
  const char *word = c->words.n ? c->words.v[0] : "";
  if (!strcmp(word, "validate")) return metrics_validate(c, &a->validate, c->words.v + 1, c->words.n - 1);
  if (metrics_validate_asked(&a->validate))
    return err_set(&c->err, E_ARG, "metrics: these options belong to `metrics validate`");
  if (!*word) return list(c);
  if (strcmp(word, "show"))
    return err_set(&c->err, E_ARG, "metrics: '%.80s' is neither show nor validate; without a word it lists all",
                   word);
  if (c->words.n != 2) return err_set(&c->err, E_ARG, "metrics show: name one metric, as `metrics` lists them");
  return show(c, c->words.v[1]);
}

const cli_verb verb_metrics = {
    .name = "metrics",
    .group = "look inside",
    .help = "the metrics of this build, their definitions, and what they see",
    .usage = "[show ID | validate [CLIP|DIR]...]",
    .about =
        "Without a word: all metrics, which picture they read and what they need. show: the whole definition of "
        "one,\n"
        "its parameters, its blind spots, when it is undefined and where it comes from. validate: plants known "
        "defects of\n"
        "growing strength in the alpha of procedural clips and of the clips given, and counts for every metric on "
        "how\n"
        "many clips it puts the strengths in order; with --study also how a study's alignment scores agree with "
        "the truth.",
    .examples = "tandem metrics\n"
                "tandem metrics show color_fit\n"
                "tandem metrics validate\n"
                "tandem metrics validate clips/ --clips 0 --metric color_fit,edge_color --json\n"
                "tandem metrics validate --study ablation --markdown",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_THREADS | CLI_OUTPUT,
    .options = options,
    .min_words = 0,
    .max_words = -1,
    .args_size = sizeof(metrics_args),
    .run = run,
};
