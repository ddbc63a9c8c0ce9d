/* tandem baseline: scores frozen under a name. */
#include <string.h>
#include <time.h>

#include "base/build.h"
#include "cli/frozen.h"
#include "cli/grid.h"
#include "cli/verbs.h"
#include "report/baseline_file.h"

typedef struct baseline_args {
  study_args study;
  const char *note;
  int seconds;
} baseline_args;

static const cli_option options[] = {
    STUDY_OPTIONS(baseline_args),
    {.name = "note",
     .kind = CLI_TEXT,
     .offset = offsetof(baseline_args, note),
     .value = "TEXT",
     .help = "save: why these scores are the ones to hold"},
    {.name = "timing",
     .kind = CLI_FLAG,
     .offset = offsetof(baseline_args, seconds),
     .help = "save: also the seconds that sampling a clip took"},
    {.name = NULL},
};

static int words_are(cli *c, int least, int most, const char *usage) {
  if (c->words.n >= least && (most < 0 || c->words.n <= most)) return OK;
  return err_set(&c->err, E_ARG, "write: %s baseline %s", c->program, usage);
}

static int save(cli *c, const baseline_args *a) {
  loaded_study l = {0};
  baseline b = {0};
  store *s = NULL;
  int64_t missing = 0;
  int rc = OK;
  TRY(words_are(c, 3, -1, "save NAME STUDY [NAME=VALUE]... --note TEXT"));
  if (!a->note || !a->note[strspn(a->note, " \t\n")])
    FAIL(&c->err, E_ARG, "save: --note TEXT is required: why are these scores the ones to hold?");
  TRY(frozen_open_study(c, &a->study, c->words.v[2], 3, &l));
  TRY(store_open(&c->err, c->results, STORE_WRITE, &s));
  TRY(freeze_same_study(&c->err, s, l.s));
  TRY(freeze_study(&c->err, s, l.s,
                   &(freeze_options){.name = c->words.v[1],
                                     .note = a->note,
                                     .git_sha = build_about().git_sha,
                                     .host_class = freeze_host_class(),
                                     .created_ms = store_now_ms(),
                                     .seconds = a->seconds},
                   &b, &missing));
  if (missing)
    FAIL(&c->err, E_ARG, "%lld of %lld clips of study %s have no score: finish it with `%s run %s` first",
         (long long)missing, (long long)l.s->n_points, l.s->name, c->program, c->words.v[2]);
  TRY(store_baseline_put(s, &c->err, &b));
  cli_note(c, "baseline %s: %lld values of study %s; commit it with `%s baseline export %s -o FILE.json`", b.name,
           (long long)b.n_values, b.study, c->program, b.name);
out:
  baseline_free(&b);
  store_close(s);
  loaded_study_close(&l);
  return rc;
}

static void day(int64_t ms, char out[16]) {
  time_t t = (time_t)(ms / 1000);
  struct tm tm;
  if (!gmtime_r(&t, &tm) || !strftime(out, 16, "%Y-%m-%d", &tm)) out[0] = 0;
}

static int list_json(cli *c, const store_baselines *l) {
  json *all = json_new(JSON_ARRAY);
  for (int64_t i = 0; i < l->n; i++) {
    json *one = json_new(JSON_OBJECT);
    cli_set_text(&one, "name", l->at[i].name);
    cli_set_text(&one, "study", l->at[i].study);
    cli_set_text(&one, "git_sha", l->at[i].git_sha);
    cli_set_text(&one, "note", l->at[i].note);
    cli_set_int(&one, "created_ms", l->at[i].created_ms);
    cli_set_int(&one, "values", l->at[i].values);
    cli_push(&all, one);
  }
  return cli_put_json(c, all);
}

static int list(cli *c) {
  static const char *const heads[] = {"baseline", "study", "saved", "values", "commit", "note"};
  store *s = NULL;
  store_baselines l = {0};
  grid g = {.cols = 6};
  text out = {0};
  char saved[16];
  int rc = OK;
  TRY(words_are(c, 0, 1, "list"));
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  TRY(store_baseline_list(s, &c->err, &l));
  if (c->json) {
    TRY(list_json(c, &l));
    goto out;
  }
  for (int i = 0; i < 6; i++) grid_add_text(&g, heads[i]);
  for (int64_t i = 0; i < l.n; i++) {
    day(l.at[i].created_ms, saved);
    grid_add_text(&g, l.at[i].name);
    grid_add_text(&g, l.at[i].study);
    grid_add_text(&g, saved);
    grid_add(&g, "%lld", (long long)l.at[i].values);
    grid_add(&g, "%.12s", l.at[i].git_sha[0] ? l.at[i].git_sha : "-");
    grid_add_text(&g, l.at[i].note);
  }
  grid_print(&g, &out);
  TRY(cli_put(c, &out));
out:
  grid_free(&g);
  store_baselines_free(&l);
  store_close(s);
  return rc;
}

static void describe(const baseline *b, text *out) {
  char saved[16];
  grid g = {.cols = 4};
  day(b->created_ms, saved);
  text_addf(out, "baseline %s of study %s, %s%s%.12s\n%s\n\n", b->name, b->study, saved,
            b->git_sha[0] ? ", commit " : "", b->git_sha, b->note);
  for (int64_t i = 0; i < b->n_facts; i++) text_addf(out, "%s: %s\n", b->facts[i].name, b->facts[i].text);
  text_add(out, "\n");
  static const char *const heads[] = {"metric", "version", "unit", "values"};
  for (int i = 0; i < 4; i++) grid_add_text(&g, heads[i]);
  for (int64_t i = 0; i < b->n_metrics; i++) {
    int64_t n = 0;
    for (int64_t k = 0; k < b->n_values; k++) n += strcmp(b->values[k].metric, b->metrics[i].id) == 0;
    grid_add_text(&g, b->metrics[i].id);
    grid_add(&g, "%lld", (long long)b->metrics[i].version);
    grid_add_text(&g, b->metrics[i].unit[0] ? b->metrics[i].unit : "-");
    grid_add(&g, "%lld", (long long)n);
  }
  grid_print(&g, out);
  grid_free(&g);
}

/* The whole baseline as its file, or a summary for people. */
static int show(cli *c, int whole) {
  baseline b = {0};
  text out = {0};
  int rc = OK;
  TRY(words_are(c, 2, 2, whole ? "export NAME -o FILE.json" : "show NAME|FILE"));
  TRY(frozen_baseline(c, c->words.v[1], &b));
  if (whole)
    baseline_write(&b, &out);
  else
    describe(&b, &out);
  TRY(cli_put(c, &out));
out:
  text_free(&out);
  baseline_free(&b);
  return rc;
}

static int import(cli *c) {
  baseline b = {0};
  store *s = NULL;
  int rc = OK;
  TRY(words_are(c, 2, 3, "import FILE [NAME]"));
  rc = baseline_read(&c->err, c->words.v[1], &b);
  if (rc != OK) goto out;
  if (c->words.n == 3) b.name = c->words.v[2];
  TRY(store_open(&c->err, c->results, STORE_WRITE, &s));
  TRY(store_baseline_put(s, &c->err, &b));
out:
  store_close(s);
  baseline_free(&b);
  return rc;
}

static int rm(cli *c) {
  store *s = NULL;
  int rc = OK;
  TRY(words_are(c, 2, 2, "rm NAME"));
  TRY(store_open(&c->err, c->results, STORE_WRITE, &s));
  TRY(store_baseline_remove(s, &c->err, c->words.v[1]));
out:
  store_close(s);
  return rc;
}

static int run(cli *c, const void *args) {
  const char *word = c->words.n ? c->words.v[0] : "list";
  if (!strcmp(word, "save")) return save(c, args);
  if (!strcmp(word, "list")) return list(c);
  if (!strcmp(word, "show")) return show(c, c->json);
  if (!strcmp(word, "export")) return show(c, 1);
  if (!strcmp(word, "import")) return import(c);
  if (!strcmp(word, "rm")) return rm(c);
  return err_set(&c->err, E_ARG, "'%.80s' is none of save, list, show, export, import, rm", word);
}

const cli_verb verb_baseline = {
    .name = "baseline",
    .group = "studies",
    .help = "scores frozen under a name, for gate to hold later ones against",
    .usage = "[list | save NAME STUDY [NAME=VALUE]... | show NAME | export NAME | import FILE [NAME] | rm NAME]",
    .about =
        "save: every score of a finished study, the hashes of its clips and adapters, metric versions, prompts,\n"
        "noise and class of machine, with a note. show NAME --json and export print the whole as a JSON file,\n"
        "sorted and byte-stable, one line a value: commit it. Where a baseline is wanted, a file does as well.",
    .examples = "tandem baseline save main gate --note 'before the new schedule'\n"
                "tandem baseline export main -o results/gate-baseline.json\n"
                "tandem baseline show results/gate-baseline.json",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .max_words = -1,
    .args_size = sizeof(baseline_args),
    .run = run,
};
