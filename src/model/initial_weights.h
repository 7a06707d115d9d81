#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/builder.h"
#include "model/config_reader.h"
#include "weft/core/tensor.h"

namespace weft::model {

/**
 * Weights before any training, as transformers draws them: matrices and tables from a normal distribution
 * (`initializer_range`; T5's widths; GPT-2's smaller one for what ends on the residual path), biases zero, norms that
 * do nothing, the row of padding zero. Every number depends on the seed, the parameter's name and its place alone.
 */
class InitialWeights {
 public:
  /// `family`: the config's model_type.
  InitialWeights(std::string family, std::uint64_t seed) : family_(std::move(family)), seed_(seed) {}

  /// A float32 tensor on the CPU. `config` is the mapping that describes the model.
  Tensor draw(const std::string& name, const std::vector<std::int64_t>& shape, Role role,
              const ConfigReader& config) const;

 private:
  double deviation(const std::string& name, const ConfigReader& config) const;
  double t5_deviation(const std::string& name, const ConfigReader& config) const;
  std::int64_t padding_row(const std::string& name, std::int64_t rows, const ConfigReader& config) const;

  std::string family_;
  std::uint64_t seed_;
};

}  // namespace weft::model
