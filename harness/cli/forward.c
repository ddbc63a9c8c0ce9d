/* tandem forward: one pass of the model over tensors from a file. */
#include <stdio.h>

#include "cli/adapters.h"
#include "cli/verbs.h"
#include "model/probe.h"
#include "variants/variant.h"

typedef struct forward_args {
  const char *weights, *config, *design, *in, *out;
  cli_list adapters;
  double gamma;
  int trace, precision;
} forward_args;

#define AT(member) offsetof(forward_args, member)
static const cli_option options[] = {
    {.name = "weights",
     .kind = CLI_TEXT,
     .offset = AT(weights),
     .value = "PATH",
     .required = 1,
     .help = "the base DiT, diffusers names: a safetensors file, an index of shards, or a model folder"},
    {.name = "config",
     .kind = CLI_TEXT,
     .offset = AT(config),
     .value = "FILE",
     .help = "config.json of the base DiT (default: the one beside the weights)"},
    {.name = "design",
     .kind = CLI_TEXT,
     .offset = AT(design),
     .value = "DESIGN",
     .initial = "base",
     .help = "joint design, NAME, NAME:OPTION=VALUE,... or an alias"},
    {.name = "adapter",
     .kind = CLI_TEXTS,
     .offset = AT(adapters),
     .value = "FILE",
     .help = "safetensors with what the design trains (LoRA, domain embedding, exchange, latent projections)"},
    {.name = "gamma",
     .kind = CLI_NUMBER,
     .offset = AT(gamma),
     .value = "X",
     .hi = 1e6,
     .help = "LoRA scale alpha / rank (default: the adapter's metadata, else 1 / rank)"},
    {.name = "in",
     .kind = CLI_TEXT,
     .offset = AT(in),
     .value = "FILE",
     .required = 1,
     .help =
         "safetensors with in.latents [B,F,C,H,W], in.text [B,T,D], in.timestep [B], and in.ofs [B] where the model "
         "has ofs; RGB frames first, then alpha frames"},
    {.name = "out",
     .kind = CLI_TEXT,
     .offset = AT(out),
     .value = "FILE",
     .required = 1,
     .help = "safetensors to write: output [B,F,C,H,W]; whole or untouched"},
    {.name = "trace", .kind = CLI_FLAG, .offset = AT(trace), .help = "also write embed, block.N, norm_out, time_emb"},
    {.name = "precision",
     .kind = CLI_CHOICE,
     .offset = AT(precision),
     .choices = cli_precisions,
     .initial = "fp32",
     .help = "how weights and activations are stored; arithmetic is float32 either way"},
    {.name = NULL},
};

typedef struct forward {
  ctx c;
  dit m;
  adapter a;
  layout l;
  design d;
  st_file *in;
  adapters from;
  st_writer *out;
} forward;

static int open_inputs(cli *c, const forward_args *a, forward *f) {
  int rc = OK;
  err *e = &c->err;
  TRY(design_parse(e, a->design, &f->d));
  if (design_imports(&f->d)) FAIL(e, E_ARG, "design %s runs no model: its clips are read from files", a->design);
  design_layout(&f->d, &f->l);
  TRY(st_open(e, a->in, &f->in));
  f->from = (adapters){.d = &f->d, .gamma = a->gamma};
  TRY(adapters_open(e, &a->adapters, &f->from));
out:
  return rc;
}

static int compute(cli *c, const forward_args *a, forward *f) {
  int rc = OK;
  ctx *x = &f->c;
  ctx_options o = {.backend = cli_backend(c),
                   .device = (int)c->device,
                   .threads = (int)c->threads,
                   .isa = cli_isa(c),
                   .storage = a->precision ? DT_BF16 : DT_REAL};
  TRY(ctx_open(x, &o));
  if (*x->note) cli_warn("%s", x->note);
  const dit_source source = {.weights = a->weights, .config = a->config, .mode = c->read ? ST_READ : ST_MAP};
  TRY(dit_from(x, &source, &f->m));
  TRY(adapters_load(c, &f->from, x, &f->m, &f->a));
  TRY(st_writer_open(&x->err, &f->out));
  TRY(probe_forward(x, &f->m, &f->a, &f->l, f->in, a->trace, f->out));
  cli_detail(c, "%s backend, level %s, %d threads%s%s", x->ops->name, x->isa, x->threads, *x->library ? ", " : "",
             x->library);
out:
  if (rc != OK) rc = err_set(&c->err, x->err.code, "%s", x->err.text);
  return rc;
}

static void forward_close(forward *f) {
  st_writer_close(f->out);
  adapter_close(&f->c, &f->a);
  dit_close(&f->c, &f->m);
  ctx_close(&f->c);
  adapters_close(&f->from);
  st_close(f->in);
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const forward_args *a = args;
  forward f = {0};
  TRY(cli_check_out(c, a->out));
  TRY(open_inputs(c, a, &f));
  TRY(compute(c, a, &f));
  TRY(st_writer_save(f.out, &c->err, a->out));
  cli_note(c, "wrote %s", a->out);
out:
  forward_close(&f);
  return rc;
}

const cli_verb verb_forward = {
    .name = "forward",
    .group = "look inside",
    .help = "one forward pass on tensors from a file",
    .usage = "--weights PATH --in FILE --out FILE",
    .about =
        "Runs the DiT once on tensors from a file and writes what it computes, for anyone who converts weights or\n"
        "doubts a number. Names and layouts are those of diffusers; files are read widened to\n"
        "float32. --precision bf16 then rounds weights and every stored activation to bfloat16, as on a GPU.",
    .examples =
        "tandem forward --weights CogVideoX-5b --in x.safetensors --out y.safetensors\n"
        "tandem forward --weights dit.safetensors --config config.json --design sequence --adapter lora.safetensors "
        "\\\n"
        "    --in x.safetensors --out y.safetensors --trace",
    .shared = CLI_THREADS | CLI_BACKEND | CLI_ISA | CLI_READ,
    .options = options,
    .args_size = sizeof(forward_args),
    .run = run,
};
