#include "linalg/decode.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

using weft::linalg::DecodeKernels;
using weft::linalg::DecodeSequence;
using weft::linalg::DecodeShape;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct AttentionCase {
  std::int64_t heads, kv_heads, head_dim, value_dim, capacity;
  std::vector<std::pair<std::int64_t, std::int64_t>> spans;  // [begin, end) of every sequence
  float softcap;
  bool slopes, bias;
};

/// Caches, queries and outputs of a case, all with gaps between rows.
struct Attention {
  AttentionCase c;
  std::vector<float> keys, values, query, bias, slopes, out;
  DecodeShape shape;
  std::vector<DecodeSequence> sequences;

  explicit Attention(const AttentionCase& which) : c(which) {
    std::mt19937 engine(5);
    std::normal_distribution<float> draw;
    const auto fill = [&](std::vector<float>& v, std::int64_t n) {
      v.resize(static_cast<size_t>(n));
      for (float& x : v) x = draw(engine);
    };
    const auto n = static_cast<std::int64_t>(c.spans.size());
    fill(keys, n * c.kv_heads * c.capacity * (c.head_dim + 1));
    fill(values, n * c.kv_heads * c.capacity * c.value_dim);
    fill(query, n * c.heads * (c.head_dim + 2));
    fill(bias, n * c.heads * c.capacity);
    fill(slopes, c.heads);
    out.assign(static_cast<size_t>(n * c.heads * (c.value_dim + 3)), 9.0f);
    for (float& s : slopes) s = std::fabs(s) * 0.1f;
    shape = {c.heads,
             c.kv_heads,
             c.head_dim,
             c.value_dim == c.head_dim ? 0 : c.value_dim,
             0.3f,
             c.softcap,
             c.slopes ? slopes.data() : nullptr};
    for (std::int64_t s = 0; s < n; ++s) {
      DecodeSequence q;
      q.key_token = c.head_dim + 1;
      q.key_head = c.capacity * q.key_token;
      q.value_token = c.value_dim;
      q.value_head = c.capacity * q.value_token;
      q.keys = keys.data() + s * c.kv_heads * q.key_head;
      q.values = values.data() + s * c.kv_heads * q.value_head;
      q.begin = c.spans[static_cast<size_t>(s)].first;
      q.end = c.spans[static_cast<size_t>(s)].second;
      q.query_head = c.head_dim + 2;
      q.query = query.data() + s * c.heads * q.query_head;
      q.out_head = c.value_dim + 3;
      q.out = out.data() + s * c.heads * q.out_head;
      if (c.bias) q.bias = bias.data() + s * c.heads * c.capacity, q.bias_head = c.capacity;
      sequences.push_back(q);
    }
  }
};

/// One head in double, by the definition.
std::vector<double> expected_head(const Attention& a, const DecodeSequence& s, std::int64_t head) {
  const AttentionCase& c = a.c;
  const std::int64_t kv = head / (c.heads / c.kv_heads);
  std::vector<double> scores;
  double top = -kInfinity, sum = 0;
  for (std::int64_t t = s.begin; t < s.end; ++t) {
    double score = 0;
    for (std::int64_t d = 0; d < c.head_dim; ++d)
      score += double{s.query[head * s.query_head + d]} * double{s.keys[kv * s.key_head + t * s.key_token + d]};
    score *= a.shape.scale;
    if (c.softcap > 0) score = c.softcap * std::tanh(score / c.softcap);
    if (c.slopes) score += double{a.slopes[static_cast<size_t>(head)]} * static_cast<double>(t - (s.end - 1));
    if (c.bias) score += s.bias[head * s.bias_head + t];
    scores.push_back(score);
    top = std::max(top, score);
  }
  std::vector<double> out(static_cast<size_t>(c.value_dim));
  for (std::int64_t t = s.begin; t < s.end && top > -kInfinity; ++t) {
    const double p = std::exp(scores[static_cast<size_t>(t - s.begin)] - top);
    sum += p;
    for (std::int64_t d = 0; d < c.value_dim; ++d)
      out[static_cast<size_t>(d)] += p * s.values[kv * s.value_head + t * s.value_token + d];
  }
  if (sum > 0)
    for (double& v : out) v /= sum;
  return out;
}

double worst_error(const Attention& a) {
  double worst = 0;
  for (const DecodeSequence& s : a.sequences)
    for (std::int64_t h = 0; h < a.c.heads; ++h) {
      const std::vector<double> expected = expected_head(a, s, h);
      for (std::int64_t d = 0; d < a.c.value_dim; ++d) {
        const double got = s.out[h * s.out_head + d];
        worst = std::max(worst, std::isnan(got) ? kInfinity : std::fabs(got - expected[static_cast<size_t>(d)]));
      }
      for (std::int64_t d = a.c.value_dim; d < s.out_head; ++d)
        if (s.out[h * s.out_head + d] != 9.0f) return kInfinity;  // wrote between the heads
    }
  return worst;
}

const AttentionCase kCases[] = {{1, 1, 1, 1, 4, {{0, 1}, {1, 4}}, 0, false, false},
                                {4, 4, 64, 64, 40, {{0, 40}, {7, 29}, {3, 3}}, 0, false, false},
                                {6, 2, 20, 13, 300, {{0, 257}, {44, 300}, {0, 1}}, 0, false, true},
                                {7, 1, 33, 33, 600, {{0, 600}, {5, 517}}, 2.5f, false, false},
                                {8, 2, 96, 96, 530, {{0, 530}}, 0, true, false},
                                {36, 1, 8, 8, 50, {{1, 50}}, 5.0f, true, true}};

}  // namespace

TEST_CASE("linalg/decode: attention equals double loops for groups, spans, biases and odd sizes") {
  for (const DecodeKernels& set : weft::linalg::all_decode_kernels())
    for (const AttentionCase& c : kCases)
      for (const int threads : {1, 2}) {
        const std::string name = set.name;
        CAPTURE(name);
        CAPTURE(c.heads);
        CAPTURE(c.head_dim);
        Attention a(c);
        weft::linalg::decode_attention_with(set, a.shape, a.sequences, threads);
        // Values of size 1 to 4; a score near 15 has an absolute error of a few 1e-6, which is relative in p.
        CHECK(worst_error(a) < 1e-5);
      }
}

TEST_CASE("linalg/decode: the bits depend neither on threads, nor on neighbours, nor on padding in front") {
  for (const AttentionCase& c : kCases) {
    Attention one(c), two(c);
    weft::linalg::decode_attention(one.shape, one.sequences, 1);
    weft::linalg::decode_attention(two.shape, two.sequences, 0);
    CHECK(one.out == two.out);
    Attention alone(c);
    for (const DecodeSequence& s : alone.sequences) weft::linalg::decode_attention(alone.shape, {&s, 1});
    CHECK(alone.out == one.out);
    Attention moved(c);
    for (DecodeSequence& s : moved.sequences) {
      s.keys += s.begin * s.key_token;
      s.values += s.begin * s.value_token;
      if (s.bias) s.bias += s.begin;
      s.end -= s.begin;
      s.begin = 0;
    }
    weft::linalg::decode_attention(moved.shape, moved.sequences);
    CHECK(moved.out == one.out);
  }
}

TEST_CASE("linalg/decode: scores of -inf contribute nothing, large ones do not overflow, NaN spreads") {
  for (const DecodeKernels& set : weft::linalg::all_decode_kernels()) {
    const std::string name = set.name;
    CAPTURE(name);
    AttentionCase c{2, 1, 16, 16, 700, {{0, 700}}, 0, false, true};
    Attention a(c);
    const float none = -std::numeric_limits<float>::infinity();
    for (std::int64_t t = 0; t < 700; ++t) {
      a.bias[static_cast<size_t>(t)] = t >= 300 && t < 310 ? 0.0f : none;  // head 0: ten tokens, one stretch
      a.bias[static_cast<size_t>(700 + t)] = none;                         // head 1: nothing
    }
    weft::linalg::decode_attention_with(set, a.shape, a.sequences, 1);
    CHECK(worst_error(a) < 1e-5);
    CHECK(a.out[19] == 0.0f);

    Attention large(c);
    large.shape.scale = 1e4f;
    for (float& b : large.bias) b = 0.0f;
    weft::linalg::decode_attention_with(set, large.shape, large.sequences, 1);
    const bool finite = std::all_of(large.out.begin(), large.out.end(), [](float v) { return std::isfinite(v); });
    CHECK(finite);

    Attention broken(c);
    broken.keys[17 * 600] = std::numeric_limits<float>::quiet_NaN();
    weft::linalg::decode_attention_with(set, broken.shape, broken.sequences, 1);
    CHECK(std::isnan(broken.out[0]));
    CHECK(std::isnan(broken.out[19]));
  }
}
