#include <algorithm>
#include <string_view>

#include "eval/answer_text.h"
#include "eval/metrics/table.h"

namespace weft::eval {

namespace {

Verdict judge_choice(const data::Example& example, const std::vector<double>& values) {
  const auto best = std::max_element(values.begin(), values.end()) - values.begin();  // of equals the first
  return {example.choices[static_cast<size_t>(best)], best == example.answer ? 1.0 : 0.0};
}

Metric choice_base() {
  Metric out;
  out.needs = Metric::Needs::kChoices;
  out.misfit = [](data::Kind kind) -> std::string {
    return kind == data::Kind::kChoice ? "" : "it needs examples with 'prompt', 'choices' and 'answer'";
  };
  return out;
}

}  // namespace

/// The most probable choice: lm-evaluation-harness's `acc`.
Metric choice_metric() {
  Metric out = choice_base();
  out.name = "choice";
  out.other_name = "acc";
  out.doc = "share of the examples whose right choice has the largest log-likelihood";
  out.judge = [](const data::Example& example, const ExampleResult& result) {
    return judge_choice(example, result.choices);
  };
  return out;
}

/**
 * The most probable choice per character: lm-evaluation-harness's `acc_norm`, which divides by the length of the text
 * of the choice without the blank that joins it to the prompt.
 */
Metric choice_normalized_metric() {
  Metric out = choice_base();
  out.name = "choice_normalized";
  out.other_name = "acc_norm";
  out.doc = "the same per character of the choice (code points, without blanks at its ends)";
  out.judge = [](const data::Example& example, const ExampleResult& result) {
    std::vector<double> values = result.choices;
    for (size_t i = 0; i < values.size(); ++i) {
      const std::string_view text = stripped(example.choices[i]);
      const auto length = std::count_if(text.begin(), text.end(),
                                        [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; });
      values[i] /= static_cast<double>(std::max<std::ptrdiff_t>(length, 1));
    }
    return judge_choice(example, values);
  };
  return out;
}

}  // namespace weft::eval
