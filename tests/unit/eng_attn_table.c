/* Tables of tiles and runs for attention on the device, against the lists they come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef TD_CUDA
#include "base/rng.h"
#include "ops/cuda/attn_table.h"

enum { ROWS = 60, GROUPS = 5 };

/* seen[q][k]: how often query row q meets key row k; bias of the last time. */
typedef struct sight {
  int seen[ROWS][ROWS];
  float bias[ROWS][ROWS];
} sight;

static void meet(sight *s, int64_t q, int64_t k, float bias) {
  s->seen[q][k]++;
  s->bias[q][k] = bias;
}

static void expect_sight(const attn_group *g, int n, int64_t from, sight *s) {
  for (int i = 0; i < n; i++)
    for (int a = 0; a < g[i].nq; a++)
      for (int b = 0; b < g[i].nk; b++)
        for (int64_t q = g[i].q[a].r0; q < g[i].q[a].r1; q++)
          for (int64_t k = g[i].k[b].r0; k < g[i].k[b].r1; k++)
            if (k >= from) meet(s, q, k, g[i].k[b].bias);
}

/* Rows of tiles are in one tile only; what they meet goes to `s`, turned round for tiles of keys. */
static void tile_sight(const attn_table *t, const attn_tile *tiles, int64_t n, int keys, int64_t rows, sight *s) {
  int owner[ROWS] = {0};
  for (int64_t i = 0; i < n; i++) {
    assert_true(tiles[i].rows >= 1 && tiles[i].rows <= rows);
    assert_true(tiles[i].from >= 0 && tiles[i].from < tiles[i].to && tiles[i].to <= t->n_runs);
    for (int64_t r = tiles[i].row; r < tiles[i].row + tiles[i].rows; r++) {
      if (owner[r]++) fail_msg("row %d has two tiles", (int)r);
      for (int64_t j = tiles[i].from; j < tiles[i].to; j++)
        for (int64_t o = t->runs[j].row; o < t->runs[j].row + t->runs[j].rows; o++)
          meet(s, keys ? o : r, keys ? r : o, t->runs[j].bias);
    }
  }
}

static void same_sight(const char *what, const sight *a, const sight *b) {
  int any = 0;
  for (int q = 0; q < ROWS; q++)
    for (int k = 0; k < ROWS; k++) {
      any |= a->seen[q][k];
      if (a->seen[q][k] != b->seen[q][k] || memcmp(&a->bias[q][k], &b->bias[q][k], sizeof(float)))
        fail_msg("%s: query %d meets key %d %d times, not %d", what, q, k, b->seen[q][k], a->seen[q][k]);
    }
  if (!any) fail_msg("%s: nothing to compare", what);
}

static int64_t below(uint32_t tag, int64_t n) {
  return (int64_t)rng_below((rng){.seed = 8, .stream = RNG_TEST, .sub = tag}, 0, (uint64_t)n);
}

/* Queries of the groups apart, keys anywhere; three spans at most. */
static void random_groups(uint32_t seed, attn_group *g) {
  for (int i = 0; i < GROUPS; i++) {
    int64_t q = 12 * i, k = below(seed + (uint32_t)i, 20);
    g[i] = (attn_group){.nq = 1 + (int)below(seed + 10 + (uint32_t)i, 2),
                        .nk = 1 + (int)below(seed + 20 + (uint32_t)i, 3)};
    for (int j = 0; j < g[i].nq; j++, q += 6)
      g[i].q[j] = (attn_span){q, q + 1 + below(seed + 30 + (uint32_t)(5 * j + i), 5), 0};
    for (int j = 0; j < g[i].nk; j++) {
      int64_t end = k + 1 + below(seed + 50 + (uint32_t)(5 * j + i), 12);
      g[i].k[j] = (attn_span){k, end, (float)below(seed + 70 + (uint32_t)(5 * j + i), 4) / 4};
      k = end + below(seed + 90 + (uint32_t)(5 * j + i), 2);
    }
  }
}

static void test_sight(void **state) {
  (void)state;
  attn_table t = {0};
  err e = {0};
  for (uint32_t seed = 0; seed < 40; seed++) {
    attn_group g[GROUPS];
    int64_t from = below(seed + 500, 15), rows = 1 + below(seed + 501, 7);
    sight want = {0}, got = {0}, want_keys = {0}, got_keys = {0};
    random_groups(1000 + 128 * seed, g);
    assert_int_equal(attn_table_queries(&e, &t, g, GROUPS, rows), OK);
    assert_int_equal(t.n_keys, 0);
    op_attn_bwd_args a = {.groups = g, .n_groups = GROUPS, .kv_from = from};
    assert_int_equal(attn_table_keys(&e, &t, &a, rows), OK);
    expect_sight(g, GROUPS, 0, &want);
    tile_sight(&t, t.queries, t.n_queries, 0, rows, &got);
    same_sight("tiles of queries", &want, &got);
    expect_sight(g, GROUPS, from, &want_keys);
    tile_sight(&t, t.keys, t.n_keys, 1, rows, &got_keys);
    same_sight("tiles of keys", &want_keys, &got_keys);
  }
  attn_table_free(&t);
}

static const attn_group mixed[] = {
    {.nq = 2, .nk = 3, .q = {{0, 7, 0}, {8, 41, 0}}, .k = {{0, 7, 0}, {8, 41, 0}, {41, 97, -1}}},
    {.nq = 1, .nk = 3, .q = {{41, 97, 0}}, .k = {{41, 97, .5F}, {0, 7, 0}, {8, 41, -.25F}}},
};

/* Runs come in the order of the lists: sums have one order. */
static void test_order(void **state) {
  (void)state;
  attn_table t = {0};
  err e = {0};
  op_attn_bwd_args a = {.groups = mixed, .n_groups = 2, .kv_from = 20};
  assert_int_equal(attn_table_queries(&e, &t, mixed, 2, 32), OK);
  assert_int_equal(attn_table_keys(&e, &t, &a, 32), OK);
  const attn_tile queries[] = {{0, 7, 0, 3}, {8, 32, 0, 3}, {40, 1, 0, 3}, {41, 32, 3, 6}, {73, 24, 3, 6}};
  const attn_tile keys[] = {{20, 21, 6, 9}, {41, 32, 9, 12}, {73, 24, 9, 12}};
  const attn_run runs[] = {{0, 7, 0, 0},       {8, 33, 0, 0},     {41, 56, -1, 0}, {41, 56, .5F, 0},
                           {0, 7, 0, 0},       {8, 33, -.25F, 0}, {0, 7, 0, 0},    {8, 33, 0, 0},
                           {41, 56, -.25F, 0}, {0, 7, -1, 0},     {8, 33, -1, 0},  {41, 56, .5F, 0}};
  assert_int_equal(t.n_queries, 5);
  assert_int_equal(t.n_keys, 3);
  assert_int_equal(t.n_runs, 12);
  assert_memory_equal(t.queries, queries, sizeof queries);
  assert_memory_equal(t.keys, keys, sizeof keys);
  assert_memory_equal(t.runs, runs, sizeof runs);
  attn_table_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sight), cmocka_unit_test(test_order)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  printf("skipped: built without the cuda backend\n");
  return 77;
}
#endif
