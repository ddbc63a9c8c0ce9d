#define _GNU_SOURCE
#include "run/host.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/build.h"
#include "base/hash.h"
#include "base/text.h"

int host_cores(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  int n = CPU_COUNT(&set);
  return n > 0 ? n : 1;
}

static void read_cpu(char out[128]) {
  FILE *f = fopen("/proc/cpuinfo", "r");
  char line[512];
  snprintf(out, 128, "unknown");
  while (f && fgets(line, sizeof line, f)) {
    char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) || !colon) continue;
    snprintf(out, 128, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    break;
  }
  if (f) fclose(f);
}

static int make_id(err *e, const char *facts, char id[HASH_HEX]) {
  return hash_bytes(e, facts, strlen(facts), id);
}

int host_read(err *e, host_facts *h) {
  int rc = OK;
  struct utsname u;
  char facts[1024];
  *h = (host_facts){0};
  TRY(hash_file(e, "/proc/self/exe", h->binary_sha256));
#if defined(__clang__)
  snprintf(h->compiler, sizeof h->compiler, "clang %s", __clang_version__);
#else
  snprintf(h->compiler, sizeof h->compiler, "gcc %s", __VERSION__);
#endif
  snprintf(h->libs, sizeof h->libs, "{}");
  uname(&u);
  snprintf(h->os, sizeof h->os, "%.100s", u.sysname);
  snprintf(h->kernel, sizeof h->kernel, "%.100s", u.release);
  read_cpu(h->cpu);
  TRY(make_id(e, h->binary_sha256, h->build_id));
  snprintf(facts, sizeof facts, "%s|%s|%s|%s", u.nodename, h->os, h->kernel, h->cpu);
  TRY(make_id(e, facts, h->host_id));
  const build_facts about = build_about();
  h->build = (store_build){.build_id = h->build_id,
                           .git_sha = about.git_sha[0] ? about.git_sha : NULL,
                           .git_dirty = about.git_dirty,
                           .binary_sha256 = h->binary_sha256,
                           .compiler = h->compiler,
                           .flags = about.flags,
                           .libs_json = h->libs};
  h->host = (store_host){.host_id = h->host_id,
                         .os = h->os,
                         .kernel = h->kernel,
                         .cpu = h->cpu,
                         .gpu_json = "[]",
                         .ncpu = host_cores(),
                         .ram_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE)};
out:
  return rc;
}

/* Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), -1 when there is none. */
static long long start_of(long pid) {
  char path[64];
  char *data = NULL, *p;
  size_t n;
  long long start = -1;
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  if (file_read(NULL, path, 4096, &data, &n) != OK) return -1;
  p = strrchr(data, ')'); /* the name may hold anything */
  for (int field = 2; p && field < 22; field++) p = strchr(p + 1, ' ');
  if (p) start = strtoll(p + 1, NULL, 10);
  free(data);
  return start;
}

int host_owner(err *e, char out[128]) {
  struct utsname u;
  long pid = (long)getpid();
  if (uname(&u) != 0) return err_set(e, E_IO, "uname failed");
  snprintf(out, 128, "%.64s:%ld:%lld", u.nodename, pid, start_of(pid));
  return OK;
}

int host_owner_is_dead(const char *owner) {
  struct utsname u;
  char name[65];
  long pid;
  long long start;
  if (uname(&u) != 0 || sscanf(owner, "%64[^:]:%ld:%lld", name, &pid, &start) != 3) return 0;
  if (strncmp(name, u.nodename, 64) != 0) return 0;
  return start_of(pid) != start;
}
