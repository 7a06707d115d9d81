#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "nn/network.h"
#include "nn/run.h"

namespace weft::nn {

/**
 * What comes out of the blocks below the first adapted one, by sequence. It stays as it is while an adapter is trained,
 * so that each sequence goes through these blocks once, however often it is seen. A sequence is run alone: its numbers
 * do not depend on the batches it is met in, and a training that goes on in another process has the same.
 */
class LowerStates {
 public:
  /// Bytes that sequences of so many tokens in all take.
  static std::int64_t bytes(std::int64_t tokens, std::int64_t width) { return tokens * width * 4; }

  /// [tokens, width] of a sequence, or undefined.
  Tensor find(const std::vector<std::int64_t>& ids) const;
  void keep(const std::vector<std::int64_t>& ids, const Tensor& states);

 private:
  mutable std::mutex mutex_;
  std::map<std::vector<std::int64_t>, Tensor> held_;
};

/// Embeddings, blocks and final norm of a batch without cached tokens, as run_stack() over embed(); what lies below the
/// first adapted block comes from `lower`, which grows. All passes with one `lower` adapt the same blocks.
Tensor run_above(const Input& input, const Stack& stack, const Tensor& ids, const Run& run, LowerStates& lower);

}  // namespace weft::nn
