#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "weft/adapter/adapter.h"
#include "weft/core/tensor.h"
#include "weft/core/value.h"

namespace weft::adapter {

/// What training made of one linear module.
struct TrainedModule {
  std::string name;  ///< full path as the base names it
  Tensor a, b;       ///< [r, in], [out, r]; any device, floating point
  Tensor magnitude;  ///< [out] of DoRA, or undefined
};

/// A LoRA fresh from training.
struct TrainedAdapter {
  std::string base_model;
  /// CAUSAL_LM, SEQ_2_SEQ_LM, FEATURE_EXTRACTION, or empty. SEQ_CLS is not written: it means a head among the tensors.
  std::string task_type;
  std::int64_t rank = 0;
  double alpha = 0.0;
  bool rslora = false, dora = false;
  bool fan_in_fan_out = false;  ///< the base stores these weights [in, out]
  double dropout = 0.0;
  std::string bias = "none";  ///< PEFT's word: none, all, lora_only
  std::vector<TrainedModule> modules;
  std::vector<std::pair<std::string, Tensor>> biases;  ///< by full parameter name (`….q_proj.bias`)
};

/**
 * Writes it as PEFT saves one: `adapter_config.json`, `adapter_model.safetensors`, and `weft.json` with `provenance` (a
 * map). `all_modules`: every module of the base that targets could name, so that the config's names mean the trained
 * ones alone. Feature extraction loads the bare model, so names lose the prefix of the whole one (`bert.`). What was
 * written is read back and compared before it appears at `out`.
 * @throws UsageError when `out` exists without `force`, or the parts do not fit together; InputError naming the module
 *         when a value does not fit `dtype`; Error when a value is not finite or the disk does not take it.
 */
void write_trained(const std::filesystem::path& out, const TrainedAdapter& adapter,
                   const std::vector<std::string>& all_modules, c10::ScalarType dtype, bool force,
                   const Value& provenance);

}  // namespace weft::adapter
