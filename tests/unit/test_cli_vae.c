/* `tandem vae` as its users meet it: a process, files in, files out, numbers against the golden files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "golden.h"
#include "scratch.h"

extern char **environ;

#define TOL 2e-5 /* tests/golden */

/* tandem vae WHAT on a golden file; the written tensors. */
static st_file *vae(const char *what, const char *in, const char *tile) {
  enum { N = 512 };
  static char weights[N], config[N], input[N];
  const char *out = scratch_path(0, "out.safetensors");
  snprintf(weights, N, "%s", golden_path("vae_weights.safetensors"));
  snprintf(config, N, "%s", golden_path("vae_config.json"));
  snprintf(input, N, "%s", golden_path(in));
  char *argv[] = {getenv("TANDEM_BINARY"),
                  "vae",
                  (char *)(uintptr_t)what,
                  "-q",
                  "--weights",
                  weights,
                  "--config",
                  config,
                  "--in",
                  input,
                  "--out",
                  (char *)(uintptr_t)out,
                  "--tile",
                  (char *)(uintptr_t)tile,
                  NULL};
  err e = {0};
  pid_t pid;
  int status = 0;
  st_file *f = NULL;
  unlink(out);
  assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  if (st_open(&e, out, &f) != OK) fail_msg("%s", e.text);
  return f;
}

static void matches(const st_file *got, const char *name, const st_file *want, const char *want_name) {
  err e = {0};
  const st_tensor *w = st_find(want, want_name), *g = NULL;
  if (!w) fail_msg("no %s", want_name);
  if (st_need(&e, got, name, w->rank, w->shape, &g) != OK) fail_msg("%s", e.text);
  assert_int_equal(g->type, DT_F32);
  real *p = calloc((size_t)g->count, sizeof *p);
  assert_non_null(p);
  assert_int_equal(st_read_real(&e, g, p), OK);
  check_below(want_name, golden_rel(want_name, p, w), TOL);
  free(p);
}

static void test_whole(void **state) {
  (void)state;
  st_file *want = golden_tensors("vae"), *got = vae("decode", "vae.safetensors", "off");
  assert_int_equal(st_count(got), 1);
  matches(got, "output", want, "decode.5");
  st_close(got);
  got = vae("encode", "vae.safetensors", "off");
  assert_int_equal(st_count(got), 2);
  matches(got, "mean", want, "encode.17.mean");
  matches(got, "logvar", want, "encode.17.logvar");
  st_close(got);
  st_close(want);
}

static void test_tiles(void **state) {
  (void)state;
  st_file *want = golden_tensors("vae_tiled"), *got = vae("decode", "vae_tiled.safetensors", "48x40");
  matches(got, "output", want, "tiled.decode");
  st_close(got);
  got = vae("encode", "vae_tiled.safetensors", "48x40");
  matches(got, "mean", want, "tiled.encode.mean");
  matches(got, "logvar", want, "tiled.encode.logvar");
  st_close(got);
  got = vae("encode", "vae_tiled.safetensors", "auto"); /* 240x360: one tile */
  matches(got, "mean", want, "untiled.encode.mean");
  st_close(got);
  st_close(want);
}

int main(void) {
  const char *program = getenv("TANDEM_BINARY");
  if (!program || access(program, X_OK) || !getenv("TANDEM_SOURCE")) {
    fprintf(stderr, "TANDEM_BINARY names no program\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole), cmocka_unit_test(test_tiles)};
  return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
