#include "cli/adapters.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

int adapters_open(err *e, const cli_list *list, adapters *out) {
  int rc = OK;
  TRY(mem_new(e, list->n, sizeof *out->file, "adapters", &out->file));
  for (; out->n < list->n; out->n++) TRY(st_open(e, list->v[out->n], &out->file[out->n]));
out:
  return rc;
}

void adapters_close(adapters *a) {
  for (int i = 0; i < a->n; i++) st_close(a->file[i]);
  free(a->file);
  a->file = NULL;
  a->n = 0;
}

/* A file none of whose tensors the design has is most likely another design's. */
static void warn_unused(const adapters *from, const adapter *a) {
  for (int i = 0; i < from->n; i++) {
    int64_t used = 0;
    for (int64_t p = 0; p < a->n_params; p++) used += st_find(from->file[i], a->params[p].name) != NULL;
    if (!used) cli_warn("%s: the design uses no tensor of this file", st_path(from->file[i]));
  }
}

/* Without a LoRA in the files any rank does to ask for the tensors by name; loading then lists what is missing. */
int adapters_load(const cli *c, const adapters *from, ctx *x, const dit *m, adapter *out) {
  int rc = OK;
  char name[DESIGN_TEXT];
  layout l;
  design_layout(from->d, &l);
  adapter_shape shape = adapter_shape_of(from->file, from->n);
  if (!isnan(from->gamma)) shape.gamma = from->gamma;
  int unranked = l.lora && shape.rank < 1;
  if (unranked) shape.rank = 1;
  if (l.exchange && shape.exchange_rank < 1) shape.exchange_rank = l.exchange_heads;
  design_print(from->d, OPTION_TRAIN | OPTION_SAMPLE, name);
  TRY(adapter_open(x, m, &l, &shape, out));
  if (!out->n_params && from->n) FAIL(&x->err, E_CONFIG, "design %s trains nothing, so it takes no --adapter", name);
  rc = adapter_load(x, out, from->file, from->n);
  if (rc != OK) {
    err_prefix(&x->err, "design %s%s%s", name, from->n ? "" : " needs what it trained; give --adapter FILE",
               unranked ? " (no LoRA was found: 1 stands for its rank)" : "");
    goto out;
  }
  if (out->n_params) cli_detail(c, "adapter: rank %d, gamma %g", unranked ? 0 : shape.rank, shape.gamma);
  warn_unused(from, out);
out:
  return rc;
}
