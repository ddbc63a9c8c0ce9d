/* Instruction-set levels: kernel files are compiled once per level, and chosen by what the processor has. */
#ifndef TD_OPS_CPU_ISA_H
#define TD_OPS_CPU_ISA_H

/* 1 when this processor can run code of the x86-64 level "v2", "v3" or "v4"; elsewhere of "generic". */
int isa_present(const char *isa);

#endif
