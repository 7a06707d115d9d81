#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "core/team.h"
#include "nn/gradients.h"
#include "nn/recorded.h"
#include "nn/run.h"
#include "support/close.h"

namespace weft {

using test::relative;

namespace {

// Softmax and products of at most a hundred numbers in float32 against the same in float64.
constexpr double kAttentionRounding = 1e-5;

struct AttentionCase {
  const char* name;
  std::int64_t heads, kv_heads, head_dim;
  bool causal = true;
  std::int64_t window = 0;
  double softcap = 0.0;
  bool alibi = false, biased = false;
  std::int64_t turned = 0;
  nn::QkvLayout layout = nn::QkvLayout::kSeparate;
};

const AttentionCase kAttentionCases[] = {
    {"plain", 4, 4, 32},
    {"both ways", 3, 3, 16, false},
    {"rotated", 4, 4, 32, true, 0, 0.0, false, false, 32},
    {"part of the head rotated", 2, 2, 20, true, 0, 0.0, false, false, 6},
    {"grouped", 6, 2, 8, true, 0, 0.0, false, false, 8},
    {"window", 2, 2, 12, true, 5},
    {"window both ways", 2, 1, 12, false, 4},
    {"softcap", 2, 2, 16, true, 0, 3.0},
    {"alibi", 3, 3, 10, true, 0, 0.0, true},
    {"bias", 3, 3, 6, false, 0, 0.0, false, true},
    {"everything", 4, 2, 7, true, 9, 5.0, true, true, 4},
    {"fused rows", 4, 2, 8, true, 0, 0.0, false, false, 8, nn::QkvLayout::kConcat},
    {"fused head by head", 3, 3, 8, true, 0, 0.0, true, false, 0, nn::QkvLayout::kPerHead},
};

/// The inputs of a case: sequences of many lengths.
struct AttentionInputs {
  nn::Attention attention;
  nn::AttendCall call;
  std::vector<Tensor> sources;
  std::vector<Tensor> biases;  ///< by sequence
  std::vector<std::int64_t> lengths;

  AttentionInputs(const AttentionCase& c, std::vector<std::int64_t> sizes) : lengths(std::move(sizes)) {
    attention.heads = c.heads, attention.kv_heads = c.kv_heads, attention.head_dim = c.head_dim;
    attention.layout = c.layout, attention.window = c.window, attention.softcap = c.softcap, attention.scale = 0.4;
    if (c.alibi)
      for (std::int64_t h = 0; h < c.heads; ++h) attention.alibi.push_back(0.2f / static_cast<float>(h + 1));
    std::int64_t tokens = 0;
    for (const std::int64_t length : lengths) {
      call.sequences.push_back({tokens, length, tokens, length, nullptr});
      tokens += length;
      if (!c.biased) continue;
      biases.push_back(at::randn({c.heads, length, length}));
      call.sequences.back().bias = biases.back().const_data_ptr<float>();
    }
    call.attention = &attention, call.biases = biases, call.causal = c.causal;
    if (c.turned > 0) {
      const Tensor angles = at::randn({tokens, c.turned / 2});
      call.cos = angles.cos(), call.sin = angles.sin();
    }
    const std::int64_t d = c.head_dim, kv = c.kv_heads * d, all = c.heads * d;
    sources = c.layout == nn::QkvLayout::kSeparate
                  ? std::vector<Tensor>{at::randn({tokens, all}), at::randn({tokens, kv}), at::randn({tokens, kv})}
                  : std::vector<Tensor>{at::randn({tokens, all + 2 * kv})};
  }
};

Tensor turned(const Tensor& x, const nn::AttendCall& call) {
  if (!call.cos.defined()) return x;
  const Tensor cos = call.cos.to(at::kDouble).unsqueeze(1), sin = call.sin.to(at::kDouble).unsqueeze(1);
  const std::int64_t half = cos.size(2);
  const Tensor a = x.narrow(2, 0, half), b = x.narrow(2, half, half);
  return at::cat({a * cos - b * sin, b * cos + a * sin, x.narrow(2, 2 * half, x.size(2) - 2 * half)}, 2);
}

/// The same with libtorch's operators in float64, sequence by sequence, head by head.
Tensor attention_by_operators(const AttentionCase& c, const AttentionInputs& in, const std::vector<Tensor>& sources) {
  const std::int64_t tokens = sources[0].size(0), d = c.head_dim;
  Tensor q, k, v;
  if (c.layout == nn::QkvLayout::kSeparate) {
    q = sources[0].view({tokens, c.heads, d}), k = sources[1].view({tokens, c.kv_heads, d});
    v = sources[2].view({tokens, c.kv_heads, d});
  } else if (c.layout == nn::QkvLayout::kConcat) {
    const auto parts = sources[0].view({tokens, -1, d}).split_with_sizes({c.heads, c.kv_heads, c.kv_heads}, 1);
    q = parts[0], k = parts[1], v = parts[2];
  } else {
    const Tensor all = sources[0].view({tokens, c.heads, 3, d});
    q = all.select(2, 0), k = all.select(2, 1), v = all.select(2, 2);
  }
  q = turned(q, in.call), k = turned(k, in.call);
  std::vector<Tensor> rows;
  std::int64_t first = 0;
  for (size_t s = 0; s < in.lengths.size(); ++s) {
    const std::int64_t length = in.lengths[s];
    std::vector<Tensor> heads;
    const Tensor query = at::arange(length).unsqueeze(1), key = at::arange(length).unsqueeze(0);
    for (std::int64_t h = 0; h < c.heads; ++h) {
      const std::int64_t kv = h / (c.heads / c.kv_heads);
      const auto head = [&](const Tensor& x, std::int64_t index) {
        return x.narrow(0, first, length).select(1, index);
      };
      Tensor score = at::mm(head(q, h), head(k, kv).t()) * in.attention.scale;
      if (c.softcap > 0) score = at::tanh(score / c.softcap) * c.softcap;
      if (c.alibi) score = score + (key - query) * static_cast<double>(in.attention.alibi[static_cast<size_t>(h)]);
      if (c.biased) score = score + in.biases[s][h].to(at::kDouble);
      constexpr double kNever = -std::numeric_limits<double>::infinity();
      if (c.causal) score = score.masked_fill(key > query, kNever);
      if (c.window > 0) score = score.masked_fill(key <= query - c.window, kNever);
      heads.push_back(at::mm(at::softmax(score, 1), head(v, kv)));
    }
    rows.push_back(at::stack(heads, 1).reshape({length, -1}));
    first += length;
  }
  return at::cat(rows);
}

}  // namespace

TEST_CASE("nn/gradient_attention: ragged sequences equal libtorch's operators, forward and backward") {
  for (const AttentionCase& c : kAttentionCases) {
    CAPTURE(std::string(c.name));
    at::manual_seed(3);
    const AttentionInputs in(c, {1, 7, 24, 25, 2, 60, 13});
    std::vector<Tensor> ours, theirs;
    for (const Tensor& source : in.sources)
      ours.push_back(test::leaf(source)), theirs.push_back(test::double_leaf(source));
    const Tensor y = nn::recorded_attention(in.call, ours), expected = attention_by_operators(c, in, theirs);
    CHECK(relative(y.detach(), expected.detach()) < kAttentionRounding);
    const Tensor g = at::randn(y.sizes());
    const auto got = test::gradients_of(y, g, ours), wanted = test::gradients_of(expected, g, theirs);
    for (size_t i = 0; i < got.size(); ++i) CHECK(relative(got[i], wanted[i]) < kAttentionRounding);
    const c10::NoGradGuard no_gradients;
    CHECK(at::equal(nn::recorded_attention(in.call, in.sources), y.detach()));
  }
}

TEST_CASE("nn/gradient_attention: queries over the keys of another stack") {
  at::manual_seed(4);
  nn::Attention attention;
  attention.heads = attention.kv_heads = 2, attention.head_dim = 5, attention.scale = 1.0;
  nn::AttendCall call;
  call.attention = &attention;
  call.sequences = {{0, 3, 0, 30, nullptr}, {3, 40, 30, 1, nullptr}, {43, 1, 31, 9, nullptr}};
  const Tensor q = at::randn({44, 10}), k = at::randn({40, 10}), v = at::randn({40, 10});
  const std::vector<Tensor> ours = {test::leaf(q), test::leaf(k), test::leaf(v)};
  const std::vector<Tensor> theirs = {test::double_leaf(q), test::double_leaf(k), test::double_leaf(v)};
  std::vector<Tensor> rows;
  for (const auto& s : call.sequences) {
    const auto heads = [&](const Tensor& x, std::int64_t first, std::int64_t count) {
      return x.narrow(0, first, count).view({count, 2, 5}).transpose(0, 1);
    };
    const Tensor score =
        at::matmul(heads(theirs[0], s.query, s.queries), heads(theirs[1], s.key, s.keys).transpose(1, 2));
    const Tensor y = at::matmul(at::softmax(score, -1), heads(theirs[2], s.key, s.keys));
    rows.push_back(y.transpose(0, 1).reshape({s.queries, 10}));
  }
  const Tensor y = nn::recorded_attention(call, ours), expected = at::cat(rows), g = at::randn({44, 10});
  CHECK(relative(y.detach(), expected.detach()) < kAttentionRounding);
  const auto got = test::gradients_of(y, g, ours), wanted = test::gradients_of(expected, g, theirs);
  for (size_t i = 0; i < 3; ++i) CHECK(relative(got[i], wanted[i]) < kAttentionRounding);
}

TEST_CASE("nn/gradient_attention: the bits depend neither on threads nor on the other sequences") {
  at::manual_seed(5);
  AttentionInputs in(kAttentionCases[2], {9, 33, 4});
  std::vector<Tensor> all, one;
  for (const Tensor& source : in.sources) all.push_back(test::leaf(source)), one.push_back(test::leaf(source));
  const Tensor g = at::randn({46, 128});
  const Tensor y = nn::recorded_attention(in.call, all);
  const auto together = test::gradients_of(y, g, all);
  in.call.threads = 1;
  in.call.sequences = {in.call.sequences[1]};
  const Tensor alone = nn::recorded_attention(in.call, one);
  CHECK(at::equal(y.narrow(0, 9, 33), alone.narrow(0, 9, 33)));
  const Tensor part = alone.narrow(0, 9, 33);
  const auto apart = torch::autograd::grad({(part * g.narrow(0, 9, 33)).sum()}, one);
  for (size_t i = 0; i < 3; ++i) CHECK(at::equal(together[i].narrow(0, 9, 33), apart[i].narrow(0, 9, 33)));
}

TEST_CASE("nn/gradient_attention: NaN stays in its sequence and is not hidden") {
  at::manual_seed(6);
  AttentionInputs in(kAttentionCases[0], {5, 8});
  in.sources[1][2][0] = std::numeric_limits<float>::quiet_NaN();
  const c10::NoGradGuard no_gradients;
  const Tensor y = nn::recorded_attention(in.call, in.sources);
  CHECK(at::isnan(y[4]).any().item<bool>());
  CHECK(at::isfinite(y.narrow(0, 5, 8)).all().item<bool>());
}

}  // namespace weft
