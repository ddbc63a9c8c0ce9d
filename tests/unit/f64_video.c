#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "video_cases.h"

int main(void) {
  const struct CMUnitTest tests[] = {VIDEO_CASES};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
