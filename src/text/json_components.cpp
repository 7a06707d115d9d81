#include "text/json_components.h"

#include <fmt/format.h>

#include <utility>

#include "text/charsmap.h"
#include "text/component_fields.h"
#include "text/components.h"
#include "text/token_table.h"

namespace weft::text {

namespace {

/// Calls `read` for the members of a Sequence, which stand in the list `key`.
template <typename Read>
bool each_of_sequence(const ComponentFields& fields, std::string_view key, Read read) {
  if (fields.type() != "Sequence") return false;
  fields.only({key});
  const Value& list = fields.get(key);
  if (!list.is_list()) fields.bad(fmt::format("'{}' must be a list", key));
  for (const Value& member : list.list) read(member);
  return true;
}

std::unique_ptr<const Normalizer> make_normalizer(const ComponentFields& f, const std::string& file) {
  const std::string& type = f.type();
  static constexpr std::pair<std::string_view, Form> kForms[] = {
      {"NFC", Form::kNfc}, {"NFD", Form::kNfd}, {"NFKC", Form::kNfkc}, {"NFKD", Form::kNfkd}};
  for (const auto& [name, form] : kForms)
    if (type == name) return f.only({}), make_unicode_form(form);
  if (type == "Lowercase") return f.only({}), make_lowercase();
  if (type == "StripAccents") return f.only({}), make_strip_accents();
  if (type == "Nmt") return f.only({}), make_nmt();
  if (type == "ByteLevel") return f.only({}), make_byte_level_normalizer();
  if (type == "Strip") {
    f.only({"strip_left", "strip_right"});
    return make_strip(f.boolean("strip_left"), f.boolean("strip_right"));
  }
  if (type == "Prepend") return f.only({"prepend"}), make_prepend(f.text("prepend"));
  if (type == "Replace") {
    f.only({"pattern", "content"});
    return make_replace(f.search("pattern"), f.text("content"), file);
  }
  if (type == "Precompiled") {
    f.only({"precompiled_charsmap"});
    return make_precompiled(f.text("precompiled_charsmap"), file);
  }
  if (type == "BertNormalizer") {
    f.only({"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
    const bool lowercase = f.boolean("lowercase");
    return make_bert_normalizer(f.boolean("clean_text"), f.boolean("handle_chinese_chars"),
                                f.boolean("strip_accents", lowercase), lowercase);
  }
  f.unknown();
}

std::unique_ptr<const PreTokenizer> make_pre_tokenizer(const ComponentFields& f, const std::string& file) {
  const std::string& type = f.type();
  if (type == "ByteLevel") {
    f.only({"add_prefix_space", "trim_offsets", "use_regex"});
    return make_byte_level(f.boolean("add_prefix_space"), f.boolean("use_regex", true));
  }
  if (type == "Metaspace") {
    f.only({"replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
    return make_metaspace(f.character("replacement"), f.prepend_scheme(), f.boolean("split", true));
  }
  if (type == "Whitespace") return f.only({}), make_whitespace();
  if (type == "WhitespaceSplit") return f.only({}), make_whitespace_split();
  if (type == "BertPreTokenizer") return f.only({}), make_bert_pre_tokenizer();
  if (type == "Punctuation") {
    f.only({"behavior"});
    return make_punctuation(f.find("behavior") == nullptr ? Behavior::kIsolated : f.behavior("behavior"));
  }
  if (type == "Digits") return f.only({"individual_digits"}), make_digits(f.boolean("individual_digits"));
  if (type == "Split") {
    f.only({"pattern", "behavior", "invert"});
    return make_split(f.search("pattern"), f.behavior("behavior"), f.boolean("invert"), file);
  }
  f.unknown();
}

std::unique_ptr<const Decoder> make_decoder(const ComponentFields& f, const std::string& file) {
  const std::string& type = f.type();
  if (type == "ByteLevel") return f.only({"add_prefix_space", "trim_offsets", "use_regex"}), make_byte_level_decoder();
  if (type == "Metaspace") {
    f.only({"replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
    return make_metaspace_decoder(f.character("replacement"), f.prepend_scheme());
  }
  if (type == "WordPiece") {
    f.only({"prefix", "cleanup"});
    return make_wordpiece_decoder(f.text("prefix"), f.boolean("cleanup"));
  }
  if (type == "BPEDecoder") return f.only({"suffix"}), make_bpe_decoder(f.text("suffix"));
  if (type == "ByteFallback") return f.only({}), make_byte_fallback_decoder();
  if (type == "Fuse") return f.only({}), make_fuse_decoder();
  if (type == "Strip") {
    f.only({"content", "start", "stop"});
    return make_strip_decoder(f.character("content"), static_cast<size_t>(f.count("start")),
                              static_cast<size_t>(f.count("stop")));
  }
  if (type == "Replace") {
    f.only({"pattern", "content"});
    return make_replace_decoder(f.search("pattern"), f.text("content"), file);
  }
  f.unknown();
}

void append_special(const ComponentFields& f, const std::string& name, std::vector<std::int64_t>& out) {
  const Value* const token = f.get("special_tokens").is_map() ? f.get("special_tokens").find(name) : nullptr;
  const Value* const ids = token != nullptr && token->is_map() ? token->find("ids") : nullptr;
  if (ids == nullptr || !ids->is_list()) f.bad(fmt::format("special_tokens lacks '{}'", name));
  for (const Value& entry : ids->list) {
    const std::optional<long long> id = entry.integer();
    if (!id || *id < 0 || *id > kMaxTokenId) f.bad(fmt::format("special_tokens: '{}' has no usable id", name));
    out.push_back(*id);
  }
}

/// Only the template for single texts counts; it must have the text once.
void read_template(const ComponentFields& f, std::vector<std::int64_t>& before, std::vector<std::int64_t>& after) {
  f.only({"single", "pair", "special_tokens"});
  const Value& single = f.get("single");
  if (!single.is_list()) f.bad("'single' must be a list");
  int texts = 0;
  for (const Value& piece : single.list) {
    const Value* const sequence = piece.is_map() ? piece.find("Sequence") : nullptr;
    const Value* const special = piece.is_map() ? piece.find("SpecialToken") : nullptr;
    const Value* const chosen = sequence != nullptr ? sequence : special;
    const Value* const id = chosen != nullptr && chosen->is_map() ? chosen->find("id") : nullptr;
    if (id == nullptr || !id->is_scalar()) f.bad("'single' must consist of Sequence and SpecialToken");
    if (sequence == nullptr) {
      append_special(f, id->scalar, texts == 0 ? before : after);
    } else {
      if (id->scalar != "A") f.bad(fmt::format("'single' has the sequence '{}'", id->scalar));
      ++texts;
    }
  }
  if (texts != 1) f.unsupported(fmt::format("a template with the text {} times", texts));
}

}  // namespace

void read_normalizers(const Value& json, const std::string& file, std::vector<std::unique_ptr<const Normalizer>>& out) {
  if (json.is_null()) return;
  const ComponentFields fields(json, "normalizer", file);
  const auto read = [&](const Value& member) { read_normalizers(member, file, out); };
  if (!each_of_sequence(fields, "normalizers", read)) out.push_back(make_normalizer(fields, file));
}

void read_pre_tokenizers(const Value& json, const std::string& file,
                         std::vector<std::unique_ptr<const PreTokenizer>>& out) {
  if (json.is_null()) return;
  const ComponentFields fields(json, "pre_tokenizer", file);
  const auto read = [&](const Value& member) { read_pre_tokenizers(member, file, out); };
  if (!each_of_sequence(fields, "pretokenizers", read)) out.push_back(make_pre_tokenizer(fields, file));
}

void read_decoders(const Value& json, const std::string& file, std::vector<std::unique_ptr<const Decoder>>& out) {
  if (json.is_null()) return;
  const ComponentFields fields(json, "decoder", file);
  const auto read = [&](const Value& member) { read_decoders(member, file, out); };
  if (!each_of_sequence(fields, "decoders", read)) out.push_back(make_decoder(fields, file));
}

void read_post_processor(const Value& json, const std::string& file, std::vector<std::int64_t>& before,
                         std::vector<std::int64_t>& after) {
  if (json.is_null()) return;
  const ComponentFields fields(json, "post_processor", file);
  const auto read = [&](const Value& member) { read_post_processor(member, file, before, after); };
  if (each_of_sequence(fields, "processors", read)) return;
  const std::string& type = fields.type();
  if (type == "ByteLevel") return fields.only({"add_prefix_space", "trim_offsets", "use_regex"});
  if (!before.empty() || !after.empty()) fields.unsupported("a second post-processor that adds tokens");
  if (type == "TemplateProcessing") return read_template(fields, before, after);
  if (type != "BertProcessing" && type != "RobertaProcessing") fields.unknown();
  fields.only({"sep", "cls", "trim_offsets", "add_prefix_space"});
  before.push_back(fields.token_id("cls"));
  after.push_back(fields.token_id("sep"));
}

}  // namespace weft::text
