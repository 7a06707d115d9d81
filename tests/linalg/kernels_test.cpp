#include "linalg/kernels.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "support/close.h"
#include "weft/core/random.h"

using weft::linalg::CombineRule;
using weft::linalg::Kernels;

namespace {

std::vector<float> combined(const Kernels& set, const std::vector<std::vector<float>>& x, const std::vector<float>& w,
                            const CombineRule& rule) {
  std::vector<const float*> lines;
  for (const auto& line : x) lines.push_back(line.data());
  std::vector<float> out(x[0].size());
  set.combine(lines.data(), w.data(), static_cast<std::int64_t>(x.size()), static_cast<std::int64_t>(out.size()), rule,
              out.data());
  return out;
}

}  // namespace

TEST_CASE("linalg/kernels: the product has the same bits wherever blocks begin") {
  for (const Kernels& set : weft::linalg::all_kernels()) {
    const std::string name = set.name;
    CAPTURE(name);
    at::manual_seed(21);
    const std::int64_t m = 37, n = 211, r = 5;
    const at::Tensor b = at::randn({m, r}), a = at::randn({r, n});
    std::vector<float> whole(static_cast<size_t>(m * n)), part(whole.size());
    set.product(b.const_data_ptr<float>(), r, a.const_data_ptr<float>(), n, m, r, n, whole.data(), n);
    for (std::int64_t i = 0; i < m; i += 3)
      for (std::int64_t j = 0; j < n; j += 50) {
        const std::int64_t rows = std::min<std::int64_t>(3, m - i), cols = std::min<std::int64_t>(50, n - j);
        set.product(b.const_data_ptr<float>() + i * r, r, a.const_data_ptr<float>() + j, n, rows, r, cols,
                    part.data() + i * n + j, n);
      }
    CHECK(whole == part);
    const at::Tensor got = at::from_blob(whole.data(), {m, n}, at::kFloat);
    CHECK(weft::test::relative(got, at::mm(b.to(at::kDouble), a.to(at::kDouble))) <
          1e-6);  // float32 sums of five terms
  }
}

TEST_CASE("linalg/kernels: random masks are Philox words of the place alone") {
  for (const Kernels& set : weft::linalg::all_kernels()) {
    const std::string name = set.name;
    CAPTURE(name);
    std::vector<float> x(300, 1.0f);
    const std::uint64_t key = 0x123456789abcdefull, limit = std::uint64_t{1} << 31;
    set.keep_random(x.data(), 300, key, 7, 128, limit, 2.0f);
    const weft::Philox philox(key);
    for (std::int64_t j = 0; j < 300; ++j) {
      const std::int64_t column = 128 + j, group = column / 64, lane = column % 16, word = column % 64 / 16;
      const auto words = philox.block(static_cast<std::uint64_t>(group * 16 + lane), 7);
      CAPTURE(j);
      REQUIRE(x[static_cast<size_t>(j)] == (words[static_cast<size_t>(word)] < limit ? 2.0f : 0.0f));
    }
    std::vector<float> all(100, 3.0f), none(100, 3.0f);
    set.keep_random(all.data(), 100, key, 0, 0, std::uint64_t{1} << 32, 1.0f);
    set.keep_random(none.data(), 100, key, 0, 0, 0, 1.0f);
    CHECK(all == std::vector<float>(100, 3.0f));
    CHECK(none == std::vector<float>(100, 0.0f));
  }
}

TEST_CASE("linalg/kernels: election and mean, worked by hand") {
  for (const Kernels& set : weft::linalg::all_kernels()) {
    const std::string name = set.name;
    CAPTURE(name);
    // TIES' vectors after pruning to the three largest of six: see static-methods B.6.
    const std::vector<std::vector<float>> x = {{3, 0, 0, 2, -4, 0}, {-2, -3, 0, 0, 5, 0}};
    CombineRule ties;
    ties.consensus = ties.mean = true;
    CHECK(combined(set, x, {1, 0.5f}, ties) == std::vector<float>{3, -1.5f, 0, 2, 2.5f, 0});
    CHECK(combined(set, x, {1, -0.5f}, ties) == std::vector<float>{3, 1.5f, 0, 2, -2.5f, 0});

    CombineRule sum;
    CHECK(combined(set, x, {1, 0.5f}, sum) == std::vector<float>{2, -1.5f, 0, 2, -1.5f, 0});

    // mergekit elects on weighted entries and divides by weights (static-methods D.2); ours takes their magnitudes.
    CombineRule mergekit = ties;
    mergekit.weighted_vote = mergekit.weight_divisor = true;
    CHECK(combined(set, x, {1, 0.5f}, mergekit) == std::vector<float>{3, -3, 0, 2, -4, 0});

    CombineRule often = ties;
    often.frequency = true;
    CHECK(combined(set, {{1, 1}, {1, 1}, {-5, -5}}, {1, 1, 1}, often) == std::vector<float>{1, 1});
    CHECK(combined(set, {{1, 1}, {1, 1}, {-5, -5}}, {1, 1, 1}, ties) == std::vector<float>{-5, -5});
  }
}

TEST_CASE("linalg/kernels: signs of the tiniest numbers count") {
  for (const Kernels& set : weft::linalg::all_kernels()) {
    const std::string name = set.name;
    CAPTURE(name);
    CombineRule ties;
    ties.consensus = ties.mean = true;
    const float tiny = 1e-38f;
    CHECK(combined(set, {{tiny}, {-tiny / 2}}, {1, 1}, ties) == std::vector<float>{tiny});
  }
}

TEST_CASE("linalg/kernels: what lies in a bracket is counted and kept in order") {
  at::manual_seed(22);
  const at::Tensor x = at::randn({1003});
  const float* data = x.const_data_ptr<float>();
  std::vector<float> expected;
  std::int64_t above = 0;
  for (int j = 0; j < 1003; ++j) {
    const float v = std::fabs(data[j]);
    above += v > 1.5f;
    if (v >= 0.5f && v <= 1.5f) expected.push_back(v);
  }
  for (const Kernels& set : weft::linalg::all_kernels()) {
    const std::string name = set.name;
    CAPTURE(name);
    std::vector<float> inside(1003);
    std::int64_t counted = 0;
    inside.resize(static_cast<size_t>(set.bracket(data, 1003, 0.5f, 1.5f, &counted, inside.data())));
    CHECK(counted == above);
    CHECK(inside == expected);
  }
}

TEST_CASE("linalg/kernels: Philox equals the published test vectors") {
  // Random123's kat_vectors for philox4x32-10.
  CHECK(weft::Philox(0).block(0, 0) == std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(weft::Philox(~std::uint64_t{0}).block(~std::uint64_t{0}, ~std::uint64_t{0}) ==
        std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
}
