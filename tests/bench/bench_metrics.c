/* bench_metrics: what the metrics cost.
 *
 *   bench_metrics [--rounds N] [--frames N] [--each] [--pair] [--clips]
 *
 * First optical flow of one 480x720 pair against cv2.calcOpticalFlowFarneback (tests/bench/opencv_peer.py, where a
 * python3 with cv2 is there), in turns, each with one thread and CPU time. Then every metric of tiers 0 and 1 on a
 * 480x720 clip with one and two threads, in seconds of wall and CPU time and in units of our pair. --each: every
 * metric alone. Between the two `tandem score` on a folder of eight clips with one and two threads (--clips: that
 * alone).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clip.h"
#include "media/video.h"
#include "metrics/farneback.h"
#include "metrics/metric.h"

enum { HEIGHT = 480, WIDTH = 720, ROUNDS_MAX = 32, METRICS_MAX = 256 };

typedef struct bench {
  int rounds, frames, each, pair, clips;
  char home[400]; /* this program's folder */
} bench;

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *v, int n) {
  qsort(v, (size_t)n, sizeof *v, ascending);
  return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* A textured ground and a textured disc with a soft edge, both moving. */
static void paint(clip *c) {
  for (int t = 0; t < c->frames; t++) {
    double cx = 0.3 * c->width + 3.1 * t, cy = 0.5 * c->height + 40 * sin(0.2 * t), radius = 0.25 * c->height;
    for (int y = 0; y < c->height; y++) {
      for (int x = 0; x < c->width; x++) {
        int64_t i = ((int64_t)t * c->height + y) * c->width + x;
        double d = radius - hypot(x - cx, y - cy), a = fmax(0, fmin(1, 0.5 + d / 3));
        double u = x - 1.4 * t, v = y + 0.6 * t, p = x - cx, q = y - cy;
        for (int k = 0; k < 3; k++) {
          double ground = 0.5 + 0.2 * sin(0.21 * u + 0.07 * v + k) + 0.2 * cos(0.33 * v - 0.1 * u * (k + 1));
          double object = 0.5 + 0.25 * sin(0.4 * p + k) * cos(0.3 * q) + 0.2 * sin(0.05 * p * (k + 1));
          c->rgb[3 * i + k] = (float)(rint(255 * fmax(0, fmin(1, a * object + (1 - a) * ground))) / 255);
        }
        c->alpha[i] = (float)(rint(255 * a) / 255);
      }
    }
  }
}

/* --- one pair ------------------------------------------------------------------------------------------------- */

static void grey(const clip *c, float *out) {
  for (int64_t i = 0; i < (int64_t)2 * HEIGHT * WIDTH; i++)
    out[i] = (float)rint(255 * (0.299 * (double)c->rgb[3 * i] + 0.587 * (double)c->rgb[3 * i + 1] +
                                0.114 * (double)c->rgb[3 * i + 2]));
}

/* Milliseconds of OpenCV's flow of the pair in `path`; 0 when no python3 here has cv2. */
static double peer_ms(const char *path) {
  static const char *const python[] = {"python3", "/usr/bin/python3"};
  double ms = 0;
  for (size_t i = 0; ms <= 0 && i < sizeof python / sizeof python[0]; i++) {
    char command[512];
    snprintf(command, sizeof command, "%s %s/tests/bench/opencv_peer.py %s %d %d 2>/dev/null", python[i],
             TD_SOURCE_DIR, path, HEIGHT, WIDTH);
    FILE *f = popen(command, "r");
    if (!f) continue;
    if (fscanf(f, "%lf", &ms) != 1) ms = 0;
    pclose(f);
  }
  return ms;
}

static int pair_ms(err *e, const float *x, float *flow, double *ms) {
  fb_params p = fb_defaults();
  fb_job j = {.x = x, .frames = 2, .height = HEIGHT, .width = WIDTH, .forward = flow};
  double run[5];
  for (int i = 0; i < 5; i++) {
    double start = now(CLOCK_PROCESS_CPUTIME_ID);
    int rc = fb_flows(e, &p, &j);
    if (rc != OK) return rc;
    run[i] = 1e3 * (now(CLOCK_PROCESS_CPUTIME_ID) - start);
  }
  *ms = median(run, 5);
  return OK;
}

static int write_pair(err *e, const char *path, const float *x, int64_t n) {
  FILE *f = fopen(path, "wb");
  int bad = !f || fwrite(x, sizeof *x, (size_t)n, f) != (size_t)n;
  if (f && fclose(f)) bad = 1;
  return bad ? err_set(e, E_IO, "%s: cannot be written", path) : OK;
}

static int bench_pair(err *e, const bench *b, const clip *c, double *pair) {
  int rc = OK;
  const int64_t n = (int64_t)2 * HEIGHT * WIDTH;
  double ours[ROUNDS_MAX], theirs[ROUNDS_MAX], ratio[ROUNDS_MAX];
  char path[64] = "/tmp/bench_metrics.XXXXXX";
  float *x = malloc((size_t)n * sizeof *x), *flow = malloc((size_t)n * sizeof *flow);
  int fd = mkstemp(path), peer = 1;
  if (!x || !flow || fd < 0) FAIL(e, E_IO, "no memory or no temporary file");
  grey(c, x);
  TRY(write_pair(e, path, x, n));
  for (int r = 0; r < b->rounds; r++) {
    TRY(pair_ms(e, x, flow, &ours[r]));
    theirs[r] = peer ? peer_ms(path) : 0;
    peer = theirs[r] > 0;
    ratio[r] = peer ? ours[r] / theirs[r] : 0;
  }
  *pair = median(ours, b->rounds);
  printf("flow of a %dx%d pair, 1 thread: %.1f ms", HEIGHT, WIDTH, *pair);
  if (peer)
    printf(", OpenCV %.1f ms, ratio %.2f\n", median(theirs, b->rounds), median(ratio, b->rounds));
  else
    printf("; no python3 with cv2 here, so no ratio to OpenCV\n");
out:
  if (fd >= 0) close(fd), unlink(path);
  free(x), free(flow);
  return rc;
}

/* --- all metrics of a clip ------------------------------------------------------------------------------------ */

typedef struct cost {
  double wall, cpu; /* seconds */
} cost;

static int score(err *e, const metric_request *list, int64_t n, const metric_input *in, cost *out) {
  metric_value value[METRICS_MAX];
  double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
  int rc = metric_score(e, list, n, in, value);
  *out = (cost){now(CLOCK_MONOTONIC) - wall, now(CLOCK_PROCESS_CPUTIME_ID) - cpu};
  return rc;
}

static int bench_clip(err *e, const bench *b, const clip *c, double pair) {
  int rc = OK;
  int64_t n = 0;
  cost k;
  metric_request list[METRICS_MAX];
  metric_input in = {.clip = c, .base = c, .truth = c->alpha, .base_truth = c->alpha, .threads = 1};
  for (const metric *const *m = metric_list(); *m && n < METRICS_MAX; m++)
    if ((*m)->tier <= 1) TRY(metric_parse(e, (*m)->id, &list[n++]));
  for (int threads = 1; threads <= 2; threads++) {
    in.threads = threads;
    TRY(score(e, list, n, &in, &k));
    printf("%lld metrics of tiers 0 and 1, %d frames, %d thread%s: %.2f s = %.0f pairs (%.2f s CPU)\n", (long long)n,
           c->frames, threads, threads > 1 ? "s" : "", k.wall, 1e3 * k.wall / pair, k.cpu);
  }
  for (int64_t i = 0; b->each && i < n; i++) {
    TRY(score(e, &list[i], 1, &in, &k));
    printf("  %-26s %7.3f s (%.3f s CPU)\n", list[i].metric->id, k.wall, k.cpu);
  }
out:
  return rc;
}

/* --- many clips ------------------------------------------------------------------------------------------------ */

enum { CLIPS = 8, CLIP_FRAMES = 8, CLIP_HEIGHT = 144, CLIP_WIDTH = 216 };

/* Wall time of `tandem score FOLDER`, the program beside this one's folder. */
static int score_folder(err *e, const bench *b, const char *folder, int threads, double *wall) {
  char command[1024];
  double from = now(CLOCK_MONOTONIC);
  snprintf(command, sizeof command,
           "%.400s/../tandem score %.400s --colour decoded --tier 0,1 --csv --threads %d -o %.60s/out.csv -q",
           b->home, folder, threads, folder);
  int status = system(command);
  *wall = now(CLOCK_MONOTONIC) - from;
  return status ? err_set(e, E_IO, "%s: exit status %d", command, status) : OK;
}

static void clip_path(const char *folder, int i, char path[128]) {
  snprintf(path, 128, "%.60s/%d.mkv", folder, i);
}

static int bench_clips(err *e, const bench *b) {
  int rc = OK;
  char folder[] = "/tmp/bench_clips.XXXXXX", path[128];
  double one[ROUNDS_MAX], two[ROUNDS_MAX], ratio[ROUNDS_MAX];
  clip c = {0};
  if (!mkdtemp(folder)) FAIL(e, E_IO, "%s: cannot be made", folder);
  TRY(clip_new(e, CLIP_FRAMES, CLIP_HEIGHT, CLIP_WIDTH, 1, &c));
  c.fps = 8;
  paint(&c);
  for (int i = 0; i < CLIPS; i++) {
    clip_path(folder, i, path);
    TRY(video_write(e, path, &c, NULL));
  }
  for (int r = 0; r < b->rounds; r++) {
    TRY(score_folder(e, b, folder, 1, &one[r]));
    TRY(score_folder(e, b, folder, 2, &two[r]));
    ratio[r] = one[r] / two[r];
  }
  printf("tandem score of %d clips, %d frames of %dx%d: 1 thread %.2f s, 2 threads %.2f s, ratio %.2f\n", CLIPS,
         CLIP_FRAMES, CLIP_HEIGHT, CLIP_WIDTH, median(one, b->rounds), median(two, b->rounds),
         median(ratio, b->rounds));
out:
  for (int i = 0; i < CLIPS; i++) {
    clip_path(folder, i, path);
    unlink(path);
  }
  snprintf(path, sizeof path, "%s/out.csv", folder);
  unlink(path), rmdir(folder);
  clip_free(&c);
  return rc;
}

static int parse(int argc, char **argv, bench *b) {
  *b = (bench){.rounds = 5, .frames = 49};
  const char *slash = strrchr(argv[0], '/');
  snprintf(b->home, sizeof b->home, "%.*s", slash ? (int)(slash - argv[0]) : 1, slash ? argv[0] : ".");
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--each"))
      b->each = 1;
    else if (!strcmp(argv[i], "--pair"))
      b->pair = 1;
    else if (!strcmp(argv[i], "--clips"))
      b->clips = 1;
    else if (!strcmp(argv[i], "--rounds") && i + 1 < argc)
      b->rounds = atoi(argv[++i]);
    else if (!strcmp(argv[i], "--frames") && i + 1 < argc)
      b->frames = atoi(argv[++i]);
    else
      return 0;
  }
  return b->rounds >= 1 && b->rounds <= ROUNDS_MAX && b->frames >= 2 && b->frames <= 1000;
}

int main(int argc, char **argv) {
  int rc = OK;
  err e = {0};
  bench b;
  clip c = {0};
  double pair = 1;
  if (!parse(argc, argv, &b)) {
    fprintf(stderr, "usage: bench_metrics [--rounds N] [--frames N] [--each] [--pair] [--clips]\n");
    return 2;
  }
  TRY(clip_new(&e, b.frames, HEIGHT, WIDTH, 1, &c));
  c.fps = 8;
  paint(&c);
  if (!b.clips) TRY(bench_pair(&e, &b, &c, &pair));
  if (!b.pair) TRY(bench_clips(&e, &b));
  if (!b.pair && !b.clips) TRY(bench_clip(&e, &b, &c, pair));
out:
  clip_free(&c);
  if (rc != OK) fprintf(stderr, "bench_metrics: %s\n", e.text);
  return rc != OK;
}
