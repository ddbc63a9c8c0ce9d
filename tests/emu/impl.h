/* The interpreter from inside. Registers of a warp lie in one array of 32-bit words; a slot is a place in it: 32
 * words for a register of up to 32 bits, 64 for one of 64 bits (lane after lane), one for a predicate (a bit a lane).
 */
#ifndef EMU_IMPL_H
#define EMU_IMPL_H

#include "emu.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;

#define FULL 0xffffffffu
#define DEVICE_BIT (1ull << 52) /* device address = host address + this; no host address has it */
#define SHARED_WINDOW (1ull << 60)
#define LOCAL_WINDOW (2ull << 60)

/* --- types of PTX --- */

typedef enum ptype {
  T_NONE,
  T_PRED,
  T_B8,
  T_B16,
  T_B32,
  T_B64,
  T_B128,
  T_U8,
  T_U16,
  T_U32,
  T_U64,
  T_S8,
  T_S16,
  T_S32,
  T_S64,
  T_F16,
  T_BF16,
  T_F16X2,
  T_BF16X2,
  T_F32,
  T_F64,
  N_TYPES
} ptype; /* order of emu_types */
typedef struct type_info {
  const char *name;
  u8 size;
  char family; /* b, u, s, f, h (halves), p */
} type_info;
extern const type_info emu_types[N_TYPES];

typedef enum mem_space { S_GENERIC, S_GLOBAL, S_SHARED, S_LOCAL, S_PARAM, S_CONST } mem_space;
typedef enum flow { F_PLAIN, F_BRANCH, F_EXIT, F_BARRIER } flow;
enum { M_FTZ = 1, M_SAT = 2, M_TO = 4, M_TRANS = 8, M_APPROX = 16, M_RELU = 32, M_HI = 64 };
typedef enum round { R_NONE, R_RN, R_RZ, R_RM, R_RP, R_RNI, R_RZI, R_RMI, R_RPI } round_mode;

typedef struct warp warp;
typedef struct ins ins;
typedef void exec_fn(emu *m, warp *w, const ins *i, u32 mask);

struct ins {
  exec_fn *fn;
  i32 pred; /* slot of the guard, -1: none */
  bool not_pred;
  u8 flow, type, type2, space, op, size, flags, round, boolop;
  u8 nd, na, nb, nc;
  u8 wide;     /* address register has 64 bits */
  u8 kinds[4]; /* bytes of d, a, b, c registers: 1 predicate, 4, 8 */
  u32 d[8], a[8], b[8], c[8];
  u32 e;
  i64 imm;
  i32 target; /* of a branch */
  u32 line;   /* of the PTX text */
  i32 loc;    /* index of the source place, -1: none */
};

/* --- memory --- */

/* Who touched a word last, in which epoch; see mem.c. */
typedef struct mark {
  u32 wrote, read;    /* epochs */
  u16 writer, reader; /* thread of the block | flags */
  u16 wsub, rsub;     /* warp-level epochs */
} mark;

typedef struct region {
  u64 base; /* address: device address, or offset in shared memory */
  size_t size;
  u8 *mem, *valid; /* valid: a byte a byte, 1: written */
  mark *marks;     /* per 4 bytes */
  mark *halves;    /* two per 4 bytes, NULL until a 16-bit access; words that had one have SPLIT in their mark */
  bool constant;
} region;

/* --- code --- */

typedef struct place {
  int file, line, column, inlined_at; /* index of the place the function was inlined at, -1: none */
} place;
typedef struct symbol {
  char *name;
  u8 space;
  u64 address; /* device address, or offset */
  size_t size, align;
  bool dynamic;
} symbol;
typedef struct param {
  char *name;
  size_t offset, size;
} param;
typedef struct fixed_slot {
  u64 value;
  u32 slot;
  u8 size;
  bool dynamic; /* the start of dynamic shared memory is added */
} fixed_slot;

enum { N_SPECIAL = 24 };
struct emu_kernel {
  emu_module *mod;
  char *name;
  ins *code;
  int64_t n, cap;
  u32 words; /* of a warp's registers */
  fixed_slot *consts;
  int64_t n_consts, cap_consts;
  param *params;
  int64_t n_params, cap_params;
  size_t param_bytes, shared, local;
  i32 special[N_SPECIAL]; /* slot, or -1 */
  int max_threads;
  emu_counters count;
  u32 *fresh; /* a warp's registers at the start of a block */
};

struct emu_module {
  char *text;
  emu_kernel **kernels;
  int64_t n_kernels, cap_kernels;
  symbol *symbols;
  int64_t n_symbols, cap_symbols;
  char **files; /* by number */
  int64_t n_files;
  place *places;
  int64_t n_places, cap_places;
  emu *machine;
};

/* --- a running launch --- */

typedef struct pending {
  u64 src;
  u32 dst;
  u8 bytes, take; /* take bytes come from src, the rest is 0 */
  u16 lane;
  u32 group;
} pending;

struct warp {
  u32 *R;
  u32 live, wait; /* lanes that run or wait; lanes at a barrier */
  u32 exists;
  u32 pc[32];
  u32 groups[32]; /* cp.async groups committed so far */
  pending *queue;
  int64_t n_queue, cap_queue;
  u16 sub; /* rises at bar.warp.sync */
  int index;
  u32 vote; /* predicates given to bar.red */
};

struct emu {
  emu_options o;
  region **regions; /* ascending */
  int64_t n_regions, cap_regions;
  region *last;
  size_t used;
  char text[2048];
  bool failed;
  u64 random;
  /* the launch */
  emu_kernel *k;
  const emu_launch_args *a;
  u8 params[4096 + 16];
  u32 block[3];
  region shared;
  u8 *local, *local_valid;
  u32 epoch, launch_start, block_start;
  u64 steps;
  warp *warps;
  int n_warps;
};

/* Slots. */
#define WREG(off) (w->R + (off))
#define DREG(off) ((u64 *)(void *)(w->R + (off)))

/* util */
void *emu_grow(void *p, int64_t need, int64_t *cap, size_t each); /* NULL: no memory, p unchanged */
void emu_fail(emu *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A fault of lane `lane` at instruction i: adds kernel, block, thread, source and PTX line. */
void emu_fault(emu *m, const warp *w, const ins *i, int lane, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* mem.c */
region *emu_region(emu *m, u64 address);
region *emu_region_new(emu *m, size_t n, bool constant);
int emu_region_init(region *r, size_t n);
void emu_region_clear(region *r);
/* Checks one lane's access and records it; the host address, or NULL after a fault. */
u8 *emu_access(emu *m, warp *w, const ins *i, int lane, u64 address, u32 bytes, int kind);
enum { A_READ, A_WRITE, A_ATOMIC, A_ISSUE }; /* A_ISSUE: a cp.async begins: a write whose bytes are not there yet */
exec_fn emu_load_op, emu_store_op, emu_atom_op, emu_param_op;
void emu_count_access(emu *m, const ins *i, u32 mask, const u64 *at, u32 bytes);

/* warp.c */
exec_fn emu_shfl, emu_vote, emu_match, emu_warp_barrier, emu_active, emu_ldmatrix, emu_mma, emu_cp_async,
    emu_cp_commit, emu_cp_wait, emu_trap;

/* alu.c: the function for "add.s32", "mul.wide.u32", ..., or NULL; and those that need more than that. */
exec_fn *emu_alu(const char *key);
exec_fn emu_float_op, emu_double_op, emu_half_op, emu_cvt, emu_setp, emu_selp_w, emu_selp_d, emu_selp_p, emu_pack,
    emu_unpack, emu_cvta, emu_lop3, emu_prmt, emu_bfi, emu_bfe, emu_shf, emu_mov_w, emu_mov_d, emu_mov_p,
    emu_pred_logic, emu_nop, emu_cvt_bf16x2;
enum {
  O_ADD,
  O_SUB,
  O_MUL,
  O_FMA,
  O_DIV,
  O_MIN,
  O_MAX,
  O_NEG,
  O_ABS,
  O_SQRT,
  O_RCP,
  O_RSQRT,
  O_EX2,
  O_LG2,
  O_SIN,
  O_COS,
  O_TANH,
  O_COPYSIGN
};
enum {
  C_EQ,
  C_NE,
  C_LT,
  C_LE,
  C_GT,
  C_GE,
  C_LO,
  C_LS,
  C_HI,
  C_HS,
  C_EQU,
  C_NEU,
  C_LTU,
  C_LEU,
  C_GTU,
  C_GEU,
  C_NUM,
  C_NAN
};

/* floats */
static inline float emu_f(u32 v) {
  union {
    u32 u;
    float f;
  } x = {v};
  return x.f;
}
static inline u32 emu_u(float v) {
  union {
    float f;
    u32 u;
  } x = {v};
  return x.u;
}
static inline double emu_d(u64 v) {
  union {
    u64 u;
    double f;
  } x = {v};
  return x.f;
}
static inline u64 emu_ud(double v) {
  union {
    double f;
    u64 u;
  } x = {v};
  return x.u;
}
static inline float emu_from_bf16(u32 v) {
  return emu_f(v << 16);
}
EMU_API u32 emu_to_bf16(float v, int round);
float emu_from_f16(u32 v);
u32 emu_to_f16(double v);

#endif
