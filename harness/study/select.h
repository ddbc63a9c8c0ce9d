/* Selectors: which cells, rows or clips a verb is about. One grammar for all verbs.
 *
 *   selector  terms separated by white space; all of them must hold. No term: everything
 *   term      ['!'] FIELD OP VALUE{',' VALUE}     '!' negates the term, ',' is OR
 *             ['!'] HEX{',' HEX}                4 to 64 hex digits: short for key=HEX
 *   OP        '='  equal; of a key: begins with; of a number also A..B, A.. and ..B, ends included
 *             '~'  contains the value; not for numbers and keys
 *   VALUE     characters without white space, ',' and '"'; or any but '"' in double quotes
 *
 * Fields: key, stage, state, class, study, variant, prompt, train_seed, sample_seed, and seed, which is the sample
 * seed of what has one, else the train seed. state=lost is a running cell whose lease has expired; class is the
 * failure class of the last attempt. A field the thing does not have equals nothing and contains nothing, so its
 * negation holds.
 *
 *   variant=ours seed=0..2 prompt~smoke state=failed,lost !stage=train */
#ifndef TD_STUDY_SELECT_H
#define TD_STUDY_SELECT_H

#include <stdint.h>

#include "base/err.h"

typedef enum select_field {
  SELECT_KEY,
  SELECT_STAGE,
  SELECT_STATE,
  SELECT_CLASS,
  SELECT_STUDY,
  SELECT_VARIANT,
  SELECT_PROMPT,
  SELECT_TRAIN_SEED,
  SELECT_SAMPLE_SEED,
  SELECT_SEED,
  SELECT_FIELDS
} select_field;

#define SELECT_BIT(field) (1u << (field))
#define SELECT_ALL (SELECT_BIT(SELECT_FIELDS) - 1)

typedef struct selector selector;

/* What is asked about one thing. Strings may be NULL, seeds SEED_NONE: it has no such field. */
typedef struct select_facts {
  const char *key, *stage, *state, *fail_class, *study, *variant, *prompt;
  int64_t train_seed, sample_seed;
} select_facts;

/* `fields` are the SELECT_BIT of those that the caller's facts carry. E_ARG with the place in `terms`, the nearest
 * field, stage or state, or the fields there are. Stages, states and classes must exist. */
int select_parse(err *e, const char *terms, unsigned fields, selector **out) TD_MUST_CHECK;
/* 1 or 0. */
int select_match(const selector *s, const select_facts *f);
/* 1 when a term speaks of the field. */
int select_has(const selector *s, select_field field);
void select_free(selector *s);

#endif
