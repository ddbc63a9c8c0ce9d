/* Attention as plain double sums over lists of spans, and a scene of matrices for it. */
#ifndef TD_TESTS_ATTN_PLAIN_H
#define TD_TESTS_ATTN_PLAIN_H

#include <math.h>
#include <stdlib.h>

#include "kernel_ctx.h"

typedef struct scene {
  int64_t rows, kv_from;
  int dim, heads, n_groups, n_back; /* n_back groups in `back` for the gradients */
  const attn_group *groups, *back;
  mat q, k, v, g, o, lse, dq, dk, dv, delta;
} scene;

/* Behind the rows of each matrix lie as many elements as `pad` says: odd numbers, so that rows begin anywhere. */
static const int64_t odd_pads[10] = {3, 5, 0, 7, 2, 1, 1, 2, 3, 4};

static scene scene_padded(int64_t rows, int heads, int dim, const attn_group *groups, int n, const int64_t *pad) {
  scene s = {.rows = rows, .dim = dim, .heads = heads, .n_groups = n, .n_back = n, .groups = groups, .back = groups};
  int64_t w = (int64_t)heads * dim;
  s.q = mat_random(rows, w, pad[0], 1, -2, 2);
  s.k = mat_random(rows, w, pad[1], 2, -2, 2);
  s.v = mat_random(rows, w, pad[2], 3, -1, 1);
  s.g = mat_random(rows, w, pad[3], 4, -1, 1);
  s.o = mat_new(rows, w, pad[4]);
  s.lse = mat_new(heads, rows, pad[5]);
  s.dq = mat_new(rows, w, pad[6]);
  s.dk = mat_new(rows, w, pad[7]);
  s.dv = mat_new(rows, w, pad[8]);
  s.delta = mat_new(heads, rows, pad[9]);
  return s;
}

static scene scene_new(int64_t rows, int heads, int dim, const attn_group *groups, int n) {
  return scene_padded(rows, heads, dim, groups, n, odd_pads);
}

static void scene_free(scene *s) {
  mat *all[] = {&s->q, &s->k, &s->v, &s->g, &s->o, &s->lse, &s->dq, &s->dk, &s->dv, &s->delta};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) mat_free(all[i]);
}

/* Rows of a span list in order, with their biases. */
static int64_t list_rows(const attn_span *s, int n, int64_t *row, double *bias) {
  int64_t count = 0;
  for (int i = 0; i < n; i++) {
    for (int64_t r = s[i].r0; r < s[i].r1; r++) {
      row[count] = r;
      if (bias) bias[count] = (double)s[i].bias;
      count++;
    }
  }
  return count;
}

typedef struct plain {
  double *o, *lse, *dq, *dk, *dv, *p;
  int64_t *query, *key;
  double *bias;
} plain;

static plain plain_new(const scene *s) {
  size_t n = (size_t)(s->rows * s->heads * s->dim), rows = (size_t)s->rows;
  plain p = {.o = calloc(n, 8), .dq = calloc(n, 8), .dk = calloc(n, 8), .dv = calloc(n, 8)};
  p.lse = calloc(rows * (size_t)s->heads, 8);
  p.p = calloc(rows, 8), p.bias = calloc(rows, 8);
  p.query = calloc(rows, 8), p.key = calloc(rows, 8);
  if (!p.o || !p.dq || !p.dk || !p.dv || !p.lse || !p.p || !p.bias || !p.query || !p.key) fail_msg("no memory");
  return p;
}

static void plain_free(plain *p) {
  double *all[] = {p->o, p->lse, p->dq, p->dk, p->dv, p->p, p->bias};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
  free(p->query);
  free(p->key);
}

static double dot_rows(const mat *a, int64_t ra, const mat *b, int64_t rb, int64_t col, int dim) {
  double sum = 0;
  for (int c = 0; c < dim; c++) sum += (double)mat_at(a, ra, col + c) * (double)mat_at(b, rb, col + c);
  return sum;
}

/* Probabilities of one query over its keys; returns log-sum-exp. */
static double plain_row(const scene *s, plain *p, int64_t q, int64_t n, int64_t col) {
  double max = -INFINITY, sum = 0;
  for (int64_t j = 0; j < n; j++) {
    p->p[j] = dot_rows(&s->q, q, &s->k, p->key[j], col, s->dim) / sqrt(s->dim) + p->bias[j];
    max = fmax(max, p->p[j]);
  }
  for (int64_t j = 0; j < n; j++) sum += p->p[j] = exp(p->p[j] - max);
  for (int64_t j = 0; j < n; j++) p->p[j] /= sum;
  return max + log(sum);
}

static void plain_forward(const scene *s, plain *p) {
  int64_t w = (int64_t)s->heads * s->dim;
  for (int g = 0; g < s->n_groups; g++) {
    int64_t nq = list_rows(s->groups[g].q, s->groups[g].nq, p->query, NULL);
    int64_t nk = list_rows(s->groups[g].k, s->groups[g].nk, p->key, p->bias);
    for (int64_t i = 0; i < nq * s->heads; i++) {
      int64_t q = p->query[i / s->heads], h = i % s->heads, col = h * s->dim;
      p->lse[h * s->rows + q] = plain_row(s, p, q, nk, col);
      for (int64_t j = 0; j < nk; j++) {
        for (int c = 0; c < s->dim; c++) p->o[q * w + col + c] += p->p[j] * (double)mat_at(&s->v, p->key[j], col + c);
      }
    }
  }
}

static void plain_backward(const scene *s, plain *p) {
  int64_t w = (int64_t)s->heads * s->dim;
  for (int g = 0; g < s->n_back; g++) {
    int64_t nq = list_rows(s->back[g].q, s->back[g].nq, p->query, NULL);
    int64_t nk = list_rows(s->back[g].k, s->back[g].nk, p->key, p->bias);
    for (int64_t i = 0; i < nq * s->heads; i++) {
      int64_t q = p->query[i / s->heads], col = i % s->heads * s->dim;
      double delta = 0;
      plain_row(s, p, q, nk, col);
      for (int64_t j = 0; j < nk; j++) delta += p->p[j] * dot_rows(&s->g, q, &s->v, p->key[j], col, s->dim);
      for (int64_t j = 0; j < nk; j++) {
        int64_t k = p->key[j];
        double ds = p->p[j] * (dot_rows(&s->g, q, &s->v, k, col, s->dim) - delta) / sqrt(s->dim);
        for (int64_t c = col; c < col + s->dim; c++) {
          p->dq[q * w + c] += ds * (double)mat_at(&s->k, k, c);
          if (k < s->kv_from) continue;
          p->dk[k * w + c] += ds * (double)mat_at(&s->q, q, c);
          p->dv[k * w + c] += p->p[j] * (double)mat_at(&s->g, q, c);
        }
      }
    }
  }
}

/* Which rows an output must have written. */
static void mark(const attn_group *g, int n, int keys, int64_t from, char *written) {
  for (int i = 0; i < n; i++) {
    const attn_span *s = keys ? g[i].k : g[i].q;
    for (int j = 0; j < (keys ? g[i].nk : g[i].nq); j++) {
      for (int64_t r = s[j].r0; r < s[j].r1; r++) written[r] = r >= from;
    }
  }
}

#define SPAN(a, b, x)                                                                                                \
  { .r0 = (a), .r1 = (b), .bias = (float)(x) }

/* Text, RGB and alpha rows apart; text and RGB see all with a bias, alpha sees everything. Row 7 is in no list. */
static const attn_group mixed[] = {
    {.nq = 2, .nk = 3, .q = {SPAN(0, 7, 0), SPAN(8, 41, 0)}, .k = {SPAN(0, 7, 0), SPAN(8, 41, 0), SPAN(41, 97, -1)}},
    {.nq = 1, .nk = 3, .q = {SPAN(41, 97, 0)}, .k = {SPAN(41, 97, .5), SPAN(0, 7, 0), SPAN(8, 41, -.25)}},
};

#endif
