/* Adapters by files: what --adapter, --gamma and --design give a model. */
#ifndef TD_CLI_ADAPTERS_H
#define TD_CLI_ADAPTERS_H

#include "cli/cli.h"
#include "variants/variant.h"
#include "model/dit.h"

typedef struct adapters {
  const design *d;
  st_file **file; /* opened by adapters_open; adapters_close */
  int n;
  double gamma; /* NaN: the files' metadata, else 1 / rank */
} adapters;

/* Opens the files of a list. */
int adapters_open(err *e, const cli_list *list, adapters *out) TD_MUST_CHECK;
void adapters_close(adapters *a);
/* Makes the design's adapter and fills it. A design that trains nothing takes no file. Warns of files the design uses
 * nothing of. Failures are in x->err. */
int adapters_load(const cli *c, const adapters *a, ctx *x, const dit *m, adapter *out) TD_MUST_CHECK;

#endif
