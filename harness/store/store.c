#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/db.h"

const char *store_state_name(store_state state) {
  static const char *const name[CELL_STATES] = {"waiting", "ready",   "running", "done",
                                                "failed",  "blocked", "skipped"};
  return (unsigned)state < CELL_STATES ? name[state] : "?";
}

int db_state_of(const char *word, store_state *out) {
  for (store_state i = 0; i < CELL_STATES; i++)
    if (strcmp(word, store_state_name(i)) == 0) {
      *out = i;
      return OK;
    }
  return E_ARG;
}

const char *store_folder(const store *s) {
  return s->folder;
}
const char *store_note(const store *s) {
  return s->note[0] ? s->note : NULL;
}

void store_set_patience(store *s, int64_t ms) {
  s->patience_ms = ms;
}

int64_t store_now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int store_fs_is_local(int64_t f_type, const char **name) {
  static const struct {
    int64_t type;
    const char *name;
  } shared[] = {
      {0x6969, "nfs"},        {0x517b, "smb"},      {0xff534d42, "cifs"},  {0xfe534d42, "smb2"},
      {0x0bd00bd0, "lustre"}, {0x47504653, "gpfs"}, {0x00c36400, "ceph"},  {0x65735546, "fuse"},
      {0x01021997, "9p"},     {0x5346414f, "afs"},  {0x7461636f, "ocfs2"}, {0x19830326, "beegfs"},
      {0x01161970, "gfs2"},
  };
  /* f_type is a signed 32-bit word on some machines */
  for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
    if ((uint32_t)f_type == (uint32_t)shared[i].type) {
      *name = shared[i].name;
      return 0;
    }
  return 1;
}

static int is_local(const char *folder, const char **name) {
  struct statfs f;
  return statfs(folder, &f) != 0 || store_fs_is_local((int64_t)f.f_type, name);
}

static int pragma_get(store *s, err *e, const char *sql, int64_t *out) {
  stmt q;
  int rc = stmt_open(&q, s, e, sql);
  if (rc != OK) return rc;
  rc = stmt_one(&q, 0, out);
  stmt_close(&q);
  return rc;
}

/* Switching the journal takes a lock for which SQLite does not wait by itself. */
static int pragma_wal(store *s, err *e) {
  int rc = SQLITE_BUSY;
  for (int ms = 0; ms < STORE_PATIENCE_MS && (rc & 0xff) == SQLITE_BUSY; ms += 20) {
    rc = sqlite3_exec(s->db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
    if ((rc & 0xff) == SQLITE_BUSY) nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  return rc == SQLITE_OK ? OK : db_fail(e, s->db, s->path, "cannot choose the journal", rc);
}

static int fill_new(store *s, err *e, int wal) {
  char pragma[128];
  int rc = OK;
  if (wal) TRY(pragma_wal(s, e));
  TRY(db_begin(s, e));
  for (int i = 0; rc == OK && db_schema[i]; i++) rc = db_exec(s, e, db_schema[i]);
  snprintf(pragma, sizeof pragma, "PRAGMA application_id=%d; PRAGMA user_version=%d", DB_APPLICATION_ID,
           STORE_SCHEMA);
  if (rc == OK) rc = db_exec(s, e, pragma);
  rc = db_end(s, e, rc);
out:
  return rc;
}

static void unlink_database(const char *path) {
  static const char *const tail[] = {"", "-wal", "-shm", "-journal"};
  char name[STORE_PATH + 16];
  for (int i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "%s%s", path, tail[i]);
    unlink(name);
  }
}

/* The database is made whole under another name and then given its own: a fresh store is complete or absent, and of
 * many processes that try at once one wins and the rest use its file. */
static int make_database(err *e, const char *folder, const char *path) {
  int rc = OK;
  char name[STORE_PATH];
  const char *fs;
  store s = {.mode = STORE_CREATE, .path = name};
  if (snprintf(name, sizeof name, "%s/tmp/%s-%ld-XXXXXX", folder, DB_FILE, (long)getpid()) >= (int)sizeof name)
    return err_set(e, E_ARG, "%s: the path of a store may not be longer than %d bytes", folder, STORE_PATH - 64);
  int fd = mkstemp(name);
  if (fd < 0)
    return err_set(e, E_STORE, "%s: cannot make a store here: %s; change the permissions or name another folder",
                   folder, strerror(errno));
  fchmod(fd, 0644);
  close(fd);
  int q = sqlite3_open_v2(name, &s.db, SQLITE_OPEN_READWRITE, NULL);
  if (q != SQLITE_OK) {
    rc = db_fail(e, s.db, name, "cannot make a store", q);
  } else {
    rc = fill_new(&s, e, is_local(folder, &fs));
  }
  q = sqlite3_close(s.db);
  if (rc == OK && q != SQLITE_OK) rc = db_fail(e, NULL, name, "cannot close the new store", q);
  if (rc == OK && link(name, path) != 0 && errno != EEXIST) {
    /* file systems without hard links: the last of several creators wins, before any of them has written a cell */
    if (file_exists(path) || rename(name, path) == 0) errno = 0;
    if (errno) rc = err_set(e, E_STORE, "%s: cannot name the new store: %s", path, strerror(errno));
  }
  unlink_database(name);
  return rc;
}

static int make_folders(err *e, const char *folder) {
  static const char *const sub[] = {"objects", "tmp", "logs"};
  char path[STORE_PATH];
  int rc = OK;
  for (int i = 0; i < 3; i++) {
    if (snprintf(path, sizeof path, "%s/%s", folder, sub[i]) >= (int)sizeof path)
      FAIL(e, E_ARG, "%s: the path of a store may not be longer than %d bytes", folder, STORE_PATH - 64);
    err inner = {0};
    if (file_mkdirs(&inner, path) != OK)
      FAIL(e, E_STORE, "%s; change the permissions or name another folder for the store", inner.text);
  }
out:
  return rc;
}

/* Is it ours, and of a schema this build knows? */
static int check_identity(store *s, err *e) {
  int64_t app, version;
  int rc = OK;
  TRY(pragma_get(s, e, "PRAGMA application_id", &app));
  TRY(pragma_get(s, e, "PRAGMA user_version", &version));
  if (app != DB_APPLICATION_ID)
    FAIL(e, E_STORE, "%s: an SQLite file, but not a store of tandem (application_id %lld); name another folder",
         s->path, (long long)app);
  if (version < 1) FAIL(e, E_STORE, "%s: a store without a schema version; put a backup in its place", s->path);
  if (version > STORE_SCHEMA) {
    if (s->mode != STORE_READ)
      FAIL(e, E_STORE,
           "%s: made by a newer tandem (schema %lld, this one writes %d); use tandem with schema %lld or newer, or "
           "only read it",
           s->path, (long long)version, STORE_SCHEMA, (long long)version);
    snprintf(s->note, sizeof s->note, "%.300s: made by a newer tandem (schema %lld, this one knows %d)", s->path,
             (long long)version, STORE_SCHEMA);
  }
out:
  return rc;
}

static int64_t monotonic_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* SQLite's own handler backs off to 100 ms, and a process that sleeps so long starves among quick ones. */
static int wait_for_lock(void *user, int tries) {
  store *s = user;
  if (tries == 0) s->busy_since_ms = monotonic_ms();
  if (monotonic_ms() - s->busy_since_ms > s->patience_ms) return 0;
  nanosleep(&(struct timespec){.tv_nsec = 1000000L * (1 + (tries * 7 + (long)getpid()) % 10)}, NULL);
  return 1;
}

static int compare_keys(const void *a, const void *b) {
  return strcmp(a, b);
}

/* SQL: wanted(key). */
static void wanted(sqlite3_context *context, int n, sqlite3_value **value) {
  const store *s = sqlite3_user_data(context);
  const char *key = (const char *)sqlite3_value_text(value[0]);
  (void)n;
  int yes = !s->focus || (key && strlen(key) < STORE_KEY &&
                          bsearch(key, s->focus, (size_t)s->n_focus, sizeof *s->focus, compare_keys) != NULL);
  sqlite3_result_int(context, yes);
}

int store_focus(store *s, err *e, const char *const *keys, int64_t n) {
  int rc = OK;
  char(*copy)[STORE_KEY] = NULL;
  TRY(mem_new(e, n, sizeof *copy, "keys", &copy));
  for (int64_t i = 0; i < n; i++) snprintf(copy[i], sizeof *copy, "%s", keys[i]);
  qsort(copy, (size_t)n, sizeof *copy, compare_keys);
  free(s->focus);
  s->focus = copy;
  s->n_focus = n;
out:
  return rc;
}

/* A reader of a folder it may not write cannot make the shared-memory file of the log; without a log there is nothing
 * to share, so the file can be read as it is. */
static int open_handle(store *s, err *e) {
  char uri[STORE_PATH * 3 + 64], wal[STORE_PATH + 8];
  struct stat st;
  int flags = s->mode == STORE_READ ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI : SQLITE_OPEN_READWRITE;
  snprintf(wal, sizeof wal, "%s-wal", s->path);
  int no_log = stat(wal, &st) != 0 || st.st_size == 0;
  if (s->mode == STORE_READ && access(s->folder, W_OK) != 0 && no_log) {
    size_t at = (size_t)snprintf(uri, sizeof uri, "file:");
    for (const char *c = s->path; *c; c++) {
      int plain = strchr("?#%", *c) == NULL;
      at += (size_t)snprintf(uri + at, sizeof uri - at, plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
    snprintf(uri + at, sizeof uri - at, "?immutable=1");
  } else {
    snprintf(uri, sizeof uri, "%s", s->path);
    flags &= ~SQLITE_OPEN_URI;
  }
  int rc = sqlite3_open_v2(uri, &s->db, flags, NULL);
  if (rc != SQLITE_OK) return db_fail(e, s->db, s->path, "cannot open", rc);
  sqlite3_extended_result_codes(s->db, 1);
  sqlite3_busy_handler(s->db, wait_for_lock, s);
  rc = sqlite3_create_function(s->db, "wanted", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, s, wanted, NULL, NULL);
  return rc == SQLITE_OK ? OK : db_fail(e, s->db, s->path, "cannot add a function", rc);
}

static int set_up(store *s, err *e) {
  int rc = OK;
  const char *fs = NULL;
  TRY(check_identity(s, e));
  TRY(db_exec(s, e, "PRAGMA foreign_keys=ON"));
  if (s->mode == STORE_READ) {
    TRY(db_exec(s, e, "PRAGMA query_only=ON"));
  } else if (is_local(s->folder, &fs)) {
    TRY(pragma_wal(s, e));
    TRY(db_exec(s, e, "PRAGMA synchronous=NORMAL"));
  } else {
    TRY(db_exec(s, e, "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL"));
    snprintf(s->note, sizeof s->note,
             "%.300s: the store lies on %s, where SQLite's write-ahead log is not safe; it works more slowly and for "
             "one machine at a time. Put the store on a local disk to lift both limits",
             s->path, fs);
  }
  TRY(db_exec(s, e, s->mode == STORE_READ ? "SELECT count(*) FROM sqlite_schema" : db_additions));
out:
  return rc;
}

int store_open(err *e, const char *folder, store_mode mode, store **out) {
  int rc = OK;
  store *s = NULL;
  struct stat st;
  char path[STORE_PATH];
  *out = NULL;
  if (strlen(folder) > STORE_PATH - 64)
    FAIL(e, E_ARG, "the path of a store may not be longer than %d bytes", STORE_PATH - 64);
  snprintf(path, sizeof path, "%s/%s", folder, DB_FILE);
  if (stat(path, &st) != 0) {
    if (mode != STORE_CREATE)
      FAIL(e, E_STORE, "%s: no store here (%s); run a study first, or name the folder of another store", folder,
           strerror(errno));
    TRY(make_folders(e, folder));
    TRY(make_database(e, folder, path));
  } else if (st.st_size == 0) {
    FAIL(e, E_STORE, "%s: empty, not a store; put a backup in its place or delete it to begin anew", path);
  }
  TRY(mem_new(e, 1, sizeof *s, "store", &s));
  s->mode = mode;
  s->patience_ms = STORE_PATIENCE_MS;
  TRY(mem_strdup(e, folder, &s->folder));
  TRY(mem_strdup(e, path, &s->path));
  TRY(open_handle(s, e));
  TRY(set_up(s, e));
  *out = s;
  return OK;
out:
  store_close(s);
  return rc;
}

void store_close(store *s) {
  if (!s) return;
  sqlite3_close(s->db);
  free(s->focus);
  free(s->folder);
  free(s->path);
  free(s);
}

const char *store_library(void) {
  return sqlite3_libversion();
}
