/* tandem t5: rows of text from token ids or prompts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/verbs.h"
#include "model/folder.h"
#include "model/t5.h"
#include "model/tokenizer.h"

#define INPUT_MAX ((size_t)16 << 20)

typedef struct t5_args {
  const char *weights, *config, *tokenizer, *in, *out;
  int64_t rows;
  int trace;
} t5_args;

#define AT(member) offsetof(t5_args, member)
static const cli_option options[] = {
    {.name = "weights",
     .kind = CLI_TEXT,
     .offset = AT(weights),
     .value = "PATH",
     .required = 1,
     .help = "the encoder: a safetensors file, an index of shards, or a model folder"},
    {.name = "config",
     .kind = CLI_TEXT,
     .offset = AT(config),
     .value = "FILE",
     .help = "its config.json (default: the one beside the weights)"},
    {.name = "tokenizer",
     .kind = CLI_TEXT,
     .offset = AT(tokenizer),
     .value = "FILE",
     .help = "spiece.model, for prompts (default: that of the model folder)"},
    {.name = "in",
     .kind = CLI_TEXT,
     .offset = AT(in),
     .value = "FILE",
     .required = 1,
     .help = "safetensors with in.ids [B,N]; or prompts: a JSON list (or an object with a list 'prompts'), or a text "
             "file with a prompt a line"},
    {.name = "out",
     .kind = CLI_TEXT,
     .offset = AT(out),
     .value = "FILE",
     .required = 1,
     .help = "safetensors to write: output [B,N,D], and in.ids for prompts; whole or untouched"},
    {.name = "rows",
     .kind = CLI_INT,
     .offset = AT(rows),
     .value = "N",
     .initial = "226",
     .lo = 1,
     .hi = 4096,
     .help = "ids of a prompt, padding included"},
    {.name = "trace", .kind = CLI_FLAG, .offset = AT(trace), .help = "also write hidden.N, the rows before block N"},
    {.name = NULL},
};

typedef struct job {
  cli *c;
  const t5_args *a;
  ctx x;
  t5_config cfg;
  st_file *weights;
  int32_t *ids;
  int64_t batch, length;
  st_writer *out;
} job;

static int open_model(job *t) {
  int rc = OK;
  err *e = &t->c->err;
  json *j = NULL;
  text name = {0};
  TRY(weights_config(e, &(weights_path){t->a->weights, t->a->config, PART_TEXT_ENCODER}, &j, &name));
  TRY(t5_config_read(e, j, name.p, &t->cfg));
  TRY(weights_open(e, t->a->weights, PART_TEXT_ENCODER, t->c->read ? ST_READ : ST_MAP, &t->weights));
  TRY(t5_check(e, &t->cfg, name.p, t->weights));
out:
  json_free(j);
  text_free(&name);
  return rc;
}

static int read_ids(job *t) {
  int rc = OK;
  err *e = &t->c->err;
  st_file *f = NULL;
  const st_tensor *in;
  TRY(st_open(e, t->a->in, &f));
  TRY(st_need(e, f, "in.ids", -1, NULL, &in));
  if (in->rank != 2 || (in->type != DT_I64 && in->type != DT_I32) || !in->count)
    FAIL(e, E_SHAPE, "%s: in.ids must be I64 or I32 [prompts, ids], not %s of %d dimensions", t->a->in,
         dtype_name(in->type), in->rank);
  t->batch = in->shape[0];
  t->length = in->shape[1];
  TRY(mem_new(e, in->count, sizeof *t->ids, "token ids", &t->ids));
  for (int64_t i = 0; i < in->count; i++) {
    double id = dtype_get(in->type, in->data, i);
    t->ids[i] = id >= 0 && id < INT32_MAX ? (int32_t)id : -1;
  }
out:
  st_close(f);
  return rc;
}

/* The list, or an object's list `prompts`. */
static int list_of(err *e, const char *path, const json *j, const json **out) {
  const json *list = j->type == JSON_OBJECT ? json_get(j, "prompts") : j;
  if (!list || list->type != JSON_ARRAY || !list->child)
    return err_set(e, E_FORMAT, "%s: wanted a list of prompts, or an object with a list 'prompts'", path);
  for (const json *v = list->child; v; v = v->next)
    if (v->type != JSON_STRING) return err_set(e, E_FORMAT, "%s:%d:%d: a prompt is a string", path, v->line, v->col);
  *out = list;
  return OK;
}

/* Lines as a JSON list; a last line may lack its end. */
static int lines_of(err *e, char *data, json **out) {
  int rc = OK;
  char *end;
  json *list = json_new(JSON_ARRAY);
  for (char *at = data; *at; at = end) {
    size_t n = strcspn(at, "\n");
    end = at + n + (at[n] != 0);
    if (n && at[n - 1] == '\r') n--;
    at[n] = 0;
    if (json_push(list, json_new_string(at)) != OK) FAIL(e, E_NOMEM, "no memory for prompts");
  }
  *out = list;
  list = NULL;
out:
  json_free(list);
  return rc;
}

static int encode_prompts(job *t, const json *list, const char *tokenizer_path) {
  int rc = OK;
  err *e = &t->c->err;
  tokenizer *words = NULL;
  t->batch = json_count(list);
  t->length = t->a->rows;
  TRY(mem_new(e, t->batch, t->length * (int64_t)sizeof *t->ids, "token ids", &t->ids));
  TRY(tokenizer_open(e, tokenizer_path, &words));
  int64_t i = 0;
  for (const json *v = list->child; v; v = v->next, i++) {
    int cut;
    int64_t used;
    TRY(tokenizer_encode(words, e, v->str, t->length, t->ids + i * t->length, &used, &cut));
    cli_detail(t->c, "prompt %lld: %lld ids", (long long)i, (long long)used);
    if (cut) cli_warn("prompt %lld is longer than %lld ids and is cut", (long long)i, (long long)t->length);
  }
out:
  tokenizer_close(words);
  return rc;
}

static int read_prompts(job *t, int is_json) {
  int rc = OK;
  err *e = &t->c->err;
  json *j = NULL;
  const json *list = NULL;
  text path = {0};
  char *data = NULL;
  size_t n;
  if (t->a->tokenizer)
    text_add(&path, t->a->tokenizer);
  else if (folder_is_pipeline(t->a->weights))
    TRY(folder_file(e, t->a->weights, PART_TOKENIZER, "spiece.model", &path));
  else
    FAIL(e, E_ARG, "%s holds prompts: give --tokenizer FILE (spiece.model), or a model folder as --weights",
         t->a->in);
  TRY(text_ok(&path, e));
  if (is_json) {
    TRY(json_read(e, t->a->in, &j));
  } else {
    TRY(file_read(e, t->a->in, INPUT_MAX, &data, &n));
    if (strlen(data) != n) FAIL(e, E_FORMAT, "%s: holds a NUL; a text file of prompts does not", t->a->in);
    TRY(lines_of(e, data, &j));
  }
  TRY(list_of(e, t->a->in, j, &list));
  TRY(encode_prompts(t, list, path.p));
out:
  json_free(j);
  text_free(&path);
  free(data);
  return rc;
}

static int on_block(void *user, int64_t done, int64_t total) {
  const job *t = user;
  cli_detail(t->c, "block %lld of %lld", (long long)done, (long long)total);
  return 0;
}

static int on_trace(void *user, ctx *c, int layer, view rows) {
  int rc = OK;
  job *t = user;
  char name[32];
  real *host = NULL;
  snprintf(name, sizeof name, "hidden.%d", layer);
  TRY(mem_new(&c->err, rows.rows * rows.cols, sizeof(real), name, &host));
  TRY(op_download(c, host, rows.p, (size_t)(rows.rows * rows.cols) * sizeof(real)));
  TRY(st_writer_add_real(t->out, &c->err, name, DT_F32, 3, (int64_t[]){t->batch, t->length, rows.cols}, host));
out:
  free(host);
  return rc;
}

static int encode(job *t) {
  int rc = OK;
  err *e = &t->c->err;
  real *rows = NULL;
  const int64_t shape[3] = {t->batch, t->length, t->cfg.width};
  const t5_request q = {.cfg = &t->cfg,
                        .weights = t->weights,
                        .ids = t->ids,
                        .batch = t->batch,
                        .length = t->length,
                        .progress = on_block,
                        .trace = t->a->trace ? on_trace : NULL,
                        .user = t};
  TRY(mem_new(e, shape[0] * shape[1], shape[2] * (int64_t)sizeof(real), "text rows", &rows));
  TRY(st_writer_open(e, &t->out));
  rc = ctx_open(&t->x, &(ctx_options){.backend = "cpu", .threads = (int)t->c->threads});
  if (rc == OK) rc = t5_encode(&t->x, &q, rows);
  if (rc != OK) FAIL(e, t->x.err.code, "%s", t->x.err.text);
  TRY(st_writer_add_real(t->out, e, "output", DT_F32, 3, shape, rows));
  if (!text_ends(t->a->in, ".safetensors")) TRY(st_writer_add(t->out, e, "in.ids", DT_I32, 2, shape, t->ids));
  TRY(st_writer_save(t->out, e, t->a->out));
  cli_note(t->c, "wrote %s: %lld prompts of %lld rows of %d", t->a->out, (long long)t->batch, (long long)t->length,
           t->cfg.width);
out:
  free(rows);
  return rc;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  job t = {.c = c, .a = args};
  const char *in = t.a->in;
  TRY(cli_check_out(c, t.a->out));
  TRY(open_model(&t));
  TRY(text_ends(in, ".safetensors") ? read_ids(&t) : read_prompts(&t, text_ends(in, ".json")));
  TRY(encode(&t));
out:
  st_writer_close(t.out);
  ctx_close(&t.x);
  st_close(t.weights);
  free(t.ids);
  return rc;
}

const cli_verb verb_t5 = {
    .name = "t5",
    .group = "look inside",
    .help = "rows of text from prompts or token ids, by a T5 encoder",
    .usage = "--weights PATH --in FILE --out FILE",
    .about =
        "Runs a T5 v1.1 encoder over prompts and writes the rows that the DiT takes as text. All rows count, pads\n"
        "included. Weights are read block by block, so memory holds one block (0.8 GiB for T5-XXL) whatever the\n"
        "model's size. Prompts need a build with SentencePiece; token ids do not.",
    .examples = "tandem t5 --weights CogVideoX-5b --in prompts.json --out text.safetensors\n"
                "tandem t5 --weights t5.safetensors --config config.json --in ids.safetensors --out text.safetensors",
    .shared = CLI_THREADS | CLI_READ,
    .options = options,
    .args_size = sizeof(t5_args),
    .run = run,
};
