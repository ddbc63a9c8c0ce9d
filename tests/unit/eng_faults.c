/* The N-th allocation or system call fails, for every N that an operation reaches: a status and a message, nothing
 * leaked, old files whole, no temporary file left. tests/CMakeLists.txt links this program with --wrap. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include <cjson/cJSON.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "model/safetensors.h"

/* --- what fails ---------------------------------------------------------------------------------------------- */

typedef enum call { ALLOC, OPEN, READ, WRITE, SYNC, CLOSE, RENAME, MAP, CALLS } call;

static struct {
  call which;
  int64_t at;    /* the at-th such call fails; 0: none */
  int64_t times; /* and those after it, this many in all */
  int error;     /* errno */
  int64_t seen;  /* such calls so far */
  int fired;
  size_t most;  /* bytes a read or write moves; 0: all */
  int64_t live; /* blocks the program has from the allocator now */
} fault;

static void arm(call which, int64_t at, int64_t times, int error) {
  fault.which = which;
  fault.at = at;
  fault.times = times;
  fault.error = error;
  fault.seen = fault.fired = 0;
}

static void disarm(void) {
  fault.at = 0;
  fault.most = 0;
}

static int fails(call which) {
  if (!fault.at || which != fault.which) return 0;
  fault.seen++;
  if (fault.seen < fault.at || fault.seen >= fault.at + fault.times) return 0;
  fault.fired = 1;
  errno = fault.error;
  return 1;
}

#define WRAP(type, name, ...)                                                                                        \
  type __real_##name(__VA_ARGS__);                                                                                   \
  type __wrap_##name(__VA_ARGS__);                                                                                   \
  type __wrap_##name(__VA_ARGS__)

WRAP(void *, calloc, size_t n, size_t size) {
  void *p = fails(ALLOC) ? NULL : __real_calloc(n, size);
  fault.live += p != NULL;
  return p;
}

/* Compilers turn realloc(NULL, n) into this one. */
WRAP(void *, malloc, size_t n) {
  void *p = fails(ALLOC) ? NULL : __real_malloc(n);
  fault.live += p != NULL;
  return p;
}

WRAP(void *, realloc, void *old, size_t size) {
  void *p = fails(ALLOC) ? NULL : __real_realloc(old, size);
  fault.live += p && !old;
  return p;
}

WRAP(int, posix_memalign, void **p, size_t align, size_t size) {
  int rc = fails(ALLOC) ? ENOMEM : __real_posix_memalign(p, align, size);
  fault.live += rc == 0;
  return rc;
}

WRAP(void, free, void *p) {
  fault.live -= p != NULL;
  __real_free(p);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
  va_list ap;
  va_start(ap, flags);
  mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
  va_end(ap);
  return fails(OPEN) ? -1 : __real_open(path, flags, mode);
}

WRAP(ssize_t, read, int fd, void *p, size_t n) {
  return fails(READ) ? -1 : __real_read(fd, p, fault.most && n > fault.most ? fault.most : n);
}

/* error 0: a write that moves nothing, as POSIX allows */
WRAP(ssize_t, write, int fd, const void *p, size_t n) {
  if (fails(WRITE)) return fault.error ? -1 : 0;
  return __real_write(fd, p, fault.most && n > fault.most ? fault.most : n);
}

WRAP(int, fsync, int fd) {
  return fails(SYNC) ? -1 : __real_fsync(fd);
}

WRAP(int, close, int fd) {
  int error = fails(CLOSE), rc = __real_close(fd); /* Linux closes even when it reports an error */
  if (error) errno = fault.error;
  return error ? -1 : rc;
}

WRAP(int, rename, const char *from, const char *to) {
  return fails(RENAME) ? -1 : __real_rename(from, to);
}

WRAP(void *, mmap, void *at, size_t n, int prot, int flags, int fd, off_t offset) {
  return fails(MAP) ? MAP_FAILED : __real_mmap(at, n, prot, flags, fd, offset);
}

/* --- a folder of its own ------------------------------------------------------------------------------------- */

static char folder[64], path[80];

static int set_up(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/tandem-faults-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  snprintf(path, sizeof path, "%s/file", folder);
  cJSON_InitHooks(&(cJSON_Hooks){malloc, free}); /* a shared library, which --wrap reaches only so */
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  cJSON_InitHooks(NULL);
  unlink(path);
  return rmdir(folder); /* fails when a temporary file was left */
}

static int files_there(void) {
  int n = 0;
  DIR *d = opendir(folder);
  assert_non_null(d);
  for (struct dirent *f; (f = readdir(d));) n += f->d_name[0] != '.';
  closedir(d);
  return n;
}

static void content_is(const char *want, size_t size) {
  char got[5000];
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  size_t n = fread(got, 1, sizeof got, f);
  fclose(f);
  assert_int_equal(n, size);
  assert_memory_equal(got, want, size);
}

static void put_old(void) {
  err e = {0};
  assert_int_equal(file_write(&e, path, "old", 3), OK);
}

/* --- memory -------------------------------------------------------------------------------------------------- */

static const char study[] =
    "{\"a\":[1,2.5,\"x\",null,{\"b\":true}],\"long\":\"0123456789012345678901234567890123456789"
    "0123456789012345678901234567890123456789\",\"//\":0,\"o\":{\"z\":1,\"y\":2}}";

static int run_parse(err *e) {
  json *j;
  int rc = json_parse(e, "study", study, sizeof study - 1, &j);
  if (rc != OK) assert_null(j);
  json_free(j);
  return rc;
}

static int run_read(err *e) {
  json *j;
  int rc = json_read(e, path, &j);
  json_free(j);
  return rc;
}

/* The failure may be in making, copying or writing; each leaves trees that can be freed. */
static int run_build(err *e) {
  int rc = OK;
  text t = {0};
  json *copy = NULL, *o = json_new(JSON_OBJECT), *a = json_new(JSON_ARRAY);
  if (!o) err_set(e, E_NOMEM, "object");
  if (json_push(a, json_new_string("a text that is longer than sixty-four bytes, so that it is aligned memory")) !=
      OK)
    rc = err_set(e, E_NOMEM, "push");
  if (json_set(o, "list", a) != OK) rc = err_set(e, E_NOMEM, "set");
  if (json_set(o, "list", json_new_number(2)) != OK) rc = err_set(e, E_NOMEM, "replace");
  if (json_set(o, "flag", json_new_bool(1)) != OK) rc = err_set(e, E_NOMEM, "set");
  if (rc != OK || !o) goto out;
  copy = json_copy(o);
  if (!copy) FAIL(e, E_NOMEM, "copy");
  json_canonical(&t, copy);
  json_print(&t, o);
  TRY(text_ok(&t, e));
out:
  json_free(o);
  json_free(copy);
  text_free(&t);
  return rc;
}

static int run_text(err *e) {
  text t = {0};
  for (int i = 0; i < 40; i++) {
    text_add(&t, "0123456789");
    text_addf(&t, "%d", i);
    text_add_json(&t, "\"\x01");
    text_add_number(&t, 0.1);
  }
  int rc = text_ok(&t, e);
  text_free(&t);
  return rc;
}

static int run_write_tensors(err *e) {
  int rc = OK;
  st_writer *w = NULL;
  const float x[40] = {1, 2, 3};
  const real y[2] = {1, 2};
  TRY(st_writer_open(e, &w));
  TRY(st_writer_meta(w, e, "design", "sequence"));
  TRY(st_writer_add(w, e, "a", DT_F32, 2, (int64_t[]){4, 10}, x));
  for (int i = 0; i < 10; i++)
    TRY(st_writer_add_real(w, e, (char[]){(char)('b' + i), 0}, DT_BF16, 1, (int64_t[]){2}, y));
  TRY(st_writer_save(w, e, path));
out:
  st_writer_close(w);
  return rc;
}

static int run_open_tensors(err *e) {
  st_file *f;
  int rc = st_open(e, path, &f);
  if (rc != OK) assert_null(f);
  st_close(f);
  return rc;
}

static int run_file_read(err *e) {
  char *p;
  size_t n;
  int rc = file_read(e, path, 1 << 20, &p, &n);
  if (rc != OK) assert_true(p == NULL && n == 0);
  free(p);
  return rc;
}

static int run_file_write(err *e) {
  return file_write(e, path, "new content", 11);
}

static int run_mkdirs(err *e) {
  return file_mkdirs(e, folder);
}

static int run_hash(err *e) {
  char hex[HASH_HEX];
  int rc = hash_file(e, path, hex);
  if (rc != OK) assert_string_equal(hex, "");
  return rc;
}

/* Every allocation of `run` fails once, alone or with all that follow. Returns how many there are. */
static int64_t each_allocation(int (*run)(err *)) {
  for (int64_t times = 1;; times = INT64_MAX / 2)
    for (int64_t n = 1;; n++) {
      err e = {0};
      int64_t before = fault.live;
      arm(ALLOC, n, times, ENOMEM);
      int rc = run(&e);
      int fired = fault.fired;
      disarm();
      if (fault.live != before) fail_msg("allocation %d: %d blocks leaked", (int)n, (int)(fault.live - before));
      if (!fired) {
        if (rc != OK) fail_msg("no fault, but %s", e.text);
        if (times > 1) return n - 1;
        break;
      }
      if (rc != E_NOMEM || e.code != E_NOMEM || !e.text[0])
        fail_msg("allocation %d: code %d, '%s'", (int)n, rc, e.text);
    }
}

static void memory_for_json(void **state) {
  (void)state;
  err e = {0};
  assert_true(each_allocation(run_parse) > 20);
  assert_int_equal(file_write(&e, path, study, sizeof study - 1), OK);
  assert_true(each_allocation(run_read) > 20);
  assert_true(each_allocation(run_build) > 10);
}

static void memory_for_tensors(void **state) {
  (void)state;
  err e = {0};
  assert_true(each_allocation(run_write_tensors) > 30);
  assert_int_equal(run_write_tensors(&e), OK);
  assert_true(each_allocation(run_open_tensors) >= 6);
}

static void memory_for_files(void **state) {
  (void)state;
  put_old();
  assert_true(each_allocation(run_text) >= 3);
  assert_true(each_allocation(run_file_read) >= 1);
  assert_true(each_allocation(run_file_write) >= 1);
  assert_true(each_allocation(run_mkdirs) >= 1);
  assert_true(each_allocation(run_hash) >= 2);
  assert_int_equal(files_there(), 1);
}

/* A writer that could not take a tensor can still save the others. */
static void writer_survives(void **state) {
  (void)state;
  err e = {0};
  st_writer *w;
  st_file *f;
  assert_int_equal(st_writer_open(&e, &w), OK);
  assert_int_equal(st_writer_add(w, &e, "a", DT_U8, 1, (int64_t[]){1}, "x"), OK);
  for (int64_t n = 1; n <= 2; n++) {
    arm(ALLOC, n, 1, ENOMEM);
    assert_int_equal(st_writer_add(w, &e, "b", DT_U8, 1, (int64_t[]){1}, "y"), E_NOMEM);
    disarm();
    err_clear(&e);
  }
  assert_int_equal(st_writer_add(w, &e, "b", DT_U8, 1, (int64_t[]){1}, "y"), OK);
  assert_int_equal(st_writer_save(w, &e, path), OK);
  st_writer_close(w);
  assert_int_equal(st_open(&e, path, &f), OK);
  assert_int_equal(st_count(f), 2);
  st_close(f);
}

/* --- files --------------------------------------------------------------------------------------------------- */

/* What is in place when the at-th call of a kind fails while "new content" is written over "old". */
static void writing_fails(void **state) {
  (void)state;
  static const struct {
    call which;
    int at, error, rc;
    const char *left;
  } fault_at[] = {
      {OPEN, 1, EACCES, E_IO, "old"},
      {OPEN, 1, ENOSPC, E_IO, "old"},
      {WRITE, 1, ENOSPC, E_IO, "old"},
      {WRITE, 1, EIO, E_IO, "old"},
      {WRITE, 1, 0, E_IO, "old"},
      {WRITE, 4, ENOSPC, E_IO, "old"},
      {SYNC, 1, EIO, E_IO, "old"},
      {SYNC, 1, ENOSPC, E_IO, "old"},
      {CLOSE, 1, ENOSPC, E_IO, "old"},
      {CLOSE, 1, EINTR, OK, "new content"},
      {RENAME, 1, EACCES, E_IO, "old"},
      {RENAME, 1, ENOSPC, E_IO, "old"},
      {OPEN, 2, EMFILE, E_IO, "new content"},
      {SYNC, 2, EIO, E_IO, "new content"},
      {SYNC, 2, EINVAL, OK, "new content"},
      {CLOSE, 2, EIO, OK, "new content"},
  };
  for (size_t i = 0; i < sizeof fault_at / sizeof fault_at[0]; i++) {
    err e = {0};
    put_old();
    int64_t before = fault.live;
    arm(fault_at[i].which, fault_at[i].at, 1, fault_at[i].error);
    fault.most = 3; /* a fourth write is in the middle */
    int rc = run_file_write(&e), fired = fault.fired;
    disarm();
    if (!fired || rc != fault_at[i].rc) fail_msg("case %d: fired %d, code %d, '%s'", (int)i, fired, rc, e.text);
    if (rc != OK) assert_non_null(strstr(e.text, folder));
    content_is(fault_at[i].left, strlen(fault_at[i].left));
    assert_int_equal(files_there(), 1);
    assert_int_equal(fault.live, before);
  }
}

/* The same through the tensor writer, at every write there is: the old file, or the error is not one. */
static void disk_fills_up(void **state) {
  (void)state;
  int64_t n = 1;
  for (;; n++) {
    err e = {0};
    put_old();
    arm(WRITE, n, INT64_MAX / 2, ENOSPC);
    fault.most = 64;
    int rc = run_write_tensors(&e), fired = fault.fired;
    disarm();
    assert_int_equal(files_there(), 1);
    if (!fired) {
      assert_int_equal(rc, OK);
      break;
    }
    assert_int_equal(rc, E_IO);
    assert_non_null(strstr(e.text, strerror(ENOSPC)));
    content_is("old", 3);
  }
  assert_true(n > 10);
}

/* Interrupted and short calls are no failures. */
static void interrupted(void **state) {
  (void)state;
  static const struct {
    call which;
    int64_t at;
  } where[] = {{OPEN, 1}, {OPEN, 2}, {WRITE, 1}, {WRITE, 5}, {SYNC, 1}, {SYNC, 2}, {READ, 1}, {READ, 3}};
  for (size_t i = 0; i < sizeof where / sizeof where[0]; i++) {
    char hex[HASH_HEX], want[HASH_HEX];
    err e = {0};
    put_old();
    fault.most = 2;
    for (int again = 0; again < 2; again++) { /* for files written, then read */
      char *p = NULL;
      size_t n = 0;
      arm(where[i].which, where[i].at, 3, EINTR);
      fault.most = 2;
      if (again)
        assert_int_equal(file_read(&e, path, 100, &p, &n), OK);
      else
        assert_int_equal(run_file_write(&e), OK);
      if (again) assert_string_equal(p, "new content");
      free(p);
    }
    arm(where[i].which, where[i].at, 3, EINTR);
    assert_int_equal(hash_file(&e, path, hex), OK);
    disarm();
    assert_int_equal(hash_bytes(&e, "new content", 11, want), OK);
    assert_string_equal(hex, want);
    content_is("new content", 11);
    assert_int_equal(files_there(), 1);
  }
}

static void reading_fails(void **state) {
  (void)state;
  static const struct {
    int (*run)(err *);
    call which;
    int at, error;
  } fault_at[] = {
      {run_file_read, OPEN, 1, EACCES},    {run_file_read, READ, 1, EIO},      {run_file_read, READ, 2, EIO},
      {run_hash, OPEN, 1, EMFILE},         {run_hash, READ, 1, EIO},           {run_hash, READ, 2, EIO},
      {run_open_tensors, OPEN, 1, EACCES}, {run_open_tensors, MAP, 1, ENOMEM}, {run_read, READ, 1, EIO}};
  err e = {0};
  assert_int_equal(run_write_tensors(&e), OK);
  for (size_t i = 0; i < sizeof fault_at / sizeof fault_at[0]; i++) {
    int64_t before = fault.live;
    arm(fault_at[i].which, fault_at[i].at, 1, fault_at[i].error);
    int rc = fault_at[i].run(&e), fired = fault.fired;
    disarm();
    if (!fired || rc != E_IO) fail_msg("case %d: fired %d, code %d, '%s'", (int)i, fired, rc, e.text);
    assert_non_null(strstr(e.text, path));
    assert_non_null(strstr(e.text, strerror(fault_at[i].error)));
    assert_int_equal(fault.live, before);
    err_clear(&e);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(memory_for_json, set_up, tear_down),
      cmocka_unit_test_setup_teardown(memory_for_tensors, set_up, tear_down),
      cmocka_unit_test_setup_teardown(memory_for_files, set_up, tear_down),
      cmocka_unit_test_setup_teardown(writer_survives, set_up, tear_down),
      cmocka_unit_test_setup_teardown(writing_fails, set_up, tear_down),
      cmocka_unit_test_setup_teardown(disk_fills_up, set_up, tear_down),
      cmocka_unit_test_setup_teardown(interrupted, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reading_fails, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
