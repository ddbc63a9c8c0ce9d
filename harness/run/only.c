#include "run/only.h"

#include <stdlib.h>

#include "base/mem.h"

int only_keys(err *e, const plan *p, const char *study_name, const selector *want, const char ***keys, int64_t *n) {
  int rc = OK;
  char *chosen = NULL;
  *keys = NULL;
  *n = 0;
  TRY(mem_new(e, p->n, 1, "marks", &chosen));
  TRY(mem_new(e, p->n, sizeof **keys, "keys", keys));
  for (int64_t i = p->n - 1; i >= 0; i--) { /* inputs come first in a plan */
    const plan_cell *c = &p->cell[i];
    select_facts f = {.key = c->key,
                      .stage = stage_name(c->stage),
                      .study = study_name,
                      .variant = c->variant,
                      .prompt = c->prompt,
                      .train_seed = c->train_seed,
                      .sample_seed = c->sample_seed};
    if (!chosen[i] && !select_match(want, &f)) continue;
    (*keys)[(*n)++] = c->key;
    for (int k = 0; k < c->n_inputs; k++)
      if (c->input[k].cell >= 0) chosen[c->input[k].cell] = 1;
  }
  if (!*n) FAIL(e, E_ARG, "--only: no cell of study %s matches", study_name);
out:
  free(chosen);
  if (rc != OK) {
    free(*keys);
    *keys = NULL;
  }
  return rc;
}
