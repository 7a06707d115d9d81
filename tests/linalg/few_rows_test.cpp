#include "linalg/few_rows.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/team.h"
#include "weft/core/parallel.h"

using weft::linalg::FewRowsKernels;
using weft::linalg::FewRowsPart;
using weft::linalg::Stored;

namespace {

constexpr Stored kAllStored[] = {Stored::kFloat32, Stored::kBFloat16, Stored::kFloat16};

std::vector<float> gaussians(std::int64_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw;
  std::vector<float> out(static_cast<size_t>(n));
  for (float& v : out) v = draw(engine);
  return out;
}

/// A float16 of moderate size, by the definition of the format.
float half_value(std::uint16_t h) {
  const int exponent = h >> 10 & 31, fraction = h & 1023;
  const float v = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  return h & 0x8000 ? -v : v;
}

/// Random weights in storage, and their exact values.
struct Weights {
  std::vector<char> bytes;
  std::vector<float> values;
};

Weights weights(Stored type, std::int64_t n, unsigned seed) {
  Weights w;
  w.values = gaussians(n, seed);
  w.bytes.resize(static_cast<size_t>(n * weft::linalg::stored_size(type)) + 1);  // one byte in: never aligned
  for (size_t i = 0; i < w.values.size(); ++i) {
    if (type == Stored::kFloat32) {
      std::memcpy(w.bytes.data() + 1 + 4 * i, &w.values[i], 4);
      continue;
    }
    const auto bits = std::bit_cast<std::uint32_t>(w.values[i]);
    std::uint16_t half = static_cast<std::uint16_t>(bits >> 16);
    if (type == Stored::kBFloat16) {
      w.values[i] = std::bit_cast<float>(std::uint32_t{half} << 16);
    } else {
      half = static_cast<std::uint16_t>((bits >> 16 & 0x8000) | (0x2c00 + (bits >> 9 & 0x17ff)));
      w.values[i] = half_value(half);
    }
    std::memcpy(w.bytes.data() + 1 + 2 * i, &half, 2);
  }
  return w;
}

struct Problem {
  std::int64_t m, in, out;
  Stored type;
  bool transposed;
};

/// Everything a part may have: strides, bias, scale, accumulation.
struct Setup {
  std::int64_t ldx, ldw, ldy;
  Weights w;
  std::vector<float> x, bias, y;
  FewRowsPart part;
};

Setup setup(const Problem& p, bool full) {
  Setup s;
  s.ldx = p.in + 3;
  s.ldw = (p.transposed ? p.out : p.in) + 5;
  s.ldy = p.out + 2;
  s.w = weights(p.type, (p.transposed ? p.in : p.out) * s.ldw, 1);
  s.x = gaussians(p.m * s.ldx, 2);
  s.bias = gaussians(p.out, 3);
  s.y = gaussians(p.m * s.ldy, 4);
  s.part.w = s.w.bytes.data() + 1;
  s.part.type = p.type;
  s.part.out = p.out;
  s.part.ldw = s.ldw;
  s.part.transposed = p.transposed;
  s.part.ldy = s.ldy;
  if (full) {
    s.part.bias = s.bias.data();
    s.part.accumulate = true;
    s.part.scale = -0.75f;
  }
  return s;
}

/// The largest error, as a multiple of its bound.
double worst(const Problem& p, const Setup& s, const std::vector<float>& y) {
  double most = 0;
  for (std::int64_t i = 0; i < p.m; ++i)
    for (std::int64_t j = 0; j < p.out; ++j) {
      double sum = 0, size = 0;
      for (std::int64_t k = 0; k < p.in; ++k) {
        const std::int64_t at = p.transposed ? k * s.ldw + j : j * s.ldw + k;
        const double term =
            double{s.x[static_cast<size_t>(i * s.ldx + k)]} * double{s.w.values[static_cast<size_t>(at)]};
        sum += term;
        size += std::fabs(term);
      }
      double expected = sum * s.part.scale;
      size *= std::fabs(s.part.scale);
      if (s.part.bias) expected += s.bias[static_cast<size_t>(j)], size += std::fabs(s.bias[static_cast<size_t>(j)]);
      if (s.part.accumulate) {
        const float before = s.y[static_cast<size_t>(i * s.ldy + j)];
        expected += before;
        size += std::fabs(before);
      }
      const double got = y[static_cast<size_t>(i * s.ldy + j)];
      // A float32 sum of n terms in turn is at most n roundings off, each 2^-24 of the sum of magnitudes; rows are
      // summed in four lanes or more, and product, reduction, scale, bias and accumulation add some.
      const double roundings = static_cast<double>(p.transposed ? p.in : p.in / 4) + 8;
      const double bound = roundings * 0x1p-24 * size + 1e-30;
      most = std::max(most, std::isnan(got) ? INFINITY : std::fabs(got - expected) / bound);
    }
  return most;
}

const Problem kProblems[] = {{1, 1, 1, Stored::kFloat32, false},     {1, 37, 5, Stored::kBFloat16, false},
                             {2, 64, 9, Stored::kFloat16, false},    {3, 130, 33, Stored::kFloat32, false},
                             {4, 200, 12, Stored::kBFloat16, false}, {5, 77, 70, Stored::kFloat16, false},
                             {16, 515, 23, Stored::kFloat32, false}, {19, 48, 19, Stored::kBFloat16, false},
                             {1, 1, 1, Stored::kFloat32, true},      {1, 37, 5, Stored::kBFloat16, true},
                             {2, 64, 9, Stored::kFloat16, true},     {3, 130, 33, Stored::kFloat32, true},
                             {4, 20, 1200, Stored::kBFloat16, true}, {5, 77, 70, Stored::kFloat16, true},
                             {19, 45, 300, Stored::kFloat32, true}};

}  // namespace

TEST_CASE("linalg/few_rows: products equal double loops for every storage, layout and odd size") {
  for (const FewRowsKernels& set : weft::linalg::all_few_rows_kernels())
    for (const Problem& p : kProblems)
      for (const bool full : {false, true}) {
        const std::string name = set.name;
        CAPTURE(name);
        CAPTURE(p.m);
        CAPTURE(p.in);
        CAPTURE(p.out);
        CAPTURE(full);
        Setup s = setup(p, full);
        std::vector<float> y = s.y;
        s.part.y = y.data();
        set.rows(s.part, s.x.data(), p.m, p.in, s.ldx, 0, p.out);
        CHECK(worst(p, s, y) < 1.0);
        bool kept = true;  // what lies between the rows
        for (std::int64_t i = 0; i < p.m; ++i)
          for (std::int64_t j = p.out; j < s.ldy; ++j) {
            const auto at = static_cast<size_t>(i * s.ldy + j);
            kept = kept && y[at] == s.y[at];
          }
        CHECK(kept);
      }
}

TEST_CASE("linalg/few_rows: the same bits however rows and outputs are cut") {
  for (const FewRowsKernels& set : weft::linalg::all_few_rows_kernels())
    for (const Problem& p : kProblems) {
      const std::string name = set.name;
      CAPTURE(name);
      Setup s = setup(p, true);
      std::vector<float> whole = s.y, pieces = s.y;
      s.part.y = whole.data();
      set.rows(s.part, s.x.data(), p.m, p.in, s.ldx, 0, p.out);
      for (std::int64_t i = 0; i < p.m; i += 3)
        for (std::int64_t j = 0; j < p.out; j += 7) {
          FewRowsPart part = s.part;
          part.y = pieces.data() + i * s.ldy;
          set.rows(part, s.x.data() + i * s.ldx, std::min<std::int64_t>(3, p.m - i), p.in, s.ldx, j,
                   std::min<std::int64_t>(p.out, j + 7));
        }
      CHECK(whole == pieces);
    }
}

TEST_CASE("linalg/few_rows: parts with inputs of their own, any number of threads, inside other loops") {
  const std::int64_t m = 5, in = 256, own_in = 40;
  const std::vector<float> x = gaussians(m * in, 10), own = gaussians(m * own_in, 11);
  const std::vector<std::int64_t> outs = {700, 64, 1, 512, 0, 300};
  std::vector<Weights> w;
  std::vector<std::vector<float>> y;
  for (size_t p = 0; p < outs.size(); ++p) {
    w.push_back(weights(kAllStored[p % 3], outs[p] * in, static_cast<unsigned>(20 + p)));
    y.emplace_back(static_cast<size_t>(m * outs[p]));
  }
  const auto run = [&](int threads) {
    std::vector<FewRowsPart> parts(outs.size());
    for (size_t p = 0; p < outs.size(); ++p) {
      FewRowsPart& part = parts[p];
      part.w = w[p].bytes.data() + 1;
      part.type = kAllStored[p % 3];
      part.out = outs[p];
      part.transposed = p == 3;
      if (p % 2 == 1) part.x = own.data(), part.in = own_in, part.ldx = own_in;
      part.ldw = part.transposed ? outs[p] : (part.x ? own_in : in);
      part.y = y[p].data();
      part.ldy = outs[p];
    }
    weft::linalg::few_rows(x.data(), m, in, in, parts, threads);
    return y;
  };
  const auto one = run(1);
  CHECK(one[0][0] != 0.0f);
  CHECK(one[3][1] != 0.0f);
  CHECK(run(0) == one);
  CHECK(run(2) == one);
  CHECK(run(7) == one);
  {
    const weft::SerialTorch serial;
    CHECK(run(0) == one);
  }
  std::vector<std::vector<float>> inside;
  weft::parallel_for(2, 2, [&](std::int64_t i) {
    if (i == 1) inside = run(2);
  });
  CHECK(inside == one);
}

TEST_CASE("linalg/few_rows: more parts than one loop takes") {
  const std::int64_t in = 512, out = 40;
  const std::vector<float> x = gaussians(in, 30);
  const Weights w = weights(Stored::kFloat32, out * in, 31);
  std::vector<std::vector<float>> y(37, std::vector<float>(out));
  std::vector<FewRowsPart> parts(y.size());
  for (size_t p = 0; p < parts.size(); ++p) {
    parts[p].w = w.bytes.data() + 1;
    parts[p].out = out;
    parts[p].ldw = in;
    parts[p].y = y[p].data();
    parts[p].ldy = out;
  }
  weft::linalg::few_rows(x.data(), 1, in, in, parts);
  CHECK(y.front()[0] != 0.0f);
  for (const auto& each : y) CHECK(each == y.front());
}

TEST_CASE("linalg/few_rows: widening is exact for every 16-bit number") {
  std::vector<std::uint16_t> all(65536 + 5);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  const auto count = static_cast<std::int64_t>(all.size());
  for (const FewRowsKernels& set : weft::linalg::all_few_rows_kernels()) {
    const std::string name = set.name;
    CAPTURE(name);
    std::vector<float> brain(all.size()), half(all.size());
    set.widen(all.data(), Stored::kBFloat16, count, brain.data());
    set.widen(all.data(), Stored::kFloat16, count, half.data());
    int wrong = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      wrong += std::bit_cast<std::uint32_t>(brain[i]) != std::uint32_t{all[i]} << 16;
      const int exponent = all[i] >> 10 & 31, fraction = all[i] & 1023;
      if (exponent < 31)
        wrong += std::bit_cast<std::uint32_t>(half[i]) != std::bit_cast<std::uint32_t>(half_value(all[i]));
      else
        wrong += fraction ? !std::isnan(half[i]) : half[i] != (all[i] & 0x8000 ? -INFINITY : INFINITY);
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("linalg/few_rows: widening keeps strides and covers large matrices") {
  for (const auto& [rows, cols] :
       {std::pair<std::int64_t, std::int64_t>{3, 70001}, {300, 1001}, {7, 5}, {0, 4}, {4, 0}})
    for (const std::int64_t gap : {0, 3}) {
      const Weights w = weights(Stored::kFloat16, rows * (cols + gap), 40);
      std::vector<float> out(static_cast<size_t>(rows * (cols + 2 * gap)), -7.0f);
      weft::linalg::widen(w.bytes.data() + 1, Stored::kFloat16, rows, cols, cols + gap, out.data(), cols + 2 * gap);
      int wrong = 0;
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < cols + 2 * gap; ++j) {
          const float expected = j < cols ? w.values[static_cast<size_t>(i * (cols + gap) + j)] : -7.0f;
          wrong += out[static_cast<size_t>(i * (cols + 2 * gap) + j)] != expected;
        }
      CHECK(wrong == 0);
    }
}

TEST_CASE("core/team: every task runs once, by any number of threads") {
  for (const int threads : {0, 1, 2, 5}) {
    std::vector<std::atomic<int>> seen(1000);
    auto work = [&](std::int64_t i) { ++seen[static_cast<size_t>(i)]; };
    for (const std::int64_t count : {0, 1, 2, 1000}) weft::team_for(count, threads, work);
    int wrong = 0;
    for (size_t i = 0; i < seen.size(); ++i) wrong += seen[i] != (i == 0 ? 3 : i == 1 ? 2 : 1);
    CHECK(wrong == 0);
  }
  CHECK(weft::team_size(1) == 1);
}
