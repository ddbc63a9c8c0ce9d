/* tandem show: everything the store knows about one cell. */
#include <math.h>
#include <string.h>

#include "cli/grid.h"
#include "cli/show_cell.h"
#include "cli/verbs.h"
#include "store/object.h"
#include "store/query.h"
#include "study/set_cell.h"

typedef struct show_args {
  const char *cell;
} show_args;

static const cli_option options[] = {
    {.name = "cell",
     .kind = CLI_TEXT,
     .offset = offsetof(show_args, cell),
     .value = "FILE:R,C",
     .help = "instead of a key: the clips behind row R and column C of a table that `table -o FILE` wrote"},
    {.name = NULL},
};

typedef struct facts {
  store_cells cell, up;
  store_artifacts artifacts;
  store_attempts attempts;
  store_scores measures;
} facts;

static int collect(cli *c, store *s, facts *f) {
  int rc = OK;
  TRY(store_cell_find(s, &c->err, c->words.v[0], &f->cell));
  const char *key = f->cell.at[0].key;
  TRY(store_lineage(s, &c->err, key, 0, &f->up));
  TRY(store_artifact_list(s, &c->err, key, &f->artifacts));
  TRY(store_attempt_list(s, &c->err, key, &f->attempts));
  TRY(store_measure_list(s, &c->err, key, &f->measures));
out:
  return rc;
}

static void drop(facts *f) {
  store_cells_free(&f->cell);
  store_cells_free(&f->up);
  store_artifacts_free(&f->artifacts);
  store_attempts_free(&f->attempts);
  store_scores_free(&f->measures);
}

static json *lists_json(const facts *f, json *o) {
  json *up = json_new(JSON_ARRAY), *artifacts = json_new(JSON_ARRAY), *attempts = json_new(JSON_ARRAY),
       *measures = json_new(JSON_ARRAY);
  for (int64_t i = 0; i < f->up.n; i++) {
    if (!f->up.at[i].depth) continue;
    json *j = json_new(JSON_OBJECT);
    cli_set_text(&j, "role", f->up.at[i].role);
    cli_set_text(&j, "key", f->up.at[i].key);
    cli_set_text(&j, "stage", stage_name(f->up.at[i].stage));
    cli_set_int(&j, "depth", f->up.at[i].depth);
    cli_push(&up, j);
  }
  for (int64_t i = 0; i < f->artifacts.n; i++) {
    json *j = json_new(JSON_OBJECT);
    cli_set_text(&j, "role", f->artifacts.at[i].role);
    cli_set_text(&j, "sha256", f->artifacts.at[i].sha256);
    cli_set_int(&j, "bytes", f->artifacts.at[i].bytes);
    cli_push(&artifacts, j);
  }
  for (int64_t i = 0; i < f->attempts.n; i++) {
    const store_attempt_row *a = &f->attempts.at[i];
    json *j = json_new(JSON_OBJECT);
    cli_set_int(&j, "n", a->n);
    cli_set_text(&j, "state", a->state);
    cli_set_text(&j, "class", a->fail_class);
    cli_set_text(&j, "message", a->fail_msg);
    cli_set_int(&j, "started_ms", a->started_ms);
    cli_set_int(&j, "ended_ms", a->ended_ms);
    cli_set_int(&j, "resumed_from_step", a->resumed_from_step);
    cli_set_int(&j, "peak_rss_bytes", a->peak_rss_bytes);
    cli_set_text(&j, "build", a->build_id);
    cli_set_text(&j, "log", a->log_path);
    cli_push(&attempts, j);
  }
  for (int64_t i = 0; i < f->measures.n; i++) {
    const store_score *m = &f->measures.at[i];
    json *j = json_new(JSON_OBJECT);
    cli_set_text(&j, "metric", m->metric);
    cli_set_int(&j, "version", m->version);
    cli_set(&j, "value", m->kind == KIND_FINITE ? json_new_number(m->value) : json_new(JSON_NULL));
    cli_set_text(&j, "reason", m->reason);
    cli_set_int(&j, "n", m->n);
    cli_push(&measures, j);
  }
  cli_set(&o, "inputs", up);
  cli_set(&o, "artifacts", artifacts);
  cli_set(&o, "attempts", attempts);
  cli_set(&o, "measures", measures);
  return o;
}

static int as_json(cli *c, const facts *f) {
  const store_cell_row *r = &f->cell.at[0];
  json *o = json_new(JSON_OBJECT), *spec = NULL;
  int rc = json_parse(&c->err, "spec", r->spec_json, strlen(r->spec_json), &spec);
  cli_set_text(&o, "key", r->key);
  cli_set_text(&o, "stage", stage_name(r->stage));
  cli_set_text(&o, "state", store_state_name(r->state));
  cli_set_text(&o, "study", r->study);
  cli_set_text(&o, "variant", r->variant);
  cli_set_text(&o, "prompt", r->prompt_id);
  cli_set(&o, "spec", spec);
  o = lists_json(f, o);
  if (rc == OK) return cli_put_json(c, o);
  json_free(o);
  return rc;
}

static void add_attempts(const facts *f, text *t) {
  for (int64_t i = 0; i < f->attempts.n; i++) {
    const store_attempt_row *a = &f->attempts.at[i];
    text_addf(t, "attempt %lld: %s", (long long)a->n, a->state);
    if (a->ended_ms > 0) text_addf(t, ", %.1f s", (double)(a->ended_ms - a->started_ms) / 1000);
    if (a->peak_rss_bytes > 0) text_addf(t, ", %.0f MB", (double)a->peak_rss_bytes / 1e6);
    if (a->resumed_from_step > 0) text_addf(t, ", resumed from step %lld", (long long)a->resumed_from_step);
    if (a->build_id) text_addf(t, ", build %.12s", a->build_id);
    if (a->fail_msg) text_addf(t, "\n  %s: %s", a->fail_class ? a->fail_class : "lost", a->fail_msg);
    if (a->log_path) text_addf(t, "\n  log: %s", a->log_path);
    text_add(t, "\n");
  }
}

/* What the cell was made from, line by line; the many clips of a set are one line. */
static void add_inputs(const facts *f, text *t) {
  int64_t clips[2] = {0};
  for (int64_t i = 0; i < f->up.n; i++) {
    char side = f->up.at[i].depth == 1 ? set_cell_side(f->up.at[i].role) : 0;
    if (side) clips[side == 'y']++;
  }
  for (int k = 0; k < 2; k++)
    if (clips[k])
      text_addf(t, "from %s: %lld samples\n", k ? "the reference" : "the set under test", (long long)clips[k]);
  for (int64_t i = 0; i < f->up.n; i++) {
    const store_cell_row *r = &f->up.at[i];
    if (!r->depth || (r->role && set_cell_side(r->role))) continue;
    text_addf(t, "%*sfrom %s: %s %.12s\n", 2 * (r->depth - 1), "", r->role ? r->role : "", stage_name(r->stage),
              r->key);
  }
}

static int as_text(cli *c, store *s, const facts *f) {
  int rc = OK;
  text t = {0};
  char path[STORE_PATH];
  grid g = {.cols = 4};
  const store_cell_row *r = &f->cell.at[0];
  text_addf(&t, "%s %s (%s)\n", stage_name(r->stage), r->key, store_state_name(r->state));
  if (r->study)
    text_addf(&t, "study %s, variant %s%s%s\n", r->study, r->variant && *r->variant ? r->variant : "(base model)",
              r->prompt_id ? ", prompt " : "", r->prompt_id ? r->prompt_id : "");
  text_addf(&t, "spec %s\n", r->spec_json);
  add_inputs(f, &t);
  for (int64_t i = 0; i < f->artifacts.n; i++) {
    TRY(object_path(s, &c->err, f->artifacts.at[i].sha256, path));
    text_addf(&t, "made %s: %s (%lld bytes)\n", f->artifacts.at[i].role, path, (long long)f->artifacts.at[i].bytes);
  }
  add_attempts(f, &t);
  if (f->measures.n) {
    grid_add(&g, "metric");
    grid_add(&g, "version");
    grid_add(&g, "value");
    grid_add(&g, "n");
    for (int64_t i = 0; i < f->measures.n; i++) {
      const store_score *m = &f->measures.at[i];
      grid_add(&g, "%s", m->metric);
      grid_add(&g, "%lld", (long long)m->version);
      if (m->kind == KIND_FINITE)
        grid_add(&g, "%.6g", m->value);
      else
        grid_add(&g, "%s", m->reason ? m->reason : "not finite");
      grid_add(&g, "%lld", (long long)m->n);
    }
    grid_print(&g, &t);
  }
  TRY(cli_put(c, &t));
out:
  grid_free(&g);
  text_free(&t);
  return rc;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  store *s = NULL;
  facts f = {0};
  const show_args *a = args;
  if (a->cell && c->words.n) return err_set(&c->err, E_ARG, "give a key or --cell, not both");
  if (a->cell) return show_table_cell(c, a->cell);
  if (!c->words.n) return err_set(&c->err, E_ARG, "wants a key, or --cell FILE:R,C");
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  TRY(collect(c, s, &f));
  TRY(c->json ? as_json(c, &f) : as_text(c, s, &f));
out:
  drop(&f);
  store_close(s);
  return rc;
}

const cli_verb verb_show = {
    .name = "show",
    .group = "look inside",
    .help = "everything the store knows about one cell",
    .usage = "[KEY]",
    .about =
        "KEY is a cell's key or a unique beginning of it: its spec, what it was made from, what it made and "
        "where that\n"
        "lies, its attempts, its measures. With --cell: the keys, values and files of the clips that a number of\n"
        "a table rests on; rows and columns of numbers are counted from 1.",
    .examples = "tandem show 81bbe6052e81\n"
                "tandem show 81bbe6052e81 --json\n"
                "tandem show --cell table.tex:3,2",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_OUTPUT,
    .options = options,
    .max_words = 1,
    .args_size = sizeof(show_args),
    .run = run,
};
