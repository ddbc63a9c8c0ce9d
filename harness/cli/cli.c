/* From a command line to a verb and from its result to an exit status. */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words_near.h"

int cli_status(int code) {
  switch (code) {
  case OK: return EXIT_DONE;
  case E_ARG:
  case E_CONFIG: return EXIT_USAGE;
  case E_STORE: return EXIT_STORE;
  case E_INTERRUPTED: return EXIT_INTERRUPTED;
  default: return EXIT_FAILED;
  }
}

static const cli_verb *find_verb(const cli_verb *const *verbs, const char *name) {
  for (; *verbs; verbs++)
    if (!strcmp((*verbs)->name, name)) return *verbs;
  return NULL;
}

static void list_verbs(const cli_verb *const *verbs, text *out) {
  text_add(out, "usage: tandem VERB [ARGUMENTS]\n       tandem VERB --help\n       tandem --version\n\n"
                "Compares ways to make a text-to-video model emit RGB and alpha together.\n");
  const char *group = "";
  for (; *verbs; verbs++) {
    if (strcmp(group, (*verbs)->group)) text_addf(out, "\n%s:\n", group = (*verbs)->group);
    text_addf(out, "  %-10s  %s\n", (*verbs)->name, (*verbs)->help);
  }
}

static int fail(const cli *c, int code) {
  int status = cli_status(code);
  if (c->verb)
    fprintf(stderr, "tandem %s: %s\n", c->verb->name, c->err.text);
  else
    fprintf(stderr, "tandem: %s\n", c->err.text);
  return status;
}

static int usage_error(const cli *c) {
  fail(c, E_ARG);
  if (c->verb)
    fprintf(stderr, "usage: tandem %s %s\nsee: tandem %s --help\n", c->verb->name, c->verb->usage, c->verb->name);
  return EXIT_USAGE;
}

/* A full disk shows only when the last bytes leave the buffer. */
static int flush(cli *c, int status) {
  errno = 0;
  if (c->status != EXIT_CLOSED && fflush(stdout) == 0 && !ferror(stdout)) return status;
  if (c->status == EXIT_CLOSED || errno == EPIPE) return EXIT_CLOSED;
  if (status == EXIT_DONE)
    fprintf(stderr, "tandem: standard output: %s\n", errno ? strerror(errno) : "a write failed");
  return status == EXIT_DONE ? EXIT_FAILED : status;
}

static int print_help(cli *c, const cli_verb *const *verbs) {
  text t = {0};
  if (c->verb)
    cli_verb_help(c->verb, &t);
  else
    list_verbs(verbs, &t);
  int rc = cli_put(c, &t);
  return flush(c, rc == OK ? EXIT_DONE : fail(c, rc));
}

static int run_verb(cli *c, const cli_verb *const *verbs, int argc, char **argv) {
  void *args = NULL;
  int rc = mem_new(&c->err, 1, (int64_t)c->verb->args_size + 1, "arguments", &args), status;
  if (rc != OK) return fail(c, rc);
  rc = cli_parse(c, argc, argv, args);
  if (rc == E_ARG) {
    status = usage_error(c);
  } else if (rc != OK) {
    status = fail(c, rc);
  } else if (c->help) {
    c->output = NULL;
    status = print_help(c, verbs);
  } else {
    rc = c->verb->run(c, args);
    status = c->status == EXIT_CLOSED || rc == OK ? c->status : fail(c, rc);
    if (c->status) status = c->status;
    status = flush(c, status);
  }
  cli_parse_free(c, args);
  free(args);
  return status;
}

static int no_such_verb(cli *c, const cli_verb *const *verbs, const char *name) {
  near_word w = near_start(name, strlen(name));
  for (; *verbs; verbs++) near_offer(&w, (*verbs)->name);
  fprintf(stderr, "tandem: unknown verb '%.60s'%s\nsee: tandem --help\n", name, near_hint(&w));
  (void)c;
  return EXIT_USAGE;
}

/* "help", "-h", "--version" and "VERB --help" in their usual spellings. */
int cli_main(const cli_verb *const *verbs, int argc, char **argv) {
  cli c = {.program = argc > 0 ? argv[0] : "tandem", .argc = argc, .argv = argv, .verbs = verbs};
  /* A closed pipe is an error of that write, not the end of a process that may be training. */
  signal(SIGPIPE, SIG_IGN);
  if (argc < 2) {
    text t = {0};
    list_verbs(verbs, &t);
    if (t.p) fputs(t.p, stderr);
    text_free(&t);
    return EXIT_USAGE;
  }
  const char *name = argv[1];
  if (!strcmp(name, "--version")) name = "version";
  if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
    if (argc > 2 && !(c.verb = find_verb(verbs, argv[2]))) return no_such_verb(&c, verbs, argv[2]);
    return print_help(&c, verbs);
  }
  c.verb = find_verb(verbs, name);
  if (!c.verb) return no_such_verb(&c, verbs, name);
  return run_verb(&c, verbs, argc - 2, argv + 2);
}
