#include "study/spec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "study/problem.h"

#define WHOLE 9007199254740991.0 /* 2^53 - 1: the largest whole number JSON carries safely */
#define BIT(s) (1u << STAGE_##s)

static const char *const stage_names[STAGE_COUNT] = {"prepare", "pretrain", "train", "sample", "score"};

const char *stage_name(stage s) {
  return (unsigned)s < STAGE_COUNT ? stage_names[s] : "unknown";
}

int stage_parse(const char *name, stage *out) {
  for (int s = 0; s < STAGE_COUNT; s++)
    if (strcmp(name, stage_names[s]) == 0) {
      *out = (stage)s;
      return OK;
    }
  return E_ARG;
}

/* Where a choice is an enum of the engine, the words stand in the enum's order. */
static const char *const words_objective[] = {"v", "flow", NULL};
static const char *const words_time[] = {"uniform", "stratified", NULL};
static const char *const words_noise[] = {"independent", "shared", NULL};
static const char *const words_sampler[] = {"ddim", "dpm", "euler", NULL};
static const char *const words_spacing[] = {"trailing", "leading", "linspace", NULL};
static const char *const words_cfg[] = {"constant", "dynamic-released", "dynamic-fixed", NULL};
static const char *const words_switch[] = {"off", "on", NULL};
static const char *const words_pretrain[] = {"pretrain", NULL};
static const char *const words_text[] = {"words", NULL};
static const char *const words_kind[] = {"world", "folder", NULL};
static const char *const words_set[] = {"base", "broad", "narrow", NULL};
static const char *const words_background[] = {"black", "white", "grey", "blur", NULL};
static const char *const words_codec[] = {"ffv1", NULL};
static const char *const words_alpha[] = {"mean", "max", NULL};

#define RANGE(from, to) .lo = (from), .hi = (to)
#define TRAIN_FIELD(h, f, member) .home = (h), .field = (f), .offset = offsetof(train_config, member)
#define SAMPLE_FIELD(f, member) .home = HOME_SAMPLE, .field = (f), .offset = offsetof(sample_config, member)

/* What both training loops read: P the section, H its home, S its stages. */
#define LOOP_ROWS(P, H, S)                                                                                           \
  {.path = P ".steps",                                                                                               \
   .kind = SETTING_INT,                                                                                              \
   RANGE(1, 1e9),                                                                                                    \
   .unit = "steps",                                                                                                  \
   .help = "optimiser steps",                                                                                        \
   .stages = (S),                                                                                                    \
   TRAIN_FIELD(H, FIELD_INT64, steps)},                                                                              \
      {.path = P ".batch",                                                                                           \
       .kind = SETTING_INT,                                                                                          \
       RANGE(1, 65536),                                                                                              \
       .unit = "clips",                                                                                              \
       .help = "clips a step",                                                                                       \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_INT64, batch)},                                                                          \
      {.path = P ".lr",                                                                                              \
       .kind = SETTING_NUMBER,                                                                                       \
       RANGE(0, 10),                                                                                                 \
       .help = "peak learning rate of AdamW",                                                                        \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_DOUBLE, lr)},                                                                            \
      {.path = P ".muon_lr",                                                                                         \
       .kind = SETTING_NUMBER,                                                                                       \
       RANGE(0, 10),                                                                                                 \
       .help = "peak learning rate of Muon for block matrices; 0: AdamW for all",                                    \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_DOUBLE, muon_lr)},                                                                       \
      {.path = P ".beta1",                                                                                           \
       .kind = SETTING_NUMBER,                                                                                       \
       RANGE(0, 0.999999),                                                                                           \
       .help = "AdamW's first moment decay",                                                                         \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_DOUBLE, beta1)},                                                                         \
      {.path = P ".beta2",                                                                                           \
       .kind = SETTING_NUMBER,                                                                                       \
       RANGE(0, 0.999999),                                                                                           \
       .help = "AdamW's second moment decay",                                                                        \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_DOUBLE, beta2)},                                                                         \
      {.path = P ".eps",                                                                                             \
       .kind = SETTING_NUMBER,                                                                                       \
       RANGE(1e-30, 1),                                                                                              \
       .help = "AdamW's epsilon",                                                                                    \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_DOUBLE, eps)},                                                                           \
      {.path = P ".decay",                                                                                           \
       .kind = SETTING_NUMBER,                                                                                       \
       RANGE(0, 10),                                                                                                 \
       .help = "decoupled weight decay",                                                                             \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_DOUBLE, decay)},                                                                         \
      {.path = P ".clip",                                                                                            \
       .kind = SETTING_NUMBER,                                                                                       \
       RANGE(0, 1e6),                                                                                                \
       .help = "gradient norm limit; 0: none",                                                                       \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_DOUBLE, clip)},                                                                          \
      {.path = P ".warmup",                                                                                          \
       .kind = SETTING_INT,                                                                                          \
       RANGE(0, 1e9),                                                                                                \
       .unit = "steps",                                                                                              \
       .help = "linear warm-up",                                                                                     \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_INT64, warmup)},                                                                         \
      {.path = P ".hold",                                                                                            \
       .kind = SETTING_NUMBER,                                                                                       \
       RANGE(0, 1),                                                                                                  \
       .unit = "of the run",                                                                                         \
       .help = "end of the constant part of the schedule",                                                           \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_DOUBLE, hold)},                                                                          \
      {.path = P ".floor",                                                                                           \
       .kind = SETTING_NUMBER,                                                                                       \
       RANGE(0, 1),                                                                                                  \
       .unit = "of the peak",                                                                                        \
       .help = "learning rate at the end of the run",                                                                \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_DOUBLE, floor)},                                                                         \
      {.path = P ".caption_dropout",                                                                                 \
       .kind = SETTING_NUMBER,                                                                                       \
       RANGE(0, 1),                                                                                                  \
       .unit = "of clips",                                                                                           \
       .help = "captions replaced by the empty prompt",                                                              \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_DOUBLE, caption_dropout)},                                                               \
      {.path = P ".time",                                                                                            \
       .kind = SETTING_CHOICE,                                                                                       \
       .choices = words_time,                                                                                        \
       .help = "time steps of a batch: one per equal slice, or independent",                                         \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_INT, stratified)},                                                                       \
      {.path = P ".recompute",                                                                                       \
       .kind = SETTING_CHOICE,                                                                                       \
       .choices = words_switch,                                                                                      \
       .neutral = 1,                                                                                                 \
       .help = "run blocks again in the backward pass instead of keeping activations",                               \
       .stages = (S),                                                                                                \
       TRAIN_FIELD(H, FIELD_INT, recompute)},                                                                        \
  {                                                                                                                  \
    .path = P ".checkpoint_every", .kind = SETTING_INT, RANGE(0, 1e9), .unit = "steps", .neutral = 1,                \
    .help = "0: a checkpoint only when stopped", .stages = (S), TRAIN_FIELD(H, FIELD_INT64, checkpoint_every)        \
  }

#define RESOURCE_ROWS(name, S)                                                                                       \
  {.path = "resources." name ".gpus",                                                                                \
   .kind = SETTING_INT,                                                                                              \
   RANGE(0, 64),                                                                                                     \
   .initial = "0",                                                                                                   \
   .stages = (S),                                                                                                    \
   .neutral = 1,                                                                                                     \
   .help = "accelerators a cell wants"},                                                                             \
      {.path = "resources." name ".threads",                                                                         \
       .kind = SETTING_INT,                                                                                          \
       RANGE(0, 4096),                                                                                               \
       .initial = "0",                                                                                               \
       .stages = (S),                                                                                                \
       .neutral = 1,                                                                                                 \
       .help = "CPU threads a cell wants; 0: all"},                                                                  \
      {.path = "resources." name ".vram_gib",                                                                        \
       .kind = SETTING_NUMBER,                                                                                       \
       RANGE(0, 1e6),                                                                                                \
       .initial = "0",                                                                                               \
       .unit = "GiB",                                                                                                \
       .stages = (S),                                                                                                \
       .neutral = 1,                                                                                                 \
       .help = "accelerator memory a cell wants"},                                                                   \
  {                                                                                                                  \
    .path = "resources." name ".minutes", .kind = SETTING_NUMBER, RANGE(0, 1e6), .initial = "0", .unit = "min",      \
    .stages = (S), .neutral = 1, .help = "time limit of a cell; 0: none"                                             \
  }

#define ALL_MODEL (BIT(PREPARE) | BIT(PRETRAIN) | BIT(TRAIN) | BIT(SAMPLE))

static const setting table[] = {
    {.path = "model.config",
     .kind = SETTING_FILE,
     .initial = "\"models/tiny.json\"",
     .role = "config",
     .stages = ALL_MODEL,
     .help = "config.json of the DiT"},
    {.path = "model.weights",
     .kind = SETTING_FILE,
     .choices = words_pretrain,
     .initial = "\"models/tiny.safetensors\"",
     .role = "weights",
     .stages = BIT(TRAIN) | BIT(SAMPLE),
     .help = "weights of the base DiT, a file or a folder of shards; pretrain: made by the pretrain stage"},
    {.path = "model.vae",
     .kind = SETTING_FILE,
     .initial = "\"models/tiny-vae.json\"",
     .role = "vae",
     .stages = BIT(PREPARE) | BIT(PRETRAIN) | BIT(SAMPLE),
     .help = "what turns clips into latents and back"},
    {.path = "model.text",
     .kind = SETTING_CHOICE,
     .choices = words_text,
     .initial = "\"words\"",
     .stages = BIT(PREPARE) | BIT(PRETRAIN) | BIT(SAMPLE),
     .help = "what turns captions into text rows"},

    {.path = "data.kind",
     .kind = SETTING_CHOICE,
     .choices = words_kind,
     .initial = "\"world\"",
     .stages = BIT(PREPARE) | BIT(SCORE),
     .help = "procedural clips, or a dataset folder; the matte is known in a world"},
    {.path = "data.set",
     .kind = SETTING_CHOICE,
     .choices = words_set,
     .initial = "\"broad\"",
     .when = "data.kind=world",
     .stages = BIT(PREPARE),
     .help = "distribution of the procedural clips"},
    {.path = "data.seed",
     .kind = SETTING_INT,
     RANGE(0, WHOLE),
     .initial = "2",
     .when = "data.kind=world",
     .stages = BIT(PREPARE),
     .help = "seed of the procedural clips"},
    {.path = "data.folder",
     .kind = SETTING_FILE,
     .initial = "\"\"",
     .role = "clips",
     .when = "data.kind=folder",
     .stages = BIT(PREPARE),
     .help = "dataset folder with a manifest, or with RGB and matte pairs"},
    {.path = "data.background",
     .kind = SETTING_CHOICE,
     .choices = words_background,
     .initial = "\"blur\"",
     .when = "data.kind=folder",
     .stages = BIT(PREPARE),
     .help = "what the foreground is laid over for the RGB target"},
    {.path = "data.clips",
     .kind = SETTING_INT,
     RANGE(0, 1e9),
     .initial = "256",
     .unit = "clips",
     .stages = BIT(PREPARE),
     .help = "how many clips; 0: all of the folder"},
    {.path = "data.frames",
     .kind = SETTING_INT,
     RANGE(1, 4096),
     .initial = "8",
     .unit = "frames",
     .stages = BIT(PREPARE) | BIT(PRETRAIN) | BIT(SAMPLE) | SPEC_IMPORT,
     .help = "frames of a clip, trained and sampled"},
    {.path = "data.size",
     .kind = SETTING_SIZE,
     RANGE(8, 8192),
     .initial = "[48, 48]",
     .unit = "pixels",
     .stages = BIT(PREPARE) | BIT(PRETRAIN) | BIT(SAMPLE) | SPEC_IMPORT,
     .help = "[height, width] of a clip, trained and sampled"},
    {.path = "data.fps",
     .kind = SETTING_NUMBER,
     RANGE(0.1, 1000),
     .initial = "8",
     .unit = "frames/s",
     .stages = BIT(PREPARE) | BIT(SAMPLE) | SPEC_IMPORT,
     .help = "frame rate clips are brought to and written with"},

    LOOP_ROWS("train", HOME_TRAIN, BIT(TRAIN)),
    {.path = "train.domain_lr",
     .kind = SETTING_NUMBER,
     RANGE(0, 10),
     .stages = BIT(TRAIN),
     .help = "peak learning rate of the domain embedding",
     TRAIN_FIELD(HOME_TRAIN, FIELD_DOUBLE, domain_lr)},
    {.path = "train.rank",
     .kind = SETTING_INT,
     RANGE(1, 4096),
     .stages = BIT(TRAIN),
     .help = "rank of the LoRA",
     TRAIN_FIELD(HOME_TRAIN, FIELD_INT, rank)},
    {.path = "train.gamma",
     .kind = SETTING_NUMBER,
     RANGE(0, 1e6),
     .stages = BIT(TRAIN),
     .help = "scale of the LoRA (alpha / rank)",
     TRAIN_FIELD(HOME_TRAIN, FIELD_DOUBLE, gamma)},
    {.path = "train.noise",
     .kind = SETTING_CHOICE,
     .choices = words_noise,
     .stages = BIT(TRAIN),
     .help = "training noise of the alpha half: its own, or that of the RGB half",
     TRAIN_FIELD(HOME_TRAIN, FIELD_INT, shared_noise)},
    {.path = "train.objective",
     .kind = SETTING_CHOICE,
     .choices = words_objective,
     .stages = BIT(TRAIN) | BIT(PRETRAIN) | BIT(SAMPLE),
     .help = "what the model predicts: v, or the flow",
     TRAIN_FIELD(HOME_TRAIN, FIELD_INT, objective)},
    {.path = "train.snr_shift",
     .kind = SETTING_NUMBER,
     RANGE(1e-6, 1e6),
     .stages = BIT(TRAIN) | BIT(PRETRAIN) | BIT(SAMPLE),
     .help = "shift of the schedule's signal-to-noise ratio",
     TRAIN_FIELD(HOME_TRAIN, FIELD_DOUBLE, snr_shift)},

    LOOP_ROWS("pretrain", HOME_PRETRAIN, BIT(PRETRAIN)),
    {.path = "pretrain.ema",
     .kind = SETTING_NUMBER,
     RANGE(0, 0.999999),
     .stages = BIT(PRETRAIN),
     .help = "decay of the averaged weights that are kept; 0: the last weights",
     TRAIN_FIELD(HOME_PRETRAIN, FIELD_DOUBLE, ema)},
    {.path = "pretrain.seed",
     .kind = SETTING_INT,
     RANGE(0, WHOLE),
     .initial = "0",
     .stages = BIT(PRETRAIN),
     .help = "seed of init, order and noise of the base model"},
    {.path = "pretrain.clips",
     .kind = SETTING_INT,
     RANGE(1, 1e9),
     .initial = "32768",
     .unit = "clips",
     .stages = BIT(PRETRAIN),
     .help = "procedural clips of the base distribution"},
    {.path = "pretrain.data_seed",
     .kind = SETTING_INT,
     RANGE(0, WHOLE),
     .initial = "1",
     .stages = BIT(PRETRAIN),
     .help = "seed of those clips"},

    {.path = "sample.sampler",
     .kind = SETTING_CHOICE,
     .choices = words_sampler,
     .stages = BIT(SAMPLE),
     .help = "sampler",
     SAMPLE_FIELD(FIELD_INT, sampler)},
    {.path = "sample.spacing",
     .kind = SETTING_CHOICE,
     .choices = words_spacing,
     .stages = BIT(SAMPLE),
     .help = "which of the 1000 time steps are taken",
     SAMPLE_FIELD(FIELD_INT, spacing)},
    {.path = "sample.steps",
     .kind = SETTING_INT,
     RANGE(1, 1000),
     .unit = "steps",
     .stages = BIT(SAMPLE),
     .help = "sampler steps",
     SAMPLE_FIELD(FIELD_INT, steps)},
    {.path = "sample.guidance",
     .kind = SETTING_NUMBER,
     RANGE(0, 100),
     .stages = BIT(SAMPLE),
     .help = "classifier-free guidance weight; 1: none",
     SAMPLE_FIELD(FIELD_DOUBLE, guidance)},
    {.path = "sample.cfg",
     .kind = SETTING_CHOICE,
     .choices = words_cfg,
     .stages = BIT(SAMPLE),
     .help = "guidance over time: constant, or CogVideoX's dynamic one as released or as meant",
     SAMPLE_FIELD(FIELD_INT, cfg)},

    {.path = "output.codec",
     .kind = SETTING_CHOICE,
     .choices = words_codec,
     .initial = "\"ffv1\"",
     .stages = BIT(SAMPLE),
     .help = "how clips are kept (lossless, with alpha)"},
    {.path = "output.alpha",
     .kind = SETTING_CHOICE,
     .choices = words_alpha,
     .initial = "\"mean\"",
     .stages = BIT(SAMPLE),
     .help = "how the three decoded channels become one alpha"},

    {.path = "external.dir",
     .kind = SETTING_FILE,
     .initial = "\"\"",
     .when = "design=external",
     .stages = SPEC_IMPORT,
     .help = "folder of the clips that another program made: PROMPT_SEED.* or PROMPT/SEED.*"},

    RESOURCE_ROWS("prepare", BIT(PREPARE)),
    RESOURCE_ROWS("pretrain", BIT(PRETRAIN)),
    RESOURCE_ROWS("train", BIT(TRAIN)),
    RESOURCE_ROWS("sample", BIT(SAMPLE)),
    RESOURCE_ROWS("score", BIT(SCORE)),
    {.path = NULL},
};

_Static_assert(sizeof table / sizeof table[0] - 1 <= SPEC_SETTINGS, "SPEC_SETTINGS must hold every row");
_Static_assert(sizeof(objective) == sizeof(int) && sizeof(sampler_kind) == sizeof(int) &&
                   sizeof(spacing) == sizeof(int) && sizeof(cfg_kind) == sizeof(int),
               "FIELD_INT also reads and writes the engine's enums");

const setting *spec_settings(void) {
  return table;
}

int spec_count(void) {
  return (int)(sizeof table / sizeof table[0]) - 1;
}

int spec_find(const char *path) {
  for (int i = 0; i < spec_count(); i++)
    if (strcmp(table[i].path, path) == 0) return i;
  return -1;
}

/* --- values ------------------------------------------------------------------------------------------------------
 */

static const char *type_name(const json *j) {
  static const char *const names[] = {"null", "true or false", "a number", "a string", "a list", "an object"};
  return names[j->type];
}

static int find_word(const char *const *words, const char *s) {
  for (int i = 0; words && words[i]; i++)
    if (strcmp(words[i], s) == 0) return i;
  return -1;
}

static void add_words(text *t, const char *const *words) {
  for (int i = 0; words[i]; i++) text_addf(t, "%s%s", i ? " | " : "", words[i]);
}

static int keep(err *e, json *j, json **out) {
  if (!j) return err_set(e, E_NOMEM, "no memory for a setting");
  *out = j;
  return OK;
}

static int bad_number(const setting *s, const json *in, text *why) {
  int whole = s->kind != SETTING_NUMBER;
  text_addf(why, "%s wants a %snumber from ", s->path, whole ? "whole " : "");
  text_add_number(why, s->lo);
  text_add(why, " to ");
  text_add_number(why, s->hi);
  text_add(why, ", not ");
  if (in->type == JSON_NUMBER)
    text_add_number(why, in->num);
  else
    text_add(why, type_name(in));
  return E_CONFIG;
}

static int number_fits(const setting *s, const json *in) {
  if (in->type != JSON_NUMBER || !(in->num >= s->lo && in->num <= s->hi)) return 0;
  return s->kind == SETTING_NUMBER || in->num == floor(in->num);
}

static int value_size(err *e, const setting *s, const json *in, json **out, text *why) {
  const json *h = in->type == JSON_ARRAY ? in->child : NULL, *w = h ? h->next : NULL;
  if (!w || w->next) {
    text_addf(why, "%s wants [height, width]", s->path);
    return E_CONFIG;
  }
  if (!number_fits(s, h)) return bad_number(s, h, why);
  if (!number_fits(s, w)) return bad_number(s, w, why);
  json *j = json_new(JSON_ARRAY);
  if (!j || json_push(j, json_new_number(h->num)) != OK || json_push(j, json_new_number(w->num)) != OK) {
    json_free(j);
    return err_set(e, E_NOMEM, "no memory for a setting");
  }
  *out = j;
  return OK;
}

static int value_word(err *e, const setting *s, const json *in, json **out, text *why) {
  if (in->type == JSON_STRING && (s->kind == SETTING_FILE || find_word(s->choices, in->str) >= 0))
    return keep(e, json_new_string(in->str), out);
  text_addf(why, "%s wants ", s->path);
  if (s->kind == SETTING_FILE)
    text_add(why, "a path");
  else
    add_words(why, s->choices);
  if (in->type == JSON_STRING) {
    int n = 0;
    while (s->choices[n]) n++;
    char hint[NAME_HINT];
    name_hint(in->str, (name_list){s->choices, n}, hint);
    text_addf(why, ", not '%.200s'%s", in->str, hint);
  } else
    text_addf(why, ", not %s", type_name(in));
  return E_CONFIG;
}

int spec_value(err *e, const setting *s, const json *in, json **out, text *why) {
  switch (s->kind) {
  case SETTING_SIZE: return value_size(e, s, in, out, why);
  case SETTING_CHOICE:
  case SETTING_FILE: return value_word(e, s, in, out, why);
  case SETTING_INT:
  case SETTING_NUMBER: break;
  }
  return number_fits(s, in) ? keep(e, json_new_number(in->num), out) : bad_number(s, in, why);
}

int spec_value_text(err *e, const setting *s, const char *in, json **out, text *why) {
  json *j = NULL;
  err not_json = {0};
  int word = s->kind == SETTING_CHOICE || s->kind == SETTING_FILE;
  int rc = word ? E_FORMAT : json_parse(&not_json, s->path, in, strlen(in), &j);
  if (rc != OK && rc != E_NOMEM) j = json_new_string(in);
  if (!j) return err_set(e, E_NOMEM, "no memory for %s", s->path);
  rc = spec_value(e, s, j, out, why);
  json_free(j);
  return rc;
}

/* --- defaults, and the engine's structs --------------------------------------------------------------------------
 */

typedef struct engine_config {
  train_config train;
  sample_config sample;
} engine_config;

static engine_config engine_defaults(setting_home h) {
  engine_config c = {0};
  if (h == HOME_TRAIN) c.train = train_defaults(0);
  if (h == HOME_PRETRAIN) c.train = train_defaults(1);
  if (h == HOME_SAMPLE) c.sample = sample_defaults();
  return c;
}

static char *field_at(engine_config *c, const setting *s) {
  return (s->home == HOME_SAMPLE ? (char *)&c->sample : (char *)&c->train) + s->offset;
}

static double field_get(engine_config *c, const setting *s) {
  const char *p = field_at(c, s);
  int i;
  int64_t n;
  double d;
  switch (s->field) {
  case FIELD_INT: memcpy(&i, p, sizeof i); return i;
  case FIELD_INT64: memcpy(&n, p, sizeof n); return (double)n;
  case FIELD_DOUBLE: break;
  }
  memcpy(&d, p, sizeof d);
  return d;
}

static void field_put(engine_config *c, const setting *s, double v) {
  char *p = field_at(c, s);
  int i = (int)v;
  int64_t n = (int64_t)v;
  switch (s->field) {
  case FIELD_INT: memcpy(p, &i, sizeof i); break;
  case FIELD_INT64: memcpy(p, &n, sizeof n); break;
  case FIELD_DOUBLE: memcpy(p, &v, sizeof v); break;
  }
}

int spec_default(err *e, const setting *s, json **out) {
  if (s->initial) return json_parse(e, s->path, s->initial, strlen(s->initial), out);
  engine_config c = engine_defaults(s->home);
  double v = field_get(&c, s);
  if (s->kind == SETTING_CHOICE) return keep(e, json_new_string(s->choices[(int)v]), out);
  return keep(e, json_new_number(v), out);
}

/* Value of a bound setting in a spec, as the number the engine keeps. */
static int bound_value(err *e, const json *spec, const char *path, const setting *s, double *out) {
  if (s->kind != SETTING_CHOICE) return spec_number(e, spec, path, out);
  const char *word = NULL;
  int rc = spec_text(e, spec, path, &word);
  if (rc != OK) return rc;
  int i = find_word(s->choices, word);
  if (i < 0) return err_set(e, E_CONFIG, "%s: '%.200s' is not a choice of this build", path, word);
  *out = i;
  return OK;
}

static int fill(err *e, const json *spec, const json *hints, stage st, engine_config *c) {
  for (const setting *s = table; s->path; s++) {
    int mine = st == STAGE_SAMPLE ? s->home == HOME_SAMPLE : (s->home == HOME_TRAIN || s->home == HOME_PRETRAIN);
    if (!mine || !(s->stages & (1u << st))) continue;
    const json *from = s->neutral ? hints : spec;
    if (s->neutral && (!from || !spec_get(from, s->path))) continue;
    double v = 0;
    int rc = bound_value(e, from, s->path, s, &v);
    if (rc != OK) return rc;
    field_put(c, s, v);
  }
  return OK;
}

int spec_train_config(err *e, const json *spec, const json *hints, stage s, train_config *out) {
  engine_config c = engine_defaults(s == STAGE_PRETRAIN ? HOME_PRETRAIN : HOME_TRAIN);
  int rc = fill(e, spec, hints, s, &c);
  if (rc == OK) rc = spec_seed(e, spec, s == STAGE_PRETRAIN ? "pretrain.seed" : "train_seed", &c.train.seed);
  if (rc == OK) *out = c.train;
  return rc;
}

int spec_sample_config(err *e, const json *spec, sample_config *out) {
  engine_config c = engine_defaults(HOME_SAMPLE);
  int rc = fill(e, spec, NULL, STAGE_SAMPLE, &c);
  if (rc == OK) rc = spec_number(e, spec, "train.snr_shift", &c.sample.snr_shift);
  if (rc == OK) *out = c.sample;
  return rc;
}

/* --- specs -------------------------------------------------------------------------------------------------------
 */

/* Section of a spec, made when it is not there; NULL: no memory. */
static json *section_of(json *spec, const char *key) {
  for (json *m = spec->child; m; m = m->next) /* json_get gives const; this tree is the caller's own */
    if (strcmp(m->key, key) == 0) return m;
  json *made = json_new(JSON_OBJECT);
  return made && json_set(spec, key, made) == OK ? made : NULL;
}

int spec_put(err *e, json *spec, const char *path, json *value) {
  char key[64];
  for (const char *dot; spec && (dot = strchr(path, '.')) != NULL; path = dot + 1) {
    size_t n = (size_t)(dot - path);
    if (n >= sizeof key) break;
    memcpy(key, path, n);
    key[n] = 0;
    spec = section_of(spec, key);
  }
  if (spec && value) return json_set(spec, path, value) == OK ? OK : err_set(e, E_NOMEM, "no memory for the spec");
  json_free(value);
  return err_set(e, E_NOMEM, "no memory for the spec");
}

const json *spec_get(const json *spec, const char *path) {
  char key[64];
  const char *dot;
  while (spec && spec->type == JSON_OBJECT && (dot = strchr(path, '.')) != NULL) {
    size_t n = (size_t)(dot - path);
    if (n >= sizeof key) return NULL;
    memcpy(key, path, n);
    key[n] = 0;
    spec = json_get(spec, key);
    path = dot + 1;
  }
  return spec && spec->type == JSON_OBJECT ? json_get(spec, path) : NULL;
}

static int missing(err *e, const char *path, const char *what) {
  return err_set(e, E_CONFIG, "the spec has no %s '%s': the stage does not declare that it reads it", what, path);
}

int spec_int(err *e, const json *spec, const char *path, int64_t *out) {
  const json *j = spec_get(spec, path);
  if (!j || j->type != JSON_NUMBER || j->num != floor(j->num) || fabs(j->num) > WHOLE)
    return missing(e, path, "whole number");
  *out = (int64_t)j->num;
  return OK;
}

int spec_number(err *e, const json *spec, const char *path, double *out) {
  const json *j = spec_get(spec, path);
  if (!j || j->type != JSON_NUMBER) return missing(e, path, "number");
  *out = j->num;
  return OK;
}

int spec_text(err *e, const json *spec, const char *path, const char **out) {
  const json *j = spec_get(spec, path);
  if (!j || j->type != JSON_STRING) return missing(e, path, "text");
  *out = j->str;
  return OK;
}

int spec_size(err *e, const json *spec, const char *path, int *height, int *width) {
  const json *j = spec_get(spec, path);
  if (!j || j->type != JSON_ARRAY || json_count(j) != 2) return missing(e, path, "size");
  *height = (int)json_at(j, 0)->num;
  *width = (int)json_at(j, 1)->num;
  return OK;
}

int spec_seed(err *e, const json *spec, const char *path, uint64_t *out) {
  const json *j = spec_get(spec, path);
  if (j && j->type == JSON_STRING && j->str[0] >= '0' && j->str[0] <= '9') {
    *out = strtoull(j->str, NULL, 10);
    return OK;
  }
  int64_t v = 0;
  int rc = spec_int(e, spec, path, &v);
  if (rc == OK) *out = (uint64_t)v;
  return rc;
}

int spec_design(err *e, const json *spec, design *out) {
  const char *words = NULL;
  int rc = spec_text(e, spec, "design", &words);
  return rc == OK ? design_parse(e, words, out) : rc;
}

static int one_metric(err *e, const json *j, metric_request *out) {
  const char *id = NULL;
  int64_t version = 0;
  int rc = spec_text(e, j, "id", &id);
  if (rc == OK) rc = spec_int(e, j, "version", &version);
  if (rc == OK) rc = metric_parse(e, id, out);
  if (rc == OK && out->metric->version != version)
    return err_set(e, E_CONFIG, "%s: the cell was planned with version %lld of the metric, this build has %d", id,
                   (long long)version, out->metric->version);
  return rc;
}

int spec_metrics(err *e, const json *spec, metric_request **out, int64_t *n) {
  const json *list = spec_get(spec, "metrics");
  *out = NULL;
  *n = 0;
  if (!list || list->type != JSON_ARRAY) return missing(e, "metrics", "list");
  int rc = mem_new(e, json_count(list), sizeof **out, "metrics", out);
  for (const json *j = list->child; rc == OK && j; j = j->next, ++*n) rc = one_metric(e, j, &(*out)[*n]);
  if (rc == OK) return OK;
  free(*out);
  *out = NULL;
  *n = 0;
  return rc;
}

uint64_t spec_noise_seed(uint64_t sample_seed, const char *prompt) {
  return rng_derive(sample_seed, rng_salt(prompt));
}

/* --- help --------------------------------------------------------------------------------------------------------
 */

static void help_type(text *t, const setting *s) {
  if (s->kind == SETTING_CHOICE) {
    add_words(t, s->choices);
    return;
  }
  if (s->kind == SETTING_FILE) {
    text_add(t, "path");
    for (int i = 0; s->choices && s->choices[i]; i++) text_addf(t, " | %s", s->choices[i]);
    return;
  }
  text_add(t, s->kind == SETTING_NUMBER ? "number "
              : s->kind == SETTING_INT  ? "whole number "
                                        : "two whole numbers ");
  text_add_number(t, s->lo);
  text_add(t, " to ");
  text_add_number(t, s->hi);
}

int spec_help(err *e, text *out) {
  for (const setting *s = table; s->path; s++) {
    json *v = NULL;
    int rc = spec_default(e, s, &v);
    if (rc != OK) return rc;
    text_addf(out, "%s  (", s->path);
    help_type(out, s);
    if (s->unit) text_addf(out, " %s", s->unit);
    text_add(out, ")  default ");
    json_canonical(out, v);
    json_free(v);
    text_addf(out, "\n    %s\n    read by", s->help);
    for (int i = 0; i < STAGE_COUNT; i++)
      if (s->stages & (1u << i)) text_addf(out, " %s", stage_names[i]);
    if (s->stages & SPEC_IMPORT) text_add(out, " import");
    if (s->when) text_addf(out, ", when %s", s->when);
    text_add(out, s->neutral ? "; never in a key\n" : "\n");
  }
  return text_ok(out, e);
}
