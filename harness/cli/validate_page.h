/* What `tandem metrics validate` prints: text for a terminal, Markdown, JSON. */
#ifndef TD_CLI_VALIDATE_PAGE_H
#define TD_CLI_VALIDATE_PAGE_H

#include "cli/cli.h"
#include "report/agreement.h"
#include "report/validate.h"

typedef struct validate_page {
  const validate_clips *clips;
  const metric_request *list;
  int64_t n;
  const validate_result *result;
  const agreement *agree; /* NULL: no --study */
  const char *study_name;
  const char *command; /* as it was called */
  uint64_t seed;
  int64_t replicates;
} validate_page;

/* For people; `markdown`: as a section of docs/metrics.md. */
void validate_page_text(const validate_page *p, int markdown, text *out);
/* The caller owns the document; NULL for lack of memory. */
json *validate_page_json(const validate_page *p);

#endif
