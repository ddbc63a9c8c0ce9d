/* Cells named on the command line: the words are one selector (study/select.h). */
#ifndef TD_CLI_PICK_H
#define TD_CLI_PICK_H

#include "cli/cli.h"
#include "store/query.h"
#include "study/select.h"

/* What is asked of a stored cell; state is "lost" when its lease expired before now_ms. */
select_facts pick_facts(const store_cell_row *c, int64_t now_ms);
/* The words of the command line as one selector. */
int pick_selector(cli *c, unsigned fields, selector **out) TD_MUST_CHECK;

typedef struct picked {
  store_cells all;
  const store_cell_row **at; /* the chosen ones, each once, by (stage, priority, key) */
  int64_t n;
} picked;

/* Cells of the store that the words choose. None is E_ARG when the words name a key, else an empty list. */
int pick_cells(cli *c, store *s, picked *out) TD_MUST_CHECK;
void picked_free(picked *p);

/* "train ours train seed 0", "sample ours sample seed 1 prompt in-01" */
typedef struct cell_place {
  stage stage;
  const char *variant, *prompt; /* or NULL */
  int64_t train_seed, sample_seed;
} cell_place;
cell_place pick_place(const store_cell_row *c);
void pick_place_text(const cell_place *p, text *t);
/* Members stage, variant, prompt, train_seed, sample_seed. */
void pick_place_json(const cell_place *p, json **j);

#endif
