#include "text/added_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "text/token_table.h"
#include "text/unicode.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

/// Bounds the work for each byte of text; real added tokens have some dozens of bytes.
constexpr size_t kLongestAddedToken = 4096;

bool touches_word(std::string_view text, size_t begin, size_t end) {
  if (size_t before = begin; begin > 0 && is_word_character(previous_code(text, before))) return true;
  return end < text.size() && is_word_character(next_code(text, end));
}

size_t skip_blanks(std::string_view text, size_t at) {
  while (at < text.size()) {
    size_t behind = at;
    if (!is_white_space(next_code(text, behind))) break;
    at = behind;
  }
  return at;
}

size_t skip_blanks_back(std::string_view text, size_t end) {
  while (end > 0) {
    size_t before = end;
    if (!is_white_space(previous_code(text, before))) break;
    end = before;
  }
  return end;
}

}  // namespace

AddedVocabulary::AddedVocabulary(std::vector<AddedToken> tokens, const Model& model, std::int64_t vocabulary,
                                 const std::function<std::string(const std::string&)>& normalize,
                                 const std::string& file) {
  std::int64_t next = vocabulary;
  size_ = model.size();
  for (AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    if (token.content.size() > kLongestAddedToken)
      throw UnsupportedError(fmt::format("{}: added_tokens: a token of {} bytes; at most {} are supported", file,
                                         token.content.size(), kLongestAddedToken));
    const auto known = by_content_.find(token.content);
    const std::optional<std::int64_t> in_model = model.id(token.content);
    token.id = known != by_content_.end() ? known->second : in_model ? *in_model : next++;
    if (token.id > kMaxTokenId) throw UnsupportedError(fmt::format("{}: added_tokens: too many tokens", file));
    by_content_[token.content] = token.id;
    if (token.special) special_.insert(token.content);
    std::string spelling = token.normalized ? normalize(token.content) : token.content;
    size_ = std::max(size_, token.id + 1);
    const auto [found, fresh] = by_id_.emplace(token.id, entries_.size());
    if (fresh) {
      entries_.push_back({std::move(token), std::move(spelling)});
      continue;
    }
    // A second entry of the same token replaces the first, but not a spelling that the normalizers gave it.
    Entry& entry = entries_[found->second];
    if (token.normalized || entry.spelling == entry.token.content) entry.spelling = std::move(spelling);
    entry.token = std::move(token);
  }
  for (const Entry& entry : entries_) {
    if (entry.token.normalized)
      look_for(normalized_, entry.spelling, entry.token.id, file);
    else
      look_for(raw_, entry.token.content, entry.token.id, file);
  }
}

void AddedVocabulary::look_for(Finder& finder, std::string_view text, std::int64_t id, const std::string& file) {
  if (text.empty()) throw FormatError(file, "added_tokens: the normalizer leaves nothing of a token");
  if (text.size() > 4 * kLongestAddedToken)
    throw UnsupportedError(fmt::format("{}: added_tokens: a token that the normalizer makes too long", file));
  // Of tokens that the normalizers make the same, the library takes one at random; here it is the first.
  if (finder.trie.find(text) >= 0) return;
  if (!finder.trie.add(text, static_cast<std::int32_t>(id)))
    throw UnsupportedError(fmt::format("{}: added_tokens: too many tokens", file));
  finder.first[static_cast<unsigned char>(text[0])] = true;
  finder.any = true;
}

/// The leftmost longest match at or after `begin`, which moves to its start; -1 when there is none.
std::int64_t AddedVocabulary::next_match(const Finder& finder, std::string_view text, size_t& begin,
                                         size_t& end) const {
  for (; begin < text.size(); ++begin) {
    if (!finder.first[static_cast<unsigned char>(text[begin])]) continue;
    std::int32_t id = -1;
    ByteTrie::Node node = 0;
    for (size_t at = begin; at < text.size(); ++at) {
      node = finder.trie.step(node, text[at]);
      if (node == ByteTrie::kNone) break;
      if (const std::int32_t value = finder.trie.value(node); value >= 0) id = value, end = at + 1;
    }
    if (id >= 0) return id;
  }
  return -1;
}

void AddedVocabulary::split(std::string_view text, bool normalized, std::vector<Stretch>& stretches) const {
  const Finder& finder = normalized ? normalized_ : raw_;
  size_t done = 0;
  if (finder.any) {
    size_t found = 0, behind = 0;
    for (size_t from = 0;; from = behind) {
      found = from;
      const std::int64_t id = next_match(finder, text, found, behind);
      if (id < 0) break;
      const AddedToken& token = find(id)->token;
      if (token.single_word && touches_word(text, found, behind)) continue;
      size_t begin = found, end = behind;
      // A match before may have swallowed the blanks already.
      if (token.lstrip) begin = std::max(skip_blanks_back(text, begin), done);
      if (token.rstrip) end = skip_blanks(text, end);
      if (done < begin) stretches.push_back({done, begin, -1});
      // Nothing is left of a token whose blanks went to the one before: the library drops it.
      if (begin < end) stretches.push_back({begin, end, id});
      done = end;
    }
  }
  if (done < text.size()) stretches.push_back({done, text.size(), -1});
}

const AddedVocabulary::Entry* AddedVocabulary::find(std::int64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &entries_[found->second];
}

std::optional<std::int64_t> AddedVocabulary::id(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  if (found == by_content_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string_view> AddedVocabulary::content(std::int64_t id) const {
  const Entry* const entry = find(id);
  if (entry == nullptr) return std::nullopt;
  return entry->token.content;
}

std::optional<std::string_view> AddedVocabulary::spelling(std::int64_t id) const {
  const Entry* const entry = find(id);
  if (entry == nullptr) return std::nullopt;
  return entry->spelling;
}

}  // namespace weft::text
