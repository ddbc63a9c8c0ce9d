/* `tandem forward` as its users meet it: a process, files in, files out. Numbers against the golden files (tolerance
 * of tests/golden: 1e-5 of the tensor's largest value), refusals by exit status and message, outputs whole or
 * untouched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "model/safetensors.h"
#include "scratch.h"

#define WORDS 24

extern char **environ;

/* A command line and what came of it. */
typedef struct call {
  char word[WORDS][512];
  int n, status;
  char *said; /* standard error */
} call;

static void add(call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(call *c, const char *fmt, ...) {
  va_list ap;
  assert_true(c->n < WORDS - 1);
  va_start(ap, fmt);
  vsnprintf(c->word[c->n++], sizeof c->word[0], fmt, ap);
  va_end(ap);
}

static const char *golden(void) {
  static char folder[256];
  snprintf(folder, sizeof folder, "%s/tests/golden", getenv("TANDEM_SOURCE"));
  return folder;
}

static void start(call *c, const char *weights, const char *in) {
  *c = (call){0};
  add(c, "%s", getenv("TANDEM_BINARY"));
  add(c, "forward");
  add(c, "--threads=1");
  add(c, "--weights=%s/%s_weights.safetensors", golden(), weights);
  add(c, "--config=%s/%s_config.json", golden(), weights);
  add(c, "--in");
  if (*in == '/')
    add(c, "%s", in);
  else
    add(c, "%s/%s.safetensors", golden(), in);
  add(c, "--out");
  add(c, "%s", scratch_path(0, "out.safetensors"));
}

static void adapter(call *c, const char *name) {
  add(c, "--adapter");
  add(c, "%s/%s.safetensors", golden(), name);
}

static void go(call *c) {
  char *argv[WORDS] = {NULL};
  err e = {0};
  pid_t pid;
  size_t n;
  int status = 0;
  const char *log = scratch_path(1, "stderr");
  posix_spawn_file_actions_t files;
  for (int i = 0; i < c->n; i++) argv[i] = c->word[i];
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_int_equal(posix_spawn(&pid, argv[0], &files, NULL, argv, environ), 0);
  posix_spawn_file_actions_destroy(&files);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  c->status = WEXITSTATUS(status);
  if (file_read(&e, log, 1 << 20, &c->said, &n) != OK) fail_msg("%s", e.text);
}

static void must(call *c) {
  go(c);
  if (c->status != 0) fail_msg("exit %d: %s", c->status, c->said);
  free(c->said);
}

/* Fails with this status, names all of `words` (ended by NULL), leaves the old output. */
static void must_refuse(call *c, int status, const char *const *words) {
  scratch_write("out.safetensors", "old");
  go(c);
  if (c->status != status) fail_msg("exit %d, not %d: %s", c->status, status, c->said);
  for (; *words; words++)
    if (!strstr(c->said, *words)) fail_msg("does not say '%s': %s", *words, c->said);
  free(c->said);
  err e = {0};
  char *now;
  size_t n;
  assert_int_equal(file_read(&e, scratch_path(0, "out.safetensors"), 100, &now, &n), OK);
  assert_string_equal(now, "old");
  free(now);
}

static st_file *open_file(const char *path) {
  err e = {0};
  st_file *f = NULL;
  if (st_open(&e, path, &f) != OK) fail_msg("%s", e.text);
  return f;
}

static void compare(const st_file *got, const char *name, const st_file *want, const char *want_name) {
  err e = {0};
  const st_tensor *w = st_find(want, want_name), *g = NULL;
  double largest = 0, worst = 0;
  if (!w) fail_msg("the golden file has no %s", want_name);
  if (st_need(&e, got, name, w->rank, w->shape, &g) != OK) fail_msg("%s", e.text);
  assert_int_equal(g->type, DT_F32);
  for (int64_t i = 0; i < w->count; i++) {
    double a = dtype_get(g->type, g->data, i), b = dtype_get(w->type, w->data, i);
    if (!isfinite(a)) fail_msg("%s[%lld] is not finite", name, (long long)i);
    largest = fmax(largest, fabs(b));
    worst = fmax(worst, fabs(a - b));
  }
  assert_true(largest > 0);
  if (worst > 1e-5 * largest) fail_msg("%s: %g of the largest value off", want_name, worst / largest);
}

static void test_base(void **state) {
  (void)state;
  static const char *const files[] = {"dit_rope", "dit_sincos", "dit_15_i2v"};
  static const char *const traced[] = {"output", "embed", "block.0", "norm_out", "time_emb"};
  char in[512];
  for (int i = 0; i < 3; i++) {
    call c;
    start(&c, files[i], files[i]);
    add(&c, "--trace");
    must(&c);
    snprintf(in, sizeof in, "%s/%s.safetensors", golden(), files[i]);
    st_file *got = open_file(scratch_path(0, "out.safetensors")), *want = open_file(in);
    for (int t = 0; t < 5; t++) compare(got, traced[t], want, traced[t]);
    st_close(got);
    st_close(want);
    unlink(scratch_path(0, "out.safetensors"));
  }
}

static const struct {
  const char *design, *golden, *second; /* second: adapter file beside the LoRA */
} designs[] = {{"sequence", "A_hard", NULL},        {"soft-mask", "A_soft", NULL},
               {"no-rgb-to-alpha", "B", NULL},      {"sequence:text_to_alpha=on", "C", NULL},
               {"batch:exchange=none", "D0", NULL}, {"batch-module", "D1", "rgba_inter"},
               {"batch:exchange=kv", "D2", NULL},   {"latent", "E", "rgba_latent"}};

static void test_designs(void **state) {
  (void)state;
  char name[64], path[512];
  snprintf(path, sizeof path, "%s/rgba.safetensors", golden());
  st_file *want = open_file(path);
  for (size_t i = 0; i < sizeof designs / sizeof designs[0]; i++) {
    call c;
    start(&c, "dit_rope", "rgba");
    add(&c, "--design=%s", designs[i].design);
    adapter(&c, "rgba_lora");
    if (designs[i].second) adapter(&c, designs[i].second);
    add(&c, "--trace");
    must(&c);
    st_file *got = open_file(scratch_path(0, "out.safetensors"));
    snprintf(name, sizeof name, "%s.output", designs[i].golden);
    compare(got, "output", want, name);
    snprintf(name, sizeof name, "%s.block.0", designs[i].golden);
    compare(got, "block.0", want, name);
    st_close(got);
    unlink(scratch_path(0, "out.safetensors"));
  }
  st_close(want);
}

/* Another LoRA scale gives another output, gamma 0 the model without the LoRA; without --trace there is one tensor.
 */
static void test_gamma(void **state) {
  (void)state;
  double first[3];
  static const char *const gamma[] = {"--gamma=0.25", "--gamma=0.5", "--gamma=0"};
  for (int i = 0; i < 3; i++) {
    call c;
    start(&c, "dit_rope", "rgba");
    add(&c, "--design=sequence");
    adapter(&c, "rgba_lora");
    add(&c, "%s", gamma[i]);
    must(&c);
    st_file *got = open_file(scratch_path(0, "out.safetensors"));
    assert_int_equal(st_count(got), 1);
    const st_tensor *t = st_find(got, "output");
    assert_non_null(t);
    first[i] = dtype_get(t->type, t->data, t->count - 1);
    st_close(got);
  }
  assert_true(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
}

/* Copies the golden inputs, with one tensor made different: another shape, another type, or left out. */
static const char *odd_input(const char *name, int rank, const int64_t *shape, dtype type) {
  err e = {0};
  char path[512];
  st_writer *w = NULL;
  snprintf(path, sizeof path, "%s/dit_rope.safetensors", golden());
  st_file *f = open_file(path);
  assert_int_equal(st_writer_open(&e, &w), OK);
  for (int64_t i = 0; i < st_count(f); i++) {
    const st_tensor *t = st_at(f, i);
    int ours = !strcmp(t->name, name);
    if (ours && rank < 0) continue;
    if (ours)
      assert_int_equal(st_writer_add(w, &e, name, type, rank, shape, t->data), OK);
    else
      assert_int_equal(st_writer_add(w, &e, t->name, t->type, t->rank, t->shape, t->data), OK);
  }
  assert_int_equal(st_writer_save(w, &e, scratch_path(2, "odd.safetensors")), OK);
  st_writer_close(w);
  st_close(f);
  return scratch_path(2, "odd.safetensors");
}

#define SAYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_bad_inputs(void **state) {
  (void)state;
  call c;
  start(&c, "dit_rope", odd_input("in.latents", 5, (int64_t[]){2, 3, 8, 8, 12}, DT_F32));
  must_refuse(&c, 1, SAYS("in.latents", "8 channels", "16", "odd.safetensors"));
  start(&c, "dit_rope", odd_input("in.latents", 4, (int64_t[]){2, 3, 16, 8}, DT_F32));
  must_refuse(&c, 1, SAYS("in.latents", "4 dimensions", "5"));
  start(&c, "dit_rope", odd_input("in.text", 3, (int64_t[]){2, 20, 16}, DT_F32));
  must_refuse(&c, 1, SAYS("in.text", "[2,20,16]", "32"));
  start(&c, "dit_rope", odd_input("in.text", -1, NULL, DT_F32));
  must_refuse(&c, 1, SAYS("in.text", "odd.safetensors"));
  start(&c, "dit_rope", "rgba"); /* 4 frames are fine for the base; an odd number of halves is not */
  add(&c, "--design=sequence");
  adapter(&c, "rgba_lora");
  snprintf(c.word[6], sizeof c.word[6], "%s/dit_rope.safetensors", golden());
  must_refuse(&c, 1, SAYS("in.latents", "3 frames"));
}

static void test_bad_weights(void **state) {
  (void)state;
  call c;
  char *data = NULL;
  size_t n;
  err e = {0};
  start(&c, "dit_rope", "dit_rope");
  add(&c, "--config=%s/dit_sincos_config.json", golden()); /* the last one counts */
  must_refuse(&c, 1, SAYS("patch_embed.proj.weight", "want [192,16,2,2]", "[128,16,2,2]"));

  char path[512];
  snprintf(path, sizeof path, "%s/dit_rope_weights.safetensors", golden());
  assert_int_equal(file_read(&e, path, 1 << 24, &data, &n), OK);
  assert_int_equal(file_write(&e, scratch_path(2, "cut.safetensors"), data, n - 7), OK);
  free(data);
  start(&c, "dit_rope", "dit_rope");
  add(&c, "--weights=%s", scratch_path(2, "cut.safetensors"));
  must_refuse(&c, 1, SAYS("cut.safetensors"));

  st_writer *w = NULL;
  st_file *f = open_file(path);
  assert_int_equal(st_writer_open(&e, &w), OK);
  for (int64_t i = 0; i < st_count(f); i++) {
    const st_tensor *t = st_at(f, i);
    int64_t half[] = {t->count / 4}; /* the bytes of as many 8-byte integers */
    if (!strcmp(t->name, "proj_out.bias"))
      assert_int_equal(st_writer_add(w, &e, t->name, DT_I64, 1, half, t->data), OK);
    else
      assert_int_equal(st_writer_add(w, &e, t->name, t->type, t->rank, t->shape, t->data), OK);
  }
  assert_int_equal(st_writer_save(w, &e, scratch_path(2, "typed.safetensors")), OK);
  st_writer_close(w);
  st_close(f);
  start(&c, "dit_rope", "dit_rope");
  add(&c, "--weights=%s", scratch_path(2, "typed.safetensors"));
  must_refuse(&c, 1, SAYS("proj_out.bias", "want [64]", "I64 [16]"));
}

static void test_bad_adapters(void **state) {
  (void)state;
  call c;
  start(&c, "dit_rope", "rgba");
  add(&c, "--design=sequence");
  must_refuse(&c, 1, SAYS("--adapter", "domain_emb", "to_q.lora_A.weight"));
  start(&c, "dit_rope", "rgba");
  add(&c, "--design=batch-module");
  adapter(&c, "rgba_lora");
  must_refuse(&c, 1, SAYS("inter.0.norm.weight"));
  start(&c, "dit_rope", "rgba");
  add(&c, "--design=base");
  adapter(&c, "rgba_lora");
  must_refuse(&c, 2, SAYS("base", "--adapter"));
  start(&c, "dit_rope", "rgba");
  add(&c, "--design=seqence");
  must_refuse(&c, 2, SAYS("seqence", "did you mean", "sequence"));
}

static void test_bad_outputs(void **state) {
  (void)state;
  call c;
  start(&c, "dit_rope", "dit_rope");
  snprintf(c.word[8], sizeof c.word[8], "%s", scratch_path(2, "no/such/folder/out.safetensors"));
  must_refuse(&c, 1, SAYS("no/such/folder"));
  start(&c, "dit_rope", "dit_rope");
  snprintf(c.word[8], sizeof c.word[8], "%s", "/dev/null");
  must_refuse(&c, 2, SAYS("/dev/null"));
}

int main(void) {
  const char *program = getenv("TANDEM_BINARY");
  if (!program || access(program, X_OK) || !getenv("TANDEM_SOURCE")) {
    fprintf(stderr, "TANDEM_BINARY names no program\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_base),        cmocka_unit_test(test_designs),     cmocka_unit_test(test_gamma),
      cmocka_unit_test(test_bad_inputs),  cmocka_unit_test(test_bad_weights), cmocka_unit_test(test_bad_adapters),
      cmocka_unit_test(test_bad_outputs),
  };
  return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
