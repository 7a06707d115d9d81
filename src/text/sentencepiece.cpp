#include "text/sentencepiece.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/json.h"
#include "io/mapped_file.h"
#include "text/config_tokens.h"
#include "text/sentencepiece_engine.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

/// What the classes of transformers do beside the model file.
struct SentencePieceClass {
  std::string_view name, model_type;
  bool bos, eos;
  bool prefix_once;  ///< unless `legacy` says otherwise
  int extra_ids;
};

constexpr std::array<SentencePieceClass, 6> kSentencePieceClasses = {{
    {"LlamaTokenizer", "llama", true, false, true, 0},
    {"CodeLlamaTokenizer", "mistral", true, false, true, 0},
    {"GemmaTokenizer", "gemma", true, false, false, 0},
    {"T5Tokenizer", "t5", false, true, false, 100},
    {"MT5Tokenizer", "mt5", false, true, false, 0},
    {"", "", false, false, false, 0},
}};

std::string model_type_beside(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  if (!std::filesystem::exists(path)) return "";
  const Value config = io::read_json(path);
  const Value* type = config.is_map() ? config.find("model_type") : nullptr;
  return type != nullptr && type->is_scalar() ? type->scalar : "";
}

/// By tokenizer_class, else by config.json's model_type, else a class that adds nothing.
const SentencePieceClass& sentencepiece_class(const ConfigFiles& config, const std::filesystem::path& model) {
  std::string name = config.tokenizer_class;
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  const std::string type = name.empty() ? model_type_beside(model.parent_path()) : "";
  for (const SentencePieceClass& row : kSentencePieceClasses)
    if (name.empty() ? row.model_type == type : row.name == name) return row;
  if (name.empty()) return kSentencePieceClasses.back();
  std::string known;
  for (const SentencePieceClass& row : kSentencePieceClasses)
    if (!row.name.empty()) known += (known.empty() ? "" : ", ") + std::string(row.name);
  throw UnsupportedError(fmt::format(
      "{}: tokenizer_class {} changes the ids of the SentencePiece model in a way that is not known here (known: {}); "
      "put its tokenizer.json beside it",
      model.string(), config.tokenizer_class, known));
}

std::optional<bool> config_flag(const ConfigFiles& config, std::string_view key) {
  const Value* value = config.config.is_map() ? config.config.find(key) : nullptr;
  return value != nullptr && value->is_scalar() ? value->boolean() : std::nullopt;
}

/// `<extra_id_99>` comes first, so that T5's sentinels count down.
std::vector<std::string> extra_ids(const SentencePieceClass& kind, const ConfigFiles& config) {
  const Value* value = config.config.is_map() ? config.config.find("extra_ids") : nullptr;
  std::int64_t count = kind.extra_ids;
  if (kind.extra_ids > 0 && value != nullptr && value->is_scalar()) count = value->integer().value_or(count);
  std::vector<std::string> names;
  for (std::int64_t i = std::clamp<std::int64_t>(count, 0, 10'000); i-- > 0;)
    names.push_back(fmt::format("<extra_id_{}>", i));
  return names;
}

std::optional<std::int64_t> named_id(const Engine& engine, const std::optional<std::string>& text, std::int64_t own) {
  if (text)
    if (const auto id = engine.id(*text)) return id;
  return own < 0 ? std::nullopt : std::optional<std::int64_t>(own);
}

}  // namespace

Tokenizer::Data load_sentencepiece(const std::filesystem::path& model, const ConfigFiles& config) {
  const auto file = io::MappedFile::open(model);
  const SentencePieceClass& kind = sentencepiece_class(config, model);
  SentencePieceOptions options;
  options.prefix_every_part = !kind.prefix_once || config_flag(config, "legacy").value_or(false);
  auto engine = std::make_unique<SentencePieceEngine>(
      std::string_view(reinterpret_cast<const char*>(file->data()), file->size()), options, model.string());
  const KnownTokens known{[&](std::string_view token) { return engine->id(token); },
                          [&](std::int64_t id) { return engine->token(id); }, engine->pieces()};
  engine->add(config_added_tokens(config, model.parent_path(), extra_ids(kind, config), known));

  Tokenizer::Data data;
  data.bos = named_id(*engine, config.bos, engine->bos());
  data.eos = named_id(*engine, config.eos, engine->eos());
  data.pad = named_id(*engine, config.pad, engine->pad());
  data.unk = named_id(*engine, config.unk, engine->unk());
  const auto ask = [&](bool wanted, const std::optional<std::int64_t>& id, const char* what,
                       std::vector<std::int64_t>& out) {
    if (!wanted) return;
    if (!id) throw FormatError(model.string(), fmt::format("its {} token is to be added, but it has none", what));
    out.push_back(*id);
  };
  ask(config.add_bos.value_or(kind.bos), data.bos, "start", data.before);
  ask(config.add_eos.value_or(kind.eos), data.eos, "end", data.after);
  data.engine = std::move(engine);
  return data;
}

}  // namespace weft::text
