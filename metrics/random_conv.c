/* An untrained 3-D convolutional net as a feature extractor (spec/metrics.md 3.9.5, D3; Naeem et al. 2020).
 *
 * Input: premultiplied colour and alpha, each 2 v - 1. Three blocks, 4 -> 16 -> 32 -> 64 channels: convolution 3x3x3
 * with replicated borders in space and time and no bias, ReLU, mean over 2x2x2 where windows at the ends hold what
 * there is. Weights: standard normals rng_normal(seed, RNG_INIT, sub = layer), row by row, made orthogonal by
 * Gram-Schmidt in double (twice) and scaled to norm sqrt 2. Output: means, then population standard deviations, of
 * the 64 channels over all positions. Sums in float in the order channel, dt, dy, dx: the same bits everywhere. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "metrics/extract.h"
#include "metrics/plane.h"

enum { TAPS = 27 };

int conv_in(int k) {
  return k ? 8 << k : 4;
}

int conv_out(int k) {
  return 16 << k;
}

/* Takes the share of the rows before it out of row r of a [r + 1][n], and makes its norm 1. */
static void orthogonal(double *a, int64_t r, int64_t n) {
  double *row = a + r * n, square = 0;
  for (int pass = 0; pass < 2; pass++)
    for (int64_t k = 0; k < r; k++) {
      double dot = 0;
      for (int64_t i = 0; i < n; i++) dot += row[i] * a[k * n + i];
      for (int64_t i = 0; i < n; i++) row[i] -= dot * a[k * n + i];
    }
  for (int64_t i = 0; i < n; i++) square += row[i] * row[i];
  for (int64_t i = 0; i < n; i++) row[i] /= sqrt(square);
}

int conv_weights(err *e, uint64_t seed, int k, float *out) {
  int64_t rows = conv_out(k), n = (int64_t)conv_in(k) * TAPS;
  double *a;
  int rc = mem_new(e, rows * n, sizeof *a, "random_conv weights", &a);
  if (rc != OK) return rc;
  rng_normal((rng){.seed = seed, .stream = RNG_INIT, .sub = (uint32_t)k}, 0, rows * n, out);
  for (int64_t i = 0; i < rows * n; i++) a[i] = (double)out[i];
  for (int64_t r = 0; r < rows; r++) orthogonal(a, r, n);
  for (int64_t i = 0; i < rows * n; i++) out[i] = (float)(a[i] * sqrt(2));
  free(a);
  return OK;
}

/* Activations [channels][frames][height + 2][width + 2], borders replicated. */
typedef struct volume {
  int channels, frames, height, width;
  float *x;
} volume;

static int64_t frame_size(const volume *v) {
  return (int64_t)(v->height + 2) * (v->width + 2);
}

static float *frame_of(const volume *v, int channel, int frame) {
  return v->x + ((int64_t)channel * v->frames + frame) * frame_size(v);
}

static int volume_new(err *e, volume *v) {
  return mem_new(e, (int64_t)v->channels * v->frames, frame_size(v) * (int64_t)sizeof *v->x, "random_conv", &v->x);
}

static void replicate_border(float *x, int h, int w) {
  int64_t line = w + 2;
  for (int y = 1; y <= h; y++) x[y * line] = x[y * line + 1], x[y * line + w + 1] = x[y * line + w];
  memcpy(x, x + line, (size_t)line * sizeof *x);
  memcpy(x + (h + 1) * line, x + h * line, (size_t)line * sizeof *x);
}

/* Convolution of one output channel at frame t: out [height][width]. */
static void convolve(const volume *in, const float *weight, int t, float *out) {
  int64_t line = in->width + 2;
  memset(out, 0, (size_t)((int64_t)in->height * in->width) * sizeof *out);
  for (int c = 0; c < in->channels; c++) {
    for (int k = 0; k < TAPS; k++) {
      int from = t + k / 9 - 1;
      from = from < 0 ? 0 : from >= in->frames ? in->frames - 1 : from;
      const float *x = frame_of(in, c, from) + k / 3 % 3 * line + k % 3;
      float w = weight[c * TAPS + k];
      for (int y = 0; y < in->height; y++) {
        float *o = out + (int64_t)y * in->width;
        const float *row = x + y * line;
        for (int i = 0; i < in->width; i++) o[i] += w * row[i];
      }
    }
  }
}

static int pool_size(int n, int i) {
  return 2 * i + 1 < n ? 2 : 1;
}

/* ReLU and mean pooling of one channel, frame by frame. plane: [in height][in width]. */
static void channel(const volume *in, const float *weight, volume *out, int c, float *plane) {
  int64_t line = out->width + 2;
  for (int t = 0; t < in->frames; t++) {
    float *o = frame_of(out, c, t / 2) + line + 1;
    convolve(in, weight, t, plane);
    for (int y = 0; y < in->height; y++)
      for (int x = 0; x < in->width; x++) {
        float v = plane[(int64_t)y * in->width + x];
        o[y / 2 * line + x / 2] += v > 0 ? v : 0;
      }
  }
  for (int t = 0; t < out->frames; t++) {
    float *o = frame_of(out, c, t);
    for (int y = 0; y < out->height; y++)
      for (int x = 0; x < out->width; x++)
        o[(y + 1) * line + x + 1] /=
            (float)(pool_size(in->frames, t) * pool_size(in->height, y) * pool_size(in->width, x));
    replicate_border(o, out->height, out->width);
  }
}

static int block(err *e, const volume *in, uint64_t seed, int k, int threads, volume *out) {
  int rc = OK;
  int64_t each = (int64_t)conv_in(k) * TAPS, n = (int64_t)in->height * in->width;
  float *weight = NULL, *plane = NULL;
  *out = (volume){conv_out(k), (in->frames + 1) / 2, (in->height + 1) / 2, (in->width + 1) / 2, NULL};
  TRY(volume_new(e, out));
  TRY(mem_new(e, out->channels * each, sizeof *weight, "random_conv weights", &weight));
  TRY(mem_new(e, out->channels, n * (int64_t)sizeof *plane, "random_conv", &plane));
  TRY(conv_weights(e, seed, k, weight));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int c = 0; c < out->channels; c++) channel(in, weight + c * each, out, c, plane + c * n);
out:
  free(weight), free(plane);
  return rc;
}

static int input(err *e, const metric_view *v, volume *out) {
  *out = (volume){4, v->frames, v->height, v->width, NULL};
  int64_t n = (int64_t)v->height * v->width, line = v->width + 2;
  int rc = volume_new(e, out);
  for (int c = 0; rc == OK && c < 4; c++)
    for (int t = 0; t < v->frames; t++) {
      float *o = frame_of(out, c, t);
      for (int64_t i = 0; i < n; i++) {
        float a = v->alpha ? v->alpha[t * n + i] : 1;
        o[(i / v->width + 1) * line + i % v->width + 1] = 2 * (c < 3 ? v->rgb[3 * (t * n + i) + c] : a) - 1;
      }
      replicate_border(o, v->height, v->width);
    }
  return rc;
}

static int summary(err *e, const volume *v, double *out) {
  double *x;
  int64_t n = (int64_t)v->frames * v->height * v->width, line = v->width + 2;
  int rc = mem_new(e, n, sizeof *x, "random_conv", &x);
  if (rc != OK) return rc;
  for (int c = 0; c < v->channels; c++) {
    int64_t at = 0;
    for (int t = 0; t < v->frames; t++)
      for (int y = 1; y <= v->height; y++)
        for (int i = 1; i <= v->width; i++) x[at++] = (double)frame_of(v, c, t)[y * line + i];
    moments m = plane_moments(x, n);
    out[c] = m.mean;
    out[v->channels + c] = m.sd;
  }
  free(x);
  return OK;
}

enum { ALPHA, SEED };

static int extract(err *e, const metric_view *v, set_rows *out) {
  int rc = OK;
  volume now = {0}, next = {0};
  out->rows = 1;
  out->dim = CONV_DIM;
  TRY(mem_new(e, out->dim, sizeof *out->x, "random_conv", &out->x));
  TRY(input(e, v, &now));
  for (int k = 0; k < CONV_LAYERS; k++) {
    TRY(block(e, &now, (uint64_t)v->param[SEED], k, v->threads, &next));
    free(now.x);
    now = next;
    next.x = NULL;
  }
  TRY(summary(e, &now, out->x));
out:
  free(now.x), free(next.x);
  return rc;
}

const set_extractor set_random_conv = {
    .id = "random_conv",
    .version = 1,
    .alpha = SET_ALPHA_CHOICE,
    .picture = METRIC_PREMULTIPLIED,
    .min_frames = 1,
    .min_side = 8,
    .params = (const metric_param[]){SET_ALPHA_ROW, SET_SEED_ROW, {0}},
    .help =
        "128 numbers: mean and standard deviation over the clip of the 64 last channels of an untrained net of three "
        "3x3x3 convolutions with ReLU and 2x2x2 means, orthogonal weights from the seed, on premultiplied colour "
        "and alpha. alpha=0: an opaque clip",
    .citation = "own definition; random embeddings after Naeem et al. 2020",
    .extract = extract,
};
