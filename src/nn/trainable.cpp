#include "nn/trainable.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/team.h"
#include "nn/lower_states.h"
#include "weft/core/random.h"

namespace weft::nn {
namespace {

/// The weight of a linear, float32 [out, in].
Tensor map_of(const Linear& linear) {
  const Tensor weight = linear.weight.to(at::kFloat);
  return linear.transposed ? weight.t() : weight;
}

std::int64_t site_called(const Sites& sites, const std::string& name, const char* what) {
  std::string why;
  const std::int64_t index = sites.find(name, why);
  if (index < 0) throw UsageError(fmt::format("cannot train {} of '{}': {}", what, name, why));
  return index;
}

/// ‖W + s · B · A‖ of every output [out], without making the product: W's own part is `squares`, the cross term is
/// made from W · Aᵀ. Liu et al. 2024, arXiv 2402.09353, section 4.3: a constant of the gradient.
Tensor row_norms(const Linear& linear, const TrainableModule& module, const Tensor& squares) {
  const c10::NoGradGuard no_gradients;
  const Tensor b = module.b.t() * module.scale;  // [out, r]
  const Tensor cross = (at::matmul(map_of(linear), module.a.t()) * b).sum(1);
  const Tensor own = (at::matmul(b, at::matmul(module.a, module.a.t())) * b).sum(1);
  return (squares + 2 * cross + own).clamp_min(0).sqrt();
}

}  // namespace

Trainable::Trainable(Network network, std::vector<TrainableModule> modules, std::vector<TrainableBias> biases)
    : network_(std::move(network)), sites_(network_), modules_(std::move(modules)), biases_(std::move(biases)) {
  place_modules();
}

void Trainable::place_modules() {
  std::vector<std::pair<std::int64_t, size_t>> places;
  for (size_t i = 0; i < modules_.size(); ++i)
    places.emplace_back(site_called(sites_, modules_[i].name, "the weight"), i);
  std::sort(places.begin(), places.end());
  products_.resize(modules_.size());
  for (const auto& [index, module] : places) {
    const Site& site = sites_.all()[static_cast<size_t>(index)];
    if (site.linear() == nullptr) throw UsageError(fmt::format("cannot train '{}': it is no linear", site.name));
    slots_.push_back({site.group->index, site.part, module});
    if (modules_[module].magnitude.defined()) products_[module] = map_of(*site.linear()).square().sum(1);
  }
}

ModuleExperts Trainable::experts_of(const Slot& slot) const {
  const TrainableModule& module = modules_[slot.module];
  ModuleExperts part;
  const std::int64_t rank = module.a.size(0);
  part.starts = {0, rank};
  part.scales = {static_cast<float>(module.scale)};
  part.a = module.a;
  part.b = module.b;
  part.column_expert = at::zeros({rank}, at::kLong);
  part.column_scale = at::full({rank}, module.scale, at::kFloat);
  if (!module.magnitude.defined()) return part;
  const Site& site = sites_.all()[static_cast<size_t>(site_called(sites_, module.name, "the weight"))];
  const Tensor factor = module.magnitude / row_norms(*site.linear(), module, products_[slot.module]);
  part.b = module.b * factor;
  part.base_factor = (factor - 1.0).unsqueeze(0);
  return part;
}

void Trainable::place_biases(Experts::Data& data) const {
  for (const TrainableBias& bias : biases_) {
    const Site& site = sites_.all()[static_cast<size_t>(site_called(sites_, bias.module, "the bias"))];
    ModuleOverrides overrides;
    overrides.module = site.name;
    overrides.bias.push_back({0, {}, bias.value});
    data.overrides.push_back(std::move(overrides));
  }
  std::sort(data.overrides.begin(), data.overrides.end(),
            [](const ModuleOverrides& x, const ModuleOverrides& y) { return x.module < y.module; });
}

Experts Trainable::experts(double dropout, std::uint64_t key) const {
  auto data = std::make_shared<Experts::Data>();
  data->names = {"trained"};
  data->trainable = true;
  data->dropout = dropout;
  data->dropout_key = key;
  data->lower = lower_;
  data->groups.resize(static_cast<size_t>(network_.groups));
  data->embeddings.resize(static_cast<size_t>(network_.embeddings));
  place_biases(*data);
  for (const Site& site : sites_.all())
    if (site.group != nullptr)
      data->groups[static_cast<size_t>(site.group->index)].parts.resize(site.group->parts.size());
  for (const Slot& slot : slots_) data->groups[static_cast<size_t>(slot.group)].parts[slot.part] = experts_of(slot);
  for (GroupExperts& group : data->groups) {
    std::vector<Tensor> factors;
    for (const ModuleExperts& part : group.parts)
      if (part.a.defined()) factors.push_back(part.a);
    if (!factors.empty()) group.a = factors.size() == 1 ? factors.front() : at::cat(factors, 0);
  }
  for (const Site& site : sites_.all()) {
    const auto replaced = std::find_if(data->overrides.begin(), data->overrides.end(),
                                       [&](const ModuleOverrides& overrides) { return overrides.module == site.name; });
    GroupExperts* group = site.group == nullptr ? nullptr : &data->groups[static_cast<size_t>(site.group->index)];
    ModuleExperts* part = group == nullptr ? nullptr : &group->parts[site.part];
    if (replaced == data->overrides.end() && (part == nullptr || !part->b.defined())) continue;
    const auto index = static_cast<std::int64_t>(data->modules.size());
    data->modules.push_back(site.name);
    if (part != nullptr) part->module = index, group->any = true;
    if (replaced == data->overrides.end()) continue;
    replaced->index = index;
    if (part != nullptr) part->override = static_cast<int>(replaced - data->overrides.begin());
  }
  return Experts(std::move(data));
}

void Trainable::keep_lower_states() { lower_ = std::make_shared<LowerStates>(); }

Tensor drop_out(const Tensor& x, const Experts::Data& experts, std::int64_t module) {
  const Philox random(hash_key(experts.modules[static_cast<size_t>(module)], experts.dropout_key));
  Tensor mask = at::empty(x.sizes(), at::kFloat);
  float* at = mask.mutable_data_ptr<float>();
  const auto rate = static_cast<float>(experts.dropout);
  const float kept = 1.0f / (1.0f - rate);
  constexpr std::int64_t kPiece = 1 << 12;  // numbers a task draws; a multiple of a block
  const std::int64_t count = mask.numel();
  auto draw = [&](std::int64_t piece) {
    const std::int64_t end = std::min(count, (piece + 1) * kPiece);
    for (std::int64_t i = piece * kPiece; i < end; i += 4) {
      const auto words = random.block(static_cast<std::uint64_t>(i / 4));
      for (std::int64_t j = i; j < std::min(end, i + 4); ++j)
        at[j] = static_cast<float>(words[static_cast<size_t>(j - i)] >> 8) * 0x1p-24f < rate ? 0.0f : kept;
    }
  };
  team_for((count + kPiece - 1) / kPiece, count < 8 * kPiece ? 1 : 0, draw);
  return x * mask.to(x.device());
}

}  // namespace weft::nn
