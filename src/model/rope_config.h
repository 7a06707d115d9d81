#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/config_reader.h"
#include "nn/modules.h"

namespace weft::model {

/// Where a family keeps what its rotary embedding needs.
struct RopeSource {
  std::int64_t head_dim = 0;
  std::int64_t positions = 0;  ///< max_position_embeddings
  double theta = 10000.0;      ///< where the config does not say
  std::string_view theta_key = "rope_theta";
  double partial = 1.0;               ///< rotated share of head_dim, where the config does not say
  std::string_view partial_key = {};  ///< where the config says it; empty: the whole head, as in most families
  std::string_view layer_type = {};   ///< entry of `rope_parameters` by kind of layer (Gemma 3), or empty
  std::int64_t original = 0;          ///< length in training that overrides all others (Phi-3), 0: as the config says
  bool long_only = false;             ///< only `default` and `longrope` exist; `su` and `yarn` mean the latter (Phi-3)
  bool scaled = true;                 ///< false: `rope_scaling` is for other layers (Gemma 3's local ones)
};

/**
 * The rotary angles of a config, in the old layout (`rope_theta`, `rope_scaling` with `type` or `rope_type`) or the new
 * one (`rope_parameters`), as transformers computes them: default, linear, dynamic, llama3 (Llama 3.1), yarn (Peng et
 * al. 2023, arXiv 2309.00071), longrope (Ding et al. 2024, arXiv 2402.13753).
 * @throws UnsupportedError for other types, listing these; FormatError for missing or wrong parameters.
 */
nn::Rope read_rope(const ConfigReader& config, const RopeSource& source);

}  // namespace weft::model
