/* Scorers that break the protocol in every way we know (tests/support/fake_scorer.sh): each leaves its reason, the
 * next clip is answered, and no process stays behind. Then cards, requests and their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "page.h"
#include "run/child.h"
#include "run/scorer.h"
#include "scratch.h"

/* --- a scorer under test ---------------------------------------------------------------------------------------- */

typedef struct rig {
  char program[1024];
  const char *argv[5];
  scorer_options o;
  scorer_card card;
  scorer *s;
  text log;
  int stop_after, looks;
} rig;

static void on_log(void *user, const char *data, size_t n) {
  rig *r = user;
  text_addn(&r->log, data, n);
}

static int on_stop(void *user) {
  rig *r = user;
  return r->stop_after && ++r->looks > r->stop_after;
}

/* Not moved afterwards: the options point into it. */
static void rig_open(rig *r, const char *mode, const char *more) {
  err e = {0};
  *r = (rig){0};
  snprintf(r->program, sizeof r->program, "%s/tests/support/fake_scorer.sh", getenv("TANDEM_SOURCE"));
  r->argv[0] = r->program;
  r->argv[1] = mode;
  r->argv[2] = more;
  r->o = scorer_defaults(r->argv, NULL);
  r->o.grace_s = 0.2;
  r->o.log = on_log;
  r->o.stop = on_stop;
  r->o.user = r;
  if (scorer_describe(&e, &r->o, &r->card) != OK) fail_msg("%s", e.text);
  assert_int_equal(scorer_open(&e, &r->o, &r->card, &r->s), OK);
}

static void rig_close(rig *r) {
  scorer_close(r->s);
  text_free(&r->log);
}

static int rig_ask(rig *r, const char *seed, scorer_value out[2]) {
  err e = {0};
  scorer_question q = {.clip = "/tmp/clip.mkv",
                       .rgba8 = "/dev/null",
                       .has_alpha = 1,
                       .frames = 1,
                       .height = 3,
                       .width = 5,
                       .prompt = "a \"b\"\n\xc3\xa9",
                       .sample_seed = seed};
  for (int i = 0; i < 2; i++) out[i] = (scorer_value){.value = NAN, .reason = "unset", .support = -1};
  return scorer_ask(r->s, &e, &q, out);
}

static void assert_good(const scorer_value v[2]) {
  assert_string_equal(v[0].reason, "");
  assert_true(v[0].value == 0.25 && v[0].support == 1);
  assert_string_equal(v[1].reason, "");
  assert_true(v[1].value == 3 && v[1].support == 7);
}

static void assert_reason(const rig *r, const scorer_value *v, const char *reason) {
  if (strcmp(v->reason, reason) != 0)
    fail_msg("mode %s: reason '%s', wanted '%s'; log: %s", r->argv[1], v->reason, reason, r->log.p ? r->log.p : "");
  if (reason[0]) assert_true(v->value == 0);
}

/* --- what a scorer can do wrong --------------------------------------------------------------------------------- */

typedef struct misdeed {
  const char *mode, *ink, *edge; /* reasons of the clip of seed 0; "": the value is there */
  int brief;                     /* needs a time limit that is meant to run out */
} misdeed;

static const misdeed misdeeds[] = {
    {"hang", SCORER_TIMEOUT, SCORER_TIMEOUT, 1},
    {"late", SCORER_TIMEOUT, SCORER_TIMEOUT, 1},
    {"stubborn", SCORER_TIMEOUT, SCORER_TIMEOUT, 1},
    {"die", SCORER_DIED, SCORER_DIED, 0},
    {"die-middle", SCORER_DIED, SCORER_DIED, 0},
    {"die-torn", SCORER_DIED, SCORER_DIED, 0},
    {"kill", SCORER_DIED, SCORER_DIED, 0},
    {"leave", SCORER_DIED, SCORER_DIED, 0},
    {"mute", SCORER_DIED, SCORER_DIED, 0},
    {"garbage", SCORER_GARBAGE, SCORER_GARBAGE, 0},
    {"array", SCORER_GARBAGE, SCORER_GARBAGE, 0},
    {"zero", SCORER_GARBAGE, SCORER_GARBAGE, 0},
    {"utf8", SCORER_GARBAGE, SCORER_GARBAGE, 0},
    {"deep", SCORER_GARBAGE, SCORER_GARBAGE, 0},
    {"unknown", SCORER_GARBAGE, SCORER_GARBAGE, 0},
    {"wrong-id", SCORER_GARBAGE, SCORER_GARBAGE, 0},
    {"no-id", SCORER_GARBAGE, SCORER_GARBAGE, 0},
    {"word", SCORER_GARBAGE, SCORER_GARBAGE, 0},
    {"bare-null", SCORER_GARBAGE, SCORER_GARBAGE, 0},
    {"both", SCORER_GARBAGE, SCORER_GARBAGE, 0},
    {"stolen-reason", SCORER_GARBAGE, SCORER_GARBAGE, 0},
    {"flood", SCORER_FLOOD, SCORER_FLOOD, 0},
    {"flood-line", SCORER_FLOOD, SCORER_FLOOD, 0},
    {"flood-blank", SCORER_FLOOD, SCORER_FLOOD, 0},
    {"nan", SCORER_NOT_FINITE, SCORER_NOT_FINITE, 0},
    {"overflow", SCORER_NOT_FINITE, SCORER_NOT_FINITE, 0},
    {"range", SCORER_RANGE, "", 0},
    {"twice", SCORER_DUPLICATE, "", 0},
    {"missing", SCORER_MISSING, "", 0},
    {"empty", SCORER_MISSING, SCORER_MISSING, 0},
    {"reason", "too_dark", "", 0},
};

static void every_misdeed_leaves_its_reason(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof misdeeds / sizeof misdeeds[0]; i++) {
    const misdeed *m = &misdeeds[i];
    rig r;
    scorer_value v[2];
    rig_open(&r, m->mode, NULL);
    if (m->brief) r.o.timeout_s = 0.2, r.o.start_s = 0.2;
    assert_int_equal(rig_ask(&r, "0", v), OK);
    assert_reason(&r, &v[0], m->ink);
    assert_reason(&r, &v[1], m->edge);
    r.o.timeout_s = r.o.start_s = 60;
    assert_int_equal(rig_ask(&r, "1", v), OK);
    assert_good(v);
    if (strncmp(m->ink, "scorer_", 7) == 0) assert_non_null(strstr(r.log.p ? r.log.p : "", m->ink));
    rig_close(&r);
  }
}

/* Nothing is wrong with these. */
static void odd_but_sound_answers_count(void **state) {
  static const char *const modes[] = {"good", "extra", "noisy", "keep", "once", "answer-twice"};
  (void)state;
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    rig r;
    scorer_value v[2];
    rig_open(&r, modes[i], NULL);
    for (int k = 0; k < 4; k++) {
      assert_int_equal(rig_ask(&r, k % 2 ? "1" : "0", v), OK);
      if (v[0].reason[0]) fail_msg("mode %s, clip %d: %s\n%s", modes[i], k, v[0].reason, r.log.p ? r.log.p : "");
      assert_good(v);
    }
    rig_close(&r);
  }
}

static void input_closed_late_is_a_timeout(void **state) {
  (void)state;
  rig r;
  scorer_value v[2];
  rig_open(&r, "deaf", NULL);
  r.o.timeout_s = r.o.start_s = 0.2; /* it closed its input after the request came, so nothing tells us */
  assert_int_equal(rig_ask(&r, "0", v), OK);
  assert_reason(&r, &v[0], SCORER_TIMEOUT);
  r.o.timeout_s = r.o.start_s = 60;
  assert_int_equal(rig_ask(&r, "1", v), OK);
  assert_good(v);
  rig_close(&r);
}

/* Half a line after an end marker can run into the next answer: that clip may be lost, the one after it is not. */
static void a_torn_line_costs_at_most_one_clip(void **state) {
  (void)state;
  rig r;
  scorer_value v[2];
  rig_open(&r, "torn", NULL);
  assert_int_equal(rig_ask(&r, "0", v), OK);
  assert_good(v);
  assert_int_equal(rig_ask(&r, "1", v), OK);
  if (v[0].reason[0])
    assert_reason(&r, &v[0], SCORER_GARBAGE);
  else
    assert_good(v);
  assert_int_equal(rig_ask(&r, "1", v), OK);
  assert_good(v);
  rig_close(&r);
}

static void standard_error_is_kept_up_to_a_limit(void **state) {
  (void)state;
  rig r;
  scorer_value v[2];
  rig_open(&r, "noisy", NULL);
  assert_int_equal(rig_ask(&r, "0", v), OK);
  assert_good(v);
  scorer_close(r.s); /* what was still under way is read, or dropped, by now */
  r.s = NULL;
  int64_t kept = 0;
  for (size_t i = 0; i < r.log.n; i++) kept += r.log.p[i] == 'e';
  assert_true(kept > 1000);
  assert_true(r.log.n < SCORER_LOG_BYTES + 1000);
  rig_close(&r);
}

static void one_process_answers_many_clips(void **state) {
  (void)state;
  rig r;
  scorer_value v[2];
  char trace[1200];
  long first = 0, pid = 0, other;
  snprintf(trace, sizeof trace, "trace=%s", scratch_path(0, "pids"));
  rig_open(&r, "keep", trace);
  for (int k = 0; k < 3; k++) {
    assert_int_equal(rig_ask(&r, "0", v), OK);
    assert_good(v);
    FILE *f = fopen(scratch_path(0, "pids"), "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &pid, &other), 2);
    fclose(f);
    if (k == 0) first = pid;
    assert_true(pid > 1 && pid == first);
  }
  rig_close(&r);
}

static void failures_in_a_row_are_given_up(void **state) {
  (void)state;
  rig r;
  scorer_value v[2];
  rig_open(&r, "start-die", NULL);
  for (int k = 0; k < 3; k++) {
    assert_int_equal(rig_ask(&r, "1", v), OK);
    assert_reason(&r, &v[0], SCORER_DIED);
  }
  assert_int_equal(rig_ask(&r, "1", v), OK);
  assert_reason(&r, &v[0], SCORER_GIVEN_UP);
  assert_reason(&r, &v[1], SCORER_GIVEN_UP);
  rig_close(&r);
  rig_open(&r, "die", NULL); /* not in a row: never given up */
  for (int k = 0; k < 10; k++) {
    assert_int_equal(rig_ask(&r, k % 2 ? "1" : "0", v), OK);
    assert_reason(&r, &v[0], k % 2 ? "" : SCORER_DIED);
  }
  rig_close(&r);
}

static void start_up_has_its_own_failures(void **state) {
  static const misdeed starts[] = {{"start-die", SCORER_DIED, SCORER_DIED, 0},
                                   {"start-hang", SCORER_TIMEOUT, SCORER_TIMEOUT, 1},
                                   {"start-talk", SCORER_GARBAGE, SCORER_GARBAGE, 0}};
  (void)state;
  for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
    rig r;
    scorer_value v[2];
    rig_open(&r, starts[i].mode, NULL);
    if (starts[i].brief) r.o.timeout_s = 0.2, r.o.start_s = 0.2;
    assert_int_equal(rig_ask(&r, "1", v), OK);
    assert_reason(&r, &v[0], starts[i].ink);
    assert_reason(&r, &v[1], starts[i].edge);
    rig_close(&r);
  }
  rig r;
  scorer_value v[2];
  rig_open(&r, "good", NULL);
  r.argv[0] = "/nowhere/at/all";
  assert_int_equal(rig_ask(&r, "1", v), OK);
  assert_reason(&r, &v[0], SCORER_START);
  assert_non_null(strstr(r.log.p, "No such file"));
  r.argv[0] = r.program;
  assert_int_equal(rig_ask(&r, "1", v), OK);
  assert_good(v);
  rig_close(&r);
}

/* A process that is gone, or one that only waits to be collected by somebody else. */
static int is_gone(long pid) {
  char path[64], line[512] = "";
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  FILE *f = fopen(path, "r");
  if (!f) return 1;
  int read = fgets(line, sizeof line, f) != NULL;
  fclose(f);
  const char *state = strrchr(line, ')');
  return !read || (state && state[1] && strchr("ZX", state[2]));
}

static void no_process_stays_behind(void **state) {
  static const char *const modes[] = {"leave", "keep"};
  (void)state;
  for (int i = 0; i < 2; i++) {
    rig r;
    scorer_value v[2];
    char trace[1200];
    long pid = 0, left = 0;
    snprintf(trace, sizeof trace, "trace=%s", scratch_path(0, "pids"));
    rig_open(&r, modes[i], trace);
    r.o.grace_s = 5;
    assert_int_equal(rig_ask(&r, "0", v), OK);
    FILE *f = fopen(scratch_path(0, "pids"), "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &pid, &left), 2);
    fclose(f);
    assert_true(pid > 1 && left > 1);
    rig_close(&r);
    for (int k = 0; k < 500 && !(is_gone(pid) && is_gone(left)); k++)
      nanosleep(&(struct timespec){0, 10000000L}, NULL);
    assert_true(is_gone(pid));
    assert_true(is_gone(left));
  }
}

static void a_stop_ends_the_wait(void **state) {
  (void)state;
  rig r;
  scorer_value v[2];
  rig_open(&r, "hang", NULL);
  r.stop_after = 3;
  assert_int_equal(rig_ask(&r, "0", v), E_INTERRUPTED);
  r.stop_after = 0;
  assert_int_equal(rig_ask(&r, "1", v), OK);
  assert_good(v);
  rig_close(&r);
}

static void alpha_measures_need_alpha(void **state) {
  (void)state;
  rig r;
  err e = {0};
  scorer_value v[2];
  rig_open(&r, "good", NULL);
  assert_int_equal(scorer_ask(r.s, &e, &(scorer_question){.clip = "/x", .frames = 1, .height = 1, .width = 1}, v),
                   OK);
  assert_true(v[0].value == 0.25);
  assert_string_equal(v[0].reason, "");
  assert_string_equal(v[1].reason, METRIC_NO_ALPHA);
  rig_close(&r);
}

/* --- requests --------------------------------------------------------------------------------------------------- */

/* The request as a program gets it, in one read; what it says then is garbage. */
static void a_request_is_one_json_line(void **state) {
  (void)state;
  rig r;
  err e = {0};
  scorer_value v[2];
  const char *const argv[] = {"sh", "-c", "dd bs=1000000 count=1 2>/dev/null >\"$0\"; echo x",
                              scratch_path(1, "request"), NULL};
  rig_open(&r, "good", NULL);
  scorer_options o = r.o;
  scorer *s;
  o.argv = argv;
  scorer_question q = {.clip = "/tmp/a b.mkv",
                       .base = "/base",
                       .colour = CLIP_DECODED,
                       .has_alpha = 1,
                       .frames = 2,
                       .height = 3,
                       .width = 5,
                       .fps = 12.5,
                       .prompt = "a \"b\"\n\xc3\xa9",
                       .train_seed = "12",
                       .sample_seed = "9223372036854775807"};
  assert_int_equal(scorer_open(&e, &o, &r.card, &s), OK);
  assert_int_equal(scorer_ask(s, &e, &q, v), OK);
  assert_string_equal(v[0].reason, SCORER_GARBAGE);
  scorer_close(s);
  char *data;
  size_t n;
  json *j;
  assert_int_equal(file_read(&e, scratch_path(1, "request"), 1 << 20, &data, &n), OK);
  assert_true(n > 0 && data[n - 1] == '\n' && strchr(data, '\n') == data + n - 1);
  assert_int_equal(json_parse(&e, "request", data, n, &j), OK);
  assert_string_equal(json_get(j, "clip")->str, q.clip);
  assert_string_equal(json_get(j, "prompt")->str, q.prompt);
  assert_string_equal(json_get(j, "colour")->str, "decoded");
  assert_string_equal(json_get(j, "base")->str, "/base");
  assert_string_equal(json_get(j, "sample_seed")->str, q.sample_seed);
  assert_true(json_get(j, "train_seed")->num == 12 && json_get(j, "protocol")->num == 1);
  assert_true(json_get(j, "frames")->num == 2 && json_get(j, "height")->num == 3 && json_get(j, "width")->num == 5);
  assert_true(json_get(j, "fps")->num == 12.5 && json_get(j, "alpha")->num == 1);
  assert_int_equal(json_get(j, "rgba8")->type, JSON_NULL);
  assert_int_equal(json_get(j, "reference")->type, JSON_NULL);
  json_free(j);
  free(data);
  rig_close(&r);
}

/* A request larger than a pipe, to a program that does not read: no write may block. */
static void a_long_request_does_not_block(void **state) {
  (void)state;
  rig r;
  err e = {0};
  scorer_value v[2];
  char *prompt = malloc(400001);
  assert_non_null(prompt);
  memset(prompt, 'p', 400000);
  prompt[400000] = 0;
  rig_open(&r, "start-hang", NULL);
  r.o.timeout_s = r.o.start_s = 0.2;
  scorer_question q = {.clip = "/x", .prompt = prompt, .has_alpha = 1, .frames = 1, .height = 1, .width = 1};
  assert_int_equal(scorer_ask(r.s, &e, &q, v), OK);
  assert_reason(&r, &v[0], SCORER_TIMEOUT);
  rig_close(&r);
  rig_open(&r, "good", NULL);
  assert_int_equal(scorer_ask(r.s, &e, &q, v), OK);
  assert_good(v);
  rig_close(&r);
  free(prompt);
}

static void a_reader_that_left_is_no_signal(void **state) {
  (void)state;
  err e = {0};
  child c;
  const char *const argv[] = {"sh", "-c", "exec <&-; echo closed; sleep 60", NULL};
  char data[64];
  assert_int_equal(child_start(&e, argv, NULL, 1, &c), OK);
  ssize_t n = 0;
  for (int k = 0; k < 6000 && n <= 0; k++) {
    n = child_read(&c.out, data, sizeof data);
    nanosleep(&(struct timespec){0, 10000000L}, NULL);
  }
  assert_int_equal(n, 7);
  assert_int_equal(child_write(&c, "x", 1), -1);
  assert_int_equal(child_ended(&c), 0);
  child_stop(&c, 0, 5);
  assert_int_equal(c.pid, 0);
}

/* --- cards ------------------------------------------------------------------------------------------------------ */

static void a_card_is_read_whole(void **state) {
  (void)state;
  rig r;
  rig_open(&r, "base", "version=4");
  assert_string_equal(r.card.id, "fake");
  assert_int_equal(r.card.version, 4);
  assert_int_equal(r.card.picture, METRIC_DECODED);
  assert_int_equal(r.card.wants_rgba8, 1);
  assert_int_equal(r.card.wants_base, 1);
  assert_int_equal(r.card.n, 2);
  const card_measure *m = r.card.measure;
  assert_string_equal(m[0].id, "ink");
  assert_int_equal(m[0].version, 4); /* the card's */
  assert_int_equal(m[0].direction, METRIC_UP);
  assert_string_equal(m[0].unit, "share");
  assert_true(m[0].lo == 0 && m[0].hi == 1);
  assert_int_equal(m[0].plane, METRIC_RGB);
  assert_string_equal(m[0].help, "of \"ink\"");
  assert_int_equal(m[1].version, 7);
  assert_int_equal(m[1].direction, METRIC_DOWN);
  assert_string_equal(m[1].unit, "1");
  assert_true(isinf(m[1].lo) && m[1].lo < 0 && m[1].hi == 5);
  assert_int_equal(m[1].plane, METRIC_ALPHA);
  rig_close(&r);
}

static void a_card_survives_its_json(void **state) {
  (void)state;
  rig r;
  err e = {0};
  json *j;
  scorer_card again;
  rig_open(&r, "base", NULL);
  assert_int_equal(card_json(&e, &r.card, &j), OK);
  assert_int_equal(card_parse(&e, j, &again), OK);
  assert_string_equal(again.measure[0].help, "");
  memcpy(again.measure[0].help, r.card.measure[0].help, CARD_HELP);
  assert_memory_equal(&again, &r.card, sizeof again);
  json_free(j);
  rig_close(&r);
}

static void descriptions_that_fail_say_why(void **state) {
  static const struct {
    const char *mode, *text;
    int code;
    double start_s;
  } bad[] = {
      {"describe-die", "exit status 3; its last words: no such model", E_IO, 60},
      {"describe-hang", "did not end within 0.3 s", E_IO, 0.3},
      {"describe-flood", "more than 1048576 bytes", E_FORMAT, 60},
      {"describe-garbage", "its description:1:1", E_FORMAT, 60},
      {"describe-nothing", "ends too early", E_FORMAT, 60},
      {"describe-twice", "'ink' is described twice", E_FORMAT, 60},
      {"describe-word", "measure 'b': \"direction\" must be one of up, down, none", E_FORMAT, 60},
      {"describe-range", "measure 'b': \"range\"", E_FORMAT, 60},
  };
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    rig r;
    err e = {0};
    scorer_card card;
    rig_open(&r, "good", NULL);
    r.argv[1] = bad[i].mode;
    r.o.start_s = bad[i].start_s;
    assert_int_equal(scorer_describe(&e, &r.o, &card), bad[i].code);
    if (!strstr(e.text, bad[i].text)) fail_msg("%s: %s", bad[i].mode, e.text);
    rig_close(&r);
  }
  rig r;
  err e = {0};
  scorer_card card;
  rig_open(&r, "good", NULL);
  r.argv[1] = "describe-leave"; /* what it leaves holds the pipe, which costs nothing */
  assert_int_equal(scorer_describe(&e, &r.o, &card), OK);
  r.argv[0] = "tandem-no-such-program";
  assert_int_equal(scorer_describe(&e, &r.o, &card), E_IO);
  assert_non_null(strstr(e.text, "No such file"));
  rig_close(&r);
}

static void names_and_reasons(void **state) {
  (void)state;
  char longest[66];
  memset(longest, 'a', 65);
  longest[65] = 0;
  assert_false(card_name_ok(longest));
  assert_false(card_reason_ok(longest));
  longest[64] = 0;
  assert_true(card_name_ok(longest) && card_reason_ok(longest));
  assert_true(card_name_ok("VBench-2.0_x"));
  assert_false(card_name_ok("") || card_name_ok("a/b") || card_name_ok("a b"));
  assert_true(card_reason_ok("no_face2"));
  assert_false(card_reason_ok("") || card_reason_ok("2faces") || card_reason_ok("No") || card_reason_ok("scorer_x"));
}

/* A program with a '/' is one of the folder, and the folder is where it runs. */
static void programs_start_in_their_folder(void **state) {
  (void)state;
  err e = {0};
  scorer_card card;
  char folder[1024];
  const char *const argv[] = {"tests/../tests/support/fake_scorer.sh", "good", NULL};
  snprintf(folder, sizeof folder, "%s", getenv("TANDEM_SOURCE"));
  scorer_options o = scorer_defaults(argv, folder);
  assert_int_equal(scorer_describe(&e, &o, &card), OK);
  o.folder = "/nowhere/at/all";
  assert_int_equal(scorer_describe(&e, &o, &card), E_IO);
}

static void the_page_has_every_reason(void **state) {
  (void)state;
  char *page = page_read("scorers.md");
  int n = 0;
  for (const scorer_reason *r = scorer_reasons(); r->code; r++, n++) {
    text t = {0};
    text_addf(&t, "| `%s` | %s | %s |\n", r->code, r->whole_clip ? "the clip" : "the measure", r->help);
    page_must_contain(page, "scorer_reasons", &t);
  }
  assert_int_equal(n, 10);
  free(page);
}

static int open_folder(void **state) {
  (void)state;
  return scratch_open() ? 0 : -1;
}

static int close_folder(void **state) {
  (void)state;
  scratch_close();
  return 0;
}

int main(void) {
  if (!getenv("TANDEM_SOURCE")) {
    puts("TANDEM_SOURCE is not set");
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_misdeed_leaves_its_reason),
      cmocka_unit_test(odd_but_sound_answers_count),
      cmocka_unit_test(input_closed_late_is_a_timeout),
      cmocka_unit_test(a_torn_line_costs_at_most_one_clip),
      cmocka_unit_test(standard_error_is_kept_up_to_a_limit),
      cmocka_unit_test(one_process_answers_many_clips),
      cmocka_unit_test(failures_in_a_row_are_given_up),
      cmocka_unit_test(start_up_has_its_own_failures),
      cmocka_unit_test(no_process_stays_behind),
      cmocka_unit_test(a_stop_ends_the_wait),
      cmocka_unit_test(alpha_measures_need_alpha),
      cmocka_unit_test(a_request_is_one_json_line),
      cmocka_unit_test(a_long_request_does_not_block),
      cmocka_unit_test(a_reader_that_left_is_no_signal),
      cmocka_unit_test(a_card_is_read_whole),
      cmocka_unit_test(a_card_survives_its_json),
      cmocka_unit_test(descriptions_that_fail_say_why),
      cmocka_unit_test(names_and_reasons),
      cmocka_unit_test(programs_start_in_their_folder),
      cmocka_unit_test(the_page_has_every_reason),
  };
  return cmocka_run_group_tests(tests, open_folder, close_folder);
}
