/* The VAE: parity (vae_cases.h), what its config and its tensors must be, bits, cost, stopping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "vae_cases.h"

/* --- config --- */

static int read_text(const char *s, vae_config *out, err *e) {
  json *j = NULL;
  *e = (err){0};
  assert_int_equal(json_parse(e, "c.json", s, strlen(s), &j), OK);
  int rc = vae_config_read(e, j, "c.json", out);
  json_free(j);
  return rc;
}

static void test_config(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int code;
    const char *says;
  } bad[] = {
      {"[]", E_CONFIG, "not a JSON object"},
      {"{\"block_out_channels\": []}", E_CONFIG, "c.json:1:2: 'block_out_channels' must be a list of 1 to 8"},
      {"{\"block_out_channels\": [8, 0]}", E_CONFIG, "a width in 'block_out_channels'"},
      {"{\"block_out_channels\": [8, \"x\"]}", E_CONFIG, "a width in 'block_out_channels'"},
      {"{\"block_out_channels\": [33, 64, 64]}", E_CONFIG, "33 channels do not divide into 'norm_num_groups' 32"},
      {"{\"norm_num_groups\": 0}", E_CONFIG, "'norm_num_groups' must be an integer in 1..8192"},
      {"{\"latent_channels\": 1e9}", E_CONFIG, "'latent_channels' must be an integer"},
      {"{\"layers_per_block\": -1}", E_CONFIG, "'layers_per_block' must be an integer in 1..64"},
      {"{\"temporal_compression_ratio\": 3}", E_CONFIG, "'temporal_compression_ratio' 3 is no power of two"},
      {"{\"temporal_compression_ratio\": 16}", E_CONFIG, "16 needs more than 4 blocks"},
      {"{\"norm_eps\": -1}", E_CONFIG, "'norm_eps' must be a positive number"},
      {"{\"scaling_factor\": \"0.7\"}", E_CONFIG, "'scaling_factor' must be a positive number"},
      {"{\"use_quant_conv\": 1}", E_CONFIG, "'use_quant_conv' must be true or false"},
      {"{\"use_quant_conv\": true}", E_CONFIG, "quant convolutions need 'latent_channels' (16)"},
      {"{\"act_fn\": \"gelu\"}", E_UNSUPPORTED, "'act_fn' other than silu"},
      {"{\"_class_name\": \"AutoencoderKL\"}", E_UNSUPPORTED, "'_class_name' is not AutoencoderKLCogVideoX"},
      {"{\"shift_factor\": 0.5}", E_UNSUPPORTED, "'shift_factor' is set"},
      {"{\"latents_mean\": [1]}", E_UNSUPPORTED, "'latents_mean' is set"},
      {"{\"down_block_types\": [\"CogVideoXDownBlock3D\"]}", E_CONFIG, "'down_block_types' must list as many"},
      {"{\"block_out_channels\": [32], \"temporal_compression_ratio\": 1, \"up_block_types\": [\"Up\"]}",
       E_UNSUPPORTED, "block types other than CogVideoXUpBlock3D"}};
  vae_config c;
  err e;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    int rc = read_text(bad[i].text, &c, &e);
    if (rc != bad[i].code || !strstr(e.text, bad[i].says)) fail_msg("%s: status %d, %s", bad[i].text, rc, e.text);
  }
  assert_int_equal(read_text("{}", &c, &e), OK);
  assert_int_equal(vae_scale(&c), 8);
  assert_int_equal(c.time_halvings, 2);
  assert_true(c.scaling_factor == 1.15258426 && vae_image_factor(&c) == 1.15258426);
  assert_int_equal(read_text("{\"scaling_factor\": 0.7, \"invert_scale_latents\": true}", &c, &e), OK);
  assert_true(vae_image_factor(&c) == 1 / 0.7);
}

/* --- frames and tiles --- */

static void test_frames(void **state) {
  (void)state;
  static const int64_t pairs[][3] = {/* frames, latents, decoded */
                                     {1, 1, 1},   {5, 2, 8},    {8, 2, 8},    {9, 3, 9},    {13, 4, 16},  {17, 5, 17},
                                     {33, 9, 33}, {37, 10, 40}, {49, 13, 49}, {64, 16, 64}, {81, 21, 81}, {0, 0, 0}};
  vae_config c;
  err e;
  assert_int_equal(read_text("{}", &c, &e), OK);
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    assert_int_equal(vae_latent_frames(&c, pairs[i][0]), pairs[i][1]);
    assert_int_equal(vae_pixel_frames(&c, pairs[i][1]), pairs[i][2]);
  }
  for (int64_t n = 8; n < 200; n++) {
    e = (err){0};
    assert_int_equal(vae_check_frames(&e, &c, n), n % 8 < 2 ? OK : E_ARG);
  }
  e = (err){0};
  assert_int_equal(vae_check_frames(&e, &c, 13), E_ARG);
  assert_non_null(strstr(e.text, "13 frames become 4 latent frames, which decode to 16"));
  assert_non_null(strstr(e.text, "8k + 1"));
  assert_non_null(strstr(e.text, "take 9 or 16"));
  e = (err){0};
  assert_int_equal(vae_check_frames(&e, &c, 0), E_ARG);
}

static void test_tiles(void **state) {
  (void)state;
  vae_config c;
  err e;
  assert_int_equal(read_text("{}", &c, &e), OK);
  vae_tile auto_ = vae_tile_default(&c);
  assert_true(auto_.height == 240 && auto_.width == 360);
  static const int good[][2] = {{0, 0}, {48, 40}, {240, 360}, {96, 40}, {480, 720}};
  static const int bad[][2] = {{32, 48}, {48, 48}, {40, 40}, {8, 8}, {48, 0}, {0, 40}, {47, 40}, {-48, 40}};
  for (int i = 0; i < 5; i++) assert_int_equal(vae_tile_check(&e, &c, (vae_tile){good[i][0], good[i][1]}), OK);
  for (int i = 0; i < 8; i++) {
    e = (err){0};
    assert_int_equal(vae_tile_check(&e, &c, (vae_tile){bad[i][0], bad[i][1]}), E_ARG);
    assert_non_null(strstr(e.text, "multiple of 48 for the height and of 40 for the width"));
  }
}

/* --- tensors --- */

static void test_counts(void **state) {
  (void)state;
  vae_config cfg;
  ctx c;
  vae v, one;
  err e;
  assert_int_equal(read_text("{}", &cfg, &e), OK);
  assert_int_equal(ctx_open(&c, &(ctx_options){.backend = "null"}), OK);
  must(&c, vae_open(&c, &cfg, VAE_ENCODER | VAE_DECODER, &v));
  assert_int_equal(v.n_params, 436);
  assert_int_equal(v.n_file_reals, 215583907);
  must(&c, vae_open(&c, &cfg, VAE_DECODER, &one));
  assert_int_equal(one.n_params, 436);
  assert_true(one.n_reals < v.n_reals * 2 / 3);
  vae_close(&c, &one);
  vae_close(&c, &v);
  ctx_close(&c);
}

/* A copy of the golden weights: `without` is left out, `odd` has another shape, `more` is added. */
static st_file *odd_weights(const char *without, const char *odd, const char *more, const char *path) {
  err e = {0};
  st_writer *w = NULL;
  st_file *f = golden_tensors("vae_weights"), *out = NULL;
  assert_int_equal(st_writer_open(&e, &w), OK);
  for (int64_t i = 0; i < st_count(f); i++) {
    const st_tensor *t = st_at(f, i);
    int64_t flat[1] = {t->count};
    if (without && !strcmp(t->name, without)) continue;
    int is_odd = odd && !strcmp(t->name, odd);
    assert_int_equal(st_writer_add(w, &e, t->name, t->type, is_odd ? 1 : t->rank, is_odd ? flat : t->shape, t->data),
                     OK);
  }
  if (more) assert_int_equal(st_writer_add(w, &e, more, DT_F32, 1, (int64_t[]){1}, &(float){1}), OK);
  assert_int_equal(st_writer_save(w, &e, path), OK);
  st_writer_close(w);
  st_close(f);
  assert_int_equal(st_open(&e, path, &out), OK);
  return out;
}

static void test_bad_weights(void **state) {
  (void)state;
  vae_bench b;
  char path[256];
  vae_golden(&b, 1);
  snprintf(path, sizeof path, "%s/tandem-vae-odd.safetensors", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  st_file *f = odd_weights("decoder.up_blocks.1.resnets.0.conv_shortcut.weight", "encoder.conv_in.conv.weight",
                           "decoder.extra", path);
  assert_int_equal(vae_load(&b.c, &b.v, (const st_file *const[]){f}, 1), E_SHAPE);
  assert_non_null(strstr(b.c.err.text, "tensors do not fit the model: 1 missing, 1 misshapen, 1 extra"));
  assert_non_null(strstr(b.c.err.text, "decoder.up_blocks.1.resnets.0.conv_shortcut.weight: want [16,24,1,1,1]"));
  assert_non_null(strstr(b.c.err.text, "encoder.conv_in.conv.weight: want [8,3,3,3,3], file has F32 [648]"));
  assert_non_null(strstr(b.c.err.text, "decoder.extra: the model has no such tensor"));
  remove(path);
  st_close(f);
  vae_end(&b);
}

/* --- bits, parts, cost --- */

static void test_bits(void **state) {
  (void)state;
  vae_shape s, out;
  const vae_options o = {.tile = {48, 40}};
  st_file *g = golden_tensors("vae_tiled");
  real *first[2] = {NULL, NULL};
  for (int threads = 1; threads <= 3; threads++) {
    vae_bench b;
    vae_golden(&b, threads);
    real *z = cropped(st_find(g, "in.latents"), (crop){0}, &s), *frames = decoded(&b, &o, &s, z, &out);
    const int64_t n = pixels(&out) * 3;
    real *clip = cropped(st_find(g, "in.clip"), (crop){0}, &s), *moments = encoded(&b, &o, &s, clip, &out);
    const int64_t m = pixels(&out) * 32;
    if (threads == 1) {
      first[0] = frames;
      first[1] = moments;
    } else {
      assert_memory_equal(frames, first[0], (size_t)n * sizeof(real));
      assert_memory_equal(moments, first[1], (size_t)m * sizeof(real));
      free(frames);
      free(moments);
    }
    free(z);
    free(clip);
    vae_end(&b);
  }
  free(first[0]);
  free(first[1]);
  st_close(g);
}

/* A sample's bits do not depend on the other samples. The first chunk decides its frames alone: others may change. */
static void test_independence(void **state) {
  (void)state;
  vae_bench b;
  vae_shape s, out;
  vae_golden(&b, 2);
  st_file *g = golden_tensors("vae");
  real *z = cropped(st_find(g, "in.latents"), (crop){0}, &s), *one = decoded(&b, &plain_options, &s, z, &out);
  const int64_t n = pixels(&s) * 16, m = pixels(&out) * 3, plane = out.height * out.width;
  real *two = nans(2 * n);
  for (int64_t i = 0; i < n; i++) two[n + i] = z[i], two[i] = -z[i];
  vae_shape pair = s, pair_out;
  pair.batch = 2;
  real *both = decoded(&b, &plain_options, &pair, two, &pair_out);
  assert_memory_equal(both + m, one, (size_t)m * sizeof(real));
  assert_true(memcmp(both, one, (size_t)m * sizeof(real)) != 0);
  /* 5 latents: chunks of 3 and 2; the last latent changes */
  for (int64_t c = 0; c < 16; c++) z[(c * 5 + 4) * s.height * s.width] += R(1.0);
  real *later = decoded(&b, &plain_options, &s, z, &out);
  for (int64_t c = 0; c < 3; c++) {
    assert_memory_equal(later + c * 17 * plane, one + c * 17 * plane, (size_t)(9 * plane) * sizeof(real));
    assert_true(memcmp(later + (c * 17 + 9) * plane, one + (c * 17 + 9) * plane, (size_t)plane * sizeof(real)) != 0);
  }
  free(z), free(one), free(two), free(both), free(later);
  st_close(g);
  vae_end(&b);
}

static void test_cost(void **state) {
  (void)state;
  vae_config c;
  vae_cost whole, tiled, more;
  err e = {0};
  const vae_options plain = {.tile = {0, 0}}, tiles = {.tile = {240, 360}};
  const vae_shape s = {1, 13, 60, 90}, longer = {1, 25, 60, 90};
  assert_int_equal(read_text("{}", &c, &e), OK);
  assert_int_equal(vae_measure(&e, &c, VAE_DECODER, &plain, &s, &whole), OK);
  assert_int_equal(vae_measure(&e, &c, VAE_DECODER, &tiles, &s, &tiled), OK);
  assert_int_equal(vae_measure(&e, &c, VAE_DECODER, &tiles, &longer, &more), OK);
  assert_int_equal(whole.tiles, 1);
  assert_int_equal(tiled.tiles, 9);
  assert_int_equal(tiled.chunks, 6);
  assert_int_equal(whole.output, 49 * 3 * 480 * 720 * (int64_t)sizeof(float));
  assert_true(tiled.flops > whole.flops && tiled.conv_flops > 0.95 * tiled.flops);
  /* the 128-wide convolutions at full size alone: 4 blocks of 2, the first from 256 channels */
  assert_true(whole.conv_flops > 2.0 * 27 * 128 * (256 + 7 * 128) * 49 * 480 * 720);
  /* tiles bound the memory; with more frames only the tile kept for blending grows */
  assert_true(tiled.work < (int64_t)4 << 30 && whole.work > 3 * tiled.work);
  assert_true(more.work - tiled.work < (int64_t)200 << 20);
  assert_int_equal(vae_measure(&e, &c, VAE_DECODER, &plain, &(vae_shape){1, 0, 60, 90}, &more), E_SHAPE);
}

/* Progress counts the work that the plan foretold, and a caller can end it anywhere. */
typedef struct calls {
  int n, stop_at;
  double last;
} calls;

static int count_ticks(void *user, const vae_tick *t) {
  calls *k = user;
  assert_true(t->done >= k->last && t->done <= t->total * (1 + 1e-12));
  k->last = t->done;
  return ++k->n == k->stop_at;
}

static void test_progress(void **state) {
  (void)state;
  vae_bench b;
  vae_shape s, out;
  vae_golden(&b, 2);
  st_file *g = golden_tensors("vae_tiled");
  calls all = {0}, some = {.stop_at = 7};
  vae_options o = {.tile = {48, 40}, .tick = count_ticks, .user = &all};
  real *z = cropped(st_find(g, "in.latents"), (crop){0}, &s);
  free(decoded(&b, &o, &s, z, &out));
  vae_cost cost;
  must(&b.c, vae_measure(&b.c.err, &b.v.cfg, VAE_DECODER, &o, &s, &cost));
  assert_true(fabs(all.last - cost.flops) <= 1e-9 * cost.flops);
  o.user = &some;
  real *frames = nans(pixels(&out) * 3);
  assert_int_equal(vae_decode(&b.c, &b.v, &o, &s, z, frames), E_INTERRUPTED);
  assert_int_equal(some.n, 7);
  err_clear(&b.c.err);
  free(frames);
  free(z);
  st_close(g);
  vae_end(&b);
}

static void test_refusals(void **state) {
  (void)state;
  vae_bench b;
  vae v;
  vae_shape out;
  err e = {0};
  real x[1] = {0};
  vae_golden(&b, 1);
  assert_int_equal(vae_encoded_shape(&e, &b.v.cfg, &plain_options, &(vae_shape){1, 9, 7, 16}, &out), E_SHAPE);
  assert_non_null(strstr(e.text, "height 7 is less than the 8 pixels of one latent"));
  e = (err){0};
  const vae_options tiles = {.tile = {48, 40}};
  assert_int_equal(vae_encoded_shape(&e, &b.v.cfg, &tiles, &(vae_shape){1, 9, 83, 64}, &out), E_SHAPE);
  assert_non_null(strstr(e.text, "height 83 leaves a last tile of less than the 8 pixels"));
  e = (err){0};
  assert_int_equal(vae_decoded_shape(&e, &b.v.cfg, &plain_options, &(vae_shape){1, 1, 8193, 1}, &out), E_SHAPE);
  e = (err){0};
  assert_int_equal(vae_decoded_shape(&e, &b.v.cfg, &plain_options, &(vae_shape){1, 60000, 8000, 8000}, &out),
                   E_SHAPE);
  assert_non_null(strstr(e.text, "more than any machine holds"));
  must(&b.c, vae_open(&b.c, &b.v.cfg, VAE_ENCODER, &v));
  assert_int_equal(vae_decode(&b.c, &v, &plain_options, &(vae_shape){1, 1, 1, 1}, x, x), E_ARG);
  err_clear(&b.c.err);
  vae_close(&b.c, &v);
  vae_end(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {VAE_GOLDEN_CASES,
                                     cmocka_unit_test(test_config),
                                     cmocka_unit_test(test_frames),
                                     cmocka_unit_test(test_tiles),
                                     cmocka_unit_test(test_counts),
                                     cmocka_unit_test(test_bad_weights),
                                     cmocka_unit_test(test_bits),
                                     cmocka_unit_test(test_independence),
                                     cmocka_unit_test(test_cost),
                                     cmocka_unit_test(test_progress),
                                     cmocka_unit_test(test_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
