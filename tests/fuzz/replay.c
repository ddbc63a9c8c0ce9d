/* Runs a fuzz target on every file of the corpus folder named on the command line, whole, cut short at every length,
 * and with random changes that are the same in every run. */
#include "fuzz.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/text.h"

#define FILES_MAX 1000
#define CHANGES 300 /* variants of each file */

typedef struct input {
  char *data;
  size_t n;
} input;

static struct {
  const char *folder;
  input file[FILES_MAX];
  int count;
} corpus;

/* A copy that ends where its block ends, so that sanitizers see a read behind it. */
static void run(const char *data, size_t n) {
  uint8_t *copy = malloc(n ? n : 1);
  assert_non_null(copy);
  if (n) memcpy(copy, data, n);
  assert_int_equal(LLVMFuzzerTestOneInput(copy, n), 0);
  free(copy);
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In order of names: the random changes must not depend on the order of a folder. */
static int load(void **state) {
  (void)state;
  char *name[FILES_MAX];
  int names = 0;
  DIR *d = opendir(corpus.folder);
  if (!d) return -1;
  for (struct dirent *f; names < FILES_MAX && (f = readdir(d));)
    if (f->d_name[0] != '.' && !(name[names++] = strdup(f->d_name))) return -1;
  closedir(d);
  qsort(name, (size_t)names, sizeof name[0], by_name);
  for (int i = 0; i < names; i++) {
    char path[1000];
    err e = {0};
    input *in = &corpus.file[i];
    snprintf(path, sizeof path, "%s/%s", corpus.folder, name[i]);
    if (file_read(&e, path, 1 << 16, &in->data, &in->n) != OK) {
      fprintf(stderr, "%s\n", e.text);
      return -1;
    }
    free(name[i]);
  }
  corpus.count = names;
  return names ? 0 : -1;
}

static int drop(void **state) {
  (void)state;
  for (int i = 0; i < corpus.count; i++) free(corpus.file[i].data);
  return 0;
}

static void whole(void **state) {
  (void)state;
  for (int i = 0; i < corpus.count; i++) run(corpus.file[i].data, corpus.file[i].n);
}

static void cut_short(void **state) {
  (void)state;
  for (int i = 0; i < corpus.count; i++)
    for (size_t n = 0; n < corpus.file[i].n && n < 2000; n++) run(corpus.file[i].data, n);
}

/* One to four changes: a byte set, a bit flipped, a piece taken out, a piece of another file put in. */
static void change(input *in, rng r, uint64_t *at) {
  uint64_t kind = rng_below(r, (*at)++, 4);
  size_t where = (size_t)rng_below(r, (*at)++, in->n + 1);
  size_t len = (size_t)rng_below(r, (*at)++, 16) + 1;
  if (kind < 2 && where < in->n) {
    uint8_t value = (uint8_t)rng_below(r, (*at)++, 256);
    in->data[where] = (char)(kind ? value : (uint8_t)in->data[where] ^ (1u << (value & 7)));
  } else if (kind == 2) {
    if (len > in->n - where) len = in->n - where;
    memmove(in->data + where, in->data + where + len, in->n - where - len);
    in->n -= len;
  } else if (kind == 3) {
    const input *from = &corpus.file[rng_below(r, (*at)++, (uint64_t)corpus.count)];
    size_t start = (size_t)rng_below(r, (*at)++, from->n + 1);
    if (len > from->n - start) len = from->n - start;
    memmove(in->data + where + len, in->data + where, in->n - where);
    memcpy(in->data + where, from->data + start, len);
    in->n += len;
  }
}

static void changed(void **state) {
  (void)state;
  for (int i = 0; i < corpus.count; i++)
    for (uint32_t k = 0; k < CHANGES; k++) {
      const rng r = {.seed = (uint64_t)i, .stream = RNG_TEST, .sub = k};
      uint64_t at = 0;
      input in = {malloc(corpus.file[i].n + 64 + 1), corpus.file[i].n};
      assert_non_null(in.data);
      if (in.n) memcpy(in.data, corpus.file[i].data, in.n);
      for (uint64_t more = rng_below(r, at++, 4) + 1; more; more--) change(&in, r, &at);
      run(in.data, in.n);
      free(in.data);
    }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(whole), cmocka_unit_test(cut_short), cmocka_unit_test(changed)};
  if (argc != 2) {
    fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
    return 2;
  }
  corpus.folder = argv[1];
  return cmocka_run_group_tests(tests, load, drop);
}
