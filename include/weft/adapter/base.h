#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "weft/adapter/adapter.h"
#include "weft/adapter/pool.h"

namespace weft::adapter {

/**
 * The weights of a base model on disk, found by the names of modules. Opening reads headers only; weights are views of
 * the mapped files. Cheap to copy (shared, immutable); safe to use from several threads.
 */
class WEFT_API BaseWeights {
 public:
  /**
   * Opens a checkpoint folder as Hugging Face's libraries write it (`model.safetensors`, `pytorch_model.bin`, either
   * of them in shards with an `.index.json`, `diffusion_pytorch_model.safetensors`), or one such file.
   * @throws InputError / FormatError when it is no local path, has no weights, or an index names what is not there.
   */
  static BaseWeights open(const std::filesystem::path& path);

  /// The folder or file, as it was given.
  const std::filesystem::path& path() const;

  /// Why the weight of `module` cannot be had (unknown name, other shape, quantised), or an empty text. Names match
  /// with and without the usual prefixes (`model.`, `transformer.`, `bert.`, …) on either side.
  std::string misfit(const ModuleInfo& module) const;

  /// True if the weight of `module` is stored `[in, out]`: the shape decides; where it is square, the shapes of weights
  /// and biases of modules with the same last name, and without any `fan_in_fan_out`.
  bool is_transposed(const ModuleInfo& module, bool fan_in_fan_out) const;

  /// The weight of a module in the orientation of its delta, [out, in] (an embedding [dim, tokens]), in the stored
  /// dtype; a view. @throws InputError where misfit() says why, and on NaN or Inf.
  Tensor load(const ModuleInfo& module, bool fan_in_fan_out) const;

  /// Hands the pages behind a module's weight back to the system.
  void release(const ModuleInfo& module) const;

 private:
  struct Files;
  explicit BaseWeights(std::shared_ptr<const Files> files) : files_(std::move(files)) {}
  std::shared_ptr<const Files> files_;
};

/**
 * The same adapter with ordinary deltas on the original base: its load() folds DoRA's magnitudes in and adds back what
 * PiSSA, OLoRA and KaSA took out of the base when training began; its info().needs_base is empty. Ranks of modules with
 * such an init double. Adapters that need no base, and those that a base alone cannot help (info().needs_base says
 * why), come back unchanged.
 * @throws InputError naming every module whose weight is not in `base` or has another shape.
 */
WEFT_API Adapter with_base(const Adapter& adapter, const BaseWeights& base);

/// with_base() of every member. @throws InputError with the misfits of all members.
WEFT_API Pool with_base(const Pool& pool, const BaseWeights& base);

}  // namespace weft::adapter
