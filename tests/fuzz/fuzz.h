/* A fuzz target, as libFuzzer calls it and as replay.c does. */
#ifndef TD_TESTS_FUZZ_H
#define TD_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Stops the process so that a fuzzer keeps the input and a test fails. */
#define MUST(condition)                                                                                              \
  do {                                                                                                               \
    if (!(condition)) __builtin_trap();                                                                              \
  } while (0)

#endif
