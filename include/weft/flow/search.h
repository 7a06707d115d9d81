#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/adapter/pool.h"
#include "weft/core/error.h"
#include "weft/core/fields.h"
#include "weft/core/log.h"
#include "weft/core/value.h"
#include "weft/data/examples.h"
#include "weft/eval/objective.h"
#include "weft/flow/runtime.h"
#include "weft/nn/experts.h"
#include "weft/search/optimizer.h"
#include "weft/search/space.h"

namespace weft::flow {

/// How candidates of a large pool are chosen before the search.
enum class Preselect {
  kGradient,    ///< the derivative of the loss by each weight at zero, from one backward pass
  kAlone,       ///< the loss of each adapter alone
  kSimilarity,  ///< the similarity of its sample texts to the examples' (LoraRetriever, arXiv 2402.09997)
  kRandom,      ///< drawn by the seed, as LoRAHub's paper draws 20 of its modules
};

/// How a search runs: the keys of `search:` in a recipe and, with `-` for `_`, flags of `weft search`.
struct SearchOptions {
  std::string method = "auto";  ///< of search::methods()
  std::int64_t budget = 200;    ///< evaluations; one is a pass over the examples, a gradient counts as three
  std::uint64_t seed = 0;
  nn::Rule rule = nn::Rule::kDelta;
  /// Not set: blocks of layers and kinds where `auto` follows gradients, which find their way among many weights, else
  /// adapters.
  std::optional<search::Granularity> granularity;
  search::SpaceOptions space = {};  ///< its granularity is not read
  search::OptimizerOptions optimizer = {};
  eval::ObjectiveOptions objective = {};  ///< its eval.append_end is not read
  bool append_end =
      true;  ///< the end token after an answer counts, where the model is causal and the examples have answers

  // What is added to the score, of all weights w that are searched.
  double l1 = 0.0;       ///< · mean |w|; LoRAHub has 0.05
  double l2 = 0.0;       ///< · mean w²
  double uniform = 0.0;  ///< · mean (w - mean w)²: the distance from the nearest uniform merge
  /// Width of a normal prior around zero, in units of a weight: adds Σ w² / (2 · prior² · observations) to a mean loss
  /// (observations: scored tokens, or labels), so that it fades as examples grow. 0: none. Not set: none, but method
  /// `auto` has its own.
  std::optional<double> prior;

  std::int64_t shots = 0;          ///< examples drawn from the file by the seed (of labelled texts per label); 0: all
  double validation = 0.0;         ///< share of the examples that is held out to choose among candidates by, in [0, 1)
  std::filesystem::path held_out;  ///< or a file of its own
  std::int64_t patience = 0;       ///< stop after so many held-out scores without a better one; 0: never
  /// How many adapters to keep, besides those named by `fixed`, `tied` and `start`; 0: 64 of a larger pool, all of a
  /// smaller one.
  std::int64_t preselect = 0;
  Preselect preselect_by = Preselect::kGradient;
  std::filesystem::path samples;  ///< kSimilarity: a folder with NAME.jsonl, sample texts of each adapter
  std::filesystem::path encoder;  ///< kSimilarity: the model that embeds texts; empty: the base itself
  double race = 0.0;  ///< share of the examples after which hopeless candidates are dropped; 0: never, which is exact
  bool fallback = false;  ///< return the base, the best single adapter or the uniform merge where that scores better
  std::int64_t jobs = 1;  ///< candidates evaluated at once, by threads that share the processors
};

/// One option: its description, how it is set and how it is said.
struct SearchOption {
  Field field;
  bool list = false;  ///< a list or a map rather than a scalar
  void (*set)(SearchOptions& options, const Value& value, const Field& field) = nullptr;
  Value (*get)(const SearchOptions& options) = nullptr;
};
/// All options, in the order of help texts and recipes. Those of eval::options() follow under their own names.
WEFT_API const std::vector<SearchOption>& search_options();
/// Sets one by name. @throws RecipeError at the place of `value` (an unknown key: at `place`) with the nearest name.
WEFT_API void set_search_option(SearchOptions& to, std::string_view name, const Value& value, const Place& place);

/// A score of the user's own for one composition, lower is better. It may be called from one thread at a time.
using CustomObjective = std::function<double(const model::BaseModel& model, const text::Tokenizer& tokenizer,
                                             const model::Composition& composition)>;

/// Everything a search needs: what a recipe, the command line or a C++ program says. Paths are resolved.
struct SearchJob {
  RuntimeOptions runtime = {};      ///< base and pool; `weights` are not read
  std::filesystem::path data = {};  ///< the examples
  data::ReadOptions reading = {};   ///< how they are read
  SearchOptions options = {};
  CustomObjective custom = nullptr;  ///< instead of examples
  std::filesystem::path output = {};
  std::string dtype = {};  ///< of what is written; empty: the pool's
  std::int64_t rank = 0;   ///< of what is written; 0: exact
  bool force = false;      ///< replace an existing output
};

/// One evaluation.
struct SearchTrial {
  std::string phase;               ///< what the method was doing
  search::Point point;             ///< coordinates
  double score = 0.0;              ///< of the examples searched on, regularisers apart; NaN: not finite
  double total = 0.0;              ///< what was minimised
  std::optional<double> held_out;  ///< score on the held-out examples
  /// Which examples: `all but 2/4`, `only 2/4` of their folds, `dropped` in a race after some; empty: all.
  std::string part = {};
};

/// A composition that the result is compared with.
struct SearchRival {
  std::string name;    ///< `base`, `best single (NAME)`, `uniform`, `found`
  double score = 0.0;  ///< of the examples searched on
  std::optional<double> held_out;
};

/// What a search found.
struct SearchReport {
  std::vector<std::string> adapters;  ///< names, those that were searched over
  std::vector<std::string> groups;    ///< of modules; one: all
  eval::Weights weights;              ///< [groups · adapters], of the result
  double score = 0.0;                 ///< of the result, on the examples searched on
  std::vector<SearchTrial> trials;    ///< in order
  size_t found = 0;                   ///< which of them the search settled on
  std::vector<SearchRival> rivals;    ///< base, best single, uniform, found
  std::string chosen = "found";       ///< the rival that was written: another than `found` with `fallback`
  std::string metric;                 ///< what the scores are of
  double spent = 0;                   ///< evaluations; a part of the examples counts as its share
  std::int64_t resumed = 0;           ///< evaluations that a journal had already
  double seconds = 0.0;
  std::filesystem::path output;
  std::vector<std::string> warnings;
};

/**
 * A job from a recipe: `base_model`, `adapters` (or `pool: FOLDER`), `method: search | lorahub` (or left out),
 * `examples: {data, prompt, completion, text}`, `search: {...}`, `output: {path, dtype, rank, force}`. Relative paths
 * are relative to the recipe. `method: lorahub` sets what the paper and its package have: rule factors, method lorahub,
 * budget 40, l1 0.05, their normalisation, weights in [-1.5, 1.5].
 * @throws RecipeError with file, line, column and the nearest valid key.
 */
WEFT_API SearchJob load_search_recipe(const std::filesystem::path& path);
/// Sets what `method: lorahub` means (Huang et al. 2023, arXiv 2307.13269, and its package 0.1.0).
WEFT_API void set_lorahub(SearchOptions& options);
/// The job as a recipe that load_search_recipe() reads back to the same job.
WEFT_API Value to_recipe(const SearchJob& job);
/// The adapters in a folder: every subfolder that holds one, by name. @throws InputError when there are none.
WEFT_API std::vector<adapter::Pool::Source> pool_folder(const std::filesystem::path& folder);

/**
 * Finds the weights of a pool's adapters for the task that examples show, and writes their sum as one adapter. Every
 * evaluation is added to `OUT.journal` beside the output; a search with the same job finds it and goes on to the same
 * bytes as if it had not been stopped. It is removed when the output is in place. Under a launcher (see dist)
 * candidates are spread over the ranks, and rank 0 writes.
 * @throws UsageError: options that contradict each other, a budget of 0, an output that exists; InputError /
 *         FormatError with `file:line`: examples that do not fit the model, a single class, adapters of another base, a
 *         journal of another job, a pool none of whose compositions has a finite score.
 */
WEFT_API SearchReport search(const SearchJob& job, Log& log = silent_log());

}  // namespace weft::flow
