#pragma once

#include <filesystem>

#include "text/config_files.h"
#include "text/engine.h"

namespace weft::text {

/// `vocab.json` + `merges.txt` without tokenizer.json: byte-level BPE.
Tokenizer::Data load_vocab_merges(const std::filesystem::path& vocab, const std::filesystem::path& merges,
                                  const ConfigFiles& config);
/// `vocab.txt` without tokenizer.json: WordPiece as BERT has it.
Tokenizer::Data load_vocab_txt(const std::filesystem::path& vocab, const ConfigFiles& config);

}  // namespace weft::text
