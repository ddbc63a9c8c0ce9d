/* Video files in and out: exact round trips, colour conversion against hand-made YUV, damage, alpha arithmetic. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/text.h"
#include "media/composite.h"
#include "media/picture.h"
#include "media/video.h"

static char folder[64];
static char path_text[4][512];

/* Path of a file in the test's own folder; four may be alive at a time. */
static const char *at(const char *name) {
  static int next = 0;
  char *to = path_text[next++ % 4];
  snprintf(to, sizeof path_text[0], "%s/%s", folder, name);
  return to;
}

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/tandem-media-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  return system(command);
}

static void need(int rc, const err *e) {
  if (rc != OK) fail_msg("%s", e->text);
}

static void refuse(int rc, int want, err *e, const char *words) {
  if (rc != want) fail_msg("rc %d instead of %d: %s", rc, want, e->text);
  if (!strstr(e->text, words)) fail_msg("\"%s\" is not in: %s", words, e->text);
  err_clear(e);
}

static void near(double got, double want, double tol) {
  if (!(fabs(got - want) <= tol)) fail_msg("got %.9g, want %.9g", got, want);
}

/* Like file_write, without its fsync: the damage tests write hundreds of files. */
static void dump(const char *path, const void *bytes, size_t n) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
}

/* Random codes k / top in every place, colour under alpha 0 included. */
static clip codes(int frames, int height, int width, int has_alpha, int top) {
  err e = {0};
  clip c;
  need(clip_new(&e, frames, height, width, has_alpha, &c), &e);
  int64_t n = (int64_t)frames * height * width;
  rng r = {.seed = 11, .stream = RNG_TEST};
  for (int64_t i = 0; i < 3 * n; i++) c.rgb[i] = (float)((double)rng_below(r, (uint64_t)i, (uint64_t)top + 1) / top);
  for (int64_t i = 0; has_alpha && i < n; i++) {
    double code = (double)rng_below(r, (uint64_t)(3 * n + i), (uint64_t)top + 1);
    c.alpha[i] = i % 3 == 0 ? 0 : (float)(code / top);
  }
  c.colour = has_alpha ? CLIP_STRAIGHT : CLIP_DECODED;
  return c;
}

static void same(const clip *a, const clip *b) {
  assert_int_equal(a->frames, b->frames);
  assert_int_equal(a->height, b->height);
  assert_int_equal(a->width, b->width);
  assert_int_equal(!a->alpha, !b->alpha);
  int64_t n = (int64_t)a->frames * a->height * a->width;
  double sum = 0;
  for (int64_t i = 0; i < 3 * n; i++) {
    if (a->rgb[i] != b->rgb[i])
      fail_msg("rgb %lld: %.9g and %.9g", (long long)i, (double)a->rgb[i], (double)b->rgb[i]);
    sum += (double)a->rgb[i];
  }
  for (int64_t i = 0; a->alpha && i < n; i++)
    if (a->alpha[i] != b->alpha[i])
      fail_msg("alpha %lld: %.9g and %.9g", (long long)i, (double)a->alpha[i], (double)b->alpha[i]);
  assert_true(sum > 0);
}

static void lossless(void **state) {
  (void)state;
  static const int shape[][3] = {{8, 48, 48}, {3, 5, 7}, {1, 2, 2}, {2, 33, 129}};
  for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
    for (int bits = 8; bits <= 16; bits += 8)
      for (int has_alpha = 0; has_alpha < 2; has_alpha++) {
        err e = {0};
        clip c = codes(shape[s][0], shape[s][1], shape[s][2], has_alpha, (1 << bits) - 1), back;
        need(video_write(&e, at("a.mkv"), &c, &(video_write_options){.bits = bits}), &e);
        need(video_read(&e, at("a.mkv"), &(video_options){.need_alpha = has_alpha}, &back), &e);
        same(&c, &back);
        near(back.fps, 8, 0);
        assert_int_equal(back.colour, c.colour);
        clip_free(&c);
        clip_free(&back);
      }
}

static void same_bytes(void **state) {
  (void)state;
  err e = {0};
  char one[HASH_HEX], two[HASH_HEX];
  clip c = codes(8, 48, 48, 1, 255);
  need(video_write(&e, at("one.mkv"), &c, NULL), &e);
  sleep(1); /* a date inside the file would differ */
  need(video_write(&e, at("two.mkv"), &c, NULL), &e);
  need(hash_file(&e, at("one.mkv"), one), &e);
  need(hash_file(&e, at("two.mkv"), two), &e);
  assert_string_equal(one, two);
  c.rgb[5] = c.rgb[5] > .5f ? 0.0f : 1.0f;
  need(video_write(&e, at("two.mkv"), &c, NULL), &e);
  need(hash_file(&e, at("two.mkv"), two), &e);
  assert_string_not_equal(one, two);
  clip_free(&c);
}

static double chroma_of(const char *name, int *known) {
  err e = {0};
  clip c;
  need(video_read(&e, at(name), NULL, &c), &e);
  double x = c.alpha_chroma;
  *known = c.alpha_chroma_known;
  clip_free(&c);
  return x;
}

/* What sampling knows of the three channels of alpha goes with the clip, to the last bit; others know nothing. */
static void chroma_goes_with_the_clip(void **state) {
  (void)state;
  err e = {0};
  int known;
  static const double value[] = {0, 1, 0.1234567890123456789, 3e-17};
  clip c = codes(2, 6, 8, 1, 255), bare = codes(2, 6, 8, 0, 255);
  need(video_write(&e, at("c.mkv"), &c, NULL), &e);
  chroma_of("c.mkv", &known);
  assert_false(known);
  c.alpha_chroma_known = bare.alpha_chroma_known = 1;
  for (int i = 0; i < 4; i++) {
    c.alpha_chroma = value[i];
    need(video_write(&e, at("c.mkv"), &c, &(video_write_options){.bits = i % 2 ? 16 : 8}), &e);
    assert_true(chroma_of("c.mkv", &known) == value[i]);
    assert_true(known);
  }
  c.alpha_chroma = 1.5; /* no such spread: not believed */
  need(video_write(&e, at("c.mkv"), &c, NULL), &e);
  chroma_of("c.mkv", &known);
  assert_false(known);
  need(video_write(&e, at("c.mkv"), &bare, NULL), &e);
  chroma_of("c.mkv", &known);
  assert_false(known);
  clip_free(&c);
  clip_free(&bare);
}

static void tags(void **state) {
  (void)state;
  err e = {0};
  clip c = codes(3, 6, 8, 1, 255);
  static const clip_colour all[] = {CLIP_DECODED, CLIP_STRAIGHT, CLIP_PREMULTIPLIED};
  for (int i = 0; i < 3; i++) {
    c.colour = all[i];
    c.fps = i == 0 ? 8 : i == 1 ? 24 : 30000.0 / 1001;
    need(video_write(&e, at("t.mkv"), &c, NULL), &e);
    video *v;
    need(video_open(&e, at("t.mkv"), NULL, &v), &e);
    const video_info *about = video_about(v);
    assert_int_equal(about->colour, all[i]);
    assert_true(about->colour_tagged && about->has_alpha);
    assert_int_equal(about->frames, 3);
    near(about->fps, c.fps, 1e-3);
    int64_t n;
    need(video_count(&e, at("t.mkv"), &n), &e);
    assert_int_equal(n, 3);
    video_close(v);
  }
  clip two;
  need(video_read(&e, at("t.mkv"), &(video_options){.max_frames = 2}, &two), &e);
  assert_int_equal(two.frames, 2);
  clip_free(&two);
  clip_free(&c);
  c = codes(1, 6, 8, 0, 255);
  need(video_write(&e, at("t.mkv"), &c, NULL), &e);
  refuse(video_read(&e, at("t.mkv"), &(video_options){.need_alpha = 1}, &two), E_FORMAT, &e, "alpha was lost");
  clip_free(&c);
}

static void rounding(void **state) {
  (void)state;
  err e = {0};
  clip c, back;
  need(clip_new(&e, 1, 2, 4, 1, &c), &e);
  static const float in[] = {.5f, -3, 7, .9f / 255};
  static const int out[] = {128, 0, 255, 1};
  for (int i = 0; i < 4; i++) c.alpha[i] = c.rgb[3 * i] = in[i];
  need(video_write(&e, at("r.mkv"), &c, NULL), &e);
  need(video_read(&e, at("r.mkv"), NULL, &back), &e);
  for (int i = 0; i < 4; i++) {
    near((double)back.alpha[i] * 255, out[i], 1e-4);
    near((double)back.rgb[3 * i] * 255, out[i], 1e-4);
  }
  clip_free(&back);
  c.rgb[4] = NAN;
  refuse(video_write(&e, at("nan.mkv"), &c, NULL), E_NAN, &e, "not a number");
  assert_false(file_exists(at("nan.mkv")));
  c.rgb[4] = 0;
  refuse(video_write(&e, at("no/such/place.mkv"), &c, NULL), E_IO, &e, "place.mkv");
  refuse(video_write(&e, at("x.mkv"), &c, &(video_write_options){.bits = 10}), E_ARG, &e, "10 bits");
  c.height = 1;
  refuse(video_write(&e, at("x.mkv"), &c, NULL), E_UNSUPPORTED, &e, "at least 2x2");
  clip_free(&c);
}

/* --- YUV by hand: a Y4M file is a text line and raw planes --------------------------------------------------------
 */

static void write_y4m(const char *name, const char *header, const void *planes, size_t n) {
  err e = {0};
  text t = {0};
  text_addf(&t, "YUV4MPEG2 %s\nFRAME\n", header);
  text_addn(&t, planes, n);
  need(text_ok(&t, &e), &e);
  need(file_write(&e, at(name), t.p, t.n), &e);
  text_free(&t);
}

typedef struct yuv_case {
  const char *header;
  int width, height, bits, y, u, v, full;
  double kr, kb;
  int chroma; /* chroma samples a plane */
} yuv_case;

static void check_flat(const yuv_case *q) {
  err e = {0};
  text t = {0};
  int n = q->width * q->height;
  for (int i = 0; i < n + 2 * q->chroma; i++) {
    int code = i < n ? q->y : i < n + q->chroma ? q->u : q->v;
    unsigned char b[2] = {(unsigned char)(code & 255), (unsigned char)(code >> 8)};
    text_addn(&t, b, q->bits > 8 ? 2 : 1);
  }
  need(text_ok(&t, &e), &e);
  write_y4m("flat.y4m", q->header, t.p, t.n);
  text_free(&t);
  clip c;
  need(video_read(&e, at("flat.y4m"), NULL, &c), &e);
  assert_null(c.alpha);
  double unit = ldexp(1, q->bits - 8), top = ldexp(1, q->bits) - 1, mid = 128 * unit;
  double y = q->full ? q->y / top : (q->y - 16 * unit) / (219 * unit);
  double cb = (q->u - mid) / (q->full ? top : 224 * unit), cr = (q->v - mid) / (q->full ? top : 224 * unit);
  double r = y + 2 * (1 - q->kr) * cr, b = y + 2 * (1 - q->kb) * cb,
         g = (y - q->kr * r - q->kb * b) / (1 - q->kr - q->kb);
  for (int i = 0; i < n; i++) {
    near((double)c.rgb[3 * i], fmin(1, fmax(0, r)), 1e-6);
    near((double)c.rgb[3 * i + 1], fmin(1, fmax(0, g)), 1e-6);
    near((double)c.rgb[3 * i + 2], fmin(1, fmax(0, b)), 1e-6);
  }
  clip_free(&c);
}

static void yuv_matrices(void **state) {
  (void)state;
  static const yuv_case cases[] = {
      {"W4 H4 F8:1 C420mpeg2", 4, 4, 8, 100, 150, 90, 0, .299, .114, 4},
      {"W5 H3 F8:1 C420mpeg2", 5, 3, 8, 180, 60, 130, 0, .299, .114, 6},
      {"W4 H4 F8:1 C444", 4, 4, 8, 235, 128, 128, 0, .299, .114, 16},
      {"W4 H4 F8:1 C444", 4, 4, 8, 16, 128, 128, 0, .299, .114, 16},
      {"W4 H4 F8:1 C422 XCOLORRANGE=FULL", 4, 4, 8, 100, 150, 90, 1, .299, .114, 8},
      {"W1280 H2 F8:1 C444", 1280, 2, 8, 100, 150, 90, 0, .2126, .0722, 2560},
      {"W4 H4 F8:1 C420p10 XYSCSS=420P10", 4, 4, 10, 400, 600, 360, 0, .299, .114, 4},
      {"W4 H4 F8:1 C444p12 XYSCSS=444P12", 4, 4, 12, 1600, 2400, 1440, 0, .299, .114, 16},
      {"W4 H4 F8:1 C444p16 XYSCSS=444P16", 4, 4, 16, 25600, 38400, 23040, 0, .299, .114, 16},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_flat(&cases[i]);
}

/* Chroma of 4:2:0 lies on the left luma column (mpeg2) and half a row down. */
static void chroma_siting(void **state) {
  (void)state;
  err e = {0};
  unsigned char p[8 * 4 + 2 * 4 * 2];
  memset(p, 128, sizeof p);
  for (int y = 0; y < 2; y++)
    for (int x = 0; x < 4; x++) p[48 - 8 + 4 * y + x] = (unsigned char)(100 + 20 * x); /* V rises by 20 a sample */
  write_y4m("ramp.y4m", "W8 H4 F8:1 C420mpeg2", p, sizeof p);
  clip c;
  need(video_read(&e, at("ramp.y4m"), NULL, &c), &e);
  for (int x = 0; x < 8; x++) {
    double v = 100 + 20 * fmin(3, x / 2.0), y = (128 - 16) / 219.0;
    near((double)c.rgb[3 * (8 + x)], y + 1.402 * (v - 128) / 224, 1e-6);
  }
  clip_free(&c);
  write_y4m("ramp.y4m", "W8 H4 F8:1 C420jpeg XCOLORRANGE=FULL", p, sizeof p);
  need(video_read(&e, at("ramp.y4m"), NULL, &c), &e);
  for (int x = 0; x < 8; x++) {
    double v = 100 + 20 * fmin(3, fmax(0, (x + .5) / 2 - .5)), y = 128 / 255.0;
    near((double)c.rgb[3 * (8 + x)], y + 1.402 * (v - 128) / 255, 1e-6);
  }
  clip_free(&c);
}

/* Alpha is full range even where luma is limited. */
static void yuv_alpha(void **state) {
  (void)state;
  err e = {0};
  unsigned char p[4 * 16];
  memset(p, 126, 16), memset(p + 16, 128, 32), memset(p + 48, 51, 16);
  write_y4m("alpha.y4m", "W4 H4 F8:1 C444alpha XYSCSS=444", p, sizeof p);
  clip c;
  need(video_read(&e, at("alpha.y4m"), &(video_options){.need_alpha = 1}, &c), &e);
  for (int i = 0; i < 16; i++) {
    near((double)c.alpha[i], .2, 1e-6);
    near((double)c.rgb[3 * i], 110 / 219.0, 1e-6);
  }
  assert_int_equal(c.colour, CLIP_STRAIGHT);
  clip_free(&c);
}

static void mattes(void **state) {
  (void)state;
  err e = {0};
  clip c = codes(1, 4, 4, 0, 255);
  float *back;
  unsigned char gray[16];
  for (int i = 0; i < 16; i++) gray[i] = (unsigned char)(16 * i);
  write_y4m("pha.y4m", "W4 H4 F8:1 Cmono XCOLORRANGE=LIMITED", gray, sizeof gray);
  need(video_read_matte(&e, at("pha.y4m"), &c, &back), &e);
  for (int i = 0; i < 16; i++) near((double)back[i], fmin(1, fmax(0, (gray[i] - 16) / 219.0)), 1e-6);
  free(back);
  clip with_alpha = codes(1, 4, 4, 1, 255);
  need(video_write(&e, at("rgba.mkv"), &with_alpha, NULL), &e);
  need(video_read_matte(&e, at("rgba.mkv"), &c, &back), &e);
  assert_memory_equal(back, with_alpha.alpha, 16 * sizeof(float));
  free(back);
  clip wide = codes(1, 4, 6, 0, 255), longer = codes(2, 4, 4, 0, 255);
  need(video_write(&e, at("wide.mkv"), &wide, NULL), &e);
  need(video_write(&e, at("longer.mkv"), &longer, NULL), &e);
  refuse(video_read_matte(&e, at("wide.mkv"), &c, &back), E_SHAPE, &e, "wide.mkv is 6x4");
  refuse(video_read_matte(&e, at("longer.mkv"), &c, &back), E_SHAPE, &e, "more frames");
  refuse(video_read_matte(&e, at("pha.y4m"), &longer, &back), E_SHAPE, &e, "fewer frames");
  refuse(video_read_matte(&e, at("none.mkv"), &c, &back), E_IO, &e, "none.mkv");
  assert_null(back);
  clip_free(&with_alpha);
  clip_free(&wide);
  clip_free(&longer);
  clip_free(&c);
}

/* tests/golden/media holds files of the ffmpeg tool: 32x32, 4 frames, red, the left half opaque, the right half
 * clear.
 */
static void alpha_codecs(void **state) {
  (void)state;
  static const char *const files[] = {"vp9-alpha.webm", "vp8-alpha.webm", "prores4444.mov"};
  int without = 0;
  for (int i = 0; i < 3; i++) {
    err e = {0};
    clip c;
    char path[1024];
    const char *root = getenv("TANDEM_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/media/%s", root ? root : ".", files[i]);
    int rc = video_read(&e, path, &(video_options){.need_alpha = 1}, &c);
    if (rc == E_FORMAT && strstr(e.text, "decoded by vp")) { /* this FFmpeg has no libvpx, and the loss is told */
      without++;
      continue;
    }
    need(rc, &e);
    assert_int_equal(c.frames, 4);
    assert_int_equal(c.colour, CLIP_STRAIGHT);
    near(c.fps, 8, 1e-6);
    for (int k = 0; k < 4 * 32 * 32; k++) {
      if (k % 32 < 14 || k % 32 > 17) near((double)c.alpha[k], k % 32 < 16, .02);
      if (k % 32 < 14) near((double)c.rgb[3 * k], 1, .03), near((double)c.rgb[3 * k + 1], 0, .03);
    }
    clip_free(&c);
  }
  if (without) skip();
}

static void sequences(void **state) {
  (void)state;
  err e = {0};
  clip c = codes(3, 5, 6, 1, 255), back;
  for (int f = 0; f < 3; f++) {
    char name[32];
    snprintf(name, sizeof name, "seq-%03d.png", f + 1);
    need(picture_write(&e, at(name), 5, 6, c.rgb + 90 * f, c.alpha + 30 * f), &e);
  }
  need(video_read(&e, at("seq-%03d.png"), &(video_options){.need_alpha = 1, .fps = 12}, &back), &e);
  same(&c, &back);
  near(back.fps, 12, 1e-9);
  clip_free(&back);
  need(video_read(&e, at("seq-002.png"), NULL, &back), &e);
  assert_int_equal(back.frames, 1);
  assert_memory_equal(back.rgb, c.rgb + 90, 90 * sizeof(float));
  clip_free(&back);
  need(picture_write(&e, at("opaque.png"), 5, 6, c.rgb, NULL), &e);
  refuse(video_read(&e, at("opaque.png"), &(video_options){.need_alpha = 1}, &back), E_FORMAT, &e, "alpha was lost");
  clip_free(&c);
}

/* A clip that a codec with loss can do something with: a soft disc that moves over a ramp. */
static clip smooth(int frames, int height, int width) {
  err e = {0};
  clip c;
  need(clip_new(&e, frames, height, width, 1, &c), &e);
  for (int64_t i = 0; i < clip_voxels(&c); i++) {
    int t = (int)(i / (height * width)), y = (int)(i / width % height), x = (int)(i % width);
    double r = hypot(y - height / 2., x - width / 2. - t);
    c.alpha[i] = (float)fmin(1, fmax(0, height / 3. - r));
    c.rgb[3 * i] = (float)x / (float)width;
    c.rgb[3 * i + 1] = (float)y / (float)height;
    c.rgb[3 * i + 2] = .25f;
  }
  c.colour = CLIP_STRAIGHT;
  c.fps = 12;
  c.alpha_chroma = .125;
  c.alpha_chroma_known = 1;
  return c;
}

static double mean_apart(const float *a, const float *b, int64_t n, double *most) {
  double sum = 0;
  *most = 0;
  for (int64_t i = 0; i < n; i++) {
    double d = fabs((double)a[i] - (double)b[i]);
    sum += d;
    *most = fmax(*most, d);
  }
  return sum / (double)n;
}

/* What a codec with loss may lose of the clip above: the largest difference of an alpha, the mean one of a colour. */
typedef struct loss {
  const char *file;
  video_codec codec;
  double alpha, colour;
} loss;

static void lossy_case(const loss *l, int height, int width) {
  err e = {0};
  clip c = smooth(9, height, width), d;
  video_codec codec;
  char one[HASH_HEX], two[HASH_HEX];
  double most;
  need(video_codec_of(&e, l->file, &codec), &e);
  assert_int_equal(codec, l->codec);
  int rc = video_write(&e, at(l->file), &c, &(video_write_options){.codec = codec});
  if (rc == E_UNSUPPORTED) skip(); /* an FFmpeg without this encoder */
  need(rc, &e);
  need(hash_file(&e, at(l->file), one), &e);
  need(video_write(&e, at(l->file), &c, &(video_write_options){.codec = codec}), &e);
  need(hash_file(&e, at(l->file), two), &e);
  assert_string_equal(one, two);
  need(video_read(&e, at(l->file), &(video_options){.need_alpha = 1}, &d), &e);
  assert_int_equal(d.frames, 9);
  assert_int_equal(d.height, height);
  assert_int_equal(d.width, width);
  near(d.fps, 12, 1e-3);
  assert_int_equal(d.colour, CLIP_STRAIGHT);
  assert_true(d.alpha_chroma_known);
  near(d.alpha_chroma, .125, 1e-9);
  double mean = mean_apart(d.alpha, c.alpha, clip_voxels(&c), &most);
  if (!(most <= l->alpha)) fail_msg("%s: alpha is off by %g, %g in the mean", l->file, most, mean);
  mean = mean_apart(d.rgb, c.rgb, 3 * clip_voxels(&c), &most);
  if (!(mean <= l->colour)) fail_msg("%s: colour is off by %g in the mean, %g at most", l->file, mean, most);
  clip_free(&d);
  c.colour = CLIP_PREMULTIPLIED; /* other colours under the same alpha are told apart */
  need(video_write(&e, at(l->file), &c, &(video_write_options){.codec = codec}), &e);
  need(video_read(&e, at(l->file), NULL, &d), &e);
  assert_int_equal(d.colour, CLIP_PREMULTIPLIED);
  clip_free(&d);
  c.rgb[5] = NAN;
  refuse(video_write(&e, at(l->file), &c, &(video_write_options){.codec = codec}), E_NAN, &e, "not a number");
  clip_free(&c);
}

/* Alpha of ProRes 4444 passes 10 bits going in and up to 12 coming out: half a step of each. Chroma of VP9 is halved.
 */
static void prores(void **state) {
  (void)state;
  const loss l = {"p.mov", VIDEO_PRORES, .5 / 1023 + .5 / 4095, .01};
  lossy_case(&l, 48, 64);
  lossy_case(&l, 35, 41);
}
static void vp9(void **state) {
  (void)state;
  const loss l = {"v.webm", VIDEO_VP9, .2, .02};
  lossy_case(&l, 48, 64);
  lossy_case(&l, 35, 41);
}

static void endings(void **state) {
  (void)state;
  err e = {0};
  video_codec c;
  need(video_codec_of(&e, "a.b/c.mkv", &c), &e);
  assert_int_equal(c, VIDEO_FFV1);
  need(video_codec_of(&e, "x.webp", &c), &e);
  assert_int_equal(c, VIDEO_WEBP);
  refuse(video_codec_of(&e, "x.mp4", &c), E_ARG, &e, ".webm (VP9");
  refuse(video_codec_of(&e, "x", &c), E_ARG, &e, "ending");
}

static void matte(void **state) {
  (void)state;
  const float three[9] = {.25f, .5f, .125f, 1, 1, 1, 0, .75f, .25f};
  float alpha[3] = {NAN, NAN, NAN};
  matte_spread s;
  composite_matte(3, three, alpha, &s);
  near((double)alpha[0], .5, 0);
  near((double)alpha[1], 1, 0);
  near((double)alpha[2], .75, 0);
  near(s.mean, (.375 + .75) / 3, 1e-12);
  near(s.most, .75, 0);
  near(s.least, 0, 0);
}

static void backgrounds(void **state) {
  (void)state;
  err e = {0};
  clip c;
  need(clip_new(&e, 1, 2, 4, 1, &c), &e);
  c.colour = CLIP_STRAIGHT;
  c.alpha[0] = .5f, c.alpha[7] = 1;
  c.rgb[0] = 1;
  float rgb[24], picture[24];
  for (int i = 0; i < 24; i++) rgb[i] = NAN, picture[i] = (float)i / 32;
  need(composite_over_checker(&e, &c, 2, rgb), &e);
  near((double)rgb[0], .5 + .4, 1e-6); /* half red over light grey */
  near((double)rgb[1], .4, 1e-6);
  near((double)rgb[3 * 2], .6, 1e-6); /* next square */
  near((double)rgb[3 * 7], 0, 0);     /* opaque black */
  refuse(composite_over_checker(&e, &c, 0, rgb), E_ARG, &e, "checkerboard");
  need(composite_over_picture(&e, &c, picture, rgb), &e);
  near((double)rgb[0], .5, 1e-6);
  near((double)rgb[3 * 3 + 1], 10. / 32, 1e-6);
  near((double)rgb[3 * 7 + 2], 0, 0);
  clip_free(&c);
}

static void webp(void **state) {
  (void)state;
  err e = {0};
  clip c = codes(3, 16, 16, 1, 255);
  int rc = video_write(&e, at("a.webp"), &c, &(video_write_options){.codec = VIDEO_WEBP});
  if (rc == E_UNSUPPORTED) skip(); /* an FFmpeg without libwebp */
  need(rc, &e);
  char *bytes, one[HASH_HEX], two[HASH_HEX];
  size_t n;
  need(file_read(&e, at("a.webp"), 1 << 20, &bytes, &n), &e);
  assert_true(n > 500);
  assert_memory_equal(bytes, "RIFF", 4);
  assert_memory_equal(bytes + 8, "WEBPVP8X", 8);
  int frames = 0;
  for (size_t i = 0; i + 4 <= n; i++) frames += memcmp(bytes + i, "ANMF", 4) == 0;
  assert_int_equal(frames, 3);
  free(bytes);
  need(hash_file(&e, at("a.webp"), one), &e);
  need(video_write(&e, at("b.webp"), &c, &(video_write_options){.codec = VIDEO_WEBP}), &e);
  need(hash_file(&e, at("b.webp"), two), &e);
  assert_string_equal(one, two);
  refuse(video_write(&e, at("b.webp"), &c, &(video_write_options){.codec = VIDEO_WEBP, .bits = 16}), E_ARG, &e,
         "16 bits");
  clip_free(&c);
}

/* --- damage ------------------------------------------------------------------------------------------------------
 */

static void truncated(void **state) {
  (void)state;
  err e = {0};
  clip c = codes(4, 16, 16, 1, 255), back;
  char *bytes = NULL;
  size_t n;
  need(video_write(&e, at("whole.mkv"), &c, NULL), &e);
  need(file_read(&e, at("whole.mkv"), 1 << 24, &bytes, &n), &e);
  int tried = 0, refused = 0;
  for (size_t cut = 0; cut < n; cut += 1 + n / 150, tried++) {
    dump(at("cut.mkv"), bytes, cut);
    int rc = video_read(&e, at("cut.mkv"), NULL, &back);
    if (rc == OK) { /* only the index at the end is gone */
      same(&c, &back);
      clip_free(&back);
      continue;
    }
    refuse(rc, rc == E_UNSUPPORTED ? rc : E_FORMAT, &e, "cut.mkv");
    refused++;
  }
  assert_true(tried > 100 && tried - refused <= 3);
  free(bytes);
  clip_free(&c);
}

static void mutated(void **state) {
  (void)state;
  err e = {0};
  clip c = codes(4, 16, 16, 1, 255), back;
  char *bytes = NULL;
  size_t n;
  int refused = 0, wrong = 0;
  need(video_write(&e, at("whole.mkv"), &c, NULL), &e);
  need(file_read(&e, at("whole.mkv"), 1 << 24, &bytes, &n), &e);
  for (uint64_t i = 0; i < 300; i++) {
    size_t where = (size_t)rng_below((rng){.seed = 1, .stream = RNG_TEST}, i, n);
    char old = bytes[where];
    bytes[where] = (char)(old ^ (1 << (i % 8)));
    dump(at("mut.mkv"), bytes, n);
    bytes[where] = old;
    int rc = video_read(&e, at("mut.mkv"), NULL, &back);
    if (rc != OK) {
      assert_non_null(strstr(e.text, "mut.mkv"));
      err_clear(&e);
      refused++;
      continue;
    }
    size_t size = (size_t)c.frames * 256 * sizeof(float);
    wrong += back.frames != c.frames || memcmp(back.rgb, c.rgb, 3 * size) != 0 || !back.alpha ||
             memcmp(back.alpha, c.alpha, size) != 0;
    clip_free(&back);
  }
  print_message("%d of 300 mutations refused, %d read as other pixels\n", refused, wrong);
  assert_true(refused > 200);
  assert_int_equal(wrong, 0);
  free(bytes);
  clip_free(&c);
}

static void not_videos(void **state) {
  (void)state;
  err e = {0};
  clip c;
  refuse(video_read(&e, at("missing.mkv"), NULL, &c), E_IO, &e, "missing.mkv: no such file");
  need(file_write(&e, at("text.mkv"), "hello, this is no video\n", 24), &e);
  refuse(video_read(&e, at("text.mkv"), NULL, &c), E_FORMAT, &e, "text.mkv");
  need(file_write(&e, at("empty.mkv"), "", 0), &e);
  refuse(video_read(&e, at("empty.mkv"), NULL, &c), E_FORMAT, &e, "empty.mkv");
  static const char list[] = "ffconcat version 1.0\nfile whole.mkv\n";
  need(file_write(&e, at("list.ffconcat"), list, strlen(list)), &e);
  refuse(video_read(&e, at("list.ffconcat"), NULL, &c), E_FORMAT, &e, "list.ffconcat");
  refuse(video_read(&e, "http://localhost/a.mkv", NULL, &c), E_IO, &e, "no such file");
  refuse(video_read(&e, folder, NULL, &c), E_FORMAT, &e, folder);
}

/* --- alpha arithmetic --------------------------------------------------------------------------------------------
 */

static void premultiplied(void **state) {
  (void)state;
  err e = {0};
  clip c = codes(2, 6, 5, 1, 255), p = codes(2, 6, 5, 1, 255);
  need(composite_premultiply(&e, &p), &e);
  assert_int_equal(p.colour, CLIP_PREMULTIPLIED);
  need(composite_premultiply(&e, &p), &e); /* a second time changes nothing */
  for (int i = 0; i < 60; i++) near((double)p.rgb[3 * i], (double)c.rgb[3 * i] * (double)c.alpha[i], 1e-7);
  const float grey[3] = {.25f, .5f, .75f};
  float a[180], b[180];
  for (int i = 0; i < 180; i++) a[i] = b[i] = NAN;
  need(composite_over(&e, &c, grey, a), &e);
  need(composite_over(&e, &p, grey, b), &e);
  for (int i = 0; i < 180; i++) {
    double alpha = (double)c.alpha[i / 3];
    near((double)a[i], alpha * (double)c.rgb[i] + (1 - alpha) * (double)grey[i % 3], 1e-6);
    near((double)a[i], (double)b[i], 1e-6);
  }
  need(composite_unpremultiply(&e, &p), &e);
  for (int i = 0; i < 180; i++) near((double)p.rgb[i], c.alpha[i / 3] > 0 ? (double)c.rgb[i] : 0, 1e-6);
  c.colour = CLIP_DECODED;
  refuse(composite_unpremultiply(&e, &c), E_ARG, &e, "background");
  clip opaque = codes(1, 2, 2, 0, 255);
  refuse(composite_premultiply(&e, &opaque), E_ARG, &e, "no alpha");
  clip_free(&opaque);
  clip_free(&c);
  clip_free(&p);
}

static void plates(void **state) {
  (void)state;
  err e = {0};
  enum { H = 20, W = 30 };
  static float rgb[H * W * 3], alpha[H * W], plate[H * W * 3];
  for (int i = 0; i < H * W; i++) { /* a red square on the left, a half-transparent blue one on the right */
    int x = i % W, y = i / W, in = y >= 5 && y < 15;
    alpha[i] = in && x >= 3 && x < 10 ? 1 : in && x >= 20 && x < 27 ? .5f : 0;
    rgb[3 * i] = x < 15 ? alpha[i] : 0, rgb[3 * i + 1] = 0, rgb[3 * i + 2] = x < 15 ? 0 : alpha[i];
    for (int k = 0; k < 3; k++) plate[3 * i + k] = NAN;
  }
  need(composite_plate(&e, H, W, rgb, alpha, plate), &e);
  for (int i = 0; i < H * W; i++) { /* a convex mix of the two colours everywhere */
    near((double)plate[3 * i] + (double)plate[3 * i + 2], 1, 1e-5);
    near((double)plate[3 * i + 1], 0, 0);
  }
  near((double)plate[3 * (10 * W)], 1, 1e-3);
  near((double)plate[3 * (10 * W + W - 1) + 2], 1, 1e-3);
  memset(alpha, 0, sizeof alpha);
  memset(rgb, 0, sizeof rgb);
  need(composite_plate(&e, H, W, rgb, alpha, plate), &e);
  for (int i = 0; i < 3 * H * W; i++) near((double)plate[i], 0, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lossless),      cmocka_unit_test(same_bytes),
      cmocka_unit_test(tags),          cmocka_unit_test(chroma_goes_with_the_clip),
      cmocka_unit_test(rounding),      cmocka_unit_test(yuv_matrices),
      cmocka_unit_test(chroma_siting), cmocka_unit_test(yuv_alpha),
      cmocka_unit_test(mattes),        cmocka_unit_test(truncated),
      cmocka_unit_test(mutated),       cmocka_unit_test(not_videos),
      cmocka_unit_test(premultiplied), cmocka_unit_test(plates),
      cmocka_unit_test(alpha_codecs),  cmocka_unit_test(sequences),
      cmocka_unit_test(webp),          cmocka_unit_test(prores),
      cmocka_unit_test(vp9),           cmocka_unit_test(endings),
      cmocka_unit_test(matte),         cmocka_unit_test(backgrounds),
  };
  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
