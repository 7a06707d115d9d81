#include "text/pipeline.h"

#include <algorithm>
#include <utility>

#include "text/added_vocabulary.h"
#include "text/unicode.h"

namespace weft::text {

namespace {

class Pipeline final : public Engine {
 public:
  Pipeline(PipelineParts parts, const std::string& file)
      : normalizers_(std::move(parts.normalizers)),
        pre_tokenizers_(std::move(parts.pre_tokenizers)),
        model_(std::move(parts.model)),
        decoders_(std::move(parts.decoders)),
        file_(file),
        added_(
            std::move(parts.added), *model_, parts.vocabulary > 0 ? parts.vocabulary : model_->size(),
            [this](const std::string& text) {
              std::string normalized = text;
              bool leading = true;
              for (const auto& normalizer : normalizers_) {
                normalizer->apply(normalized, leading);
                check_normalized_size(text.size(), normalized.size(), file_);
              }
              return normalized;
            },
            file) {}

  void encode(std::string_view text, std::vector<std::int64_t>& ids) const override {
    std::vector<AddedVocabulary::Stretch> stretches;
    added_.split(text, false, stretches);
    for (const auto& stretch : stretches) {
      if (stretch.id >= 0)
        ids.push_back(stretch.id);
      else
        encode_section(text.substr(stretch.begin, stretch.end - stretch.begin), stretch.begin == 0, ids);
    }
  }

  std::string decode(std::span<const std::int64_t> ids, bool skip_special) const override {
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const std::int64_t id : ids) {
      std::optional<std::string_view> spelling = added_.spelling(id);
      if (!spelling) spelling = model_->token(id);
      if (spelling && !(skip_special && added_.special_text(*spelling))) tokens.emplace_back(*spelling);
    }
    for (const auto& decoder : decoders_) decoder->apply(tokens);
    std::string out;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0 && decoders_.empty()) out += ' ';
      out += tokens[i];
    }
    return out;
  }

  std::optional<std::string_view> token(std::int64_t id) const override {
    const std::optional<std::string_view> content = added_.content(id);
    return content ? content : model_->token(id);
  }
  std::optional<std::int64_t> id(std::string_view token) const override {
    const std::optional<std::int64_t> added = added_.id(token);
    return added ? added : model_->id(token);
  }
  bool is_special(std::int64_t id) const override {
    const std::optional<std::string_view> content = token(id);
    return content && added_.special_text(*content);
  }
  std::int64_t size() const override { return added_.size(); }

 private:
  /// Normalises; returns how many bytes at the front stem from the first character, 0 when that was dropped.
  size_t normalize(std::string& text) const {
    size_t first = 0;
    next_code(text, first);
    std::string head = text.substr(0, first);
    const size_t before = text.size();
    bool leading = true, whole = true;
    for (const auto& normalizer : normalizers_) {
      normalizer->apply(text, leading);
      check_normalized_size(before, text.size(), file_);
      normalizer->apply(head, whole);
    }
    return leading ? std::max<size_t>(head.size(), 1) : 0;
  }

  /// Text between added tokens that are looked for in raw text; not empty.
  void encode_section(std::string_view section, bool at_start, std::vector<std::int64_t>& ids) const {
    std::string text(section);
    const size_t leading = normalizers_.empty() ? 1 : normalize(text);
    std::vector<AddedVocabulary::Stretch> stretches;
    added_.split(text, true, stretches);
    Pieces pieces;
    for (const auto& stretch : stretches) {
      if (stretch.id >= 0) {
        ids.push_back(stretch.id);
        continue;
      }
      if (stretch.begin == 0 && stretch.end == text.size())
        pieces.text = std::move(text);
      else
        pieces.text = text.substr(stretch.begin, stretch.end - stretch.begin);
      pieces.ranges.assign(1,
                           {0, pieces.text.size(), at_start && leading > stretch.begin ? leading - stretch.begin : 0});
      for (const auto& pre_tokenizer : pre_tokenizers_) pre_tokenizer->apply(pieces);
      for (const auto& range : pieces.ranges) model_->encode(pieces.view(range), ids);
    }
  }

  std::vector<std::unique_ptr<const Normalizer>> normalizers_;
  std::vector<std::unique_ptr<const PreTokenizer>> pre_tokenizers_;
  std::unique_ptr<const Model> model_;
  std::vector<std::unique_ptr<const Decoder>> decoders_;
  std::string file_;
  AddedVocabulary added_;
};

}  // namespace

std::unique_ptr<const Engine> make_pipeline(PipelineParts parts, const std::string& file) {
  return std::make_unique<Pipeline>(std::move(parts), file);
}

}  // namespace weft::text
