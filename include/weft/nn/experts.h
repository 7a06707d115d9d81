#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "weft/adapter/pool.h"
#include "weft/core/error.h"
#include "weft/core/log.h"
#include "weft/core/tensor.h"

namespace weft::nn {

/// How weights act on the factors of several adapters.
enum class Rule {
  kDelta,    ///< ΔW = Σ w ΔW: a diagonal middle matrix; exact, signs meaningful, any ranks
  kFactors,  ///< A and B averaged apart, ΔW = (Σ w s B)(Σ w A): an outer product with cross terms, equal ranks only
};

/**
 * The adapters ("experts") of a pool stacked for one model: per module A_cat [ΣR, in] and B_cat [out, ΣR], and what
 * variants add. Made by BaseModel::attach(); never touches the base weights. Cheap to copy (shared, immutable);
 * several can serve one model at the same time.
 */
class WEFT_API Experts {
 public:
  Experts() = default;  ///< no adapters at all
  /// Names in the order of the pool, which is the order of weights.
  const std::vector<std::string>& names() const;
  /// How many.
  std::int64_t count() const;
  /// Bytes held by the stacked factors.
  std::int64_t bytes() const;
  /// Names of the modules that have any update, in the model's order.
  const std::vector<std::string>& modules() const;

  struct Data;
  explicit Experts(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  const Data* data() const { return data_.get(); }

 private:
  std::shared_ptr<const Data> data_;
};

/**
 * The weights of the experts in one forward pass: the middle matrix G of every module, as rows of a table. A row holds
 * for the whole batch, for a sequence or for a token, whichever `rows` says.
 */
struct WEFT_API Mix {
  Rule rule = Rule::kDelta;
  Tensor weights;  ///< float32 [rows, N], or [rows, groups, N] with `group_of_module`
  /// Which group of weights a module takes, by its index in Experts::modules(); empty: all take the only one.
  std::vector<std::int64_t> group_of_module;

  /// What the rows stand for. kModel: one row. kSequence: one per sequence of the batch, in order. kToken: one per
  /// token of the batch, sequences end to end. kCandidate: the whole batch is run once per row, in one pass that shares
  /// everything below the first adapted block; results come candidate by candidate.
  enum class Rows { kModel, kSequence, kToken, kCandidate } rows = Rows::kModel;

  /// One row of weights for everything.
  static Mix of(const std::vector<double>& weights, Rule rule = Rule::kDelta);
  /// Sequence i is served by adapter `choice[i]` alone; -1: by the base alone. `count`: how many adapters there are.
  static Mix choose(const std::vector<std::int64_t>& choice, std::int64_t count);
};

}  // namespace weft::nn
