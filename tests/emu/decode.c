#include "parse.h"

#include <stdlib.h>
#include <string.h>

typedef struct modifier {
  const char *name;
  int value;
} modifier;

static int modifier_of(const statement *s, const modifier *table, int none) {
  for (int i = 1; i < s->n_parts; i++)
    for (const modifier *m = table; m->name; m++)
      if (span_is(s->part[i], m->name)) return m->value;
  return none;
}
static bool has(const statement *s, const char *name) {
  for (int i = 1; i < s->n_parts; i++)
    if (span_is(s->part[i], name)) return true;
  return false;
}

static const modifier spaces[] = {
    {"global", S_GLOBAL}, {"shared", S_SHARED},      {"shared::cta", S_SHARED}, {"local", S_LOCAL},
    {"param", S_PARAM},   {"param::entry", S_PARAM}, {"const", S_CONST},        {NULL, 0}};
static const modifier rounds[] = {{"rn", R_RN},   {"rz", R_RZ},   {"rm", R_RM},   {"rp", R_RP}, {"rni", R_RNI},
                                  {"rzi", R_RZI}, {"rmi", R_RMI}, {"rpi", R_RPI}, {NULL, 0}};
static const modifier compares[] = {{"eq", C_EQ},   {"ne", C_NE},   {"lt", C_LT},   {"le", C_LE},   {"gt", C_GT},
                                    {"ge", C_GE},   {"lo", C_LO},   {"ls", C_LS},   {"hi", C_HI},   {"hs", C_HS},
                                    {"equ", C_EQU}, {"neu", C_NEU}, {"ltu", C_LTU}, {"leu", C_LEU}, {"gtu", C_GTU},
                                    {"geu", C_GEU}, {"num", C_NUM}, {"nan", C_NAN}, {NULL, 0}};
static const modifier flag_names[] = {{"ftz", M_FTZ},       {"sat", M_SAT},   {"to", M_TO}, {"trans", M_TRANS},
                                      {"approx", M_APPROX}, {"relu", M_RELU}, {"hi", M_HI}, {NULL, 0}};

static void types_of(const statement *s, ins *i) {
  int n = 0;
  for (int k = 1; k < s->n_parts; k++) {
    ptype t = parse_type(s->part[k]);
    if (t == T_NONE) continue;
    if (n == 0) i->type = (u8)t;
    if (n == 1) i->type2 = (u8)t;
    n++;
  }
  i->size = emu_types[i->type].size;
  for (int k = 1; k < s->n_parts; k++)
    for (const modifier *m = flag_names; m->name; m++)
      if (span_is(s->part[k], m->name)) i->flags |= (u8)m->value;
  i->space = (u8)modifier_of(s, spaces, S_GENERIC);
  i->round = (u8)modifier_of(s, rounds, R_NONE);
}

static void append(parser *p, const ins *i, span target) {
  emu_kernel *k = p->k;
  ins *t = emu_grow(k->code, k->n + 1, &k->cap, sizeof *t);
  if (t) k->code = t;
  span *g = emu_grow(p->targets, p->n_targets + 1, &p->cap_targets, sizeof *g);
  if (g) p->targets = g;
  if (!t || !g) {
    parse_fail(p, (span){"", 0}, "no memory");
    return;
  }
  t[k->n++] = *i;
  g[p->n_targets++] = target;
}

/* --- operands --- */

/* A register, a number or the address of a variable as a slot of `bytes` (1, 4, 8; for a register its own size). */
static u32 value(parser *p, const statement *s, const operand *o, u8 *bytes) {
  u32 slot = 0;
  u8 b = 0;
  symbol y;
  if (o->kind == O_NUMBER) {
    if (*bytes == 1) *bytes = 4;
    return parse_constant(p, o->value, *bytes, false);
  }
  if (o->kind == O_REG && o->value == 0 && parse_register(p, o->name, &slot, &b)) {
    if (!span_is(o->name, "_")) *bytes = b;
    return slot;
  }
  if (o->kind == O_REG && parse_symbol(p, o->name, &y))
    return parse_constant(p, y.address + o->value, *bytes, y.dynamic);
  parse_fail(p, s->text, "unknown operand %.*s", o->name.n, o->name.p);
  return 0;
}

static u8 bytes_of(ptype t) {
  return t == T_PRED ? 1 : emu_types[t].size == 8 ? 8 : 4;
}

/* One operand or the elements of a vector. */
static int list(parser *p, const statement *s, const operand *o, u32 *slots, u8 *bytes) {
  if (o->kind != O_VECTOR && o->kind != O_PAIR) {
    slots[0] = value(p, s, o, bytes);
    return 1;
  }
  if (o->n > 8) {
    parse_fail(p, s->text, "vector of more than 8");
    return 0;
  }
  for (int k = 0; k < o->n; k++) slots[k] = value(p, s, &s->child[o->first + k], bytes);
  return o->n;
}

/* d, a, b, c in this order. Each register must have the size that `want` says; 0: any. */
static bool operands(parser *p, const statement *s, ins *i, const u8 want[4]) {
  u32 *slots[4] = {i->d, i->a, i->b, i->c};
  u8 *counts[4] = {&i->nd, &i->na, &i->nb, &i->nc};
  for (int k = 0; k < s->n && k < 4; k++) {
    u8 b = want[k] ? want[k] : bytes_of((ptype)i->type);
    *counts[k] = (u8)list(p, s, &s->o[k], slots[k], &b);
    i->kinds[k] = b;
    if (want[k] && b != want[k] && !p->failed)
      parse_fail(p, s->text, "operand %d: register of the wrong size", k + 1);
  }
  return !p->failed;
}

static void address(parser *p, const statement *s, const operand *o, ins *i) {
  u8 bytes = 8;
  symbol y;
  i->imm = 0;
  if (o->kind != O_ADDRESS) {
    parse_fail(p, s->text, "expected an address");
  } else if (o->name.n == 0) {
    i->a[0] = parse_constant(p, o->value, 8, false);
  } else if (parse_register(p, o->name, &i->a[0], &bytes)) {
    i->imm = (i64)o->value;
  } else if (parse_symbol(p, o->name, &y)) {
    i->a[0] = parse_constant(p, y.address, 8, y.dynamic);
    i->imm = (i64)o->value;
    if (i->space == S_PARAM && y.space == S_GENERIC) i->space = S_GENERIC + 100; /* of a call */
  } else {
    parse_fail(p, s->text, "unknown address %.*s", o->name.n, o->name.p);
  }
  i->wide = bytes == 8;
}

static bool count_is(parser *p, const statement *s, int lo, int hi) {
  if (s->n < lo || s->n > hi) parse_fail(p, s->text, "%d operands", s->n);
  return !p->failed;
}

/* --- instructions --- */

static void unknown(parser *p, const statement *s) {
  parse_fail(p, s->text, "unknown instruction");
}

static void decode_memory(parser *p, const statement *s, ins *i) {
  bool load = !span_is(s->part[0], "st");
  if (!count_is(p, s, 2, 2)) return;
  if (load) {
    i->fn = i->space == S_PARAM ? emu_param_op : emu_load_op;
    u8 b = bytes_of((ptype)i->type);
    i->nd = (u8)list(p, s, &s->o[0], i->d, &b);
    i->kinds[0] = b;
    address(p, s, &s->o[1], i);
  } else {
    i->fn = emu_store_op;
    u8 b = bytes_of((ptype)i->type);
    address(p, s, &s->o[0], i);
    i->nb = (u8)list(p, s, &s->o[1], i->b, &b);
    i->kinds[2] = b;
  }
  int n = load ? i->nd : i->nb;
  int vec = has(s, "v2") ? 2 : has(s, "v4") ? 4 : 1;
  if (!p->failed && (n != vec || i->type == T_NONE || i->type == T_PRED || n * i->size > 16)) unknown(p, s);
  if (i->space == S_GENERIC + 100) i->fn = emu_nop; /* parameters of a call */
  if (i->kinds[load ? 0 : 2] == 1) unknown(p, s);
}

static void decode_atom(parser *p, const statement *s, ins *i) {
  static const modifier ops[] = {{"add", 1}, {"min", 2}, {"max", 3}, {"exch", 4}, {"cas", 5}, {"and", 6},
                                 {"or", 7},  {"xor", 8}, {"inc", 9}, {"dec", 10}, {NULL, 0}};
  bool red = span_is(s->part[0], "red");
  int k = 0;
  i->op = (u8)modifier_of(s, ops, 0);
  i->fn = emu_atom_op;
  if (!count_is(p, s, red ? 2 : 3, 4)) return;
  if (i->op == 0 || (i->size != 4 && i->size != 8) || emu_types[i->type].family == 'h') unknown(p, s);
  u8 want = bytes_of((ptype)i->type), b = want;
  if (!red) i->nd = 1, i->d[0] = value(p, s, &s->o[k++], &b), i->kinds[0] = b;
  address(p, s, &s->o[k++], i);
  if (k >= s->n) unknown(p, s);
  if (p->failed) return;
  i->b[0] = value(p, s, &s->o[k++], &b);
  if (k < s->n) i->c[0] = value(p, s, &s->o[k], &b);
  if (b != want) unknown(p, s);
}

static void decode_setp(parser *p, const statement *s, ins *i) {
  static const modifier bools[] = {{"and", 1}, {"or", 2}, {"xor", 3}, {NULL, 0}};
  u8 b = bytes_of((ptype)i->type);
  if (!count_is(p, s, 3, 4) || s->n_parts < 3) return;
  const statement first = {.n_parts = 2, .part = {s->part[0], s->part[1]}};
  int cmp = modifier_of(&first, compares, -1);
  i->boolop = (u8)modifier_of(s, bools, 0);
  if (cmp < 0 || i->type == T_NONE || (i->boolop != 0) != (s->n == 4)) {
    unknown(p, s);
    return;
  }
  i->op = (u8)cmp;
  i->fn = emu_setp;
  if (!operands(p, s, i, (const u8[4]){1, b, b, 1})) return;
  if (s->n == 4) i->imm = s->o[3].negated;
}

static void decode_mov(parser *p, const statement *s, ins *i) {
  if (!count_is(p, s, 2, 2)) return;
  u8 b = bytes_of((ptype)i->type);
  bool pack = s->o[1].kind == O_VECTOR, unpack = s->o[0].kind == O_VECTOR;
  if (pack || unpack) {
    const operand *v = pack ? &s->o[1] : &s->o[0], *one = pack ? &s->o[0] : &s->o[1];
    u8 part = i->size / v->n == 8 ? 8 : 4, whole = b;
    i->nd = 1;
    if (pack) {
      i->d[0] = value(p, s, one, &whole);
      i->na = (u8)list(p, s, v, i->a, &part);
    } else {
      i->nd = (u8)list(p, s, v, i->d, &part);
      i->a[0] = value(p, s, one, &whole);
      i->na = 1;
    }
    i->kinds[0] = pack ? whole : part;
    i->kinds[1] = pack ? part : whole;
    i->fn = pack ? emu_pack : emu_unpack;
    if (v->n < 2 || whole != b || part == 1) unknown(p, s);
    return;
  }
  i->fn = b == 1 ? emu_mov_p : b == 8 ? emu_mov_d : emu_mov_w;
  if (b == 1 && s->o[1].kind == O_NUMBER) {
    i->fn = emu_mov_p;
    i->d[0] = value(p, s, &s->o[0], &b);
    i->na = 0;
    i->imm = s->o[1].value != 0;
    return;
  }
  (void)operands(p, s, i, (const u8[4]){b, b, 0, 0});
  i->na = 1;
}

static void decode_cvt(parser *p, const statement *s, ins *i) {
  bool packed = i->type == T_BF16X2 || i->type == T_F16X2;
  if (!count_is(p, s, 2, packed ? 3 : 2)) return;
  if (i->type2 == T_NONE || i->type == T_PRED || (packed && s->n != 3)) {
    unknown(p, s);
    return;
  }
  i->fn = packed ? emu_cvt_bf16x2 : emu_cvt;
  if (!packed && emu_types[i->type].family != 'h' && emu_types[i->type2].family != 'h' && i->flags == 0 &&
      i->round == 0) {
    char key[32] = "cvt.";
    strcat(strcat(strcat(key, emu_types[i->type].name), "."), emu_types[i->type2].name);
    exec_fn *fast = emu_alu(key);
    if (fast) i->fn = fast;
  }
  (void)operands(p, s, i, (const u8[4]){0, 0, 0, 0});
  if (i->kinds[0] == 1 || i->kinds[1] == 1) unknown(p, s);
  if (i->fn != emu_cvt && !packed &&
      (i->kinds[0] != bytes_of((ptype)i->type) || i->kinds[1] != bytes_of((ptype)i->type2)))
    i->fn = emu_cvt;
}

static void decode_cvta(parser *p, const statement *s, ins *i) {
  if (!count_is(p, s, 2, 2)) return;
  i->fn = i->space == S_SHARED || i->space == S_LOCAL ? emu_cvta : emu_mov_d;
  if (i->space == S_PARAM || i->size != 8) unknown(p, s);
  (void)operands(p, s, i, (const u8[4]){8, 8, 0, 0});
}

static void decode_barrier(parser *p, const statement *s, ins *i) {
  if (has(s, "warp")) {
    i->fn = emu_warp_barrier;
    u8 b = 4;
    if (count_is(p, s, 1, 1)) i->a[0] = value(p, s, &s->o[0], &b);
    return;
  }
  static const modifier ops[] = {{"popc", 1}, {"and", 2}, {"or", 3}, {NULL, 0}};
  bool red = has(s, "red");
  i->flow = F_BARRIER;
  i->fn = emu_nop;
  i->op = (u8)(red ? modifier_of(s, ops, 0) : 0);
  int id = red ? 1 : 0;
  if (has(s, "arrive") || (red && i->op == 0)) unknown(p, s);
  if (!count_is(p, s, red ? 3 : 1, red ? 3 : 1)) return;
  if (s->o[id].kind != O_NUMBER || s->o[id].value != 0) {
    parse_fail(p, s->text, "only barrier 0 of the whole block is known");
    return;
  }
  if (!red) return;
  i->type = i->op == 1 ? T_U32 : T_PRED;
  u8 b = i->op == 1 ? 4 : 1, one = 1;
  i->d[0] = value(p, s, &s->o[0], &b);
  i->a[0] = value(p, s, &s->o[2], &one);
  i->imm = s->o[2].negated;
}

static void decode_shfl(parser *p, const statement *s, ins *i) {
  static const modifier ops[] = {{"bfly", 1}, {"idx", 2}, {"down", 3}, {"up", 4}, {NULL, 0}};
  i->op = (u8)modifier_of(s, ops, 0);
  i->fn = emu_shfl;
  if (i->op == 0 || !has(s, "sync") || i->size != 4) unknown(p, s);
  if (!count_is(p, s, 5, 5)) return;
  u8 b = 4;
  const operand *d = &s->o[0];
  i->nd = 1;
  if (d->kind == O_PAIR) {
    u8 one = 1;
    i->nd = 2;
    i->d[1] = value(p, s, &s->child[d->first + 1], &one);
    d = &s->child[d->first];
  }
  i->d[0] = value(p, s, d, &b);
  i->a[0] = value(p, s, &s->o[1], &b);
  i->b[0] = value(p, s, &s->o[2], &b);
  i->c[0] = value(p, s, &s->o[3], &b);
  i->e = value(p, s, &s->o[4], &b);
  if (b != 4) unknown(p, s);
}

static void decode_vote(parser *p, const statement *s, ins *i) {
  static const modifier ops[] = {{"ballot", 1}, {"any", 2}, {"all", 3}, {"uni", 4}, {NULL, 0}};
  i->op = (u8)modifier_of(s, ops, 0);
  i->fn = emu_vote;
  if (i->op == 0 || !has(s, "sync")) unknown(p, s);
  if (!count_is(p, s, 3, 3)) return;
  u8 b = i->op == 1 ? 4 : 1, one = 1, four = 4;
  i->d[0] = value(p, s, &s->o[0], &b);
  i->a[0] = value(p, s, &s->o[1], &one);
  i->imm = s->o[1].negated;
  i->e = value(p, s, &s->o[2], &four);
  if (one != 1 || four != 4) unknown(p, s);
}

static void decode_match(parser *p, const statement *s, ins *i) {
  u8 four = 4, b = bytes_of((ptype)i->type);
  i->fn = emu_match;
  if (!has(s, "any") || !has(s, "sync")) unknown(p, s);
  if (!count_is(p, s, 3, 3)) return;
  i->d[0] = value(p, s, &s->o[0], &four);
  i->a[0] = value(p, s, &s->o[1], &b);
  i->kinds[1] = b;
  i->e = value(p, s, &s->o[2], &four);
}

static void decode_ldmatrix(parser *p, const statement *s, ins *i) {
  int n = has(s, "x4") ? 4 : has(s, "x2") ? 2 : 1;
  u8 b = 4;
  if (!count_is(p, s, 2, 2)) return;
  i->fn = emu_ldmatrix;
  i->nd = (u8)list(p, s, &s->o[0], i->d, &b);
  address(p, s, &s->o[1], i);
  if (i->nd != n || b != 4 || !has(s, "m8n8") || !has(s, "b16")) unknown(p, s);
}

static void decode_mma(parser *p, const statement *s, ins *i) {
  static const u8 words[4] = {4, 4, 4, 4};
  if (!has(s, "m16n8k16") || !has(s, "row") || !has(s, "col") || i->type != T_F32 || has(s, "sp") ||
      (i->type2 != T_BF16 && i->type2 != T_F16) || !count_is(p, s, 4, 4)) {
    unknown(p, s);
    return;
  }
  i->fn = emu_mma;
  (void)operands(p, s, i, words);
  if (i->nd != 4 || i->na != 4 || i->nb != 2 || i->nc != 4) unknown(p, s);
}

static void decode_cp(parser *p, const statement *s, ins *i) {
  if (!has(s, "async") || has(s, "bulk") || has(s, "mbarrier")) {
    unknown(p, s);
  } else if (has(s, "commit_group")) {
    i->fn = emu_cp_commit;
  } else if (has(s, "wait_all")) {
    i->fn = emu_cp_wait;
    i->imm = -1;
  } else if (has(s, "wait_group")) {
    i->fn = emu_cp_wait;
    if (count_is(p, s, 1, 1)) i->imm = (i64)s->o[0].value;
  } else if (count_is(p, s, 3, 4)) {
    ins src = *i;
    src.space = S_GLOBAL;
    address(p, s, &s->o[1], &src);
    i->b[0] = src.a[0];
    i->e = (u32)src.imm;
    i->space = S_SHARED;
    i->fn = emu_cp_async;
    address(p, s, &s->o[0], i);
    i->size = (u8)s->o[2].value;
    i->nc = 0;
    u8 b = 4;
    if (s->n == 4) i->c[0] = value(p, s, &s->o[3], &b), i->nc = 1;
    if (!src.wide || (i->size != 4 && i->size != 8 && i->size != 16) || b != 4) unknown(p, s);
    if (has(s, "cg") && i->size != 16) unknown(p, s);
  }
}

static void decode_bits(parser *p, const statement *s, ins *i) {
  u8 b = bytes_of((ptype)i->type), d = b;
  const span h = s->part[0];
  i->fn = span_is(h, "lop3")   ? emu_lop3
          : span_is(h, "prmt") ? emu_prmt
          : span_is(h, "bfi")  ? emu_bfi
          : span_is(h, "bfe")  ? emu_bfe
                               : emu_shf;
  if (i->fn == emu_bfi) {
    if (!count_is(p, s, 5, 5)) return;
    u8 four = 4;
    i->d[0] = value(p, s, &s->o[0], &d);
    i->a[0] = value(p, s, &s->o[1], &b);
    i->b[0] = value(p, s, &s->o[2], &b);
    i->c[0] = value(p, s, &s->o[3], &four);
    i->e = value(p, s, &s->o[4], &four);
    if (d != b || four != 4) unknown(p, s);
    return;
  }
  if (i->fn == emu_shf) i->op = has(s, "l"), i->boolop = has(s, "clamp");
  if (i->fn == emu_prmt && s->n_parts != 2) unknown(p, s);
  if (i->fn == emu_lop3) {
    if (!count_is(p, s, 5, 5)) return;
    i->imm = (i64)s->o[4].value;
  } else if (!count_is(p, s, 4, 4)) {
    return;
  }
  (void)operands(p, s, i, (const u8[4]){b, b, i->fn == emu_bfe ? 4 : b, 4});
}

static void decode_selp(parser *p, const statement *s, ins *i) {
  u8 b = bytes_of((ptype)i->type);
  if (!count_is(p, s, 4, 4)) return;
  i->fn = b == 8 ? emu_selp_d : emu_selp_w;
  if (b == 1) unknown(p, s);
  (void)operands(p, s, i, (const u8[4]){b, b, b, 1});
}

static void decode_call(parser *p, const statement *s, ins *i) {
  for (int k = 0; k < s->n; k++)
    if (span_is(s->o[k].name, "__assertfail")) {
      i->fn = emu_trap;
      i->op = 1;
      return;
    }
  parse_fail(p, s->text, "calls are not known (functions must be inlined)");
}

/* Arithmetic by table; floats with a rounding, ftz or sat of their own and approximations in one function. */
static const modifier float_ops[] = {{"add", O_ADD},     {"sub", O_SUB},   {"mul", O_MUL},           {"fma", O_FMA},
                                     {"mad", O_FMA},     {"div", O_DIV},   {"min", O_MIN},           {"max", O_MAX},
                                     {"neg", O_NEG},     {"abs", O_ABS},   {"sqrt", O_SQRT},         {"rcp", O_RCP},
                                     {"rsqrt", O_RSQRT}, {"ex2", O_EX2},   {"lg2", O_LG2},           {"sin", O_SIN},
                                     {"cos", O_COS},     {"tanh", O_TANH}, {"copysign", O_COPYSIGN}, {NULL, 0}};

static bool decode_float(const statement *s, ins *i) {
  const char family = emu_types[i->type].family;
  if (family != 'f' && family != 'h') return false;
  for (const modifier *m = float_ops; m->name; m++)
    if (span_is(s->part[0], m->name)) {
      i->op = (u8)m->value;
      i->fn = family == 'h' ? emu_half_op : i->type == T_F64 ? emu_double_op : emu_float_op;
      return !(family == 'h' && i->op > O_ABS && i->op != O_EX2 && i->op != O_TANH);
    }
  return false;
}

static void decode_arithmetic(parser *p, const statement *s, ins *i) {
  char key[40];
  const char *variant = has(s, "wide") ? ".wide" : has(s, "hi") ? ".hi" : has(s, "lo") ? ".lo" : "";
  if (s->part[0].n > 16 || s->n < 2 || s->n > 4 || i->type == T_NONE) {
    unknown(p, s);
    return;
  }
  memcpy(key, s->part[0].p, (size_t)s->part[0].n);
  key[s->part[0].n] = 0;
  strcat(strcat(strcat(key, variant), "."), emu_types[i->type].name);
  bool plain = (i->flags & ~M_APPROX & ~M_HI) == 0 && (i->round == R_NONE || i->round == R_RN);
  i->fn = plain ? emu_alu(key) : NULL;
  if (!i->fn && !decode_float(s, i)) {
    unknown(p, s);
    return;
  }
  u8 b = bytes_of((ptype)i->type);
  bool wide = variant[0] == '.' && variant[1] == 'w';
  bool shift = span_is(s->part[0], "shl") || span_is(s->part[0], "shr");
  bool counts = span_is(s->part[0], "popc") || span_is(s->part[0], "clz") || span_is(s->part[0], "bfind");
  u8 d = wide ? (i->size == 4 ? 8 : 4) : counts ? 4 : b;
  (void)operands(p, s, i, (const u8[4]){d, b, shift ? 4 : b, wide ? d : b});
  if (i->type == T_PRED && !p->failed) {
    i->imm = (s->n > 1 && s->o[1].negated) | (s->n > 2 && s->o[2].negated) << 1;
    if (i->imm) unknown(p, s);
  }
}

typedef void decode_fn(parser *p, const statement *s, ins *i);
static const struct {
  const char *name;
  decode_fn *fn;
} heads[] = {{"ld", decode_memory}, {"ldu", decode_memory},  {"st", decode_memory},         {"atom", decode_atom},
             {"red", decode_atom},  {"setp", decode_setp},   {"mov", decode_mov},           {"cvt", decode_cvt},
             {"cvta", decode_cvta}, {"bar", decode_barrier}, {"barrier", decode_barrier},   {"shfl", decode_shfl},
             {"vote", decode_vote}, {"match", decode_match}, {"ldmatrix", decode_ldmatrix}, {"mma", decode_mma},
             {"cp", decode_cp},     {"lop3", decode_bits},   {"prmt", decode_bits},         {"bfi", decode_bits},
             {"bfe", decode_bits},  {"shf", decode_bits},    {"selp", decode_selp},         {"call", decode_call}};

static void decode_rest(parser *p, const statement *s, ins *i) {
  const span h = s->part[0];
  u8 four = 4;
  if (span_is(h, "ret") || span_is(h, "exit")) {
    i->flow = F_EXIT;
    i->fn = emu_nop;
  } else if (span_is(h, "trap") || span_is(h, "brkpt")) {
    i->fn = emu_trap;
  } else if (span_is(h, "membar") || span_is(h, "fence") || span_is(h, "prefetch") || span_is(h, "prefetchu") ||
             span_is(h, "nanosleep") || span_is(h, "griddepcontrol")) {
    i->fn = emu_nop;
  } else if (span_is(h, "activemask")) {
    i->fn = emu_active;
    if (count_is(p, s, 1, 1)) i->d[0] = value(p, s, &s->o[0], &four);
  } else {
    decode_arithmetic(p, s, i);
  }
}

void decode(parser *p, const statement *s) {
  ins i = {.pred = -1, .line = s->line, .loc = p->place, .target = -1};
  span target = {0};
  if (s->guard.n) {
    u32 slot;
    u8 bytes;
    if (!parse_register(p, s->guard, &slot, &bytes) || bytes != 1) {
      parse_fail(p, s->text, "unknown guard");
      return;
    }
    i.pred = (i32)slot;
    i.not_pred = s->not_guard;
  }
  types_of(s, &i);
  if (span_is(s->part[0], "bra")) {
    i.flow = F_BRANCH;
    i.fn = emu_nop;
    if (s->n != 1 || s->o[0].kind != O_REG) unknown(p, s);
    target = s->o[0].name;
  } else {
    size_t k = 0, n = sizeof heads / sizeof *heads;
    while (k < n && !span_is(s->part[0], heads[k].name)) k++;
    if (k < n) {
      heads[k].fn(p, s, &i);
    } else {
      decode_rest(p, s, &i);
    }
  }
  if (!p->failed) append(p, &i, target);
}
