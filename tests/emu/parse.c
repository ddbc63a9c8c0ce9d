#include "parse.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const type_info emu_types[N_TYPES] = {
    {"", 0, 0},         {"pred", 1, 'p'}, {"b8", 1, 'b'},  {"b16", 2, 'b'}, {"b32", 4, 'b'},  {"b64", 8, 'b'},
    {"b128", 16, 'b'},  {"u8", 1, 'u'},   {"u16", 2, 'u'}, {"u32", 4, 'u'}, {"u64", 8, 'u'},  {"s8", 1, 's'},
    {"s16", 2, 's'},    {"s32", 4, 's'},  {"s64", 8, 's'}, {"f16", 2, 'h'}, {"bf16", 2, 'h'}, {"f16x2", 4, 'h'},
    {"bf16x2", 4, 'h'}, {"f32", 4, 'f'},  {"f64", 8, 'f'}};

static const char *const special_names[N_SPECIAL] = {
    "%tid.x",  "%tid.y",       "%tid.z",       "%ctaid.x",     "%ctaid.y",     "%ctaid.z",
    "%ntid.x", "%ntid.y",      "%ntid.z",      "%nctaid.x",    "%nctaid.y",    "%nctaid.z",
    "%laneid", "%warpid",      "%nwarpid",     "%smid",        "%clock",       "%clock64",
    "%gridid", "%lanemask_eq", "%lanemask_le", "%lanemask_lt", "%lanemask_ge", "%lanemask_gt"};

ptype parse_type(span s) {
  for (int i = 1; i < N_TYPES; i++)
    if (span_is(s, emu_types[i].name)) return (ptype)i;
  return T_NONE;
}

void parse_fail(parser *p, span text, const char *fmt, ...) {
  if (p->failed) return;
  p->failed = true;
  char what[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(what, sizeof what, fmt, ap);
  va_end(ap);
  int n = text.n > 160 ? 160 : text.n;
  emu_fail(p->m, "PTX line %u: %s: %.*s%s%s", p->line, what, n, text.p, p->k ? "; kernel " : "",
           p->k ? p->k->name : "");
}

/* --- lexing --- */

static bool name_char(char c) {
  return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%' || c == '.';
}
static void blanks(const char **s, const char *end) {
  while (*s < end && isspace((unsigned char)**s)) ++*s;
}
static span trimmed(const char *a, const char *b) {
  while (a < b && isspace((unsigned char)*a)) a++;
  while (b > a && isspace((unsigned char)b[-1])) b--;
  return (span){a, (int)(b - a)};
}
static span word(const char **s, const char *end) {
  blanks(s, end);
  const char *a = *s;
  while (*s < end && name_char(**s)) ++*s;
  return (span){a, (int)(*s - a)};
}
static bool starts_number(const char *s, const char *end) {
  return s < end && (isdigit((unsigned char)*s) || (*s == '-' && s + 1 < end && isdigit((unsigned char)s[1])));
}
/* Numbers are bits: 0f and 0d give those of the float; a float number keeps 32 bits. */
static u64 number(const char **s, bool *is_float) {
  char *end;
  u64 v;
  const char *a = *s;
  *is_float = false;
  if (a[0] == '0' && (a[1] == 'f' || a[1] == 'F' || a[1] == 'd' || a[1] == 'D')) {
    *is_float = true;
    v = strtoull(a + 2, &end, 16);
  } else if (*a == '-') {
    v = (u64)strtoll(a, &end, 0);
  } else {
    v = strtoull(a, &end, 0);
  }
  if (*end == 'U') end++;
  *s = end;
  return v;
}

static bool operand_at(parser *p, statement *st, const char **s, const char *end, operand *o, int depth);

static bool children(parser *p, statement *st, const char **s, const char *end, operand *o, char close) {
  operand list[16];
  int n = 0;
  for (blanks(s, end); *s < end && **s != close; blanks(s, end)) {
    if (n == 16 || !operand_at(p, st, s, end, &list[n++], 1)) return false;
    blanks(s, end);
    if (*s < end && **s == ',') ++*s;
  }
  if (*s == end || st->n_children + n > MAX_CHILDREN) return false;
  ++*s;
  o->first = st->n_children;
  o->n = n;
  memcpy(&st->child[st->n_children], list, (size_t)n * sizeof *list);
  st->n_children += n;
  return true;
}

/* "name", "name+4", "name-4", "name+-4" */
static bool name_plus(const char **s, const char *end, operand *o) {
  o->kind = O_REG;
  o->name = word(s, end);
  if (o->name.n == 0) return false;
  blanks(s, end);
  if (*s < end && (**s == '+' || **s == '-')) {
    bool minus = **s == '-', f;
    ++*s;
    blanks(s, end);
    if (!starts_number(*s, end)) return false;
    u64 v = number(s, &f);
    o->value = minus ? (u64)0 - v : v;
  }
  return true;
}

static bool operand_at(parser *p, statement *st, const char **s, const char *end, operand *o, int depth) {
  *o = (operand){0};
  blanks(s, end);
  if (*s == end || depth > 2) return false;
  switch (**s) {
  case '{':
    ++*s;
    o->kind = O_VECTOR;
    return children(p, st, s, end, o, '}');
  case '(':
    ++*s;
    o->kind = O_LIST;
    return children(p, st, s, end, o, ')');
  case '[':
    ++*s;
    blanks(s, end);
    if (starts_number(*s, end)) {
      o->value = number(s, &o->is_float);
    } else if (!name_plus(s, end, o)) {
      return false;
    }
    o->kind = O_ADDRESS;
    blanks(s, end);
    if (*s == end || **s != ']') return false;
    ++*s;
    return true;
  case '!':
    ++*s;
    o->negated = true;
    return name_plus(s, end, o);
  default: break;
  }
  if (starts_number(*s, end)) {
    o->kind = O_NUMBER;
    o->value = number(s, &o->is_float);
    return true;
  }
  if (!name_plus(s, end, o)) return false;
  blanks(s, end);
  if (*s < end && **s == '|') {
    ++*s;
    operand two[2] = {*o, {0}};
    if (st->n_children + 2 > MAX_CHILDREN || !name_plus(s, end, &two[1])) return false;
    *o = (operand){.kind = O_PAIR, .first = st->n_children, .n = 2};
    st->child[st->n_children++] = two[0];
    st->child[st->n_children++] = two[1];
  }
  return true;
}

bool parse_statement(parser *p, span text, statement *st) {
  const char *s = text.p, *end = text.p + text.n;
  st->text = text;
  st->guard = (span){0};
  st->not_guard = false;
  st->n = st->n_children = st->n_parts = 0;
  st->line = p->line;
  if (*s == '@') {
    s++;
    if (s < end && *s == '!') st->not_guard = true, s++;
    st->guard = word(&s, end);
  }
  blanks(&s, end);
  const char *a = s; /* "call.uni", "cp.async.ca.shared::cta.global" */
  while (s < end && (name_char(*s) || *s == ':')) s++;
  st->op = (span){a, (int)(s - a)};
  for (const char *q = a; q < s && st->n_parts < MAX_PARTS;) {
    const char *b = q;
    while (b < s && *b != '.') b++;
    st->part[st->n_parts++] = (span){q, (int)(b - q)};
    q = b + 1;
  }
  for (blanks(&s, end); s < end; blanks(&s, end)) {
    if (st->n == MAX_OPERANDS || !operand_at(p, st, &s, end, &st->o[st->n++], 0)) return false;
    blanks(&s, end);
    if (s < end && *s != ',') return false;
    s++;
  }
  return true;
}

/* --- registers, constants, symbols --- */

static u32 new_slot(emu_kernel *k, u8 bytes, int count) {
  u32 at = k->words;
  u32 each = bytes == 1 ? 1 : bytes == 8 ? 64 : 32;
  u32 n = each * (u32)count;
  k->words += (n + 31) / 32 * 32;
  return at;
}

bool parse_register(parser *p, span name, u32 *slot, u8 *bytes) {
  int digits = name.n;
  while (digits > 0 && isdigit((unsigned char)name.p[digits - 1])) digits--;
  int number_at = digits < name.n ? atoi(name.p + digits) : -1;
  for (int64_t i = p->n_regs - 1; i >= 0; i--) {
    const names *r = &p->regs[i];
    int n = r->count ? digits : name.n;
    if (r->name.n != n || memcmp(r->name.p, name.p, (size_t)n) != 0) continue;
    if (r->count && (number_at < 0 || number_at >= r->count)) continue;
    *slot = r->slot + (r->count ? (u32)number_at * r->stride : 0);
    *bytes = r->bytes;
    return true;
  }
  for (int i = 0; i < N_SPECIAL; i++) {
    if (!span_is(name, special_names[i])) continue;
    *bytes = i == 17 || i == 18 ? 8 : 4;
    if (p->k->special[i] < 0) p->k->special[i] = (i32)new_slot(p->k, *bytes, 1);
    *slot = (u32)p->k->special[i];
    return true;
  }
  if (span_is(name, "_")) {
    *slot = 0;
    *bytes = 8;
    return true;
  }
  return false;
}

u32 parse_constant(parser *p, u64 value, u8 size, bool dynamic) {
  emu_kernel *k = p->k;
  if (size == 4) value &= FULL;
  for (int64_t i = 0; i < k->n_consts; i++)
    if (k->consts[i].value == value && k->consts[i].size == size && k->consts[i].dynamic == dynamic)
      return k->consts[i].slot;
  fixed_slot *c = emu_grow(k->consts, k->n_consts + 1, &k->cap_consts, sizeof *c);
  if (!c) {
    parse_fail(p, (span){"", 0}, "no memory");
    return 0;
  }
  k->consts = c;
  c[k->n_consts] = (fixed_slot){.value = value, .slot = new_slot(k, size, 1), .size = size, .dynamic = dynamic};
  return c[k->n_consts++].slot;
}

static char *copied(span s) {
  char *t = malloc((size_t)s.n + 1);
  if (!t) return NULL;
  memcpy(t, s.p, (size_t)s.n);
  t[s.n] = 0;
  return t;
}

static symbol *add_symbol(parser *p, bool of_kernel, const symbol *s) {
  symbol **list = of_kernel ? &p->locals : &p->mod->symbols;
  int64_t *n = of_kernel ? &p->n_locals : &p->mod->n_symbols;
  int64_t *cap = of_kernel ? &p->cap_locals : &p->mod->cap_symbols;
  symbol *t = emu_grow(*list, *n + 1, cap, sizeof *t);
  if (!t) {
    parse_fail(p, (span){"", 0}, "no memory");
    return NULL;
  }
  *list = t;
  t[*n] = *s;
  return &t[(*n)++];
}

bool parse_symbol(parser *p, span name, symbol *out) {
  for (int64_t i = p->n_locals - 1; i >= 0; i--)
    if (span_is(name, p->locals[i].name)) {
      *out = p->locals[i];
      return true;
    }
  for (int64_t i = 0; i < p->k->n_params; i++)
    if (span_is(name, p->k->params[i].name)) {
      *out = (symbol){.space = S_PARAM, .address = p->k->params[i].offset, .size = p->k->params[i].size};
      return true;
    }
  for (int64_t i = 0; i < p->mod->n_symbols; i++) {
    symbol *s = &p->mod->symbols[i];
    if (!span_is(name, s->name)) continue;
    *out = *s;
    if (s->space == S_SHARED && !s->dynamic) { /* a variable of the module gets its place when a kernel uses it */
      p->k->shared = (p->k->shared + s->align - 1) / s->align * s->align;
      out->address = p->k->shared;
      p->k->shared += s->size;
      out->name = copied(name);
      add_symbol(p, true, out);
    }
    return true;
  }
  return false;
}

/* --- declarations --- */

typedef struct declaration {
  span name;
  size_t align, each, count;
  bool is_array, open; /* open: "[]" */
  ptype type;
} declaration;

/* ".align 4 .b8 name[12]", at s; leaves s behind the brackets. */
static bool declaration_at(const char **s, const char *end, declaration *d) {
  *d = (declaration){.count = 1, .align = 0};
  for (;;) {
    span w = word(s, end);
    if (w.n == 0) return false;
    if (span_is(w, ".align")) {
      blanks(s, end);
      d->align = (size_t)strtoul(*s, (char **)(void *)s, 10);
    } else if (w.p[0] == '.') {
      ptype t = parse_type((span){w.p + 1, w.n - 1});
      if (t != T_NONE) d->type = t;
    } else {
      d->name = w;
      break;
    }
  }
  d->each = emu_types[d->type].size;
  if (d->each == 0) return false;
  if (d->align < d->each) d->align = d->each;
  for (blanks(s, end); *s < end && **s == '['; blanks(s, end)) {
    ++*s;
    blanks(s, end);
    d->is_array = true;
    if (**s == ']') {
      d->open = true;
    } else {
      d->count *= (size_t)strtoul(*s, (char **)(void *)s, 0);
    }
    blanks(s, end);
    if (*s == end || **s != ']') return false;
    ++*s;
  }
  return true;
}

static void reg_declaration(parser *p, span text) {
  const char *s = text.p, *end = text.p + text.n;
  word(&s, end);
  span t = word(&s, end);
  ptype type = t.n > 1 ? parse_type((span){t.p + 1, t.n - 1}) : T_NONE;
  if (type == T_NONE || type == T_B128) {
    parse_fail(p, text, "unknown register type");
    return;
  }
  u8 bytes = type == T_PRED ? 1 : emu_types[type].size == 8 ? 8 : 4;
  for (;;) {
    span name = word(&s, end);
    int count = 0;
    blanks(&s, end);
    if (s < end && *s == '<') {
      count = atoi(s + 1);
      while (s < end && *s != '>') s++;
      s++;
    }
    names *r = emu_grow(p->regs, p->n_regs + 1, &p->cap_regs, sizeof *r);
    if (!r || name.n == 0 || count < 0 || count > 1 << 20) {
      parse_fail(p, text, "register declaration");
      return;
    }
    p->regs = r;
    r[p->n_regs++] = (names){.name = name,
                             .count = count,
                             .bytes = bytes,
                             .depth = p->depth,
                             .stride = bytes == 1   ? 1
                                       : bytes == 8 ? 64
                                                    : 32,
                             .slot = new_slot(p->k, bytes, count ? count : 1)};
    blanks(&s, end);
    if (s >= end || *s != ',') return;
    s++;
  }
}

/* .shared and .local of a kernel; .param of a call. */
static void local_declaration(parser *p, span text, mem_space where) {
  const char *s = text.p, *end = text.p + text.n;
  declaration d;
  word(&s, end);
  if (!declaration_at(&s, end, &d) || d.open) {
    parse_fail(p, text, "declaration");
    return;
  }
  size_t none = 0, *total = where == S_SHARED ? &p->k->shared : where == S_LOCAL ? &p->k->local : &none;
  *total = (*total + d.align - 1) / d.align * d.align;
  symbol y = {
      .name = copied(d.name), .space = (u8)where, .address = *total, .size = d.each * d.count, .align = d.align};
  *total += y.size;
  if (where == S_PARAM) y.space = S_GENERIC; /* parameters of a call: nothing is kept of them */
  if (!y.name || !add_symbol(p, true, &y)) parse_fail(p, text, "no memory");
}

static void fill_initial(parser *p, span text, const char *s, const declaration *d, u8 *mem) {
  const char *end = text.p + text.n;
  blanks(&s, end);
  if (s >= end || *s != '=') return;
  s++;
  size_t i = 0;
  for (blanks(&s, end); s < end && *s != ';'; blanks(&s, end)) {
    if (*s == '{' || *s == '}' || *s == ',') {
      s++;
      continue;
    }
    bool f;
    if (!starts_number(s, end) || i == d->count) {
      parse_fail(p, text, "initial value that is no number");
      return;
    }
    u64 v = number(&s, &f);
    memcpy(mem + i++ * d->each, &v, d->each);
  }
}

static void module_variable(parser *p, span text, mem_space where) {
  const char *s = text.p, *end = text.p + text.n;
  declaration d;
  if (!declaration_at(&s, end, &d)) {
    parse_fail(p, text, "variable");
    return;
  }
  symbol y = {
      .name = copied(d.name), .space = (u8)where, .size = d.each * d.count, .align = d.align, .dynamic = d.open};
  if (!y.name) {
    parse_fail(p, text, "no memory");
    return;
  }
  if (where != S_SHARED) {
    region *r = emu_region_new(p->m, y.size ? y.size : 1, where == S_CONST);
    if (!r) {
      parse_fail(p, text, "no memory");
      return;
    }
    memset(r->mem, 0, r->size);
    memset(r->valid, 1, r->size);
    fill_initial(p, text, s, &d, r->mem);
    y.address = r->base;
  }
  add_symbol(p, false, &y);
}

/* --- source places --- */

/* ".loc F L C[, function_name X, inlined_at F L C]" */
static void loc_line(parser *p, const char *line) {
  place q = {.inlined_at = -1};
  if (sscanf(line, " .loc %d %d %d", &q.file, &q.line, &q.column) != 3) return;
  const char *eol = strchr(line, '\n'), *at = strstr(line, "inlined_at");
  int f, l, c;
  if (at && (!eol || at < eol) && sscanf(at, "inlined_at %d %d %d", &f, &l, &c) == 3) {
    for (int64_t i = p->mod->n_places - 1; i >= 0 && q.inlined_at < 0; i--) {
      place *o = &p->mod->places[i];
      if (o->file == f && o->line == l && o->column == c) q.inlined_at = (int)i;
    }
    if (q.inlined_at < 0) {
      place *t = emu_grow(p->mod->places, p->mod->n_places + 1, &p->mod->cap_places, sizeof *t);
      if (!t) return;
      p->mod->places = t;
      q.inlined_at = (int)p->mod->n_places;
      t[p->mod->n_places++] = (place){f, l, c, -1};
    }
  }
  place *t = emu_grow(p->mod->places, p->mod->n_places + 1, &p->mod->cap_places, sizeof *t);
  if (!t) return;
  p->mod->places = t;
  p->place = (int)p->mod->n_places;
  t[p->mod->n_places++] = q;
}

static void file_line(parser *p, const char *line) {
  int n;
  const char *a = strchr(line, '"');
  if (sscanf(line, " .file %d", &n) != 1 || !a || n < 0 || n > 10000) return;
  const char *b = strchr(a + 1, '"');
  if (!b) return;
  if (n >= p->mod->n_files) {
    char **t = realloc(p->mod->files, (size_t)(n + 1) * sizeof *t);
    if (!t) return;
    for (int64_t i = p->mod->n_files; i <= n; i++) t[i] = NULL;
    p->mod->files = t;
    p->mod->n_files = n + 1;
  }
  const char *c = b;
  while (c > a + 1 && c[-1] != '/') c--;
  free(p->mod->files[n]);
  p->mod->files[n] = copied((span){c, (int)(b - c)});
}

/* --- the text --- */

static void skip_line(parser *p) {
  while (*p->at && *p->at != '\n') p->at++;
}
static void skip_blanks(parser *p) {
  for (; *p->at && isspace((unsigned char)*p->at); p->at++)
    if (*p->at == '\n') p->line++;
}
static void skip_braces(parser *p) {
  int depth = 0;
  for (; *p->at; p->at++) {
    if (*p->at == '\n') p->line++;
    if (*p->at == '{') depth++;
    if (*p->at == '}' && --depth == 0) {
      p->at++;
      return;
    }
  }
}
/* Up to one of `ends`, outside quotes and (for ';') initial values; the text before it. */
static span up_to(parser *p, char end) {
  const char *a = p->at;
  u32 lines = 0;
  while (*p->at && *p->at != end) {
    if (*p->at == '\n') lines++;
    p->at++;
  }
  span s = trimmed(a, p->at);
  if (*p->at) p->at++;
  p->line += lines;
  return s;
}

static void parameters(parser *p, span text) {
  const char *s = text.p, *end = text.p + text.n;
  emu_kernel *k = p->k;
  for (blanks(&s, end); s < end; blanks(&s, end)) {
    word(&s, end); /* .param */
    const char *from = s;
    declaration d;
    const char *ptr = NULL; /* ".u64 .ptr .align 1 name": the alignment is that of what it points to */
    for (const char *q = from; q + 4 < end && *q != ','; q++)
      if (memcmp(q, ".ptr", 4) == 0) ptr = q;
    param *t = emu_grow(k->params, k->n_params + 1, &k->cap_params, sizeof *t);
    if (!t || !declaration_at(&s, end, &d)) {
      parse_fail(p, text, "parameters");
      return;
    }
    k->params = t;
    size_t align = ptr ? d.each : d.align;
    size_t at = (k->param_bytes + align - 1) / align * align;
    t[k->n_params++] = (param){.name = copied(d.name), .offset = at, .size = d.each * d.count};
    k->param_bytes = at + d.each * d.count;
    if (s < end && *s == ',') s++;
  }
  if (k->param_bytes > 4096) parse_fail(p, text, "more than 4096 bytes of parameters");
}

static int by_name(const void *a, const void *b) {
  const label *x = a, *y = b;
  int n = x->name.n < y->name.n ? x->name.n : y->name.n, c = memcmp(x->name.p, y->name.p, (size_t)n);
  return c ? c : x->name.n - y->name.n;
}

static void resolve_branches(parser *p) {
  emu_kernel *k = p->k;
  if (p->n_labels) qsort(p->labels, (size_t)p->n_labels, sizeof *p->labels, by_name);
  for (int64_t i = 0; i < k->n && !p->failed; i++) {
    label want = {.name = p->targets[i]};
    if (want.name.n == 0) continue;
    label *l = p->n_labels ? bsearch(&want, p->labels, (size_t)p->n_labels, sizeof want, by_name) : NULL;
    if (!l) {
      parse_fail(p, want.name, "unknown label");
    } else {
      k->code[i].target = (i32)l->at;
    }
  }
}

static void body_statement(parser *p, span text) {
  statement st;
  if (text.n == 0) return;
  const char *s = text.p;
  span w = word(&s, text.p + text.n);
  if (span_is(w, ".reg")) {
    reg_declaration(p, text);
  } else if (span_is(w, ".shared")) {
    local_declaration(p, text, S_SHARED);
  } else if (span_is(w, ".local")) {
    local_declaration(p, text, S_LOCAL);
  } else if (span_is(w, ".param")) {
    local_declaration(p, text, S_PARAM);
  } else if (span_is(w, ".pragma")) {
    return;
  } else if (!parse_statement(p, text, &st)) {
    parse_fail(p, text, "cannot read the operands");
  } else {
    decode(p, &st);
  }
}

/* "name:" at the start of what is left. */
static bool label_here(parser *p) {
  const char *q = p->at;
  while (name_char(*q)) q++;
  if (*q != ':' || q == p->at) return false;
  label *t = emu_grow(p->labels, p->n_labels + 1, &p->cap_labels, sizeof *t);
  if (!t) {
    parse_fail(p, (span){"", 0}, "no memory");
    return false;
  }
  p->labels = t;
  t[p->n_labels++] = (label){{p->at, (int)(q - p->at)}, p->k->n};
  p->at = q + 1;
  return true;
}

static void body(parser *p) {
  p->depth = 1;
  p->at++;
  while (!p->failed) {
    skip_blanks(p);
    if (!*p->at) {
      parse_fail(p, (span){"", 0}, "the text ends inside a kernel");
    } else if (*p->at == '{') {
      /* "{" opens a scope where a statement would begin; elsewhere it is a vector and up_to took it */
      p->depth++;
      p->at++;
    } else if (*p->at == '}') {
      p->at++;
      while (p->n_regs && p->regs[p->n_regs - 1].depth == p->depth) p->n_regs--;
      if (--p->depth == 0) return;
    } else if (strncmp(p->at, ".loc", 4) == 0 && isspace((unsigned char)p->at[4])) {
      loc_line(p, p->at);
      skip_line(p);
    } else if (label_here(p)) {
      continue;
    } else {
      body_statement(p, up_to(p, ';'));
    }
  }
}

static void kernel_free(emu_kernel *k) {
  if (!k) return;
  for (int64_t i = 0; i < k->n_params; i++) free(k->params[i].name);
  free(k->params);
  free(k->consts);
  free(k->code);
  free(k->fresh);
  free(k->name);
  free(k);
}

static void forget_kernel(parser *p) {
  for (int64_t i = 0; i < p->n_locals; i++) free(p->locals[i].name);
  p->n_locals = p->n_regs = p->n_labels = p->n_targets = 0;
  p->k = NULL;
  p->place = -1;
}

/* Registers as a block finds them: 0xdeadbeef, and the constants. */
static void make_fresh(parser *p) {
  emu_kernel *k = p->k;
  k->fresh = malloc((size_t)k->words * 4);
  if (!k->fresh) {
    parse_fail(p, (span){"", 0}, "no memory");
    return;
  }
  for (u32 i = 0; i < k->words; i++) k->fresh[i] = 0xdeadbeef;
  for (int64_t i = 0; i < k->n_consts; i++) {
    fixed_slot *c = &k->consts[i];
    u64 v = c->value + (c->dynamic ? (k->shared + 127) / 128 * 128 : 0);
    for (u32 l = 0; l < 32; l++) {
      if (c->size == 8) {
        memcpy(&k->fresh[c->slot + 2 * l], &v, 8);
      } else {
        k->fresh[c->slot + l] = (u32)v;
      }
    }
  }
}

static void kernel(parser *p) {
  emu_kernel *k = calloc(1, sizeof *k);
  emu_kernel **t = emu_grow(p->mod->kernels, p->mod->n_kernels + 1, &p->mod->cap_kernels, sizeof *t);
  if (t) p->mod->kernels = t;
  if (!k || !t) {
    free(k);
    parse_fail(p, (span){"", 0}, "no memory");
    return;
  }
  t[p->mod->n_kernels++] = k;
  p->k = k;
  k->mod = p->mod;
  k->words = 64; /* slot 0: what is written to "_" */
  k->max_threads = 1024;
  for (int i = 0; i < N_SPECIAL; i++) k->special[i] = -1;
  const char *end = p->at + strlen(p->at);
  span name = word(&p->at, end);
  k->name = copied(name);
  skip_blanks(p);
  if (*p->at == '(') {
    p->at++;
    parameters(p, up_to(p, ')'));
  }
  const char *open = strchr(p->at, '{');
  if (!open || !k->name) {
    parse_fail(p, name, "a kernel without a body");
    return;
  }
  span directives = {p->at, (int)(open - p->at)};
  for (const char *q = p->at; q < open; q++) {
    int x = 1, y = 1, z = 1;
    if (strncmp(q, ".maxntid", 8) == 0 && sscanf(q + 8, " %d , %d , %d", &x, &y, &z) >= 1) k->max_threads = x * y * z;
    if (*q == '\n') p->line++;
  }
  (void)directives;
  p->at = open;
  body(p);
  if (!p->failed) resolve_branches(p);
  if (!p->failed) make_fresh(p);
}

static void top(parser *p) {
  const char *end = p->at + strlen(p->at);
  mem_space where = S_GENERIC;
  for (;;) {
    const char *before = p->at;
    span w = word(&p->at, end);
    if (span_is(w, ".visible") || span_is(w, ".extern") || span_is(w, ".weak") || span_is(w, ".common")) {
      skip_blanks(p);
    } else if (span_is(w, ".entry")) {
      kernel(p);
      if (!p->failed) forget_kernel(p);
      return;
    } else if (span_is(w, ".func")) {
      const char *semi = strchr(p->at, ';'), *open = strchr(p->at, '{');
      if (semi && (!open || semi < open)) {
        up_to(p, ';');
      } else {
        skip_braces(p); /* a call of it is refused */
      }
      return;
    } else if (span_is(w, ".global") || span_is(w, ".const") || span_is(w, ".shared")) {
      where = span_is(w, ".global") ? S_GLOBAL : span_is(w, ".const") ? S_CONST : S_SHARED;
      module_variable(p, up_to(p, ';'), where);
      return;
    } else if (span_is(w, ".section")) {
      skip_braces(p);
      return;
    } else {
      if (span_is(w, ".file")) file_line(p, before);
      if (w.n == 0 || w.p[0] != '.') parse_fail(p, (span){before, (int)strcspn(before, "\n")}, "unknown statement");
      skip_line(p);
      return;
    }
  }
}

static char *without_comments(const char *s) {
  char *t = malloc(strlen(s) + 1), *o = t;
  if (!t) return NULL;
  for (; *s; s++) {
    if (s[0] == '/' && s[1] == '/') {
      while (s[1] && s[1] != '\n') s++;
      *o++ = ' ';
    } else if (s[0] == '/' && s[1] == '*') {
      for (s += 2; *s && !(s[0] == '*' && s[1] == '/'); s++)
        if (*s == '\n') *o++ = '\n';
      if (!*s) break;
      s++;
    } else {
      *o++ = *s;
    }
  }
  *o = 0;
  return t;
}

void emu_unload(emu *m, emu_module *mod) {
  if (!mod) return;
  for (int64_t i = 0; i < mod->n_symbols; i++) {
    if (mod->symbols[i].space == S_GLOBAL || mod->symbols[i].space == S_CONST)
      (void)emu_release(m, mod->symbols[i].address);
    free(mod->symbols[i].name);
  }
  for (int64_t i = 0; i < mod->n_kernels; i++) kernel_free(mod->kernels[i]);
  for (int64_t i = 0; i < mod->n_files; i++) free(mod->files[i]);
  free(mod->symbols);
  free(mod->kernels);
  free(mod->files);
  free(mod->places);
  free(mod->text);
  free(mod);
}

emu_module *emu_load(emu *m, const char *ptx) {
  emu_module *mod = calloc(1, sizeof *mod);
  parser p = {.m = m, .mod = mod, .line = 1, .place = -1};
  if (!mod || !(mod->text = without_comments(ptx))) {
    free(mod);
    emu_fail(m, "no memory");
    return NULL;
  }
  mod->machine = m;
  p.at = mod->text;
  for (skip_blanks(&p); *p.at && !p.failed; skip_blanks(&p)) top(&p);
  if (p.k) forget_kernel(&p);
  free(p.regs);
  free(p.labels);
  free(p.targets);
  free(p.locals);
  if (!p.failed) return mod;
  emu_unload(m, mod);
  return NULL;
}

emu_kernel *emu_find(emu_module *mod, const char *name) {
  for (int64_t i = 0; i < mod->n_kernels; i++)
    if (strcmp(mod->kernels[i]->name, name) == 0) return mod->kernels[i];
  return NULL;
}

uint64_t emu_symbol(emu_module *mod, const char *name, size_t *size) {
  for (int64_t i = 0; i < mod->n_symbols; i++) {
    symbol *s = &mod->symbols[i];
    if (strcmp(s->name, name) != 0 || (s->space != S_GLOBAL && s->space != S_CONST)) continue;
    if (size) *size = s->size;
    return s->address;
  }
  return 0;
}
