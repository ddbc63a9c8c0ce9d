/* One forward pass on tensors from a file, with the rows in between: for people who convert weights or doubt a
 * number.
 *
 * Reads `in.latents` [B, streams*F, C, H, W], `in.text` [B, T, text_dim], `in.timestep` [B] and, for models with an
 * ofs embedding, `in.ofs` [B]. Adds `output` to the writer and, when tracing, `embed`, `block.N`, `norm_out`,
 * `time_emb`: rows in sample order, [text | video] or [text | RGB | alpha] of a sample; designs with two sequences
 * have 2B entries, RGB entries first. All F32. */
#ifndef TD_MODEL_PROBE_H
#define TD_MODEL_PROBE_H

#include "model/dit.h"

int probe_forward(ctx *c, const dit *m, const adapter *a, const layout *l, const st_file *in, int trace,
                  st_writer *out) TD_MUST_CHECK;

#endif
