/* tandem completion: what a shell offers after TAB, from the tables of verbs and options. */
#include <string.h>

#include "cli/cli.h"
#include "cli/verbs.h"

/* Words between single quotes, for every shell here. */
static void put_quoted(text *t, const char *s) {
  text_add(t, "'");
  for (; *s; s++) {
    if (*s == '\'')
      text_add(t, "'\\''");
    else
      text_addn(t, s, 1);
  }
  text_add(t, "'");
}

static void put_choices(text *t, const cli_option *o) {
  for (int k = 0; o->choices && o->choices[k]; k++) text_addf(t, "%s%s", k ? " " : "", o->choices[k]);
}

/* --- bash, and zsh by way of its bash mode --- */

static void bash_verb(const cli_verb *v, text *t) {
  const cli_option *o;
  text_addf(t, "    %s)\n      case $before in\n", v->name);
  for (int i = 0; (o = cli_option_at(v, i)); i++) {
    if (!o->choices) continue;
    text_addf(t, "        --%s) words='", o->name);
    put_choices(t, o);
    text_add(t, "' ;;\n");
  }
  text_add(t, "        *) words='");
  for (int i = 0; (o = cli_option_at(v, i)); i++) text_addf(t, "%s--%s", i ? " " : "", o->name);
  text_add(t, "' ;;\n      esac ;;\n");
}

static void bash(const cli *c, text *t) {
  text_add(t, "_tandem() {\n"
              "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=''\n"
              "  if [ \"$COMP_CWORD\" = 1 ]; then\n    COMPREPLY=($(compgen -W '");
  for (int i = 0; c->verbs[i]; i++) text_addf(t, "%s ", c->verbs[i]->name);
  text_add(t, "help' -- \"$word\"))\n    return\n  fi\n  case ${COMP_WORDS[1]} in\n    help) words='");
  for (int i = 0; c->verbs[i]; i++) text_addf(t, "%s%s", i ? " " : "", c->verbs[i]->name);
  text_add(t, "' ;;\n");
  for (int i = 0; c->verbs[i]; i++) bash_verb(c->verbs[i], t);
  /* options where one begins or a choice is asked for; else what the shell does for files */
  text_add(t, "  esac\n"
              "  case $word:$words in\n"
              "    -*:* | *:[!-]*) COMPREPLY=($(compgen -W \"$words\" -- \"$word\")) ;;\n"
              "    *) COMPREPLY=() ;;\n"
              "  esac\n"
              "}\n"
              "complete -o default -F _tandem tandem\n");
}

static void zsh(const cli *c, text *t) {
  text_add(t, "#compdef tandem\nautoload -U +X bashcompinit && bashcompinit\n");
  bash(c, t);
}

/* --- fish --- */

static void fish_option(const cli_verb *v, const cli_option *o, text *t) {
  text_addf(t, "complete -c tandem -n '__fish_seen_subcommand_from %s' -l %s", v->name, o->name);
  if (o->alias) text_addf(t, " -s %c", o->alias);
  if (o->choices) {
    text_add(t, " -x -a '");
    put_choices(t, o);
    text_add(t, "'");
  } else if (o->value && !o->bare) {
    text_add(t, " -r");
  }
  text_add(t, " -d ");
  put_quoted(t, o->help);
  text_add(t, "\n");
}

static void fish(const cli *c, text *t) {
  const cli_option *o;
  for (int i = 0; c->verbs[i]; i++) {
    const cli_verb *v = c->verbs[i];
    text_addf(t, "complete -c tandem -n __fish_use_subcommand -a %s -d ", v->name);
    put_quoted(t, v->help);
    text_add(t, "\n");
    for (int k = 0; (o = cli_option_at(v, k)); k++) fish_option(v, o, t);
  }
}

static int run(cli *c, const void *args) {
  static const struct {
    const char *name;
    void (*print)(const cli *c, text *t);
  } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
  text t = {0};
  (void)args;
  for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
    if (strcmp(c->words.v[0], shells[i].name) != 0) continue;
    shells[i].print(c, &t);
    return cli_put(c, &t);
  }
  return err_set(&c->err, E_ARG, "'%.40s' is not one of bash, zsh, fish", c->words.v[0]);
}

const cli_verb verb_completion = {
    .name = "completion",
    .group = "help",
    .help = "verbs and options after TAB, for bash, zsh and fish",
    .usage = "bash|zsh|fish",
    .about = "Prints a script for the shell to read. It is made from the same tables as --help.",
    .examples = "tandem completion bash > ~/.local/share/bash-completion/completions/tandem\n"
                "tandem completion zsh > ~/.zfunc/_tandem      # with ~/.zfunc in fpath\n"
                "tandem completion fish > ~/.config/fish/completions/tandem.fish",
    .shared = CLI_OUTPUT,
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
