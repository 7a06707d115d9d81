#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/pattern.h"
#include "weft/core/value.h"

namespace weft::adapter {

/// `use_bdlora` of a config.
struct BdLoraOptions {
  std::vector<std::string> a_names, b_names;  ///< substrings of a module's path
  std::int64_t blocks = 1;
};

/// What of an adapter_config.json bears on the delta, with PEFT's defaults filled in.
struct PeftConfig {
  std::string file;  ///< for messages
  std::string type;  ///< peft_type in lower case
  std::string base_model;
  std::int64_t rank = 8;
  double alpha = 8.0;
  std::vector<std::pair<Pattern, std::int64_t>> rank_pattern;  ///< file order
  std::vector<std::pair<Pattern, double>> alpha_pattern;
  bool rslora = false, dora = false, lora_bias = false, fan_in_fan_out = false, qalora = false;
  bool bdlora = false, kasa = false, velora = false, monteclora = false, alora = false, arrow = false;
  bool merged_linear = false;  ///< `enable_lora` of PEFT before 0.3: several updates in one fused layer
  std::int64_t group_size = 16;
  BdLoraOptions bd;
  std::string init;  ///< init_lora_weights when it is a word, in lower case
  std::string bias = "none";
  std::vector<std::string> target_parameters, target_modules, modules_to_save;
  std::vector<Pattern> target_regex;  ///< target_modules when it is one expression
  /// trainable_token_indices: module (empty: the input embedding) and how many rows.
  std::vector<std::pair<std::string, std::int64_t>> token_rows;
  std::vector<std::string> warnings;

  /// lora_alpha and r of a module, patterns considered.
  std::int64_t rank_of(const std::string& module) const;
  double alpha_of(const std::string& module) const;
  /// alpha / r, or alpha / sqrt(r) with rsLoRA.
  double scale_of(double module_alpha, std::int64_t module_rank) const;
};

/// Reads what `value` (adapter_config.json) says. @throws InputError with `file:line:column`, key, got, expected.
PeftConfig parse_peft_config(const Value& value, const std::string& file);

/// `rslora`, `dora`, … as the config alone tells them.
std::vector<std::string> peft_variants(const PeftConfig& config);
/// Why a config's deltas need the base model, or an empty string.
std::string peft_needs_base(const PeftConfig& config);
/// Why an adapter has no delta that could be composed, and the way out; an empty string for an ordinary one.
std::string peft_refusal(const PeftConfig& config);

}  // namespace weft::adapter
