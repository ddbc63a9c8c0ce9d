/* tandem doctor: can this machine do the work, and if not, what to do. */
#define _GNU_SOURCE
#include <ftw.h>
#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/build.h"
#include "cli/costs.h"
#include "cli/doctor_gpu.h"
#include "cli/verbs.h"
#include "media/video.h"
#include "run/host.h"
#include "store/store.h"

typedef struct doctor_args {
  int plan, gpu, precision;
  int64_t gpu_rows, device;
  const char *fit;
} doctor_args;

static const cli_option options[] = {
    {.name = "plan",
     .kind = CLI_FLAG,
     .offset = offsetof(doctor_args, plan),
     .help = "also print memory and work of CogVideoX 2B and 5B training steps and forward passes, every design"},
    {.name = "gpu",
     .kind = CLI_FLAG,
     .offset = offsetof(doctor_args, gpu),
     .help = "only the CUDA device: operations against the CPU, twice the same bits, speed, training, memory"},
    {.name = "gpu-rows",
     .kind = CLI_INT,
     .offset = offsetof(doctor_args, gpu_rows),
     .value = "N",
     .initial = "4096",
     .lo = 8,
     .hi = 1 << 20,
     .help = "with --gpu: rows of the matrices; below 256 they have 128 columns instead of 1024"},
    {.name = "device",
     .kind = CLI_INT,
     .offset = offsetof(doctor_args, device),
     .value = "N",
     .initial = "0",
     .hi = 255,
     .help = "with --gpu: number of the CUDA device, from 0"},
    {.name = "precision",
     .kind = CLI_CHOICE,
     .offset = offsetof(doctor_args, precision),
     .choices = cli_precisions,
     .initial = "fp32",
     .help = "with --plan: how weights and activations are stored"},
    {.name = "fit",
     .kind = CLI_TEXT,
     .offset = offsetof(doctor_args, fit),
     .value = "SIZE",
     .help =
         "with --plan: only training steps, each block keeping as much for the backward pass as SIZE allows; 24GB, "
         "16GiB"},
    {.name = NULL},
};

typedef enum verdict { GOOD, WARN, BAD } verdict;
static const char *const verdict_names[] = {"OK", "WARN", "FAIL"};

typedef struct finding {
  const char *name;
  verdict verdict;
  char text[640], fix[256]; /* fix: "" when there is nothing to do */
} finding;

typedef struct doctor {
  cli *c;
  char root[STORE_PATH];   /* the results folder, or the nearest folder above it that exists */
  char folder[STORE_PATH]; /* a folder of our own in it; "" when it could not be made */
  finding at[16];
  int n;
} doctor;

static finding *add(doctor *d, const char *name) {
  finding *f = &d->at[d->n++];
  *f = (finding){.name = name};
  return f;
}

/* Long texts are cut. */
static void say(char *to, size_t n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(char *to, size_t n, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(to, n, fmt, ap);
  va_end(ap);
}
#define SAY(member, ...) say(member, sizeof member, __VA_ARGS__)

/* --- machine --- */

static void check_cpu(doctor *d) {
  finding *f = add(d, "cpu");
  host_facts h;
  err e = {0};
  if (host_read(&e, &h) != OK)
    SAY(f->text, "%d cores; %s", host_cores(), e.text);
  else
    SAY(f->text, "%s, %d cores", h.cpu, host_cores());
  f = add(d, "isa");
  char have[64] = "";
  size_t at = 0;
  const char *const levels[] = {"v4", "v3", "v2", "generic"};
  for (int i = 0; i < 4; i++) {
    ctx c = {0};
    int rc = ctx_open(&c, &(ctx_options){.backend = "cpu", .threads = 1, .isa = levels[i]});
    ctx_close(&c);
    if (rc == OK) at += (size_t)snprintf(have + at, sizeof have - at, " %s", levels[i]);
  }
  SAY(f->text, "levels this CPU and this build have:%s%s", have, *have ? "; the first is used" : " none");
  if (!*have) {
    f->verdict = BAD;
    SAY(f->fix, "an x86-64 CPU with SSE4.2 is needed");
  } else if (!strstr(have, "v3")) {
    f->verdict = WARN;
    SAY(f->fix, "without AVX2 and FMA it is slow, and its bits differ from those of v3 and v4");
  }
}

static void check_threads(doctor *d) {
  finding *f = add(d, "threads");
  int use = d->c->threads > 0 ? (int)d->c->threads : omp_get_max_threads(), cores = host_cores();
  SAY(f->text, "%d threads on %d cores", use, cores);
  if (use > cores) {
    f->verdict = WARN;
    SAY(f->fix, "more threads than cores wait for each other; set OMP_NUM_THREADS or --threads to %d", cores);
  }
}

static double meminfo(const char *key) {
  double kib = -1;
  char line[256];
  FILE *f = fopen("/proc/meminfo", "r");
  while (f && fgets(line, sizeof line, f))
    if (!strncmp(line, key, strlen(key))) kib = strtod(line + strlen(key), NULL);
  if (f) fclose(f);
  return kib * 1024;
}

static void check_memory(doctor *d) {
  finding *f = add(d, "memory");
  char total[GRID_SHORT], free_[GRID_SHORT];
  double available = meminfo("MemAvailable:");
  grid_bytes(meminfo("MemTotal:"), total);
  grid_bytes(available, free_);
  if (available < 0) {
    f->verdict = WARN;
    SAY(f->text, "/proc/meminfo cannot be read");
    SAY(f->fix, "see that a process may use 1 GiB");
    return;
  }
  SAY(f->text, "%s of %s available", free_, total);
  if (available < 1024.0 * 1024 * 1024) {
    f->verdict = WARN;
    SAY(f->fix, "the default study wants about 1 GiB; run it with fewer --jobs");
  }
}

static void check_locale(doctor *d) {
  finding *f = add(d, "locale");
  char s[16];
  snprintf(s, sizeof s, "%.1f", 0.5);
  int good = !strcmp(s, "0.5") && strtod("0.5", NULL) == 0.5;
  SAY(f->text, "numbers are %s in the C locale", good ? "read and printed" : "not");
  if (!good) {
    f->verdict = BAD;
    SAY(f->fix, "report this: the program never changes its locale");
  }
}

static void check_backends(doctor *d) {
  finding *f = add(d, "backends");
  size_t at = 0;
  for (const ops *const *b = backend_list(); *b && at < sizeof f->text; b++)
    at += (size_t)snprintf(f->text + at, sizeof f->text - at, "%s%s (%s)", at ? ", " : "", (*b)->name, (*b)->help);
  if (at < sizeof f->text && !backend_find("cuda"))
    snprintf(f->text + at, sizeof f->text - at, "; cuda is absent from this build");
}

/* --- results folder --- */

static void find_root(doctor *d) {
  SAY(d->root, "%s", d->c->results);
  while (!file_exists(d->root)) {
    char *slash = strrchr(d->root, '/');
    if (!slash) {
      SAY(d->root, ".");
      break;
    }
    slash[slash == d->root] = 0;
  }
  int n = snprintf(d->folder, sizeof d->folder, "%.900s/.tandem-doctor-XXXXXX", d->root);
  if (n < 0 || (size_t)n >= sizeof d->folder || !mkdtemp(d->folder)) d->folder[0] = 0;
}

static void check_disk(doctor *d) {
  finding *f = add(d, "disk");
  struct statvfs s;
  char space[GRID_SHORT];
  if (statvfs(d->root, &s) || !d->folder[0]) {
    f->verdict = BAD;
    SAY(f->text, "nothing can be written in %s", d->root);
    SAY(f->fix, "give another folder with --results DIR");
    return;
  }
  double bytes = (double)s.f_bavail * (double)s.f_frsize;
  grid_bytes(bytes, space);
  SAY(f->text, "%s free for %s", space, d->c->results);
  if (bytes < 1024.0 * 1024 * 1024) {
    f->verdict = bytes < 64.0 * 1024 * 1024 ? BAD : WARN;
    SAY(f->fix, "the default study writes a few hundred MiB; make room or give another --results DIR");
  }
}

static void check_store(doctor *d) {
  finding *f = add(d, "sqlite");
  store *s = NULL;
  err e = {0};
  if (!d->folder[0]) {
    f->verdict = BAD;
    SAY(f->text, "SQLite %s; no folder to try it in", store_library());
    SAY(f->fix, "see disk");
    return;
  }
  if (store_open(&e, d->folder, STORE_CREATE, &s) != OK) {
    f->verdict = BAD;
    SAY(f->text, "SQLite %s: %.500s", store_library(), e.text);
    SAY(f->fix, "give a folder on a local disk with --results DIR");
  } else if (store_note(s)) {
    f->verdict = WARN;
    SAY(f->text, "SQLite %s: %.500s", store_library(), store_note(s));
    SAY(f->fix, "give a folder on a local disk with --results DIR");
  } else {
    SAY(f->text, "SQLite %s; write-ahead log works in %s", store_library(), d->root);
  }
  store_close(s);
}

/* --- media and data --- */

/* Every alpha value there is comes back, and the colour under alpha 0 as well. */
static int round_trip(err *e, const char *path, double *worst) {
  int rc = OK;
  clip a = {0}, b = {0};
  TRY(clip_new(e, 2, 16, 16, 1, &a));
  a.fps = 8;
  a.colour = CLIP_STRAIGHT;
  for (int i = 0; i < 512; i++) {
    a.alpha[i] = (float)(i % 256) / 255.0f;
    for (int k = 0; k < 3; k++) a.rgb[i * 3 + k] = (float)((i * 7 + k * 85) % 256) / 255.0f;
  }
  TRY(video_write(e, path, &a, NULL));
  TRY(video_read(e, path, &(video_options){.need_alpha = 1}, &b));
  if (b.frames != 2 || b.height != 16 || b.width != 16) FAIL(e, E_FORMAT, "the clip came back in another size");
  *worst = 0;
  for (int i = 0; i < 512; i++) {
    *worst = fmax(*worst, fabs((double)(a.alpha[i] - b.alpha[i])));
    for (int k = 0; k < 3; k++) *worst = fmax(*worst, fabs((double)(a.rgb[i * 3 + k] - b.rgb[i * 3 + k])));
  }
out:
  clip_free(&a);
  clip_free(&b);
  return rc;
}

static void check_video(doctor *d) {
  finding *f = add(d, "ffmpeg");
  err e = {0};
  char path[STORE_PATH + 16];
  double worst = 1;
  if (!d->folder[0]) {
    f->verdict = BAD;
    SAY(f->text, "no folder to try it in");
    SAY(f->fix, "see disk");
    return;
  }
  SAY(path, "%s/alpha.mkv", d->folder);
  int rc = round_trip(&e, path, &worst);
  if (rc == OK && worst < 1e-6) {
    SAY(f->text, "FFV1 keeps RGB and alpha exactly");
    return;
  }
  f->verdict = BAD;
  if (rc == OK)
    SAY(f->text, "FFV1 came back changed by %g", worst);
  else
    SAY(f->text, "%.600s", e.text);
  SAY(f->fix, "install FFmpeg's libraries with the FFV1 codec (Debian: libavcodec-dev libavformat-dev)");
}

static void check_configs(doctor *d) {
  finding *f = add(d, "configs");
  char path[STORE_PATH];
  const char *root = cli_configs(d->c);
  SAY(f->text, "%s", root);
  SAY(path, "%.900s/models/tiny.json", root);
  if (!file_exists(path)) {
    f->verdict = WARN;
    SAY(f->text, "%.500s has no models/tiny.json", root);
    SAY(f->fix, "give the repository's configs folder with --configs DIR");
    return;
  }
  SAY(path, "%.900s/models/tiny.safetensors", root);
  if (!file_exists(path)) {
    f->verdict = WARN;
    SAY(f->text, "%.500s has no weights of the tiny base model", root);
    SAY(f->fix, "tandem pretrain %.80s/models/tiny.json --out %.80s/models/tiny.safetensors", root, root);
  }
}

static int remove_entry(const char *path, const struct stat *s, int kind, struct FTW *at) {
  (void)s;
  (void)kind;
  (void)at;
  return remove(path);
}

static void examine(doctor *d) {
  check_cpu(d);
  check_threads(d);
  check_memory(d);
  check_locale(d);
  check_backends(d);
  find_root(d);
  check_disk(d);
  check_store(d);
  check_video(d);
  check_configs(d);
  if (d->folder[0]) nftw(d->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- plan: 13 x 60 x 90 latents (49 frames of 480 x 720), 226 text rows, batch 1, rank 128 --- */

typedef struct cost_source {
  const char *file, *model;
  dtype storage;
} cost_source;

static int read_size(err *e, const char *s, size_t *out) {
  static const struct {
    const char *name;
    double bytes;
  } units[] = {{"GB", 1e9}, {"GiB", 1073741824.0}, {"MB", 1e6}, {"MiB", 1048576.0}};
  char *end;
  double n = strtod(s, &end);
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
    if (end > s && n > 0 && n * units[i].bytes < 1e18 && !strcmp(end, units[i].name)) {
      *out = (size_t)(n * units[i].bytes);
      return OK;
    }
  return err_set(e, E_ARG, "--fit %s: must be a positive number with GB, GiB, MB or MiB", s);
}

static int cost_of_model(cli *c, const cost_source *s, cost_table *to) {
  int rc = OK;
  json *j = NULL;
  plan_request q = {.shape = {.rank = 128}, .batch = 1, .frames = 13, .height = 60, .width = 90, .n_text = 226};
  q.storage = s->storage;
  char path[STORE_PATH];
  SAY(path, "%.900s/models/%s", cli_configs(c), s->file);
  TRY(json_read(&c->err, path, &j));
  TRY(dit_config_read(&c->err, j, path, &q.cfg));
  TRY(costs_designs(&c->err, &q, s->model, 1, to));
out:
  json_free(j);
  return rc;
}

/* --- what is printed --- */

static void as_text(const doctor *d, text *t) {
  static const char *const color[] = {"\033[32m", "\033[33m", "\033[31m"};
  int painted = cli_color(d->c, 1);
  for (int i = 0; i < d->n; i++) {
    const finding *f = &d->at[i];
    text_addf(t, "%s%-4s%s  %-9s ", painted ? color[f->verdict] : "", verdict_names[f->verdict],
              painted ? "\033[0m" : "", f->name);
    text_addf(t, "%s\n", f->text);
    if (f->fix[0]) text_addf(t, "                -> %s\n", f->fix);
  }
}

static json *as_json(const doctor *d, int failed) {
  json *j = json_new(JSON_OBJECT), *list = json_new(JSON_ARRAY);
  for (int i = 0; i < d->n; i++) {
    json *f = json_new(JSON_OBJECT);
    cli_set_text(&f, "name", d->at[i].name);
    cli_set_text(&f, "verdict", verdict_names[d->at[i].verdict]);
    cli_set_text(&f, "text", d->at[i].text);
    cli_set_text(&f, "fix", d->at[i].fix[0] ? d->at[i].fix : NULL);
    cli_push(&list, f);
  }
  cli_set_bool(&j, "ok", !failed);
  cli_set(&j, "checks", list);
  return j;
}

static int print(const doctor *d, const cost_table *costs, int failed) {
  text t = {0};
  if (d->c->json) {
    json *j = as_json(d, failed);
    if (costs->n) cli_set(&j, "plan", costs_json(costs));
    return cli_put_json(d->c, j);
  }
  as_text(d, &t);
  if (costs->n) {
    text_add(&t, "\nlatents 13 x 60 x 90, 226 text rows, rank 128; from the null backend (no work is done)\n"
                 "levels: blocks that keep everything / input and attention output / input alone (docs/memory.md)\n");
    costs_text(costs, &t);
  }
  return cli_put(d->c, &t);
}

static int run(cli *c, const void *args) {
  int rc = OK, failed = 0;
  const doctor_args *a = args;
  doctor d = {.c = c};
  cost_table costs = {0};
  if (a->gpu) return doctor_gpu(c, a->gpu_rows, (int)a->device);
  examine(&d);
  if (a->plan) {
    dtype storage = a->precision ? DT_BF16 : DT_REAL;
    if (a->fit) TRY(read_size(&c->err, a->fit, &costs.budget));
    TRY(cost_of_model(c, &(cost_source){"cogvideox-2b.json", "2B", storage}, &costs));
    TRY(cost_of_model(c, &(cost_source){"cogvideox-5b.json", "5B", storage}, &costs));
  }
  for (int i = 0; i < d.n; i++) failed |= d.at[i].verdict == BAD;
  TRY(print(&d, &costs, failed));
  if (failed) c->status = EXIT_FAILED;
out:
  costs_free(&costs);
  return rc;
}

const cli_verb verb_doctor = {
    .name = "doctor",
    .group = "start here",
    .help = "can this machine do the work? each line OK, WARN or FAIL",
    .usage = "",
    .about =
        "Looks at the CPU, memory, disk, SQLite on the results folder, FFmpeg's alpha, locale and backends; each "
        "line\n"
        "that is not OK says what to do. Exit 1 when a line is FAIL. --plan adds what training and sampling the\n"
        "released CogVideoX models would need for every registered design. --gpu is the report of a CUDA device\n"
        "(--device N): exit 1 when there is none, or an operation is wrong.",
    .examples = "tandem doctor\ntandem doctor --results /scratch/tandem\ntandem doctor --plan --json",
    .shared = CLI_JSON | CLI_RESULTS | CLI_CONFIGS | CLI_THREADS,
    .options = options,
    .args_size = sizeof(doctor_args),
    .run = run,
};
