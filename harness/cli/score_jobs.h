/* Which files make the clips that `tandem score` scores: lists, folders, and pairing by file name. */
#ifndef TD_CLI_SCORE_JOBS_H
#define TD_CLI_SCORE_JOBS_H

#include <stdint.h>

#include "base/clip.h"
#include "base/err.h"

/* What stands beside a clip. */
typedef enum score_role { SCORE_BASE, SCORE_TRUTH, SCORE_TRIMAP, SCORE_PARTNER, SCORE_ROLES } score_role;
extern const char *const score_role_option[SCORE_ROLES]; /* "--against"... */

/* Paths as given on the command line; NULL when not given. */
typedef struct score_sources {
  const char *const *clips; /* files and folders */
  int n_clips;
  const char *rgb, *alpha; /* instead of clips */
  const char *beside[SCORE_ROLES];
} score_sources;

typedef struct score_job {
  char *name;                /* file name without its ending; with the folder where two would be equal */
  char *file, *alpha;        /* alpha: matte from another file */
  char *beside[SCORE_ROLES]; /* NULL: not given, or nothing of this name in the folder */
  int coloured;              /* `colour` is known, from a manifest */
  clip_colour colour;
} score_job;

typedef struct score_jobs {
  score_job *at;
  int64_t n, cap;
  int64_t alone[SCORE_ROLES]; /* clips without a file of their name in that folder */
  char *frames;               /* a folder's images are numbered in a row: its name as one clip; else NULL */
} score_jobs;

/* A folder gives its clips (media/clip_files.h) in the order of their names, or its dataset: a manifest, or fgr/ and
 * pha/ (captions are not needed). Files beside the clips are found by name; a single file belongs to a single clip.
 * E_IO, E_ARG, E_FORMAT name the path. */
int score_jobs_open(err *e, const score_sources *from, score_jobs *out) TD_MUST_CHECK;
void score_jobs_close(score_jobs *j);

#endif
