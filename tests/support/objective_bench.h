#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "support/eval_bench.h"
#include "support/make_adapter.h"
#include "weft/adapter/pool.h"
#include "weft/eval/objective.h"

namespace weft::test {

/// Two linears, of two blocks, that an adapter of a golden model acts on: [out, in] each.
struct AdaptedPair {
  std::string first, second;  ///< names, `{}` for none: the ends are the target modules
  std::int64_t out, in, second_out, second_in;
};

inline AdaptedPair adapted_pair(const std::string& golden) {
  if (golden == "llama") return {"model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj", 24, 24, 37, 24};
  if (golden.starts_with("t5"))
    return {"encoder.block.1.layer.0.SelfAttention.q", "decoder.block.0.layer.0.SelfAttention.v", 18, 20, 18, 20};
  const std::string stem = golden == "bert_sentence" ? "" : "bert.";
  return {stem + "encoder.layer.0.attention.self.query", stem + "encoder.layer.1.attention.self.value", 24, 24, 24, 24};
}

/// A golden model with a pool of small random adapters, and examples that suit it.
struct ObjectiveBench : EvalBench {
  nn::Experts experts;
  std::vector<std::string> paths;

  /// `ranks`: one per adapter. `scale`, `scale_a`: of the factors B and A.
  ObjectiveBench(const std::string& golden, const std::vector<std::int64_t>& ranks, double scale = 0.3,
                 double scale_a = 1.0)
      : EvalBench(golden, golden.starts_with("t5") ? 1 : -1) {
    at::manual_seed(17);
    const AdaptedPair pair = adapted_pair(golden);
    std::vector<adapter::Pool::Source> sources;
    for (size_t i = 0; i < ranks.size(); ++i) {
      NamedTensors tensors;
      add_pair(tensors, pair.first, pair.out, pair.in, ranks[i]);
      add_pair(tensors, pair.second, pair.second_out, pair.second_in, ranks[i]);
      for (size_t t = 1; t < tensors.size(); t += 2) {
        tensors[t - 1].second.mul_(scale_a);
        tensors[t].second.mul_(scale);
      }
      const std::string rank = std::to_string(ranks[i]), name = "adapter-" + std::to_string(i);
      const auto end = [](const std::string& module) { return module.substr(module.rfind('.') + 1); };
      write_peft(dir / name,
                 R"({"peft_type": "LORA", "r": )" + rank + R"(, "lora_alpha": )" + rank + R"(, "target_modules": [")" +
                     end(pair.first) + R"(", ")" + end(pair.second) + R"("], "base_model_name_or_path": "x"})",
                 tensors);
      paths.push_back((dir / name).string());
      sources.push_back({dir / name, name});
    }
    if (!sources.empty()) experts = runtime.model.attach(adapter::Pool::open(sources));
  }

  eval::Objective objective(const data::Examples& examples, const eval::ObjectiveOptions& options = {},
                            nn::Rule rule = nn::Rule::kDelta, std::vector<std::int64_t> groups = {}) const {
    return {runtime.model, runtime.tokenizer, examples, experts, rule, std::move(groups), options};
  }
  /// Some examples of a kind, of different lengths.
  data::Examples some(data::Kind kind) const {
    switch (kind) {
      case data::Kind::kText: {
        std::vector<data::Example> list(3);
        list[0].text = "5 6 7 8 9", list[1].text = "10 11", list[2].text = "12 13 14 5";
        return examples(kind, std::move(list));
      }
      case data::Kind::kCompletion:
        return examples(kind, {asked("5 6 7", "8 9 20"), asked("10 11", "12"), asked("30 31 5 6", "40 41"),
                               asked("22 8", "50 51 52 53"), asked("9 9 9", "17 18")});
      case data::Kind::kLabel:
        return examples(kind,
                        {labelled_text("5 6 7", "8_9"), labelled_text("10 11", "12"), labelled_text("12 5 6 7", "20"),
                         labelled_text("30 31 32 33 34", "12"), labelled_text("40 41 42", "8_9")},
                        {"8_9", "12", "20"});
      case data::Kind::kChoice:
        return examples(kind, {choosing("5 6", {"7", "8 9"}, 1), choosing("5", {"10", "11 12", "13"}, 0),
                               choosing("20 21 22", {"30 31", "32"}, 1)});
    }
    return {};
  }
};

/// Labels of the golden `bert`, whose head has no, maybe and yes.
inline data::Examples head_examples(const EvalBench& bench) {
  return bench.examples(data::Kind::kLabel,
                        {labelled_text("5 6 7", "no"), labelled_text("10 11", "maybe"), labelled_text("12 5 6", "yes"),
                         labelled_text("30 31 32 33", "maybe")},
                        {"no", "maybe", "yes"});
}

/// Candidates drawn from a normal distribution, seeded.
inline std::vector<eval::Weights> drawn_candidates(size_t count, size_t size, std::uint64_t seed) {
  at::manual_seed(seed);
  const at::Tensor all = at::randn({static_cast<std::int64_t>(count), static_cast<std::int64_t>(size)});
  const float* from = all.const_data_ptr<float>();
  std::vector<eval::Weights> out(count);
  for (eval::Weights& one : out) {
    one.assign(from, from + size);
    from += size;
  }
  return out;
}

}  // namespace weft::test
