/* External scorers: programs that measure clips, spoken to in JSON Lines over pipes (docs/scorers.md has the protocol
 * for those who write one). Needs no store and no study.
 *
 * Whatever a scorer does is a value or a reason code, never an error of these calls: it may hang, die, flood, print
 * garbage, ignore SIGTERM or leave children behind. An answer counts only when it is complete; a program that broke
 * the protocol is killed with its process group, and the next clip starts a fresh one. */
#ifndef TD_RUN_SCORER_H
#define TD_RUN_SCORER_H

#include <stddef.h>
#include <stdint.h>

#include "base/clip.h"
#include "base/err.h"
#include "study/card.h"

/* Reason codes of the harness; a scorer's own never begin with "scorer_". */
#define SCORER_START "scorer_start"
#define SCORER_TIMEOUT "scorer_timeout"
#define SCORER_DIED "scorer_died"
#define SCORER_GARBAGE "scorer_garbage"
#define SCORER_FLOOD "scorer_flood"
#define SCORER_GIVEN_UP "scorer_given_up"
#define SCORER_MISSING "scorer_missing"
#define SCORER_DUPLICATE "scorer_duplicate"
#define SCORER_NOT_FINITE "scorer_not_finite"
#define SCORER_RANGE "scorer_range"

typedef struct scorer_reason {
  const char *code, *help;
  int whole_clip; /* 1: all measures of the clip have it; 0: one measure */
} scorer_reason;
/* All of them, ended by a NULL code. */
const scorer_reason *scorer_reasons(void);

/* Limits on what a scorer may say about one clip (and in a description). */
#define SCORER_LINE 65536            /* bytes of a line */
#define SCORER_LINES 10000           /* lines */
#define SCORER_BYTES (1024 * 1024)   /* bytes on standard output */
#define SCORER_LOG_BYTES (64 * 1024) /* bytes of standard error that are kept; the rest is read and dropped */

typedef struct scorer_options {
  const char *const *argv; /* ended by NULL; see child_start */
  const char *folder;      /* working folder and base of a relative program; NULL: the current one */
  double timeout_s;        /* for one clip */
  double start_s;          /* for --describe, and on top of timeout_s for the first clip of a process */
  double grace_s;          /* from SIGTERM to SIGKILL */
  int failures;            /* clips in a row that may fail before the rest is given up */
  int (*stop)(void *user); /* asked several times a second; non-zero ends a wait with E_INTERRUPTED. May be NULL */
  /* Standard error of the scorer, and lines about what it did wrong. May be NULL. */
  void (*log)(void *user, const char *data, size_t n);
  void *user;
} scorer_options;

/* 600 s a clip, 120 s to start, 2 s of grace, 3 failures; argv and folder are the caller's. */
scorer_options scorer_defaults(const char *const *argv, const char *folder);

/* Runs `argv... --describe` and reads the card. E_IO: cannot be started, took too long, ended badly; E_FORMAT: what
 * it printed is no card. Both with the end of its standard error. */
int scorer_describe(err *e, const scorer_options *o, scorer_card *out) TD_MUST_CHECK;

/* One clip. Paths are absolute; NULL: there is none. */
typedef struct scorer_question {
  const char *clip;  /* lossless file */
  const char *rgba8; /* frames x height x width x 4 bytes, no header; where the card wants it */
  const char *base;  /* the base model's clip, likewise */
  const char *base_rgba8;
  const char *reference; /* what the clip should have been */
  clip_colour colour;
  int has_alpha; /* 0: measures of alpha are undefined (no_alpha) whatever is answered */
  int frames, height, width;
  double fps;                           /* 0: not known */
  const char *prompt;                   /* or NULL */
  const char *train_seed, *sample_seed; /* digits, or NULL */
} scorer_question;

typedef struct scorer_value {
  double value;           /* 0 when undefined */
  char reason[CARD_NAME]; /* "" when defined */
  int64_t support;        /* what the value rests on, as the scorer says; 1 when it does not */
} scorer_value;

typedef struct scorer scorer;

/* Starts nothing yet: the first question does. `o` and what it points to must outlive the scorer; the card is
 * copied. */
int scorer_open(err *e, const scorer_options *o, const scorer_card *card, scorer **out) TD_MUST_CHECK;
/* Fills out[0 .. card.n - 1], in the card's order. E_INTERRUPTED, E_NOMEM; all else is a reason. */
int scorer_ask(scorer *s, err *e, const scorer_question *q, scorer_value *out) TD_MUST_CHECK;
/* Ends its input and gives it grace_s to leave by itself. NULL is fine. */
void scorer_close(scorer *s);

#endif
