#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "adapter/adapter_data.h"

namespace weft::adapter {

/// A tensor file that has been opened, and where it came from.
struct OpenedFile {
  std::filesystem::path path;  ///< as the user named it
  std::shared_ptr<const io::TensorFile> tensors;
};

/// PEFT: `config` is the adapter_config.json beside the tensors.
Adapter::Data read_peft(const OpenedFile& opened, const std::filesystem::path& config);

/// kohya: `K.lora_down.weight`, `K.lora_up.weight`, `K.alpha`; also with '_' before `lora_`.
Adapter::Data read_kohya(const OpenedFile& opened);
bool is_kohya(const io::TensorFile& file);

/// cloneofsimo/lora: `unet:0:down`, `unet:0:up`, ranks in the header's metadata, embeddings beside them.
Adapter::Data read_lora_diffusion(const OpenedFile& opened);
bool is_lora_diffusion(const io::TensorFile& file);

/// A saved list of tensors: up, down, up, down, …
Adapter::Data read_torch_list(const OpenedFile& opened);
bool is_torch_list(const io::TensorFile& file);

}  // namespace weft::adapter
