/* tandem retry, cancel, reset, rm: what a user does to cells. */
#include "store/edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/pick.h"
#include "cli/verbs.h"

#define SHOWN_CELLS 20

typedef struct edit_args {
  int dry, yes;
} edit_args;

#define EDIT_DRY                                                                                                     \
  {                                                                                                                  \
    .name = "dry-run", .alias = 'n', .kind = CLI_FLAG, .offset = offsetof(edit_args, dry),                           \
    .help = "only list the cells that would change"                                                                  \
  }
#define EDIT_YES                                                                                                     \
  { .name = "yes", .alias = 'y', .kind = CLI_FLAG, .offset = offsetof(edit_args, yes), .help = "do not ask" }

static const cli_option asking[] = {EDIT_DRY, EDIT_YES, {.name = NULL}};
static const cli_option harmless[] = {EDIT_DRY, {.name = NULL}};

/* What is said of one edit. */
typedef struct edit_words {
  const char *would, *did; /* "N cells ..." */
  int harmless;            /* done without asking */
} edit_words;

static const edit_words words_of[] = {
    [STORE_RETRY] = {"would be tried again", "will be tried again by the next run", 1},
    [STORE_SKIP] = {"would be skipped", "are skipped until `retry`", 0},
    [STORE_RESET] = {"would be computed again", "will be computed again by the next run", 0},
    [STORE_REMOVE] = {"would be removed", "are removed; `gc` frees their objects", 0},
};

static void list_cells(const picked *p, text *t) {
  for (int64_t i = 0; i < p->n && i < SHOWN_CELLS; i++) {
    cell_place place = pick_place(p->at[i]);
    pick_place_text(&place, t);
    text_addf(t, " %.12s (%s)\n", p->at[i]->key, store_state_name(p->at[i]->state));
  }
  if (p->n > SHOWN_CELLS) text_addf(t, "and %lld more\n", (long long)(p->n - SHOWN_CELLS));
}

/* OK to go on; E_ARG when nobody can be asked, E_INTERRUPTED after a no. */
static int confirm(cli *c, const picked *p, const edit_words *w) {
  int rc = OK;
  char answer[16] = "";
  text t = {0};
  if (!isatty(0) || !isatty(2))
    return err_set(&c->err, E_ARG, "%lld cells %s; say so with --yes, or see them with --dry-run", (long long)p->n,
                   w->would);
  list_cells(p, &t);
  TRY(text_ok(&t, &c->err));
  fprintf(stderr, "%s%lld cells %s. Go on? [y/N] ", t.p, (long long)p->n, w->would);
  if (!fgets(answer, sizeof answer, stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
    FAIL(&c->err, E_ARG, "nothing was changed");
out:
  text_free(&t);
  return rc;
}

static int apply(cli *c, store *s, store_edit what, const picked *p, int64_t *changed) {
  int rc = OK;
  const char **keys = NULL;
  TRY(mem_new(&c->err, p->n, sizeof *keys, "keys", &keys));
  for (int64_t i = 0; i < p->n; i++) keys[i] = p->at[i]->key;
  TRY(store_edit_cells(s, &c->err, what, keys, p->n, changed));
out:
  free(keys);
  return rc;
}

static json *as_json(const picked *p, int dry, int64_t changed) {
  json *o = json_new(JSON_OBJECT), *list = json_new(JSON_ARRAY);
  for (int64_t i = 0; i < p->n; i++) {
    cell_place place = pick_place(p->at[i]);
    json *j = json_new(JSON_OBJECT);
    cli_set_text(&j, "key", p->at[i]->key);
    pick_place_json(&place, &j);
    cli_set_text(&j, "state", store_state_name(p->at[i]->state));
    cli_push(&list, j);
  }
  cli_set_bool(&o, "dry_run", dry);
  cli_set_int(&o, "changed", changed);
  cli_set(&o, "cells", list);
  return o;
}

static int edit(cli *c, const edit_args *a, store_edit what) {
  int rc = OK;
  const edit_words *w = &words_of[what];
  store *s = NULL;
  picked p = {0};
  text t = {0};
  int64_t n = 0, changed = 0;
  TRY(store_open(&c->err, c->results, a->dry ? STORE_READ : STORE_WRITE, &s));
  TRY(pick_cells(c, s, &p));
  for (int64_t i = 0; i < p.n; i++)
    if (store_edit_applies(what, p.at[i])) p.at[n++] = p.at[i];
  p.n = n;
  if (!a->dry && !a->yes && !w->harmless && n) TRY(confirm(c, &p, w));
  if (!a->dry && n) TRY(apply(c, s, what, &p, &changed));
  if (c->json) {
    TRY(cli_put_json(c, as_json(&p, a->dry, changed)));
  } else {
    list_cells(&p, &t);
    TRY(cli_put(c, &t));
  }
  cli_note(c, "%lld cells %s", (long long)(a->dry ? n : changed), a->dry ? w->would : w->did);
out:
  text_free(&t);
  picked_free(&p);
  store_close(s);
  return rc;
}

static int run_retry(cli *c, const void *args) {
  return edit(c, args, STORE_RETRY);
}
static int run_cancel(cli *c, const void *args) {
  return edit(c, args, STORE_SKIP);
}
static int run_reset(cli *c, const void *args) {
  return edit(c, args, STORE_RESET);
}
static int run_rm(cli *c, const void *args) {
  return edit(c, args, STORE_REMOVE);
}

#define EDIT_VERB                                                                                                    \
  .group = "change cells", .usage = "KEY|SELECTOR...", .exits = CLI_EXIT_STORE,                                      \
  .shared = CLI_RESULTS | CLI_JSON | CLI_OUTPUT, .min_words = 1, .max_words = -1, .args_size = sizeof(edit_args)

const cli_verb verb_retry = {
    EDIT_VERB,
    .name = "retry",
    .help = "failed and cancelled cells are tried again by the next run",
    .about = "Of the chosen cells those that failed or were cancelled, and scores that an external scorer did not\n"
             "answer. What they blocked waits again. Selectors: docs/running.md.",
    .examples = "tandem retry class=io,timeout\n"
                "tandem retry variant=ours stage=train --dry-run",
    .options = harmless,
    .run = run_retry,
};

const cli_verb verb_cancel = {
    EDIT_VERB,
    .name = "cancel",
    .help = "cells that are not done are skipped",
    .about = "Of the chosen cells those that wait, are ready or run; a running one is stopped within seconds by its\n"
             "own `run`. What is made from them is blocked. `retry` takes it back.",
    .examples = "tandem cancel variant=latent\n"
                "tandem cancel state=running stage=train --yes",
    .options = asking,
    .run = run_cancel,
};

const cli_verb verb_reset = {
    EDIT_VERB,
    .name = "reset",
    .help = "done cells are computed again by the next run",
    .about =
        "For results that were damaged or are doubted. What was made from the chosen cells stays done: the same\n"
        "key gives the same bytes, so nothing else can change. Earlier attempts are kept.",
    .examples = "tandem reset 81bbe6052e81 --yes\n"
                "tandem reset stage=score prompt~smoke --dry-run",
    .options = asking,
    .run = run_reset,
};

const cli_verb verb_rm = {
    EDIT_VERB,
    .name = "rm",
    .help = "cells, their attempts and measures are removed from the store",
    .about = "Running cells stay, and so does what cells outside of the choice are made from. `gc` then frees the\n"
             "objects. A study that wants the cells computes them again.",
    .examples = "tandem rm 'study=\"\"' --dry-run        # cells that no study wants\n"
                "tandem rm study=demo --yes",
    .options = asking,
    .run = run_rm,
};
