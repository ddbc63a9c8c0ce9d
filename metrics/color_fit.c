#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/kernels/plane.h"
#include "metrics/metric.h"

typedef struct windows {
  const plane_kernels *kernels;
  int frames, height, width, r, rt;
  double ridge;
  const float *rgb, *alpha;
} windows;

typedef struct frame_fit {
  double left, total; /* variance that colour does not explain, and all of it, summed over pixels */
} frame_fit;

static int clamp(int i, int n) {
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Adds row y of the window's frames, times t, to the vertical sums. */
static void add_row(const windows *k, int frame, int y, double t, double *sum, int64_t stride) {
  for (int u = frame - k->rt; u <= frame + k->rt; u++) {
    int64_t at = ((int64_t)clamp(u, k->frames) * k->height + clamp(y, k->height)) * k->width;
    k->kernels->window_add(sum + k->r, stride, k->rgb + 3 * at, k->alpha + at, t, k->width);
  }
}

/* sum: WINDOW_SUMS rows of width + 2 r. */
static frame_fit fit_frame(const windows *k, int t, double *sum) {
  double left[KERNEL_BLOCK] = {0}, total[KERNEL_BLOCK] = {0};
  int64_t stride = k->width + 2 * (int64_t)k->r;
  int span = 2 * k->r + 1;
  window_row row = {.width = k->width,
                    .radius = k->r,
                    .count = (double)(2 * k->rt + 1) * span * span,
                    .ridge = k->ridge,
                    .sum = sum,
                    .stride = stride,
                    .left = left,
                    .total = total};
  memset(sum, 0, (size_t)(WINDOW_SUMS * stride) * sizeof *sum);
  for (int y = -k->r; y < k->r; y++) add_row(k, t, y, 1, sum, stride);
  for (int y = 0; y < k->height; y++) {
    add_row(k, t, y + k->r, 1, sum, stride);
    for (int p = 0; p < WINDOW_SUMS; p++) {
      double *s = sum + p * stride + k->r;
      for (int i = 1; i <= k->r; i++) s[-i] = s[0], s[k->width - 1 + i] = s[k->width - 1];
    }
    k->kernels->window_fit(&row);
    add_row(k, t, y - k->r, -1, sum, stride);
  }
  frame_fit f = {0};
  for (int i = 0; i < KERNEL_BLOCK; i++) f.left += left[i], f.total += total[i];
  return f;
}

static int score(err *e, const metric_view *v, metric_value *out) {
  int rc = OK;
  int64_t voxels = (int64_t)v->frames * v->height * v->width;
  int small = v->height < v->width ? v->height : v->width, r = (int)v->param[0];
  windows k = {.kernels = metric_kernels_of(NULL)->plane,
               .frames = v->frames,
               .height = v->height,
               .width = v->width,
               .r = r > 0 ? r : (int)fmax(3, rint(small / 16.0)),
               .rt = (int)v->param[1],
               .ridge = v->param[2],
               .rgb = v->rgb,
               .alpha = v->alpha};
  int64_t each = WINDOW_SUMS * (v->width + 2 * (int64_t)k.r);
  frame_fit *fit = NULL, all = {0};
  double *sum = NULL;
  TRY(mem_new(e, v->frames, sizeof *fit, "color_fit", &fit));
  TRY(mem_new(e, v->threads * each, sizeof(double), "color_fit windows", &sum));
#pragma omp parallel for num_threads(v->threads) schedule(dynamic)
  for (int t = 0; t < v->frames; t++) fit[t] = fit_frame(&k, t, sum + omp_get_thread_num() * each);
  for (int t = 0; t < v->frames; t++) all.left += fit[t].left, all.total += fit[t].total;
  rc = all.total / (double)voxels < 1e-6 ? metric_undefined(out, METRIC_FLAT_ALPHA, voxels)
                                         : metric_defined(out, 1 - all.left / all.total, voxels);
out:
  free(fit), free(sum);
  return rc;
}

const metric metric_color_fit = {
    .id = "color_fit",
    .version = 1,
    .tier = 1,
    .cost = METRIC_FILTERS,
    .direction = METRIC_UP,
    .unit = "1",
    .lo = 0,
    .hi = 1,
    .plane = METRIC_JOINT,
    .picture = METRIC_DECODED,
    .needs = METRIC_NEEDS_ALPHA | METRIC_GATED,
    .min_frames = 1,
    .gain_ok = 1,
    .params =
        (const metric_param[]){{"r", "window radius in pixels; 0 takes max(3, round(min(H, W) / 16))", 0, 0, 256, 1},
                               {"rt", "window radius in frames", 1, 0, 16, 1},
                               {"ridge", "added to the colour covariance's diagonal", 1e-4, 1e-8, 1, 0},
                               {0}},
    .help =
        "share of alpha's local variance that an affine function of the picture's colours explains, over windows of "
        "(2 rt + 1)(2 r + 1)^2 voxels. Blind to affine changes of alpha (0.7 alpha and 1 - alpha score the same); "
        "any "
        "alpha that is a colour function of the picture scores 1: read it with alpha_luma_corr. Its level depends on "
        "texture and window: compare designs on the same prompts",
    .citation = "colour-line model of Levin, Lischinski, Weiss 2008, A Closed-Form Solution to Natural Image Matting",
    .reasons = (const char *const[]){METRIC_FLAT_ALPHA, NULL},
    .score = score,
};
