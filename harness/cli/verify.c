/* tandem verify: is what the store says still so? */
#include <string.h>

#include "cli/pick.h"
#include "cli/verbs.h"
#include "store/edit.h"
#include "store/object.h"

typedef struct verifier {
  cli *c;
  store *s;
  json *list;
  text t;
  int64_t objects, bytes, bad;
} verifier;

static void found(verifier *v, const char *key, const char *role, const char *what) {
  v->bad++;
  if (v->c->json) {
    json *j = json_new(JSON_OBJECT);
    cli_set_text(&j, "key", key);
    cli_set_text(&j, "role", role);
    cli_set_text(&j, "text", what);
    cli_push(&v->list, j);
  } else {
    text_addf(&v->t, "%s%.12s%s%s%s%s\n", key ? "cell " : "", key ? key : "", key ? ", " : "", role ? role : "",
              key ? ": " : "", what);
  }
}

static int on_line(void *user, err *e, const char *line) {
  (void)e;
  found(user, NULL, NULL, line);
  return OK;
}

static int verify_cell(verifier *v, const store_cell_row *r) {
  int rc = OK;
  store_artifacts a = {0};
  TRY(store_artifact_list(v->s, &v->c->err, r->key, &a));
  for (int64_t i = 0; i < a.n; i++) {
    err why = {0};
    v->objects++;
    v->bytes += a.at[i].bytes;
    if (object_verify(v->s, &why, a.at[i].sha256) != OK) found(v, r->key, a.at[i].role, why.text);
  }
out:
  store_artifacts_free(&a);
  return rc;
}

static int put(verifier *v) {
  json *o;
  if (!v->c->json) {
    text_addf(&v->t, "%lld objects hashed (%lld bytes), %lld problems\n", (long long)v->objects, (long long)v->bytes,
              (long long)v->bad);
    return cli_put(v->c, &v->t);
  }
  o = json_new(JSON_OBJECT);
  cli_set_bool(&o, "ok", v->bad == 0);
  cli_set_int(&o, "objects", v->objects);
  cli_set_int(&o, "bytes", v->bytes);
  cli_set(&o, "problems", v->list);
  v->list = NULL;
  return cli_put_json(v->c, o);
}

static int run(cli *c, const void *args) {
  int rc = OK;
  verifier v = {.c = c, .list = json_new(JSON_ARRAY)};
  picked p = {0};
  (void)args;
  TRY(store_open(&c->err, c->results, STORE_READ, &v.s));
  TRY(store_integrity(v.s, &c->err, on_line, &v));
  TRY(pick_cells(c, v.s, &p));
  for (int64_t i = 0; i < p.n; i++) TRY(verify_cell(&v, p.at[i]));
  TRY(put(&v));
  if (v.bad) {
    cli_note(c, "damaged cells are computed again after `%s reset KEY`", c->program);
    c->status = EXIT_STORE;
  }
out:
  json_free(v.list);
  text_free(&v.t);
  picked_free(&p);
  store_close(v.s);
  return rc;
}

const cli_verb verb_verify = {
    .name = "verify",
    .group = "look inside",
    .help = "hash the objects again and check the database",
    .usage = "[KEY|SELECTOR]...",
    .about =
        "SQLite's integrity check, references between rows, and every object of the chosen done cells (without a\n"
        "selector: of all) against its name. Exit 5 when something is wrong; nothing is changed.",
    .examples = "tandem verify\n"
                "tandem verify stage=train --json",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_OUTPUT,
    .max_words = -1,
    .args_size = sizeof(int),
    .run = run,
};
