#include "text/models/wordpiece.h"

#include <fmt/format.h>

#include <utility>

#include "text/models/byte_trie.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

class WordPiece : public Model {
 public:
  WordPiece(TokenTable vocab, std::string unknown, const std::string& prefix, std::int64_t longest,
            const std::string& file)
      : vocab_(std::move(vocab)), unknown_(std::move(unknown)), longest_(longest), file_(file) {
    for (std::int64_t id = 0; id < vocab_.size(); ++id)
      if (const auto text = vocab_.token(id); text && !trie_.add(*text, static_cast<std::int32_t>(id)))
        throw FormatError(file, "the vocabulary is too long: more than 16 million different beginnings of tokens");
    inside_ = trie_.walk(0, prefix);
  }

  void encode(std::string_view piece, std::vector<std::int64_t>& ids) const override;

  std::optional<std::string_view> token(std::int64_t id) const override { return vocab_.token(id); }
  std::optional<std::int64_t> id(std::string_view token) const override {
    const std::int64_t found = vocab_.id(token);
    return found < 0 ? std::nullopt : std::optional<std::int64_t>(found);
  }
  std::int64_t size() const override { return vocab_.size(); }

 private:
  std::int64_t unknown_id() const {
    const std::int64_t id = vocab_.id(unknown_);
    if (id < 0)
      throw InputError(
          fmt::format("{}: a word is not in the vocabulary, which lacks its unknown token '{}'", file_, unknown_));
    return id;
  }

  TokenTable vocab_;
  ByteTrie trie_;
  ByteTrie::Node inside_ = 0;  // behind the prefix of tokens inside words; kNone: there are none
  std::string unknown_;
  std::int64_t longest_;
  std::string file_;
};

bool longer_than(std::string_view text, std::int64_t characters) {
  if (static_cast<std::int64_t>(text.size()) <= characters) return false;
  std::int64_t count = 0;
  for (const char byte : text) count += (byte & 0xC0) != 0x80;
  return count > characters;
}

void WordPiece::encode(std::string_view piece, std::vector<std::int64_t>& ids) const {
  if (longer_than(piece, longest_)) return ids.push_back(unknown_id());
  const size_t before = ids.size();
  for (size_t at = 0; at < piece.size();) {
    ByteTrie::Node node = at == 0 ? 0 : inside_;
    std::int64_t best = -1;
    size_t best_end = at;
    for (size_t end = at; end < piece.size() && node != ByteTrie::kNone;) {
      node = trie_.step(node, piece[end++]);
      if (node == ByteTrie::kNone || trie_.value(node) < 0) continue;
      best = trie_.value(node);
      best_end = end;
    }
    if (best < 0) {
      ids.resize(before);
      return ids.push_back(unknown_id());
    }
    ids.push_back(best);
    at = best_end;
  }
}

}  // namespace

std::unique_ptr<const Model> make_wordpiece(TokenTable vocab, std::string unk_token,
                                            std::string continuing_subword_prefix,
                                            std::int64_t max_input_chars_per_word, const std::string& file) {
  if (max_input_chars_per_word < 0)
    throw FormatError(file, fmt::format("max_input_chars_per_word is {}", max_input_chars_per_word));
  return std::make_unique<WordPiece>(std::move(vocab), std::move(unk_token), continuing_subword_prefix,
                                     max_input_chars_per_word, file);
}

}  // namespace weft::text
