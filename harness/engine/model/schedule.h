/* Noise schedules and samplers' coefficients (spec/model.md 9, 11.3). Pure functions in double.
 *
 * v-prediction with zero terminal SNR and SNR shift (diffusers scheduling_{ddim,dpm}_cogvideox.py), and flow matching
 * (z_s = (1-s) z + s eps, target z - eps, model time (1-s) * 1000, as the Mochi code of TransPixeler). */
#ifndef TD_MODEL_SCHEDULE_H
#define TD_MODEL_SCHEDULE_H

#include <stdint.h>

#include "base/err.h"

#define SCHEDULE_STEPS 1000

typedef enum objective { OBJ_V, OBJ_FLOW } objective;
typedef enum spacing { SPACING_TRAILING, SPACING_LEADING, SPACING_LINSPACE } spacing;
typedef enum sampler_kind { SAMPLER_DDIM, SAMPLER_DPM, SAMPLER_EULER } sampler_kind;
typedef enum cfg_kind { CFG_CONSTANT, CFG_DYNAMIC_RELEASED, CFG_DYNAMIC_FIXED } cfg_kind;

/* abar[t] for t = 0..999, abar[999] = 0 exactly. */
void schedule_abar(double snr_shift, double abar[SCHEDULE_STEPS]);
/* N time steps, descending. Refuses N < 1, N > 1000 and the N for which numpy's arange gives a further entry at t =
 * -1. */
int schedule_timesteps(err *e, spacing s, int n, int64_t *out) TD_MUST_CHECK;
/* Guidance weight of step i (0-based) at time t. */
double schedule_guidance(cfg_kind k, double g, int n, int i, int64_t t);

/* x_prev = a * x + b * x0 (DDIM, eta 0). abar_prev is 1 when prev < 0. */
void schedule_ddim(double abar, double abar_prev, double *a, double *b);

/* SDE-DPM-Solver++ 2M of CogVideoXDPMScheduler: x_prev = m1 x - m2 (d0 x0 - d1 x0_old) + mn noise.
 * `back` is the previous list time (or -1 on the first step), prev = t - 1000/N. First order when back < 0 or prev <
 * 0: d0 = 1, d1 = 0. The limits at abar = 0 and abar = 1 are explicit cases. */
typedef struct dpm_coef {
  double m1, m2, d0, d1, mn;
  int second_order;
} dpm_coef;
dpm_coef schedule_dpm(const double abar[SCHEDULE_STEPS], int64_t t, int64_t prev, int64_t back);

const char *sampler_name(sampler_kind k);
int sampler_parse(const char *s, sampler_kind *out); /* OK or E_ARG */
const char *cfg_name(cfg_kind k);
int cfg_parse(const char *s, cfg_kind *out);
const char *spacing_name(spacing s);
int spacing_parse(const char *s, spacing *out);

#endif
