/* Convolution, group norm and resampling of clips against plain double sums; included by the float and by the double
 * program. */
#ifndef TD_TESTS_VIDEO_CASES_H
#define TD_TESTS_VIDEO_CASES_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_ctx.h"

static double *doubles(int64_t n) {
  double *p = calloc((size_t)n, sizeof *p);
  assert_non_null(p);
  return p;
}

/* --- convolution --- */

typedef struct conv_case {
  int frames, height, width, in, out, kt, stride, past, accumulate;
} conv_case;

static const conv_case conv_cases[] = {
    {1, 1, 1, 1, 1, 1, 1, 0, 0},     {2, 3, 4, 5, 6, 3, 1, 0, 0},     {3, 5, 7, 3, 33, 3, 1, 1, 0},
    {2, 4, 15, 64, 3, 3, 1, 1, 0},   {1, 6, 13, 40, 70, 3, 1, 1, 1},  {5, 2, 1, 7, 32, 3, 1, 0, 1},
    {2, 6, 8, 16, 24, 1, 1, 0, 0},   {3, 7, 9, 24, 32, 1, 2, 0, 0},   {1, 2, 2, 8, 40, 1, 2, 0, 0},
    {2, 2, 3, 520, 32, 3, 1, 0, 0},  {1, 3, 270, 600, 9, 1, 1, 0, 0}, {2, 5, 4, 8, 16, 3, 2, 1, 1},
    {1, 1, 9, 1030, 33, 3, 1, 0, 0}, {4, 40, 3, 32, 64, 3, 1, 1, 0}};
enum { CONV_CASES = sizeof conv_cases / sizeof conv_cases[0] };

typedef struct conv_data {
  mat x, past, w, bias, y;
} conv_data;

static conv_data conv_new(const conv_case *k) {
  int64_t plane = (int64_t)k->height * k->width;
  int64_t out = (int64_t)k->frames * op_conv3d_side(k->height, k->stride) * op_conv3d_side(k->width, k->stride);
  conv_data d = {.x = mat_random(k->frames * plane, k->in, 3, 1, -1, 1),
                 .past = mat_random(2 * plane, k->in, 5, 2, -1, 1),
                 .w = mat_random(op_conv3d_w_rows(k->out, k->in, k->kt), CONV_PANEL, 0, 3, -1, 1),
                 .bias = mat_random(1, k->out, 0, 4, -1, 1),
                 .y = k->accumulate ? mat_random(out, k->out, 2, 5, -1, 1) : mat_new(out, k->out, 2)};
  return d;
}

static void conv_free(conv_data *d) {
  mat *all[] = {&d->x, &d->past, &d->w, &d->bias, &d->y};
  for (int i = 0; i < 5; i++) mat_free(all[i]);
}

static op_conv3d_args conv_args(const conv_case *k, const conv_data *d) {
  op_conv3d_args a = {.x = d->x.v, .w = d->w.v, .bias = d->bias.v, .y = d->y.v};
  a.frames = k->frames, a.height = k->height, a.width = k->width;
  a.kt = k->kt, a.stride = k->stride, a.accumulate = k->accumulate;
  if (k->past) a.past = d->past.v;
  return a;
}

/* What tap (dt, dy, dx) adds to one element. */
static double conv_tap(const conv_case *k, const conv_data *d, const int64_t at[3], int64_t o, const int64_t tap[3]) {
  int64_t pad = k->stride == 1, f = at[0] + tap[0] - (k->kt - 1);
  int64_t y = at[1] * k->stride + tap[1] - pad, x = at[2] * k->stride + tap[2] - pad;
  if (y < 0 || y >= k->height || x < 0 || x >= k->width) return 0;
  const mat *from = f < 0 && k->past ? &d->past : &d->x;
  int64_t frame = f >= 0 ? f : k->past ? f + 2 : 0, row = (frame * k->height + y) * k->width + x;
  int64_t w = (((o / CONV_PANEL * k->kt + tap[0]) * 3 + tap[1]) * 3 + tap[2]) * k->in;
  double sum = 0;
  for (int64_t i = 0; i < k->in; i++)
    sum += (double)mat_at(from, row, i) * (double)mat_at(&d->w, w + i, o % CONV_PANEL);
  return sum;
}

static void conv_plain(const conv_case *k, const conv_data *d, double *want) {
  int64_t h = op_conv3d_side(k->height, k->stride), w = op_conv3d_side(k->width, k->stride);
  for (int64_t r = 0; r < k->frames * h * w; r++)
    for (int64_t o = 0; o < k->out; o++) {
      int64_t at[3] = {r / (h * w), r / w % h, r % w};
      double sum = (double)mat_at(&d->bias, 0, o) + (k->accumulate ? (double)mat_at(&d->y, r, o) : 0);
      for (int64_t t = 0; t < 9 * k->kt; t++) sum += conv_tap(k, d, at, o, (int64_t[]){t / 9, t / 3 % 3, t % 3});
      want[r * k->out + o] = sum;
    }
}

static void test_conv_plain(void **state) {
  (void)state;
  static const char *const levels[] = {"v2", "v3", "v4", "generic"};
  for (int l = 0; l < 4; l++) {
    ctx c;
    if (!open_level(&c, levels[l], 2)) continue;
    for (int i = 0; i < CONV_CASES; i++) {
      char what[48];
      snprintf(what, sizeof what, "conv %d at %s", i, levels[l]);
      conv_data d = conv_new(&conv_cases[i]);
      double *want = doubles(d.y.v.rows * d.y.v.cols);
      mat x = mat_copy(&d.x), past = mat_copy(&d.past);
      conv_plain(&conv_cases[i], &d, want);
      op_conv3d_args a = conv_args(&conv_cases[i], &d);
      must(&c, op_conv3d(&c, &a));
      check_below(what, mat_rel(what, &d.y, want), REL_TIGHT);
      mat_unchanged("x", &d.x, &x);
      mat_unchanged("past", &d.past, &past);
      mat_free(&x);
      mat_free(&past);
      free(want);
      conv_free(&d);
    }
    ctx_close(&c);
  }
}

/* --- group norm --- */

typedef struct group_case {
  int64_t rows, cols;
  int groups, modulated, in_place;
  op_act act;
  double offset;
} group_case;

static const group_case group_cases[] = {{7, 6, 3, 0, 0, ACT_NONE, 0},      {130, 33, 11, 1, 0, ACT_SILU, 0},
                                         {1000, 64, 4, 1, 1, ACT_SILU, 0},  {333, 40, 1, 0, 1, ACT_SILU, 0},
                                         {65, 96, 32, 1, 0, ACT_NONE, 3},   {1, 8, 2, 0, 0, ACT_NONE, 0},
                                         {513, 32, 4, 0, 0, ACT_NONE, 1000}};
enum { GROUP_CASES = sizeof group_cases / sizeof group_cases[0], GROUP_TABLE = 5 };

typedef struct group_data {
  mat x, y, w, b, scale, shift;
  int32_t *map;
} group_data;

static group_data group_new(const group_case *k) {
  double o = k->offset;
  group_data d = {.x = mat_random(k->rows, k->cols, 3, 1, o - 1, o + 1),
                  .y = mat_new(k->rows, k->cols, 2),
                  .w = mat_random(1, k->cols, 0, 2, 0.5, 2),
                  .b = mat_random(1, k->cols, 0, 3, -1, 1),
                  .scale = mat_random(GROUP_TABLE, k->cols, 1, 4, -2, 2),
                  .shift = mat_random(GROUP_TABLE, k->cols, 4, 5, -2, 2),
                  .map = calloc((size_t)k->rows, sizeof(int32_t))};
  assert_non_null(d.map);
  for (int64_t r = 0; r < k->rows; r++) d.map[r] = (int32_t)(r * 7 % (GROUP_TABLE + 1)) - 1;
  return d;
}

static void group_free(group_data *d) {
  mat *all[] = {&d->x, &d->y, &d->w, &d->b, &d->scale, &d->shift};
  for (int i = 0; i < 6; i++) mat_free(all[i]);
  free(d->map);
}

static op_group_norm_args group_args(const group_case *k, const group_data *d) {
  op_group_norm_args a = {.x = d->x.v, .y = k->in_place ? d->x.v : d->y.v, .w = d->w.v, .b = d->b.v};
  a.groups = k->groups, a.eps = 1e-6, a.act = k->act;
  if (k->modulated) a.scale = d->scale.v, a.shift = d->shift.v, a.map = d->map;
  return a;
}

static void group_plain(const group_case *k, const group_data *d, double *want) {
  int64_t n = k->cols / k->groups;
  for (int g = 0; g < k->groups; g++) {
    double sum = 0, square = 0, count = (double)(n * k->rows);
    for (int64_t i = 0; i < n * k->rows; i++) sum += (double)mat_at(&d->x, i / n, g * n + i % n);
    for (int64_t i = 0; i < n * k->rows; i++)
      square += pow((double)mat_at(&d->x, i / n, g * n + i % n) - sum / count, 2);
    for (int64_t i = 0; i < n * k->rows; i++) {
      int64_t r = i / n, j = g * n + i % n;
      double y = ((double)mat_at(&d->x, r, j) - sum / count) / sqrt(square / count + 1e-6);
      y = y * (double)mat_at(&d->w, 0, j) + (double)mat_at(&d->b, 0, j);
      int32_t m = k->modulated ? d->map[r] : -1;
      if (m >= 0) y = y * (double)mat_at(&d->scale, m, j) + (double)mat_at(&d->shift, m, j);
      want[r * k->cols + j] = k->act == ACT_SILU ? y / (1 + exp(-y)) : y;
    }
  }
}

static void test_group_plain(void **state) {
  (void)state;
  static const char *const levels[] = {"v2", "v3", "v4", "generic"};
  for (int l = 0; l < 4; l++) {
    ctx c;
    if (!open_level(&c, levels[l], 2)) continue;
    for (int i = 0; i < GROUP_CASES; i++) {
      const group_case *k = &group_cases[i];
      char what[48];
      snprintf(what, sizeof what, "group norm %d at %s", i, levels[l]);
      group_data d = group_new(k);
      double *want = doubles(k->rows * k->cols);
      group_plain(k, &d, want);
      op_group_norm_args a = group_args(k, &d);
      must(&c, op_group_norm(&c, &a));
      /* an offset of 1000 spreads leaves the input itself that many digits fewer */
      double limit = k->offset > 100 && sizeof(real) == 4 ? 1e-4 : REL_TIGHT * (k->offset > 0 ? 100 : 1);
      check_below(what, mat_rel(what, k->in_place ? &d.x : &d.y, want), limit);
      free(want);
      group_free(&d);
    }
    ctx_close(&c);
  }
}

/* --- resampling --- */

/* Which frame(s) of x make frame t of y, by the rules in words. */
static void resample_frames(op_resampling kind, int frames, int64_t t, int64_t from[2]) {
  int64_t rest = frames % 2 ? t - 1 : t, base = frames % 2;
  from[0] = from[1] = t;
  if (kind == RESAMPLE_UP || (frames % 2 && t == 0)) return;
  if (kind == RESAMPLE_UP_TIME)
    from[0] = from[1] = base + rest / 2;
  else
    from[0] = base + 2 * rest, from[1] = from[0] + 1;
}

static void resample_case(ctx *c, op_resampling kind, int frames) {
  enum { H = 3, W = 5, C = 19 };
  int64_t s = kind == RESAMPLE_POOL_TIME ? 1 : 2, out = op_resample_frames(frames, kind), from[2];
  mat x = mat_random(frames * H * W, C, 2, 1, -1, 1), y = mat_new(out * H * W * s * s, C, 3), before = mat_copy(&x);
  double *want = doubles(y.v.rows * C);
  for (int64_t r = 0; r < y.v.rows; r++) {
    int64_t t = r / (H * W * s * s), py = r / (W * s) % (H * s) / s, px = r % (W * s) / s;
    resample_frames(kind, frames, t, from);
    for (int64_t j = 0; j < C; j++)
      want[r * C + j] =
          ((double)mat_at(&x, (from[0] * H + py) * W + px, j) + (double)mat_at(&x, (from[1] * H + py) * W + px, j)) /
          2;
  }
  must(c, op_resample(c, &(op_resample_args){x.v, y.v, frames, H, W, kind}));
  check_below("resample", mat_rel("resample", &y, want), REL_TIGHT * 1e-1);
  mat_unchanged("x", &x, &before);
  free(want);
  mat_free(&x);
  mat_free(&y);
  mat_free(&before);
}

static void test_resample(void **state) {
  (void)state;
  ctx c;
  open_best(&c);
  for (int kind = RESAMPLE_UP; kind <= RESAMPLE_POOL_TIME; kind++)
    for (int frames = 1; frames <= 6; frames++) resample_case(&c, (op_resampling)kind, frames);
  ctx_close(&c);
}

/* --- bits --- */

static void run_conv(ctx *c, int i, mat *out) {
  conv_data d = conv_new(&conv_cases[i]);
  op_conv3d_args a = conv_args(&conv_cases[i], &d);
  must(c, op_conv3d(c, &a));
  *out = mat_copy(&d.y);
  conv_free(&d);
}

static void run_group(ctx *c, int i, mat *out) {
  group_data d = group_new(&group_cases[i]);
  op_group_norm_args a = group_args(&group_cases[i], &d);
  must(c, op_group_norm(c, &a));
  *out = mat_copy(group_cases[i].in_place ? &d.x : &d.y);
  group_free(&d);
}

static void test_video_bits(void **state) {
  (void)state;
  static const struct {
    const char *isa;
    int threads;
  } other[] = {{"v3", 1}, {"v3", 2}, {"v3", 3}, {"v4", 1}, {"v4", 2}, {"v4", 5}};
  ctx base, c;
  if (!open_level(&base, "v3", 1)) skip();
  for (int o = 0; o < 6; o++) {
    if (!open_level(&c, other[o].isa, other[o].threads)) continue;
    for (int i = 0; i < CONV_CASES + GROUP_CASES; i++) {
      mat a, b;
      int conv = i < CONV_CASES;
      (conv ? run_conv : run_group)(&base, conv ? i : i - CONV_CASES, &a);
      (conv ? run_conv : run_group)(&c, conv ? i : i - CONV_CASES, &b);
      same_bits(conv ? "conv" : "group norm", &a, &b);
      mat_free(&a);
      mat_free(&b);
    }
    ctx_close(&c);
  }
  ctx_close(&base);
}

/* --- refusals and counting --- */

static void says(ctx *c, int rc, int code, const char *text) {
  if (rc != code || !strstr(c->err.text, text)) fail_msg("status %d, '%s', not '%s'", rc, c->err.text, text);
  err_clear(&c->err);
}

static void refused(ctx *c, const op_conv3d_args *a, int code, const char *text) {
  says(c, op_conv3d(c, a), code, text);
}

static void test_video_refusals(void **state) {
  (void)state;
  ctx c;
  open_best(&c);
  conv_data d = conv_new(&conv_cases[2]);
  op_conv3d_args good = conv_args(&conv_cases[2], &d), a = good;
  a.kt = 2, refused(&c, &a, E_ARG, "2 frames a kernel"), a = good;
  a.stride = 3, refused(&c, &a, E_ARG, "stride 3"), a = good;
  a.height = 0, refused(&c, &a, E_ARG, "3 frames of 0x7"), a = good;
  a.frames = 2, refused(&c, &a, E_SHAPE, "x is [105,3], must be [70,3]"), a = good;
  a.w.rows--, refused(&c, &a, E_SHAPE, "w is "), a = good;
  a.past.rows--, refused(&c, &a, E_SHAPE, "past is "), a = good;
  a.y = view_of(a.x.p, a.y.rows, a.y.cols), refused(&c, &a, E_ARG, "overlaps"), a = good;
  a.x.type = DT_I64, refused(&c, &a, E_UNSUPPORTED, "x is I64"), a = good;
  conv_free(&d);
  group_data g = group_new(&group_cases[1]);
  op_group_norm_args n = group_args(&group_cases[1], &g);
  n.groups = 10;
  says(&c, op_group_norm(&c, &n), E_SHAPE, "33 channels do not divide into 10 groups");
  n.groups = 11, n.shift.p = NULL;
  says(&c, op_group_norm(&c, &n), E_ARG, "scale and shift go together");
  n.shift = g.shift.v, g.map[17] = GROUP_TABLE;
  says(&c, op_group_norm(&c, &n), E_ARG, "map[17] is 5");
  group_free(&g);
  mat x = mat_random(6, 2, 0, 1, 0, 1), y = mat_new(24, 2, 0);
  says(&c, op_resample(&c, &(op_resample_args){x.v, y.v, 1, 2, 2, RESAMPLE_UP}), E_SHAPE, "x is [6,2]");
  says(&c, op_resample(&c, &(op_resample_args){x.v, y.v, 1, 2, 3, (op_resampling)3}), E_ARG, "resampling 3");
  mat_free(&x);
  mat_free(&y);
  ctx_close(&c);
}

static void test_video_counts(void **state) {
  (void)state;
  ctx c;
  assert_int_equal(ctx_open(&c, &(ctx_options){.backend = "null"}), OK);
  view x = view_of((void *)4096, 60, 8), y = view_of((void *)65536, 60, 40),
       w = view_of((void *)131072, 2 * 27 * 8, 32);
  view bias = view_of((void *)1048576, 1, 40);
  op_conv3d_args a = {
      .x = x, .w = w, .bias = bias, .y = y, .frames = 3, .height = 4, .width = 5, .kt = 3, .stride = 1};
  must(&c, op_conv3d(&c, &a));
  assert_true(c.count[OP_CONV3D].flops == 2.0 * 60 * 40 * 8 * 27);
  assert_true(c.count[OP_CONV3D].bytes == (60.0 * 8 + 60 * 40 + 2 * 27 * 8 * 32 + 40) * sizeof(real));
  op_resample_args r = {.x = x, .y = view_of((void *)2097152, 240, 8), .frames = 3, .height = 4, .width = 5};
  must(&c, op_resample(&c, &r));
  assert_int_equal(c.count[OP_RESAMPLE].calls, 1);
  op_group_norm_args n = {.x = x, .y = x, .w = view_of((void *)4194304, 1, 8), .b = view_of((void *)8388608, 1, 8)};
  n.groups = 2, n.act = ACT_SILU;
  must(&c, op_group_norm(&c, &n));
  assert_true(c.count[OP_GROUP_NORM].flops == 12.0 * 60 * 8);
  ctx_close(&c);
}

#define VIDEO_CASES                                                                                                  \
  cmocka_unit_test(test_conv_plain), cmocka_unit_test(test_group_plain), cmocka_unit_test(test_resample),            \
      cmocka_unit_test(test_video_bits), cmocka_unit_test(test_video_refusals), cmocka_unit_test(test_video_counts)

#endif
