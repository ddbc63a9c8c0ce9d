/* Who compares which clips of a user study, on which side, in which order (spec/metrics.md 3.11). Pure: everything
 * follows from the shape and its seed (base/rng.h, RNG_STUDY_KIT).
 *
 * An item is a prompt and a pair of variants. Every item is shown to exactly `votes` participants, nobody sees one
 * twice, and the participants' numbers of items differ by at most one. Of an item's showings the second, fourth...
 * mirrors the one before, so with even `votes` each item, pair and variant is left exactly as often as right. A last
 * unpaired showing alternates within its pair; then the two sides differ by at most one for each pair and each
 * variant. Within a participant the sides of mirrored showings are balanced as they are dealt. */
#ifndef TD_REPORT_KIT_PLAN_H
#define TD_REPORT_KIT_PLAN_H

#include <stdint.h>

#include "base/err.h"

enum { KIT_BROKEN = -1 }; /* in place of a variant: the damaged clip of an attention check */

typedef struct kit_shape {
  int64_t variants, prompts, participants;
  int64_t votes;     /* participants per item */
  int64_t checks;    /* attention checks of a participant */
  int64_t reference; /* variant whose clip a check shows beside its damaged copy */
  uint64_t seed;
} kit_shape;

typedef struct kit_trial {
  int32_t prompt, left, right; /* variants, or KIT_BROKEN */
} kit_trial;

typedef struct kit_plan {
  int64_t participants;
  int64_t *first;   /* [participants + 1]: trials first[p] .. first[p + 1] - 1, in the order they are shown */
  kit_trial *trial; /* [first[participants]] */
} kit_plan;

/* Most that a plan may hold; more is a slip of the finger. */
enum { KIT_MOST_PARTICIPANTS = 100000, KIT_MOST_TRIALS = 5000000 };

static inline int64_t kit_items(int64_t variants, int64_t prompts) {
  return prompts * (variants * (variants - 1) / 2);
}
/* Fewest participants, at least `votes` and an even number if that is even, who see at most `most` items each. */
int64_t kit_participants(int64_t items, int64_t votes, int64_t most);

/* E_ARG: fewer than two variants, no prompt, votes < 1, more votes than participants, participants without an item.
 */
int kit_plan_make(err *e, const kit_shape *s, kit_plan *out) TD_MUST_CHECK;
void kit_plan_free(kit_plan *p);

#endif
