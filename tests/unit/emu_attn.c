/* Attention of the cuda backend, on the emulated device. fp32: within 1e-5 of the largest value of plain double sums,
 * the bound that the cpu backend keeps to in eng_attn. bf16: at most twice the error of attention that rounds only
 * what bf16 must round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dlfcn.h>

#include "../emu/emu.h"
#include "attn_device.h"
#include "tiny_model.h"

static const dtype both[2] = {DT_REAL, DT_BF16};

static void open_cuda(ctx *c, dtype storage) {
  *c = (ctx){0};
  if (ctx_open(c, &(ctx_options){.backend = "cuda", .storage = storage}) != OK) fail_msg("%s", c->err.text);
}

static void judge_new(ctx *c, scene s, dtype t) {
  scene_judge(c, &s, t);
  scene_free(&s);
}

/* n queries; keys: these rows in two biased spans, and two more. Row n is in no list. */
static attn_group sized(int64_t n) {
  attn_group g = {.nq = 1, .nk = 2, .q = {SPAN(0, n, 0)}, .k = {SPAN(0, n, .5), SPAN(n + 1, n + 3, -.25)}};
  if (n > 4) {
    g.nk = 3;
    g.k[2] = g.k[1];
    g.k[0].r1 = n - n / 3;
    g.k[1] = (attn_span)SPAN(n - n / 3, n, 0);
  }
  return g;
}

static void test_sizes(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 31, 32, 33, 63, 64, 65, 127, 128, 129};
  for (int k = 0; k < 2; k++) {
    ctx c;
    open_cuda(&c, both[k]);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
      attn_group g = sized(sizes[i]);
      judge_new(&c, scene_padded(sizes[i] + 3, 1 + (int)i % 3, 64, &g, 1, even_pads), both[k]);
    }
    ctx_close(&c);
  }
}

/* Runs of whole chunks with others behind them. */
static void test_whole_chunks(void **state) {
  (void)state;
  const attn_group g = {.nq = 2,
                        .nk = 3,
                        .q = {SPAN(0, 64, 0), SPAN(65, 70, 0)},
                        .k = {SPAN(0, 64, .5), SPAN(64, 128, 0), SPAN(129, 131, -.5)}};
  for (int k = 0; k < 2; k++) {
    ctx c;
    open_cuda(&c, both[k]);
    judge_new(&c, scene_padded(132, 1, 64, &g, 1, even_pads), both[k]);
    ctx_close(&c);
  }
}

/* Head sizes of the plain kernels, in rows that begin anywhere and in rows that begin at vectors. */
static void test_dims(void **state) {
  (void)state;
  static const int dims[] = {8, 17, 24, 64, 72, 128};
  attn_group g = sized(45);
  for (int k = 0; k < 2; k++) {
    ctx c;
    open_cuda(&c, both[k]);
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
      judge_new(&c, scene_new(48, 2, dims[i], &g, 1), both[k]);
      judge_new(&c, scene_padded(48, 2, dims[i], &g, 1, even_pads), both[k]);
    }
    ctx_close(&c);
  }
}

/* Several groups with biases; gradients of some queries only, and of keys from a row on, which lies inside a span. */
static void test_parts(void **state) {
  (void)state;
  const attn_group some[] = {
      {.nq = 1, .nk = 3, .q = {SPAN(20, 41, 0)}, .k = {SPAN(0, 7, 0), SPAN(8, 41, 0), SPAN(41, 97, -1)}},
      {.nq = 1, .nk = 3, .q = {SPAN(50, 97, 0)}, .k = {SPAN(41, 97, .5), SPAN(0, 7, 0), SPAN(8, 41, -.25)}},
  };
  for (int k = 0; k < 2; k++) {
    ctx c;
    open_cuda(&c, both[k]);
    for (int64_t from = 0; from <= 97; from += from < 60 ? 20 : 37) {
      scene s = scene_padded(97, 2, 64, mixed, 2, even_pads);
      if (from) s.back = some;
      s.kv_from = from;
      judge_new(&c, s, both[k]);
    }
    ctx_close(&c);
  }
}

/* Logits far apart; in bf16 also beyond what exp can hold, where fp32 is no longer good for 1e-5. */
static void test_extreme(void **state) {
  (void)state;
  static const struct {
    dtype storage;
    float bias[2];
  } want[] = {{DT_REAL, {50, -50}}, {DT_BF16, {50, -50}}, {DT_BF16, {200, 120}}, {DT_BF16, {-300, -290}}};
  for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
    attn_group g = {.nq = 1, .nk = 2, .q = {SPAN(0, 70, 0)}, .k = {SPAN(0, 35, 0), SPAN(35, 70, 0)}};
    ctx c;
    g.k[0].bias = want[i].bias[0], g.k[1].bias = want[i].bias[1];
    open_cuda(&c, want[i].storage);
    judge_new(&c, scene_padded(70, 1, 64, &g, 1, even_pads), want[i].storage);
    ctx_close(&c);
  }
}

/* Every key far from every query: a row of zeros, which is what lies behind the last key or query, would be near. */
static void test_opposed(void **state) {
  (void)state;
  attn_group g = sized(70);
  for (int k = 0; k < 2; k++) {
    ctx c;
    open_cuda(&c, both[k]);
    scene s = scene_padded(73, 1, 64, &g, 1, even_pads);
    for (int64_t i = 0; i < 73 * 64; i++) {
      mat_set(&s.q, i / 64, i % 64, 4 + (i % 5 == 0 ? 0.25 : 0));
      mat_set(&s.k, i / 64, i % 64, -4 - (i % 7 == 0 ? 0.125 : 0));
    }
    scene_device(&c, &s, both[k]);
    marks m = marks_new(&s);
    const mat *out[] = {&s.o, &s.dq, &s.dk, &s.dv};
    for (int i = 0; i < 4; i++)
      for (int64_t e = 0; e < 73 * 64; e++)
        if ((i < 2 ? m.query : m.key)[e / 64] && !(fabs((double)mat_at(out[i], e / 64, e % 64)) < 100))
          fail_msg("output %d, row %d: %g", i, (int)(e / 64), (double)mat_at(out[i], e / 64, e % 64));
    free(m.query);
    scene_free(&s);
    ctx_close(&c);
  }
}

static void set_integers(mat *m) {
  for (int64_t r = 0; r < m->v.rows; r++)
    for (int64_t c = 0; c < m->v.cols; c++) mat_set(m, r, c, (double)((r * 31 + c * 7) % 17 - 8));
}

/* One key has weight one: the output is its value, bit by bit. */
static void test_single(void **state) {
  (void)state;
  attn_group g = {.nq = 1, .nk = 1, .q = {SPAN(0, 37, 0)}, .k = {SPAN(38, 39, .7)}};
  for (int k = 0; k < 2; k++) {
    ctx c;
    open_cuda(&c, both[k]);
    scene s = scene_padded(40, 2, 64, &g, 1, even_pads);
    scene_round(&s, both[k]);
    set_integers(&s.v);
    set_integers(&s.g);
    scene_device(&c, &s, both[k]);
    for (int64_t i = 0; i < 128; i++) {
      double sum = 0;
      for (int64_t r = 0; r < 37; r++) {
        assert_true(mat_at(&s.o, r, i) == mat_at(&s.v, 38, i));
        assert_true(fabs((double)mat_at(&s.dq, r, i)) < 1e-4);
        sum += (double)mat_at(&s.g, r, i);
      }
      if (both[k] == DT_BF16) assert_true((double)mat_at(&s.dv, 38, i) == round_to(DT_BF16, sum));
      assert_true(fabs((double)mat_at(&s.dv, 38, i) - sum) <= 1e-2 * fabs(sum) + 1e-4);
    }
    scene_free(&s);
    ctx_close(&c);
  }
}

static void scene_same(const char *what, const scene *a, const scene *b) {
  const mat *x[] = {&a->o, &a->lse, &a->dq, &a->dk, &a->dv}, *y[] = {&b->o, &b->lse, &b->dq, &b->dk, &b->dv};
  for (int i = 0; i < 5; i++) same_bits(what, x[i], y[i]);
}

/* A function of the emulated libcuda (fake.h), which is open already; NULL on a real device. */
static void *emulator(const char *name) {
  void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  void *f = lib ? dlsym(lib, name) : NULL;
  if (lib) dlclose(lib);
  return f;
}

/* Again, and with blocks and warps in other orders: the same bits. */
static void test_orders(void **state) {
  (void)state;
  static const uint64_t seeds[] = {0, 0, 11, 12};
  for (int k = 0; k < 2; k++) {
    scene first = {0};
    for (int i = 0; i < 4; i++) {
      ctx c;
      void (*seed)(uint64_t) = NULL;
      open_cuda(&c, both[k]);
      *(void **)&seed = emulator("emuSeed");
      if (seed) seed(seeds[i]);
      scene s = scene_padded(97, 2, 64, mixed, 2, even_pads);
      scene_device(&c, &s, both[k]);
      if (i) scene_same("another order", &first, &s);
      if (i) scene_free(&s);
      if (!i) first = s;
      if (seed) seed(0);
      ctx_close(&c);
    }
    scene_free(&first);
  }
}

static void shift(attn_span *s, int n, int64_t by) {
  for (int i = 0; i < n; i++) s[i].r0 += by, s[i].r1 += by;
}

/* A sample's rows in a batch of three have the bits they have alone. */
static void test_batch(void **state) {
  (void)state;
  attn_group g[6];
  for (int i = 0; i < 6; i++) {
    g[i] = mixed[i % 2];
    shift(g[i].q, g[i].nq, 97 * (i / 2));
    shift(g[i].k, g[i].nk, 97 * (i / 2));
  }
  for (int k = 0; k < 2; k++) {
    ctx c;
    open_cuda(&c, both[k]);
    scene all = scene_padded(3 * 97, 2, 64, g, 6, even_pads);
    scene_device(&c, &all, both[k]);
    for (int64_t sample = 0; sample < 3; sample++) {
      scene one = scene_padded(97, 2, 64, mixed, 2, even_pads);
      const mat *in[] = {&all.q, &all.k, &all.v, &all.g}, *x[] = {&all.o, &all.dq, &all.dk, &all.dv};
      mat *to[] = {&one.q, &one.k, &one.v, &one.g}, *y[] = {&one.o, &one.dq, &one.dk, &one.dv};
      for (int i = 0; i < 4; i++)
        for (int64_t e = 0; e < 97 * 128; e++)
          mat_set(to[i], e / 128, e % 128, (double)mat_at(in[i], 97 * sample + e / 128, e % 128));
      scene_device(&c, &one, both[k]);
      for (int i = 0; i < 4; i++)
        for (int64_t e = 0; e < 97 * 128; e++)
          if (e / 128 != 7 && mat_at(y[i], e / 128, e % 128) != mat_at(x[i], 97 * sample + e / 128, e % 128))
            fail_msg("output %d of sample %d: row %d differs", i, (int)sample, (int)(e / 128));
      scene_free(&one);
    }
    scene_free(&all);
    ctx_close(&c);
  }
}

/* One list of groups of a model: forward over all, backward over the live ones. */
static void judge_groups(ctx *c, const tiny *t, int last, dtype type) {
  const geom *g = &t->g;
  scene s = scene_padded(g->rows, 1, 64, last ? g->last_groups : g->groups, last ? g->n_last_groups : g->n_groups,
                         even_pads);
  s.back = last ? g->last_live_groups : g->live_groups;
  s.n_back = last ? g->n_last_live_groups : g->n_live_groups;
  s.kv_from = g->live;
  assert_true(s.n_groups > 0 && s.n_back > 0);
  judge_new(c, s, type);
}

/* The groups of every design, a batch of two. */
static void test_designs(void **state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    ctx c;
    open_cuda(&c, both[k]);
    for (const char *const *d = tiny_designs(); *d; d++) {
      tiny t;
      tiny_open(&t, &(tiny_options){.design = *d, .rotary = 1, .trainable = 1}, 3);
      if (t.g.n_live_groups) judge_groups(&c, &t, 0, both[k]);
      if (t.g.n_last_live_groups) judge_groups(&c, &t, 1, both[k]);
      tiny_close(&t);
    }
    ctx_close(&c);
  }
}

static struct {
  const ops *real;
  int uploads, allocs;
} counted;

static int count_upload(ctx *c, void *dst, const void *host, size_t bytes) {
  counted.uploads++;
  return counted.real->upload(c, dst, host, bytes);
}
static int count_alloc(ctx *c, size_t bytes, void **out) {
  counted.allocs++;
  return counted.real->alloc(c, bytes, out);
}

/* More different tables than the backend keeps, in turn; a table asked for again at once is not sent again. */
static void test_tables(void **state) {
  (void)state;
  ctx c;
  open_cuda(&c, DT_REAL);
  ops table = *c.ops;
  counted.real = c.ops;
  table.upload = count_upload, table.alloc = count_alloc;
  c.ops = &table;
  for (int turn = 0; turn < 24; turn++) {
    int64_t n = 3 + turn / 2 % 9;
    attn_group g = sized(n);
    scene s = scene_padded(n + 3, 1, 16, &g, 1, even_pads);
    counted.uploads = counted.allocs = 0;
    scene_judge(&c, &s, DT_REAL);
    int again = turn % 2;
    assert_int_equal(counted.uploads, IMAGES + (again ? 0 : 2));
    assert_true(counted.allocs >= IMAGES && (counted.allocs == IMAGES || !again));
    scene_free(&s);
  }
  c.ops = counted.real;
  ctx_close(&c);
}

typedef int read_counters(const char *kernel, emu_counters *out);

/* What one more launch of a kernel added to its counters. */
static emu_counters since(read_counters *read, const char *kernel, const emu_counters *before) {
  emu_counters n = {0};
  if (read(kernel, &n) != 0) fail_msg("%s: no counters", kernel);
  n.mma -= before->mma, n.local_accesses -= before->local_accesses, n.launches -= before->launches;
  n.shared_phases -= before->shared_phases, n.shared_waves -= before->shared_waves;
  n.global_requests -= before->global_requests, n.global_sectors -= before->global_sectors;
  n.global_ideal -= before->global_ideal;
  if (n.launches != 1) fail_msg("%s: %d launches", kernel, (int)n.launches);
  if (!n.shared_phases || !n.global_requests) fail_msg("%s: nothing was counted", kernel);
  return n;
}

/* No bank conflicts, no more sectors than the bytes fill, nothing in local memory; the tensor cores do exactly the
 * products of the tiles: 512 instructions for 128 queries, 64 keys and two products, 128 for each of a backward tile.
 */
static void test_counters(void **state) {
  (void)state;
  static const struct {
    const char *kernel;
    dtype storage;
    uint64_t mma; /* 2 heads, 150 queries in tiles of 128 or 64, keys of 100 + 50 + 2 in chunks or tiles of 64 */
  } want[] = {{"attn_fwd_mma", DT_BF16, 2 * 2 * 4 * 512},
              {"attn_keys_mma", DT_BF16, 2 * 4 * 3 * 4 * 128},
              {"attn_queries_mma", DT_BF16, 2 * 3 * 4 * 3 * 128},
              {"attn_fwd_f32_64", DT_REAL, 0},
              {"attn_keys_f32_64", DT_REAL, 0},
              {"attn_queries_f32_64", DT_REAL, 0}};
  attn_group g = sized(150);
  for (int k = 0; k < 2; k++) {
    ctx c;
    read_counters *read = NULL;
    void (*count)(int) = NULL;
    open_cuda(&c, both[k]);
    *(void **)&read = emulator("emuCounters");
    *(void **)&count = emulator("emuCount");
    if (!read || !count) {
      ctx_close(&c);
      skip();
    }
    count(1);
    scene s = scene_padded(153, 2, 64, &g, 1, even_pads);
    emu_counters before[sizeof want / sizeof want[0]] = {{0}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) (void)read(want[i].kernel, &before[i]);
    scene_device(&c, &s, both[k]);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
      if (want[i].storage != both[k]) continue;
      emu_counters n = since(read, want[i].kernel, &before[i]);
      if (n.mma != want[i].mma) fail_msg("%s: %d mma", want[i].kernel, (int)n.mma);
      if (n.shared_waves != n.shared_phases) fail_msg("%s: bank conflicts", want[i].kernel);
      if (n.global_sectors > n.global_ideal) fail_msg("%s: wasted sectors", want[i].kernel);
      if (n.local_accesses) fail_msg("%s: local memory", want[i].kernel);
    }
    count(0);
    scene_free(&s);
    ctx_close(&c);
  }
}

static void test_refusals(void **state) {
  (void)state;
  attn_group g = {.nq = 1, .nk = 1, .q = {SPAN(0, 4, 0)}, .k = {SPAN(0, 4, 0)}};
  ctx c;
  open_cuda(&c, DT_REAL);
  scene s = scene_new(4, 1, 136, &g, 1);
  op_attn_args a = {.q = s.q.v, .k = s.k.v, .v = s.v.v, .o = s.o.v, .lse = s.lse.v};
  a.groups = &g, a.n_groups = 1, a.dim = 136;
  check_error(&c, op_attn(&c, &a), E_UNSUPPORTED, "op_attn: head dim 136, at most 128");
  scene_free(&s);
  ctx_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_whole_chunks), cmocka_unit_test(test_sizes),   cmocka_unit_test(test_dims),
      cmocka_unit_test(test_parts),        cmocka_unit_test(test_extreme), cmocka_unit_test(test_opposed),
      cmocka_unit_test(test_single),       cmocka_unit_test(test_orders),  cmocka_unit_test(test_batch),
      cmocka_unit_test(test_tables),       cmocka_unit_test(test_designs), cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_counters)};
  ctx c = {0};
  int rc = ctx_open(&c, &(ctx_options){.backend = "cuda"});
  if (rc != OK) printf("skipped: %s\n", c.err.text);
  ctx_close(&c);
  return rc == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
