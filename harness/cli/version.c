/* tandem version */
#include <gnu/libc-version.h>
#include <stdio.h>

#include "base/build.h"
#include "base/hash.h"
#include "cli/verbs.h"
#include "media/libraries.h"
#include "ops/ops.h"
#include "store/store.h"

typedef struct library {
  const char *name, *version;
} library;

#define LIBRARIES (MEDIA_LIBRARIES + 5)

typedef struct facts {
  build_facts build;
  media_library media[MEDIA_LIBRARIES];
  library library[LIBRARIES];
  char openmp[16];
  ctx cpu; /* open while its strings are in use */
} facts;

static void collect_libraries(facts *f) {
  int n = 0;
  media_libraries(f->media);
  f->library[n++] = (library){"SQLite", store_library()};
  f->library[n++] = (library){"cJSON", json_library()};
  f->library[n++] = (library){"libcrypto", hash_library()};
  for (int i = 0; i < MEDIA_LIBRARIES; i++) f->library[n++] = (library){f->media[i].name, f->media[i].version};
  snprintf(f->openmp, sizeof f->openmp, "%d", _OPENMP);
  f->library[n++] = (library){"OpenMP", f->openmp};
  f->library[n++] = (library){"glibc", gnu_get_libc_version()};
}

static json *as_json(const facts *f) {
  json *j = json_new(JSON_OBJECT), *libraries = json_new(JSON_OBJECT), *backends = json_new(JSON_ARRAY);
  cli_set_text(&j, "version", f->build.version);
  cli_set_text(&j, "git_sha", *f->build.git_sha ? f->build.git_sha : NULL);
  cli_set_bool(&j, "git_dirty", f->build.git_dirty);
  cli_set_text(&j, "compiler", f->build.compiler);
  cli_set_text(&j, "build_type", f->build.type);
  cli_set_text(&j, "flags", f->build.flags);
  for (int i = 0; i < LIBRARIES; i++) cli_set_text(&libraries, f->library[i].name, f->library[i].version);
  cli_set(&j, "libraries", libraries);
  for (const ops *const *b = backend_list(); *b; b++) cli_push(&backends, json_new_string((*b)->name));
  cli_set(&j, "backends", backends);
  cli_set_text(&j, "isa", f->cpu.isa);
  cli_set_bool(&j, "cuda", backend_find("cuda") != NULL);
  cli_set_text(&j, "cuda_archs", *f->build.cuda ? f->build.cuda : NULL);
  cli_set_text(&j, "configs", f->build.configs);
  return j;
}

static void as_text(const facts *f, text *t) {
  const build_facts *b = &f->build;
  text_addf(t, "tandem %s", b->version);
  if (*b->git_sha) text_addf(t, " (%.12s%s)", b->git_sha, b->git_dirty ? ", changed" : "");
  text_addf(t, "\ncompiler   %s, %s\nflags      %s\nlibraries ", b->compiler, b->type, b->flags);
  for (int i = 0; i < LIBRARIES; i++)
    text_addf(t, "%s %s %s", i ? "," : "", f->library[i].name, f->library[i].version);
  text_add(t, "\nbackends  ");
  for (const ops *const *p = backend_list(); *p; p++) text_addf(t, " %s", (*p)->name);
  text_addf(t, "; cuda %s\nisa        %s\nconfigs    %s\n", *b->cuda ? b->cuda : "absent",
            f->cpu.isa ? f->cpu.isa : "none this CPU can run", b->configs);
}

static int run(cli *c, const void *args) {
  (void)args;
  facts f = {.build = build_about()};
  collect_libraries(&f);
  if (ctx_open(&f.cpu, &(ctx_options){.backend = "cpu", .threads = 1}) != OK) f.cpu.isa = NULL;
  int rc;
  if (c->json) {
    rc = cli_put_json(c, as_json(&f));
  } else {
    text t = {0};
    as_text(&f, &t);
    rc = cli_put(c, &t);
  }
  ctx_close(&f.cpu);
  return rc;
}

const cli_verb verb_version = {
    .name = "version",
    .group = "help",
    .help = "version, compiler, libraries, backends",
    .usage = "",
    .about = "What this program was built from and what it runs with: libraries as loaded now, backends of this\n"
             "build, the instruction-set level that the CPU kernels would use.",
    .examples = "tandem version\ntandem version --json",
    .shared = CLI_JSON,
    .run = run,
};
