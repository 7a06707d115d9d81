#include "model/write_checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <map>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "adapter/output_place.h"
#include "adapter/writer_check.h"
#include "adapter/writer_layout.h"
#include "adapter/writer_record.h"
#include "core/staged.h"
#include "io/checkpoint.h"
#include "io/json.h"
#include "io/safetensors_writer.h"
#include "model/model_data.h"
#include "model/parameters.h"
#include "weft/core/error.h"

namespace weft::model {

namespace fs = std::filesystem;

namespace {

constexpr const char* kWeightsFile = "model.safetensors";
/// What belongs to a model beside its weights and its config.
constexpr const char* kBesides[] = {"tokenizer.json",
                                    "tokenizer_config.json",
                                    "special_tokens_map.json",
                                    "added_tokens.json",
                                    "vocab.json",
                                    "merges.txt",
                                    "vocab.txt",
                                    "tokenizer.model",
                                    "spiece.model",
                                    "sentencepiece.bpe.model",
                                    "chat_template.jinja",
                                    "generation_config.json",
                                    "sentence_bert_config.json",
                                    "config_sentence_transformers.json",
                                    "modules.json",
                                    "1_Pooling/config.json"};

/// Tensors of the source that no part of the model holds.
class Unused {
 public:
  explicit Unused(const BaseModel::Data& model) {
    if (model.stored.empty()) return;  // drawn: whatever lies there is another model's
    source_ = io::Checkpoint::open(model.info.path);
    for (const auto& [parameter, name] : model.stored) used_.insert(name);
    for (const auto& [name, tensor] : source_.tensors())
      if (!used_.contains(name) && !is_copy(tensor)) names_.push_back(name);
  }

  const std::vector<std::string>& names() const { return names_; }
  Tensor load(const std::string& name) const { return source_.tensors().find(name)->second.file->load(name); }

 private:
  /// Files often hold a tied table once more under the name of a head; a copy of a weight that was trained is stale.
  bool is_copy(const io::CheckpointTensor& tensor) const {
    const io::TensorEntry& entry = *tensor.entry;
    if (entry.shape.size() < 2) return false;
    for (const std::string& name : used_) {
      const io::CheckpointTensor& other = source_.tensors().find(name)->second;
      if (other.entry->shape == entry.shape && other.entry->dtype == entry.dtype &&
          at::equal(other.file->load(name), tensor.file->load(entry.name)))
        return true;
    }
    return false;
  }

  io::Checkpoint source_;
  std::set<std::string> used_;
  std::vector<std::string> names_;
};

/// `tensor` as it will be stored.
Tensor ready_to_write(const std::string& name, const Tensor& tensor, c10::ScalarType dtype) {
  const Tensor plain = tensor.detach().cpu();
  if (!plain.is_floating_point()) return plain.contiguous();
  if (!at::isfinite(plain).all().item<bool>())
    throw Error(fmt::format("tensor '{}' holds NaN or Inf; nothing was written", name));
  return adapter::cast_checked(plain, dtype, fmt::format("tensor '{}'", name));
}

using NamedWeights = std::vector<std::pair<std::string, Tensor>>;

void check_weights(const BaseModel::Data& model, const NamedWeights& weights) {
  std::map<std::string, const Tensor*> given;
  for (const auto& [name, tensor] : weights) given.emplace(name, &tensor);
  nn::Network network = model.network;
  for (const Parameter& parameter : parameters_of(network)) {
    const auto at = given.find(parameter.name);
    if (at == given.end() || at->second->sizes() != parameter.places.front()->sizes())
      throw UsageError(fmt::format("weight '{}' of the model is missing or of another shape", parameter.name));
    given.erase(at);
  }
  if (!given.empty()) throw UsageError(fmt::format("the model has no weight '{}'", given.begin()->first));
}

std::map<std::string, adapter::WrittenTensor> write_weights(const fs::path& file, const BaseModel::Data& model,
                                                            const NamedWeights& weights, c10::ScalarType dtype) {
  const Unused unused(model);
  const auto stored_name = [&](const std::string& name) {
    const auto stored = model.stored.find(name);
    return stored == model.stored.end() ? name : stored->second;
  };
  std::vector<std::string> names = unused.names();
  for (const auto& [name, tensor] : weights) names.push_back(stored_name(name));
  io::SafetensorsWriter writer(file, names, {{"format", "pt"}});
  std::map<std::string, adapter::WrittenTensor> written;
  const auto put = [&](const std::string& name, const Tensor& tensor) {
    const Tensor ready = ready_to_write(name, tensor, dtype);
    written.emplace(name, adapter::describe_written(ready));
    writer.add(name, ready);
  };
  for (const auto& [name, tensor] : weights) put(stored_name(name), tensor);
  for (const std::string& name : unused.names()) put(name, unused.load(name));
  writer.finish();
  return written;
}

/// The config with `dtype` said wherever it says one; at the top in any case.
Value with_dtype(Value config, const std::string& dtype, bool top) {
  bool said = false;
  for (auto& [key, value] : config.map) {
    if (value.is_map()) value = with_dtype(std::move(value), dtype, false);
    if (key != "dtype" && key != "torch_dtype") continue;
    value = Value::text(dtype);
    said = true;
  }
  if (top && !said) config.set("dtype", Value::text(dtype));
  return config;
}

void copy_besides(const fs::path& from, const fs::path& to) {
  for (const char* name : kBesides) {
    std::error_code failed;
    if (!fs::is_regular_file(from / name, failed)) continue;
    fs::create_directories((to / name).parent_path(), failed);
    if (!failed) fs::copy_file(from / name, to / name, failed);
    if (failed) throw Error(fmt::format("{}: cannot copy it: {}", (from / name).string(), failed.message()));
  }
}

}  // namespace

void write_checkpoint(const fs::path& out, const BaseModel& model,
                      const std::vector<std::pair<std::string, Tensor>>& weights, c10::ScalarType dtype, bool force,
                      const Value& provenance) {
  const fs::path& source = model.info().path;
  if (adapter::would_replace(out, source))
    throw UsageError(fmt::format("{}: the output would replace the model it is made from ({}); choose another output",
                                 out.string(), source.string()));
  check_weights(model.data(), weights);
  StagedFolder staged(out, force);
  const fs::path folder = staged.path(), file = folder / kWeightsFile;
  const auto written = write_weights(file, model.data(), weights, dtype);
  const Value config = with_dtype(read_model_config(source), io::dtype_name(dtype), true);
  write_file(folder / "config.json", io::to_json(config) + "\n");
  copy_besides(source, folder);
  adapter::check_tensors(file, written);
  BaseModel::inspect(folder);
  write_file(folder / "weft.json", io::to_json(adapter::output_record(provenance, {}, file, dtype)) + "\n");
  staged.commit();
}

}  // namespace weft::model
