#include "variants/variant.h"

#include <stdio.h>
#include <string.h>

#include "base/words_near.h"

#define V(name) extern const variant variant_##name;
#include "variants/imports.def"
#include "variants/variants.def"
#undef V

const variant *const *variant_list(void) {
  static const variant *const list[] = {
#define V(name) &variant_##name,
#include "variants/variants.def"
#undef V
      NULL};
  return list;
}

const variant *const *variant_imports(void) {
  static const variant *const list[] = {
#define V(name) &variant_##name,
#include "variants/imports.def"
#undef V
      NULL};
  return list;
}

const design_alias *design_aliases(void) {
  static const design_alias list[] = {
#define A(name, meaning, help) {name, meaning, help},
#include "variants/aliases.def"
#undef A
      {NULL, NULL, NULL}};
  return list;
}

static int option_index(const variant *v, const char *name, size_t n) {
  for (int i = 0; v->options[i].name; i++)
    if (strlen(v->options[i].name) == n && !memcmp(v->options[i].name, name, n)) return i;
  return -1;
}

static void offer(near_word *best, const variant *const *v, char known[512]) {
  for (; *v; v++) {
    near_offer(best, (*v)->name);
    snprintf(known + strlen(known), 512 - strlen(known), "%s%s", known[0] ? ", " : "", (*v)->name);
  }
}

static int unknown_design(err *e, const char *s, int n) {
  near_word best = near_start(s, (size_t)n);
  char known[512] = "";
  offer(&best, variant_list(), known);
  offer(&best, variant_imports(), known);
  for (const design_alias *a = design_aliases(); a->name; a++) {
    near_offer(&best, a->name);
    snprintf(known + strlen(known), sizeof known - strlen(known), ", %s", a->name);
  }
  return err_set(e, E_CONFIG, "unknown design '%.*s'%s (known: %s)", n, s, near_hint(&best), known);
}

static int unknown_option(err *e, const variant *v, const char *s, int n) {
  near_word best = near_start(s, (size_t)n);
  char known[512] = "";
  for (int i = 0; v->options[i].name; i++) {
    near_offer(&best, v->options[i].name);
    snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", known[0] ? ", " : "", v->options[i].name);
  }
  if (!known[0]) return err_set(e, E_CONFIG, "design '%s' has no options, '%.*s' was given", v->name, n, s);
  return err_set(e, E_CONFIG, "design '%s' has no option '%.*s'%s (known: %s)", v->name, n, s, near_hint(&best),
                 known);
}

/* One "option=value" of n bytes. */
static int parse_option(err *e, const char *s, size_t n, design *d, unsigned *seen) {
  const char *eq = memchr(s, '=', n);
  if (!eq) return err_set(e, E_CONFIG, "design '%s': '%.*s' is not option=value", d->v->name, (int)n, s);
  int i = option_index(d->v, s, (size_t)(eq - s));
  if (i < 0) return unknown_option(e, d->v, s, (int)(eq - s));
  const variant_option *o = &d->v->options[i];
  if (*seen & 1u << i) return err_set(e, E_CONFIG, "design '%s': option '%s' is given twice", d->v->name, o->name);
  *seen |= 1u << i;
  const char *value = eq + 1;
  size_t len = n - (size_t)(value - s);
  if (!o->values && len) return OK;
  if (!o->values) return err_set(e, E_CONFIG, "design '%s': option '%s' is empty", d->v->name, o->name);
  near_word best = near_start(value, len);
  char known[256] = "";
  for (int k = 0; o->values[k]; k++) {
    if (strlen(o->values[k]) == len && !memcmp(o->values[k], value, len)) {
      d->value[i] = k;
      return OK;
    }
    near_offer(&best, o->values[k]);
    snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", k ? ", " : "", o->values[k]);
  }
  return err_set(e, E_CONFIG, "design '%s': option '%s' cannot be '%.*s'%s (known: %s)", d->v->name, o->name,
                 (int)len, value, near_hint(&best), known);
}

static const variant *find(const variant *const *v, const char *s, size_t n) {
  while (*v && !(strlen((*v)->name) == n && !memcmp((*v)->name, s, n))) v++;
  return *v;
}

static int parse_full(err *e, const char *s, design *out) {
  size_t n = strcspn(s, ":");
  *out = (design){.v = find(variant_list(), s, n)};
  if (!out->v) out->v = find(variant_imports(), s, n);
  if (!out->v) return unknown_design(e, s, (int)n);
  for (int i = 0; out->v->options[i].name; i++) out->value[i] = out->v->options[i].initial;
  if (!s[n]) return OK;
  unsigned seen = 0;
  for (const char *p = s + n + 1;; p++) {
    size_t len = strcspn(p, ",");
    int rc = parse_option(e, p, len, out, &seen);
    if (rc != OK) return rc;
    p += len;
    if (!*p) break;
  }
  if (out->v->settle) out->v->settle(out);
  return OK;
}

int design_parse(err *e, const char *s, design *out) {
  for (const design_alias *a = design_aliases(); a->name; a++)
    if (!strcmp(a->name, s)) return parse_full(e, a->meaning, out);
  return parse_full(e, s, out);
}

void design_print(const design *d, int stages, char out[DESIGN_TEXT]) {
  int n = snprintf(out, DESIGN_TEXT, "%s", d->v->name), any = 0;
  for (int i = 0; d->v->options[i].name; i++) {
    const variant_option *o = &d->v->options[i];
    if (d->value[i] == o->initial || !(o->stages & stages)) continue;
    n += snprintf(out + n, DESIGN_TEXT - (size_t)n, "%c%s=%s", any++ ? ',' : ':', o->name, o->values[d->value[i]]);
  }
}

const char *design_get(const design *d, const char *option) {
  int i = option_index(d->v, option, strlen(option));
  return i < 0 || !d->v->options[i].values ? "" : d->v->options[i].values[d->value[i]];
}

int design_is(const design *d, const char *option, const char *value) {
  return !strcmp(design_get(d, option), value);
}

void design_layout(const design *d, layout *out) {
  *out = (layout){0};
  if (d->v->layout) d->v->layout(d, out);
}

int design_imports(const design *d) {
  return !d->v->layout;
}

size_t design_text(const char *s, const char *option, const char **at) {
  size_t n = strlen(option);
  for (const char *p = strchr(s, ':'); p; p = strchr(p + 1, ','))
    if (!strncmp(p + 1, option, n) && p[1 + n] == '=') {
      *at = p + 2 + n;
      return strcspn(*at, ",");
    }
  return 0;
}

void layout_see_all(layout *l) {
  for (int q = 0; q < l->n_seg; q++)
    for (int k = 0; k < l->n_seg; k++) l->sees[q][k] = 1;
}
