/* The shipped base model says how it was made; its first steps, run again, give the same bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "media/world.h"
#include "model/words.h"
#include "train.h"

#define STEPS 4

static const char *path_of(const char *name) {
  static char path[1024];
  const char *root = getenv("TANDEM_SOURCE");
  snprintf(path, sizeof path, "%s/configs/models/%s", root ? root : ".", name);
  return path;
}

static err e;
#define GOOD(call)                                                                                                   \
  do {                                                                                                               \
    if ((call) != OK) fail_msg("%s: %s", #call, e.text);                                                             \
  } while (0)

static json *provenance(void) {
  json *j = NULL;
  GOOD(json_read(&e, path_of("tiny.provenance.json"), &j));
  return j;
}

static double number(const json *j, const char *key) {
  const json *v = json_get(j, key);
  if (!v || v->type != JSON_NUMBER) fail_msg("provenance has no number '%s'", key);
  return v->num;
}

static void test_files_are_the_named_ones(void **state) {
  (void)state;
  json *j = provenance();
  static const char *const files[][2] = {
      {"tiny.json", "config_sha256"}, {"tiny-vae.json", "vae_sha256"}, {"tiny.safetensors", "weights_sha256"}};
  for (int i = 0; i < 3; i++) {
    char hex[HASH_HEX];
    GOOD(hash_file(&e, path_of(files[i][0]), hex));
    assert_string_equal(hex, json_get(j, files[i][1])->str);
  }
  json_free(j);
}

/* Only the clips that the first steps draw are rendered; the others stay zero and are never looked at. */
static void render_drawn(const train_config *cfg, const block_vae *vae, int64_t clips, float *rgb, float *rows) {
  int64_t *order = calloc((size_t)clips, sizeof *order), half = 4 * 40 * 6 * 6;
  world_dist dist;
  assert_non_null(order);
  GOOD(world_dist_find(&e, "base", &dist));
  rng_permutation((rng){.seed = cfg->seed, .stream = RNG_DATA_ORDER}, clips, order);
  for (int64_t i = 0; i < STEPS * cfg->batch; i++) {
    clip c = {0};
    char caption[WORLD_CAPTION];
    world_attributes a = world_attrs(1, order[i], &dist);
    world_caption(&a.labels, caption);
    GOOD(world_render(&e, &a, &c));
    GOOD(block_vae_encode(&e, vae, &c, BLOCK_VAE_RGB, rgb + order[i] * half));
    GOOD(words_rows(&e, caption, WORDS_ROWS, WORDS_DIM, rows + order[i] * WORDS_ROWS * WORDS_DIM));
    clip_free(&c);
  }
  free(order);
}

static int64_t steps_done;
static void count(void *user, const train_progress *p) {
  (void)user, steps_done = p->step;
}
static int enough(void *user) {
  return (void)user, steps_done >= STEPS;
}

typedef struct seen {
  float loss[STEPS];
} seen;

static void keep(void *user, const train_progress *p) {
  count(NULL, p);
  ((seen *)user)->loss[p->step - 1] = (float)p->loss;
}

static void test_first_steps_again(void **state) {
  (void)state;
  json *j = provenance(), *config = NULL;
  const json *settings = json_get(json_get(j, "settings"), "pretrain"), *first = json_get(j, "first_losses");
  train_config cfg = train_defaults(1);
  cfg.steps = (int64_t)number(settings, "steps");
  cfg.batch = (int64_t)number(settings, "batch");
  cfg.seed = (uint64_t)number(settings, "seed");
  assert_true(number(settings, "lr") == cfg.lr && number(settings, "muon_lr") == cfg.muon_lr);
  int64_t clips = (int64_t)number(settings, "clips"), half = 4 * 40 * 6 * 6, row = WORDS_ROWS * WORDS_DIM;
  block_vae *vae = calloc(1, sizeof *vae);
  float *rgb = calloc((size_t)(clips * half), sizeof *rgb), *rows = calloc((size_t)(clips * row), sizeof *rows);
  float none[WORDS_ROWS * WORDS_DIM];
  if (!vae || !rgb || !rows) skip(); /* 800 MB of address space */
  GOOD(block_vae_load(&e, path_of("tiny-vae.json"), vae));
  GOOD(words_rows(&e, NULL, WORDS_ROWS, WORDS_DIM, none));
  render_drawn(&cfg, vae, clips, rgb, rows);
  train_data data = {.clips = clips,
                     .frames = 4,
                     .channels = 40,
                     .height = 6,
                     .width = 6,
                     .rgb = rgb,
                     .n_text = WORDS_ROWS,
                     .text_dim = WORDS_DIM,
                     .text = rows,
                     .null_text = none};
  ctx c;
  dit m;
  dit_config dc;
  train_result result;
  seen got = {{0}};
  train_hooks hooks = {keep, enough, &got};
  GOOD(json_read(&e, path_of("tiny.json"), &config));
  GOOD(dit_config_read(&e, config, "tiny.json", &dc));
  assert_int_equal(ctx_open(&c, &(ctx_options){.backend = "cpu"}), OK);
  if (!strcmp(c.isa, "v2") || !strcmp(c.isa, "generic")) skip(); /* no FMA: another rounding class */
  assert_int_equal(dit_open(&c, &dc, 1, &m), OK);
  assert_int_equal(dit_init(&c, &m, cfg.seed), OK);
  assert_int_equal(train_run(&c, &m, NULL, NULL, &data, &cfg, "", &hooks, &result), E_INTERRUPTED);
  for (int i = 0; i < STEPS; i++) {
    float want = (float)json_at(first, i)->num;
    assert_true(want > 0);
    if (memcmp(&want, &got.loss[i], sizeof want) != 0)
      fail_msg("step %d: loss %.9g, the shipped model's was %.9g", i + 1, (double)got.loss[i], (double)want);
  }
  dit_close(&c, &m);
  ctx_close(&c);
  free(vae);
  free(rgb);
  free(rows);
  json_free(config);
  json_free(j);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_files_are_the_named_ones),
      cmocka_unit_test(test_first_steps_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
