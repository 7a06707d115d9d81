#include "text/encode_text.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace weft::text {

std::vector<std::int64_t> cut_ids(const Tokenizer& tokenizer, std::string_view text,
                                  const std::vector<std::int64_t>& whole, std::int64_t max_tokens) {
  if (max_tokens <= 0 || static_cast<std::int64_t>(whole.size()) <= max_tokens) return whole;
  const std::vector<std::int64_t> bare = tokenizer.encode(text, false);
  const auto found = std::search(whole.begin(), whole.end(), bare.begin(), bare.end());
  const std::ptrdiff_t behind =
      found == whole.end() ? 0 : whole.end() - found - static_cast<std::ptrdiff_t>(bare.size());
  const std::ptrdiff_t kept = std::max<std::ptrdiff_t>(0, max_tokens - behind);
  std::vector<std::int64_t> out(whole.begin(), whole.begin() + kept);
  out.insert(out.end(), whole.end() - std::min<std::ptrdiff_t>(behind, max_tokens), whole.end());
  return out;
}

EncodedText encode_text(const Tokenizer& tokenizer, std::string_view text, std::int64_t max_tokens) {
  EncodedText out;
  out.ids = tokenizer.encode(text, true);
  out.whole = static_cast<std::int64_t>(out.ids.size());
  if (max_tokens > 0 && out.whole > max_tokens) out.ids = cut_ids(tokenizer, text, out.ids, max_tokens);
  return out;
}

}  // namespace weft::text
