/* ZIP archives in memory, read as hostile input: stored and deflated members, no encryption, no zip64, one disk.
 *
 * Refused: names that are empty, over 255 bytes, repeated, absolute or with "..", a backslash, a colon or a control
 * character; members that overlap each other or the directory; sizes that deflate cannot reach; more than ZIP_MEMBERS
 * members or ZIP_LIMIT bytes in all; wrong checksums and trailing bytes in a member. */
#ifndef TD_MEDIA_ZIP_H
#define TD_MEDIA_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ZIP_MEMBERS 256
#define ZIP_LIMIT ((int64_t)1 << 30)
#define ZIP_NAME 256

typedef struct zip_member {
  char name[ZIP_NAME];
  int deflated;
  uint32_t crc;
  int64_t at, packed, size; /* bytes in the archive, packed and unpacked */
} zip_member;

typedef struct zip {
  const char *name; /* for messages */
  const unsigned char *data;
  int64_t n;
  zip_member *member; /* [members], in the order of the directory */
  int64_t members;
} zip;

/* Reads the directory of n bytes, which are not copied and must outlive the archive; so must name. */
int zip_open(err *e, const char *name, const void *data, size_t n, zip *out) TD_MUST_CHECK;
void zip_close(zip *z);
/* Member i unpacked: member[i].size bytes, which the caller frees. */
int zip_extract(err *e, const zip *z, int64_t i, char **out) TD_MUST_CHECK;

#endif
