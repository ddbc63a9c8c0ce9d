/* The T5 encoder, its tokenizer and the prompt cache against the golden files. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "check.h"
#include "golden.h"
#include "model/folder.h"
#include "model/params.h"
#include "model/prompts.h"
#include "model/spiece.h"
#include "model/t5.h"
#include "model/tokenizer.h"
#include "scratch.h"

static void good(int rc, const err *e) {
  if (rc != OK) fail_msg("%s", e->text);
}

static void refused(int rc, err *e, int code, const char *words) {
  if (rc != code) fail_msg("%s, not %s: %s", err_name(rc), err_name(code), e->text);
  if (!strstr(e->text, words)) fail_msg("does not say '%s': %s", words, e->text);
  err_clear(e);
}

typedef struct model {
  ctx c;
  t5_config cfg;
  st_file *w;
} model;

static void open_model(model *m, const char *weights, const char *config, int threads, const char *isa) {
  json *j;
  err *e = &m->c.err;
  good(ctx_open(&m->c, &(ctx_options){.backend = "cpu", .threads = threads, .isa = isa}), e);
  good(json_read(e, golden_path(config), &j), e);
  good(t5_config_read(e, j, config, &m->cfg), e);
  json_free(j);
  good(weights_open(e, weights, PART_TEXT_ENCODER, ST_MAP, &m->w), e);
  good(t5_check(e, &m->cfg, config, m->w), e);
}

static void open_golden(model *m, int threads, const char *isa) {
  char path[1100];
  snprintf(path, sizeof path, "%s", golden_path("t5_weights.safetensors"));
  open_model(m, path, "t5_config.json", threads, isa);
}

static void close_model(model *m) {
  st_close(m->w);
  ctx_close(&m->c);
}

static int32_t *ids_of(const st_tensor *t) {
  int32_t *ids = calloc((size_t)t->count, sizeof *ids);
  assert_non_null(ids);
  for (int64_t i = 0; i < t->count; i++) ids[i] = (int32_t)dtype_get(t->type, t->data, i);
  return ids;
}

static real *encode(model *m, const int32_t *ids, int64_t batch, int64_t length,
                    int (*trace)(void *, ctx *, int, view), void *user) {
  int64_t n = batch * length * m->cfg.width;
  real *out = malloc((size_t)n * sizeof *out);
  assert_non_null(out);
  check_nan(out, n);
  t5_request r = {.cfg = &m->cfg, .weights = m->w, .ids = ids, .batch = batch, .length = length, .trace = trace};
  r.user = user;
  good(t5_encode(&m->c, &r, out), &m->c.err);
  return out;
}

/* --- numbers --------------------------------------------------------------------------------------------------- */

static int on_hidden(void *user, ctx *c, int layer, view rows) {
  char name[16];
  (void)c;
  snprintf(name, sizeof name, "hidden.%d", layer);
  check_below(name, golden_rel(name, rows.p, st_find(user, name)), 1e-5);
  return 0;
}

static void test_golden(void **state) {
  (void)state;
  model m;
  st_file *g = golden_tensors("t5");
  open_golden(&m, 2, NULL);
  const st_tensor *in = st_find(g, "in.ids");
  int32_t *ids = ids_of(in);
  int64_t before = st_bytes_read(m.w), all = 0;
  real *out = encode(&m, ids, in->shape[0], in->shape[1], on_hidden, g);
  check_below("t5 output", golden_rel("t5 output", out, st_find(g, "output")), 1e-5);
  for (int64_t i = 0; i < st_count(m.w); i++) all += st_at(m.w, i)->count * dtype_size(st_at(m.w, i)->type);
  assert_int_equal(st_bytes_read(m.w) - before, all); /* each tensor once */
  free(out);
  free(ids);
  st_close(g);
  close_model(&m);
}

static int has_part(const char *name, const char *const *part) {
  char dotted[128];
  snprintf(dotted, sizeof dotted, ".%s", name);
  for (; *part; part++)
    if (strstr(dotted, *part)) return 1;
  return 0;
}

/* Norms that see variances near their epsilon: some tensors times 2^-10, as the golden's metadata lists them. */
static void test_epsilon(void **state) {
  (void)state;
  static const char *const shrunk[] = {".shared.", ".SelfAttention.o.", ".DenseReluDense.wo.", NULL};
  model m;
  st_file *g = golden_tensors("eps"), *f = golden_tensors("t5_weights");
  st_writer *w;
  err e = {0};
  good(st_writer_open(&e, &w), &e);
  for (int64_t i = 0; i < st_count(f); i++) {
    const st_tensor *t = st_at(f, i);
    real *x = malloc((size_t)t->count * sizeof *x);
    assert_non_null(x);
    good(st_read_real(&e, t, x), &e);
    for (int64_t k = 0; has_part(t->name, shrunk) && k < t->count; k++) x[k] *= (real)0.0009765625;
    good(st_writer_add_real(w, &e, t->name, DT_F32, t->rank, t->shape, x), &e);
    free(x);
  }
  good(st_writer_save(w, &e, scratch_path(0, "shrunk.safetensors")), &e);
  st_writer_close(w);
  open_model(&m, scratch_path(0, "shrunk.safetensors"), "t5_config.json", 1, NULL);
  int32_t *ids = ids_of(st_find(g, "t5.in.ids"));
  real *out = encode(&m, ids, 1, 226, NULL, NULL);
  check_below("eps", golden_rel("eps", out, st_find(g, "t5.output")), 2e-5);
  free(out);
  m.cfg.eps = 1.1e-6; /* what a wrong one would look like */
  out = encode(&m, ids, 1, 226, NULL, NULL);
  assert_true(golden_rel("eps", out, st_find(g, "t5.output")) > 2e-4);
  free(out);
  free(ids);
  st_close(g);
  st_close(f);
  close_model(&m);
}

/* Threads, levels, neighbours and the way the weights are read change no bit. */
static void test_bits(void **state) {
  (void)state;
  st_file *g = golden_tensors("t5");
  int32_t *ids = ids_of(st_find(g, "token_ids"));
  const size_t one = 226 * 64 * sizeof(real);
  model m;
  open_golden(&m, 1, NULL);
  real *all = encode(&m, ids, 12, 226, NULL, NULL), *again;
  for (int64_t i = 0; i < 12; i += 5) {
    again = encode(&m, ids + i * 226, 1, 226, NULL, NULL);
    assert_memory_equal(all + i * 226 * 64, again, one);
    free(again);
  }
  assert_memory_not_equal(all, all + 226 * 64, one);
  close_model(&m);
  for (int threads = 2; threads < 4; threads++) {
    open_golden(&m, threads, NULL);
    st_close(m.w);
    good(weights_open(&m.c.err, golden_path("t5_weights.safetensors"), PART_TEXT_ENCODER, ST_READ, &m.w), &m.c.err);
    again = encode(&m, ids, 12, 226, NULL, NULL);
    assert_memory_equal(all, again, 12 * one);
    free(again);
    close_model(&m);
  }
  free(all);
  free(ids);
  st_close(g);
}

/* spec/model.md 8 */
static void test_buckets(void **state) {
  (void)state;
  static const int known[][2] = {{0, 0},   {-1, 1},  {1, 17},   {7, 23}, {8, 24},   {15, 25},  {16, 26},
                                 {32, 28}, {64, 30}, {128, 31}, {-8, 8}, {-16, 10}, {-64, 14}, {-200, 15}};
  t5_config c = {.buckets = 32, .max_distance = 128};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (t5_bucket(&c, known[i][0]) != known[i][1])
      fail_msg("bucket of %d is %d, not %d", known[i][0], t5_bucket(&c, known[i][0]), known[i][1]);
  for (int64_t d = -5000; d <= 5000; d++) assert_in_range(t5_bucket(&c, d), 0, 31);
}

static int stop(void *user, int64_t done, int64_t total) {
  (void)total;
  ++*(int *)user;
  return done == 1;
}

static void test_refusals(void **state) {
  (void)state;
  model m;
  int32_t ids[4] = {1, 2, 500, 0};
  real out[4 * 64];
  int calls = 0;
  open_golden(&m, 1, NULL);
  t5_request r = {
      .cfg = &m.cfg, .weights = m.w, .ids = ids, .batch = 1, .length = 4, .progress = stop, .user = &calls};
  refused(t5_encode(&m.c, &r, out), &m.c.err, E_ARG, "token id 500 of prompt 0, place 2");
  ids[2] = -1;
  refused(t5_encode(&m.c, &r, out), &m.c.err, E_ARG, "token id -1");
  ids[2] = 3;
  refused(t5_encode(&m.c, &r, out), &m.c.err, E_INTERRUPTED, "after block 1 of 2");
  assert_int_equal(calls, 1);
  r.batch = INT64_MAX;
  refused(t5_encode(&m.c, &r, out), &m.c.err, E_SHAPE, "token ids");
  t5_config c = m.cfg;
  c.layers = 3, c.ff = 64, c.heads = 2;
  refused(t5_check(&m.c.err, &c, "config.json", m.w), &m.c.err, E_SHAPE,
          "num_layers is 3 in the config, 2 in the weights (encoder.block.N); num_heads is 2 in the config, 4 in");
  close_model(&m);
}

/* --- tokenizer ------------------------------------------------------------------------------------------------- */

static tokenizer *words(void) {
  err e = {0};
  tokenizer *t = NULL;
  if (!tokenizer_library()) {
    refused(tokenizer_open(&e, golden_path("t5_spiece.model"), &t), &e, E_UNSUPPORTED, "libsentencepiece-dev");
    skip();
  }
  good(tokenizer_open(&e, golden_path("t5_spiece.model"), &t), &e);
  return t;
}

static void test_ids(void **state) {
  (void)state;
  tokenizer *t = words();
  err e = {0};
  st_file *g = golden_tensors("t5");
  json *j = golden_json("t5_prompts");
  int32_t *want = ids_of(st_find(g, "token_ids")), got[226];
  const json *prompts = json_get(j, "prompts"), *counts = json_get(j, "token_count_without_eos");
  assert_int_equal(json_count(prompts), 12);
  assert_int_equal(tokenizer_size(t), 500);
  for (int64_t i = 0; i < 12; i++) {
    int64_t used, all = (int64_t)json_at(counts, i)->num;
    int cut;
    good(tokenizer_encode(t, &e, json_at(prompts, i)->str, 226, got, &used, &cut), &e);
    assert_memory_equal(got, want + 226 * i, sizeof got);
    assert_int_equal(used, all < 225 ? all + 1 : 226);
    assert_int_equal(cut, all > 225);
  }
  good(tokenizer_encode(t, &e, "a rainbow", 1, got, NULL, NULL), &e);
  assert_int_equal(got[0], 1);
  refused(tokenizer_encode(t, &e, "bad \xff byte", 226, got, NULL, NULL), &e, E_ARG, "byte 4 is not UTF-8");
  tokenizer_close(t);
  free(want);
  json_free(j);
  st_close(g);
}

/* Damaged models: every cut and many changes are refused or give a tokenizer that works; nothing aborts. */
static void test_bad_models(void **state) {
  (void)state;
  tokenizer_close(words());
  err e = {0};
  char *data;
  size_t n;
  int64_t pieces;
  int opened = 0, bad = 0;
  good(file_read(&e, golden_path("t5_spiece.model"), 1 << 24, &data, &n), &e);
  good(spiece_check(&e, "m", data, n, &pieces), &e);
  assert_int_equal(pieces, 500);
  refused(spiece_check(&e, "m", data, n - 1, &pieces), &e, E_FORMAT, "m: byte");
  refused(spiece_check(&e, "m", "", 0, &pieces), &e, E_FORMAT, "no pieces");
  refused(spiece_check(&e, "m", "PK\3\4", 4, &pieces), &e, E_FORMAT, "no sound SentencePiece model");
  for (uint32_t k = 0; k < 400; k++) {
    tokenizer *t = NULL;
    int32_t ids[32];
    size_t at = (size_t)(check_uniform(7, 2 * k) * (k % 2 ? 12000 : (double)n)); /* pieces lie in front */
    char old = data[at];
    data[at] = (char)(check_uniform(7, 2 * k + 1) * 256);
    good(file_write(&e, scratch_path(0, "spiece.model"), data, n), &e);
    int rc = tokenizer_open(&e, scratch_path(0, "spiece.model"), &t);
    if (rc == OK) {
      opened++;
      if (tokenizer_encode(t, &e, "a caf\xc3\xa9 \xef\xbc\xa1 rainbow", 32, ids, NULL, NULL) != OK) err_clear(&e);
    } else {
      bad++;
      assert_true(rc == E_FORMAT || rc == E_UNSUPPORTED);
      assert_non_null(strstr(e.text, "spiece.model"));
      err_clear(&e);
    }
    tokenizer_close(t);
    data[at] = old;
  }
  assert_true(opened > 0 && bad > 0);
  free(data);
}

/* --- folder and cache ------------------------------------------------------------------------------------------ */

/* Prompts -> ids -> text of the golden folder. */
static void test_prompts(void **state) {
  (void)state;
  tokenizer_close(words());
  err e = {0};
  static const char *const prompts[] = {"a rainbow", "", "a rainbow"};
  st_file *g = golden_tensors("tiny-cogvideox_forward");
  char tiny[1100], cache[256];
  prompt_rows rows;
  snprintf(tiny, sizeof tiny, "%s", golden_path("tiny-cogvideox"));
  snprintf(cache, sizeof cache, "%s", scratch_path(0, "cache"));
  prompt_request r = {.model = tiny, .prompt = prompts, .n = 3, .rows = T5_ROWS, .threads = 1};
  const size_t one = 226 * 64;
  float *first = NULL;
  for (int round = 0; round < 3; round++) { /* without a cache; filling it; from it */
    r.cache = round ? cache : NULL;
    good(prompts_encode(&e, &r, &rows), &e);
    assert_int_equal(rows.encoded, round < 2 ? 2 : 0);
    assert_true(rows.n == 3 && rows.rows == 226 && rows.width == 64);
    real got[2 * 226 * 64];
    for (size_t i = 0; i < 2 * one; i++) got[i] = (real)rows.at[i];
    check_below("text", golden_rel("text", got, st_find(g, "text")), 2e-5);
    assert_memory_equal(rows.at, rows.at + 2 * one, one * sizeof(float));
    if (first) assert_memory_equal(rows.at, first, 3 * one * sizeof(float));
    free(first);
    first = rows.at;
  }
  free(first);
  st_close(g);
}

/* A file that is not what its name says is made again; another prompt is another file. */
static void test_cache_damage(void **state) {
  (void)state;
  tokenizer_close(words());
  err e = {0};
  const char *prompts[] = {"a rainbow"};
  char tiny[1100], cache[256], path[600];
  prompt_rows rows;
  int files = 0;
  snprintf(tiny, sizeof tiny, "%s", golden_path("tiny-cogvideox"));
  snprintf(cache, sizeof cache, "%s", scratch_path(0, "cache2"));
  prompt_request r = {.model = tiny, .cache = cache, .prompt = prompts, .n = 1, .rows = T5_ROWS, .threads = 1};
  for (int round = 0; round < 3; round++) {
    if (round == 2) prompts[0] = "a rainbow.";
    good(prompts_encode(&e, &r, &rows), &e);
    assert_int_equal(rows.encoded, 1);
    prompts_free(&rows);
    DIR *d = opendir(cache);
    assert_non_null(d);
    files = 0;
    for (struct dirent *f; (f = readdir(d)) != NULL;) {
      if (!strstr(f->d_name, ".safetensors")) continue;
      files++;
      snprintf(path, sizeof path, "%s/%s", cache, f->d_name);
      if (round == 0) good(file_write(&e, path, "damaged", 7), &e);
    }
    closedir(d);
  }
  assert_int_equal(files, 2);
  r.tokenizer = scratch_path(1, "no.model");
  refused(prompts_encode(&e, &r, &rows), &e, E_IO, "no.model");
  r.model = NULL;
  refused(prompts_encode(&e, &r, &rows), &e, E_ARG, "need a model folder");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden),  cmocka_unit_test(test_epsilon),    cmocka_unit_test(test_bits),
      cmocka_unit_test(test_buckets), cmocka_unit_test(test_refusals),   cmocka_unit_test(test_ids),
      cmocka_unit_test(test_prompts), cmocka_unit_test(test_bad_models), cmocka_unit_test(test_cache_damage),
  };
  return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
