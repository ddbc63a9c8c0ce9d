#include "cli/study.h"

#include <stdio.h>
#include <stdlib.h>

#include "run/scorer_study.h"
#include "study/content.h"

static int read_study(cli *c, const study_args *a, const cli_list *args, int planned, loaded_study *l) {
  int rc = OK;
  err why = {0};
  study_input in = {.file = l->file,
                    .home = cli_configs(c),
                    .args = args->v,
                    .n_args = args->n,
                    .sets = a->sets.v,
                    .n_sets = a->sets.n,
                    .limit = a->limit,
                    .describe = scorer_study_describe};
  rc = study_load(&why, &in, &l->problems, &l->s);
  if (rc == OK && planned) rc = plan_make(&why, l->s, &(plan_source){content_sha, NULL}, &l->problems, &l->p);
  if (rc == E_CONFIG) /* the problems themselves are printed, so the first need not be repeated */
    return err_set(&c->err, rc, "%s: %lld error%s", l->file, (long long)l->problems.errors,
                   l->problems.errors == 1 ? "" : "s");
  return rc == OK ? OK : err_set(&c->err, rc, "%s", why.text);
}

/* Reads and prints the problems. */
static int load(cli *c, const char *name, const study_args *a, const cli_list *args, loaded_study *out, int planned) {
  int rc = OK;
  text t = {0};
  *out = (loaded_study){0};
  TRY(cli_study_file(c, name, &out->file));
  rc = read_study(c, a, args, planned, out);
  problems_print(&out->problems, &t);
  if (t.p) fputs(t.p, stderr);
  text_free(&t);
out:
  return rc;
}

int loaded_study_open(cli *c, const study_args *a, loaded_study *out) {
  cli_list args = {c->words.v + 1, c->words.n - 1};
  return loaded_study_named(c, c->words.v[0], a, &args, out);
}

int loaded_study_named(cli *c, const char *name, const study_args *a, const cli_list *args, loaded_study *out) {
  return load(c, name, a, args, out, 1);
}

int loaded_study_unplanned(cli *c, const study_args *a, loaded_study *out) {
  cli_list args = {c->words.v + 1, c->words.n - 1};
  return load(c, c->words.v[0], a, &args, out, 0);
}

void loaded_study_close(loaded_study *l) {
  plan_free(l->p);
  study_free(l->s);
  problems_free(&l->problems);
  free(l->file);
  *l = (loaded_study){0};
}
