#include <fmt/format.h>
#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "text/byte_alphabet.h"
#include "text/components.h"
#include "text/finder.h"
#include "text/unicode.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

bool all_below(std::string_view text, unsigned char limit) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= limit) return false;
  return true;
}

/// Keeps the code points for which `keep` holds; `leading` falls when the first one goes.
template <typename Keep>
void filter_codes(std::string& text, bool& leading, Keep keep) {
  std::string kept;
  kept.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t from = at;
    if (keep(next_code(text, at)))
      kept.append(text, from, at - from);
    else if (kept.empty())
      leading = false;
  }
  text = std::move(kept);
}

class UnicodeForm final : public Normalizer {
 public:
  explicit UnicodeForm(Form form) : form_(form) {
    const bool compat = form == Form::kNfkc || form == Form::kNfkd;
    const bool compose = form == Form::kNfc || form == Form::kNfkc;
    options_ = UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) | (compat ? UTF8PROC_COMPAT : 0);
  }
  void apply(std::string& text, bool&) const override {
    // Below U+0300 the form NFC changes nothing; the others leave only ASCII alone.
    if (all_below(text, form_ == Form::kNfc ? 0xCC : 0x80)) return;
    std::string out;
    out.reserve(text.size());
    size_t start = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t from = at;
      if (!is_inert(next_code(text, at))) continue;
      append_form(out, std::string_view(text).substr(start, from - start));
      out.append(text, from, at - from);
      start = at;
    }
    append_form(out, std::string_view(text).substr(start));
    text = std::move(out);
  }

 private:
  void append_form(std::string& out, std::string_view part) const {
    if (part.empty()) return;
    utf8proc_uint8_t* made = nullptr;
    const utf8proc_ssize_t size =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(part.data()), static_cast<utf8proc_ssize_t>(part.size()),
                     &made, static_cast<utf8proc_option_t>(options_));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(made, &std::free);
    if (size == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
    if (size < 0) throw InputError(std::string("text cannot be normalised: ") + utf8proc_errmsg(size));
    out.append(reinterpret_cast<const char*>(made), static_cast<size_t>(size));
  }

  Form form_;
  int options_ = 0;
};

class Lowercase final : public Normalizer {
 public:
  void apply(std::string& text, bool&) const override {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) append_lower(out, next_code(text, at));
    text = std::move(out);
  }
};

class StripBlanks final : public Normalizer {
 public:
  StripBlanks(bool left, bool right) : left_(left), right_(right) {}
  void apply(std::string& text, bool& leading) const override {
    size_t begin = 0, end = text.size();
    while (right_ && end > begin) {
      size_t before = end;
      if (!is_white_space(previous_code(text, before))) break;
      end = before;
    }
    while (left_ && begin < end) {
      size_t behind = begin;
      if (!is_white_space(next_code(text, behind))) break;
      begin = behind;
    }
    if (begin > 0) leading = false;
    text.erase(end);
    text.erase(0, begin);
  }

 private:
  bool left_, right_;
};

class StripAccents final : public Normalizer {
 public:
  void apply(std::string& text, bool& leading) const override {
    filter_codes(text, leading, [](char32_t c) { return !is_combining_mark(c); });
  }
};

class PrependText final : public Normalizer {
 public:
  explicit PrependText(std::string text) : text_(std::move(text)) {}
  void apply(std::string& text, bool&) const override {
    if (!text.empty()) text.insert(0, text_);
  }

 private:
  std::string text_;
};

class ReplaceText final : public Normalizer {
 public:
  ReplaceText(const SearchFor& what, std::string with, const std::string& file)
      : finder_(what, file), with_(std::move(with)), file_(file) {}
  void apply(std::string& text, bool& leading) const override {
    std::vector<std::pair<size_t, size_t>> matches;
    finder_.find_all(text, matches);
    if (matches.empty()) return;
    check_normalized_size(text.size(), text.size() + matches.size() * with_.size(), file_);
    // The library lets inserted text begin where the last replaced character began.
    if (const auto [begin, end] = matches.front(); begin == 0 && end > 0) {
      size_t first = 0;
      next_code(text, first);
      if (end > first || with_.empty()) leading = false;
    }
    std::string out;
    out.reserve(text.size());
    size_t at = 0;
    for (const auto& [begin, end] : matches) {
      out.append(text, at, begin - at);
      out += with_;
      at = end;
    }
    out.append(text, at);
    text = std::move(out);
  }

 private:
  Finder finder_;
  std::string with_, file_;
};

/// The character classes of Google's neural translation.
class Nmt final : public Normalizer {
 public:
  void apply(std::string& text, bool& leading) const override {
    filter_codes(text, leading, [](char32_t c) {
      const bool control = (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F;
      return !(control || c == 0x8F || c == 0x9F);
    });
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
      const char32_t c = next_code(text, at);
      const bool blank = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                         (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF ||
                         c == 0xFFFD;
      append_code(out, blank ? U' ' : c);
    }
    text = std::move(out);
  }
};

class ByteCharacters final : public Normalizer {
 public:
  void apply(std::string& text, bool&) const override {
    std::string out;
    out.reserve(text.size() + text.size() / 2);
    append_byte_characters(out, text);
    text = std::move(out);
  }
};

bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

class BertNormalizer final : public Normalizer {
 public:
  BertNormalizer(bool clean_text, bool chinese_chars, bool strip_accents, bool lowercase)
      : clean_text_(clean_text),
        chinese_chars_(chinese_chars),
        strip_accents_(strip_accents),
        lowercase_(lowercase),
        decompose_(Form::kNfd) {}
  void apply(std::string& text, bool& leading) const override {
    if (clean_text_) clean(text, leading);
    if (chinese_chars_) isolate_chinese(text);
    if (strip_accents_) {
      decompose_.apply(text, leading);
      if (!all_below(text, 0x80)) filter_codes(text, leading, [](char32_t c) { return !is_nonspacing_mark(c); });
    }
    if (lowercase_) Lowercase().apply(text, leading);
  }

 private:
  static void clean(std::string& text, bool& leading) {
    const auto kept_control = [](char32_t c) { return c == '\t' || c == '\n' || c == '\r'; };
    filter_codes(text, leading,
                 [&](char32_t c) { return kept_control(c) || !(c == 0 || c == 0xFFFD || is_control(c)); });
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
      const char32_t c = next_code(text, at);
      append_code(out, is_white_space(c) ? U' ' : c);
    }
    text = std::move(out);
  }
  static void isolate_chinese(std::string& text) {
    if (all_below(text, 0xE3)) return;
    std::string out;
    out.reserve(text.size() * 2);
    for (size_t at = 0; at < text.size();) {
      const char32_t c = next_code(text, at);
      if (!is_chinese(c)) {
        append_code(out, c);
        continue;
      }
      out += ' ';
      append_code(out, c);
      out += ' ';
    }
    text = std::move(out);
  }

  bool clean_text_, chinese_chars_, strip_accents_, lowercase_;
  UnicodeForm decompose_;
};

}  // namespace

void check_normalized_size(size_t before, size_t after, const std::string& file) {
  constexpr size_t kMostBytes = size_t{64} << 20, kMostTimes = 16;
  if (after > kMostBytes && after / kMostTimes > before)
    throw InputError(
        fmt::format("{}: its normalizer turns {} bytes into {}, which is not supported", file, before, after));
}

std::unique_ptr<const Normalizer> make_unicode_form(Form form) { return std::make_unique<UnicodeForm>(form); }
std::unique_ptr<const Normalizer> make_lowercase() { return std::make_unique<Lowercase>(); }
std::unique_ptr<const Normalizer> make_strip(bool left, bool right) {
  return std::make_unique<StripBlanks>(left, right);
}
std::unique_ptr<const Normalizer> make_strip_accents() { return std::make_unique<StripAccents>(); }
std::unique_ptr<const Normalizer> make_prepend(std::string text) {
  return std::make_unique<PrependText>(std::move(text));
}
std::unique_ptr<const Normalizer> make_replace(const SearchFor& what, std::string with, const std::string& file) {
  return std::make_unique<ReplaceText>(what, std::move(with), file);
}
std::unique_ptr<const Normalizer> make_nmt() { return std::make_unique<Nmt>(); }
std::unique_ptr<const Normalizer> make_byte_level_normalizer() { return std::make_unique<ByteCharacters>(); }
std::unique_ptr<const Normalizer> make_bert_normalizer(bool clean_text, bool chinese_chars, bool strip_accents,
                                                       bool lowercase) {
  return std::make_unique<BertNormalizer>(clean_text, chinese_chars, strip_accents, lowercase);
}

}  // namespace weft::text
