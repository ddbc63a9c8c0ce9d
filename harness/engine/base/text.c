#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for n more bytes and the final zero. */
static int reserve(text *t, size_t n) {
  if (t->failed) return 0;
  if (n >= SIZE_MAX / 2 - t->n) {
    t->failed = 1;
    return 0;
  }
  size_t need = t->n + n + 1, cap = t->cap ? t->cap : 64;
  if (need <= t->cap) return 1;
  while (cap < need) cap *= 2;
  char *p = realloc(t->p, cap);
  if (!p) {
    t->failed = 1;
    return 0;
  }
  t->p = p;
  t->cap = cap;
  return 1;
}

void text_addn(text *t, const void *s, size_t n) {
  if (n == 0 || !reserve(t, n)) return;
  memcpy(t->p + t->n, s, n);
  t->n += n;
  t->p[t->n] = 0;
}

void text_add(text *t, const char *s) {
  text_addn(t, s, strlen(s));
}

void text_addf(text *t, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  if (n < 0) t->failed = 1;
  if (n > 0 && reserve(t, (size_t)n)) {
    vsnprintf(t->p + t->n, (size_t)n + 1, fmt, again);
    t->n += (size_t)n;
  }
  va_end(again);
  va_end(ap);
}

void text_add_json(text *t, const char *s) {
  static const char short_form[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
  text_addn(t, "\"", 1);
  for (const char *from = s;; s++) {
    unsigned char c = (unsigned char)*s;
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    text_addn(t, from, (size_t)(s - from));
    if (c == 0) break;
    char two[2] = {'\\', c < 0x20 ? short_form[c] : (char)c};
    if (two[1])
      text_addn(t, two, 2);
    else
      text_addf(t, "\\u%04x", (unsigned)c);
    from = s + 1;
  }
  text_addn(t, "\"", 1);
}

void text_add_number(text *t, double v) {
  char s[40];
  if (!isfinite(v)) {
    text_add(t, "null");
    return;
  }
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(s, sizeof s, "%.*g", digits, v);
    if (strtod(s, NULL) == v) break;
  }
  /* A host program may have set a locale whose decimal point is another character, perhaps of several bytes. */
  size_t n = 0;
  for (const char *p = s; *p; p++) {
    if (strchr("+-0123456789e", *p))
      s[n++] = *p;
    else if (n == 0 || s[n - 1] != '.')
      s[n++] = '.';
  }
  text_addn(t, s, n);
}

int text_ok(text *t, err *e) {
  if (!t->failed && !t->p && reserve(t, 0)) t->p[0] = 0;
  return t->failed ? err_set(e, E_NOMEM, "no memory for a text of more than %zu bytes", t->n) : OK;
}

void text_free(text *t) {
  free(t->p);
  *t = (text){0};
}

size_t utf8_length(const char *s, size_t n) {
  const unsigned char *p = (const unsigned char *)s;
  unsigned char lo = 0x80, hi = 0xbf; /* bounds of the second byte: no overlong forms, surrogates, nor over 10FFFF */
  size_t len;
  if (p[0] < 0x80) return 1;
  if (p[0] < 0xc2 || p[0] > 0xf4) return 0;
  len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
  if (p[0] == 0xe0) lo = 0xa0;
  if (p[0] == 0xed) hi = 0x9f;
  if (p[0] == 0xf0) lo = 0x90;
  if (p[0] == 0xf4) hi = 0x8f;
  if (n < len || p[1] < lo || p[1] > hi) return 0;
  for (size_t i = 2; i < len; i++)
    if ((p[i] & 0xc0) != 0x80) return 0;
  return len;
}

/* --- files --------------------------------------------------------------------------------------------------- */

static int io_fail(err *e, const char *path, const char *what) {
  return err_set(e, E_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

static int open_retry(const char *path, int flags, mode_t mode) {
  int fd;
  do fd = open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

int file_open(err *e, const char *path, int *fd) {
  *fd = open_retry(path, O_RDONLY, 0);
  return *fd < 0 ? io_fail(e, path, "open") : OK;
}

static ssize_t read_retry(int fd, void *p, size_t n) {
  ssize_t got;
  do got = read(fd, p, n);
  while (got < 0 && errno == EINTR);
  return got;
}

/* Reads to the end, growing, because pipes and /proc files have no size to trust. */
static int read_all(err *e, int fd, const char *path, size_t limit, size_t guess, text *t) {
  for (;;) {
    if (!reserve(t, t->n < guess ? guess - t->n : 65536))
      return err_set(e, E_NOMEM, "%s: no memory to read more than %zu bytes", path, t->n);
    ssize_t got = read_retry(fd, t->p + t->n, t->cap - t->n - 1);
    if (got < 0) return io_fail(e, path, "read");
    if (got == 0) break;
    t->n += (size_t)got;
    if (t->n > limit) return err_set(e, E_FORMAT, "%s: larger than %zu bytes, the most accepted here", path, limit);
  }
  t->p[t->n] = 0;
  return OK;
}

int file_read(err *e, const char *path, size_t limit, char **out, size_t *n) {
  int rc = OK;
  text t = {0};
  struct stat st;
  *out = NULL;
  *n = 0;
  int fd;
  rc = file_open(e, path, &fd);
  if (rc != OK) return rc;
  if (fstat(fd, &st) != 0) {
    rc = io_fail(e, path, "stat");
    goto out;
  }
  size_t size = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : 0;
  if (size > limit) FAIL(e, E_FORMAT, "%s: %zu bytes, more than the %zu accepted here", path, size, limit);
  TRY(read_all(e, fd, path, limit, size + 1, &t));
  *out = t.p;
  *n = t.n;
  t = (text){0};
out:
  close(fd);
  text_free(&t);
  return rc;
}

static int write_all(int fd, const char *p, size_t n) {
  while (n > 0) {
    ssize_t put = write(fd, p, n);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return -1;
    if (put == 0) { /* POSIX allows it; asking forever would not help */
      errno = ENOSPC;
      return -1;
    }
    p += put;
    n -= (size_t)put;
  }
  return 0;
}

static int sync_retry(int fd) {
  int bad;
  do bad = fsync(fd);
  while (bad && errno == EINTR);
  return bad;
}

/* A rename is durable once its folder is. File systems that cannot sync a folder say EINVAL; nothing can be done. */
static int sync_folder(err *e, const char *path) {
  int rc = OK;
  text folder = {0};
  const char *slash = strrchr(path, '/');
  if (!slash)
    text_add(&folder, ".");
  else
    text_addn(&folder, path, slash == path ? 1 : (size_t)(slash - path));
  TRY(text_ok(&folder, e));
  int fd = open_retry(folder.p, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) {
    rc = io_fail(e, folder.p, "open the folder");
    goto out;
  }
  if (sync_retry(fd) && errno != EINVAL)
    rc = err_set(e, E_IO, "%s: written, but its folder cannot be synced and a crash may lose it: %s", path,
                 strerror(errno));
  close(fd);
out:
  text_free(&folder);
  return rc;
}

enum { ANYONE = 0666, OWNER_ONLY = 0600 };

/* The temporary file: complete and on the disk, or reported. */
static int write_temporary(err *e, const char *path, mode_t mode, const file_part *part, int64_t parts) {
  int fd = open_retry(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  if (fd < 0) return io_fail(e, path, "create");
  int rc = OK;
  if (mode == OWNER_ONLY && fchmod(fd, mode)) rc = io_fail(e, path, "restrict"); /* a left-over file keeps its mode */
  for (int64_t i = 0; rc == OK && i < parts; i++)
    if (write_all(fd, part[i].data, part[i].n)) rc = io_fail(e, path, "write");
  if (rc == OK && sync_retry(fd)) rc = io_fail(e, path, "sync");
  if (close(fd) && rc == OK && errno != EINTR) rc = io_fail(e, path, "close"); /* NFS reports a full disk here */
  return rc;
}

static int replace_file(err *e, const char *path, mode_t mode, const file_part *part, int64_t parts) {
  int rc = OK;
  text temp = {0};
  text_addf(&temp, "%s.tmp-%ld", path, (long)getpid());
  TRY(text_ok(&temp, e));
  rc = write_temporary(e, temp.p, mode, part, parts);
  if (rc == OK && rename(temp.p, path)) rc = io_fail(e, path, "rename the new file into place");
  if (rc != OK) {
    unlink(temp.p);
    goto out;
  }
  TRY(sync_folder(e, path));
out:
  text_free(&temp);
  return rc;
}

int file_write_parts(err *e, const char *path, const file_part *part, int64_t parts) {
  return replace_file(e, path, ANYONE, part, parts);
}

int file_write(err *e, const char *path, const void *data, size_t n) {
  return file_write_parts(e, path, &(file_part){data, n}, 1);
}

int file_write_private(err *e, const char *path, const void *data, size_t n) {
  return replace_file(e, path, OWNER_ONLY, &(file_part){data, n}, 1);
}

int file_mkdirs(err *e, const char *path) {
  int rc = OK;
  struct stat st;
  text t = {0};
  text_add(&t, path);
  TRY(text_ok(&t, e));
  for (size_t i = 1; i <= t.n; i++) {
    if (t.p[i] && t.p[i] != '/') continue;
    char rest = t.p[i];
    t.p[i] = 0;
    if (mkdir(t.p, 0777) != 0) {
      int why = errno; /* EEXIST, but also EROFS or EACCES for a parent that is there */
      if (stat(t.p, &st) != 0 || !S_ISDIR(st.st_mode))
        FAIL(e, E_IO, "%s: cannot make the folder: %s", t.p, strerror(why));
    }
    t.p[i] = rest;
  }
out:
  text_free(&t);
  return rc;
}

int file_exists(const char *path) {
  struct stat st;
  return stat(path, &st) == 0;
}

int file_is_folder(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int text_ends(const char *s, const char *tail) {
  size_t n = strlen(s), m = strlen(tail);
  return n >= m && !strcmp(s + n - m, tail);
}
