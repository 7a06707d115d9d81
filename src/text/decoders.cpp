#include <algorithm>
#include <charconv>
#include <utility>

#include "io/utf8.h"
#include "text/byte_alphabet.h"
#include "text/components.h"
#include "text/finder.h"
#include "text/unicode.h"

namespace weft::text {

namespace {

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  if (what.empty() || text.find(what) == std::string::npos) return;
  std::string out;
  size_t at = 0;
  for (size_t found = text.find(what); found != std::string::npos; found = text.find(what, at)) {
    out.append(text, at, found - at);
    out += with;
    at = found + what.size();
  }
  out.append(text, at);
  text = std::move(out);
}

class ByteLevelDecoder final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) {
      const size_t before = bytes.size();
      for (size_t at = 0; at < token.size();) {
        const int byte = byte_of_character(next_code(token, at));
        if (byte < 0) {  // not of the alphabet: the token stands for itself
          bytes.resize(before);
          bytes += token;
          break;
        }
        bytes += static_cast<char>(byte);
      }
    }
    tokens.assign(1, repair_utf8(bytes));
  }
};

class MetaspaceDecoder final : public Decoder {
 public:
  MetaspaceDecoder(std::string replacement, Prepend prepend)
      : replacement_(std::move(replacement)), prepend_(prepend) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i)
      replace_all(tokens[i], replacement_, i == 0 && prepend_ != Prepend::kNever ? "" : " ");
  }

 private:
  std::string replacement_;
  Prepend prepend_;
};

class WordPieceDecoder final : public Decoder {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  void apply(std::vector<std::string>& tokens) const override {
    static constexpr std::pair<std::string_view, std::string_view> kCleanups[] = {
        {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
        {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) {
        if (tokens[i].starts_with(prefix_))
          tokens[i].erase(0, prefix_.size());
        else
          tokens[i].insert(0, 1, ' ');
      }
      if (!cleanup_) continue;
      for (const auto& [what, with] : kCleanups) replace_all(tokens[i], what, with);
    }
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class BpeDecoder final : public Decoder {
 public:
  explicit BpeDecoder(std::string suffix) : suffix_(std::move(suffix)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
  }

 private:
  std::string suffix_;
};

/// Tokens like <0x41> are bytes; runs of them become text, or U+FFFD for each when they are not UTF-8.
class ByteFallbackDecoder final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::vector<std::string> out;
    std::string bytes;
    const auto flush = [&] {
      if (io::valid_utf8(bytes))
        out.push_back(bytes);
      else
        out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
      bytes.clear();
    };
    for (std::string& token : tokens) {
      if (const int byte = byte_of(token); byte >= 0) {
        bytes += static_cast<char>(byte);
        continue;
      }
      if (!bytes.empty()) flush();
      out.push_back(std::move(token));
    }
    if (!bytes.empty()) flush();
    tokens = std::move(out);
  }

 private:
  static int byte_of(const std::string& token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
    int value = 0;
    const char* const end = token.data() + 5;
    const auto [stop, error] = std::from_chars(token.data() + 3, end, value, 16);
    return error == std::errc{} && stop == end && value >= 0 ? value : -1;
  }
};

class FuseDecoder final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::string all;
    for (const std::string& token : tokens) all += token;
    tokens.assign(1, std::move(all));
  }
};

class StripDecoder final : public Decoder {
 public:
  StripDecoder(std::string content, size_t start, size_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) {
      size_t begin = 0, end = token.size();
      const std::string_view view = token;
      for (size_t i = 0; i < start_ && view.substr(begin).starts_with(content_); ++i) begin += content_.size();
      for (size_t i = 0; i < stop_ && end >= begin + content_.size() && view.substr(0, end).ends_with(content_); ++i)
        end -= content_.size();
      token = token.substr(begin, end - begin);
    }
  }

 private:
  std::string content_;
  size_t start_, stop_;
};

class ReplaceDecoder final : public Decoder {
 public:
  ReplaceDecoder(const SearchFor& what, std::string with, const std::string& file)
      : finder_(what, file), with_(std::move(with)) {}
  void apply(std::vector<std::string>& tokens) const override {
    std::vector<std::pair<size_t, size_t>> matches;
    for (std::string& token : tokens) {
      matches.clear();
      if (!token.empty()) finder_.find_all(token, matches);
      if (matches.empty()) continue;
      std::string out;
      size_t at = 0;
      for (const auto& [begin, end] : matches) {
        out.append(token, at, begin - at);
        out += with_;
        at = end;
      }
      out.append(token, at);
      token = std::move(out);
    }
  }

 private:
  Finder finder_;
  std::string with_;
};

}  // namespace

std::unique_ptr<const Decoder> make_byte_level_decoder() { return std::make_unique<ByteLevelDecoder>(); }
std::unique_ptr<const Decoder> make_metaspace_decoder(std::string replacement, Prepend prepend) {
  return std::make_unique<MetaspaceDecoder>(std::move(replacement), prepend);
}
std::unique_ptr<const Decoder> make_wordpiece_decoder(std::string prefix, bool cleanup) {
  return std::make_unique<WordPieceDecoder>(std::move(prefix), cleanup);
}
std::unique_ptr<const Decoder> make_bpe_decoder(std::string suffix) {
  return std::make_unique<BpeDecoder>(std::move(suffix));
}
std::unique_ptr<const Decoder> make_byte_fallback_decoder() { return std::make_unique<ByteFallbackDecoder>(); }
std::unique_ptr<const Decoder> make_fuse_decoder() { return std::make_unique<FuseDecoder>(); }
std::unique_ptr<const Decoder> make_strip_decoder(std::string content, size_t start, size_t stop) {
  return std::make_unique<StripDecoder>(std::move(content), start, stop);
}
std::unique_ptr<const Decoder> make_replace_decoder(const SearchFor& what, std::string with, const std::string& file) {
  return std::make_unique<ReplaceDecoder>(what, std::move(with), file);
}

}  // namespace weft::text
