/* The result store: one SQLite file and a folder of objects named by their SHA-256 (spec/harness.md 8 and 9).
 *
 *   FOLDER/store.db            every fact: studies, cells, attempts, artifacts, measures
 *   FOLDER/objects/ab/<sha256> bytes, written before the row that names them
 *   FOLDER/tmp/                files on their way to becoming objects
 *   FOLDER/logs/               one log per attempt
 *   FOLDER/checkpoints/        KEY.safetensors of trainings that are not done
 *
 * This room is the only one that knows SQL. "Done" is one row, written in the transaction that stores the measures;
 * the presence of a file never means anything. Any number of processes on one machine may use a store at once; one
 * `store` belongs to one thread at a time and must not be carried across fork().
 *
 * Every failure is E_STORE (a caller's mistake: E_ARG) and its text says what to do about it. */
#ifndef TD_STORE_STORE_H
#define TD_STORE_STORE_H

#include <stdint.h>

#include "base/err.h"
#include "study/study.h"

#define STORE_SCHEMA 1  /* PRAGMA user_version this build writes */
#define STORE_PATH 1024 /* longest path of a file in a store, with its zero */
#define STORE_KEY 65    /* a cell key: 64 hex digits and a zero */

typedef enum store_mode {
  STORE_READ,   /* never writes; a newer schema is accepted (store_note says so) */
  STORE_WRITE,  /* the store must exist */
  STORE_CREATE, /* made when absent; safe from many processes at once */
} store_mode;

/* States of a cell; the words the database uses for them are those of store_state_name. */
typedef enum store_state {
  CELL_WAITING, /* an input cell is not done yet */
  CELL_READY,
  CELL_RUNNING,
  CELL_DONE,
  CELL_FAILED,
  CELL_BLOCKED, /* an input cell failed */
  CELL_SKIPPED,
  CELL_STATES
} store_state;

const char *store_state_name(store_state state);

typedef struct store store;

int store_open(err *e, const char *folder, store_mode mode, store **out) TD_MUST_CHECK;
void store_close(store *s);
/* The folder as given to store_open. */
const char *store_folder(const store *s);
/* What a user should know about this store (a file system without safe shared memory, a newer schema), or NULL. */
const char *store_note(const store *s);
/* How long a call waits for the lock of another process before it fails; STORE_PATIENCE_MS at first. */
#define STORE_PATIENCE_MS 30000
void store_set_patience(store *s, int64_t ms);
/* From now on claims, counts, retries and unanswered scores are those of these cells alone; `keys` is copied. */
int store_focus(store *s, err *e, const char *const *keys, int64_t n) TD_MUST_CHECK;
/* Milliseconds since 1970, the clock of every *_ms column. */
int64_t store_now_ms(void);
/* statfs f_type -> 1 when SQLite's shared-memory log works there; *name is the file system's name when it does not.
 */
int store_fs_is_local(int64_t f_type, const char **name);
/* Version of the SQLite library that is loaded. */
const char *store_library(void);

#endif
