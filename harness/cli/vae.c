/* tandem vae: the CogVideoX VAE over tensors from a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/grid.h"
#include "cli/progress.h"
#include "cli/stop.h"
#include "cli/verbs.h"
#include "model/folder.h"
#include "model/vae.h"

typedef struct vae_args {
  const char *weights, *config, *in, *out, *tile, *plan;
} vae_args;

#define AT(member) offsetof(vae_args, member)
static const cli_option options[] = {
    {.name = "weights",
     .kind = CLI_TEXT,
     .offset = AT(weights),
     .value = "PATH",
     .help = "the VAE, diffusers names: a safetensors file, an index of shards, or a model folder"},
    {.name = "config",
     .kind = CLI_TEXT,
     .offset = AT(config),
     .value = "FILE",
     .help = "config.json of the VAE (default: the one beside the weights)"},
    {.name = "in",
     .kind = CLI_TEXT,
     .offset = AT(in),
     .value = "FILE",
     .help = "safetensors; encode reads in.clip [B,3,T,H,W] in -1..1, decode reads in.latents [B,C,T,H,W], already "
             "divided "
             "by the scaling factor"},
    {.name = "out",
     .kind = CLI_TEXT,
     .offset = AT(out),
     .value = "FILE",
     .help = "safetensors to write: mean and logvar, or output; whole or untouched"},
    {.name = "tile",
     .kind = CLI_TEXT,
     .offset = AT(tile),
     .value = "off|auto|HxW",
     .initial = "off",
     .help = "pixels of a tile; tiles bound the memory and change pixels near their edges; auto: half the config's "
             "sample size, as the reference has it"},
    {.name = "plan",
     .kind = CLI_TEXT,
     .offset = AT(plan),
     .value = "TxHxW",
     .help = "only say what an input of this size would need; wants no --in and --out"},
    {.name = NULL},
};

typedef struct job {
  cli *c;
  const vae_args *a;
  int encode;
  vae_config cfg;
  text config; /* its path, for messages */
  vae_options o;
  vae_shape in, out;
  vae_cost cost;
  st_file *weights, *file;
  ctx x;
  vae v;
  real *from, *to; /* to: frames, or mean and then logvar */
  progress progress;
  double seconds;
} job;

/* --- what to do --- */

static int read_tile(job *j) {
  int64_t n[2];
  const char *s = j->a->tile;
  if (!strcmp(s, "off")) return OK;
  if (!strcmp(s, "auto")) {
    j->o.tile = vae_tile_default(&j->cfg);
  } else {
    if (!cli_sizes(s, 2, n) || n[0] < 1 || n[1] < 1)
      return err_set(&j->c->err, E_ARG, "--tile is off, auto or HEIGHTxWIDTH in pixels, not '%.40s'", s);
    j->o.tile = (vae_tile){(int)n[0], (int)n[1]};
  }
  return vae_tile_check(&j->c->err, &j->cfg, j->o.tile);
}

static int read_config(job *j) {
  int rc = OK;
  json *doc = NULL;
  TRY(weights_config(&j->c->err, &(weights_path){j->a->weights, j->a->config, PART_VAE}, &doc, &j->config));
  TRY(vae_config_read(&j->c->err, doc, j->config.p, &j->cfg));
  TRY(read_tile(j));
out:
  json_free(doc);
  return rc;
}

static int plan_size(job *j) {
  int64_t n[3];
  if (!cli_sizes(j->a->plan, 3, n))
    return err_set(&j->c->err, E_ARG, "--plan is FRAMESxHEIGHTxWIDTH of the input, not '%.40s'", j->a->plan);
  j->in = (vae_shape){1, n[0], n[1], n[2]};
  return OK;
}

static const char *input_name(const job *j) {
  return j->encode ? "in.clip" : "in.latents";
}

static int open_input(job *j) {
  int rc = OK;
  err *e = &j->c->err;
  const st_tensor *t = NULL;
  const int channels = j->encode ? j->cfg.in_channels : j->cfg.latent_channels;
  TRY(st_open(e, j->a->in, &j->file));
  TRY(st_need(e, j->file, input_name(j), -1, NULL, &t));
  if (t->rank != 5)
    FAIL(e, E_SHAPE, "%s: %s has %d dimensions, wanted the 5 of [B,C,T,H,W]", j->a->in, input_name(j), t->rank);
  if (t->shape[1] != channels)
    FAIL(e, E_SHAPE, "%s: %s has %lld channels, the VAE of %s takes %d", j->a->in, input_name(j),
         (long long)t->shape[1], j->config.p, channels);
  j->in = (vae_shape){t->shape[0], t->shape[2], t->shape[3], t->shape[4]};
out:
  return rc;
}

static int read_input(job *j) {
  int rc = OK;
  const st_tensor *t = st_find(j->file, input_name(j));
  TRY(mem_new(&j->c->err, t->count, sizeof(real), input_name(j), &j->from));
  TRY(st_read_real(&j->c->err, t, j->from));
out:
  return rc;
}

/* Sizes the reference takes without a word and gives back changed. */
static void warn_sizes(job *j) {
  err e = {0};
  const int scale = vae_scale(&j->cfg);
  if (!j->encode) return;
  if (vae_check_frames(&e, &j->cfg, j->in.frames) != OK) cli_warn("%s", e.text);
  if (j->in.height % scale || j->in.width % scale)
    cli_warn("%lldx%lld is no multiple of %d: the latents stand for %lldx%lld pixels", (long long)j->in.height,
             (long long)j->in.width, scale, (long long)j->out.height * scale, (long long)j->out.width * scale);
}

/* --- cost --- */

/* Input and output are there once more while files are read and written. */
static double total_bytes(const vae_cost *k) {
  return (double)k->weights + (double)k->work + 2 * ((double)k->input + (double)k->output);
}

static int measure(job *j, vae_tile tile, vae_cost *out) {
  vae_options o = {.tile = tile};
  return vae_measure(&j->c->err, &j->cfg, j->encode ? VAE_ENCODER : VAE_DECODER, &o, &j->in, out);
}

/* Better to say so than to be killed by the system halfway. */
static int check_memory(job *j) {
  int rc = OK;
  char need[GRID_SHORT], have[GRID_SHORT], tiled[GRID_SHORT] = "";
  double ram = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
  vae_tile tile = vae_tile_default(&j->cfg);
  vae_cost k;
  if (ram <= 0 || total_bytes(&j->cost) <= ram) return OK;
  grid_bytes(total_bytes(&j->cost), need);
  grid_bytes(ram, have);
  if (!j->o.tile.height && vae_tile_check(NULL, &j->cfg, tile) == OK) {
    TRY(measure(j, tile, &k));
    grid_bytes(total_bytes(&k), tiled);
  }
  FAIL(&j->c->err, E_NOMEM, "vae: needs %s, this machine has %s%s%s%s", need, have,
       *tiled ? "; with --tile auto it needs " : "", tiled, *tiled ? "" : "; take a smaller --tile or fewer frames");
out:
  return rc;
}

static json *shape_json(const vae_shape *s, int64_t channels) {
  const int64_t n[5] = {s->batch, channels, s->frames, s->height, s->width};
  json *list = json_new(JSON_ARRAY);
  for (int i = 0; i < 5; i++) cli_push(&list, json_new_number((double)n[i]));
  return list;
}

/* Most memory this process ever had; -1 when the system does not say. getrusage would count the program that started
 * us. */
static double peak_rss(void) {
  double kib = -1;
  char line[256];
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f))
    if (!strncmp(line, "VmHWM:", 6)) kib = strtod(line + 6, NULL);
  if (f) fclose(f);
  return kib < 0 ? -1 : 1024 * kib;
}

static int say_json(job *j, int ran) {
  const vae_cost *k = &j->cost;
  json *o = json_new(JSON_OBJECT), *m = json_new(JSON_OBJECT);
  cli_set_text(&o, "verb", j->encode ? "encode" : "decode");
  cli_set(&o, "input", shape_json(&j->in, j->encode ? j->cfg.in_channels : j->cfg.latent_channels));
  cli_set(&o, "output", shape_json(&j->out, j->encode ? j->cfg.latent_channels : j->cfg.out_channels));
  cli_set_int(&o, "tiles", k->tiles);
  cli_set_int(&o, "chunks", k->chunks);
  cli_set_number(&o, "flops", k->flops);
  cli_set_number(&o, "conv_flops", k->conv_flops);
  cli_set_number(&m, "weights", (double)k->weights);
  cli_set_number(&m, "work", (double)k->work);
  cli_set_number(&m, "tensors", 2 * ((double)k->input + (double)k->output));
  cli_set_number(&m, "total", total_bytes(k));
  if (ran) cli_set_number(&m, "peak_rss", peak_rss());
  cli_set(&o, "bytes", m);
  if (ran) {
    cli_set_text(&o, "file", j->a->out);
    cli_set_number(&o, "seconds", j->seconds);
    cli_set_text(&o, "isa", j->x.isa);
    cli_set_int(&o, "threads", j->x.threads);
  }
  return cli_put_json(j->c, o);
}

static int cost_text(job *j, text *t) {
  const vae_cost *k = &j->cost;
  char total[GRID_SHORT], weights[GRID_SHORT], work[GRID_SHORT], tensors[GRID_SHORT], flops[GRID_SHORT];
  grid_bytes(total_bytes(k), total);
  grid_bytes((double)k->weights, weights);
  grid_bytes((double)k->work, work);
  grid_bytes(2 * ((double)k->input + (double)k->output), tensors);
  grid_count(k->flops, flops);
  text_addf(t, "%s: %lld frames of %lldx%lld to %lld of %lldx%lld, %lld tile%s, %lld chunk%s each, %sFLOP\n",
            j->encode ? "encode" : "decode", (long long)j->in.frames, (long long)j->in.height, (long long)j->in.width,
            (long long)j->out.frames, (long long)j->out.height, (long long)j->out.width, (long long)k->tiles,
            k->tiles == 1 ? "" : "s", (long long)k->chunks, k->chunks == 1 ? "" : "s", flops);
  text_addf(t, "peak memory %s: weights %s, work %s, input and output %s\n", total, weights, work, tensors);
  return text_ok(t, &j->c->err);
}

/* --- work --- */

static int on_tick(void *user, const vae_tick *t) {
  job *j = user;
  char detail[96];
  snprintf(detail, sizeof detail, "tile %lld of %lld, frame %lld of %lld", (long long)t->tile, (long long)t->tiles,
           (long long)t->frames, (long long)t->of_frames);
  progress_vae(&j->progress, t, detail);
  return stop_signal();
}

static int compute(job *j) {
  int rc = OK;
  ctx *x = &j->x;
  ctx_options o = {.backend = "cpu", .threads = (int)j->c->threads, .isa = cli_isa(j->c)};
  const int64_t pixels = j->out.batch * j->out.frames * j->out.height * j->out.width;
  const int64_t half = pixels * (j->encode ? j->cfg.latent_channels : j->cfg.out_channels);
  TRY(ctx_open(x, &o));
  TRY(vae_open(x, &j->cfg, j->encode ? VAE_ENCODER : VAE_DECODER, &j->v));
  TRY(vae_load(x, &j->v, (const st_file *const[]){j->weights}, 1));
  TRY(mem_new(&x->err, half * (j->encode ? 2 : 1), sizeof(real), "output", &j->to));
  progress_open(&j->progress, j->c, "GFLOP", 0);
  stop_listen();
  double began = clock_seconds();
  if (j->encode)
    TRY(vae_encode(x, &j->v, &j->o, &j->in, j->from, j->to, j->to + half));
  else
    TRY(vae_decode(x, &j->v, &j->o, &j->in, j->from, j->to));
  j->seconds = clock_seconds() - began;
out:
  progress_close(&j->progress);
  if (rc != OK) rc = err_set(&j->c->err, x->err.code, "%s", x->err.text);
  return rc;
}

static int save(job *j) {
  int rc = OK;
  err *e = &j->c->err;
  st_writer *w = NULL;
  const int channels = j->encode ? j->cfg.latent_channels : j->cfg.out_channels;
  const int64_t shape[5] = {j->out.batch, channels, j->out.frames, j->out.height, j->out.width};
  const int64_t n = shape[0] * shape[1] * shape[2] * shape[3] * shape[4];
  TRY(st_writer_open(e, &w));
  TRY(st_writer_add_real(w, e, j->encode ? "mean" : "output", DT_F32, 5, shape, j->to));
  if (j->encode) TRY(st_writer_add_real(w, e, "logvar", DT_F32, 5, shape, j->to + n));
  TRY(st_writer_save(w, e, j->a->out));
out:
  st_writer_close(w);
  return rc;
}

static int run_work(job *j) {
  int rc = OK;
  text t = {0};
  TRY(check_memory(j));
  TRY(cost_text(j, &t));
  cli_detail(j->c, "%.*s", (int)t.n - 1, t.p);
  TRY(read_input(j));
  rc = compute(j);
  if (rc == E_INTERRUPTED) j->c->status = stop_status(stop_signal());
  TRY(rc);
  TRY(save(j));
  if (j->c->json) TRY(say_json(j, 1));
  cli_detail(j->c, "cpu backend, level %s, %d threads, %.1f s", j->x.isa, j->x.threads, j->seconds);
  cli_note(j->c, "wrote %s", j->a->out);
out:
  text_free(&t);
  return rc;
}

static int check_words(job *j) {
  err *e = &j->c->err;
  const vae_args *a = j->a;
  const char *word = j->c->words.v[0];
  j->encode = !strcmp(word, "encode");
  if (!j->encode && strcmp(word, "decode") != 0) return err_set(e, E_ARG, "vae '%.40s': encode or decode", word);
  if (!a->config && !a->weights)
    return err_set(e, E_ARG, "vae %s: --config FILE is missing, and there are no weights beside which it could lie",
                   word);
  if (a->plan) return OK;
  if (!a->weights || !a->in || !a->out)
    return err_set(e, E_ARG, "vae %s: --%s FILE is missing", word, !a->weights ? "weights" : !a->in ? "in" : "out");
  return cli_check_out(j->c, a->out);
}

static int run(cli *c, const void *args) {
  int rc = OK;
  err *e = &c->err;
  text t = {0};
  job j = {.c = c, .a = args};
  j.o = (vae_options){.tick = on_tick, .user = &j};
  TRY(check_words(&j));
  TRY(read_config(&j));
  if (j.a->plan) {
    TRY(plan_size(&j));
  } else {
    TRY(weights_open(e, j.a->weights, PART_VAE, ST_READ, &j.weights));
    TRY(open_input(&j));
    TRY(vae_check(e, &j.cfg, j.config.p, j.weights));
  }
  TRY((j.encode ? vae_encoded_shape : vae_decoded_shape)(e, &j.cfg, &j.o, &j.in, &j.out));
  TRY(measure(&j, j.o.tile, &j.cost));
  warn_sizes(&j);
  if (!j.a->plan) {
    TRY(run_work(&j));
  } else if (c->json) {
    TRY(say_json(&j, 0));
  } else {
    TRY(cost_text(&j, &t));
    TRY(cli_put(c, &t));
  }
out:
  vae_close(&j.x, &j.v);
  ctx_close(&j.x);
  st_close(j.weights);
  st_close(j.file);
  free(j.from);
  free(j.to);
  text_free(&j.config);
  text_free(&t);
  return rc;
}

const cli_verb verb_vae = {
    .name = "vae",
    .group = "look inside",
    .help = "encode or decode video with a CogVideoX VAE",
    .usage = "encode|decode --weights PATH --in FILE --out FILE",
    .about =
        "Runs one half of the VAE on tensors from a file, with the reference's chunks of time and, if asked, its\n"
        "tiles. Latents are unscaled: multiply a mean by scaling_factor for the transformer, divide its result\n"
        "before decoding. Only 8k + 1 and 8k frames come back unchanged. -v says what it needs before it starts.",
    .examples =
        "tandem vae decode --weights CogVideoX-5b --in z.safetensors --out x.safetensors\n"
        "tandem vae encode --weights vae.safetensors --config config.json --in x.safetensors --out z.safetensors "
        "--tile auto\n"
        "tandem vae decode --config config.json --plan 13x60x90 --tile auto",
    .exits = CLI_EXIT_STOPPED,
    .shared = CLI_THREADS | CLI_ISA | CLI_JSON,
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .args_size = sizeof(vae_args),
    .run = run,
};
