/* report/validate.h: verdicts on chains, metrics rigged to know the answer, and the built-in clips. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/validate.h"

static metric_value number(double v) {
  return (metric_value){.value = v};
}

static metric_value reason(const char *code) {
  return (metric_value){.reason = code};
}

static void verdicts(void **state) {
  (void)state;
  metric_value down[] = {number(3), number(2), number(1)}, tie[] = {number(3), number(3), number(1)},
               back[] = {number(3), number(1), number(2)}, gate[] = {number(3), number(2), reason(METRIC_FLAT_ALPHA)},
               held[] = {number(3), reason(METRIC_NO_BAND), reason(METRIC_EMPTY_ALPHA)},
               left[] = {number(3), reason(METRIC_NO_BAND), number(1)},
               other[] = {number(3), number(2), reason(METRIC_STATIC)},
               no[] = {reason(METRIC_FLAT_ALPHA), number(1), number(0)},
               hair[] = {number(3), number(3 - 1e-10), number(1)};
  assert_int_equal(validate_order(METRIC_UP, down, 3), VALIDATE_ORDERED);
  assert_int_equal(validate_order(METRIC_DOWN, down, 3), VALIDATE_WRONG);
  assert_int_equal(validate_order(METRIC_UP, tie, 3), VALIDATE_TIED);
  assert_int_equal(validate_order(METRIC_UP, hair, 3), VALIDATE_TIED);
  assert_int_equal(validate_order(METRIC_UP, back, 3), VALIDATE_WRONG);
  assert_int_equal(validate_order(METRIC_DOWN, back, 3), VALIDATE_WRONG);
  assert_int_equal(validate_order(METRIC_UP, gate, 3), VALIDATE_BY_GATE);
  assert_int_equal(validate_order(METRIC_DOWN, gate, 3), VALIDATE_WRONG); /* its first step is better */
  assert_int_equal(validate_order(METRIC_DOWN, held, 3), VALIDATE_BY_GATE);
  assert_int_equal(validate_order(METRIC_UP, left, 3), VALIDATE_WRONG);
  assert_int_equal(validate_order(METRIC_UP, other, 3), VALIDATE_UNDEFINED);
  assert_int_equal(validate_order(METRIC_UP, no, 3), VALIDATE_UNDEFINED);
  assert_int_equal(validate_order(METRIC_NONE, back, 3), VALIDATE_ORDERED);
  assert_int_equal(validate_order(METRIC_NONE, gate, 3), VALIDATE_ORDERED);
  metric_value best[] = {reason(METRIC_IDENTICAL), number(9), number(4)},
               same[] = {reason(METRIC_IDENTICAL), reason(METRIC_IDENTICAL), number(4)};
  assert_int_equal(validate_order(METRIC_UP, best, 3), VALIDATE_ORDERED);
  assert_int_equal(validate_order(METRIC_DOWN, best, 3), VALIDATE_WRONG); /* its second step is better */
  assert_int_equal(validate_order(METRIC_UP, best, 2), VALIDATE_ORDERED);
  assert_int_equal(validate_order(METRIC_NONE, best, 3), VALIDATE_UNDEFINED);
  assert_int_equal(validate_order(METRIC_UP, same, 3), VALIDATE_UNDEFINED);
  tie[2] = number(3);
  assert_int_equal(validate_order(METRIC_NONE, tie, 3), VALIDATE_TIED);
}

/* --- rigged metrics ----------------------------------------------------------------------------------------------
 */

static int64_t voxels(const metric_view *v) {
  return (int64_t)v->frames * v->height * v->width;
}

/* Ignores alpha. */
static int constant(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  return metric_defined(out, (double)v->rgb[0], 1);
}

/* Knows the answer: distance to the reference's alpha. */
static int oracle(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double sum = 0;
  for (int64_t i = 0; i < voxels(v); i++) sum += fabs((double)v->alpha[i] - (double)v->ref_alpha[i]);
  return metric_defined(out, sum, voxels(v));
}

/* Sees only how much alpha there is. */
static int mass(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double sum = 0;
  for (int64_t i = 0; i < voxels(v); i++) sum += (double)v->alpha[i];
  return sum > 0 ? metric_defined(out, sum, voxels(v)) : metric_undefined(out, METRIC_EMPTY_ALPHA, 0);
}

/* What every metric is given: straight colour, the clean clip, a trimap, a partner of another picture. */
static int witness(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  int64_t known = 0;
  for (int64_t i = 0; i < voxels(v); i++) {
    assert_true(v->trimap[i] == 0 || v->trimap[i] == 1 || v->trimap[i] == .5F);
    if (v->trimap[i] != .5F) assert_true(v->trimap[i] == v->ref_alpha[i]);
    known += v->trimap[i] == 1;
    assert_true(v->truth[i] == v->ref_alpha[i]);
  }
  assert_true(known > 0);
  return metric_defined(out, (double)known, voxels(v));
}

#define RIGGED                                                                                                       \
  .version = 1, .unit = "1", .lo = -INFINITY, .hi = INFINITY, .tier = 1, .min_frames = 1, .plane = METRIC_JOINT
static const metric rigged[] = {
    {RIGGED, .id = "constant", .direction = METRIC_UP, .picture = METRIC_DECODED, .score = constant},
    {RIGGED, .id = "oracle", .direction = METRIC_DOWN, .needs = METRIC_NEEDS_ALPHA | METRIC_NEEDS_REFERENCE,
     .score = oracle},
    {RIGGED, .id = "inverted", .direction = METRIC_UP, .needs = METRIC_NEEDS_ALPHA | METRIC_NEEDS_REFERENCE,
     .score = oracle},
    {RIGGED, .id = "mass", .direction = METRIC_UP, .needs = METRIC_NEEDS_ALPHA, .score = mass},
    {RIGGED, .id = "aimless", .direction = METRIC_NONE, .needs = METRIC_NEEDS_ALPHA, .score = mass},
};
enum { CONSTANT, ORACLE, INVERTED, MASS, AIMLESS, RIGS };

static void requests_of(const metric *m, int n, metric_request *out) {
  for (int i = 0; i < n; i++) out[i] = (metric_request){.metric = &m[i], .picture = m[i].picture};
}

static validate_clips clips_of(int64_t n, uint64_t seed) {
  err e = {0};
  validate_clips c = {0};
  assert_int_equal(validate_procedural(&e, seed, n, &c), OK);
  return c;
}

static void rigged_metrics(void **state) {
  (void)state;
  err e = {0};
  metric_request list[RIGS];
  validate_result r;
  validate_clips clips = clips_of(2, 4);
  requests_of(rigged, RIGS, list);
  assert_int_equal(validate_run(&e, &clips, list, RIGS, 2, &r), OK);
  for (int k = 0; k < DEFECT_KINDS; k++) {
    const validate_cell *c = validate_at(&r, CONSTANT, (defect_kind)k), *o = validate_at(&r, ORACLE, (defect_kind)k),
                        *i = validate_at(&r, INVERTED, (defect_kind)k), *a = validate_at(&r, AIMLESS, (defect_kind)k);
    int64_t n = validate_clip_count(c);
    assert_true(n > 0 && n <= clips.n);
    assert_true(validate_good(c) == 0 && validate_count(c, VALIDATE_TIED) == n && c->seen == 0);
    assert_true(validate_count(o, VALIDATE_ORDERED) == n && o->seen == n);
    assert_true(validate_good(i) == 0 && validate_count(i, VALIDATE_WRONG) == n && i->seen == 0);
    assert_false(validate_primary(&list[AIMLESS]));
    assert_true(validate_clip_count(a) == n);
    assert_int_equal(validate_best(&r, list, (defect_kind)k), ORACLE);
    assert_true(o->defined[0] == n && o->sum[0] == 0 && o->sum[1] > 0);
  }
  /* alpha that vanishes is seen by its mass, the last step by its gate; alpha that grows is not */
  const validate_cell *empty = validate_at(&r, MASS, DEFECT_EMPTY), *dilate = validate_at(&r, MASS, DEFECT_DILATE);
  assert_int_equal(validate_count(empty, VALIDATE_BY_GATE), clips.n);
  assert_int_equal(validate_count(dilate, VALIDATE_WRONG), clips.n);
  assert_int_equal(validate_count(validate_at(&r, MASS, DEFECT_HALF), VALIDATE_ORDERED), clips.n);
  validate_free(&r);
  /* without one that sees, nothing is found */
  list[ORACLE] = list[CONSTANT];
  assert_int_equal(validate_run(&e, &clips, list, INVERTED + 1, 1, &r), OK);
  for (int k = 0; k < DEFECT_KINDS; k++) {
    assert_int_equal(validate_best(&r, list, (defect_kind)k), -1);
    assert_int_equal(validate_seen_by(&r, list, (defect_kind)k), -1);
  }
  validate_free(&r);
  validate_clips_free(&clips);
}

/* Among metrics that order a defect, one of alpha alone is named only when no other does. */
static void alpha_alone_comes_last(void **state) {
  (void)state;
  err e = {0};
  metric alone = rigged[ORACLE];
  alone.id = "alone", alone.plane = METRIC_ALPHA;
  const metric *const order[] = {&alone, &rigged[MASS], &rigged[CONSTANT]};
  metric_request list[3];
  validate_result r;
  validate_clips clips = clips_of(1, 6);
  for (int i = 0; i < 3; i++) list[i] = (metric_request){.metric = order[i], .picture = order[i]->picture};
  assert_int_equal(validate_run(&e, &clips, list, 3, 1, &r), OK);
  assert_true(validate_reaches(&r, list, 0, DEFECT_EMPTY) && validate_reaches(&r, list, 1, DEFECT_EMPTY));
  assert_int_equal(validate_best(&r, list, DEFECT_EMPTY), 1);
  assert_true(!validate_reaches(&r, list, 1, DEFECT_OPAQUE));
  assert_int_equal(validate_best(&r, list, DEFECT_OPAQUE), 0);
  validate_free(&r);
  validate_clips_free(&clips);
}

static void what_metrics_get(void **state) {
  (void)state;
  err e = {0};
  static const metric m = {RIGGED,
                           .id = "witness",
                           .direction = METRIC_NONE,
                           .picture = METRIC_STRAIGHT,
                           .needs =
                               METRIC_NEEDS_ALPHA | METRIC_NEEDS_REFERENCE | METRIC_NEEDS_TRIMAP | METRIC_NEEDS_TRUTH,
                           .score = witness};
  metric_request r = {.metric = &m, .picture = METRIC_STRAIGHT};
  validate_clips clips = clips_of(2, 1);
  validate_result got;
  assert_int_equal(validate_run(&e, &clips, &r, 1, 1, &got), OK);
  const validate_cell *c = validate_at(&got, 0, DEFECT_SHIFT);
  /* the world's straight colour is not known; a disc's is */
  assert_int_equal(c->verdict[VALIDATE_WORLD][VALIDATE_UNDEFINED], 2);
  assert_int_equal(c->verdict[VALIDATE_MOVING][VALIDATE_TIED], 2);
  validate_free(&got);
  validate_clips_free(&clips);
}

/* Real metrics: the planted order is found, and not by chance where the alpha is not read. */
static void real_metrics(void **state) {
  (void)state;
  err e = {0};
  metric_request list[3];
  validate_result one, three;
  validate_clips clips = clips_of(2, 1);
  assert_int_equal(metric_parse(&e, "color_fit", &list[0]), OK);
  assert_int_equal(metric_parse(&e, "true_iou", &list[1]), OK);
  assert_int_equal(metric_parse(&e, "rgb_rmse_base", &list[2]), OK);
  assert_int_equal(validate_run(&e, &clips, list, 3, 1, &one), OK);
  assert_int_equal(validate_run(&e, &clips, list, 3, 3, &three), OK);
  assert_memory_equal(one.cell, three.cell, 3 * DEFECT_KINDS * sizeof *one.cell);
  for (int k = 0; k < DEFECT_KINDS; k++) {
    const validate_cell *iou = validate_at(&one, 1, (defect_kind)k), *rgb = validate_at(&one, 2, (defect_kind)k);
    assert_true(validate_clip_count(iou) > 0);
    assert_int_equal(validate_good(iou), validate_clip_count(iou));
    assert_int_equal(validate_good(rgb), 0);
  }
  assert_int_equal(validate_good(validate_at(&one, 0, DEFECT_NOISE)), clips.n);
  assert_int_equal(validate_good(validate_at(&one, 0, DEFECT_HALF)), 0); /* its blind spot: affine in alpha */
  assert_false(validate_primary(&list[1]));                              /* tier 2 */
  validate_free(&one), validate_free(&three);
  validate_clips_free(&clips);
}

/* --- clips -------------------------------------------------------------------------------------------------------
 */

static void built_in_clips(void **state) {
  (void)state;
  validate_clips a = clips_of(3, 1), b = clips_of(3, 1), c = clips_of(3, 2);
  assert_int_equal(a.n, 6);
  for (int64_t i = 0; i < a.n; i++) {
    const clip *p = &a.at[i].picture, *q = &a.at[i].partner;
    size_t bytes = (size_t)p->frames * (size_t)p->height * (size_t)p->width * sizeof(float);
    assert_int_equal(p->colour, CLIP_DECODED);
    assert_int_equal(q->colour, CLIP_DECODED);
    assert_true(p->frames == q->frames && p->height == q->height && p->width == q->width);
    assert_memory_not_equal(p->alpha, q->alpha, bytes);
    assert_memory_not_equal(p->rgb, q->rgb, bytes);
    assert_memory_equal(p->rgb, b.at[i].picture.rgb, 3 * bytes);
    assert_memory_not_equal(p->rgb, c.at[i].picture.rgb, 3 * bytes);
    assert_true(i < 3 ? p->height == 48 && !a.at[i].colour : p->height == 96 && a.at[i].colour);
  }
  validate_clips_free(&a), validate_clips_free(&b), validate_clips_free(&c);
}

static clip made(int frames, int height, int alpha, clip_colour colour) {
  err e = {0};
  clip c;
  assert_int_equal(clip_new(&e, frames, height, 5, alpha, &c), OK);
  c.colour = colour;
  for (int64_t i = 0; i < (int64_t)frames * height * 5; i++) {
    if (alpha) c.alpha[i] = i % 5 == 1 ? 1 : 0;
    c.rgb[3 * i] = .25F;
  }
  return c;
}

static void given_clips(void **state) {
  (void)state;
  err e = {0};
  validate_clips l = {0};
  clip first = made(40, 4, 1, CLIP_STRAIGHT), second = made(VALIDATE_FRAMES, 4, 1, CLIP_DECODED),
       alone = made(3, 7, 1, CLIP_PREMULTIPLIED), bare = made(3, 7, 0, CLIP_DECODED);
  float decoded = second.rgb[0];
  assert_int_equal(validate_add(&e, 1, "first", &first, &l), OK);
  assert_int_equal(validate_add(&e, 1, "second", &second, &l), OK);
  assert_int_equal(validate_add(&e, 1, "alone", &alone, &l), OK);
  assert_null(first.rgb);
  assert_int_equal(validate_pair(&e, &l), OK);
  assert_int_equal(l.at[0].picture.frames, VALIDATE_FRAMES);
  assert_int_equal(l.at[0].picture.colour, CLIP_DECODED);
  assert_true(l.at[0].colour && l.at[0].colour[0] == .25F && l.at[0].picture.rgb[0] != .25F); /* the plate shows */
  assert_true(fabs((double)l.at[0].picture.rgb[3] - .25) < 1e-6);                             /* alpha 1 */
  assert_true(!l.at[1].colour && l.at[1].picture.rgb[0] == decoded);
  assert_true(l.at[0].partner.rgb[0] == l.at[1].picture.rgb[0]);
  assert_true(l.at[1].partner.rgb[1] == l.at[0].picture.rgb[1]);
  assert_true(l.at[2].partner.alpha[1] == 0 && l.at[2].partner.alpha[3] == 1); /* turned */
  assert_int_equal(validate_add(&e, 1, "bare", &bare, &l), E_ARG);
  assert_non_null(strstr(e.text, "bare"));
  validate_clips_free(&l);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(verdicts),         cmocka_unit_test(rigged_metrics), cmocka_unit_test(alpha_alone_comes_last),
      cmocka_unit_test(what_metrics_get), cmocka_unit_test(real_metrics),   cmocka_unit_test(built_in_clips),
      cmocka_unit_test(given_clips),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
