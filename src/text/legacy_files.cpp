#include "text/legacy_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/json.h"
#include "io/json_reader.h"
#include "io/mapped_file.h"
#include "io/utf8.h"
#include "text/components.h"
#include "text/config_tokens.h"
#include "text/models/bpe.h"
#include "text/models/wordpiece.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

/// What the classes of transformers make of a folder without tokenizer.json.
struct LegacyClass {
  std::string_view name, model_type;
  enum class Kind { kGpt2, kRoberta, kQwen2, kNeoX, kBert } kind;
};

using LegacyKind = LegacyClass::Kind;

constexpr std::array<LegacyClass, 16> kLegacyClasses = {{
    {"GPT2Tokenizer", "gpt2", LegacyKind::kGpt2},
    {"GPT2Tokenizer", "opt", LegacyKind::kGpt2},
    {"RobertaTokenizer", "roberta", LegacyKind::kRoberta},
    {"BartTokenizer", "bart", LegacyKind::kRoberta},
    {"LongformerTokenizer", "longformer", LegacyKind::kRoberta},
    {"Qwen2Tokenizer", "qwen2", LegacyKind::kQwen2},
    {"Qwen2Tokenizer", "qwen3", LegacyKind::kQwen2},
    {"GPTNeoXTokenizer", "gpt_neox", LegacyKind::kNeoX},
    {"BertTokenizer", "bert", LegacyKind::kBert},
    {"DistilBertTokenizer", "distilbert", LegacyKind::kBert},
    {"ElectraTokenizer", "electra", LegacyKind::kBert},
    {"MobileBertTokenizer", "mobilebert", LegacyKind::kBert},
    {"ConvBertTokenizer", "convbert", LegacyKind::kBert},
    {"LayoutLMTokenizer", "layoutlm", LegacyKind::kBert},
    {"LxmertTokenizer", "lxmert", LegacyKind::kBert},
    {"SqueezeBertTokenizer", "squeezebert", LegacyKind::kBert},
}};

constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::string legacy_model_type(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  if (!std::filesystem::exists(path)) return "";
  const Value config = io::read_json(path);
  const Value* type = config.is_map() ? config.find("model_type") : nullptr;
  return type != nullptr && type->is_scalar() ? type->scalar : "";
}

/// By tokenizer_class, else by config.json's model_type, else `otherwise`. Only BERT's kind reads a vocab.txt.
LegacyKind legacy_kind(const ConfigFiles& config, const std::filesystem::path& vocab, LegacyKind otherwise) {
  std::string name = config.tokenizer_class;
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  const std::string type = name.empty() ? legacy_model_type(vocab.parent_path()) : "";
  if (name.empty() && type.empty()) return otherwise;
  std::string known;
  for (const LegacyClass& row : kLegacyClasses) {
    if ((row.kind == LegacyKind::kBert) != (otherwise == LegacyKind::kBert)) continue;
    if (name.empty() ? row.model_type == type : row.name == name) return row.kind;
    if (known.find(row.name) == std::string::npos) known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw UnsupportedError(
      fmt::format("{}: what {} makes of this file is not known here (known: {}); put its "
                  "tokenizer.json beside it",
                  vocab.string(), name.empty() ? "model_type " + type : config.tokenizer_class, known));
}

bool legacy_flag(const ConfigFiles& config, std::string_view key, bool otherwise) {
  const Value* value = config.config.is_map() ? config.config.find(key) : nullptr;
  return value != nullptr && value->is_scalar() ? value->boolean().value_or(otherwise) : otherwise;
}

/// The configuration with the class's own special tokens where it says nothing; null means none.
ConfigFiles with_roles(ConfigFiles config, const std::vector<std::pair<std::string, std::string>>& roles) {
  if (!config.config.is_map()) config.config = Value::make_map();
  const auto settle = [&](std::string_view role, std::optional<std::string>& text, const std::string& usual) {
    if (!text && config.config.find(role) == nullptr) text = usual;
  };
  for (const auto& [role, usual] : roles) {
    if (role == "bos_token")
      settle(role, config.bos, usual);
    else if (role == "eos_token")
      settle(role, config.eos, usual);
    else if (role == "pad_token")
      settle(role, config.pad, usual);
    else if (role == "unk_token")
      settle(role, config.unk, usual);
    else if (config.config.find(role) == nullptr)
      config.config.set(role, Value::text(usual));
  }
  return config;
}

/// The text of a role such as cls_token.
std::optional<std::string> role_text(const ConfigFiles& config, std::string_view role) {
  const Value* value = config.config.find(role);
  if (value != nullptr && value->is_map()) value = value->find("content");
  if (value == nullptr || !value->is_scalar()) return std::nullopt;
  return value->scalar;
}

std::string_view content_of(const io::MappedFile& file) {
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

TokenTable read_vocab_json(const std::filesystem::path& path) {
  const auto file = io::MappedFile::open(path);
  io::JsonReader reader(content_of(*file), path.string());
  TokenTable table;
  table.reserve(file->size() / 20, file->size() / 2);
  std::string key;
  for (reader.begin_map(); reader.next_key(key);) {
    const std::int64_t id = reader.integer();
    if (!table.add(key, id))
      throw FormatError(path.string(), fmt::format("'{}' with id {}: the token or the id is there twice, or the id is "
                                                   "not between 0 and {}",
                                                   key, id, kMaxTokenId));
  }
  reader.end();
  if (table.count() == 0) throw FormatError(path.string(), "the vocabulary is empty");
  return table;
}

/// Calls `use(line, number)` for each line, without its end.
template <typename Use>
void each_line(const std::filesystem::path& path, const Use& use) {
  const auto file = io::MappedFile::open(path);
  const std::string_view text = content_of(*file);
  if (!io::valid_utf8(text)) throw FormatError(path.string(), "not UTF-8");
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    use(line, ++number);
    at = end + 1;
  }
}

std::vector<std::pair<std::int32_t, std::int32_t>> read_merges(const std::filesystem::path& path,
                                                               const TokenTable& vocab) {
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;
  each_line(path, [&](std::string_view line, size_t number) {
    if (line.empty() || line.starts_with("#version")) return;
    const size_t blank = line.find(' ');
    const std::string place = fmt::format("{}:{}", path.string(), number);
    if (blank == 0 || blank >= line.size() - 1 || line.find(' ', blank + 1) != std::string_view::npos)
      throw FormatError(place, "expected two tokens with a blank between them");
    merges.push_back(merge_ids(vocab, line.substr(0, blank), line.substr(blank + 1), place));
  });
  return merges;
}

TokenTable read_vocab_txt(const std::filesystem::path& path) {
  TokenTable table;
  std::int64_t id = 0;
  each_line(path, [&](std::string_view line, size_t number) {
    if (!table.add(line, id++))
      throw FormatError(fmt::format("{}:{}", path.string(), number), fmt::format("'{}' is there twice", line));
  });
  if (table.count() == 0) throw FormatError(path.string(), "the vocabulary is empty");
  return table;
}

/// Added tokens, engine and the ids of special tokens.
Tokenizer::Data legacy_data(PipelineParts parts, const ConfigFiles& config, const std::filesystem::path& vocab) {
  const Model& model = *parts.model;
  const KnownTokens known{[&](std::string_view token) { return model.id(token); },
                          [&](std::int64_t id) { return model.token(id); }, model.size()};
  parts.added = config_added_tokens(config, vocab.parent_path(), {}, known);
  Tokenizer::Data data;
  data.engine = make_pipeline(std::move(parts), vocab.string());
  const auto id = [&](const std::optional<std::string>& text) { return text ? data.engine->id(*text) : std::nullopt; };
  data.bos = id(config.bos);
  data.eos = id(config.eos);
  data.pad = id(config.pad);
  data.unk = id(config.unk);
  return data;
}

std::int64_t edge_token(const Tokenizer::Data& data, const std::optional<std::string>& text, const char* role,
                        const std::filesystem::path& vocab) {
  const auto id = text ? data.engine->id(*text) : std::nullopt;
  if (!id) throw FormatError(vocab.string(), fmt::format("a {} is to be added to each text, but there is none", role));
  return *id;
}

std::vector<std::pair<std::string, std::string>> roles_of(LegacyKind kind) {
  const std::string end = "<|endoftext|>";
  switch (kind) {
    case LegacyKind::kGpt2: return {{"bos_token", end}, {"eos_token", end}, {"unk_token", end}};
    case LegacyKind::kQwen2: return {{"eos_token", end}, {"unk_token", end}, {"pad_token", end}};
    case LegacyKind::kNeoX:
      return {{"bos_token", end}, {"eos_token", end}, {"unk_token", end}, {"pad_token", "<|padding|>"}};
    case LegacyKind::kRoberta:
      return {{"bos_token", "<s>"},   {"eos_token", "</s>"}, {"unk_token", "<unk>"},  {"sep_token", "</s>"},
              {"pad_token", "<pad>"}, {"cls_token", "<s>"},  {"mask_token", "<mask>"}};
    case LegacyKind::kBert:
      return {{"unk_token", "[UNK]"},
              {"sep_token", "[SEP]"},
              {"pad_token", "[PAD]"},
              {"cls_token", "[CLS]"},
              {"mask_token", "[MASK]"}};
  }
  return {};
}

}  // namespace

Tokenizer::Data load_vocab_merges(const std::filesystem::path& vocab, const std::filesystem::path& merges,
                                  const ConfigFiles& config) {
  const LegacyKind kind = legacy_kind(config, vocab, LegacyKind::kGpt2);
  const ConfigFiles full = with_roles(config, roles_of(kind));
  BpeOptions options;
  options.vocab = read_vocab_json(vocab);
  options.merges = read_merges(merges, options.vocab);
  PipelineParts parts;
  parts.model = make_bpe(std::move(options), vocab.string());
  const bool qwen = kind == LegacyKind::kQwen2;
  if (qwen || kind == LegacyKind::kNeoX) parts.normalizers.push_back(make_unicode_form(Form::kNfc));
  if (qwen)
    parts.pre_tokenizers.push_back(
        make_split({std::string(kQwen2Pattern), true}, Behavior::kIsolated, false, vocab.string()));
  parts.pre_tokenizers.push_back(make_byte_level(legacy_flag(config, "add_prefix_space", false), !qwen));
  parts.decoders.push_back(make_byte_level_decoder());
  Tokenizer::Data data = legacy_data(std::move(parts), full, vocab);
  if (kind == LegacyKind::kRoberta) {
    data.before.push_back(edge_token(data, role_text(full, "cls_token"), "cls_token", vocab));
    data.after.push_back(edge_token(data, role_text(full, "sep_token"), "sep_token", vocab));
    return data;
  }
  if (config.add_bos.value_or(false)) data.before.push_back(edge_token(data, full.bos, "bos_token", vocab));
  if (config.add_eos.value_or(false)) data.after.push_back(edge_token(data, full.eos, "eos_token", vocab));
  return data;
}

Tokenizer::Data load_vocab_txt(const std::filesystem::path& vocab, const ConfigFiles& config) {
  const LegacyKind kind = legacy_kind(config, vocab, LegacyKind::kBert);
  const ConfigFiles full = with_roles(config, roles_of(kind));
  const bool lower = legacy_flag(config, "do_lower_case", true);
  PipelineParts parts;
  parts.model = make_wordpiece(read_vocab_txt(vocab), full.unk.value_or("[UNK]"), "##", 100, vocab.string());
  parts.normalizers.push_back(make_bert_normalizer(true, legacy_flag(config, "tokenize_chinese_chars", true),
                                                   legacy_flag(config, "strip_accents", lower), lower));
  parts.pre_tokenizers.push_back(make_bert_pre_tokenizer());
  parts.decoders.push_back(make_wordpiece_decoder("##", true));
  Tokenizer::Data data = legacy_data(std::move(parts), full, vocab);
  data.before.push_back(edge_token(data, role_text(full, "cls_token"), "cls_token", vocab));
  data.after.push_back(edge_token(data, role_text(full, "sep_token"), "sep_token", vocab));
  return data;
}

}  // namespace weft::text
