/* A score cell that compares two sets of clips: names of its inputs, the hash of its sets, and what it measures
 * beside the score.
 *
 * Its clips are inputs "x/0000000", "x/0000001"... (the set under test) and "y/..." (the reference, unless that is
 * the data), each set in the order of its keys. The key of the cell holds the hashes of the two lists, in its spec as
 * clips.x and clips.y, instead of the inputs. */
#ifndef TD_STUDY_SET_CELL_H
#define TD_STUDY_SET_CELL_H

#include <stdint.h>

#include "base/hash.h"
#include "base/json.h"

#define SET_ROLE 16             /* bytes of a role, with its zero */
#define SET_FIRST "x/0000000"   /* every cell of this kind has this input, and no other has */
#define SET_FIRST_Y "y/0000000" /* likewise those whose reference is clips */

/* 'x' or 'y' for an input that is a clip of a set, else 0. */
char set_cell_side(const char *role);
void set_cell_role(char side, int64_t i, char out[SET_ROLE]);
/* The hash of n keys, which are sorted. */
int set_cell_hash(err *e, char (*key)[HASH_HEX], int64_t n, char hex[HASH_HEX]) TD_MUST_CHECK;

/* Measures of the cell beside the score ID itself, as metrics "ID#NAME". The score's own n is the clips under test.
 */
typedef struct set_fact {
  const char *name, *unit, *help;
  double lo, hi;
} set_fact;
/* In the order of set_fact_id; ended by a NULL name. */
const set_fact *set_facts(void);
typedef enum set_fact_id {
  FACT_N_AGAINST,
  FACT_UNDEFINED,
  FACT_UNDEFINED_AGAINST,
  FACT_P, /* this and what follows only with a null */
  FACT_NULL_MEAN,
  FACT_NULL_SD,
  FACT_NULL_LO,
  FACT_NULL_HI,
  FACT_PERMUTATIONS,
  FACT_COUNT
} set_fact_id;

#endif
