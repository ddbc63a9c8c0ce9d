/* Changes that a user makes to cells, and the health of the store. */
#ifndef TD_STORE_EDIT_H
#define TD_STORE_EDIT_H

#include "store/query.h"
#include "store/store.h"

typedef enum store_edit {
  STORE_RETRY, /* failed, skipped, and scores that a scorer failed to answer: tried again, with a fresh count of tries
                */
  STORE_SKIP,  /* waiting, ready, running, blocked: skipped, and what is made from it blocked; a running attempt ends
                  as  cancelled and its worker is stopped at its runner's next heartbeat */
  STORE_RESET, /* done: computed again. What was made from it stays */
  STORE_REMOVE, /* not running: the cell, its attempts and its measures are gone. Its objects become garbage */
} store_edit;

/* May the edit change this cell? */
int store_edit_applies(store_edit what, const store_cell_row *c);
/* One transaction; cells to which the edit does not apply stay as they are, *changed counts the others. STORE_REMOVE
 * of a cell that a cell outside of `keys` is made from is E_ARG. */
int store_edit_cells(store *s, err *e, store_edit what, const char *const *keys, int64_t n,
                     int64_t *changed) TD_MUST_CHECK;

/* SQLite's own check, and references that point nowhere: `line` is called once per finding. */
typedef int store_line_fn(void *user, err *e, const char *line);
int store_integrity(store *s, err *e, store_line_fn *line, void *user) TD_MUST_CHECK;

#endif
