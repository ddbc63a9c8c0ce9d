/* Table specs: JSON files that say what one table shows and where it goes (docs/tables.md).
 *
 *   {"schema": 1, "rows": "variant@(ours=Ours batch)", "columns": "metric@(true_iou_gain)", "split": "category",
 *    "filter": "prompt~smoke", "labels": {"true_iou_gain": "IoU gain"}, "caption": "...", "label": "tab:main",
 *    "precision": 3, "marks": ["best", "second"], "differences": true, "footnotes": ["..."], "output": ["tab.tex"]}
 */
#ifndef TD_REPORT_TABLE_SPEC_H
#define TD_REPORT_TABLE_SPEC_H

#include "report/projection.h"

typedef struct table_spec {
  projection p;
  char *caption, *label; /* or NULL */
  char **output;         /* paths as the process can open them; the end of the name is the format */
  int n_outputs;
} table_spec;

/* Everything that is wrong goes into `problems` with its place; the result is then E_CONFIG. */
int table_spec_read(err *e, const char *path, const table_source *s, problems *p, table_spec *out) TD_MUST_CHECK;
void table_spec_free(table_spec *t);
/* Letters, digits and : . _ - : what LaTeX and HTML take as a name. */
int table_label_ok(const char *s);

#endif
