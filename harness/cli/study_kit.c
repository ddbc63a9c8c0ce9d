/* tandem study-kit: user studies: a blinded questionnaire, its answers, and what they say. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/study.h"
#include "cli/verbs.h"
#include "report/kit_export.h"
#include "report/kit_report.h"
#include "report/kit_votes.h"

typedef struct kit_args {
  study_args study;
  const char *variants, *questions, *format;
  int64_t prompts, votes, participants, checks, seed, quality, replicates;
  int ties;
} kit_args;

static const cli_option options[] = {
    STUDY_OPTIONS(kit_args),
    {.name = "variants",
     .kind = CLI_TEXT,
     .offset = offsetof(kit_args, variants),
     .value = "A,B,...",
     .help = "export: the variants to compare; none: all of the study"},
    {.name = "prompts",
     .kind = CLI_INT,
     .offset = offsetof(kit_args, prompts),
     .value = "N",
     .help = "export: prompts, spread over those with a clip of every variant; 0: all",
     .initial = "10",
     .hi = 100000},
    {.name = "votes-per-pair",
     .kind = CLI_INT,
     .offset = offsetof(kit_args, votes),
     .value = "N",
     .help = "export: participants who judge each pair of variants on each prompt; even numbers balance the sides",
     .initial = "4",
     .lo = 1,
     .hi = KIT_MOST_PARTICIPANTS},
    {.name = "participants",
     .kind = CLI_INT,
     .offset = offsetof(kit_args, participants),
     .value = "N",
     .help = "export: participants; 0: as many as keep each at 30 pairs",
     .initial = "0",
     .hi = KIT_MOST_PARTICIPANTS},
    {.name = "checks",
     .kind = CLI_INT,
     .offset = offsetof(kit_args, checks),
     .value = "N",
     .help = "export: attention checks of each participant, a clip beside a broken one",
     .initial = "2",
     .hi = 20},
    {.name = "questions",
     .kind = CLI_TEXT,
     .offset = offsetof(kit_args, questions),
     .value = "FILE",
     .help = "export: other questions (docs/user-study.md); none: motion and alignment, as TransPixeler asked"},
    {.name = "ties",
     .kind = CLI_FLAG,
     .offset = offsetof(kit_args, ties),
     .help = "export: \"no difference\" is an answer"},
    {.name = "quality",
     .kind = CLI_INT,
     .offset = offsetof(kit_args, quality),
     .value = "N",
     .help = "export: quality of the clips' WebP pictures, 1 to 100; 0: lossless",
     .initial = "0",
     .hi = 100},
    {.name = "seed",
     .kind = CLI_INT,
     .offset = offsetof(kit_args, seed),
     .value = "N",
     .help = "export: of order and sides; report: of the bootstrap",
     .initial = "0",
     .hi = 9e15},
    {.name = "replicates",
     .kind = CLI_INT,
     .offset = offsetof(kit_args, replicates),
     .value = "N",
     .help = "report: of the bootstrap",
     .initial = "2000",
     .lo = 100,
     .hi = 100000},
    {.name = "format",
     .kind = CLI_TEXT,
     .offset = offsetof(kit_args, format),
     .value = "FORMAT",
     .help = "report: terminal, md, csv or json",
     .initial = "terminal"},
    {.name = NULL},
};

/* --- export -------------------------------------------------------------------------------------------------------
 */

/* Splits `copy` at its commas, in place. */
static int split(err *e, char *copy, const char ***list, int *n) {
  int rc = OK, most = 1;
  for (const char *s = copy; *s; s++) most += *s == ',';
  TRY(mem_new(e, most, sizeof **list, "variants", list));
  for (char *s = copy; s; *n += 1) {
    char *comma = strchr(s, ',');
    (*list)[*n] = s;
    if (comma) *comma++ = 0;
    s = comma;
  }
out:
  return rc;
}

static int print_export(cli *c, const kit_options *o, const kit_summary *k) {
  json *j = json_new(JSON_OBJECT);
  if (k->prompts_missing)
    cli_note(c, "%lld prompts have no clip of some variant and are left out", (long long)k->prompts_missing);
  if (k->identical)
    cli_note(c, "%lld questions about a pair show the same twice: what differs is not in them%s",
             (long long)k->identical, o->ties ? "" : "; --ties lets people say so");
  cli_note(c, "%s/questionnaire.html: %lld participants, up to %lld pairs each, %.1f MB", o->folder,
           (long long)k->participants, (long long)k->longest, (double)k->page_bytes / 1e6);
  cli_note(c, "%s/key.json: keep it to yourself until the last answer is in", o->folder);
  if (!c->json) {
    json_free(j);
    return OK;
  }
  cli_set_text(&j, "kit", k->kit);
  cli_set_text(&j, "folder", o->folder);
  cli_set_int(&j, "variants", k->variants);
  cli_set_int(&j, "prompts", k->prompts);
  cli_set_int(&j, "prompts_missing", k->prompts_missing);
  cli_set_int(&j, "participants", k->participants);
  cli_set_int(&j, "comparisons", k->comparisons);
  cli_set_int(&j, "longest", k->longest);
  cli_set_int(&j, "identical", k->identical);
  cli_set_int(&j, "page_bytes", k->page_bytes);
  return cli_put_json(c, j);
}

static int export_kit(cli *c, const kit_args *a) {
  int rc = OK;
  loaded_study l = {0};
  store *s = NULL;
  kit_summary k;
  char *names = NULL;
  const char **list = NULL;
  int n = 0;
  if (!c->words.n) FAIL(&c->err, E_ARG, "study-kit export: which study?");
  if (!c->output) FAIL(&c->err, E_ARG, "study-kit export makes a folder; name it with -o DIR");
  if (a->variants) {
    TRY(mem_strdup(&c->err, a->variants, &names));
    TRY(split(&c->err, names, &list, &n));
  }
  kit_options o = {.folder = c->output,
                   .variants = list,
                   .n_variants = n,
                   .questions = a->questions,
                   .prompts = a->prompts,
                   .votes = a->votes,
                   .participants = a->participants,
                   .checks = a->checks,
                   .seed = (uint64_t)a->seed,
                   .ties = a->ties,
                   .quality = (int)a->quality};
  c->output = NULL; /* a folder here, and the summary goes to standard output */
  TRY(loaded_study_open(c, &a->study, &l));
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  TRY(kit_export(&c->err, s, l.s, l.p, &o, &k));
  TRY(print_export(c, &o, &k));
out:
  store_close(s);
  loaded_study_close(&l);
  free(list);
  free(names);
  return rc;
}

/* --- import -------------------------------------------------------------------------------------------------------
 */

static json *packet_json(const kit_packet *p) {
  json *j = json_new(JSON_OBJECT);
  cli_set_text(&j, "file", p->file);
  cli_set_text(&j, "verdict", kit_verdict_name(p->verdict));
  cli_set_int(&j, "participant", p->participant);
  cli_set_int(&j, "wrong_checks", p->wrong_checks);
  cli_set_int(&j, "checks", p->checks);
  return j;
}

/* What became of the packets from `first` on, which are those of this call. */
static int print_import(cli *c, const kit_votes *v, int64_t first, int64_t known) {
  int64_t accepted = 0;
  json *j = json_new(JSON_OBJECT), *list = json_new(JSON_ARRAY);
  for (int64_t i = first; i < v->n; i++) {
    const kit_packet *p = &v->at[i];
    accepted += p->verdict == KIT_ACCEPTED;
    if (p->verdict != KIT_ACCEPTED) cli_note(c, "rejected %s: %s", p->file, kit_verdict_help(p->verdict));
    cli_push(&list, packet_json(p));
  }
  int64_t rejected = v->n - first - accepted;
  cli_note(c, "%lld accepted, %lld rejected, %lld known before", (long long)accepted, (long long)rejected,
           (long long)known);
  if (rejected) c->status = EXIT_FAILED;
  if (!c->json) {
    json_free(j);
    json_free(list);
    return OK;
  }
  cli_set_int(&j, "accepted", accepted);
  cli_set_int(&j, "rejected", rejected);
  cli_set_int(&j, "known", known);
  cli_set(&j, "packets", list);
  return cli_put_json(c, j);
}

static int import_votes(cli *c) {
  int rc = OK;
  kit_key k = {0};
  kit_votes v = {0};
  char *path = NULL;
  int64_t first, known;
  if (c->words.n < 2) FAIL(&c->err, E_ARG, "study-kit import: name the key and the packets");
  TRY(kit_key_read(&c->err, c->words.v[0], &k));
  TRY(kit_votes_path(&c->err, c->words.v[0], &path));
  TRY(kit_votes_read(&c->err, path, &k, &v));
  first = v.n;
  TRY(kit_votes_add(&c->err, &k, c->words.v + 1, c->words.n - 1, &v, &known));
  TRY(kit_votes_write(&c->err, path, &k, &v));
  TRY(print_import(c, &v, first, known));
out:
  free(path);
  kit_votes_free(&v);
  kit_key_free(&k);
  return rc;
}

/* --- report -------------------------------------------------------------------------------------------------------
 */

static int open_store(cli *c, store **s) {
  int rc = OK;
  text path = {0};
  text_addf(&path, "%s/store.db", c->results);
  TRY(text_ok(&path, &c->err));
  if (file_exists(path.p)) TRY(store_open(&c->err, c->results, STORE_READ, s));
out:
  text_free(&path);
  return rc;
}

static int report(cli *c, const kit_args *a) {
  int rc = OK;
  kit_key k = {0};
  kit_votes v = {0};
  kit_report r = {0};
  store *s = NULL;
  char *path = NULL;
  text out = {0};
  table_format f = TABLE_JSON;
  kit_report_options o = {.replicates = a->replicates, .level = 0.95, .seed = (uint64_t)a->seed};
  if (c->words.n != 1) FAIL(&c->err, E_ARG, "study-kit report: name one key");
  if (!c->json) TRY(table_format_of(&c->err, a->format, &f));
  TRY(kit_key_read(&c->err, c->words.v[0], &k));
  TRY(kit_votes_path(&c->err, c->words.v[0], &path));
  TRY(kit_votes_read(&c->err, path, &k, &v));
  if (!v.n) FAIL(&c->err, E_ARG, "%s: no votes yet; `study-kit import` adds them", path);
  TRY(open_store(c, &s));
  TRY(kit_report_make(&c->err, &k, &v, s, &o, &r));
  TRY(kit_report_render(&c->err, &k, &r, f, &out));
  TRY(cli_put(c, &out));
out:
  text_free(&out);
  store_close(s);
  kit_report_free(&r, &k);
  free(path);
  kit_votes_free(&v);
  kit_key_free(&k);
  return rc;
}

static int run(cli *c, const void *args) {
  int rc;
  const kit_args *a = args;
  const char *word = c->words.v[0];
  c->words.v++, c->words.n--; /* what follows is the part's own */
  if (!strcmp(word, "export"))
    rc = export_kit(c, a);
  else if (!strcmp(word, "import"))
    rc = import_votes(c);
  else if (!strcmp(word, "report"))
    rc = report(c, a);
  else
    rc = err_set(&c->err, E_ARG, "study-kit: '%.40s' is none of export, import, report", word);
  c->words.v--, c->words.n++;
  return rc;
}

const cli_verb verb_study_kit = {
    .name = "study-kit",
    .group = "studies",
    .help = "user studies: a blinded questionnaire, its answers, what they say",
    .usage = "export STUDY [NAME=VALUE]... -o DIR | import KEY VOTES... | report KEY",
    .about =
        "export: a study's clips in pairs as one HTML file that works offline, with sides and order balanced over\n"
        "participants, and a key that says which clip is whose. import: checks the packets that participants sent\n"
        "and keeps the good ones beside the key, the others with the reason; 1 when one was rejected. report: win\n"
        "rates, Bradley-Terry strengths, agreement of the raters, and of the study's metrics with them.",
    .examples = "tandem study-kit export ablation --variants ours,batch-null -o kit\n"
                "tandem study-kit import kit/key.json votes-*.json\n"
                "tandem study-kit report kit/key.json --format md",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(kit_args),
    .run = run,
};
