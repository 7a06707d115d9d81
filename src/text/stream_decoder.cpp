#include <utility>

#include "weft/text/tokenizer.h"

namespace weft::text {

namespace {

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// `<0x41>`: a run of such tokens decodes as one, so its text is not final before it ends.
bool is_byte_token(std::string_view token) {
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
}

/// What `longer` has behind `shorter`. Where they differ, `shorter` ended inside a character, which was given out as
/// nothing.
std::string text_behind(const std::string& longer, std::string_view shorter) {
  while (!longer.starts_with(shorter) && shorter.ends_with(kReplacementCharacter))
    shorter.remove_suffix(kReplacementCharacter.size());
  size_t same = 0;
  while (same < shorter.size() && same < longer.size() && shorter[same] == longer[same]) ++same;
  // Back to the start of a character.
  while (same > 0 && same < longer.size() && (static_cast<unsigned char>(longer[same]) & 0xC0U) == 0x80U) --same;
  return longer.substr(same);
}

}  // namespace

StreamDecoder::StreamDecoder(Tokenizer tokenizer, std::vector<std::int64_t> context, bool skip_special)
    : tokenizer_(std::move(tokenizer)), ids_(std::move(context)), read_(ids_.size()), skip_special_(skip_special) {}

std::string StreamDecoder::push(std::int64_t id) {
  ids_.push_back(id);
  const std::string token = tokenizer_.token(id);
  if (token.empty() || (skip_special_ && tokenizer_.is_special(id)) || is_byte_token(token)) return {};
  const std::span<const std::int64_t> window = std::span(ids_).subspan(prefix_);
  const std::string before = tokenizer_.decode(window.first(read_ - prefix_), skip_special_);
  const std::string after = tokenizer_.decode(window, skip_special_);
  if (after.ends_with(kReplacementCharacter)) return {};
  std::string fresh = text_behind(after, before);
  if (fresh.empty()) return {};
  const size_t start = std::exchange(read_, ids_.size());
  // The next window begins where its own beginning gives text: blanks that are dropped at the start of a text would
  // else be dropped again.
  if (!tokenizer_.decode(std::span(ids_).subspan(start), skip_special_).empty()) prefix_ = start;
  return fresh;
}

std::string StreamDecoder::finish() {
  const std::span<const std::int64_t> window = std::span(ids_).subspan(prefix_);
  const std::string before = tokenizer_.decode(window.first(read_ - prefix_), skip_special_);
  prefix_ = read_;
  read_ = ids_.size();
  return text_behind(tokenizer_.decode(window, skip_special_), before);
}

}  // namespace weft::text
