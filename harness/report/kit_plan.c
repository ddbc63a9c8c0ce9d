#include "report/kit_plan.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"

enum { SUB_ITEMS = 0, SUB_SIDES = 1, SUB_CHECKS = 2, SUB_ORDER = 16 }; /* SUB_ORDER + participant */

typedef struct dealer {
  const kit_shape *s;
  kit_plan *out;
  int64_t *fill;    /* [participants] trials dealt */
  int64_t *balance; /* [participants][variants] lefts minus rights of mirrored showings */
  int64_t *lone;    /* [variants][variants] unpaired showings of a pair */
} dealer;

int64_t kit_participants(int64_t items, int64_t votes, int64_t most) {
  int64_t n = (items * votes + most - 1) / most;
  if (n < votes) n = votes;
  return n + (votes % 2 == 0 && n % 2);
}

static int check(err *e, const kit_shape *s) {
  if (s->variants < 2) return err_set(e, E_ARG, "a user study compares at least two variants");
  if (s->prompts < 1) return err_set(e, E_ARG, "a user study needs at least one prompt");
  if (s->votes < 1 || s->participants < s->votes)
    return err_set(e, E_ARG, "%lld votes for each pair and prompt need at least as many participants, not %lld",
                   (long long)s->votes, (long long)s->participants);
  if (s->participants > KIT_MOST_PARTICIPANTS || s->variants > 1000 || s->prompts > 100000 ||
      kit_items(s->variants, s->prompts) > KIT_MOST_TRIALS / s->votes ||
      s->checks > KIT_MOST_TRIALS / s->participants || s->checks < 0)
    return err_set(e, E_ARG, "a user study of more than %d comparisons or %d participants", (int)KIT_MOST_TRIALS,
                   (int)KIT_MOST_PARTICIPANTS);
  int64_t shown = kit_items(s->variants, s->prompts) * s->votes;
  if (s->participants > shown)
    return err_set(e, E_ARG, "%lld comparisons are too few for %lld participants", (long long)shown,
                   (long long)s->participants);
  return OK;
}

static void put(dealer *d, int64_t participant, kit_trial t) {
  d->out->trial[d->out->first[participant] + d->fill[participant]++] = t;
}

/* How uneven the sides of two participants get when the first sees a on the left and the second mirrored. */
static int64_t unevenness(const int64_t *one, const int64_t *two, int32_t a, int32_t b) {
  int64_t x[4] = {one[a] + 1, one[b] - 1, two[a] - 1, two[b] + 1}, sum = 0;
  for (int i = 0; i < 4; i++) sum += x[i] * x[i];
  return sum;
}

static void deal_mirrored(dealer *d, int64_t slot, kit_trial t) {
  int64_t p = slot % d->s->participants, q = (slot + 1) % d->s->participants;
  int64_t *one = d->balance + p * d->s->variants, *two = d->balance + q * d->s->variants;
  int64_t kept = unevenness(one, two, t.left, t.right), turned = unevenness(one, two, t.right, t.left);
  rng r = {.seed = d->s->seed, .stream = RNG_STUDY_KIT, .sub = SUB_SIDES};
  if (turned < kept || (turned == kept && (rng_u32(r, (uint64_t)slot) & 1)))
    t = (kit_trial){t.prompt, t.right, t.left};
  one[t.left]++, one[t.right]--, two[t.left]--, two[t.right]++;
  put(d, p, t);
  put(d, q, (kit_trial){t.prompt, t.right, t.left});
}

/* The first side follows a round-robin tournament: each variant begins on the left in half of its pairs. */
static void deal_lone(dealer *d, int64_t slot, kit_trial t) {
  int64_t n = d->s->variants, apart = t.right - t.left; /* left < right here */
  int64_t turn = 2 * apart > n || (2 * apart == n && t.left % 2);
  if ((turn + d->lone[t.left * n + t.right]++) % 2) t = (kit_trial){t.prompt, t.right, t.left};
  put(d, slot % d->s->participants, t);
}

static kit_trial item_at(const kit_shape *s, int64_t item) {
  int64_t pairs = s->variants * (s->variants - 1) / 2, pair = item % pairs, a = 0;
  for (int64_t left = s->variants - 1; pair >= left; left--) pair -= left, a++;
  return (kit_trial){(int32_t)(item / pairs), (int32_t)a, (int32_t)(a + 1 + pair)};
}

static void deal_items(dealer *d, const int64_t *order) {
  const kit_shape *s = d->s;
  int64_t items = kit_items(s->variants, s->prompts);
  for (int64_t i = 0; i < items; i++) {
    kit_trial t = item_at(s, order[i]);
    int64_t v = 0;
    for (; v + 1 < s->votes; v += 2) deal_mirrored(d, i * s->votes + v, t);
    if (v < s->votes) deal_lone(d, i * s->votes + v, t);
  }
}

/* Two neighbours share prompts, mirrored. */
static void deal_checks(dealer *d, const int64_t *prompts) {
  for (int64_t p = 0; p < d->s->participants; p++)
    for (int64_t c = 0; c < d->s->checks; c++) {
      int32_t prompt = (int32_t)prompts[(p / 2 * d->s->checks + c) % d->s->prompts], whole = (int32_t)d->s->reference;
      put(d, p, (p + c) % 2 ? (kit_trial){prompt, whole, KIT_BROKEN} : (kit_trial){prompt, KIT_BROKEN, whole});
    }
}

static void shuffle(dealer *d, int64_t *order, kit_trial *room) {
  for (int64_t p = 0; p < d->s->participants; p++) {
    kit_trial *own = d->out->trial + d->out->first[p];
    rng r = {.seed = d->s->seed, .stream = RNG_STUDY_KIT, .sub = (uint32_t)(SUB_ORDER + p)};
    rng_permutation(r, d->fill[p], order);
    for (int64_t i = 0; i < d->fill[p]; i++) room[i] = own[order[i]];
    for (int64_t i = 0; i < d->fill[p]; i++) own[i] = room[i];
  }
}

int kit_plan_make(err *e, const kit_shape *s, kit_plan *out) {
  int rc = OK;
  dealer d = {.s = s, .out = out};
  int64_t *order = NULL, *prompts = NULL;
  kit_trial *room = NULL;
  *out = (kit_plan){0};
  TRY(check(e, s));
  int64_t items = kit_items(s->variants, s->prompts), shown = items * s->votes, n = s->participants;
  int64_t most = shown / n + 1 + s->checks;
  TRY(mem_new(e, n + 1, sizeof *out->first, "user study", &out->first));
  TRY(mem_new(e, shown + n * s->checks, sizeof *out->trial, "user study", &out->trial));
  TRY(mem_new(e, n, sizeof *d.fill, "user study", &d.fill));
  TRY(mem_new(e, n * s->variants, sizeof *d.balance, "user study", &d.balance));
  TRY(mem_new(e, s->variants * s->variants, sizeof *d.lone, "user study", &d.lone));
  TRY(mem_new(e, items > most ? items : most, sizeof *order, "user study", &order));
  TRY(mem_new(e, s->prompts, sizeof *prompts, "user study", &prompts));
  TRY(mem_new(e, most, sizeof *room, "user study", &room));
  out->participants = n;
  for (int64_t p = 0; p < n; p++) out->first[p + 1] = out->first[p] + (shown - p + n - 1) / n + s->checks;
  rng_permutation((rng){.seed = s->seed, .stream = RNG_STUDY_KIT, .sub = SUB_ITEMS}, items, order);
  deal_items(&d, order);
  rng_permutation((rng){.seed = s->seed, .stream = RNG_STUDY_KIT, .sub = SUB_CHECKS}, s->prompts, prompts);
  deal_checks(&d, prompts);
  shuffle(&d, order, room);
out:
  free(d.fill), free(d.balance), free(d.lone), free(order), free(prompts), free(room);
  if (rc != OK) kit_plan_free(out);
  return rc;
}

void kit_plan_free(kit_plan *p) {
  free(p->first), free(p->trial);
  *p = (kit_plan){0};
}
