/* Dataset folders: manifests, refusals with file and line, and clips cut, resampled, scaled and composed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/text.h"
#include "media/dataset.h"
#include "media/resample.h"
#include "media/video.h"

static char folder[64];

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/tandem-dataset-XXXXXX");
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

static void near(double got, double want, double tol) {
  if (!(fabs(got - want) <= tol)) fail_msg("got %.9g, want %.9g", got, want);
}

/* folder/name, in a static buffer */
static const char *in_folder(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void put(const char *name, const char *words) {
  err e = {0};
  need(file_write(&e, in_folder(name), words, strlen(words)), &e);
}

static void drop(const char *name) {
  unlink(in_folder(name));
}

/* frames of 4 rows x 6 columns, straight: red = frame / 20, green 1 where opaque; alpha 1 in columns 0-2, else 0 with
 * green hidden under it. */
static void put_clip(const char *name, int frames, double fps, int has_alpha) {
  err e = {0};
  clip c;
  need(clip_new(&e, frames, 4, 6, has_alpha, &c), &e);
  c.fps = fps;
  c.colour = has_alpha ? CLIP_STRAIGHT : CLIP_DECODED;
  for (int i = 0; i < frames * 24; i++) {
    c.rgb[3 * i] = (float)(i / 24 * 12) / 255;
    c.rgb[3 * i + 1] = 1;
    if (has_alpha) c.alpha[i] = i % 6 < 3;
  }
  need(video_write(&e, in_folder(name), &c, NULL), &e);
  clip_free(&c);
}

static void put_matte(const char *name, int frames) {
  err e = {0};
  clip c;
  need(clip_new(&e, frames, 4, 6, 0, &c), &e);
  for (int i = 0; i < frames * 24 * 3; i++) c.rgb[i] = i / 3 % 6 < 3 ? 1 : .2f;
  need(video_write(&e, in_folder(name), &c, NULL), &e);
  clip_free(&c);
}

static void manifest(void **state) {
  (void)state;
  err e = {0};
  dataset d;
  put_clip("a.mkv", 8, 8, 1);
  put("manifest.json",
      "{\"alpha\": \"premultiplied\", \"clips\": [\n"
      "  {\"file\": \"a.mkv\", \"caption\": \"closed umbrella\", \"motion\": 3},\n"
      "  {\"file\": \"./a.mkv\", \"caption\": \"caf\xc3\xa9\", \"fps\": 12, \"alpha\": \"straight\"}]}");
  need(dataset_open(&e, folder, &d), &e);
  assert_int_equal(d.n, 2);
  assert_string_equal(d.items[0].caption, "closed umbrella");
  assert_string_equal(d.items[1].caption, "caf\xc3\xa9");
  assert_string_equal(d.items[0].file, in_folder("a.mkv"));
  assert_int_equal(d.items[0].colour, CLIP_PREMULTIPLIED);
  assert_int_equal(d.items[1].colour, CLIP_STRAIGHT);
  near(d.items[0].fps, 0, 0);
  near(d.items[1].fps, 12, 0);
  dataset_close(&d);
}

static void refusals(void **state) {
  (void)state;
  put_clip("a.mkv", 2, 8, 1);
#define CLIPS(x) "{\"alpha\": \"straight\", \"clips\": [\n" x "]}"
  static const struct {
    const char *text, *words;
    int rc;
  } wrong[] = {
      {CLIPS("{\"file\": \"/etc/passwd\", \"caption\": \"x\"}"), "manifest.json:2: a path must stay", E_CONFIG},
      {CLIPS("\n{\"file\": \"../a.mkv\", \"caption\": \"x\"}"), "manifest.json:3: a path must stay", E_CONFIG},
      {CLIPS("{\"file\": \"b/../../a.mkv\", \"caption\": \"x\"}"), "a path must stay", E_CONFIG},
      {CLIPS("{\"file\": \"\", \"caption\": \"x\"}"), "a path must stay", E_CONFIG},
      {CLIPS("{\"file\": \"b.mkv\", \"caption\": \"x\"}"), "manifest.json:2: no such file: b.mkv", E_CONFIG},
      {CLIPS("{\"file\": \"a.mkv\", \"caption\": \" \\n\"}"), "the caption is empty for: a.mkv", E_CONFIG},
      {CLIPS("{\"file\": \"a.mkv\"}"), "no caption for: a.mkv", E_CONFIG},
      {CLIPS("{\"caption\": \"x\"}"), "\"file\" is missing", E_CONFIG},
      {CLIPS("{\"file\": 3, \"caption\": \"x\"}"), "must be a string: file", E_CONFIG},
      {CLIPS("{\"file\": \"a.mkv\", \"caption\": \"x\", \"fps\": 0}"), "\"fps\"", E_CONFIG},
      {CLIPS("{\"file\": \"a.mkv\", \"caption\": \"x\", \"matte\": \"m.mkv\"}"), "no such file: m.mkv", E_CONFIG},
      {CLIPS("\"a.mkv\""), "must be an object", E_CONFIG},
      {CLIPS(""), "no clips are listed", E_CONFIG},
      {CLIPS("{\"file\": \"a.mkv\", \"caption\": \"\xff\"}"), "manifest.json:2", E_FORMAT},
      {"{\"clips\": [{\"file\": \"a.mkv\", \"caption\": \"x\"}]}", "\"alpha\" is missing", E_CONFIG},
      {"{\"alpha\": \"none\", \"clips\": [{\"file\": \"a.mkv\", \"caption\": \"x\"}]}", "premultiplied\": none",
       E_CONFIG},
      {"{\"alpha\": \"straight\"}", "\"clips\" must be a list", E_CONFIG},
      {"[]", "\"clips\" must be a list", E_CONFIG},
      {"{\"alpha\":", "manifest.json:1", E_FORMAT},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    err e = {0};
    dataset d;
    put("manifest.json", wrong[i].text);
    int rc = dataset_open(&e, folder, &d);
    if (rc != wrong[i].rc || !strstr(e.text, wrong[i].words))
      fail_msg("case %zu: rc %d, \"%s\" without \"%s\"", i, rc, e.text, wrong[i].words);
  }
  drop("manifest.json");
  err e = {0};
  dataset d;
  assert_int_equal(dataset_open(&e, folder, &d), E_CONFIG);
  assert_non_null(strstr(e.text, "no manifest.json"));
}

static void lines(void **state) {
  (void)state;
  err e = {0};
  dataset d;
  put_clip("a.mkv", 2, 8, 1);
  put_clip("f.mkv", 2, 8, 0);
  put_matte("m.mkv", 2);
  put("manifest.jsonl", "{\"file\": \"a.mkv\", \"caption\": \"one\", \"alpha\": \"premultiplied\"}\r\n"
                        "\n{\"file\": \"f.mkv\", \"matte\": \"m.mkv\", \"caption\": \"two\"}");
  need(dataset_open(&e, folder, &d), &e);
  assert_int_equal(d.n, 2);
  assert_int_equal(d.items[0].colour, CLIP_PREMULTIPLIED);
  assert_int_equal(d.items[1].colour, CLIP_STRAIGHT);
  assert_string_equal(d.items[1].matte, in_folder("m.mkv"));
  dataset_close(&d);
  put("manifest.jsonl", "{\"file\": \"a.mkv\", \"caption\": \"one\", \"alpha\": \"straight\"}\n\n"
                        "{\"file\": \"a.mkv\", \"caption\": }\n");
  assert_int_equal(dataset_open(&e, folder, &d), E_FORMAT);
  assert_non_null(strstr(e.text, "manifest.jsonl:3"));
  err_clear(&e);
  put("manifest.jsonl", "\n{\"file\": \"a.mkv\", \"caption\": \"one\"}\n");
  assert_int_equal(dataset_open(&e, folder, &d), E_CONFIG);
  assert_non_null(strstr(e.text, "manifest.jsonl:2: \"alpha\" is missing"));
  drop("manifest.jsonl");
}

static dataset open_one(const char *file) {
  err e = {0};
  dataset d;
  char words[256];
  snprintf(words, sizeof words, "{\"alpha\": \"straight\", \"clips\": [{\"file\": \"%s\", \"caption\": \"x\"}]}",
           file);
  put("manifest.json", words);
  need(dataset_open(&e, folder, &d), &e);
  return d;
}

/* The frames shown, read off the red channel of an opaque pixel. */
static void check_frames(const dataset *d, const dataset_want *w, const int *want) {
  err e = {0};
  clip c;
  need(dataset_load(&e, d, w, 0, &c), &e);
  assert_int_equal(c.frames, w->frames);
  for (int f = 0; f < c.frames; f++) near((double)c.rgb[3 * f * c.height * c.width] * 255, 12 * want[f], 1e-3);
  near(c.fps, w->fps > 0 ? w->fps : 24, 1e-3);
  clip_free(&c);
}

static void windows(void **state) {
  (void)state;
  put_clip("a.mkv", 20, 24, 1);
  dataset d = open_one("a.mkv");
  dataset_want w = {.frames = 5, .height = 4, .width = 6};
  check_frames(&d, &w, (const int[]){0, 1, 2, 3, 4});
  w.fps = 8;
  check_frames(&d, &w, (const int[]){0, 3, 6, 9, 12});
  w.fps = 10; /* 2.4 frames a step */
  check_frames(&d, &w, (const int[]){0, 2, 4, 7, 9});
  w.fps = 48;
  check_frames(&d, &w, (const int[]){0, 0, 1, 1, 2});
  w.fps = 8, w.skip = 3;
  check_frames(&d, &w, (const int[]){3, 6, 9, 12, 15});
  w.frames = 7; /* the last of the file, then it stays */
  check_frames(&d, &w, (const int[]){3, 6, 9, 12, 15, 16, 16});
  w.skip = 12; /* more than the file has: not skipped */
  check_frames(&d, &w, (const int[]){0, 3, 6, 9, 12, 15, 18});
  dataset_close(&d);
}

static void backgrounds(void **state) {
  (void)state;
  put_clip("a.mkv", 2, 24, 1);
  dataset d = open_one("a.mkv");
  static const char *const names[] = {"black", "white", "grey", "blur"};
  for (int b = 0; b < 4; b++) {
    err e = {0};
    dataset_want w = {.frames = 2, .height = 4, .width = 6};
    need(dataset_background_parse(&e, names[b], &w.background), &e);
    clip c;
    need(dataset_load(&e, &d, &w, 0, &c), &e);
    assert_int_equal(c.colour, CLIP_DECODED);
    for (int i = 0; i < 48; i++) { /* blur: the plate of a foreground of one colour is that colour */
      int in = i % 6 < 3;
      const double level[] = {0, 1, .5}, red = i / 24 * 12 / 255.0;
      near((double)c.alpha[i], in, 0);
      near((double)c.rgb[3 * i], in || b == 3 ? red : level[b], 1e-6);
      near((double)c.rgb[3 * i + 1], in || b == 3 ? 1 : level[b], 1e-6);
      near((double)c.rgb[3 * i + 2], in || b == 3 ? 0 : level[b], 1e-6);
    }
    clip_free(&c);
  }
  err e = {0};
  dataset_background none;
  assert_int_equal(dataset_background_parse(&e, "gray", &none), E_CONFIG);
  dataset_close(&d);
}

/* Half the size, 2x3: columns 0-1 | 2-3 | 4-5 have alpha 1, 1/2, 0; the hidden green does not bleed in. A square
 * wanted from 4x6 crops one column on each side. */
static void scaling(void **state) {
  (void)state;
  err e = {0};
  clip c;
  put_clip("a.mkv", 1, 24, 1);
  dataset d = open_one("a.mkv");
  need(dataset_load(&e, &d, &(dataset_want){.frames = 1, .height = 2, .width = 3}, 0, &c), &e);
  static const double alpha[] = {1, .5, 0};
  for (int i = 0; i < 6; i++) {
    near((double)c.alpha[i], alpha[i % 3], 1e-6);
    near((double)c.rgb[3 * i + 1], alpha[i % 3], 1e-6);
  }
  clip_free(&c);
  need(dataset_load(&e, &d, &(dataset_want){.frames = 1, .height = 4, .width = 4}, 0, &c), &e);
  for (int i = 0; i < 16; i++) near((double)c.alpha[i], i % 4 < 2, 0);
  clip_free(&c);
  need(dataset_load(&e, &d, &(dataset_want){.frames = 1, .height = 8, .width = 12}, 0, &c), &e);
  static const double grown[] = {1, 1, 1, 1, 1, .75, .25, 0, 0, 0, 0, 0};
  for (int i = 0; i < 96; i++) near((double)c.alpha[i], grown[i % 12], 1e-6);
  clip_free(&c);
  assert_int_equal(dataset_load(&e, &d, &(dataset_want){.frames = 1, .height = 4, .width = 4}, 1, &c), E_ARG);
  err_clear(&e);
  assert_int_equal(dataset_load(&e, &d, &(dataset_want){.frames = 0, .height = 4, .width = 4}, 0, &c), E_ARG);
  dataset_close(&d);
}

/* Any shape to any shape: weights are a partition of one, a flat picture stays flat, nothing is read outside. */
static void resampling(void **state) {
  (void)state;
  static const int side[] = {1, 2, 7, 16, 100};
  const int n = (int)(sizeof side / sizeof *side);
  for (int k = 0; k < n * n * n; k++) {
    err e = {0};
    resample r;
    int fh = side[k % n], fw = side[k / n % n], th = side[k / n / n], tw = side[(k / n + 2) % n];
    need(resample_open(&e, (resample_size){fh, fw}, (resample_size){th, tw}, &r), &e);
    float *in = malloc((size_t)(4 * fh * fw) * sizeof *in), *out = malloc((size_t)(4 * th * tw) * sizeof *out);
    for (int i = 0; i < 4 * fh * fw; i++) in[i] = .25f * (float)(i % 4 + 1);
    for (int i = 0; i < 4 * th * tw; i++) out[i] = NAN;
    resample_run(&r, in, out);
    for (int i = 0; i < 4 * th * tw; i++) near((double)out[i], .25 * (i % 4 + 1), 1e-6);
    free(in);
    free(out);
    resample_close(&r);
  }
}

static void move(const char *from, const char *to) {
  char old[512];
  snprintf(old, sizeof old, "%s", in_folder(from));
  assert_int_equal(rename(old, in_folder(to)), 0);
}

static void pairs(void **state) {
  (void)state;
  err e = {0};
  dataset d;
  clip c;
  drop("manifest.json");
  need(file_mkdirs(&e, in_folder("fgr")), &e);
  need(file_mkdirs(&e, in_folder("pha")), &e);
  put_clip("fgr/0002.mkv", 3, 24, 0);
  put_clip("fgr/0001.mkv", 3, 24, 0);
  put_matte("pha/0001.mkv", 3);
  put_matte("pha/0002.mkv", 2);
  put("captions.json", "{\"0001\": \"a person\",\n \"0002.mkv\": \"two people\"}");
  need(dataset_open(&e, folder, &d), &e);
  assert_int_equal(d.n, 2);
  assert_string_equal(d.items[0].caption, "a person");
  assert_string_equal(d.items[1].caption, "two people");
  need(dataset_load(&e, &d, &(dataset_want){.frames = 3, .height = 4, .width = 6}, 0, &c), &e);
  for (int i = 0; i < 72; i++) {
    near((double)c.alpha[i], i % 6 < 3 ? 1 : .2, 1e-6);
    near((double)c.rgb[3 * i + 1], i % 6 < 3 ? 1 : .2, 1e-6);
  }
  clip_free(&c);
  assert_int_equal(dataset_load(&e, &d, &(dataset_want){.frames = 3, .height = 4, .width = 6}, 1, &c), E_FORMAT);
  assert_non_null(strstr(e.text, "pha/0002.mkv has 2 frames"));
  err_clear(&e);
  dataset_close(&d);
  move("fgr", "fgr_color_decon_blur"); /* as the authors released it */
  put("video_captions.json", "{\"0001.mkv\": \"somebody\", \"0002\": \"two\"}");
  need(dataset_open(&e, folder, &d), &e);
  assert_int_equal(d.n, 2);
  assert_string_equal(d.items[0].caption, "somebody");
  assert_non_null(strstr(d.items[1].file, "fgr_color_decon_blur/0002.mkv"));
  dataset_close(&d);
  move("fgr_color_decon_blur", "fgr");
  put("captions.json", "{\"0001\": \"a person\"}");
  assert_int_equal(dataset_open(&e, folder, &d), E_CONFIG);
  assert_non_null(strstr(e.text, "no caption for: fgr/0002.mkv"));
  err_clear(&e);
  drop("pha/0001.mkv");
  assert_int_equal(dataset_open(&e, folder, &d), E_CONFIG);
  assert_non_null(strstr(e.text, "no such file: pha/0001.mkv"));
}

static void lost_alpha(void **state) {
  (void)state;
  err e = {0};
  clip c;
  put_clip("f.mkv", 2, 24, 0);
  dataset d = open_one("f.mkv");
  assert_int_equal(dataset_load(&e, &d, &(dataset_want){.frames = 2, .height = 4, .width = 6}, 0, &c), E_FORMAT);
  assert_non_null(strstr(e.text, "f.mkv: alpha was lost"));
  drop("manifest.json");
  dataset_close(&d);
}

/* A real clip, where the collection is at hand. */
static void emoji(void **state) {
  (void)state;
  const char *real = "/work/shared/data/fluent-emoji";
  if (!file_exists(real)) skip();
  err e = {0};
  dataset d;
  clip c;
  need(dataset_open(&e, real, &d), &e);
  assert_int_equal(d.n, 617);
  assert_string_equal(d.items[1].caption, "closed umbrella");
  need(dataset_load(&e, &d, &(dataset_want){.frames = 8, .height = 48, .width = 48, .fps = 8}, 1, &c), &e);
  double alpha = 0;
  for (int i = 0; i < 8 * 48 * 48; i++) alpha += (double)c.alpha[i] / (8 * 48 * 48);
  near(alpha, .274, .03); /* "alpha_mean" of the manifest, over 24 frames */
  clip_free(&c);
  dataset_close(&d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(manifest),    cmocka_unit_test(refusals), cmocka_unit_test(lines),
      cmocka_unit_test(windows),     cmocka_unit_test(scaling),  cmocka_unit_test(resampling),
      cmocka_unit_test(backgrounds), cmocka_unit_test(pairs),    cmocka_unit_test(lost_alpha),
      cmocka_unit_test(emoji),
  };
  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
