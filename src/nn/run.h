#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/gate.h"
#include "nn/modules.h"
#include "weft/core/tensor.h"
#include "weft/nn/batch.h"
#include "weft/nn/experts.h"

namespace weft::nn {

/// Where the tokens of a batch lie: sequences end to end, each after `past` cached tokens.
struct Layout {
  std::vector<std::int64_t> lengths;  ///< new tokens per sequence
  std::vector<std::int64_t> past;     ///< cached tokens per sequence
  std::vector<std::int64_t> offsets;  ///< lengths.size() + 1 prefix sums

  Tensor token_index;  ///< int64: which tokens of the batch the rows are, or undefined: all, in order

  static Layout of(std::vector<std::int64_t> lengths, std::vector<std::int64_t> past = {});
  std::int64_t sequences() const { return static_cast<std::int64_t>(lengths.size()); }
  std::int64_t tokens() const { return offsets.back(); }
  /// The first `count` sequences alone.
  Layout head(std::int64_t count) const;
  /// Neighbouring sequences [first, last) of equal length and past, to be handled together.
  struct Span {
    std::int64_t first, last;
  };
  std::vector<Span> spans() const;
  Tensor positions() const;          ///< int64 [tokens]: past + 0, 1, 2, … of each sequence
  Tensor totals() const;             ///< int64 [tokens]: past + length of each token's sequence
  Tensor sequence_of_token() const;  ///< int64 [tokens]
};

/// Keys and values of the tokens seen so far, for one stack.
struct KvCache {
  struct Layer {
    Tensor k, v;              ///< float32 [sequences, kv_heads, capacity, head_dim]; keys unrotated where Rope says so
    Tensor cross_k, cross_v;  ///< of the encoder's states: [its tokens, kv_heads, head_dim]
  };
  std::vector<Layer> layers;
  std::vector<std::int64_t> lengths;  ///< tokens held per sequence
  std::int64_t capacity = 0;

  /// Room for `more` further tokens of every sequence (grows by doubling).
  void reserve(std::int64_t more);
  /// Keeps the sequences listed, in that order (finished ones leave a batch).
  void keep(const std::vector<std::int64_t>& sequences);
  std::int64_t bytes() const;
};

/// What one forward pass carries along.
struct Run {
  Layout layout;
  const Experts::Data* experts = nullptr;  ///< null: the base alone
  const Gate* gate = nullptr;              ///< set whenever experts is
  KvCache* cache = nullptr;
  const Layout* encoder = nullptr;  ///< cross-attention: where the encoder's tokens lie
  Tensor encoder_states;            ///< [encoder tokens, width]
  /// The batch is the same sequences so many times over, for other weights each time: blocks below the first adapted
  /// one are run once.
  std::int64_t copies = 1;
  bool check = false;  ///< look at every module's output and name the first non-finite one
  int threads = 0;     ///< of our own kernels; 0: as libtorch is set
};

/// Throws InputError naming `module` if `run.check` and `y` holds NaN or Inf.
void check_finite(const Run& run, const Tensor& y, const std::string& module);

}  // namespace weft::nn
