/* "Did you mean": the known word nearest to a mistyped one, by Damerau-Levenshtein distance. */
#ifndef TD_BASE_WORDS_NEAR_H
#define TD_BASE_WORDS_NEAR_H

#include <stddef.h>

typedef struct near_word {
  char typed[64];
  char hint[96];
  const char *best;
  int distance;
} near_word;

near_word near_start(const char *typed, size_t n);
void near_offer(near_word *w, const char *known);
/* "; did you mean 'x'?" or "" when nothing is near enough (a third of the word, at least 2). Lives in *w. */
const char *near_hint(near_word *w);

#endif
