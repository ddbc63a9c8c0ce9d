/* Against golden/schedule.safetensors (diffusers) and the tables of spec/model.md 9. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "golden.h"
#include "model/schedule.h"

static const double shifts[] = {1, 3};

static int open_golden(void **state) {
  err e = {0};
  st_file *f;
  if (st_open(&e, golden_path("schedule.safetensors"), &f) != OK) {
    fprintf(stderr, "%s\n", e.text);
    return -1;
  }
  *state = f;
  return 0;
}

static int close_golden(void **state) {
  st_close(*state);
  return 0;
}

static const st_tensor *need(const st_file *f, const char *fmt, ...) {
  char name[80];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(name, sizeof name, fmt, ap);
  va_end(ap);
  const st_tensor *t = st_find(f, name);
  if (!t) fail_msg("no tensor %s", name);
  return t;
}

static double at(const st_tensor *t, int64_t i) {
  return dtype_get(t->type, t->data, i);
}

static void noise_levels(void **state) {
  for (int s = 0; s < 2; s++) {
    const st_tensor *want = need(*state, "alphas_cumprod.s%.1f", shifts[s]);
    double got[SCHEDULE_STEPS];
    for (int t = 0; t < SCHEDULE_STEPS; t++) got[t] = NAN;
    schedule_abar(shifts[s], got);
    assert_int_equal(want->count, SCHEDULE_STEPS);
    double worst = 0;
    for (int t = 0; t < SCHEDULE_STEPS; t++) {
      assert_true(at(want, t) > 0 || t == 999);
      worst = fmax(worst, fabs(got[t] - at(want, t)));
    }
    assert_true(worst < 1e-13);
    assert_true(got[999] == 0);
  }
}

/* spec/model.md 9.1: independent of the golden file */
static void noise_level_table(void **state) {
  (void)state;
  static const struct {
    int t;
    double s1, s3;
  } row[] = {{0, 0.99915, 0.997454327643007},
             {1, 0.998233446140183, 0.99480062642698},
             {19, 0.981010456928847, 0.946572979237755},
             {499, 0.242359166556145, 0.0959695616907354},
             {799, 0.0178831638727045, 0.00582107548947729},
             {979, 8.57878434005481e-05, 2.71943604002176e-05},
             {998, 1.96788805662116e-07, 6.2307884673948e-08}};
  double s1[SCHEDULE_STEPS], s3[SCHEDULE_STEPS];
  schedule_abar(1, s1);
  schedule_abar(3, s3);
  for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
    assert_true(fabs(s1[row[i].t] / row[i].s1 - 1) < 1e-9);
    assert_true(fabs(s3[row[i].t] / row[i].s3 - 1) < 1e-9);
  }
}

static void time_steps(void **state) {
  static const int counts[] = {4, 6, 25, 50};
  for (int s = SPACING_TRAILING; s <= SPACING_LINSPACE; s++)
    for (int k = 0; k < 4; k++) {
      int64_t got[SCHEDULE_STEPS + 1];
      for (int i = 0; i <= SCHEDULE_STEPS; i++) got[i] = -77;
      const st_tensor *want = need(*state, "timesteps.%s.%d", spacing_name((spacing)s), counts[k]);
      assert_int_equal(schedule_timesteps(NULL, (spacing)s, counts[k], got), OK);
      assert_int_equal(want->count, counts[k]);
      for (int i = 0; i < counts[k]; i++) assert_true((double)got[i] == at(want, i));
      assert_int_equal(got[counts[k]], -77);
    }
}

/* The step counts for which numpy 2.4.6 gives numpy.arange(1000, 0, -1000/N) N+1 entries, the last rounding to -1. */
static const int refused[] = {61,  103, 121, 122, 201, 206, 217, 223, 227, 233, 242, 244, 397, 402, 412, 419,
                              434, 446, 454, 457, 463, 465, 466, 484, 485, 487, 488, 497, 499, 769, 794, 804,
                              805, 824, 829, 835, 838, 868, 871, 887, 892, 908, 914, 926, 930, 932, 937, 941,
                              951, 961, 965, 968, 970, 974, 975, 976, 979, 981, 985, 994, 995, 998};

/* Every list for every step count: SHA-256 of what numpy 2.4.6 gives (int64: for N = 1..1000 the trailing list unless
 * refused, the leading and the linspace list; the expressions are those of golden's reference_parts.py). */
#define EXPECT_LISTS "7518b15adb1f5b1d0fbf6d8f24d8e41a79ec967811f1faed86e0d412c1881ea4"

static void step_counts(void **state) {
  (void)state;
  int64_t t[SCHEDULE_STEPS];
  char hex[HASH_HEX];
  size_t next = 0;
  err e = {0};
  hash *h;
  assert_int_equal(hash_open(NULL, &h), OK);
  for (int n = 1; n <= SCHEDULE_STEPS; n++)
    for (int s = SPACING_TRAILING; s <= SPACING_LINSPACE; s++) {
      int bad = s == SPACING_TRAILING && next < sizeof refused / sizeof refused[0] && refused[next] == n;
      err_clear(&e);
      assert_int_equal(schedule_timesteps(&e, (spacing)s, n, t), bad ? E_CONFIG : OK);
      next += (size_t)bad;
      if (!bad) hash_add(h, t, (size_t)n * sizeof *t);
    }
  assert_int_equal(next, sizeof refused / sizeof refused[0]);
  assert_int_equal(hash_close(h, NULL, hex), OK);
  assert_string_equal(hex, EXPECT_LISTS);
}

static void step_count_messages(void **state) {
  (void)state;
  int64_t t[SCHEDULE_STEPS];
  for (int s = SPACING_TRAILING; s <= SPACING_LINSPACE; s++) {
    err e = {0};
    assert_int_equal(schedule_timesteps(&e, (spacing)s, 0, t), E_CONFIG);
    err_clear(&e);
    assert_int_equal(schedule_timesteps(&e, (spacing)s, 1001, t), E_CONFIG);
    assert_non_null(strstr(e.text, "1001"));
  }
  err e = {0};
  assert_int_equal(schedule_timesteps(&e, SPACING_TRAILING, 975, t), E_CONFIG);
  assert_non_null(strstr(e.text, "use 973 or 977 steps")); /* 974 and 976 are refused as well */
}

static void guidance(void **state) {
  static const struct { int n, g; } run[] = {{50, 6}, {25, 7}, {6, 6}};
  for (int k = 0; k < 3; k++) {
    const st_tensor *want = need(*state, "dynamic_cfg.n%d.g%d", run[k].n, run[k].g);
    int64_t t[50];
    double worst = 0, spread = 0;
    assert_int_equal(schedule_timesteps(NULL, SPACING_TRAILING, run[k].n, t), OK);
    for (int i = 0; i < run[k].n; i++) {
      double got = schedule_guidance(CFG_DYNAMIC_RELEASED, run[k].g, run[k].n, i, t[i]);
      worst = fmax(worst, fabs(got - at(want, i)));
      spread = fmax(spread, fabs(at(want, i) - 1));
    }
    assert_true(spread > 0.5 && worst < 1e-6);
  }
  /* spec/model.md 9.6: the intended schedule, and the constant one */
  assert_true(schedule_guidance(CFG_CONSTANT, 6, 50, 3, 939) == 6);
  assert_true(fabs(schedule_guidance(CFG_DYNAMIC_FIXED, 6, 50, 0, 999) - 1) < 1e-12);
  assert_true(fabs(schedule_guidance(CFG_DYNAMIC_FIXED, 6, 50, 36, 279) - 1.54) < 0.006);
  assert_true(fabs(schedule_guidance(CFG_DYNAMIC_FIXED, 6, 50, 48, 39) - 6.51) < 0.006);
}

/* --- sampler steps: double coefficients applied in float, as the engine does -------------------------------- */

typedef struct run {
  const st_tensor *t, *x, *v, *noise, *x0_old, *x0, *x_prev, *coef;
  int n;
  int64_t width; /* elements of one step */
  double abar[SCHEDULE_STEPS];
} run;

static run load(const st_file *f, const char *kind, double shift, int n) {
  const char *p = kind;
  run r = {.n = n};
  r.t = need(f, "%s.s%.1f.n%d.t", p, shift, n);
  r.x = need(f, "%s.s%.1f.n%d.x", p, shift, n);
  r.v = need(f, "%s.s%.1f.n%d.v", p, shift, n);
  r.noise = need(f, "%s.s%.1f.n%d.noise", p, shift, n);
  r.x0_old = need(f, "%s.s%.1f.n%d.x0_old", p, shift, n);
  r.x0 = need(f, "%s.s%.1f.n%d.x0", p, shift, n);
  r.x_prev = need(f, "%s.s%.1f.n%d.x_prev", p, shift, n);
  if (strcmp(kind, "ddim") != 0) r.coef = need(f, "%s.s%.1f.n%d.coef", p, shift, n);
  r.width = r.x->count / r.t->count;
  schedule_abar(shift, r.abar);
  return r;
}

/* Where t stands in the list of a run with n steps. */
static int index_of(int64_t t, int n, int64_t *back) {
  int64_t list[50];
  assert_int_equal(schedule_timesteps(NULL, SPACING_TRAILING, n, list), OK);
  for (int i = 0; i < n; i++)
    if (list[i] == t) {
      *back = i ? list[i - 1] : -1;
      return i;
    }
  fail_msg("time %d is not in the list of %d", (int)t, n);
  return -1;
}

static float x0_of(double abar, double x, double v) {
  return (float)sqrt(abar) * (float)x - (float)sqrt(1 - abar) * (float)v;
}

static double step_ddim(const run *r, int64_t step, int64_t i) {
  double a, b;
  int64_t t = (int64_t)at(r->t, step), prev = t - 1000 / r->n;
  schedule_ddim(r->abar[t], prev < 0 ? 1 : r->abar[prev], &a, &b);
  float x = (float)at(r->x, i), x0 = x0_of(r->abar[t], at(r->x, i), at(r->v, i));
  return (float)a * x + (float)b * x0;
}

static double step_dpm(const run *r, int64_t step, int64_t i) {
  int64_t t = (int64_t)at(r->t, step), back;
  index_of(t, r->n, &back);
  dpm_coef c = schedule_dpm(r->abar, t, t - 1000 / r->n, back);
  float x = (float)at(r->x, i), x0 = x0_of(r->abar[t], at(r->x, i), at(r->v, i)), old = (float)at(r->x0_old, i);
  return (float)c.m1 * x - (float)c.m2 * ((float)c.d0 * x0 - (float)c.d1 * old) +
         (float)c.mn * (float)at(r->noise, i);
}

static void check_run(const st_file *f, const char *kind, double (*step)(const run *, int64_t, int64_t)) {
  static const int counts[] = {6, 50};
  for (int k = 0; k < 4; k++) {
    run r = load(f, kind, shifts[k / 2], counts[k % 2]);
    for (int64_t s = 0; s < r.t->count; s++) {
      double worst = 0, worst_x0 = 0, scale = 0, scale_x0 = 0;
      for (int64_t i = s * r.width; i < (s + 1) * r.width; i++) {
        worst = fmax(worst, fabs(step(&r, s, i) - at(r.x_prev, i)));
        scale = fmax(scale, fabs(at(r.x_prev, i)));
        worst_x0 = fmax(worst_x0, fabs((double)x0_of(r.abar[(int)at(r.t, s)], at(r.x, i), at(r.v, i)) - at(r.x0, i)));
        scale_x0 = fmax(scale_x0, fabs(at(r.x0, i)));
      }
      if (!(scale > 0 && scale_x0 > 0 && worst / scale < 2e-6 && worst_x0 / scale_x0 < 2e-6))
        fail_msg("%s n %d step %d: x_prev %g of %g, x0 %g of %g", kind, r.n, (int)s, worst, scale, worst_x0,
                 scale_x0);
    }
  }
}

static void ddim_steps(void **state) {
  check_run(*state, "ddim", step_ddim);
}

static void dpm_steps(void **state) {
  check_run(*state, "dpm", step_dpm);
}

static void check_coef(const run *r) {
  int orders[2] = {0};
  for (int64_t s = 0; s < r->t->count; s++) {
    int64_t t = (int64_t)at(r->t, s), prev = t - 1000 / r->n, back = -1;
    int i = index_of(t, r->n, &back);
    dpm_coef c = schedule_dpm(r->abar, t, prev, back);
    const double got[5] = {c.m1, c.m2, c.d0, c.d1, c.mn};
    for (int k = 0; k < 5; k++) {
      double want = at(r->coef, s * 5 + k);
      if (!(fabs(got[k] - want) <= 1e-9 * fmax(1, fabs(want))))
        fail_msg("t %d coef %d: %.17g, wanted %.17g", (int)t, k, got[k], want);
    }
    assert_int_equal(c.second_order, i > 0 && prev >= 0);
    orders[c.second_order]++;
  }
  assert_true(orders[0] > 0 && orders[1] > 0);
}

static void dpm_coefficients(void **state) {
  for (int k = 0; k < 4; k++) {
    run r = load(*state, "dpm", shifts[k / 2], k % 2 ? 50 : 6);
    check_coef(&r);
  }
  run r = load(*state, "dpm_bf16", 1, 5);
  check_coef(&r);
}

/* spec/model.md 9.3 and 9.4 */
static void coefficient_tables(void **state) {
  (void)state;
  double abar[SCHEDULE_STEPS], a, b;
  schedule_abar(1, abar);
  schedule_ddim(abar[999], abar[979], &a, &b);
  assert_true(fabs(a - .999957105158) < 1e-11 && fabs(b - .0092621727149) < 1e-12);
  schedule_ddim(abar[499], abar[479], &a, &b);
  assert_true(fabs(a - .981618184776) < 1e-11 && fabs(b - .0363231563685) < 1e-12);
  schedule_ddim(abar[19], 1, &a, &b);
  assert_true(a == 0 && b == 1);
  dpm_coef c = schedule_dpm(abar, 499, 479, 519);
  assert_true(fabs(c.m1 - 0.9129937083) < 1e-9 && fabs(c.m2 + 0.07010697756) < 1e-10);
  assert_true(fabs(c.mn - 0.3138566526) < 1e-9 && fabs(c.d1 - 1 / (2 * 1.0184351)) < 1e-7);
}

/* Exact limits, nothing infinite or NaN anywhere a sampler can get to. */
static void limits(void **state) {
  (void)state;
  double abar[SCHEDULE_STEPS], a, b;
  schedule_abar(1, abar);
  dpm_coef c = schedule_dpm(abar, 999, 979, -1); /* from pure noise */
  assert_true(c.m1 == 0 && c.m2 == -sqrt(abar[979]) && c.mn == sqrt(1 - abar[979]));
  assert_true(c.d0 == 1 && c.d1 == 0 && !c.second_order);
  c = schedule_dpm(abar, 979, 959, 999); /* the step before it carried nothing: no correction, but a second draw */
  assert_true(c.d0 == 1 && c.d1 == 0 && c.second_order);
  c = schedule_dpm(abar, 19, -1, 39); /* to clean data */
  assert_true(c.m1 == 0 && c.m2 == -1 && c.mn == 0 && c.d0 == 1 && c.d1 == 0 && !c.second_order);
  c = schedule_dpm(abar, 999, -1, -1); /* one step for all */
  assert_true(c.m1 == 0 && c.m2 == -1 && c.mn == 0);
  schedule_ddim(1, 1, &a, &b);
  assert_true(a == 0 && b == 1);
  schedule_ddim(0, 1, &a, &b);
  assert_true(a == 0 && b == 1);
  for (int s = SPACING_TRAILING; s <= SPACING_LINSPACE; s++)
    for (int n = 1; n <= SCHEDULE_STEPS; n += n < 100 ? 1 : 37) {
      int64_t t[SCHEDULE_STEPS];
      if (schedule_timesteps(NULL, (spacing)s, n, t) != OK) continue;
      for (int i = 0; i < n; i++) {
        int64_t prev = t[i] - 1000 / n;
        c = schedule_dpm(abar, t[i], prev, i ? t[i - 1] : -1);
        schedule_ddim(abar[t[i]], prev < 0 ? 1 : abar[prev], &a, &b);
        assert_true(isfinite(c.m1) && isfinite(c.m2) && isfinite(c.d0) && isfinite(c.d1) && isfinite(c.mn));
        assert_true(isfinite(a) && isfinite(b));
      }
    }
}

/* Oracle O8: with the true v, DDIM returns the true x0 exactly; DPM does at a step past the end, whatever the noise.
 */
static void oracle_v(void **state) {
  (void)state;
  double abar[SCHEDULE_STEPS], a, b;
  const double x0 = 0.7, eps = -1.3;
  int64_t t[50];
  schedule_abar(1, abar);
  assert_int_equal(schedule_timesteps(NULL, SPACING_TRAILING, 50, t), OK);
  double x = eps, y = eps; /* abar[999] = 0 */
  for (int i = 0; i < 50; i++) {
    int64_t prev = t[i] - 20;
    double v = sqrt(abar[t[i]]) * eps - sqrt(1 - abar[t[i]]) * x0;
    double pred = sqrt(abar[t[i]]) * x - sqrt(1 - abar[t[i]]) * v;
    schedule_ddim(abar[t[i]], prev < 0 ? 1 : abar[prev], &a, &b);
    x = a * x + b * pred;
    dpm_coef c = schedule_dpm(abar, t[i], prev, i ? t[i - 1] : -1);
    y = c.m1 * y - c.m2 * (c.d0 * x0 - c.d1 * x0) + c.mn * 11.0;
    if (i == 20) assert_true(fabs(x - x0) > 0.1 && fabs(y - x0) > 0.1);
  }
  assert_true(fabs(x - x0) < 1e-9 && fabs(y - x0) < 1e-12);
}

static void names(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    sampler_kind k = SAMPLER_DDIM;
    cfg_kind c = CFG_CONSTANT;
    spacing s = SPACING_TRAILING;
    assert_int_equal(sampler_parse(sampler_name((sampler_kind)i), &k), OK);
    assert_int_equal(cfg_parse(cfg_name((cfg_kind)i), &c), OK);
    assert_int_equal(spacing_parse(spacing_name((spacing)i), &s), OK);
    assert_true((int)k == i && (int)c == i && (int)s == i);
  }
  sampler_kind k = SAMPLER_DPM;
  assert_int_equal(sampler_parse("DPM", &k), E_ARG);
  assert_int_equal(sampler_parse("", &k), E_ARG);
  assert_int_equal(k, SAMPLER_DPM);
  cfg_kind c;
  spacing s;
  assert_int_equal(cfg_parse("dynamic", &c), E_ARG);
  assert_int_equal(spacing_parse("trailing ", &s), E_ARG);
  assert_string_equal(spacing_name((spacing)7), "unknown");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(noise_levels),
      cmocka_unit_test(noise_level_table),
      cmocka_unit_test(time_steps),
      cmocka_unit_test(step_counts),
      cmocka_unit_test(step_count_messages),
      cmocka_unit_test(guidance),
      cmocka_unit_test(ddim_steps),
      cmocka_unit_test(dpm_steps),
      cmocka_unit_test(dpm_coefficients),
      cmocka_unit_test(coefficient_tables),
      cmocka_unit_test(limits),
      cmocka_unit_test(oracle_v),
      cmocka_unit_test(names),
  };
  return cmocka_run_group_tests(tests, open_golden, close_golden);
}
