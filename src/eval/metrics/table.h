#pragma once

#include "weft/eval/metric.h"

namespace weft::eval {

// One file of this folder each.
Metric loss_metric();
Metric perplexity_metric();
Metric accuracy_metric();

}  // namespace weft::eval
