#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "weft/core/tensor.h"
#include "weft/core/value.h"
#include "weft/model/model.h"

namespace weft::model {

/**
 * Writes `model` with other `weights` (all of them, named as parameters_of() does, in any floating point dtype) as a
 * checkpoint folder that transformers loads, and Weft: `model.safetensors`, `config.json` as in the
 * model's own folder but for the dtype, what lies beside it for tokenizer, generation and sentence embeddings, and
 * `weft.json` with `provenance` (a map). Weights have the names they were read under, tied ones once; tensors of the
 * source that the model does not use are carried over. Everything is read back and compared before it appears at `out`.
 * @param dtype float32, bfloat16 or float16.
 * @throws UsageError when a weight is missing, `out` exists without `force`, or is where the model comes from;
 * InputError naming the tensor when a value does not fit `dtype`; Error when a weight is not finite or the disk does
 * not take it.
 */
void write_checkpoint(const std::filesystem::path& out, const BaseModel& model,
                      const std::vector<std::pair<std::string, Tensor>>& weights, c10::ScalarType dtype, bool force,
                      const Value& provenance);

}  // namespace weft::model
