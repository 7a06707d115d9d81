#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "model/model_data.h"

namespace weft::model {

namespace {

void check_ids(const BaseModel::Data& model, const std::vector<std::int64_t>& ids, size_t index, std::int64_t past) {
  if (ids.empty())
    throw UsageError(fmt::format("sequence {} of the batch is empty, expected at least one token", index));
  for (const std::int64_t id : ids)
    if (id < 0 || id >= model.info.vocabulary)
      throw InputError(
          fmt::format("token id {} is outside the vocabulary of {}, which has {} tokens; the tokenizer "
                      "belongs to another model",
                      id, model.info.path.string(), model.info.vocabulary));
  const std::int64_t total = past + static_cast<std::int64_t>(ids.size());
  if (model.info.positions_end && total > model.info.positions)
    throw InputError(fmt::format("a sequence of {} tokens is longer than the {} learned positions of {}; shorten it",
                                 total, model.info.positions, model.info.path.string()));
}

Tensor flat(const std::vector<std::vector<std::int64_t>>& rows, const c10::Device& device) {
  std::vector<std::int64_t> all;
  for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
  return at::tensor(at::ArrayRef<std::int64_t>(all), at::TensorOptions().dtype(at::kLong)).to(device);
}

constexpr std::int64_t kFewNumbers = std::int64_t{1} << 20;

bool plain_finite(const float* x, std::int64_t n) {
  constexpr std::int64_t kLanes = 16;
  float lanes[kLanes] = {};  // 0, or NaN once something was not finite
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += x[i + lane] * 0.0f;
  for (; i < n; ++i) lanes[0] += x[i] * 0.0f;
  return std::all_of(lanes, lanes + kLanes, [](float lane) { return lane == 0.0f; });
}

Tensor checked_types(const BaseModel::Data& model, const nn::Batch& batch) {
  if (batch.types.empty()) return {};
  const Tensor& table = model.network.input.types.weight;
  if (!table.defined())
    throw UsageError(fmt::format("{} has no token types, but the batch gives some", model.info.path.string()));
  bool fits = batch.types.size() == batch.ids.size();
  for (size_t i = 0; fits && i < batch.ids.size(); ++i) {
    fits = batch.types[i].size() == batch.ids[i].size();
    for (const std::int64_t type : batch.types[i]) fits = fits && type >= 0 && type < table.size(0);
  }
  if (!fits) throw UsageError(fmt::format("token types must be one per token and less than {}", table.size(0)));
  return flat(batch.types, model.device);
}

}  // namespace

bool all_finite(const Tensor& x) {
  if (x.numel() == 0) return true;
  // The logits of a step are looked at here: a loop of libtorch's would leave its threads spinning beside our own.
  if (x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous() && x.numel() <= kFewNumbers)
    return plain_finite(x.const_data_ptr<float>(), x.numel());
  if (std::isfinite(x.detach().sum().item<double>())) return true;  // a sum that overflows is looked at again
  return at::isfinite(x.detach()).all().item<bool>();
}

Spread spread(const nn::Batch& batch, const Composition& composition) {
  const nn::Mix& mix = composition.mix;
  if (composition.experts.data() == nullptr || mix.rows != nn::Mix::Rows::kCandidate) return {batch, composition, 1};
  if (!mix.weights.defined() || mix.weights.dim() < 2 || mix.weights.size(0) < 1)
    throw UsageError("weights per candidate are a table with one row per candidate");
  Spread out{batch, composition, mix.weights.size(0)};
  for (std::int64_t i = 1; i < out.copies; ++i) {
    out.batch.ids.insert(out.batch.ids.end(), batch.ids.begin(), batch.ids.end());
    out.batch.types.insert(out.batch.types.end(), batch.types.begin(), batch.types.end());
  }
  out.composition.mix.rows = nn::Mix::Rows::kSequence;
  out.composition.mix.weights = mix.weights.repeat_interleave(static_cast<std::int64_t>(batch.ids.size()), 0);
  return out;
}

Feed prepare(const BaseModel::Data& model, const nn::Batch& batch, const Composition& composition,
             const std::vector<std::int64_t>& past, std::int64_t copies) {
  if (batch.ids.empty()) throw UsageError("the batch has no sequences");
  std::vector<std::int64_t> lengths;
  for (size_t i = 0; i < batch.ids.size(); ++i) {
    check_ids(model, batch.ids[i], i, past.empty() ? 0 : past[i]);
    lengths.push_back(static_cast<std::int64_t>(batch.ids[i].size()));
  }
  Feed feed;
  feed.ids = flat(batch.ids, model.device);
  feed.types = checked_types(model, batch);
  feed.run.layout = nn::Layout::of(std::move(lengths), past);
  feed.run.copies = copies;
  if (composition.experts.data() == nullptr) return feed;
  feed.gate = nn::make_gate(composition.mix, composition.experts, feed.run.layout);
  feed.run.experts = composition.experts.data();
  feed.run.gate = feed.gate.get();
  return feed;
}

nn::Run run_of_rows(const nn::Run& run, const std::vector<std::int64_t>& per_sequence, const Tensor& rows) {
  nn::Run out = run;
  out.layout = nn::Layout::of(per_sequence);
  out.layout.token_index = rows;
  out.cache = nullptr;
  return out;
}

}  // namespace weft::model
