#include "train/lora.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <utility>

#include "io/checkpoint.h"
#include "nn/sites.h"
#include "weft/core/random.h"
#include "weft/core/value.h"

namespace weft::train {
namespace {

constexpr std::string_view kAllLinear = "all-linear";

/// PEFT's rule: the whole name, or its end behind a dot.
bool is_named(const std::string& module, const std::string& target) {
  if (module == target) return true;
  return module.size() > target.size() && module.ends_with(target) && module[module.size() - target.size() - 1] == '.';
}

/// A module's name without what checkpoints differ in: the prefixes, and how GPT-NeoX calls its head.
std::string core_of(std::string_view module) {
  const std::string core(io::without_model_prefixes(module));
  return core == "embed_out" ? "lm_head" : core;
}

/// As an ending of the name, or as another checkpoint or the model's class would name it.
bool is_meant(const std::string& module, const std::string& target) {
  return is_named(module, target) || core_of(module) == core_of(target);
}

/// The first number between dots: which block a module is in; -1: in none.
std::int64_t block_of(const std::string& module) {
  for (size_t begin = module.find('.'); begin != std::string::npos;) {
    const size_t end = std::min(module.find('.', begin + 1), module.size());
    const std::string part = module.substr(begin + 1, end - begin - 1);
    if (!part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == std::string::npos)
      return std::stoll(part);
    begin = end == module.size() ? std::string::npos : end;
  }
  return -1;
}

/// Names of the parts that make queries and values, fused ones whole.
std::set<std::string> queries_and_values(const nn::Network& network) {
  std::set<std::string> out;
  const auto add = [&out](const nn::LinearGroup& group, std::initializer_list<size_t> parts) {
    for (const size_t part : parts)
      if (part < group.parts.size()) out.insert(group.parts[part].name);
  };
  for (const nn::Stack* stack : {&network.encoder, &network.decoder})
    for (const nn::Layer& layer : stack->layers) {
      add(layer.attention.qkv, {0, 2});
      add(layer.cross.qkv, {0});
      add(layer.cross.cross_kv, {1});
    }
  return out;
}

/// Linears inside the blocks and around them, without the heads.
std::vector<std::string> linears_of(nn::Network& network) {
  std::set<std::string> heads;
  for (const nn::LinearGroup* group : {&network.head, &network.classifier.dense, &network.classifier.out})
    for (const nn::Linear& part : group->parts) heads.insert(part.name);
  std::vector<std::string> out;
  const nn::Sites sites(network);
  for (const nn::Site& site : sites.all())
    if (site.linear() != nullptr && heads.find(site.name) == heads.end()) out.push_back(site.name);
  return out;
}

void check_target(const std::string& target, const nn::Sites& sites) {
  std::vector<std::string> endings;
  for (const nn::Site& site : sites.all()) {
    if (is_meant(site.name, target)) {
      if (site.linear() != nullptr) return;
      throw UsageError(
          fmt::format("target '{}' is no linear of the model ('{}'); only linears are trained", target, site.name));
    }
    const std::string ending = site.name.substr(site.name.rfind('.') + 1);
    if (site.linear() != nullptr && std::find(endings.begin(), endings.end(), ending) == endings.end())
      endings.push_back(ending);
  }
  throw UsageError(fmt::format("target '{}' names no module of the model{}", target, suggestion(target, endings)));
}

void keep_blocks(std::vector<std::string>& modules, const std::vector<std::int64_t>& blocks) {
  if (blocks.empty()) return;
  for (const std::int64_t block : blocks)
    if (std::none_of(modules.begin(), modules.end(), [&](const auto& module) { return block_of(module) == block; }))
      throw UsageError(fmt::format("no target is in block {}; blocks count from 0", block));
  std::erase_if(modules, [&](const std::string& module) {
    return std::find(blocks.begin(), blocks.end(), block_of(module)) == blocks.end();
  });
}

/// [rank, in], uniform in ±1 / sqrt(in): kaiming_uniform_ with a = sqrt(5), as PEFT draws A.
Tensor drawn_factor(const std::string& module, std::uint64_t seed, std::int64_t rank, std::int64_t in) {
  const Philox random(hash_key(module, seed));
  Tensor out = at::empty({rank, in}, at::kFloat);
  const auto bound = static_cast<float>(1.0 / std::sqrt(static_cast<double>(in)));
  float* at = out.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i)
    at[i] = (2.0f * random.uniform(static_cast<std::uint64_t>(i)) - 1.0f) * bound;
  return out;
}

Tensor magnitude_of(const nn::Linear& linear, const Tensor& a, const Tensor& b, double scale) {
  const Tensor weight = linear.weight.to(at::kFloat);
  return at::linalg_vector_norm((linear.transposed ? weight.t() : weight) + at::matmul(b.t(), a) * scale, 2, {1});
}

/// What an adapter has for a module, as a [r, in], b [r, out] for `scale`.
struct First {
  Tensor a, b, magnitude;
};

/// The adapter's module of that name, with or without the usual prefixes on either side.
const adapter::ModuleInfo* find_module(const adapter::Adapter& start, std::string_view name) {
  for (const adapter::ModuleInfo& module : start.modules())
    if (core_of(module.name) == core_of(name)) return &module;
  return nullptr;
}

First first_of(const adapter::Adapter& start, const std::string& module, double scale) {
  First out;
  const adapter::ModuleInfo* info = find_module(start, module);
  if (info == nullptr) return out;
  const adapter::ModuleUpdate update = start.load(*info);
  const std::string& name = start.info().name;
  if (update.blocks.size() != 1 || update.bias.defined() || update.dense.defined())
    throw UnsupportedError(
        fmt::format("adapter '{}' cannot be trained on: module '{}' is more than a plain low-rank "
                    "update; merge it with itself first (weft merge) to get one",
                    name, module));
  const adapter::LowRank& factors = update.blocks.front();
  out.a = factors.a.to(at::kFloat);
  out.b = factors.b.to(at::kFloat).t() * (factors.scale / scale);
  if (update.magnitude.defined()) out.magnitude = update.magnitude.to(at::kFloat).reshape({-1});
  return out;
}

void check_start(const adapter::Adapter& start, const std::vector<std::string>& modules, Bias bias) {
  const auto& info = start.info();
  if (!info.refusal.empty()) throw UnsupportedError(fmt::format("adapter '{}': {}", info.name, info.refusal));
  for (const adapter::FullTensor& full : start.full_tensors())
    if (full.kind != adapter::FullTensor::Kind::kBias || bias == Bias::kNone)
      throw UnsupportedError(
          fmt::format("adapter '{}' replaces '{}' of the base: training does not go on from replaced "
                      "parameters, apart from biases when bias is trained; drop them (weft merge, "
                      "full_tensors: drop)",
                      info.name, full.name));
  for (const adapter::ModuleInfo& module : start.modules())
    if (std::none_of(modules.begin(), modules.end(),
                     [&](const std::string& target) { return core_of(target) == core_of(module.name); }))
      throw UsageError(
          fmt::format("adapter '{}' has an update of '{}', which is not among the targets; name it in "
                      "targets (and layers), or start from another adapter",
                      info.name, module.name));
}

/// The bias that the start puts in the place of the base's, or the base's.
Tensor first_bias(const adapter::Adapter* start, const std::string& module, const Tensor& base) {
  if (start == nullptr) return base;
  const std::string name = module + ".bias";
  for (const adapter::FullTensor& full : start->full_tensors())
    if (io::without_model_prefixes(full.name) == io::without_model_prefixes(name)) {
      const Tensor value = start->load_key(full.key).to(at::kFloat);
      if (value.sizes() != base.sizes())
        throw InputError(fmt::format("adapter '{}': '{}' has {} numbers, the base's bias {}", start->info().name,
                                     full.key, value.numel(), base.numel()));
      return value;
    }
  return base;
}

}  // namespace

std::string name_in_class(const std::string& family, const std::string& module) {
  constexpr std::string_view kOfText = "model.";
  if (family == "gemma3" && module.starts_with(kOfText)) return "model.language_model." + module.substr(kOfText.size());
  return family == "gpt_neox" && module == "embed_out" ? "lm_head" : module;
}

std::vector<std::string> target_modules(nn::Network& network, const LoraOptions& options) {
  const nn::Sites sites(network);
  const std::set<std::string> usual = queries_and_values(network);
  const std::vector<std::string> inner = linears_of(network);
  const std::set<std::string> inner_set(inner.begin(), inner.end());
  for (const std::string& target : options.targets)
    if (target != kAllLinear) check_target(target, sites);
  std::vector<std::string> out;
  for (const nn::Site& site : sites.all()) {
    if (site.linear() == nullptr) continue;
    const auto names_it = [&](const std::string& target) {
      return target == kAllLinear ? inner_set.count(site.name) > 0 : is_meant(site.name, target);
    };
    const bool wanted = options.targets.empty() ? usual.count(site.name) > 0
                                                : std::any_of(options.targets.begin(), options.targets.end(), names_it);
    if (wanted) out.push_back(site.name);
  }
  keep_blocks(out, options.layers);
  if (out.empty()) throw UsageError("targets name no module of the model");
  return out;
}

void LoraLeaves::add_module(const nn::Site& site, const TrainOptions& options, const adapter::Adapter* start,
                            std::vector<nn::TrainableModule>& to) {
  const nn::Linear& linear = *site.linear();
  const LoraOptions& lora = options.lora;
  Tensor a = drawn_factor(site.name, options.seed, lora.rank, linear.in);
  Tensor b = at::zeros({lora.rank, linear.out}, at::kFloat);
  const First first = start == nullptr ? First{} : first_of(*start, site.name, scale_);
  if (first.a.defined()) {
    const std::int64_t rank = first.a.size(0);
    if (rank > lora.rank || first.a.size(1) != linear.in || first.b.size(1) != linear.out)
      throw UsageError(
          fmt::format("the start's update of '{}' has rank {} and shape [{}, {}], expected rank {} at most "
                      "and [{}, {}]; give a higher rank, or merge it to a lower one first",
                      site.name, rank, first.b.size(1), first.a.size(1), lora.rank, linear.out, linear.in));
    a.narrow(0, 0, rank).copy_(first.a);
    b.narrow(0, 0, rank).copy_(first.b);
    if (first.magnitude.defined() && !lora.dora)
      throw UsageError(fmt::format("the start is a DoRA adapter ('{}' has a magnitude); train with dora", site.name));
  }
  nn::TrainableModule module;
  module.name = site.name, module.scale = scale_;
  const auto leaf = [&](const char* what, const Tensor& value) {
    leaves_.push_back(Leaf::of(site.name + what, value));
    return leaves_.back().value;
  };
  module.a = leaf(".lora_A", a);
  module.b = leaf(".lora_B", b);
  if (lora.dora)
    module.magnitude =
        leaf(".magnitude", first.magnitude.defined() ? first.magnitude : magnitude_of(linear, a, b, scale_));
  to.push_back(std::move(module));
}

void LoraLeaves::add_biases(const nn::Sites& sites, Bias which, const adapter::Adapter* start,
                            std::vector<nn::TrainableBias>& to) {
  if (which == Bias::kNone) return;
  for (const nn::Site& site : sites.all()) {
    const Tensor bias = site.linear() != nullptr ? site.linear()->bias
                        : site.norm != nullptr   ? site.norm->bias
                                                 : Tensor();
    const bool adapted = std::find(modules_.begin(), modules_.end(), site.name) != modules_.end();
    if (!bias.defined() || (which == Bias::kLoraOnly && !adapted)) continue;
    leaves_.push_back(Leaf::of(site.name + ".bias", first_bias(start, site.name, bias)));
    to.push_back({site.name, leaves_.back().value});
  }
}

LoraLeaves::LoraLeaves(nn::Network network, const TrainOptions& options, const adapter::Adapter* start) {
  const LoraOptions& lora = options.lora;
  const auto rank = static_cast<double>(lora.rank);
  scale_ = lora.alpha / (lora.rslora ? std::sqrt(rank) : rank);
  modules_ = target_modules(network, lora);
  if (start != nullptr) check_start(*start, modules_, lora.bias);
  const nn::Sites sites(network);
  std::vector<nn::TrainableModule> modules;
  std::vector<nn::TrainableBias> biases;
  for (const nn::Site& site : sites.all()) {
    if (std::find(modules_.begin(), modules_.end(), site.name) == modules_.end()) continue;
    transposed_ = transposed_ || site.linear()->transposed;
    add_module(site, options, start, modules);
  }
  add_biases(sites, lora.bias, start, biases);
  trainable_ = std::make_unique<nn::Trainable>(network, std::move(modules), std::move(biases));
}

}  // namespace weft::train
