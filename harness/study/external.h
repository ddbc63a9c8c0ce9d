/* Clips of another program: which file of a folder is the clip of a prompt and a sample seed.
 *
 * FOLDER/PROMPT_SEED.* or FOLDER/PROMPT/SEED.*: a video, an image, or a folder of numbered frames
 * (media/clip_files.h).
 */
#ifndef TD_STUDY_EXTERNAL_H
#define TD_STUDY_EXTERNAL_H

#include <stdint.h>

#include "base/err.h"

/* Listings of folders, each made once. Paths it gives out live as long as it does. */
typedef struct external_clips external_clips;

int external_open(err *e, external_clips **out) TD_MUST_CHECK;
void external_close(external_clips *x);
/* *path is NULL when there is no such clip. E_IO, E_FORMAT: a folder that cannot be listed; E_ARG: both ways of
 * naming it are taken. */
int external_find(err *e, external_clips *x, const char *folder, const char *prompt, int64_t seed,
                  const char **path) TD_MUST_CHECK;

#endif
