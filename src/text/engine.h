#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/text/tokenizer.h"

namespace weft::text {

/// Turns a normalised, pre-tokenised piece of text into ids of its vocabulary (`model` in tokenizer.json).
class Model {
 public:
  virtual ~Model() = default;
  /// Appends the ids of `piece`, valid UTF-8. Thread-safe.
  virtual void encode(std::string_view piece, std::vector<std::int64_t>& ids) const = 0;
  /// The token of an id as the vocabulary spells it, or nothing.
  virtual std::optional<std::string_view> token(std::int64_t id) const = 0;
  /// The id of a token, or nothing.
  virtual std::optional<std::int64_t> id(std::string_view token) const = 0;
  /// One more than the largest id.
  virtual std::int64_t size() const = 0;
};

/// A whole tokenizer without the start and end tokens: the pipeline of tokenizer.json or the SentencePiece library.
class Engine {
 public:
  virtual ~Engine() = default;
  /// Appends the ids of `text`, valid UTF-8, added tokens recognised. Thread-safe.
  virtual void encode(std::string_view text, std::vector<std::int64_t>& ids) const = 0;
  /// The text of ids; need not be valid UTF-8 (Tokenizer::decode repairs it). Unknown ids give nothing.
  virtual std::string decode(std::span<const std::int64_t> ids, bool skip_special) const = 0;
  /// The token of an id, added tokens included, or nothing.
  virtual std::optional<std::string_view> token(std::int64_t id) const = 0;
  /// The id of a token, added tokens included, or nothing.
  virtual std::optional<std::int64_t> id(std::string_view token) const = 0;
  virtual bool is_special(std::int64_t id) const = 0;
  /// One more than the largest id.
  virtual std::int64_t size() const = 0;
};

/// What a Tokenizer shares between its copies. A loader fills engine, before, after and the special ids that its own
/// file states; Tokenizer::open() adds the path and what tokenizer_config.json and special_tokens_map.json say.
struct Tokenizer::Data {
  std::filesystem::path path;
  std::unique_ptr<const Engine> engine;
  std::vector<std::int64_t> before, after;  ///< start and end tokens, added by encode(text, special = true)
  std::optional<std::int64_t> bos, eos, pad, unk;
};

}  // namespace weft::text
