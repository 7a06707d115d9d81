#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weft/core/tensor.h"
#include "weft/train/options.h"

namespace weft::train {

/// Something that is trained, with what the optimiser remembers of it. All float32, contiguous, of one shape.
struct Leaf {
  std::string name;
  Tensor value;         ///< a leaf that wants gradients
  Tensor mean, square;  ///< of its gradients, decayed

  static Leaf of(std::string name, Tensor value);
};

/// Euclidean norm of all gradients together; summed in float64 in a fixed order. Leaves without a gradient count as 0.
double gradient_norm(const std::vector<Leaf>& leaves);

/**
 * One update of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) as torch.optim.AdamW makes it, in one pass over
 * the numbers. Gradients are multiplied by `scale` first (clipping). `step` counts updates from 1.
 */
void adamw_step(std::vector<Leaf>& leaves, const TrainOptions& options, double rate, double scale, std::int64_t step);

/// Forgets all gradients.
void clear_gradients(std::vector<Leaf>& leaves);

}  // namespace weft::train
