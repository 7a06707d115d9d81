#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/added_tokens.h"
#include "text/engine.h"
#include "text/models/byte_trie.h"

namespace weft::text {

/**
 * The added tokens of a tokenizer. As in the tokenizers library an added token that the model knows has the model's
 * id, and the others are numbered in the file's order behind the vocabulary, whatever id the file states.
 */
class AddedVocabulary {
 public:
  /// A stretch of text: an added token, or what is between two.
  struct Stretch {
    size_t begin = 0, end = 0;
    std::int64_t id = -1;  ///< -1: text
  };

  /// `normalize` is what the tokenizer's normalizers make of a text. `vocabulary` is the number of the model's tokens.
  AddedVocabulary(std::vector<AddedToken> tokens, const Model& model, std::int64_t vocabulary,
                  const std::function<std::string(const std::string&)>& normalize, const std::string& file);

  /// Cuts raw text (`normalized` false) or normalised text at the added tokens that are looked for there.
  void split(std::string_view text, bool normalized, std::vector<Stretch>& stretches) const;

  std::optional<std::int64_t> id(std::string_view content) const;
  /// The content of an added token.
  std::optional<std::string_view> content(std::int64_t id) const;
  /// What the decoder gets for an added token: its normalised form where it has one.
  std::optional<std::string_view> spelling(std::int64_t id) const;
  /// True if the text is that of a special token.
  bool special_text(std::string_view text) const { return special_.contains(std::string(text)); }
  /// One more than the largest id, at least `size`.
  std::int64_t size() const { return size_; }

 private:
  struct Entry {
    AddedToken token;
    std::string spelling;
  };
  /// The texts that are looked for, and the bytes that they begin with.
  struct Finder {
    ByteTrie trie;
    std::bitset<256> first;
    bool any = false;
  };
  const Entry* find(std::int64_t id) const;
  void look_for(Finder& finder, std::string_view text, std::int64_t id, const std::string& file);
  std::int64_t next_match(const Finder& finder, std::string_view text, size_t& begin, size_t& end) const;

  std::vector<Entry> entries_;
  std::unordered_map<std::int64_t, size_t> by_id_;
  std::unordered_map<std::string, std::int64_t> by_content_;
  std::unordered_set<std::string> special_;
  Finder raw_, normalized_;
  std::int64_t size_ = 0;
};

}  // namespace weft::text
