#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "support/make_adapter.h"

namespace weft::test {

/// A small PEFT adapter with two linear modules of two layers each, seeded; alpha is twice the rank.
inline std::filesystem::path write_zoo_adapter(const std::filesystem::path& dir, int seed, std::int64_t rank,
                                               at::ScalarType dtype = at::kFloat) {
  at::manual_seed(seed);
  NamedTensors tensors;
  for (const char* layer : {"model.layers.0.", "model.layers.1."}) {
    add_pair(tensors, std::string(layer) + "self_attn.q_proj", 12, 10, rank, dtype);
    add_pair(tensors, std::string(layer) + "mlp.up_proj", 16, 12, rank, dtype);
  }
  const std::string r = std::to_string(rank), alpha = std::to_string(2 * rank);
  return write_peft(dir,
                    "{\"peft_type\": \"LORA\", \"base_model_name_or_path\": \"zoo/base\", \"r\": " + r +
                        ", \"lora_alpha\": " + alpha + ", \"target_modules\": [\"q_proj\", \"up_proj\"]}",
                    tensors);
}

/// The whole content of a file.
inline std::string file_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace weft::test
