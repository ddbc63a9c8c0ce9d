/* tandem log: what the workers of one cell wrote. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/stop.h"
#include "cli/verbs.h"
#include "store/query.h"

#define POLL_NS 200000000L

typedef struct log_args {
  int follow, all;
} log_args;

static const cli_option options[] = {
    {.name = "follow",
     .alias = 'f',
     .kind = CLI_FLAG,
     .offset = offsetof(log_args, follow),
     .help = "go on with what is written until the attempt ends"},
    {.name = "all",
     .kind = CLI_FLAG,
     .offset = offsetof(log_args, all),
     .help = "logs of all attempts, oldest first"},
    {.name = NULL},
};

/* From *at to the end of the file, which may not be there yet. */
static int copy(cli *c, const char *path, off_t *at) {
  int rc = OK;
  char buffer[8192];
  ssize_t n = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? OK : err_set(&c->err, E_IO, "%s: cannot read: %s", path, strerror(errno));
  while ((n = pread(fd, buffer, sizeof buffer, *at)) > 0) {
    *at += n;
    TRY(cli_write(c, buffer, (size_t)n));
  }
  if (n < 0) rc = err_set(&c->err, E_IO, "%s: cannot read: %s", path, strerror(errno));
out:
  close(fd);
  return rc;
}

static int still_running(cli *c, store *s, const char *key, int64_t n, int *out) {
  int rc = OK;
  store_attempts l = {0};
  *out = 0;
  TRY(store_attempt_list(s, &c->err, key, &l));
  for (int64_t i = 0; i < l.n; i++)
    if (l.at[i].n == n) *out = !strcmp(l.at[i].state, "running");
out:
  store_attempts_free(&l);
  return rc;
}

static int follow(cli *c, store *s, const char *key, int64_t attempt, const char *path, off_t at) {
  int rc = OK, running = 1;
  stop_listen();
  while (running && !stop_signal()) {
    TRY(still_running(c, s, key, attempt, &running)); /* first, so that what came before the end is copied */
    TRY(copy(c, path, &at));
    if (fflush(stdout) != 0) break; /* the reader went away; the dispatcher says so */
    if (running) nanosleep(&(struct timespec){0, POLL_NS}, NULL);
  }
  if (running && stop_signal()) c->status = stop_status(stop_signal());
out:
  return rc;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const log_args *a = args;
  store *s = NULL;
  store_cells cell = {0};
  store_attempts l = {0};
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  TRY(store_cell_find(s, &c->err, c->words.v[0], &cell));
  const char *key = cell.at[0].key;
  TRY(store_attempt_list(s, &c->err, key, &l));
  if (!l.n) FAIL(&c->err, E_ARG, "cell %.12s was never run; `why` says what it waits for", key);
  for (int64_t i = a->all ? 0 : l.n - 1; i < l.n; i++) {
    char path[STORE_PATH];
    off_t at = 0;
    const store_attempt_row *x = &l.at[i];
    if (snprintf(path, sizeof path, "%s/%s", c->results, x->log_path ? x->log_path : "") >= (int)sizeof path)
      FAIL(&c->err, E_ARG, "%s: path too long", c->results);
    cli_note(c, "attempt %lld: %s, %s", (long long)x->n, x->state, path);
    TRY(copy(c, path, &at));
    if (a->follow && i == l.n - 1) TRY(follow(c, s, key, x->n, path, at));
  }
out:
  store_attempts_free(&l);
  store_cells_free(&cell);
  store_close(s);
  return rc;
}

const cli_verb verb_log = {
    .name = "log",
    .group = "look inside",
    .help = "what the last attempt at a cell wrote",
    .usage = "KEY",
    .about =
        "The log of the last attempt, that of a failed one ends with the error, its class, the exit code or signal\n"
        "and the command that runs the cell alone. A log is never what makes a cell done.",
    .examples = "tandem log 81bbe6052e81\n"
                "tandem log 81bbe6052e81 --follow",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS,
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .args_size = sizeof(log_args),
    .run = run,
};
