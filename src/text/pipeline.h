#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/engine.h"

namespace weft::text {

/// Rewrites a section of text (`normalizer`). Input and output are valid UTF-8. Thread-safe.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// `leading` is true while the first character of `text` is still the one at the very start of the input; a
  /// normalizer that drops it says so. (Metaspace's prepend_scheme "first" asks for that.)
  virtual void apply(std::string& text, bool& leading) const = 0;
};

/// A chain of normalizers can multiply a text at every step; no real one does. `file` is named.
/// @throws InputError when `after` bytes are far too many for a text of `before`.
void check_normalized_size(size_t before, size_t after, const std::string& file);

/// A section of text cut into pieces. Pre-tokenizers cut further, drop pieces, or rewrite the text.
struct Pieces {
  struct Range {
    size_t begin = 0, end = 0;
    size_t leading = 0;  ///< how many bytes at its front stem from the first character of the input
  };
  std::string text;
  std::vector<Range> ranges;  ///< in order, none empty, not overlapping

  std::string_view view(const Range& range) const {
    return std::string_view(text).substr(range.begin, range.end - range.begin);
  }
};

/// Cuts pieces into smaller ones (`pre_tokenizer`). Thread-safe.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(Pieces& pieces) const = 0;
};

/// Rewrites the list of tokens that is then joined to the decoded text (`decoder`). Tokens may be invalid UTF-8 only
/// where the library would decode lossily. Thread-safe.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

/// The tokenizers library's pipeline: added tokens, normalizers, pre-tokenizers, model, decoders.
struct PipelineParts {
  std::vector<std::unique_ptr<const Normalizer>> normalizers;       ///< in order
  std::vector<std::unique_ptr<const PreTokenizer>> pre_tokenizers;  ///< in order
  std::unique_ptr<const Model> model;
  std::int64_t vocabulary = 0;                           ///< how many tokens the model has; 0: model->size()
  std::vector<std::unique_ptr<const Decoder>> decoders;  ///< in order; none: tokens are joined with blanks
  std::vector<AddedToken> added;                         ///< as in the file
};

/// `file` names the tokenizer in messages. @throws FormatError for added tokens that contradict the model.
std::unique_ptr<const Engine> make_pipeline(PipelineParts parts, const std::string& file);

}  // namespace weft::text
