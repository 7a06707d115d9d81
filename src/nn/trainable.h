#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/expert_data.h"
#include "nn/network.h"
#include "nn/sites.h"

namespace weft::nn {

/// The low-rank update of one linear while it is trained. The tensors are float32 leaves that want gradients.
struct TrainableModule {
  std::string name;  ///< as the network names it
  Tensor a;          ///< [r, in]
  Tensor b;          ///< [r, out]: B transposed, so that its rows are contiguous
  Tensor magnitude;  ///< [out], DoRA's; undefined: none
  double scale = 1.0;
};

/// A bias of the base while it is trained.
struct TrainableBias {
  std::string module;  ///< a linear or a norm
  Tensor value;        ///< [out], a leaf
};

/**
 * One adapter that is being trained, as experts of a network: call experts() anew after every update, since what is
 * derived from the leaves (DoRA's norms) is made there.
 */
class Trainable {
 public:
  /// `network` is copied: handles, not weights. @throws UsageError for names that are no linears.
  Trainable(Network network, std::vector<TrainableModule> modules, std::vector<TrainableBias> biases);
  Trainable(const Trainable&) = delete;
  Trainable& operator=(const Trainable&) = delete;

  /// The adapter as it is now. With `dropout` above 0 every number that an A reads is dropped with that probability,
  /// by masks that depend on `key`, the module and the place alone.
  Experts experts(double dropout = 0.0, std::uint64_t key = 0) const;
  /// From now on what the blocks below the lowest adapted one make of a sequence is kept (see LowerStates).
  void keep_lower_states();
  const std::vector<TrainableModule>& modules() const { return modules_; }
  const std::vector<TrainableBias>& biases() const { return biases_; }

 private:
  struct Slot {
    int group = 0;
    size_t part = 0;
    size_t module = 0;  ///< in modules_
  };
  void place_modules();
  void place_biases(Experts::Data& data) const;
  ModuleExperts experts_of(const Slot& slot) const;

  Network network_;
  Sites sites_;
  std::vector<TrainableModule> modules_;
  std::vector<TrainableBias> biases_;
  std::vector<Slot> slots_;  ///< in the network's order
  std::shared_ptr<LowerStates> lower_;
  std::vector<Tensor> products_;  ///< DoRA, by module: rows of W² summed
};

/// x with numbers dropped and the others scaled up, for the adapter at `module`.
Tensor drop_out(const Tensor& x, const Experts::Data& experts, std::int64_t module);

}  // namespace weft::nn
