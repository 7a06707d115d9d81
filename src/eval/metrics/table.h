#pragma once

#include "weft/eval/metric.h"

namespace weft::eval {

// One file of this folder each; f1.cpp has three averages, choice.cpp two lengths.
Metric loss_metric();
Metric perplexity_metric();
Metric exact_match_metric();
Metric normalized_match_metric();
Metric rouge_l_metric();
Metric choice_metric();
Metric choice_normalized_metric();
Metric accuracy_metric();
Metric f1_metric();
Metric f1_weighted_metric();
Metric f1_micro_metric();

}  // namespace weft::eval
