#include <string_view>

#include "eval/answer_text.h"
#include "eval/metrics/table.h"

namespace weft::eval {

/// The generated answer is one of the right ones, white space at the ends of both apart.
Metric exact_match_metric() {
  Metric out;
  out.name = "exact_match";
  out.doc = "share of greedily generated answers that are right, blanks at the ends apart";
  out.needs = Metric::Needs::kAnswer;
  out.misfit = answer_misfit;
  out.judge = [](const data::Example& example, const ExampleResult& result) -> Verdict {
    const std::string_view said = stripped(result.answer);
    double score = 0;
    for (const std::string_view right : right_answers(example))
      if (stripped(right) == said) score = 1;
    return {result.answer, score};
  };
  return out;
}

}  // namespace weft::eval
