#include "study/set_cell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

char set_cell_side(const char *role) {
  return (role[0] == 'x' || role[0] == 'y') && role[1] == '/' ? role[0] : 0;
}

void set_cell_role(char side, int64_t i, char out[SET_ROLE]) {
  snprintf(out, SET_ROLE, "%c/%07lld", side, (long long)(i % 10000000)); /* STUDY_LIMIT is far below */
}

int set_cell_hash(err *e, char (*key)[HASH_HEX], int64_t n, char hex[HASH_HEX]) {
  text t = {0};
  for (int64_t i = 0; i < n; i++) text_addf(&t, "%s\n", key[i]);
  text_add(&t, "");
  int rc = text_ok(&t, e);
  if (rc == OK) rc = hash_bytes(e, t.p, t.n, hex);
  text_free(&t);
  return rc;
}

const set_fact *set_facts(void) {
  static const set_fact facts[FACT_COUNT + 1] = {
      [FACT_N_AGAINST] = {"n_against", "clips", "clips of the reference", 0, INFINITY},
      [FACT_UNDEFINED] = {"undefined", "clips", "clips under test without features", 0, INFINITY},
      [FACT_UNDEFINED_AGAINST] = {"undefined_against", "clips", "clips of the reference without features", 0,
                                  INFINITY},
      [FACT_P] = {"p", "1", "how often the null reaches the score", 0, 1},
      [FACT_NULL_MEAN] = {"null_mean", "1", "mean of the null", -INFINITY, INFINITY},
      [FACT_NULL_SD] = {"null_sd", "1", "standard deviation of the null", 0, INFINITY},
      [FACT_NULL_LO] = {"null_lo", "1", "2.5 percentile of the null", -INFINITY, INFINITY},
      [FACT_NULL_HI] = {"null_hi", "1", "97.5 percentile of the null", -INFINITY, INFINITY},
      [FACT_PERMUTATIONS] = {"permutations", "1", "values the null is made of", 0, INFINITY},
  };
  return facts;
}
