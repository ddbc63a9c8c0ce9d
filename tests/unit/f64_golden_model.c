/* The same parity on the double build: gradients against the peers' own double run. */
#include "eng_golden_model.c"
