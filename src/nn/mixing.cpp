#include "nn/mixing.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "nn/products.h"

namespace weft::nn {
namespace {

/// Numbers of z that a thread weighs at a time.
constexpr std::int64_t kWeighedNumbers = 1 << 14;

std::int64_t rank_of(const ModuleExperts& part, std::int64_t expert) {
  return part.starts[static_cast<size_t>(expert) + 1] - part.starts[static_cast<size_t>(expert)];
}

}  // namespace

LowRankProducts::LowRankProducts(const LinearGroup& group, const Mixing& mixing, const Tensor& x, bool few)
    : group_(group), mixing_(mixing), x_(x), few_(few), plans_(plan_mixing(mixing, x.size(0), x.size(1), few)) {
  choose_merged();
  std::int64_t columns = 0;
  for (const auto& plan : plans_) columns = std::max(columns, plan.columns);
  if (columns > 0) z_ = at::empty({x.size(0), columns}, at::kFloat);
}

// Decoding comes here for every group of every layer: views of tensors would cost as much as their products.
linalg::FewRowsPart LowRankProducts::shrink_part(const MixStretch& stretch, std::int64_t token) {
  const Tensor& a = mixing_.experts->a;
  auto part = part_of(a, /*transposed=*/false, z_);
  part.w = static_cast<const char*>(part.w) + stretch.row * part.ldw * linalg::stored_size(part.type);
  part.out = stretch.count;
  part.y += token * part.ldy + stretch.column;
  return part;
}

void LowRankProducts::shrink(std::vector<linalg::FewRowsPart>& parts) {
  if (few_ && plans_.size() > 1) return shrink_tokens();
  for (const auto& plan : plans_) {
    if (few_) {
      for (const auto& stretch : plan.stretches) parts.push_back(shrink_part(stretch, plan.begin));
      continue;
    }
    const Tensor x = x_.narrow(0, plan.begin, plan.end - plan.begin);
    const Tensor z = z_.narrow(0, plan.begin, plan.end - plan.begin);
    for (const auto& stretch : plan.stretches) {
      Tensor target = z.narrow(1, stretch.column, stretch.count);
      const Tensor a = mixing_.experts->a.narrow(0, stretch.row, stretch.count);
      multiply_into(target, x, a, /*transposed=*/false, /*accumulate=*/false);
    }
  }
}

// Tokens differ: every token has its own products, all in one parallel loop.
void LowRankProducts::shrink_tokens() {
  std::vector<linalg::FewRowsPart> parts;
  for (const auto& plan : plans_)
    for (std::int64_t t = plan.begin; t < plan.end; ++t)
      for (const auto& stretch : plan.stretches) {
        auto& part = parts.emplace_back(shrink_part(stretch, t));
        part.x = x_.const_data_ptr<float>() + t * x_.stride(0);
        part.in = x_.size(1);
        part.ldx = x_.stride(0);
      }
  linalg::few_rows(x_.const_data_ptr<float>(), 1, x_.size(1), x_.stride(0), parts, mixing_.threads);
}

void LowRankProducts::weigh_token(const MixPlan& plan, std::int64_t token, float* z) const {
  for (const auto& segment : plan.segments) {
    const auto& part = mixing_.experts->parts[segment.part];
    const float* weights = mixing_.weights[segment.part].of_token(token);
    float* at = z + segment.column;
    for (std::int64_t e = segment.first; e < segment.last; ++e) {
      const float factor = weights[e] * part.scales[static_cast<size_t>(e)];
      const std::int64_t rank = rank_of(part, e);
      for (std::int64_t j = 0; j < rank; ++j) at[j] *= factor;
      at += rank;
    }
  }
}

// The mean of the experts' z, then its share for every expert: B is averaged by the second product.
void LowRankProducts::average_token(const MixPlan& plan, std::int64_t token, float* z) const {
  std::vector<float> mean;
  for (size_t i = 0; i < plan.segments.size();) {
    const size_t part_index = plan.segments[i].part;
    const auto& part = mixing_.experts->parts[part_index];
    const float* weights = mixing_.weights[part_index].of_token(token);
    size_t end = i;
    while (end < plan.segments.size() && plan.segments[end].part == part_index) ++end;
    mean.assign(static_cast<size_t>(plan.segments[i].count), 0.0f);
    const auto each = [&](const auto& action) {
      for (size_t s = i; s < end; ++s) {
        float* at = z + plan.segments[s].column;
        for (std::int64_t e = plan.segments[s].first; e < plan.segments[s].last; at += rank_of(part, e++))
          for (std::int64_t j = 0; j < rank_of(part, e); ++j) action(mean[static_cast<size_t>(j)], at[j], e);
      }
    };
    each([&](float& sum, float& value, std::int64_t e) { sum += weights[e] * value; });
    each([&](float& sum, float& value, std::int64_t e) {
      value = weights[e] * part.scales[static_cast<size_t>(e)] * sum;
    });
    i = end;
  }
}

void LowRankProducts::weigh(const MixPlan& plan) {
  float* z = z_.mutable_data_ptr<float>();
  const std::int64_t ld = z_.stride(0);
  const std::int64_t grain = std::max<std::int64_t>(1, kWeighedNumbers / std::max<std::int64_t>(plan.columns, 1));
  at::parallel_for(plan.begin, plan.end, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      if (mixing_.rule == Rule::kDelta)
        weigh_token(plan, t, z + t * ld);
      else
        average_token(plan, t, z + t * ld);
    }
  });
}

// The n-th segments of all parts and tokens go together: they add to different places.
void LowRankProducts::expand_few(std::vector<Tensor>& ys) {
  const bool apart = plans_.size() > 1;
  std::vector<linalg::FewRowsPart> parts;
  for (size_t nth = 0; nth == 0 || !parts.empty(); ++nth) {
    parts.clear();
    for (const auto& plan : plans_)
      for (const auto& segment : plan.segments) {
        if (segment.nth != nth) continue;
        const Tensor& b = mixing_.experts->parts[segment.part].b;
        for (std::int64_t t = plan.begin; t < (apart ? plan.end : plan.begin + 1); ++t) {
          auto& part = parts.emplace_back(part_of(b, /*transposed=*/true, ys[segment.part]));
          part.w = static_cast<const char*>(part.w) + segment.row * part.ldw * linalg::stored_size(part.type);
          part.y += t * part.ldy;
          part.accumulate = true;
          part.x = z_.const_data_ptr<float>() + t * z_.stride(0) + segment.column;
          part.in = segment.count;
          part.ldx = z_.stride(0);
        }
      }
    const std::int64_t rows = apart ? 1 : x_.size(0);
    if (!parts.empty()) linalg::few_rows(z_.const_data_ptr<float>(), rows, 0, z_.stride(0), parts, mixing_.threads);
  }
}

void LowRankProducts::expand_many(const MixPlan& plan, std::vector<Tensor>& ys) {
  const std::int64_t count = plan.end - plan.begin;
  for (const auto& segment : plan.segments) {
    Tensor y = ys[segment.part].narrow(0, plan.begin, count);
    const Tensor z = z_.narrow(0, plan.begin, count).narrow(1, segment.column, segment.count);
    const Tensor b = mixing_.experts->parts[segment.part].b.narrow(0, segment.row, segment.count);
    multiply_into(y, z, b, /*transposed=*/true, /*accumulate=*/true);
  }
}

void LowRankProducts::expand(std::vector<Tensor>& ys) {
  for (const auto& plan : plans_)
    if (plan.columns > 0) weigh(plan);
  if (few_)
    expand_few(ys);
  else
    for (const auto& plan : plans_) expand_many(plan, ys);
}

}  // namespace weft::nn
