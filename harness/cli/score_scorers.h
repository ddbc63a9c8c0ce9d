/* External scorers of `tandem score`: the programs that a study may name (docs/scorers.md), asked about loose clips.
 */
#ifndef TD_CLI_SCORE_SCORERS_H
#define TD_CLI_SCORE_SCORERS_H

#include "cli/cli.h"
#include "cli/score_clips.h"
#include "run/scorer.h"
#include "run/stage.h"

typedef struct score_scorer {
  char *words;       /* the command, cut into arguments */
  const char **argv; /* into words; ended by NULL */
  scorer_options o;
  scorer_card card;
  scorer *s;
  char said[512]; /* the end of what it wrote on standard error about this clip */
  size_t n_said;
} score_scorer;

typedef struct score_scorers {
  score_scorer *at;
  int64_t n, measures; /* measures: of all of them */
  char folder[64];     /* for clips on their way; "" when there are no scorers */
  int64_t files;
} score_scorers;

/* Describes and opens each command: a program, or a program and its arguments with blanks between. A relative program
 * with a '/' is looked up from the current folder. `timeout_s` is for one clip; as much, but at most 120 s, is added
 * for starting. E_IO, E_FORMAT: it does not describe itself; E_ARG: two of one name. Call score_scorers_close in any
 * case. */
int score_scorers_open(err *e, const cli_list *commands, double timeout_s, score_scorers *out) TD_MUST_CHECK;
/* Asks all of them about one clip, from the thread that opened them: out[0 .. measures - 1] in the order of scorers
 * and cards. Whatever they do is a value or a reason; failures of a whole clip are named on standard error. Errors
 * are those of reading the clip, E_NOMEM and E_INTERRUPTED. `stated` as in score_clips_read. */
int score_scorers_ask(err *e, score_scorers *s, const char *clip_name, const score_job *j, int stated,
                      scorer_value *out) TD_MUST_CHECK;
void score_scorers_close(score_scorers *s);

#endif
