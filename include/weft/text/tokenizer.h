#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/core/error.h"

namespace weft::text {

/**
 * Text to token ids and back, as the tokenizers library and SentencePiece do it, id for id. Cheap to copy (shared,
 * immutable); safe to use from several threads.
 */
class WEFT_API Tokenizer {
 public:
  /**
   * Opens the tokenizer of a checkpoint folder: `tokenizer.json`, else `vocab.json` + `merges.txt` (byte-level BPE),
   * else `vocab.txt` (WordPiece), else a SentencePiece model (`tokenizer.model`, `spiece.model`,
   * `sentencepiece.bpe.model`); or one such file.
   * @throws InputError when there is none, FormatError when it is malformed, UnsupportedError naming the component that
   *         is not known: never a near miss.
   */
  static Tokenizer open(const std::filesystem::path& path);
  /// True if `folder` has one of the files that open() looks for.
  static bool present(const std::filesystem::path& folder);

  /**
   * The ids of `text` (UTF-8). With `special`, the post-processor's start and end tokens are added (without
   * `tokenizer.json`: what `tokenizer_config.json` asks for). Added tokens inside the text are recognised either way.
   * @throws InputError on text that is not UTF-8, with the offset of the first bad byte.
   */
  std::vector<std::int64_t> encode(std::string_view text, bool special = true) const;
  /// The ids of many texts, in parallel on `threads` (0: all).
  std::vector<std::vector<std::int64_t>> encode_all(std::span<const std::string> texts, bool special = true,
                                                    int threads = 0) const;
  /// The text of ids, by the tokenizer's decoder; special tokens are left out when `skip_special`. Ids without a token
  /// give nothing. Always valid UTF-8 (U+FFFD for what is not).
  std::string decode(std::span<const std::int64_t> ids, bool skip_special = true) const;

  /// The token of an id as the vocabulary spells it, or an empty text.
  std::string token(std::int64_t id) const;
  /// The id of a token of the vocabulary or of an added token.
  std::optional<std::int64_t> id(std::string_view token) const;
  /// True for special tokens (start, end, padding, …).
  bool is_special(std::int64_t id) const;
  /// One more than the largest id.
  std::int64_t size() const;
  /// Start, end, padding and unknown tokens, as `tokenizer_config.json`, `special_tokens_map.json` or the model say.
  std::optional<std::int64_t> bos() const, eos() const, pad() const, unk() const;
  /// The file that was read.
  const std::filesystem::path& path() const;

  struct Data;

 private:
  explicit Tokenizer(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

/// Decodes a growing sequence: gives out text as soon as later ids cannot change it (incomplete UTF-8 is held back).
class WEFT_API StreamDecoder {
 public:
  /// `context`: ids before the stream (a prompt), which decide about a leading space but are not given out.
  explicit StreamDecoder(Tokenizer tokenizer, std::vector<std::int64_t> context = {}, bool skip_special = true);
  /// Takes one more id; returns the text that became final (often one token's, sometimes nothing).
  std::string push(std::int64_t id);
  /// What was held back.
  std::string finish();

 private:
  Tokenizer tokenizer_;
  std::vector<std::int64_t> ids_;
  size_t prefix_ = 0, read_ = 0;
  bool skip_special_;
};

}  // namespace weft::text
