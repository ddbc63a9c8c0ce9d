/* tandem flow: Farneback flow of two pictures. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/verbs.h"
#include "media/flo.h"
#include "media/video.h"
#include "metrics/flow.h"

typedef struct flow_args {
  const char *params, *output;
  int64_t frame_a, frame_b;
} flow_args;

#define AT(member) offsetof(flow_args, member)
static const cli_option options[] = {
    {.name = "params",
     .kind = CLI_TEXT,
     .offset = AT(params),
     .value = "LIST",
     .initial = "0.5,3,15,3,5,1.2,0",
     .help = "pyr_scale,levels,winsize,iterations,poly_n,poly_sigma,flags as of cv2.calcOpticalFlowFarneback; flags: "
             "0, or 256 for a Gaussian window"},
    {.name = "frame-a",
     .kind = CLI_INT,
     .offset = AT(frame_a),
     .value = "N",
     .initial = "0",
     .hi = 1e9,
     .help = "frame of A, from 0"},
    {.name = "frame-b",
     .kind = CLI_INT,
     .offset = AT(frame_b),
     .value = "N",
     .initial = "0",
     .hi = 1e9,
     .help = "frame of B, from 0"},
    {.name = "output",
     .alias = 'o',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .help = "the .flo file to write, whole or untouched; -: standard output. May be left out with --json"},
    {.name = NULL},
};

/* --- parameters ----------------------------------------------------------------------------------------------- */

enum { PARAMS = 7, FLAGS = 6, USE_INITIAL_FLOW = 4, GAUSSIAN = 256 };
static const char *const names[PARAMS] = {"pyr_scale", "levels",     "winsize", "iterations",
                                          "poly_n",    "poly_sigma", "flags"};

static int check_param(err *e, int k, double v) {
  const metric_param *p = &flow_params[k];
  if (k == FLAGS && (v == 0 || v == GAUSSIAN)) return OK;
  if (k == FLAGS && (v == USE_INITIAL_FLOW || v == USE_INITIAL_FLOW + GAUSSIAN))
    return err_set(e, E_ARG,
                   "--params: flags %g asks for an initial flow (OPTFLOW_USE_INITIAL_FLOW), but there is none "
                   "to start from; take 0 or 256",
                   v);
  if (k == FLAGS) return err_set(e, E_ARG, "--params: flags is 0 or 256 (OPTFLOW_FARNEBACK_GAUSSIAN), not %g", v);
  if (!(v >= p->lo && v <= p->hi) || (p->integer && v != rint(v)))
    return err_set(e, E_ARG, "--params: %s is a %snumber from %g to %g, not %g", names[k], p->integer ? "whole " : "",
                   p->lo, p->hi, v);
  return OK;
}

static int read_params(err *e, const char *s, double v[PARAMS]) {
  int rc = OK;
  const char *at = s;
  for (int k = 0; k < PARAMS; k++) {
    char *end;
    v[k] = strtod(at, &end);
    if (end == at || *end != (k < PARAMS - 1 ? ',' : 0))
      FAIL(e, E_ARG,
           "--params wants pyr_scale,levels,winsize,iterations,poly_n,poly_sigma,flags: seven numbers, not "
           "'%s'",
           s);
    TRY(check_param(e, k, v[k]));
    at = end + 1;
  }
out:
  return rc;
}

/* --- pictures ------------------------------------------------------------------------------------------------- */

typedef struct gray {
  int height, width;
  float *v; /* codes 0 .. 255 */
} gray;

static int read_gray(err *e, const char *path, int64_t frame, gray *out) {
  int rc = OK, got = 1;
  video *v = NULL;
  video_options o = {.max_frames = frame + 1};
  TRY(video_open(e, path, &o, &v));
  *out = (gray){.height = video_about(v)->height, .width = video_about(v)->width};
  TRY(mem_new(e, (int64_t)out->height * out->width, sizeof(float), "picture", &out->v));
  for (int64_t t = 0; t <= frame; t++) {
    TRY(video_next_gray(v, e, t < frame ? NULL : out->v, &got));
    if (!got)
      FAIL(e, E_ARG, "%s has no frame %lld: it has %lld frame%s, counted from 0", path, (long long)frame,
           (long long)t, t == 1 ? "" : "s");
  }
  /* rint rounds half to even in the default mode, which nothing in the project changes */
  for (int64_t i = 0; i < (int64_t)out->height * out->width; i++) out->v[i] = (float)rint(255 * (double)out->v[i]);
out:
  video_close(v);
  return rc;
}

static int read_pair(cli *c, const flow_args *a, float **out, gray *size) {
  int rc = OK;
  err *e = &c->err;
  gray x[2] = {{0}, {0}};
  TRY(read_gray(e, c->words.v[0], a->frame_a, &x[0]));
  TRY(read_gray(e, c->words.v[1], a->frame_b, &x[1]));
  if (x[0].height != x[1].height || x[0].width != x[1].width)
    FAIL(e, E_SHAPE, "%s is %dx%d, %s is %dx%d: flow needs one size", c->words.v[0], x[0].width, x[0].height,
         c->words.v[1], x[1].width, x[1].height);
  int64_t n = (int64_t)x[0].height * x[0].width;
  TRY(mem_new(e, 2 * n, sizeof(float), "pictures", out));
  memcpy(*out, x[0].v, (size_t)n * sizeof(float));
  memcpy(*out + n, x[1].v, (size_t)n * sizeof(float));
  *size = (gray){.height = x[0].height, .width = x[0].width};
out:
  free(x[0].v), free(x[1].v);
  return rc;
}

/* --- output --------------------------------------------------------------------------------------------------- */

typedef struct lengths {
  double mean, max;
} lengths;

static lengths measure(const float *flow, int64_t n) {
  lengths l = {0};
  for (int64_t i = 0; i < n; i++) {
    double u = (double)flow[2 * i], v = (double)flow[2 * i + 1], d = sqrt(u * u + v * v);
    l.mean += d / (double)n;
    if (d > l.max) l.max = d;
  }
  return l;
}

static json *picture_json(const char *path, int64_t frame) {
  json *j = json_new(JSON_OBJECT);
  cli_set_text(&j, "path", path);
  cli_set_int(&j, "frame", frame);
  return j;
}

static json *as_json(const cli *c, const flow_args *a, const double param[PARAMS], gray size, lengths l) {
  json *j = json_new(JSON_OBJECT), *p = json_new(JSON_OBJECT);
  cli_set(&j, "a", picture_json(c->words.v[0], a->frame_a));
  cli_set(&j, "b", picture_json(c->words.v[1], a->frame_b));
  cli_set_int(&j, "width", size.width);
  cli_set_int(&j, "height", size.height);
  for (int k = 0; k < PARAMS; k++) cli_set_number(&p, names[k], param[k]);
  cli_set(&j, "params", p);
  cli_set_number(&j, "mean_magnitude", l.mean);
  cli_set_number(&j, "max_magnitude", l.max);
  cli_set_text(&j, "path", a->output);
  return j;
}

static int check_output(cli *c, const flow_args *a) {
  int to_out = a->output && !strcmp(a->output, "-");
  if (!a->output && !c->json)
    return err_set(&c->err, E_ARG, "name the .flo file to write with -o FILE, or ask for --json");
  if (to_out && c->json)
    return err_set(&c->err, E_ARG, "-o - and --json both want standard output; write the flow to a file");
  if (to_out && isatty(1))
    return err_set(&c->err, E_ARG,
                   "-o - writes bytes, and standard output is a terminal; redirect it or name a file");
  return OK;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const flow_args *a = args;
  double param[PARAMS];
  float *x = NULL, *flow = NULL;
  gray size = {0};
  text t = {0};
  TRY(check_output(c, a));
  TRY(read_params(&c->err, a->params, param));
  TRY(read_pair(c, a, &x, &size));
  int64_t n = (int64_t)size.height * size.width;
  TRY(mem_new(&c->err, 2 * n, sizeof(float), "flow", &flow));
  fb_params p = flow_read_params(param);
  p.gaussian = param[FLAGS] == GAUSSIAN;
  fb_job job = {.x = x, .frames = 2, .height = size.height, .width = size.width, .forward = flow};
  TRY(fb_flows(&c->err, &p, &job));
  lengths l = measure(flow, n);
  if (a->output) {
    flo_print(&t, flow, size.height, size.width);
    c->output = a->output;
    TRY(cli_put(c, &t));
    c->output = NULL;
    cli_note(c, "%s: %dx%d, mean %.4g px, largest %.4g px", a->output, size.width, size.height, l.mean, l.max);
  }
  if (c->json) TRY(cli_put_json(c, as_json(c, a, param, size, l)));
out:
  free(x), free(flow);
  return rc;
}

const cli_verb verb_flow = {
    .name = "flow",
    .group = "look inside",
    .help = "optical flow of two pictures",
    .usage = "A B [--frame-a N] [--frame-b N] -o FILE",
    .about =
        "Writes the Farneback flow from A to B, the one that the motion metrics use, as a Middlebury .flo file: u "
        "to\n"
        "the right and v down, in pixels. A and B are images, or videos of which one frame is taken; the sizes must\n"
        "agree. What is compared is 8-bit gray: the luma of YUV and gray files, .299 R + .587 G + .114 B of RGB, "
        "rounded\n"
        "half to even; deeper files are rounded to 8 bits as well, and alpha is not looked at.",
    .examples = "tandem flow frame1.png frame2.png -o motion.flo\n"
                "tandem flow clip.mkv clip.mkv --frame-a 10 --frame-b 11 -o motion.flo --json\n"
                "tandem flow a.png b.png --params 0.5,5,21,3,7,1.5,256 -o - | my-viewer",
    .shared = CLI_JSON,
    .options = options,
    .min_words = 2,
    .max_words = 2,
    .args_size = sizeof(flow_args),
    .run = run,
};
