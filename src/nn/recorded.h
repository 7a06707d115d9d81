#pragma once

#include <cstdint>
#include <vector>

#include "linalg/attend.h"
#include "linalg/row_ops.h"
#include "nn/mix_plan.h"
#include "nn/modules.h"

namespace weft::nn {

// Operations with gradients of our own, for float32 on a CPU: they keep less than libtorch's operators would and make
// again what is cheap. Weights of the base are handles, of which nothing is kept in another dtype. The gradient of what
// does not want one is not made. None of them can be differentiated twice.

/// Whether recorded_group() does a group: frozen weights, factors of which at most those want gradients.
bool can_record_group(const LinearGroup& group, const Tensor& x, const Mixing& mixing);
/// What apply() says of a group, without replaced parameters, rescaled products and what add_extras() adds.
std::vector<Tensor> recorded_group(const LinearGroup& group, const Tensor& x, const Mixing& mixing);
/// x · Wᵀ [tokens, out] with a frozen weight of any stored dtype.
Tensor recorded_product(const Tensor& x, const Tensor& weight, bool transposed);

/// The kernel of an activation.
linalg::Activation kernel_of(Activation activation);
/// The norm of every row; weight and bias may want gradients.
Tensor recorded_norm(const Norm& norm, const Tensor& x);
/// act(x), or act(x) · up where `up` is defined; rows without gaps inside them.
Tensor recorded_activation(Activation activation, const Tensor& x, const Tensor& up);
/// act(left half) · right half of every row.
Tensor recorded_halves(Activation activation, const Tensor& both);

/// Attention of whole sequences without a cache.
struct AttendCall {
  const Attention* attention = nullptr;
  std::vector<linalg::AttendSequence> sequences;
  std::vector<Tensor> biases;  ///< what the sequences' biases point into
  Tensor cos, sin;             ///< rotary angles [tokens, width / 2], or undefined
  bool causal = false;
  int threads = 0;
};
/// `sources`: queries, keys and values [tokens, heads · head_dim] each, or one tensor that holds them in the
/// attention's layout. Returns [tokens, heads · head_dim]; without gradients too.
Tensor recorded_attention(const AttendCall& call, const std::vector<Tensor>& sources);

/// −log softmax(states · Wᵀ + bias)[target] of every row, float32 [rows]: never more than a slice of the logits at a
/// time. The head is frozen. Without gradients too.
Tensor recorded_likelihood(const Linear& head, const Tensor& states, const Tensor& targets);
/// −log softmax(logits)[target] of every row.
Tensor recorded_likelihood_of(const Tensor& logits, const Tensor& targets);

/// The mean over each sequence's rows, [sequences, width]; `offsets` as Layout has them.
Tensor recorded_means(const Tensor& states, const std::vector<std::int64_t>& offsets);

}  // namespace weft::nn
