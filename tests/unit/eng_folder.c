/* Model folders: the tiny one of the goldens, real-size ones without weights, and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "golden.h"
#include "model/folder.h"
#include "model/params.h"
#include "model/t5.h"
#include "model/vae.h"
#include "scratch.h"
#include "sparse_model.h"
#include "variants/variant.h"

static void good(int rc, const err *e) {
  if (rc != OK) fail_msg("%s", e->text);
}

static void refused(int rc, err *e, int code, const char *const *words) {
  if (rc != code) fail_msg("%s, not %s: %s", err_name(rc), err_name(code), e->text);
  for (; *words; words++)
    if (!strstr(e->text, *words)) fail_msg("does not say '%s': %s", *words, e->text);
  err_clear(e);
}
#define SAYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int64_t bytes_of(const st_file *f) {
  int64_t n = 0;
  for (int64_t i = 0; i < st_count(f); i++) n += st_at(f, i)->count * dtype_size(st_at(f, i)->type);
  return n;
}

/* --- the tiny folder ------------------------------------------------------------------------------------------- */

static void test_parts(void **state) {
  (void)state;
  err e = {0};
  char *class = NULL, tiny[1100];
  text t = {0};
  snprintf(tiny, sizeof tiny, "%s", golden_path("tiny-cogvideox"));
  assert_true(folder_is_pipeline(tiny));
  good(folder_class(&e, tiny, PART_VAE, &class), &e);
  assert_string_equal(class, "AutoencoderKLCogVideoX");
  free(class);
  good(folder_file(&e, tiny, PART_TOKENIZER, "spiece.model", &t), &e);
  assert_true(file_exists(t.p));
  refused(folder_file(&e, tiny, PART_TOKENIZER, "nothing", &t), &e, E_IO, SAYS("tokenizer/nothing", "no such file"));
  text_free(&t);
}

/* A file, an index, a part's folder and the pipeline's folder are the same tensors, mapped or read. */
static void test_same_tensors(void **state) {
  (void)state;
  err e = {0};
  static const char *const paths[] = {"tiny-cogvideox", "tiny-cogvideox/transformer",
                                      "tiny-cogvideox/transformer/diffusion_pytorch_model.safetensors.index.json"};
  uint64_t first = 0;
  for (int i = 0; i < 6; i++) {
    st_file *f;
    uint64_t sum = 0;
    good(weights_open(&e, golden_path(paths[i / 2]), PART_TRANSFORMER, i % 2 ? ST_READ : ST_MAP, &f), &e);
    assert_int_equal(st_count(f), 64);
    for (int64_t k = 0; k < st_count(f); k++) {
      const st_tensor *t = st_at(f, k);
      real *x = malloc((size_t)t->count * sizeof *x);
      assert_non_null(x);
      assert_true((t->data == NULL) == (i % 2));
      good(st_read_real(&e, t, x), &e);
      for (int64_t j = 0; j < t->count; j++) {
        union {
          real f;
          uint32_t u;
        } v = {.f = x[j]};
        sum = sum * 31 + v.u;
      }
      free(x);
    }
    assert_int_equal(st_bytes_read(f), bytes_of(f));
    if (!first) first = sum;
    assert_true(sum && sum == first);
    st_close(f);
  }
}

/* Loading reads every byte of the weights once. */
static void test_read_once(void **state) {
  (void)state;
  ctx c;
  err *e = &c.err;
  json *j;
  text name = {0};
  dit_config cfg;
  dit m;
  st_file *f;
  good(ctx_open(&c, &(ctx_options){.backend = "cpu", .threads = 1}), e);
  good(folder_config(e, golden_path("tiny-cogvideox"), PART_TRANSFORMER, &j, &name), e);
  good(dit_config_read(e, j, name.p, &cfg), e);
  good(weights_open(e, golden_path("tiny-cogvideox"), PART_TRANSFORMER, ST_READ, &f), e);
  good(dit_check(e, &cfg, name.p, f), e);
  assert_int_equal(st_bytes_read(f), 0); /* checks look at headers alone */
  good(dit_open(&c, &cfg, 0, &m), e);
  good(dit_load(&c, &m, f), e);
  assert_int_equal(st_bytes_read(f), bytes_of(f));
  dit_close(&c, &m);
  st_close(f);
  ctx_close(&c);
  json_free(j);
  text_free(&name);
}

/* --- real sizes ------------------------------------------------------------------------------------------------ */

static int64_t params_of(const st_file *f) {
  int64_t n = 0;
  for (int64_t i = 0; i < st_count(f); i++) n += st_at(f, i)->count;
  return n;
}

static void count_transformer(sparse_kind kind, int64_t tensors, int64_t params) {
  err e = {0};
  json *j;
  text name = {0};
  dit_config cfg;
  st_file *f;
  param *p;
  int64_t n, reals = 0;
  char folder[64];
  snprintf(folder, sizeof folder, "transformer-%d", kind);
  const char *path = scratch_path(0, folder);
  assert_int_equal(sparse_model(path, kind, 3), tensors);
  good(folder_config(&e, path, PART_TRANSFORMER, &j, &name), &e);
  good(dit_config_read(&e, j, name.p, &cfg), &e);
  good(weights_open(&e, path, PART_TRANSFORMER, ST_MAP, &f), &e);
  good(dit_check(&e, &cfg, name.p, f), &e);
  good(dit_params(&e, &cfg, &p, &n), &e);
  for (int64_t i = 0; i < n; i++) reals += p[i].count;
  assert_int_equal(n, tensors);
  assert_int_equal(reals, params);
  assert_int_equal(st_count(f), tensors);
  assert_int_equal(params_of(f), params);
  free(p);
  st_close(f);
  json_free(j);
  text_free(&name);
}

/* spec/model.md 3.1 */
static void test_transformer_counts(void **state) {
  (void)state;
  count_transformer(SPARSE_2B, 736, 1693783872);
  count_transformer(SPARSE_5B, 1024, 5570283072);
  count_transformer(SPARSE_5B_I2V, 1025, 5625087552);
  count_transformer(SPARSE_15_5B, 1024, 5570676352);
  count_transformer(SPARSE_15_5B_I2V, 1028, 5571594880);
}

/* spec/model.md 8 */
static void test_encoder_counts(void **state) {
  (void)state;
  err e = {0};
  json *j;
  text name = {0};
  t5_config cfg;
  plan_cost cost;
  st_file *f;
  sparse_model(scratch_path(0, "t5"), SPARSE_T5_XXL, 2);
  good(folder_config(&e, scratch_path(0, "t5"), PART_TEXT_ENCODER, &j, &name), &e);
  good(t5_config_read(&e, j, name.p, &cfg), &e);
  good(weights_open(&e, scratch_path(0, "t5"), PART_TEXT_ENCODER, ST_READ, &f), &e);
  good(t5_check(&e, &cfg, name.p, f), &e);
  assert_int_equal(params_of(f), 4762310656);
  good(t5_measure(&e, &cfg, 1, T5_ROWS, &cost), &e);
  assert_int_equal(cost.params, 4762310656);
  assert_true(cost.arena < (size_t)1 << 30); /* one block, not 19 GB */
  st_close(f);
  json_free(j);
  text_free(&name);
}

/* spec/model.md 7 */
static void test_vae_counts(void **state) {
  (void)state;
  err e = {0};
  json *j;
  text name = {0};
  vae_config cfg;
  st_file *f;
  assert_int_equal(sparse_model(scratch_path(0, "vae"), SPARSE_VAE, 1), 436);
  good(folder_config(&e, scratch_path(0, "vae"), PART_VAE, &j, &name), &e);
  good(vae_config_read(&e, j, name.p, &cfg), &e);
  good(weights_open(&e, scratch_path(0, "vae"), PART_VAE, ST_MAP, &f), &e);
  good(vae_check(&e, &cfg, name.p, f), &e);
  assert_int_equal(params_of(f), 215583907);
  cfg.latent_channels = 4;
  refused(vae_check(&e, &cfg, name.p, f), &e, E_SHAPE, SAYS("latent_channels is 4 in the config, 16 in the weights"));
  st_close(f);
  json_free(j);
  text_free(&name);
}

/* The released adapter's file fits design `sequence` of the 5B model. */
static void test_adapter_counts(void **state) {
  (void)state;
  ctx c;
  err *e = &c.err;
  json *j;
  text name = {0};
  dit_config cfg;
  dit m;
  adapter a;
  design d;
  layout l;
  st_file *f;
  good(ctx_open(&c, &(ctx_options){.backend = "null"}), e);
  sparse_model(scratch_path(0, "5b"), SPARSE_5B, 1);
  assert_int_equal(sparse_model(scratch_path(1, "lora"), SPARSE_ADAPTER, 1), 337);
  good(folder_config(e, scratch_path(0, "5b"), PART_TRANSFORMER, &j, &name), e);
  good(dit_config_read(e, j, name.p, &cfg), e);
  good(weights_open(e, scratch_path(1, "lora"), PART_TRANSFORMER, ST_MAP, &f), e);
  adapter_shape s = adapter_shape_of(&f, 1);
  assert_int_equal(s.rank, 128);
  assert_true(s.gamma == 1.0 / 128);
  good(design_parse(e, "sequence", &d), e);
  design_layout(&d, &l);
  good(dit_open(&c, &cfg, 0, &m), e);
  good(adapter_open(&c, &m, &l, &s, &a), e);
  assert_int_equal(a.n_params, 337);
  assert_int_equal(a.n_reals, 132123648);
  good(params_check(e, a.params, a.n_params, (const st_file *const *)&f, 1, 1), e);
  adapter_close(&c, &a);
  dit_close(&c, &m);
  st_close(f);
  ctx_close(&c);
  json_free(j);
  text_free(&name);
}

/* --- config against shapes ------------------------------------------------------------------------------------- */

static int check_with(err *e, const char *config, const char *folder) {
  int rc = OK;
  json *j = NULL;
  dit_config cfg;
  st_file *f = NULL;
  TRY(json_parse(e, "config.json", config, strlen(config), &j));
  TRY(dit_config_read(e, j, "config.json", &cfg));
  TRY(weights_open(e, folder, PART_TRANSFORMER, ST_MAP, &f));
  TRY(dit_check(e, &cfg, "config.json", f));
out:
  st_close(f);
  json_free(j);
  return rc;
}

/* Each key in turn says something else than the shapes; the message has the key and both values. */
static void test_disagreements(void **state) {
  (void)state;
  static const struct {
    const char *from, *to, *says[4];
  } cases[] = {
      {"\"num_layers\": 30", "\"num_layers\": 29", {"num_layers is 29 in the config, 30 in the weights", "24 extra"}},
      {"\"num_layers\": 30",
       "\"num_layers\": 31",
       {"num_layers is 31 in the config, 30 in the weights", "24 missing"}},
      {"heads\": 30", "heads\": 24", {"num_attention_heads x attention_head_dim is 1536", "1920", "misshapen"}},
      {"dim\": 64", "dim\": 32", {"attention_head_dim is 32 in the config, 64 in the weights"}},
      {"in_channels\": 16", "in_channels\": 32", {"in_channels is 32 in the config, 16 in the weights"}},
      {"out_channels\": 16", "out_channels\": 8", {"out_channels", "is 32 in the config, 64 in the weights"}},
      {"time_embed_dim\": 512", "time_embed_dim\": 256", {"time_embed_dim is 256 in the config, 512 in the weights"}},
      {"text_embed_dim\": 4096", "text_embed_dim\": 2048", {"text_embed_dim is 2048 in the config, 4096"}},
      {"learned_positional_embeddings\": false",
       "learned_positional_embeddings\": true",
       {"use_learned_positional_embeddings is 1 in the config, 0 in the weights",
        "pos_embedding: want [1,17776,1920]"}},
      {"patch_size_t\": null", "patch_size_t\": 1", {"patch_size_t being given is 1 in the config, 0"}},
  };
  err e = {0};
  char *config;
  size_t n;
  const char *folder = scratch_path(0, "two");
  sparse_model(folder, SPARSE_2B, 1);
  good(file_read(&e, scratch_path(1, "two/config.json"), 1 << 16, &config, &n), &e);
  good(check_with(&e, config, folder), &e);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char changed[4096];
    char *at = strstr(config, cases[i].from);
    assert_non_null(at);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - config), config, cases[i].to,
             at + strlen(cases[i].from));
    refused(check_with(&e, changed, folder), &e, E_SHAPE, cases[i].says);
  }
  free(config);
}

/* --- hostile folders ------------------------------------------------------------------------------------------- */

static void write_tensor(const char *file, const char *name, int64_t n) {
  err e = {0};
  st_writer *w = NULL;
  real *x = calloc((size_t)n, sizeof *x);
  assert_non_null(x);
  good(st_writer_open(&e, &w), &e);
  good(st_writer_add_real(w, &e, name, DT_F32, 1, &n, x), &e);
  good(st_writer_save(w, &e, file), &e);
  st_writer_close(w);
  free(x);
}

static int open_index(err *e, const char *map) {
  char index[2048];
  st_file *f = NULL;
  snprintf(index, sizeof index, "%s", map);
  scratch_write("h/model.safetensors.index.json", index);
  int rc = weights_open(e, scratch_path(0, "h"), PART_TRANSFORMER, ST_MAP, &f);
  if (rc != OK) assert_null(f);
  st_close(f);
  return rc;
}

static void test_hostile_index(void **state) {
  (void)state;
  err e = {0};
  static const char *const names[] = {
      "../m-1-of-2.safetensors", "/etc/passwd", "sub/x.safetensors", "..", "", ".hidden.safetensors",
      "x\\\\y.safetensors",      "m.bin",       "x\\n.safetensors"};
  char map[512];
  scratch_write("h/config.json", "{}");
  write_tensor(scratch_path(1, "h/m-1-of-2.safetensors"), "a", 2);
  write_tensor(scratch_path(1, "h/m-2-of-2.safetensors"), "b", 3);
  good(open_index(&e, "{\"weight_map\":{\"a\":\"m-1-of-2.safetensors\",\"b\":\"m-2-of-2.safetensors\"}}"), &e);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    snprintf(map, sizeof map, "{\"weight_map\":{\"a\":\"%s\"}}", names[i]);
    refused(open_index(&e, map), &e, E_FORMAT, SAYS("index.json", "plain name", "'a'"));
  }
  refused(open_index(&e, "{\"weight_map\":{\"a\":3}}"), &e, E_FORMAT, SAYS("plain name"));
  refused(open_index(&e, "{\"weight_map\":[]}"), &e, E_FORMAT, SAYS("weight_map"));
  refused(open_index(&e, "{}"), &e, E_FORMAT, SAYS("weight_map"));
  refused(open_index(&e, "[]"), &e, E_FORMAT, SAYS("weight_map"));
  refused(open_index(&e, "{\"weight_map\":{}}"), &e, E_FORMAT, SAYS("weight_map"));
  refused(open_index(&e, "{\"weight_map\":"), &e, E_FORMAT, SAYS("index.json:1:"));
  refused(open_index(&e, "{\"weight_map\":{\"a\":\"m-1-of-2.safetensors\",\"a\":\"m-2-of-2.safetensors\"}}"), &e,
          E_FORMAT, SAYS("index.json:1:"));
  refused(open_index(&e, "{\"weight_map\":{\"a\":\"m-1-of-2.safetensors\",\"b\":\"m-3-of-2.safetensors\"}}"), &e,
          E_IO, SAYS("1 of 2 shards are not there", "m-3-of-2.safetensors"));
  refused(open_index(&e, "{\"weight_map\":{\"a\":\"m-2-of-2.safetensors\",\"b\":\"m-1-of-2.safetensors\"}}"), &e,
          E_FORMAT, SAYS("disagree", "a: not in m-2-of-2.safetensors, but in", "b: not in"));
  refused(open_index(&e, "{\"weight_map\":{\"a\":\"m-1-of-2.safetensors\",\"c\":\"m-2-of-2.safetensors\"}}"), &e,
          E_FORMAT, SAYS("disagree", "c: not in m-2-of-2.safetensors"));
  write_tensor(scratch_path(1, "h/m-2-of-2.safetensors"), "a", 2);
  refused(open_index(&e, "{\"weight_map\":{\"a\":\"m-1-of-2.safetensors\",\"b\":\"m-2-of-2.safetensors\"}}"), &e,
          E_FORMAT, SAYS("'a' is in two shards", "m-1-of-2.safetensors", "m-2-of-2.safetensors"));
}

/* Shards that are cut short or claim what they do not hold. */
static void test_hostile_shards(void **state) {
  (void)state;
  err e = {0};
  static const char both[] = "{\"weight_map\":{\"a\":\"m-1-of-2.safetensors\",\"b\":\"m-2-of-2.safetensors\"}}";
  write_tensor(scratch_path(1, "h/m-1-of-2.safetensors"), "a", 2);
  write_tensor(scratch_path(1, "h/m-2-of-2.safetensors"), "b", 3);
  assert_int_equal(truncate(scratch_path(1, "h/m-2-of-2.safetensors"), 80), 0);
  refused(open_index(&e, both), &e, E_FORMAT, SAYS("m-2-of-2.safetensors"));
  static const char *const heads[] = {
      "{\"b\":{\"dtype\":\"F32\",\"shape\":[1000000000],\"data_offsets\":[0,8]}}",
      "{\"b\":{\"dtype\":\"F32\",\"shape\":[1000000000,1000000000,1000000000],\"data_offsets\":[0,8]}}",
      "{\"b\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}",
      "{\"b\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}"};
  for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
    char file[512] = {0};
    size_t n = strlen(heads[i]);
    file[0] = (char)n;
    memcpy(file + 8, heads[i], n);
    good(file_write(&e, scratch_path(1, "h/m-2-of-2.safetensors"), file, 8 + n + 8), &e);
    refused(open_index(&e, both), &e, E_FORMAT, SAYS("m-2-of-2.safetensors"));
  }
}

/* A file that shrinks while it is open is an error when it is read, in both modes. */
static void test_shrinking_file(void **state) {
  (void)state;
  for (int mode = 0; mode < 2; mode++) {
    err e = {0};
    st_file *f;
    real x[3];
    const char *path = scratch_path(1, "shrinks.safetensors");
    write_tensor(path, "b", 3);
    good(st_open_mode(&e, path, mode ? ST_READ : ST_MAP, &f), &e);
    good(st_read_real(&e, st_at(f, 0), x), &e);
    assert_int_equal(truncate(path, 40), 0);
    refused(st_read_real(&e, st_at(f, 0), x), &e, E_IO, SAYS("shrinks.safetensors", "40 bytes", "was opened"));
    st_close(f);
  }
}

static void test_which_file(void **state) {
  (void)state;
  err e = {0};
  st_file *f = NULL;
  char *class = NULL;
  scratch_write("none/pytorch_model.bin", "x");
  refused(weights_open(&e, scratch_path(0, "none"), PART_VAE, ST_MAP, &f), &e, E_IO, SAYS("no weights", ".bin"));
  scratch_write("shard/m-00001-of-00002.safetensors", "x");
  refused(weights_open(&e, scratch_path(0, "shard"), PART_VAE, ST_MAP, &f), &e, E_IO,
          SAYS("shards without an index"));
  scratch_write("two-sets/a.safetensors", "x");
  scratch_write("two-sets/b.safetensors", "x");
  refused(weights_open(&e, scratch_path(0, "two-sets"), PART_VAE, ST_MAP, &f), &e, E_CONFIG,
          SAYS("2 sets of weights", "a.safetensors", "b.safetensors"));
  refused(weights_open(&e, scratch_path(0, "nowhere.safetensors"), PART_VAE, ST_MAP, &f), &e, E_IO,
          SAYS("nowhere.safetensors"));
  scratch_write("p/model_index.json",
                "{\"vae\": [\"diffusers\", \"V\"], \"transformer\": 3, \"tokenizer\": [null, null]}");
  refused(weights_open(&e, scratch_path(0, "p"), PART_VAE, ST_MAP, &f), &e, E_IO, SAYS("p/vae", "lists this part"));
  refused(folder_class(&e, scratch_path(0, "p"), PART_TRANSFORMER, &class), &e, E_CONFIG,
          SAYS("model_index.json:1:", "'transformer' must be a pair"));
  good(folder_class(&e, scratch_path(0, "p"), PART_TOKENIZER, &class), &e);
  assert_string_equal(class, "");
  free(class);
  scratch_write("p/model_index.json", "[1]");
  refused(folder_class(&e, scratch_path(0, "p"), PART_VAE, &class), &e, E_CONFIG, SAYS("not a JSON object"));
}

static void test_bad_configs(void **state) {
  (void)state;
  static const struct {
    const char *text, *says;
    int code;
  } cases[] = {{"{\"num_layers\": 2}", "'num_heads' is missing", E_CONFIG},
               {"{\"num_layers\": \"two\"}", "'num_layers' must be an integer", E_CONFIG},
               {"{\"num_layers\": 1e9}", "'num_layers' must be an integer", E_CONFIG},
               {"[]", "not a JSON object", E_CONFIG},
               {"{\"num_layers\":1,\"num_heads\":1,\"d_kv\":8,\"d_model\":8,\"d_ff\":8,\"vocab_size\":9,"
                "\"feed_forward_proj\":\"relu\"}",
                "gated-gelu", E_UNSUPPORTED},
               {"{\"num_layers\":1,\"num_heads\":1,\"d_kv\":8,\"d_model\":8,\"d_ff\":8,\"vocab_size\":9}",
                "feed_forward_proj", E_UNSUPPORTED}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    err e = {0};
    json *j;
    t5_config cfg;
    good(json_parse(&e, "config.json", cases[i].text, strlen(cases[i].text), &j), &e);
    refused(t5_config_read(&e, j, "config.json", &cfg), &e, cases[i].code, SAYS("config.json", cases[i].says));
    json_free(j);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parts),          cmocka_unit_test(test_same_tensors),
      cmocka_unit_test(test_read_once),      cmocka_unit_test(test_transformer_counts),
      cmocka_unit_test(test_encoder_counts), cmocka_unit_test(test_vae_counts),
      cmocka_unit_test(test_adapter_counts), cmocka_unit_test(test_disagreements),
      cmocka_unit_test(test_hostile_index),  cmocka_unit_test(test_hostile_shards),
      cmocka_unit_test(test_shrinking_file), cmocka_unit_test(test_which_file),
      cmocka_unit_test(test_bad_configs),
  };
  return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
