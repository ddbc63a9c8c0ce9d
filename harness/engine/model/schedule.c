#include "model/schedule.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

/* --- noise level (spec/model.md 9.1) ------------------------------------------------------------------------- */

void schedule_abar(double snr_shift, double abar[SCHEDULE_STEPS]) {
  const int last = SCHEDULE_STEPS - 1;
  const double from = sqrt(0.00085), to = sqrt(0.012);
  double product = 1;
  for (int t = 0; t <= last; t++) {
    double root = t == last ? to : from + t * ((to - from) / last);
    product *= 1 - root * root;
    abar[t] = sqrt(product / (snr_shift + (1 - snr_shift) * product));
  }
  /* Zero terminal SNR: the amplitudes are shifted and stretched so that the first stays and the last becomes 0. */
  const double first = abar[0], shift = abar[last];
  for (int t = 0; t <= last; t++) {
    double a = (abar[t] - shift) * first / (first - shift);
    abar[t] = a * a;
  }
}

/* --- time steps (spec/model.md 9.2) -------------------------------------------------------------------------- */

/* Length of numpy.arange(1000, 0, -1000/n): the quotient of two rounded numbers may exceed n by a hair. */
static int trailing_length(int n) {
  return (int)ceil(-(double)SCHEDULE_STEPS / (-(double)SCHEDULE_STEPS / n));
}

static int trailing(err *e, int n, int64_t *out) {
  if (trailing_length(n) != n) {
    int less = n, more = n;
    while (trailing_length(less) != less) less--;
    while (trailing_length(more) != more) more++;
    return err_set(e, E_CONFIG,
                   "%d steps with trailing spacing: numpy.arange gives a further entry at t = -1 there, so the "
                   "reference has no defined result; use %d or %d steps, or another spacing",
                   n, less, more);
  }
  /* numpy fills from the difference of the first two entries, not from the step, and rounds halves to even */
  double delta = (SCHEDULE_STEPS + -(double)SCHEDULE_STEPS / n) - SCHEDULE_STEPS;
  for (int i = 0; i < n; i++) out[i] = (int64_t)rint(SCHEDULE_STEPS + i * delta) - 1;
  return OK;
}

int schedule_timesteps(err *e, spacing s, int n, int64_t *out) {
  if (n < 1 || n > SCHEDULE_STEPS)
    return err_set(e, E_CONFIG, "%d sampling steps; there are 1 to %d", n, SCHEDULE_STEPS);
  switch (s) {
  case SPACING_TRAILING: return trailing(e, n, out);
  case SPACING_LEADING:
    for (int i = 0; i < n; i++) out[i] = (int64_t)(n - 1 - i) * (SCHEDULE_STEPS / n);
    return OK;
  case SPACING_LINSPACE:
    for (int i = 0; i < n; i++) {
      int k = n - 1 - i;
      double last = SCHEDULE_STEPS - 1;
      out[i] = n == 1 ? 0 : (int64_t)rint(k == n - 1 ? last : k * (last / (n - 1)));
    }
    return OK;
  }
  return err_set(e, E_ARG, "unknown time step spacing %d", (int)s);
}

/* --- guidance (spec/model.md 9.6) ---------------------------------------------------------------------------- */

double schedule_guidance(cfg_kind k, double g, int n, int i, int64_t t) {
  if (k == CFG_CONSTANT) return g;
  /* The released code takes the raw time, up to 999, for the step; the base is then negative, its power odd. */
  double x = k == CFG_DYNAMIC_RELEASED ? (double)(n - t) / n : (double)i / n;
  return 1 + g * (1 - cos(PI * pow(x, 5))) / 2;
}

/* --- sampler steps (spec/model.md 9.3, 9.4) ------------------------------------------------------------------ */

void schedule_ddim(double abar, double abar_prev, double *a, double *b) {
  *a = abar < 1 ? sqrt((1 - abar_prev) / (1 - abar)) : 0; /* at abar = 1 the sample is x0 already */
  *b = sqrt(abar_prev) - sqrt(abar) * *a;
}

/* Half the log of the signal-to-noise ratio, for 0 < abar < 1. */
static double lambda(double abar) {
  return 0.5 * log(abar / (1 - abar));
}

dpm_coef schedule_dpm(const double abar[SCHEDULE_STEPS], int64_t t, int64_t prev, int64_t back) {
  const double a = abar[t], ap = prev < 0 ? 1 : abar[prev];
  dpm_coef c = {.d0 = 1, .second_order = prev >= 0 && back >= 0};
  if (ap >= 1) { /* to clean data: h = inf, x_prev = x0 */
    c.m2 = -1;
    return c;
  }
  if (a <= 0) { /* from pure noise: h = inf, x carries nothing of x0 */
    c.m2 = -sqrt(ap);
    c.mn = sqrt(1 - ap);
    return c;
  }
  const double h = lambda(ap) - lambda(a);
  c.m1 = sqrt((1 - ap) / (1 - a)) * exp(-h);
  c.m2 = expm1(-2 * h) * sqrt(ap);
  c.mn = sqrt(1 - ap) * sqrt(1 - exp(-2 * h));
  if (c.second_order && abar[back] > 0) { /* at abar[back] = 0, r = inf: the correction vanishes */
    double r = (lambda(a) - lambda(abar[back])) / h;
    c.d1 = 1 / (2 * r);
    c.d0 = 1 + c.d1;
  }
  return c;
}

/* --- names --------------------------------------------------------------------------------------------------- */

static const char *const sampler_names[] = {"ddim", "dpm", "euler"};
static const char *const cfg_names[] = {"constant", "dynamic-released", "dynamic-fixed"};
static const char *const spacing_names[] = {"trailing", "leading", "linspace"};

static const char *name_of(const char *const names[3], int i) {
  return i >= 0 && i < 3 ? names[i] : "unknown";
}

static int index_of(const char *const names[3], const char *s) {
  for (int i = 0; i < 3; i++)
    if (!strcmp(names[i], s)) return i;
  return -1;
}

const char *sampler_name(sampler_kind k) {
  return name_of(sampler_names, (int)k);
}

int sampler_parse(const char *s, sampler_kind *out) {
  int i = index_of(sampler_names, s);
  if (i >= 0) *out = (sampler_kind)i;
  return i >= 0 ? OK : E_ARG;
}

const char *cfg_name(cfg_kind k) {
  return name_of(cfg_names, (int)k);
}

int cfg_parse(const char *s, cfg_kind *out) {
  int i = index_of(cfg_names, s);
  if (i >= 0) *out = (cfg_kind)i;
  return i >= 0 ? OK : E_ARG;
}

const char *spacing_name(spacing s) {
  return name_of(spacing_names, (int)s);
}

int spacing_parse(const char *s, spacing *out) {
  int i = index_of(spacing_names, s);
  if (i >= 0) *out = (spacing)i;
  return i >= 0 ? OK : E_ARG;
}
