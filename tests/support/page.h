/* For the tests that hold a page of docs/ to the tables of the code. */
#ifndef TD_TESTS_PAGE_H
#define TD_TESTS_PAGE_H

#include "base/text.h"

/* docs/NAME of the repository (TANDEM_SOURCE); the test fails when it cannot be read. Caller frees. */
char *page_read(const char *name);
/* The test fails unless the page contains the block word for word; `how` tells how to print what is missing. Frees
 * the block. */
void page_must_contain(const char *page, const char *how, text *block);

#endif
