#pragma once

#include <string>
#include <vector>

#include "support/error_text.h"
#include "support/id_model.h"
#include "support/temp_dir.h"
#include "weft/data/examples.h"
#include "weft/eval/evaluate.h"
#include "weft/flow/runtime.h"

namespace weft::test {

/// A golden model that reads ids, and examples made by hand, whose lines are their numbers.
struct EvalBench {
  TempDir dir;
  flow::Runtime runtime;

  explicit EvalBench(const std::string& golden, int end = -1)
      : runtime(flow::open_runtime({.base = write_id_model(dir / "base", golden, end)})) {}

  data::Examples examples(data::Kind kind, std::vector<data::Example> list,
                          std::vector<std::string> labels = {}) const {
    for (size_t i = 0; i < list.size(); ++i) list[i].line = static_cast<int>(i) + 1;
    return {"data.jsonl", kind, std::move(list), std::move(labels)};
  }
  eval::Report run(const data::Examples& examples, const eval::EvalOptions& options = {}) const {
    return eval::evaluate(runtime.model, runtime.tokenizer, examples, runtime.composition, options);
  }
  /// What a refused evaluation says, without the folder.
  template <class E>
  std::string refused(const data::Examples& examples, const eval::EvalOptions& options = {}) const {
    std::string said = error_text<E>([&] { run(examples, options); });
    for (const std::string folder = dir.path().string() + "/"; said.find(folder) != std::string::npos;)
      said.erase(said.find(folder), folder.size());
    return said;
  }
};

/// A log that keeps warnings.
struct KeptWarnings : Log {
  std::vector<std::string> warnings;
  void warning(std::string_view text) override { warnings.emplace_back(text); }
};

inline data::Example labelled_text(const std::string& text, const std::string& label) {
  data::Example out;
  out.text = text;
  out.label = label;
  return out;
}
inline data::Example asked(const std::string& prompt, const std::string& completion) {
  data::Example out;
  out.text = prompt;
  out.completion = completion;
  return out;
}
inline data::Example choosing(const std::string& prompt, std::vector<std::string> choices, std::int64_t answer) {
  data::Example out;
  out.text = prompt;
  out.choices = std::move(choices);
  out.answer = answer;
  return out;
}

}  // namespace weft::test
