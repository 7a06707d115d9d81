#include "weft/text/tokenizer.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "io/mapped_file.h"
#include "io/utf8.h"
#include "text/config_files.h"
#include "text/engine.h"
#include "text/json_loader.h"
#include "text/legacy_files.h"
#include "text/sentencepiece.h"
#include "text/unicode.h"
#include "weft/core/parallel.h"

namespace weft::text {

namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 3> kSentencePieceNames = {"tokenizer.model", "spiece.model",
                                                            "sentencepiece.bpe.model"};

bool is_file(const fs::path& path) {
  std::error_code none;
  return fs::is_regular_file(path, none);
}

/// The file of a folder that decides, in the order of preference; empty when there is none.
fs::path deciding_file(const fs::path& folder) {
  if (is_file(folder / "tokenizer.json")) return folder / "tokenizer.json";
  if (is_file(folder / "vocab.json") && is_file(folder / "merges.txt")) return folder / "vocab.json";
  if (is_file(folder / "vocab.txt")) return folder / "vocab.txt";
  for (const char* const name : kSentencePieceNames)
    if (is_file(folder / name)) return folder / name;
  return {};
}

Tokenizer::Data load_file(const fs::path& path, const ConfigFiles& config) {
  const std::string name = path.filename().string();
  if (name == "vocab.json" || name == "merges.txt")
    return load_vocab_merges(path.parent_path() / "vocab.json", path.parent_path() / "merges.txt", config);
  if (path.extension() == ".txt") return load_vocab_txt(path, config);
  if (path.extension() == ".model") return load_sentencepiece(path, config);
  if (path.extension() != ".json")
    throw InputError(fmt::format("{}: not a tokenizer file; expected .json, .txt or .model", path.string()));
  const auto file = io::MappedFile::open(path);
  return parse_tokenizer_json({reinterpret_cast<const char*>(file->data()), file->size()}, path.string());
}

void name_special(const Engine& engine, const std::optional<std::string>& token, std::optional<std::int64_t>& id) {
  if (!token) return;
  if (const std::optional<std::int64_t> found = engine.id(*token)) id = found;
}

/// The first byte that does not belong to valid UTF-8.
size_t first_bad_byte(std::string_view text) {
  size_t good = 0;
  // A prefix that is cut inside a character is not valid either; so go character by character.
  while (good < text.size()) {
    size_t length = 1;
    while (length < 4 && good + length < text.size() && !io::valid_utf8(text.substr(good, length))) ++length;
    if (!io::valid_utf8(text.substr(good, length))) break;
    good += length;
  }
  return good;
}

}  // namespace

Tokenizer Tokenizer::open(const fs::path& path) {
  std::error_code none;
  const bool folder = fs::is_directory(path, none);
  const fs::path file = folder ? deciding_file(path) : path;
  if (file.empty())
    throw InputError(
        fmt::format("{}: there is no tokenizer; expected tokenizer.json, vocab.json and merges.txt, "
                    "vocab.txt, tokenizer.model, spiece.model or sentencepiece.bpe.model",
                    path.string()));
  if (!fs::exists(file, none)) throw InputError(fmt::format("{}: there is no such file", file.string()));
  const ConfigFiles config = read_config_files(file.parent_path());
  auto data = std::make_shared<Data>(load_file(file, config));
  data->path = file;
  name_special(*data->engine, config.bos, data->bos);
  name_special(*data->engine, config.eos, data->eos);
  name_special(*data->engine, config.pad, data->pad);
  name_special(*data->engine, config.unk, data->unk);
  return Tokenizer(std::move(data));
}

bool Tokenizer::present(const fs::path& folder) { return !deciding_file(folder).empty(); }

std::vector<std::int64_t> Tokenizer::encode(std::string_view text, bool special) const {
  if (!io::valid_utf8(text))
    throw InputError(fmt::format("the text is not UTF-8: byte {} does not belong", first_bad_byte(text)));
  std::vector<std::int64_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (special) ids = data_->before;
  data_->engine->encode(text, ids);
  if (special) ids.insert(ids.end(), data_->after.begin(), data_->after.end());
  return ids;
}

std::vector<std::vector<std::int64_t>> Tokenizer::encode_all(std::span<const std::string> texts, bool special,
                                                             int threads) const {
  std::vector<std::vector<std::int64_t>> all(texts.size());
  parallel_for(static_cast<std::int64_t>(texts.size()), threads > 0 ? threads : default_threads(),
               [&](std::int64_t i) { all[static_cast<size_t>(i)] = encode(texts[static_cast<size_t>(i)], special); });
  return all;
}

std::string Tokenizer::decode(std::span<const std::int64_t> ids, bool skip_special) const {
  std::string text = data_->engine->decode(ids, skip_special);
  return io::valid_utf8(text) ? text : repair_utf8(text);
}

std::string Tokenizer::token(std::int64_t id) const { return std::string(data_->engine->token(id).value_or("")); }
std::optional<std::int64_t> Tokenizer::id(std::string_view token) const { return data_->engine->id(token); }
bool Tokenizer::is_special(std::int64_t id) const { return data_->engine->is_special(id); }
std::int64_t Tokenizer::size() const { return data_->engine->size(); }
std::optional<std::int64_t> Tokenizer::bos() const { return data_->bos; }
std::optional<std::int64_t> Tokenizer::eos() const { return data_->eos; }
std::optional<std::int64_t> Tokenizer::pad() const { return data_->pad; }
std::optional<std::int64_t> Tokenizer::unk() const { return data_->unk; }
const fs::path& Tokenizer::path() const { return data_->path; }

}  // namespace weft::text
