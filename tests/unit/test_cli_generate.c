/* `tandem generate` as its users meet it: a process, a model folder, files out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "golden.h"
#include "media/deliver.h"
#include "media/picture.h"
#include "media/video.h"
#include "scratch.h"

static char *said; /* standard error of the last call */

static const char *source(void) {
  return getenv("TANDEM_SOURCE");
}

/* `tandem generate ARGS` in the scratch folder, where $G is the fixtures' folder; its exit status. */
static int generate(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int generate(const char *fmt, ...) {
  text t = {0};
  err e = {0};
  char args[4096];
  size_t n;
  va_list ap;
  va_start(ap, fmt);
  assert_true(vsnprintf(args, sizeof args, fmt, ap) < (int)sizeof args);
  va_end(ap);
  text_addf(&t, "cd '%s' && G='%s/tests/golden' && exec '%s' generate --threads=1 %s >stdout 2>stderr",
            scratch_path(0, ""), source(), getenv("TANDEM_BINARY"), args);
  assert_int_equal(text_ok(&t, &e), OK);
  int status = system(t.p);
  text_free(&t);
  free(said);
  if (file_read(&e, scratch_path(0, "stderr"), 1 << 20, &said, &n) != OK) fail_msg("%s", e.text);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void good(int status) {
  if (status) fail_msg("exit %d: %s", status, said);
}

static void bad(int status, int want, const char *words) {
  if (status != want) fail_msg("exit %d, not %d: %s", status, want, said);
  if (!strstr(said, words)) fail_msg("does not say '%s': %s", words, said);
  assert_false(file_exists(scratch_path(0, "no.mkv")));
}

static st_file *tensors(const char *path) {
  err e = {0};
  st_file *f;
  if (st_open(&e, path, &f) != OK) fail_msg("%s", e.text);
  return f;
}

static const st_tensor *tensor(const st_file *f, const char *name) {
  const st_tensor *t = st_find(f, name);
  if (!t) fail_msg("no tensor %s", name);
  return t;
}

/* got against n numbers of want from element `at` on, relative to the largest of those. */
static void same(const char *what, const st_tensor *got, const st_tensor *want, int64_t at, double tol) {
  double top = 0, worst = 0;
  for (int64_t i = 0; i < got->count; i++) {
    double g = dtype_get(got->type, got->data, i), w = dtype_get(want->type, want->data, at + i);
    if (!isfinite(g)) fail_msg("%s: not finite", what);
    top = fmax(top, fabs(w));
    worst = fmax(worst, fabs(g - w));
  }
  assert_true(top > 0);
  if (!(worst <= tol * top)) fail_msg("%s: off by %.3g of %.3g", what, worst, top);
}

/* --- the released pipeline, its adapter and its injected noise --- */

static void pipeline_rgba(void **state) {
  (void)state;
  static const struct {
    const char *run, *design, *adapter, *sampler;
    int steps;
  } runs[] = {{"dpm_A_soft", "soft-mask", "rgba_lora", "dpm", 6},
              {"dpm_B", "no-rgb-to-alpha", "rgba_lora", "dpm", 5},
              {"ddim_A_hard", "sequence", "rgba_lora", "ddim", 5},
              {"dpm_E", "latent", "rgba_lora", "dpm", 4}};
  st_file *want = golden_tensors("pipeline_rgba");
  for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
    char name[64];
    good(generate("--model $G/dit_rope_weights.safetensors --config $G/dit_rope_config.json --design %s "
                  "--adapter $G/%s.safetensors %s --embeddings $G/pipeline_rgba.safetensors --sampler %s --steps %d "
                  "--noise $G/pipeline_rgba.safetensors --noise-run %s --latents z.safetensors",
                  runs[i].design, runs[i].adapter,
                  strcmp(runs[i].design, "latent") ? "" : "--adapter $G/rgba_latent.safetensors", runs[i].sampler,
                  runs[i].steps, runs[i].run));
    st_file *got = tensors(scratch_path(1, "z.safetensors"));
    snprintf(name, sizeof name, "%s.latents", runs[i].run);
    const st_tensor *z = tensor(got, "latents");
    same(name, z, tensor(want, name), (runs[i].steps - 1) * z->count, 1e-4);
    st_close(got);
  }
  /* a released file says nothing of its design: that of the released code is taken */
  good(generate("--model $G/dit_rope_weights.safetensors --config $G/dit_rope_config.json --adapter "
                "$G/rgba_lora.safetensors --embeddings $G/pipeline_rgba.safetensors --sampler dpm --steps 6 --noise "
                "$G/pipeline_rgba.safetensors --noise-run dpm_A_soft --latents z.safetensors"));
  st_file *got = tensors(scratch_path(1, "z.safetensors"));
  const st_tensor *z = tensor(got, "latents");
  same("default design", z, tensor(want, "dpm_A_soft.latents"), 5 * z->count, 1e-4);
  st_close(got);
  bad(generate(
          "--model $G/dit_rope_weights.safetensors --config $G/dit_rope_config.json --embeddings "
          "$G/pipeline_rgba.safetensors --sampler dpm --noise $G/pipeline_rgba.safetensors --latents z.safetensors"),
      2, "--noise-run");
  st_close(want);
}

/* --- a whole folder --- */

/* Decoded frames against the golden formulas: alpha is the maximum, the file holds what was decoded. */
static void check_clip(const char *path, const st_file *f, int halves) {
  err e = {0};
  clip c;
  if (video_read(&e, path, NULL, &c) != OK) fail_msg("%s", e.text);
  const float *rgb = tensor(f, "decoded.rgb")->data, *alpha = halves == 2 ? tensor(f, "decoded.alpha")->data : NULL;
  const int64_t n = clip_voxels(&c);
  assert_int_equal(tensor(f, "decoded.rgb")->count, 3 * n);
  assert_int_equal(c.alpha != NULL, halves == 2);
  assert_int_equal(c.colour, CLIP_DECODED);
  double seen = 0;
  for (int64_t i = 0; i < n; i++) {
    float top = 0;
    for (int k = 0; k < 3; k++) {
      float want = fminf(1, fmaxf(0, rgb[k * n + i] / 2 + .5f));
      if (alpha) top = fmaxf(top, fminf(1, alpha[k * n + i] / 2 + .5f));
      if (!(fabsf(want - c.rgb[3 * i + k]) <= .51f / 255)) fail_msg("pixel %lld", (long long)i);
      seen += (double)want;
    }
    if (alpha && !(fabsf(top - c.alpha[i]) <= .51f / 255)) fail_msg("alpha %lld", (long long)i);
  }
  assert_true(seen > 0);
  clip_free(&c);
}

static void folder(void **state) {
  (void)state;
  good(generate("--model $G/tiny-cogvideox --prompt 'a rainbow' --size 48x64 --frames 9 --steps 3 --seed 5 -o a.mkv "
                "--latents a.safetensors --preview look --preview-every 2 --json"));
  assert_true(file_exists(scratch_path(1, "look/step-0002.png")));
  assert_true(file_exists(scratch_path(1, "look/step-0003.png")));
  assert_false(file_exists(scratch_path(1, "look/step-0001.png")));
  st_file *a = tensors(scratch_path(1, "a.safetensors"));
  check_clip(scratch_path(2, "a.mkv"), a, 1);
  /* the same rows from the golden file give the same clip; another seed another */
  good(
      generate("--model $G/tiny-cogvideox --embeddings $G/tiny-cogvideox_forward.safetensors --size 48x64 --frames 9 "
               "--steps 3 --seed 5 --latents b.safetensors"));
  st_file *b = tensors(scratch_path(1, "b.safetensors"));
  same("golden text", tensor(b, "latents"), tensor(a, "latents"), 0, 1e-4);
  same("its frames", tensor(b, "decoded.rgb"), tensor(a, "decoded.rgb"), 0, 1e-4);
  st_close(b);
  good(
      generate("--model $G/tiny-cogvideox --embeddings $G/tiny-cogvideox_forward.safetensors --size 48x64 --frames 9 "
               "--steps 3 --seed 6 --latents b.safetensors"));
  b = tensors(scratch_path(1, "b.safetensors"));
  assert_memory_not_equal(tensor(b, "latents")->data, tensor(a, "latents")->data, 64);
  st_close(b);
  /* noise from a file: its size is the clip's */
  good(generate("--model $G/tiny-cogvideox --embeddings $G/tiny-cogvideox_forward.safetensors --steps 2 --noise "
                "$G/tiny-cogvideox_forward.safetensors --latents b.safetensors"));
  b = tensors(scratch_path(1, "b.safetensors"));
  assert_int_equal(tensor(b, "decoded.rgb")->count, 3 * 9 * 48 * 64);
  st_close(b);
  st_close(a);
}

static void joint(void **state) {
  (void)state;
  err e = {0};
  clip c, over;
  good(generate(
      "--model $G/tiny-cogvideox --adapter $G/rgba_lora.safetensors --prompt 'a rainbow' --size 48x64 --frames "
      "9 --steps 2 -o a.mkv --latents a.safetensors --composite c.mkv --over '#ff0000' --json"));
  st_file *a = tensors(scratch_path(1, "a.safetensors"));
  check_clip(scratch_path(2, "a.mkv"), a, 2);
  st_close(a);
  assert_int_equal(video_read(&e, scratch_path(2, "a.mkv"), NULL, &c), OK);
  assert_true(c.alpha_chroma_known && c.alpha_chroma > 0);
  assert_int_equal(video_read(&e, scratch_path(2, "c.mkv"), NULL, &over), OK);
  double changed = 0;
  for (int64_t i = 0; i < clip_voxels(&c); i++)
    for (int k = 0; k < 3; k++) {
      float want = c.alpha[i] * c.rgb[3 * i + k] + (1 - c.alpha[i]) * (k == 0);
      if (!(fabsf(want - over.rgb[3 * i + k]) <= 1.6f / 255)) fail_msg("composite %lld", (long long)i);
      changed += fabs((double)(over.rgb[3 * i + k] - c.rgb[3 * i + k]));
    }
  assert_true(changed > 1);
  clip_free(&c);
  clip_free(&over);
  /* pictures: as many as frames, premultiplied here */
  good(generate(
      "--model $G/tiny-cogvideox --adapter $G/rgba_lora.safetensors --prompt 'a rainbow' --size 48x64 --frames "
      "9 --steps 2 -o pictures/ --colour premultiplied"));
  clip p;
  assert_int_equal(video_read(&e, scratch_path(2, "a.mkv"), NULL, &c), OK);
  assert_int_equal(video_read(&e, scratch_path(2, "pictures/%04d.png"), NULL, &p), OK);
  assert_int_equal(p.frames, 9);
  for (int64_t i = 0; i < clip_voxels(&p); i++)
    if (!(fabsf(p.rgb[3 * i] - c.alpha[i] * c.rgb[3 * i]) <= 1.6f / 255))
      fail_msg("picture pixel %lld", (long long)i);
  clip_free(&p);
  clip_free(&c);
  bad(generate("--model $G/tiny-cogvideox --prompt x -o pictures/"), 2, "not empty");
}

/* --- image to video --- */

static void write_image(const char *path, int with_alpha) {
  err e = {0};
  static float rgb[48 * 64 * 3], alpha[48 * 64];
  for (int i = 0; i < 48 * 64; i++) {
    alpha[i] = i % 64 < 32 ? 1 : 0;
    for (int k = 0; k < 3; k++) rgb[3 * i + k] = (float)((i / 64 + k * 7) % 48) / 48;
  }
  if (picture_write(&e, path, 48, 64, rgb, with_alpha ? alpha : NULL) != OK) fail_msg("%s", e.text);
}

static void image(void **state) {
  (void)state;
  const char *const tiny = "tests/golden/tiny-cogvideox", *const i2v = "tests/golden/dit_i2v";
  char command[2048];
  snprintf(
      command, sizeof command,
      "S='%s' && cd '%s' && mkdir i2v && cp -r \"$S/%s/\"* i2v && rm -r i2v/transformer && mkdir i2v/transformer && "
      "cp \"$S/%s_config.json\" i2v/transformer/config.json && "
      "cp \"$S/%s_weights.safetensors\" i2v/transformer/diffusion_pytorch_model.safetensors",
      source(), scratch_path(0, ""), tiny, i2v, i2v);
  assert_int_equal(system(command), 0);
  write_image(scratch_path(1, "plain.png"), 0);
  write_image(scratch_path(2, "cut.png"), 1);
  bad(generate("--model i2v --embeddings $G/pipeline_i2v.safetensors --noise $G/pipeline_i2v.safetensors --steps 4 "
               "--sampler dpm -o no.mkv"),
      2, "--image FILE");
  good(generate("--model i2v --embeddings $G/pipeline_i2v.safetensors --noise $G/pipeline_i2v.safetensors --steps 4 "
                "--sampler dpm --image plain.png -o b.mkv --latents base.safetensors"));
  /* with an adapter that cannot reach RGB the picture stays base's, and the image's alpha moves alpha alone */
  for (int i = 0; i < 2; i++)
    good(generate(
        "--model i2v --embeddings $G/pipeline_i2v.safetensors --steps 4 --seed 3 --sampler ddim --image %s.png "
        "--adapter $G/rgba_lora.safetensors --design no-rgb-to-alpha --size 48x64 --frames 9 -o c.mkv --latents "
        "joint%d.safetensors",
        i ? "cut" : "plain", i));
  good(generate(
      "--model i2v --embeddings $G/pipeline_i2v.safetensors --steps 4 --seed 3 --sampler ddim --image cut.png "
      "--size 48x64 --frames 9 --latents base.safetensors"));
  st_file *base = tensors(scratch_path(1, "base.safetensors")),
          *plain = tensors(scratch_path(2, "joint0.safetensors")),
          *cut = tensors(scratch_path(3, "joint1.safetensors"));
  const st_tensor *b = tensor(base, "latents"), *p = tensor(plain, "latents"), *q = tensor(cut, "latents");
  size_t half = (size_t)b->count * sizeof(float);
  assert_memory_equal(p->data, b->data, half);
  assert_memory_equal(q->data, b->data, half);
  assert_memory_not_equal((const char *)p->data + half, (const char *)q->data + half, half);
  st_close(base);
  st_close(plain);
  st_close(cut);
  bad(generate("--model $G/tiny-cogvideox --prompt x --size 48x64 --frames 9 --image plain.png -o no.mkv"), 2,
      "text-to-video model");
}

/* --- what is refused, and when --- */

static void refusals(void **state) {
  (void)state;
  const char *m = "--model $G/tiny-cogvideox";
  bad(generate("%s -o no.mkv", m), 2, "--prompt TEXT or --embeddings FILE");
  bad(generate("%s --prompt x", m), 2, "nothing would be written");
  bad(generate("%s --prompt x -o no.mp4", m), 2, ".webm (VP9");
  bad(generate("%s --prompt x -o no.mkv --size 48x64 --frames 13", m), 2, "13");
  bad(generate("%s --prompt x -o no.mkv --size 50x64 --frames 9", m), 2, "multiples of 16");
  bad(generate("%s --prompt x -o no.mkv --size 50", m), 2, "HEIGHTxWIDTH");
  bad(generate("%s --prompt x -o no.mkv --design sequence", m), 1, "--adapter FILE");
  bad(generate("%s --prompt x -o no.mkv --composite c.mkv", m), 2, "makes no alpha");
  bad(generate("%s --embeddings $G/pipeline_rgba.safetensors -o no.mkv --size 48x64 --frames 9", m), 1, "wide");
  bad(generate("%s --prompt x -o no.mkv --noise $G/pipeline_rgba.safetensors --noise-run dpm_B --sampler dpm --size "
               "64x64 --frames 9",
               m),
      1, "start noise");
  bad(generate("--model /nowhere --prompt x -o no.mkv"), 1, "/nowhere");
  bad(generate("%s --prompt x -o no.mkv --image nothing.png --size 48x64 --frames 9", m), 2, "text-to-video");
}

/* --- decoded frames to RGBA: the golden file's formulas --- */

static void golden_rgba(void **state) {
  (void)state;
  err e = {0};
  st_file *f = golden_tensors("rgba_video");
  const st_tensor *rgb = tensor(f, "decoded.rgb"), *alpha = tensor(f, "decoded.alpha");
  const int T = (int)rgb->shape[2], H = (int)rgb->shape[3], W = (int)rgb->shape[4];
  const int64_t n = (int64_t)T * H * W;
  const float *want[4] = {tensor(f, "rgb")->data, tensor(f, "alpha")->data, tensor(f, "premultiplied")->data,
                          tensor(f, "composite")->data};
  const uint8_t *u8 = tensor(f, "rgb_u8")->data;
  clip c;
  matte_spread spread;
  const decoded d = {T, H, W, rgb->data, alpha->data};
  if (deliver_clip(&e, &d, 8, &c, &spread) != OK) fail_msg("%s", e.text);
  float *over = calloc((size_t)(3 * n), sizeof *over);
  double seen[4] = {0};
  assert_non_null(over);
  if (composite_over(&e, &c, tensor(f, "background")->data, over) != OK) fail_msg("%s", e.text);
  for (int64_t i = 0; i < n; i++) {
    for (int k = 0; k < 3; k++) {
      if (!(fabsf(c.rgb[3 * i + k] - want[0][k * n + i]) <= 2e-5f)) fail_msg("rgb %lld", (long long)i);
      if (!(fabsf(over[3 * i + k] - want[3][k * n + i]) <= 2e-5f)) fail_msg("composite %lld", (long long)i);
      seen[0] += (double)want[0][k * n + i], seen[3] += (double)want[3][k * n + i];
    }
    if (!(fabsf(c.alpha[i] - want[1][i]) <= 2e-5f)) fail_msg("alpha %lld", (long long)i);
    seen[1] += (double)want[1][i];
  }
  assert_int_equal(deliver_colour_as(&e, &c, DELIVER_PREMULTIPLIED), OK);
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < 3; k++) {
      float p = c.rgb[3 * i + k];
      if (!(fabsf(p - want[2][k * n + i]) <= 2e-5f)) fail_msg("premultiplied %lld", (long long)i);
      if (abs((int)(p * 255) - (int)u8[k * n + i]) > 1) fail_msg("bytes %lld", (long long)i);
      seen[2] += (double)p;
    }
  for (int k = 0; k < 4; k++) assert_true(seen[k] > 1);
  assert_true(spread.mean > 0 && spread.most >= spread.mean && spread.least <= spread.mean && spread.most <= 1);
  free(over);
  clip_free(&c);
  st_close(f);
}

static int open_scratch(void **state) {
  (void)state;
  return scratch_open() ? 0 : -1;
}

static int close_scratch(void **state) {
  (void)state;
  free(said);
  scratch_close();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(golden_rgba), cmocka_unit_test(pipeline_rgba),
                                     cmocka_unit_test(folder),      cmocka_unit_test(joint),
                                     cmocka_unit_test(image),       cmocka_unit_test(refusals)};
  return cmocka_run_group_tests(tests, open_scratch, close_scratch);
}
