/* The store: schema, objects, registration, claims, endings, questions; then what can go wrong around them. */
#define _GNU_SOURCE /* unshare */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "base/text.h"
#include "scratch.h"
#include "store/edit.h"
#include "store/job.h"
#include "store/object.h"
#include "store/register.h"

/* --- helpers --------------------------------------------------------------------------------------------------- */

static err err0;

#define GOOD(call)                                                                                                   \
  do {                                                                                                               \
    err0 = (err){0};                                                                                                 \
    if ((call) != OK) fail_msg("%s: %s", #call, err0.text);                                                          \
  } while (0)
#define BAD(call, want_code, part)                                                                                   \
  do {                                                                                                               \
    err0 = (err){0};                                                                                                 \
    assert_int_equal((call), want_code);                                                                             \
    if (!strstr(err0.text, part)) fail_msg("wanted '%s' in: %s", part, err0.text);                                   \
  } while (0)

static int setup(void **state) {
  (void)state;
  scratch_open();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  scratch_close();
  return 0;
}

static store *create(void) {
  store *s = NULL;
  GOOD(store_open(&err0, scratch_path(0, "st"), STORE_CREATE, &s));
  return s;
}

/* Keys that only need to be distinct. */
static const char *key(int i) {
  static char k[8][STORE_KEY];
  static int slot;
  slot = (slot + 1) % 8;
  snprintf(k[slot], STORE_KEY, "%08x%056d", (unsigned)i * 2654435761u, i);
  return k[slot];
}

static int64_t sql_int(store *s, const char *sql);

static const store_prompt two_prompts[] = {{"p1", "solid red circle", "in"},
                                           {"p2", "a \"quoted\" / \xF0\x9F\x98\x80", NULL}};
static const store_metric iou = {"true_iou_gain", 1, "up", NULL, -1, 1, "joint", 1, "gain"},
                          rmse = {"rgb_rmse", 2, "down", NULL, 0, INFINITY, "rgb", 1, "distance"};

/* prepare 1 -> train 2 -> samples 10, 11 -> scores 20, 21; each score also needs the other sample. */
static int64_t register_small(store *s) {
  char k[6][STORE_KEY];
  static const int id[6] = {1, 2, 10, 11, 20, 21};
  for (int i = 0; i < 6; i++) snprintf(k[i], STORE_KEY, "%s", key(id[i]));
  store_input in[] = {{"clips", NULL, k[0]},  {"data", k[0], NULL},    {"adapter", k[1], NULL},
                      {"sample", k[2], NULL}, {"partner", k[3], NULL}, {"sample", k[3], NULL},
                      {"partner", k[2], NULL}};
  store_cell c[] = {
      {k[0], 1, STAGE_PREPARE, "{\"a\":1}", 100, 2, &in[0], 1, "ours", SEED_NONE, SEED_NONE, NULL, NULL},
      {k[1], 1, STAGE_TRAIN, "{\"b\":1}", 101, 2, &in[1], 1, "ours", 0, SEED_NONE, NULL, NULL},
      {k[2], 1, STAGE_SAMPLE, "{\"c\":1}", 102, 2, &in[2], 1, "ours", 0, 0, "p1", NULL},
      {k[3], 1, STAGE_SAMPLE, "{\"c\":2}", 103, 2, &in[2], 1, "ours", 0, 1, "p1", NULL},
      {k[4], 1, STAGE_SCORE, "{\"d\":1}", 104, 2, &in[3], 2, "ours", 0, 0, "p1", "{\"sample_seed\":0}"},
      {k[5], 1, STAGE_SCORE, "{\"d\":2}", 105, 2, &in[5], 2, "ours", 0, 1, "p1", NULL},
  };
  int64_t id0;
  store_study st = {"demo", k[0], "{\"study\":\"demo\"}", two_prompts, 2, c, 6};
  GOOD(store_metrics(s, &err0, &iou, 1));
  GOOD(store_metrics(s, &err0, &rmse, 1));
  GOOD(store_register(s, &err0, &st, 1000, &id0));
  return id0;
}

static store_want want(int64_t now) {
  return (store_want){.owner = "test", .now_ms = now, .lease_ms = 1000};
}

/* Claims one cell, which must be `id`; 0: nothing may be ready. */
static int64_t claim(store *s, int64_t now, int id) {
  store_jobs j;
  store_want w = want(now);
  GOOD(store_claim(s, &err0, &w, &j));
  assert_int_equal(j.n, id ? 1 : 0);
  int64_t attempt = id ? j.at[0].attempt_id : 0;
  if (id) assert_string_equal(j.at[0].key, key(id));
  store_jobs_free(&j);
  return attempt;
}

static void finish(store *s, int64_t attempt, int64_t now) {
  store_result r = {.usage = {-1, -1, -1, -1}, .now_ms = now};
  GOOD(store_finish(s, &err0, attempt, &r));
}

static int fail_with(store *s, int64_t attempt, const char *class, int64_t now) {
  int retry = -1;
  store_failure f = {class, "it broke", 3, -1, {-1, 5, -1, -1}, now, 0};
  GOOD(store_fail(s, &err0, attempt, &f, &retry));
  return retry;
}

static store_state state_of(store *s, int id) {
  store_cells c;
  GOOD(store_cell_find(s, &err0, key(id), &c));
  store_state st = c.at[0].state;
  store_cells_free(&c);
  return st;
}

static int row_int(void *user, err *e, int n, const char *const *names, const store_value *v) {
  (void)e;
  (void)n;
  (void)names;
  if (v) *(int64_t *)user = v[0].i;
  return OK;
}

static int64_t sql_int(store *s, const char *sql) {
  int64_t v = INT64_MIN;
  GOOD(store_sql(s, &err0, sql, row_int, &v));
  return v;
}

/* Runs `body` in a child; the child's exit status is returned, -SIGNAL when it was killed. */
static int in_child(int (*body)(void *), void *user) {
  fflush(NULL);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(body(user));
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* --- opening --------------------------------------------------------------------------------------------------- */

static void test_identity(void **state) {
  (void)state;
  store *s = create();
  assert_null(store_note(s));
  assert_int_equal(sql_int(s, "SELECT count(*) FROM sqlite_schema WHERE type='table'"), 15);
  /* STRICT everywhere: a forgotten keyword would let text into number columns */
  assert_int_equal(sql_int(s, "SELECT count(*) FROM sqlite_schema WHERE type='table' AND sql NOT LIKE '% STRICT%'"),
                   0);
  store_close(s);
  char head[128] = {0};
  FILE *f = fopen(scratch_path(1, "st/store.db"), "rb");
  assert_non_null(f);
  assert_int_equal(fread(head, 1, 100, f), 100);
  fclose(f);
  assert_memory_equal(head, "SQLite format 3", 16);
  assert_memory_equal(head + 68, "RGBA", 4);
  assert_int_equal(head[18], 2); /* write-ahead log */
  GOOD(store_open(&err0, scratch_path(0, "st"), STORE_READ, &s));
  int64_t id;
  BAD(store_register(s, &err0, &(store_study){"x", "", "{}", NULL, 0, NULL, 0}, 0, &id), E_ARG, "opened for reading");
  store_close(s);
  BAD(store_open(&err0, scratch_path(0, "none"), STORE_READ, &s), E_STORE, "no store here");
  BAD(store_open(&err0, scratch_path(0, "none"), STORE_WRITE, &s), E_STORE, "run a study first");
}

static void edit(const char *sql) {
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(scratch_path(1, "st/store.db"), &db), SQLITE_OK);
  if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(db));
  sqlite3_close(db);
}

static void test_newer_schema(void **state) {
  (void)state;
  store *s = create();
  store_close(s);
  edit("PRAGMA user_version=7");
  BAD(store_open(&err0, scratch_path(0, "st"), STORE_WRITE, &s), E_STORE, "schema 7");
  BAD(store_open(&err0, scratch_path(0, "st"), STORE_CREATE, &s), E_STORE, "newer tandem");
  GOOD(store_open(&err0, scratch_path(0, "st"), STORE_READ, &s));
  assert_non_null(strstr(store_note(s), "schema 7"));
  store_close(s);
  edit("PRAGMA user_version=1; PRAGMA application_id=5");
  BAD(store_open(&err0, scratch_path(0, "st"), STORE_READ, &s), E_STORE, "not a store of tandem");
}

static void test_damaged(void **state) {
  (void)state;
  store *s = create();
  register_small(s);
  store_close(s);
  const char *db = scratch_path(1, "st/store.db");
  struct stat st;
  assert_int_equal(stat(db, &st), 0);
  assert_int_equal(truncate(db, st.st_size / 2), 0);
  BAD(store_open(&err0, scratch_path(0, "st"), STORE_WRITE, &s), E_STORE, "damaged");
  assert_non_null(strstr(err0.text, ".recover"));
  assert_int_equal(truncate(db, 0), 0);
  BAD(store_open(&err0, scratch_path(0, "st"), STORE_CREATE, &s), E_STORE, "empty");
  scratch_write("st/store.db", "this is not a database, whatever its name says, and long enough for a header.......");
  BAD(store_open(&err0, scratch_path(0, "st"), STORE_CREATE, &s), E_STORE, "not a store");
}

static void test_locked(void **state) {
  (void)state;
  store *s = create(), *other = NULL;
  register_small(s);
  GOOD(store_open(&err0, scratch_path(0, "st"), STORE_WRITE, &other));
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(scratch_path(1, "st/store.db"), &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  store_jobs j;
  store_want w = want(0);
  store_set_patience(other, 200);
  BAD(store_claim(other, &err0, &w, &j), E_STORE, "locked");
  assert_int_equal(j.n, 0);
  sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  sqlite3_close(db);
  claim(other, 0, 1);
  store_close(other);
  store_close(s);
}

static int read_only_body(void *user) {
  (void)user;
  store *s = NULL;
  if (geteuid() == 0 && setuid(65534) != 0) return 77;
  err e = {0};
  if (store_open(&e, scratch_path(0, "st"), STORE_WRITE, &s) != E_STORE || !strstr(e.text, "permissions")) return 1;
  e = (err){0};
  if (store_open(&e, scratch_path(0, "new/deep"), STORE_CREATE, &s) != E_STORE || !strstr(e.text, "permissions"))
    return 2;
  e = (err){0};
  if (store_open(&e, scratch_path(0, "st"), STORE_READ, &s) != OK) return 3;
  store_studies l;
  if (store_study_list(s, &e, NULL, &l) != OK || l.n != 1 || strcmp(l.at[0].name, "demo") != 0) return 4;
  store_studies_free(&l);
  store_close(s);
  return 0;
}

static void test_read_only(void **state) {
  (void)state;
  store *s = create();
  register_small(s);
  store_close(s);
  assert_int_equal(chmod(scratch_path(0, "."), 0555), 0);
  assert_int_equal(chmod(scratch_path(0, "st"), 0555), 0);
  assert_int_equal(chmod(scratch_path(0, "st/store.db"), 0444), 0);
  int rc = in_child(read_only_body, NULL);
  chmod(scratch_path(0, "."), 0755);
  chmod(scratch_path(0, "st"), 0755);
  if (rc == 77) skip();
  assert_int_equal(rc, 0);
}

static int open_fresh(void *user) {
  int go = *(int *)user;
  char byte;
  if (read(go, &byte, 1) < 0) return 2; /* all start together */
  store *s = NULL;
  err e = {0};
  if (store_open(&e, scratch_path(0, "fresh"), STORE_CREATE, &s) != OK) {
    fprintf(stderr, "%s\n", e.text);
    return 1;
  }
  store_close(s);
  return 0;
}

static void test_fifty_openers(void **state) {
  (void)state;
  enum { N = 50 };
  int go[2];
  pid_t pid[N];
  assert_int_equal(pipe(go), 0);
  for (int i = 0; i < N; i++) {
    pid[i] = fork();
    assert_true(pid[i] >= 0);
    if (pid[i] == 0) {
      close(go[1]);
      _exit(open_fresh(&go[0]));
    }
  }
  close(go[0]);
  close(go[1]);
  for (int i = 0; i < N; i++) {
    int status = -1;
    waitpid(pid[i], &status, 0);
    assert_int_equal(status, 0);
  }
  store *s = NULL;
  GOOD(store_open(&err0, scratch_path(0, "fresh"), STORE_WRITE, &s));
  assert_int_equal(sql_int(s, "SELECT count(*) FROM study"), 0);
  store_close(s);
}

static void test_file_systems(void **state) {
  (void)state;
  const char *name = NULL;
  assert_true(store_fs_is_local(0xEF53, &name));     /* ext4 */
  assert_true(store_fs_is_local(0x01021994, &name)); /* tmpfs */
  assert_false(store_fs_is_local(0x6969, &name));
  assert_string_equal(name, "nfs");
  assert_false(store_fs_is_local((int32_t)0xff534d42, &name)); /* sign-extended */
  assert_string_equal(name, "cifs");
}

/* --- objects --------------------------------------------------------------------------------------------------- */

static void test_objects(void **state) {
  (void)state;
  store *s = create();
  char sha[HASH_HEX], again[HASH_HEX], path[STORE_PATH], *data;
  size_t n;
  int64_t bytes;
  GOOD(object_put(s, &err0, "abc", 3, sha));
  assert_string_equal(sha, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  GOOD(object_path(s, &err0, sha, path));
  assert_non_null(strstr(path, "/objects/ba/ba7816bf"));
  GOOD(object_temp(s, &err0, ".txt", path));
  assert_string_equal(path + strlen(path) - 4, ".txt");
  FILE *f = fopen(path, "w");
  fputs("abc", f);
  fclose(f);
  GOOD(object_adopt(s, &err0, path, again, &bytes));
  assert_string_equal(again, sha);
  assert_int_equal(bytes, 3);
  assert_false(file_exists(path));
  GOOD(object_read(s, &err0, sha, 100, &data, &n));
  assert_int_equal(n, 3);
  assert_memory_equal(data, "abc", 3);
  free(data);
  BAD(object_read(s, &err0, sha, 2, &data, &n), E_STORE, "too large");
  BAD(object_path(s, &err0, "../../etc/passwd", path), E_ARG, "not an object name");
  BAD(object_read(s, &err0, key(1), 9, &data, &n), E_STORE, "missing");

  GOOD(object_path(s, &err0, sha, path));
  assert_int_equal(chmod(path, 0644), 0);
  f = fopen(path, "w");
  fputs("abd", f);
  fclose(f);
  BAD(object_read(s, &err0, sha, 100, &data, &n), E_STORE, "no longer have its name");
  BAD(object_verify(s, &err0, sha), E_STORE, "damaged");
  GOOD(object_put(s, &err0, "abc", 3, sha)); /* heals */
  GOOD(object_verify(s, &err0, sha));
  GOOD(object_put(s, &err0, "", 0, sha));
  GOOD(object_read(s, &err0, sha, 100, &data, &n));
  assert_int_equal(n, 0);
  free(data);
  store_close(s);
}

static void test_garbage(void **state) {
  (void)state;
  store *s = create();
  char kept[HASH_HEX], stray[HASH_HEX], path[STORE_PATH];
  object_garbage g;
  register_small(s);
  GOOD(object_put(s, &err0, "kept", 4, kept));
  GOOD(object_put(s, &err0, "stray!", 6, stray));
  GOOD(object_temp(s, &err0, ".mkv", path));
  store_artifact a = {"data", "latents", kept, 4, NULL};
  store_result r = {.artifacts = &a, .n_artifacts = 1, .usage = {-1, -1, -1, -1}, .now_ms = 20};
  GOOD(store_finish(s, &err0, claim(s, 10, 1), &r));
  GOOD(object_gc(s, &err0, 3600000, 1, &g));
  assert_int_equal(g.files, 0); /* too young */
  GOOD(object_gc(s, &err0, -1000, 0, &g));
  assert_int_equal(g.files, 2);
  assert_int_equal(g.bytes, 6);
  GOOD(object_verify(s, &err0, stray));
  GOOD(object_gc(s, &err0, -1000, 1, &g));
  assert_int_equal(g.files, 2);
  BAD(object_verify(s, &err0, stray), E_STORE, "missing");
  GOOD(object_verify(s, &err0, kept));
  store_close(s);
}

/* --- registration ---------------------------------------------------------------------------------------------- */

static void test_register(void **state) {
  (void)state;
  store *s = create();
  int64_t id = register_small(s);
  assert_int_equal(register_small(s), id);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM cell"), 6);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM cell_input"), 8);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM cell WHERE state='ready'"), 1);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM study_cell WHERE train_seed=0"), 5); /* seed 0 is a seed */
  assert_int_equal(state_of(s, 1), CELL_READY);
  assert_int_equal(state_of(s, 20), CELL_WAITING);
  store_studies l;
  GOOD(store_study_list(s, &err0, "demo", &l));
  assert_int_equal(l.n, 1);
  assert_int_equal(l.at[0].cells, 6);
  store_studies_free(&l);
  BAD(store_study_list(s, &err0, "dmeo", &l), E_STORE, "known: demo");

  /* a second study shares the first cell, and leaves again when its plan changes */
  char k1[STORE_KEY], k2[STORE_KEY];
  snprintf(k1, sizeof k1, "%s", key(1));
  snprintf(k2, sizeof k2, "%s", key(77));
  store_cell c[] = {{k1, 1, STAGE_PREPARE, "{\"a\":1}", 5, 3, NULL, 0, "x", SEED_NONE, SEED_NONE, NULL, NULL},
                    {k2, 1, STAGE_PRETRAIN, "{}", 5, 0, NULL, 0, "x", SEED_NONE, SEED_NONE, NULL, NULL}};
  int64_t other;
  GOOD(store_register(s, &err0, &(store_study){"two", k1, "{}", NULL, 0, c, 2}, 5, &other));
  assert_int_equal(sql_int(s, "SELECT count(*) FROM cell"), 7);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM study_cell"), 8);
  GOOD(store_register(s, &err0, &(store_study){"two", k2, "{}", NULL, 0, c, 1}, 6, &other));
  assert_int_equal(sql_int(s, "SELECT count(*) FROM study_cell"), 7);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM cell"), 7);

  c[0].spec_json = "{\"a\":2}";
  BAD(store_register(s, &err0, &(store_study){"two", k1, "{}", NULL, 0, c, 2}, 5, &other), E_STORE,
      "another stage or");
  c[0] = c[1];
  c[0].key = "abc";
  BAD(store_register(s, &err0, &(store_study){"two", k1, "{}", NULL, 0, c, 1}, 5, &other), E_ARG, "not a cell key");
  store_cell twins[] = {{k2, 1, STAGE_SCORE, "{}", 5, 0, NULL, 0, "x", 0, 0, NULL, NULL},
                        {k2, 1, STAGE_SCORE, "{}", 5, 0, NULL, 0, "y", 0, 0, NULL, NULL}};
  snprintf(k2, sizeof k2, "%s", key(78));
  BAD(store_register(s, &err0, &(store_study){"three", k1, "{}", NULL, 0, twins, 2}, 5, &other), E_ARG,
      "same experiment");
  assert_int_equal(sql_int(s, "SELECT count(*) FROM study"), 2); /* nothing of the refused one stayed */
  assert_int_equal(sql_int(s, "SELECT count(*) FROM cell"), 7);
  store_close(s);
}

static void test_metric_meaning(void **state) {
  (void)state;
  store *s = create();
  store_metric m = iou;
  GOOD(store_metrics(s, &err0, &m, 1));
  m.doc = "better words";
  GOOD(store_metrics(s, &err0, &m, 1));
  m.direction = "down";
  BAD(store_metrics(s, &err0, &m, 1), E_ARG, "needs a new version");
  m.version = 2;
  GOOD(store_metrics(s, &err0, &m, 1));
  m.plane = "nonsense";
  m.version = 3;
  BAD(store_metrics(s, &err0, &m, 1), E_STORE, "CHECK");
  store_close(s);
}

/* --- life of a cell -------------------------------------------------------------------------------------------- */

static void test_life(void **state) {
  (void)state;
  store *s = create();
  int64_t id = register_small(s);
  store_build b = {"b1", "0123456789abcdef", NULL, "ff", "gcc 12", "-O3", NULL, NULL, 1};
  store_host h = {"h1", "linux", "6", "some CPU", NULL, NULL, 2, 1 << 30};
  GOOD(store_put_build(s, &err0, &b));
  GOOD(store_put_build(s, &err0, &b));
  GOOD(store_put_host(s, &err0, &h));
  finish(s, claim(s, 0, 1), 10);
  finish(s, claim(s, 20, 2), 120);

  /* both samples in one pack: same adapter */
  store_jobs j;
  store_want w = want(200);
  w.pack_role = "adapter";
  w.max_cells = 8;
  w.has_stage = 1;
  w.stage = STAGE_SAMPLE;
  w.build_id = "b1";
  w.host_id = "h1";
  GOOD(store_claim(s, &err0, &w, &j));
  assert_int_equal(j.n, 2);
  assert_string_equal(j.at[0].key, key(10));
  assert_int_equal(j.at[0].stage, STAGE_SAMPLE);
  assert_string_equal(j.at[0].spec_json, "{\"c\":1}");
  assert_int_equal(j.at[0].n_inputs, 1);
  assert_string_equal(j.at[0].inputs[0].role, "adapter");
  assert_string_equal(j.at[0].inputs[0].key, key(2));
  assert_null(j.at[0].inputs[0].sha256);
  assert_int_equal(strncmp(j.at[0].log_path, "logs/", 5), 0);
  store_jobs same;
  GOOD(store_job_get(s, &err0, j.at[1].attempt_id, &same));
  assert_string_equal(same.at[0].key, j.at[1].key);
  store_jobs_free(&same);

  char sha[HASH_HEX];
  store_artifact a = {"clip", "clip", key(9), 3, "{\"fps\":8}"};
  store_result r = {.artifacts = &a, .n_artifacts = 1, .usage = {100, 200, -1, 7}, .now_ms = 300};
  BAD(store_finish(s, &err0, j.at[0].attempt_id, &r), E_STORE, "not there");
  GOOD(object_put(s, &err0, "abc", 3, sha));
  a.sha256 = sha;
  GOOD(store_finish(s, &err0, j.at[0].attempt_id, &r));
  BAD(store_finish(s, &err0, j.at[0].attempt_id, &r), E_STORE, "already ended (done)");
  assert_int_equal(state_of(s, 20), CELL_WAITING);      /* still needs the partner */
  GOOD(store_finish(s, &err0, j.at[1].attempt_id, &r)); /* same bytes: one artifact, two uses */
  store_jobs_free(&j);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM artifact"), 1);
  assert_int_equal(state_of(s, 20), CELL_READY);

  store_artifacts al;
  GOOD(store_artifact_list(s, &err0, key(10), &al));
  assert_int_equal(al.n, 1);
  assert_string_equal(al.at[0].sha256, sha);
  assert_string_equal(al.at[0].media_json, "{\"fps\":8}");
  store_artifacts_free(&al);
  store_facts f;
  GOOD(store_build_list(s, &err0, id, &f));
  assert_int_equal(f.n, 1);
  assert_int_equal(f.at[0].attempts, 2);
  assert_string_equal(f.at[0].text, "0123456789ab+changes, gcc 12");
  store_facts_free(&f);
  GOOD(store_host_list(s, &err0, 0, &f));
  assert_string_equal(f.at[0].text, "some CPU x 2, linux");
  store_facts_free(&f);
  store_attempts at;
  GOOD(store_attempt_list(s, &err0, key(10), &at));
  assert_int_equal(at.n, 1);
  assert_string_equal(at.at[0].state, "done");
  assert_int_equal(at.at[0].resumed_from_step, 100);
  assert_int_equal(at.at[0].peak_vram_bytes, -1);
  store_attempts_free(&at);
  store_counts c;
  GOOD(store_status(s, &err0, id, 400, &c));
  assert_int_equal(c.n[STAGE_SAMPLE][CELL_DONE], 2);
  assert_int_equal(c.n[STAGE_SCORE][CELL_READY], 2);
  int64_t ms[STAGE_COUNT];
  GOOD(store_medians(s, &err0, id, ms));
  assert_int_equal(ms[STAGE_TRAIN], 100);
  assert_int_equal(ms[STAGE_SCORE], -1);
  store_close(s);
}

static void to_scores(store *s) {
  finish(s, claim(s, 0, 1), 0);
  finish(s, claim(s, 0, 2), 0);
  finish(s, claim(s, 0, 10), 0);
  finish(s, claim(s, 0, 11), 0);
}

static void test_values(void **state) {
  (void)state;
  store *s = create();
  int64_t id = register_small(s);
  to_scores(s);
  store_measure m[] = {{"true_iou_gain", 1, "video", -1, NULL, 0.0, NULL, 7},
                       {"rgb_rmse", 2, "video", -1, "black", NAN, NULL, 1},
                       {"rgb_rmse", 2, "video", -1, "grey", INFINITY, NULL, 1},
                       {"rgb_rmse", 2, "video", -1, "red", -INFINITY, NULL, 1},
                       {"rgb_rmse", 2, "video", -1, "white", 5.0, "no_base", 0},
                       {"rgb_rmse", 2, "frame", 3, NULL, 0.1, NULL, 1}};
  store_result r = {.measures = m, .n_measures = 6, .usage = {-1, -1, -1, -1}, .now_ms = 9};
  int64_t a = claim(s, 1, 20);
  m[0].value = 1.5;
  BAD(store_finish(s, &err0, a, &r), E_ARG, "outside its declared range [-1, 1]");
  m[0].value = 1 + 1e-16;
  m[1].metric = "unheard_of";
  BAD(store_finish(s, &err0, a, &r), E_ARG, "not defined");
  m[1].metric = "rgb_rmse";
  m[0].value = -0.0;
  assert_int_equal(sql_int(s, "SELECT count(*) FROM measure"), 0);
  assert_int_equal(state_of(s, 20), CELL_RUNNING);
  GOOD(store_finish(s, &err0, a, &r));

  store_scores l;
  GOOD(store_score_list(s, &err0, id, &l));
  assert_int_equal(l.n, 5); /* the frame stays out */
  assert_string_equal(l.at[4].metric, "true_iou_gain");
  assert_true(l.at[4].value == 0 && l.at[4].kind == KIND_FINITE);
  assert_int_equal(l.at[4].n, 7);
  assert_int_equal(l.at[4].sample_seed, 0);
  assert_string_equal(l.at[4].variant, "ours");
  assert_string_equal(l.at[4].prompt_id, "p1");
  assert_string_equal(l.at[4].key, key(20));
  assert_int_equal(l.at[0].kind, KIND_NAN);
  assert_true(isnan(l.at[0].value));
  assert_int_equal(l.at[1].kind, KIND_INF);
  assert_true(isinf(l.at[1].value) && l.at[1].value > 0);
  assert_int_equal(l.at[2].kind, KIND_NEG_INF);
  assert_int_equal(l.at[3].kind, KIND_UNDEFINED);
  assert_string_equal(l.at[3].reason, "no_base");
  assert_null(l.at[0].reason);
  assert_true(isnan(l.at[3].value)); /* never the number that came with a reason */
  store_scores_free(&l);
  GOOD(store_measure_list(s, &err0, key(20), &l));
  assert_int_equal(l.n, 6);
  store_scores_free(&l);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM v_score WHERE reason='no_base'"), 1);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM v_missing WHERE stage='score'"), 1);
  store_close(s);
}

/* Three scores in process and three of one scorer, all ready. */
static void register_scorers(store *s, int64_t *id) {
  char k[6][STORE_KEY], what[STORE_KEY];
  store_cell c[6];
  store_input in[6];
  snprintf(what, sizeof what, "%s", key(99));
  for (int i = 0; i < 6; i++) {
    snprintf(k[i], STORE_KEY, "%s", key(30 + i));
    in[i] = (store_input){"scorer", NULL, what};
    c[i] = (store_cell){k[i], 1, STAGE_SCORE, "{}", 100 + i, 2, &in[i], i % 2, "ours", 0, i, "p1", NULL};
  }
  store_study st = {"scored", k[0], "{}", two_prompts, 2, c, 6};
  GOOD(store_metrics(s, &err0, &iou, 1));
  GOOD(store_register(s, &err0, &st, 1000, id));
}

/* Samples 10, 11 (done) and 12 with a score of each; 40 and 41 compare {10, 11} with the data and with {12}. */
static void register_sets(store *s, int64_t *id) {
  static const char *const axes[] = {"{\"against\":\"data\",\"set\":\"true_iou_gain\"}",
                                     "{\"against\":\"base\",\"set\":\"true_iou_gain\"}"};
  static const int of[] = {10, 11, 12, 20, 21, 22, 40, 41};
  char k[8][STORE_KEY], name[FACT_COUNT][64];
  store_cell c[8];
  for (int i = 0; i < 8; i++) snprintf(k[i], STORE_KEY, "%s", key(of[i]));
  store_input in[] = {{"sample", k[0], NULL},    {"sample", k[1], NULL},    {"sample", k[2], NULL},
                      {"x/0000000", k[0], NULL}, {"x/0000001", k[1], NULL}, {"y/0000000", k[2], NULL}};
  for (int i = 0; i < 8; i++)
    c[i] = (store_cell){k[i], 1,   i < 3 ? STAGE_SAMPLE : STAGE_SCORE, "{}", 100 + i, 2, NULL, 0, "ours", 0, i,
                        "p1", NULL};
  for (int i = 0; i < 3; i++) c[3 + i].inputs = &in[i], c[3 + i].n_inputs = 1;
  for (int i = 6; i < 8; i++) {
    c[i].inputs = &in[3], c[i].n_inputs = i - 4;
    c[i].sample_seed = SEED_NONE, c[i].prompt_id = NULL, c[i].axes_json = axes[i - 6];
  }
  store_study st = {"sets", k[0], "{}", two_prompts, 2, c, 8};
  GOOD(store_metrics(s, &err0, &iou, 1));
  for (int i = 0; i < FACT_COUNT; i++) {
    const set_fact *f = &set_facts()[i];
    snprintf(name[i], sizeof name[i], "true_iou_gain#%s", f->name);
    GOOD(store_metrics(s, &err0, &(store_metric){name[i], 1, "none", f->unit, f->lo, f->hi, "joint", 1, f->help}, 1));
  }
  GOOD(store_register(s, &err0, &st, 1000, id));
}

static void finish_set(store *s, int64_t attempt) {
  store_measure m[1 + FACT_COUNT] = {{"true_iou_gain", 1, "set", -1, NULL, 0.5, NULL, 2}};
  char name[FACT_COUNT][64];
  for (int i = 0; i < FACT_COUNT; i++) {
    snprintf(name[i], sizeof name[i], "true_iou_gain#%s", set_facts()[i].name);
    m[1 + i] = (store_measure){name[i], 1, "set", -1, NULL, i == FACT_P ? 0.25 : 10 + i, NULL, 2};
  }
  store_result r = {.measures = m, .n_measures = 1 + FACT_COUNT, .usage = {-1, -1, -1, -1}, .now_ms = 5};
  GOOD(store_finish(s, &err0, attempt, &r));
}

static void test_sets(void **state) {
  (void)state;
  store *s = create();
  int64_t id;
  store_jobs a;
  store_sets l;
  store_scores clips;
  store_cells cells;
  store_result done = {.usage = {-1, -1, -1, -1}, .now_ms = 5};
  register_sets(s, &id);
  store_want w = want(0);
  w.pack_role = "scorer", w.max_cells = 9, w.alone_role = SET_FIRST;
  GOOD(store_claim(s, &err0, &w, &a)); /* the samples; nothing else is ready */
  assert_int_equal(a.n, 3);
  GOOD(store_finish(s, &err0, a.at[0].attempt_id, &done));
  GOOD(store_finish(s, &err0, a.at[1].attempt_id, &done));
  GOOD(store_fail(s, &err0, a.at[2].attempt_id,
                  &(store_failure){.fail_class = "nan_loss", .exit_code = -1, .term_signal = -1, .now_ms = 6},
                  &(int){0}));
  store_jobs_free(&a);
  GOOD(store_claim(s, &err0, &w, &a)); /* scores of clips go together, without the one that compares sets */
  assert_int_equal(a.n, 2);
  store_jobs_free(&a);
  GOOD(store_claim(s, &err0, &w, &a));
  assert_int_equal(a.n, 1);
  assert_string_equal(a.at[0].key, key(40));
  assert_int_equal(a.at[0].n_inputs, 2);
  finish_set(s, a.at[0].attempt_id);
  store_jobs_free(&a);
  /* one row a comparison, by reference */
  GOOD(store_set_list(s, &err0, id, &l));
  assert_int_equal(l.n, 2);
  assert_string_equal(l.at[0].against, "base");
  assert_int_equal(l.at[0].state, CELL_BLOCKED);
  assert_true(isnan(l.at[0].value) && l.at[0].n == 0);
  assert_string_equal(l.at[1].against, "data");
  assert_int_equal(l.at[1].state, CELL_DONE);
  assert_string_equal(l.at[1].metric, "true_iou_gain");
  assert_true(l.at[1].value == 0.5 && l.at[1].p == 0.25);
  assert_int_equal(l.at[1].n, 2);
  assert_int_equal(l.at[1].version, 1);
  assert_int_equal(l.at[1].n_against, 10 + FACT_N_AGAINST);
  assert_int_equal(l.at[1].undefined_against, 10 + FACT_UNDEFINED_AGAINST);
  assert_true(l.at[1].null_lo == 10 + FACT_NULL_LO && l.at[1].null_hi == 10 + FACT_NULL_HI);
  store_sets_free(&l);
  /* which is no clip's score */
  GOOD(store_score_list(s, &err0, id, &clips));
  assert_int_equal(clips.n, 0);
  store_scores_free(&clips);
  GOOD(store_cells_in(s, &err0, id, CELL_BLOCKED, &cells));
  assert_int_equal(cells.n, 2);
  assert_int_equal(cells.at[0].of_sets, 0);
  assert_int_equal(cells.at[1].of_sets, 1);
  store_cells_free(&cells);
  store_close(s);
  /* a store from before such scores can be read, and gets its view when it is written to */
  edit("DROP VIEW v_set");
  GOOD(store_open(&err0, scratch_path(0, "st"), STORE_READ, &s));
  GOOD(store_set_list(s, &err0, id, &l));
  assert_int_equal(l.n, 0);
  store_sets_free(&l);
  store_close(s);
  GOOD(store_open(&err0, scratch_path(0, "st"), STORE_WRITE, &s));
  GOOD(store_set_list(s, &err0, id, &l));
  assert_int_equal(l.n, 2);
  store_sets_free(&l);
  store_close(s);
}

static void test_scorers(void **state) {
  (void)state;
  store *s = create();
  int64_t id, n;
  store_jobs a, b;
  store_cells l;
  register_scorers(s, &id);
  store_want w = want(0);
  w.pack_role = "scorer", w.max_cells = 2, w.max_with_role = 9;
  GOOD(store_claim(s, &err0, &w, &a)); /* without the role: at most max_cells, together */
  assert_int_equal(a.n, 2);
  assert_string_equal(a.at[0].key, key(30));
  assert_string_equal(a.at[1].key, key(32));
  GOOD(store_claim(s, &err0, &w, &b)); /* with it: all three */
  assert_int_equal(b.n, 3);
  for (int i = 0; i < 3; i++) assert_string_equal(b.at[i].key, key(31 + 2 * i));
  static const char *const reasons[] = {"scorer_timeout", "no_face", NULL};
  for (int i = 0; i < 3; i++) {
    store_measure m = {"true_iou_gain", 1, "video", -1, NULL, 0.5, reasons[i], 1};
    store_result r = {.measures = &m, .n_measures = 1, .usage = {-1, -1, -1, -1}, .now_ms = 5};
    GOOD(store_finish(s, &err0, b.at[i].attempt_id, &r));
  }
  GOOD(store_unanswered(s, &err0, id, &n));
  assert_int_equal(n, 1);
  GOOD(store_cells_in(s, &err0, id, CELL_DONE, &l));
  assert_int_equal(l.n, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(l.at[i].by_scorer, 1);
  store_cells_free(&l);
  GOOD(store_cells_in(s, &err0, id, CELL_RUNNING, &l));
  assert_int_equal(l.n, 2);
  assert_int_equal(l.at[0].by_scorer, 0);
  store_cells_free(&l);
  store_cells every;
  GOOD(store_cells_in(s, &err0, id, CELL_STATES, &every));
  GOOD(store_cells_undone(s, &err0, id, &l));
  assert_true(l.n >= 2 && l.n == every.n - 3);
  for (int64_t i = 0, k = 0; i < every.n; i++) /* the others, in their order */
    if (every.at[i].state != CELL_DONE) assert_string_equal(l.at[k++].key, every.at[i].key);
  store_cells_free(&every);
  store_cells_free(&l);
  GOOD(store_retry(s, &err0, id + 1, NULL, &n)); /* another study */
  assert_int_equal(n, 0);
  GOOD(store_retry(s, &err0, id, NULL, &n));
  assert_int_equal(n, 1);
  assert_int_equal(state_of(s, 31), CELL_READY);
  assert_int_equal(state_of(s, 33), CELL_DONE); /* the scorer's own reason is an answer */
  assert_int_equal(state_of(s, 35), CELL_DONE);
  GOOD(store_unanswered(s, &err0, id, &n));
  assert_int_equal(n, 0);
  store_jobs_free(&a);
  store_jobs_free(&b);
  store_close(s);
}

static void test_failures(void **state) {
  (void)state;
  store *s = create();
  int64_t id = register_small(s), n;
  finish(s, claim(s, 0, 1), 0);
  /* io: again while tries < max_tries (2), then failed; everything below is blocked */
  assert_true(fail_with(s, claim(s, 1, 2), "io", 2));
  assert_int_equal(state_of(s, 2), CELL_READY);
  assert_false(fail_with(s, claim(s, 3, 2), "timeout", 4));
  assert_int_equal(state_of(s, 2), CELL_FAILED);
  assert_int_equal(state_of(s, 10), CELL_BLOCKED);
  assert_int_equal(state_of(s, 21), CELL_BLOCKED);
  claim(s, 5, 0);
  store_cells l;
  GOOD(store_cells_in(s, &err0, id, CELL_FAILED, &l));
  assert_int_equal(l.n, 1);
  assert_string_equal(l.at[0].fail_class, "timeout");
  assert_string_equal(l.at[0].fail_msg, "it broke");
  assert_int_equal(l.at[0].attempts, 2);
  store_cells_free(&l);
  /* registering again does not hide the failure */
  register_small(s);
  assert_int_equal(state_of(s, 2), CELL_FAILED);
  assert_int_equal(state_of(s, 10), CELL_BLOCKED);

  GOOD(store_retry(s, &err0, id, NULL, &n));
  assert_int_equal(n, 1);
  assert_int_equal(state_of(s, 2), CELL_READY);
  assert_int_equal(state_of(s, 10), CELL_WAITING);
  /* a crash is tried once more, a diverged training never */
  assert_false(fail_with(s, claim(s, 6, 2), "nan_loss", 7));
  GOOD(store_retry(s, &err0, id, "io,lost,unanswered", &n));
  assert_int_equal(n, 0);
  GOOD(store_retry(s, &err0, id, "io,nan_loss", &n));
  assert_int_equal(n, 1);
  /* preempted and cancelled do not count */
  for (int i = 0; i < 5; i++) assert_true(fail_with(s, claim(s, 9, 2), "preempted", 9));
  GOOD(store_cancel(s, &err0, claim(s, 10, 2), 11));
  assert_int_equal(sql_int(s, "SELECT tries FROM cell WHERE state='ready'"), 0);
  /* backoff */
  int retry;
  store_failure f = {"io", NULL, -1, 9, {-1, -1, -1, -1}, 100, 50};
  GOOD(store_fail(s, &err0, claim(s, 12, 2), &f, &retry));
  assert_true(retry);
  claim(s, 149, 0);
  finish(s, claim(s, 150, 2), 160);
  /* a failed sample blocks both scores (each needs both) */
  assert_false(fail_with(s, claim(s, 200, 10), "internal", 201));
  finish(s, claim(s, 202, 11), 203);
  assert_int_equal(state_of(s, 20), CELL_BLOCKED);
  assert_int_equal(state_of(s, 21), CELL_BLOCKED);
  GOOD(store_retry(s, &err0, id, NULL, &n));
  finish(s, claim(s, 204, 10), 205);
  assert_int_equal(state_of(s, 20), CELL_READY);
  int64_t a = claim(s, 206, 20);
  f.fail_class = "bad luck";
  BAD(store_fail(s, &err0, a, &f, &retry), E_STORE, "CHECK");
  finish(s, a, 207);
  store_facts again;
  GOOD(store_retried_list(s, &err0, id, &again));
  assert_int_equal(again.n, 1);
  assert_string_equal(again.at[0].name, key(20));
  assert_string_equal(again.at[0].text, "ours");
  store_facts_free(&again);

  /* a damaged result is made again; what waits for it waits */
  char ten_key[STORE_KEY];
  const char *ten = ten_key;
  snprintf(ten_key, sizeof ten_key, "%s", key(10));
  GOOD(store_edit_cells(s, &err0, STORE_RESET, &ten, 1, &n));
  assert_int_equal(n, 1);
  assert_int_equal(state_of(s, 10), CELL_READY);
  assert_int_equal(state_of(s, 21), CELL_WAITING);
  assert_int_equal(state_of(s, 20), CELL_DONE);
  GOOD(store_edit_cells(s, &err0, STORE_RESET, &ten, 1, &n));
  assert_int_equal(n, 0); /* it is not done */
  store_close(s);
}

static int count_line(void *user, err *e, const char *line) {
  (void)e, (void)line;
  ++*(int *)user;
  return OK;
}

/* What a user does to cells: skip, take back, remove. */
static void test_edits(void **state) {
  (void)state;
  store *s = create();
  int64_t id = register_small(s), n;
  char sample[STORE_KEY], other[STORE_KEY], train[STORE_KEY];
  snprintf(train, sizeof train, "%s", key(2));
  snprintf(sample, sizeof sample, "%s", key(10));
  snprintf(other, sizeof other, "%s", key(11));
  const char *const one[] = {train}, *const two[] = {sample, other};
  (void)id;

  /* a running cell that is skipped loses its lease, blocks what is below, and stays so when registered again */
  finish(s, claim(s, 1, 1), 2);
  int64_t a = claim(s, 3, 2);
  GOOD(store_edit_cells(s, &err0, STORE_SKIP, one, 1, &n));
  assert_int_equal(n, 1);
  assert_int_equal(state_of(s, 2), CELL_SKIPPED);
  assert_int_equal(state_of(s, 10), CELL_BLOCKED);
  int ours, retry;
  GOOD(store_heartbeat(s, &err0, a, 4, 1000, &ours));
  assert_false(ours);
  store_failure f = {"io", "late", -1, -1, {-1, -1, -1, -1}, 5, 0};
  BAD(store_fail(s, &err0, a, &f, &retry), E_STORE, "already ended (cancelled)");
  register_small(s);
  assert_int_equal(state_of(s, 2), CELL_SKIPPED);
  GOOD(store_retry(s, &err0, 0, NULL, &n));
  assert_int_equal(n, 0); /* what a user skipped is not a failure */
  GOOD(store_edit_cells(s, &err0, STORE_RETRY, one, 1, &n));
  assert_int_equal(n, 1);
  assert_int_equal(state_of(s, 2), CELL_READY);
  assert_int_equal(state_of(s, 10), CELL_WAITING);

  /* what others are made from cannot go alone */
  finish(s, claim(s, 6, 2), 7);
  BAD(store_edit_cells(s, &err0, STORE_REMOVE, one, 1, &n), E_ARG, "choose them too");
  assert_int_equal(state_of(s, 2), CELL_DONE);
  BAD(store_edit_cells(s, &err0, STORE_REMOVE, two, 2, &n), E_ARG, "choose them too");
  int findings = 0;
  GOOD(store_integrity(s, &err0, count_line, &findings));
  assert_int_equal(findings, 0);
  store_cells all;
  GOOD(store_cells_in(s, &err0, 0, CELL_STATES, &all));
  const char *keys[64];
  assert_true(all.n > 4 && all.n < 64);
  for (int64_t i = 0; i < all.n; i++) keys[i] = all.at[i].key;
  GOOD(store_edit_cells(s, &err0, STORE_REMOVE, keys, all.n, &n));
  assert_int_equal(n, all.n);
  store_cells_free(&all);
  assert_int_equal(sql_int(s, "SELECT (SELECT count(*) FROM cell) + (SELECT count(*) FROM attempt)"
                              " + (SELECT count(*) FROM artifact) + (SELECT count(*) FROM study_cell)"),
                   0);
  GOOD(store_integrity(s, &err0, count_line, &findings));
  assert_int_equal(findings, 0);
  store_close(s);
}

/* References that SQLite would have refused, as after a damaged file or a foreign hand. */
static void test_damage_is_found(void **state) {
  (void)state;
  store *s = create();
  int findings = 0;
  register_small(s);
  finish(s, claim(s, 1, 1), 2);
  GOOD(store_integrity(s, &err0, count_line, &findings));
  assert_int_equal(findings, 0);
  store_close(s);
  sqlite3 *db;
  assert_int_equal(sqlite3_open(scratch_path(0, "st/store.db"), &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, "DELETE FROM attempt", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
  GOOD(store_open(&err0, scratch_path(0, "st"), STORE_READ, &s));
  GOOD(store_integrity(s, &err0, count_line, &findings));
  assert_true(findings >= 2);
  store_close(s);
}

static void test_leases(void **state) {
  (void)state;
  store *s = create();
  int64_t id = register_small(s), n;
  int ours;
  store_counts c;
  int64_t a = claim(s, 0, 1);
  GOOD(store_heartbeat(s, &err0, a, 900, 1000, &ours));
  assert_true(ours);
  claim(s, 1800, 0); /* renewed until 1900 */
  GOOD(store_status(s, &err0, id, 2500, &c));
  assert_int_equal(c.lost, 1);
  assert_int_equal(c.n[STAGE_PREPARE][CELL_RUNNING], 1);
  int64_t second = claim(s, 2500, 1); /* expired: the claim takes it over */
  assert_int_not_equal(second, a);
  GOOD(store_heartbeat(s, &err0, a, 2600, 1000, &ours));
  assert_false(ours);
  BAD(store_finish(s, &err0, a, &(store_result){.now_ms = 2600}), E_STORE, "already ended (lost)");
  assert_int_equal(sql_int(s, "SELECT count(*) FROM attempt WHERE state='lost' AND fail_msg LIKE '%test%'"), 1);
  store_facts f;
  GOOD(store_owner_list(s, &err0, &f));
  assert_int_equal(f.n, 1);
  assert_string_equal(f.at[0].name, "test");
  store_facts_free(&f);
  /* the owner is known to be dead: no waiting, and no fault of the cell's: however often, it costs no try */
  GOOD(store_reap(s, &err0, "somebody else", 2600, &n));
  assert_int_equal(n, 0);
  GOOD(store_reap(s, &err0, "test", 2600, &n));
  assert_int_equal(n, 1);
  assert_int_equal(state_of(s, 1), CELL_READY);
  assert_int_equal(sql_int(s, "SELECT tries FROM cell WHERE stage='prepare'"), 1);
  /* a second lease that merely expires is the last try */
  claim(s, 2700, 1);
  GOOD(store_reap(s, &err0, NULL, 999999, &n));
  assert_int_equal(n, 1);
  assert_int_equal(state_of(s, 1), CELL_FAILED);
  assert_int_equal(state_of(s, 20), CELL_BLOCKED);
  GOOD(store_retry(s, &err0, 0, NULL, &n));
  finish(s, claim(s, 1000000, 1), 1000001);
  store_close(s);
}

/* --- questions ------------------------------------------------------------------------------------------------- */

static void test_find_and_lineage(void **state) {
  (void)state;
  store *s = create();
  register_small(s);
  char prefix[STORE_KEY], up[STORE_KEY];
  store_cells l;
  snprintf(prefix, 7, "%s", key(20));
  GOOD(store_cell_find(s, &err0, prefix, &l));
  assert_string_equal(l.at[0].key, key(20));
  assert_string_equal(l.at[0].study, "demo");
  assert_string_equal(l.at[0].axes_json, "{\"sample_seed\":0}");
  assert_int_equal(l.at[0].sample_seed, 0);
  assert_null(l.at[0].lease_owner);
  store_cells_free(&l);
  BAD(store_cell_find(s, &err0, "abc", &l), E_ARG, "at least 4");
  BAD(store_cell_find(s, &err0, "XYZW", &l), E_ARG, "hex");
  BAD(store_cell_find(s, &err0, "0000000000", &l), E_STORE, "no cell");
  /* two keys that share their first digits */
  char k[2][STORE_KEY];
  int64_t other;
  snprintf(k[0], STORE_KEY, "%s", key(20));
  snprintf(k[1], STORE_KEY, "%.20s%044d", k[0], 5);
  store_cell c = {k[1], 1, STAGE_PREPARE, "{}", 5, 0, NULL, 0, "x", SEED_NONE, SEED_NONE, NULL, NULL};
  GOOD(store_register(s, &err0, &(store_study){"two", k[0], "{}", NULL, 0, &c, 1}, 5, &other));
  BAD(store_cell_find(s, &err0, prefix, &l), E_ARG, "several cells");

  GOOD(store_lineage(s, &err0, key(20), 0, &l));
  assert_int_equal(l.n, 5);
  assert_int_equal(l.at[0].depth, 0);
  assert_int_equal(l.at[1].depth, 1);
  assert_string_equal(l.at[1].role, "partner");
  snprintf(up, sizeof up, "%s", key(11));
  assert_string_equal(l.at[1].key, up);
  assert_string_equal(l.at[4].key, key(1));
  assert_int_equal(l.at[4].depth, 3);
  store_cells_free(&l);
  GOOD(store_lineage(s, &err0, key(2), 1, &l));
  assert_int_equal(l.n, 5);
  store_cells_free(&l);
  store_close(s);
}

typedef struct seen {
  int rows, columns;
  char text[64];
} seen;

static int row_seen(void *user, err *e, int n, const char *const *names, const store_value *v) {
  seen *s = user;
  s->columns = n;
  if (!v) return OK;
  snprintf(s->text, sizeof s->text, "%s=%s", names[n - 1], v[n - 1].type == SQL_TEXT ? v[n - 1].text : "?");
  return ++s->rows == 3 ? err_set(e, E_INTERRUPTED, "enough") : OK;
}

static void test_sql(void **state) {
  (void)state;
  store *s = create();
  register_small(s);
  for (int i = 0; i < 2; i++) {
    seen r = {0};
    GOOD(store_sql(s, &err0, "SELECT 1, text FROM prompt ORDER BY prompt_id; ", row_seen, &r));
    assert_int_equal(r.rows, 2);
    assert_string_equal(r.text, "text=a \"quoted\" / \xF0\x9F\x98\x80");
    GOOD(store_sql(s, &err0, "SELECT key, state FROM cell WHERE 0", row_seen, &r));
    assert_int_equal(r.columns, 2);
    r.rows = 0;
    BAD(store_sql(s, &err0, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n", row_seen,
                  &r),
        E_INTERRUPTED, "enough");
    static const char *const evil[] = {"DELETE FROM cell",
                                       "UPDATE cell SET state='done'",
                                       "DROP TABLE cell",
                                       "ATTACH '/tmp/x.db' AS x",
                                       "PRAGMA user_version=9",
                                       "PRAGMA writable_schema=1",
                                       "VACUUM",
                                       "VACUUM INTO '/tmp/tandem-evil.db'",
                                       "BEGIN",
                                       "CREATE TEMP TABLE t(a)",
                                       "SELECT load_extension('x')",
                                       "INSERT INTO prompt VALUES('a','b','c','d') RETURNING 1"};
    for (size_t k = 0; k < sizeof evil / sizeof evil[0]; k++)
      BAD(store_sql(s, &err0, evil[k], row_seen, &r), E_ARG, "only reading is allowed");
    BAD(store_sql(s, &err0, "SELECT nonsense FROM cell", row_seen, &r), E_ARG, "no such column");
    BAD(store_sql(s, &err0, "SELECT 1; DELETE FROM cell", row_seen, &r), E_ARG, "one statement");
    BAD(store_sql(s, &err0, " ", row_seen, &r), E_ARG, "empty");
    assert_int_equal(sql_int(s, "SELECT count(*) FROM cell"), 6);
    store_close(s);
    GOOD(store_open(&err0, scratch_path(0, "st"), i ? STORE_WRITE : STORE_READ, &s));
  }
  register_small(s); /* the authorizer is gone again */
  store_close(s);
}

/* --- several processes, and accidents -------------------------------------------------------------------------- */

enum { MANY = 500, FEW = 60, WORKERS = 8 };

static void register_many(store *s, int n) {
  static store_cell c[MANY];
  static char k[MANY][STORE_KEY];
  for (int i = 0; i < n; i++) {
    snprintf(k[i], STORE_KEY, "%s", key(i + 1));
    c[i] = (store_cell){k[i], 1, STAGE_SAMPLE, "{}", i, 2, NULL, 0, "v", 0, i, NULL, NULL};
  }
  int64_t id;
  GOOD(store_register(s, &err0, &(store_study){"many", k[0], "{}", NULL, 0, c, n}, 5, &id));
}

/* Claims packs until nothing is ready; prints every key it finished into its own file. */
static int worker(void *user) {
  int me = *(int *)user;
  char name[32], owner[32];
  store *s = NULL;
  err e = {0};
  snprintf(name, sizeof name, "w%d", me);
  snprintf(owner, sizeof owner, "worker-%d", me);
  FILE *f = fopen(scratch_path(1, name), "w");
  if (!f || store_open(&e, scratch_path(0, "st"), STORE_WRITE, &s) != OK) return 1;
  for (;;) {
    store_jobs j;
    store_want w = {.owner = owner, .now_ms = 1, .lease_ms = 1000, .pack_role = "adapter", .max_cells = 1 + me % 3};
    if (store_claim(s, &e, &w, &j) != OK) return fprintf(stderr, "%s\n", e.text), 2;
    for (int64_t i = 0; i < j.n; i++) {
      store_result r = {.usage = {-1, -1, -1, -1}, .now_ms = 2};
      if (store_finish(s, &e, j.at[i].attempt_id, &r) != OK) return fprintf(stderr, "%s\n", e.text), 3;
      fprintf(f, "%s\n", j.at[i].key);
    }
    int64_t n = j.n;
    store_jobs_free(&j);
    if (n == 0) break;
  }
  fclose(f);
  store_close(s);
  return 0;
}

static void test_claimed_once(void **state) {
  (void)state;
  store *s = create();
  register_many(s, MANY);
  store_close(s);
  pid_t pid[WORKERS];
  for (int i = 0; i < WORKERS; i++) {
    pid[i] = fork();
    assert_true(pid[i] >= 0);
    if (pid[i] == 0) _exit(worker(&i));
  }
  for (int i = 0; i < WORKERS; i++) {
    int status = -1;
    waitpid(pid[i], &status, 0);
    assert_int_equal(status, 0);
  }
  int lines = 0;
  for (int i = 0; i < WORKERS; i++) {
    char name[32], line[128];
    snprintf(name, sizeof name, "w%d", i);
    FILE *f = fopen(scratch_path(1, name), "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) lines++;
    fclose(f);
  }
  GOOD(store_open(&err0, scratch_path(0, "st"), STORE_READ, &s));
  assert_int_equal(lines, MANY);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM cell WHERE state='done' AND tries=1"), MANY);
  assert_int_equal(sql_int(s, "SELECT count(DISTINCT key) FROM attempt"), MANY);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM attempt"), MANY);
  store_close(s);
}

static int killed_before_row(void *user) {
  (void)user;
  store *s = NULL;
  store_jobs j;
  store_want w = want(0);
  char sha[HASH_HEX];
  err e = {0};
  if (store_open(&e, scratch_path(0, "st"), STORE_WRITE, &s) != OK || store_claim(s, &e, &w, &j) != OK ||
      object_put(s, &e, "result", 6, sha) != OK)
    return 1;
  raise(SIGKILL);
  return 2;
}

static void test_killed_between_object_and_row(void **state) {
  (void)state;
  store *s = create();
  int64_t id = register_small(s);
  assert_int_equal(in_child(killed_before_row, NULL), -SIGKILL);
  char sha[HASH_HEX];
  store_counts c;
  GOOD(hash_bytes(&err0, "result", 6, sha));
  GOOD(object_verify(s, &err0, sha)); /* the object is there, but nothing counts it as a result */
  assert_int_equal(state_of(s, 1), CELL_RUNNING);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM artifact"), 0);
  GOOD(store_status(s, &err0, id, 5000, &c));
  assert_int_equal(c.lost, 1);
  int64_t a = claim(s, 5000, 1);
  GOOD(object_put(s, &err0, "result", 6, sha));
  store_artifact art = {"data", "latents", sha, 6, NULL};
  GOOD(store_finish(s, &err0, a, &(store_result){.artifacts = &art, .n_artifacts = 1, .now_ms = 5001}));
  assert_int_equal(state_of(s, 1), CELL_DONE);
  object_garbage g;
  GOOD(object_gc(s, &err0, -1000, 1, &g));
  assert_int_equal(g.files, 0);
  store_close(s);
}

/* Workers that put objects and finish cells, killed at random; afterwards every done cell has its object. */
static int mortal(void *user) {
  unsigned n = *(unsigned *)user;
  store *s = NULL;
  err e = {0};
  char owner[32], bytes[64], sha[HASH_HEX];
  snprintf(owner, sizeof owner, "mortal-%u", n);
  if (store_open(&e, scratch_path(0, "st"), STORE_WRITE, &s) != OK) return 1;
  for (;;) {
    store_jobs j;
    store_want w = {.owner = owner, .now_ms = (int64_t)n * 1000, .lease_ms = 500};
    if (store_claim(s, &e, &w, &j) != OK) return 2;
    if (!j.n) return 0;
    snprintf(bytes, sizeof bytes, "clip of %.20s", j.at[0].key);
    if (object_put(s, &e, bytes, strlen(bytes), sha) != OK) return 3;
    store_artifact a = {"clip", "clip", sha, (int64_t)strlen(bytes), NULL};
    store_result r = {.artifacts = &a, .n_artifacts = 1, .now_ms = w.now_ms + 1};
    if (store_finish(s, &e, j.at[0].attempt_id, &r) != OK) return 4;
    store_jobs_free(&j);
  }
}

static int verify_row(void *user, err *e, int n, const char *const *names, const store_value *v) {
  (void)n;
  (void)names;
  return v ? object_verify(user, e, v[0].text) : OK;
}

static void test_killed_anywhere(void **state) {
  (void)state;
  store *s = create();
  register_many(s, FEW);
  int64_t done = 0, before = -1;
  for (unsigned round = 0; round < 12; round++) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(mortal(&round));
    usleep(5000 + 7919 * (round * round % 17));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    done = sql_int(s, "SELECT count(*) FROM cell WHERE state='done'");
    assert_true(done >= before);
    before = done;
    assert_int_equal(sql_int(s, "SELECT count(*) FROM cell WHERE state='done' AND NOT EXISTS(SELECT 1 FROM"
                                " attempt_artifact t WHERE t.attempt_id=done_attempt_id)"),
                     0);
  }
  GOOD(store_sql(s, &err0, "SELECT sha256 FROM artifact", verify_row, s));
  int64_t n;
  GOOD(store_reap(s, &err0, NULL, 90000, &n));
  GOOD(store_retry(s, &err0, 0, NULL, &n)); /* a cell may have been killed twice */
  unsigned last = 100;
  assert_int_equal(in_child(mortal, &last), 0);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM cell WHERE state='done'"), FEW);
  assert_int_equal(sql_int(s, "SELECT count(*) FROM artifact"), FEW);
  store_close(s);
}

/* In a mount namespace of its own, on a file system of 1 MiB. */
static int full_disk(void *user) {
  (void)user;
  const char *small = scratch_path(2, "small");
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mkdir(small, 0777) != 0 || mount("none", small, "tmpfs", 0, "size=1m") != 0)
    return 77;
  store *s = NULL;
  err e = {0};
  char folder[256], sha[HASH_HEX];
  static char ballast[200000];
  snprintf(folder, sizeof folder, "%s/st", small);
  if (store_open(&e, folder, STORE_CREATE, &s) != OK) return 1;
  store_cell c = {key(1), 1, STAGE_PREPARE, "{}", 5, 0, NULL, 0, "x", SEED_NONE, SEED_NONE, NULL, NULL};
  int64_t id;
  if (store_register(s, &e, &(store_study){"one", "", "{}", NULL, 0, &c, 1}, 5, &id) != OK) return 2;
  int puts = 0, rc = OK;
  while (rc == OK && puts < 20) {
    memset(ballast, ++puts, sizeof ballast);
    rc = object_put(s, &e, ballast, sizeof ballast, sha);
  }
  if (rc != E_STORE || !strstr(e.text, "free some space")) return 3;
  object_garbage g;
  if (object_gc(s, &e, -1000, 0, &g) != OK || g.files != puts - 1) return 4; /* nothing half written, no temp file */
  for (size_t n = 65536; n > 0; n /= 2)                                      /* the rest of the disk */
    while (memset(ballast, ++puts, n), e = (err){0}, object_put(s, &e, ballast, n, sha) == OK) {
    }
  static char spec[400000];
  memset(spec, 'x', sizeof spec - 1);
  memcpy(spec, "{\"", 2);
  memcpy(spec + sizeof spec - 6, "\":1}", 5);
  e = (err){0};
  if (store_register(s, &e, &(store_study){"two", "", spec, NULL, 0, &c, 1}, 5, &id) != E_STORE) return 5;
  if (!strstr(e.text, "the disk is full")) return 6;
  e = (err){0};
  if (object_gc(s, &e, -1000, 1, &g) != OK) return 7;
  if (store_register(s, &e, &(store_study){"two", "", "{}", NULL, 0, &c, 1}, 5, &id) != OK) return 8;
  store_studies l;
  if (store_study_list(s, &e, NULL, &l) != OK || l.n != 2) return 9;
  store_studies_free(&l);
  store_close(s);
  return 0;
}

static void test_full_disk(void **state) {
  (void)state;
  int rc = in_child(full_disk, NULL);
  if (rc == 77) skip(); /* may not mount here */
  assert_int_equal(rc, 0);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(test_identity),
      T(test_newer_schema),
      T(test_damaged),
      T(test_locked),
      T(test_read_only),
      T(test_fifty_openers),
      T(test_file_systems),
      T(test_objects),
      T(test_garbage),
      T(test_register),
      T(test_metric_meaning),
      T(test_life),
      T(test_values),
      T(test_failures),
      T(test_scorers),
      T(test_sets),
      T(test_leases),
      T(test_find_and_lineage),
      T(test_sql),
      T(test_claimed_once),
      T(test_killed_between_object_and_row),
      T(test_killed_anywhere),
      T(test_full_disk),
      T(test_edits),
      T(test_damage_is_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
