/* Oracles of spec/model.md 16 and the factor-engagement proofs: what each design promises, bit by bit. Every
 * registered design runs through the generic ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/schedule.h"
#include "tiny_model.h"
#include "train.h"

/* Rows after "embed" and every block, kept by a trace. */
#define STAGES 3
typedef struct rows_kept {
  tiny *t;
  real *rows[STAGES];
  int n;
} rows_kept;

static int keep(void *user, const char *name, view v) {
  rows_kept *k = user;
  if (strcmp(name, "embed") && strncmp(name, "block.", 6)) return OK;
  assert_true(k->n < STAGES);
  k->rows[k->n] = malloc((size_t)(v.rows * v.cols) * sizeof(real));
  assert_non_null(k->rows[k->n]);
  memcpy(k->rows[k->n++], v.p, (size_t)(v.rows * v.cols) * sizeof(real));
  return OK;
}

static rows_kept trace(tiny *t) {
  rows_kept k = {.t = t};
  dit_io io = {.latents = t->latents, .text = t->text, .t = t->t, .out = t->out, .trace = keep, .user = &k};
  tiny_must(t, dit_forward(&t->c, &t->m, &t->a, &t->g, &io), "forward");
  assert_int_equal(k.n, STAGES);
  return k;
}

static void drop(rows_kept *k) {
  for (int i = 0; i < STAGES; i++) free(k->rows[i]);
}

static int segment_of(const tiny *t, seg_kind kind, stream_kind stream) {
  for (int s = 0; s < t->l.n_seg; s++)
    if (t->l.seg[s].kind == kind && (kind == SEG_TEXT || t->l.seg[s].stream == stream)) return s;
  fail_msg("no such segment");
  return -1;
}

/* First row of segment s in the batch matrix, in reals, and the length of the segment of the batch. */
static const real *rows_at(const tiny *t, const real *rows, int s, size_t *bytes) {
  int64_t d = dit_width(&t->m.cfg);
  *bytes = (size_t)(TINY_BATCH * t->g.seg_rows[s] * d) * sizeof(real);
  return rows + t->g.seg_at[s] * d;
}

static int same_rows(const tiny *a, const real *ra, int sa, const tiny *b, const real *rb, int sb) {
  size_t na, nb;
  const real *x = rows_at(a, ra, sa, &na), *y = rows_at(b, rb, sb, &nb);
  assert_int_equal(na, nb);
  return !memcmp(x, y, na);
}

static int64_t half_of(const tiny *t) {
  return t->n_out / TINY_BATCH / t->l.streams;
}

/* Gives the joint tiny model the base one's RGB latents. */
static void copy_rgb(tiny *joint, const tiny *base) {
  int64_t n = half_of(base);
  for (int b = 0; b < TINY_BATCH; b++)
    memcpy(joint->latents + b * joint->l.streams * n, base->latents + b * n, (size_t)n * sizeof(real));
}

static int rgb_output_same(const tiny *joint, const tiny *base) {
  int64_t n = half_of(base);
  int same = 1;
  for (int b = 0; b < TINY_BATCH; b++)
    same &= !memcmp(joint->out + b * joint->l.streams * n, base->out + b * n, (size_t)n * sizeof(real));
  return same;
}

/* O1: where a design promises it, RGB rows are the base model's at every layer, bit for bit; and no other design that
 * predicts both halves gets there by accident (that would be a switch without effect). */
static void test_rgb_is_base(void **state) {
  (void)state;
  tiny base;
  tiny_open(&base, &(tiny_options){.design = "base", .rotary = 1}, 3);
  rows_kept want = trace(&base);
  for (const char *const *d = tiny_designs(); *d; d++) {
    tiny t;
    tiny_open(&t, &(tiny_options){.design = *d, .rotary = 1}, 3);
    if (t.l.streams == 2 && t.l.loss_rgb) {
      copy_rgb(&t, &base);
      rows_kept got = trace(&t);
      int same = rgb_output_same(&t, &base);
      if (same != t.l.rgb_is_base) fail_msg("%s: RGB output %s the base model's", *d, same ? "is" : "is not");
      for (int i = 0; t.l.rgb_is_base && i < STAGES; i++)
        if (!same_rows(&t, got.rows[i], segment_of(&t, SEG_VIDEO, STREAM_RGB), &base, want.rows[i], 1))
          fail_msg("%s: RGB rows differ from the base model's at stage %d", *d, i);
      drop(&got);
    }
    tiny_close(&t);
  }
  drop(&want);
  tiny_close(&base);
}

static void zero_adapter(tiny *t) {
  memset(t->a.w, 0, (size_t)t->a.n_reals * sizeof(real));
}

static void copy_rgb_to_alpha(tiny *t) {
  int64_t n = half_of(t);
  for (int b = 0; b < TINY_BATCH; b++)
    memcpy(t->latents + (2 * b + 1) * n, t->latents + 2 * b * n, (size_t)n * sizeof(real));
}

/* O2: without LoRA and domain vector and with equal latents, alpha rows equal RGB rows at every layer. */
static void test_twins(void **state) {
  (void)state;
  static const char *const designs[] = {"sequence:text_to_alpha=on", "sequence", "sequence:mask=soft"};
  for (size_t k = 0; k < sizeof designs / sizeof designs[0]; k++) {
    tiny t;
    tiny_open(&t, &(tiny_options){.design = designs[k], .rotary = 1}, 3);
    zero_adapter(&t);
    copy_rgb_to_alpha(&t);
    rows_kept got = trace(&t);
    for (int i = 0; i < STAGES; i++)
      if (!same_rows(&t, got.rows[i], 1, &t, got.rows[i], 2))
        fail_msg("%s: halves differ at stage %d", designs[k], i);
    drop(&got);
    tiny_close(&t);
  }
}

/* O3 on the operation: keys listed twice are keys with +ln 2. */
static void test_duplicated_keys(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, &(tiny_options){.design = "base", .rotary = 1}, 3);
  enum { Q = 5, T = 3, V = 9, D = 128 };
  real q[(Q + T + 2 * V) * D], o[2][(Q + T + 2 * V) * D], lse[2][2 * (Q + T + 2 * V)];
  tiny_fill(&t, q, (Q + T + 2 * V) * D, 1, 77);
  memcpy(q + (Q + T + V) * D, q + (Q + T) * D, V * D * sizeof(real));
  const attn_group twice = {
      .nq = 1, .nk = 3, .q = {{0, Q, 0}}, .k = {{Q, Q + T, 0}, {Q + T, Q + T + V, 0}, {Q + T + V, Q + T + 2 * V, 0}}};
  attn_group once = twice;
  once.nk = 2;
  once.k[1].bias = (float)log(2.0);
  const attn_group *both[2] = {&twice, &once};
  for (int i = 0; i < 2; i++) {
    view x = view_of(q, Q + T + 2 * V, D);
    tiny_must(&t,
              op_attn(&t.c, &(op_attn_args){.q = x,
                                            .k = x,
                                            .v = x,
                                            .o = view_of(o[i], x.rows, D),
                                            .lse = view_of(lse[i], 2, x.rows),
                                            .groups = both[i],
                                            .n_groups = 1,
                                            .dim = 64}),
              "attn");
  }
  double worst = 0, top = 0;
  for (int i = 0; i < Q * D; i++) {
    worst = fmax(worst, fabs((double)o[0][i] - (double)o[1][i]));
    top = fmax(top, fabs((double)o[0][i]));
  }
  assert_true(top > 0.1);
  assert_true(worst <= 2e-6 * top);
  tiny_close(&t);
}

/* O4: after block 0 the masks differ in text rows only; after block 1 in video rows too. */
static void test_masks_touch_text_first(void **state) {
  (void)state;
  static const char *const designs[] = {"sequence", "sequence:text_to_alpha=on", "sequence:mask=soft"};
  tiny t[3];
  rows_kept k[3];
  for (int i = 0; i < 3; i++) {
    tiny_open(&t[i], &(tiny_options){.design = designs[i], .rotary = 1}, 3);
    k[i] = trace(&t[i]);
  }
  for (int i = 0; i < 3; i++)
    for (int j = i + 1; j < 3; j++)
      for (int s = 0; s < 3; s++) {
        int want = s != 0;
        assert_int_equal(same_rows(&t[i], k[i].rows[1], s, &t[j], k[j].rows[1], s), want);
        if (s) assert_int_equal(same_rows(&t[i], k[i].rows[2], s, &t[j], k[j].rows[2], s), 0);
      }
  for (int i = 0; i < 3; i++) {
    drop(&k[i]);
    tiny_close(&t[i]);
  }
}

/* O5: moving a trained tensor moves RGB rows exactly where the design lets RGB see alpha. */
static void test_what_training_moves(void **state) {
  (void)state;
  for (const variant *const *v = variant_list(); *v; v++) {
    tiny a, b;
    tiny_open(&a, &(tiny_options){.design = (*v)->name, .rotary = 1}, 3);
    if (a.l.streams == 1 || !a.l.loss_rgb) {
      tiny_close(&a);
      continue;
    }
    tiny_open(&b, &(tiny_options){.design = (*v)->name, .rotary = 1}, 3);
    for (int64_t i = 0; i < b.a.n_reals; i++) b.a.w[i] *= R(1.5);
    tiny_forward(&a);
    tiny_forward(&b);
    int64_t n = half_of(&a);
    assert_int_equal(!memcmp(a.out, b.out, (size_t)n * sizeof(real)), a.l.rgb_is_base);
    assert_int_not_equal(memcmp(a.out + n, b.out + n, (size_t)n * sizeof(real)), 0);
    tiny_close(&a);
    tiny_close(&b);
  }
}

/* O6: continued positions without anything trained and without mask are the base model on twice the frames. */
static void test_continued_is_longer_base(void **state) {
  (void)state;
  tiny joint, base;
  tiny_open(&joint, &(tiny_options){.design = "sequence:mask=none,positions=continued", .rotary = 1}, 3);
  tiny_open(&base, &(tiny_options){.design = "base", .rotary = 1, .frames = 4}, 3);
  zero_adapter(&joint);
  assert_int_equal(joint.n_in, base.n_in);
  memcpy(base.latents, joint.latents, (size_t)base.n_in * sizeof(real));
  tiny_forward(&joint);
  tiny_forward(&base);
  assert_memory_equal(joint.out, base.out, (size_t)base.n_out * sizeof(real));
  tiny_close(&joint);
  tiny_close(&base);
}

/* O7: the latent design starts as the base model, whatever alpha latents it is given. */
static void test_latent_starts_as_base(void **state) {
  (void)state;
  static const char *const designs[] = {"latent", "latent:init=zero"};
  tiny base;
  tiny_open(&base, &(tiny_options){.design = "base", .rotary = 1}, 3);
  tiny_forward(&base);
  for (int i = 0; i < 2; i++) {
    tiny t;
    tiny_open(&t, &(tiny_options){.design = designs[i], .rotary = 1}, 3);
    tiny_must(&t, adapter_init(&t.c, &t.a, &t.m, &t.l, 1), "init");
    copy_rgb(&t, &base);
    tiny_forward(&t);
    assert_true(rgb_output_same(&t, &base));
    int64_t n = half_of(&base);
    int alpha_is_rgb = !memcmp(t.out, t.out + n, (size_t)n * sizeof(real));
    assert_int_equal(alpha_is_rgb, i == 0); /* copy: alpha starts as an RGB copy; zero: at zero */
    tiny_close(&t);
  }
  tiny_close(&base);
}

/* O8: with the true x0 and eps in v, DDIM ends at x0; DPM ends at x0 whatever the noise was. */
static void test_samplers_reach_x0(void **state) {
  (void)state;
  double abar[SCHEDULE_STEPS];
  int64_t ts[50];
  err e = {0};
  schedule_abar(1.0, abar);
  assert_int_equal(schedule_timesteps(&e, SPACING_TRAILING, 50, ts), OK);
  double x0 = 0.7, eps = -1.3, x = eps, y = 0.4;
  for (int i = 0; i < 50; i++) {
    int64_t t = ts[i], prev = t - 20;
    double ab = abar[t], ap = prev < 0 ? 1 : abar[prev], a, b;
    double v = sqrt(ab) * eps - sqrt(1 - ab) * x0, est = sqrt(ab) * x - sqrt(1 - ab) * v;
    schedule_ddim(ab, ap, &a, &b);
    x = a * x + b * est;
    dpm_coef k = schedule_dpm(abar, t, prev, i ? ts[i - 1] : -1);
    y = k.m1 * y - k.m2 * (k.d0 * x0 - k.d1 * x0) + k.mn * 5.0 * (i % 3 - 1);
    assert_true(isfinite(y));
  }
  assert_true(fabs(x - x0) < 1e-12);
  assert_true(fabs(y - x0) < 1e-12);
}

/* O9: the x0 loss with weight 1/(1-abar) is the plain v loss. */
static void test_loss_forms(void **state) {
  (void)state;
  double abar[SCHEDULE_STEPS];
  schedule_abar(1.0, abar);
  for (int t = 0; t < 999; t += 37) {
    double z = 0.6, eps = -0.8, f = 0.35, a = sqrt(abar[t]), s = sqrt(1 - abar[t]);
    double x = a * z + s * eps, v = a * eps - s * z, x0 = a * x - s * f;
    assert_true(fabs((x0 - z) * (x0 - z) / (1 - abar[t]) - (f - v) * (f - v)) < 1e-12);
  }
}

/* Flipping any option that acts in the model changes the output; those that act elsewhere are proved by their own
 * test. */
static void test_every_option_acts(void **state) {
  (void)state;
  for (const variant *const *v = variant_list(); *v; v++)
    for (const variant_option *o = (*v)->options; o->name; o++)
      for (int k = 0; o->values[k]; k++) {
        if (k == o->initial || !(o->stages & OPTION_TRAIN)) continue;
        char name[DESIGN_TEXT];
        tiny a, b;
        snprintf(name, sizeof name, "%s:%s=%s", (*v)->name, o->name, o->values[k]);
        tiny_open(&a, &(tiny_options){.design = (*v)->name, .rotary = 1}, 3);
        tiny_open(&b, &(tiny_options){.design = name, .rotary = 1}, 3);
        if (!strcmp(o->name, "init")) { /* acts on the starting point */
          tiny_must(&a, adapter_init(&a.c, &a.a, &a.m, &a.l, 1), "init");
          tiny_must(&b, adapter_init(&b.c, &b.a, &b.m, &b.l, 1), "init");
        }
        tiny_forward(&a);
        tiny_forward(&b);
        if (!memcmp(a.out, b.out, (size_t)a.n_out * sizeof(real))) fail_msg("%s changes nothing", name);
        tiny_close(&a);
        tiny_close(&b);
      }
}

static int ignore(void *user, const char *name, view v) {
  (void)user, (void)name, (void)v;
  return OK;
}

static void poison(tiny *t) {
  size_t mark = arena_mark(&t->c.mem);
  view all;
  int64_t reals = (int64_t)((t->c.mem.cap - t->c.mem.used) / sizeof(real)) - 4096;
  tiny_must(t, ctx_view(&t->c, 1, reals, "all that is left", &all), "arena");
  tiny_must(t, op_fill(&t->c, all, NAN), "fill");
  arena_release(&t->c.mem, mark);
}

/* Output, then gradients of the adapter, into `to`; every activation starts as NaN. */
static void outcome(tiny *t, dit_trace look, real *to) {
  dit_io io = {.latents = t->latents, .text = t->text, .t = t->t, .out = t->out, .trace = look};
  if (t->a.g) tiny_must(t, op_fill(&t->c, view_of(t->a.g, 1, t->a.n_reals), 0), "fill");
  *t->loss = 0;
  poison(t);
  tiny_must(t, dit_loss(&t->c, &t->m, &t->a, &t->g, &io, t->target, t->loss), "loss");
  memcpy(to, t->out, (size_t)t->n_out * sizeof(real));
  if (t->a.g) memcpy(to + t->n_out, t->a.g, (size_t)t->a.n_reals * sizeof(real));
  poison(t);
  tiny_must(t, dit_forward(&t->c, &t->m, &t->a, &t->g, &io), "forward");
  assert_memory_equal(to, t->out, (size_t)t->n_out * sizeof(real));
}

/* Rows of the last block that nothing reads are left out unless somebody looks: the same output and gradients.
 * Twenty frames: more queries a sample than the 96 of one tile of attention. */
static void check_last_block(const char *name, int alpha_only, int *left_out) {
  tiny t;
  tiny_open(&t, &(tiny_options){.design = name, .rotary = 1, .trainable = 1, .frames = 20}, 3);
  assert_true(t.g.n_video > 96);
  if (alpha_only && t.l.streams == 2 && t.l.rgb_is_base) {
    t.l.loss_rgb = 0;
    geom_close(&t.c, &t.g);
    tiny_must(&t, geom_open(&t.c, &t.m, &t.l, TINY_BATCH, t.frames, t.height, t.width, TINY_TEXT, &t.g), "geometry");
  }
  size_t bytes = (size_t)(t.n_out + t.a.n_reals) * sizeof(real);
  real *want = malloc(bytes), *got = malloc(bytes), sum = 0;
  assert_true(want && got);
  outcome(&t, ignore, want);
  outcome(&t, NULL, got);
  for (int64_t i = 0; i < t.n_out + t.a.n_reals; i++) sum += got[i] * got[i];
  assert_true(sum > 0);
  assert_memory_equal(got, want, bytes);
  *left_out += t.g.last > t.g.batch * t.g.n_text;
  free(want);
  free(got);
  tiny_close(&t);
}

static void test_rows_nobody_reads(void **state) {
  (void)state;
  int left_out = 0;
  for (int alpha_only = 0; alpha_only < 2; alpha_only++)
    for (const char *const *d = tiny_designs(); *d; d++) check_last_block(*d, alpha_only, &left_out);
  assert_true(left_out > 0); /* video rows, not the text rows alone */
}

/* Names: every spelling parses back to itself, aliases resolve, equal designs have one name. */
static void test_design_names(void **state) {
  (void)state;
  err e = {0};
  for (const char *const *d = tiny_designs(); *d; d++) {
    design a, b;
    char name[DESIGN_TEXT];
    assert_int_equal(design_parse(&e, *d, &a), OK);
    design_print(&a, OPTION_TRAIN | OPTION_SAMPLE, name);
    assert_int_equal(design_parse(&e, name, &b), OK);
    assert_memory_equal(&a, &b, sizeof a);
  }
  for (const design_alias *a = design_aliases(); a->name; a++) {
    design d;
    assert_int_equal(design_parse(&e, a->name, &d), OK);
  }
  design d;
  char name[DESIGN_TEXT];
  assert_int_equal(design_parse(&e, "sequence:mask=none", &d), OK);
  design_print(&d, OPTION_TRAIN, name);
  assert_string_equal(name, "sequence:text_to_alpha=on");
  assert_int_equal(design_parse(&e, "seqence", &d), E_CONFIG);
  assert_non_null(strstr(e.text, "did you mean 'sequence'?"));
  err_clear(&e);
  assert_int_equal(design_parse(&e, "sequence:mask=sfot", &d), E_CONFIG);
  assert_non_null(strstr(e.text, "did you mean 'soft'?"));
  err_clear(&e);
  assert_int_equal(design_parse(&e, "batch:exchnge=kv", &d), E_CONFIG);
  assert_non_null(strstr(e.text, "did you mean 'exchange'?"));
  err_clear(&e);
  assert_int_equal(design_parse(&e, "batch:exchange=kv,exchange=none", &d), E_CONFIG);
  assert_non_null(strstr(e.text, "given twice"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rgb_is_base),
      cmocka_unit_test(test_twins),
      cmocka_unit_test(test_duplicated_keys),
      cmocka_unit_test(test_masks_touch_text_first),
      cmocka_unit_test(test_what_training_moves),
      cmocka_unit_test(test_continued_is_longer_base),
      cmocka_unit_test(test_latent_starts_as_base),
      cmocka_unit_test(test_samplers_reach_x0),
      cmocka_unit_test(test_loss_forms),
      cmocka_unit_test(test_every_option_acts),
      cmocka_unit_test(test_rows_nobody_reads),
      cmocka_unit_test(test_design_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
