#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/engine.h"

namespace weft::text {

/// What a SentencePiece engine is told beside the model file.
struct SentencePieceOptions {
  /// Put the blank before the text again after each added token; else only at the very start.
  bool prefix_every_part = true;
};

/// The pieces of a model file, before added tokens.
class SentencePieceEngine : public Engine {
 public:
  /// `file` names the model in messages. @throws FormatError when `model` is not one.
  SentencePieceEngine(std::string_view model, SentencePieceOptions options, const std::string& file);
  ~SentencePieceEngine() override;

  /// Tokens that are found in the text before the model sees it; ids as config_added_tokens() gives them.
  void add(std::vector<AddedToken> added);
  /// Ids that the model itself names, -1 where it has none.
  std::int64_t bos() const, eos() const, pad() const, unk() const;
  /// How many pieces.
  std::int64_t pieces() const;

  void encode(std::string_view text, std::vector<std::int64_t>& ids) const override;
  std::string decode(std::span<const std::int64_t> ids, bool skip_special) const override;
  std::optional<std::string_view> token(std::int64_t id) const override;
  std::optional<std::int64_t> id(std::string_view token) const override;
  bool is_special(std::int64_t id) const override;
  std::int64_t size() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft::text
