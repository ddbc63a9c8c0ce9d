/* Option tables: parsing and help. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/words_near.h"
#include "cli/cli.h"

#define SHARED(member) offsetof(cli, member)

static const char *const backends[] = {"cpu", "cuda", "auto", NULL};
static const char *const levels[] = {"auto", "v2", "v3", "v4", "generic", NULL};
const char *const cli_precisions[] = {"fp32", "bf16", NULL};
static const char *const color_choices[] = {"auto", "always", "never", NULL};

/* Offsets into struct cli. `bit` 0: every verb has it. */
static const struct shared_option {
  unsigned bit;
  cli_option option;
} shared_options[] = {
    {CLI_RESULTS,
     {.name = "results",
      .kind = CLI_TEXT,
      .offset = SHARED(results),
      .value = "DIR",
      .initial = "results/local",
      .help = "folder of the result store, below the current folder unless absolute"}},
    {CLI_CONFIGS,
     {.name = "configs",
      .kind = CLI_TEXT,
      .offset = SHARED(configs),
      .value = "DIR",
      .help =
          "folder of models/, studies/ and prompts/ (default: configs/ of the source this program was built from, "
          "else ./configs)"}},
    {CLI_OUTPUT,
     {.name = "output",
      .alias = 'o',
      .kind = CLI_TEXT,
      .offset = SHARED(output),
      .value = "FILE",
      .help = "write here instead of standard output; the file is whole or untouched"}},
    {CLI_THREADS,
     {.name = "threads",
      .kind = CLI_INT,
      .offset = SHARED(threads),
      .value = "N",
      .initial = "0",
      .hi = 4096,
      .help = "CPU threads; 0: what OpenMP chooses. Results do not depend on it"}},
    {CLI_BACKEND,
     {.name = "backend",
      .kind = CLI_CHOICE,
      .offset = SHARED(backend),
      .choices = backends,
      .initial = "cpu",
      .help = "what the model runs on; auto: cuda where there is a device, else the CPU"}},
    {CLI_BACKEND,
     {.name = "device",
      .kind = CLI_INT,
      .offset = SHARED(device),
      .value = "N",
      .initial = "0",
      .hi = 255,
      .help = "number of the CUDA device, from 0"}},
    {CLI_ISA,
     {.name = "isa",
      .kind = CLI_CHOICE,
      .offset = SHARED(isa),
      .choices = levels,
      .initial = "auto",
      .help = "instruction-set level of the CPU kernels; v3 and v4 give the same bits"}},
    {CLI_READ,
     {.name = "read",
      .kind = CLI_FLAG,
      .offset = SHARED(read),
      .help = "read the weights instead of mapping them, for network file systems"}},
    {CLI_JSON, {.name = "json", .kind = CLI_FLAG, .offset = SHARED(json), .help = "print one JSON document"}},
    {0,
     {.name = "color",
      .kind = CLI_CHOICE,
      .offset = SHARED(color),
      .choices = color_choices,
      .initial = "auto",
      .help = "auto: on a terminal, unless NO_COLOR is set or TERM is dumb"}},
    {0, {.name = "quiet", .alias = 'q', .kind = CLI_COUNT, .offset = SHARED(quiet), .help = "errors only"}},
    {0, {.name = "verbose", .alias = 'v', .kind = CLI_COUNT, .offset = SHARED(verbose), .help = "say more"}},
    {0, {.name = "help", .alias = 'h', .kind = CLI_FLAG, .offset = SHARED(help), .help = "print this"}},
};
#define SHARED_OPTIONS ((int)(sizeof shared_options / sizeof shared_options[0]))

const char *cli_backend(const cli *c) {
  return backends[c->backend];
}

const char *cli_isa(const cli *c) {
  return c->isa ? levels[c->isa] : NULL;
}

int cli_check_out(cli *c, const char *path) {
  struct stat s;
  if (stat(path, &s) == 0 && !S_ISREG(s.st_mode))
    return err_set(&c->err, E_ARG, "--out %s is not a regular file", path);
  return OK;
}

int cli_sizes(const char *s, int n, int64_t *out) {
  for (int i = 0; i < n; i++) {
    char *end;
    if (*s < '0' || *s > '9') return 0;
    out[i] = strtoll(s, &end, 10);
    if (end - s > 9 || *end != (i < n - 1 ? 'x' : 0)) return 0;
    s = end + 1;
  }
  return 1;
}

static int has_shared(const cli_verb *v, int i) {
  return !shared_options[i].bit || (v->shared & shared_options[i].bit);
}

/* --- parsing --- */

typedef struct found {
  const cli_option *option;
  char *base; /* the struct its offset belongs to */
} found;

/* By long name (n characters at `name`), or by alias when name is NULL. */
static found find(cli *c, void *args, const char *name, size_t n, char alias) {
  const cli_verb *v = c->verb;
  for (const cli_option *o = v->options; o && o->name; o++)
    if (name ? strlen(o->name) == n && !memcmp(o->name, name, n) : o->alias == alias) return (found){o, args};
  for (int i = 0; i < SHARED_OPTIONS; i++) {
    const cli_option *o = &shared_options[i].option;
    if (has_shared(v, i) && (name ? strlen(o->name) == n && !memcmp(o->name, name, n) : o->alias == alias))
      return (found){o, (char *)c};
  }
  return (found){NULL, NULL};
}

static int unknown(cli *c, const char *name, size_t n) {
  near_word w = near_start(name, n);
  for (const cli_option *o = c->verb->options; o && o->name; o++) near_offer(&w, o->name);
  for (int i = 0; i < SHARED_OPTIONS; i++)
    if (has_shared(c->verb, i)) near_offer(&w, shared_options[i].option.name);
  const char *known = *near_hint(&w) ? w.best : NULL;
  return err_set(&c->err, E_ARG, "unknown option --%.*s%s%s%s", n > 60 ? 60 : (int)n, name,
                 known ? "; did you mean --" : "", known ? known : "", known ? "?" : "");
}

static int bad_value(cli *c, const cli_option *o, const char *value, const char *want) {
  return err_set(&c->err, E_ARG, "--%s wants %s, not '%.80s'", o->name, want, value);
}

static int set_number(cli *c, found f, const char *value) {
  char *end, want[96];
  const cli_option *o = f.option;
  errno = 0;
  if (o->kind == CLI_INT) {
    long long v = strtoll(value, &end, 10);
    snprintf(want, sizeof want, "a whole number from %.0f to %.0f", o->lo, o->hi);
    if (end == value || *end || errno || (double)v < o->lo || (double)v > o->hi) return bad_value(c, o, value, want);
    *(int64_t *)(void *)(f.base + o->offset) = v;
    return OK;
  }
  double v = strtod(value, &end);
  snprintf(want, sizeof want, "a number from %g to %g", o->lo, o->hi);
  if (end == value || *end || !isfinite(v) || v < o->lo || v > o->hi) return bad_value(c, o, value, want);
  *(double *)(void *)(f.base + o->offset) = v;
  return OK;
}

static int set_choice(cli *c, found f, const char *value) {
  const cli_option *o = f.option;
  near_word w = near_start(value, strlen(value));
  char known[256] = "";
  size_t at = 0;
  for (int i = 0; o->choices[i]; i++) {
    if (!strcmp(o->choices[i], value)) {
      *(int *)(void *)(f.base + o->offset) = i;
      return OK;
    }
    near_offer(&w, o->choices[i]);
    int n = snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", o->choices[i]);
    if (n > 0 && (size_t)n < sizeof known - at) at += (size_t)n;
  }
  return err_set(&c->err, E_ARG, "--%s wants one of %s, not '%.80s'%s", o->name, known, value, near_hint(&w));
}

static int append(cli *c, cli_list *l, const char *value, int most) {
  int rc = OK;
  if (!l->v) TRY(mem_new(&c->err, most, sizeof *l->v, "command line", &l->v));
  l->v[l->n++] = value;
out:
  return rc;
}

static int set(cli *c, found f, const char *value, int most) {
  void *to = f.base + f.option->offset;
  switch (f.option->kind) {
  case CLI_FLAG: *(int *)to = 1; return OK;
  case CLI_COUNT: ++*(int *)to; return OK;
  case CLI_TEXT: *(const char **)to = value; return OK;
  case CLI_TEXTS: return append(c, to, value, most);
  case CLI_CHOICE: return set_choice(c, f, value);
  default: return set_number(c, f, value);
  }
}

static int set_initial(cli *c, void *args) {
  int rc = OK;
  for (int i = 0; i < SHARED_OPTIONS; i++)
    if (shared_options[i].option.initial)
      TRY(set(c, (found){&shared_options[i].option, (char *)c}, shared_options[i].option.initial, 1));
  for (const cli_option *o = c->verb->options; o && o->name; o++) {
    if (o->initial) TRY(set(c, (found){o, args}, o->initial, 1));
    if (!o->initial && o->kind == CLI_NUMBER) *(double *)(void *)((char *)args + o->offset) = NAN;
  }
out:
  return rc;
}

static int takes_value(const cli_option *o) {
  return o->kind != CLI_FLAG && o->kind != CLI_COUNT;
}

/* The words still to be read, and which options were given. */
typedef struct reader {
  int argc, at;
  char **argv;
  void *args;
} reader;

static int read_long(cli *c, reader *r, const char *word) {
  size_t n = strcspn(word, "=");
  found f = find(c, r->args, word, n, 0);
  if (!f.option) return unknown(c, word, n);
  const char *value = word[n] ? word + n + 1 : NULL;
  if (!takes_value(f.option)) {
    if (value) return err_set(&c->err, E_ARG, "--%s takes no value", f.option->name);
    return set(c, f, NULL, r->argc);
  }
  if (!value && f.option->bare) return set(c, f, f.option->bare, r->argc);
  if (!value && r->at == r->argc)
    return err_set(&c->err, E_ARG, "--%s wants a value (%s)", f.option->name,
                   f.option->value ? f.option->value : "one of its choices");
  return set(c, f, value ? value : r->argv[r->at++], r->argc);
}

/* "-qv", "-oFILE", "-o FILE" */
static int read_short(cli *c, reader *r, const char *letters) {
  int rc = OK;
  for (const char *p = letters; *p; p++) {
    found f = find(c, r->args, NULL, 0, *p);
    if (!f.option) return err_set(&c->err, E_ARG, "unknown option -%.8s", p);
    if (!takes_value(f.option)) {
      TRY(set(c, f, NULL, r->argc));
      continue;
    }
    if (!p[1] && r->at == r->argc) return err_set(&c->err, E_ARG, "-%c wants a value (%s)", *p, f.option->value);
    return set(c, f, p[1] ? p + 1 : r->argv[r->at++], r->argc);
  }
out:
  return rc;
}

static int check_required(cli *c, void *args) {
  const cli_verb *v = c->verb;
  for (const cli_option *o = v->options; o && o->name; o++)
    if (o->required && !*(const char **)(void *)((char *)args + o->offset))
      return err_set(&c->err, E_ARG, "--%s %s is needed", o->name, o->value);
  if (c->words.n < v->min_words) return err_set(&c->err, E_ARG, "too few arguments; %s", v->usage);
  if (v->max_words >= 0 && c->words.n > v->max_words)
    return err_set(&c->err, E_ARG, "unexpected argument '%.80s'", c->words.v[v->max_words]);
  return OK;
}

int cli_parse(cli *c, int argc, char **argv, void *args) {
  int rc = OK, only_words = 0;
  reader r = {.argc = argc, .argv = argv, .args = args};
  TRY(set_initial(c, args));
  while (r.at < argc) {
    const char *word = argv[r.at++];
    if (only_words || word[0] != '-' || !word[1])
      TRY(append(c, &c->words, word, argc));
    else if (!strcmp(word, "--"))
      only_words = 1;
    else if (word[1] == '-')
      TRY(read_long(c, &r, word + 2));
    else
      TRY(read_short(c, &r, word + 1));
  }
  if (!c->help) TRY(check_required(c, args));
out:
  return rc;
}

void cli_parse_free(cli *c, void *args) {
  free(c->words.v);
  c->words = (cli_list){0};
  for (const cli_option *o = c->verb->options; o && o->name; o++)
    if (o->kind == CLI_TEXTS) free(((cli_list *)(void *)((char *)args + o->offset))->v);
}

const cli_option *cli_option_at(const cli_verb *v, int i) {
  for (const cli_option *o = v->options; o && o->name; o++)
    if (!i--) return o;
  for (int k = 0; k < SHARED_OPTIONS; k++)
    if (has_shared(v, k) && !i--) return &shared_options[k].option;
  return NULL;
}

/* --- help --- */

#define HELP_COLUMN 26
#define HELP_WIDTH 100

/* Words of `s` from column `at`, wrapped to lines that begin in column `indent`. */
static void wrap(text *out, const char *s, int indent, int at) {
  while (*s) {
    int n = (int)strcspn(s, " ");
    if (at > indent && at + 1 + n > HELP_WIDTH) {
      text_addf(out, "\n%*s", indent, "");
      at = indent;
    } else if (at > indent) {
      text_add(out, " ");
      at++;
    }
    text_addn(out, s, (size_t)n);
    at += n;
    s += n;
    while (*s == ' ') s++;
  }
  text_add(out, "\n");
}

static void option_help(const cli_option *o, text *out) {
  text left = {0}, words = {0};
  if (o->alias)
    text_addf(&left, "  -%c, --%s", o->alias, o->name);
  else
    text_addf(&left, "      --%s", o->name);
  if (o->value) text_addf(&left, o->bare ? "[=%s]" : " %s", o->value);
  for (int i = 0; o->choices && o->choices[i]; i++) text_addf(&left, "%s%s", i ? "|" : " ", o->choices[i]);
  text_add(&words, o->help);
  if (o->required) text_add(&words, " (needed)");
  if (o->kind == CLI_TEXTS) text_add(&words, " (may be repeated)");
  if (o->initial) text_addf(&words, " (default: %s)", o->initial);
  if (text_ok(&left, NULL) == OK && text_ok(&words, NULL) == OK) {
    text_add(out, left.p);
    if (left.n + 2 > HELP_COLUMN)
      text_addf(out, "\n%*s", HELP_COLUMN, "");
    else
      text_addf(out, "%*s", HELP_COLUMN - (int)left.n, "");
    wrap(out, words.p, HELP_COLUMN, HELP_COLUMN);
  } else {
    out->failed = 1;
  }
  text_free(&left);
  text_free(&words);
}

static void exits_help(const cli_verb *v, text *out) {
  text_add(out, "\nexit codes:\n");
  text_add(out, "  0    done\n  1    the request failed\n  2    usage or configuration error; nothing was started\n");
  if (v->exits & CLI_EXIT_CELLS) text_add(out, "  3    some cells failed or are blocked\n");
  if (v->exits & CLI_EXIT_MISSING) text_add(out, "  4    cells are missing\n");
  if (v->exits & CLI_EXIT_GATE)
    text_add(out, "       1 also: at least one check is worse, or the selftest failed\n"
                  "  4    nothing is worse, but checks are unclear or missing, and the rules say that fails\n");
  if (v->exits & CLI_EXIT_STORE) text_add(out, "  5    the result store is missing, too new, locked or damaged\n");
  if (v->exits & CLI_EXIT_STOPPED)
    text_add(
        out,
        "  75   stopped by SIGTERM or SIGUSR1; the same command goes on\n  130  interrupted; the same command goes "
        "on\n");
}

/* Indents every line. */
static void block(text *out, const char *title, const char *lines) {
  text_addf(out, "\n%s", title);
  while (*lines) {
    size_t n = strcspn(lines, "\n");
    text_add(out, n ? "  " : "");
    text_addn(out, lines, n);
    text_add(out, "\n");
    lines += n + (lines[n] != 0);
  }
}

void cli_verb_help(const cli_verb *v, text *out) {
  text_addf(out, "usage: tandem %s%s%s [OPTIONS]\n", v->name, *v->usage ? " " : "", v->usage);
  block(out, "", v->about);
  text_add(out, "\noptions:\n");
  for (const cli_option *o = v->options; o && o->name; o++) option_help(o, out);
  for (int i = 0; i < SHARED_OPTIONS; i++)
    if (has_shared(v, i)) option_help(&shared_options[i].option, out);
  block(out, "examples:\n", v->examples);
  exits_help(v, out);
}
