#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "weft/adapter/adapter.h"
#include "weft/adapter/pool.h"

namespace weft::adapter {

/// How an adapter is written.
struct WriteOptions {
  c10::ScalarType dtype = c10::ScalarType::Float;  ///< float32, float16 or bfloat16 (float64 too)
  bool force = false;                              ///< replace an existing output folder
  bool keep_dtypes = false;                        ///< carry(): every tensor keeps its own dtype
};

/**
 * Writes one adapter as current PEFT loads it: `adapter_config.json` (r, rank_pattern / alpha_pattern with one escaped
 * full path per module, alpha = r so that the scale is 1), `adapter_model.safetensors` and `weft.json`. Streams: add()
 * in the pool's module order. Nothing appears at the destination before finish() has re-read and checked what was
 * written.
 */
class WEFT_API AdapterWriter {
 public:
  /**
   * @param pool the inputs: the config is derived from theirs, and no input may be the output.
   * @throws UsageError if `out` exists without force or is an input; Error if it cannot be written.
   */
  AdapterWriter(const std::filesystem::path& out, const Pool& pool, const WriteOptions& options);
  ~AdapterWriter();
  AdapterWriter(AdapterWriter&&) noexcept;

  /// One module's merged update. `blocks` as in ModuleUpdate; ranks of blocks may differ (they are padded). `bias`
  /// [out] or undefined, already scaled. Scales are folded in (sqrt of the magnitude on each side, the sign on a). Cast
  /// to the output dtype here, once.
  /// @throws InputError when a value does not fit the dtype (overflow to Inf), naming module and dtype.
  void add(const ModuleInfo& module, const std::vector<LowRank>& blocks, const Tensor& bias);
  /// A full tensor, stored under its own key, in its own dtype unless it is a mean. `owner` names the one adapter it is
  /// from, whose settings (`bias`, `trainable_token_indices`) go with it; empty: all inputs that have it must agree.
  void add_full(const FullTensor& info, const Tensor& tensor, const std::string& owner = {});
  /// Instead of add(): carries one adapter over whole, variant, config and all; tensors are cast to the output dtype
  /// unless keep_dtypes says otherwise.
  void carry(const Adapter& adapter);
  /**
   * Writes config and `weft.json` (`provenance`, a map), re-reads everything, renames into place.
   * @throws Error with the path and the reason; the destination is then untouched.
   */
  void finish(const Value& provenance);
  /// Bytes of tensor data written so far.
  std::int64_t bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft::adapter
