#include "model/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SHARDS_MAX 4096
#define SHOWN 120 /* hostile names must not fill a message */

static const char *const part_names[PART_COUNT] = {"transformer", "vae", "text_encoder", "tokenizer", "scheduler"};

const char *part_name(model_part p) {
  return (int)p >= 0 && p < PART_COUNT ? part_names[p] : "?";
}

/* FOLDER/NAME */
static int joined(err *e, const char *folder, const char *name, text *out) {
  out->n = 0;
  text_addf(out, "%s%s%s", folder, text_ends(folder, "/") ? "" : "/", name);
  return text_ok(out, e);
}

int folder_is_pipeline(const char *path) {
  err e = {0};
  text t = {0};
  int yes = file_is_folder(path) && joined(&e, path, "model_index.json", &t) == OK && file_exists(t.p);
  text_free(&t);
  return yes;
}

int folder_class(err *e, const char *path, model_part p, char **out) {
  int rc = OK;
  text t = {0};
  json *j = NULL;
  *out = NULL;
  TRY(joined(e, path, "model_index.json", &t));
  TRY(json_read(e, t.p, &j));
  if (j->type != JSON_OBJECT) FAIL(e, E_CONFIG, "%s: not a JSON object", t.p);
  const json *v = json_get(j, part_name(p));
  if (!v || v->type == JSON_NULL) {
    TRY(mem_strdup(e, "", out));
    goto out;
  }
  const json *library = v->type == JSON_ARRAY ? json_at(v, 0) : NULL, *name = library ? json_at(v, 1) : NULL;
  if (json_count(v) == 2 && library && library->type == JSON_NULL && name && name->type == JSON_NULL) {
    TRY(mem_strdup(e, "", out)); /* how diffusers writes a part that was left out */
    goto out;
  }
  if (json_count(v) != 2 || !library || library->type != JSON_STRING || !name || name->type != JSON_STRING)
    FAIL(e, E_CONFIG, "%s:%d:%d: '%s' must be a pair [library, class]", t.p, v->line, v->col, part_name(p));
  TRY(mem_strdup(e, name->str, out));
out:
  json_free(j);
  text_free(&t);
  return rc;
}

int folder_part(err *e, const char *path, model_part p, text *out) {
  int rc = OK;
  char *class = NULL;
  out->n = 0;
  if (folder_is_pipeline(path)) {
    TRY(folder_class(e, path, p, &class));
    TRY(joined(e, path, part_name(p), out));
    if (!file_is_folder(out->p))
      FAIL(e, E_IO, "%s: %s; the pipeline's model_index.json %s", out->p, "there is no such folder",
           *class ? "lists this part: was the download complete?" : "does not list this part");
  } else {
    const char *slash = strrchr(path, '/');
    if (file_is_folder(path))
      text_add(out, path);
    else if (slash)
      text_addn(out, path, slash == path ? 1 : (size_t)(slash - path));
    else
      text_add(out, ".");
    TRY(text_ok(out, e));
  }
out:
  free(class);
  return rc;
}

int folder_file(err *e, const char *path, model_part p, const char *file, text *out) {
  int rc = OK;
  text folder = {0};
  TRY(folder_part(e, path, p, &folder));
  TRY(joined(e, folder.p, file, out));
  if (!file_exists(out->p)) FAIL(e, E_IO, "%s: no such file; it is needed for the %s", out->p, part_name(p));
out:
  text_free(&folder);
  return rc;
}

int folder_config(err *e, const char *path, model_part p, json **out, text *name) {
  int rc = OK;
  *out = NULL;
  TRY(folder_file(e, path, p, p == PART_SCHEDULER ? "scheduler_config.json" : "config.json", name));
  TRY(json_read(e, name->p, out));
  if ((*out)->type != JSON_OBJECT) FAIL(e, E_CONFIG, "%s: not a JSON object", name->p);
out:
  if (rc != OK) {
    json_free(*out);
    *out = NULL;
  }
  return rc;
}

int weights_config(err *e, const weights_path *w, json **out, text *name) {
  int rc = OK;
  *out = NULL;
  if (!w->config) return folder_config(e, w->weights, w->part, out, name);
  text_add(name, w->config);
  TRY(text_ok(name, e));
  TRY(json_read(e, w->config, out));
out:
  return rc;
}

/* --- the index of shards ------------------------------------------------------------------------------------- */

void shard_index_free(shard_index *x) {
  for (int64_t i = 0; i < x->shards; i++) free(x->shard[i]);
  for (int64_t i = 0; i < x->tensors; i++) free(x->tensor[i]);
  free(x->shard);
  free(x->tensor);
  free(x->shard_of);
  *x = (shard_index){0};
}

/* A plain name beside the index: nothing that leads elsewhere, nothing hidden, nothing that spoils a terminal. */
static int plain_name(const char *s) {
  if (!*s || *s == '.' || strlen(s) > 255 || !text_ends(s, ".safetensors")) return 0;
  for (; *s; s++)
    if ((unsigned char)*s < 0x20 || *s == 0x7f || *s == '/' || *s == '\\') return 0;
  return 1;
}

static int find_shard(err *e, const char *name, const json *v, shard_index *x, int64_t *cap, int64_t *out) {
  int rc = OK;
  /* from the back: tensors of one shard mostly follow each other */
  for (*out = x->shards - 1; *out >= 0; --*out)
    if (!strcmp(x->shard[*out], v->str)) return OK;
  if (x->shards == SHARDS_MAX) FAIL(e, E_FORMAT, "%s: more than %d shards", name, SHARDS_MAX);
  TRY(mem_grow(e, &x->shard, cap, x->shards + 1, sizeof *x->shard, "shards"));
  TRY(mem_strdup(e, v->str, &x->shard[x->shards]));
  *out = x->shards++;
out:
  return rc;
}

int shard_index_read(err *e, const char *name, const json *j, shard_index *out) {
  int rc = OK;
  int64_t cap = 0;
  *out = (shard_index){0};
  const json *map = j->type == JSON_OBJECT ? json_get(j, "weight_map") : NULL;
  if (!map || map->type != JSON_OBJECT || !map->child)
    FAIL(e, E_FORMAT, "%s: an index of shards has an object 'weight_map' with a file for each tensor", name);
  TRY(mem_new(e, json_count(map), sizeof *out->tensor, "names of an index", &out->tensor));
  TRY(mem_new(e, json_count(map), sizeof *out->shard_of, "shards of an index", &out->shard_of));
  for (const json *v = map->child; v; v = v->next) {
    if (!strcmp(v->key, "//")) continue;
    if (v->type != JSON_STRING || !plain_name(v->str))
      FAIL(e, E_FORMAT,
           "%s:%d:%d: tensor '%.*s': its shard must be the plain name of a .safetensors file, not '%.*s'", name,
           v->line, v->col, SHOWN, v->key, SHOWN, v->type == JSON_STRING ? v->str : "(no string)");
    TRY(find_shard(e, name, v, out, &cap, &out->shard_of[out->tensors]));
    TRY(mem_strdup(e, v->key, &out->tensor[out->tensors]));
    out->tensors++;
  }
  if (!out->tensors) FAIL(e, E_FORMAT, "%s: 'weight_map' names no tensor", name);
out:
  if (rc != OK) shard_index_free(out);
  return rc;
}

/* All missing shards in one message. */
static int shards_there(err *e, const char *folder, const char *name, const shard_index *x) {
  int rc = OK, missing = 0;
  text path = {0}, list = {0};
  for (int64_t i = 0; i < x->shards; i++) {
    TRY(joined(e, folder, x->shard[i], &path));
    if (file_exists(path.p)) continue;
    if (missing++ < 8) text_addf(&list, "\n  %.*s", SHOWN, x->shard[i]);
  }
  TRY(text_ok(&list, e));
  if (missing)
    FAIL(e, E_IO, "%s: %d of %lld shards are not there; was the download complete?%s%s", name, missing,
         (long long)x->shards, list.p, missing > 8 ? "\n  ..." : "");
out:
  text_free(&path);
  text_free(&list);
  return rc;
}

/* The index and the shards name the same tensors, in the same files. */
static int index_agrees(err *e, const char *name, const shard_index *x, st_file *const *shard, const st_file *all) {
  int rc = OK, bad = 0;
  text list = {0};
  for (int64_t i = 0; i < x->tensors; i++) {
    if (st_find(shard[x->shard_of[i]], x->tensor[i])) continue;
    const st_tensor *other = st_find(all, x->tensor[i]);
    if (bad++ >= 8) continue;
    text_addf(&list, "\n  %.*s: not in %.*s", SHOWN, x->tensor[i], SHOWN, x->shard[x->shard_of[i]]);
    if (other) text_addf(&list, ", but in %s", st_path(other->file));
  }
  if (!bad && st_count(all) != x->tensors) {
    bad = (int)(st_count(all) - x->tensors);
    text_addf(&list, "\n  the shards hold %lld tensors, the index names %lld", (long long)st_count(all),
              (long long)x->tensors);
  }
  TRY(text_ok(&list, e));
  if (bad) FAIL(e, E_FORMAT, "%s: index and shards disagree:%s%s", name, list.p, bad > 8 ? "\n  ..." : "");
out:
  text_free(&list);
  return rc;
}

/* Falls back to reading where the file system cannot map. */
static int open_one(err *e, const char *path, st_mode mode, st_file **out) {
  int rc = st_open_mode(e, path, mode, out);
  if (rc != E_IO || mode == ST_READ || !file_exists(path)) return rc;
  err again = {0};
  if (st_open_mode(&again, path, ST_READ, out) != OK) return rc; /* the first message stands */
  err_clear(e);
  return OK;
}

static int open_shards(err *e, const char *index, st_mode mode, st_file **out) {
  int rc = OK;
  json *j = NULL;
  shard_index x = {0};
  st_file **shard = NULL, *all = NULL;
  int64_t opened = 0;
  text folder = {0}, path = {0};
  TRY(json_read(e, index, &j));
  TRY(shard_index_read(e, index, j, &x));
  TRY(folder_part(e, index, PART_COUNT, &folder));
  TRY(shards_there(e, folder.p, index, &x));
  TRY(mem_new(e, 2 * x.shards, sizeof *shard, "shards", &shard)); /* the second half stays ours */
  for (; opened < x.shards; opened++) {
    TRY(joined(e, folder.p, x.shard[opened], &path));
    TRY(open_one(e, path.p, mode, &shard[opened]));
    shard[x.shards + opened] = shard[opened];
  }
  opened = 0;
  TRY(st_join(e, index, shard, x.shards, &all));
  TRY(index_agrees(e, index, &x, shard + x.shards, all));
  *out = all;
  all = NULL;
out:
  for (int64_t i = 0; i < opened; i++) st_close(shard[i]);
  st_close(all);
  free(shard);
  shard_index_free(&x);
  json_free(j);
  text_free(&folder);
  text_free(&path);
  return rc;
}

/* --- which file of a folder ----------------------------------------------------------------------------------- */

typedef struct listing {
  text one, all;      /* the last candidate; every candidate, for messages */
  int found, pickled; /* .bin and .pt files, which cannot be read */
} listing;

/* Files of a folder that end so; shards of an index count only through it. */
static int list_files(err *e, const char *folder, const char *tail, int shards, listing *l) {
  int rc = OK;
  DIR *d = opendir(folder);
  if (!d) FAIL(e, E_IO, "%s: cannot read the folder: %s", folder, strerror(errno));
  for (struct dirent *f; (f = readdir(d)) != NULL;) {
    if (f->d_name[0] == '.') continue;
    if (text_ends(f->d_name, ".bin") || text_ends(f->d_name, ".pt") || text_ends(f->d_name, ".ckpt")) l->pickled++;
    if (!text_ends(f->d_name, tail) || (!shards && strstr(f->d_name, "-of-"))) continue;
    if (l->found++ < 8) text_addf(&l->all, "\n  %.*s", SHOWN, f->d_name);
    TRY(joined(e, folder, f->d_name, &l->one));
  }
  TRY(text_ok(&l->all, e));
out:
  if (d) closedir(d);
  return rc;
}

static int pick_file(err *e, const char *folder, text *out) {
  int rc = OK;
  listing l = {0};
  TRY(list_files(e, folder, ".safetensors.index.json", 1, &l));
  TRY(list_files(e, folder, ".safetensors", 0, &l));
  if (l.found > 1) FAIL(e, E_CONFIG, "%s: %d sets of weights, name one of them:%s", folder, l.found, l.all.p);
  if (l.found == 0) {
    TRY(list_files(e, folder, ".safetensors", 1, &l));
    FAIL(e, E_IO, "%s: no weights here (*.safetensors, or shards with *.safetensors.index.json)%s", folder,
         l.found     ? "; there are shards without an index"
         : l.pickled ? "; pickled files (.bin, .pt, .ckpt) are not read, save them as safetensors"
                     : "");
  }
  out->n = 0;
  text_add(out, l.one.p);
  TRY(text_ok(out, e));
out:
  text_free(&l.one);
  text_free(&l.all);
  return rc;
}

int weights_open(err *e, const char *path, model_part p, st_mode mode, st_file **out) {
  int rc = OK;
  text folder = {0}, file = {0};
  *out = NULL;
  if (file_is_folder(path)) {
    TRY(folder_part(e, path, p, &folder));
    TRY(pick_file(e, folder.p, &file));
    path = file.p;
  }
  TRY(text_ends(path, ".json") ? open_shards(e, path, mode, out) : open_one(e, path, mode, out));
out:
  text_free(&folder);
  text_free(&file);
  return rc;
}
