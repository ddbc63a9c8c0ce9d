/* Attention against plain double sums, over lists of spans; included by the float and by the double program. */
#ifndef TD_TESTS_ATTN_CASES_H
#define TD_TESTS_ATTN_CASES_H

#include <math.h>
#include <stdlib.h>

#include "attn_plain.h"
#include "golden.h"
#include "kernel_ctx.h"

static void scene_forward(ctx *c, scene *s) {
  op_attn_args a = {.q = s->q.v, .k = s->k.v, .v = s->v.v, .o = s->o.v, .lse = s->lse.v};
  a.groups = s->groups, a.n_groups = s->n_groups, a.dim = s->dim;
  must(c, op_attn(c, &a));
}

static void scene_backward(ctx *c, scene *s) {
  op_attn_bwd_args b = {.q = s->q.v, .k = s->k.v, .v = s->v.v, .o = s->o.v, .lse = s->lse.v, .d_o = s->g.v};
  b.dq = s->dq.v, b.dk = s->dk.v, b.dv = s->dv.v, b.delta = s->delta.v;
  b.groups = s->back, b.n_groups = s->n_back, b.dim = s->dim, b.kv_from = s->kv_from;
  must(c, op_attn_bwd(c, &b));
}

/* Written rows agree with `want` to `limit`, the others still hold NaN. `by_row`: rows of the matrix are columns. */
static void compare_rows(const char *what, const mat *got, const double *want, const char *written, int by_col,
                         double limit) {
  double worst = 0, scale = 0;
  mat_guards(what, got);
  for (int64_t r = 0; r < got->v.rows; r++) {
    for (int64_t c = 0; c < got->v.cols; c++) {
      double x = (double)mat_at(got, r, c), y = want[r * got->v.cols + c];
      if (!written[by_col ? c : r]) {
        if (!isnan(x)) fail_msg("%s: element %d %d was written", what, (int)r, (int)c);
        continue;
      }
      if (!isfinite(x)) fail_msg("%s: element %d %d is %g", what, (int)r, (int)c, x);
      worst = fmax(worst, fabs(x - y));
      scale = fmax(scale, fabs(y));
    }
  }
  if (!(scale > 0)) fail_msg("%s: the reference is all zero", what);
  check_below(what, worst / scale, limit);
}

static void scene_check(ctx *c, scene *s, double limit) {
  plain p = plain_new(s);
  char *query = calloc((size_t)s->rows, 3), *back = query + s->rows, *key = back + s->rows;
  scene_forward(c, s);
  scene_backward(c, s);
  plain_forward(s, &p);
  plain_backward(s, &p);
  mark(s->groups, s->n_groups, 0, 0, query);
  mark(s->back, s->n_back, 0, 0, back);
  mark(s->back, s->n_back, 1, s->kv_from, key);
  compare_rows("o", &s->o, p.o, query, 0, limit);
  compare_rows("lse", &s->lse, p.lse, query, 1, limit);
  compare_rows("dq", &s->dq, p.dq, back, 0, 2 * limit);
  compare_rows("dk", &s->dk, p.dk, key, 0, 2 * limit);
  compare_rows("dv", &s->dv, p.dv, key, 0, 2 * limit);
  mat_guards("delta", &s->delta);
  free(query);
  plain_free(&p);
}

static void test_dims(void **state) {
  (void)state;
  static const int dims[] = {8, 24, 64, 72, 128};
  ctx c;
  open_best(&c);
  for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
    scene s = scene_new(97, 2, dims[i], mixed, 2);
    scene_check(&c, &s, REL_TIGHT);
    scene_free(&s);
  }
  ctx_close(&c);
}

static void test_sizes(void **state) {
  (void)state;
  static const int64_t sizes[] = {2, 5, 6, 7, 11, 12, 13, 31, 32, 33, 95, 96, 97, 319, 321};
  static const char *const levels[] = {"v2", "v3", "v4", "generic"};
  for (size_t l = 0; l < 4; l++) {
    ctx c;
    if (!open_level(&c, levels[l], 2)) continue;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
      int64_t n = sizes[i];
      attn_group g = {.nq = 1, .nk = 1, .q = {SPAN(0, n, 0)}, .k = {SPAN(0, n, 0)}};
      scene s = scene_new(n + 3, 1, 64, &g, 1);
      scene_check(&c, &s, REL_TIGHT);
      scene_free(&s);
    }
    ctx_close(&c);
  }
}

/* One key: the output is its value, the probability's gradient is nothing. */
static void test_single(void **state) {
  (void)state;
  attn_group g = {.nq = 1, .nk = 1, .q = {SPAN(0, 1, 0)}, .k = {SPAN(0, 1, .5)}};
  ctx c;
  open_best(&c);
  scene s = scene_new(1, 1, 24, &g, 1);
  scene_forward(&c, &s);
  scene_backward(&c, &s);
  for (int64_t i = 0; i < 24; i++) {
    assert_true(mat_at(&s.o, 0, i) == mat_at(&s.v, 0, i));
    assert_true(fabs((double)(mat_at(&s.dv, 0, i) - mat_at(&s.g, 0, i))) < 1e-6);
    assert_true(fabs((double)mat_at(&s.dq, 0, i)) < 1e-6);
    assert_true(fabs((double)mat_at(&s.dk, 0, i)) < 1e-6);
  }
  scene_free(&s);
  ctx_close(&c);
}

static void test_too_wide(void **state) {
  (void)state;
  attn_group g = {.nq = 1, .nk = 1, .q = {SPAN(0, 4, 0)}, .k = {SPAN(0, 4, 0)}};
  ctx c;
  open_best(&c);
  scene s = scene_new(4, 1, 136, &g, 1);
  op_attn_args a = {.q = s.q.v, .k = s.k.v, .v = s.v.v, .o = s.o.v, .lse = s.lse.v};
  a.groups = &g, a.n_groups = 1, a.dim = 136;
  check_error(&c, op_attn(&c, &a), E_UNSUPPORTED, "op_attn: head dim 136, at most 128");
  scene_free(&s);
  ctx_close(&c);
}

/* More keys than a block and more queries than a stretch, in both passes. */
static void test_long(void **state) {
  (void)state;
  attn_group g[] = {
      {.nq = 1, .nk = 2, .q = {SPAN(0, 801, 0)}, .k = {SPAN(300, 1045, 0), SPAN(0, 250, -.5)}},
      {.nq = 1, .nk = 1, .q = {SPAN(801, 1045, 0)}, .k = {SPAN(200, 1045, 0)}},
  };
  ctx c;
  open_best(&c);
  scene s = scene_new(1045, 1, 16, g, 2);
  scene_check(&c, &s, REL_TIGHT);
  scene_free(&s);
  ctx_close(&c);
}

/* Gradients of some queries only, and of keys from a row on, which lies inside a span. */
static void test_parts(void **state) {
  (void)state;
  const attn_group back[] = {
      {.nq = 1, .nk = 3, .q = {SPAN(20, 41, 0)}, .k = {SPAN(0, 7, 0), SPAN(8, 41, 0), SPAN(41, 97, -1)}},
      {.nq = 1, .nk = 3, .q = {SPAN(50, 97, 0)}, .k = {SPAN(41, 97, .5), SPAN(0, 7, 0), SPAN(8, 41, -.25)}},
  };
  ctx c;
  open_best(&c);
  scene s = scene_new(97, 2, 64, mixed, 2);
  s.back = back;
  for (s.kv_from = 0; s.kv_from <= 60; s.kv_from += 20) {
    check_nan(s.dk.v.p, 0);
    for (int64_t r = 0; r < 97; r++) {
      check_nan((real *)s.dk.v.p + r * s.dk.v.ld, 128);
      check_nan((real *)s.dv.v.p + r * s.dv.v.ld, 128);
    }
    scene_check(&c, &s, REL_TIGHT);
  }
  scene_free(&s);
  ctx_close(&c);
}

/* Scores far apart: a shift of all logits must not overflow, and keys far below the largest get weight zero. */
static void test_extreme(void **state) {
  (void)state;
  attn_group g = {.nq = 1, .nk = 2, .q = {SPAN(0, 20, 0)}, .k = {SPAN(0, 10, 50), SPAN(10, 20, -50)}};
  ctx c;
  open_best(&c);
  scene s = scene_new(20, 1, 64, &g, 1);
  scene_check(&c, &s, REL_TIGHT);
  scene_free(&s);
  ctx_close(&c);
}

/* `copies` samples of 97 rows, segment after segment as the model lays them out is not needed here: one after
 * another. */
static void repeat(const attn_group *from, int n, int copies, attn_group *to) {
  for (int i = 0; i < copies * n; i++) {
    int64_t shift = 97 * (i / n);
    to[i] = from[i % n];
    for (int j = 0; j < to[i].nq; j++) to[i].q[j].r0 += shift, to[i].q[j].r1 += shift;
    for (int j = 0; j < to[i].nk; j++) to[i].k[j].r0 += shift, to[i].k[j].r1 += shift;
  }
}

static void scene_same(const char *what, const scene *a, const scene *b) {
  const mat *x[] = {&a->o, &a->lse, &a->dq, &a->dk, &a->dv}, *y[] = {&b->o, &b->lse, &b->dq, &b->dk, &b->dv};
  for (int i = 0; i < 5; i++) same_bits(what, x[i], y[i]);
}

static void test_threads_and_levels(void **state) {
  (void)state;
  static const struct {
    const char *isa;
    int threads;
  } runs[] = {{"v4", 1}, {"v4", 2}, {"v4", 3}, {"v3", 1}, {"v3", 3}};
  attn_group g[6];
  scene first = {0};
  int have = 0;
  repeat(mixed, 2, 3, g);
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
    ctx c;
    if (!open_level(&c, runs[i].isa, runs[i].threads)) continue;
    scene s = scene_new(3 * 97, 3, 64, g, 6);
    scene_forward(&c, &s);
    scene_backward(&c, &s);
    if (have) {
      scene_same(runs[i].isa, &first, &s);
      scene_free(&s);
    } else {
      first = s;
      have = 1;
    }
    ctx_close(&c);
  }
  if (!have) skip();
  scene_free(&first);
}

/* A sample's rows in a batch of three have the bits they have alone. */
static void test_batch(void **state) {
  (void)state;
  attn_group g[6];
  ctx c;
  open_best(&c);
  repeat(mixed, 2, 3, g);
  scene all = scene_new(3 * 97, 2, 64, g, 6), one = scene_new(97, 2, 64, mixed, 2);
  const mat *in[] = {&all.q, &all.k, &all.v, &all.g}, *to[] = {&one.q, &one.k, &one.v, &one.g};
  const mat *x[] = {&all.o, &all.dq, &all.dk, &all.dv}, *y[] = {&one.o, &one.dq, &one.dk, &one.dv};
  scene_forward(&c, &all);
  scene_backward(&c, &all);
  for (int sample = 0; sample < 3; sample++) {
    for (int i = 0; i < 4; i++) must(&c, op_copy(&c, to[i]->v, view_rows(in[i]->v, 97 * sample, 97)));
    scene_forward(&c, &one);
    scene_backward(&c, &one);
    for (int64_t r = 0; r < 97; r++) {
      for (int i = 0; i < 4 && r != 7; i++) {
        const real *p = (const real *)x[i]->v.p + (97 * sample + r) * x[i]->v.ld;
        if (memcmp(p, (const real *)y[i]->v.p + r * y[i]->v.ld, 128 * sizeof(real))) fail_msg("output %d", i);
      }
    }
  }
  scene_free(&all);
  scene_free(&one);
  ctx_close(&c);
}

static void load_golden(st_file *f, const char *mask, const char *part, mat *to) {
  char name[64];
  snprintf(name, sizeof name, "attention.%s.%s", mask, part);
  const st_tensor *t = st_find(f, name);
  if (!t) fail_msg("%s: not in the golden file", name);
  /* [1, 2, 14, 64], heads before rows, or [1, 14, 128] */
  for (int64_t i = 0; i < t->count; i++) {
    int64_t h = i / (14 * 64), r = i / 64 % 14, c = i % 64;
    if (t->rank == 4) mat_set(to, r, h * 64 + c, dtype_get(t->type, t->data, i));
    if (t->rank == 3) mat_set(to, i / 128, i % 128, dtype_get(t->type, t->data, i));
  }
}

/* The golden results are doubles; through dtype_get, not through mat_set, which rounds to float. */
static void compare_golden(st_file *f, const char *mask, const char *part, const mat *got) {
  char name[64];
  snprintf(name, sizeof name, "attention.%s.%s", mask, part);
  const st_tensor *t = st_find(f, name);
  if (!t) fail_msg("%s: not in the golden file", name);
  double *want = calloc((size_t)t->count, 8);
  for (int64_t i = 0; i < t->count; i++) {
    int64_t h = i / (14 * 64), r = i / 64 % 14, c = i % 64;
    want[t->rank == 4 ? r * 128 + h * 64 + c : i] = dtype_get(t->type, t->data, i);
  }
  check_below(name, mat_rel(name, got, want), REL_TIGHT);
  free(want);
}

/* Groups of 4 text, 5 RGB and 5 alpha rows. */
static void test_golden(void **state) {
  (void)state;
  const attn_span text = SPAN(0, 4, 0), rgb = SPAN(4, 9, 0), alpha = SPAN(9, 14, 0), soft = SPAN(9, 14, -1);
  const attn_span all = SPAN(0, 14, 0), seen = SPAN(0, 9, 0), video = SPAN(4, 14, 0);
  const struct {
    const char *mask;
    int n;
    attn_group g[2];
  } masks[] = {
      {"none", 1, {{.nq = 1, .nk = 1, .q = {all}, .k = {all}}}},
      {"hard", 2, {{.nq = 1, .nk = 1, .q = {text}, .k = {seen}}, {.nq = 1, .nk = 1, .q = {video}, .k = {all}}}},
      {"soft",
       2,
       {{.nq = 1, .nk = 3, .q = {text}, .k = {text, rgb, soft}}, {.nq = 1, .nk = 1, .q = {video}, .k = {all}}}},
      {"rgb_blind",
       2,
       {{.nq = 2, .nk = 1, .q = {text, rgb}, .k = {seen}}, {.nq = 1, .nk = 1, .q = {alpha}, .k = {all}}}},
  };
  st_file *f = NULL;
  ctx c;
  open_best(&c);
  must(&c, st_open(&c.err, golden_path("ops.safetensors"), &f));
  for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
    scene s = scene_new(14, 2, 64, masks[i].g, masks[i].n);
    load_golden(f, masks[i].mask, "q", &s.q);
    load_golden(f, masks[i].mask, "k", &s.k);
    load_golden(f, masks[i].mask, "v", &s.v);
    load_golden(f, masks[i].mask, "dy", &s.g);
    scene_forward(&c, &s);
    scene_backward(&c, &s);
    compare_golden(f, masks[i].mask, "y", &s.o);
    compare_golden(f, masks[i].mask, "d_q", &s.dq);
    compare_golden(f, masks[i].mask, "d_k", &s.dk);
    compare_golden(f, masks[i].mask, "d_v", &s.dv);
    scene_free(&s);
  }
  st_close(f);
  ctx_close(&c);
}

/* Pairs of rows i, n + i. */
static void test_small(void **state) {
  (void)state;
  static const int dims[] = {4, 8, 16, 33, 64};
  for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++) {
    int64_t n = 7;
    int dim = dims[d];
    attn_group g[7];
    for (int64_t i = 0; i < n; i++) {
      g[i] = (attn_group){.nq = 2, .nk = 2, .q = {SPAN(i, i + 1, 0), SPAN(n + i, n + i + 1, 0)}};
      g[i].k[0] = g[i].q[0], g[i].k[1] = g[i].q[1];
    }
    ctx c;
    open_best(&c);
    scene s = scene_new(2 * n, 3, dim, g, 7);
    plain p = plain_new(&s);
    plain_forward(&s, &p);
    plain_backward(&s, &p);
    op_attn_small_args a = {.q = s.q.v, .k = s.k.v, .v = s.v.v, .o = s.o.v, .heads = 3};
    op_attn_small_bwd_args b = {.q = s.q.v, .k = s.k.v, .v = s.v.v, .d_o = s.g.v, .heads = 3};
    b.dq = s.dq.v, b.dk = s.dk.v, b.dv = s.dv.v;
    must(&c, op_attn_small(&c, &a));
    must(&c, op_attn_small_bwd(&c, &b));
    check_below("small o", mat_rel("small o", &s.o, p.o), REL_TIGHT);
    check_below("small dq", mat_rel("small dq", &s.dq, p.dq), REL_TIGHT);
    check_below("small dk", mat_rel("small dk", &s.dk, p.dk), REL_TIGHT);
    check_below("small dv", mat_rel("small dv", &s.dv, p.dv), REL_TIGHT);
    plain_free(&p);
    scene_free(&s);
    ctx_close(&c);
  }
}

static void test_small_bits(void **state) {
  (void)state;
  static const char *const levels[] = {"v4", "v4", "v3"};
  mat first[4] = {{.n = 0}};
  int have = 0;
  for (int i = 0; i < 3; i++) {
    ctx c;
    if (!open_level(&c, levels[i], 1 + i)) continue;
    scene s = scene_new(22, 2, 40, mixed, 0);
    op_attn_small_args a = {.q = s.q.v, .k = s.k.v, .v = s.v.v, .o = s.o.v, .heads = 2};
    op_attn_small_bwd_args b = {.q = s.q.v, .k = s.k.v, .v = s.v.v, .d_o = s.g.v, .heads = 2};
    b.dq = s.dq.v, b.dk = s.dk.v, b.dv = s.dv.v;
    must(&c, op_attn_small(&c, &a));
    must(&c, op_attn_small_bwd(&c, &b));
    const mat *out[] = {&s.o, &s.dq, &s.dk, &s.dv};
    for (int j = 0; j < 4; j++) {
      if (have) same_bits("small", out[j], &first[j]);
      if (!have) first[j] = mat_copy(out[j]);
    }
    have = 1;
    scene_free(&s);
    ctx_close(&c);
  }
  for (int j = 0; j < 4; j++) mat_free(&first[j]);
  if (!have) skip();
}

#define ATTN_CASES                                                                                                   \
  cmocka_unit_test(test_dims), cmocka_unit_test(test_sizes), cmocka_unit_test(test_single),                          \
      cmocka_unit_test(test_too_wide), cmocka_unit_test(test_long), cmocka_unit_test(test_parts),                    \
      cmocka_unit_test(test_extreme), cmocka_unit_test(test_threads_and_levels), cmocka_unit_test(test_batch),       \
      cmocka_unit_test(test_golden), cmocka_unit_test(test_small), cmocka_unit_test(test_small_bits)

#endif
