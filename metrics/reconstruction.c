/* How well an RGBA clip is another one: PSNR and SSIM over backgrounds (spec/metrics.md 3.8). */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics/backgrounds.h"
#include "metrics/metric.h"
#include "metrics/plane.h"
#include "metrics/ssim.h"

static int64_t pixels(const metric_view *v) {
  return (int64_t)v->height * v->width;
}

/* --- PSNR over backgrounds, closed form --- */

typedef struct over_grounds {
  double lowest, highest, mean, mean_square; /* PSNR; mean_square: mean over the backgrounds of the MSE */
  int infinite;                              /* backgrounds where the clips are equal */
} over_grounds;

static over_grounds psnr_over(const metric_view *v) {
  rgba_moments m = rgba_error(v->rgb, v->alpha, v->ref_rgb, v->ref_alpha, v->frames * pixels(v));
  over_grounds o = {.lowest = INFINITY, .highest = -INFINITY};
  for (int b = 0; b < BACKGROUNDS; b++) {
    double mse = rgba_error_over(&m, background_rgb[b]), p = -10 * log10(mse);
    o.mean_square += mse / BACKGROUNDS;
    if (!(mse > 0)) o.infinite++;
    o.lowest = fmin(o.lowest, p), o.highest = fmax(o.highest, p), o.mean += p / BACKGROUNDS;
  }
  return o;
}

static int decibel(double p, int infinite, const metric_view *v, metric_value *out) {
  int64_t n = v->frames * pixels(v);
  return infinite ? metric_undefined(out, METRIC_IDENTICAL, n) : metric_defined(out, p, n);
}

static int r2_mean(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  over_grounds o = psnr_over(v);
  return decibel(o.mean, o.infinite > 0, v, out);
}
static int r2_min(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  over_grounds o = psnr_over(v);
  return decibel(o.lowest, o.infinite == BACKGROUNDS, v, out);
}
static int r2_max(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  over_grounds o = psnr_over(v);
  return decibel(o.highest, o.infinite > 0, v, out);
}
static int r2_pooled(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  over_grounds o = psnr_over(v);
  return decibel(-10 * log10(o.mean_square), !(o.mean_square > 0), v, out);
}

static int psnr_alpha(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double sum = 0;
  int64_t n = v->frames * pixels(v);
  for (int64_t i = 0; i < n; i++) {
    double d = (double)v->alpha[i] - (double)v->truth[i];
    sum += d * d;
  }
  return decibel(-10 * log10(sum / (double)n), !(sum > 0), v, out);
}

/* Sum of |d|^power of the foreground colours where both alphas have one; returns the pixels. */
static int64_t colour_sum(const metric_view *v, int power, double *sum) {
  int64_t n = 0;
  *sum = 0;
  for (int64_t i = 0; i < v->frames * pixels(v); i++) {
    if (!(v->ref_alpha[i] >= 8.0f / 255 && v->alpha[i] >= 8.0f / 255)) continue;
    for (int c = 0; c < 3; c++) {
      double d = (double)v->rgb[3 * i + c] - (double)v->ref_rgb[3 * i + c];
      *sum += power == 1 ? fabs(d) : d * d;
    }
    n++;
  }
  return n;
}

static int psnr_straight(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double sum;
  int64_t n = colour_sum(v, 2, &sum);
  if (!n) return metric_undefined(out, METRIC_NO_COLOUR, 0);
  if (!(sum > 0)) return metric_undefined(out, METRIC_IDENTICAL, n);
  return metric_defined(out, -10 * log10(sum / (3 * (double)n)), n);
}

static int layerd_l1(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double sum;
  int64_t n = colour_sum(v, 1, &sum);
  return n ? metric_defined(out, sum / (3 * (double)n), n) : metric_undefined(out, METRIC_NO_COLOUR, 0);
}

/* --- frame by frame --- */

/* What one frame of both clips looks like in one comparison. */
typedef enum frame_form { FORM_ALPHA, FORM_RGB, FORM_Y, FORM_TRUNCATED_Y, FORM_BASE } frame_form;

typedef struct frame_pair {
  double *a, *b; /* [n] */
  const metric_view *v;
  int t, background;
  frame_form form;
} frame_pair;

static double composite(const float *p, double alpha, const double *ground, int c) {
  return (double)p[c] + (1 - alpha) * ground[c];
}

/* Channel c of a pixel of either clip; luma forms have one channel. */
static double channel(const frame_pair *f, const float *rgb, const float *alpha, int64_t i, int c) {
  const double *ground = background_rgb[f->background];
  const float *p = rgb + 3 * i;
  double x[3];
  if (f->form == FORM_BASE) return (double)p[c];
  if (f->form == FORM_RGB) return composite(p, (double)alpha[i], ground, c);
  for (int k = 0; k < 3; k++) {
    x[k] = f->form == FORM_TRUNCATED_Y ? background_cut(p[k], alpha[i], ground[k])
                                       : composite(p, (double)alpha[i], ground, k);
  }
  return 0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2];
}

static void fill(frame_pair *f, int c) {
  const metric_view *v = f->v;
  int64_t n = pixels(v), at = f->t * n;
  for (int64_t i = 0; i < n; i++) {
    if (f->form == FORM_ALPHA) {
      f->a[i] = (double)v->truth[at + i], f->b[i] = (double)v->alpha[at + i];
      continue;
    }
    f->a[i] = f->form == FORM_BASE ? channel(f, v->base_rgb, NULL, at + i, c)
                                   : channel(f, v->ref_rgb, v->ref_alpha, at + i, c);
    f->b[i] = channel(f, v->rgb, v->alpha, at + i, c);
  }
}

static int frame_ssim(err *e, frame_pair *f, double *out) {
  int channels = f->form == FORM_RGB || f->form == FORM_BASE ? 3 : 1;
  ssim_mean m;
  *out = 0;
  for (int c = 0; c < channels; c++) {
    fill(f, c);
    int rc = ssim_plane(e, f->a, f->b, f->v->height, f->v->width, 1, f->form == FORM_TRUNCATED_Y, &m);
    if (rc != OK) return rc;
    *out += m.ssim / channels;
  }
  return OK;
}

static int frame_scales(err *e, frame_pair *f, double *out) {
  fill(f, 0);
  return ssim_scales(e, f->a, f->b, f->v->height, f->v->width, 1, out);
}

typedef struct frame_job {
  int (*score)(err *, frame_pair *, double *);
  frame_form form;
  int first, last; /* backgrounds */
  int least_side;
} frame_job;

/* Mean over frames and backgrounds. */
static int over_frames(err *e, const metric_view *v, const frame_job *j, metric_value *out) {
  int rc = OK, grounds = j->last - j->first + 1, first = OK;
  int64_t n = pixels(v);
  double *store = NULL, *part = NULL, sum = 0;
  if (v->height < j->least_side || v->width < j->least_side) return metric_undefined(out, METRIC_TOO_SMALL, 0);
  TRY(mem_new(e, 2 * n * v->frames, sizeof *store, "frames", &store));
  TRY(mem_new(e, v->frames, sizeof *part, "frame scores", &part));
#pragma omp parallel for num_threads(v->threads) schedule(static)
  for (int t = 0; t < v->frames; t++) {
    for (int b = j->first; b <= j->last; b++) {
      err mine = {0};
      double one = 0;
      frame_pair f = {store + 2 * t * n, store + (2 * t + 1) * n, v, t, b, j->form};
      int got = j->score(&mine, &f, &one);
      part[t] += one;
      if (got == OK) continue;
#pragma omp critical(frame_scores)
      if (first == OK) first = got, *e = mine;
    }
  }
  TRY(first);
  for (int t = 0; t < v->frames; t++) sum += part[t];
  rc = metric_defined(out, sum / ((double)v->frames * grounds), v->frames);
out:
  free(store), free(part);
  return rc;
}

static int one_ground(err *e, const metric_view *v, frame_form form, metric_value *out) {
  int b = (int)v->param[0];
  frame_job j = {frame_ssim, form, b, b, SSIM_WINDOW};
  return over_frames(e, v, &j, out);
}

static int ssim_rgb(err *e, const metric_view *v, metric_value *out) {
  return one_ground(e, v, FORM_RGB, out);
}
static int ssim_y(err *e, const metric_view *v, metric_value *out) {
  return one_ground(e, v, FORM_Y, out);
}
static int ms_ssim(err *e, const metric_view *v, metric_value *out) {
  int b = (int)v->param[0];
  frame_job j = {frame_scales, FORM_Y, b, b, SSIM_SCALES_SIDE};
  return over_frames(e, v, &j, out);
}
static int ssim_alpha(err *e, const metric_view *v, metric_value *out) {
  frame_job j = {frame_ssim, FORM_ALPHA, 0, 0, SSIM_WINDOW};
  return over_frames(e, v, &j, out);
}
static int ssim_base(err *e, const metric_view *v, metric_value *out) {
  frame_job j = {frame_ssim, FORM_BASE, 0, 0, SSIM_WINDOW};
  return over_frames(e, v, &j, out);
}
static int r1_ssim(err *e, const metric_view *v, metric_value *out) {
  frame_job j = {frame_ssim, FORM_TRUNCATED_Y, 0, BACKGROUNDS - 1, SSIM_WINDOW};
  return over_frames(e, v, &j, out);
}

/* PSNR of the frame cut to 8 bits over one background, with pyiqa's epsilon: equal frames score 80. */
static int frame_truncated(err *e, frame_pair *f, double *out) {
  const metric_view *v = f->v;
  const double *g = background_rgb[f->background];
  double sum = 0;
  (void)e;
  for (int64_t i = f->t * pixels(v); i < (f->t + 1) * pixels(v); i++)
    for (int c = 0; c < 3; c++) {
      double d = background_cut(v->rgb[3 * i + c], v->alpha[i], g[c]) -
                 background_cut(v->ref_rgb[3 * i + c], v->ref_alpha[i], g[c]);
      sum += d * d;
    }
  *out = fmin(80, -10 * log10(sum / (3 * (double)pixels(v)) + 1e-8));
  return OK;
}

static int r1_psnr(err *e, const metric_view *v, metric_value *out) {
  frame_job j = {frame_truncated, FORM_RGB, 0, BACKGROUNDS - 1, 1};
  return over_frames(e, v, &j, out);
}

/* --- descriptors --- */

static const metric_param ground_params[] = {
    {"background", "0 grey 128/255, 1 black, 2 white, 3 red, 4 green, 5 blue, 6 yellow, 7 cyan, 8 magenta", 0, 0,
     BACKGROUNDS - 1, 1},
    {0},
};

#define RECON(NAME, SCORE, UNIT, LO, HI, COST, PARAMS, HELP, CITE, REASON)                                           \
  const metric metric_##NAME = {                                                                                     \
      .id = #NAME,                                                                                                   \
      .version = 1,                                                                                                  \
      .tier = 2,                                                                                                     \
      .cost = COST,                                                                                                  \
      .direction = METRIC_UP,                                                                                        \
      .unit = UNIT,                                                                                                  \
      .lo = LO,                                                                                                      \
      .hi = HI,                                                                                                      \
      .plane = METRIC_RGB,                                                                                           \
      .picture = METRIC_PREMULTIPLIED,                                                                               \
      .needs = METRIC_NEEDS_ALPHA | METRIC_NEEDS_REFERENCE,                                                          \
      .min_frames = 1,                                                                                               \
      .params = PARAMS,                                                                                              \
      .help = HELP,                                                                                                  \
      .citation = CITE,                                                                                              \
      .reasons = (const char *const[]){REASON, NULL},                                                                \
      .score = SCORE,                                                                                                \
  }
#define R2 "closed form over backgrounds of the protocol of Wang et al. 2025, AlphaVAE"
#define R1 "Wang et al. 2025, AlphaVAE, validation_pipeline, without its JPEG"
#define WANG "Wang et al. 2004; scikit-image with gaussian_weights, sigma 1.5, population covariance"

RECON(r2_psnr_mean, r2_mean, "dB", -INFINITY, INFINITY, METRIC_PIXELS, NULL,
      "PSNR of the composites over nine backgrounds, in float, over the whole clip: mean of the backgrounds", R2,
      METRIC_IDENTICAL);
RECON(r2_psnr_min, r2_min, "dB", -INFINITY, INFINITY, METRIC_PIXELS, NULL,
      "the worst of the nine backgrounds of r2_psnr_mean", R2, METRIC_IDENTICAL);
RECON(r2_psnr_max, r2_max, "dB", -INFINITY, INFINITY, METRIC_PIXELS, NULL,
      "the best of the nine backgrounds of r2_psnr_mean", R2, METRIC_IDENTICAL);
RECON(r2_psnr_pooled, r2_pooled, "dB", -INFINITY, INFINITY, METRIC_PIXELS, NULL,
      "PSNR of the mean squared error over the nine backgrounds", R2, METRIC_IDENTICAL);
RECON(r1_psnr, r1_psnr, "dB", -INFINITY, 80, METRIC_PIXELS, NULL,
      "PSNR of composites cut (not rounded) to 8 bits, mean of frames and nine backgrounds; equal frames score 80",
      R1, NULL);
RECON(r1_ssim, r1_ssim, "1", -1, 1, METRIC_FILTERS, NULL,
      "SSIM of the luma of composites cut to 8 bits, negative contrast as 0, mean of frames and nine backgrounds", R1,
      METRIC_TOO_SMALL);
RECON(ssim_rgb, ssim_rgb, "1", -1, 1, METRIC_FILTERS, ground_params,
      "SSIM of the composite over one background, mean of R, G, B and of the frames", WANG, METRIC_TOO_SMALL);
RECON(ssim_y, ssim_y, "1", -1, 1, METRIC_FILTERS, ground_params,
      "SSIM of the luma of the composite over one background, mean of the frames", WANG, METRIC_TOO_SMALL);
RECON(ms_ssim, ms_ssim, "1", 0, 1, METRIC_FILTERS, ground_params,
      "five-scale SSIM of the luma of the composite over one background, mean of the frames; sides of at least 176",
      "Wang, Simoncelli, Bovik 2003", METRIC_TOO_SMALL);

const metric metric_psnr_alpha = {
    .id = "psnr_alpha",
    .version = 1,
    .tier = 2,
    .cost = METRIC_PIXELS,
    .direction = METRIC_UP,
    .unit = "dB",
    .lo = -INFINITY,
    .hi = INFINITY,
    .plane = METRIC_ALPHA,
    .picture = METRIC_NO_PICTURE,
    .needs = METRIC_NEEDS_ALPHA | METRIC_NEEDS_TRUTH,
    .min_frames = 1,
    .help = "PSNR of alpha against the true one, over the whole clip",
    .citation = "peak 1 over the mean square error",
    .reasons = (const char *const[]){METRIC_IDENTICAL, NULL},
    .score = psnr_alpha,
};

const metric metric_ssim_alpha = {
    .id = "ssim_alpha",
    .version = 1,
    .tier = 2,
    .cost = METRIC_FILTERS,
    .direction = METRIC_UP,
    .unit = "1",
    .lo = -1,
    .hi = 1,
    .plane = METRIC_ALPHA,
    .picture = METRIC_NO_PICTURE,
    .needs = METRIC_NEEDS_ALPHA | METRIC_NEEDS_TRUTH,
    .min_frames = 1,
    .help = "SSIM of alpha against the true one, mean of the frames",
    .citation = WANG,
    .reasons = (const char *const[]){METRIC_TOO_SMALL, NULL},
    .score = ssim_alpha,
};

#define STRAIGHT                                                                                                     \
  .version = 1, .tier = 2, .cost = METRIC_PIXELS, .plane = METRIC_RGB, .picture = METRIC_STRAIGHT,                   \
  .needs = METRIC_NEEDS_ALPHA | METRIC_NEEDS_REFERENCE, .min_frames = 1

const metric metric_psnr_rgb_straight = {
    STRAIGHT,
    .id = "psnr_rgb_straight",
    .direction = METRIC_UP,
    .unit = "dB",
    .lo = -INFINITY,
    .hi = INFINITY,
    .help = "PSNR of the foreground colour where both alphas are at least 8/255 and so have one",
    .citation = "peak 1 over the mean square error",
    .reasons = (const char *const[]){METRIC_IDENTICAL, METRIC_NO_COLOUR, NULL},
    .score = psnr_straight,
};

const metric metric_layerd_rgb_l1 = {
    STRAIGHT,
    .id = "layerd_rgb_l1",
    .direction = METRIC_DOWN,
    .unit = "1",
    .lo = 0,
    .hi = 1,
    .help =
        "mean absolute error of the foreground colour where both alphas are at least 8/255 (the source: where the "
        "true alpha is above 0). Its soft IoU is true_iou",
    .citation = "Suzuki et al. 2025, LayerD, evaluation/metrics.py",
    .reasons = (const char *const[]){METRIC_NO_COLOUR, NULL},
    .score = layerd_l1,
};

const metric metric_rgb_ssim_base = {
    .id = "rgb_ssim_base",
    .version = 1,
    .tier = 1,
    .cost = METRIC_FILTERS,
    .direction = METRIC_UP,
    .unit = "1",
    .lo = -1,
    .hi = 1,
    .plane = METRIC_RGB,
    .picture = METRIC_DECODED,
    .needs = METRIC_NEEDS_BASE,
    .min_frames = 1,
    .help =
        "SSIM of the picture to the base model's for the same prompt and noise, mean of R, G, B and of the frames",
    .citation = WANG,
    .reasons = (const char *const[]){METRIC_TOO_SMALL, NULL},
    .score = ssim_base,
};
