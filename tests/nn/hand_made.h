#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

#include "nn/apply.h"
#include "nn/expert_data.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"

namespace weft::test {

/// A network of three linears that share an input, a table, a norm and a head; no forward pass of its own.
inline nn::Network hand_made_network(at::ScalarType dtype = at::kFloat, bool transposed = false, bool biased = true) {
  nn::Network network;
  const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    nn::Linear l;
    l.name = name, l.out = out, l.in = in, l.transposed = transposed;
    l.weight = (transposed ? at::randn({in, out}) : at::randn({out, in})).to(dtype);
    if (biased) l.bias = at::randn({out}).to(dtype);
    return l;
  };
  network.input.tokens = {"model.embed_tokens", at::randn({19, 33}).to(dtype), -1};
  network.decoder.layers.resize(1);
  network.decoder.layers[0].attention.qkv.parts = {linear("model.layers.0.self_attn.q_proj", 24, 33),
                                                   linear("model.layers.0.self_attn.k_proj", 8, 33),
                                                   linear("model.layers.0.self_attn.v_proj", 40, 33)};
  network.decoder.final_norm.name = "model.norm";
  network.decoder.final_norm.kind = nn::Norm::Kind::kRms;
  network.decoder.final_norm.weight = at::rand({33}) + 0.5;
  network.head.parts = {linear("lm_head", 19, 33)};
  network.number_sites();
  return network;
}

inline nn::LinearGroup& qkv_of(nn::Network& network) { return network.decoder.layers[0].attention.qkv; }

inline const char* const kQkvNames[] = {"model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj",
                                        "model.layers.0.self_attn.v_proj"};
inline constexpr std::int64_t kQkvOuts[] = {24, 8, 40};

/// Adapters of the linears in random numbers, opened from files.
class HandMadePool {
 public:
  std::vector<adapter::Adapter> adapters;

  /// An adapter with rank r on the parts listed (0: q, 1: k, 2: v); `config` is added to its configuration.
  void add(std::int64_t rank, const std::vector<int>& parts = {0, 1, 2}, const std::string& config = "",
           const NamedTensors& more = {}, at::ScalarType dtype = at::kFloat) {
    NamedTensors tensors = more;
    for (const int p : parts) {
      const std::string stem = std::string("base_model.model.") + kQkvNames[p];
      tensors.emplace_back(stem + ".lora_A.weight", (at::randn({rank, 33}) * 0.2).to(dtype));
      tensors.emplace_back(stem + ".lora_B.weight", (at::randn({kQkvOuts[p], rank}) * 0.2).to(dtype));
    }
    const std::string name = std::string(1, static_cast<char>('a' + adapters.size() % 26)) +
                             (adapters.size() < 26 ? "" : std::to_string(adapters.size()));
    const auto dir = write_peft(folder_ / name,
                                "{\"peft_type\": \"LORA\", \"r\": " + std::to_string(rank) +
                                    ", \"lora_alpha\": " + std::to_string(rank + 3) +
                                    ", \"target_modules\": [\"q_proj\", \"k_proj\", \"v_proj\"]" + config + "}",
                                tensors);
    adapters.push_back(adapter::Adapter::open(dir, name));
  }
  nn::Experts stack(nn::Network& network) const {
    return nn::stack_experts(adapter::Pool(adapters), network, nullptr, silent_log());
  }
  /// Σ w · scale · B · A of a part, float64.
  Tensor delta(int part, const std::vector<double>& weights) const {
    Tensor out = at::zeros({kQkvOuts[part], 33}, at::kDouble);
    for (size_t e = 0; e < adapters.size(); ++e)
      if (const auto* info = adapters[e].find(kQkvNames[part])) {
        const auto update = adapters[e].load(*info).blocks[0];
        out += at::mm(update.b.to(at::kDouble), update.a.to(at::kDouble)) * (update.scale * weights[e]);
      }
    return out;
  }

 private:
  TempDir folder_;
};

/// A pass over `lengths` tokens per sequence with the experts weighed by `mix`.
struct HandMadeRun {
  nn::Run run;
  std::unique_ptr<nn::Gate> gate;
  nn::Experts experts;

  HandMadeRun(const nn::Experts& stacked, const nn::Mix& mix, std::vector<std::int64_t> lengths) : experts(stacked) {
    run.layout = nn::Layout::of(std::move(lengths));
    gate = nn::make_gate(mix, experts, run.layout);
    run.experts = experts.data();
    run.gate = gate.get();
  }
};

/// x (W + delta)ᵀ + bias in float64.
inline Tensor fused(const nn::Linear& linear, const Tensor& x, const Tensor& delta) {
  const Tensor weight = (linear.transposed ? linear.weight.t() : linear.weight).to(at::kDouble);
  const Tensor y = at::mm(x.to(at::kDouble), (weight + delta).t());
  return linear.bias.defined() ? y + linear.bias.to(at::kDouble) : y;
}

}  // namespace weft::test
