/* A scene of attn_plain.h on a device: its matrices go up in the storage type, with their surroundings, and come
 * back. */
#ifndef TD_TESTS_ATTN_DEVICE_H
#define TD_TESTS_ATTN_DEVICE_H

#include "attn_plain.h"

/* Rows begin at multiples of 16 bytes in either storage. */
static const int64_t even_pads[10] = {8, 16, 0, 24, 8, 1, 8, 16, 8, 3};

enum { IMAGES = 10, INPUTS = 4 };

/* A matrix of the scene in device memory, and the bytes it was sent with. */
typedef struct image {
  mat *m;
  unsigned char *sent, *got;
  void *device;
  view v;
} image;

static void to_storage(dtype t, const real *x, int64_t n, void *out) {
  if (t == DT_REAL) memcpy(out, x, (size_t)n * sizeof *x);
  if (t != DT_REAL) dtype_from_real(t, x, n, out);
}

static image image_new(ctx *c, mat *m, dtype t) {
  size_t bytes = (size_t)(m->n * dtype_size(t));
  image x = {.m = m, .sent = malloc(bytes), .got = malloc(bytes), .v = m->v};
  if (!x.sent || !x.got) fail_msg("no memory");
  to_storage(t, m->block, m->n, x.sent);
  must(c, c->ops->alloc(c, bytes, &x.device));
  must(c, op_upload(c, x.device, x.sent, bytes));
  x.v.type = t;
  x.v.p = (char *)x.device + ((real *)m->v.p - m->block) * dtype_size(t);
  return x;
}

/* Back into the matrix. */
static void image_fetch(ctx *c, image *x) {
  size_t bytes = (size_t)(x->m->n * dtype_size(x->v.type));
  must(c, op_download(c, x->got, x->device, bytes));
  if (x->v.type == DT_REAL) memcpy(x->m->block, x->got, bytes);
  if (x->v.type != DT_REAL) dtype_to_real(x->v.type, x->got, x->m->n, x->m->block);
}

static void image_free(ctx *c, image *x) {
  c->ops->release(c, x->device);
  free(x->sent);
  free(x->got);
}

/* Nothing but rows (or columns) of `written` differs from what was sent; NULL: nothing at all. */
static void image_only(const char *what, const image *x, const char *written, int by_col) {
  int64_t size = dtype_size(x->v.type), before = (real *)x->m->v.p - x->m->block;
  for (int64_t i = 0; i < x->m->n; i++) {
    int64_t at = i - before, r = at / x->v.ld, c = at % x->v.ld;
    int inside = at >= 0 && r < x->v.rows && c < x->v.cols;
    if (inside && written && written[by_col ? c : r]) continue;
    if (memcmp(x->sent + i * size, x->got + i * size, (size_t)size))
      fail_msg("%s: %s %d %d was written", what, inside ? "element" : "outside the matrix,", (int)r, (int)c);
  }
}

/* Which rows the outputs must have. */
typedef struct marks {
  char *query, *back, *key;
} marks;

static marks marks_new(const scene *s) {
  marks m = {.query = calloc((size_t)s->rows, 3)};
  if (!m.query) fail_msg("no memory");
  m.back = m.query + s->rows, m.key = m.back + s->rows;
  mark(s->groups, s->n_groups, 0, 0, m.query);
  mark(s->back, s->n_back, 0, 0, m.back);
  mark(s->back, s->n_back, 1, s->kv_from, m.key);
  return m;
}

/* Forward and backward on the device in storage t; results in the scene's matrices. Inputs, surroundings and rows
 * that are none of the operation's must keep their bytes. */
static void scene_device(ctx *c, scene *s, dtype t) {
  mat *all[IMAGES] = {&s->q, &s->k, &s->v, &s->g, &s->o, &s->lse, &s->dq, &s->dk, &s->dv, &s->delta};
  image x[IMAGES];
  marks m = marks_new(s);
  for (int i = 0; i < IMAGES; i++)
    x[i] = image_new(c, all[i], all[i] == &s->lse || all[i] == &s->delta ? DT_REAL : t);
  op_attn_args a = {.q = x[0].v, .k = x[1].v, .v = x[2].v, .o = x[4].v, .lse = x[5].v};
  a.groups = s->groups, a.n_groups = s->n_groups, a.dim = s->dim;
  must(c, op_attn(c, &a));
  op_attn_bwd_args b = {.q = x[0].v, .k = x[1].v, .v = x[2].v, .d_o = x[3].v, .o = x[4].v, .lse = x[5].v};
  b.dq = x[6].v, b.dk = x[7].v, b.dv = x[8].v, b.delta = x[9].v;
  b.groups = s->back, b.n_groups = s->n_back, b.dim = s->dim, b.kv_from = s->kv_from;
  must(c, op_attn_bwd(c, &b));
  for (int i = 0; i < IMAGES; i++) image_fetch(c, &x[i]);
  for (int i = 0; i < INPUTS; i++) image_only("input", &x[i], NULL, 0);
  image_only("o", &x[4], m.query, 0);
  image_only("lse", &x[5], m.query, 1);
  image_only("dq", &x[6], m.back, 0);
  image_only("dk", &x[7], m.key, 0);
  image_only("dv", &x[8], m.key, 0);
  image_only("delta", &x[9], m.back, 1);
  for (int i = 0; i < IMAGES; i++) image_free(c, &x[i]);
  free(m.query);
}

static double round_to(dtype t, double x) {
  real r = (real)x;
  uint16_t h = 0;
  if (t != DT_BF16) return x;
  dtype_from_real(t, &r, 1, &h);
  return dtype_get(t, &h, 0);
}

/* The inputs as the storage type holds them. */
static void scene_round(scene *s, dtype t) {
  mat *in[INPUTS] = {&s->q, &s->k, &s->v, &s->g};
  for (int i = 0; i < INPUTS; i++)
    for (int64_t r = 0; r < in[i]->v.rows; r++)
      for (int64_t c = 0; c < in[i]->v.cols; c++) mat_set(in[i], r, c, round_to(t, (double)mat_at(in[i], r, c)));
}

static void round_all(dtype t, double *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) x[i] = round_to(t, x[i]);
}

/* One query of one head of plain_unfused. */
static void unfused_row(const scene *s, plain *p, int64_t q, int64_t nk, int64_t col) {
  int64_t w = (int64_t)s->heads * s->dim;
  double delta = 0;
  for (int64_t c = col; c < col + s->dim; c++) delta += p->o[q * w + c] * (double)mat_at(&s->g, q, c);
  for (int64_t j = 0; j < nk; j++) {
    int64_t k = p->key[j];
    double dp = dot_rows(&s->g, q, &s->v, k, col, s->dim), ds = round_to(DT_BF16, p->p[j] * (dp - delta));
    double prob = round_to(DT_BF16, p->p[j]);
    for (int64_t c = col; c < col + s->dim; c++) {
      p->dq[q * w + c] += ds / sqrt(s->dim) * (double)mat_at(&s->k, k, c);
      if (k < s->kv_from) continue;
      p->dk[k * w + c] += ds / sqrt(s->dim) * (double)mat_at(&s->q, q, c);
      p->dv[k * w + c] += prob * (double)mat_at(&s->g, q, c);
    }
  }
}

/* What attention in bf16 cannot avoid: probabilities and their gradients are operands of a product in bf16, results
 * are stored in bf16; everything else in double. Its error is the measure for the kernels. */
static void plain_unfused(const scene *s, plain *p) {
  int64_t w = (int64_t)s->heads * s->dim;
  for (int g = 0; g < s->n_groups; g++) {
    int64_t nq = list_rows(s->groups[g].q, s->groups[g].nq, p->query, NULL);
    int64_t nk = list_rows(s->groups[g].k, s->groups[g].nk, p->key, p->bias);
    for (int64_t i = 0; i < nq * s->heads; i++) {
      int64_t q = p->query[i / s->heads], col = i % s->heads * s->dim;
      plain_row(s, p, q, nk, col);
      double top = 0;
      for (int64_t j = 0; j < nk; j++) top = fmax(top, p->p[j]);
      for (int64_t j = 0; j < nk; j++) {
        double prob = round_to(DT_BF16, p->p[j] / top) * top;
        for (int64_t c = col; c < col + s->dim; c++) p->o[q * w + c] += prob * (double)mat_at(&s->v, p->key[j], c);
      }
    }
  }
  round_all(DT_BF16, p->o, s->rows * w);
  for (int g = 0; g < s->n_back; g++) {
    int64_t nq = list_rows(s->back[g].q, s->back[g].nq, p->query, NULL);
    int64_t nk = list_rows(s->back[g].k, s->back[g].nk, p->key, p->bias);
    for (int64_t i = 0; i < nq * s->heads; i++) {
      int64_t q = p->query[i / s->heads], col = i % s->heads * s->dim;
      plain_row(s, p, q, nk, col);
      unfused_row(s, p, q, nk, col);
    }
  }
  round_all(DT_BF16, p->dq, s->rows * w);
  round_all(DT_BF16, p->dk, s->rows * w);
  round_all(DT_BF16, p->dv, s->rows * w);
}

/* got against want over the written rows: largest error at most `limit` of the largest value; with `unfused`, at most
 * twice its error and 1e-5 of the largest value. */
static void device_rows(const char *what, const mat *got, const double *want, const double *unfused,
                        const char *written, int by_col) {
  double worst = 0, scale = 0, peer = 0;
  for (int64_t r = 0; r < got->v.rows; r++) {
    for (int64_t c = 0; c < got->v.cols; c++) {
      double x = (double)mat_at(got, r, c), y = want[r * got->v.cols + c];
      if (!written[by_col ? c : r]) continue;
      if (!isfinite(x)) fail_msg("%s: element %d %d is %g", what, (int)r, (int)c, x);
      worst = fmax(worst, fabs(x - y));
      scale = fmax(scale, fabs(y));
      if (unfused) peer = fmax(peer, fabs(unfused[r * got->v.cols + c] - y));
    }
  }
  if (!(scale > 0)) fail_msg("%s: the reference is all zero", what);
  check_below(what, worst, 1e-5 * scale + 2 * peer);
}

/* The device's results against double sums. */
static void scene_judge(ctx *c, scene *s, dtype t) {
  marks m = marks_new(s);
  scene_round(s, t);
  plain p = plain_new(s), u = plain_new(s);
  scene_device(c, s, t);
  plain_forward(s, &p);
  plain_backward(s, &p);
  if (t == DT_BF16) plain_unfused(s, &u);
  int half = t == DT_BF16;
  device_rows("o", &s->o, p.o, half ? u.o : NULL, m.query, 0);
  device_rows("lse", &s->lse, p.lse, NULL, m.query, 1);
  device_rows("dq", &s->dq, p.dq, half ? u.dq : NULL, m.back, 0);
  if (memchr(m.key, 1, (size_t)s->rows)) {
    device_rows("dk", &s->dk, p.dk, half ? u.dk : NULL, m.key, 0);
    device_rows("dv", &s->dv, p.dv, half ? u.dv : NULL, m.key, 0);
  }
  plain_free(&p);
  plain_free(&u);
  free(m.query);
}

#endif
