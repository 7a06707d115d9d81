#include "adapter/trained_writer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "adapter/target_choice.h"
#include "adapter/writer_check.h"
#include "adapter/writer_config.h"
#include "adapter/writer_layout.h"
#include "adapter/writer_record.h"
#include "core/staged.h"
#include "io/checkpoint.h"
#include "io/json.h"
#include "io/safetensors_writer.h"
#include "weft/core/error.h"

namespace weft::adapter {
namespace {

constexpr const char* kTrainedTensors = "adapter_model.safetensors";

/// A module's name in the model that PEFT will wrap.
std::string peft_name(const TrainedAdapter& adapter, const std::string& name) {
  if (adapter.task_type != "FEATURE_EXTRACTION") return name;
  const std::string core(io::without_model_prefixes(name));
  // The bare DistilBERT holds its layers in `transformer`, which elsewhere is a prefix of the whole model.
  constexpr std::string_view kInner = "transformer.";
  const std::string inner = std::string(kInner) + core;
  return core.starts_with("layer.") && name.ends_with(inner) ? inner : core;
}

void check_trained(const TrainedAdapter& adapter) {
  if (adapter.modules.empty()) throw UsageError("an adapter without any module cannot be written");
  if (adapter.rank < 1 || !std::isfinite(adapter.alpha))
    throw UsageError(fmt::format("an adapter cannot have rank {} and alpha {}", adapter.rank, adapter.alpha));
  for (const TrainedModule& module : adapter.modules) {
    const bool paired = module.a.defined() && module.b.defined() && module.a.dim() == 2 && module.b.dim() == 2 &&
                        module.a.size(0) == adapter.rank && module.b.size(1) == adapter.rank;
    if (!paired) throw UsageError(fmt::format("module {}: its factors are not of rank {}", module.name, adapter.rank));
    if (module.magnitude.defined() != adapter.dora ||
        (adapter.dora && (module.magnitude.dim() != 1 || module.magnitude.size(0) != module.b.size(0))))
      throw UsageError(fmt::format("module {}: {}", module.name,
                                   adapter.dora ? "it needs a magnitude per output" : "has a magnitude without DoRA"));
  }
}

Value text_or_null(const std::string& text) { return text.empty() ? Value() : Value::text(text); }

/// Python reads `16` as an integer and `0.5` as a number with fraction; a dropout is always the latter.
Value fraction_of(double number) { return number == 0.0 ? Value::of(std::string("0.0")) : Value::of(number); }

template <typename Item, typename Make>
Value list_or_null(const std::vector<Item>& items, const Make& make) {
  if (items.empty()) return {};
  Value out = Value::make_list();
  for (const Item& item : items) out.list.push_back(make(item));
  return out;
}

Value trained_config(const TrainedAdapter& adapter, const std::vector<std::string>& all_modules) {
  std::vector<std::string> trained, all;
  for (const TrainedModule& module : adapter.modules) trained.push_back(peft_name(adapter, module.name));
  for (const std::string& name : all_modules) all.push_back(peft_name(adapter, name));
  const TargetChoice targets = choose_targets(trained, all);
  const auto text = [](const std::string& item) { return Value::text(item); };
  Value config = Value::make_map();
  for (const char* key : {"alora_invocation_tokens", "auto_mapping", "exclude_modules", "layer_replication",
                          "modules_to_save", "revision", "target_parameters", "trainable_token_indices"})
    config.set(key, Value());
  config.set("alpha_pattern", Value::make_map());
  config.set("base_model_name_or_path", text_or_null(adapter.base_model));
  config.set("bias", Value::text(adapter.bias));
  config.set("fan_in_fan_out", Value::of(adapter.fan_in_fan_out));
  config.set("inference_mode", Value::of(true));
  config.set("init_lora_weights", Value::of(true));
  config.set("layers_pattern", list_or_null(targets.layers_pattern, text));
  config.set("layers_to_transform", list_or_null(targets.layers, [](std::int64_t i) { return Value::of_int(i); }));
  config.set("lora_alpha", Value::of(adapter.alpha));
  config.set("lora_bias", Value::of(false));
  config.set("lora_dropout", fraction_of(adapter.dropout));
  config.set("peft_type", Value::text("LORA"));
  config.set("r", Value::of_int(adapter.rank));
  config.set("rank_pattern", Value::make_map());
  config.set("target_modules", list_or_null(targets.modules, text));
  // For classifiers PEFT demands the whole head among the tensors; without a type it takes the head from the base.
  config.set("task_type", adapter.task_type == "SEQ_CLS" ? Value() : text_or_null(adapter.task_type));
  config.set("use_dora", Value::of(adapter.dora));
  config.set("use_rslora", Value::of(adapter.rslora));
  return sorted_config(config);
}

/// The tensors in PEFT's order and under its keys.
class TrainedTensors {
 public:
  explicit TrainedTensors(c10::ScalarType dtype) : dtype_(dtype) {}

  void add(std::string key, const Tensor& tensor, const std::string& what) {
    const Tensor source = tensor.detach();
    if (!at::isfinite(source).all().item<bool>())
      throw Error(fmt::format("{}: holds NaN or Inf after training; nothing was written", what));
    entries_.emplace_back(std::move(key), cast_checked(source, dtype_, what));
  }

  /// Writes the file and returns what is in it.
  std::map<std::string, WrittenTensor> write(const std::filesystem::path& file) const {
    std::vector<std::string> names;
    for (const auto& [key, tensor] : entries_) names.push_back(key);
    io::SafetensorsWriter writer(file, names, {{"format", "pt"}});
    std::map<std::string, WrittenTensor> written;
    for (const auto& [key, tensor] : entries_) {
      written.emplace(key, describe_written(tensor));
      writer.add(key, tensor);
    }
    writer.finish();
    return written;
  }

 private:
  c10::ScalarType dtype_;
  std::vector<std::pair<std::string, Tensor>> entries_;
};

TrainedTensors gather_trained(const TrainedAdapter& adapter, c10::ScalarType dtype) {
  TrainedTensors out(dtype);
  std::set<std::string> wrapped;
  for (const TrainedModule& module : adapter.modules) {
    const std::string stem = "base_model.model." + peft_name(adapter, module.name);
    const std::string what = fmt::format("module {}", module.name);
    wrapped.insert(module.name);
    out.add(stem + ".lora_A.weight", module.a, what + ": lora_A");
    out.add(stem + ".lora_B.weight", module.b, what + ": lora_B");
    if (module.magnitude.defined()) out.add(stem + ".lora_magnitude_vector", module.magnitude, what + ": magnitude");
  }
  for (const auto& [name, tensor] : adapter.biases) {
    // PEFT holds the parameters of a module it wraps one step further in.
    const size_t dot = name.rfind('.');
    const std::string holder = dot == std::string::npos ? std::string() : name.substr(0, dot);
    const std::string key = peft_name(adapter, wrapped.contains(holder) ? holder + ".base_layer.bias" : name);
    out.add("base_model.model." + key, tensor, fmt::format("parameter {}", name));
  }
  return out;
}

/// What Weft makes of the folder must be what was trained.
void check_reopened(const std::filesystem::path& folder, const TrainedAdapter& trained) {
  const Adapter adapter = Adapter::open(folder, "output");
  const auto rank = static_cast<double>(trained.rank);
  const double scale = trained.alpha / (trained.rslora ? std::sqrt(rank) : rank);
  bool same = adapter.modules().size() == trained.modules.size();
  for (const TrainedModule& want : trained.modules) {
    const ModuleInfo* got = adapter.find(peft_name(trained, want.name));
    same = same && got != nullptr && got->out == want.b.size(0) && got->in == want.a.size(1) &&
           got->rank == trained.rank && got->scale == scale && got->has_magnitude == trained.dora;
  }
  if (!same)
    throw Error(fmt::format("{}: what was written does not read back as what was trained; nothing was put in place",
                            folder.string()));
}

}  // namespace

void write_trained(const std::filesystem::path& out, const TrainedAdapter& adapter,
                   const std::vector<std::string>& all_modules, c10::ScalarType dtype, bool force,
                   const Value& provenance) {
  check_trained(adapter);
  const TrainedTensors tensors = gather_trained(adapter, dtype);
  StagedFolder staged(out, force);
  const std::filesystem::path folder = staged.path(), file = folder / kTrainedTensors;
  const auto written = tensors.write(file);
  write_file(folder / "adapter_config.json", io::to_json(trained_config(adapter, all_modules)) + "\n");
  check_tensors(file, written);
  check_reopened(folder, adapter);
  write_file(folder / "weft.json", io::to_json(output_record(provenance, {}, file, dtype)) + "\n");
  staged.commit();
}

}  // namespace weft::adapter
