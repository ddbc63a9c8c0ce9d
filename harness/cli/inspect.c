/* tandem inspect: what lies in a model folder or file, whether its parts fit, and what it would cost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/costs.h"
#include "cli/grid.h"
#include "cli/verbs.h"
#include "model/folder.h"
#include "model/spiece.h"
#include "model/t5.h"
#include "model/vae.h"

#define SPIECE_MAX ((size_t)256 << 20)

typedef struct inspect_args {
  const char *size;
  int64_t frames, rank;
  int read;
} inspect_args;

#define AT(member) offsetof(inspect_args, member)
static const cli_option options[] = {
    {.name = "size",
     .kind = CLI_TEXT,
     .offset = AT(size),
     .value = "HxW",
     .help = "pixels of the clips that costs are given for (default: the config's sample size)"},
    {.name = "frames",
     .kind = CLI_INT,
     .offset = AT(frames),
     .value = "N",
     .hi = 65536,
     .help = "frames of those clips (default: the config's)"},
    {.name = "rank",
     .kind = CLI_INT,
     .offset = AT(rank),
     .value = "N",
     .initial = "128",
     .lo = 1,
     .hi = 4096,
     .help = "rank of the adapters that costs are given for"},
    {.name = "read",
     .kind = CLI_FLAG,
     .offset = AT(read),
     .help = "read headers instead of mapping the files, for network file systems"},
    {.name = NULL},
};

enum { KIND_ADAPTER = PART_COUNT, KIND_OTHER };

typedef struct part {
  int kind; /* a model_part, or one of the above */
  char class[64];
  int64_t files, tensors, params, bytes;
  int64_t of_type[DT_COUNT]; /* parameters of each dtype */
  char fact[160];            /* one line about it */
  err problem;
} part;

typedef struct job {
  cli *c;
  const inspect_args *a;
  const char *path;
  part at[PART_COUNT];
  int n;
  int have_cfg;
  dit_config cfg;
  plan_request plan;
  cost_table costs;
} job;

static const char *kind_name(int kind) {
  return kind == KIND_ADAPTER ? "adapter" : kind == KIND_OTHER ? "tensors" : part_name((model_part)kind);
}

/* --- what it is ------------------------------------------------------------------------------------------------ */

static void count(part *p, const st_file *f) {
  p->tensors = st_count(f);
  for (int64_t i = 0; i < p->tensors; i++) {
    const st_tensor *t = st_at(f, i);
    p->params += t->count;
    p->of_type[t->type] += t->count;
    p->bytes += t->count * dtype_size(t->type);
  }
}

/* Distinct files the tensors lie in. */
static int count_files(err *e, part *p, const st_file *f) {
  int rc = OK;
  const st_file **seen = NULL;
  int64_t cap = 0;
  for (int64_t i = 0; i < st_count(f); i++) {
    int64_t k = 0;
    while (k < p->files && seen[k] != st_at(f, i)->file) k++;
    if (k < p->files) continue;
    TRY(mem_grow(e, &seen, &cap, p->files + 1, sizeof *seen, "files"));
    seen[p->files++] = st_at(f, i)->file;
  }
out:
  free(seen);
  return rc;
}

static int kind_of(const st_file *f) {
  if (st_find(f, "patch_embed.proj.weight")) return PART_TRANSFORMER;
  if (st_find(f, "encoder.conv_in.conv.weight")) return PART_VAE;
  if (st_find(f, "shared.weight")) return PART_TEXT_ENCODER;
  if (st_find(f, "domain_emb")) return KIND_ADAPTER;
  for (int64_t i = 0; i < st_count(f); i++)
    if (text_ends(st_at(f, i)->name, ".lora_A.weight")) return KIND_ADAPTER;
  return KIND_OTHER;
}

static void adapter_fact(part *p, const st_file *f) {
  st_file *files[1] = {(st_file *)(uintptr_t)f};
  adapter_shape s = adapter_shape_of(files, 1);
  const char *made_by = st_meta(f, "design");
  snprintf(p->fact, sizeof p->fact, "rank %d, gamma %g%s%s%.60s%s", s.rank, s.gamma,
           st_meta(f, "gamma") ? "" : " (1 / rank; not recorded)", made_by ? ", design " : "", made_by ? made_by : "",
           st_find(f, "domain_emb") ? ", domain embedding" : "");
}

static int transformer_facts(job *t, part *p, const json *j, const char *name, const st_file *f) {
  int rc = OK;
  err *e = &p->problem;
  dit_config *c = &t->cfg;
  TRY(dit_config_read(e, j, name, c));
  t->have_cfg = 1;
  snprintf(p->fact, sizeof p->fact, "%d layers, %d heads x %d, %d -> %d channels, patch %d%s%s%s", c->layers,
           c->heads, c->head_dim, c->in_channels, c->out_channels, c->patch,
           c->slice_positions ? ", time patches" : "", c->rotary ? ", RoPE" : ", sincos",
           c->learned ? ", learned positions" : "");
  if (f) TRY(dit_check(e, c, name, f));
out:
  return rc;
}

static int encoder_facts(part *p, const json *j, const char *name, const st_file *f) {
  int rc = OK;
  err *e = &p->problem;
  t5_config c;
  plan_cost cost;
  TRY(t5_config_read(e, j, name, &c));
  if (f) TRY(t5_check(e, &c, name, f));
  TRY(t5_measure(e, &c, 1, T5_ROWS, &cost));
  char bytes[GRID_SHORT], work[GRID_SHORT];
  grid_bytes((double)cost.arena, bytes);
  grid_count(cost.flops, work);
  snprintf(p->fact, sizeof p->fact, "%d layers, %d heads x %d, width %d, vocabulary %d; a prompt takes %s, %sFLOP",
           c.layers, c.heads, c.head_dim, c.width, c.vocab, bytes, work);
out:
  return rc;
}

static int vae_facts(part *p, const json *j, const char *name, const st_file *f) {
  int rc = OK;
  err *e = &p->problem;
  vae_config c;
  TRY(vae_config_read(e, j, name, &c));
  snprintf(p->fact, sizeof p->fact, "%d latent channels, %dx smaller sides, scaling factor %g%s", c.latent_channels,
           vae_scale(&c), c.scaling_factor, c.invert_scale_latents ? ", inverted for images" : "");
  if (f) TRY(vae_check(e, &c, name, f));
out:
  return rc;
}

static int number_of(const json *j, const char *key, double *out) {
  const json *v = json_get(j, key);
  if (!v || v->type != JSON_NUMBER) return 0;
  *out = v->num;
  return 1;
}

static void config_fact(part *p, const json *j) {
  double x;
  const json *v = json_get(j, "prediction_type");
  if (p->kind == PART_SCHEDULER && number_of(j, "snr_shift_scale", &x))
    snprintf(p->fact, sizeof p->fact, "SNR shift %g, predicts %.40s", x,
             v && v->type == JSON_STRING ? v->str : "(not said)");
}

/* The config where there is one: a part's folder has it, a lone file may. */
static int config_facts(job *t, part *p, const char *path, const st_file *f, int required) {
  int rc = OK;
  json *j = NULL;
  text name = {0};
  err none = {0};
  if (p->kind >= PART_COUNT || p->kind == PART_TOKENIZER) goto out;
  if (required)
    TRY(folder_config(&p->problem, path, (model_part)p->kind, &j, &name));
  else if (folder_file(&none, path, (model_part)p->kind, "config.json", &name) != OK)
    goto out;
  else
    TRY(json_read(&p->problem, name.p, &j));
  if (!p->class[0]) {
    const json *v = json_get(j, "_class_name");
    if (v && v->type == JSON_STRING) snprintf(p->class, sizeof p->class, "%.60s", v->str);
  }
  if (p->kind == PART_TRANSFORMER) TRY(transformer_facts(t, p, j, name.p, f));
  if (p->kind == PART_TEXT_ENCODER) TRY(encoder_facts(p, j, name.p, f));
  if (p->kind == PART_VAE) TRY(vae_facts(p, j, name.p, f));
  config_fact(p, j);
out:
  json_free(j);
  text_free(&name);
  return rc;
}

static int tokenizer_facts(part *p, const char *path) {
  int rc = OK;
  err *e = &p->problem;
  text name = {0};
  char *data = NULL;
  size_t n;
  int64_t pieces;
  TRY(folder_file(e, path, PART_TOKENIZER, "spiece.model", &name));
  TRY(file_read(e, name.p, SPIECE_MAX, &data, &n));
  TRY(spiece_check(e, name.p, data, n, &pieces));
  p->files = 1;
  p->bytes = (int64_t)n;
  snprintf(p->fact, sizeof p->fact, "%lld pieces", (long long)pieces);
out:
  text_free(&name);
  free(data);
  return rc;
}

/* Problems stay with their part: the others are looked at all the same. */
static void look(job *t, part *p, const char *path, int in_pipeline) {
  int rc = OK;
  st_file *f = NULL;
  err *e = &p->problem;
  if (p->kind == PART_TOKENIZER) {
    TRY(tokenizer_facts(p, path));
    goto out;
  }
  if (p->kind != PART_SCHEDULER) {
    TRY(weights_open(e, path, in_pipeline ? (model_part)p->kind : PART_COUNT, t->a->read ? ST_READ : ST_MAP, &f));
    count(p, f);
    TRY(count_files(e, p, f));
    if (!in_pipeline) p->kind = kind_of(f);
  }
  if (p->kind == KIND_ADAPTER) adapter_fact(p, f);
  TRY(config_facts(t, p, path, f, in_pipeline));
out:
  (void)rc; /* in p->problem */
  st_close(f);
}

static int look_at_all(job *t) {
  int rc = OK;
  char *class = NULL;
  if (!file_exists(t->path)) FAIL(&t->c->err, E_IO, "%s: no such file or folder", t->path);
  if (!folder_is_pipeline(t->path)) {
    part *p = &t->at[t->n++];
    p->kind = KIND_OTHER;
    look(t, p, t->path, 0);
    goto out;
  }
  for (int k = 0; k < PART_COUNT; k++) {
    part *p = &t->at[t->n];
    TRY(folder_class(&t->c->err, t->path, (model_part)k, &class));
    if (*class) {
      p->kind = k;
      snprintf(p->class, sizeof p->class, "%.60s", class);
      look(t, p, t->path, 1);
      t->n++;
    }
    free(class);
    class = NULL;
  }
  if (!t->n) FAIL(&t->c->err, E_CONFIG, "%s: model_index.json lists no part", t->path);
out:
  free(class);
  return rc;
}

/* --- what it costs --------------------------------------------------------------------------------------------- */

static int read_size(job *t, int *height, int *width) {
  int64_t n[2];
  *height = t->cfg.sample_height * 8;
  *width = t->cfg.sample_width * 8;
  if (!t->a->size) return OK;
  int unit = 8 * t->cfg.patch;
  if (!cli_sizes(t->a->size, 2, n) || n[0] < unit || n[1] < unit || n[0] > 65536 || n[1] > 65536 || n[0] % unit ||
      n[1] % unit)
    return err_set(&t->c->err, E_ARG, "--size %s: want HxW, multiples of %d pixels", t->a->size, unit);
  *height = (int)n[0];
  *width = (int)n[1];
  return OK;
}

/* 8 pixels a latent, 4 frames a latent after the first; time patches round the latents up. */
static int measure(job *t) {
  int rc = OK, height, width;
  const dit_config *c = &t->cfg;
  if (!t->have_cfg) return OK;
  int64_t frames = t->a->frames > 0 ? t->a->frames : c->sample_frames;
  TRY(read_size(t, &height, &width));
  frames = (frames - 1) / c->temporal_compression + 1;
  frames = (frames + c->patch_t - 1) / c->patch_t * c->patch_t;
  t->plan = (plan_request){.cfg = *c,
                           .shape = {.rank = (int)t->a->rank},
                           .batch = 1,
                           .frames = (int)frames,
                           .height = height / 8,
                           .width = width / 8,
                           .n_text = c->max_text};
  TRY(costs_designs(&t->c->err, &t->plan, "model", 1, &t->costs));
out:
  return rc;
}

/* --- what is printed ------------------------------------------------------------------------------------------- */

/* "BF16", or "BF16 99%, F32 1%" */
static void types_of(const part *p, char out[64]) {
  size_t at = 0;
  out[0] = 0;
  for (int i = 0; i < DT_COUNT; i++) {
    if (!p->of_type[i] || at >= 48) continue;
    at += (size_t)snprintf(out + at, 64 - at, "%s%s", at ? ", " : "", dtype_name((dtype)i));
    if (p->of_type[i] < p->params)
      at += (size_t)snprintf(out + at, 64 - at, " %.3g%%", 100.0 * (double)p->of_type[i] / (double)p->params);
  }
}

static void as_text(const job *t, text *out) {
  static const char *const head[] = {"part", "class", "files", "tensors", "parameters", "dtype", "size"};
  grid g = {.cols = sizeof head / sizeof head[0]};
  char s[GRID_SHORT], types[64];
  for (int i = 0; i < g.cols; i++) grid_add_text(&g, head[i]);
  for (int i = 0; i < t->n; i++) {
    const part *p = &t->at[i];
    grid_add_text(&g, kind_name(p->kind));
    grid_add_text(&g, p->class[0] ? p->class : "-");
    grid_add(&g, "%lld", (long long)p->files);
    grid_add(&g, "%lld", (long long)p->tensors);
    grid_add(&g, "%lld", (long long)p->params);
    types_of(p, types);
    grid_add_text(&g, types[0] ? types : "-");
    grid_bytes((double)p->bytes, s);
    grid_add_text(&g, s);
  }
  grid_print(&g, out);
  grid_free(&g);
  text_add(out, "\n");
  for (int i = 0; i < t->n; i++) {
    const part *p = &t->at[i];
    if (p->fact[0]) text_addf(out, "%s: %s\n", kind_name(p->kind), p->fact);
    if (p->problem.code) text_addf(out, "%s: PROBLEM: %s\n", kind_name(p->kind), p->problem.text);
  }
  if (t->costs.without[0]) text_addf(out, "designs left out below: %s\n", t->costs.without);
  if (!t->costs.n) return;
  text_addf(out,
            "\nfloat32, latents %d x %d x %d, %lld text rows, rank %lld; from the null backend (no work is done)\n",
            t->plan.frames, t->plan.height, t->plan.width, (long long)t->plan.n_text, (long long)t->a->rank);
  costs_text(&t->costs, out);
}

static json *part_json(const part *p) {
  json *j = json_new(JSON_OBJECT), *types = json_new(JSON_OBJECT);
  cli_set_text(&j, "part", kind_name(p->kind));
  cli_set_text(&j, "class", p->class[0] ? p->class : NULL);
  cli_set_int(&j, "files", p->files);
  cli_set_int(&j, "tensors", p->tensors);
  cli_set_int(&j, "parameters", p->params);
  cli_set_int(&j, "bytes", p->bytes);
  for (int i = 0; i < DT_COUNT; i++)
    if (p->of_type[i]) cli_set_int(&types, dtype_name((dtype)i), p->of_type[i]);
  cli_set(&j, "dtypes", types);
  cli_set_text(&j, "about", p->fact[0] ? p->fact : NULL);
  cli_set_text(&j, "problem", p->problem.code ? p->problem.text : NULL);
  return j;
}

static json *as_json(const job *t) {
  json *j = json_new(JSON_OBJECT), *parts = json_new(JSON_ARRAY), *plan = json_new(JSON_OBJECT);
  for (int i = 0; i < t->n; i++) cli_push(&parts, part_json(&t->at[i]));
  cli_set_text(&j, "path", t->path);
  cli_set(&j, "parts", parts);
  if (!t->costs.n) {
    json_free(plan);
    return j;
  }
  cli_set_int(&plan, "frames", t->plan.frames);
  cli_set_int(&plan, "height", t->plan.height);
  cli_set_int(&plan, "width", t->plan.width);
  cli_set_int(&plan, "text_rows", t->plan.n_text);
  cli_set_int(&plan, "rank", t->a->rank);
  cli_set_text(&plan, "left_out", t->costs.without[0] ? t->costs.without : NULL);
  cli_set(&plan, "costs", costs_json(&t->costs));
  cli_set(&j, "plan", plan);
  return j;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  job t = {.c = c, .a = args, .path = c->words.v[0]};
  text out = {0};
  TRY(look_at_all(&t));
  TRY(measure(&t));
  for (int i = 0; i < t.n; i++)
    if (t.at[i].problem.code) c->status = EXIT_FAILED;
  if (c->json) {
    TRY(cli_put_json(c, as_json(&t)));
  } else {
    as_text(&t, &out);
    TRY(cli_put(c, &out));
  }
out:
  costs_free(&t.costs);
  return rc;
}

const cli_verb verb_inspect = {
    .name = "inspect",
    .group = "look inside",
    .help = "parts, parameters, types and costs of a model folder or file",
    .usage = "FOLDER|FILE",
    .about =
        "Opens a pipeline folder, a part's folder, an index of shards or a safetensors file, reads headers only, "
        "and\n"
        "prints what is there: parts, tensors, parameters, dtypes. Configs and shapes are held against each other;\n"
        "every part's problem is told, and then the exit status is 1. For a transformer it adds memory and work of\n"
        "a training step and a forward pass, every design.",
    .examples = "tandem inspect CogVideoX-5b\ntandem inspect CogVideoX1.5-5b --frames 81 --size 768x1360 --json\n"
                "tandem inspect cogvideox_rgba_lora.safetensors",
    .shared = CLI_JSON,
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .args_size = sizeof(inspect_args),
    .run = run,
};
