#include "text/json_loader.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "io/json_reader.h"
#include "text/json_components.h"
#include "text/models/bpe.h"
#include "text/models/unigram.h"
#include "text/models/wordlevel.h"
#include "text/models/wordpiece.h"
#include "text/pipeline.h"
#include "text/token_table.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

using Kind = io::JsonReader::Kind;

/// The fields of `model`, whatever its type: the type may come last, or not at all in old files.
struct ModelJson {
  std::string type;
  TokenTable vocab;                                           // vocab as an object
  std::vector<std::pair<std::string, double>> scores;         // vocab as a list
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;  // once the vocabulary is known
  std::vector<std::pair<std::string, std::string>> early;     // merges that come before it
  bool has_vocab = false, has_merges = false, has_prefix = false;
  std::optional<std::string> unk_token;
  std::optional<std::int64_t> unk_id;
  std::string prefix, suffix;
  std::int64_t longest_word = 100;
  bool fuse_unk = false, byte_fallback = false, ignore_merges = false;
};

class TokenizerReader {
 public:
  TokenizerReader(std::string_view json, const std::string& file) : reader_(json, file), file_(file) {}

  Tokenizer::Data read() {
    std::string key;
    for (reader_.begin_map(); reader_.next_key(key);) field(key);
    reader_.end();
    if (!has_model_) throw FormatError(file_, "there is no 'model'");
    PipelineParts parts;
    read_normalizers(normalizer_, file_, parts.normalizers);
    read_pre_tokenizers(pre_tokenizer_, file_, parts.pre_tokenizers);
    read_decoders(decoder_, file_, parts.decoders);
    Tokenizer::Data data;
    read_post_processor(post_processor_, file_, data.before, data.after);
    parts.added = std::move(added_);
    make_model(parts, data);
    data.engine = make_pipeline(std::move(parts), file_);
    return data;
  }

 private:
  void field(const std::string& key) {
    if (key == "version") {
      if (reader_.text() != "1.0") throw UnsupportedError(fmt::format("{}: only version 1.0 is supported", file_));
    } else if (key == "truncation" || key == "padding") {
      reader_.skip();
    } else if (key == "added_tokens") {
      if (!null()) read_added();
    } else if (key == "normalizer") {
      normalizer_ = reader_.value();
    } else if (key == "pre_tokenizer") {
      pre_tokenizer_ = reader_.value();
    } else if (key == "post_processor") {
      post_processor_ = reader_.value();
    } else if (key == "decoder") {
      decoder_ = reader_.value();
    } else if (key == "model") {
      if (has_model_) reader_.fail("a second 'model'");
      has_model_ = true;
      read_model();
    } else {
      throw UnsupportedError(fmt::format("{}: the field '{}' is not supported", file_, key));
    }
  }

  bool null() {
    if (reader_.peek() != Kind::kNull) return false;
    reader_.null();
    return true;
  }
  std::optional<std::string> optional_text() {
    if (null()) return std::nullopt;
    return std::string(reader_.text());
  }
  bool optional_flag() { return !null() && reader_.boolean(); }

  void read_added() {
    std::string key;
    for (reader_.begin_list(); reader_.next_entry();) {
      AddedToken token;
      bool has_content = false;
      for (reader_.begin_map(); reader_.next_key(key);) {
        if (key == "id")
          token.id = reader_.integer();
        else if (key == "content")
          token.content = reader_.text(), has_content = true;
        else if (key == "special")
          token.special = reader_.boolean();
        else if (key == "single_word")
          token.single_word = reader_.boolean();
        else if (key == "lstrip")
          token.lstrip = reader_.boolean();
        else if (key == "rstrip")
          token.rstrip = reader_.boolean();
        else if (key == "normalized")
          token.normalized = reader_.boolean();
        else
          throw UnsupportedError(fmt::format("{}: added_tokens: the option '{}' is not supported", file_, key));
      }
      if (!has_content) reader_.fail("added_tokens: a token without 'content'");
      added_.push_back(std::move(token));
    }
  }

  void read_model() {
    std::string key;
    for (reader_.begin_map(); reader_.next_key(key);) {
      if (key == "vocab")
        read_vocab();
      else if (key == "merges")
        read_merges();
      else
        model_option(key);
    }
    for (const auto& [left, right] : model_.early) model_.merges.push_back(merge_ids(model_.vocab, left, right, file_));
    model_.early = {};
  }

  void model_option(const std::string& key) {
    ModelJson& m = model_;
    if (key == "type") {
      m.type = reader_.text();
    } else if (key == "dropout") {
      if (!null() && reader_.number() != 0)
        throw UnsupportedError(fmt::format("{}: model: dropout makes ids random and is not supported", file_));
    } else if (key == "unk_token") {
      m.unk_token = optional_text();
    } else if (key == "unk_id") {
      if (!null()) m.unk_id = reader_.integer();
    } else if (key == "continuing_subword_prefix") {
      m.prefix = optional_text().value_or("");
      m.has_prefix = true;
    } else if (key == "end_of_word_suffix") {
      m.suffix = optional_text().value_or("");
    } else if (key == "max_input_chars_per_word") {
      m.longest_word = reader_.integer();
      if (m.longest_word < 0) reader_.fail("max_input_chars_per_word must not be negative");
    } else if (key == "fuse_unk") {
      m.fuse_unk = optional_flag();
    } else if (key == "byte_fallback") {
      m.byte_fallback = optional_flag();
    } else if (key == "ignore_merges") {
      m.ignore_merges = optional_flag();
    } else {
      throw UnsupportedError(fmt::format("{}: model: the option '{}' is not supported", file_, key));
    }
  }

  void read_vocab() {
    if (model_.has_vocab) reader_.fail("a second 'vocab'");
    model_.has_vocab = true;
    if (reader_.peek() == Kind::kList) return read_scores();
    std::string token;
    for (reader_.begin_map(); reader_.next_key(token);) {
      const std::int64_t id = reader_.integer();
      if (model_.vocab.add(token, id)) continue;
      if (id < 0 || id > kMaxTokenId)
        reader_.fail(fmt::format("model.vocab: the id {} of '{}' is out of range", id, token));
      reader_.fail(fmt::format("model.vocab: the token '{}' or its id {} is there twice", token, id));
    }
  }

  void read_scores() {
    for (reader_.begin_list(); reader_.next_entry();) {
      reader_.begin_list();
      if (!reader_.next_entry()) reader_.fail("model.vocab: an empty entry");
      std::string token(reader_.text());
      if (!reader_.next_entry()) reader_.fail("model.vocab: an entry without its score");
      const double score = reader_.number();
      if (reader_.next_entry()) reader_.fail("model.vocab: an entry of more than two");
      if (static_cast<std::int64_t>(model_.scores.size()) >= kMaxTokenId) reader_.fail("model.vocab: too many tokens");
      model_.scores.emplace_back(std::move(token), score);
    }
  }

  void read_merges() {
    if (model_.has_merges) reader_.fail("a second 'merges'");
    model_.has_merges = true;
    std::string left;
    for (reader_.begin_list(); reader_.next_entry();) {
      if (reader_.peek() == Kind::kText) {
        const std::string_view pair = reader_.text();
        if (pair.starts_with("#version")) continue;
        const size_t blank = pair.find(' ');
        if (blank == std::string_view::npos || pair.find(' ', blank + 1) != std::string_view::npos)
          reader_.fail("model.merges: an entry that is not two tokens");
        add_merge(pair.substr(0, blank), pair.substr(blank + 1));
        continue;
      }
      reader_.begin_list();
      if (!reader_.next_entry()) reader_.fail("model.merges: an empty entry");
      left = reader_.text();
      if (!reader_.next_entry()) reader_.fail("model.merges: an entry that is not two tokens");
      add_merge(left, reader_.text());
      if (reader_.next_entry()) reader_.fail("model.merges: an entry that is not two tokens");
    }
  }

  void add_merge(std::string_view left, std::string_view right) {
    if (model_.has_vocab)
      model_.merges.push_back(merge_ids(model_.vocab, left, right, file_));
    else
      model_.early.emplace_back(left, right);
  }

  std::string model_type() const {
    if (!model_.type.empty()) return model_.type;
    // Files of old versions do not say; what they have tells.
    if (model_.has_merges) return "BPE";
    if (!model_.scores.empty()) return "Unigram";
    return model_.has_prefix ? "WordPiece" : "WordLevel";
  }

  void make_model(PipelineParts& parts, Tokenizer::Data& data) {
    ModelJson& m = model_;
    const std::string type = model_type();
    if (!m.has_vocab) throw FormatError(file_, "model: there is no 'vocab'");
    if (type == "Unigram" ? m.vocab.count() > 0 : !m.scores.empty())
      throw FormatError(file_, fmt::format("model {}: 'vocab' has the form of another type", type));
    const auto unk_token = [&] {
      if (!m.unk_token) throw FormatError(file_, fmt::format("model {}: 'unk_token' is missing", type));
      return *m.unk_token;
    };
    if (m.unk_token && m.vocab.id(*m.unk_token) >= 0) data.unk = m.vocab.id(*m.unk_token);
    parts.vocabulary = static_cast<std::int64_t>(m.vocab.count() + m.scores.size());
    if (type == "BPE") {
      if (!m.has_merges) throw FormatError(file_, "model BPE: there are no 'merges'");
      parts.model = make_bpe({std::move(m.vocab), std::move(m.merges), m.unk_token, m.prefix, m.suffix, m.fuse_unk,
                              m.byte_fallback, m.ignore_merges},
                             file_);
    } else if (type == "Unigram") {
      data.unk = m.unk_id;
      parts.model = make_unigram(std::move(m.scores), m.unk_id, m.byte_fallback, file_);
    } else if (type == "WordPiece") {
      parts.model = make_wordpiece(std::move(m.vocab), unk_token(), m.prefix, m.longest_word, file_);
    } else if (type == "WordLevel") {
      parts.model = make_wordlevel(std::move(m.vocab), unk_token(), file_);
    } else {
      throw UnsupportedError(
          fmt::format("{}: the model '{}' is not supported; supported: BPE, Unigram, WordPiece, "
                      "WordLevel",
                      file_, type));
    }
  }

  io::JsonReader reader_;
  std::string file_;
  Value normalizer_, pre_tokenizer_, post_processor_, decoder_;
  std::vector<AddedToken> added_;
  bool has_model_ = false;
  ModelJson model_;
};

}  // namespace

Tokenizer::Data parse_tokenizer_json(std::string_view json, const std::string& file) {
  return TokenizerReader(json, file).read();
}

}  // namespace weft::text
