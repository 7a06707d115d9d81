#include "train/adamw.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/team.h"

namespace weft::train {
namespace {

constexpr std::int64_t kPiece = 1 << 14;  // numbers that a task handles: sums do not depend on threads

/// Threads that are worth waking for so many numbers: 0 for all, 1 for none but this one.
int threads_for(const std::vector<Leaf>& leaves) {
  constexpr std::int64_t kWorthwhile = 1 << 17;
  std::int64_t numbers = 0;
  for (const Leaf& leaf : leaves) numbers += leaf.value.numel();
  return numbers < kWorthwhile ? 1 : 0;
}

/// Pieces of a leaf, for loops over all leaves.
struct Piece {
  size_t leaf = 0;
  std::int64_t begin = 0, end = 0;
};

std::vector<Piece> pieces_of(const std::vector<Leaf>& leaves) {
  std::vector<Piece> out;
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (!leaves[i].value.grad().defined()) continue;
    const std::int64_t count = leaves[i].value.numel();
    for (std::int64_t begin = 0; begin < count; begin += kPiece)
      out.push_back({i, begin, std::min(count, begin + kPiece)});
  }
  return out;
}

/// Gradients by leaf, contiguous; undefined where there is none.
std::vector<Tensor> gradients_of(const std::vector<Leaf>& leaves) {
  std::vector<Tensor> out;
  for (const Leaf& leaf : leaves) {
    const Tensor& gradient = leaf.value.grad();
    out.push_back(gradient.defined() ? gradient.contiguous() : Tensor());
  }
  return out;
}

}  // namespace

Leaf Leaf::of(std::string name, Tensor value) {
  Leaf out;
  out.name = std::move(name);
  out.value = value.detach().to(at::kFloat).contiguous().clone().set_requires_grad(true);
  out.mean = at::zeros_like(out.value).detach();
  out.square = at::zeros_like(out.value).detach();
  return out;
}

double gradient_norm(const std::vector<Leaf>& leaves) {
  const auto pieces = pieces_of(leaves);
  const auto gradients = gradients_of(leaves);
  std::vector<double> sums(pieces.size(), 0.0);
  auto add = [&](std::int64_t task) {
    const Piece& piece = pieces[static_cast<size_t>(task)];
    const float* g = gradients[piece.leaf].const_data_ptr<float>();
    double sum = 0.0;
    for (std::int64_t i = piece.begin; i < piece.end; ++i) sum += static_cast<double>(g[i]) * static_cast<double>(g[i]);
    sums[static_cast<size_t>(task)] = sum;
  };
  team_for(static_cast<std::int64_t>(pieces.size()), threads_for(leaves), add);
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

void adamw_step(std::vector<Leaf>& leaves, const TrainOptions& options, double rate, double scale, std::int64_t step) {
  const auto pieces = pieces_of(leaves);
  const auto gradients = gradients_of(leaves);
  const auto n = static_cast<double>(step);
  const auto decay = static_cast<float>(1.0 - rate * options.weight_decay);
  const auto beta1 = static_cast<float>(options.beta1), beta2 = static_cast<float>(options.beta2);
  const auto rest1 = static_cast<float>(1.0 - options.beta1), rest2 = static_cast<float>(1.0 - options.beta2);
  const auto length = static_cast<float>(rate / (1.0 - std::pow(options.beta1, n)));
  const auto root = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(options.beta2, n)));
  const auto epsilon = static_cast<float>(options.epsilon), factor = static_cast<float>(scale);
  auto update = [&](std::int64_t task) {
    const Piece& piece = pieces[static_cast<size_t>(task)];
    Leaf& leaf = leaves[piece.leaf];
    float* value = leaf.value.mutable_data_ptr<float>();
    float* mean = leaf.mean.mutable_data_ptr<float>();
    float* square = leaf.square.mutable_data_ptr<float>();
    const float* gradient = gradients[piece.leaf].const_data_ptr<float>();
    for (std::int64_t i = piece.begin; i < piece.end; ++i) {
      const float g = gradient[i] * factor;
      mean[i] = beta1 * mean[i] + rest1 * g;
      square[i] = beta2 * square[i] + rest2 * g * g;
      value[i] = value[i] * decay - length * mean[i] / (std::sqrt(square[i]) * root + epsilon);
    }
  };
  team_for(static_cast<std::int64_t>(pieces.size()), threads_for(leaves), update);
}

void clear_gradients(std::vector<Leaf>& leaves) {
  for (Leaf& leaf : leaves) leaf.value.mutable_grad().reset();
}

}  // namespace weft::train
