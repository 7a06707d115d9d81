#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "io/json.h"
#include "model/builder.h"
#include "model/device.h"
#include "model/family.h"
#include "model/model_data.h"

namespace weft::model {

namespace fs = std::filesystem;

namespace {

constexpr size_t kConfigLimit = size_t{16} << 20;
constexpr std::int64_t kMostLabels = 1 << 20;

/// A token id or a list of ids; an empty list where the key is absent.
std::vector<std::int64_t> token_ids(const ConfigReader& config, std::string_view key) {
  const Value* value = config.find({key});
  if (value == nullptr) return {};
  std::vector<std::int64_t> out;
  const auto take = [&](const Value& item) {
    const auto id = item.integer();
    if (!id || *id < 0) config.fail(key, fmt::format("is {}, expected a token id or a list of them", item.describe()));
    out.push_back(*id);
  };
  if (value->is_list())
    for (const Value& item : value->list) take(item);
  else
    take(*value);
  return out;
}

std::optional<std::int64_t> first_of(const std::vector<std::int64_t>& ids) {
  return ids.empty() ? std::nullopt : std::optional(ids.front());
}

/// Names of `id2label`, in the order of the indices; `num_labels` names `LABEL_i` without it.
std::vector<std::string> read_labels(const ConfigReader& config) {
  const auto table = config.map("id2label");
  const std::int64_t count =
      table ? static_cast<std::int64_t>(table->value().map.size()) : config.integer({"num_labels"}, 2, 1, kMostLabels);
  std::vector<std::string> out;
  for (std::int64_t i = 0; i < count; ++i) {
    const Value* name = table ? table->find({std::to_string(i)}) : nullptr;
    if (table && (name == nullptr || !name->is_scalar()))
      config.fail("id2label", fmt::format("has {} labels, but none for index {}", count, i));
    out.push_back(name == nullptr ? fmt::format("LABEL_{}", i) : name->scalar);
  }
  return out;
}

const Family& find_family(const ConfigReader& config) {
  const std::string name = config.text({"model_type"});
  for (const Family& family : family_table())
    if (family.name == name) return family;
  config.refuse("model_type", fmt::format("unknown family '{}'; known are {}", name, fmt::join(families(), ", ")));
}

void check_architecture(const ConfigReader& config, const Family& family, const std::string& architecture) {
  if (architecture.empty()) return;
  const auto& known = family.architectures;
  if (std::find(known.begin(), known.end(), architecture) == known.end())
    config.refuse("architectures", fmt::format("'{}' is not computed; known of family {} are {}", architecture,
                                               family.name, fmt::join(known, ", ")));
}

/// End tokens: generation_config.json's, else config.json's.
void read_special_ids(const ConfigReader& config, const fs::path& folder, ModelInfo& info) {
  info.end_tokens = token_ids(config, "eos_token_id");
  info.padding = first_of(token_ids(config, "pad_token_id"));
  info.start_token = first_of(token_ids(config, "decoder_start_token_id"));
  const fs::path path = folder / "generation_config.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return;
  const Value root = io::read_json(path, kConfigLimit);
  const ConfigReader generation(root, path.string());
  const std::vector<std::int64_t> ends = token_ids(generation, "eos_token_id");
  if (!ends.empty()) info.end_tokens = ends;
  const auto start = first_of(token_ids(generation, "decoder_start_token_id"));
  if (start) info.start_token = start;
}

void list_modules(nn::Network& network, ModelInfo& info) {
  network.visit(
      [&](nn::LinearGroup& group) {
        for (const nn::Linear& linear : group.parts) info.modules.push_back(linear.name);
      },
      [&](nn::Embedding& embedding) { info.modules.push_back(embedding.name); }, [](nn::Norm&) {});
}

fs::path config_path(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored))
    throw InputError(
        fmt::format("{}: no such folder; expected a checkpoint folder with config.json and weights", folder.string()));
  const fs::path path = folder / "config.json";
  if (!fs::exists(path, ignored))
    throw InputError(fmt::format("{}: no config.json there{}", folder.string(),
                                 fs::exists(folder / "adapter_config.json", ignored)
                                     ? "; this is an adapter, not a base model"
                                     : "; expected a checkpoint folder with config.json and weights"));
  return path;
}

std::shared_ptr<BaseModel::Data> load(const fs::path& folder, const OpenOptions& options, bool headers_only) {
  const Value root = read_model_config(folder);
  find_family(ConfigReader(root, (folder / "config.json").string()));  // before anything is said about weights
  return assemble_model(root, folder, io::Checkpoint::open(folder), options, headers_only);
}

}  // namespace

std::shared_ptr<BaseModel::Data> assemble_model(const Value& root, const fs::path& folder,
                                                const io::Checkpoint& checkpoint, const OpenOptions& options,
                                                bool headers_only, const InitialWeights* drawn) {
  const ConfigReader config(root, (folder / "config.json").string());
  const Family& family = find_family(config);
  auto data = std::make_shared<BaseModel::Data>();
  ModelInfo& info = data->info;
  info.path = folder, info.family = family.name, info.kind = family.kind;
  if (!headers_only) data->device = open_device(options.device);
  Builder builder(config, checkpoint, options, headers_only, drawn);
  info.architecture = builder.architecture();
  check_architecture(config, family, info.architecture);
  read_special_ids(config, folder, info);
  info.labels = read_labels(config);
  family.build(builder, data->network, info);
  if (!data->network.classifier.out.present()) info.labels.clear();
  builder.finish(info);
  data->stored = builder.stored();
  data->network.number_sites();
  list_modules(data->network, info);
  return data;
}

Value read_model_config(const fs::path& folder) { return io::read_json(config_path(folder), kConfigLimit); }

ModelInfo inspect_config(const Value& root, const fs::path& folder, const io::Checkpoint& checkpoint) {
  return assemble_model(root, folder, checkpoint, {}, true)->info;
}

BaseModel BaseModel::open(const fs::path& path, const OpenOptions& options) {
  if (options.dtype && *options.dtype != at::kFloat && *options.dtype != at::kBFloat16 && *options.dtype != at::kHalf)
    throw UsageError(fmt::format("a base model cannot be held in {}; expected float32, bfloat16 or float16",
                                 io::dtype_name(*options.dtype)));
  return BaseModel(load(path, options, false));
}

ModelInfo BaseModel::inspect(const fs::path& path) { return load(path, {}, true)->info; }

}  // namespace weft::model
