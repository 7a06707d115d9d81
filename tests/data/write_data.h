#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "support/error_text.h"
#include "support/temp_dir.h"
#include "weft/data/examples.h"

namespace weft::test::data {

inline std::filesystem::path write(const TempDir& dir, const std::string& text,
                                   const std::string& name = "data.jsonl") {
  const auto path = dir / name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

/// The examples of a file with this text, with a labels.json beside it where `labels` is not empty.
inline weft::data::Examples read(const std::string& text, const weft::data::Template& form = {},
                                 const std::string& labels = {}) {
  const TempDir dir;
  if (!labels.empty()) write(dir, labels, "labels.json");
  return weft::data::read_examples(write(dir, text), {form});
}

/// What reading `text` says, without the folder.
template <class E = FormatError>
std::string refused(const std::string& text, const weft::data::Template& form = {}, const std::string& labels = {}) {
  const TempDir dir;
  if (!labels.empty()) write(dir, labels, "labels.json");
  const auto path = write(dir, text);
  std::string said = error_text<E>([&] { weft::data::read_examples(path, {form}); });
  const std::string folder = dir.path().string() + "/";
  for (size_t at; (at = said.find(folder)) != std::string::npos;) said.erase(at, folder.size());
  return said;
}

}  // namespace weft::test::data
