#include "text/models/wordlevel.h"

#include <fmt/format.h>

#include <utility>

#include "weft/core/error.h"

namespace weft::text {

namespace {

class WordLevel final : public Model {
 public:
  WordLevel(TokenTable vocab, std::string unk_token, const std::string& file)
      : vocab_(std::move(vocab)), unk_token_(std::move(unk_token)), file_(file) {
    unk_ = vocab_.id(unk_token_);
  }
  void encode(std::string_view piece, std::vector<std::int64_t>& ids) const override {
    const std::int64_t word = vocab_.id(piece);
    if (word < 0 && unk_ < 0)
      throw InputError(
          fmt::format("{}: the text has a word outside the vocabulary, and the unknown token '{}' is not "
                      "in the vocabulary either",
                      file_, unk_token_));
    ids.push_back(word < 0 ? unk_ : word);
  }
  std::optional<std::string_view> token(std::int64_t id) const override { return vocab_.token(id); }
  std::optional<std::int64_t> id(std::string_view token) const override {
    const std::int64_t found = vocab_.id(token);
    return found < 0 ? std::nullopt : std::optional(found);
  }
  std::int64_t size() const override { return vocab_.size(); }

 private:
  TokenTable vocab_;
  std::string unk_token_, file_;
  std::int64_t unk_ = -1;
};

}  // namespace

std::unique_ptr<const Model> make_wordlevel(TokenTable vocab, std::string unk_token, const std::string& file) {
  return std::make_unique<WordLevel>(std::move(vocab), std::move(unk_token), file);
}

}  // namespace weft::text
