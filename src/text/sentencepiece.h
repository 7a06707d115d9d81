#pragma once

#include <filesystem>

#include "text/config_files.h"
#include "text/engine.h"

namespace weft::text {

/// A SentencePiece model file, through the SentencePiece library. @throws FormatError when it is not one.
Tokenizer::Data load_sentencepiece(const std::filesystem::path& model, const ConfigFiles& config);

}  // namespace weft::text
