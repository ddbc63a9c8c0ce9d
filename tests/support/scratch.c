#define _XOPEN_SOURCE 700 /* nftw */
#include "scratch.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/text.h"

static char root[64];
static char paths[8][512];

const char *scratch_open(void) {
  snprintf(root, sizeof root, "/tmp/tandem-test-XXXXXX");
  if (!mkdtemp(root)) fail_msg("mkdtemp failed");
  return root;
}

const char *scratch_path(int slot, const char *name) {
  snprintf(paths[slot], sizeof paths[slot], "%s/%s", root, name);
  return paths[slot];
}

void scratch_write(const char *name, const char *contents) {
  char path[512];
  err e = {0};
  snprintf(path, sizeof path, "%s/%s", root, name);
  char *slash = strrchr(path, '/');
  *slash = 0;
  int rc = file_mkdirs(&e, path);
  *slash = '/';
  if (rc != OK) fail_msg("%s", e.text);
  FILE *f = fopen(path, "wb"); /* not file_write: its fsync costs more than all else in a test */
  if (!f || fwrite(contents, 1, strlen(contents), f) != strlen(contents) || fclose(f) != 0)
    fail_msg("cannot write %s", path);
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *at) {
  (void)st;
  (void)type;
  (void)at;
  return remove(path);
}

void scratch_close(void) {
  if (root[0]) nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
  root[0] = 0;
}

int scratch_setup(void **state) {
  (void)state;
  return !scratch_open();
}

int scratch_teardown(void **state) {
  (void)state;
  scratch_close();
  return 0;
}
