#include "model/prompts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/folder.h"
#include "model/t5.h"
#include "model/tokenizer.h"

#define KIND "tandem prompt 1" /* what a key means; another meaning is another word */

typedef struct work {
  err *e;
  const prompt_request *r;
  prompt_rows *out;
  json *config;
  t5_config cfg;
  st_file *weights;
  text config_name, spiece, path;
  char encoder[HASH_HEX], words[HASH_HEX]; /* contents of encoder and tokenizer; "" without a cache */
  char (*key)[HASH_HEX];
  int64_t *first; /* of each prompt: the earliest prompt with its key */
  char *have;     /* rows are there */
} work;

/* --- what the rows follow from --------------------------------------------------------------------------------- */

static int open_parts(work *w) {
  int rc = OK;
  const prompt_request *r = w->r;
  const char *encoder = r->text_encoder ? r->text_encoder : r->model, *words = r->tokenizer ? r->tokenizer : r->model;
  if (!encoder || !words) FAIL(w->e, E_ARG, "prompts need a model folder, or a text encoder and a tokenizer");
  TRY(folder_config(w->e, encoder, PART_TEXT_ENCODER, &w->config, &w->config_name));
  TRY(t5_config_read(w->e, w->config, w->config_name.p, &w->cfg));
  TRY(weights_open(w->e, encoder, PART_TEXT_ENCODER, ST_MAP, &w->weights));
  TRY(t5_check(w->e, &w->cfg, w->config_name.p, w->weights));
  if (file_is_folder(words)) {
    TRY(folder_file(w->e, words, PART_TOKENIZER, "spiece.model", &w->spiece));
  } else {
    text_add(&w->spiece, words);
    TRY(text_ok(&w->spiece, w->e));
  }
out:
  return rc;
}

/* CACHE/NAME */
static int cache_path(work *w, const char *name, const char *suffix) {
  w->path.n = 0;
  text_addf(&w->path, "%s/%s%s", w->r->cache, name, suffix);
  return text_ok(&w->path, w->e);
}

/* SHA-256 of a large file, remembered in the cache as long as its place, size and times stay the same. */
static int remembered_hash(work *w, const char *path, char hex[HASH_HEX]) {
  int rc = OK;
  struct stat s;
  text facts = {0};
  char name[HASH_HEX], *known = NULL;
  size_t n = 0;
  err quiet = {0};
  if (stat(path, &s) != 0) FAIL(w->e, E_IO, "%s: cannot stat", path);
  text_addf(&facts, "%s\n%lld %lld %lld %lld.%09ld %lld.%09ld", path, (long long)s.st_dev, (long long)s.st_ino,
            (long long)s.st_size, (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec, (long long)s.st_ctim.tv_sec,
            s.st_ctim.tv_nsec);
  TRY(text_ok(&facts, w->e));
  TRY(hash_bytes(w->e, facts.p, facts.n, name));
  TRY(cache_path(w, name, ".sha256"));
  if (file_read(&quiet, w->path.p, HASH_HEX, &known, &n) == OK && n == HASH_HEX - 1 &&
      strspn(known, "0123456789abcdef") == n) {
    memcpy(hex, known, HASH_HEX);
  } else {
    TRY(hash_file(w->e, path, hex));
    TRY(file_write(w->e, w->path.p, hex, HASH_HEX - 1));
  }
out:
  text_free(&facts);
  free(known);
  return rc;
}

/* Config and every file of the weights once, in the order of their first tensors' names. */
static int hash_encoder(work *w) {
  int rc = OK;
  text canonical = {0};
  hash *h = NULL;
  char one[HASH_HEX];
  TRY(hash_open(w->e, &h));
  json_canonical(&canonical, w->config);
  TRY(text_ok(&canonical, w->e));
  hash_add(h, canonical.p, canonical.n + 1);
  for (int64_t i = 0; i < st_count(w->weights); i++) {
    const st_file *f = st_at(w->weights, i)->file;
    int64_t k = 0;
    while (k < i && st_at(w->weights, k)->file != f) k++;
    if (k < i) continue;
    TRY(remembered_hash(w, st_path(f), one));
    hash_add(h, one, HASH_HEX - 1);
  }
  rc = hash_close(h, w->e, w->encoder);
  h = NULL;
out:
  if (h) hash_drop(h);
  text_free(&canonical);
  return rc;
}

static int make_keys(work *w) {
  int rc = OK;
  const prompt_request *r = w->r;
  hash *h = NULL;
  TRY(mem_new(w->e, r->n, sizeof *w->key, "keys of prompts", &w->key));
  TRY(mem_new(w->e, r->n, sizeof *w->first, "prompts", &w->first));
  TRY(mem_new(w->e, r->n, 1, "prompts", &w->have));
  for (int64_t i = 0; i < r->n; i++) {
    char head[256];
    int n = snprintf(head, sizeof head, KIND "\n%s\n%s\n%lld\n", w->encoder, w->words, (long long)r->rows);
    TRY(hash_open(w->e, &h));
    hash_add(h, head, (size_t)n);
    hash_add(h, r->prompt[i], strlen(r->prompt[i]));
    rc = hash_close(h, w->e, w->key[i]);
    h = NULL;
    if (rc != OK) goto out;
    for (w->first[i] = 0; strcmp(w->key[w->first[i]], w->key[i]) != 0;) w->first[i]++;
  }
out:
  if (h) hash_drop(h);
  return rc;
}

/* --- the cache ------------------------------------------------------------------------------------------------- */

static float *rows_of(const work *w, int64_t i) {
  return w->out->at + i * w->r->rows * w->cfg.width;
}

static void narrow(const real *from, int64_t n, float *to) {
  for (int64_t i = 0; i < n; i++) to[i] = (float)from[i];
}

/* A file that cannot be read, or says something else than its name, is no hit. */
static int look_up(work *w, int64_t i) {
  int rc = OK;
  err quiet = {0};
  st_file *f = NULL;
  const st_tensor *t;
  real *buffer = NULL;
  const int64_t count = w->r->rows * w->cfg.width;
  TRY(cache_path(w, w->key[i], ".safetensors"));
  if (!file_exists(w->path.p) || st_open(&quiet, w->path.p, &f) != OK) goto out;
  const char *key = st_meta(f, "key"), *cut = st_meta(f, "cut");
  if (!key || strcmp(key, w->key[i]) != 0 || !cut) goto out;
  if (st_need(&quiet, f, "text", 2, (int64_t[]){w->r->rows, w->cfg.width}, &t) != OK || t->type != DT_F32) goto out;
  TRY(mem_new(w->e, count, sizeof(real), "text rows", &buffer));
  if (st_read_real(&quiet, t, buffer) != OK) goto out;
  narrow(buffer, count, rows_of(w, i));
  w->out->cut += cut[0] == '1';
  w->have[i] = 1;
out:
  st_close(f);
  free(buffer);
  return rc;
}

static int keep(work *w, int64_t i, int cut) {
  int rc = OK;
  st_writer *to = NULL;
  TRY(cache_path(w, w->key[i], ".safetensors"));
  TRY(st_writer_open(w->e, &to));
  TRY(st_writer_meta(to, w->e, "key", w->key[i]));
  TRY(st_writer_meta(to, w->e, "encoder", w->encoder));
  TRY(st_writer_meta(to, w->e, "tokenizer", w->words));
  TRY(st_writer_meta(to, w->e, "prompt", w->r->prompt[i]));
  TRY(st_writer_meta(to, w->e, "cut", cut ? "1" : "0"));
  TRY(st_writer_add(to, w->e, "text", DT_F32, 2, (int64_t[]){w->r->rows, w->cfg.width}, rows_of(w, i)));
  TRY(st_writer_save(to, w->e, w->path.p));
out:
  st_writer_close(to);
  return rc;
}

/* --- encoding -------------------------------------------------------------------------------------------------- */

/* Ids of the prompts without rows, one after another. */
static int tokenize(work *w, int32_t *ids, int *cut) {
  int rc = OK;
  int64_t at = 0;
  tokenizer *t = NULL;
  TRY(tokenizer_open(w->e, w->spiece.p, &t));
  for (int64_t i = 0; i < w->r->n; i++) {
    if (w->have[i] || w->first[i] != i) continue;
    TRY(tokenizer_encode(t, w->e, w->r->prompt[i], w->r->rows, ids + at * w->r->rows, NULL, &cut[at]));
    at++;
  }
out:
  tokenizer_close(t);
  return rc;
}

static int encode(work *w, int64_t n) {
  int rc = OK;
  ctx c = {0};
  int32_t *ids = NULL;
  int *cut = NULL;
  real *rows = NULL;
  const int64_t each = w->r->rows * w->cfg.width;
  TRY(mem_new(w->e, n * w->r->rows, sizeof *ids, "token ids", &ids));
  TRY(mem_new(w->e, n, sizeof *cut, "token ids", &cut));
  TRY(mem_new(w->e, n * each, sizeof *rows, "text rows", &rows));
  TRY(tokenize(w, ids, cut));
  rc = ctx_open(&c, &(ctx_options){.backend = "cpu", .threads = w->r->threads});
  const t5_request q = {.cfg = &w->cfg,
                        .weights = w->weights,
                        .ids = ids,
                        .batch = n,
                        .length = w->r->rows,
                        .progress = w->r->progress,
                        .user = w->r->user};
  if (rc == OK) rc = t5_encode(&c, &q, rows);
  if (rc != OK) FAIL(w->e, c.err.code, "%s", c.err.text);
  for (int64_t i = 0, at = 0; i < w->r->n; i++) {
    if (w->have[i] || w->first[i] != i) continue;
    narrow(rows + at * each, each, rows_of(w, i));
    if (w->r->cache) TRY(keep(w, i, cut[at]));
    w->out->cut += cut[at++];
    w->have[i] = 1;
  }
out:
  ctx_close(&c);
  free(ids);
  free(cut);
  free(rows);
  return rc;
}

static int fill(work *w) {
  int rc = OK;
  prompt_rows *out = w->out;
  out->n = w->r->n;
  out->rows = w->r->rows;
  out->width = w->cfg.width;
  TRY(mem_new(w->e, out->n * out->rows, out->width * (int64_t)sizeof(float), "text rows", &out->at));
  for (int64_t i = 0; i < w->r->n; i++) {
    if (w->first[i] != i) continue;
    if (w->r->cache) TRY(look_up(w, i));
    out->encoded += !w->have[i];
  }
  if (out->encoded) TRY(encode(w, out->encoded));
  for (int64_t i = 0; i < w->r->n; i++)
    if (w->first[i] != i)
      memcpy(rows_of(w, i), rows_of(w, w->first[i]), (size_t)(out->rows * out->width) * sizeof(float));
out:
  return rc;
}

int prompts_encode(err *e, const prompt_request *r, prompt_rows *out) {
  int rc = OK;
  work w = {.e = e, .r = r, .out = out};
  *out = (prompt_rows){0};
  if (r->n < 1 || r->rows < 1 || r->rows > 65536)
    FAIL(e, E_ARG, "%lld prompts of %lld rows", (long long)r->n, (long long)r->rows);
  TRY(open_parts(&w));
  if (r->cache) {
    TRY(file_mkdirs(e, r->cache));
    TRY(hash_encoder(&w));
    TRY(hash_file(e, w.spiece.p, w.words));
  }
  TRY(make_keys(&w));
  TRY(fill(&w));
out:
  if (rc != OK) prompts_free(out);
  st_close(w.weights);
  json_free(w.config);
  text_free(&w.config_name);
  text_free(&w.spiece);
  text_free(&w.path);
  free(w.key);
  free(w.first);
  free(w.have);
  return rc;
}

void prompts_free(prompt_rows *p) {
  free(p->at);
  *p = (prompt_rows){0};
}
