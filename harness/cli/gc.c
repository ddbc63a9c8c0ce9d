/* tandem gc: files of the store that nothing refers to. */
#include "cli/grid.h"
#include "cli/verbs.h"
#include "store/object.h"

typedef struct gc_args {
  int dry;
  double minutes;
} gc_args;

static const cli_option options[] = {
    {.name = "dry-run", .alias = 'n', .kind = CLI_FLAG, .offset = offsetof(gc_args, dry), .help = "only count"},
    {.name = "age",
     .kind = CLI_NUMBER,
     .offset = offsetof(gc_args, minutes),
     .value = "MINUTES",
     .help = "leave younger files alone: their row may be on its way",
     .initial = "60",
     .hi = 1e7},
    {.name = NULL},
};

static json *one_json(const object_garbage *g) {
  json *j = json_new(JSON_OBJECT);
  cli_set_int(&j, "files", g->files);
  cli_set_int(&j, "bytes", g->bytes);
  return j;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const gc_args *a = args;
  store *s = NULL;
  object_garbage objects, rest;
  int64_t age = (int64_t)(a->minutes * 60000);
  text t = {0};
  char size[2][GRID_SHORT];
  TRY(store_open(&c->err, c->results, a->dry ? STORE_READ : STORE_WRITE, &s));
  TRY(object_gc(s, &c->err, age, !a->dry, &objects));
  TRY(leftover_gc(s, &c->err, age, !a->dry, &rest));
  if (c->json) {
    json *j = json_new(JSON_OBJECT);
    cli_set_bool(&j, "dry_run", a->dry);
    cli_set(&j, "objects", one_json(&objects));
    cli_set(&j, "leftovers", one_json(&rest));
    TRY(cli_put_json(c, j));
  } else {
    grid_bytes((double)objects.bytes, size[0]);
    grid_bytes((double)rest.bytes, size[1]);
    text_addf(&t, "%s %lld objects (%s), %lld checkpoints and logs (%s)\n", a->dry ? "would remove" : "removed",
              (long long)objects.files, size[0], (long long)rest.files, size[1]);
    TRY(cli_put(c, &t));
  }
out:
  text_free(&t);
  store_close(s);
  return rc;
}

const cli_verb verb_gc = {
    .name = "gc",
    .group = "change cells",
    .help = "remove files that no cell refers to",
    .usage = "",
    .about = "Objects and temporary files that no attempt names (left by killed workers, `reset` and `rm`),\n"
             "checkpoints of trainings that are done or gone, and logs of removed cells. Safe while a run works.",
    .examples = "tandem gc --dry-run\n"
                "tandem gc --age 0",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_OUTPUT,
    .options = options,
    .args_size = sizeof(gc_args),
    .run = run,
};
