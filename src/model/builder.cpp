#include "model/builder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "model/device.h"
#include "model/initial_weights.h"

namespace weft::model {

namespace {

constexpr size_t kProblemsShown = 5;
constexpr std::int64_t kMostDrawn = 1'000'000'000;  // what is trained from scratch here is small
constexpr size_t kProblemsGathered = 100;           // a config may ask for any number of tensors

bool is_weight_type(c10::ScalarType t) {
  return t == at::kFloat || t == at::kBFloat16 || t == at::kHalf || t == at::kDouble;
}

/// Architecture of a config: the first of `architectures`, or empty.
std::string first_architecture(const ConfigReader& config) {
  const Value* list = config.find({"architectures"});
  if (list == nullptr || !list->is_list() || list->list.empty() || !list->list.front().is_scalar()) return {};
  return list->list.front().scalar;
}

}  // namespace

Builder::Builder(const ConfigReader& config, const io::Checkpoint& checkpoint, const OpenOptions& options,
                 bool headers_only, const InitialWeights* drawn)
    : config_(config),
      checkpoint_(checkpoint),
      options_(options),
      device_(headers_only ? c10::Device(c10::kCPU) : open_device(options.device)),
      headers_only_(headers_only),
      drawn_(drawn),
      architecture_(first_architecture(config)) {
  if (config_.find({"quantization_config"}) != nullptr)
    config_.refuse("quantization_config",
                   "quantised weights are not computed; give the checkpoint before quantisation");
}

void Builder::enter(std::string_view section) {
  const auto inner = config_.map(section);
  if (!inner) config_.fail(section, "is missing");
  config_ = *inner;
}

bool Builder::has(std::string_view tensor) const {
  std::string ignored;
  return drawn_ == nullptr && checkpoint_.find(tensor, ignored).present();
}

void Builder::complain(std::string text) {
  problems_.push_back(std::move(text));
  if (problems_.size() >= kProblemsGathered) throw_problems();
}

/// A parameter without a checkpoint.
Tensor Builder::draw(const Wanted& wanted) {
  if (!wanted.required) return {};
  std::int64_t numbers = 1;
  for (const std::int64_t size : wanted.shape)
    if (__builtin_mul_overflow(numbers, size, &numbers)) numbers = kMostDrawn + 1;
  if (numbers > kMostDrawn - parameters_)
    throw InputError(fmt::format("{}: asks for more than {} numbers ('{}' is [{}]); so many are not drawn",
                                 config_.file(), kMostDrawn, wanted.name, fmt::join(wanted.shape, ", ")));
  parameters_ += numbers;
  bytes_ += numbers * 4;
  dtypes_.insert(io::dtype_name(at::kFloat));
  const auto options = at::TensorOptions().device(headers_only_ ? c10::Device(at::kMeta) : device_);
  if (headers_only_) return at::empty(wanted.shape, options);
  const bool matrix = wanted.role == Role::kMatrix || wanted.role == Role::kTable;
  return drawn_->draw(wanted.name, wanted.shape, wanted.role, config_)
      .to(options.dtype(matrix ? options_.dtype.value_or(at::kFloat) : at::kFloat));
}

/// A parameter, checked; undefined where it is absent or wrong. Those of norms and biases are held in float32.
Tensor Builder::take(const Wanted& wanted) {
  if (drawn_ != nullptr) return draw(wanted);
  const std::vector<std::int64_t>& shape = wanted.shape;
  std::string why;
  const io::CheckpointTensor found = checkpoint_.find(wanted.spelled.empty() ? wanted.name : wanted.spelled, why);
  if (!found.present()) {
    if (wanted.required) complain(why);
    return {};
  }
  const io::TensorEntry& entry = *found.entry;
  const std::string where = fmt::format("{}: '{}'", found.file->path().filename().string(), entry.name);
  used_.insert(entry.name);
  stored_.emplace(wanted.name, entry.name);
  if (!is_weight_type(entry.dtype)) {
    complain(
        fmt::format("{} is {}, expected float32, bfloat16, float16 or float64; give the checkpoint before "
                    "quantisation",
                    where, io::dtype_name(entry.dtype)));
    return {};
  }
  if (entry.shape != shape) {
    complain(fmt::format("{} is [{}], but config.json asks for [{}]", where, fmt::join(entry.shape, ", "),
                         fmt::join(shape, ", ")));
    return {};
  }
  parameters_ += entry.numel();
  bytes_ += entry.numel() * static_cast<std::int64_t>(c10::elementSize(entry.dtype));
  dtypes_.insert(io::dtype_name(entry.dtype));
  if (headers_only_) return at::empty(shape, at::TensorOptions().device(at::kMeta));
  const Tensor stored = found.file->load(entry.name);
  const bool small = wanted.role != Role::kMatrix && wanted.role != Role::kTable;
  c10::ScalarType type = small || entry.dtype == at::kDouble ? at::kFloat : entry.dtype;
  if (!small && options_.dtype) type = *options_.dtype;
  return stored.to(at::TensorOptions().device(device_).dtype(type));
}

nn::Linear Builder::linear(const std::string& name, std::int64_t out, std::int64_t in, Presence bias, bool transposed) {
  nn::Linear linear;
  linear.name = name, linear.out = out, linear.in = in, linear.transposed = transposed;
  const std::vector<std::int64_t> shape = transposed ? std::vector{in, out} : std::vector{out, in};
  linear.weight = take({name + ".weight", shape, Role::kMatrix});
  if (bias != Presence::kNone) linear.bias = take({name + ".bias", {out}, Role::kBias, bias == Presence::kRequired});
  return linear;
}

nn::LinearGroup Builder::group(const std::string& name, std::int64_t out, std::int64_t in, Presence bias,
                               bool transposed) {
  nn::LinearGroup group;
  group.parts.push_back(linear(name, out, in, bias, transposed));
  return group;
}

nn::Embedding Builder::embedding(const std::string& name, std::int64_t rows, std::int64_t width) {
  nn::Embedding embedding;
  embedding.name = name;
  embedding.weight = take({name + ".weight", {rows, width}, Role::kTable});
  return embedding;
}

nn::Norm Builder::norm(const std::string& name, nn::Norm::Kind kind, std::int64_t width, double eps, Presence bias) {
  nn::Norm norm;
  norm.name = name, norm.kind = kind, norm.eps = eps;
  // Old BERT files call them gamma and beta, as TensorFlow does.
  const bool old = kind == nn::Norm::Kind::kLayer && !has(name + ".weight") && has(name + ".gamma");
  const Role role = kind == nn::Norm::Kind::kRmsPlusOne ? Role::kScaleFromOne : Role::kScale;
  norm.weight = take({name + ".weight", {width}, role, true, old ? name + ".gamma" : std::string()});
  if (kind == nn::Norm::Kind::kLayer && bias != Presence::kNone)
    norm.bias =
        take({name + ".bias", {width}, Role::kBias, bias == Presence::kRequired, old ? name + ".beta" : std::string()});
  return norm;
}

nn::Norm Builder::plain_norm(const std::string& name, std::int64_t width, double eps) {
  nn::Norm norm;
  norm.name = name, norm.eps = eps, norm.plain = true;
  // Only beside weights that fit: the config alone may claim any width.
  if (!headers_only_ && problems_.empty())
    norm.weight = at::ones({width}, at::TensorOptions().device(device_).dtype(at::kFloat));
  return norm;
}

nn::LinearGroup Builder::head(const std::string& name, const nn::Embedding& tokens, bool tied, Presence bias) {
  return choose_head(name, tokens, config_.flag({"tie_word_embeddings"}, tied), bias);
}

nn::LinearGroup Builder::head_or_tied(const std::string& name, const nn::Embedding& tokens) {
  return choose_head(name, tokens, true, Presence::kNone);
}

nn::LinearGroup Builder::choose_head(const std::string& name, const nn::Embedding& tokens, bool wanted, Presence bias) {
  if (!wanted || (has(name + ".weight") && tokens.weight.defined())) {
    nn::LinearGroup own = group(name, tokens.weight.defined() ? tokens.weight.size(0) : 0,
                                tokens.weight.defined() ? tokens.weight.size(1) : 0, bias);
    const Tensor& weight = own.parts.front().weight;
    // A tied head that was saved anyway is the embedding; one that differs is a head of its own, as in transformers.
    if (wanted && weight.defined() && !headers_only_ && at::equal(weight, tokens.weight))
      own.parts.front().weight = tokens.weight;
    return own;
  }
  nn::LinearGroup out;
  nn::Linear linear;
  linear.name = name, linear.weight = tokens.weight;
  if (tokens.weight.defined()) linear.out = tokens.weight.size(0), linear.in = tokens.weight.size(1);
  if (bias != Presence::kNone)
    linear.bias = take({name + ".bias", {linear.out}, Role::kBias, bias == Presence::kRequired});
  out.parts.push_back(std::move(linear));
  return out;
}

void Builder::throw_problems() const {
  const size_t shown = std::min(problems_.size(), kProblemsShown);
  std::string text = fmt::format("{}: the weights do not fit config.json:", checkpoint_.path().string());
  for (size_t i = 0; i < shown; ++i) text += "\n  " + problems_[i];
  if (problems_.size() > shown)
    text += fmt::format("\n  and {}{} more", problems_.size() >= kProblemsGathered ? "at least " : "",
                        problems_.size() - shown);
  throw InputError(text);
}

/**
 * What else the checkpoint has is often of no use here (buffers, heads of other tasks). But a tensor of one more layer,
 * or another parameter of a module that is built, means that config.json is another model's.
 */
void Builder::warn_of_unused(ModelInfo& info) const {
  const auto in_any_layer = [](const std::string& name) {
    std::string out;
    for (const char c : name) {
      const bool digit = c >= '0' && c <= '9';
      if (!digit || !out.ends_with('#')) out += digit ? '#' : c;
    }
    return out;
  };
  std::set<std::string> patterns, modules;
  for (const std::string& name : used_) {
    patterns.insert(in_any_layer(name));
    modules.insert(name.substr(0, name.rfind('.')));
  }
  std::string first;
  size_t count = 0;
  for (const auto& [name, tensor] : checkpoint_.tensors()) {
    if (used_.contains(name)) continue;
    const bool parameter = name.ends_with(".weight") || name.ends_with(".bias");
    if (!patterns.contains(in_any_layer(name)) && !(parameter && modules.contains(name.substr(0, name.rfind('.')))))
      continue;
    if (count++ == 0) first = name;
  }
  if (count > 0)
    info.warnings.push_back(
        fmt::format("{} tensors of the checkpoint have no place in the model that config.json describes and are left "
                    "out, the first is '{}'; does config.json belong to these weights?",
                    count, first));
}

void Builder::finish(ModelInfo& info) {
  if (!problems_.empty()) throw_problems();
  if (drawn_ == nullptr) warn_of_unused(info);
  info.parameters = parameters_, info.bytes = bytes_;
  info.dtype = dtypes_.size() == 1 ? *dtypes_.begin() : "mixed";
}

}  // namespace weft::model
