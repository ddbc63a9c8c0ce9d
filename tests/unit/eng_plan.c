/* The planner's bytes against closed formulas (docs/memory.md), for the released models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "model/plan.h"
#include "variants/variant.h"

#define RANK 128
#define FRAMES 13
#define HEIGHT 60
#define WIDTH 90
#define TEXT 226

typedef struct released {
  const char *file;
  int64_t params, layers, heads, width, time;
} released;

static const released models[] = {{"cogvideox-2b.json", 1693783872, 30, 30, 1920, 512},
                                  {"cogvideox-5b.json", 5570283072, 42, 48, 3072, 512}};

static void config_of(const released *m, dit_config *cfg) {
  err e = {0};
  json *j = NULL;
  char path[512];
  snprintf(path, sizeof path, "%.400s/configs/models/%s", getenv("TANDEM_SOURCE"), m->file);
  if (json_read(&e, path, &j) != OK || dit_config_read(&e, j, path, cfg) != OK) fail_msg("%s", e.text);
  json_free(j);
}

static plan_request request_of(const released *m, const char *name, dtype storage) {
  err e = {0};
  design d;
  plan_request q = {.shape = {.rank = RANK, .gamma = 1},
                    .storage = storage,
                    .batch = 1,
                    .frames = FRAMES,
                    .height = HEIGHT,
                    .width = WIDTH,
                    .n_text = TEXT,
                    .train = 1};
  config_of(m, &q.cfg);
  if (design_parse(&e, name, &d) != OK) fail_msg("%s", e.text);
  design_layout(&d, &q.l);
  return q;
}

/* One buffer. */
static int64_t buffer(int64_t n, int64_t size) {
  return (n * size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

typedef struct sizes {
  int64_t r, d, s, video, heads, layers, time, piece;
} sizes;

/* Rows of a joint sequence: text, RGB, alpha. */
static sizes sizes_of(const released *m, dtype storage, int pieces) {
  sizes z = {.d = m->width, .s = dtype_size(storage), .heads = m->heads, .layers = m->layers, .time = m->time};
  z.video = (int64_t)FRAMES * (HEIGHT / 2) * (WIDTH / 2);
  z.r = TEXT + 2 * z.video;
  z.piece = (z.r + pieces - 1) / pieces;
  return z;
}

static int64_t first_half(const sizes *z) {
  return buffer(z->r * 3 * z->d, z->s) + buffer(z->r * 2 * z->d, z->s) + buffer(z->r * z->d, z->s) +
         buffer(z->heads * z->r, 4) + buffer(z->r * 3 * RANK, z->s) + buffer(z->r * RANK, z->s);
}

static int64_t kept(const sizes *z, const unsigned char *level) {
  int64_t u = buffer(z->r * z->d, z->s), sum = u;
  for (int64_t i = 0; i < z->layers; i++) {
    sum += u + 2 * buffer(6 * z->d, z->s);
    if (level[i] == 0) sum += first_half(z) + 2 * u + buffer(z->r * 4 * z->d, z->s);
    if (level[i] == 1) sum += u + buffer(z->heads * z->r, 4);
  }
  return sum;
}

static int64_t working(const sizes *z, const unsigned char *level) {
  int64_t half = 16 * FRAMES * HEIGHT * WIDTH, patches = buffer(z->video * 64, z->s), u = buffer(z->r * z->d, z->s);
  int64_t top = 0, sum = 3 * buffer(2 * half, 4) + buffer(TEXT * 4096, z->s) + buffer(1, 8);
  for (int64_t i = 0; i < z->layers; i++) top = level[i] > top ? level[i] : top;
  sum += buffer(z->d, z->s) + 4 * buffer(z->time, z->s) + buffer(2 * z->d, z->s);
  sum += 4 * patches;                   /* in and out, both halves */
  sum += buffer(z->r * 3 * z->d, z->s); /* idle rows */
  if (top) sum += first_half(z);
  sum += 2 * buffer(z->piece * z->d, z->s) + buffer(z->piece * 4 * z->d, z->s);
  /* gradients: output, its patches, residual, norm, hidden rows, row sums, LoRA rows */
  sum += buffer(2 * half, 4) + patches + 2 * u + buffer(z->piece * 4 * z->d, z->s) + buffer(z->heads * z->r, 4) +
         buffer(z->r * 3 * RANK, z->s);
  return sum;
}

static int64_t tables(const sizes *z, int rotary) {
  int64_t places = 2 * z->video;
  return buffer(5 * z->r, 4) + (rotary ? 2 * places * 32 * 4 : places * z->d * z->s);
}

static void check(const released *m, dtype storage, const unsigned char *level, int pieces) {
  err e = {0};
  plan_request q = request_of(m, "sequence", storage);
  plan_cost cost;
  q.level = level;
  q.pieces = pieces;
  if (plan_measure(&e, &q, &cost) != OK) fail_msg("%s", e.text);
  sizes z = sizes_of(m, storage, pieces);
  /* q, k, v, o of each block, and the domain vector */
  int64_t n = m->layers * 8 * RANK * m->width + m->width, narrow = storage == DT_BF16;
  const plan_bytes *b = &cost.memory;
  assert_int_equal(b->weights, m->params * z.s);
  assert_int_equal(b->masters, 4 * n);
  assert_int_equal(b->gradients, 4 * n);
  assert_int_equal(b->moments, 8 * n);
  assert_int_equal(b->copies, narrow * 2 * n);
  assert_int_equal(b->kept, kept(&z, level));
  assert_int_equal(b->working, working(&z, level));
  assert_int_equal(b->tables, tables(&z, q.cfg.rotary));
  assert_int_equal(b->workspace, 32 << 20);
  assert_int_equal(b->total, b->weights + b->masters + b->gradients + b->moments + b->copies + b->kept + b->working +
                                 b->tables + b->workspace);
}

static void test_formulas(void **state) {
  (void)state;
#ifdef __SANITIZE_ADDRESS__
  skip(); /* the arena then has a red zone behind each buffer */
#endif
  unsigned char level[42];
  for (size_t m = 0; m < sizeof models / sizeof models[0]; m++)
    for (int narrow = 0; narrow < 2; narrow++)
      for (int way = 0; way < 4; way++) {
        for (int i = 0; i < 42; i++) level[i] = (unsigned char)(way < 3 ? way : i % 3);
        check(&models[m], narrow ? DT_BF16 : DT_REAL, level, way ? 1 << (2 * way) : 1);
      }
}

/* A choice of levels fits, and the next dearer one does not. */
static void test_fit(void **state) {
  (void)state;
  static const struct {
    size_t model;
    double budget;
  } cases[] = {{1, 24 * 1073741824.0}, {1, 30e9}, {1, 40e9}, {1, 80e9}, {0, 11e9}, {0, 16e9}, {0, 24e9}};
  for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
    err e = {0};
    unsigned char level[42], next[42];
    int fits, layers = (int)models[cases[k].model].layers, at = 0;
    plan_cost cost, dearer;
    plan_request q = request_of(&models[cases[k].model], "sequence", DT_BF16);
    if (plan_fit(&e, &q, (size_t)cases[k].budget, level, &cost, &fits) != OK) fail_msg("%s", e.text);
    assert_true(fits && (double)cost.memory.total <= cases[k].budget);
    memcpy(next, level, sizeof next);
    int top = level[layers - 1]; /* the last block has the highest level */
    while (at < layers && level[at] < top) at++;
    if (!top) continue;
    next[at] = (unsigned char)(top - 1);
    q.level = next;
    q.pieces = PLAN_PIECES;
    if (plan_measure(&e, &q, &dearer) != OK) fail_msg("%s", e.text);
    assert_true((double)dearer.memory.total > cases[k].budget && dearer.flops < cost.flops);
  }
}

static void test_too_much(void **state) {
  (void)state;
  err e = {0};
  unsigned char level[42];
  int fits;
  plan_cost cost;
  plan_request q = request_of(&models[1], "sequence", DT_BF16);
  if (plan_fit(&e, &q, (size_t)12e9, level, &cost, &fits) != OK) fail_msg("%s", e.text);
  assert_false(fits);
  for (int i = 0; i < 42; i++) assert_int_equal(level[i], 2);
  assert_true(cost.memory.total > (size_t)12e9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_formulas),
      cmocka_unit_test(test_fit),
      cmocka_unit_test(test_too_much),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
