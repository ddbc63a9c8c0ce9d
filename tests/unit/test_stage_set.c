/* The stage that compares sets: the same numbers as the scores computed directly, on clips in files and on the data;
 * identical sets, sets of one distribution and of two; clips without features and clips that cannot be read. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "media/video.h"
#include "media/world.h"
#include "metrics/set.h"
#include "run/stage.h"
#include "scratch.h"
#include "study/set_cell.h"

enum { CLIPS = 12, DATA = 14 };

static void need(int rc, const err *e) {
  if (rc != OK) fail_msg("%s", e->text);
}

typedef struct input_set {
  char side;
  uint64_t seed;
  int64_t n;
  int bare;  /* of them, the first so many have no alpha */
  int wrong; /* the alpha of every clip is the next one's */
} input_set;

static void file_name(const input_set *s, int64_t i, char out[32]) {
  snprintf(out, 32, "%c%d%llu-%lld%s.mkv", s->side, s->wrong, (unsigned long long)s->seed, (long long)i,
           i < s->bare ? "b" : "");
}

static void render(uint64_t seed, int64_t i, clip *out) {
  err e = {0};
  world_dist dist;
  need(world_dist_find(&e, "broad", &dist), &e);
  world_attributes a = world_attrs(seed, i, &dist);
  need(world_render(&e, &a, out), &e);
}

/* Clip i of the world "broad" as it comes back from its file. */
static void make_clip(const input_set *s, int64_t i, clip *out) {
  err e = {0};
  char name[32];
  clip c = {0}, next = {0};
  render(s->seed, i, &c);
  if (s->wrong) {
    render(s->seed, i + 1, &next);
    memcpy(c.alpha, next.alpha, (size_t)c.frames * (size_t)c.height * (size_t)c.width * sizeof *c.alpha);
    clip_free(&next);
  }
  if (i < s->bare) free(c.alpha), c.alpha = NULL;
  file_name(s, i, name);
  need(video_write(&e, scratch_path(0, name), &c, NULL), &e);
  clip_free(&c);
  need(video_read(&e, scratch_path(0, name), NULL, out), &e);
}

/* Features of the same clips by hand. */
static void by_hand(const set_request *r, const input_set *s, double **store, set_matrix *m) {
  err e = {0};
  set_rows rows[32] = {{0}};
  for (int64_t i = 0; i < s->n; i++) {
    clip c = {0};
    make_clip(s, i, &c);
    need(set_features(&e, r, &c, 1, &rows[i]), &e);
    clip_free(&c);
  }
  need(set_stack(&e, rows, s->n, store, m), &e);
  for (int64_t i = 0; i < s->n; i++) set_rows_free(&rows[i]);
}

static int progress_calls;

static void on_progress(void *user, int64_t done, int64_t total, double value) {
  (void)user, (void)value;
  progress_calls++;
  assert_true(done <= total);
}

static int stop_now(void *user) {
  return *(const int *)user;
}

typedef struct outcome {
  int rc;
  err e;
  int64_t n;
  stage_measure m[1 + FACT_COUNT];
} outcome;

/* Runs the stage on x and y, or on x and the data when y is NULL. */
static outcome run(const char *id, const input_set *x, const input_set *y, int threads, int stop) {
  static stage_file in[64];
  outcome o = {0};
  char spec[512], name[32];
  int n = 0;
  json *j = NULL, *hints = NULL;
  for (int k = 0; k < 2; k++) {
    const input_set *s = k ? y : x;
    for (int64_t i = 0; s && i < s->n; i++, n++) {
      static char role[64][SET_ROLE];
      set_cell_role(k ? 'y' : 'x', i, role[n]);
      in[n] = (stage_file){.role = role[n]};
      file_name(s, i, name);
      snprintf(in[n].path, sizeof in[n].path, "%s", scratch_path(0, name));
    }
  }
  snprintf(spec, sizeof spec,
           "{\"set\": {\"id\": \"%s\", \"version\": 1, \"features\": 1}, \"data\": {\"kind\": \"world\", \"set\":"
           " \"broad\", \"seed\": 2, \"clips\": %d, \"frames\": 8, \"size\": [48, 48], \"fps\": 8}}",
           id, DATA);
  need(json_parse(&o.e, "spec", spec, strlen(spec), &j), &o.e);
  need(json_parse(&o.e, "hints", "{}", 2, &hints), &o.e);
  stage_cell c = {.spec = j, .hints = hints, .inputs = in, .n_inputs = n};
  stage_env env = {.threads = threads, .checkpoint = "", .progress = on_progress, .stop = stop_now, .user = &stop};
  o.rc = stage_run(&o.e, STAGE_SCORE, &c, 1, &env);
  o.n = c.n_measures;
  if (o.n) memcpy(o.m, c.measures, (size_t)o.n * sizeof *o.m);
  stage_cell_clear(&c);
  json_free(j);
  json_free(hints);
  return o;
}

static double fact(const outcome *o, const char *id, set_fact_id f) {
  char name[300];
  snprintf(name, sizeof name, "%s#%s", id, set_facts()[f].name);
  assert_true(o->n > 1 + (int64_t)f);
  assert_string_equal(o->m[1 + f].metric, name);
  assert_true(o->m[1 + f].of_set);
  return o->m[1 + f].value;
}

/* The stage says with three threads what set_score says with one, bit by bit. */
static outcome compared(const char *id, const input_set *x, const input_set *y) {
  err e = {0};
  set_request r;
  set_matrix m[2];
  set_result want;
  double *store[2];
  input_set data = {.side = 'd', .seed = 2, .n = DATA};
  need(set_parse(&e, id, &r), &e);
  by_hand(&r, x, &store[0], &m[0]);
  by_hand(&r, y ? y : &data, &store[1], &m[1]);
  need(set_score(&e, &r, &m[0], &m[1], 1, &want), &e);
  progress_calls = 0;
  outcome o = run(id, x, y, 3, 0);
  need(o.rc, &o.e);
  assert_true(progress_calls > 0);
  assert_string_equal(o.m[0].metric, id);
  assert_int_equal(o.m[0].version, 1);
  assert_int_equal(o.m[0].support, want.n_x);
  assert_true(o.m[0].value == want.value);
  assert_true((o.m[0].reason == NULL) == (want.reason == NULL));
  assert_true(fact(&o, id, FACT_N_AGAINST) == (double)want.n_y);
  assert_true(fact(&o, id, FACT_UNDEFINED) == (double)want.undefined_x);
  assert_true(fact(&o, id, FACT_UNDEFINED_AGAINST) == (double)want.undefined_y);
  if (want.reason) {
    assert_string_equal(o.m[0].reason, want.reason);
    assert_int_equal(o.n, 1 + FACT_P); /* no null, no numbers for one */
  } else {
    const double null[] = {want.p,       want.null_mean, want.null_sd,
                           want.null_lo, want.null_hi,   (double)want.permutations};
    assert_true(want.permutations > 0 && want.null_hi > want.null_lo);
    for (int i = 0; i < 6; i++) assert_true(fact(&o, id, (set_fact_id)(FACT_P + i)) == null[i]);
  }
  free(store[0]);
  free(store[1]);
  return o;
}

#define ENERGY "rgba_stats_energy"

static void same_clips_are_alike(void **state) {
  (void)state;
  input_set x = {.side = 'x', .seed = 5, .n = CLIPS}, y = {.side = 'y', .seed = 5, .n = CLIPS};
  outcome o = compared(ENERGY, &x, &y);
  assert_true(o.m[0].value <= 0);
  assert_true(fact(&o, ENERGY, FACT_P) >= 0.99);
  o = compared("hof_energy:alpha=0", &x, &y);
  assert_true(o.m[0].value <= 0);
  assert_true(fact(&o, "hof_energy:alpha=0", FACT_P) >= 0.99);
}

/* p is uniform then: of a few draws hardly any is small. */
static void one_distribution_is_within_its_null(void **state) {
  int small = 0, within = 0;
  double last = 0;
  (void)state;
  for (uint64_t seed = 30; seed < 34; seed++) {
    input_set x = {.side = 'x', .seed = seed, .n = CLIPS};
    outcome o = compared(ENERGY, &x, NULL);
    assert_int_equal(o.m[0].support, CLIPS);
    assert_true(fact(&o, ENERGY, FACT_N_AGAINST) == DATA);
    within += o.m[0].value <= fact(&o, ENERGY, FACT_NULL_HI) && o.m[0].value >= fact(&o, ENERGY, FACT_NULL_LO);
    small += fact(&o, ENERGY, FACT_P) <= 0.05;
    assert_true(o.m[0].value != last);
    last = o.m[0].value;
  }
  assert_true(small <= 1 && within >= 3);
}

static void another_distribution_is_above_it(void **state) {
  (void)state;
  input_set x = {.side = 'x', .seed = 30, .n = CLIPS, .wrong = 1}, y = {.side = 'y', .seed = 31, .n = CLIPS};
  outcome o = compared(ENERGY, &x, NULL);
  assert_true(o.m[0].value > fact(&o, ENERGY, FACT_NULL_HI));
  assert_true(fact(&o, ENERGY, FACT_P) <= 0.01);
  o = compared(ENERGY, &x, &y);
  assert_true(o.m[0].value > fact(&o, ENERGY, FACT_NULL_HI));
  outcome flat = compared("hof_energy:alpha=0", &x, &y); /* the pictures are right */
  assert_true(fact(&flat, "hof_energy:alpha=0", FACT_P) > 0.05);
}

/* A clip without features is counted, not forgotten; too few of them leave no score. */
static void clips_without_features_are_counted(void **state) {
  (void)state;
  input_set x = {.side = 'x', .seed = 5, .n = CLIPS, .bare = 3};
  outcome o = compared(ENERGY, &x, NULL);
  assert_null(o.m[0].reason);
  assert_int_equal(o.m[0].support, CLIPS - 3);
  assert_true(fact(&o, ENERGY, FACT_UNDEFINED) == 3);
  x.bare = CLIPS;
  o = compared(ENERGY, &x, NULL);
  assert_string_equal(o.m[0].reason, METRIC_TOO_FEW_CLIPS);
  assert_true(fact(&o, ENERGY, FACT_UNDEFINED) == CLIPS);
  o = compared("hof_energy:alpha=0", &x, NULL); /* the picture is there */
  assert_null(o.m[0].reason);
  assert_int_equal(o.m[0].support, CLIPS);
}

static void a_damaged_clip_fails_the_cell(void **state) {
  (void)state;
  input_set x = {.side = 'z', .seed = 5, .n = 4};
  char name[32];
  clip c = {0};
  for (int64_t i = 0; i < 3; i++) {
    make_clip(&x, i, &c);
    clip_free(&c);
  }
  file_name(&x, 3, name);
  scratch_write(name, "no video at all");
  outcome o = run(ENERGY, &x, NULL, 2, 0);
  assert_int_equal(o.rc, E_FORMAT);
  assert_non_null(strstr(o.e.text, name));
  assert_int_equal(o.n, 0);
}

static void it_can_be_stopped(void **state) {
  (void)state;
  input_set x = {.side = 'x', .seed = 5, .n = CLIPS};
  outcome o = run(ENERGY, &x, NULL, 2, 1);
  assert_int_equal(o.rc, E_INTERRUPTED);
  assert_int_equal(o.n, 0);
}

static void another_version_is_refused(void **state) {
  err e = {0};
  json *j = NULL;
  static const char *const spec[] = {"{\"set\": {\"id\": \"swd\", \"version\": 7, \"features\": 1}}",
                                     "{\"set\": {\"id\": \"swd\", \"version\": 1, \"features\": 7}}"};
  (void)state;
  for (int i = 0; i < 2; i++) {
    stage_file in = {.role = SET_FIRST};
    int stop = 0;
    need(json_parse(&e, "spec", spec[i], strlen(spec[i]), &j), &e);
    stage_cell c = {.spec = j, .inputs = &in, .n_inputs = 1};
    stage_env env = {.threads = 1, .checkpoint = "", .stop = stop_now, .user = &stop};
    assert_int_equal(stage_run(&e, STAGE_SCORE, &c, 1, &env), E_CONFIG);
    assert_non_null(strstr(e.text, "the plan asks for"));
    stage_cell_clear(&c);
    json_free(j);
    err_clear(&e);
  }
}

static void roles_and_hashes(void **state) {
  char role[SET_ROLE], a[HASH_HEX], b[HASH_HEX], key[2][HASH_HEX];
  err e = {0};
  (void)state;
  set_cell_role('x', 0, role);
  assert_string_equal(role, SET_FIRST);
  set_cell_role('y', 0, role);
  assert_string_equal(role, SET_FIRST_Y);
  assert_int_equal(set_cell_side("y/0000001"), 'y');
  assert_int_equal(set_cell_side("x"), 0);
  assert_int_equal(set_cell_side("sample"), 0);
  for (int i = 0; i < 2; i++) snprintf(key[i], HASH_HEX, "%064d", i);
  need(set_cell_hash(&e, key, 2, a), &e);
  need(set_cell_hash(&e, key, 1, b), &e);
  assert_string_not_equal(a, b);
  need(hash_bytes(&e, "0000000000000000000000000000000000000000000000000000000000000000\n", 65, a), &e);
  assert_string_equal(a, b);
  int n = 0;
  for (const set_fact *f = set_facts(); f->name; f++) n += f->help != NULL;
  assert_int_equal(n, FACT_COUNT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(same_clips_are_alike),
      cmocka_unit_test(one_distribution_is_within_its_null),
      cmocka_unit_test(another_distribution_is_above_it),
      cmocka_unit_test(clips_without_features_are_counted),
      cmocka_unit_test(a_damaged_clip_fails_the_cell),
      cmocka_unit_test(it_can_be_stopped),
      cmocka_unit_test(another_version_is_refused),
      cmocka_unit_test(roles_and_hashes),
  };
  return cmocka_run_group_tests_name("stage_set", tests, scratch_setup, scratch_teardown);
}
