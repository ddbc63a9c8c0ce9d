/* tandem pretrain: a base model from scratch, with its provenance beside it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/build.h"
#include "base/clock.h"
#include "base/hash.h"
#include "cli/progress.h"
#include "cli/stop.h"
#include "cli/verbs.h"
#include "run/host.h"
#include "run/prepare.h"
#include "study/problem.h"
#include "study/spec.h"

typedef struct pretrain_args {
  const char *out, *vae, *checkpoint;
  cli_list sets;
  int force;
} pretrain_args;

#define AT(member) offsetof(pretrain_args, member)
static const cli_option options[] = {
    {.name = "out",
     .kind = CLI_TEXT,
     .offset = AT(out),
     .value = "FILE",
     .required = 1,
     .help = "safetensors to write; FILE's stem plus .provenance.json and .loss.csv are written beside it"},
    {.name = "set",
     .kind = CLI_TEXTS,
     .offset = AT(sets),
     .value = "PATH=VALUE",
     .help = "a setting of the pretrain stage, e.g. pretrain.steps=500; docs/studies.md lists them"},
    {.name = "vae",
     .kind = CLI_TEXT,
     .offset = AT(vae),
     .value = "FILE",
     .help = "what turns clips into latents (default: models/tiny-vae.json of the configs)"},
    {.name = "checkpoint",
     .kind = CLI_TEXT,
     .offset = AT(checkpoint),
     .value = "FILE",
     .help = "where training is kept while it runs (default: the --out FILE plus .checkpoint); removed at the end"},
    {.name = "force", .kind = CLI_FLAG, .offset = AT(force), .help = "replace an existing --out FILE"},
    {.name = NULL},
};

typedef struct job {
  cli *c;
  const pretrain_args *a;
  json *spec, *hints;
  text vae, checkpoint, provenance, curve; /* paths */
  pretrain_request request;
  train_hooks hooks;
  train_result result;
  progress progress;
  int resumable; /* a checkpoint was there when we began */
  int64_t step;  /* the last one finished here; 0: none */
  double seconds;
} job;

/* --- settings --- */

static int is_ours(const setting *s) {
  return (s->stages & (1u << STAGE_PRETRAIN)) && s->kind != SETTING_FILE && strncmp(s->path, "resources.", 10) != 0;
}

static int put_defaults(job *j) {
  int rc = OK;
  j->spec = json_new(JSON_OBJECT);
  j->hints = json_new(JSON_OBJECT);
  for (const setting *s = spec_settings(); s->path; s++) {
    json *v = NULL;
    if (!is_ours(s)) continue;
    TRY(spec_default(&j->c->err, s, &v));
    TRY(spec_put(&j->c->err, s->neutral ? j->hints : j->spec, s->path, v));
  }
out:
  return rc;
}

static int no_such_setting(job *j, const char *path) {
  const char *known[SPEC_SETTINGS];
  char hint[NAME_HINT];
  int n = 0;
  for (const setting *s = spec_settings(); s->path; s++)
    if (is_ours(s)) known[n++] = s->path;
  name_hint(path, (name_list){known, n}, hint);
  return err_set(&j->c->err, E_CONFIG, "--set: '%.60s' is no setting of the pretrain stage%s", path, hint);
}

static int put_one(job *j, const char *given) {
  int rc = OK;
  err *e = &j->c->err;
  const char *eq = strchr(given, '=');
  char path[64] = "";
  text why = {0};
  json *v = NULL;
  if (!eq || eq == given) FAIL(e, E_ARG, "--set wants PATH=VALUE, not '%.80s'", given);
  snprintf(path, sizeof path, "%.*s", (int)(eq - given), given);
  int i = spec_find(path);
  if (i < 0 || !is_ours(&spec_settings()[i])) TRY(no_such_setting(j, path));
  const setting *s = &spec_settings()[i];
  rc = spec_value_text(e, s, eq + 1, &v, &why);
  if (rc == E_CONFIG) {
    err_clear(e);
    FAIL(e, E_CONFIG, "--set %s: %s", given, why.p ? why.p : "not a value it takes");
  }
  TRY(rc);
  TRY(spec_put(e, s->neutral ? j->hints : j->spec, path, v));
out:
  text_free(&why);
  return rc;
}

/* --- paths --- */

static int name_paths(job *j) {
  int rc = OK;
  err *e = &j->c->err;
  const char *out = j->a->out, *dot = strrchr(out, '.');
  int stem = dot && !strcmp(dot, ".safetensors") ? (int)(dot - out) : (int)strlen(out);
  text_addf(&j->provenance, "%.*s.provenance.json", stem, out);
  text_addf(&j->curve, "%.*s.loss.csv", stem, out);
  text_addf(&j->checkpoint, "%s%s", j->a->checkpoint ? j->a->checkpoint : out, j->a->checkpoint ? "" : ".checkpoint");
  if (j->a->vae)
    text_add(&j->vae, j->a->vae);
  else
    text_addf(&j->vae, "%s/models/tiny-vae.json", cli_configs(j->c));
  TRY(text_ok(&j->provenance, e));
  TRY(text_ok(&j->curve, e));
  TRY(text_ok(&j->checkpoint, e));
  TRY(text_ok(&j->vae, e));
out:
  return rc;
}

/* What would be found out only after an hour. */
static int check_target(job *j) {
  int rc = OK;
  err *e = &j->c->err;
  const char *out = j->a->out, *slash = strrchr(out, '/');
  text folder = {0};
  text_addn(&folder, out, slash ? (size_t)(slash - out) + 1 : 0);
  text_add(&folder, ".");
  TRY(text_ok(&folder, e));
  if (access(folder.p, W_OK | X_OK))
    FAIL(e, E_IO, "%s: nothing can be written in its folder: %s", out, strerror(errno));
  j->resumable = file_exists(j->checkpoint.p);
  if (file_exists(out) && !j->a->force && !j->resumable)
    FAIL(e, E_ARG, "%s exists; --force trains anew and replaces it", out);
out:
  text_free(&folder);
  return rc;
}

/* --- training --- */

static void on_step(void *user, const train_progress *p) {
  job *j = user;
  char detail[96];
  if (!j->step) {
    if (j->resumable && p->step == 1)
      cli_warn("%s is of other settings, data or weights: training starts over", j->checkpoint.p);
    else if (p->step > 1)
      cli_note(j->c, "goes on after step %lld of %s", (long long)(p->step - 1), j->checkpoint.p);
    progress_open(&j->progress, j->c, "step", p->step);
    stop_listen();
  }
  j->step = p->step;
  snprintf(detail, sizeof detail, "loss %.4f, gradient norm %.3g", p->loss, p->grad_norm);
  progress_tick(&j->progress, p->step, p->steps, detail);
}

static int on_stop(void *user) {
  (void)user;
  return stop_signal();
}

static int train(job *j) {
  int rc = OK;
  cli *c = j->c;
  pretrain_request *r = &j->request;
  int64_t data_seed = 0;
  j->hooks = (train_hooks){on_step, on_stop, j};
  *r = (pretrain_request){.config = c->words.v[0],
                          .vae = j->vae.p,
                          .checkpoint = j->checkpoint.p,
                          .threads = (int)c->threads,
                          .backend = cli_backend(c),
                          .device = (int)c->device,
                          .hooks = &j->hooks};
  TRY(spec_train_config(&c->err, j->spec, j->hints, STAGE_PRETRAIN, &r->train));
  TRY(spec_int(&c->err, j->spec, "pretrain.clips", &r->clips));
  TRY(spec_int(&c->err, j->spec, "pretrain.data_seed", &data_seed));
  r->data_seed = (uint64_t)data_seed;
  cli_note(c, "making %lld clips of the base set", (long long)r->clips);
  double from = clock_seconds();
  rc = pretrain_run(&c->err, r, j->a->out, &j->result);
  j->seconds = clock_seconds() - from;
  progress_close(&j->progress);
  if (rc == E_INTERRUPTED) {
    c->status = stop_status(stop_signal());
    err_clear(&c->err);
    FAIL(&c->err, rc, "stopped after step %lld of %lld; kept in %s; the same command goes on", (long long)j->step,
         (long long)r->train.steps, j->checkpoint.p);
  }
out:
  return rc;
}

/* --- provenance --- */

static double mean(const float *v, int64_t from, int64_t to) {
  double sum = 0;
  for (int64_t i = from; i < to; i++) sum += (double)v[i];
  return sum / (double)(to - from);
}

#define CURVE_STEPS 10
static int write_curve(job *j) {
  int rc = OK;
  text t = {0};
  const train_result *r = &j->result;
  text_add(&t, "step,loss\n"); /* the mean of the steps up to and with `step` since the last row */
  for (int64_t i = 0; i < r->steps; i += CURVE_STEPS) {
    int64_t to = i + CURVE_STEPS < r->steps ? i + CURVE_STEPS : r->steps;
    text_addf(&t, "%lld,%.6g\n", (long long)to, mean(r->losses, i, to));
  }
  TRY(text_ok(&t, &j->c->err));
  TRY(file_write(&j->c->err, j->curve.p, t.p, t.n));
out:
  text_free(&t);
  return rc;
}

static json *losses_json(const train_result *r) {
  json *list = json_new(JSON_ARRAY);
  for (int64_t i = 0; i < r->steps; i += 100) {
    int64_t to = i + 100 < r->steps ? i + 100 : r->steps;
    json *o = json_new(JSON_OBJECT);
    cli_set_int(&o, "step", to);
    cli_set_number(&o, "loss", mean(r->losses, i, to));
    cli_push(&list, o);
  }
  return list;
}

#define FIRST 8
/* Exactly as they were: a run of the same settings can be checked bit for bit after a few steps. */
static json *first_json(const train_result *r) {
  json *list = json_new(JSON_ARRAY);
  for (int64_t i = 0; i < r->steps && i < FIRST; i++) cli_push(&list, json_new_number((double)r->losses[i]));
  return list;
}

static json *build_json(const host_facts *h) {
  build_facts b = build_about();
  json *o = json_new(JSON_OBJECT);
  cli_set_text(&o, "version", b.version);
  cli_set_text(&o, "git_sha", *b.git_sha ? b.git_sha : NULL);
  cli_set_bool(&o, "git_dirty", b.git_dirty);
  cli_set_text(&o, "compiler", b.compiler);
  cli_set_text(&o, "flags", b.flags);
  cli_set_text(&o, "binary_sha256", h->binary_sha256);
  cli_set_text(&o, "cpu", h->cpu);
  return o;
}

static int hash_inputs(job *j, json **o) {
  int rc = OK;
  char hex[HASH_HEX];
  const char *const paths[] = {j->request.config, j->request.vae, j->a->out};
  const char *const keys[] = {"config_sha256", "vae_sha256", "weights_sha256"};
  for (int i = 0; i < 3; i++) {
    TRY(hash_file(&j->c->err, paths[i], hex));
    cli_set_text(o, keys[i], hex);
  }
out:
  return rc;
}

static int write_provenance(job *j) {
  int rc = OK;
  cli *c = j->c;
  host_facts h;
  char when[32];
  time_t now = time(NULL);
  struct tm utc;
  text t = {0};
  json *o = json_new(JSON_OBJECT), *command = json_new(JSON_ARRAY);
  TRY(host_read(&c->err, &h));
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
  for (int i = 0; i < c->argc; i++) cli_push(&command, json_new_string(c->argv[i]));
  cli_set(&o, "command", command);
  command = NULL;
  cli_set_text(&o, "finished", when);
  cli_set_number(&o, "seconds", j->seconds); /* of this process: a resumed run took longer in all */
  cli_set_int(&o, "resumed_from", j->result.resumed_from);
  TRY(hash_inputs(j, &o));
  cli_set(&o, "settings", json_copy(j->spec));
  cli_set(&o, "build", build_json(&h));
  cli_set(&o, "first_losses", first_json(&j->result));
  cli_set(&o, "losses", losses_json(&j->result));
  if (!o) FAIL(&c->err, E_NOMEM, "no memory for %s", j->provenance.p);
  json_print(&t, o);
  text_add(&t, "\n");
  TRY(text_ok(&t, &c->err));
  TRY(file_write(&c->err, j->provenance.p, t.p, t.n));
out:
  json_free(command);
  json_free(o);
  text_free(&t);
  return rc;
}

static void job_free(job *j) {
  free(j->result.losses);
  json_free(j->spec);
  json_free(j->hints);
  text_free(&j->vae);
  text_free(&j->checkpoint);
  text_free(&j->provenance);
  text_free(&j->curve);
}

static int run(cli *c, const void *args) {
  int rc = OK;
  job j = {.c = c, .a = args};
  char took[PROGRESS_TIME];
  TRY(put_defaults(&j));
  for (int i = 0; i < j.a->sets.n; i++) TRY(put_one(&j, j.a->sets.v[i]));
  TRY(name_paths(&j));
  TRY(check_target(&j));
  TRY(train(&j));
  TRY(write_curve(&j));
  TRY(write_provenance(&j));
  if (unlink(j.checkpoint.p) && errno != ENOENT) cli_warn("%s: cannot remove: %s", j.checkpoint.p, strerror(errno));
  progress_time(j.seconds, took);
  cli_note(c, "wrote %s, %s, %s after %s", j.a->out, j.provenance.p, j.curve.p, took);
out:
  job_free(&j);
  return rc;
}

const cli_verb verb_pretrain = {
    .name = "pretrain",
    .group = "models",
    .help = "train a base model from scratch on the procedural world",
    .usage = "CONFIG --out FILE",
    .about =
        "Trains the DiT of a config.json on RGB clips of the procedural world and writes its averaged weights, with\n"
        "settings, hashes and losses beside them. Stopped by Ctrl-C, SIGTERM or SIGUSR1 it finishes the step and\n"
        "keeps a checkpoint; the same command goes on, with the same bits as if it had never stopped.",
    .examples = "tandem pretrain configs/models/tiny.json --out tiny.safetensors\n"
                "tandem pretrain configs/models/tiny.json --out try.safetensors --set pretrain.steps=200 --set "
                "pretrain.clips=512",
    .exits = CLI_EXIT_STOPPED,
    .shared = CLI_CONFIGS | CLI_THREADS | CLI_BACKEND,
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .args_size = sizeof(pretrain_args),
    .run = run,
};
