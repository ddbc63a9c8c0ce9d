/* `tandem inspect` and `tandem t5` on model folders of real size that have no weights, and on damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "scratch.h"
#include "sparse_model.h"

extern char **environ;

static char *read_all(const char *path) {
  err e = {0};
  char *data = NULL;
  size_t n = 0;
  if (file_read(&e, path, 1 << 24, &data, &n) != OK) fail_msg("%s", e.text);
  return data;
}

/* Exit status; standard output is scratch "out", standard error "err". */
static int call(const char *const *words) {
  char *argv[16] = {getenv("TANDEM_BINARY")};
  int n = 1, status;
  pid_t pid;
  posix_spawn_file_actions_t files;
  for (; *words; words++) argv[n++] = (char *)(uintptr_t)*words;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 1, scratch_path(6, "out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&files, 2, scratch_path(7, "err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_int_equal(posix_spawn(&pid, argv[0], &files, NULL, argv, environ), 0);
  posix_spawn_file_actions_destroy(&files);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}
#define CALL(...) call((const char *const[]){__VA_ARGS__, NULL})

static json *output(void) {
  err e = {0};
  json *j;
  if (json_read(&e, scratch_path(6, "out"), &j) != OK) fail_msg("%s", e.text);
  return j;
}

static const json *part_of(const json *j, const char *name) {
  for (const json *p = json_get(j, "parts")->child; p; p = p->next)
    if (!strcmp(json_get(p, "part")->str, name)) return p;
  fail_msg("no part %s", name);
  return NULL;
}

static void expect(const json *j, const char *name, int64_t tensors, int64_t params, const char *dtype) {
  const json *p = part_of(j, name), *problem = json_get(p, "problem");
  if (problem->type != JSON_NULL) fail_msg("%s: %s", name, problem->str);
  assert_int_equal((int64_t)json_get(p, "tensors")->num, tensors);
  assert_int_equal((int64_t)json_get(p, "parameters")->num, params);
  assert_int_equal((int64_t)json_get(json_get(p, "dtypes"), dtype)->num, params);
}

static const json *cost_of(const json *j, const char *name, const char *pass) {
  for (const json *p = json_get(json_get(j, "plan"), "costs")->child; p; p = p->next)
    if (!strcmp(json_get(p, "design")->str, name) && !strcmp(json_get(p, "pass")->str, pass)) return p;
  fail_msg("no costs of %s", name);
  return NULL;
}

static const char *spiece(void) {
  static char path[1024];
  snprintf(path, sizeof path, "%s/tests/golden/t5_spiece.model", getenv("TANDEM_SOURCE"));
  return path;
}

static void test_pipeline(void **state) {
  (void)state;
  sparse_pipeline(scratch_path(0, "5b"), SPARSE_5B, spiece());
  assert_int_equal(CALL("inspect", scratch_path(0, "5b"), "--json"), 0);
  json *j = output();
  expect(j, "transformer", 1024, 5570283072, "BF16");
  expect(j, "text_encoder", 219, 4762310656, "BF16");
  expect(j, "vae", 436, 215583907, "BF16");
  assert_string_equal(json_get(part_of(j, "tokenizer"), "about")->str, "500 pieces");
  assert_int_equal((int)json_get(part_of(j, "transformer"), "files")->num, 2);
  const json *c = cost_of(j, "base", "sample");
  double flops = json_get(c, "flops")->num; /* 0.332 PFLOP by counting products */
  assert_true(flops > 3.30e14 && flops < 3.35e14);
  assert_int_equal((int64_t)json_get(c, "params")->num, 5570283072);
  assert_int_equal((int64_t)json_get(cost_of(j, "sequence", "train"), "trained")->num, 132123648);
  json_free(j);
  assert_int_equal(CALL("inspect", "--read", scratch_path(0, "5b")), 0);
  char *text_out = read_all(scratch_path(6, "out"));
  assert_non_null(strstr(text_out, "5570283072"));
  assert_null(strstr(text_out, "PROBLEM"));
  free(text_out);
}

/* Another size costs more; a size without patches is refused. */
static void test_size(void **state) {
  (void)state;
  sparse_pipeline(scratch_path(0, "15"), SPARSE_15_5B_I2V, NULL);
  assert_int_equal(
      CALL("inspect", scratch_path(0, "15"), "--json", "--size", "480x720", "--frames", "49", "--rank", "16"), 0);
  json *j = output();
  expect(j, "transformer", 1028, 5571594880, "BF16");
  assert_int_equal((int)json_get(json_get(j, "plan"), "frames")->num, 14); /* 13 latents, patched in pairs */
  double small = json_get(cost_of(j, "base", "sample"), "flops")->num;
  json_free(j);
  assert_int_equal(CALL("inspect", scratch_path(0, "15"), "--json", "--size", "768x1360"), 0);
  j = output();
  assert_true(json_get(cost_of(j, "base", "sample"), "flops")->num > 2 * small);
  json_free(j);
  assert_int_equal(CALL("inspect", scratch_path(0, "15"), "--size", "481x720"), 2);
}

static void test_adapter(void **state) {
  (void)state;
  sparse_model(scratch_path(0, "lora"), SPARSE_ADAPTER, 1);
  assert_int_equal(CALL("inspect", scratch_path(1, "lora/model.safetensors"), "--json"), 0);
  json *j = output();
  expect(j, "adapter", 337, 132123648, "BF16");
  assert_non_null(strstr(json_get(part_of(j, "adapter"), "about")->str, "rank 128, gamma 0.0078125"));
  json_free(j);
}

/* Every part's problem is told at once, and the rest is shown. */
static void test_problems(void **state) {
  (void)state;
  err e = {0};
  sparse_pipeline(scratch_path(0, "bad"), SPARSE_5B, spiece());
  char *config = NULL, changed[4096];
  size_t n;
  assert_int_equal(file_read(&e, scratch_path(1, "bad/transformer/config.json"), 4096, &config, &n), OK);
  const char *key = "\"num_layers\": 42";
  size_t at = (size_t)(strstr(config, key) - config);
  snprintf(changed, sizeof changed, "%.*s\"num_layers\": 41%s", (int)at, config, config + at + strlen(key));
  assert_int_equal(file_write(&e, scratch_path(1, "bad/transformer/config.json"), changed, strlen(changed)), OK);
  free(config);
  assert_int_equal(unlink(scratch_path(1, "bad/text_encoder/model-00002-of-00002.safetensors")), 0);
  static const char vae[] = "{\"block_out_channels\": [128, 256, 256, 256], \"layers_per_block\": 2}";
  assert_int_equal(file_write(&e, scratch_path(1, "bad/vae/config.json"), vae, sizeof vae - 1), OK);
  assert_int_equal(truncate(scratch_path(1, "bad/tokenizer/spiece.model"), 1000), 0);
  assert_int_equal(CALL("inspect", scratch_path(0, "bad"), "--json"), 1);
  json *j = output();
  assert_int_equal((int64_t)json_get(part_of(j, "vae"), "parameters")->num, 215583907);
  static const char *const says[][2] = {
      {"transformer", "num_layers is 41 in the config, 42 in the weights"},
      {"text_encoder", "1 of 2 shards are not there"},
      {"vae", "layers_per_block is 2 in the config, 3 in the weights"},
      {"vae", "block_out_channels[3] is 256 in the config, 512 in the weights"},
      {"tokenizer", "no sound SentencePiece model"},
  };
  for (int i = 0; i < 5; i++) {
    const json *problem = json_get(part_of(j, says[i][0]), "problem");
    if (problem->type != JSON_STRING || !strstr(problem->str, says[i][1]))
      fail_msg("%s: %s", says[i][0], problem->type == JSON_STRING ? problem->str : "no problem");
  }
  json_free(j);
  assert_int_equal(CALL("inspect", scratch_path(0, "bad")), 1);
  assert_int_equal(CALL("inspect", scratch_path(0, "nowhere")), 1);
}

int main(void) {
  const char *program = getenv("TANDEM_BINARY");
  if (!program || access(program, X_OK) || !getenv("TANDEM_SOURCE")) {
    fprintf(stderr, "TANDEM_BINARY names no program\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_pipeline), cmocka_unit_test(test_size),
                                     cmocka_unit_test(test_adapter), cmocka_unit_test(test_problems)};
  return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
