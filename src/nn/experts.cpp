#include "weft/nn/experts.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "nn/expert_data.h"

namespace weft::nn {
namespace {

const std::vector<std::string>& no_names() {
  static const std::vector<std::string> none;
  return none;
}

}  // namespace

const std::vector<std::string>& Experts::names() const { return data_ ? data_->names : no_names(); }

std::int64_t Experts::count() const { return static_cast<std::int64_t>(names().size()); }

std::int64_t Experts::bytes() const { return data_ ? data_->bytes : 0; }

const std::vector<std::string>& Experts::modules() const { return data_ ? data_->modules : no_names(); }

const ModuleOverrides* Experts::Data::find(std::string_view module) const {
  const auto at = std::lower_bound(overrides.begin(), overrides.end(), module,
                                   [](const ModuleOverrides& o, std::string_view name) { return o.module < name; });
  return at != overrides.end() && at->module == module ? &*at : nullptr;
}

Mix Mix::of(const std::vector<double>& weights, Rule rule) {
  Mix mix;
  mix.rule = rule;
  mix.weights = at::empty({1, static_cast<std::int64_t>(weights.size())}, at::kFloat);
  std::transform(weights.begin(), weights.end(), mix.weights.mutable_data_ptr<float>(),
                 [](double weight) { return static_cast<float>(weight); });
  return mix;
}

Mix Mix::choose(const std::vector<std::int64_t>& choice, std::int64_t count) {
  Mix mix;
  mix.rows = Rows::kSequence;
  mix.weights = at::zeros({static_cast<std::int64_t>(choice.size()), count}, at::kFloat);
  float* weights = mix.weights.mutable_data_ptr<float>();
  for (size_t i = 0; i < choice.size(); ++i) {
    if (choice[i] < -1 || choice[i] >= count)
      throw UsageError(fmt::format("sequence {} asks for adapter {}, but there are {} (0 to {}; -1 is the base alone)",
                                   i, choice[i], count, count - 1));
    if (choice[i] >= 0) weights[static_cast<std::int64_t>(i) * count + choice[i]] = 1.0f;
  }
  return mix;
}

}  // namespace weft::nn
