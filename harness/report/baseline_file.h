/* A baseline as a JSON file, for a repository to commit: one line a value, everything sorted, so that the same
 * baseline gives the same bytes and a changed value is one changed line. */
#ifndef TD_REPORT_BASELINE_FILE_H
#define TD_REPORT_BASELINE_FILE_H

#include "store/baseline.h"

/* Appends the file's text. */
void baseline_write(const baseline *b, text *out);
/* E_IO, E_FORMAT with file:line:col, E_NOMEM. */
int baseline_read(err *e, const char *path, baseline *out) TD_MUST_CHECK;
/* The same from bytes; `name` stands for the file in messages. */
int baseline_parse(err *e, const char *name, const char *data, size_t n, baseline *out) TD_MUST_CHECK;

#endif
