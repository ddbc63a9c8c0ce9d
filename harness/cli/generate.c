/* tandem generate: one clip without a study. */
#include "cli/generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cli/stop.h"
#include "cli/verbs.h"
#include "media/deliver.h"
#include "media/picture.h"

static const char *const samplers[] = {"model", "ddim", "dpm", "euler", NULL};
static const char *const schedules[] = {"auto", "constant", "dynamic-released", "dynamic-fixed", NULL};
static const char *const colours[] = {"decoded", "straight", "premultiplied", NULL};

#define AT(member) offsetof(generate_args, member)
static const cli_option options[] = {
    {.name = "model",
     .kind = CLI_TEXT,
     .offset = AT(model),
     .value = "PATH",
     .required = 1,
     .help = "model folder as on the hub; with --embeddings, --noise and --latents the transformer alone will do"},
    {.name = "config",
     .kind = CLI_TEXT,
     .offset = AT(config),
     .value = "FILE",
     .help = "config.json of a transformer that has none beside it"},
    {.name = "adapter",
     .kind = CLI_TEXTS,
     .offset = AT(adapters),
     .value = "FILE",
     .help = "safetensors with what the design trained"},
    {.name = "gamma",
     .kind = CLI_NUMBER,
     .offset = AT(gamma),
     .value = "X",
     .hi = 1e6,
     .help = "LoRA scale alpha / rank (default: the adapter's metadata, else 1 / rank)"},
    {.name = "design",
     .kind = CLI_TEXT,
     .offset = AT(design),
     .value = "DESIGN",
     .help =
         "joint design (default: the adapter's metadata; soft-mask for an adapter without; base without adapter)"},
    {.name = "prompt", .kind = CLI_TEXT, .offset = AT(prompt), .value = "TEXT", .help = "what to show"},
    {.name = "negative",
     .kind = CLI_TEXT,
     .offset = AT(negative),
     .value = "TEXT",
     .initial = "",
     .help = "prompt that guidance leads away from"},
    {.name = "embeddings",
     .kind = CLI_TEXT,
     .offset = AT(embeddings),
     .value = "FILE",
     .help = "ready text rows instead of a prompt: safetensors (in.text_cond and in.text_uncond, or text [2,T,D]) or "
             ".npy [2,T,D]"},
    {.name = "cache",
     .kind = CLI_TEXT,
     .offset = AT(cache),
     .value = "DIR",
     .help = "keep encoded prompts here and take them from here"},
    {.name = "image",
     .kind = CLI_TEXT,
     .offset = AT(image),
     .value = "FILE",
     .help = "first frame, for image-to-video models; its alpha, where it has one, is the first frame of alpha"},
    {.name = "size",
     .kind = CLI_TEXT,
     .offset = AT(size),
     .value = "HxW",
     .help = "pixels (default: the noise's, else the model's own)"},
    {.name = "frames",
     .kind = CLI_INT,
     .offset = AT(frames),
     .value = "N",
     .lo = 1,
     .hi = 4096,
     .help = "frames, 8k or 8k + 1 (default: the noise's, else the model's own)"},
    {.name = "fps",
     .kind = CLI_NUMBER,
     .offset = AT(fps),
     .value = "X",
     .lo = 0.1,
     .hi = 240,
     .initial = "8",
     .help = "frames a second that the files say"},
    {.name = "steps",
     .kind = CLI_INT,
     .offset = AT(steps),
     .value = "N",
     .initial = "50",
     .lo = 1,
     .hi = 1000,
     .help = "sampling steps"},
    {.name = "guidance",
     .kind = CLI_NUMBER,
     .offset = AT(guidance),
     .value = "X",
     .initial = "6",
     .lo = 0,
     .hi = 100,
     .help = "guidance weight; 1 or less runs without"},
    {.name = "cfg",
     .kind = CLI_CHOICE,
     .offset = AT(cfg),
     .choices = schedules,
     .initial = "auto",
     .help = "guidance over the steps; auto: dynamic-released with dpm, else constant"},
    {.name = "sampler",
     .kind = CLI_CHOICE,
     .offset = AT(sampler),
     .choices = samplers,
     .initial = "model",
     .help = "model: what the folder's scheduler says, else ddim; euler is for flow-matching models"},
    {.name = "seed",
     .kind = CLI_INT,
     .offset = AT(seed),
     .value = "N",
     .initial = "0",
     .lo = 0,
     .hi = 9007199254740991.0,
     .help = "of all noise"},
    {.name = "noise",
     .kind = CLI_TEXT,
     .offset = AT(noise),
     .value = "FILE",
     .help = "safetensors with in.start (or in.noise_half, repeated for alpha), and as needed noise "
             "[steps,1,F,C,h,w] and in.posterior_noise"},
    {.name = "noise-run",
     .kind = CLI_TEXT,
     .offset = AT(noise_run),
     .value = "RUN",
     .help = "whose step noise to take from a file that has several: RUN.noise"},
    {.name = "tile",
     .kind = CLI_TEXT,
     .offset = AT(tile),
     .value = "off|auto|HxW",
     .initial = "auto",
     .help = "pixels of a VAE tile; only pictures larger than one tile are cut"},
    {.name = "out",
     .alias = 'o',
     .kind = CLI_TEXT,
     .offset = AT(out),
     .value = "FILE",
     .help = "the clip with its alpha: .mkv, .mov, .webm, .webp, or NAME/ for PNG pictures"},
    {.name = "colour",
     .kind = CLI_CHOICE,
     .offset = AT(colour),
     .choices = colours,
     .initial = "decoded",
     .help = "of the clip: as decoded, declared straight, or multiplied by alpha"},
    {.name = "quality",
     .kind = CLI_INT,
     .offset = AT(quality),
     .value = "N",
     .lo = 1,
     .hi = 100,
     .help = "of .webm (default 75) and .webp (default lossless)"},
    {.name = "composite",
     .kind = CLI_TEXT,
     .offset = AT(composite),
     .value = "FILE",
     .help = "also write the clip over a background, to a name like --out"},
    {.name = "over",
     .kind = CLI_TEXT,
     .offset = AT(over),
     .value = "WHAT",
     .initial = "checker",
     .help = "that background: checker, #rrggbb, plate (the clip's own colours, blurred), or a picture"},
    {.name = "latents",
     .kind = CLI_TEXT,
     .offset = AT(latents),
     .value = "FILE",
     .help = "also write safetensors: latents [1,F,C,h,w], decoded.rgb and decoded.alpha [1,3,T,H,W]"},
    {.name = "preview",
     .kind = CLI_TEXT,
     .offset = AT(preview),
     .value = "DIR",
     .help = "while sampling, write the first frame as it is estimated so far (RGB, alpha, composite) here"},
    {.name = "preview-every",
     .kind = CLI_INT,
     .offset = AT(preview_every),
     .value = "N",
     .initial = "5",
     .lo = 1,
     .hi = 1000,
     .help = "steps between previews; the last step always has one"},
    {.name = NULL},
};

static int check_args(generate *g) {
  int rc = OK;
  err *e = &g->c->err;
  const generate_args *a = g->a;
  if (!a->prompt == !a->embeddings) FAIL(e, E_ARG, "give --prompt TEXT or --embeddings FILE, one of them");
  if (!a->out && !a->latents && !a->composite)
    FAIL(e, E_ARG, "nothing would be written: give -o FILE, --composite FILE or --latents FILE");
  if (a->out) TRY(deliver_check(e, a->out));
  if (a->composite) TRY(deliver_check(e, a->composite));
  if (a->out && a->composite && !strcmp(a->out, a->composite))
    FAIL(e, E_ARG, "--out and --composite are both %s", a->out);
out:
  return rc;
}

static int say_json(generate *g) {
  char name[DESIGN_TEXT], digest[HASH_HEX];
  int rc = OK;
  json *o = json_new(JSON_OBJECT), *seconds = json_new(JSON_OBJECT), *spread = json_new(JSON_OBJECT);
  const clip_size *s = &g->size;
  const int64_t n = g->l.streams * generate_half(g);
  design_print(&g->d, OPTION_TRAIN | OPTION_SAMPLE, name);
  TRY(hash_bytes(&g->c->err, g->z, (size_t)n * sizeof *g->z, digest));
  cli_set_text(&o, "design", name);
  cli_set_int(&o, "rank", g->rank);
  cli_set_number(&o, "gamma", g->gamma);
  cli_set_text(&o, "sampler", sampler_name(g->sample.sampler));
  cli_set_text(&o, "spacing", spacing_name(g->sample.spacing));
  cli_set_text(&o, "cfg", cfg_name(g->sample.cfg));
  cli_set_number(&o, "guidance", g->sample.guidance);
  cli_set_int(&o, "steps", g->sample.steps);
  cli_set_int(&o, "seed", g->a->seed);
  cli_set_int(&o, "frames", s->frames);
  cli_set_int(&o, "height", s->height);
  cli_set_int(&o, "width", s->width);
  cli_set_int(&o, "latent_frames", s->z_frames);
  cli_set_text(&o, "latents_sha256", digest);
  if (g->frames[1]) {
    cli_set_number(&spread, "mean", g->spread.mean);
    cli_set_number(&spread, "max", g->spread.most);
    cli_set_number(&spread, "min", g->spread.least);
    cli_set(&o, "alpha_spread", spread);
    spread = NULL;
  }
  cli_set_text(&o, "out", g->a->out);
  cli_set_text(&o, "composite", g->a->composite);
  cli_set_text(&o, "latents", g->a->latents);
  cli_set_number(&seconds, "text", g->seconds[0]);
  cli_set_number(&seconds, "sampling", g->seconds[1]);
  cli_set_number(&seconds, "decoding", g->seconds[2]);
  cli_set(&o, "seconds", seconds);
  json_free(spread);
  return cli_put_json(g->c, o);
out:
  json_free(o);
  json_free(seconds);
  json_free(spread);
  return rc;
}

static void close_all(generate *g) {
  adapter_close(&g->x, &g->adapter);
  adapters_close(&g->from);
  vae_close(&g->x, &g->v);
  dit_close(&g->x, &g->m);
  ctx_close(&g->x);
  noise_close(&g->noise);
  free(g->text.at);
  free(g->start);
  free(g->image);
  free(g->z);
  free(g->frames[0]);
  free(g->frames[1]);
}

static int run(cli *c, const void *args) {
  int rc = OK;
  generate g = {.c = c, .a = args};
  TRY(check_args(&g));
  stop_listen();
  TRY(generate_prepare(&g));
  TRY(generate_sample(&g));
  TRY(generate_deliver(&g));
  if (c->json) TRY(say_json(&g));
out:
  if (rc == E_INTERRUPTED) c->status = stop_status(stop_signal());
  close_all(&g);
  return rc;
}

const cli_verb verb_generate = {
    .name = "generate",
    .group = "clips",
    .help = "one clip from a prompt, without a study",
    .usage = "--model PATH (--prompt TEXT | --embeddings FILE) -o FILE",
    .about =
        "Runs a CogVideoX folder as it comes from the hub, alone or extended to RGBA by an adapter: prompt, "
        "sampling,\n"
        "decoding, alpha as the maximum of its three channels. The same seed gives the same clip. Ctrl-C ends it\n"
        "and writes nothing. docs/generate.md has a worked example.",
    .examples =
        "tandem generate --model CogVideoX-5b --adapter rgba.safetensors --prompt 'a rainbow' -o rainbow.mkv\n"
        "tandem generate --model CogVideoX-5b-I2V --image cat.png --prompt 'a cat yawns' -o cat.webm --preview look\n"
        "tandem generate --model CogVideoX-5b --embeddings rows.npy --size 240x360 --frames 17 -o out.mov "
        "--composite on-grey.mkv --over '#808080'",
    .exits = CLI_EXIT_STOPPED,
    .shared = CLI_THREADS | CLI_READ | CLI_JSON,
    .options = options,
    .args_size = sizeof(generate_args),
    .run = run,
};
