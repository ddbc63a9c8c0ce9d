/* The T5 v1.1 encoder: token ids -> rows of text. Inference only.
 *
 * Source of the formulas: spec/model.md 8. RMS norms, no biases, logits without scaling plus a relative position bias
 * whose table only block 0 has, gated tanh-GELU, no padding mask: pad positions are rows like any other.
 *
 * The encoder is as large as the DiT and is run once for a list of prompts, so its weights are never resident: one
 * block after another is read into one slot and applied to all prompts. Each tensor is read once a call. */
#ifndef TD_MODEL_T5_H
#define TD_MODEL_T5_H

#include "base/json.h"
#include "model/dit.h"
#include "model/plan.h"
#include "model/safetensors.h"

#define T5_ROWS 226 /* rows of a prompt in CogVideoX */

/* config.json of T5EncoderModel */
typedef struct t5_config {
  int layers, heads, head_dim, width, ff; /* num_layers, num_heads, d_kv, d_model, d_ff */
  int vocab, buckets, max_distance;
  int pad_id, eos_id;
  double eps;
} t5_config;

int t5_config_read(err *e, const json *j, const char *name, t5_config *out) TD_MUST_CHECK;
/* The tensors of the encoder, without memory behind them (offsets count from 0). The caller frees *out. */
int t5_params(err *e, const t5_config *cfg, param **out, int64_t *n) TD_MUST_CHECK;
/* Do the weights fit the config? One message names every hyper-parameter that config and shapes disagree about (with
 * both values), and the missing, misshapen and extra tensors. `config` is a name for messages. */
int t5_check(err *e, const t5_config *cfg, const char *config, const st_file *w) TD_MUST_CHECK;
/* Bucket of a relative position, key minus query (bidirectional). */
int t5_bucket(const t5_config *cfg, int64_t delta);

typedef struct t5_request {
  const t5_config *cfg;
  const st_file *weights; /* checked by t5_check; unused on the null backend */
  const int32_t *ids;     /* host, [batch, length], each in 0 .. vocab-1 */
  int64_t batch, length;
  /* after every block; a result other than 0 stops with E_INTERRUPTED. May be NULL. */
  int (*progress)(void *user, int64_t done, int64_t total);
  /* the rows before block i, i = 0 .. layers-1, [batch * length, width] in backend memory. May be NULL. */
  int (*trace)(void *user, ctx *c, int layer, view rows);
  void *user;
} t5_request;

/* out: host, [batch, length, width]. Replaces the context's arena. Rows of a prompt have the same bits whatever other
 * prompts are encoded with it. */
int t5_encode(ctx *c, const t5_request *r, real *out) TD_MUST_CHECK;
/* Bytes (weights slot and activations: arena), parameters and work of that call, from the null backend. */
int t5_measure(err *e, const t5_config *cfg, int64_t batch, int64_t length, plan_cost *out) TD_MUST_CHECK;

#endif
