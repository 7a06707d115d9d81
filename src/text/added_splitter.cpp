#include "text/added_splitter.h"

#include <utility>

#include "text/unicode.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && is_word_character(previous_code(text, begin))) return false;
  return end == text.size() || !is_word_character(next_code(text, end));
}

size_t before_blanks(std::string_view text, size_t from, size_t end) {
  while (end > from) {
    size_t begin = end;
    if (!is_white_space(previous_code(text, begin))) break;
    end = begin;
  }
  return end;
}

size_t behind_blanks(std::string_view text, size_t at) {
  while (at < text.size()) {
    size_t next = at;
    if (!is_white_space(next_code(text, next))) break;
    at = next;
  }
  return at;
}

}  // namespace

AddedSplitter::AddedSplitter(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  for (size_t i = 0; i < tokens_.size(); ++i)
    if (!trie_.add(tokens_[i].content, static_cast<std::int32_t>(i))) throw Error("too many added tokens");
}

const AddedToken* AddedSplitter::match(std::string_view text, size_t at) const {
  const AddedToken* best = nullptr;
  ByteTrie::Node node = 0;
  for (size_t end = at; end < text.size();) {
    node = trie_.step(node, text[end++]);
    if (node == ByteTrie::kNone) break;
    if (trie_.value(node) < 0) continue;
    const AddedToken& token = tokens_[static_cast<size_t>(trie_.value(node))];
    if (!token.single_word || stands_alone(text, at, end)) best = &token;
  }
  return best;
}

void AddedSplitter::split(std::string_view text, const std::function<void(std::string_view)>& part,
                          const std::function<void(const AddedToken&)>& token) const {
  size_t begin = 0;
  for (size_t at = 0; !tokens_.empty() && at < text.size();) {
    const AddedToken* found = match(text, at);
    if (found == nullptr) {
      ++at;
      continue;
    }
    const size_t end = found->lstrip ? before_blanks(text, begin, at) : at;
    if (end > begin) part(text.substr(begin, end - begin));
    token(*found);
    at += found->content.size();
    if (found->rstrip) at = behind_blanks(text, at);
    begin = at;
  }
  if (begin < text.size()) part(text.substr(begin));
}

}  // namespace weft::text
