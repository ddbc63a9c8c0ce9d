/* What the picture has lost against the base model's picture for the same prompt and noise. */
#include <math.h>

#include "metrics/metric.h"
#include "metrics/plane.h"

static int64_t samples(const metric_view *v) {
  return 3 * (int64_t)v->frames * v->height * v->width;
}

static double mean_square(const metric_view *v) {
  double sum = 0;
  for (int64_t i = 0; i < samples(v); i++) {
    double d = (double)v->rgb[i] - (double)v->base_rgb[i];
    sum += d * d;
  }
  return sum / (double)samples(v);
}

static int rmse(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  return metric_defined(out, sqrt(mean_square(v)), samples(v) / 3);
}

static int psnr(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double mse = mean_square(v);
  return mse > 0 ? metric_defined(out, -10 * log10(mse), samples(v) / 3)
                 : metric_undefined(out, METRIC_IDENTICAL, samples(v) / 3);
}

/* The base's latents are not scaled again: the VAE gives its latents together unit power. */
static int latent_rmse(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double sum = 0;
  for (int64_t i = 0; i < v->n_latents; i++) {
    double d = (double)v->latents[i] - (double)v->base_latents[i];
    sum += d * d;
  }
  return metric_defined(out, sqrt(sum / (double)v->n_latents), v->n_latents);
}

static double frame_change(const metric_view *v, const float *rgb) {
  int64_t n = 3 * (int64_t)v->height * v->width, pairs = samples(v) - n;
  double sum = 0;
  for (int64_t i = 0; i < pairs; i++) sum += fabs((double)rgb[i + n] - (double)rgb[i]);
  return sum / (double)pairs;
}

static int motion(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double own = frame_change(v, v->rgb), base = frame_change(v, v->base_rgb);
  return metric_defined(out, own / fmax(base, 2e-3), (int64_t)(v->frames - 1) * v->height * v->width);
}

/* Pixels between the centres of mass of a matte's first and last frame; negative when either is empty. */
static double travel(const metric_view *v, const float *matte) {
  double x0, y0, x1, y1;
  int64_t n = (int64_t)v->height * v->width;
  double first = plane_centroid(matte, v->height, v->width, &x0, &y0);
  double last = plane_centroid(matte + (v->frames - 1) * n, v->height, v->width, &x1, &y1);
  return first < 1 || last < 1 ? -1 : hypot(x1 - x0, y1 - y0);
}

static int displacement(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double d = travel(v, v->truth);
  return d < 0 ? metric_undefined(out, METRIC_EMPTY_TRUTH, 0) : metric_defined(out, d, v->frames - 1);
}

static int displacement_ratio(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double own = travel(v, v->truth), base = travel(v, v->base_truth);
  if (own < 0 || base < 0) return metric_undefined(out, METRIC_EMPTY_TRUTH, 0);
  if (base < 0.5) return metric_undefined(out, METRIC_STATIC_BASE, v->frames - 1);
  return metric_defined(out, own / base, v->frames - 1);
}

const metric metric_rgb_rmse_base = {
    .id = "rgb_rmse_base",
    .version = 1,
    .tier = 1,
    .cost = METRIC_PIXELS,
    .direction = METRIC_DOWN,
    .unit = "1",
    .lo = 0,
    .hi = 1,
    .plane = METRIC_RGB,
    .picture = METRIC_DECODED,
    .needs = METRIC_NEEDS_BASE,
    .min_frames = 1,
    .help = "root mean square difference to the base model's picture for the same prompt and noise; exactly 0 for a "
            "design "
            "whose RGB never sees alpha",
    .citation = "own definition",
    .reasons = (const char *const[]){NULL},
    .score = rmse,
};

const metric metric_rgb_psnr_base = {
    .id = "rgb_psnr_base",
    .version = 1,
    .tier = 1,
    .cost = METRIC_PIXELS,
    .direction = METRIC_UP,
    .unit = "dB",
    .lo = 0,
    .hi = INFINITY,
    .plane = METRIC_RGB,
    .picture = METRIC_DECODED,
    .needs = METRIC_NEEDS_BASE,
    .min_frames = 1,
    .help =
        "peak signal-to-noise ratio of the picture to the base model's; undefined (identical) when they are equal",
    .citation = "peak 1 over the mean square error",
    .reasons = (const char *const[]){METRIC_IDENTICAL, NULL},
    .score = psnr,
};

const metric metric_latent_rmse_base = {
    .id = "latent_rmse_base",
    .version = 1,
    .tier = 1,
    .cost = METRIC_PIXELS,
    .direction = METRIC_DOWN,
    .unit = "1",
    .lo = 0,
    .hi = INFINITY,
    .plane = METRIC_RGB,
    .picture = METRIC_DECODED,
    .needs = METRIC_NEEDS_BASE | METRIC_NEEDS_LATENTS,
    .min_frames = 1,
    .help =
        "root mean square difference of the picture's latents to those of the base model's picture for the same "
        "prompt and noise, both encoded by the study's VAE, whose latents have unit power; exactly 0 for a design "
        "whose RGB never sees alpha. Blind to what the VAE drops",
    .citation = "own definition",
    .reasons = (const char *const[]){METRIC_NO_LATENTS, NULL},
    .score = latent_rmse,
};

const metric metric_motion_ratio = {
    .id = "motion_ratio",
    .version = 1,
    .tier = 1,
    .cost = METRIC_PIXELS,
    .direction = METRIC_NONE,
    .unit = "1",
    .lo = 0,
    .hi = INFINITY,
    .plane = METRIC_RGB,
    .picture = METRIC_DECODED,
    .needs = METRIC_NEEDS_BASE,
    .min_frames = 2,
    .help = "mean absolute frame difference over the base model's (at least .002). Flicker and noise count as "
            "motion: read "
            "it with displacement",
    .citation = "own definition",
    .reasons = (const char *const[]){NULL},
    .score = motion,
};

const metric metric_displacement = {
    .id = "displacement",
    .version = 1,
    .tier = 1,
    .cost = METRIC_PIXELS,
    .direction = METRIC_NONE,
    .unit = "px",
    .lo = 0,
    .hi = INFINITY,
    .plane = METRIC_RGB,
    .picture = METRIC_NO_PICTURE,
    .needs = METRIC_NEEDS_TRUTH,
    .min_frames = 2,
    .help =
        "way from first to last frame of the centre of mass of the matte read off the picture; compare with the base "
        "model's",
    .citation = "own definition",
    .reasons = (const char *const[]){METRIC_EMPTY_TRUTH, NULL},
    .score = displacement,
};

const metric metric_displacement_ratio = {
    .id = "displacement_ratio",
    .version = 1,
    .tier = 1,
    .cost = METRIC_PIXELS,
    .direction = METRIC_NONE,
    .unit = "1",
    .lo = 0,
    .hi = INFINITY,
    .plane = METRIC_RGB,
    .picture = METRIC_NO_PICTURE,
    .needs = METRIC_NEEDS_TRUTH | METRIC_NEEDS_BASE_TRUTH,
    .min_frames = 2,
    .help = "displacement over that of the base model's picture; undefined (static_base) where that is under half a "
            "pixel",
    .citation = "own definition",
    .reasons = (const char *const[]){METRIC_EMPTY_TRUTH, METRIC_STATIC_BASE, NULL},
    .score = displacement_ratio,
};
