#include "nn/gate.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "nn/expert_data.h"
#include "nn/run.h"

namespace weft::nn {
namespace {

constexpr size_t kNamesListed = 8;

std::string listed(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kNamesListed);
  return fmt::format("{}{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                     shown < names.size() ? ", …" : "");
}

class MixGate final : public Gate {
 public:
  MixGate(const Mix& mix, const Layout& layout) : mix_(mix), offsets_(layout.offsets), row_of_token_(rows_of(layout)) {
    if (mix.weights.dim() == 2) {
      groups_.push_back(mix.weights.contiguous());
      return;
    }
    for (std::int64_t g = 0; g < mix.weights.size(1); ++g) groups_.push_back(mix.weights.select(1, g).contiguous());
  }

  Rule rule() const override { return mix_.rule; }

  GateRows rows(const GateSite& site, const Tensor&, const Layout& layout) const override {
    const std::int64_t group = mix_.group_of_module.empty() ? 0 : mix_.group_of_module[static_cast<size_t>(site.index)];
    const bool whole_batch = !layout.token_index.defined() && layout.offsets == offsets_;
    return {groups_[static_cast<size_t>(group)], whole_batch ? row_of_token_ : rows_of(layout)};
  }

 private:
  // A pass may look at some of the tokens alone, as heads do.
  Tensor rows_of(const Layout& layout) const {
    if (mix_.weights.size(0) == 1) return {};
    if (mix_.rows == Mix::Rows::kSequence) return layout.sequence_of_token();
    return layout.token_index.defined() ? layout.token_index.to(at::kCPU)
                                        : at::arange(layout.tokens(), at::TensorOptions().dtype(at::kLong));
  }

  Mix mix_;
  std::vector<Tensor> groups_;
  std::vector<std::int64_t> offsets_;
  Tensor row_of_token_;  ///< of the whole batch; undefined: one row for all
};

void check_weights(const Mix& mix, const Experts& experts) {
  const Tensor& w = mix.weights;
  const std::int64_t count = experts.count();
  if (!w.defined() || w.scalar_type() != at::kFloat || w.dim() < 2 || w.dim() > 3)
    throw UsageError("a mix needs float32 weights of the shape [rows, adapters] or [rows, groups, adapters]");
  if (w.size(-1) != count)
    throw UsageError(fmt::format("the mix has {} weight{}, but {} adapter{} attached: {}", w.size(-1),
                                 w.size(-1) == 1 ? "" : "s", count, count == 1 ? " is" : "s are",
                                 listed(experts.names())));
  if (!at::isfinite(w.detach()).all().item<bool>()) throw UsageError("the mix has a weight that is NaN or infinite");
}

void check_rows(const Mix& mix, const Layout& layout) {
  const std::int64_t rows = mix.weights.size(0);
  const auto demand = [&](std::int64_t expected, const char* what) {
    if (rows != expected)
      throw UsageError(
          fmt::format("the mix has {} row{} of weights, but {} {}", rows, rows == 1 ? "" : "s", expected, what));
  };
  switch (mix.rows) {
    case Mix::Rows::kModel: return demand(1, "is expected: one row for the whole model");
    case Mix::Rows::kSequence: return demand(layout.sequences(), "are expected: one per sequence of the batch");
    case Mix::Rows::kToken: return demand(layout.tokens(), "are expected: one per token of the batch");
    case Mix::Rows::kCandidate: break;  // spread over sequences before it comes here
  }
}

void check_groups(const Mix& mix, const Experts& experts) {
  if (mix.weights.dim() == 2 && mix.group_of_module.empty()) return;
  if (mix.weights.dim() == 2)
    throw UsageError("the mix names groups of modules, but its weights have no groups: [rows, groups, adapters]");
  if (mix.group_of_module.size() != experts.modules().size())
    throw UsageError(fmt::format("the mix gives {} modules a group of weights, but the adapters change {}",
                                 mix.group_of_module.size(), experts.modules().size()));
  for (size_t i = 0; i < mix.group_of_module.size(); ++i)
    if (mix.group_of_module[i] < 0 || mix.group_of_module[i] >= mix.weights.size(1))
      throw UsageError(fmt::format("module '{}' takes group {} of the mix, which has {}", experts.modules()[i],
                                   mix.group_of_module[i], mix.weights.size(1)));
}

void check_factors_of(const ModuleExperts& module, const Experts::Data& data) {
  if (!module.any()) return;
  const auto& name = data.modules[static_cast<size_t>(module.module)];
  if (module.base_factor.defined() || !module.dense.empty())
    throw UsageError(
        fmt::format("module '{}' has a DoRA update, whose factors cannot be averaged; use the rule 'delta'", name));
  std::int64_t first = -1;
  for (size_t e = 0; e + 1 < module.starts.size(); ++e) {
    const auto rank = [&](size_t i) { return module.starts[i + 1] - module.starts[i]; };
    if (rank(e) == 0) continue;
    if (first < 0) first = static_cast<std::int64_t>(e);
    const auto f = static_cast<size_t>(first);
    if (rank(e) != rank(f))
      throw UsageError(
          fmt::format("factors of unequal ranks cannot be averaged: module '{}' has rank {} in '{}' and {} "
                      "in '{}'; use the rule 'delta'",
                      name, rank(f), data.names[f], rank(e), data.names[e]));
  }
}

void check_factors(const Experts::Data& data) {
  for (const auto& group : data.groups)
    for (const auto& part : group.parts) check_factors_of(part, data);
  for (const auto& table : data.embeddings) check_factors_of(table, data);
}

}  // namespace

std::unique_ptr<Gate> make_gate(const Mix& mix, const Experts& experts, const Layout& layout) {
  check_weights(mix, experts);
  check_rows(mix, layout);
  check_groups(mix, experts);
  if (mix.rule == Rule::kFactors && experts.data() != nullptr) check_factors(*experts.data());
  return std::make_unique<MixGate>(mix, layout);
}

}  // namespace weft::nn
