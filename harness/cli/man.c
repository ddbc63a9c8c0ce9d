/* tandem man: the manual page, from the same tables as --help. */
#include <string.h>

#include "base/build.h"
#include "cli/cli.h"
#include "cli/verbs.h"

/* Text of others in roff: a backslash is \e, and a line may not begin with a control character. */
static void put_line(text *t, const char *s, size_t n) {
  if (n && (*s == '.' || *s == '\'')) text_add(t, "\\&");
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '\\')
      text_add(t, "\\e");
    else if (s[i] == '-')
      text_add(t, "\\-");
    else
      text_addn(t, s + i, 1);
  }
  text_add(t, "\n");
}

static void put_lines(text *t, const char *s) {
  while (*s) {
    size_t n = strcspn(s, "\n");
    put_line(t, s, n);
    s += n + (s[n] != 0);
  }
}

static void put_verb(const cli_verb *v, text *t) {
  text help = {0};
  text_addf(t, ".SS %s\n", v->name);
  put_lines(t, v->help);
  text_add(t, ".PP\n.nf\n");
  cli_verb_help(v, &help);
  if (help.p) put_lines(t, help.p);
  t->failed |= help.failed;
  text_free(&help);
  text_add(t, ".fi\n");
}

static int run(cli *c, const void *args) {
  text t = {0};
  (void)args;
  text_addf(&t, ".TH TANDEM 1 \"\" \"tandem %s\" \"User Commands\"\n", build_about().version);
  text_add(&t, ".SH NAME\ntandem \\- compare ways to make a text\\-to\\-video model emit RGB and alpha together\n"
               ".SH SYNOPSIS\n.B tandem\n.I VERB\n.RI [ ARGUMENTS ]\n"
               ".SH DESCRIPTION\nA study file says what to vary, what stays fixed and what to score. Tandem trains, "
               "samples and scores\n"
               "what is missing, keeps it in one SQLite store, and prints tables, figures and verdicts from there.\n"
               "Data goes to standard output, everything else to standard error.\n"
               ".SH VERBS\n");
  for (int i = 0; c->verbs[i]; i++) put_verb(c->verbs[i], &t);
  text_add(&t,
           ".SH EXIT STATUS\n.TP\n0\ndone\n.TP\n1\nthe request failed; of gate: a check is worse\n.TP\n2\nusage or "
           "configuration; nothing was started\n.TP\n3\nsome cells failed or are blocked\n.TP\n4\na result rests on "
           "cells that are not there; of gate: unclear or missing\n.TP\n5\nthe result store\n.TP\n75\nstopped before "
           "the end; the same command goes on\n.TP\n130\ninterrupted\n"
           ".SH ENVIRONMENT\n.TP\nNO_COLOR\nno colour\n.TP\nCI\nplain lines instead of a live display\n"
           ".TP\nOMP_NUM_THREADS\nCPU threads\n"
           ".SH FILES\n.TP\nresults/local\nthe store, unless \\-\\-results names another\n");
  return cli_put(c, &t);
}

const cli_verb verb_man = {
    .name = "man",
    .group = "help",
    .help = "the manual page",
    .usage = "",
    .about = "Prints this help as a page for man(1).",
    .examples = "tandem man -o ~/.local/share/man/man1/tandem.1",
    .shared = CLI_OUTPUT,
    .run = run,
};
