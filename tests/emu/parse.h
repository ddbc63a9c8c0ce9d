/* From PTX text to statements (parse.c) and from statements to instructions (decode.c). */
#ifndef EMU_PARSE_H
#define EMU_PARSE_H

#include "impl.h"

typedef struct span {
  const char *p;
  int n;
} span;

typedef enum okind { O_REG, O_NUMBER, O_VECTOR, O_ADDRESS, O_PAIR, O_LIST } okind; /* O_REG: a name of any kind */

typedef struct operand {
  okind kind;
  bool negated, is_float;
  span name;
  u64 value;    /* number, or what is added to the name */
  int first, n; /* children */
} operand;

enum { MAX_OPERANDS = 8, MAX_CHILDREN = 48, MAX_PARTS = 16 };
typedef struct statement {
  span text, guard, op, part[MAX_PARTS];
  bool not_guard;
  int n_parts, n;
  operand o[MAX_OPERANDS], child[MAX_CHILDREN];
  int n_children;
  u32 line;
} statement;

/* A register name, or a row of them ("%r<12>"), of a scope. */
typedef struct names {
  span name;
  int count; /* 0: the name itself */
  u32 slot, stride;
  u8 bytes; /* 1 predicate, 4, 8 */
  int depth;
} names;

typedef struct label {
  span name;
  int64_t at;
} label;

typedef struct parser {
  emu *m;
  emu_module *mod;
  const char *at;
  u32 line;
  emu_kernel *k;
  names *regs;
  int64_t n_regs, cap_regs;
  label *labels;
  int64_t n_labels, cap_labels;
  span *targets; /* of each instruction, empty: no branch */
  int64_t n_targets, cap_targets;
  symbol *locals; /* .shared, .local and call parameters of the kernel */
  int64_t n_locals, cap_locals;
  int depth;
  int place;
  bool failed;
} parser;

/* Records the failure once, with the line and the text of the statement. */
void parse_fail(parser *p, span text, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static inline bool span_is(span s, const char *text) {
  int i = 0;
  while (i < s.n && text[i] && s.p[i] == text[i]) i++;
  return i == s.n && !text[i];
}
ptype parse_type(span s);

/* Registers and constants: slots. Nonzero size in *bytes. */
bool parse_register(parser *p, span name, u32 *slot, u8 *bytes);
u32 parse_constant(parser *p, u64 value, u8 size, bool dynamic);
/* A .shared, .local, .global, .const variable or kernel parameter by name. */
bool parse_symbol(parser *p, span name, symbol *out);
/* Reads one statement's operands out of its text (without ';'). */
bool parse_statement(parser *p, span text, statement *s);

/* decode.c: appends the instruction. */
void decode(parser *p, const statement *s);

#endif
