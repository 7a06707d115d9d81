#include "eval/metrics/table.h"

namespace weft::eval {

namespace {

/// Of one label: how often it was predicted and right, how often predicted, how often right.
struct LabelCounts {
  double hits, predicted, right;
  double f1() const { return predicted + right > 0 ? 2 * hits / (predicted + right) : 0.0; }
};

constexpr size_t kCounts = 3;

LabelCounts counts_of(std::span<const double> sums, size_t label) {
  return {sums[kCounts * label], sums[kCounts * label + 1], sums[kCounts * label + 2]};
}

/// What the three averages share.
Metric f1_base() {
  Metric out = accuracy_metric();
  out.sums = [](size_t labels) { return kCounts * labels; };
  out.terms = [](const ExampleResult& result, std::vector<Term>& terms) {
    const auto right = static_cast<size_t>(result.label), predicted = static_cast<size_t>(result.predicted_label);
    if (right == predicted) terms.push_back({kCounts * right, 1.0});
    terms.push_back({kCounts * predicted + 1, 1.0});
    terms.push_back({kCounts * right + 2, 1.0});
  };
  return out;
}

}  // namespace

/// The mean over labels that occur, as prediction or as truth: scikit-learn's average='macro'.
Metric f1_metric() {
  Metric out = f1_base();
  out.name = "f1";
  out.doc = "mean of the F1 of the labels that occur, as prediction or as truth";
  out.finish = [](std::span<const double> sums) {
    double total = 0, labels = 0;
    for (size_t label = 0; label < sums.size() / kCounts; ++label) {
      const LabelCounts counts = counts_of(sums, label);
      if (counts.predicted + counts.right > 0) total += counts.f1(), labels += 1;
    }
    return total / labels;
  };
  return out;
}

/// The mean weighted by how often a label is right: scikit-learn's average='weighted'.
Metric f1_weighted_metric() {
  Metric out = f1_base();
  out.name = "f1_weighted";
  out.doc = "the same, weighted by how many examples have the label";
  out.finish = [](std::span<const double> sums) {
    double total = 0, examples = 0;
    for (size_t label = 0; label < sums.size() / kCounts; ++label) {
      const LabelCounts counts = counts_of(sums, label);
      total += counts.right * counts.f1();
      examples += counts.right;
    }
    return total / examples;
  };
  return out;
}

/// F1 of the sums over labels: scikit-learn's average='micro', with one label an example the accuracy.
Metric f1_micro_metric() {
  Metric out = f1_base();
  out.name = "f1_micro";
  out.doc = "F1 of all labels' counts together: with one label an example, the accuracy";
  out.finish = [](std::span<const double> sums) {
    LabelCounts all{0, 0, 0};
    for (size_t label = 0; label < sums.size() / kCounts; ++label) {
      const LabelCounts counts = counts_of(sums, label);
      all.hits += counts.hits, all.predicted += counts.predicted, all.right += counts.right;
    }
    return all.f1();
  };
  return out;
}

}  // namespace weft::eval
