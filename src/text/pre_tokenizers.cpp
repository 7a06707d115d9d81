#include <utility>

#include "text/byte_alphabet.h"
#include "text/components.h"
#include "text/cutting.h"
#include "text/finder.h"
#include "text/unicode.h"

namespace weft::text {

namespace {

/// GPT-2's expression, which ByteLevel uses.
constexpr const char* kGpt2Expression = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class ByteLevel final : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex) : add_prefix_space_(add_prefix_space), use_regex_(use_regex) {}
  void apply(Pieces& pieces) const override {
    if (add_prefix_space_) add_spaces(pieces);
    if (use_regex_) {
      static const Regex expression(kGpt2Expression, "ByteLevel");
      cut_pieces(pieces, Behavior::kIsolated, false,
                 [](std::string_view piece, std::vector<std::pair<size_t, size_t>>& matches) {
                   expression.find_all(piece, matches);
                 });
    }
    Pieces mapped;
    mapped.text.reserve(pieces.text.size() * 2);
    mapped.ranges = std::move(pieces.ranges);
    for (auto& range : mapped.ranges) {
      const size_t begin = mapped.text.size();
      append_byte_characters(mapped.text, pieces.view(range));
      range.begin = begin;
      range.end = mapped.text.size();
    }
    pieces = std::move(mapped);
  }

 private:
  static void add_spaces(Pieces& pieces) {
    rewrite_pieces(pieces, [](std::string_view piece, bool, std::string& out) {
      if (!piece.starts_with(' ')) out += ' ';
      out += piece;
    });
  }

  bool add_prefix_space_, use_regex_;
};

class Metaspace final : public PreTokenizer {
 public:
  Metaspace(std::string replacement, Prepend prepend, bool split)
      : replacement_(std::move(replacement)), prepend_(prepend), split_(split) {}
  void apply(Pieces& pieces) const override {
    rewrite_pieces(pieces, [&](std::string_view piece, bool leading, std::string& out) {
      const bool wanted = prepend_ == Prepend::kAlways || (prepend_ == Prepend::kFirst && leading);
      if (wanted && !piece.starts_with(' ') && !piece.starts_with(replacement_)) out += replacement_;
      for (const char c : piece) {
        if (c == ' ')
          out += replacement_;
        else
          out += c;
      }
    });
    if (!split_) return;
    cut_pieces(pieces, Behavior::kMergedWithNext, false,
               [&](std::string_view piece, std::vector<std::pair<size_t, size_t>>& matches) {
                 for (size_t at = piece.find(replacement_); at != std::string_view::npos;
                      at = piece.find(replacement_, at + replacement_.size()))
                   matches.emplace_back(at, at + replacement_.size());
               });
  }

 private:
  std::string replacement_;
  Prepend prepend_;
  bool split_;
};

/// Words and runs of other visible characters, without what is between them.
class Whitespace final : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    const auto kind = [](char32_t c) { return is_word_character(c) ? 1 : is_white_space(c) ? 0 : 2; };
    cut_pieces(pieces, Behavior::kRemoved, true,
               [&](std::string_view piece, std::vector<std::pair<size_t, size_t>>& matches) {
                 int open = 0;
                 for (size_t at = 0; at < piece.size();) {
                   const size_t from = at;
                   const int now = kind(next_code(piece, at));
                   if (now != 0 && now == open)
                     matches.back().second = at;
                   else if (now != 0)
                     matches.emplace_back(from, at);
                   open = now;
                 }
               });
  }
};

/// Cuts at each character of a class.
template <bool (*Holds)(char32_t)>
void cut_at(Pieces& pieces, Behavior behavior) {
  cut_pieces(pieces, behavior, false, [](std::string_view piece, std::vector<std::pair<size_t, size_t>>& matches) {
    for (size_t at = 0; at < piece.size();) {
      const size_t from = at;
      if (Holds(next_code(piece, at))) matches.emplace_back(from, at);
    }
  });
}

class WhitespaceSplit final : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override { cut_at<is_white_space>(pieces, Behavior::kRemoved); }
};

class BertPreTokenizer final : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    cut_at<is_white_space>(pieces, Behavior::kRemoved);
    cut_at<is_punctuation>(pieces, Behavior::kIsolated);
  }
};

class PunctuationSplit final : public PreTokenizer {
 public:
  explicit PunctuationSplit(Behavior behavior) : behavior_(behavior) {}
  void apply(Pieces& pieces) const override { cut_at<is_punctuation>(pieces, behavior_); }

 private:
  Behavior behavior_;
};

class Digits final : public PreTokenizer {
 public:
  explicit Digits(bool individual) : individual_(individual) {}
  void apply(Pieces& pieces) const override {
    cut_at<is_numeric>(pieces, individual_ ? Behavior::kIsolated : Behavior::kContiguous);
  }

 private:
  bool individual_;
};

class Split final : public PreTokenizer {
 public:
  Split(const SearchFor& what, Behavior behavior, bool invert, const std::string& file)
      : finder_(what, file), behavior_(behavior), invert_(invert) {}
  void apply(Pieces& pieces) const override {
    cut_pieces(pieces, behavior_, invert_,
               [&](std::string_view piece, std::vector<std::pair<size_t, size_t>>& matches) {
                 finder_.find_all(piece, matches);
               });
  }

 private:
  Finder finder_;
  Behavior behavior_;
  bool invert_;
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_byte_level(bool add_prefix_space, bool use_regex) {
  return std::make_unique<ByteLevel>(add_prefix_space, use_regex);
}
std::unique_ptr<const PreTokenizer> make_metaspace(std::string replacement, Prepend prepend, bool split) {
  return std::make_unique<Metaspace>(std::move(replacement), prepend, split);
}
std::unique_ptr<const PreTokenizer> make_whitespace() { return std::make_unique<Whitespace>(); }
std::unique_ptr<const PreTokenizer> make_whitespace_split() { return std::make_unique<WhitespaceSplit>(); }
std::unique_ptr<const PreTokenizer> make_bert_pre_tokenizer() { return std::make_unique<BertPreTokenizer>(); }
std::unique_ptr<const PreTokenizer> make_punctuation(Behavior behavior) {
  return std::make_unique<PunctuationSplit>(behavior);
}
std::unique_ptr<const PreTokenizer> make_digits(bool individual) { return std::make_unique<Digits>(individual); }
std::unique_ptr<const PreTokenizer> make_split(const SearchFor& what, Behavior behavior, bool invert,
                                               const std::string& file) {
  return std::make_unique<Split>(what, behavior, invert, file);
}

}  // namespace weft::text
