#include "media/features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "media/npy.h"
#include "media/zip.h"
#include "model/safetensors.h"

/* An array of any container. */
typedef struct array {
  dtype type;
  int rank;
  int64_t shape[2], count;
  const void *data;
} array;

static int widen(err *e, const array *a, double **out) {
  int rc = mem_new(e, a->count, sizeof **out, "features", out);
  for (int64_t i = 0; rc == OK && i < a->count; i++) (*out)[i] = dtype_get(a->type, a->data, i);
  return rc;
}

static int take_rows(err *e, const char *name, const array *a, features *out) {
  if (a->rank != 2)
    return err_set(e, E_FORMAT, "%s: features are a 2-D array, a row a clip; this one has %d axes", name, a->rank);
  if (!a->shape[1]) return err_set(e, E_FORMAT, "%s: features of no numbers", name);
  out->n = a->shape[0];
  out->dim = a->shape[1];
  return widen(e, a, &out->x);
}

static int take_moments(err *e, const char *name, const array *mu, const array *sigma, features *out) {
  int rc = OK;
  double largest = 0, apart = 0;
  int64_t d = mu->shape[0];
  if (mu->rank != 1 || sigma->rank != 2 || d < 1 || sigma->shape[0] != d || sigma->shape[1] != d)
    FAIL(e, E_FORMAT, "%s: mu must be [d] and sigma [d][d], d > 0", name);
  out->dim = d;
  TRY(widen(e, mu, &out->mu));
  TRY(widen(e, sigma, &out->sigma));
  for (int64_t i = 0; i < d; i++)
    for (int64_t k = 0; k <= i; k++) {
      double a = out->sigma[i * d + k], b = out->sigma[k * d + i];
      largest = fmax(largest, fmax(fabs(a), fabs(b)));
      apart = fmax(apart, fabs(a - b));
    }
  if (apart > 1e-6 * largest) FAIL(e, E_FORMAT, "%s: sigma is not symmetric", name);
out:
  return rc;
}

/* --- .npz ------------------------------------------------------------------------------------------------------ */

static int64_t find_member(const zip *z, const char *file) {
  for (int64_t i = 0; i < z->members; i++)
    if (!strcmp(z->member[i].name, file)) return i;
  return -1;
}

static int only_array(err *e, const zip *z, int64_t *out) {
  int64_t found = 0;
  const char *pickle = NULL;
  for (int64_t i = 0; i < z->members; i++) {
    const char *s = z->member[i].name, *end = strrchr(s, '.');
    if (end && !strcmp(end, ".npy")) *out = i, found++;
    if (end && !strcmp(end, ".pkl")) pickle = s;
  }
  if (found == 1) return OK;
  if (pickle)
    return err_set(e, E_UNSUPPORTED,
                   "%s: holds the pickle '%s' (a PyTorch file?), which is never loaded; save with "
                   "numpy.savez",
                   z->name, pickle);
  return err_set(e, E_FORMAT, "%s: %lld arrays and none is called features, nor are there mu and sigma", z->name,
                 (long long)found);
}

/* bytes: the unpacked member, which the array points into. */
static int member_array(err *e, const zip *z, int64_t i, char **bytes, array *out) {
  npy a;
  int rc = zip_extract(e, z, i, bytes);
  if (rc == OK) rc = npy_parse(e, z->member[i].name, *bytes, (size_t)z->member[i].size, &a);
  if (rc != OK) return err_prefix(e, "%s", z->name);
  *out = (array){a.type, a.rank, {a.shape[0], a.shape[1]}, a.count, a.data};
  return OK;
}

static int read_npz(err *e, const char *name, const void *data, size_t n, features *out) {
  int rc = OK;
  zip z = {0};
  char *bytes[2] = {NULL, NULL};
  array a[2];
  TRY(zip_open(e, name, data, n, &z));
  int64_t rows = find_member(&z, "features.npy"), mu = find_member(&z, "mu.npy"),
          sigma = find_member(&z, "sigma.npy");
  if (rows < 0 && mu >= 0 && sigma >= 0) {
    TRY(member_array(e, &z, mu, &bytes[0], &a[0]));
    TRY(member_array(e, &z, sigma, &bytes[1], &a[1]));
    TRY(take_moments(e, name, &a[0], &a[1], out));
    goto out;
  }
  if (rows < 0) TRY(only_array(e, &z, &rows));
  TRY(member_array(e, &z, rows, &bytes[0], &a[0]));
  TRY(take_rows(e, name, &a[0], out));
out:
  free(bytes[0]), free(bytes[1]);
  zip_close(&z);
  return rc;
}

/* --- .npy, .safetensors ---------------------------------------------------------------------------------------- */

static array of_tensor(const st_tensor *t) {
  return (array){t->type, t->rank, {t->shape[0], t->shape[1]}, t->count, t->data};
}

static int read_safetensors(err *e, const char *name, const void *data, size_t n, features *out) {
  int rc = OK;
  st_file *f = NULL;
  TRY(st_open_bytes(e, name, data, n, &f));
  const st_tensor *rows = st_find(f, "features"), *mu = st_find(f, "mu"), *sigma = st_find(f, "sigma");
  if (!rows && mu && sigma) {
    array m = of_tensor(mu), s = of_tensor(sigma);
    TRY(take_moments(e, name, &m, &s, out));
    goto out;
  }
  if (!rows && st_count(f) == 1) rows = st_at(f, 0);
  if (!rows)
    FAIL(e, E_FORMAT, "%s: %lld tensors and none is called features, nor are there mu and sigma", name,
         (long long)st_count(f));
  array a = of_tensor(rows);
  TRY(take_rows(e, name, &a, out));
out:
  st_close(f);
  return rc;
}

static int read_npy(err *e, const char *name, const void *data, size_t n, features *out) {
  npy a;
  int rc = npy_parse(e, name, data, n, &a);
  if (rc != OK) return rc;
  array rows = {a.type, a.rank, {a.shape[0], a.shape[1]}, a.count, a.data};
  return take_rows(e, name, &rows, out);
}

int features_parse(err *e, const char *name, const void *data, size_t n, features *out) {
  const unsigned char *p = data;
  *out = (features){0};
  int is_zip = n >= 4 && !memcmp(p, "PK", 2), is_tensors = n >= 9 && p[8] == '{' && p[0] != 0x80 && p[0] != 0x93;
  int rc = is_zip       ? read_npz(e, name, data, n, out)
           : is_tensors ? read_safetensors(e, name, data, n, out)
                        : read_npy(e, name, data, n, out);
  if (rc != OK) features_free(out);
  return rc;
}

/* --- the JSON file --------------------------------------------------------------------------------------------- */

static int describe(err *e, const char *path, const json *j, char **out) {
  static const char *const key[] = {"extractor", "frame_rule", "preprocessing", "weights"};
  int rc = OK, n = 0;
  json *kept = json_new(JSON_OBJECT);
  text t = {0};
  if (j->type != JSON_OBJECT) FAIL(e, E_FORMAT, "%s: wanted an object", path);
  for (int i = 0; i < 4; i++) {
    const json *v = json_get(j, key[i]);
    if (!v) continue;
    if (v->type != JSON_STRING) FAIL(e, E_FORMAT, "%s:%d:%d: '%s' must be a string", path, v->line, v->col, key[i]);
    if (json_set(kept, key[i], json_new_string(v->str)) != OK) FAIL(e, E_NOMEM, "%s: no memory", path);
    n++;
  }
  json_canonical(&t, kept);
  TRY(text_ok(&t, e));
  if (n) TRY(mem_strdup(e, t.p, out));
out:
  text_free(&t);
  json_free(kept);
  return rc;
}

static int read_source(err *e, const char *path, char **out) {
  int rc = OK;
  text t = {0};
  json *j = NULL;
  const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
  text_addn(&t, path, dot ? (size_t)(dot - path) : strlen(path));
  text_add(&t, ".json");
  TRY(text_ok(&t, e));
  if (!file_exists(t.p)) goto out;
  TRY(json_read(e, t.p, &j));
  TRY(describe(e, t.p, j, out));
out:
  text_free(&t);
  json_free(j);
  return rc;
}

int features_read(err *e, const char *path, features *out) {
  int rc = OK;
  char *data = NULL;
  size_t n;
  *out = (features){0};
  TRY(file_read(e, path, FEATURES_LIMIT, &data, &n));
  TRY(features_parse(e, path, data, n, out));
  TRY(read_source(e, path, &out->source));
out:
  free(data);
  if (rc != OK) features_free(out);
  return rc;
}

void features_free(features *f) {
  free(f->x), free(f->mu), free(f->sigma), free(f->source);
  *f = (features){0};
}
