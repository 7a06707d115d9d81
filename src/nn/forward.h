#pragma once

#include <map>
#include <utility>
#include <vector>

#include "nn/network.h"
#include "nn/run.h"

namespace weft::nn {

/// cos and sin of rotary angles, [tokens, width / 2].
struct Angles {
  Tensor cos, sin;
};

/// Angles at `positions` [tokens] of sequences that are `total` [tokens] long in all (int64, one entry per token).
Angles angles_of(const Rope& rope, const Tensor& positions, const Tensor& total);
/// Rotates the leading part of every head, halves against each other: x [tokens, heads, head_dim].
Tensor rotate(const Tensor& x, const Angles& angles);
/// The same for queries and (where defined) keys, in their own memory where no gradient needs it.
void rotate_heads(Tensor& q, Tensor& k, const Angles& angles, int threads);

/// What the layers of a stack share in one forward pass.
struct StackState {
  const Stack& stack;
  std::vector<Angles> angles;  ///< of stack.ropes, for the new tokens
  /// T5's bias [heads, length, past + length] by (length, past).
  std::map<std::pair<std::int64_t, std::int64_t>, Tensor> relative;
};

/// Token (and position, type) embeddings of a batch, [tokens, width]. `ids` and `types` (or undefined) int64 [tokens].
Tensor embed(const Input& input, const Tensor& ids, const Tensor& types, const Run& run);
/// True if embed() gives all copies of a batch the same: no expert acts there.
bool input_is_shared(const Input& input, const Run& run);
/// All blocks of a stack and its final norm over `hidden` [tokens, width], which may be overwritten. With run.copies,
/// `hidden` may be that of the first copy alone.
Tensor run_stack(const Stack& stack, Tensor hidden, const Run& run);
/// Index of the first block in which an expert acts, or how many blocks there are.
size_t first_adapted_layer(const Stack& stack, const Run& run);
/// The blocks [begin, end) alone over `hidden`, which may be overwritten.
Tensor run_layers(const Stack& stack, Tensor hidden, const Run& run, size_t begin, size_t end);
/// The final norm, where there is one.
Tensor finish_stack(const Stack& stack, const Tensor& hidden, const Run& run);
/// Self-attention of layer `index`: [tokens, width] -> [tokens, width].
Tensor self_attention(const Attention& attention, const StackState& state, int index, const Tensor& x, const Run& run);
/// Cross-attention of layer `index` to run.encoder_states.
Tensor cross_attention(const Attention& attention, int index, const Tensor& x, const Run& run);
/// Logits [rows, vocabulary] of states [rows, width] that belong to the tokens of `run.layout`.
Tensor project(const Network& network, const Tensor& states, const Run& run);

}  // namespace weft::nn
