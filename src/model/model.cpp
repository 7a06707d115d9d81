#include "weft/model/model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "model/model_data.h"
#include "nn/apply.h"
#include "nn/expert_data.h"
#include "nn/loss.h"
#include "nn/lower_states.h"
#include "nn/recorded.h"
#include "weft/adapter/base.h"

namespace weft::model {

namespace {

constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 24;  // elements of a slice of logits

/// Autograd off, unless somebody asks for gradients: of the weights of the experts, of their factors, of the base.
class GradientScope {
 public:
  GradientScope(const BaseModel::Data& model, const Composition& composition) {
    const Tensor& weights = composition.mix.weights;
    const nn::Experts::Data* experts = composition.experts.data();
    const bool wanted =
        model.trainable || (experts != nullptr && experts->trainable) || (weights.defined() && weights.requires_grad());
    if (!wanted) off_.emplace();
  }

 private:
  std::optional<at::NoGradGuard> off_;
};

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kCausal: return "a causal language model";
    case Kind::kSeq2Seq: return "an encoder-decoder";
    case Kind::kEncoder: return "an encoder";
  }
  return "";
}

void need_kind(const BaseModel::Data& model, Kind kind, const char* what) {
  if (model.info.kind != kind)
    throw UsageError(fmt::format("{} is {} (family {}): it has no {}", model.info.path.string(),
                                 kind_name(model.info.kind), model.info.family, what));
}

const nn::Stack& first_stack(const BaseModel::Data& model) {
  return model.info.kind == Kind::kCausal ? model.network.decoder : model.network.encoder;
}

Tensor states_of(const BaseModel::Data& model, Feed& feed) {
  const nn::Run& run = feed.run;
  const nn::Input& input = model.network.input;
  if (run.experts != nullptr && run.experts->lower != nullptr && run.copies == 1 && !run.check && !feed.types.defined())
    return nn::run_above(input, first_stack(model), feed.ids, run, *run.experts->lower);
  if (run.copies == 1 || !nn::input_is_shared(input, run))
    return nn::run_stack(first_stack(model), nn::embed(input, feed.ids, feed.types, run), run);
  nn::Run shared = run;  // one copy of the batch, until experts make them differ
  shared.layout = run.layout.head(run.layout.sequences() / run.copies);
  shared.experts = nullptr, shared.gate = nullptr;
  const std::int64_t tokens = shared.layout.tokens();
  const Tensor types = feed.types.defined() ? feed.types.narrow(0, 0, tokens) : Tensor();
  return nn::run_stack(first_stack(model), nn::embed(input, feed.ids.narrow(0, 0, tokens), types, shared), run);
}

/// Decoder states of targets shifted right behind the start token.
struct Decoded {
  Feed feed;  ///< of the targets; run.encoder points at `layout`
  nn::Layout layout;
  Tensor states;
};

void decode_targets(const BaseModel::Data& model, const Spread& inputs, const Spread& targets, Decoded& out) {
  need_kind(model, Kind::kSeq2Seq, "decoder over an encoder");
  if (inputs.batch.ids.size() != targets.batch.ids.size())
    throw UsageError(
        fmt::format("{} inputs and {} targets, expected as many", inputs.batch.ids.size(), targets.batch.ids.size()));
  if (!model.info.start_token)
    throw InputError(fmt::format("{}: config.json has no decoder_start_token_id", model.info.path.string()));
  prepare(model, targets.batch, targets.composition);  // every target id counts, the last one too
  nn::Batch shifted = targets.batch;
  for (auto& ids : shifted.ids) {
    ids.insert(ids.begin(), *model.info.start_token);
    ids.pop_back();
  }
  Feed encoder = prepare(model, inputs.batch, inputs.composition, {}, inputs.copies);
  out.layout = encoder.run.layout;
  out.feed = prepare(model, shifted, targets.composition);
  const auto forward = [&](nn::Run& run) {
    encoder.run.check = run.check;
    run.encoder_states = states_of(model, encoder);
    run.encoder = &out.layout;
    return nn::run_stack(model.network.decoder, nn::embed(model.network.decoder_input(), out.feed.ids, {}, run), run);
  };
  out.states = run_checked(out.feed.run, forward);
}

/// What the tokens of `targets` cost where `states` predict them: rows and targets in step.
Tensor nll_of_rows(const BaseModel::Data& model, const Tensor& states, const Tensor& targets, const nn::Run& run,
                   const std::vector<std::int64_t>& per_sequence, const Tensor& rows) {
  const std::int64_t count = states.size(0);
  const std::int64_t slice = std::max<std::int64_t>(1, kLogitsAtOnce / model.info.vocabulary);
  std::vector<Tensor> out;
  size_t sequence = 0;
  std::int64_t used = 0;  // rows of the current sequence that are done
  for (std::int64_t first = 0; first < count; first += slice) {
    const std::int64_t n = std::min(slice, count - first);
    std::vector<std::int64_t> here(per_sequence.size(), 0);
    for (std::int64_t left = n; left > 0;) {
      const std::int64_t take = std::min(left, per_sequence[sequence] - used);
      here[sequence] = take, used += take, left -= take;
      if (used == per_sequence[sequence]) ++sequence, used = 0;
    }
    nn::Run part = run_of_rows(run, here, rows.narrow(0, first, n));
    out.push_back(run_checked(part, [&](nn::Run& r) {
      return nn::likelihood_of_states(model.network, states.narrow(0, first, n), targets.narrow(0, first, n), r);
    }));
  }
  return out.empty() ? at::empty({0}, at::kFloat) : at::cat(out, 0);
}

}  // namespace

const ModelInfo& BaseModel::info() const { return data_->info; }

nn::Experts BaseModel::attach(const adapter::Pool& pool, Log& log) const {
  nn::Network network = data_->network;  // handles, not weights
  const auto altered = [](const adapter::Adapter& adapter) { return !adapter.info().needs_base.empty(); };
  std::optional<adapter::BaseWeights> base;
  if (std::any_of(pool.adapters().begin(), pool.adapters().end(), altered))
    base = adapter::BaseWeights::open(data_->info.path);
  return nn::stack_experts(pool, network, base ? &*base : nullptr, log);
}

Tensor BaseModel::states(const nn::Batch& batch, const Composition& composition) const {
  const GradientScope scope(*data_, composition);
  const Spread all = spread(batch, composition);
  Feed feed = prepare(*data_, all.batch, all.composition, {}, all.copies);
  return run_checked(feed.run, [&](nn::Run&) { return states_of(*data_, feed); });
}

Tensor BaseModel::logits(const nn::Batch& batch, const Composition& composition) const {
  need_kind(*data_, Kind::kCausal, "logits for the next token");
  const GradientScope scope(*data_, composition);
  const Spread all = spread(batch, composition);
  Feed feed = prepare(*data_, all.batch, all.composition, {}, all.copies);
  return run_checked(feed.run, [&](nn::Run& run) { return nn::project(data_->network, states_of(*data_, feed), run); });
}

Tensor BaseModel::logits(const nn::Batch& inputs, const nn::Batch& targets, const Composition& composition) const {
  const GradientScope scope(*data_, composition);
  const Spread all = spread(targets, composition);
  Decoded decoded;
  decode_targets(*data_, spread(inputs, composition), all, decoded);
  return run_checked(decoded.feed.run, [&](nn::Run& run) { return nn::project(data_->network, decoded.states, run); });
}

Tensor BaseModel::classify(const nn::Batch& batch, const Composition& composition) const {
  const nn::Classifier& head = data_->network.classifier;
  if (!head.out.present())
    throw UsageError(fmt::format("{} has no classification head ({})", data_->info.path.string(),
                                 !head.why_absent.empty()           ? head.why_absent
                                 : data_->info.architecture.empty() ? "architecture unknown"
                                                                    : "architecture " + data_->info.architecture));
  const GradientScope scope(*data_, composition);
  const Spread all = spread(batch, composition);
  Feed feed = prepare(*data_, all.batch, all.composition, {}, all.copies);
  const std::vector<std::int64_t> ones(all.batch.ids.size(), 1);
  const std::vector<std::int64_t> starts(feed.run.layout.offsets.begin(), feed.run.layout.offsets.end() - 1);
  const Tensor rows = at::tensor(at::ArrayRef<std::int64_t>(starts), at::kLong).to(data_->device);
  return run_checked(feed.run, [&](nn::Run& run) {
    Tensor h = states_of(*data_, feed).index_select(0, rows);
    const nn::Run firsts = run_of_rows(run, ones, rows);
    if (head.dense.present()) h = nn::activate(head.activation, nn::apply_one(head.dense, h, firsts));
    return nn::apply_one(head.out, h, firsts);
  });
}

Tensor BaseModel::embed(const nn::Batch& batch, const Composition& composition) const {
  need_kind(*data_, Kind::kEncoder, "sentence embeddings");
  const GradientScope scope(*data_, composition);
  const Tensor h = states(batch, composition);
  std::vector<std::int64_t> offsets = {0};
  while (offsets.back() < h.size(0))  // once per copy
    for (const auto& ids : batch.ids) offsets.push_back(offsets.back() + static_cast<std::int64_t>(ids.size()));
  const Tensor mean = nn::recorded_means(h, offsets);
  return mean / at::linalg_vector_norm(mean, 2, {1}, true).clamp_min(1e-12);
}

Tensor BaseModel::nll(const nn::Batch& batch, const std::vector<std::int64_t>& first,
                      const Composition& composition) const {
  need_kind(*data_, Kind::kCausal, "likelihood of a text");
  if (first.size() != batch.ids.size())
    throw UsageError(
        fmt::format("{} sequences and {} first indices, expected as many", batch.ids.size(), first.size()));
  const GradientScope scope(*data_, composition);
  const Spread all = spread(batch, composition);
  Feed feed = prepare(*data_, all.batch, all.composition, {}, all.copies);
  std::vector<std::int64_t> counts, rows, targets;
  for (size_t i = 0; i < all.batch.ids.size(); ++i) {
    const auto& ids = all.batch.ids[i];
    const auto length = static_cast<std::int64_t>(ids.size());
    const std::int64_t from = first[i % first.size()];
    if (from < 1 || from > length) throw UsageError(fmt::format("first[{}] is {}, expected 1 to {}", i, from, length));
    counts.push_back(length - from);
    for (std::int64_t t = from; t < length; ++t) {
      rows.push_back(feed.run.layout.offsets[i] + t - 1);
      targets.push_back(ids[static_cast<size_t>(t)]);
    }
  }
  const auto on_device = [&](const std::vector<std::int64_t>& values) {
    return at::tensor(at::ArrayRef<std::int64_t>(values), at::kLong).to(data_->device);
  };
  const Tensor states = run_checked(feed.run, [&](nn::Run&) { return states_of(*data_, feed); });
  const Tensor index = on_device(rows);
  return nll_of_rows(*data_, states.index_select(0, index), on_device(targets), feed.run, counts, index);
}

Tensor BaseModel::nll(const nn::Batch& inputs, const nn::Batch& targets, const Composition& composition) const {
  const GradientScope scope(*data_, composition);
  const Spread all = spread(targets, composition);
  Decoded decoded;
  decode_targets(*data_, spread(inputs, composition), all, decoded);
  const Feed scored = prepare(*data_, all.batch, all.composition);
  return nll_of_rows(*data_, decoded.states, scored.ids, decoded.feed.run, decoded.feed.run.layout.lengths,
                     at::arange(scored.ids.size(0), scored.ids.options()));
}

}  // namespace weft::model
