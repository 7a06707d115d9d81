#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weft/core/tensor.h"

namespace weft::nn {

/// A weight matrix of the base, as stored: a view of the mapped file where dtype and device allow.
struct Linear {
  std::string name;              ///< as adapters name it: `model.layers.0.self_attn.q_proj`
  Tensor weight;                 ///< [out, in], or [in, out] when `transposed` (GPT-2's Conv1D)
  Tensor bias;                   ///< [out] or undefined
  std::int64_t out = 0, in = 0;  ///< shape of the map
  bool transposed = false;
};

/// Linears that read the same input; the factors A of their experts are one matrix. Empty parts: there is none.
struct LinearGroup {
  std::vector<Linear> parts;
  int index = -1;  ///< among the groups of the model; numbered by number_sites()

  bool present() const { return !parts.empty(); }
};

/// A table [rows, width] looked up by index.
struct Embedding {
  std::string name;
  Tensor weight;   ///< [rows, width] or undefined: there is none
  int index = -1;  ///< among the embeddings of the model

  bool present() const { return weight.defined(); }
};

/// A normalisation over the last dimension, computed in float32.
struct Norm {
  enum class Kind {
    kLayer,      ///< LayerNorm with weight and (where defined) bias
    kRms,        ///< x / rms(x) * weight
    kRmsPlusOne  ///< x / rms(x) * (1 + weight): Gemma
  };
  std::string name;
  Kind kind = Kind::kLayer;
  Tensor weight, bias;  ///< float32 [width]; weight undefined: there is no norm here
  double eps = 1e-5;
  bool plain = false;  ///< without parameters: the weight is ones for good

  bool present() const { return weight.defined(); }
};

enum class Activation { kRelu, kSilu, kGelu, kGeluTanh, kTanh };

/// `silu`, `gelu`, `gelu_new`, … as configs spell them; throws UnsupportedError naming `where` and what is known.
Activation parse_activation(const std::string& name, const std::string& where);

/// Feed-forward block. Gated: down(act(gate) * up).
struct Mlp {
  LinearGroup up;      ///< [gate, up] or one fused [gate; up] when gated, else one
  LinearGroup down;    ///< one
  bool gated = false;  ///< up.parts.size() == 1 and gated: the output's halves are gate and up
  Activation activation = Activation::kSilu;
};

/// Rotary angles of one kind of layer.
struct Rope {
  enum class Kind { kDefault, kLinear, kDynamic, kLlama3, kYarn, kLongRope };
  Kind kind = Kind::kDefault;
  std::int64_t width = 0;         ///< rotated leading part of head_dim, even
  double theta = 10000.0;         ///< base
  double factor = 1.0;            ///< kDynamic; the others have it in `frequencies`
  std::int64_t original = 0;      ///< length in training: where kDynamic and kLongRope begin to differ
  double attention_factor = 1.0;  ///< multiplies cos and sin (kYarn, kLongRope)
  Tensor frequencies;             ///< float32 [width / 2]
  Tensor long_frequencies;        ///< kLongRope: beyond `original`

  /// True if angles of earlier positions change as a sequence grows, so that cached keys are kept unrotated.
  bool depends_on_length() const { return kind == Kind::kDynamic || kind == Kind::kLongRope; }
};

/// How one fused projection holds queries, keys and values.
enum class QkvLayout {
  kSeparate,  ///< three linears
  kConcat,    ///< one, rows [q; k; v]
  kPerHead    ///< one, rows [q_0; k_0; v_0; q_1; …] head by head (GPT-NeoX, BLOOM)
};

struct Attention {
  LinearGroup qkv;       ///< inputs of self-attention; of cross-attention the queries alone
  LinearGroup cross_kv;  ///< cross-attention: keys and values of the encoder's states
  LinearGroup out;
  QkvLayout layout = QkvLayout::kSeparate;
  Norm q_norm, k_norm;  ///< per head, before rotation (Qwen3, Gemma 3)
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double scale = 1.0;       ///< multiplies q·k
  double softcap = 0.0;     ///< cap · tanh(score / cap) where above 0 (Gemma 2)
  std::int64_t window = 0;  ///< a token sees itself and window - 1 before it; 0: all
  bool causal = true;
  int rope = -1;               ///< index into Stack::ropes, -1: none
  std::vector<float> alibi;    ///< slope per head (BLOOM), empty: none
  bool relative_bias = false;  ///< adds Stack's bias table (T5)

  bool present() const { return out.present(); }
};

/// One transformer block.
struct Layer {
  enum class Order {
    kPre,      ///< h += after(attention(before(h))); h += after(mlp(before(h)))
    kPost,     ///< h = after(h + attention(h)); h = after(h + mlp(h))
    kParallel  ///< h += attention(before_attention(h)) + mlp(before_mlp(h))
  };
  Order order = Order::kPre;
  bool residual_from_norm = false;  ///< kPre: the residual is the normed input (BLOOM's option)
  Norm before_attention, after_attention, before_cross, before_mlp, after_mlp;
  Attention attention, cross;
  Mlp mlp;
};

/// T5's learned bias by distance, shared by all layers of a stack.
struct RelativeBias {
  Embedding table;  ///< [buckets, heads] or absent
  std::int64_t buckets = 0, max_distance = 0;
  bool bidirectional = false;
};

/// A pile of blocks with what stands around them.
struct Stack {
  std::vector<Layer> layers;
  std::vector<Rope> ropes;
  RelativeBias relative;
  Norm final_norm;
};

}  // namespace weft::nn
