/* What ptxas made of the kernels, read from the machine code in the program: registers within budget, no stack, no
 * local loads or stores, loads of 128 bits where rows are read in vectors, tensor core instructions where they are
 * meant.
 *
 * An instruction has 16 bytes; its operation is the low 12 bits, the width of a load bits 73 to 75. The numbers are
 * not documented, so the tests ask for some or none, never for a count. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/build.h"

#ifdef TD_CUDA

/* ops/cuda/cuda.h, which needs the toolkit's headers */
typedef struct image {
  const char *name;
  const unsigned char *data;
  const unsigned char *end;
} image;
extern const image cuda_images[];

enum { FATBIN_ELF = 2, INFO_REGISTERS = 0x2f, INFO_FRAME = 0x11, VALUE_BY_SIZE = 4, KERNELS = 512 };

typedef struct kernel {
  char name[64];
  unsigned level, symbol, registers, frame, local, wide, mma;
} kernel;

typedef struct census {
  kernel k[KERNELS];
  int n, levels;
} census;

static uint64_t read_n(const unsigned char *p, int n) {
  uint64_t v = 0;
  memcpy(&v, p, (size_t)n);
  return v;
}

static void count(kernel *k, const unsigned char *code, uint64_t size) {
  for (uint64_t at = 0; at + 16 <= size; at += 16) {
    unsigned op = read_n(code + at, 2) & 0xfff, width = (unsigned)(read_n(code + at + 8, 2) >> 9) & 7;
    k->local += op == 0x983 || op == 0x387;                /* LDL, STL */
    k->wide += (op == 0x381 || op == 0x981) && width == 6; /* LDG.128 */
    k->wide += op == 0xfae;                                /* LDGSTS, cp.async */
    k->mma += op == 0x23c;                                 /* HMMA */
  }
}

/* .nv.info: records of a kernel's symbol and a number. */
static void info(census *c, unsigned level, const unsigned char *p, uint64_t size) {
  for (uint64_t at = 0; at + 4 <= size;) {
    unsigned length = (unsigned)read_n(p + at + 2, 2);
    if (p[at] != VALUE_BY_SIZE) {
      at += 4;
      continue;
    }
    for (int i = 0; length >= 8 && i < c->n; i++) {
      kernel *k = &c->k[i];
      if (k->level != level || k->symbol != read_n(p + at + 4, 4)) continue;
      if (p[at + 1] == INFO_REGISTERS) k->registers = (unsigned)read_n(p + at + 8, 4);
      if (p[at + 1] == INFO_FRAME) k->frame = (unsigned)read_n(p + at + 8, 4);
    }
    at += 4 + length;
  }
}

static void sections(census *c, unsigned level, const unsigned char *elf) {
  Elf64_Ehdr h;
  Elf64_Shdr s, names;
  memcpy(&h, elf, sizeof h);
  memcpy(&names, elf + h.e_shoff + (uint64_t)h.e_shstrndx * sizeof s, sizeof names);
  for (int pass = 0; pass < 2; pass++)
    for (unsigned i = 0; i < h.e_shnum; i++) {
      memcpy(&s, elf + h.e_shoff + (uint64_t)i * sizeof s, sizeof s);
      const char *name = (const char *)elf + names.sh_offset + s.sh_name;
      if (pass && !strcmp(name, ".nv.info")) info(c, level, elf + s.sh_offset, s.sh_size);
      if (pass || strncmp(name, ".text.", 6) != 0) continue;
      assert_true(c->n < KERNELS);
      kernel *k = &c->k[c->n++];
      *k = (kernel){.level = level, .symbol = s.sh_info & 0xffffff, .frame = 1};
      snprintf(k->name, sizeof k->name, "%s", name + 6);
      count(k, elf + s.sh_offset, s.sh_size);
    }
}

/* A fatbin: its header, then entries of a header and a payload. */
static void take(census *c, const image *im) {
  const unsigned char *p = im->data + read_n(im->data + 6, 2);
  while (p + 32 < im->end) {
    uint64_t kind = read_n(p, 2), header = read_n(p + 4, 4), size = read_n(p + 8, 8);
    if (kind == FATBIN_ELF) sections(c, (unsigned)read_n(p + 28, 4), p + header);
    c->levels += kind == FATBIN_ELF;
    p += header + size;
  }
}

static int ends(const char *name, const char *end) {
  size_t n = strlen(name), e = strlen(end);
  return n >= e && !strcmp(name + n - e, end);
}

static census *all(void) {
  census *c = calloc(1, sizeof *c);
  assert_non_null(c);
  for (const image *i = cuda_images; i->name; i++) take(c, i);
  if (c->levels) return c;
  free(c);
  printf("skipped: this build has PTX alone (%s)\n", build_about().cuda);
  skip();
  return NULL;
}

static void test_no_spills(void **state) {
  (void)state;
  census *c = all();
  for (int i = 0; i < c->n; i++) {
    const kernel *k = &c->k[i];
    unsigned most = strncmp(k->name, "attn_", 5) ? 128 : 255;
    if (!k->registers) fail_msg("%s, level %u: no register count found", k->name, k->level);
    if (k->registers > most)
      fail_msg("%s, level %u: %u registers, at most %u", k->name, k->level, k->registers, most);
    if (k->frame || k->local)
      fail_msg("%s, level %u: %u bytes of stack, %u local accesses", k->name, k->level, k->frame, k->local);
  }
  assert_true(c->n > 50);
  free(c);
}

static void test_wide_loads(void **state) {
  (void)state;
  census *c = all();
  int seen = 0;
  for (int i = 0; i < c->n; i++) {
    const kernel *k = &c->k[i];
    if (!ends(k->name, "_v") || !strncmp(k->name, "fill", 4)) continue;
    seen++;
    if (!k->wide) fail_msg("%s, level %u: no load of 128 bits", k->name, k->level);
  }
  assert_true(seen > 20);
  free(c);
}

static void test_tensor_cores(void **state) {
  (void)state;
  census *c = all();
  int seen = 0;
  for (int i = 0; i < c->n; i++) {
    const kernel *k = &c->k[i];
    int meant = !strncmp(k->name, "attn_", 5) && strstr(k->name, "mma") != NULL;
    seen += meant;
    if (meant && (!k->mma || !k->wide))
      fail_msg("%s, level %u: %u HMMA, %u wide", k->name, k->level, k->mma, k->wide);
  }
  assert_true(seen >= 3);
  free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_spills), cmocka_unit_test(test_wide_loads),
                                     cmocka_unit_test(test_tensor_cores)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) {
  printf("skipped: this build has no cuda backend%s\n", build_about().cuda);
  return 77;
}

#endif
