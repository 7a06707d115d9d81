#include "model/session.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "model/model_data.h"

namespace weft::model {

struct Session::State {
  BaseModel model;
  Composition composition;
  nn::Batch prompts;  // causal: with all that was fed since
  nn::KvCache cache;
  nn::Layout encoder;     // seq2seq
  Tensor encoder_states;  // seq2seq, until every layer has its keys and values
  bool begun = false;

  const BaseModel::Data& data() const { return model.data(); }
  bool seq2seq() const { return data().info.kind == Kind::kSeq2Seq; }
  Tensor step(const nn::Batch& batch);
  void encode();
  bool cache_outgrown() const;
};

/// True if one more token changes the angles of earlier ones (rope scalings that look at a sequence's length): what the
/// upper layers cached came from other states then.
bool Session::State::cache_outgrown() const {
  for (const nn::Rope& rope : data().network.decoder.ropes)
    for (const std::int64_t past : cache.lengths) {
      if (past == 0 || past + 1 <= rope.original) continue;
      if (rope.kind == nn::Rope::Kind::kDynamic) return true;
      if (rope.kind == nn::Rope::Kind::kLongRope && past == rope.original) return true;
    }
  return false;
}

/// Runs new ids behind the cached ones; logits of the last id of each sequence.
Tensor Session::State::step(const nn::Batch& batch) {
  Feed feed = prepare(data(), batch, composition, cache.lengths);
  nn::Run& run = feed.run;
  run.cache = &cache;
  if (seq2seq()) run.encoder = &encoder, run.encoder_states = encoder_states;
  cache.reserve(*std::max_element(run.layout.lengths.begin(), run.layout.lengths.end()));
  const std::vector<std::int64_t> ones(batch.ids.size(), 1);
  std::vector<std::int64_t> last;
  for (size_t i = 0; i < ones.size(); ++i) last.push_back(run.layout.offsets[i + 1] - 1);
  const Tensor rows = at::tensor(at::ArrayRef<std::int64_t>(last), at::kLong).to(data().device);
  const Tensor logits = run_checked(run, [&](nn::Run& r) {
    Tensor h = nn::run_stack(data().network.decoder, nn::embed(data().network.decoder_input(), feed.ids, {}, r), r);
    if (h.size(0) != rows.size(0)) h = h.index_select(0, rows);
    return nn::project(data().network, h, run_of_rows(r, ones, rows));
  });
  for (size_t i = 0; i < ones.size(); ++i) cache.lengths[i] += run.layout.lengths[i];
  return logits;
}

void Session::State::encode() {
  Feed feed = prepare(data(), prompts, composition);
  encoder = feed.run.layout;
  encoder_states = run_checked(feed.run, [&](nn::Run& run) {
    return nn::run_stack(data().network.encoder, nn::embed(data().network.input, feed.ids, {}, run), run);
  });
}

Session::Session(const BaseModel& model, const Composition& composition, const nn::Batch& prompts)
    : state_(std::make_unique<State>(State{model, composition, prompts, {}, {}, {}, false})) {
  const ModelInfo& info = model.info();
  if (info.kind == Kind::kEncoder)
    throw UsageError(fmt::format("{} is an encoder (family {}): it cannot generate", info.path.string(), info.family));
  if (composition.experts.data() != nullptr && composition.mix.rows != nn::Mix::Rows::kModel &&
      composition.mix.rows != nn::Mix::Rows::kSequence)
    throw UsageError("generation takes one row of weights, or one per sequence");
  if (info.kind == Kind::kSeq2Seq && !info.start_token)
    throw InputError(fmt::format("{}: config.json has no decoder_start_token_id", info.path.string()));
  state_->cache.layers.resize(model.data().network.decoder.layers.size());
  state_->cache.lengths.assign(prompts.ids.size(), 0);
}

Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

Tensor Session::begin() {
  const c10::InferenceMode no_autograd;
  State& state = *state_;
  if (state.begun) throw UsageError("a session begins once");
  state.begun = true;
  if (!state.seq2seq()) return state.step(state.prompts);
  state.encode();
  nn::Batch start;
  start.ids.assign(state.prompts.ids.size(), {*state.data().info.start_token});
  return state.step(start);
}

Tensor Session::feed(const std::vector<std::int64_t>& ids) {
  const c10::InferenceMode no_autograd;
  if (ids.size() != state_->cache.lengths.size())
    throw UsageError(fmt::format("{} ids for {} sequences", ids.size(), state_->cache.lengths.size()));
  nn::Batch batch;
  for (const std::int64_t id : ids) batch.ids.push_back({id});
  if (state_->seq2seq()) return state_->step(batch);
  for (size_t i = 0; i < ids.size(); ++i) state_->prompts.ids[i].push_back(ids[i]);
  if (!state_->cache_outgrown()) return state_->step(batch);
  state_->cache.lengths.assign(ids.size(), 0);
  return state_->step(state_->prompts);
}

void Session::keep(const std::vector<std::int64_t>& sequences) {
  const c10::InferenceMode no_autograd;
  State& state = *state_;
  for (const std::int64_t i : sequences)
    if (i < 0 || i >= static_cast<std::int64_t>(state.cache.lengths.size()))
      throw UsageError(fmt::format("sequence {} of {} does not exist", i, state.cache.lengths.size()));
  state.cache.keep(sequences);
  const Tensor index = at::tensor(at::ArrayRef<std::int64_t>(sequences), at::kLong);
  nn::Mix& mix = state.composition.mix;
  if (state.composition.experts.data() != nullptr && mix.rows == nn::Mix::Rows::kSequence)
    mix.weights = mix.weights.index_select(0, index);
  nn::Batch kept;
  for (const std::int64_t i : sequences) kept.ids.push_back(state.prompts.ids[static_cast<size_t>(i)]);
  state.prompts = std::move(kept);
  if (!state.seq2seq()) return;
  // The encoder's tokens of the kept sequences, in the new order.
  std::vector<std::int64_t> tokens, lengths;
  for (const std::int64_t i : sequences) {
    const auto at = static_cast<size_t>(i);
    lengths.push_back(state.encoder.lengths[at]);
    for (std::int64_t t = state.encoder.offsets[at]; t < state.encoder.offsets[at + 1]; ++t) tokens.push_back(t);
  }
  const Tensor rows = at::tensor(at::ArrayRef<std::int64_t>(tokens), at::kLong).to(state.data().device);
  state.encoder = nn::Layout::of(std::move(lengths));
  if (state.encoder_states.defined()) state.encoder_states = state.encoder_states.index_select(0, rows);
  for (nn::KvCache::Layer& layer : state.cache.layers)
    for (Tensor* held : {&layer.cross_k, &layer.cross_v})
      if (held->defined()) *held = held->index_select(0, rows);
}

}  // namespace weft::model
