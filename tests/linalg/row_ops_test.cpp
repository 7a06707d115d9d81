#include "linalg/row_ops.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <vector>

using weft::linalg::Activation;
using weft::linalg::NormRows;
using weft::linalg::RowKernels;

namespace {

std::vector<float> draws(std::int64_t n, unsigned seed, float mean = 0.0f) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw(mean, 1.0f);
  std::vector<float> out(static_cast<size_t>(n));
  for (float& v : out) v = draw(engine);
  return out;
}

double function_value(Activation f, double x) {
  switch (f) {
    case Activation::kIdentity: return x;
    case Activation::kRelu: return std::max(x, 0.0);
    case Activation::kSilu: return x / (1 + std::exp(-x));
    case Activation::kGelu: return x * 0.5 * std::erfc(-x / std::numbers::sqrt2);
    case Activation::kGeluTanh:
      // x (1 + tanh s) / 2, without its cancellation
      return x / (1 + std::exp(-2 * std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::kGeluQuick: return x / (1 + std::exp(-1.702 * x));
    case Activation::kTanh: return std::tanh(x);
  }
  return 0;
}

constexpr Activation kAllActivations[] = {Activation::kIdentity, Activation::kRelu,     Activation::kSilu,
                                          Activation::kGelu,     Activation::kGeluTanh, Activation::kGeluQuick,
                                          Activation::kTanh};

/// A norm in double. `offset` < 0 asks for a layer norm.
std::vector<double> normed(const std::vector<float>& h, const std::vector<float>& weight,
                           const std::vector<float>& bias, double offset, double eps) {
  const double n = static_cast<double>(h.size());
  double mean = 0, squares = 0;
  if (offset < 0)
    for (const float v : h) mean += v / n;
  for (const float v : h) squares += (v - mean) * (v - mean) / n;
  std::vector<double> out;
  for (size_t j = 0; j < h.size(); ++j)
    out.push_back((h[j] - mean) / std::sqrt(squares + eps) * (std::max(offset, 0.0) + weight[j]) + bias[j]);
  return out;
}

}  // namespace

TEST_CASE("linalg/row_ops: the exponential is right to two units in the last place, ends included") {
  std::vector<float> x;
  for (float v = -104.5f; v < 89.5f; v += 0.00137f) x.push_back(v);
  for (const float v : {-0.0f, 88.72f, 88.73f, 1e30f, -1e30f, 1e-30f, INFINITY, -INFINITY, NAN}) x.push_back(v);
  for (const RowKernels& set : weft::linalg::all_row_kernels()) {
    const std::string name = set.name;
    CAPTURE(name);
    std::vector<float> y(x.size());
    set.exponential(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
    double worst = 0;
    int strange = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp(double{x[i]});
      const auto rounded = static_cast<float>(exact);
      if (std::isnan(x[i]) || std::isinf(rounded)) {
        strange += std::isnan(x[i]) ? !std::isnan(y[i]) : !std::isinf(y[i]);
        continue;
      }
      const double unit = double{std::nextafter(rounded, INFINITY)} - double{rounded};
      worst = std::max(worst, std::isfinite(y[i]) ? std::fabs(y[i] - exact) / unit : 1e9);
    }
    CHECK(strange == 0);
    CHECK(worst <= 2.0);
  }
}

TEST_CASE("linalg/row_ops: activations equal their definitions over their whole range") {
  std::vector<float> x;
  for (float v = -14.0f; v < 14.0f; v += 0.00071f) x.push_back(v);
  for (const float v : {1e-20f, -1e-20f, 1e-3f, -1e-3f, 60.0f, 1e4f, 0.0f}) x.push_back(v);
  const auto n = static_cast<std::int64_t>(x.size());
  for (const RowKernels& set : weft::linalg::all_row_kernels())
    for (const Activation f : kAllActivations) {
      const std::string name = set.name;
      const int which = static_cast<int>(f);
      CAPTURE(name);
      CAPTURE(which);
      std::vector<float> y(x.size());
      set.activate(x.data(), nullptr, y.data(), n, f);
      double worst = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double exact = function_value(f, x[i]);
        // An exponent e that comes out of four rounded operations shifts its power by 4 |e| 2^-24; only the tanh form
        // has large ones. Below 1e-30 the absolute error counts.
        const double e = f == Activation::kGeluTanh ? 1.6 * std::fabs(x[i]) * (1 + 0.0447 * x[i] * x[i]) : 0;
        const double bound = std::max(std::fabs(exact), 1e-30) * (1.5e-6 + 4 * e * 0x1p-24);
        worst = std::max(worst, std::isnan(y[i]) ? 1e9 : std::fabs(y[i] - exact) / bound);
      }
      CHECK(worst < 1.0);
    }
}

TEST_CASE("linalg/row_ops: activations with a factor, in place, odd widths, special numbers") {
  for (const RowKernels& set : weft::linalg::all_row_kernels())
    for (const std::int64_t n : {1, 7, 16, 35}) {
      const std::vector<float> x = draws(n, 1), up = draws(n, 2);
      std::vector<float> plain(x.size()), y = x;
      set.activate(x.data(), nullptr, plain.data(), n, Activation::kGelu);
      set.activate(y.data(), up.data(), y.data(), n, Activation::kGelu);
      for (size_t i = 0; i < x.size(); ++i) CHECK(y[i] == plain[i] * up[i]);
      for (const Activation f : kAllActivations) {
        const float special[] = {NAN, INFINITY};
        float out[2];
        set.activate(special, nullptr, out, 2, f);
        CHECK(std::isnan(out[0]));
        CHECK(out[1] == (f == Activation::kTanh ? 1.0f : INFINITY));
      }
    }
}

TEST_CASE("linalg/row_ops: norms equal their definitions, with the sum in front, in place or apart") {
  for (const RowKernels& set : weft::linalg::all_row_kernels())
    for (const std::int64_t n : {1, 5, 16, 64, 77, 2048})
      for (const bool add : {false, true})
        for (const bool keep : {false, true}) {
          const std::string name = set.name;
          CAPTURE(name);
          CAPTURE(n);
          const std::vector<float> x = draws(n, 3, 0.5f), more = draws(n, 4), weight = draws(n, 5), bias = draws(n, 6);
          std::vector<float> h = x;
          for (size_t j = 0; add && j < h.size(); ++j) h[j] += more[j];
          for (const double offset : {-1.0, 0.0, 1.0}) {
            std::vector<float> in = x, sum(h.size(), 7.0f), y(h.size());
            NormRows io;
            io.x = in.data();
            io.add = add ? more.data() : nullptr;
            io.sum = keep ? (offset > 0 ? in.data() : sum.data()) : nullptr;
            io.y = keep ? y.data() : in.data();
            io.rows = 1;
            io.cols = n;
            const std::vector<double> expected =
                normed(h, weight, offset < 0 ? bias : std::vector<float>(h.size()), offset, 1e-5);
            if (offset < 0)
              set.layer_norm(io, 0, weight.data(), bias.data(), 1e-5f);
            else
              set.rms_norm(io, 0, weight.data(), static_cast<float>(offset), 1e-5f);
            if (keep) CHECK((offset > 0 ? in : sum) == h);
            double worst = 0;
            for (size_t j = 0; j < h.size(); ++j) worst = std::max(worst, std::fabs(io.y[j] - expected[j]));
            // Normalised numbers of size 4 times weights of size 3, a few roundings each.
            CHECK(worst < 3e-6);
          }
        }
}

TEST_CASE("linalg/row_ops: norms without weights") {
  const float x[] = {3, 4}, eps = 0.0f;
  float y[2];
  NormRows io;
  io.x = x;
  io.y = y;
  io.rows = 1;
  io.cols = 2;
  weft::linalg::rms_norm(io, nullptr, 1.0f, eps);
  CHECK(y[0] == doctest::Approx(3 / std::sqrt(12.5)));
  weft::linalg::layer_norm(io, nullptr, nullptr, eps);
  CHECK(y[0] == -1.0f);
  CHECK(y[1] == 1.0f);
}

TEST_CASE("linalg/row_ops: rotation in both layouts, partial, of several sets, by position") {
  const std::int64_t rows = 5, head = 45, heads = 3;
  for (const std::int64_t dim : {2, 6, 34, 44})
    for (const bool interleaved : {false, true}) {
      CAPTURE(dim);
      CAPTURE(interleaved);
      const std::int64_t half = dim / 2;
      std::vector<float> q = draws(rows * heads * head, 7), k = draws(rows * head, 8), cos, sin;
      const std::vector<float> q0 = q, k0 = k;
      for (int p = 0; p < 20; ++p)
        for (std::int64_t j = 0; j < dim; ++j) {  // halves repeated, as transformers stores them
          const double angle = p * std::pow(100.0, -2.0 * static_cast<double>(j % half) / static_cast<double>(dim));
          cos.push_back(static_cast<float>(std::cos(angle)));
          sin.push_back(static_cast<float>(std::sin(angle)));
        }
      const std::vector<std::int64_t> position = {0, 7, 19, 3, 3};
      const weft::linalg::RotaryRows sets[] = {{q.data(), heads * head, heads, head}, {k.data(), head, 1, head}};
      weft::linalg::rotate(sets, rows, {cos.data(), sin.data(), dim, dim, interleaved, position.data()});
      double worst = 0;
      const auto check = [&](const std::vector<float>& now, const std::vector<float>& before, std::int64_t many) {
        for (std::int64_t i = 0; i < rows * many; ++i)
          for (std::int64_t d = 0; d < head; ++d) {
            const auto at = static_cast<size_t>(i * head);
            double expected = before[at + static_cast<size_t>(d)];
            if (d < dim) {
              const bool second = interleaved ? d % 2 == 1 : d >= half;
              const std::int64_t j = interleaved ? d / 2 : d % half;
              const std::int64_t other = interleaved ? d ^ 1 : (second ? d - half : d + half);
              const auto row = static_cast<size_t>(position[static_cast<size_t>(i / many)] * dim + j);
              expected =
                  expected * cos[row] + (second ? 1 : -1) * double{before[at + static_cast<size_t>(other)]} * sin[row];
            }
            worst = std::max(worst, std::fabs(now[at + static_cast<size_t>(d)] - expected));
          }
      };
      check(q, q0, heads);
      check(k, k0, 1);
      CHECK(worst < 1e-6);  // two products of numbers up to 4, each rounded once
    }
}

TEST_CASE("linalg/row_ops: large inputs give the same bits on any number of threads") {
  const std::int64_t rows = 37, cols = 5003;
  const std::vector<float> x = draws(rows * cols, 9), weight = draws(cols, 10);
  const auto run = [&](int threads) {
    std::vector<std::vector<float>> out(5, x);
    NormRows io{x.data(), cols, nullptr, 0, nullptr, 0, out[0].data(), cols, rows, cols};
    weft::linalg::rms_norm(io, weight.data(), 0.0f, 1e-6f, threads);
    io.y = out[1].data();
    weft::linalg::layer_norm(io, weight.data(), nullptr, 1e-6f, threads);
    weft::linalg::activate({x.data(), cols, weight.data(), 0, out[2].data(), cols, rows, cols}, Activation::kSilu,
                           threads);
    weft::linalg::add_rows(x.data(), cols, out[3].data(), cols, rows, cols, threads);
    weft::linalg::activate({x.data(), 0, nullptr, 0, out[4].data(), 0, 1, rows * cols}, Activation::kTanh, threads);
    return out;
  };
  const auto one = run(1);
  CHECK(run(0) == one);
  CHECK(run(3) == one);
  CHECK(one[3][17] == 2 * x[17]);
  CHECK(one[3].back() == 2 * x.back());
  CHECK(one[4].back() == doctest::Approx(std::tanh(x.back())));
  std::vector<float> row(static_cast<size_t>(cols));
  weft::linalg::activate({x.data() + 4 * cols, cols, weight.data(), 0, row.data(), cols, 1, cols}, Activation::kSilu);
  CHECK(std::equal(row.begin(), row.end(), one[2].begin() + 4 * cols));
}
