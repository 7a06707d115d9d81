#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "nn/forward.h"
#include "nn/gate.h"
#include "nn/network.h"
#include "nn/run.h"
#include "weft/core/value.h"
#include "weft/model/model.h"

namespace weft::model {

struct BaseModel::Data {
  ModelInfo info;
  nn::Network network;
  c10::Device device = c10::Device(c10::kCPU);
  bool trainable = false;  ///< weights are leaves that want gradients
  /// By name of a parameter: its name in the checkpoint. Empty: the weights were drawn.
  std::map<std::string, std::string> stored;
};

/// What BaseModel::inspect() says of the config `root` of `folder` beside the headers of `checkpoint`.
ModelInfo inspect_config(const Value& root, const std::filesystem::path& folder, const io::Checkpoint& checkpoint);

class InitialWeights;

/// The model that the config `root` of `folder` describes, with weights of `checkpoint`, or `drawn` where that is
/// given; shapes alone with `headers_only`.
std::shared_ptr<BaseModel::Data> assemble_model(const Value& root, const std::filesystem::path& folder,
                                                const io::Checkpoint& checkpoint, const OpenOptions& options,
                                                bool headers_only, const InitialWeights* drawn = nullptr);

/// The `config.json` of a folder. @throws InputError when there is none; FormatError.
Value read_model_config(const std::filesystem::path& folder);

/// A batch and a composition with as many sequences as will be run: weights per candidate become the batch so many
/// times over, with weights per sequence.
struct Spread {
  nn::Batch batch;
  Composition composition;
  std::int64_t copies = 1;
};
Spread spread(const nn::Batch& batch, const Composition& composition);

/// A batch on the model's device, checked against its vocabulary and length, and what its forward pass carries along.
struct Feed {
  Tensor ids, types;  ///< int64 [tokens]; types may be undefined
  nn::Run run;
  std::unique_ptr<nn::Gate> gate;
};

/// @throws UsageError for empty batches and sequences, ids outside the vocabulary, mixes that do not fit; InputError
/// for sequences longer than learned positions.
Feed prepare(const BaseModel::Data& model, const nn::Batch& batch, const Composition& composition,
             const std::vector<std::int64_t>& past = {}, std::int64_t copies = 1);

/// The run of `feed` for some rows alone: `per_sequence[i]` of them belong to sequence i; `rows` [Σ per_sequence].
nn::Run run_of_rows(const nn::Run& run, const std::vector<std::int64_t>& per_sequence, const Tensor& rows);

/// Calls `forward(run)`; where its result is not finite, once more with every module checked, so that the error names
/// the first one.
template <typename Forward>
Tensor run_checked(nn::Run& run, const Forward& forward);

/// True if no element is NaN or Inf.
bool all_finite(const Tensor& x);

template <typename Forward>
Tensor run_checked(nn::Run& run, const Forward& forward) {
  Tensor out = forward(run);
  if (all_finite(out)) return out;
  run.check = true;
  forward(run);
  nn::check_finite(run, out, "the model's output");
  return out;
}

}  // namespace weft::model
