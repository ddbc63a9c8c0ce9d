#!/bin/sh
# tsan-works.sh FOLDER: does clang's ThreadSanitizer understand OpenMP barriers here? Two probes: a correct program must
# be silent and a racing one must be caught; otherwise a green run would mean nothing.
set -eu
cd "$1"
export OMP_NUM_THREADS=3 TSAN_OPTIONS=ignore_noninstrumented_modules=1

probe() { # NAME EXPRESSION: does the second loop read what another thread writes in the same loop?
  cat >"tsan-$1.c" <<END
int main(void) {
  static double a[1000];
  for (int r = 0; r < 50; r++) {
#pragma omp parallel for schedule(static)
    for (int i = 0; i < 1000; i++) a[i] += i;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < 1000; i++) a[i] *= 0.5 + $2;
  }
  return a[7] < 0;
}
END
  clang -O1 -g -fopenmp -fsanitize=thread "tsan-$1.c" -o "tsan-$1"
  "./tsan-$1" >/dev/null 2>&1
}

probe clean 0 || exit 1
if probe race 'a[999 - i] * 0'; then exit 1; fi
