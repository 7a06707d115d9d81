#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace weft {

/**
 * A regular expression from a file, untrusted: matching stops at a limit instead of running away. Matches like Python's
 * `re` on the syntax that both engines share. Cheap to make and to match where the text is plain (letters, escaped and
 * unescaped dots, `^` in front): no engine is used then. Not safe to use from two threads at once.
 */
class Pattern {
 public:
  /// `source` names where the pattern stands, for messages. @throws InputError naming source, pattern and reason.
  Pattern(std::string text, std::string source);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  /// PEFT's rule for module keys, `re.match(r"(.*\.)?(P)$", key)`: the pattern covers a tail of the key that begins at
  /// its start or after a dot. @throws InputError when the limit is exceeded.
  bool matches_tail(std::string_view key) const;
  /// `re.fullmatch(P, key)`. @throws InputError when the limit is exceeded.
  bool matches_whole(std::string_view key) const;
  /// As written.
  const std::string& text() const { return text_; }

 private:
  struct Engine;
  bool run(std::string_view expression, std::unique_ptr<Engine>& engine, std::string_view key) const;
  bool plain_matches(std::string_view key, bool whole) const;
  [[noreturn]] void fail(const std::string& reason) const;

  std::string text_, source_;
  bool plain_ = false;
  bool anchored_ = false;   // plain: begins with ^
  std::string characters_;  // plain: what to match
  std::string wildcards_;   // plain: '.' where any character will do
  mutable std::unique_ptr<Engine> tail_, whole_;
};

}  // namespace weft
