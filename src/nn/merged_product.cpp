// Updates added to a copy of the base's weight, a block of outputs at a time: for many tokens that share their weights
// this costs less than two more products per token. The copy is never larger than a block.
#include <ATen/ATen.h>

#include <algorithm>

#include "nn/mixing.h"
#include "nn/products.h"

namespace weft::nn {
namespace {

/// What copying a number of the weight costs, in multiplications and additions.
constexpr std::int64_t kCopyCost = 80;

/// The rows of B in a segment, times weight and scale of their experts.
Tensor weighed_rows(const ModuleExperts& part, const MixSegment& segment, const float* weights) {
  Tensor factors = at::empty({segment.count, 1}, at::kFloat);
  float* factor = factors.mutable_data_ptr<float>();
  for (std::int64_t e = segment.first; e < segment.last; ++e) {
    const auto at = static_cast<size_t>(e);
    const std::int64_t rank = part.starts[at + 1] - part.starts[at];
    factor = std::fill_n(factor, rank, weights[e] * part.scales[at]);
  }
  return part.b.narrow(0, segment.row, segment.count).to(at::kFloat).mul(factors);
}

}  // namespace

void LowRankProducts::choose_merged() {
  if (few_ || plans_.size() != 1 || mixing_.rule != Rule::kDelta) return;
  MixPlan& plan = plans_.front();
  std::vector<std::int64_t> columns(group_.parts.size(), 0);
  for (const auto& segment : plan.segments) columns[segment.part] += segment.count;
  merged_.resize(group_.parts.size());
  const auto pays = [&](const MixSegment& segment) {
    const Linear& linear = group_.parts[segment.part];
    if (!mixing_.weights[segment.part].uniform() || mixing_.experts->parts[segment.part].changes_base()) return false;
    const std::int64_t c = columns[segment.part], numbers = linear.in * linear.out;
    return 2 * x_.size(0) * c * (linear.in + linear.out) > numbers * (2 * c + kCopyCost);
  };
  std::vector<MixSegment> rest;
  for (const auto& segment : plan.segments) (pays(segment) ? merged_[segment.part] : rest).push_back(segment);
  if (rest.size() == plan.segments.size()) return;
  plan.segments = std::move(rest);
  if (plan.segments.empty())
    plans_.clear();
  else
    plan.arrange();
}

Tensor LowRankProducts::merged_product(size_t part) const {
  const Linear& linear = group_.parts[part];
  const ModuleExperts& experts = mixing_.experts->parts[part];
  std::vector<Tensor> as, bs;
  for (const auto& segment : merged_[part]) {
    as.push_back(experts.a.narrow(0, segment.row, segment.count).to(at::kFloat));
    bs.push_back(weighed_rows(experts, segment, mixing_.weights[part].of_token(0)));
  }
  Tensor y = at::empty({x_.size(0), linear.out}, at::kFloat);
  if (linear.bias.defined()) y.copy_(linear.bias);
  const std::int64_t step = block_of_outputs(linear.out, linear.in);
  const Tensor buffer = at::empty({step * linear.in}, at::kFloat);
  for (std::int64_t begin = 0; begin < linear.out; begin += step) {
    const std::int64_t count = std::min(step, linear.out - begin);
    // Always [out, in] in the block, whatever the orientation of the weight.
    Tensor block = linear.transposed ? buffer.narrow(0, 0, count * linear.in).view({linear.in, count}).t()
                                     : buffer.narrow(0, 0, count * linear.in).view({count, linear.in});
    block.copy_(linear.transposed ? linear.weight.narrow(1, begin, count).t() : linear.weight.narrow(0, begin, count));
    for (size_t s = 0; s < as.size(); ++s) block.addmm_(bs[s].narrow(1, begin, count).t(), as[s]);
    Tensor target = y.narrow(1, begin, count);
    if (linear.bias.defined())
      target.addmm_(x_, block.t());
    else
      at::mm_out(target, x_, block.t());
  }
  return y;
}

}  // namespace weft::nn
