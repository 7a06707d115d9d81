#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "adapter/formats/formats.h"
#include "adapter/peft_config.h"
#include "adapter/peft_experts.h"
#include "adapter/peft_full.h"
#include "adapter/peft_keys.h"
#include "adapter/peft_module.h"
#include "io/json.h"

namespace weft::adapter {

namespace {

constexpr size_t kLargestPeftConfig = size_t{16} << 20;

/// Everything gathered from the keys of one file.
struct PeftSurvey {
  std::vector<PeftDraft> drafts;
  std::unordered_map<std::string, size_t> by_module;
  std::vector<PeftFullKey> full;
  bool training_state = false, frozen_copies = false;
  std::string adapter;  // the adapter's name, if keys carry one
};

void survey_adapter_name(PeftSurvey& s, const PeftKey& key, const io::TensorEntry& entry, const std::string& file) {
  if (key.adapter.empty()) return;
  if (s.adapter.empty()) s.adapter = key.adapter;
  if (s.adapter != key.adapter)
    throw InputError(fmt::format("{}: holds more than one adapter ('{}' and '{}', tensor '{}'); save them apart", file,
                                 s.adapter, key.adapter, entry.name));
}

PeftDraft& draft_for(PeftSurvey& s, PeftKey&& key) {
  if (!s.drafts.empty() && s.drafts.back().module == key.name && s.drafts.back().depth == key.depth)
    return s.drafts.back();
  std::string id = key.name + std::string(static_cast<size_t>(key.depth), '\n');
  const auto [at, fresh] = s.by_module.try_emplace(std::move(id), s.drafts.size());
  if (fresh) {
    s.drafts.emplace_back();
    s.drafts.back().module = std::move(key.name);
    s.drafts.back().depth = key.depth;
  }
  return s.drafts[at->second];
}

PeftSurvey survey_keys(const io::TensorFile& tensors, const std::string& file) {
  PeftSurvey s;
  s.drafts.reserve(tensors.entries().size() / 2 + 1);
  for (const io::TensorEntry& entry : tensors.entries()) {
    PeftKey key = parse_peft_key(entry.name, file);
    survey_adapter_name(s, key, entry, file);
    const PeftRole role = key.role;
    if (role == PeftRole::kFull || role == PeftRole::kTokenRows) {
      s.full.push_back({&entry, std::move(key)});
    } else if (role == PeftRole::kTrainingState) {
      s.training_state = true;
    } else if (role == PeftRole::kFrozenCopy) {
      s.frozen_copies = true;
    } else {
      PeftDraft& draft = draft_for(s, std::move(key));
      const io::TensorEntry** slot = draft.slot(role);
      if (*slot != nullptr)
        throw InputError(fmt::format("{}: tensors '{}' and '{}' are the same part of module '{}'; keep one of them",
                                     file, (*slot)->name, entry.name, draft.module));
      *slot = &entry;
      draft.embedding = draft.embedding || role == PeftRole::kEmbeddingA || role == PeftRole::kEmbeddingB;
    }
  }
  return s;
}

std::vector<ModuleEntry> build_modules(const PeftSurvey& survey, const PeftConfig& config, const std::string& file,
                                       std::vector<std::string>& warnings) {
  std::vector<ModuleEntry> out;
  out.reserve(survey.drafts.size());
  std::map<std::string, std::vector<int>> depths;
  const bool nested =
      std::any_of(survey.drafts.begin(), survey.drafts.end(), [](const auto& d) { return d.depth > 0; });
  if (nested || !config.target_parameters.empty())
    for (const PeftDraft& d : survey.drafts) depths[d.module].push_back(d.depth);
  for (const PeftDraft& d : survey.drafts) {
    std::vector<std::string> parameters;
    std::string warning;
    if (const auto at = depths.find(d.module); at != depths.end()) {
      const auto count = static_cast<int>(at->second.size());
      const int deepest = *std::max_element(at->second.begin(), at->second.end());
      if (deepest + 1 != count)
        throw InputError(
            fmt::format("{}: the updates of parameters of module '{}' are incomplete: {} of them at "
                        "depths up to {} of base_layer",
                        file, d.module, count, d.depth));
      parameters = expert_parameters(config, d.module, count, warning);
    }
    if (!warning.empty() && d.depth == 0) warnings.push_back(warning);
    out.push_back(build_peft_module(d, parameters.empty() ? std::string() : parameters[static_cast<size_t>(d.depth)],
                                    config, file));
  }
  return out;
}

void note_variants(const std::vector<ModuleEntry>& modules, std::vector<std::string>& variants) {
  bool experts = false, grouped = false;
  for (const ModuleEntry& m : modules) {
    experts = experts || m.info.layer == LayerKind::kParameter;
    grouped = grouped || (m.info.layer == LayerKind::kConv && m.info.blocks > 1);
  }
  if (experts) variants.emplace_back("experts");
  if (grouped) variants.emplace_back("grouped_conv");
}

void fill_info(const PeftConfig& config, AdapterInfo& info) {
  info.format = "peft";
  info.type = config.type;
  info.base_model = config.base_model;
  info.fan_in_fan_out = config.fan_in_fan_out;
  info.refusal = peft_refusal(config);
  info.warnings = config.warnings;
  if (config.type != "lora") return;
  info.variants = peft_variants(config);
  info.needs_base = peft_needs_base(config);
}

}  // namespace

Adapter::Data read_peft(const OpenedFile& opened, const std::filesystem::path& config_path) {
  Adapter::Data data;
  data.file = opened.tensors;
  data.info.path = opened.path;
  data.info.tensors = opened.tensors->path();
  data.info.config = io::read_json(config_path, kLargestPeftConfig);
  const PeftConfig config = parse_peft_config(data.info.config, config_path.string());
  fill_info(config, data.info);
  const std::string file = opened.tensors->path().string();
  if (config.type != "lora" || config.merged_linear) {
    data.contents = std::make_shared<Contents>();
    return data;
  }
  const PeftSurvey survey = survey_keys(*opened.tensors, file);
  std::vector<FullTensor> full = peft_full_tensors(survey.full, config, file, data.info.warnings);
  if (survey.drafts.empty() && full.empty())
    throw InputError(fmt::format("{}: holds no LoRA tensors (… lora_A.weight, … lora_B.weight)", file));
  std::vector<ModuleEntry> modules = build_modules(survey, config, file, data.info.warnings);
  note_variants(modules, data.info.variants);
  if (survey.training_state)
    data.info.warnings.push_back(fmt::format("{}: tensors that only training uses are left aside", file));
  if (survey.frozen_copies)
    data.info.warnings.push_back(fmt::format("{}: copies of base weights (original_module) are left aside", file));
  data.contents = make_contents(std::move(modules), std::move(full), file);
  return data;
}

}  // namespace weft::adapter
