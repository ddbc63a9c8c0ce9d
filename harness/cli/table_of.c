#include "cli/table_of.h"

int table_of_study(cli *c, const loaded_study *l, table_format f) {
  int rc = OK;
  store *s = NULL;
  table *t = NULL;
  text out = {0};
  stats_options stats = stats_defaults(0);
  table_style style = {.width = cli_columns(1), .colour = cli_color(c, 1)};
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  TRY(study_table(&c->err, s, l->s, &stats, &t));
  TRY(table_render(&c->err, &t, 1, f, &style, &out));
  TRY(cli_put(c, &out));
out:
  text_free(&out);
  table_free(t);
  store_close(s);
  return rc;
}
