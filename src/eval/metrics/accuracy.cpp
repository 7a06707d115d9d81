#include "eval/metrics/table.h"

namespace weft::eval {

/// The part of the examples whose label is the most probable one.
Metric accuracy_metric() {
  Metric out;
  out.name = "accuracy";
  out.doc = "share of the examples whose label is predicted";
  out.misfit = [](data::Kind kind) -> std::string {
    if (kind == data::Kind::kChoice) return "it needs examples with 'text' and 'label'; choices have 'choice'";
    return kind == data::Kind::kLabel ? "" : "it needs examples with 'text' and 'label'";
  };
  out.judge = [](const data::Example&, const ExampleResult& result) -> Verdict {
    return {result.label_name, result.predicted_label == result.label ? 1.0 : 0.0};
  };
  return out;
}

}  // namespace weft::eval
