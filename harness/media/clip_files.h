/* Clips by name: which entries of a folder are clips, what they are called, and how their frames are opened.
 *
 * A clip is a file with the ending of a video or image, or a folder that holds one numbered sequence of images. Its
 * name is that of the file without its ending, or that of the folder. */
#ifndef TD_MEDIA_CLIP_FILES_H
#define TD_MEDIA_CLIP_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct clip_file {
  char *name, *path; /* path: of the file or folder, with the listed folder in front */
} clip_file;

typedef struct clip_files {
  clip_file *at; /* in the bytewise order of their names */
  int64_t n, cap;
} clip_files;

/* Clips directly in a folder; hidden entries and whatever is no clip are left out. E_IO; E_ARG when two have one
 * name; E_FORMAT when frames of a sequence are missing. The caller closes *out. */
int clip_files_list(err *e, const char *folder, clip_files *out) TD_MUST_CHECK;
void clip_files_close(clip_files *l);
/* NULL: there is none of this name. */
const clip_file *clip_files_find(const clip_files *l, const char *name);

/* What video_open takes for a clip's path: a file as it is, a folder as the pattern of its frames
 * ("dir/f%04d.png"). E_FORMAT: a folder without a numbered sequence. The caller frees *out. */
int clip_files_open_path(err *e, const char *path, char **out) TD_MUST_CHECK;
/* Bytes of a file name before its ending. */
size_t clip_files_stem(const char *file);

#endif
