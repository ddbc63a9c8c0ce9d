#include "cli/table_of.h"

#include <stdio.h>

int table_room_open(cli *c, const loaded_study *l, table_room *out) {
  int rc = OK;
  stats_options stats = stats_defaults(0);
  TRY(store_open(&c->err, c->results, STORE_READ, &out->s));
  TRY(study_source_open(&c->err, out->s, l->s, &stats, &out->src));
out:
  return rc;
}

void table_room_close(table_room *r) {
  study_source_close(&r->src);
  store_close(r->s);
}

int table_spec_of(cli *c, const char *path, const table_source *s, table_spec *out) {
  problems p = {0};
  text t = {0};
  err why = {0};
  int rc = table_spec_read(&why, path, s, &p, out);
  problems_print(&p, &t);
  if (t.p) fputs(t.p, stderr);
  if (rc == E_CONFIG && p.errors) /* printed already */
    err_set(&c->err, rc, "%s: %lld error%s", path, (long long)p.errors, p.errors == 1 ? "" : "s");
  else if (rc != OK)
    err_set(&c->err, rc, "%s", why.text);
  text_free(&t);
  problems_free(&p);
  return rc;
}

int table_of_study(cli *c, const loaded_study *l, table_format f) {
  int rc = OK;
  table_room room = {0};
  projection p = {0};
  tables t = {0};
  text out = {0};
  table_style style = {.width = cli_columns(1), .colour = cli_color(c, 1)};
  TRY(table_room_open(c, l, &room));
  TRY(projection_complete(&c->err, &room.src.keys, &p));
  TRY(tables_project(&c->err, &room.src.keys, &p, &t));
  TRY(table_render(&c->err, t.at, t.n, f, &style, &out));
  TRY(cli_put(c, &out));
out:
  text_free(&out);
  tables_free(&t);
  projection_free(&p);
  table_room_close(&room);
  return rc;
}
