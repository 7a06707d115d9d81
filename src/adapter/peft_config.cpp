#include "adapter/peft_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <string_view>

#include "weft/core/error.h"

namespace weft::adapter {

namespace {

// Switches and sub-configs that PEFT 0.21 knows; a new one with a value may change what the tensors mean.
constexpr std::string_view kKnownPeftSwitches[] = {
    "use_rslora",   "use_dora",        "use_qalora",     "use_bdlora",    "alora_config",        "corda_config",
    "eva_config",   "lora_ga_config",  "loftq_config",   "kasa_config",   "velora_config",       "monteclora_config",
    "arrow_config", "megatron_config", "runtime_config", "bdlora_config", "use_effective_conv2d"};

bool peft_nothing(const Value* v) {
  if (v == nullptr || v->is_null()) return true;
  if (v->is_list()) return v->list.empty();
  if (v->is_map()) return v->map.empty();
  return v->boolean() == false;
}

std::string peft_lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// Typed look-ups in one config, with messages that name file, place and key.
class ConfigReader {
 public:
  ConfigReader(const Value& map, const std::string& file) : map_(map), file_(file) {}

  [[noreturn]] void wrong(const Value& value, std::string_view key, std::string_view expected) const {
    std::string place = value.place.text();
    if (place.empty()) place = file_;
    throw InputError(fmt::format("{}: '{}' is {}, expected {}", place, key, value.describe(), expected));
  }

  const Value* get(std::string_view key) const {
    const Value* v = map_.find(key);
    return v == nullptr || v->is_null() ? nullptr : v;
  }

  bool flag(std::string_view key) const {
    const Value* v = get(key);
    if (v == nullptr) return false;
    const auto b = v->boolean();
    if (!b) wrong(*v, key, "true or false");
    return *b;
  }

  std::string text(std::string_view key) const {
    const Value* v = get(key);
    if (v == nullptr) return {};
    if (!v->is_scalar()) wrong(*v, key, "a text");
    return v->scalar;
  }

  double number(const Value& v, std::string_view key) const {
    const auto n = v.number();
    if (!n) wrong(v, key, "a number");
    return *n;
  }

  std::int64_t count(const Value& v, std::string_view key) const {
    const auto n = v.number();
    if (!n || *n != std::floor(*n) || *n < 1 || *n > 1e9) wrong(v, key, "a whole number of at least 1");
    return static_cast<std::int64_t>(*n);
  }

  std::vector<std::string> texts(std::string_view key) const {
    std::vector<std::string> out;
    const Value* v = get(key);
    if (v == nullptr) return out;
    if (v->is_scalar() && v->quoted) return {v->scalar};
    if (!v->is_list()) wrong(*v, key, "a list of texts");
    for (const Value& item : v->list) {
      if (!item.is_scalar()) wrong(item, key, "a list of texts");
      out.push_back(item.scalar);
    }
    return out;
  }

  /// Calls take(pattern, value) for each entry of a pattern map, in file order.
  template <typename Take>
  void patterns(std::string_view key, const Take& take) const {
    const Value* v = get(key);
    if (v == nullptr) return;
    if (!v->is_map()) wrong(*v, key, "a mapping from patterns to numbers");
    for (const auto& [text, value] : v->map) take(Pattern(text, fmt::format("{}: {}", file_, key)), value);
  }

 private:
  const Value& map_;
  const std::string& file_;
};

void read_scaling(const ConfigReader& in, PeftConfig& out) {
  if (const Value* v = in.get("r")) out.rank = in.count(*v, "r");
  if (const Value* v = in.get("lora_alpha")) out.alpha = in.number(*v, "lora_alpha");
  out.rslora = in.flag("use_rslora");
  in.patterns("rank_pattern", [&](Pattern pattern, const Value& v) {
    out.rank_pattern.emplace_back(std::move(pattern), in.count(v, "rank_pattern"));
  });
  in.patterns("alpha_pattern", [&](Pattern pattern, const Value& v) {
    out.alpha_pattern.emplace_back(std::move(pattern), in.number(v, "alpha_pattern"));
  });
}

void read_bdlora(const ConfigReader& in, const std::string& file, PeftConfig& out) {
  const Value* v = in.get("use_bdlora");
  if (peft_nothing(v)) return;
  if (!v->is_map()) in.wrong(*v, "use_bdlora", "a mapping");
  const ConfigReader bd(*v, file);
  out.bdlora = true;
  out.bd.a_names = bd.texts("target_modules_bd_a");
  out.bd.b_names = bd.texts("target_modules_bd_b");
  if (const Value* n = bd.get("nblocks")) out.bd.blocks = bd.count(*n, "use_bdlora.nblocks");
}

void read_targets(const ConfigReader& in, const std::string& file, PeftConfig& out) {
  out.target_parameters = in.texts("target_parameters");
  out.modules_to_save = in.texts("modules_to_save");
  const Value* targets = in.get("target_modules");
  if (targets != nullptr && targets->is_scalar() && !targets->quoted)
    in.wrong(*targets, "target_modules", "a text or a list of texts");
  if (targets != nullptr && targets->is_scalar())
    out.target_regex.emplace_back(targets->scalar, file + ": target_modules");
  else
    out.target_modules = in.texts("target_modules");
}

void read_token_rows(const ConfigReader& in, PeftConfig& out) {
  const Value* v = in.get("trainable_token_indices");
  if (v == nullptr) return;
  const auto count = [&](const Value& list) {
    if (!list.is_list()) in.wrong(list, "trainable_token_indices", "a list of token ids, or one per module");
    return static_cast<std::int64_t>(list.list.size());
  };
  if (!v->is_map()) {
    out.token_rows.emplace_back("", count(*v));
    return;
  }
  for (const auto& [module, list] : v->map) out.token_rows.emplace_back(module, count(list));
}

void warn_of_unknown_switches(const Value& map, PeftConfig& out) {
  for (const auto& [key, value] : map.map) {
    const bool looks = key.rfind("use_", 0) == 0 || (key.size() > 7 && key.compare(key.size() - 7, 7, "_config") == 0);
    if (!looks || peft_nothing(&value)) continue;
    if (std::find(std::begin(kKnownPeftSwitches), std::end(kKnownPeftSwitches), key) == std::end(kKnownPeftSwitches))
      out.warnings.push_back(
          fmt::format("{}: unknown option '{}' is set; it is taken not to change the update", out.file, key));
  }
}

}  // namespace

std::int64_t PeftConfig::rank_of(const std::string& module) const {
  for (const auto& [pattern, value] : rank_pattern)
    if (pattern.matches_tail(module)) return value;
  return rank;
}

double PeftConfig::alpha_of(const std::string& module) const {
  for (const auto& [pattern, value] : alpha_pattern)
    if (pattern.matches_tail(module)) return value;
  return alpha;
}

double PeftConfig::scale_of(double module_alpha, std::int64_t module_rank) const {
  const auto r = static_cast<double>(module_rank);
  return module_alpha / (rslora ? std::sqrt(r) : r);
}

PeftConfig parse_peft_config(const Value& value, const std::string& file) {
  if (!value.is_map()) throw InputError(fmt::format("{}: expected a JSON object, got {}", file, value.describe()));
  const ConfigReader in(value, file);
  PeftConfig out;
  out.file = file;
  out.type = peft_lower(in.text("peft_type"));
  if (out.type.empty())
    throw InputError(fmt::format("{}: 'peft_type' is missing; a LoRA adapter says \"peft_type\": \"LORA\"", file));
  if (const Value* base = in.get("base_model_name_or_path"); base != nullptr && base->is_scalar())
    out.base_model = base->scalar;
  if (out.type != "lora") return out;
  read_scaling(in, out);
  read_bdlora(in, file, out);
  read_targets(in, file, out);
  read_token_rows(in, out);
  out.dora = in.flag("use_dora");
  out.lora_bias = in.flag("lora_bias");
  out.fan_in_fan_out = in.flag("fan_in_fan_out");
  out.qalora = in.flag("use_qalora");
  if (const Value* v = in.get("qalora_group_size")) out.group_size = in.count(*v, "qalora_group_size");
  out.kasa = !peft_nothing(in.get("kasa_config"));
  out.velora = !peft_nothing(in.get("velora_config"));
  out.monteclora = !peft_nothing(in.get("monteclora_config"));
  out.arrow = !peft_nothing(in.get("arrow_config"));
  out.alora = !peft_nothing(in.get("alora_invocation_tokens"));
  out.merged_linear = !peft_nothing(in.get("enable_lora"));
  if (const Value* bias = in.get("bias")) out.bias = bias->is_scalar() ? peft_lower(bias->scalar) : "none";
  if (const Value* init = in.get("init_lora_weights"); init != nullptr && init->is_scalar() && !init->boolean())
    out.init = peft_lower(init->scalar);
  if (!peft_nothing(in.get("layer_replication")))
    out.warnings.push_back(fmt::format(
        "{}: layer_replication is set: layer numbers mean the replicated model, not the base as published", file));
  warn_of_unknown_switches(value, out);
  return out;
}

}  // namespace weft::adapter
