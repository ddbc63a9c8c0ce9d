#include "report/pairs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Places along the axes; an axis that no value has is one place. */
typedef struct axes {
  const char **prompts;
  int64_t *seeds[2]; /* train, sample */
  int64_t n_prompts, n_seeds[2], cap_prompts, cap_seeds[2];
} axes;

typedef struct range {
  const baseline_value *from, *to;
} range;

static int before(const baseline_value *v, const char *id, const char *row) {
  int c = strcmp(v->metric, id);
  return c ? c < 0 : strcmp(v->variant, row) < 0;
}

/* Values are sorted, those of one metric and variant lie together. */
static range values_of(pairs_side s, const char *id) {
  int64_t lo = 0, hi = s.b->n_values;
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    if (before(&s.b->values[mid], id, s.variant))
      lo = mid + 1;
    else
      hi = mid;
  }
  for (hi = lo; hi < s.b->n_values && strcmp(s.b->values[hi].metric, id) == 0 &&
                strcmp(s.b->values[hi].variant, s.variant) == 0;
       hi++) {
  }
  return (range){s.b->n_values ? s.b->values + lo : NULL, s.b->n_values ? s.b->values + hi : NULL};
}

static int64_t prompt_at(const axes *x, const char *id) {
  for (int64_t i = x->n_prompts; i-- > 0;) /* values come prompt by prompt */
    if (strcmp(x->prompts[i], id) == 0) return i;
  return -1;
}

static int64_t seed_at(const axes *x, int k, int64_t seed) {
  for (int64_t i = 0; i < x->n_seeds[k]; i++)
    if (x->seeds[k][i] == seed) return i;
  return -1;
}

static int add_axes(err *e, axes *x, range r) {
  int rc = OK;
  for (const baseline_value *v = r.from; v < r.to; v++) {
    const int64_t seed[2] = {v->train_seed, v->sample_seed};
    if (v->prompt[0] && prompt_at(x, v->prompt) < 0) {
      TRY(mem_grow(e, &x->prompts, &x->cap_prompts, x->n_prompts + 1, sizeof *x->prompts, "prompts"));
      x->prompts[x->n_prompts++] = v->prompt;
    }
    for (int k = 0; k < 2; k++) {
      if (seed[k] == SEED_NONE || seed_at(x, k, seed[k]) >= 0) continue;
      TRY(mem_grow(e, &x->seeds[k], &x->cap_seeds[k], x->n_seeds[k] + 1, sizeof **x->seeds, "seeds"));
      x->seeds[k][x->n_seeds[k]++] = seed[k];
    }
  }
out:
  return rc;
}

static int allocate(err *e, const axes *x, pairs *p) {
  int rc = OK;
  p->prompts = x->n_prompts ? x->n_prompts : 1;
  p->trains = x->n_seeds[0] ? x->n_seeds[0] : 1;
  p->samples = x->n_seeds[1] ? x->n_seeds[1] : 1;
  if (p->prompts > INT32_MAX / p->trains / p->samples) FAIL(e, E_ARG, "too many places to compare");
  p->size = p->prompts * p->trains * p->samples;
  for (int i = 0; i < 2; i++) {
    TRY(mem_new(e, p->size, sizeof(double), "pairs", &p->value[i]));
    TRY(mem_new(e, p->size, 1, "pairs", &p->state[i]));
    TRY(mem_new(e, p->size, 1, "pairs", &p->mask[i]));
  }
out:
  return rc;
}

/* from[k] .. to[k]: the places a value fills along prompts, train seeds, sample seeds. */
static void spread(const axes *x, const pairs *p, const baseline_value *v, int64_t from[3], int64_t to[3]) {
  const int64_t whole[3] = {p->prompts, p->trains, p->samples};
  const int64_t at[3] = {v->prompt[0] ? prompt_at(x, v->prompt) : -1,
                         v->train_seed != SEED_NONE ? seed_at(x, 0, v->train_seed) : -1,
                         v->sample_seed != SEED_NONE ? seed_at(x, 1, v->sample_seed) : -1};
  for (int k = 0; k < 3; k++) {
    from[k] = at[k] < 0 ? 0 : at[k];
    to[k] = at[k] < 0 ? whole[k] : at[k] + 1;
  }
}

static unsigned char state_of(const baseline_value *v) {
  if (v->hash) return PAIRS_HASH;
  return v->kind == KIND_FINITE ? PAIRS_VALUE : v->kind == KIND_UNDEFINED ? PAIRS_UNDEFINED : PAIRS_NOT_FINITE;
}

static void lay(const axes *x, pairs *p, int side, range r, const baseline_value **at) {
  for (const baseline_value *v = r.from; v < r.to; v++) {
    int64_t a[3], b[3];
    spread(x, p, v, a, b);
    p->clips[side]++;
    for (int64_t i = a[0]; i < b[0]; i++)
      for (int64_t j = a[1]; j < b[1]; j++)
        for (int64_t k = a[2]; k < b[2]; k++) {
          int64_t n = (i * p->trains + j) * p->samples + k;
          at[n] = v;
          p->value[side][n] = v->value;
          p->state[side][n] = state_of(v);
        }
  }
}

static int same_outcome(const baseline_value *a, const baseline_value *b) {
  if (a->hash || b->hash) return a->hash && b->hash && strcmp(a->hash, b->hash) == 0;
  return a->kind == b->kind && (a->kind != KIND_FINITE || a->value == b->value);
}

static void name_place(const baseline_value *v, char out[160]) {
  int n = snprintf(out, 160, "%s%.60s", v->prompt[0] ? "prompt " : "no prompt", v->prompt);
  if (v->train_seed != SEED_NONE)
    n += snprintf(out + n, (size_t)(160 - n), ", train seed %lld", (long long)v->train_seed);
  if (v->sample_seed != SEED_NONE)
    snprintf(out + n, (size_t)(160 - n), ", sample seed %lld", (long long)v->sample_seed);
}

static void count(pairs *p, const baseline_value **const at[2]) {
  for (int64_t i = 0; i < p->size; i++) {
    int both = at[0][i] && at[1][i];
    for (int k = 0; k < 2; k++) {
      p->only[k] += at[k][i] && !at[1 - k][i];
      p->mask[k][i] = both && p->state[k][i] == PAIRS_VALUE;
      p->defined[k] += p->mask[k][i];
      p->undefined[k] += both && p->state[k][i] == PAIRS_UNDEFINED;
      p->not_finite[k] += both && p->state[k][i] == PAIRS_NOT_FINITE;
    }
    int differ = both && !same_outcome(at[0][i], at[1][i]);
    p->shared += both;
    p->differ += differ;
    if ((differ || (at[1][i] && !at[0][i])) && !p->first[0]) name_place(at[1][i], p->first);
  }
}

int pairs_build(err *e, pairs_side now, pairs_side then, const char *id, pairs *out) {
  axes x = {0};
  const baseline_value **at[2] = {NULL, NULL};
  const range r[2] = {values_of(now, id), values_of(then, id)};
  int rc = OK;
  *out = (pairs){0};
  for (int k = 0; k < 2; k++) TRY(add_axes(e, &x, r[k]));
  TRY(allocate(e, &x, out));
  for (int k = 0; k < 2; k++) {
    TRY(mem_new(e, out->size, sizeof **at, "pairs", &at[k]));
    lay(&x, out, k, r[k], at[k]);
  }
  count(out, at);
out:
  free(x.prompts);
  for (int k = 0; k < 2; k++) {
    free(x.seeds[k]);
    free(at[k]);
  }
  if (rc != OK) pairs_free(out);
  return rc;
}

void pairs_free(pairs *p) {
  for (int k = 0; k < 2; k++) {
    free(p->value[k]);
    free(p->state[k]);
    free(p->mask[k]);
  }
  *p = (pairs){0};
}

stats_grid pairs_grid(const pairs *p, int side) {
  return (stats_grid){p->prompts, p->trains, p->samples, p->value[side], p->mask[side]};
}

double pairs_mean(const pairs *p, int side) {
  int64_t per = p->trains * p->samples, used = 0;
  double total = 0;
  for (int64_t first = 0; first < p->size; first += per) {
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = first; i < first + per; i++)
      if (p->mask[side][i]) sum += p->value[side][i], n++;
    if (n) total += sum / (double)n, used++;
  }
  return used ? total / (double)used : NAN;
}

int pairs_median(err *e, const pairs *p, int side, double *out) {
  double *x = NULL;
  int64_t n = 0;
  int rc = OK;
  *out = NAN;
  TRY(mem_new(e, p->size, sizeof *x, "median", &x));
  for (int64_t i = 0; i < p->size; i++)
    if (p->mask[side][i]) x[n++] = p->value[side][i];
  stats_sort(x, n);
  if (n) *out = stats_quantile(x, n, 0.5);
out:
  free(x);
  return rc;
}
