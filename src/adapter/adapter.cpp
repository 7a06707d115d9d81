#include "weft/adapter/adapter.h"

#include <fmt/format.h>

#include <utility>

#include "adapter/adapter_data.h"
#include "adapter/base_rule.h"
#include "adapter/formats/formats.h"
#include "adapter/peft_config.h"
#include "adapter/peft_keys.h"
#include "io/json.h"

namespace weft::adapter {

namespace fs = std::filesystem;

namespace {

bool is_tensor_name(const fs::path& path) {
  const auto end = path.extension();
  return end == ".safetensors" || end == ".bin" || end == ".pt" || end == ".pth" || end == ".ckpt";
}

/// The one tensor file of a folder that is no PEFT folder.
fs::path only_tensor_file(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed))
    if (is_tensor_name(entry.path()) && entry.is_regular_file(failed)) found.push_back(entry.path());
  if (failed) throw InputError(fmt::format("{}: cannot be listed: {}", folder.string(), failed.message()));
  if (found.size() == 1 && found[0].stem() != "adapter_model") return found[0];
  throw InputError(
      fmt::format("{}: adapter_config.json is missing; a PEFT adapter is a folder with adapter_config.json and "
                  "adapter_model.safetensors (or adapter_model.bin)",
                  folder.string()));
}

Adapter::Data open_folder_of_peft(const fs::path& folder) {
  const fs::path config = folder / "adapter_config.json";
  for (const char* name : {"adapter_model.safetensors", "adapter_model.bin", "xlora_classifier.safetensors"}) {
    const fs::path tensors = folder / name;
    std::error_code ignored;
    if (!fs::exists(tensors, ignored)) continue;
    return read_peft({folder, std::shared_ptr<const io::TensorFile>(io::open_tensor_file(tensors))}, config);
  }
  const std::string refusal = peft_refusal(parse_peft_config(io::read_json(config), config.string()));
  if (!refusal.empty()) throw UnsupportedError(fmt::format("{}: {}", folder.string(), refusal));
  throw InputError(
      fmt::format("{}: has adapter_config.json, but neither adapter_model.safetensors nor "
                  "adapter_model.bin is there",
                  folder.string()));
}

Adapter::Data open_single_file(const fs::path& path, const fs::path& file) {
  const OpenedFile opened{path, std::shared_ptr<const io::TensorFile>(io::open_tensor_file(file))};
  std::error_code ignored;
  const fs::path config = file.parent_path() / "adapter_config.json";
  if (fs::exists(config, ignored)) return read_peft(opened, config);
  if (is_lora_diffusion(*opened.tensors)) return read_lora_diffusion(opened);
  if (is_kohya(*opened.tensors)) return read_kohya(opened);
  if (is_torch_list(*opened.tensors)) return read_torch_list(opened);
  const auto& entries = opened.tensors->entries();
  for (const io::TensorEntry& e : entries)
    if (looks_like_peft(e.name))
      throw InputError(
          fmt::format("{}: tensor '{}' is PEFT's, but adapter_config.json is missing beside the file; "
                      "without it the scale (lora_alpha / r) is unknown",
                      file.string(), e.name));
  throw InputError(fmt::format(
      "{}: {}; expected a PEFT, kohya or lora_diffusion adapter", file.string(),
      entries.empty() ? "holds no tensors"
                      : fmt::format("tensors such as '{}' are not a known adapter's", entries.front().name)));
}

Adapter::Data open_any(const fs::path& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (!fs::exists(status)) throw InputError(fmt::format("{}: no such file or folder", path.string()));
  if (!fs::is_directory(status)) return open_single_file(path, path);
  if (fs::exists(path / "adapter_config.json", failed)) return open_folder_of_peft(path);
  return open_single_file(path, only_tensor_file(path));
}

/// The ordinary delta of module i of an adapter that was put on its base.
ModuleUpdate load_on_base(const Adapter::Data& data, size_t i) {
  const Rebase& rebase = *data.rebase;
  const Contents& stored = *rebase.stored->contents;
  const ModuleInfo& module = stored.modules[i];
  ModuleUpdate update = load_update(*data.file, module, stored.keys[i]);
  if (!rebase.rules[i].needs_base()) return update;
  const bool flag = data.info.fan_in_fan_out;
  return rebase_update(std::move(update), rebase.base.load(module, flag), rebase.base.is_transposed(module, flag),
                       rebase.rules[i], fmt::format("{}: module {}", data.info.name, module.name));
}

/// The last part of a path that says something: a folder's name, a file's without extension.
std::string plain_name(const fs::path& path, const fs::path& tensors) {
  fs::path p = path.lexically_normal();
  if (!p.has_filename()) p = p.parent_path();
  if (p.filename() == "." || p.filename() == "..") {
    std::error_code ignored;
    const fs::path full = fs::weakly_canonical(p, ignored);
    if (!full.empty()) p = full;
  }
  const bool is_file = path.filename() == tensors.filename();
  if (is_file && p.stem() == "adapter_model" && p.parent_path().has_filename()) return p.parent_path().filename();
  return is_file ? p.stem() : p.filename();
}

}  // namespace

Adapter Adapter::open(const fs::path& path, std::string name) {
  auto data = std::make_shared<Data>(open_any(path));
  data->info.name = name.empty() ? plain_name(path, data->info.tensors) : std::move(name);
  return Adapter(std::shared_ptr<const Data>(std::move(data)));
}

const AdapterInfo& Adapter::info() const { return data_->info; }

const std::vector<ModuleInfo>& Adapter::modules() const { return data_->contents->modules; }

const ModuleInfo* Adapter::find(const std::string& name) const {
  const std::int64_t at = data_->index_of(name);
  return at < 0 ? nullptr : &data_->contents->modules[static_cast<size_t>(at)];
}

const std::vector<FullTensor>& Adapter::full_tensors() const { return data_->contents->full_tensors; }

std::vector<std::string> Adapter::keys() const {
  std::vector<std::string> out;
  out.reserve(data_->file->entries().size());
  for (const io::TensorEntry& e : data_->file->entries()) out.push_back(e.name);
  return out;
}

ModuleUpdate Adapter::load(const ModuleInfo& module) const {
  if (!data_->info.refusal.empty())
    throw UnsupportedError(fmt::format("{}: {}", data_->info.path.string(), data_->info.refusal));
  const std::int64_t at = data_->index_of(module.name);
  if (at < 0) throw InputError(fmt::format("{}: has no module '{}'", data_->info.path.string(), module.name));
  const auto i = static_cast<size_t>(at);
  if (data_->rebase) return load_on_base(*data_, i);
  return load_update(*data_->file, data_->contents->modules[i], data_->contents->keys[i]);
}

Tensor Adapter::load_key(const std::string& key) const { return data_->file->load(key); }

void Adapter::release(const ModuleInfo& module) const {
  const std::int64_t at = data_->index_of(module.name);
  if (at < 0) return;
  for (const std::string& key : data_->contents->keys[static_cast<size_t>(at)].present()) data_->file->release(key);
  if (data_->rebase && data_->rebase->rules[static_cast<size_t>(at)].needs_base()) data_->rebase->base.release(module);
}

Adapter Adapter::as_stored() const {
  return data_->rebase ? Adapter(data_->rebase->stored).renamed(data_->info.name) : *this;
}

Adapter Adapter::renamed(std::string name) const {
  auto data = std::make_shared<Data>(*data_);
  data->info.name = std::move(name);
  return Adapter(std::shared_ptr<const Data>(std::move(data)));
}

}  // namespace weft::adapter
