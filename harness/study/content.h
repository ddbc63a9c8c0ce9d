/* What a path holds, as one hash: the bytes of a file, or of all files of a folder. */
#ifndef TD_STUDY_CONTENT_H
#define TD_STUDY_CONTENT_H

#include "base/err.h"
#include "base/hash.h"

/* A file: SHA-256 of its bytes. A folder: SHA-256 of the lines "relative/name\0sha256\n" of its files and its
 * folders' files, sorted by name, without names that begin with a dot; so neither where the folder lies nor its dates
 * matter. `user` is ignored; the shape is that of plan_source.sha. E_IO names what cannot be read. */
int content_sha(void *user, err *e, const char *path, char hex[HASH_HEX]) TD_MUST_CHECK;

#endif
