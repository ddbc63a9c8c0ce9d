/* One tiny PTX text for each instruction form and type, with results from the PTX manual's definitions; layouts of
 * the matrix instructions by its tables. Each form runs with one lane and with a full warp, which take different
 * paths. */
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "impl.h"

#define HEAD                                                                                                         \
  ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry f(.param .u64 out, .param .u64 in)\n{\n"           \
  ".reg .b64 %rd<12>; .reg .b32 %r<12>; .reg .f32 %f<12>; .reg .f64 %fd<12>; .reg .b16 %h<12>; .reg .pred %p<8>;\n"  \
  "ld.param.u64 %rd10, [out]; ld.param.u64 %rd11, [in];\nmov.u32 %r10, %tid.x; mul.wide.u32 %rd9, %r10, 8;\n"        \
  "add.s64 %rd10, %rd10, %rd9;\n"

static emu *machine(void) {
  return emu_new(&(emu_options){0});
}

/* Runs f of the text on `threads` threads; the outputs, one u64 a thread. */
static int run_text(emu *m, const char *text, const void *in, size_t n_in, uint32_t threads, u64 *out) {
  emu_module *mod = emu_load(m, text);
  if (!mod) fail_msg("%s", emu_text(m));
  u64 p[2] = {emu_alloc(m, 8 * 64), emu_alloc(m, n_in ? n_in : 8)};
  memcpy(emu_host(m, p[1], n_in), in, n_in);
  emu_mark(m, p[1], n_in, true);
  memset(emu_host(m, p[0], 512), 0xa5, 512);
  int rc =
      emu_launch(m, emu_find(mod, "f"), &(emu_launch_args){.grid = {1, 1, 1}, .block = {threads, 1, 1}, .params = p});
  memcpy(out, emu_host(m, p[0], 8 * 64), 8 * (size_t)threads);
  assert_int_equal(emu_release(m, p[0]), 0);
  assert_int_equal(emu_release(m, p[1]), 0);
  emu_unload(m, mod);
  return rc;
}

#define F(x) ((u64)emu_u(x))
#define D(x) emu_ud(x)
#define S32(x) ((u64)(u32)(x))
#define S64(x) ((u64)(i64)(x))
typedef struct form {
  const char *text; /* from registers 1, 2, 3 to 0 */
  char out;         /* which file the result is in: r, d (rd), f, e (fd), h, p */
  u64 a, b, c, want;
} form;

static void run_form(emu *m, const form *t) {
  static const char *const ends[256] = {
      ['r'] = "st.global.u32 [%rd10], %r0;", ['d'] = "st.global.u64 [%rd10], %rd0;",
      ['f'] = "st.global.f32 [%rd10], %f0;", ['e'] = "st.global.f64 [%rd10], %fd0;",
      ['h'] = "st.global.u16 [%rd10], %h0;", ['p'] = "selp.u32 %r0, 1, 0, %p0; st.global.u32 [%rd10], %r0;"};
  char text[4096];
  snprintf(text, sizeof text,
           "%s"
           "ld.global.u64 %%rd1, [%%rd11]; ld.global.u64 %%rd2, [%%rd11+8]; ld.global.u64 %%rd3, [%%rd11+16];\n"
           "cvt.u32.u64 %%r1, %%rd1; cvt.u32.u64 %%r2, %%rd2; cvt.u32.u64 %%r3, %%rd3;\n"
           "mov.b32 %%f1, %%r1; mov.b32 %%f2, %%r2; mov.b32 %%f3, %%r3;\n"
           "mov.b64 %%fd1, %%rd1; mov.b64 %%fd2, %%rd2; mov.b64 %%fd3, %%rd3;\n"
           "cvt.u16.u32 %%h1, %%r1; cvt.u16.u32 %%h2, %%r2; cvt.u16.u32 %%h3, %%r3;\n"
           "setp.ne.s32 %%p1, %%r1, 0; setp.ne.s32 %%p2, %%r2, 0;\n%s\n%s\nret;\n}\n",
           HEAD, t->text, ends[(unsigned char)t->out]);
  u64 in[3] = {t->a, t->b, t->c}, out[32];
  for (uint32_t threads = 1; threads <= 32; threads += 31) {
    if (run_text(m, text, in, sizeof in, threads, out)) fail_msg("%s: %s", t->text, emu_text(m));
    u64 keep = t->out == 'd' || t->out == 'e' ? ~(u64)0 : t->out == 'h' ? 0xffff : 0xffffffff;
    for (uint32_t l = 0; l < threads; l++)
      if ((out[l] & keep) != t->want)
        fail_msg("%s: lane %u of %u: %#llx, not %#llx", t->text, l, threads, (unsigned long long)(out[l] & keep),
                 (unsigned long long)t->want);
  }
}
static void run_list(const form *list, size_t n) {
  emu *m = machine();
  for (size_t i = 0; i < n; i++) run_form(m, &list[i]);
  emu_free(m);
}

static void test_integers(void **state) {
  const form list[] = {{"add.s32 %r0, %r1, %r2;", 'r', 7, S32(-9), 0, S32(-2)},
                       {"add.u32 %r0, %r1, 4294967295;", 'r', 7, 0, 0, 6},
                       {"sub.s32 %r0, %r1, %r2;", 'r', 7, 9, 0, S32(-2)},
                       {"add.s64 %rd0, %rd1, %rd2;", 'd', 0xffffffff, 1, 0, 0x100000000},
                       {"sub.s64 %rd0, %rd1, %rd2;", 'd', 0, 1, 0, ~(u64)0},
                       {"add.s16 %h0, %h1, %h2;", 'h', 0xffff, 3, 0, 2},
                       {"sub.s16 %h0, %h1, %h2;", 'h', 1, 3, 0, 0xfffe},
                       {"mul.lo.s32 %r0, %r1, %r2;", 'r', 0x10001, 0x10001, 0, 0x20001},
                       {"mul.lo.s64 %rd0, %rd1, %rd2;", 'd', 0x100000001, 3, 0, 0x300000003},
                       {"mul.lo.s16 %h0, %h1, %h2;", 'h', 0x101, 0x101, 0, 0x201},
                       {"mul.hi.u32 %r0, %r1, %r2;", 'r', 0xffffffff, 16, 0, 15},
                       {"mul.hi.s32 %r0, %r1, %r2;", 'r', S32(-1), 16, 0, S32(-1)},
                       {"mul.hi.u64 %rd0, %rd1, %rd2;", 'd', ~(u64)0, 16, 0, 15},
                       {"mul.hi.s64 %rd0, %rd1, %rd2;", 'd', ~(u64)0, 16, 0, ~(u64)0},
                       {"mul.wide.u16 %r0, %h1, %h2;", 'r', 0xffff, 0xffff, 0, 0xfffe0001},
                       {"mul.wide.s16 %r0, %h1, %h2;", 'r', 0xffff, 2, 0, S32(-2)},
                       {"mul.wide.u32 %rd0, %r1, %r2;", 'd', 0xffffffff, 2, 0, 0x1fffffffe},
                       {"mul.wide.s32 %rd0, %r1, %r2;", 'd', S32(-1), 2, 0, S64(-2)},
                       {"mad.lo.s32 %r0, %r1, %r2, %r3;", 'r', 5, 7, S32(-1), 34},
                       {"mad.lo.s64 %rd0, %rd1, %rd2, %rd3;", 'd', 5, 7, 1, 36},
                       {"mad.wide.u32 %rd0, %r1, %r2, %rd3;", 'd', 0xffffffff, 2, 1, 0x1ffffffff},
                       {"mad.wide.s32 %rd0, %r1, %r2, %rd3;", 'd', S32(-1), 2, 1, S64(-1)},
                       {"mad.hi.u32 %r0, %r1, %r2, %r3;", 'r', 0xffffffff, 16, 1, 16},
                       {"div.s32 %r0, %r1, %r2;", 'r', S32(-7), 2, 0, S32(-3)},
                       {"div.u32 %r0, %r1, %r2;", 'r', 0xfffffff9, 2, 0, 0x7ffffffc},
                       {"rem.s32 %r0, %r1, %r2;", 'r', S32(-7), 2, 0, S32(-1)},
                       {"rem.u32 %r0, %r1, %r2;", 'r', 7, 4, 0, 3},
                       {"div.s64 %rd0, %rd1, %rd2;", 'd', S64(-7), 2, 0, S64(-3)},
                       {"rem.s64 %rd0, %rd1, %rd2;", 'd', S64(-7), 2, 0, S64(-1)},
                       {"div.u64 %rd0, %rd1, %rd2;", 'd', ~(u64)0, 2, 0, ~(u64)0 / 2},
                       {"rem.u64 %rd0, %rd1, %rd2;", 'd', 1000000000007, 10, 0, 7},
                       {"div.u16 %h0, %h1, %h2;", 'h', 0xffff, 2, 0, 0x7fff},
                       {"neg.s32 %r0, %r1;", 'r', 5, 0, 0, S32(-5)},
                       {"neg.s64 %rd0, %rd1;", 'd', 5, 0, 0, S64(-5)},
                       {"abs.s32 %r0, %r1;", 'r', S32(-5), 0, 0, 5},
                       {"abs.s64 %rd0, %rd1;", 'd', S64(-5), 0, 0, 5},
                       {"min.s32 %r0, %r1, %r2;", 'r', S32(-5), 3, 0, S32(-5)},
                       {"max.s32 %r0, %r1, %r2;", 'r', S32(-5), 3, 0, 3},
                       {"min.u32 %r0, %r1, %r2;", 'r', S32(-5), 3, 0, 3},
                       {"max.u32 %r0, %r1, %r2;", 'r', S32(-5), 3, 0, S32(-5)},
                       {"min.s64 %rd0, %rd1, %rd2;", 'd', S64(-5), 3, 0, S64(-5)},
                       {"max.u64 %rd0, %rd1, %rd2;", 'd', S64(-5), 3, 0, S64(-5)},
                       {"min.s16 %h0, %h1, %h2;", 'h', 0xfffb, 3, 0, 0xfffb},
                       {"max.u16 %h0, %h1, %h2;", 'h', 0xfffb, 3, 0, 0xfffb}};
  (void)state;
  run_list(list, sizeof list / sizeof *list);
}

static void test_bits(void **state) {
  const form list[] = {{"and.b32 %r0, %r1, %r2;", 'r', 12, 10, 0, 8},
                       {"or.b32 %r0, %r1, %r2;", 'r', 12, 10, 0, 14},
                       {"xor.b32 %r0, %r1, %r2;", 'r', 12, 10, 0, 6},
                       {"not.b32 %r0, %r1;", 'r', 1, 0, 0, 0xfffffffe},
                       {"and.b64 %rd0, %rd1, %rd2;", 'd', 12ull << 40, 10ull << 40, 0, 8ull << 40},
                       {"or.b64 %rd0, %rd1, %rd2;", 'd', 12ull << 40, 1, 0, (12ull << 40) + 1},
                       {"xor.b64 %rd0, %rd1, -1;", 'd', 1, 0, 0, ~(u64)1},
                       {"not.b64 %rd0, %rd1;", 'd', 1, 0, 0, ~(u64)1},
                       {"and.b16 %h0, %h1, %h2;", 'h', 12, 10, 0, 8},
                       {"not.b16 %h0, %h1;", 'h', 1, 0, 0, 0xfffe},
                       {"shl.b32 %r0, %r1, 4;", 'r', 0xf0000001, 0, 0, 16},
                       {"shl.b32 %r0, %r1, %r2;", 'r', 1, 32, 0, 0},
                       {"shl.b64 %rd0, %rd1, %r2;", 'd', 1, 40, 0, 1ull << 40},
                       {"shl.b16 %h0, %h1, %r2;", 'h', 0x1001, 4, 0, 0x10},
                       {"shr.u32 %r0, %r1, %r2;", 'r', 0x80000000, 31, 0, 1},
                       {"shr.s32 %r0, %r1, %r2;", 'r', 0x80000000, 40, 0, 0xffffffff},
                       {"shr.u64 %rd0, %rd1, %r2;", 'd', 1ull << 63, 63, 0, 1},
                       {"shr.s64 %rd0, %rd1, %r2;", 'd', 1ull << 63, 63, 0, ~(u64)0},
                       {"shr.u16 %h0, %h1, %r2;", 'h', 0x8000, 15, 0, 1},
                       {"shr.s16 %h0, %h1, %r2;", 'h', 0x8000, 15, 0, 0xffff},
                       {"popc.b32 %r0, %r1;", 'r', 0xf00f, 0, 0, 8},
                       {"popc.b64 %r0, %rd1;", 'r', 0xf00f00000000, 0, 0, 8},
                       {"clz.b32 %r0, %r1;", 'r', 1, 0, 0, 31},
                       {"clz.b32 %r0, %r1;", 'r', 0, 0, 0, 32},
                       {"clz.b64 %r0, %rd1;", 'r', 1, 0, 0, 63},
                       {"brev.b32 %r0, %r1;", 'r', 1, 0, 0, 0x80000000},
                       {"bfind.u32 %r0, %r1;", 'r', 0x10, 0, 0, 4},
                       {"bfe.u32 %r0, %r1, 4, 8;", 'r', 0xabcd, 0, 0, 0xbc},
                       {"bfe.s32 %r0, %r1, 4, 8;", 'r', 0xabcd, 0, 0, S32(-68)},
                       {"bfi.b32 %r0, %r1, %r2, 8, 4;", 'r', 0xf5, 0xffffffff, 0, 0xfffff5ff},
                       {"bfi.b64 %rd0, %rd1, %rd2, 32, 32;", 'd', 7, 9, 0, 7ull << 32 | 9},
                       {"shf.l.wrap.b32 %r0, %r1, %r2, 8;", 'r', 0xaabbccdd, 0x11223344, 0, 0x223344aa},
                       {"shf.r.wrap.b32 %r0, %r1, %r2, 8;", 'r', 0xaabbccdd, 0x11223344, 0, 0x44aabbcc},
                       {"lop3.b32 %r0, %r1, %r2, %r3, 150;", 'r', 12, 10, 9, 12 ^ 10 ^ 9},
                       {"lop3.b32 %r0, %r1, %r2, %r3, 202;", 'r', 12, 10, 9, (12 & 10) | (~12u & 9)},
                       {"prmt.b32 %r0, %r1, %r2, 21520;", 'r', 0x33221100, 0x77665544, 0, 0x55441100},
                       {"prmt.b32 %r0, %r1, %r2, 48;", 'r', 0x33221100, 0, 0, 0x00003300},
                       {"selp.b32 %r0, 5, %r2, %p1;", 'r', 1, 9, 0, 5},
                       {"selp.b64 %rd0, %rd1, %rd2, %p2;", 'd', 1, 0, 0, 0},
                       {"selp.f32 %f0, %f1, %f2, %p1;", 'f', F(1.5f), F(2.5f), 0, F(1.5f)},
                       {"mov.b64 %rd0, {%r1, %r2};", 'd', 1, 2, 0, 2ull << 32 | 1},
                       {"mov.b64 {%r3, %r0}, %rd1;", 'r', 7ull << 32 | 1, 0, 0, 7},
                       {"mov.b32 %r0, {%h1, %h2};", 'r', 0x1111, 0x2222, 0, 0x22221111},
                       {"mov.b32 {%h3, %h0}, %r1;", 'h', 0x22221111, 0, 0, 0x2222},
                       {"mov.f32 %f0, 0f3FC00000;", 'f', 0, 0, 0, F(1.5f)},
                       {"mov.b32 %r0, %f1;", 'r', F(1.5f), 0, 0, F(1.5f)},
                       {"{ .reg .b32 t; mov.u32 t, 3; add.u32 %r0, t, %r1; }", 'r', 4, 0, 0, 7},
                       {"@%p1 mov.u32 %r0, 5;\n@!%p1 mov.u32 %r0, 6;", 'r', 1, 0, 0, 5},
                       {"@%p2 bra L; mov.u32 %r0, 5; bra M;\nL: mov.u32 %r0, 6;\nM:", 'r', 0, 1, 0, 6}};
  (void)state;
  run_list(list, sizeof list / sizeof *list);
}

static void test_floats(void **state) {
  const form list[] = {
      {"add.f32 %f0, %f1, %f2;", 'f', F(1.5f), F(2.25f), 0, F(3.75f)},
      {"sub.rn.f32 %f0, %f1, %f2;", 'f', F(1.5f), F(2.25f), 0, F(-0.75f)},
      {"mul.f32 %f0, %f1, %f2;", 'f', F(1.5f), F(2.0f), 0, F(3.0f)},
      {"mul.ftz.f32 %f0, %f1, %f2;", 'f', F(1e-30f), F(1e-10f), 0, F(0.0f)},
      {"mul.f32 %f0, %f1, %f2;", 'f', F(1e-30f), F(1e-10f), 0, F(1e-30f * 1e-10f)},
      {"fma.rn.f32 %f0, %f1, %f2, %f3;", 'f', F(16777217.0f), F(1.0000001f), F(-16777216.0f), F(2.0f)},
      {"add.rz.f32 %f0, %f1, %f2;", 'f', F(16777216.0f), F(1.5f), 0, F(16777216.0f)},
      {"add.rp.f32 %f0, %f1, %f2;", 'f', F(16777216.0f), F(0.5f), 0, F(16777218.0f)},
      {"fma.rm.f32 %f0, %f1, %f2, %f3;", 'f', F(1.0f), F(-1.0f), F(-1e-10f), 0xbf800001},
      {"add.sat.f32 %f0, %f1, %f2;", 'f', F(1.0f), F(0.5f), 0, F(1.0f)},
      {"div.rn.f32 %f0, %f1, %f2;", 'f', F(1.0f), F(3.0f), 0, F(1.0f / 3.0f)},
      {"div.full.f32 %f0, %f1, %f2;", 'f', F(1.0f), F(4.0f), 0, F(0.25f)},
      {"rcp.rn.f32 %f0, %f1;", 'f', F(4.0f), 0, 0, F(0.25f)},
      {"rcp.approx.ftz.f32 %f0, %f1;", 'f', F(4.0f), 0, 0, F(0.25f)},
      {"sqrt.rn.f32 %f0, %f1;", 'f', F(2.25f), 0, 0, F(1.5f)},
      {"rsqrt.approx.f32 %f0, %f1;", 'f', F(4.0f), 0, 0, F(0.5f)},
      {"ex2.approx.f32 %f0, %f1;", 'f', F(5.0f), 0, 0, F(32.0f)},
      {"ex2.approx.ftz.f32 %f0, %f1;", 'f', F(-200.0f), 0, 0, F(0.0f)},
      {"lg2.approx.f32 %f0, %f1;", 'f', F(8.0f), 0, 0, F(3.0f)},
      {"sin.approx.f32 %f0, %f1;", 'f', F(0.0f), 0, 0, F(0.0f)},
      {"cos.approx.f32 %f0, %f1;", 'f', F(0.0f), 0, 0, F(1.0f)},
      {"tanh.approx.f32 %f0, %f1;", 'f', F(0.0f), 0, 0, F(0.0f)},
      {"neg.f32 %f0, %f1;", 'f', F(0.0f), 0, 0, F(-0.0f)},
      {"abs.f32 %f0, %f1;", 'f', F(-2.0f), 0, 0, F(2.0f)},
      {"copysign.f32 %f0, %f1, %f2;", 'f', F(-1.0f), F(2.0f), 0, F(-2.0f)},
      {"min.f32 %f0, %f1, %f2;", 'f', 0x7fc00000, F(2.0f), 0, F(2.0f)},
      {"max.f32 %f0, %f1, %f2;", 'f', F(-1.0f), F(2.0f), 0, F(2.0f)},
      {"add.f64 %fd0, %fd1, %fd2;", 'e', D(1.5), D(1e-10), 0, D(1.5 + 1e-10)},
      {"mul.f64 %fd0, %fd1, %fd2;", 'e', D(1.5), D(3.0), 0, D(4.5)},
      {"sub.f64 %fd0, %fd1, %fd2;", 'e', D(1.5), D(3.0), 0, D(-1.5)},
      {"fma.rn.f64 %fd0, %fd1, %fd2, %fd3;", 'e', D(1.5), D(3.0), D(0.25), D(4.75)},
      {"div.rn.f64 %fd0, %fd1, %fd2;", 'e', D(1.0), D(3.0), 0, D(1.0 / 3.0)},
      {"sqrt.rn.f64 %fd0, %fd1;", 'e', D(2.25), 0, 0, D(1.5)},
      {"fma.rn.bf16 %h0, %h1, %h2, %h3;", 'h', 0x3f80, 0x4000, 0x3f80, 0x4040},
      {"fma.rn.bf16x2 %r0, %r1, %r2, %r3;", 'r', 0x3f804000, 0x40003f80, 0x3f800000, 0x40404000},
      {"add.f16 %h0, %h1, %h2;", 'h', 0x3c00, 0x4000, 0, 0x4200},
      {"mul.f16x2 %r0, %r1, %r2;", 'r', 0x3c004000, 0x40004000, 0, 0x40004400},
      {"neg.bf16 %h0, %h1;", 'h', 0x3f80, 0, 0, 0xbf80}};
  (void)state;
  run_list(list, sizeof list / sizeof *list);
}

static void test_conversions(void **state) {
  const form list[] = {{"cvt.s64.s32 %rd0, %r1;", 'd', S32(-3), 0, 0, S64(-3)},
                       {"cvt.u64.u32 %rd0, %r1;", 'd', S32(-3), 0, 0, S32(-3)},
                       {"cvt.u32.u64 %r0, %rd1;", 'r', 5ull << 32 | 7, 0, 0, 7},
                       {"cvt.u32.u16 %r0, %h1;", 'r', 0xfffe, 0, 0, 0xfffe},
                       {"cvt.s32.s16 %r0, %h1;", 'r', 0xfffe, 0, 0, S32(-2)},
                       {"cvt.u16.u32 %h0, %r1;", 'h', 0x12345, 0, 0, 0x2345},
                       {"cvt.s32.s8 %r0, %r1;", 'r', 0x80, 0, 0, S32(-128)},
                       {"cvt.u32.u8 %r0, %r1;", 'r', 0x180, 0, 0, 0x80},
                       {"cvt.rn.f32.s32 %f0, %r1;", 'f', S32(-16777217), 0, 0, F(-16777216.0f)},
                       {"cvt.rn.f32.u32 %f0, %r1;", 'f', S32(-1), 0, 0, F(4294967296.0f)},
                       {"cvt.rn.f32.s64 %f0, %rd1;", 'f', S64(-5), 0, 0, F(-5.0f)},
                       {"cvt.rn.f64.s64 %fd0, %rd1;", 'e', S64(-5), 0, 0, D(-5.0)},
                       {"cvt.rn.f64.s32 %fd0, %r1;", 'e', S32(-5), 0, 0, D(-5.0)},
                       {"cvt.rzi.s32.f32 %r0, %f1;", 'r', F(-2.7f), 0, 0, S32(-2)},
                       {"cvt.rni.s32.f32 %r0, %f1;", 'r', F(2.5f), 0, 0, 2},
                       {"cvt.rmi.s32.f32 %r0, %f1;", 'r', F(-2.1f), 0, 0, S32(-3)},
                       {"cvt.rpi.s32.f32 %r0, %f1;", 'r', F(2.1f), 0, 0, 3},
                       {"cvt.rzi.s32.f32 %r0, %f1;", 'r', F(3e9f), 0, 0, 0x7fffffff},
                       {"cvt.rzi.u32.f32 %r0, %f1;", 'r', F(-3.0f), 0, 0, 0},
                       {"cvt.rzi.s32.f32 %r0, %f1;", 'r', 0x7fc00000, 0, 0, 0},
                       {"cvt.rni.f32.f32 %f0, %f1;", 'f', F(2.5f), 0, 0, F(2.0f)},
                       {"cvt.rmi.f32.f32 %f0, %f1;", 'f', F(-2.5f), 0, 0, F(-3.0f)},
                       {"cvt.rzi.f32.f32 %f0, %f1;", 'f', F(-2.5f), 0, 0, F(-2.0f)},
                       {"cvt.sat.f32.f32 %f0, %f1;", 'f', F(1.5f), 0, 0, F(1.0f)},
                       {"cvt.f64.f32 %fd0, %f1;", 'e', F(1.1f), 0, 0, D((double)1.1f)},
                       {"cvt.rn.f32.f64 %f0, %fd1;", 'f', D(1.1), 0, 0, F(1.1f)},
                       {"cvt.rn.bf16.f32 %h0, %f1;", 'h', 0x3f808000, 0, 0, 0x3f80},
                       {"cvt.rn.bf16.f32 %h0, %f1;", 'h', 0x3f818000, 0, 0, 0x3f82},
                       {"cvt.rn.bf16x2.f32 %r0, %f1, %f2;", 'r', F(1.0f), F(2.0f), 0, 0x3f804000},
                       {"cvt.rn.f16.f32 %h0, %f1;", 'h', F(1.0f + 0x1p-11f), 0, 0, 0x3c00},
                       {"cvt.rn.f16.f32 %h0, %f1;", 'h', F(70000.0f), 0, 0, 0x7c00},
                       {"cvt.rn.f16.f32 %h0, %f1;", 'h', F(0x1p-24f), 0, 0, 1},
                       {"cvt.rn.f16x2.f32 %r0, %f1, %f2;", 'r', F(1.0f), F(2.0f), 0, 0x3c004000},
                       {"cvt.f32.f16 %f0, %h1;", 'f', 0x3c01, 0, 0, F(1.0f + 0x1p-10f)},
                       {"cvt.f32.bf16 %f0, %h1;", 'f', 0x3f81, 0, 0, 0x3f810000},
                       {"cvta.shared.u64 %rd0, %rd1; cvta.to.shared.u64 %rd0, %rd0;", 'd', 48, 0, 0, 48}};
  (void)state;
  run_list(list, sizeof list / sizeof *list);
}

static void test_comparisons(void **state) {
  const form list[] = {{"setp.lt.s32 %p0, %r1, %r2;", 'p', S32(-1), 1, 0, 1},
                       {"setp.lt.u32 %p0, %r1, %r2;", 'p', S32(-1), 1, 0, 0},
                       {"setp.ge.s32 %p0, %r1, 5;", 'p', 5, 0, 0, 1},
                       {"setp.eq.s32 %p0, %r1, %r2;", 'p', 5, 6, 0, 0},
                       {"setp.ne.s32 %p0, %r1, %r2;", 'p', 5, 6, 0, 1},
                       {"setp.gt.s32 %p0, %r1, %r2;", 'p', 5, 6, 0, 0},
                       {"setp.le.s32 %p0, %r1, %r2;", 'p', 5, 5, 0, 1},
                       {"setp.hi.u32 %p0, %r1, %r2;", 'p', S32(-1), 1, 0, 1},
                       {"setp.lo.u32 %p0, %r1, %r2;", 'p', S32(-1), 1, 0, 0},
                       {"setp.lt.s64 %p0, %rd1, %rd2;", 'p', S64(-1), 1, 0, 1},
                       {"setp.ge.u64 %p0, %rd1, %rd2;", 'p', S64(-1), 1, 0, 1},
                       {"setp.ge.s64 %p0, %rd1, %rd2;", 'p', S64(-1), 1, 0, 0},
                       {"setp.lt.s16 %p0, %h1, %h2;", 'p', 0xffff, 1, 0, 1},
                       {"setp.eq.b32 %p0, %r1, %r2;", 'p', 9, 9, 0, 1},
                       {"setp.lt.f32 %p0, %f1, %f2;", 'p', F(1.0f), F(2.0f), 0, 1},
                       {"setp.gt.f32 %p0, %f1, %f2;", 'p', F(1.0f), 0x7fc00000, 0, 0},
                       {"setp.gtu.f32 %p0, %f1, %f2;", 'p', F(1.0f), 0x7fc00000, 0, 1},
                       {"setp.ltu.f32 %p0, %f1, %f2;", 'p', F(3.0f), F(2.0f), 0, 0},
                       {"setp.geu.f32 %p0, %f1, %f2;", 'p', F(2.0f), F(2.0f), 0, 1},
                       {"setp.neu.f32 %p0, %f1, %f2;", 'p', 0x7fc00000, F(2.0f), 0, 1},
                       {"setp.ne.f32 %p0, %f1, %f2;", 'p', 0x7fc00000, F(2.0f), 0, 0},
                       {"setp.nan.f32 %p0, %f1, %f2;", 'p', 0x7fc00000, F(2.0f), 0, 1},
                       {"setp.num.f32 %p0, %f1, %f2;", 'p', F(1.0f), F(2.0f), 0, 1},
                       {"setp.eq.f64 %p0, %fd1, %fd2;", 'p', D(1.0), D(1.0), 0, 1},
                       {"setp.lt.and.s32 %p0, %r1, %r2, %p1;", 'p', 3, 5, 0, 1},
                       {"setp.lt.and.s32 %p0, %r1, %r2, !%p1;", 'p', 3, 5, 0, 0},
                       {"setp.gt.or.s32 %p0, %r1, %r2, %p1;", 'p', 3, 5, 0, 1},
                       {"setp.lt.xor.s32 %p0, %r1, %r2, %p1;", 'p', 3, 5, 0, 0},
                       {"setp.lt.s32 %p3|%p0, %r1, %r2;", 'p', 3, 5, 0, 0},
                       {"and.pred %p0, %p1, %p2;", 'p', 3, 0, 0, 0},
                       {"or.pred %p0, %p1, %p2;", 'p', 3, 0, 0, 1},
                       {"xor.pred %p0, %p1, %p2;", 'p', 3, 4, 0, 0},
                       {"not.pred %p0, %p1;", 'p', 3, 0, 0, 0},
                       {"mov.pred %p0, %p1;", 'p', 3, 0, 0, 1}};
  (void)state;
  run_list(list, sizeof list / sizeof *list);
}

/* --- memory --- */

static void loads_and_stores(void **state) {
  (void)state;
  emu *m = machine();
  u32 in[32];
  u64 out[2];
  for (u32 i = 0; i < 32; i++) in[i] = 0x80818283u + i * 0x01010101u;
  const char *text = HEAD "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd11+16]; add.u32 %r1, %r1, %r4;\n"
                          "ld.global.nc.v2.u16 {%h1, %h2}, [%rd11]; cvt.u32.u16 %r5, %h2; add.u32 %r1, %r1, %r5;\n"
                          "ld.global.s8 %r6, [%rd11+1]; ld.global.u8 %r7, [%rd11+1]; sub.s32 %r6, %r7, %r6;\n"
                          "mov.b64 %rd1, {%r1, %r6}; st.global.u64 [%rd10], %rd1;\n"
                          "ld.global.s16 %r8, [%rd11]; st.global.v2.u32 [%rd10+8], {%r8, %r3}; }\n";
  assert_int_equal(run_text(m, text, in, sizeof in, 1, out), 0);
  assert_int_equal((u32)out[0], (u32)(in[4] + in[7] + (in[0] >> 16)));
  assert_int_equal(out[0] >> 32, 256);
  emu_free(m);
}

/* The kernel's result for each of 32 threads. */
static void expect_lanes(const char *body, const u32 want[32]) {
  emu *m = machine();
  char text[6000];
  u64 out[32], in[2] = {0x3f8000003f800000, 0};
  snprintf(text, sizeof text,
           "%s"
           "%s\nst.global.u32 [%%rd10], %%r0;\nret;\n}\n",
           HEAD, body);
  if (run_text(m, text, in, sizeof in, 32, out)) fail_msg("%s", emu_text(m));
  for (int l = 0; l < 32; l++)
    if ((u32)out[l] != want[l]) fail_msg("%s: lane %d: %#x, not %#x", body, l, (u32)out[l], want[l]);
  emu_free(m);
}

static void warp_exchange(void **state) {
  (void)state;
  u32 w[32];
#define WANT(expr)                                                                                                   \
  for (u32 l = 0; l < 32; l++) w[l] = (u32)(expr)
  WANT(l ^ 5);
  expect_lanes("shfl.sync.bfly.b32 %r0, %r10, 5, 31, -1;", w);
  WANT(l + 3 < 32 ? l + 3 : l);
  expect_lanes("shfl.sync.down.b32 %r0, %r10, 3, 31, -1;", w);
  WANT(l >= 3 ? l - 3 : l);
  expect_lanes("shfl.sync.up.b32 %r0, %r10, 3, 0, -1;", w);
  WANT((l & 24) + 2);
  expect_lanes("shfl.sync.idx.b32 %r0, %r10, 2, 6175, -1;", w); /* segments of 8 */
  WANT(l + 3 < 32 ? 1 : 0);
  expect_lanes("shfl.sync.down.b32 %r1|%p1, %r10, 3, 31, -1; selp.u32 %r0, 1, 0, %p1;", w);
  WANT(0xffff0000u);
  expect_lanes("setp.ge.u32 %p1, %r10, 16; vote.sync.ballot.b32 %r0, %p1, -1;", w);
  WANT(1);
  expect_lanes("setp.eq.u32 %p1, %r10, 16; vote.sync.any.pred %p2, %p1, -1; selp.u32 %r0, 1, 0, %p2;", w);
  WANT(0);
  expect_lanes("setp.eq.u32 %p1, %r10, 16; vote.sync.all.pred %p2, %p1, -1; selp.u32 %r0, 1, 0, %p2;", w);
  WANT(0x11111111u << (l & 3));
  expect_lanes("and.b32 %r1, %r10, 3; match.any.sync.b32 %r0, %r1, -1;", w);
  WANT(l < 8 ? 0xff : 0);
  expect_lanes("mov.u32 %r0, 0; setp.ge.u32 %p1, %r10, 8; @%p1 bra E; activemask.b32 %r0;\nE:", w);
  WANT(l < 8 ? l ^ 1 : 77); /* part of a warp */
  expect_lanes("mov.u32 %r0, 77; setp.ge.u32 %p1, %r10, 8; @%p1 bra E; shfl.sync.bfly.b32 %r0, %r10, 1, 31, 255;\nE:",
               w);
  WANT(l % 2 ? 3 * l : 100 + l); /* both sides of a branch, and the loop on one of them */
  expect_lanes("and.b32 %r1, %r10, 1; setp.eq.u32 %p1, %r1, 0; @%p1 bra A; mov.u32 %r0, 0; mov.u32 %r2, 0;\n"
               "L: add.u32 %r0, %r0, %r10; add.u32 %r2, %r2, 1; setp.lt.u32 %p2, %r2, 3; @%p2 bra L; bra B;\n"
               "A: add.u32 %r0, %r10, 100;\nB:",
               w);
  WANT(l);
  expect_lanes("mov.u32 %r0, %laneid;", w);
}

static void shared_and_atomics(void **state) {
  (void)state;
  u32 w[32];
  WANT(31 - l);
  expect_lanes(".shared .align 4 .b8 s[128]; mov.u32 %r1, s; shl.b32 %r2, %r10, 2; add.u32 %r1, %r1, %r2; "
               "st.shared.u32 [%r1], %r10;\n"
               "bar.sync 0; mov.u32 %r3, s; sub.u32 %r3, %r3, %r2; ld.shared.u32 %r0, [%r3+124];",
               w);
  WANT(l ^ 1); /* the generic address; bar.warp.sync is enough within a warp */
  expect_lanes(
      ".shared .align 4 .b8 s[128]; mov.u64 %rd1, s; cvta.shared.u64 %rd2, %rd1; mul.wide.u32 %rd3, %r10, 4;\n"
      "add.s64 %rd4, %rd2, %rd3; st.u32 [%rd4], %r10; bar.warp.sync -1; xor.b32 %r1, %r10, 1; mul.wide.u32 %rd5, "
      "%r1, 4;\n"
      "add.s64 %rd6, %rd2, %rd5; ld.u32 %r0, [%rd6];",
      w);
  WANT(496);
  expect_lanes(".shared .align 4 .b8 s[4]; setp.eq.u32 %p1, %r10, 0; @%p1 st.shared.u32 [s], 0; bar.sync 0;\n"
               "atom.shared.add.u32 %r1, [s], %r10; bar.sync 0; ld.shared.u32 %r0, [s];",
               w);
  WANT(31);
  expect_lanes(".shared .align 4 .b8 s[4]; setp.eq.u32 %p1, %r10, 0; @%p1 st.shared.u32 [s], 0; bar.sync 0;\n"
               "red.shared.max.u32 [s], %r10; bar.sync 0; ld.shared.u32 %r0, [s];",
               w);
  WANT(l == 0 ? 9 : 5);
  expect_lanes(".shared .align 4 .b8 s[4]; setp.eq.u32 %p1, %r10, 0; @%p1 st.shared.u32 [s], 9; bar.sync 0;\n"
               "atom.shared.exch.b32 %r0, [s], 5;",
               w);
  WANT(l + 7);
  expect_lanes(".local .align 4 .b8 d[8]; add.u32 %r1, %r10, 7; st.local.u32 [d+4], %r1; ld.local.u32 %r0, [d+4];",
               w);
  WANT(1);
  expect_lanes("setp.eq.u32 %p1, %r10, 3; barrier.red.or.pred %p2, 0, %p1; selp.u32 %r0, 1, 0, %p2;", w);
}

/* --- matrices. The element (r, c) of an 8x8 is 16 r + c + 1; a lane's result is checked by the manual's table. ---
 */

#define FILL                                                                                                         \
  ".shared .align 16 .b8 s[512];\nmov.u32 %r1, s; shl.b32 %r2, %r10, 4; add.u32 %r1, %r1, %r2;\n"                    \
  "shl.b32 %r3, %r10, 4; add.u32 %r3, %r3, 1; mov.u32 %r4, 0;\n"                                                     \
  "L: add.u32 %r5, %r3, %r4; cvt.u16.u32 %h1, %r5; shl.b32 %r6, %r4, 1; add.u32 %r6, %r6, %r1; st.shared.u16 "       \
  "[%r6], %h1;\n"                                                                                                    \
  "add.u32 %r4, %r4, 1; setp.lt.u32 %p1, %r4, 8; @%p1 bra L; bar.sync 0;\n"

static void ldmatrix_layout(void **state) {
  (void)state;
  u32 w[32];
#define EL(mat, r, c) (((mat)*8 + (r)) * 16 + (c) + 1)
  for (u32 k = 0; k < 4; k++) {
    char body[2048];
    WANT(EL(k, l / 4, 2 * (l % 4)) | EL(k, l / 4, 2 * (l % 4) + 1) << 16);
    snprintf(body, sizeof body,
             "%s"
             "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%%r%d, %%r%d, %%r%d, %%r%d}, [%%r1];",
             FILL, k == 0 ? 0 : 6, k == 1 ? 0 : 7, k == 2 ? 0 : 8, k == 3 ? 0 : 9);
    expect_lanes(body, w);
    WANT(EL(k, 2 * (l % 4), l / 4) | EL(k, 2 * (l % 4) + 1, l / 4) << 16);
    snprintf(body, sizeof body,
             "%s"
             "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%%r%d, %%r%d, %%r%d, %%r%d}, [%%r1];",
             FILL, k == 0 ? 0 : 6, k == 1 ? 0 : 7, k == 2 ? 0 : 8, k == 3 ? 0 : 9);
    expect_lanes(body, w);
  }
  WANT(EL(1, l / 4, 2 * (l % 4)) | EL(1, l / 4, 2 * (l % 4) + 1) << 16);
  expect_lanes(FILL "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r6, %r0}, [%r1];", w);
  WANT(EL(0, l / 4, 2 * (l % 4)) | EL(0, l / 4, 2 * (l % 4) + 1) << 16);
  expect_lanes(FILL "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%r1];", w);
}

/* A has one element 1 (the one that lane `lane` holds in half h of register k), B holds 8 * row + column, C is 0: the
 * row of the result that is not zero, and its values, give the place of the element. */
static void mma_layout(void **state) {
  (void)state;
  for (u32 lane = 0; lane < 32; lane += 5)
    for (u32 k = 0; k < 4; k++)
      for (u32 h = 0; h < 2; h++) {
        char body[2048], b[700] = "";
        u32 row = lane / 4 + (k & 1) * 8, col = 2 * (lane % 4) + (k >> 1) * 8 + h, w[32];
        for (u32 i = 0; i < 2; i++) { /* B: register i holds rows 2 (l % 4) + 8 i and the next, of column l / 4 */
          char one[350];
          snprintf(one, sizeof one,
                   "and.b32 %%r6, %%r10, 3; shl.b32 %%r6, %%r6, 1; add.u32 %%r6, %%r6, %u; shl.b32 %%r6, %%r6, 3; "
                   "shr.u32 %%r7, %%r10, 2;\n"
                   "add.u32 %%r6, %%r6, %%r7; cvt.rn.f32.u32 %%f1, %%r6; add.u32 %%r6, %%r6, 8; cvt.rn.f32.u32 %%f2, "
                   "%%r6;\n"
                   "cvt.rn.bf16x2.f32 %%r%u, %%f2, %%f1;\n",
                   8 * i, 8 + i);
          strcat(b, one);
        }
        for (u32 half = 0; half < 2; half++) {
          snprintf(body, sizeof body,
                   "%sadd.u32 %%r11, %%r9, 0; mov.u32 %%r1, 0; mov.u32 %%r2, 0; mov.u32 %%r3, 0; mov.u32 %%r4, 0;\n"
                   "setp.eq.u32 %%p1, %%r10, %u; @%%p1 mov.u32 %%r%u, %u; mov.f32 %%f4, 0f00000000;\n"
                   "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%%f5,%%f6,%%f7,%%f8}, "
                   "{%%r1,%%r2,%%r3,%%r4}, {%%r8,%%r9}, "
                   "{%%f4,%%f4,%%f4,%%f4};\nmov.b32 %%r0, %%f%u;",
                   b, lane, k + 1, h ? 0x3f800000u : 0x3f80u, (row >= 8 ? 7 : 5) + half);
          WANT(l / 4 == row % 8 ? emu_u((float)(8 * col + 2 * (l % 4) + half)) : 0);
          expect_lanes(body, w);
        }
      }
}

static void cp_async_copies(void **state) {
  (void)state;
  u32 w[32];
  WANT(l == 0 ? 0x3f800000u : 0); /* 8 of 16 bytes, the rest zero */
  expect_lanes(".shared .align 16 .b8 s[16]; mov.u32 %r0, 0; setp.ne.u32 %p1, %r10, 0; @%p1 bra E; mov.u32 %r1, s;\n"
               "cp.async.cg.shared.global [%r1], [%rd11], 16, 8; cp.async.commit_group; cp.async.wait_group 0;\n"
               "ld.shared.u32 %r0, [s+4]; ld.shared.u32 %r2, [s+8]; add.u32 %r0, %r0, %r2;\nE:",
               w);
}

/* --- faults: text, and what the message must say --- */

static void faults(void **state) {
  (void)state;
  static const struct {
    const char *body, *kind;
  } t[] = {
      {"ld.global.u32 %r0, [%rd11+16];", "out of bounds"},
      {"ld.global.u32 %r0, [%rd11+2];", "misaligned"},
      {"ld.global.u32 %r0, [%rd10];", "uninitialised read: 4 bytes of global"},
      {"mov.u64 %rd1, 4096; ld.global.u32 %r0, [%rd1];", "not in device memory"},
      {"st.global.u32 [%rd11], %r10;", "race: global"},
      {".shared .align 4 .b8 s[4]; st.shared.u32 [s], %r10;", "race: shared"},
      {".shared .align 4 .b8 s[8]; ld.shared.u32 %r0, [s];", "uninitialised read: 4 bytes of shared"},
      {".shared .align 4 .b8 s[8]; mov.u32 %r1, s; ld.shared.u32 %r0, [%r1+8];",
       "shared memory: 4 bytes at offset 8 of 8"},
      {".shared .align 4 .b8 s[4]; setp.eq.u32 %p1, %r10, 0; @%p1 st.shared.u32 [s], 1; ld.shared.u32 %r0, [s];",
       "race: shared"},
      {".shared .align 2 .b8 s[4]; setp.eq.u32 %p1, %r10, 0; @%p1 st.shared.u16 [s], %h1; setp.eq.u32 %p1, %r10, 1;\n"
       "@%p1 st.shared.u16 [s+2], %h1; setp.eq.u32 %p1, %r10, 2; @%p1 st.shared.u16 [s+2], %h1;",
       "race: shared"},
      {".shared .align 4 .b8 s[4]; setp.eq.u32 %p1, %r10, 0; @%p1 st.shared.u32 [s], 1; bar.sync 0; "
       "atom.shared.add.u32 %r0, [s], 1;\n"
       "ld.shared.u32 %r0, [s];",
       "race: shared"},
      {".local .align 4 .b8 d[8]; ld.local.u32 %r0, [d];", "uninitialised read of local"},
      {".local .align 4 .b8 d[8]; mov.u64 %rd1, d; st.local.u32 [%rd1+8], %r10;", "local memory"},
      {"setp.eq.u32 %p1, %r10, 0; @%p1 bra E; bar.sync 0;\nE:", "have exited"},
      {"setp.eq.u32 %p1, %r10, 0; @%p1 bra E; bar.sync 0; bra F;\nE: bar.sync 0;\nF:", "divergent barrier"},
      {"setp.eq.u32 %p1, %r10, 0; @%p1 bra E; shfl.sync.bfly.b32 %r0, %r10, 1, 31, -1;\nE:",
       "shfl.sync: mask ffffffff, executed by lanes fffffffe"},
      {"shfl.sync.bfly.b32 %r0, %r10, 1, 31, 255;", "shfl.sync: mask 000000ff"},
      {"setp.lt.u32 %p1, %r10, 31; @!%p1 bra E; shfl.sync.bfly.b32 %r0, %r10, 1, 31, 2147483647;\nE:",
       "reads lane 31"},
      {"setp.eq.u32 %p1, %r10, 0; @%p1 bra E; vote.sync.ballot.b32 %r0, %p1, -1;\nE:", "vote.sync: mask"},
      {"setp.eq.u32 %p1, %r10, 0; @%p1 bra E; bar.warp.sync -1;\nE:", "bar.warp.sync: mask"},
      {".shared .align 16 .b8 s[512]; setp.eq.u32 %p1, %r10, 0; @%p1 bra E; mov.u32 %r1, s;\n"
       "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%r1];\nE:",
       "ldmatrix: mask"},
      {"setp.eq.u32 %p1, %r10, 0; @%p1 bra E; mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1,%f1,%f1,%f1}, "
       "{%r1,%r1,%r1,%r1},\n"
       "{%r1,%r1}, {%f1,%f1,%f1,%f1};\nE:",
       "mma.sync: mask"},
      {".shared .align 16 .b8 s[16]; setp.ne.u32 %p1, %r10, 0; @%p1 bra E; mov.u32 %r1, s; cp.async.cg.shared.global "
       "[%r1], [%rd11], 16;\n"
       "cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r0, [s];\nE:",
       "uninitialised read"},
      {".shared .align 16 .b8 s[16]; setp.ne.u32 %p1, %r10, 0; @%p1 bra E; mov.u32 %r1, s; cp.async.cg.shared.global "
       "[%r1], [%rd11], 16;\n"
       "cp.async.wait_group 0; ld.shared.u32 %r0, [s];\nE:",
       "uninitialised read"}, /* never committed */
      {".shared .align 16 .b8 s[16]; mov.u32 %r1, s; setp.eq.u32 %p1, %r10, 0; @!%p1 bra E; "
       "cp.async.cg.shared.global [%r1], [%rd11], 16;\n"
       "cp.async.wait_all;\nE: bar.warp.sync -1; setp.eq.u32 %p1, %r10, 9; @%p1 st.shared.u32 [s], %r10; "
       "ld.shared.u32 %r0, [s];",
       "race: shared"},
      {"trap;", "trap"},
      {"L: bra L;", "still running after"}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++)
    for (u64 seed = 0; seed < 2; seed++) {
      emu *m = emu_new(&(emu_options){.seed = seed, .limit = 10000});
      char text[4096];
      u64 out[32], in[2] = {1, 2};
      snprintf(text, sizeof text,
               "%s"
               "%s\nret;\n}\n",
               HEAD, t[i].body);
      int rc = run_text(m, text, in, sizeof in, 32, out);
      if (!rc || !strstr(emu_text(m), t[i].kind))
        fail_msg("%s: expected \"%s\", got \"%s\"", t[i].body, t[i].kind, emu_text(m));
      assert_non_null(strstr(emu_text(m), "kernel f: "));
      emu_free(m);
    }
}

/* Texts that must not load: each says what is wrong and where. */
static void bad_texts(void **state) {
  (void)state;
  static const struct {
    const char *body, *kind;
  } t[] = {
      {"frob.s32 %r0, %r1;", "unknown instruction: frob.s32"},
      {"mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%f1,%f1,%f1,%f1}, {%r1,%r1}, {%r1}, {%f1,%f1,%f1,%f1};",
       "unknown instruction"},
      {"add.s32 %r0, %r1, %rd1;", "wrong size"},
      {"add.s32 %r0, %q1, %r1;", "unknown operand %q1"},
      {"add.s32 %r0, %r99, %r1;", "unknown operand %r99"},
      {"bra NOWHERE;", "unknown label"},
      {"bar.sync 1;", "barrier 0"},
      {"bar.arrive 0, 64;", "unknown instruction"},
      {"call helper;", "calls are not known"},
      {"ld.global.v3.u32 {%r0,%r1,%r2}, [%rd1];", "unknown instruction"},
      {"mov.u32 %r0, {%r1", "cannot read"},
      {"@%r1 mov.u32 %r0, 1;", "unknown guard"},
      {"wgmma.fence.sync.aligned;", "unknown instruction"},
      {"cp.async.bulk.commit_group;", "unknown instruction"}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    emu *m = machine();
    char text[2048];
    snprintf(text, sizeof text,
             "%s"
             "%s\nret;\n}\n",
             HEAD, t[i].body);
    assert_null(emu_load(m, text));
    if (!strstr(emu_text(m), t[i].kind) || !strstr(emu_text(m), "PTX line "))
      fail_msg("%s: \"%s\"", t[i].body, emu_text(m));
    emu_free(m);
  }
  emu *m = machine();
  static const char *const broken[] = {"hello", ".version 8.0\n.visible .entry f(", ".visible .entry f()\n{ mov.u32",
                                       ".global .u32 x = y;"};
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    emu_clear(m);
    assert_null(emu_load(m, broken[i]));
    assert_true(emu_text(m)[0] != 0);
  }
  emu_free(m);
}

/* Orders differ by seed, and a seed always gives the same one: each block takes the next ticket. */
static void seeds(void **state) {
  (void)state;
  static const char text[] =
      ".version 8.0\n.target sm_80\n.address_size 64\n.global .align 4 .u32 next = 0;\n"
      ".visible .entry f(.param .u64 out)\n{ .reg .b64 %rd<4>; .reg .b32 %r<4>;\n ld.param.u64 %rd1, [out];\n"
      "mov.u64 %rd2, next; atom.global.add.u32 %r1, [%rd2], 1; mov.u32 %r2, %ctaid.x; mul.wide.u32 %rd3, %r2, 4;\n"
      "add.s64 %rd1, %rd1, %rd3; st.global.u32 [%rd1], %r1; ret; }\n";
  u32 got[4][16];
  for (u64 s = 0; s < 4; s++) {
    emu *m = emu_new(&(emu_options){.seed = s == 3 ? 2 : s});
    emu_module *mod = emu_load(m, text);
    if (!mod) fail_msg("%s", emu_text(m));
    u64 p = emu_alloc(m, 64);
    assert_int_equal(
        emu_launch(m, emu_find(mod, "f"), &(emu_launch_args){.grid = {16, 1, 1}, .block = {1, 1, 1}, .params = &p}),
        0);
    memcpy(got[s], emu_host(m, p, 64), 64);
    emu_unload(m, mod);
    emu_free(m);
  }
  for (u32 i = 0; i < 16; i++) assert_int_equal(got[0][i], i);
  assert_memory_not_equal(got[1], got[0], 64);
  assert_memory_not_equal(got[1], got[2], 64);
  assert_memory_equal(got[3], got[2], 64);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_integers),    cmocka_unit_test(test_bits),
                                     cmocka_unit_test(test_floats),      cmocka_unit_test(test_conversions),
                                     cmocka_unit_test(test_comparisons), cmocka_unit_test(loads_and_stores),
                                     cmocka_unit_test(warp_exchange),    cmocka_unit_test(shared_and_atomics),
                                     cmocka_unit_test(ldmatrix_layout),  cmocka_unit_test(mma_layout),
                                     cmocka_unit_test(cp_async_copies),  cmocka_unit_test(faults),
                                     cmocka_unit_test(bad_texts),        cmocka_unit_test(seeds)};
  return cmocka_run_group_tests_name("emu_ptx", tests, NULL, NULL);
}
