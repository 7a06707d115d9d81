#include "weft/flow/runtime.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>

#include "weft/core/parallel.h"
#include "weft/core/value.h"

namespace weft::flow {

namespace {

std::optional<c10::ScalarType> runtime_dtype(const std::string& name) {
  if (name.empty()) return std::nullopt;
  if (name == "float32") return c10::ScalarType::Float;
  if (name == "bfloat16") return c10::ScalarType::BFloat16;
  if (name == "float16") return c10::ScalarType::Half;
  throw UsageError(fmt::format("unknown dtype '{}'{}", name, suggestion(name, {"float32", "bfloat16", "float16"})));
}

void check_weights(const std::vector<double>& weights, size_t adapters) {
  if (!weights.empty() && weights.size() != adapters)
    throw UsageError(fmt::format("{} weights for {} adapters; give one each", weights.size(), adapters));
  for (const double weight : weights)
    if (!std::isfinite(weight)) throw UsageError("a weight is not finite");
}

}  // namespace

model::Composition attach_adapters(const model::BaseModel& model, const std::vector<adapter::Pool::Source>& adapters,
                                   const std::vector<double>& weights, Log& log) {
  check_weights(weights, adapters.size());
  if (adapters.empty()) return {};
  const adapter::Pool pool = adapter::Pool::open(adapters);
  pool.check_compatible();
  model::Composition out;
  out.experts = model.attach(pool, log);
  out.mix = nn::Mix::of(weights.empty() ? std::vector<double>(adapters.size(), 1.0) : weights);
  return out;
}

void check_tokenizer_fits(const text::Tokenizer& tokenizer, const model::ModelInfo& info) {
  if (tokenizer.size() > info.vocabulary)
    throw InputError(fmt::format("{}: has {} tokens, but the vocabulary of {} has {}; they do not belong together",
                                 tokenizer.path().string(), tokenizer.size(), info.path.string(), info.vocabulary));
}

Runtime open_runtime(const RuntimeOptions& options, Log& log) {
  model::OpenOptions opening;
  opening.dtype = runtime_dtype(options.dtype);
  opening.device = options.device;
  check_weights(options.weights, options.adapters.size());
  at::set_num_threads(options.threads > 0 ? options.threads : default_threads());
  model::BaseModel model = model::BaseModel::open(options.base, opening);
  for (const std::string& text : model.info().warnings) log.warning(text);
  text::Tokenizer tokenizer = text::Tokenizer::open(options.base);
  check_tokenizer_fits(tokenizer, model.info());
  model::Composition composition = attach_adapters(model, options.adapters, options.weights, log);
  return {std::move(model), std::move(tokenizer), std::move(composition)};
}

}  // namespace weft::flow
