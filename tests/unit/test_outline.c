/* Masks against their definitions, pixel by pixel: contours, boundaries, distances, components. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "metrics/outline.h"

enum { MOST = 19 * 23, CASES = 40 };

typedef struct plane {
  int h, w;
  unsigned char at[MOST];
} plane;

/* Odd and degenerate sizes, sparse to nearly full. */
static plane draw(int k) {
  static const int size[][2] = {{1, 1}, {1, 17}, {16, 1}, {2, 2}, {7, 9}, {19, 23}, {12, 12}, {3, 20}};
  static const float density[] = {0.01f, 0.05f, 0.4f, 0.8f, 0.98f};
  plane p = {.h = size[k % 8][0], .w = size[k % 8][1]};
  float u[MOST];
  rng_uniform((rng){.seed = 11, .stream = RNG_TEST, .sub = (uint32_t)k}, 0, MOST, u);
  for (int i = 0; i < p.h * p.w; i++) p.at[i] = u[i] < density[k / 8];
  return p;
}

static int inside(const plane *p, int y, int x) {
  return y >= 0 && x >= 0 && y < p->h && x < p->w;
}

static int set(const plane *p, int y, int x) {
  return inside(p, y, x) && p->at[y * p->w + x];
}

/* Differs from a right, lower or lower right neighbour inside the frame. */
static int on_contour(const plane *p, int y, int x) {
  for (int k = 1; k < 4; k++) {
    int v = y + (k >> 1), u = x + (k & 1);
    if (k == 3 && !inside(p, v, u)) continue;
    if (inside(p, v, u) && set(p, v, u) != set(p, y, x)) return 1;
  }
  return 0;
}

/* Set, with a pixel that is not set or not in the frame at most d away along each axis. */
static int on_boundary(const plane *p, int y, int x, int d) {
  if (!set(p, y, x)) return 0;
  for (int v = y - d; v <= y + d; v++)
    for (int u = x - d; u <= x + d; u++)
      if (!set(p, v, u)) return 1;
  return 0;
}

static int nearest(const plane *p, int y, int x) {
  int best = INT32_MAX;
  for (int v = 0; v < p->h; v++)
    for (int u = 0; u < p->w; u++) {
      int d = (v - y) * (v - y) + (u - x) * (u - x);
      if (set(p, v, u) && d < best) best = d;
    }
  return best;
}

static void masks_match_their_definitions(void **state) {
  (void)state;
  int64_t contour = 0, boundary = 0, far = 0;
  for (int k = 0; k < CASES; k++) {
    plane p = draw(k), q = p;
    unsigned char out[MOST], grown[MOST], edge[MOST], scratch[MOST];
    double distance[MOST], work[OUTLINE_SCRATCH(19, 23)];
    int n = p.h * p.w, any = memchr(p.at, 1, (size_t)n) != NULL, r = 1 + (k + k / 8) % 4, count = 0;
    memset(out, 0xff, sizeof out), memset(grown, 0xff, sizeof grown), memset(edge, 0xff, sizeof edge);
    for (int i = 0; i < n; i++) distance[i] = NAN;
    int64_t told = outline_contour(p.at, p.h, p.w, out);
    outline_contour(q.at, q.h, q.w, q.at); /* in place */
    outline_dilate(p.at, p.h, p.w, r, grown);
    outline_boundary(p.at, p.h, p.w, r, edge, scratch);
    if (any) outline_distance(p.at, p.h, p.w, distance, work);
    for (int y = 0; y < p.h; y++) {
      for (int x = 0; x < p.w; x++) {
        int i = y * p.w + x, d = nearest(&p, y, x);
        assert_int_equal(out[i], on_contour(&p, y, x));
        assert_int_equal(q.at[i], out[i]);
        assert_int_equal(grown[i], d <= r * r);
        assert_int_equal(edge[i], on_boundary(&p, y, x, r));
        if (any) assert_true(distance[i] == d);
        count += out[i], boundary += edge[i], far += any && d > r * r;
      }
    }
    assert_int_equal(told, count);
    contour += count;
  }
  print_message("contour %d, boundary %d, far %d\n", (int)contour, (int)boundary, (int)far);
  assert_true(contour > 500 && boundary > 500 && far > 500);
}

/* Labels are components: neighbours of one kind share one, and each one's pixels are joined; numbers rise in raster
 * order. */
static void labels_are_components(void **state) {
  (void)state;
  int64_t several = 0;
  for (int k = 0; k < CASES; k++) {
    plane p = draw(k);
    for (int of = 0; of < 2; of++) {
      int32_t label[MOST], stack[MOST], count = -1, seen = 0;
      int reached[MOST] = {0}, n = p.h * p.w;
      memset(label, 0xff, sizeof label);
      outline_label(p.at, (unsigned char)of, p.h, p.w, label, stack, &count);
      for (int i = 0; i < n; i++) {
        assert_int_equal(label[i] > 0, p.at[i] == of);
        if (label[i] > seen) assert_int_equal(label[i], ++seen), reached[i] = 1; /* its first pixel */
        if (label[i] && i % p.w && label[i - 1]) assert_int_equal(label[i], label[i - 1]);
        if (label[i] && i >= p.w && label[i - p.w]) assert_int_equal(label[i], label[i - p.w]);
      }
      assert_int_equal(seen, count);
      for (int pass = 0; pass < n; pass++)
        for (int i = 0; i < n; i++) {
          if (!label[i] || reached[i]) continue;
          reached[i] = (i % p.w && reached[i - 1]) || (i % p.w < p.w - 1 && reached[i + 1]) ||
                       (i >= p.w && reached[i - p.w]) || (i + p.w < n && reached[i + p.w]);
        }
      for (int i = 0; i < n; i++) assert_int_equal(reached[i], label[i] > 0);
      several += count > 1;
    }
  }
  assert_true(several > 20);
}

/* One half of 255 codes when some pixel gets there, else half the 99.5 percentile; what a code of 128 is in 16 bits.
 */
static void threshold_falls_back(void **state) {
  (void)state;
  err e = {0};
  double cut = NAN;
  float x[101] = {0};
  x[7] = 1;
  assert_int_equal(outline_threshold(&e, x, 101, &cut), OK);
  assert_true((double)(float)(128 / 255.0) >= cut && (double)(float)(127 / 255.0) < cut);
  assert_true((double)(float)(32768 / 65535.0) >= cut && (double)(float)(32767 / 65535.0) < cut);
  for (int i = 0; i < 101; i++) x[i] = (float)(100 / 255.0);
  assert_int_equal(outline_threshold(&e, x, 101, &cut), OK); /* above 50, not at it */
  assert_true((double)(float)(51 / 255.0) >= cut && (double)(float)(50 / 255.0) < cut);
  for (int i = 0; i < 101; i++) x[i] = (float)(101 / 255.0);
  assert_int_equal(outline_threshold(&e, x, 101, &cut), OK); /* above 50.5 */
  assert_true((double)(float)(51 / 255.0) >= cut && (double)(float)(50 / 255.0) < cut);
  memset(x, 0, sizeof x);
  assert_int_equal(outline_threshold(&e, x, 101, &cut), OK);
  assert_true(cut > 0); /* nothing is in the mask of an empty alpha */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(masks_match_their_definitions),
      cmocka_unit_test(labels_are_components),
      cmocka_unit_test(threshold_falls_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
