#include "report/figure_scale.h"

#include <math.h>
#include <stdio.h>

static void take(double v, int log, double *lo, double *hi) {
  if (!isfinite(v) || (log && v <= 0)) return;
  *lo = fmin(*lo, v);
  *hi = fmax(*hi, v);
}

static void round_ticks(figure_scale *s) {
  static const double nice[] = {1, 2, 5, 10};
  double raw = (s->hi - s->lo) / 8, unit = pow(10, floor(log10(raw))), step = unit;
  for (int i = 0; i < 4 && step < raw * .999; i++) step = nice[i] * unit;
  s->decimals = (int)fmax(0, -floor(log10(step * 1.0001)));
  for (double k = ceil(s->lo / step - 1e-9); k * step <= s->hi + 1e-9 * step && s->ticks < FIGURE_TICKS; k++)
    s->tick[s->ticks++] = k * step;
}

/* 1, 2 and 5 of each power of ten, or the powers alone when those are many. */
static void log_ticks(figure_scale *s) {
  static const double part[] = {1, 2, 5};
  int parts = log10(s->hi / s->lo) < 3 ? 3 : 1;
  s->decimals = -1;
  for (double p = floor(log10(s->lo)); p <= ceil(log10(s->hi)); p++)
    for (int i = 0; i < parts && s->ticks < FIGURE_TICKS; i++) {
      double v = part[i] * pow(10, p);
      if (v >= s->lo && v <= s->hi) s->tick[s->ticks++] = v;
    }
}

int figure_scale_fit(err *e, const figure *f, int vertical, figure_scale *out) {
  const figure_axis *a = vertical ? &f->y : &f->x;
  double lo = INFINITY, hi = -INFINITY;
  *out = (figure_scale){.log = a->log};
  if (a->place) {
    out->lo = -.6, out->hi = (double)a->places - .4;
    return OK;
  }
  for (int64_t i = 0; i < f->n; i++)
    for (int64_t k = 0; k < f->series[i].n; k++) {
      const figure_mark *m = &f->series[i].mark[k];
      if (!isfinite(m->x) || !isfinite(m->y)) continue;
      take(vertical ? m->y : m->x, a->log, &lo, &hi);
      take(vertical ? m->ylo : m->xlo, a->log, &lo, &hi);
      take(vertical ? m->yhi : m->xhi, a->log, &lo, &hi);
    }
  if (a->zero) take(0, 0, &lo, &hi);
  if (!(lo <= hi)) return err_set(e, E_ARG, "figure '%s': there is nothing to show", f->title);
  double pad = a->log ? 0 : hi > lo ? .06 * (hi - lo) : fmax(fabs(hi) * .1, 1e-3);
  out->lo = a->log ? lo / 1.15 : lo - pad;
  out->hi = a->log ? hi * 1.15 : hi + pad;
  if (a->log) log_ticks(out);
  if (out->ticks < 2) out->ticks = 0, round_ticks(out); /* less than a decade has few round powers */
  return OK;
}

double figure_at(const figure_scale *s, double v) {
  double t = s->log ? (v > 0 ? log(v / s->lo) / log(s->hi / s->lo) : 0) : (v - s->lo) / (s->hi - s->lo);
  return s->from + t * (s->to - s->from);
}

void figure_tick_text(const figure_scale *s, int i, char out[32]) {
  double v = s->tick[i];
  if (s->decimals < 0 || fabs(s->hi) >= 1e5 || s->decimals > 4)
    snprintf(out, 32, "%.3g", v);
  else
    snprintf(out, 32, "%.*f", s->decimals, fabs(v) < 1e-12 ? 0.0 : v);
}
