#include "adapter/writer_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <unordered_set>

#include "adapter/writer_layout.h"
#include "io/json.h"
#include "weft/core/error.h"

namespace weft::adapter {
namespace {

bool is_plain_false(const Value* value) {
  return value == nullptr || value->is_null() || value->boolean() == false ||
         (value->is_list() && value->list.empty()) || (value->is_map() && value->map.empty());
}

/// The first config among the inputs, or null: what an adapter's user expects to find again.
const Value* first_config(const std::vector<Adapter>& inputs) {
  for (const Adapter& adapter : inputs)
    if (adapter.info().config.is_map()) return &adapter.info().config;
  return nullptr;
}

Value kept(const Value* config, std::string_view key) {
  const Value* value = config == nullptr ? nullptr : config->find(key);
  return value == nullptr ? Value() : *value;
}

/// A setting that changes what the tensors mean: all inputs must have the same.
Value agreed(const std::vector<Adapter>& inputs, const std::string& key) {
  const Adapter* first = nullptr;
  std::string spelled;
  Value out;
  for (const Adapter& adapter : inputs) {
    const Value* value = adapter.info().config.is_map() ? adapter.info().config.find(key) : nullptr;
    const std::string now = is_plain_false(value) ? "null" : io::to_json(*value, -1);
    if (first == nullptr) {
      first = &adapter;
      spelled = now;
      if (now != "null") out = *value;
    } else if (now != spelled) {
      throw UnsupportedError(fmt::format(
          "{} differs: {} in {}, {} in {}; an adapter can only have one, so merge adapters that agree on it", key,
          spelled, first->info().name, now, adapter.info().name));
    }
  }
  return out;
}

/// The rank most modules have (the larger of equals): it becomes `r`, the others get a pattern.
std::int64_t common_rank(const std::vector<WrittenModule>& modules) {
  std::map<std::int64_t, size_t> count;
  for (const WrittenModule& module : modules) ++count[module.rank];
  std::int64_t best = 8;  // PEFT's default, for an adapter of full tensors only
  size_t most = 0;
  for (const auto& [rank, n] : count)
    if (n >= most) best = rank, most = n;
  return best;
}

/// Paths that are a dotted suffix of another module's path: their patterns would match that module too.
std::unordered_set<std::string> ambiguous_paths(const std::vector<WrittenModule>& modules) {
  std::unordered_set<std::string> all, out;
  for (const WrittenModule& module : modules) all.insert(module.info.name);
  for (const WrittenModule& module : modules) {
    const std::string& name = module.info.name;
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1))
      if (all.count(name.substr(dot + 1)) != 0) out.insert(name.substr(dot + 1));
  }
  return out;
}

Value rank_patterns(const std::vector<WrittenModule>& modules, std::int64_t common) {
  const std::unordered_set<std::string> ambiguous = ambiguous_paths(modules);
  std::map<std::string, std::int64_t> patterns;
  for (const WrittenModule& module : modules) {
    if (module.rank == common) continue;
    const std::string anchor = ambiguous.count(module.info.name) != 0 ? "^" : "";
    patterns[anchor + escape_pattern(module.info.name)] = module.rank;
  }
  Value out = Value::make_map();
  for (const auto& [pattern, rank] : patterns) out.set(pattern, Value::of_int(rank));
  return out;
}

Value text_list(const std::set<std::string>& texts) {
  Value out = Value::make_list();
  for (const std::string& text : texts) out.list.push_back(Value::text(text));
  return out;
}

/// True if `entry` of modules_to_save names a module that holds `name`.
bool entry_saves(const std::string& entry, const std::string& name) {
  if (entry.empty()) return false;
  for (size_t at = name.find(entry); at != std::string::npos; at = name.find(entry, at + 1)) {
    const size_t end = at + entry.size();
    if ((at == 0 || name[at - 1] == '.') && (end == name.size() || name[end] == '.')) return true;
  }
  return false;
}

/// Only what the inputs declare: PEFT loads other full tensors straight into the base, tied weights included.
Value declared_saves(const std::vector<Adapter>& inputs, const std::vector<FullTensor>& full) {
  std::set<std::string> out;
  for (const FullTensor& tensor : full)
    for (const std::string& entry : saving_entries(inputs, tensor.name)) out.insert(entry);
  return out.empty() ? Value() : text_list(out);
}

/// The setting `key` of the owners of the carried tensors of one kind; they must agree.
Value of_owners(const std::vector<Adapter>& inputs, const std::vector<FullTensor>& full, FullTensor::Kind kind,
                const std::string& key) {
  std::unordered_set<std::string> wanted;
  for (const FullTensor& tensor : full)
    if (tensor.kind == kind) wanted.insert(tensor.key);
  std::vector<Adapter> owners;
  for (const Adapter& adapter : inputs)
    for (const FullTensor& tensor : adapter.full_tensors())
      if (tensor.kind == kind && wanted.count(tensor.key) != 0) {
        owners.push_back(adapter);
        break;
      }
  return owners.empty() ? Value() : agreed(owners, key);
}

/// True if one of the tensors belongs to a head that PEFT adds to modules_to_save for classification and span tasks.
bool holds_task_head(const std::vector<FullTensor>& tensors) {
  static constexpr std::string_view kHeads[] = {"classifier", "score", "qa_outputs"};
  return std::any_of(tensors.begin(), tensors.end(), [](const FullTensor& tensor) {
    return std::any_of(std::begin(kHeads), std::end(kHeads),
                       [&](std::string_view head) { return entry_saves(std::string(head), tensor.name); });
  });
}

/// The task of the first input, unless its head was dropped: for such tasks PEFT demands the head on loading.
Value kept_task(const std::vector<Adapter>& inputs, const std::vector<FullTensor>& full) {
  const Value task = kept(first_config(inputs), "task_type");
  const bool demands = task.scalar == "SEQ_CLS" || task.scalar == "TOKEN_CLS" || task.scalar == "QUESTION_ANS";
  const bool had = std::any_of(inputs.begin(), inputs.end(),
                               [](const Adapter& adapter) { return holds_task_head(adapter.full_tensors()); });
  return demands && had && !holds_task_head(full) ? Value() : task;
}

void set_targets(Value& config, const std::vector<Adapter>& inputs, const std::vector<WrittenModule>& modules) {
  std::set<std::string> names, parameters;
  for (const WrittenModule& module : modules)
    (module.info.layer == LayerKind::kParameter ? parameters : names).insert(module.info.name);
  config.set("target_modules", text_list(names));
  Value ordered = Value::make_list();
  if (!parameters.empty())
    for (const std::string& name : expert_order(inputs))
      if (parameters.count(name) != 0) ordered.list.push_back(Value::text(name));
  config.set("target_parameters", ordered.list.empty() ? Value() : std::move(ordered));
}

bool writes_bias(const std::vector<WrittenModule>& modules) {
  const bool any = std::any_of(modules.begin(), modules.end(), [](const WrittenModule& m) { return m.has_bias; });
  if (!any) return false;
  for (const WrittenModule& module : modules)
    if (module.info.layer == LayerKind::kEmbedding || module.info.layer == LayerKind::kParameter)
      throw UnsupportedError(fmt::format(
          "module {}: PEFT knows no lora_bias beside {}, so this result cannot be written as one adapter; merge "
          "adapters with lora_bias apart from those",
          module.info.name, module.info.layer == LayerKind::kEmbedding ? "a targeted embedding" : "expert parameters"));
  return true;
}

}  // namespace

std::vector<std::string> saving_entries(const std::vector<Adapter>& inputs, const std::string& name) {
  std::set<std::string> out;
  for (const Adapter& adapter : inputs) {
    const Value list = kept(&adapter.info().config, "modules_to_save");
    for (const Value& entry : list.list)
      if (entry.is_scalar() && entry_saves(entry.scalar, name)) out.insert(entry.scalar);
  }
  return {out.begin(), out.end()};
}

std::string escape_pattern(const std::string& path) {
  static constexpr std::string_view kSpecial = R"(\.^$*+?()[]{}|)";
  std::string out;
  for (const char c : path) {
    if (kSpecial.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

Value sorted_config(const Value& value) {
  Value out = value;
  for (auto& [key, inner] : out.map)
    if (key != "rank_pattern" && key != "alpha_pattern") inner = sorted_config(inner);
  std::sort(out.map.begin(), out.map.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  out.key_places.assign(out.map.size(), {});
  return out;
}

Value output_config(const std::vector<Adapter>& inputs, const std::vector<WrittenModule>& modules,
                    const std::vector<FullTensor>& full, const std::vector<Adapter>& givers) {
  const Value* first = first_config(inputs);
  const std::int64_t rank = common_rank(modules);
  const Value patterns = rank_patterns(modules, rank);
  Value config = Value::make_map();
  config.set("alora_invocation_tokens", agreed(inputs, "alora_invocation_tokens"));
  config.set("alpha_pattern", patterns);
  for (const std::string_view key : {"auto_mapping", "base_model_name_or_path", "revision"})
    config.set(key, kept(first, key));
  config.set("task_type", kept_task(inputs, full));
  const Value bias = of_owners(givers, full, FullTensor::Kind::kBias, "bias");
  config.set("bias", bias.is_null() ? Value::text("none") : bias);
  for (const char* key : {"exclude_modules", "layers_pattern", "layers_to_transform"}) config.set(key, Value());
  config.set("fan_in_fan_out", Value::of(kept(first, "fan_in_fan_out").boolean().value_or(false)));
  config.set("inference_mode", Value::of(true));
  config.set("init_lora_weights", Value::of(true));
  config.set("layer_replication", agreed(inputs, "layer_replication"));
  config.set("lora_alpha", Value::of_int(rank));
  config.set("lora_bias", Value::of(writes_bias(modules)));
  config.set("lora_dropout", Value::of(std::string("0.0")));
  config.set("modules_to_save", declared_saves(inputs, full));
  config.set("peft_type", Value::text("LORA"));
  config.set("r", Value::of_int(rank));
  config.set("rank_pattern", patterns);
  config.set("trainable_token_indices",
             of_owners(givers, full, FullTensor::Kind::kTokenRows, "trainable_token_indices"));
  config.set("use_dora", Value::of(false));
  config.set("use_rslora", Value::of(false));
  set_targets(config, inputs, modules);
  const Value tying = agreed(inputs, "ensure_weight_tying");
  if (!tying.is_null()) config.set("ensure_weight_tying", tying);
  if (config.find("base_model_name_or_path")->is_null())
    for (const Adapter& adapter : inputs)
      if (!adapter.info().base_model.empty()) {
        config.set("base_model_name_or_path", Value::text(adapter.info().base_model));
        break;
      }
  return sorted_config(config);
}

}  // namespace weft::adapter
