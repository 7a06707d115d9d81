#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/pipeline.h"

namespace weft::text {

/// What a Split or Replace looks for. `file` names the tokenizer in messages.
struct SearchFor {
  std::string text;
  bool regex = false;
};

/// What a cut does with the delimiters it finds.
enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
enum class Prepend { kAlways, kFirst, kNever };
enum class Form { kNfc, kNfd, kNfkc, kNfkd };

// The parts of pipelines, as legacy loaders put them together by hand. Names and options are those of tokenizer.json.
std::unique_ptr<const Normalizer> make_unicode_form(Form form);
std::unique_ptr<const Normalizer> make_lowercase();
std::unique_ptr<const Normalizer> make_strip(bool left, bool right);
std::unique_ptr<const Normalizer> make_strip_accents();
std::unique_ptr<const Normalizer> make_prepend(std::string text);
std::unique_ptr<const Normalizer> make_replace(const SearchFor& what, std::string with, const std::string& file);
std::unique_ptr<const Normalizer> make_nmt();
std::unique_ptr<const Normalizer> make_byte_level_normalizer();
std::unique_ptr<const Normalizer> make_bert_normalizer(bool clean_text, bool chinese_chars, bool strip_accents,
                                                       bool lowercase);

std::unique_ptr<const PreTokenizer> make_byte_level(bool add_prefix_space, bool use_regex);
std::unique_ptr<const PreTokenizer> make_metaspace(std::string replacement, Prepend prepend, bool split);
std::unique_ptr<const PreTokenizer> make_whitespace();
std::unique_ptr<const PreTokenizer> make_whitespace_split();
std::unique_ptr<const PreTokenizer> make_bert_pre_tokenizer();
std::unique_ptr<const PreTokenizer> make_punctuation(Behavior behavior);
std::unique_ptr<const PreTokenizer> make_digits(bool individual);
std::unique_ptr<const PreTokenizer> make_split(const SearchFor& what, Behavior behavior, bool invert,
                                               const std::string& file);

std::unique_ptr<const Decoder> make_byte_level_decoder();
std::unique_ptr<const Decoder> make_metaspace_decoder(std::string replacement, Prepend prepend);
std::unique_ptr<const Decoder> make_wordpiece_decoder(std::string prefix, bool cleanup);
std::unique_ptr<const Decoder> make_bpe_decoder(std::string suffix);
std::unique_ptr<const Decoder> make_byte_fallback_decoder();
std::unique_ptr<const Decoder> make_fuse_decoder();
std::unique_ptr<const Decoder> make_strip_decoder(std::string content, size_t start, size_t stop);
std::unique_ptr<const Decoder> make_replace_decoder(const SearchFor& what, std::string with, const std::string& file);

}  // namespace weft::text
