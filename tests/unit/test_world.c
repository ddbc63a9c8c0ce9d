/* The procedural world and the word rows against the numpy prototype (numbers printed by it, spec default-study 3,
 * 14), and the block transform's quality on the world's clips. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "media/world.h"
#include "model/words.h"

#define PIXELS (WORLD_FRAMES * WORLD_SIDE * WORLD_SIDE)

static void need(int rc, const err *e) {
  if (rc != OK) fail_msg("%s", e->text);
}

static void near(double got, double want, double tol) {
  if (!(fabs(got - want) <= tol)) fail_msg("got %.9g, want %.9g", got, want);
}

static world_dist dist_of(const char *name) {
  err e = {0};
  world_dist d;
  need(world_dist_find(&e, name, &d), &e);
  return d;
}

static clip clip_of(const char *dist, uint64_t seed, int64_t i) {
  err e = {0};
  world_dist d = dist_of(dist);
  world_attributes a = world_attrs(seed, i, &d);
  clip c;
  need(world_render(&e, &a, &c), &e);
  return c;
}

static void uniform_numbers(void **state) {
  (void)state;
  near(words_uniform(0, 0, 0), 0.13870936632156372, 0);
  near(words_uniform(1, 0, 5), 0.059537410736083984, 0);
  near(words_uniform(101, 7, 18), 0.26275128126144409, 0);
  near(words_uniform(4294968295u, 63, 1), 0.94446158409118652, 0);
}

static double total(const float *row) {
  double sum = 0;
  for (int i = 0; i < WORDS_DIM; i++) sum += (double)row[i];
  return sum;
}

static void word_rows(void **state) {
  (void)state;
  err e = {0};
  float rows[WORDS_ROWS][WORDS_DIM];
  float *all = &rows[0][0];
  for (int i = 0; i < WORDS_ROWS * WORDS_DIM; i++) all[i] = NAN;
  need(words_rows(&e, "  Red\tumbrella ", WORDS_ROWS, WORDS_DIM, all), &e);
  near((double)rows[0][0], 0.233427089, 1e-6);
  near((double)rows[0][1], -1.63096707, 1e-6);
  near((double)rows[0][63], -1.24649475, 1e-6);
  near(total(rows[0]), 7.89211306, 1e-5);
  near(total(rows[1]), 10.9292123, 1e-5);
  for (int i = 2; i < WORDS_ROWS; i++) near(total(rows[i]), -4.05256591, 1e-5);

  float empty[WORDS_ROWS][WORDS_DIM], seven[WORDS_ROWS][WORDS_DIM], six[WORDS_ROWS][WORDS_DIM];
  need(words_rows(&e, "", WORDS_ROWS, WORDS_DIM, empty[0]), &e);
  for (int i = 0; i < WORDS_ROWS; i++) assert_memory_equal(empty[i], rows[5], sizeof empty[i]);
  need(words_rows(&e, "a b c d e f g", WORDS_ROWS, WORDS_DIM, seven[0]), &e);
  need(words_rows(&e, "a b c d e f", WORDS_ROWS, WORDS_DIM, six[0]), &e);
  assert_memory_equal(seven, six, sizeof six);
  assert_int_equal(words_rows(&e, "a", 0, WORDS_DIM, six[0]), E_ARG);
}

static void attributes(void **state) {
  (void)state;
  world_dist base = dist_of("base"), narrow = dist_of("narrow"), broad = dist_of("broad");
  world_attributes a = world_attrs(1, 2, &base);
  char caption[WORLD_CAPTION];
  world_caption(&a.labels, caption);
  assert_string_equal(caption, "glass magenta circle up ramp");
  near(a.x, 30.5643132, 1e-6);
  near(a.y, 24.1431817, 1e-6);
  near(a.radius, 9.21065533, 1e-6);
  near(a.speed, 2.43606863, 1e-6);
  near(a.grey, 0.709633857, 1e-6);
  near(a.phase, 0.211031675, 1e-6);
  near(a.period, 26.4190578, 1e-5);
  assert_int_equal(a.direction, 1);
  near(a.drift, 1.3880479, 1e-6);
  near(a.texture_x, -0.881461382, 1e-6);
  near(a.texture_phase, 0.0931338072, 1e-6);
  a = world_attrs(2, 3, &narrow);
  world_caption(&a.labels, caption);
  assert_string_equal(caption, "soft blue square left plain");
  near(a.drift, 0.263578105, 1e-6);
  a = world_attrs(2, 2, &broad);
  world_caption(&a.labels, caption);
  assert_string_equal(caption, "glass yellow square right ramp");
  near(a.speed, 3.12122444, 1e-6);
  broad.centred = 1;
  near(world_attrs(2, 2, &broad).radius, 1.5 * (5.5 + 3.5 * words_uniform(2, 2, 8)), 1e-12);

  err e = {0};
  world_dist none;
  assert_int_equal(world_dist_find(&e, "wide", &none), E_CONFIG);
  assert_non_null(strstr(e.text, "narrow"));
}

static void rendering(void **state) {
  (void)state;
  /* distribution, seed, clip, rgb and alpha at frame 2 row 20 column 30, mean rgb, mean alpha, mean alpha of frame 7
   */
  static const struct {
    const char *dist;
    uint64_t seed;
    int64_t i;
    double at[4], mean, alpha, last;
  } want[] = {
      {"base", 1, 0, {.7439662, .7439662, .7439662, 0}, .7776460, .1528315, .1529173},
      {"base", 1, 2, {.7928041, .3928041, .7928041, .5}, .7085005, .0579154, .0578564},
      {"base", 1, 5, {.4246285, .4246285, .4246285, 0}, .5940288, .1308358, .2325128},
      {"base", 1, 6, {.7217104, .1945353, .1945353, .6589689}, .4290775, .0710591, .0710952},
      {"base", 1, 7, {.2795132, .2795132, .2795132, 0}, .4138030, .1142932, .1142932},
      {"narrow", 2, 1, {.1698836, .1698836, .7109700, .6763580}, .1334268, .1029250, .1029250},
      {"narrow", 2, 4, {.5966514, .3851123, .3851123, .2644238}, .4906713, .0715130, .0716322},
  };
  for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
    clip c = clip_of(want[k].dist, want[k].seed, want[k].i);
    assert_int_equal(c.frames * c.height * c.width, PIXELS);
    assert_int_equal(c.colour, CLIP_DECODED);
    near(c.fps, 8, 0);
    int at = (2 * WORLD_SIDE + 20) * WORLD_SIDE + 30;
    for (int ch = 0; ch < 3; ch++) near((double)c.rgb[3 * at + ch], want[k].at[ch], 3e-6);
    near((double)c.alpha[at], want[k].at[3], 3e-6);
    double rgb = 0, alpha = 0, last = 0;
    for (int i = 0; i < 3 * PIXELS; i++) rgb += (double)c.rgb[i];
    for (int i = 0; i < PIXELS; i++) alpha += (double)c.alpha[i];
    for (int i = PIXELS * 7 / 8; i < PIXELS; i++) last += (double)c.alpha[i];
    near(rgb / (3 * PIXELS), want[k].mean, 1e-6);
    near(alpha / PIXELS, want[k].alpha, 1e-6);
    near(last * 8 / PIXELS, want[k].last, 1e-6);
    clip_free(&c);
  }
}

static void mattes(void **state) {
  (void)state;
  float m[PIXELS];
  int checked = 0;
  world_dist base = dist_of("base");
  for (int64_t i = 0; i < 24; i++) {
    int white = world_attrs(1, i, &base).labels.colour == WORLD_WHITE;
    clip c = clip_of("base", 1, i);
    for (int k = 0; k < PIXELS; k++) m[k] = NAN;
    world_matte_exact(&c, m);
    for (int k = 0; k < PIXELS; k++) near((double)m[k], white ? 0 : (double)c.alpha[k], white ? 2e-6 : 1e-6);
    world_matte(&c, m);
    for (int k = 0; k < PIXELS && !white; k++) near((double)m[k], fmax(0, ((double)c.alpha[k] - .1) / .9), 2e-6);
    checked += !white;
    clip_free(&c);
  }
  assert_true(checked > 15);
}

static void captions(void **state) {
  (void)state;
  err e = {0};
  world_dist base = dist_of("base");
  for (int64_t i = 0; i < 200; i++) {
    world_labels l = world_attrs(5, i, &base).labels, back;
    char caption[WORLD_CAPTION];
    world_caption(&l, caption);
    need(world_parse_caption(&e, caption, &back), &e);
    assert_memory_equal(&l, &back, sizeof l);
  }
  world_labels l;
  need(world_parse_caption(&e, "  Soft RED ring  grow ramp ", &l), &e);
  assert_int_equal(l.shape, WORLD_RING);
  static const char *const wrong[] = {"",
                                      "solid",
                                      "solid red circle left",
                                      "solid red circle left plain plain",
                                      "solid redd circle left plain",
                                      "red solid circle left plain"};
  for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
    err_clear(&e);
    assert_int_equal(world_parse_caption(&e, wrong[k], &l), E_FORMAT);
  }
  assert_non_null(strstr(e.text, "word 1 is not a material"));
}

static void prompts(void **state) {
  (void)state;
  err e = {0};
  world_prompt p[WORLD_PROMPTS];
  need(world_prompts(&e, p), &e);
  assert_string_equal(p[0].caption, "soft green square right plain");
  assert_string_equal(p[11].caption, "soft green square still plain");
  assert_string_equal(p[12].caption, "glass yellow square up stripes");
  assert_string_equal(p[20].caption, "solid cyan circle up ramp");
  assert_string_equal(p[31].caption, "solid cyan ring grow plain");
  for (int i = 0; i < WORLD_PROMPTS; i++) {
    assert_int_equal(p[i].in_domain, i < 12);
    for (int k = 0; k < i; k++) assert_string_not_equal(p[i].caption, p[k].caption);
  }
}

static double mse(const float *a, const float *b, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
  return sum / n;
}

static void vae_path(char *to, size_t n) {
  const char *root = getenv("TANDEM_SOURCE");
  snprintf(to, n, "%s/configs/models/tiny-vae.json", root ? root : ".");
}

/* The committed scales are what world_fit_vae gives, and what the prototype printed. */
static void scales(void **state) {
  (void)state;
  static const double want[BLOCK_VAE_CHANNELS] = {
      7.78797,  1.46761,  1.39674,  0.39175,  0.479939, 0.468652, 0.204237, 0.200214, 0.16127,  0.172661,
      0.624739, 0.373323, 0.332507, 0.176413, 0.188565, 0.167829, 2.03474,  0.659141, 0.673033, 0.290445,
      0.260697, 0.262688, 0.146072, 0.136239, 0.275066, 0.188945, 0.175607, 0.126922, 2.02297,  0.659599,
      0.669692, 0.287086, 0.254605, 0.263668, 0.144481, 0.134566, 0.273219, 0.182967, 0.176596, 0.123383};
  err e = {0};
  char path[1024];
  vae_path(path, sizeof path);
  static block_vae fitted, stored;
  need(world_fit_vae(&e, &fitted), &e);
  need(block_vae_load(&e, path, &stored), &e);
  for (int k = 0; k < BLOCK_VAE_CHANNELS; k++) {
    near(fitted.scale[k], want[k], 1e-5 * want[k]);
    near(stored.scale[k], fitted.scale[k], 1e-9 * want[k]);
  }
}

static void quality(void **state) {
  (void)state;
  err e = {0};
  char path[1024];
  vae_path(path, sizeof path);
  static block_vae v;
  need(block_vae_load(&e, path, &v), &e);
  int64_t n;
  need(block_vae_count(&e, WORLD_FRAMES, WORLD_SIDE, WORLD_SIDE, &n), &e);
  float *rgb = malloc((size_t)n * sizeof *rgb), *alpha = malloc((size_t)n * sizeof *alpha);
  double rgb_mse = 0, alpha_mse = 0, power = 0;
  const int clips = 64;
  for (int i = 0; i < clips; i++) {
    clip c = clip_of("base", 7, i), back;
    need(block_vae_encode(&e, &v, &c, BLOCK_VAE_RGB, rgb), &e);
    need(block_vae_encode(&e, &v, &c, BLOCK_VAE_ALPHA, alpha), &e);
    need(clip_new(&e, WORLD_FRAMES, WORLD_SIDE, WORLD_SIDE, 1, &back), &e);
    for (int k = 0; k < 3 * PIXELS; k++) back.rgb[k] = NAN;
    for (int k = 0; k < PIXELS; k++) back.alpha[k] = NAN;
    need(block_vae_decode(&e, &v, rgb, alpha, &back), &e);
    rgb_mse += mse(c.rgb, back.rgb, 3 * PIXELS) / clips;
    alpha_mse += mse(c.alpha, back.alpha, PIXELS) / clips;
    for (int64_t k = 0; k < n; k++) power += (double)rgb[k] * (double)rgb[k] / (double)n / clips;
    clip_free(&c);
    clip_free(&back);
  }
  free(rgb);
  free(alpha);
  print_message("rgb %.2f dB, alpha %.2f dB, latent power %.3f\n", -10 * log10(rgb_mse), -10 * log10(alpha_mse),
                power);
  assert_true(-10 * log10(rgb_mse) >= 33);
  assert_true(-10 * log10(alpha_mse) >= 27.5);
  assert_true(power > .8 && power < 1.2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(uniform_numbers), cmocka_unit_test(word_rows), cmocka_unit_test(attributes),
      cmocka_unit_test(rendering),       cmocka_unit_test(mattes),    cmocka_unit_test(captions),
      cmocka_unit_test(prompts),         cmocka_unit_test(scales),    cmocka_unit_test(quality),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
