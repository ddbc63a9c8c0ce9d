#include "report/page.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "media/video.h"
#include "report/escape.h"

static const char style[] =
    "<style>\n"
    ":root{color-scheme:light dark}\n"
    "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1200px;padding:1em}\n"
    "h1{font-size:1.6em;margin:.2em 0}\n"
    "h2{font-size:1.2em;margin:2em 0 .5em;border-bottom:1px solid #8888}\n"
    ".plain{color:GrayText;font-size:.9em}\n"
    ".figures{display:flex;flex-wrap:wrap;gap:1em}\n"
    ".figures figure{margin:0;max-width:100%;background:#fff;color:#111;padding:.5em}\n"
    ".figures img{max-width:100%;height:auto;display:block}\n"
    ".figures details{font-size:.8em;max-width:40em}\n"
    ".clips{overflow-x:auto}\n"
    ".clips table{border-collapse:collapse}\n"
    ".clips th{font-weight:400;font-size:.85em;text-align:left;vertical-align:bottom;padding:.3em}\n"
    ".clips td{padding:2px;font-size:.8em}\n"
    ".clips thead th{max-width:12em}\n"
    ".clips img{display:block;width:144px;height:auto;image-rendering:pixelated}\n"
    "fieldset{border:0;padding:0;margin:0 0 .5em}\n"
    "label{margin-right:1em}\n"
    /* a switch without a script: the checked button decides what lies behind all pictures */
    ".clips img,body:has(#over-checker:checked) .clips img{background:repeating-conic-gradient(#d9d9d9 0 25%,#999 0 "
    "50%) 0 0/24px 24px}\n"
    "body:has(#over-black:checked) .clips img{background:#000}\n"
    "body:has(#over-white:checked) .clips img{background:#fff}\n"
    "body:has(#over-green:checked) .clips img{background:#0a8f3c}\n"
    "@media print{body{max-width:none;font-size:10pt}fieldset{display:none}h2{break-after:avoid}\n"
    ".clips img{width:80px;print-color-adjust:exact;-webkit-print-color-adjust:exact}.figures "
    "figure{break-inside:avoid}}\n"
    "</style>\n";

static const char *const backdrops[] = {"checker", "black", "white", "green"};

static void put_head(text *t, const page_input *in) {
  text_add(t, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
              "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
  text_add_html(t, in->study->name);
  text_add(t, "</title>\n");
  text_add(t, style);
  text_add(t, "</head>\n<body>\n<h1>");
  text_add_html(t, in->study->name);
  text_add(t, "</h1>\n");
  if (in->study->help && in->study->help[0]) {
    text_add(t, "<p>");
    text_add_html(t, in->study->help);
    text_add(t, "</p>\n");
  }
  text_addf(t, "<p class=\"plain\">study version %.12s; %lld points</p>\n", in->study->sha256,
            (long long)in->study->n_points);
}

static int put_tables(err *e, const page_input *in, text *t) {
  text_add(t, "<section id=\"table\">\n<h2>Scores</h2>\n");
  int rc = table_render(e, in->tables->at, in->tables->n, TABLE_HTML, &(table_style){.caption = in->study->name}, t);
  text_add(t, "</section>\n");
  return rc;
}

/* An SVG inside a page starts at its tag. Letters of two figures have the same ids, so each figure is a picture of
 * its own. */
static int put_figure(err *e, const page_figure *f, text *t) {
  char *data = NULL;
  int rc = base64_encode(e, f->svg, strlen(f->svg), &data);
  if (rc != OK) return rc;
  text_add(t, "<figure>\n<img alt=\"");
  text_add_html(t, f->alt);
  text_add(t, "\" src=\"data:image/svg+xml;base64,");
  text_add(t, data);
  text_add(t, "\">\n<details><summary>in words</summary>");
  text_add_html(t, f->alt);
  text_add(t, "</details>\n</figure>\n");
  free(data);
  return OK;
}

static int put_figures(err *e, const page_input *in, text *t) {
  int rc = OK;
  if (!in->n_figures) return OK;
  text_add(t, "<section id=\"figures\">\n<h2>Figures</h2>\n<div class=\"figures\">\n");
  for (int i = 0; i < in->n_figures; i++) TRY(put_figure(e, &in->figures[i], t));
  text_add(t, "</div>\n</section>\n");
out:
  return rc;
}

/* --- clips ------------------------------------------------------------------------------------------------------ */

/* Straight colour, which is what a page lays over its background. Decoded colour has a background of its own: what
 * the clip shows is that colour, seen through alpha. */
static void make_straight(clip *c) {
  for (int64_t i = 0; c->alpha && c->colour == CLIP_PREMULTIPLIED && i < clip_voxels(c); i++)
    for (int k = 0; k < 3 && c->alpha[i] > 0; k++) c->rgb[3 * i + k] /= c->alpha[i];
  c->colour = CLIP_STRAIGHT;
}

static int put_clip(err *e, const page_input *in, int row, int prompt, text *t, int64_t *clips) {
  int64_t point = study_clip_point(in->study, row, prompt);
  clip c = {0};
  char *webp = NULL, *data = NULL;
  size_t n = 0;
  int found = 0, rc = OK;
  text_add(t, "<td>");
  if (point < 0) {
    text_add(t, "\xe2\x80\x94");
  } else {
    TRY(study_clip_read(e, in->store, study_clip_key(in->plan, point), &c, &found));
    if (!found) text_add(t, "not made yet");
  }
  if (found) {
    make_straight(&c);
    if (!(c.fps > 0)) c.fps = 8;
    TRY(video_encode(e, "clip of the report", &c, &(video_write_options){.codec = VIDEO_WEBP}, &webp, &n));
    TRY(base64_encode(e, webp, n, &data));
    text_add(t, "<img alt=\"");
    text_add_html(t, in->study->rows[row].name);
    text_add(t, ": ");
    text_add_html(t, in->study->prompts[prompt].text);
    text_addf(t, "\" width=\"%d\" height=\"%d\" src=\"data:image/webp;base64,", c.width, c.height);
    text_add(t, data);
    text_add(t, "\">");
    ++*clips;
  }
  text_add(t, "</td>");
out:
  clip_free(&c);
  free(webp);
  free(data);
  return rc;
}

static void put_switch(text *t) {
  text_add(t, "<fieldset><legend class=\"plain\">behind the clips</legend>\n");
  for (size_t i = 0; i < sizeof backdrops / sizeof backdrops[0]; i++)
    text_addf(t, "<label><input type=\"radio\" name=\"over\" id=\"over-%s\"%s> %s</label>\n", backdrops[i],
              i ? "" : " checked", backdrops[i]);
  text_add(t, "</fieldset>\n");
}

static int put_clips(err *e, const page_input *in, text *t, int64_t *clips) {
  int *list = NULL, rc = OK;
  if (in->prompts < 1) return OK;
  TRY(mem_new(e, in->study->n_prompts, sizeof *list, "prompts", &list));
  int used = study_clip_prompts(in->study, list), n = used < in->prompts ? used : in->prompts;
  text_add(t, "<section id=\"clips\">\n<h2>Clips</h2>\n<p class=\"plain\">The first train and sample seed. RGB lies "
              "inside its alpha; what the model painted around the object is not seen.</p>\n");
  put_switch(t);
  text_add(t, "<div class=\"clips\">\n<table>\n<thead><tr><th></th>");
  for (int i = 0; i < n; i++) {
    text_add(t, "<th scope=\"col\">");
    text_add_html(t, in->study->prompts[list[(int64_t)i * used / n]].text);
    text_add(t, "</th>");
  }
  text_add(t, "</tr></thead>\n<tbody>\n");
  for (int r = 0; r < in->study->n_rows; r++) {
    text_add(t, "<tr><th scope=\"row\">");
    text_add_html(t, in->study->rows[r].name);
    text_add(t, "</th>\n");
    for (int i = 0; i < n; i++) TRY(put_clip(e, in, r, list[(int64_t)i * used / n], t, clips));
    text_add(t, "</tr>\n");
  }
  text_add(t, "</tbody>\n</table>\n</div>\n</section>\n");
out:
  free(list);
  return rc;
}

int page_make(err *e, const page_input *in, text *out, int64_t *clips) {
  int rc = OK;
  *clips = 0;
  put_head(out, in);
  TRY(put_tables(e, in, out));
  TRY(put_figures(e, in, out));
  TRY(put_clips(e, in, out, clips));
  text_add(out, "</body>\n</html>\n");
  TRY(text_ok(out, e));
out:
  return rc;
}
