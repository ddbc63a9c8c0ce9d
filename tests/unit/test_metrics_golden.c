/* color_fit, edge_color and the flow differences against tests/golden/metrics (definitions: make_color_goldens.py and
 * make_metric_goldens.py), and the order they put planted defects in. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "golden.h"
#include "metrics/band.h"
#include "metrics/flicker.h"
#include "metrics/flow_diff.h"
#include "metrics/metric.h"
#include "metrics/session.h"
#include "model/safetensors.h"

static const char *const files[] = {"metrics/alignment_emoji", "metrics/alignment_procedural"};

typedef struct source {
  int frames, height, width;
  int64_t n; /* pixels of a frame */
  uint8_t *rgba;
} source;

static void *take(int64_t n, size_t size) {
  void *p = malloc((size_t)n * size);
  assert_non_null(p);
  memset(p, 0xff, (size_t)n * size); /* NaN where it is a float or double */
  return p;
}

static source source_of(const st_tensor *t) {
  source s = {(int)t->shape[0], (int)t->shape[1], (int)t->shape[2], t->shape[1] * t->shape[2], take(t->count, 1)};
  memcpy(s.rgba, t->data, (size_t)t->count);
  return s;
}

static double num(const json *object, const char *key) {
  const json *v = json_get(object, key);
  assert_non_null(v);
  return v->type == JSON_NUMBER ? v->num : NAN;
}

static metric_value score(const char *id, const clip *c) {
  err e = {0};
  metric_request r;
  metric_value v = {.value = NAN};
  assert_int_equal(metric_parse(&e, id, &r), OK);
  assert_int_equal(metric_score(&e, &r, 1, &(metric_input){.clip = c}, &v), OK);
  assert_true(isfinite(v.value));
  return v;
}

/* --- colour ----------------------------------------------------------------------------------------------------- */

/* The clip's alpha composited over a smooth moving coloured plate. */
static void composite(const source *s, clip *out) {
  err e = {0};
  assert_int_equal(clip_new(&e, s->frames, s->height, s->width, 1, out), OK);
  for (int t = 0; t < s->frames; t++) {
    for (int64_t i = 0; i < s->n; i++) {
      const uint8_t *p = s->rgba + 4 * (t * s->n + i);
      double a = p[3] / 255.0, y = (double)(i / s->width), x = (double)(i % s->width);
      for (int c = 0; c < 3; c++) {
        double plate = 0.5 + 0.25 * sin(0.31 * x + 0.17 * y + 0.9 * c + 0.2 * t);
        out->rgb[3 * (t * s->n + i) + c] = (float)(p[c] / 255.0 * a + (1 - a) * plate);
      }
    }
  }
}

static int reflect(int i, int n) {
  return i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i;
}
static int replicate(int i, int n) {
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* One frame blurred with sigma 2, radius 8. */
static void blur(const double *x, int h, int w, int (*border)(int, int), double *out) {
  double g[17], sum = 0, *tmp = take((int64_t)h * w, sizeof *tmp);
  for (int k = -8; k <= 8; k++) sum += g[k + 8] = exp(-k * k / 8.0);
  for (int y = 0; y < h; y++)
    for (int i = 0; i < w; i++) {
      double v = 0;
      for (int k = -8; k <= 8; k++) v += g[k + 8] / sum * x[border(y + k, h) * w + i];
      tmp[y * w + i] = v;
    }
  for (int y = 0; y < h; y++)
    for (int i = 0; i < w; i++) {
      double v = 0;
      for (int k = -8; k <= 8; k++) v += g[k + 8] / sum * tmp[y * w + border(i + k, w)];
      out[y * w + i] = v;
    }
  free(tmp);
}

/* a8 shifted, delayed...; values in 0..255, not rounded. */
static void defect(const source *s, const char *name, int (*border)(int, int), double *out) {
  for (int t = 0; t < s->frames; t++) {
    int k = name[strlen(name) - 1] - '0', from = t;
    if (!strncmp(name, "delay", 5)) from = t - k > 0 ? t - k : 0;
    if (!strcmp(name, "frozen")) from = 0;
    double *o = out + t * s->n, *frame = take(s->n, sizeof *frame);
    for (int64_t i = 0; i < s->n; i++) frame[i] = s->rgba[4 * (from * s->n + i) + 3];
    for (int64_t i = 0; i < s->n; i++) {
      o[i] = frame[i];
      if (!strncmp(name, "shift", 5)) o[i] = i % s->width >= k ? frame[i - k] : 0;
      if (!strcmp(name, "opaque")) o[i] = 255;
      if (!strcmp(name, "half")) o[i] = 128;
      if (!strcmp(name, "flicker")) o[i] = frame[i] * (t % 2 ? 0.9 : 1.0);
    }
    if (!strcmp(name, "blur")) blur(frame, s->height, s->width, border, o);
    free(frame);
  }
}

static void set_alpha(clip *c, const double *a255) {
  for (int64_t i = 0; i < (int64_t)c->frames * c->height * c->width; i++) c->alpha[i] = (float)(a255[i] / 255);
}

static void colour_value(const char *id, const clip *c, const json *want, const char *key, double *worst) {
  metric_value v = score(id, c);
  double w = num(want, key);
  if (isnan(w)) {
    assert_non_null(v.reason);
    assert_true(!strcmp(v.reason, METRIC_OPAQUE_ALPHA) || !strcmp(v.reason, METRIC_FLAT_ALPHA));
    return;
  }
  assert_null(v.reason);
  assert_true(w != 0);
  double rel = fabs(v.value - w) / fabs(w);
  if (rel > *worst) *worst = rel;
  if (rel > 1e-6) fail_msg("%s %s: %.12g, expected %.12g", want->key, id, v.value, w);
}

static void color_matches(void **state) {
  (void)state;
  json *info = golden_json("metrics/color");
  int64_t clips = 0;
  double worst = 0;
  for (int f = 0; f < 2; f++) {
    st_file *st = golden_tensors(files[f]);
    for (const json *c = json_get(info, "expected")->child; c; c = c->next) {
      char key[96];
      snprintf(key, sizeof key, "%s.rgba", c->key);
      if (!st_find(st, key)) continue;
      source s = source_of(st_find(st, key));
      double *a = take(s.frames * s.n, sizeof *a);
      clip p;
      composite(&s, &p);
      clips++;
      for (const json *v = c->child; v; v = v->next) {
        defect(&s, v->key, reflect, a);
        set_alpha(&p, a);
        colour_value("edge_color", &p, v, "edge_color", &worst);
        colour_value("color_fit", &p, v, "color_fit", &worst);
        colour_value("color_fit:r=2,rt=0", &p, v, "color_fit_r2_t0", &worst);
        colour_value("color_fit:r=4", &p, v, "color_fit_r4_t1", &worst);
        colour_value("color_fit:r=6,rt=2", &p, v, "color_fit_r6_t2", &worst);
      }
      clip_free(&p), free(a), free(s.rgba);
    }
    st_close(st);
  }
  json_free(info);
  print_message("color: worst relative difference %.2e\n", worst);
  assert_int_equal(clips, 9);
}

/* --- flow ------------------------------------------------------------------------------------------------------- */

/* RGB premultiplied by the true alpha: the picture the goldens score alphas against, on black. */
static void on_black(const source *s, clip *out) {
  err e = {0};
  assert_int_equal(clip_new(&e, s->frames, s->height, s->width, 1, out), OK);
  for (int64_t i = 0; i < s->frames * s->n; i++)
    for (int c = 0; c < 3; c++)
      out->rgb[3 * i + c] = (float)(s->rgba[4 * i + c] / 255.0 * (s->rgba[4 * i + 3] / 255.0));
}

static void dilate(const source *s, double *out) {
  for (int64_t i = 0; i < s->frames * s->n; i++) {
    int64_t t = i / s->n, y = i % s->n / s->width, x = i % s->width;
    out[i] = 0;
    for (int64_t dy = -3; dy <= 3; dy++)
      for (int64_t dx = -3; dx <= 3; dx++) {
        if (dx * dx + dy * dy > 9 || y + dy < 0 || y + dy >= s->height || x + dx < 0 || x + dx >= s->width) continue;
        out[i] = fmax(out[i], s->rgba[4 * (t * s->n + (y + dy) * s->width + x + dx) + 3]);
      }
  }
}

static void luma8(const source *s, double *out) {
  for (int64_t i = 0; i < s->frames * s->n; i++) {
    const uint8_t *p = s->rgba + 4 * i;
    out[i] = (double)((p[3] * (299 * p[0] + 587 * p[1] + 114 * p[2]) + 127500) / 255000);
  }
}

/* Alpha of the next clip of the same size, else the own alpha turned by 180 degrees. */
static void other(const source *s, const st_file *st, const json *clip_info, const json *all, double *out) {
  const json *c = clip_info->next ? clip_info->next : all->child;
  for (; c != clip_info; c = c->next ? c->next : all->child) {
    char key[96];
    snprintf(key, sizeof key, "%s.rgba", c->key);
    const st_tensor *t = st_find(st, key);
    if (t->shape[0] != s->frames || t->shape[1] != s->height || t->shape[2] != s->width) continue;
    for (int64_t i = 0; i < s->frames * s->n; i++) out[i] = dtype_get(t->type, t->data, 4 * i + 3);
    return;
  }
  for (int64_t t = 0; t < s->frames; t++)
    for (int64_t i = 0; i < s->n; i++) out[t * s->n + i] = s->rgba[4 * (t * s->n + s->n - 1 - i) + 3];
}

static void variant_alpha(const source *s, const st_file *st, const json *clip_info, const json *all,
                          const char *name, double *out) {
  if (!strcmp(name, "noise")) {
    char key[96];
    snprintf(key, sizeof key, "%s.alpha_noise", clip_info->key);
    const st_tensor *t = st_find(st, key);
    for (int64_t i = 0; i < t->count; i++) out[i] = dtype_get(t->type, t->data, i);
  } else if (!strcmp(name, "dilate")) {
    dilate(s, out);
  } else if (!strcmp(name, "luma")) {
    luma8(s, out);
  } else if (!strcmp(name, "other")) {
    other(s, st, clip_info, all, out);
  } else {
    defect(s, name, replicate, out);
    for (int64_t i = 0; i < s->frames * s->n; i++) out[i] = rint(out[i]);
  }
}

enum {
  FD_FULL,
  FD_MASK,
  FD_MASK_REL,
  FD_PX,
  FD_REL,
  FD_COS,
  FD_LOGMAG,
  FD_RGB,
  COVERAGE,
  SOFT,
  LOWEST,
  HIGHEST,
  OPACITY,
  LAG,
  ABS_LAG,
  EDGE_CORR,
  EDGE_COS,
  BOUNDARY_F,
  BOUNDARY_IOU,
  WARP_R,
  WARP_E,
  FLICKER,
  COMPONENTS,
  HOLES,
  IDS
};
static const char *const ids[IDS] = {
    "fd_full",         "fd_mask",      "fd_mask_rel",    "fd_band_px",      "fd_band_rel",      "fd_band_cos",
    "fd_band_logmag",  "fd_band_rgb",  "alpha_coverage", "alpha_soft_frac", "alpha_min",        "alpha_max",
    "opacity_flicker", "alpha_lag",    "abs_lag",        "edge_corr",       "edge_cos",         "boundary_f",
    "boundary_iou",    "alpha_warp_R", "alpha_warp_E",   "flicker_vbench",  "alpha_components", "alpha_hole_frac"};

/* NULL in the golden must be a reason here; else relative to max(1e-3, |want|) as the goldens' own comparison. */
static void close_to(const json *v, const char *id, metric_value got, double want, double tol, double *worst) {
  if (isnan(want)) {
    if (!got.reason) fail_msg("%s %s: %.9g where nothing is defined", v->key, id, got.value);
    return;
  }
  if (got.reason) fail_msg("%s %s: %s, expected %.9g", v->key, id, got.reason, want);
  double rel = fabs(got.value - want) / fmax(1e-3, fabs(want));
  if (rel > *worst) *worst = rel;
  if (rel > tol) fail_msg("%s %s: %.9g, expected %.9g", v->key, id, got.value, want);
}

/* Mean of the numbers of a list; NaN without any. */
static double mean_of(const json *object, const char *key) {
  double sum = 0;
  int n = 0;
  for (const json *i = json_get(object, key)->child; i; i = i->next)
    if (i->type == JSON_NUMBER) sum += i->num, n++;
  return n ? sum / n : NAN;
}

static void compare_variant(const json *v, const metric_value got[IDS], double *worst) {
  const json *b = json_get(v, "band"), *s = json_get(v, "sanity");
  double want[] = {num(v, "fd_full"), num(v, "fd_mask"), num(v, "fd_mask_rel"), num(b, "px"),
                   num(b, "rel"),     num(b, "cos"),     num(b, "logmag"),      num(b, "mean_rgb_flow")};
  /* Without motion in one stream the goldens' cosine and magnitude ratio are rounding; here they are undefined. */
  if (exp(want[FD_LOGMAG]) * want[FD_RGB] < 1e-3) want[FD_COS] = want[FD_LOGMAG] = NAN;
  for (int i = FD_FULL; i <= FD_RGB; i++) close_to(v, ids[i], got[i], want[i], 1e-3, worst);
  const json *reason = json_get(b, "reason");
  if (reason->type == JSON_STRING) assert_string_equal(got[FD_REL].reason, reason->str);
  assert_true(fabs((double)got[FD_PX].support - num(b, "pixels")) <= 1e-3 * num(b, "pixels"));
  double none = 0;
  close_to(v, ids[COVERAGE], got[COVERAGE], num(s, "coverage"), 1e-6, &none);
  close_to(v, ids[SOFT], got[SOFT], num(s, "soft_frac"), 1e-6, &none);
  close_to(v, ids[LOWEST], got[LOWEST], num(s, "min") / 255, 1e-6, &none);
  close_to(v, ids[HIGHEST], got[HIGHEST], num(s, "max") / 255, 1e-6, &none);
  close_to(v, ids[OPACITY], got[OPACITY], num(s, "opacity_flicker"), 1e-5, &none);
  const json *w = json_get(v, "alpha_warp");
  double late = num(v, "lag");
  close_to(v, ids[LAG], got[LAG], late, 1e-9, &none);
  close_to(v, ids[ABS_LAG], got[ABS_LAG], fabs(late), 1e-9, &none);
  close_to(v, ids[EDGE_CORR], got[EDGE_CORR], num(v, "edge_corr"), 1e-5, &none);
  close_to(v, ids[EDGE_COS], got[EDGE_COS], num(v, "edge_cos"), 1e-5, &none);
  close_to(v, ids[BOUNDARY_F], got[BOUNDARY_F], num(v, "boundary_f"), 1e-7, &none);
  close_to(v, ids[BOUNDARY_IOU], got[BOUNDARY_IOU], num(v, "boundary_iou"), 1e-7, &none);
  close_to(v, ids[WARP_R], got[WARP_R], num(w, "R"), 1e-3, worst);
  close_to(v, ids[WARP_E], got[WARP_E], num(w, "E"), 1e-3, worst);
  close_to(v, ids[FLICKER], got[FLICKER], num(v, "flicker_vbench_alpha"), 1e-7, &none);
  close_to(v, ids[COMPONENTS], got[COMPONENTS], mean_of(s, "components"), 1e-9, &none);
  close_to(v, ids[HOLES], got[HOLES], mean_of(s, "hole_frac"), 1e-9, &none);
}

static void score_all(const clip *c, metric_value got[IDS]) {
  err e = {0};
  metric_request r[IDS];
  for (int i = 0; i < IDS; i++) {
    assert_int_equal(metric_parse(&e, ids[i], &r[i]), OK);
    got[i] = (metric_value){.value = NAN};
  }
  assert_int_equal(metric_score(&e, r, IDS, &(metric_input){.clip = c}, got), OK);
  for (int i = 0; i < IDS; i++) assert_true(isfinite(got[i].value));
}

/* What does not depend on alpha: warping error, flicker and motion of the picture over black. */
static void compare_picture(const json *clip_info, clip *p) {
  static const struct {
    const char *key;
    double fps;
  } rate[] = {{"dynamic_4fps", 4}, {"dynamic_8fps", 8}, {"dynamic_24fps", 24}};
  const json *want = json_get(clip_info, "clip");
  double worst = 0;
  p->colour = CLIP_PREMULTIPLIED; /* by the true alpha, which it has */
  close_to(clip_info, "rgb_warp_error", score("rgb_warp_error", p), num(want, "rgb_warp_error"), 1e-3, &worst);
  close_to(clip_info, "rgb_warp_error:sum=1", score("rgb_warp_error:sum=1", p), 3 * num(want, "rgb_warp_error"), 1e-3,
           &worst);
  close_to(clip_info, "flicker", score("flicker_vbench_rgb", p), num(want, "flicker_vbench_rgb"), 1e-7, &worst);
  close_to(clip_info, "mean_flow", score("mean_flow", p), num(want, "mean_flow"), 1e-3, &worst);
  for (size_t i = 0; i < sizeof rate / sizeof rate[0]; i++) {
    const json *moves = json_get(json_get(want, rate[i].key), "moves");
    p->fps = rate[i].fps;
    metric_value v = score("dynamic_degree_fb", p);
    assert_true(!v.reason && v.value == moves->num);
  }
  p->fps = 0, p->colour = CLIP_DECODED;
}

/* The costs of every lag and the fastest pixels, which no metric shows. */
static void compare_insides(const json *clip_info, const json *v, const clip *p, double *worst) {
  err e = {0};
  metric_session s;
  metric_request r;
  metric_view view;
  const char *why;
  const unsigned char *band;
  fb_params fb = fb_defaults();
  flow_pairs q = {.pairs = p->frames - 1, .n = (int64_t)p->height * p->width};
  metric_input in = {.clip = p};
  assert_int_equal(metric_parse(&e, "fd_band_rel", &r), OK);
  assert_int_equal(session_open(&e, &s, &in), OK);
  assert_int_equal(session_view(&e, &s, &r, SIDE_OWN, &view, &why), OK);
  assert_null(why);
  assert_int_equal(flow_of(&e, &view, FLOW_LUMA_STRETCHED, FLOW_FORWARD, &fb, &q.fc), OK);
  assert_int_equal(flow_of(&e, &view, FLOW_ALPHA_STRETCHED, FLOW_FORWARD, &fb, &q.fa), OK);
  assert_int_equal(band_of(&e, &view, &band), OK);
  q.band = band;
  flow_lags l = flow_diff_lags(&q, 1);
  const json *want = json_get(v, "lag_cost")->child;
  for (int i = 0; i < FLOW_LAGS; i++, want = want->next) {
    assert_int_equal(isnan(l.cost[i]), want->type == JSON_NULL);
    if (want->type == JSON_NUMBER)
      close_to(v, "lag_cost", (metric_value){.value = l.cost[i]}, want->num, 1e-3, worst);
  }
  assert_null(want);
  if (!strcmp(v->key, "aligned")) {
    const json *top = json_get(json_get(json_get(clip_info, "clip"), "dynamic_8fps"), "top5")->child;
    float *scratch = take(q.n, sizeof *scratch);
    const float *f;
    assert_int_equal(flow_of(&e, &view, FLOW_LUMA8, FLOW_FORWARD, &fb, &f), OK);
    for (int t = 0; t < q.pairs; t++, top = top->next) {
      assert_true(top->num > 0);
      close_to(v, "top5", (metric_value){.value = flow_fastest(f + 2 * t * q.n, q.n, scratch)}, top->num, 1e-3,
               worst);
    }
    assert_null(top);
    free(scratch);
  }
  session_close(&s);
}

enum { VARIANTS = 15, CHAINS = 11, CLIPS = 6, ORDERED = 14 };

/* The two files' rows of ORDERINGS.md: clips in which every step of a chain is strictly worse, or minus the clips
 * that are undefined. */
typedef struct ordering {
  int id, worse; /* worse: +1 when higher is worse */
  int clips[2][CHAINS];
} ordering;

static const char *const chains[CHAINS][4] = {
    {"aligned", "shift1", "shift2", "shift4"},
    {"aligned", "delay1", "delay2"},
    {"aligned", "blur"},
    {"aligned", "dilate"},
    {"aligned", "opaque"},
    {"aligned", "half"},
    {"aligned", "other"},
    {"aligned", "frozen"},
    {"aligned", "luma"},
    {"aligned", "flicker"},
    {"aligned", "noise"},
};

static const ordering orderings[ORDERED] = {
    {FD_FULL, 1, {{6, 5, 6, 6, 6, 6, 6, 6, 0, 6, 6}, {3, 3, 2, 3, 3, 3, 3, 3, 0, 3, 3}}},
    {FD_MASK, 1, {{6, 5, 4, 5, 6, 6, 6, 6, 0, 5, 5}, {3, 3, 1, 3, 3, 3, 3, 3, 0, 3, 1}}},
    {FD_MASK_REL, 1, {{6, 5, 4, 5, 6, 6, 6, 6, 0, 5, 5}, {2, 3, 1, 3, 3, 3, 3, 3, 0, 3, 1}}},
    {FD_PX, 1, {{6, 5, 5, 6, -6, -6, 6, 6, 0, 6, 6}, {3, 3, 3, 2, -3, -3, 3, 3, 0, 3, 2}}},
    {FD_REL, 1, {{6, 5, 5, 5, -6, -6, 6, 6, 0, 6, 6}, {3, 3, 3, 2, -3, -3, 3, 3, 0, 3, 2}}},
    {EDGE_CORR, -1, {{6, 5, 6, 6, -6, -6, 6, 6, 0, 2, 5}, {3, 3, 1, 3, -3, -3, 3, 3, 0, 1, 3}}},
    {EDGE_COS, -1, {{6, 5, 5, 6, -6, -6, 6, 6, 0, 1, 0}, {3, 3, 0, 3, -3, -3, 3, 3, 0, 1, 0}}},
    {BOUNDARY_F, -1, {{6, 5, 6, 6, 6, 6, 6, 6, 6, 5, 2}, {1, 1, 1, 1, 3, 3, 1, 1, 3, 0, 1}}},
    {BOUNDARY_IOU, -1, {{6, 5, 6, 6, 6, 6, 6, 6, 6, 6, 4}, {1, 1, 2, 1, 3, 3, 2, 2, 3, 3, 0}}},
    {WARP_R, 1, {{2, 6, 0, 2, -6, -6, 6, -6, 3, 5, 5}, {1, 3, 0, 3, -3, -3, 3, -3, 3, 3, 3}}},
    {WARP_E, 1, {{3, 5, 0, 3, -6, -6, 6, 5, 1, 6, 6}, {1, 3, 0, 3, -3, -3, 3, 3, 3, 3, 3}}},
    {OPACITY, 1, {{0, 0, 4, 2, 0, 0, 3, 0, 4, 5, 1}, {0, 0, 1, 2, 0, 0, 1, 0, 3, 3, 3}}},
    {FLICKER, -1, {{0, 0, 0, 6, 0, 0, 4, 0, 2, 6, 6}, {0, 0, 0, 3, 0, 0, 1, 0, 3, 3, 3}}},
    {ABS_LAG, 1, {{0, 6, 0, 1, -6, -6, 6, 6, 0, 0, 0}, {0, 2, 0, 0, -3, -3, 3, 0, 0, 0, 1}}},
};

/* One file's scores: values by clip, variant and metric; NaN where undefined. */
typedef struct scores {
  double value[CLIPS][VARIANTS][IDS];
  const char *variant[VARIANTS];
  int clips;
} scores;

static double score_of(const scores *s, int clip_index, const char *variant, int id) {
  for (int k = 0; k < VARIANTS; k++)
    if (!strcmp(s->variant[k], variant)) return s->value[clip_index][k][id];
  fail_msg("no variant %s", variant);
  return NAN;
}

static void compare_orderings(const scores *s, int file) {
  for (int m = 0; m < ORDERED; m++) {
    const ordering *o = &orderings[m];
    for (int c = 0; c < CHAINS; c++) {
      int ordered = 0, undefined = 0;
      for (int i = 0; i < s->clips; i++) {
        int bad = 0, null = 0;
        double last = -INFINITY;
        for (int k = 0; k < 4 && chains[c][k]; k++) {
          double v = o->worse * score_of(s, i, chains[c][k], o->id);
          null |= isnan(v), bad |= !(v > last + 1e-9);
          last = v;
        }
        undefined += null, ordered += !null && !bad;
      }
      int want = o->clips[file][c], got = undefined ? -undefined : ordered;
      if (got != want) fail_msg("%s %s .. %s: %d, expected %d", files[file], ids[o->id], chains[c][1], got, want);
    }
  }
}

/* Every frame alone has the score that it adds to the clip's. */
static void compare_frames(const json *v, const clip *p) {
  int64_t n = (int64_t)p->height * p->width;
  int varied = 0;
  const json *want = json_get(v, "edge_corr_frames")->child;
  for (int t = 0; t < p->frames; t++, want = want->next) {
    err e = {0};
    clip one = *p;
    metric_request r;
    metric_value got;
    one.frames = 1, one.rgb += 3 * t * n, one.alpha += t * n;
    assert_int_equal(metric_parse(&e, "edge_corr", &r), OK);
    assert_int_equal(metric_score(&e, &r, 1, &(metric_input){.clip = &one}, &got), OK);
    assert_int_equal(want->type == JSON_NULL, got.reason != NULL);
    if (want->type != JSON_NUMBER) continue;
    if (fabs(got.value - want->num) > 1e-5 * fabs(want->num))
      fail_msg("%s: frame %d: %.9g, %.9g", v->key, t, got.value, want->num);
    varied |= want->num != 0;
  }
  assert_null(want);
  assert_true(varied || !strcmp(v->key, "opaque") || !strcmp(v->key, "half"));
}

static void compare_clip(const st_file *st, const json *all, const json *c, scores *out, double *worst) {
  char key[96];
  snprintf(key, sizeof key, "%s.rgba", c->key);
  source s = source_of(st_find(st, key));
  double *a = take(s.frames * s.n, sizeof *a);
  clip p;
  int k = 0, frames_seen = 0;
  on_black(&s, &p);
  for (const json *v = json_get(c, "variants")->child; v; v = v->next, k++) {
    metric_value got[IDS];
    assert_true(k < VARIANTS);
    variant_alpha(&s, st, c, all, v->key, a);
    set_alpha(&p, a);
    score_all(&p, got);
    compare_variant(v, got, worst);
    compare_insides(c, v, &p, worst);
    if (json_get(v, "edge_corr_frames")) compare_frames(v, &p), frames_seen++;
    if (!strcmp(v->key, "aligned")) compare_picture(c, &p);
    for (int i = 0; i < IDS; i++) out->value[out->clips][k][i] = got[i].reason ? NAN : got[i].value;
    out->variant[k] = v->key;
  }
  assert_int_equal(k, VARIANTS);
  assert_int_equal(frames_seen, VARIANTS);
  out->clips++;
  clip_free(&p), free(a), free(s.rgba);
}

/* Every score of every variant, and the order that the scores put the variants in. */
static void flow_scores_match(void **state) {
  (void)state;
  int64_t scored = 0;
  double worst = 0;
  for (int f = 0; f < 2; f++) {
    st_file *st = golden_tensors(files[f]);
    json *info = golden_json(files[f]);
    scores *s = take(1, sizeof *s);
    const json *all = json_get(info, "expected");
    s->clips = 0;
    for (const json *c = all->child; c; c = c->next) compare_clip(st, all, c, s, &worst);
    compare_orderings(s, f);
    scored += s->clips * VARIANTS;
    free(s);
    st_close(st);
    json_free(info);
  }
  print_message("flow: worst relative difference %.2e over %d variants\n", worst, (int)scored);
  assert_int_equal(scored, 135);
}

/* The alpha variants built here are the ones the goldens were made from. */
static void variants_are_the_goldens(void **state) {
  (void)state;
  st_file *st = golden_tensors("metrics/alignment_procedural");
  source s = source_of(st_find(st, "disc.rgba"));
  const st_tensor *luma = st_find(st, "disc.luma8"), *soft = st_find(st, "disc.alpha_blur");
  double *a = take(s.frames * s.n, sizeof *a), sum = 0;
  luma8(&s, a);
  for (int64_t i = 0; i < luma->count; i++) {
    assert_true(a[i] == dtype_get(luma->type, luma->data, i));
    sum += a[i];
  }
  defect(&s, "blur", replicate, a);
  for (int64_t i = 0; i < soft->count; i++) {
    assert_true(rint(a[i]) == dtype_get(soft->type, soft->data, i));
    sum += a[i];
  }
  assert_true(sum > 0);
  free(a), free(s.rgba);
  st_close(st);
}

/* Every planted defect lowers color_fit on every clip, and shifts and delays by their size. */
static void color_fit_orders_defects(void **state) {
  (void)state;
  static const char *const chain[][4] = {{"aligned", "shift1", "shift2", "shift4"},
                                         {"aligned", "delay1", "delay2"},
                                         {"aligned", "blur"},
                                         {"aligned", "frozen"},
                                         {"aligned", "flicker"}};
  st_file *st = golden_tensors("metrics/alignment_procedural");
  static const char *const names[] = {"disc.rgba", "ellipse.rgba", "glass.rgba"};
  for (int n = 0; n < 3; n++) {
    source s = source_of(st_find(st, names[n]));
    double *a = take(s.frames * s.n, sizeof *a);
    clip p;
    composite(&s, &p);
    for (size_t k = 0; k < sizeof chain / sizeof chain[0]; k++) {
      double last = INFINITY;
      for (int i = 0; i < 4 && chain[k][i]; i++) {
        defect(&s, chain[k][i], reflect, a);
        set_alpha(&p, a);
        metric_value v = score("color_fit", &p);
        assert_null(v.reason);
        if (!(v.value < last - 1e-9)) fail_msg("%s: %s %.6f is not below %.6f", names[n], chain[k][i], v.value, last);
        last = v.value;
      }
    }
    clip_free(&p), free(a), free(s.rgba);
  }
  st_close(st);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(variants_are_the_goldens),
      cmocka_unit_test(color_matches),
      cmocka_unit_test(flow_scores_match),
      cmocka_unit_test(color_fit_orders_defects),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
