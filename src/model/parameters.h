#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nn/network.h"
#include "weft/core/tensor.h"
#include "weft/model/model.h"

namespace weft::model {

/// A weight of a network, once, however often it is used.
struct Parameter {
  std::string name;             ///< as transformers names it: `model.layers.0.self_attn.q_proj.weight`
  std::vector<Tensor*> places;  ///< in the network; several for a tied weight
  bool norm_or_bias = false;    ///< a vector: of a norm, or a bias
};

/// Every weight of `network`, which must stay where it is, in a fixed order; T5's tables of biases by distance too.
std::vector<Parameter> parameters_of(nn::Network& network);

/// The same model with float32 weights of its own that want gradients. `leaves` gets them in the order of
/// parameters_of(): changing one in place (without recording gradients) changes the model.
BaseModel trainable_copy(const BaseModel& model, std::vector<std::pair<std::string, Tensor>>& leaves);

}  // namespace weft::model
