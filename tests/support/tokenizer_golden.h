#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "io/json.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "weft/text/tokenizer.h"

namespace weft::test {

inline std::filesystem::path tokenizer_goldens() {
  return std::filesystem::path(WEFT_SOURCE_DIR) / "tests/golden/tokenizers";
}

inline std::string whole_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The 10,000 hard strings.
inline const std::vector<std::string>& tokenizer_corpus() {
  static const std::vector<std::string> texts = [] {
    std::vector<std::string> out;
    for (const Value& value : io::read_json(tokenizer_goldens() / "corpus.json").list) out.push_back(value.scalar);
    return out;
  }();
  return texts;
}

inline std::vector<std::int64_t> ids_of(const Value& value) {
  std::vector<std::int64_t> ids;
  for (const Value& id : value.list) ids.push_back(id.integer().value_or(-1));
  return ids;
}

/// FNV-1a over ids.
inline std::uint32_t hash_of(const std::vector<std::int64_t>& ids) {
  std::uint32_t value = 2166136261u;
  for (const std::int64_t id : ids) value = (value ^ static_cast<std::uint32_t>(id)) * 16777619u;
  return value;
}

/// The tokenizer that a golden file is about: a small one beside it, or copies of the files of a real one, which are
/// gone with `dir`. Nothing where the real one is not there.
inline std::optional<text::Tokenizer> open_golden(const Value& golden, const TempDir& dir) {
  if (const Value* model = golden.find("model")) return text::Tokenizer::open(tokenizer_goldens() / model->scalar);
  const auto data = shared_data(golden.find("data")->scalar);
  if (data.empty()) return std::nullopt;
  for (const Value& file : golden.find("files")->list)
    std::filesystem::copy_file(data / file.scalar, dir / file.scalar);
  return text::Tokenizer::open(dir.path());
}

/// For messages: all that is not printable ASCII byte by byte as \x..; cut where it is long.
inline std::string escaped(const std::string& text) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && c != '\\')
      out += c;
    else
      out += std::string("\\x") + kDigits[byte >> 4] + kDigits[byte & 15];
  }
  return out.size() > 600 ? out.substr(0, 600) + "..." : out;
}

}  // namespace weft::test
