#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/mem.h"
#include "base/text.h"

struct hash {
  EVP_MD_CTX *md;
  int failed; /* remembered, so that hash_add needs no check */
};

int hash_open(err *e, hash **out) {
  int rc = OK;
  hash *h = NULL;
  *out = NULL;
  TRY(mem_new(e, 1, sizeof *h, "hash", &h));
  h->md = EVP_MD_CTX_new();
  if (!h->md || !EVP_DigestInit_ex(h->md, EVP_sha256(), NULL)) FAIL(e, E_NOMEM, "cannot start a SHA-256");
  *out = h;
  h = NULL;
out:
  hash_drop(h);
  return rc;
}

void hash_add(hash *h, const void *data, size_t n) {
  if (n && !EVP_DigestUpdate(h->md, data, n)) h->failed = 1;
}

int hash_close(hash *h, err *e, char hex[HASH_HEX]) {
  static const char digit[] = "0123456789abcdef";
  unsigned char d[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  int ok = EVP_DigestFinal_ex(h->md, d, &n) && n == 32 && !h->failed;
  hash_drop(h);
  hex[0] = 0;
  if (!ok) return err_set(e, E_IO, "SHA-256 failed in libcrypto");
  for (unsigned i = 0; i < n; i++) {
    hex[2 * i] = digit[d[i] >> 4];
    hex[2 * i + 1] = digit[d[i] & 15];
  }
  hex[2 * n] = 0;
  return OK;
}

void hash_drop(hash *h) {
  if (h) EVP_MD_CTX_free(h->md);
  free(h);
}

int hash_bytes(err *e, const void *data, size_t n, char hex[HASH_HEX]) {
  hash *h;
  hex[0] = 0;
  int rc = hash_open(e, &h);
  if (rc != OK) return rc;
  hash_add(h, data, n);
  return hash_close(h, e, hex);
}

int hash_file(err *e, const char *path, char hex[HASH_HEX]) {
  int rc = OK, fd = -1;
  hash *h = NULL;
  char *piece = NULL;
  const size_t size = 1 << 18;
  ssize_t got;
  hex[0] = 0;
  TRY(mem_new(e, (int64_t)size, 1, "hash buffer", &piece));
  TRY(hash_open(e, &h));
  TRY(file_open(e, path, &fd));
  while ((got = read(fd, piece, size)) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) FAIL(e, E_IO, "%s: cannot read: %s", path, strerror(errno));
    hash_add(h, piece, (size_t)got);
  }
  rc = hash_close(h, e, hex);
  h = NULL;
out:
  if (fd >= 0) close(fd);
  hash_drop(h);
  free(piece);
  return rc;
}

const char *hash_library(void) {
  return OpenSSL_version(OPENSSL_VERSION_STRING);
}
