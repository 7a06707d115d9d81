#pragma once

#include <vector>

#include "weft/eval/evaluate.h"

namespace weft::eval {

/**
 * Generates an answer to every prompt, greedily, into ExampleResult::answer. An example's answer does not depend on the
 * others, rounding apart.
 * @throws UsageError: a stop string that is empty; InputError: outputs that are not finite, naming the lines.
 */
void generate_answers(const model::BaseModel& model, const text::Tokenizer& tokenizer, const data::Examples& examples,
                      const model::Composition& composition, const EvalOptions& options, Log& log,
                      std::vector<ExampleResult>& results);

}  // namespace weft::eval
