#include "nn/run.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace weft::nn {

namespace {

Tensor int64_tensor(std::vector<std::int64_t> values) {
  return at::tensor(at::ArrayRef<std::int64_t>(values), at::TensorOptions().dtype(at::kLong));
}

}  // namespace

Layout Layout::of(std::vector<std::int64_t> lengths, std::vector<std::int64_t> past) {
  Layout out;
  out.past = past.empty() ? std::vector<std::int64_t>(lengths.size(), 0) : std::move(past);
  out.offsets.assign(lengths.size() + 1, 0);
  std::partial_sum(lengths.begin(), lengths.end(), out.offsets.begin() + 1);
  out.lengths = std::move(lengths);
  return out;
}

Layout Layout::head(std::int64_t count) const {
  return of({lengths.begin(), lengths.begin() + count}, {past.begin(), past.begin() + count});
}

std::vector<Layout::Span> Layout::spans() const {
  std::vector<Span> out;
  for (std::int64_t i = 0; i < sequences(); ++i) {
    const auto at = static_cast<size_t>(i);
    const bool same = !out.empty() && lengths[at] == lengths[at - 1] && past[at] == past[at - 1];
    if (same)
      out.back().last = i + 1;
    else
      out.push_back({i, i + 1});
  }
  return out;
}

Tensor Layout::positions() const {
  std::vector<std::int64_t> out;
  out.reserve(static_cast<size_t>(tokens()));
  for (size_t i = 0; i < lengths.size(); ++i)
    for (std::int64_t t = 0; t < lengths[i]; ++t) out.push_back(past[i] + t);
  return int64_tensor(std::move(out));
}

Tensor Layout::totals() const {
  std::vector<std::int64_t> out;
  out.reserve(static_cast<size_t>(tokens()));
  for (size_t i = 0; i < lengths.size(); ++i)
    out.insert(out.end(), static_cast<size_t>(lengths[i]), past[i] + lengths[i]);
  return int64_tensor(std::move(out));
}

Tensor Layout::sequence_of_token() const {
  std::vector<std::int64_t> out;
  out.reserve(static_cast<size_t>(tokens()));
  for (size_t i = 0; i < lengths.size(); ++i)
    out.insert(out.end(), static_cast<size_t>(lengths[i]), static_cast<std::int64_t>(i));
  return int64_tensor(std::move(out));
}

void KvCache::reserve(std::int64_t more) {
  const std::int64_t longest = lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
  if (longest + more <= capacity) return;
  capacity = std::max(longest + more, std::min(2 * capacity, capacity + 1024));
  for (Layer& layer : layers)
    for (Tensor* held : {&layer.k, &layer.v}) {
      if (!held->defined()) continue;
      Tensor grown = at::empty({held->size(0), held->size(1), capacity, held->size(3)}, held->options());
      grown.narrow(2, 0, longest).copy_(held->narrow(2, 0, longest));
      *held = grown;
    }
}

void KvCache::keep(const std::vector<std::int64_t>& sequences) {
  std::vector<std::int64_t> kept;
  for (const std::int64_t i : sequences) kept.push_back(lengths[static_cast<size_t>(i)]);
  lengths = std::move(kept);
  for (Layer& layer : layers)
    for (Tensor* held : {&layer.k, &layer.v})
      if (held->defined()) *held = held->index_select(0, int64_tensor(sequences).to(held->device()));
}

std::int64_t KvCache::bytes() const {
  std::int64_t out = 0;
  for (const Layer& layer : layers)
    for (const Tensor* held : {&layer.k, &layer.v, &layer.cross_k, &layer.cross_v})
      if (held->defined()) out += static_cast<std::int64_t>(held->nbytes());
  return out;
}

void check_finite(const Run& run, const Tensor& y, const std::string& module) {
  if (!run.check || at::isfinite(y).all().item<bool>()) return;
  throw NonFiniteError(fmt::format(
      "the output of module '{}' is not finite (NaN or Inf); the weights there, or of an adapter attached to "
      "it, are damaged or too large",
      module));
}

}  // namespace weft::nn
