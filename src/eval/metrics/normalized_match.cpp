#include <string>
#include <string_view>

#include "eval/answer_text.h"
#include "eval/metrics/table.h"

namespace weft::eval {

namespace {

/// LoRAHub's `accuracy_score` (version 0.1.0): white space stripped, then lower case, then every full stop removed.
std::string lorahub_form(std::string_view text) {
  std::string out = lower_case(stripped(text));
  std::erase(out, '.');
  return out;
}

}  // namespace

/// Exact match in the form that LoRAHub compares (Huang et al. 2023, arXiv 2307.13269).
Metric normalized_match_metric() {
  Metric out = exact_match_metric();
  out.name = "normalized_match";
  out.doc = "the same in lower case and without full stops, as LoRAHub compares";
  out.judge = [](const data::Example& example, const ExampleResult& result) -> Verdict {
    const std::string said = lorahub_form(result.answer);
    double score = 0;
    for (const std::string_view right : right_answers(example))
      if (lorahub_form(right) == said) score = 1;
    return {result.answer, score};
  };
  return out;
}

}  // namespace weft::eval
