#include "page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *page_read(const char *name) {
  const char *root = getenv("TANDEM_SOURCE");
  char path[4096], *page = NULL;
  size_t n = 0;
  err e = {0};
  assert_non_null(root);
  snprintf(path, sizeof path, "%s/docs/%s", root, name);
  if (file_read(&e, path, 1 << 20, &page, &n) != OK) fail_msg("%s", e.text);
  assert_true(n > 0);
  return page;
}

void page_must_contain(const char *page, const char *how, text *block) {
  err e = {0};
  assert_int_equal(text_ok(block, &e), OK);
  assert_true(block->n > 0);
  if (!strstr(page, block->p)) fail_msg("%s: the page lacks this block:\n%s", how, block->p);
  text_free(block);
}
