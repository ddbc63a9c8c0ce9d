/* docs/designs.md says what the code does: every block that the tables of variants/ imply must be on the page, word
 * for word. `eng_docs --print` prints the blocks, to paste into the page after a change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page.h"
#include "variants/variant.h"

static const char *segment_name(const layout *l, int i) {
  const segment *s = &l->seg[i];
  int entries = 0;
  for (int k = 0; k < l->n_seg; k++)
    if (l->seg[k].entry > entries) entries = l->seg[k].entry;
  if (s->kind == SEG_TEXT) return !entries ? "text" : s->entry ? "text of alpha" : "text of RGB";
  return s->stream == STREAM_RGB ? "RGB" : s->stream == STREAM_ALPHA ? "alpha" : "RGB+alpha";
}

/* One row a segment: whom it sees, and what its rows carry. */
static void add_matrix(text *t, const layout *l) {
  text_add(t, "| rows |");
  for (int k = 0; k < l->n_seg; k++) text_addf(t, " sees %s |", segment_name(l, k));
  text_add(t, " LoRA | domain vector | time step |\n|---|");
  for (int k = 0; k < l->n_seg + 3; k++) text_add(t, "---|");
  for (int q = 0; q < l->n_seg; q++) {
    const segment *s = &l->seg[q];
    text_addf(t, "\n| %s |", segment_name(l, q));
    for (int k = 0; k < l->n_seg; k++) {
      if (!l->sees[q][k])
        text_add(t, " 0 |");
      else if (l->bias[q][k] < 0 || l->bias[q][k] > 0)
        text_addf(t, " bias %g |", (double)l->bias[q][k]);
      else
        text_add(t, " 1 |");
    }
    text_addf(t, " %s | %s | %s |", s->lora ? "yes" : "no", s->domain ? "yes" : "no", s->clean ? "0" : "t");
  }
  text_add(t, "\n");
}

static void add_facts(text *t, const layout *l) {
  text_addf(t, "Predicts %s.", l->loss_rgb && l->loss_alpha ? "RGB and alpha" : l->loss_rgb ? "RGB" : "alpha");
  if (l->streams == 2) text_addf(t, " Sampling starts alpha from %s noise.", l->shared_start ? "the RGB" : "its own");
  if (l->exchange) text_add(t, " A 2x2 exchange module after the attention of every block.");
  if (l->widened) text_add(t, " Widened input and output projections.");
  if (l->two_pass) text_add(t, " The base model samples the RGB clip first.");
  if (l->rgb_is_base) text_add(t, " The RGB half equals the base model's, bit for bit.");
  text_add(t, "\n");
}

static void add_options(text *t, const variant *v) {
  if (!v->options[0].name) {
    text_add(t, "No options.\n");
    return;
  }
  text_add(t, "| option | values (bold: default) | changes | what |\n|---|---|---|---|\n");
  for (const variant_option *o = v->options; o->name; o++) {
    text_addf(t, "| `%s` | ", o->name);
    if (o->values)
      text_addf(t, "**%s**", o->values[o->initial]);
    else
      text_add(t, "text without commas");
    for (int k = 0; o->values && o->values[k]; k++)
      if (k != o->initial) text_addf(t, ", %s", o->values[k]);
    text_addf(t, " | %s | %s |\n", o->stages & OPTION_TRAIN ? "training" : "sampling", o->help);
  }
}

static void variant_block(text *t, const variant *v) {
  design d;
  layout l;
  assert_int_equal(design_parse(NULL, v->name, &d), OK);
  design_layout(&d, &l);
  text_addf(t, "## `%s`\n\n%s. Source: %s.\n\n", v->name, v->help, v->source);
  add_options(t, v);
  if (design_imports(&d)) return;
  text_add(t, "\n");
  add_matrix(t, &l);
  text_add(t, "\n");
  add_facts(t, &l);
}

static void alias_block(text *t, const design_alias *a) {
  design d;
  layout l;
  char full[DESIGN_TEXT];
  assert_int_equal(design_parse(NULL, a->name, &d), OK);
  design_layout(&d, &l);
  design_print(&d, OPTION_TRAIN | OPTION_SAMPLE, full);
  text_addf(t, "### `%s` = `%s`\n\n%s.\n\n", a->name, full, a->help);
  add_matrix(t, &l);
  text_add(t, "\n");
  add_facts(t, &l);
}

static void variants_are_documented(void **state) {
  (void)state;
  char *page = page_read("designs.md");
  int n = 0;
  for (int k = 0; k < 2; k++)
    for (const variant *const *v = k ? variant_imports() : variant_list(); *v; v++, n++) {
      text t = {0};
      variant_block(&t, *v);
      page_must_contain(page, "eng_docs --print", &t);
    }
  assert_true(n >= 6);
  free(page);
}

static void aliases_are_documented(void **state) {
  (void)state;
  char *page = page_read("designs.md");
  int n = 0;
  for (const design_alias *a = design_aliases(); a->name; a++, n++) {
    text t = {0};
    alias_block(&t, a);
    page_must_contain(page, "eng_docs --print", &t);
  }
  assert_true(n >= 5);
  free(page);
}

/* Tables list what they offer, so each entry has words. */
static void tables_have_help(void **state) {
  (void)state;
  for (int k = 0; k < 2; k++)
    for (const variant *const *v = k ? variant_imports() : variant_list(); *v; v++) {
      assert_true((*v)->help && (*v)->help[0] && (*v)->source && (*v)->source[0]);
      assert_true(k || (*v)->layout);
      for (const variant_option *o = (*v)->options; o->name; o++)
        assert_true(o->help && o->help[0] && ((k && !o->values) || o->values[0]));
    }
}

static int print_blocks(void) {
  text t = {0};
  for (int k = 0; k < 2; k++)
    for (const variant *const *v = k ? variant_imports() : variant_list(); *v; v++) {
      variant_block(&t, *v);
      text_add(&t, "\n");
    }
  for (const design_alias *a = design_aliases(); a->name; a++) {
    alias_block(&t, a);
    text_add(&t, "\n");
  }
  if (t.p) fputs(t.p, stdout);
  text_free(&t);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "--print")) return print_blocks();
  const struct CMUnitTest tests[] = {cmocka_unit_test(variants_are_documented),
                                     cmocka_unit_test(aliases_are_documented), cmocka_unit_test(tables_have_help)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
