#pragma once

#include <cstdint>
#include <filesystem>

#include "weft/model/model.h"

namespace weft::model {

/// A model of the config.json of `folder`, with weights drawn as transformers initialises them (float32 on the CPU;
/// the folder needs none). The same seed gives the same weights. @throws as BaseModel::open(); UnsupportedError for a
/// text model inside another; InputError when the config asks for more numbers than can be meant.
BaseModel random_model(const std::filesystem::path& folder, std::uint64_t seed);

}  // namespace weft::model
