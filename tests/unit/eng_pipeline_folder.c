/* One model folder end to end: prompts -> ids -> text -> transformer, latents -> frames, each part found, checked and
 * read through the folder. Tolerances are those of the golden file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "golden.h"
#include "model/folder.h"
#include "model/probe.h"
#include "model/prompts.h"
#include "model/t5.h"
#include "model/tokenizer.h"
#include "model/vae.h"
#include "scratch.h"
#include "variants/variant.h"

static void good(int rc, const err *e) {
  if (rc != OK) fail_msg("%s", e->text);
}

static const char *tiny(void) {
  static char path[1100];
  snprintf(path, sizeof path, "%s", golden_path("tiny-cogvideox"));
  return path;
}

static void open_cpu(ctx *c) {
  good(ctx_open(c, &(ctx_options){.backend = "cpu", .threads = 2}), &c->err);
}

/* Text rows [2, 226, 64] by prompts where there is a tokenizer, else by the golden ids. */
static real *text_rows(const st_file *g) {
  static const char *const prompts[] = {"a rainbow", ""};
  const int64_t n = 2 * 226 * 64;
  real *out = calloc((size_t)n, sizeof *out);
  err e = {0};
  assert_non_null(out);
  if (tokenizer_library()) {
    prompt_rows rows;
    good(prompts_encode(&e, &(prompt_request){.model = tiny(), .prompt = prompts, .n = 2, .rows = T5_ROWS}, &rows),
         &e);
    for (int64_t i = 0; i < n; i++) out[i] = (real)rows.at[i];
    prompts_free(&rows);
    return out;
  }
  ctx c;
  json *j;
  text name = {0};
  t5_config cfg;
  st_file *w;
  const st_tensor *in = st_find(g, "in.ids");
  int32_t ids[2 * 226];
  for (int64_t i = 0; i < 2 * 226; i++) ids[i] = (int32_t)dtype_get(in->type, in->data, i);
  open_cpu(&c);
  good(folder_config(&e, tiny(), PART_TEXT_ENCODER, &j, &name), &e);
  good(t5_config_read(&e, j, name.p, &cfg), &e);
  good(weights_open(&e, tiny(), PART_TEXT_ENCODER, ST_MAP, &w), &e);
  good(t5_encode(&c, &(t5_request){.cfg = &cfg, .weights = w, .ids = ids, .batch = 2, .length = 226}, out), &c.err);
  st_close(w);
  json_free(j);
  text_free(&name);
  ctx_close(&c);
  return out;
}

static void test_transformer(void **state) {
  (void)state;
  ctx c;
  err e = {0};
  dit m;
  design d;
  layout l;
  adapter a;
  st_writer *w, *out;
  st_file *in, *got, *g = golden_tensors("tiny-cogvideox_forward");
  real *rows = text_rows(g);
  check_below("text", golden_rel("text", rows, st_find(g, "text")), 2e-5);
  good(st_writer_open(&e, &w), &e);
  good(st_writer_add_real(w, &e, "in.text", DT_F32, 3, (int64_t[]){2, 226, 64}, rows), &e);
  for (int i = 0; i < 2; i++) {
    const st_tensor *t = st_find(g, i ? "in.timestep" : "in.latents");
    good(st_writer_add(w, &e, t->name, t->type, t->rank, t->shape, t->data), &e);
  }
  good(st_writer_save(w, &e, scratch_path(0, "in.safetensors")), &e);
  st_writer_close(w);
  open_cpu(&c);
  good(dit_from(&c, &(dit_source){.weights = tiny()}, &m), &c.err);
  good(design_parse(&e, "base", &d), &e);
  design_layout(&d, &l);
  good(adapter_open(&c, &m, &l, &(adapter_shape){0}, &a), &c.err);
  good(st_open(&e, scratch_path(0, "in.safetensors"), &in), &e);
  good(st_writer_open(&e, &out), &e);
  good(probe_forward(&c, &m, &a, &l, in, 0, out), &c.err);
  good(st_writer_save(out, &e, scratch_path(1, "out.safetensors")), &e);
  good(st_open(&e, scratch_path(1, "out.safetensors"), &got), &e);
  check_below("output", golden_rel("output", st_find(got, "output")->data, st_find(g, "output")), 2e-5);
  st_writer_close(out);
  st_close(got);
  st_close(in);
  st_close(g);
  adapter_close(&c, &a);
  dit_close(&c, &m);
  ctx_close(&c);
  free(rows);
}

/* decoded = decoder(latents[0] / scaling factor) */
static void test_vae(void **state) {
  (void)state;
  ctx c;
  err e = {0};
  json *j;
  text name = {0};
  vae_config cfg;
  vae v;
  st_file *w, *g = golden_tensors("tiny-cogvideox_forward");
  const st_tensor *z = st_find(g, "in.latents"), *want = st_find(g, "decoded");
  const int64_t frames = z->shape[1], channels = z->shape[2], plane = z->shape[3] * z->shape[4];
  const vae_shape shape = {.batch = 1, .frames = frames, .height = z->shape[3], .width = z->shape[4]};
  real *latents = calloc((size_t)(frames * channels * plane), sizeof *latents);
  real *out = malloc((size_t)want->count * sizeof *out);
  assert_true(latents && out);
  open_cpu(&c);
  good(folder_config(&e, tiny(), PART_VAE, &j, &name), &e);
  good(vae_config_read(&e, j, name.p, &cfg), &e);
  good(weights_open(&e, tiny(), PART_VAE, ST_READ, &w), &e);
  good(vae_check(&e, &cfg, name.p, w), &e);
  good(vae_open(&c, &cfg, VAE_DECODER, &v), &c.err);
  good(vae_load(&c, &v, (const st_file *const *)&w, 1), &c.err);
  for (int64_t f = 0; f < frames; f++)
    for (int64_t k = 0; k < channels; k++)
      for (int64_t i = 0; i < plane; i++)
        latents[(k * frames + f) * plane + i] =
            (real)(dtype_get(z->type, z->data, (f * channels + k) * plane + i) / cfg.scaling_factor);
  check_nan(out, want->count);
  good(vae_decode(&c, &v, &(vae_options){0}, &shape, latents, out), &c.err);
  check_below("decoded", golden_rel("decoded", out, want), 2e-5);
  vae_close(&c, &v);
  ctx_close(&c);
  st_close(w);
  st_close(g);
  json_free(j);
  text_free(&name);
  free(latents);
  free(out);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_transformer), cmocka_unit_test(test_vae)};
  return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
