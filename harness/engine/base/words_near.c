#include "base/words_near.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define LONGEST 63

near_word near_start(const char *typed, size_t n) {
  near_word w = {.distance = INT_MAX};
  if (n > LONGEST) n = LONGEST;
  memcpy(w.typed, typed, n);
  return w;
}

static int min2(int a, int b) {
  return a < b ? a : b;
}

/* Optimal string alignment: insert, delete, replace, swap neighbours. */
static int distance(const char *a, const char *b) {
  int row[3][LONGEST + 2];
  int n = (int)strlen(a), m = (int)strlen(b);
  if (m > LONGEST) return INT_MAX;
  int *before = row[0], *above = row[1], *now = row[2];
  for (int j = 0; j <= m; j++) above[j] = j;
  for (int i = 1; i <= n; i++) {
    now[0] = i;
    for (int j = 1; j <= m; j++) {
      int cost = a[i - 1] != b[j - 1];
      now[j] = min2(min2(above[j] + 1, now[j - 1] + 1), above[j - 1] + cost);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = min2(now[j], before[j - 2] + 1);
    }
    int *spare = before;
    before = above;
    above = now;
    now = spare;
  }
  return above[m];
}

void near_offer(near_word *w, const char *known) {
  int d = distance(w->typed, known);
  if (d < w->distance) {
    w->distance = d;
    w->best = known;
  }
}

const char *near_hint(near_word *w) {
  int limit = (int)strlen(w->typed) / 3;
  if (limit < 2) limit = 2;
  w->hint[0] = 0;
  if (w->best && w->distance <= limit) snprintf(w->hint, sizeof w->hint, "; did you mean '%.64s'?", w->best);
  return w->hint;
}
