#include "cli/frozen.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/baseline_file.h"
#include "store/baseline.h"

int frozen_open_study(cli *c, const study_args *a, const char *name, int first, loaded_study *out) {
  cli_list all = c->words, words = {0};
  int rc = OK;
  *out = (loaded_study){0};
  TRY(mem_new(&c->err, all.n + 1, sizeof *words.v, "arguments", &words.v));
  words.v[words.n++] = name;
  for (int i = first; i < all.n; i++) words.v[words.n++] = all.v[i];
  c->words = words;
  rc = loaded_study_open(c, a, out);
  c->words = all;
out:
  free(words.v);
  return rc;
}

int frozen_scores(cli *c, const char *folder, const loaded_study *l, baseline *out, int64_t *missing) {
  store *s = NULL;
  int rc = OK;
  *out = (baseline){0};
  TRY(store_open(&c->err, folder, STORE_READ, &s));
  TRY(freeze_same_study(&c->err, s, l->s));
  TRY(freeze_study(&c->err, s, l->s,
                   &(freeze_options){.name = "now", .note = "", .host_class = freeze_host_class(), .seconds = 1}, out,
                   missing));
out:
  store_close(s);
  return rc;
}

int frozen_is_file(const char *name) {
  size_t n = strlen(name);
  return strchr(name, '/') || (n > 5 && strcmp(name + n - 5, ".json") == 0);
}

int frozen_baseline(cli *c, const char *name, baseline *out) {
  store *s = NULL;
  err why = {0};
  int rc = OK;
  *out = (baseline){0};
  if (frozen_is_file(name)) {
    rc = baseline_read(&why, name, out);
    return rc == OK ? OK : err_set(&c->err, rc == E_NOMEM ? rc : E_STORE, "baseline: %s", why.text);
  }
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  TRY(store_baseline_get(s, &c->err, name, out));
out:
  store_close(s);
  return rc;
}
