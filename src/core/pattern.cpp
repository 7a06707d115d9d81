#include "core/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <cctype>
#include <utility>

#include "weft/core/error.h"

namespace weft {

namespace {

// A match that needs more steps than this is refused; honest patterns on module names need a few hundred.
constexpr std::uint32_t kPatternMatchLimit = 200'000;
constexpr std::uint32_t kPatternDepthLimit = 5'000;
constexpr std::uint32_t kPatternHeapKib = 16 * 1024;
constexpr size_t kPatternLongest = 16 * 1024;

std::string pattern_error_text(int code) {
  PCRE2_UCHAR buffer[256];
  if (pcre2_get_error_message(code, buffer, sizeof(buffer)) < 0) return fmt::format("error {}", code);
  return reinterpret_cast<const char*>(buffer);
}

/// Length of the UTF-8 character that ends just before `end`.
size_t pattern_last_character(std::string_view text, size_t end) {
  size_t length = 1;
  while (length < end && length < 4 && (static_cast<unsigned char>(text[end - length]) & 0xC0U) == 0x80U) ++length;
  return length;
}

}  // namespace

struct Pattern::Engine {
  pcre2_code* code = nullptr;
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;

  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() {
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
  }
};

Pattern::Pattern(std::string text, std::string source) : text_(std::move(text)), source_(std::move(source)) {
  if (text_.size() > kPatternLongest) fail(fmt::format("it is longer than {} characters", kPatternLongest));
  size_t at = 0;
  if (!text_.empty() && text_[0] == '^') anchored_ = true, at = 1;
  plain_ = true;
  for (; at < text_.size() && plain_; ++at) {
    const char c = text_[at];
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-') {
      characters_ += c, wildcards_ += ' ';
    } else if (c == '.') {
      characters_ += c, wildcards_ += '.';
    } else if (c == '\\' && at + 1 < text_.size() && (text_[at + 1] == '.' || text_[at + 1] == '-')) {
      characters_ += text_[++at], wildcards_ += ' ';
    } else {
      plain_ = c == '$' && at + 1 == text_.size();
    }
  }
  if (!plain_) run("", tail_, {});
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

void Pattern::fail(const std::string& reason) const {
  const std::string shown = text_.size() > 120 ? text_.substr(0, 120) + "..." : text_;
  throw InputError(fmt::format("{}: pattern '{}' cannot be used: {}", source_, shown, reason));
}

bool Pattern::plain_matches(std::string_view key, bool whole) const {
  size_t end = key.size();
  for (size_t i = characters_.size(); i-- > 0;) {
    if (end == 0) return false;
    if (wildcards_[i] == '.') {
      end -= pattern_last_character(key, end);
    } else if (key[--end] != characters_[i]) {
      return false;
    }
  }
  return end == 0 || (!whole && !anchored_ && key[end - 1] == '.');
}

bool Pattern::run(std::string_view expression, std::unique_ptr<Engine>& engine, std::string_view key) const {
  if (!engine) {
    const std::string full = expression.empty() ? "(.*\\.)?(" + text_ + ")$" : std::string(expression);
    auto made = std::make_unique<Engine>();
    int code = 0;
    PCRE2_SIZE where = 0;
    // The text must be an expression of its own: `a)|(b` would otherwise close our brackets.
    for (const std::string& source : {text_, full}) {
      pcre2_code_free(made->code);
      made->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(),
                                 PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY, &code, &where, nullptr);
      if (made->code == nullptr) fail(fmt::format("{} at character {}", pattern_error_text(code), where));
    }
    made->data = pcre2_match_data_create(1, nullptr);
    made->context = pcre2_match_context_create(nullptr);
    if (made->data == nullptr || made->context == nullptr) throw Error("out of memory for a regular expression");
    pcre2_set_match_limit(made->context, kPatternMatchLimit);
    pcre2_set_depth_limit(made->context, kPatternDepthLimit);
    pcre2_set_heap_limit(made->context, kPatternHeapKib);
    engine = std::move(made);
  }
  const int rc = pcre2_match(engine->code, reinterpret_cast<PCRE2_SPTR>(key.data()), key.size(), 0, PCRE2_ANCHORED,
                             engine->data, engine->context);
  if (rc >= 0) return true;
  if (rc == PCRE2_ERROR_NOMATCH) return false;
  if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT)
    fail(fmt::format("matching '{}' against it takes too many steps", key));
  fail(fmt::format("matching '{}' failed: {}", key, pattern_error_text(rc)));
}

bool Pattern::matches_tail(std::string_view key) const {
  return plain_ ? plain_matches(key, false) : run("", tail_, key);
}

bool Pattern::matches_whole(std::string_view key) const {
  return plain_ ? plain_matches(key, true) : run("(?:" + text_ + ")$", whole_, key);
}

}  // namespace weft
