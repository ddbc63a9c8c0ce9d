/* What a score must not depend on: threads, instruction-set levels, what else is asked for, and in which order flows
 * are.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clip.h"
#include "base/rng.h"
#include "metrics/kernels/plane.h"
#include "metrics/metric.h"
#include "metrics/session.h"

enum { FRAMES = 6, HEIGHT = 61, WIDTH = 83, METRICS_MAX = 512 };

static double noise(int64_t i, uint32_t sub) {
  float v;
  rng_uniform((rng){.seed = 3, .stream = RNG_TEST, .sub = sub}, (uint64_t)i, 1, &v);
  return (double)v;
}

/* A soft disc on texture, both moving, with some noise. */
static clip paint(uint32_t seed) {
  err e = {0};
  clip c;
  assert_int_equal(clip_new(&e, FRAMES, HEIGHT, WIDTH, 1, &c), OK);
  c.fps = 8;
  for (int t = 0; t < FRAMES; t++) {
    for (int y = 0; y < HEIGHT; y++) {
      for (int x = 0; x < WIDTH; x++) {
        int64_t i = ((int64_t)t * HEIGHT + y) * WIDTH + x;
        double d = 17 - hypot(x - 28 - 2.3 * t - seed, y - 30 + 1.1 * t), a = fmax(0, fmin(1, 0.5 + d / 4));
        for (int k = 0; k < 3; k++) {
          double ground = 0.4 + 0.2 * sin(0.4 * (x - t) + k) * cos(0.3 * y + seed);
          double object = 0.6 + 0.3 * sin(0.5 * (x - 2.3 * t) + 0.2 * y + k);
          c.rgb[3 * i + k] = (float)fmax(0, fmin(1, a * object + (1 - a) * ground + 0.02 * noise(3 * i + k, seed)));
        }
        c.alpha[i] = (float)a;
      }
    }
  }
  return c;
}

/* Every metric, and its gain where there is one. */
static int64_t requests(metric_request *list) {
  err e = {0};
  int64_t n = 0;
  for (const metric *const *m = metric_list(); *m; m++) {
    char name[METRIC_TEXT];
    assert_true(n + 2 <= METRICS_MAX);
    assert_int_equal(metric_parse(&e, (*m)->id, &list[n++]), OK);
    snprintf(name, sizeof name, "%s_gain", (*m)->id);
    if ((*m)->gain_ok) assert_int_equal(metric_parse(&e, name, &list[n++]), OK);
  }
  return n;
}

static void same(const metric_request *r, const metric_value *a, const metric_value *b) {
  char name[METRIC_TEXT];
  metric_print(r, name);
  if (memcmp(&a->value, &b->value, sizeof a->value) || a->reason != b->reason || a->support != b->support)
    fail_msg("%s: %.17g (%s) against %.17g (%s)", name, a->value, a->reason ? a->reason : "", b->value,
             b->reason ? b->reason : "");
}

static void threads_and_company_change_nothing(void **state) {
  (void)state;
  err e = {0};
  clip own = paint(0), other = paint(2);
  metric_request list[METRICS_MAX];
  metric_value want[METRICS_MAX], got[METRICS_MAX];
  int64_t n = requests(list), defined = 0;
  float trimap[FRAMES * HEIGHT * WIDTH];
  for (int i = 0; i < FRAMES * HEIGHT * WIDTH; i++)
    trimap[i] = other.alpha[i] > 0 && other.alpha[i] < 1 ? 0.5f : other.alpha[i];
  metric_input in = {.clip = &own,
                     .base = &other,
                     .partner = &other,
                     .truth = other.alpha,
                     .partner_truth = own.alpha,
                     .base_truth = other.alpha,
                     .reference = &other,
                     .trimap = trimap};
  assert_int_equal(metric_score(&e, list, n, &in, want), OK);
  for (int64_t i = 0; i < n; i++) defined += !want[i].reason && want[i].value != 0;
  assert_true(defined > n / 2);
  for (int threads = 1; threads <= 3; threads++) {
    in.threads = threads;
    assert_int_equal(metric_score(&e, list, n, &in, got), OK);
    for (int64_t i = 0; i < n; i++) same(&list[i], &want[i], &got[i]);
  }
  for (int64_t i = n - 1; i >= 0; i--) {
    in.threads = 1 + (int)(i % 3);
    assert_int_equal(metric_score(&e, &list[i], 1, &in, got), OK);
    same(&list[i], &want[i], &got[0]);
  }
  clip_free(&own), clip_free(&other);
}

/* Both directions in either order; a second request is the first one's field. */
static void flows_are_shared(void **state) {
  (void)state;
  err e = {0};
  clip c = paint(0);
  const int64_t n = 2 * (int64_t)(FRAMES - 1) * HEIGHT * WIDTH;
  metric_session first = {0}, second = {0};
  metric_view v = {.frames = FRAMES, .height = HEIGHT, .width = WIDTH, .rgb = c.rgb, .alpha = c.alpha, .threads = 2};
  const float *f[2], *b[2], *again, *wide;
  fb_params p = fb_defaults(), q = p;
  q.window = 21;
  v.session = &first;
  assert_int_equal(flow_of(&e, &v, FLOW_LUMA_STRETCHED, FLOW_FORWARD, &p, &f[0]), OK);
  assert_int_equal(flow_of(&e, &v, FLOW_LUMA_STRETCHED, FLOW_BACKWARD, &p, &b[0]), OK);
  v.session = &second, v.threads = 3;
  assert_int_equal(flow_of(&e, &v, FLOW_LUMA_STRETCHED, FLOW_BACKWARD, &p, &b[1]), OK);
  assert_int_equal(flow_of(&e, &v, FLOW_LUMA_STRETCHED, FLOW_FORWARD, &p, &f[1]), OK);
  assert_memory_equal(f[0], f[1], (size_t)n * sizeof(float));
  assert_memory_equal(b[0], b[1], (size_t)n * sizeof(float));
  assert_memory_not_equal(f[0], b[0], (size_t)n * sizeof(float));
  assert_int_equal(flow_of(&e, &v, FLOW_LUMA_STRETCHED, FLOW_FORWARD, &p, &again), OK);
  assert_ptr_equal(again, f[1]);
  assert_int_equal(flow_of(&e, &v, FLOW_LUMA_STRETCHED, FLOW_FORWARD, &q, &wide), OK);
  assert_memory_not_equal(wide, f[1], (size_t)n * sizeof(float));
  assert_int_equal(flow_of(&e, &v, FLOW_LUMA8, FLOW_FORWARD, &p, &again), OK);
  assert_memory_not_equal(again, f[1], (size_t)n * sizeof(float));
  assert_int_equal(flow_of(&e, &v, FLOW_LUMA_STRETCHED, FLOW_BACKWARD, &p, &again), OK);
  assert_ptr_equal(again, b[1]);
  flow_cache_close(&first.flows), flow_cache_close(&second.flows);
  clip_free(&c);
}

enum { MOST = 3 * KERNEL_BLOCK + 1, RADIUS = 4, STRIDE = MOST + 2 * RADIUS, ALL = WINDOW_SUMS * STRIDE };

typedef struct rows {
  double sum[ALL], left[KERNEL_BLOCK], total[KERNEL_BLOCK], line[MOST];
} rows;

static void run_kernels(const plane_kernels *k, const float *rgb, const float *alpha, int width, rows *out) {
  *out = (rows){{0}, {0}, {0}, {0}};
  window_row r = {width, RADIUS, 2 * RADIUS + 1, 1e-4, out->sum, STRIDE, out->left, out->total};
  k->window_add(out->sum + RADIUS, STRIDE, rgb, alpha, 1, width);
  for (int p = 0; p < WINDOW_SUMS; p++) {
    double *s = out->sum + p * STRIDE + RADIUS;
    for (int i = 1; i <= RADIUS; i++) s[-i] = s[0], s[width - 1 + i] = s[width - 1];
  }
  k->window_fit(&r);
  k->add(out->line, alpha, 1, 0.3, width);
  k->add(out->line, rgb, 3, -0.1, width);
  k->add(out->line, rgb + 1, 2, 0.7, width);
  k->add_double(out->line, out->sum + RADIUS, 0.25, width);
}

/* Rows of many lengths up to more than three blocks, each level against the first. */
static void levels_agree(void **state) {
  (void)state;
  static const char *const isa[] = {"v2", "v3", "v4", "generic"};
  static rows want, got;
  float rgb[3 * MOST], alpha[MOST];
  for (int i = 0; i < 3 * MOST; i++) rgb[i] = (float)noise(i, 7);
  for (int i = 0; i < MOST; i++) alpha[i] = (float)noise(i, 8);
  for (int width = 1; width <= MOST; width += width < 40 ? 1 : 19) {
    int ran = 0;
    for (int l = 0; l < 4; l++) {
      const metric_kernels *k = metric_kernels_of(isa[l]);
      if (!k) continue;
      run_kernels(k->plane, rgb, alpha, width, &got);
      double left = 0, total = 0;
      for (int i = 0; i < KERNEL_BLOCK; i++) left += got.left[i], total += got.total[i];
      assert_true(left >= 0 && left <= total && got.line[width - 1] != 0 && (width == MOST || got.line[width] == 0));
      assert_true(total > 0 || width == 1);
      if (ran++) assert_memory_equal(&got, &want, sizeof got);
      want = got;
    }
    assert_true(ran > 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(threads_and_company_change_nothing),
      cmocka_unit_test(flows_are_shared),
      cmocka_unit_test(levels_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
