/* The matrix product against plain double sums; included by the float and by the double program. */
#ifndef TD_TESTS_GEMM_CASES_H
#define TD_TESTS_GEMM_CASES_H

#include <math.h>
#include <stdlib.h>

#include "kernel_ctx.h"

typedef struct product {
  int64_t m, n, k;
  int ta, tb;
  double alpha, beta;
  int bias, pre;
  op_act act;
  int whole; /* small integers: every sum is exact */
} product;

typedef struct operands {
  mat a, b, c, bias, pre;
} operands;

static operands operands_new(const product *p) {
  double hi = p->whole ? 4 : 1;
  operands o = {.a = p->ta ? mat_random(p->k, p->m, 3, 1, -hi, hi) : mat_random(p->m, p->k, 3, 1, -hi, hi),
                .b = p->tb ? mat_random(p->n, p->k, 5, 2, -hi, hi) : mat_random(p->k, p->n, 5, 2, -hi, hi),
                .c = p->beta != 0 ? mat_random(p->m, p->n, 2, 3, -hi, hi) : mat_new(p->m, p->n, 2),
                .bias = mat_random(1, p->n, 0, 4, -hi, hi),
                .pre = mat_new(p->m, p->n, 4)};
  mat *in[] = {&o.a, &o.b, &o.c, &o.bias};
  for (int i = 0; p->whole && i < 4; i++) {
    for (int64_t r = 0; r < in[i]->v.rows; r++) {
      for (int64_t c = 0; c < in[i]->v.cols; c++) mat_set(in[i], r, c, floor((double)mat_at(in[i], r, c)));
    }
  }
  return o;
}

static void operands_free(operands *o) {
  mat *all[] = {&o->a, &o->b, &o->c, &o->bias, &o->pre};
  for (int i = 0; i < 5; i++) mat_free(all[i]);
}

static void run(ctx *c, const product *p, operands *o) {
  op_gemm_args g = {.a = o->a.v, .b = o->b.v, .c = o->c.v, .ta = p->ta, .tb = p->tb, .act = p->act};
  g.alpha = p->alpha, g.beta = p->beta;
  if (p->bias) g.bias = o->bias.v;
  if (p->pre) g.pre = o->pre.v;
  must(c, op_gemm(c, &g));
}

static double plain_act(op_act act, double x) {
  if (act == ACT_GELU_TANH) return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
  return act == ACT_SILU ? x / (1 + exp(-x)) : x;
}

/* pre and result of the operands as they are before the call */
static void plain_product(const product *p, const operands *o, double *pre, double *want) {
  for (int64_t i = 0; i < p->m; i++) {
    for (int64_t j = 0; j < p->n; j++) {
      double sum = 0;
      for (int64_t k = 0; k < p->k; k++) {
        sum += (double)(p->ta ? mat_at(&o->a, k, i) : mat_at(&o->a, i, k)) *
               (double)(p->tb ? mat_at(&o->b, j, k) : mat_at(&o->b, k, j));
      }
      sum *= p->alpha;
      if (p->beta != 0) sum += p->beta * (double)mat_at(&o->c, i, j);
      if (p->bias) sum += (double)mat_at(&o->bias, 0, j);
      pre[i * p->n + j] = sum;
      want[i * p->n + j] = plain_act(p->act, sum);
    }
  }
}

static void check_product(ctx *c, const product *p) {
  char what[128];
  size_t size = (size_t)(p->m * p->n);
  double *pre = calloc(2 * size, 8), *want = pre + size;
  operands o = operands_new(p);
  mat a = mat_copy(&o.a), b = mat_copy(&o.b);
  plain_product(p, &o, pre, want);
  run(c, p, &o);
  snprintf(what, sizeof what, "%s %d %d %d ta %d tb %d beta %g act %d", c->isa, (int)p->m, (int)p->n, (int)p->k,
           p->ta, p->tb, p->beta, (int)p->act);
  check_below(what, mat_rel(what, &o.c, want), p->whole ? 0 : REL_TIGHT);
  if (p->pre) check_below(what, mat_rel(what, &o.pre, pre), p->whole ? 0 : REL_TIGHT);
  mat_unchanged(what, &o.a, &a);
  mat_unchanged(what, &o.b, &b);
  mat_free(&a);
  mat_free(&b);
  operands_free(&o);
  free(pre);
}

static const char *const all_levels[] = {"v2", "v3", "v4", "generic"};

/* Integers: exact, so every way to cut the sum must give the same, at all sizes around the tiles. */
static void test_sizes(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 2, 5, 6, 7, 11, 12, 13, 16, 17, 24, 25, 31, 32, 33, 63, 65};
  for (size_t l = 0; l < 4; l++) {
    ctx c;
    if (!open_level(&c, all_levels[l], 2)) continue;
    for (int i = 0; i < 17 * 17; i++) {
      product p = {.m = sizes[i / 17], .n = sizes[i % 17], .k = sizes[(i * 7) % 17], .whole = 1, .alpha = 1};
      p.ta = i & 1, p.tb = i >> 1 & 1, p.beta = i >> 2 & 1, p.bias = i % 3 == 0;
      if (p.k == 1) p.k = 40; /* one product can be zero everywhere */
      check_product(&c, &p);
    }
    ctx_close(&c);
  }
}

/* Several blocks of k, of rows and of columns; long operands read in place and packed. */
static void test_blocks(void **state) {
  (void)state;
  /* last ones: rows of A a page apart, a narrow product of a large transposed A, more columns than are packed at once
   */
  static const int64_t shapes[][3] = {{37, 50, 513},    {300, 70, 520}, {16, 96, 1100}, {130, 16, 1030},
                                      {40, 1056, 130},  {7, 40, 2050},  {24, 64, 1537}, {40, 520, 1021},
                                      {1021, 16, 1030}, {25, 4200, 600}};
  for (size_t l = 0; l < 4; l++) {
    ctx c;
    if (!open_level(&c, all_levels[l], 3)) continue;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
      for (int t = 0; t < 4; t++) {
        product p = {.m = shapes[i][0], .n = shapes[i][1], .k = shapes[i][2], .ta = t & 1, .tb = t >> 1};
        if (i >= 7 && (t != (i == 8) || l == 0)) continue; /* slow to check */
        p.whole = 1, p.alpha = 2, p.beta = t & 1;
        check_product(&c, &p);
      }
    }
    ctx_close(&c);
  }
}

static void test_epilogue(void **state) {
  (void)state;
  static const op_act acts[] = {ACT_NONE, ACT_GELU_TANH, ACT_SILU};
  for (size_t l = 0; l < 4; l++) {
    ctx c;
    if (!open_level(&c, all_levels[l], 2)) continue;
    for (int i = 0; i < 24; i++) {
      product p = {.m = 45, .n = 70 + i % 3, .k = i & 1 ? 65 : 600, .tb = 1, .act = acts[i % 3]};
      p.alpha = i & 2 ? .37 : 1, p.beta = i % 4 == 0 ? 0 : i % 4 == 1 ? 1 : -.6;
      p.bias = i >> 2 & 1, p.pre = i >> 3 & 1;
      check_product(&c, &p);
    }
    ctx_close(&c);
  }
}

/* (1 + e)^2 - (1 + 2e) is e^2 when the product is not rounded before the sum, else 0 for this e. The levels with
 * fused multiply-add must use it, whatever flags the build got. */
static void test_fused(void **state) {
  (void)state;
  const double e = sizeof(real) == 4 ? ldexp(1, -12) : ldexp(1, -27);
  for (size_t l = 0; l < 4; l++) {
    ctx c;
    if (!open_level(&c, all_levels[l], 1)) continue;
    real a[2] = {-1, (real)(1 + e)}, b[2] = {(real)(1 + 2 * e), (real)(1 + e)}, y = 7;
    op_gemm_args g = {.a = view_of(a, 1, 2), .b = view_of(b, 2, 1), .c = view_of(&y, 1, 1), .alpha = 1};
    must(&c, op_gemm(&c, &g));
    int fused = !strcmp(c.isa, "v3") || !strcmp(c.isa, "v4");
    if (strcmp(c.isa, "generic")) assert_true((double)y == (fused ? e * e : 0));
    ctx_close(&c);
  }
}

/* Accuracy of a long sum of random numbers. */
static void test_random(void **state) {
  (void)state;
  ctx c;
  open_best(&c);
  check_product(&c, &(product){.m = 96, .n = 48, .k = 4704, .ta = 1, .alpha = 1, .beta = 1});
  check_product(&c, &(product){.m = 33, .n = 130, .k = 1920, .tb = 1, .alpha = 1});
  ctx_close(&c);
}

/* The same bits from 1, 2 and 3 threads, and from both levels with fused multiply-add. */
static void test_threads_and_levels(void **state) {
  (void)state;
  static const struct {
    const char *isa;
    int threads;
  } runs[] = {{"v4", 1}, {"v4", 2}, {"v4", 3}, {"v3", 1}, {"v3", 2}, {"v3", 3}};
  static const int64_t shapes[][3] = {{150, 97, 1100}, {16, 320, 700}, {300, 16, 129}, {147, 384, 128}, {9, 9, 9}};
  int ran = 0;
  for (int i = 0; i < 20; i++) {
    product p = {.m = shapes[i / 4][0], .n = shapes[i / 4][1], .k = shapes[i / 4][2], .ta = i & 1, .tb = i >> 1 & 1};
    p.alpha = .3, p.beta = i & 1, p.bias = 1, p.act = ACT_GELU_TANH, p.pre = 1;
    operands first = {.a = {.n = 0}};
    for (size_t r = 0; r < sizeof runs / sizeof runs[0]; r++) {
      ctx c;
      if (!open_level(&c, runs[r].isa, runs[r].threads)) continue;
      operands o = operands_new(&p);
      run(&c, &p, &o);
      if (first.c.n) {
        same_bits("c", &o.c, &first.c);
        same_bits("pre", &o.pre, &first.pre);
        operands_free(&o);
      } else {
        first = o;
      }
      ran = 1;
      ctx_close(&c);
    }
    operands_free(&first);
  }
  if (!ran) skip();
}

/* Rows of a product have the bits they have in a product of fewer rows and columns, at any offset. */
static void test_position(void **state) {
  (void)state;
  ctx c;
  open_best(&c);
  for (int t = 0; t < 4; t++) {
    product p = {.m = 150, .n = 140, .k = 700, .ta = t & 1, .tb = t >> 1, .alpha = 1};
    operands o = operands_new(&p);
    run(&c, &p, &o);
    for (int64_t i = 1; i < 150; i += 37) {
      int64_t m = 150 - i < 17 ? 150 - i : 17, j = i % 60, n = 3 + i % 40;
      mat part = mat_new(m, n, 0);
      op_gemm_args g = {.a = p.ta ? view_cols(o.a.v, i, m) : view_rows(o.a.v, i, m),
                        .b = p.tb ? view_rows(o.b.v, j, n) : view_cols(o.b.v, j, n),
                        .c = part.v,
                        .ta = p.ta,
                        .tb = p.tb,
                        .alpha = 1};
      must(&c, op_gemm(&c, &g));
      for (int64_t e = 0; e < m * n; e++) {
        real x = mat_at(&part, e / n, e % n), y = mat_at(&o.c, i + e / n, j + e % n);
        if (memcmp(&x, &y, sizeof x)) fail_msg("row %d column %d", (int)(i + e / n), (int)(j + e % n));
      }
      mat_free(&part);
    }
    operands_free(&o);
  }
  ctx_close(&c);
}

#define GEMM_CASES                                                                                                   \
  cmocka_unit_test(test_sizes), cmocka_unit_test(test_blocks), cmocka_unit_test(test_epilogue),                      \
      cmocka_unit_test(test_random), cmocka_unit_test(test_fused), cmocka_unit_test(test_threads_and_levels),        \
      cmocka_unit_test(test_position)

#endif
