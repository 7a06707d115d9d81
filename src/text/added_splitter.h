#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/models/byte_trie.h"

namespace weft::text {

/// Finds added tokens in raw text: leftmost first, the longest there. For engines without normalised matching.
class AddedSplitter {
 public:
  AddedSplitter() = default;
  explicit AddedSplitter(std::vector<AddedToken> tokens);
  /// Calls `part` for the text between tokens (not when empty) and `token` for each token, in order.
  void split(std::string_view text, const std::function<void(std::string_view)>& part,
             const std::function<void(const AddedToken&)>& token) const;
  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  /// The longest token at `at` that may stand there, or null.
  const AddedToken* match(std::string_view text, size_t at) const;

  std::vector<AddedToken> tokens_;
  ByteTrie trie_;
};

}  // namespace weft::text
