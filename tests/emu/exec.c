/* The scheduler: blocks one after another, the warps of a block until each waits at the barrier or has ended. In a
 * warp the lanes at the lowest place in the code run first and together: that alone gives divergence and
 * reconvergence. */
#include "impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

emu *emu_new(const emu_options *o) {
  emu *m = calloc(1, sizeof *m);
  if (!m) return NULL;
  m->epoch = 1;
  emu_set_options(m, o);
  return m;
}
void emu_free(emu *m) {
  if (!m) return;
  for (int64_t i = 0; i < m->n_regions; i++) {
    emu_region_clear(m->regions[i]);
    free(m->regions[i]);
  }
  free(m->regions);
  free(m);
}
void emu_set_options(emu *m, const emu_options *o) {
  m->o = *o;
  if (m->o.limit == 0) m->o.limit = 4000000000u;
  m->random = o->seed * 0x9e3779b97f4a7c15u + 1;
}

static u32 below(emu *m, u32 n) {
  m->random ^= m->random << 13;
  m->random ^= m->random >> 7;
  m->random ^= m->random << 17;
  return (u32)((m->random >> 32) * n >> 32);
}
/* 0 .. n-1, shuffled when there is a seed */
static void order(emu *m, u32 *v, u32 n) {
  for (u32 i = 0; i < n; i++) v[i] = i;
  if (m->o.seed == 0) return;
  for (u32 i = n; i > 1; i--) {
    u32 j = below(m, i), t = v[j];
    v[j] = v[i - 1];
    v[i - 1] = t;
  }
}

/* --- one warp --- */

static void set_pc(warp *w, u32 lanes, u32 pc) {
  for (; lanes; lanes &= lanes - 1) w->pc[__builtin_ctz(lanes)] = pc;
}

/* The lanes at the lowest pc; `limit`: the next higher pc of a lane that can run. */
static u32 lowest(const warp *w, u32 runnable, u32 *pc, u32 *limit) {
  u32 lanes = 0;
  *pc = *limit = FULL;
  for (u32 x = runnable; x; x &= x - 1) {
    u32 l = (u32)__builtin_ctz(x), p = w->pc[l];
    if (p < *pc) {
      *limit = *pc;
      *pc = p;
      lanes = 1u << l;
    } else if (p == *pc) {
      lanes |= 1u << l;
    } else if (p < *limit) {
      *limit = p;
    }
  }
  return lanes;
}

static void barrier(warp *w, const ins *i, u32 lanes) {
  w->wait |= lanes;
  if (i->op) {
    u32 v = *WREG(i->a[0]);
    w->vote = (w->vote & ~lanes) | ((i->imm ? ~v : v) & lanes);
  }
}

/* Runs lanes that stand together until they part, meet others, wait or end. */
static void run_together(emu *m, warp *w, u32 lanes, u32 pc, u32 limit) {
  const ins *code = m->k->code;
  emu_counters *count = &m->k->count;
  u64 steps = 0, partial = 0;
  while (pc < limit && !m->failed) {
    const ins *i = &code[pc];
    u32 mask = lanes;
    if (i->pred >= 0) mask &= i->not_pred ? ~*WREG(i->pred) : *WREG(i->pred);
    steps++;
    partial += mask != FULL;
    if (i->flow == F_PLAIN) {
      if (mask) i->fn(m, w, i, mask);
      pc++;
      continue;
    }
    if (mask == 0) {
      pc++;
    } else if (i->flow == F_BRANCH) {
      if (mask != lanes) {
        set_pc(w, mask, (u32)i->target);
        set_pc(w, lanes & ~mask, pc + 1);
        lanes = 0;
        break;
      }
      if ((u32)i->target <= pc &&
          (m->steps += steps, count->instructions += steps, steps = 0, m->steps > m->o.limit)) {
        emu_fault(m, w, i, __builtin_ctz(mask), "still running after %llu warp instructions",
                  (unsigned long long)m->steps);
      }
      pc = (u32)i->target;
    } else {
      if (i->flow == F_EXIT) {
        w->live &= ~mask;
      } else {
        barrier(w, i, mask);
        count->barriers++;
        set_pc(w, mask, pc);
      }
      lanes &= ~mask;
      pc++;
      if (!lanes) break;
    }
  }
  set_pc(w, lanes, pc);
  m->steps += steps;
  count->instructions += steps;
  count->partial += partial;
}

static void run_warp(emu *m, warp *w) {
  u32 pc, limit;
  while (w->live & ~w->wait && !m->failed) {
    u32 lanes = lowest(w, w->live & ~w->wait, &pc, &limit);
    if (pc >= (u32)m->k->n) {
      w->live &= ~lanes; /* the end of the text is an exit */
      continue;
    }
    run_together(m, w, lanes, pc, limit < (u32)m->k->n ? limit : (u32)m->k->n);
  }
}

/* --- one block --- */

static void set_special(emu *m, warp *w) {
  const emu_launch_args *a = m->a;
  for (u32 l = 0; l < 32; l++) {
    u32 t = (u32)w->index * 32 + l, bit = 1u << l;
    u32 v[N_SPECIAL] = {t % a->block[0],
                        t / a->block[0] % a->block[1],
                        t / (a->block[0] * a->block[1]),
                        m->block[0],
                        m->block[1],
                        m->block[2],
                        a->block[0],
                        a->block[1],
                        a->block[2],
                        a->grid[0],
                        a->grid[1],
                        a->grid[2],
                        l,
                        (u32)w->index,
                        (u32)m->n_warps,
                        0,
                        0,
                        0,
                        0,
                        bit,
                        bit | (bit - 1),
                        bit - 1,
                        ~(bit - 1),
                        ~(bit | (bit - 1))};
    for (int k = 0; k < N_SPECIAL; k++) {
      if (m->k->special[k] < 0) continue;
      if (k == 17 || k == 18) {
        DREG(m->k->special[k])[l] = v[k];
      } else {
        WREG(m->k->special[k])[l] = v[k];
      }
    }
  }
}

static void start_block(emu *m) {
  u32 threads = m->a->block[0] * m->a->block[1] * m->a->block[2];
  m->block_start = ++m->epoch;
  if (m->shared.size) {
    memset(m->shared.mem, 0xff, m->shared.size);
    memset(m->shared.valid, 0, m->shared.size);
  }
  if (m->k->local) memset(m->local_valid, 0, m->k->local * (size_t)m->n_warps * 32);
  for (int k = 0; k < m->n_warps; k++) {
    warp *w = &m->warps[k];
    u32 left = threads - (u32)k * 32;
    w->index = k;
    w->exists = w->live = left >= 32 ? FULL : (1u << left) - 1;
    w->wait = 0;
    w->sub = 0;
    w->n_queue = 0;
    memset(w->pc, 0, sizeof w->pc);
    memset(w->groups, 0, sizeof w->groups);
    memcpy(w->R, m->k->fresh, (size_t)m->k->words * 4);
    set_special(m, w);
  }
}

static void reduce_votes(emu *m, const ins *i) {
  u32 n = 0, total = 0;
  for (int k = 0; k < m->n_warps; k++) {
    n += (u32)__builtin_popcount(m->warps[k].vote & m->warps[k].exists);
    total += (u32)__builtin_popcount(m->warps[k].exists);
  }
  for (int k = 0; k < m->n_warps; k++) {
    warp *w = &m->warps[k];
    if (i->op == 1) {
      for (int l = 0; l < 32; l++) WREG(i->d[0])[l] = n;
    } else {
      *WREG(i->d[0]) = (i->op == 2 ? n == total : n > 0) ? FULL : 0;
    }
  }
}

/* All lanes that live wait. They must wait at one place, and nobody may have left. */
static void release(emu *m) {
  u32 pc = FULL;
  for (int k = 0; k < m->n_warps; k++) {
    warp *w = &m->warps[k];
    for (u32 x = w->live; x; x &= x - 1) {
      int l = __builtin_ctz(x);
      if (pc == FULL) pc = w->pc[l];
      if (w->pc[l] != pc) {
        emu_fault(m, w, &m->k->code[w->pc[l]], l, "divergent barrier: other threads wait at PTX line %u",
                  m->k->code[pc].line);
        return;
      }
    }
  }
  for (int k = 0; k < m->n_warps; k++) {
    warp *w = &m->warps[k];
    if (w->live == w->exists) continue;
    u32 x = w->live ? w->live : w->exists;
    emu_fault(m, w, &m->k->code[pc], __builtin_ctz(x), "divergent barrier: lanes %08x of warp %d have exited",
              w->exists & ~w->live, k);
    return;
  }
  if (m->k->code[pc].op) reduce_votes(m, &m->k->code[pc]);
  m->epoch++;
  for (int k = 0; k < m->n_warps; k++) {
    m->warps[k].wait = 0;
    m->warps[k].sub = 0;
    set_pc(&m->warps[k], m->warps[k].live, pc + 1);
  }
}

static void run_block(emu *m) {
  u32 turn[32], alive = 1;
  start_block(m);
  while (alive && !m->failed) {
    alive = 0;
    order(m, turn, (u32)m->n_warps);
    for (int k = 0; k < m->n_warps && !m->failed; k++) {
      run_warp(m, &m->warps[turn[k]]);
      alive |= m->warps[turn[k]].live;
    }
    if (alive && !m->failed) release(m);
  }
}

/* --- the launch --- */

static int make_room(emu *m) {
  u32 threads = m->a->block[0] * m->a->block[1] * m->a->block[2];
  size_t shared = m->a->dynamic_shared ? (m->k->shared + 127) / 128 * 128 + m->a->dynamic_shared : m->k->shared;
  m->n_warps = (int)((threads + 31) / 32);
  m->warps = calloc((size_t)m->n_warps, sizeof *m->warps);
  if (!m->warps || emu_region_init(&m->shared, shared)) return -1;
  for (int k = 0; k < m->n_warps; k++)
    if (posix_memalign((void **)(void *)&m->warps[k].R, 64, (size_t)m->k->words * 4)) return -1;
  if (m->k->local) {
    size_t n = m->k->local * (size_t)m->n_warps * 32;
    m->local = malloc(n);
    m->local_valid = malloc(n);
    if (!m->local || !m->local_valid) return -1;
    memset(m->local, 0xff, n);
  }
  return 0;
}
static void clear_room(emu *m) {
  for (int k = 0; m->warps && k < m->n_warps; k++) {
    free(m->warps[k].R);
    free(m->warps[k].queue);
  }
  free(m->warps);
  free(m->local);
  free(m->local_valid);
  emu_region_clear(&m->shared);
  m->warps = NULL;
  m->local = m->local_valid = NULL;
}

static void forget_marks(emu *m) {
  for (int64_t i = 0; i < m->n_regions; i++) {
    region *r = m->regions[i];
    memset(r->marks, 0, ((r->size + 7) / 8 * 2 + 1) * sizeof *r->marks);
    free(r->halves);
    r->halves = NULL;
  }
  m->epoch = 1;
}

int emu_launch(emu *m, emu_kernel *k, const emu_launch_args *a) {
  u64 threads = (u64)a->block[0] * a->block[1] * a->block[2], blocks = (u64)a->grid[0] * a->grid[1] * a->grid[2];
  m->k = k;
  m->a = a;
  m->failed = false;
  m->steps = 0;
  if (threads == 0 || threads > (u64)k->max_threads || blocks == 0 || blocks > 1u << 24) {
    emu_fail(m, "kernel %s: %llu blocks of %llu threads (at most %d)", k->name, (unsigned long long)blocks,
             (unsigned long long)threads, k->max_threads);
    return -1;
  }
  if (m->epoch > 1u << 31) forget_marks(m);
  m->launch_start = ++m->epoch;
  memset(m->params, 0, sizeof m->params);
  if (k->param_bytes) memcpy(m->params, a->params, k->param_bytes);
  u32 *turn = malloc(blocks * sizeof *turn);
  if (!turn || make_room(m)) {
    emu_fail(m, "no memory");
  } else {
    order(m, turn, (u32)blocks);
    for (u64 b = 0; b < blocks && !m->failed; b++) {
      m->block[0] = turn[b] % a->grid[0];
      m->block[1] = turn[b] / a->grid[0] % a->grid[1];
      m->block[2] = turn[b] / (a->grid[0] * a->grid[1]);
      run_block(m);
    }
  }
  k->count.launches++;
  free(turn);
  clear_room(m);
  return m->failed ? -1 : 0;
}

/* --- kernels --- */

const char *emu_kernel_name(const emu_kernel *k) {
  return k->name;
}
size_t emu_kernel_params(const emu_kernel *k) {
  return k->param_bytes;
}
int emu_kernel_param(const emu_kernel *k, int i, size_t *offset, size_t *size) {
  if (i < 0 || i >= k->n_params) return -1;
  *offset = k->params[i].offset;
  *size = k->params[i].size;
  return 0;
}
size_t emu_kernel_shared(const emu_kernel *k) {
  return k->shared;
}
size_t emu_kernel_local(const emu_kernel *k) {
  return k->local;
}
int emu_kernel_max_threads(const emu_kernel *k) {
  return k->max_threads;
}
const emu_counters *emu_kernel_counters(const emu_kernel *k) {
  return &k->count;
}
