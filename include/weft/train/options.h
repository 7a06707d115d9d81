#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "weft/core/error.h"
#include "weft/core/fields.h"
#include "weft/core/value.h"

namespace weft::train {

/// Which biases of the base an adapter trains along (PEFT's `bias`).
enum class Bias { kNone, kAll, kLoraOnly };

/// Shape of the learning rate after warm-up.
enum class Schedule { kConstant, kLinear, kCosine };

/// What an adapter looks like (Hu et al. 2021, arXiv 2106.09685; names and defaults as PEFT's LoraConfig has them
/// unless said).
struct LoraOptions {
  std::int64_t rank = 8;
  double alpha = 16.0;  ///< scale = alpha / rank, or alpha / sqrt(rank) with rslora
  /// Module names or their endings (`q_proj`, `layers.0.mlp.down_proj`), or `all-linear`; empty: the projections that
  /// make queries and values (the fused ones where they are fused).
  std::vector<std::string> targets;
  std::vector<std::int64_t> layers;  ///< indices of the blocks that are adapted; empty: all
  bool rslora = false;               ///< Kalajdzievski 2023, arXiv 2312.03732
  bool dora = false;                 ///< Liu et al. 2024, arXiv 2402.09353; the norm is a constant of the gradient
  double dropout = 0.0;              ///< of the input of A while training, in [0, 1)
  Bias bias = Bias::kNone;
};

/**
 * How something is trained. AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) as torch.optim.AdamW computes it. A
 * step is the mean loss over everything scored in `batch` · `accumulate` examples. Defaults suit a small adapter.
 */
struct TrainOptions {
  bool all_weights = false;   ///< train the base's weights instead of an adapter
  bool from_scratch = false;  ///< with all_weights: start from drawn weights instead of those stored
  LoraOptions lora;

  std::int64_t steps = 0;       ///< updates; 0: as many as `epochs` make
  double epochs = 3.0;          ///< passes over the examples, when steps is 0
  std::int64_t batch = 16;      ///< examples that run together
  std::int64_t accumulate = 1;  ///< batches per update
  double learning_rate = 1e-3;
  double weight_decay = 0.0;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double clip = 1.0;        ///< bound on the norm of the gradient; 0: none
  std::int64_t warmup = 0;  ///< updates over which the rate rises from 0, linearly
  Schedule schedule = Schedule::kCosine;
  double hold = 0.0;        ///< share of the updates after warm-up during which the rate does not fall yet
  double final_rate = 0.0;  ///< where the schedule ends, as a share of learning_rate
  std::uint64_t seed = 0;   ///< of initial weights, order, dropout and drawn labels

  bool append_end = true;       ///< an end token follows every completion that lacks it (causal models)
  std::int64_t max_tokens = 0;  ///< longer examples are cut: texts and prompts; 0: never, too long is refused

  double temperature = 0.05;               ///< label similarity: divides the cosine
  std::string label_template = "{label}";  ///< what is embedded for a label, `_` of its name read as a space
  std::int64_t drawn_labels = 8;           ///< with more than most_labels labels: those of the batch and so many others
  std::int64_t most_labels = 12;

  std::int64_t eval_every = 0;   ///< updates between validations; 0: once per epoch
  std::int64_t patience = 0;     ///< stop after so many validations without a better loss; 0: never
  std::int64_t save_every = 50;  ///< updates between checkpoints; 0: none are kept
};

/// One option: its description, how it is set and how it is said.
struct Option {
  Field field;
  void (*set)(TrainOptions& options, const Value& value, const Field& field) = nullptr;
  Value (*get)(const TrainOptions& options) = nullptr;
};

/// All options, in the order of help texts and recipes: the keys of `train:` and, with `-` for `_`, the flags of `weft
/// train`.
WEFT_API const std::vector<Option>& options();
/// Sets one by name. @throws RecipeError at the place of `value` (an unknown key: at `place`) with the nearest name.
WEFT_API void set_option(TrainOptions& to, std::string_view name, const Value& value, const Place& place);
/// All options as a map that sets them again.
WEFT_API Value to_value(const TrainOptions& from);
/// @throws UsageError when options contradict each other or are out of range.
WEFT_API void check_options(const TrainOptions& options);

}  // namespace weft::train
