#include "cli/doctor_gpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/rng.h"
#include "cli/verbs.h"
#include "train.h"

#define HEAD 64
#define ENTRIES 3
#define STEPS 3

/* --- operations: one set of matrices in a context --- */

typedef struct rig {
  ctx c;
  int64_t rows, cols;
  view x, y, z, o, w, row, table, turn, lse, delta, dk, dv; /* turn: cos and sin, both */
  view flat[4], real_x;                                     /* fp32: weights, moments, gradient */
  int32_t *map;
  double *sum;
  attn_group group;
} rig;

static int numbers(rig *r, view v, uint32_t sub) {
  real *host = NULL;
  int64_t n = v.rows * v.cols;
  int rc = OK;
  TRY(mem_new(&r->c.err, n, sizeof *host, "numbers", &host));
  rng_normal_real((rng){.seed = 7, .stream = RNG_TEST, .sub = sub}, 0, n, host);
  for (int64_t i = 0; i < n; i++) host[i] *= R(0.5);
  TRY(ctx_put(&r->c, v, host));
out:
  free(host);
  return rc;
}

static int rig_maps(rig *r) {
  int rc = OK;
  int32_t *host = NULL;
  void *p = NULL;
  TRY(mem_new(&r->c.err, r->rows, sizeof *host, "row map", &host));
  for (int64_t i = 0; i < r->rows; i++) host[i] = (int32_t)(i * ENTRIES / r->rows);
  TRY(arena_take(&r->c.mem, &r->c.err, r->rows, sizeof *host, "row map", &p));
  r->map = p;
  TRY(op_upload(&r->c, p, host, (size_t)r->rows * sizeof *host));
  TRY(arena_take(&r->c.mem, &r->c.err, 1, sizeof(double), "sum", &p));
  r->sum = p;
  r->group = (attn_group){.nq = 1, .nk = 1, .q = {{.r1 = r->rows}}, .k = {{.r1 = r->rows}}};
out:
  free(host);
  return rc;
}

static int rig_open(rig *r, const ctx_options *o, int64_t rows) {
  ctx *c = &r->c;
  int rc = OK;
  const int64_t cols = rows < 256 ? 128 : 1024;
  *r = (rig){.rows = rows, .cols = cols};
  TRY(ctx_open(c, o));
  TRY(ctx_arena(c, (size_t)(16 * rows * cols + 8 * cols * cols + 64 * rows) * sizeof(real) + ((size_t)1 << 20)));
  view *const stored[] = {&r->x, &r->y, &r->z, &r->o, &r->dk, &r->dv};
  for (size_t i = 0; i < sizeof stored / sizeof stored[0]; i++) {
    TRY(ctx_view(c, rows, cols, "operand", stored[i]));
    TRY(numbers(r, *stored[i], (uint32_t)i));
  }
  TRY(ctx_view(c, cols, cols, "weights", &r->w));
  TRY(ctx_view(c, 1, cols, "row", &r->row));
  TRY(ctx_view(c, ENTRIES, cols, "table", &r->table));
  TRY(ctx_reals(c, ENTRIES, HEAD / 2, "angles", &r->turn));
  TRY(ctx_reals(c, cols / HEAD, rows, "lse", &r->lse));
  TRY(ctx_reals(c, cols / HEAD, rows, "delta", &r->delta));
  for (int i = 0; i < 4; i++) TRY(ctx_reals(c, 1, rows * cols, "flat", &r->flat[i]));
  for (int i = 0; i < 4; i++) TRY(numbers(r, r->flat[i], 20 + (uint32_t)i));
  TRY(op_fill(c, r->flat[2], 0.25)); /* second moments are not negative */
  TRY(numbers(r, r->w, 10));
  TRY(numbers(r, r->row, 11));
  TRY(numbers(r, r->table, 12));
  TRY(numbers(r, r->turn, 13));
  TRY(rig_maps(r));
out:
  return rc;
}

static int do_gemm(rig *r) {
  return op_gemm(&r->c, &(op_gemm_args){.a = r->x, .b = r->w, .c = r->o, .tb = 1, .alpha = 1, .bias = r->row});
}
static int do_ln(rig *r) {
  op_ln_mod_args a = {.x = r->x, .y = r->o, .shift = r->table, .scale = r->table, .map = r->map, .eps = 1e-5};
  return op_ln_mod(&r->c, &a);
}
static int do_ln_bwd(rig *r) {
  op_ln_mod_bwd_args a = {.x = r->x, .dy = r->y, .dx = r->o, .scale = r->table, .map = r->map, .eps = 1e-5};
  return op_ln_mod_bwd(&r->c, &a);
}
static int do_head(rig *r) {
  view w = view_cols(r->row, 0, HEAD);
  op_headnorm_rope_args a = {.x = r->x, .y = r->o, .w = w, .b = w, .map = r->map, .dim = HEAD, .eps = 1e-6};
  a.cos = a.sin = r->turn;
  return op_headnorm_rope(&r->c, &a);
}
static int do_head_bwd(rig *r) {
  view w = view_cols(r->row, 0, HEAD);
  op_headnorm_rope_bwd_args a = {.x = r->x, .dy = r->y, .dx = r->o, .w = w, .map = r->map, .dim = HEAD, .eps = 1e-6};
  a.cos = a.sin = r->turn;
  return op_headnorm_rope_bwd(&r->c, &a);
}
static int do_attn(rig *r) {
  op_attn_args a = {.q = r->x, .k = r->y, .v = r->z, .o = r->o, .lse = r->lse, .groups = &r->group};
  a.n_groups = 1;
  a.dim = HEAD;
  return op_attn(&r->c, &a);
}
/* After do_attn: o and lse are its results. dq goes where nothing else needs it. */
static int do_attn_bwd(rig *r) {
  op_attn_bwd_args a = {.q = r->x, .k = r->y, .v = r->z, .o = r->o, .lse = r->lse, .d_o = r->y, .delta = r->delta};
  view dq = r->flat[0];
  dq = (view){.p = dq.p, .rows = r->rows, .cols = r->cols, .ld = r->cols, .type = r->o.type};
  a.dq = dq;
  a.dk = r->dk;
  a.dv = r->dv;
  a.groups = &r->group;
  a.n_groups = 1;
  a.dim = HEAD;
  int rc = do_attn(r);
  return rc == OK ? op_attn_bwd(&r->c, &a) : rc;
}
static int do_gate(rig *r) {
  int rc = op_copy(&r->c, r->o, r->x);
  op_gate_add_args a = {.x = r->o, .y = r->y, .gate = r->table, .map = r->map};
  return rc == OK ? op_gate_add(&r->c, &a) : rc;
}
static int do_act(rig *r) {
  return op_act_fwd(&r->c, &(op_act_args){.x = r->x, .y = r->o, .act = ACT_GELU_TANH});
}
static int do_act_bwd(rig *r) {
  return op_act_bwd(&r->c, &(op_act_bwd_args){.x = r->x, .dy = r->y, .dx = r->o, .act = ACT_GELU_TANH});
}
static int do_colsum(rig *r) {
  view sum = view_of(r->flat[0].p, 1, r->cols);
  int rc = op_fill(&r->c, sum, 0);
  if (rc == OK) rc = op_colsum(&r->c, sum, r->x);
  return rc == OK ? op_cast(&r->c, view_rows(r->o, 0, 1), sum) : rc;
}
static int do_adamw(rig *r) {
  op_adamw_args a = {
      .w = r->flat[0].p, .m = r->flat[1].p, .v = r->flat[2].p, .g = r->flat[3].p, .n = r->flat[0].cols};
  a.lr = 1e-3, a.beta1 = 0.9, a.beta2 = 0.95, a.eps = 1e-8, a.decay = 0.01, a.step = 1;
  int rc = numbers(r, r->flat[0], 20); /* what an earlier run made of them must not count */
  if (rc == OK) rc = numbers(r, r->flat[1], 21);
  if (rc == OK) rc = op_fill(&r->c, r->flat[2], 0.25);
  if (rc == OK) rc = op_adamw(&r->c, &a);
  view w = view_of(r->flat[0].p, r->rows, r->cols);
  return rc == OK ? op_cast(&r->c, r->o, w) : rc;
}

/* What to run, where its result lies, and how far from the CPU it may be: the size of the difference over the size of
 * the result. A result in bf16 is off by half a step (2^-9 of each number) on either side; attention's in bf16 rounds
 * its weights too. */
static const struct op_check {
  const char *name;
  op_id id;
  int (*run)(rig *r);
  int result; /* 0: o, 1: dk */
  double real_bound, bf16_bound;
} checks[] = {
    {"gemm", OP_GEMM, do_gemm, 0, 1e-5, 6e-3},
    {"ln_mod", OP_LN_MOD, do_ln, 0, 1e-5, 6e-3},
    {"ln_mod_bwd", OP_LN_MOD_BWD, do_ln_bwd, 0, 1e-5, 6e-3},
    {"headnorm_rope", OP_HEADNORM_ROPE, do_head, 0, 1e-5, 6e-3},
    {"headnorm_rope_bwd", OP_HEADNORM_ROPE_BWD, do_head_bwd, 0, 1e-5, 6e-3},
    {"attn", OP_ATTN, do_attn, 0, 1e-5, 1.2e-2},
    {"attn_bwd", OP_ATTN_BWD, do_attn_bwd, 1, 1e-4, 3e-2},
    {"gate_add", OP_GATE_ADD, do_gate, 0, 1e-6, 6e-3},
    {"act", OP_ACT, do_act, 0, 1e-6, 6e-3},
    {"act_bwd", OP_ACT_BWD, do_act_bwd, 0, 1e-6, 6e-3},
    {"colsum", OP_COLSUM, do_colsum, 0, 1e-5, 6e-3},
    {"adamw", OP_ADAMW, do_adamw, 0, 1e-6, 6e-3},
};
#define CHECKS ((int)(sizeof checks / sizeof checks[0]))

typedef struct row {
  const char *name, *storage;
  double error, bound, gflops, gbytes;
  int same_bits, good;
} row;

typedef struct report {
  cli *c;
  device_facts device;
  char library[32], isa[16];
  row op[2 * CHECKS], design[64];
  int n_op, n_design, failed, number;
  double planned, taken;
} report;

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int result_of(rig *r, const struct op_check *k, real *host) {
  int rc = k->run(r);
  return rc == OK ? ctx_get(&r->c, host, k->result ? r->dk : r->o) : rc;
}

static double difference(const real *a, const real *b, int64_t n) {
  double d = 0, size = 0;
  for (int64_t i = 0; i < n; i++) {
    d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    size += (double)a[i] * (double)a[i];
  }
  return size > 0 ? sqrt(d / size) : HUGE_VAL;
}

/* Time of the operation alone, by the counts of its front: what else `run` does is small beside it or the same op. */
static int speed(rig *r, const struct op_check *k, row *out) {
  const int times = 5;
  int rc = OK;
  memset(r->c.count, 0, sizeof r->c.count);
  TRY(r->c.ops->sync(&r->c));
  double t0 = seconds();
  for (int i = 0; i < times; i++) TRY(k->run(r));
  TRY(r->c.ops->sync(&r->c));
  double t = seconds() - t0;
  out->gflops = r->c.count[k->id].flops / t * 1e-9;
  out->gbytes = r->c.count[k->id].bytes / t * 1e-9;
out:
  return rc;
}

static int check_ops(report *p, dtype storage, int64_t rows) {
  rig cpu = {0}, gpu = {0};
  real *host[3] = {NULL, NULL, NULL};
  int rc = rig_open(&cpu, &(ctx_options){.backend = "cpu", .threads = (int)p->c->threads, .storage = storage}, rows);
  if (rc == OK) rc = rig_open(&gpu, &(ctx_options){.backend = "cuda", .storage = storage, .device = p->number}, rows);
  int64_t n = cpu.rows * cpu.cols;
  for (int i = 0; rc == OK && i < 3; i++) rc = mem_new(&p->c->err, n, sizeof(real), "results", &host[i]);
  for (int i = 0; rc == OK && i < CHECKS; i++) {
    const struct op_check *k = &checks[i];
    row *out = &p->op[p->n_op++];
    *out = (row){.name = k->name, .storage = storage == DT_BF16 ? "bf16" : "fp32"};
    out->bound = storage == DT_BF16 ? k->bf16_bound : k->real_bound;
    rc = result_of(&cpu, k, host[0]);
    if (rc == OK) rc = result_of(&gpu, k, host[1]);
    if (rc == OK) rc = result_of(&gpu, k, host[2]);
    if (rc == OK) rc = speed(&gpu, k, out);
    if (rc != OK) break;
    out->error = difference(host[0], host[1], n);
    out->same_bits = !memcmp(host[1], host[2], (size_t)n * sizeof(real));
    out->good = out->same_bits && out->error <= out->bound;
    p->failed |= !out->good;
  }
  if (rc != OK) rc = err_set(&p->c->err, rc, "%s", gpu.c.err.code ? gpu.c.err.text : cpu.c.err.text);
  for (int i = 0; i < 3; i++) free(host[i]);
  ctx_close(&cpu.c);
  ctx_close(&gpu.c);
  return rc;
}

/* --- a few steps of every design on a small model --- */

#define CLIPS 2
#define LATENTS (2 * 4 * 4 * 6)
#define TEXT_ROWS 4
#define TEXT_COLS 24

static const dit_config small = {.layers = 2,
                                 .heads = 2,
                                 .head_dim = HEAD,
                                 .in_channels = 4,
                                 .out_channels = 4,
                                 .patch = 2,
                                 .patch_t = 1,
                                 .time_dim = 16,
                                 .text_dim = TEXT_COLS,
                                 .max_text = TEXT_ROWS,
                                 .sample_height = 4,
                                 .sample_width = 6,
                                 .sample_frames = 5,
                                 .temporal_compression = 4,
                                 .rotary = 1,
                                 .spatial_scale = 1.875,
                                 .temporal_scale = 1,
                                 .norm_eps = 1e-5};

static int train_on(report *p, const char *backend, const char *name, double *last) {
  float rgb[CLIPS * LATENTS], alpha[CLIPS * LATENTS], text_rows[CLIPS * TEXT_ROWS * TEXT_COLS];
  const int base = !strcmp(name, "base");
  const rng r = {.seed = 4, .stream = RNG_TEST, .sub = 50};
  int rc = OK;
  ctx c;
  dit m = {0};
  adapter a = {0};
  design d;
  layout l;
  train_result result = {0};
  train_config f = train_defaults(base);
  rng_normal(r, 0, CLIPS * LATENTS, rgb);
  for (int i = 0; i < CLIPS * LATENTS; i++) alpha[i] = 0.5f * rgb[i] + 0.2f;
  rng_normal(r, 1 << 20, CLIPS * TEXT_ROWS * TEXT_COLS, text_rows);
  train_data data = {.clips = CLIPS,
                     .frames = 2,
                     .channels = 4,
                     .height = 4,
                     .width = 6,
                     .rgb = rgb,
                     .alpha = alpha,
                     .n_text = TEXT_ROWS,
                     .text_dim = TEXT_COLS,
                     .text = text_rows,
                     .null_text = text_rows};
  f.steps = STEPS, f.batch = 2, f.rank = 4, f.muon_lr = 0, f.checkpoint_every = 0;
  TRY(ctx_open(&c, &(ctx_options){.backend = backend, .threads = 1, .device = p->number}));
  TRY(design_parse(&c.err, name, &d));
  design_layout(&d, &l);
  TRY(dit_open(&c, &small, base, &m));
  TRY(dit_init(&c, &m, 3));
  TRY(adapter_open(&c, &m, &l, &(adapter_shape){.rank = 4, .gamma = 0.7, .trainable = 1}, &a));
  if (!base) TRY(adapter_init(&c, &a, &m, &l, 1));
  TRY(train_run(&c, &m, &a, base ? NULL : &d, &data, &f, "", NULL, &result));
  *last = (double)result.losses[STEPS - 1];
out:
  if (rc != OK) rc = err_set(&p->c->err, rc, "%s, design %s: %s", backend, name, c.err.text);
  free(result.losses);
  adapter_close(&c, &a);
  dit_close(&c, &m);
  ctx_close(&c);
  return rc;
}

static int check_designs(report *p) {
  int rc = OK;
  for (const variant *const *v = variant_list(); *v && p->n_design < 64; v++) {
    double want = 0, got = 0, again = 0;
    row *out = &p->design[p->n_design++];
    TRY(train_on(p, "cpu", (*v)->name, &want));
    TRY(train_on(p, "cuda", (*v)->name, &got));
    TRY(train_on(p, "cuda", (*v)->name, &again));
    *out = (row){.name = (*v)->name, .storage = "fp32", .bound = 1e-5, .same_bits = got == again};
    out->error = fabs(got - want) / want;
    out->good = out->same_bits && out->error <= out->bound;
    p->failed |= !out->good;
  }
out:
  return rc;
}

/* --- memory: what the device gives for what is asked for --- */

static int check_memory(report *p) {
  ctx c;
  int rc = OK;
  device_facts before, after;
  const size_t asked = (size_t)64 << 20;
  TRY(ctx_open(&c, &(ctx_options){.backend = "cuda", .device = p->number}));
  TRY(ctx_device(&c, &before));
  TRY(ctx_arena(&c, asked));
  TRY(ctx_device(&c, &after));
  p->device = before;
  snprintf(p->library, sizeof p->library, "%s", c.library);
  snprintf(p->isa, sizeof p->isa, "%s", c.isa);
  p->planned = (double)asked;
  p->taken = (double)before.free - (double)after.free;
  p->failed |= p->taken < p->planned || p->taken > p->planned + (double)((size_t)4 << 20);
out:
  if (rc != OK) rc = err_set(&p->c->err, rc, "%s", c.err.text);
  ctx_close(&c);
  return rc;
}

/* --- what is printed --- */

static void rows_text(text *t, const row *r, int n, int with_speed) {
  for (int i = 0; i < n; i++) {
    text_addf(t, "%-4s  %-18s %s  difference %8.2e (at most %.0e)  bits %s", r[i].good ? "OK" : "FAIL", r[i].name,
              r[i].storage, r[i].error, r[i].bound, r[i].same_bits ? "repeat" : "DIFFER");
    if (with_speed) text_addf(t, "  %9.1f GFLOP/s %8.1f GB/s", r[i].gflops, r[i].gbytes);
    text_add(t, "\n");
  }
}

static json *rows_json(const row *r, int n, int with_speed) {
  json *list = json_new(JSON_ARRAY);
  for (int i = 0; i < n; i++) {
    json *j = json_new(JSON_OBJECT);
    cli_set_text(&j, "name", r[i].name);
    cli_set_text(&j, "storage", r[i].storage);
    cli_set(&j, "difference", json_new_number(r[i].error));
    cli_set(&j, "bound", json_new_number(r[i].bound));
    cli_set_bool(&j, "same_bits", r[i].same_bits);
    cli_set_bool(&j, "ok", r[i].good);
    if (with_speed) cli_set(&j, "gflops", json_new_number(r[i].gflops));
    if (with_speed) cli_set(&j, "gbytes", json_new_number(r[i].gbytes));
    cli_push(&list, j);
  }
  return list;
}

static int print(const report *p) {
  text t = {0};
  if (p->c->json) {
    json *j = json_new(JSON_OBJECT);
    cli_set_bool(&j, "ok", !p->failed);
    cli_set_text(&j, "device", p->device.name);
    cli_set_text(&j, "level", p->isa);
    cli_set_text(&j, "driver", p->device.driver);
    cli_set_text(&j, "library", p->library);
    cli_set(&j, "memory", json_new_number((double)p->device.total));
    cli_set(&j, "operations", rows_json(p->op, p->n_op, 1));
    cli_set(&j, "training", rows_json(p->design, p->n_design, 0));
    return cli_put_json(p->c, j);
  }
  text_addf(&t, "device  %s, %s, %.1f GiB, driver %s, %s\n\n", p->device.name, p->isa,
            (double)p->device.total / (double)((size_t)1 << 30), p->device.driver, p->library);
  rows_text(&t, p->op, p->n_op, 1);
  text_addf(&t, "\nloss of the step %d of a small model\n", STEPS);
  rows_text(&t, p->design, p->n_design, 0);
  text_addf(&t, "\nmemory  asked for %.0f MiB, the device gave %.0f MiB\n", p->planned / (1 << 20),
            p->taken / (1 << 20));
  return cli_put(p->c, &t);
}

int doctor_gpu(cli *c, int64_t rows, int device) {
  report *p = NULL;
  int rc = OK;
  TRY(mem_new(&c->err, 1, sizeof *p, "report", &p));
  p->c = c;
  p->number = device;
  TRY(check_memory(p));
  cli_note(c, "%s: operations", p->device.name);
  TRY(check_ops(p, DT_REAL, rows));
  TRY(check_ops(p, DT_BF16, rows));
  cli_note(c, "training");
  TRY(check_designs(p));
  TRY(print(p));
  if (p->failed) c->status = EXIT_FAILED;
out:
  free(p);
  return rc;
}
