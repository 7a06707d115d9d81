#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "linalg/attend.h"
#include "linalg/row_gradients.h"

namespace weft::linalg {
namespace {

// The same few hundred additions in another order.
constexpr double kOtherOrder = 2e-5;

std::vector<float> random_floats(std::int64_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw;
  std::vector<float> out(static_cast<size_t>(n));
  for (float& x : out) x = draw(engine);
  return out;
}

double distance(const std::vector<float>& x, const std::vector<float>& y) {
  double difference = 0.0, norm = 0.0;
  for (size_t i = 0; i < x.size(); ++i) {
    difference += (double(x[i]) - y[i]) * (double(x[i]) - y[i]);
    norm += double(y[i]) * y[i];
  }
  return std::sqrt(difference / norm);
}

/// out, dq, dk, dv of a set of kernels.
std::vector<std::vector<float>> attend_with(const AttendKernels& loops) {
  const std::int64_t tokens = 61, heads = 4, kv = 2, d = 13;
  const auto q = random_floats(tokens * heads * d, 1), k = random_floats(tokens * kv * d, 2),
             v = random_floats(tokens * kv * d, 3), g = random_floats(tokens * heads * d, 4),
             angles = random_floats(2 * tokens * 4, 5), slopes = random_floats(heads, 6);
  AttendShape shape;
  shape.heads = heads, shape.kv_heads = kv, shape.head_dim = d, shape.scale = 0.3f, shape.softcap = 4.0f;
  shape.slopes = slopes.data(), shape.causal = true, shape.window = 30;
  shape.cos = angles.data(), shape.sin = angles.data() + tokens * 4, shape.turned = 8;
  const AttendSequence sequences[] = {{0, 50, 0, 50, nullptr}, {50, 11, 50, 11, nullptr}};
  const AttendInputs in = {{q.data(), heads * d, d}, {k.data(), kv * d, d}, {v.data(), kv * d, d}};
  std::vector<std::vector<float>> out = {q, q, k, v};
  std::vector<float> log_sum(static_cast<size_t>(tokens * heads)), room;
  AttendGradients gradients;
  gradients.d_out = {g.data(), heads * d, d};
  gradients.dq = {out[1].data(), heads * d, d};
  gradients.dk = {out[2].data(), kv * d, d}, gradients.dv = {out[3].data(), kv * d, d};
  for (const AttendSequence& sequence : sequences) {
    room.assign(static_cast<size_t>(loops.room(shape, sequence, true)), NAN);  // nothing of it may matter
    for (std::int64_t head = 0; head < kv; ++head) {
      loops.forward(shape, sequence, head, in, out[0].data(), log_sum.data(), room.data());
      gradients.out = out[0].data(), gradients.log_sum = log_sum.data();
      loops.backward(shape, sequence, head, in, gradients, room.data());
    }
  }
  return out;
}

}  // namespace

TEST_CASE("linalg/gradients: attention is the same for every instruction set") {
  const auto& sets = all_attend_kernels();
  const auto expected = attend_with(sets.front());
  for (const AttendKernels& set : sets) {
    CAPTURE(std::string(set.name));
    const auto got = attend_with(set);
    for (size_t i = 0; i < got.size(); ++i) CHECK(distance(got[i], expected[i]) < kOtherOrder);
  }
}

TEST_CASE("linalg/gradients: rows are the same for every instruction set") {
  const std::int64_t cols = 61;
  const auto x = random_floats(cols, 1), dy = random_floats(cols, 2), weight = random_floats(cols, 3),
             up = random_floats(cols, 4);
  const std::int64_t target = 17;
  std::vector<std::vector<std::vector<float>>> results;
  for (const GradientKernels& set : all_gradient_kernels()) {
    std::vector<std::vector<float>> got;
    for (const bool layer : {false, true}) {
      std::vector<float> dx(x.size()), d_weight(x.size(), 0.5f), d_bias(x.size(), 0.25f);
      NormGradient io;
      io.x = x.data(), io.dy = dy.data(), io.dx = dx.data(), io.rows = 1, io.cols = cols;
      io.weight = weight.data(), io.eps = 1e-3f;
      if (layer)
        set.layer_norm(io, 0, d_weight.data(), d_bias.data());
      else
        set.rms_norm(io, 0, d_weight.data());
      got.push_back(dx), got.push_back(d_weight), got.push_back(d_bias);
    }
    for (const Activation f : {Activation::kIdentity, Activation::kRelu, Activation::kSilu, Activation::kGelu,
                               Activation::kGeluTanh, Activation::kGeluQuick, Activation::kTanh}) {
      std::vector<float> dx(x.size()), d_up(x.size());
      set.activate(x.data(), up.data(), dy.data(), dx.data(), d_up.data(), cols, f);
      got.push_back(dx), got.push_back(d_up);
    }
    std::vector<float> scores = x, nll(1);
    LikelihoodRows io{scores.data(), cols, 1, cols, &target, nll.data(), true};
    set.likelihood(io, 0);
    got.push_back(scores), got.push_back(nll);
    results.push_back(std::move(got));
  }
  for (const auto& got : results)
    for (size_t i = 0; i < got.size(); ++i) CHECK(distance(got[i], results.front()[i]) < kOtherOrder);
}

}  // namespace weft::linalg
