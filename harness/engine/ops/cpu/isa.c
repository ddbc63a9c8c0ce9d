#include "ops/cpu/isa.h"

#include <string.h>

#if defined(__x86_64__)
/* The parts of the x86-64 levels that compilers use; names of levels are unknown to clang 14's cpu_supports. */
static int has_v2(void) {
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("popcnt");
}
static int has_v3(void) {
  return has_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
static int has_v4(void) {
  return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

int isa_present(const char *isa) {
  return (!strcmp(isa, "v2") && has_v2()) || (!strcmp(isa, "v3") && has_v3()) || (!strcmp(isa, "v4") && has_v4());
}
#else
int isa_present(const char *isa) {
  return !strcmp(isa, "generic");
}
#endif
