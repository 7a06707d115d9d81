#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "adapter/formats/formats.h"
#include "adapter/pair_shape.h"

namespace weft::adapter {

namespace {

/// The tensors of one module of a kohya file.
struct KohyaDraft {
  const io::TensorEntry *down = nullptr, *up = nullptr, *alpha = nullptr;
};

/// Splits `K.lora_down.weight`, `K_lora_down.weight`, `K.alpha`; the part is empty when the key is something else.
std::pair<std::string_view, std::string_view> kohya_split(std::string_view key) {
  for (const std::string_view part : {"lora_down.weight", "lora_up.weight", "alpha"}) {
    if (key.size() < part.size() + 2 || key.substr(key.size() - part.size()) != part) continue;
    const char separator = key[key.size() - part.size() - 1];
    if (separator == '.' || (separator == '_' && part != "alpha"))
      return {key.substr(0, key.size() - part.size() - 1), part};
  }
  return {key, {}};
}

/// What LyCORIS and others store that is no plain pair.
std::string kohya_refusal(const io::TensorFile& file) {
  for (const io::TensorEntry& e : file.entries()) {
    const auto has = [&](const char* part) { return e.name.find(part) != std::string::npos; };
    if (has("lora_mid")) return "LoCon with a Tucker core (lora_mid) is recognised, but three factors are not composed";
    if (has("hada_w1")) return "LoHa is recognised, but only LoRA can be composed";
    if (has("lokr_w")) return "LoKr is recognised, but only LoRA can be composed";
    if (has("oft_")) return "OFT is recognised, but only LoRA can be composed";
    if (has("dora_scale")) return "DoRA in kohya's layout (dora_scale) is recognised, but not composed";
  }
  return {};
}

ModuleEntry kohya_module(const std::string& name, const KohyaDraft& d, const io::TensorFile& tensors,
                         const std::string& file) {
  if (d.down == nullptr || d.up == nullptr)
    throw InputError(fmt::format("{}: module '{}' has no {}; the file is incomplete", file, name,
                                 d.down == nullptr ? "lora_down.weight" : "lora_up.weight"));
  ModuleEntry out;
  out.info.name = name;
  describe_pair(*d.down, *d.up, file, out.info);
  out.keys.a = d.down->name;
  out.keys.b = d.up->name;
  out.info.alpha = static_cast<double>(out.info.rank);
  if (d.alpha != nullptr) {
    if (d.alpha->numel() != 1)
      throw InputError(
          fmt::format("{}: tensor '{}' {} should be one number", file, d.alpha->name, shape_text(d.alpha->shape)));
    out.info.alpha = tensors.load(d.alpha->name).item().toDouble();
    if (!std::isfinite(out.info.alpha))
      throw InputError(fmt::format("{}: tensor '{}' is {}", file, d.alpha->name, out.info.alpha));
  }
  out.info.scale = out.info.alpha / static_cast<double>(out.info.rank);
  return out;
}

}  // namespace

bool is_kohya(const io::TensorFile& file) {
  for (const io::TensorEntry& e : file.entries())
    if (e.name.find("lora_down.weight") != std::string::npos || e.name.find(".hada_w1_") != std::string::npos ||
        e.name.find(".lokr_w") != std::string::npos)
      return true;
  return false;
}

Adapter::Data read_kohya(const OpenedFile& opened) {
  Adapter::Data data;
  data.file = opened.tensors;
  data.info.path = opened.path;
  data.info.tensors = opened.tensors->path();
  data.info.format = "kohya";
  data.info.type = "lora";
  data.info.refusal = kohya_refusal(*opened.tensors);
  const std::string file = opened.tensors->path().string();
  for (const auto& [key, value] : opened.tensors->metadata())
    if (key == "ss_sd_model_name" || key == "ss_base_model_version")
      if (data.info.base_model.empty()) data.info.base_model = value;
  if (!data.info.refusal.empty()) {
    data.contents = std::make_shared<Contents>();
    return data;
  }
  std::map<std::string, KohyaDraft> drafts;
  std::vector<FullTensor> full;
  for (const io::TensorEntry& e : opened.tensors->entries()) {
    const auto [module, part] = kohya_split(e.name);
    if (part.empty()) {
      full.push_back({e.name, e.name, FullTensor::Kind::kOther, e.shape, e.dtype});
      continue;
    }
    KohyaDraft& d = drafts[std::string(module)];
    const io::TensorEntry*& slot = part == "alpha" ? d.alpha : part == "lora_up.weight" ? d.up : d.down;
    if (slot != nullptr)
      throw InputError(
          fmt::format("{}: tensors '{}' and '{}' are the same part of module '{}'", file, slot->name, e.name, module));
    slot = &e;
  }
  std::vector<ModuleEntry> modules;
  for (const auto& [name, draft] : drafts) modules.push_back(kohya_module(name, draft, *opened.tensors, file));
  data.contents = make_contents(std::move(modules), std::move(full), file);
  return data;
}

}  // namespace weft::adapter
