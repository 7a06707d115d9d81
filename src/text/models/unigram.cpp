#include "text/models/unigram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "text/models/byte_trie.h"
#include "text/token_table.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

/// How much worse than the worst token an unknown character is.
constexpr double kUnknownPenalty = 10.0;

size_t lead_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : (byte < 0xE0 ? 2 : (byte < 0xF0 ? 3 : 4));
}

class Unigram : public Model {
 public:
  Unigram(std::vector<std::pair<std::string, double>> vocab, std::optional<std::int64_t> unknown, bool byte_fallback,
          const std::string& file)
      : vocab_(std::move(vocab)), unknown_(static_cast<std::int32_t>(unknown.value_or(-1))), file_(file) {
    double worst = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < vocab_.size(); ++i) {
      if (!std::isfinite(vocab_[i].second)) throw FormatError(file, fmt::format("score of token {} is not finite", i));
      worst = std::min(worst, vocab_[i].second);
      if (!trie_.add(vocab_[i].first, static_cast<std::int32_t>(i)))
        throw FormatError(file, "the vocabulary is too long: more than 16 million different beginnings of tokens");
    }
    unknown_score_ = worst - kUnknownPenalty;
    if (byte_fallback) find_bytes();
  }

  void encode(std::string_view piece, std::vector<std::int64_t>& ids) const override;

  std::optional<std::string_view> token(std::int64_t id) const override {
    if (id < 0 || id >= size()) return std::nullopt;
    return vocab_[static_cast<size_t>(id)].first;
  }
  std::optional<std::int64_t> id(std::string_view token) const override {
    const std::int32_t found = trie_.find(token);
    return found < 0 ? std::nullopt : std::optional<std::int64_t>(found);
  }
  std::int64_t size() const override { return static_cast<std::int64_t>(vocab_.size()); }

 private:
  /// The best way to reach a byte of the piece: the last token, where it begins (-1: none yet), the whole score.
  struct Reached {
    double score = 0;
    std::int64_t from = -1;
    std::int32_t id = 0;

    void offer(double candidate, size_t begin, std::int32_t token) {
      if (from >= 0 && !(candidate > score)) return;
      score = candidate;
      from = static_cast<std::int64_t>(begin);
      id = token;
    }
  };

  void find_bytes() {
    for (int byte = 0; byte < 256; ++byte) bytes_.push_back(trie_.find(fmt::format("<0x{:02X}>", byte)));
  }
  /// Offers every token that begins at `at`; without one of just this character, the unknown token too.
  void extend(std::string_view piece, size_t at, std::vector<Reached>& reached) const;
  void put_unknown(std::string_view text, std::vector<std::int64_t>& ids) const;
  [[noreturn]] void fail_unknown() const {
    throw InputError(file_ + ": the text has characters that are not in the vocabulary, which has no unknown token");
  }

  std::vector<std::pair<std::string, double>> vocab_;
  ByteTrie trie_;
  std::int32_t unknown_;
  double unknown_score_ = 0;
  std::vector<std::int32_t> bytes_;  // ids of the byte tokens, -1 where there is none; empty without byte fallback
  std::string file_;
};

void Unigram::extend(std::string_view piece, size_t at, std::vector<Reached>& reached) const {
  const size_t length = lead_length(piece[at]);
  const double here = reached[at].score;
  bool single = false;
  ByteTrie::Node node = 0;
  for (size_t end = at; end < piece.size();) {
    node = trie_.step(node, piece[end]);
    if (node == ByteTrie::kNone) break;
    ++end;
    const std::int32_t id = trie_.value(node);
    if (id < 0) continue;
    reached[end].offer(vocab_[static_cast<size_t>(id)].second + here, at, id);
    single |= end - at == length;
  }
  if (single) return;
  Reached& target = reached[at + length];
  if (unknown_ < 0 && (target.from < 0 || unknown_score_ + here > target.score)) fail_unknown();
  target.offer(unknown_score_ + here, at, unknown_);
}

void Unigram::encode(std::string_view piece, std::vector<std::int64_t>& ids) const {
  std::vector<Reached> reached(piece.size() + 1);
  for (size_t at = 0; at < piece.size(); at += lead_length(piece[at])) extend(piece, at, reached);
  // The path is known from its end; neighbouring unknown parts become one.
  std::vector<std::pair<size_t, std::int32_t>> parts;  // where a part ends, its token
  for (size_t end = piece.size(); end > 0; end = static_cast<size_t>(reached[end].from))
    parts.emplace_back(end, reached[end].id);
  size_t begin = 0;
  for (size_t i = parts.size(); i-- > 0;) {
    if (parts[i].second != unknown_) {
      ids.push_back(parts[i].second);
    } else if (i == 0 || parts[i - 1].second != unknown_) {
      put_unknown(piece.substr(begin, parts[i].first - begin), ids);
    } else {
      continue;
    }
    begin = parts[i].first;
  }
}

void Unigram::put_unknown(std::string_view text, std::vector<std::int64_t>& ids) const {
  // Unknown characters side by side may spell a token that lost against them.
  const std::int32_t whole = trie_.find(text);
  if (whole >= 0) return ids.push_back(whole);
  const auto lacks = [&](char byte) { return bytes_[static_cast<unsigned char>(byte)] < 0; };
  if (bytes_.empty() || std::any_of(text.begin(), text.end(), lacks)) return ids.push_back(unknown_);
  for (const char byte : text) ids.push_back(bytes_[static_cast<unsigned char>(byte)]);
}

}  // namespace

std::unique_ptr<const Model> make_unigram(std::vector<std::pair<std::string, double>> vocab,
                                          std::optional<std::int64_t> unk_id, bool byte_fallback,
                                          const std::string& file) {
  if (vocab.empty()) throw FormatError(file, "the Unigram vocabulary is empty");
  if (vocab.size() > static_cast<size_t>(kMaxTokenId))
    throw FormatError(file, fmt::format("the vocabulary has {} tokens, more than {}", vocab.size(), kMaxTokenId));
  if (unk_id && (*unk_id < 0 || *unk_id >= static_cast<std::int64_t>(vocab.size())))
    throw FormatError(file, fmt::format("unk_id is {}, the vocabulary has {} tokens", *unk_id, vocab.size()));
  return std::make_unique<Unigram>(std::move(vocab), unk_id, byte_fallback, file);
}

}  // namespace weft::text
