#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "weft/core/error.h"
#include "weft/data/examples.h"
#include "weft/eval/embed.h"
#include "weft/eval/objective.h"
#include "weft/model/model.h"
#include "weft/nn/experts.h"
#include "weft/text/tokenizer.h"

namespace weft::eval {

// Which adapters of a large pool are worth a search. A figure per adapter, and the best of them.

/// The adapters [begin, end) of a pool, stacked: BaseModel::attach() of a part of it.
using ExpertSlice = std::function<nn::Experts(size_t begin, size_t end)>;

/// A pool that is too large to be stacked at once.
struct SlicedPool {
  size_t count = 0;    ///< adapters in all
  ExpertSlice attach;  ///< called once per slice, in order; one slice is held at a time
  size_t slice = 64;   ///< adapters in a slice, at least 1
};

/**
 * ∂ loss / ∂ weight of every adapter where all weights are zero, in the rule delta: what a little of each would change.
 * One backward pass. Of several groups the derivatives are summed: the weight is that of all groups. NaN where
 * something is not finite.
 * @throws UsageError unless the objective is differentiable().
 */
WEFT_API std::vector<double> first_order(const Objective& objective);
/// The same of a pool, slice by slice, exactly: where all weights are zero, derivatives do not depend on each other.
/// `objective`: the examples; its own adapters do not matter. One that is not finite spoils no other.
/// @throws also UsageError when a slice has another size.
WEFT_API std::vector<double> first_order(const Objective& objective, const SlicedPool& pool);

/// Scores of every adapter alone, with this weight in all groups; lower is better, NaN where an output is not finite.
WEFT_API std::vector<double> alone(const Objective& objective, double weight = 1.0);
/// The same of a pool, slice by slice, in the rule delta.
WEFT_API std::vector<double> alone(const Objective& objective, const SlicedPool& pool, double weight = 1.0);

/**
 * How near the texts of the examples (prompts, where they have these) are to texts that each adapter was trained on, as
 * LoraRetriever has it (arXiv 2402.09997): the cosine of the mean sentence embeddings. `options.max_tokens` 0: cut at
 * the encoder's `max_seq_length`.
 * @param samples some texts per adapter.
 * @throws UsageError: no examples, an adapter without texts; otherwise as embed().
 */
WEFT_API std::vector<double> by_similarity(const model::BaseModel& encoder, const text::Tokenizer& tokenizer,
                                           const data::Examples& examples,
                                           const std::vector<std::vector<std::string>>& samples,
                                           const EmbedOptions& options = {});

/// What first_order() promises, larger is better: -derivative, or |derivative| where weights may be negative too.
WEFT_API std::vector<double> promises(const std::vector<double>& derivatives, bool negative_weights);

/// Indices of the `count` largest scores, ascending; of equals the lowest index, NaN is below everything. All, where
/// there are no more.
WEFT_API std::vector<size_t> choose_best(const std::vector<double>& scores, size_t count);

}  // namespace weft::eval
