#include "report/kit_page.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* report/questionnaire.html, put into the program by CMakeLists.txt. */
extern const unsigned char kit_questionnaire[];
extern const size_t kit_questionnaire_size;

#define PLACE "<!--KIT-->"

static const char *const panel_names[KIT_VIEWS] = {"Picture", "Mask", "On a checkerboard", "On a plain ground"};

/* A string literal that ends no script element, in HTML or XML. */
static void add_literal(text *t, const char *s) {
  text own = {0};
  text_add_json(&own, s);
  t->failed |= own.failed;
  for (size_t i = 0; i < own.n; i++) {
    if (own.p[i] == '<' || own.p[i] == '>' || own.p[i] == '&')
      text_addf(t, "\\u%04x", (unsigned)own.p[i]);
    else
      text_addn(t, own.p + i, 1);
  }
  text_free(&own);
}

static void add_questions(text *t, const kit_page_input *in) {
  text_addf(t, "\"ties\":%s,\n\"panels\":[", in->key->ties ? "true" : "false");
  for (int i = 0; i < in->n_panels; i++) text_addf(t, "%s\"%s\"", i ? "," : "", panel_names[in->panels[i]]);
  text_add(t, "],\n\"questions\":[");
  for (int64_t i = 0; i < in->key->n_questions; i++) {
    const kit_question *q = &in->key->questions[i];
    text_add(t, i ? ",\n{\"text\":" : "\n{\"text\":");
    add_literal(t, q->text);
    text_addf(t, ",\"prompt\":%s,\"views\":[", q->prompt ? "true" : "false");
    for (int v = 0; v < q->n_views; v++)
      for (int k = 0; k < in->n_panels; k++)
        if (in->panels[k] == q->view[v]) text_addf(t, "%s%d", v ? "," : "", k);
    text_add(t, "]}");
  }
  text_add(t, "],\n");
}

/* Descriptions only where a question shows them: they are nobody's business otherwise. */
static void add_prompts(text *t, const kit_page_input *in) {
  int shown = 0;
  for (int64_t i = 0; i < in->key->n_questions; i++) shown |= in->key->questions[i].prompt;
  text_add(t, "\"prompts\":[");
  for (int64_t i = 0; i < in->key->n_prompts; i++) {
    text_add(t, i ? ",\n" : "\n");
    add_literal(t, shown ? in->key->prompts[i].text : "");
  }
  text_add(t, "],\n");
}

static void add_forms(text *t, const kit_page_input *in) {
  const kit_plan *p = &in->key->plan;
  int64_t row = in->key->n_variants + 1;
  text_add(t, "\"forms\":[");
  for (int64_t i = 0; i < p->participants; i++) {
    text_add(t, i ? ",\n[" : "\n[");
    for (int64_t k = p->first[i]; k < p->first[i + 1]; k++) {
      const kit_trial *x = &p->trial[k];
      const int64_t *slot = in->slot + x->prompt * row;
      text_addf(t, "%s[%d,%lld,%lld]", k > p->first[i] ? "," : "", x->prompt,
                (long long)slot[x->left == KIT_BROKEN ? row - 1 : x->left],
                (long long)slot[x->right == KIT_BROKEN ? row - 1 : x->right]);
    }
    text_add(t, "]");
  }
  text_add(t, "],\n");
}

static void add_pictures(text *t, const kit_page_input *in) {
  text_add(t, "\"clips\":[");
  for (int64_t i = 0; i < in->n_pictures; i++) {
    const kit_picture *p = &in->pictures[i];
    text_addf(t, "%s{\"width\":%d,\"height\":%d,\"data\":\"", i ? ",\n" : "\n", p->width, p->height);
    text_add(t, p->base64);
    text_add(t, "\"}");
  }
  text_add(t, "]}");
}

int kit_page_make(err *e, const kit_page_input *in, char kit[HASH_HEX], text *out) {
  int rc = OK;
  text data = {0}, page = {0};
  text_addn(&page, kit_questionnaire, kit_questionnaire_size);
  add_questions(&data, in);
  add_prompts(&data, in);
  add_forms(&data, in);
  add_pictures(&data, in);
  TRY(text_ok(&data, e));
  TRY(text_ok(&page, e));
  TRY(hash_bytes(e, data.p, data.n, kit));
  const char *place = strstr(page.p, PLACE);
  if (!place) FAIL(e, E_FORMAT, "the questionnaire has no place for its contents");
  text_addn(out, page.p, (size_t)(place - page.p));
  text_addf(out, "<script type=\"application/json\" id=\"kit\">{\"kit\":\"%s\",\n", kit);
  text_addn(out, data.p, data.n);
  text_add(out, "</script>");
  text_add(out, place + sizeof PLACE - 1);
  rc = text_ok(out, e);
out:
  text_free(&data);
  text_free(&page);
  return rc;
}
