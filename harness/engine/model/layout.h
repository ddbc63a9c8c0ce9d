/* A joint design as data: which rows exist, what each row is, and who may look at whom (DESIGN 4).
 *
 * A variant fills a `layout`; the DiT is written once over it. Rows of a batch lie segment after segment:
 * [segment 0 of sample 0, of sample 1, ... | segment 1 of sample 0, ...], so that a segment of the whole batch is one
 * matrix view. */
#ifndef TD_MODEL_LAYOUT_H
#define TD_MODEL_LAYOUT_H

#include <stdint.h>

#define LAYOUT_SEGMENTS 4

typedef enum seg_kind { SEG_TEXT, SEG_VIDEO } seg_kind;
/* Whose latents a video segment carries. FUSED: both, stacked on channels (latent-dimension extension). */
typedef enum stream_kind { STREAM_RGB, STREAM_ALPHA, STREAM_FUSED } stream_kind;

typedef struct segment {
  seg_kind kind;
  stream_kind stream; /* video segments */
  int entry;          /* the sequence of the sample it belongs to; information for traces and plans */
  int clean;          /* rows see time step 0 (the condition of generation-then-prediction) */
  int lora;           /* rows carry the LoRA update of q, k, v, o */
  int domain;         /* the domain embedding is added once, before block 0 */
  int continued;      /* time positions go on after the RGB half instead of being shared with it */
} segment;

typedef struct layout {
  int n_seg;
  segment seg[LAYOUT_SEGMENTS];
  /* sees[q][k]: rows of segment q attend to rows of segment k; bias[q][k] is added to those logits. */
  unsigned char sees[LAYOUT_SEGMENTS][LAYOUT_SEGMENTS];
  float bias[LAYOUT_SEGMENTS][LAYOUT_SEGMENTS];
  int streams; /* latent halves in the input tensor: 1 (RGB only) or 2 (RGB then alpha on the frame axis) */
  int loss_rgb, loss_alpha; /* which halves are predicted and enter the loss */
  int exchange;             /* an exchange module between the two video segments after each attention residual */
  int exchange_heads;
  int widened;      /* latent_in / latent_out projections exist (latent-dimension extension) */
  int out_copy;     /* latent_out starts as a copy of the base head (else zero) */
  int domain;       /* a domain embedding exists */
  int lora;         /* LoRA exists */
  int shared_start; /* the sampler starts both halves from the same noise */
  int two_pass;     /* the RGB half is sampled first by the base model, then given (generation then prediction) */
  int rgb_is_base;  /* the design promises RGB rows bit-equal to the base model's */
} layout;

#endif
