#include "media/zip.h"

#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "base/mem.h"

enum { END = 22, CENTRAL = 46, LOCAL = 30, COMMENT = 65535, DEFLATE_MOST = 1032 };

static uint32_t u16(const unsigned char *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p) {
  return u16(p) | u16(p + 2) << 16;
}

/* Place of the end record: the last one whose comment reaches exactly to the end of the file. */
static int find_end(err *e, const zip *z, int64_t *at) {
  int64_t first = z->n - END - COMMENT;
  for (*at = z->n - END; *at >= 0 && *at >= first; --*at) {
    const unsigned char *p = z->data + *at;
    if (u32(p) == 0x06054b50 && u16(p + 20) == (uint32_t)(z->n - *at - END)) return OK;
  }
  return err_set(e, E_FORMAT, "%s: no directory at the end: not a ZIP archive, or cut short", z->name);
}

static int check_name(err *e, const zip *z, const unsigned char *s, int64_t n) {
  int bad = n == 0 || n >= ZIP_NAME || s[0] == '/';
  for (int64_t i = 0; !bad && i < n; i++)
    bad = s[i] < 32 || s[i] == 127 || s[i] == '\\' || s[i] == ':' || (s[i] == '.' && i + 1 < n && s[i + 1] == '.');
  return bad ? err_set(e, E_FORMAT, "%s: a member's name is empty, too long, or leads out of the archive", z->name)
             : OK;
}

static int check_sizes(err *e, const zip *z, const zip_member *m, int64_t directory) {
  if (m->packed > directory - m->at)
    return err_set(e, E_FORMAT, "%s: member '%s' reaches behind the end", z->name, m->name);
  if (!m->deflated && m->packed != m->size)
    return err_set(e, E_FORMAT, "%s: member '%s' is stored in %lld bytes but says %lld", z->name, m->name,
                   (long long)m->packed, (long long)m->size);
  if (m->size > ZIP_LIMIT || m->size > DEFLATE_MOST * m->packed)
    return err_set(
        e, E_FORMAT,
        "%s: member '%s' says %lld bytes, more than its %lld packed ones can hold or than the %lld allowed", z->name,
        m->name, (long long)m->size, (long long)m->packed, (long long)ZIP_LIMIT);
  return OK;
}

/* The local header before the data, which must name the same member; sets m->at behind it. */
static int read_local(err *e, const zip *z, zip_member *m, int64_t offset, int64_t directory) {
  const unsigned char *p = z->data + offset;
  int64_t name = (int64_t)strlen(m->name);
  if (offset > directory - LOCAL || u32(p) != 0x04034b50 || u16(p + 26) != (uint32_t)name ||
      offset + LOCAL + name + u16(p + 28) > directory || memcmp(p + LOCAL, m->name, (size_t)name))
    return err_set(e, E_FORMAT, "%s: member '%s' is not where the directory says", z->name, m->name);
  m->at = offset + LOCAL + name + u16(p + 28);
  return check_sizes(e, z, m, directory);
}

/* One entry of the directory at *at, which ends at `end`. */
static int read_entry(err *e, const zip *z, int64_t *at, int64_t end, zip_member *m) {
  int rc = OK;
  const unsigned char *p = z->data + *at;
  if (end - *at < CENTRAL || u32(p) != 0x02014b50) FAIL(e, E_FORMAT, "%s: the directory is damaged", z->name);
  int64_t name = u16(p + 28), entry = CENTRAL + name + u16(p + 30) + u16(p + 32);
  uint32_t method = u16(p + 10);
  if (entry > end - *at) FAIL(e, E_FORMAT, "%s: the directory is damaged", z->name);
  TRY(check_name(e, z, p + CENTRAL, name));
  memcpy(m->name, p + CENTRAL, (size_t)name);
  if (u16(p + 8) & 1) FAIL(e, E_UNSUPPORTED, "%s: member '%s' is encrypted", z->name, m->name);
  if (method != 0 && method != 8)
    FAIL(e, E_UNSUPPORTED, "%s: member '%s' is packed by method %u; stored (0) and deflated (8) can be read", z->name,
         m->name, method);
  if (u32(p + 20) == UINT32_MAX || u32(p + 24) == UINT32_MAX || u32(p + 42) == UINT32_MAX)
    FAIL(e, E_UNSUPPORTED, "%s: member '%s' needs zip64, for archives over 4 GiB", z->name, m->name);
  m->deflated = method == 8;
  m->crc = u32(p + 16);
  m->packed = u32(p + 20);
  m->size = u32(p + 24);
  *at += entry;
  TRY(read_local(e, z, m, u32(p + 42), end));
out:
  return rc;
}

static int check_pair(err *e, const zip *z, const zip_member *a, const zip_member *b) {
  if (!strcmp(a->name, b->name)) return err_set(e, E_FORMAT, "%s: member '%s' is there twice", z->name, a->name);
  if (a->at < b->at + b->packed && b->at < a->at + a->packed)
    return err_set(e, E_FORMAT, "%s: members '%s' and '%s' overlap", z->name, a->name, b->name);
  return OK;
}

int zip_open(err *e, const char *name, const void *data, size_t n, zip *out) {
  int rc = OK;
  int64_t end, at, total = 0;
  zip z = {.name = name, .data = data, .n = (int64_t)n};
  *out = (zip){0};
  TRY(find_end(e, &z, &end));
  const unsigned char *p = z.data + end;
  int64_t count = u16(p + 10), size = u32(p + 12);
  at = u32(p + 16);
  if (count == UINT16_MAX || size == UINT32_MAX || at == UINT32_MAX)
    FAIL(e, E_UNSUPPORTED, "%s: needs zip64, for archives over 4 GiB", name);
  if (u16(p + 4) || u16(p + 6) || u16(p + 8) != count || at + size != end)
    FAIL(e, E_FORMAT, "%s: the directory is damaged, or the archive is one of several", name);
  if (count > ZIP_MEMBERS) FAIL(e, E_FORMAT, "%s: %lld members; %d can be read", name, (long long)count, ZIP_MEMBERS);
  TRY(mem_new(e, count, sizeof *z.member, "archive directory", &z.member));
  for (; z.members < count; z.members++) {
    zip_member *m = &z.member[z.members];
    TRY(read_entry(e, &z, &at, end, m));
    for (int64_t k = 0; k < z.members; k++) TRY(check_pair(e, &z, m, &z.member[k]));
    total += m->size;
    if (total > ZIP_LIMIT)
      FAIL(e, E_FORMAT, "%s: holds more than the %lld bytes allowed", name, (long long)ZIP_LIMIT);
  }
  if (at != end) FAIL(e, E_FORMAT, "%s: the directory is damaged", name);
  *out = z;
  z.member = NULL;
out:
  free(z.member);
  return rc;
}

void zip_close(zip *z) {
  free(z->member);
  *z = (zip){0};
}

static int unpack(err *e, const zip *z, const zip_member *m, char *out) {
  unsigned char none[1];
  z_stream s = {.next_in = z->data + m->at,
                .avail_in = (uInt)m->packed,
                .next_out = m->size ? (unsigned char *)out : none,
                .avail_out = (uInt)(m->size ? m->size : 1)};
  int status = inflateInit2(&s, -MAX_WBITS);
  if (status != Z_OK) return err_set(e, E_NOMEM, "%s: no memory to unpack '%s'", z->name, m->name);
  status = inflate(&s, Z_FINISH);
  inflateEnd(&s);
  if (status == Z_STREAM_END && s.total_out == (uLong)m->size && s.total_in == (uLong)m->packed) return OK;
  return err_set(e, E_FORMAT, "%s: member '%s' does not unpack to the %lld bytes it says", z->name, m->name,
                 (long long)m->size);
}

int zip_extract(err *e, const zip *z, int64_t i, char **out) {
  int rc = OK;
  const zip_member *m = &z->member[i];
  *out = NULL;
  TRY(mem_new(e, m->size, 1, "archive member", out));
  if (m->deflated)
    TRY(unpack(e, z, m, *out));
  else
    memcpy(*out, z->data + m->at, (size_t)m->size);
  if ((uint32_t)crc32(0, (const unsigned char *)*out, (uInt)m->size) != m->crc)
    FAIL(e, E_FORMAT, "%s: member '%s' is damaged: its checksum is wrong", z->name, m->name);
out:
  if (rc != OK) free(*out), *out = NULL;
  return rc;
}
