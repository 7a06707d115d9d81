#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/network.h"
#include "nn/trainable.h"
#include "train/adamw.h"
#include "weft/adapter/adapter.h"
#include "weft/train/options.h"

namespace weft::train {

/// What transformers' class calls a module, where that is not what the checkpoint calls it: an adapter that names
/// modules otherwise is ignored by PEFT without a word.
std::string name_in_class(const std::string& family, const std::string& module);

/// The modules that `options` name, in the network's order. @throws UsageError with the nearest name for a target that
/// names nothing, for one that is no linear, and for blocks that there are not.
std::vector<std::string> target_modules(nn::Network& network, const LoraOptions& options);

/**
 * An adapter that is about to be trained: its leaves, and how a network reads them. A is drawn as PEFT draws it,
 * uniform in ±1 / sqrt(in), by seed and module alone, so that adapters of one seed share it; B is zero.
 */
class LoraLeaves {
 public:
  /// `start`: an adapter whose factors are the first values, or nullptr. @throws InputError / UsageError when it does
  /// not fit: another variant, modules that are not targets, a higher rank.
  LoraLeaves(nn::Network network, const TrainOptions& options, const adapter::Adapter* start);

  std::vector<Leaf>& leaves() { return leaves_; }
  const std::vector<std::string>& modules() const { return modules_; }
  /// What the network adds for the leaves as they are now.
  nn::Experts experts(double dropout, std::uint64_t key) const { return trainable_->experts(dropout, key); }
  const nn::Trainable& trainable() const { return *trainable_; }
  /// See nn::Trainable.
  void keep_lower_states() { trainable_->keep_lower_states(); }
  bool transposed() const { return transposed_; }  ///< the base stores adapted weights [in, out]

 private:
  void add_module(const nn::Site& site, const TrainOptions& options, const adapter::Adapter* start,
                  std::vector<nn::TrainableModule>& to);
  void add_biases(const nn::Sites& sites, Bias which, const adapter::Adapter* start,
                  std::vector<nn::TrainableBias>& to);

  std::vector<std::string> modules_;
  std::vector<Leaf> leaves_;
  double scale_ = 1.0;
  bool transposed_ = false;
  std::unique_ptr<nn::Trainable> trainable_;
};

}  // namespace weft::train
