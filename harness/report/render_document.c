/* What stands around tables: LaTeX's preamble, HTML's head, style and script. */
#include "report/escape.h"
#include "report/render.h"

static const char latex_before[] = "\\documentclass[a4paper,landscape,10pt]{article}\n"
                                   "\\usepackage[T1]{fontenc}\n"
                                   "\\usepackage[utf8]{inputenc}\n"
                                   "\\usepackage[margin=15mm]{geometry}\n"
                                   "\\usepackage{booktabs}\n"
                                   "\\usepackage{siunitx}\n"
                                   "\\begin{document}\n";
static const char latex_behind[] = "\\end{document}\n";

static const char html_style[] =
    "<style>\n"
    ".tandem-table{margin:1em 0;font:14px/1.4 system-ui,sans-serif}\n"
    ".tandem-table div{overflow-x:auto}\n"
    ".tandem-table figcaption{font-weight:600;margin-bottom:.5em}\n"
    ".tandem-table table{border-collapse:collapse;border-top:2px solid;border-bottom:2px solid;"
    "font-variant-numeric:tabular-nums;margin-bottom:.5em}\n"
    ".tandem-table th,.tandem-table td{padding:.2em .7em;text-align:left;vertical-align:top;white-space:nowrap}\n"
    ".tandem-table thead th{border-bottom:1px solid;vertical-align:bottom}\n"
    ".tandem-table tbody th{font-weight:400}\n"
    ".tandem-table th[scope=rowgroup]{font-style:italic;padding-top:.6em}\n"
    ".tandem-table span{display:block;font-size:80%;opacity:.75}\n"
    ".tandem-table sup{line-height:0}\n"
    ".tandem-table ul{font-size:85%;list-style:none;margin:0;padding:0}\n"
    ".tandem-table th[aria-sort]::after{content:\" \\25B4\"}\n"
    ".tandem-table th[aria-sort=descending]::after{content:\" \\25BE\"}\n"
    "@media print{.tandem-table{font-size:9pt}.tandem-table div{overflow:visible}.tandem-table tr{break-inside:avoid}"
    ".tandem-table span{opacity:1}}\n"
    "</style>\n";

/* Sorts within each tbody; the first click puts the better values on top; what has no value stays last. */
static const char html_script[] =
    "<script>\n"
    "document.querySelectorAll('.tandem-table div table').forEach(function (table) {\n"
    "  var heads = table.querySelectorAll('thead tr:last-child th');\n"
    "  heads.forEach(function (head, i) {\n"
    "    function sort() {\n"
    "      var was = head.getAttribute('aria-sort'), first = head.dataset.down === '1' ? 'descending' : "
    "'ascending';\n"
    "      var order = !was ? first : was === 'ascending' ? 'descending' : 'ascending';\n"
    "      var sign = order === 'ascending' ? 1 : -1;\n"
    "      heads.forEach(function (h) { h.removeAttribute('aria-sort'); });\n"
    "      head.setAttribute('aria-sort', order);\n"
    "      table.querySelectorAll('tbody').forEach(function (body) {\n"
    "        var rows = Array.from(body.rows).filter(function (r) { return r.cells.length > 1; });\n"
    "        rows.sort(function (a, b) {\n"
    "          var x = a.cells[i], y = b.cells[i];\n"
    "          if (head.dataset.text) return sign * x.textContent.localeCompare(y.textContent, 'en', {numeric: "
    "true});\n"
    "          if (!('v' in x.dataset) || !('v' in y.dataset)) return ('v' in y.dataset) - ('v' in x.dataset);\n"
    "          return sign * (x.dataset.v - y.dataset.v);\n"
    "        });\n"
    "        rows.forEach(function (r) { body.appendChild(r); });\n"
    "      });\n"
    "    }\n"
    "    head.tabIndex = 0;\n"
    "    head.style.cursor = 'pointer';\n"
    "    head.title = 'sort';\n"
    "    head.addEventListener('click', sort);\n"
    "    head.addEventListener('keydown', function (e) { if (e.key === 'Enter') sort(); });\n"
    "  });\n"
    "});\n"
    "</script>\n";

void render_document(text *out, const table *t, table_format f, int standalone, int behind) {
  if (f == TABLE_LATEX && standalone) text_add(out, behind ? latex_behind : latex_before);
  if (f != TABLE_HTML) return;
  if (behind) {
    text_add(out, html_script);
    if (standalone) text_add(out, "</body>\n</html>\n");
    return;
  }
  if (standalone) {
    text_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" "
                  "content=\"light dark\">\n<title>");
    text_add_html(out, t->study);
    text_add(out, "</title>\n");
  }
  text_add(out, html_style);
  if (standalone) text_add(out, "</head>\n<body>\n");
}

/* A comment ends where its closing mark is, and "--" may not stand in one of HTML: both are broken up. */
static void put_comment(text *out, const char *s) {
  for (; *s; s++) {
    if ((unsigned char)*s < 32 || *s == 127)
      text_add(out, " ");
    else
      text_addn(out, s, 1);
    if (*s == '-' && (s[1] == '-' || s[1] == '>')) text_add(out, " ");
  }
}

void render_provenance(text *out, const table *t, const char *open, const char *close) {
  text_add(out, open);
  text_add(out, "study ");
  put_comment(out, t->study);
  text_addf(out, ", spec %s%s\n%smetric versions:", t->spec_sha256, close, open);
  for (int64_t c = 0; c < t->n_columns; c++) {
    text_add(out, c ? ", " : " ");
    put_comment(out, t->columns[c].id);
    text_addf(out, " %lld", (long long)t->columns[c].version);
  }
  text_addf(out, "%s\n", close);
  for (int64_t i = 0; i < t->n_builds; i++) {
    text_addf(out, "%sbuild ", open);
    put_comment(out, t->builds[i]);
    text_addf(out, "%s\n", close);
  }
}
