#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::text {

struct RegexProgram;

/**
 * A regular expression of a tokenizer, in the syntax and with the meaning of Oniguruma, which the tokenizers library
 * uses: own engine, because character classes must follow that library's version of Unicode, and PCRE2 reads several
 * constructs differently (nested classes, `{1,3}+`, `\h`, `^` and `$`). Backtracking with a budget; thread-safe.
 */
class Regex {
 public:
  /// `file` names the tokenizer in messages.
  /// @throws FormatError when it is not an expression, UnsupportedError for constructs that are not known.
  Regex(std::string pattern, std::string file);

  /// All matches in `text` (valid UTF-8), left to right, as byte ranges; an empty match directly behind another match
  /// is passed over. @throws InputError when matching takes too many steps.
  void find_all(std::string_view text, std::vector<std::pair<size_t, size_t>>& matches) const;

 private:
  std::string pattern_, file_;
  std::shared_ptr<const RegexProgram> program_;
};

}  // namespace weft::text
