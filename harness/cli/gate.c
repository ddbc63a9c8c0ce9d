/* tandem gate: scores against a baseline, with an exit code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "cli/frozen.h"
#include "cli/verbs.h"
#include "report/gate.h"

typedef struct gate_args {
  study_args study;
  const char *baseline, *format, *junit, *today, *host_class;
  int tap, github;
} gate_args;

#define AT(member) offsetof(gate_args, member)
static const cli_option options[] = {
    STUDY_OPTIONS(gate_args),
    {.name = "baseline",
     .kind = CLI_TEXT,
     .offset = AT(baseline),
     .value = "NAME|FILE",
     .help = "a baseline of the store, or an exported file; wins over the rule file's"},
    {.name = "format",
     .kind = CLI_TEXT,
     .offset = AT(format),
     .value = "FORMAT",
     .help = "terminal, md, tap or json",
     .initial = "terminal"},
    {.name = "tap", .kind = CLI_FLAG, .offset = AT(tap), .help = "short for --format tap"},
    {.name = "junit", .kind = CLI_TEXT, .offset = AT(junit), .value = "FILE", .help = "also write JUnit XML"},
    {.name = "github",
     .kind = CLI_FLAG,
     .offset = AT(github),
     .help = "also print workflow annotations on standard output, at most 10"},
    {.name = "host-class",
     .kind = CLI_TEXT,
     .offset = AT(host_class),
     .value = "NAME",
     .help = "what rules with a host_class compare with; the instruction-set class when absent"},
    {.name = "today",
     .kind = CLI_TEXT,
     .offset = AT(today),
     .value = "YYYY-MM-DD",
     .help = "the day mutes are held against; today (UTC) when absent"},
    {.name = NULL},
};

/* Everything a run of the verb opens. */
typedef struct gate_run {
  const char *study_word, *rules_word;
  int first; /* word from which NAME=VALUE begin */
  loaded_study study;
  char *file; /* of the rules */
  gate_rules rules;
  problems problems;
  baseline now, then;
  int64_t missing;
  char today[16];
} gate_run;

static void gate_run_free(gate_run *g) {
  baseline_free(&g->now);
  baseline_free(&g->then);
  gate_rules_free(&g->rules);
  problems_free(&g->problems);
  loaded_study_close(&g->study);
  free(g->file);
}

static int is_rule_file(const char *word) {
  json *j = NULL;
  err unused = {0};
  int yes = frozen_is_file(word) && json_read(&unused, word, &j) == OK && json_get(j, "rules");
  json_free(j);
  return yes;
}

/* STUDY, STUDY RULES or RULES; then NAME=VALUE. */
static int split_words(cli *c, int selftest, gate_run *g) {
  int i = selftest, plain = 0;
  for (; i < c->words.n && plain < 2 && !strchr(c->words.v[i], '='); i++, plain++) {
    if (plain == 0 && !is_rule_file(c->words.v[i]))
      g->study_word = c->words.v[i];
    else if (!g->rules_word)
      g->rules_word = c->words.v[i];
    else
      break;
  }
  g->first = i;
  if (plain) return OK;
  return err_set(&c->err, E_ARG, "name a study, a rule file, or both: %s gate %sSTUDY [RULES.json]", c->program,
                 selftest ? "selftest " : "");
}

/* Problems go to standard error, as those of a study do. */
static void print_problems(gate_run *g) {
  text t = {0};
  problems_print(&g->problems, &t);
  if (t.p) fputs(t.p, stderr);
  text_free(&t);
  problems_free(&g->problems);
}

/* Annotations and messages name a file below the current folder from there, as CI systems expect. */
static int name_from_here(cli *c, const char *path, char **out) {
  char *full = realpath(path, NULL), *here = realpath(".", NULL);
  size_t n = here ? strlen(here) : 0;
  int below = full && here && strncmp(full, here, n) == 0 && full[n] == '/';
  int rc = mem_strdup(&c->err, below ? full + n + 1 : path, out);
  free(full);
  free(here);
  return rc;
}

static int read_rules(cli *c, const gate_args *a, gate_run *g) {
  int rc = OK;
  text path = {0};
  const char *file = g->rules_word ? g->rules_word : g->study.s->gate_file, *name = a->baseline;
  if (!file)
    FAIL(&c->err, E_ARG, "no rules: name a rule file, or give the study \"gate\": {\"file\": \"RULES.json\"}");
  TRY(name_from_here(c, file, &g->file));
  rc = gate_rules_read(&c->err, g->file, &g->problems, &g->rules);
  print_problems(g);
  if (rc != OK) goto out;
  if (!name && !g->rules.baseline)
    FAIL(&c->err, E_ARG, "no baseline: give --baseline NAME|FILE, or the rule file a \"baseline\"");
  if (!name && frozen_is_file(g->rules.baseline)) { /* relative to the file that names it */
    const char *slash = strrchr(g->file, '/');
    if (slash && g->rules.baseline[0] != '/') text_addn(&path, g->file, (size_t)(slash - g->file) + 1);
    text_add(&path, g->rules.baseline);
    TRY(text_ok(&path, &c->err));
    name = path.p;
  }
  TRY(frozen_baseline(c, name ? name : g->rules.baseline, &g->then));
out:
  text_free(&path);
  return rc;
}

static int read_day(cli *c, const gate_args *a, gate_run *g) {
  time_t t = (time_t)(store_now_ms() / 1000);
  struct tm tm;
  if (a->today && !gate_day_ok(a->today)) return err_set(&c->err, E_ARG, "--today wants YYYY-MM-DD");
  if (a->today)
    snprintf(g->today, sizeof g->today, "%s", a->today);
  else if (!gmtime_r(&t, &tm) || !strftime(g->today, sizeof g->today, "%Y-%m-%d", &tm))
    return err_set(&c->err, E_IO, "the clock gives no date; give --today");
  return OK;
}

static int open_all(cli *c, const gate_args *a, int selftest, gate_run *g) {
  int rc = OK;
  TRY(read_day(c, a, g));
  TRY(split_words(c, selftest, g));
  if (g->study_word) TRY(frozen_open_study(c, &a->study, g->study_word, g->first, &g->study));
  TRY(read_rules(c, a, g));
  if (!selftest) {
    if (!g->study_word) TRY(frozen_open_study(c, &a->study, g->then.study, g->first, &g->study));
    TRY(frozen_scores(c, c->results, &g->study, &g->now, &g->missing));
  }
  rc = gate_rules_bind(&c->err, &g->rules, selftest ? &g->then : &g->now, &g->then, &g->problems);
  print_problems(g);
out:
  return rc;
}

static int run_selftest(cli *c, gate_run *g, gate_input *in) {
  text out = {0};
  int64_t failed = 0;
  int rc = OK;
  in->now = &g->then;
  in->stats.bootstrap.replicates = 2000; /* shifts by a constant: their intervals have no width */
  in->stats.flips = 20000;
  TRY(gate_selftest(&c->err, in, &out, &failed));
  TRY(cli_put(c, &out));
  if (failed) c->status = EXIT_FAILED;
out:
  text_free(&out);
  return rc;
}

static int format_of(cli *c, const gate_args *a, int *out) {
  static const char *const words[] = {"terminal", "md", "tap", "json"};
  const char *word = c->json ? "json" : a->tap ? "tap" : a->format;
  for (*out = 0; *out < 4; ++*out)
    if (strcmp(word, words[*out]) == 0) break;
  if (*out == 4) return err_set(&c->err, E_ARG, "unknown format '%.40s' (known: terminal, md, tap, json)", word);
  if (a->github && *out >= 2 && !c->output)
    return err_set(&c->err, E_ARG, "--github would spoil the %s on standard output: give that -o FILE", word);
  return OK;
}

static int print(cli *c, const gate_args *a, int format, const verdict_list *l) {
  text out = {0}, xml = {0}, notes = {0};
  int rc = OK;
  switch (format) {
  case 0: verdict_terminal(l, cli_color(c, 1), &out); break;
  case 1: verdict_markdown(l, &out); break;
  case 2: verdict_tap(l, &out); break;
  default: verdict_json(l, &out); break;
  }
  TRY(cli_put(c, &out));
  if (a->github) verdict_github(l, &notes);
  TRY(text_ok(&notes, &c->err));
  if (notes.n) TRY(cli_write(c, notes.p, notes.n));
  if (a->junit) {
    verdict_junit(l, &xml);
    TRY(text_ok(&xml, &c->err));
    TRY(file_write(&c->err, a->junit, xml.p, xml.n));
  }
  c->status = l->exit_status;
out:
  text_free(&out);
  text_free(&xml);
  text_free(&notes);
  return rc;
}

static int run(cli *c, const void *args) {
  const gate_args *a = args;
  int selftest = !strcmp(c->words.v[0], "selftest"), format, rc = OK;
  gate_run g = {0};
  verdict_list l = {0};
  TRY(format_of(c, a, &format));
  TRY(open_all(c, a, selftest, &g));
  gate_input in = {.rules = &g.rules,
                   .now = &g.now,
                   .then = &g.then,
                   .today = g.today,
                   .host_class = a->host_class ? a->host_class : freeze_host_class(),
                   .stats = stats_defaults(0)};
  if (selftest) {
    TRY(run_selftest(c, &g, &in));
    goto out;
  }
  TRY(gate_judge(&c->err, &in, &l));
  if (g.missing)
    TRY(verdict_note(&c->err, &l, "%lld clips that the study wants have no score", (long long)g.missing));
  TRY(print(c, a, format, &l));
out:
  verdict_list_free(&l);
  gate_run_free(&g);
  return rc;
}

const cli_verb verb_gate = {
    .name = "gate",
    .group = "studies",
    .help = "scores against a baseline, under rules, with an exit code for CI",
    .usage = "[selftest] STUDY [RULES.json] [NAME=VALUE]...",
    .about = "Each rule says how far a metric may move from the baseline. The verdicts are better, same, worse,\n"
             "unclear (the interval spans the bound) and missing; a mean is never taken over fewer clips than the\n"
             "baseline has. RULES.json is the study's \"gate\" when absent; without STUDY it is the baseline's.\n"
             "selftest judges changed copies of the baseline and fails when the gate could not go red.\n"
             "docs/gate.md has a worked example.",
    .examples = "tandem gate selftest gate && tandem gate gate\n"
                "tandem gate ablation rules.json --baseline main --format md -o summary.md --github\n"
                "tandem gate rules.json --baseline results/gate-baseline.json --junit gate.xml",
    .exits = CLI_EXIT_STORE | CLI_EXIT_GATE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(gate_args),
    .run = run,
};
