#include "store/object.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "store/db.h"

static int disk_fail(err *e, const char *path, const char *what) {
  int no = errno;
  const char *todo = no == ENOSPC || no == EDQUOT || no == EFBIG
                         ? "the disk or quota is full; free some space and run the same command again"
                     : no == EACCES || no == EPERM || no == EROFS
                         ? "change the permissions or name another folder for the store"
                         : "check the disk and run the same command again";
  return err_set(e, E_STORE, "%s: cannot %s: %s; %s", path, what, strerror(no), todo);
}

static int is_sha256(const char *s) {
  return strspn(s, "0123456789abcdef") == 64 && s[64] == 0;
}

int object_path(const store *s, err *e, const char *sha256, char path[STORE_PATH]) {
  if (!is_sha256(sha256)) return err_set(e, E_ARG, "'%.80s' is not an object name (64 hex digits)", sha256);
  snprintf(path, STORE_PATH, "%s/objects/%.2s/%s", s->folder, sha256, sha256);
  return OK;
}

int object_temp(store *s, err *e, const char *suffix, char path[STORE_PATH]) {
  int n = snprintf(path, STORE_PATH, "%s/tmp/%ld-XXXXXX%s", s->folder, (long)getpid(), suffix);
  if (n < 0 || n >= STORE_PATH || strchr(suffix, '/')) return err_set(e, E_ARG, "bad suffix '%.40s'", suffix);
  int fd = mkstemps(path, (int)strlen(suffix));
  if (fd < 0) return disk_fail(e, s->folder, "make a file in tmp/");
  close(fd);
  return OK;
}

static int sync_path(err *e, const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC);
  if (fd < 0) return disk_fail(e, path, "open");
  int bad = fsync(fd) != 0;
  int rc = bad ? disk_fail(e, path, "flush") : OK;
  close(fd);
  return rc;
}

/* Renames even over an existing object: equal names mean equal bytes, and a damaged file is healed. */
static int place(store *s, err *e, const char *temp, const char *sha256) {
  char path[STORE_PATH], folder[STORE_PATH];
  int rc = OK;
  TRY(object_path(s, e, sha256, path));
  snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
  if (mkdir(folder, 0777) != 0 && errno != EEXIST) TRY(disk_fail(e, folder, "make"));
  if (chmod(temp, 0444) != 0) TRY(disk_fail(e, temp, "protect"));
  TRY(sync_path(e, temp, O_RDONLY));
  if (rename(temp, path) != 0) TRY(disk_fail(e, path, "place the object"));
  TRY(sync_path(e, folder, O_RDONLY | O_DIRECTORY));
out:
  return rc;
}

static int write_all(err *e, const char *path, const char *data, size_t n) {
  int rc = OK, fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return disk_fail(e, path, "open");
  while (n > 0) {
    ssize_t w = write(fd, data, n);
    if (w < 0 && errno == EINTR) continue;
    if (w < 0) {
      rc = disk_fail(e, path, "write");
      break;
    }
    data += w;
    n -= (size_t)w;
  }
  if (close(fd) != 0 && rc == OK) rc = disk_fail(e, path, "write");
  return rc;
}

int object_put(store *s, err *e, const void *data, size_t n, char sha256[HASH_HEX]) {
  char temp[STORE_PATH];
  int rc = OK;
  TRY(hash_bytes(e, data, n, sha256));
  TRY(object_temp(s, e, "", temp));
  rc = write_all(e, temp, data, n);
  if (rc == OK) rc = place(s, e, temp, sha256);
  if (rc != OK) unlink(temp);
out:
  return rc;
}

int object_adopt(store *s, err *e, const char *path, char sha256[HASH_HEX], int64_t *bytes) {
  struct stat st;
  int rc = OK;
  if (stat(path, &st) != 0) TRY(disk_fail(e, path, "read"));
  *bytes = (int64_t)st.st_size;
  TRY(hash_file(e, path, sha256));
  TRY(place(s, e, path, sha256));
out:
  if (rc != OK) unlink(path);
  return rc;
}

static int damaged(err *e, const char *path) {
  return err_set(e, E_STORE,
                 "%s: the object's bytes no longer have its name, it was changed or damaged; delete it, retry the "
                 "cell that made it (tandem show names it), or put a backup in its place",
                 path);
}

int object_read(const store *s, err *e, const char *sha256, size_t limit, char **out, size_t *n) {
  char path[STORE_PATH], hex[HASH_HEX];
  int rc = OK;
  *out = NULL;
  *n = 0;
  TRY(object_path(s, e, sha256, path));
  err inner = {0};
  if (file_read(&inner, path, limit, out, n) != OK)
    FAIL(e, E_STORE, "%s; the object is missing or too large, retry the cell that made it", inner.text);
  TRY(hash_bytes(e, *out, *n, hex));
  if (strcmp(hex, sha256) != 0) TRY(damaged(e, path));
  return OK;
out:
  free(*out);
  *out = NULL;
  return rc;
}

int object_verify(const store *s, err *e, const char *sha256) {
  char path[STORE_PATH], hex[HASH_HEX];
  int rc = OK;
  TRY(object_path(s, e, sha256, path));
  err inner = {0};
  if (hash_file(&inner, path, hex) != OK)
    FAIL(e, E_STORE, "%s; the object is missing, retry the cell that made it", inner.text);
  if (strcmp(hex, sha256) != 0) TRY(damaged(e, path));
out:
  return rc;
}

typedef struct sweep {
  store *s;
  stmt known;
  int64_t before_ms;
  int remove;
  object_garbage *out;
} sweep;

static int sweep_folder(sweep *w, err *e, const char *folder) {
  int rc = OK;
  DIR *d = opendir(folder);
  if (!d) return errno == ENOENT ? OK : disk_fail(e, folder, "list");
  for (struct dirent *f; rc == OK && (f = readdir(d));) {
    char path[STORE_PATH];
    struct stat st;
    if (f->d_name[0] == '.' || snprintf(path, sizeof path, "%s/%s", folder, f->d_name) >= (int)sizeof path) continue;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) continue;
    if ((int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000 > w->before_ms) continue;
    int64_t used;
    stmt_text(&w->known, f->d_name);
    rc = stmt_one(&w->known, 0, &used);
    if (rc != OK || used) continue;
    if (w->remove && unlink(path) != 0) rc = disk_fail(e, path, "delete");
    w->out->files++;
    w->out->bytes += (int64_t)st.st_size;
  }
  closedir(d);
  return rc;
}

int object_gc(store *s, err *e, int64_t min_age_ms, int remove, object_garbage *out) {
  char folder[STORE_PATH];
  sweep w = {.s = s, .before_ms = store_now_ms() - min_age_ms, .remove = remove, .out = out};
  *out = (object_garbage){0};
  int rc = stmt_open(&w.known, s, e, "SELECT 1 FROM artifact WHERE sha256=?");
  for (int i = 0; rc == OK && i <= 256; i++) {
    if (i < 256) {
      snprintf(folder, sizeof folder, "%s/objects/%02x", s->folder, (unsigned)i);
    } else {
      snprintf(folder, sizeof folder, "%s/tmp", s->folder);
    }
    rc = sweep_folder(&w, e, folder);
  }
  stmt_close(&w.known);
  return rc;
}

int leftover_gc(store *s, err *e, int64_t min_age_ms, int remove, object_garbage *out) {
  static const char *const kinds[][2] = {
      {"checkpoints", "SELECT 1 FROM cell WHERE key=substr(?1, 1, 64) AND state<>'done'"},
      {"logs", "SELECT 1 FROM cell WHERE key>=substr(?1, 1, 12) AND key<substr(?1, 1, 12) || 'g' LIMIT 1"}};
  char folder[STORE_PATH];
  int rc = OK;
  *out = (object_garbage){0};
  for (size_t i = 0; rc == OK && i < sizeof kinds / sizeof kinds[0]; i++) {
    sweep w = {.s = s, .before_ms = store_now_ms() - min_age_ms, .remove = remove, .out = out};
    rc = stmt_open(&w.known, s, e, kinds[i][1]);
    if (rc == OK && snprintf(folder, sizeof folder, "%s/%s", s->folder, kinds[i][0]) >= (int)sizeof folder)
      rc = err_set(e, E_ARG, "%s: path too long", s->folder);
    if (rc == OK) rc = sweep_folder(&w, e, folder);
    stmt_close(&w.known);
  }
  return rc;
}
