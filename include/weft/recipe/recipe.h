#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "weft/core/value.h"

namespace weft::recipe {

/**
 * Parses YAML into Values with places. Duplicate keys, anchors that expand beyond `1e5` nodes, nesting beyond 64,
 * several documents and non-string keys are RecipeErrors with file, line and column; so is anything yaml-cpp refuses.
 * An empty file is a null Value.
 */
WEFT_API Value parse(std::string_view text, const std::string& file);
/// Reads and parses. @throws InputError when the file cannot be read or is larger than 16 MB, RecipeError when
/// malformed.
WEFT_API Value load(const std::filesystem::path& path);
/// A value as written after `--set KEY=`: YAML flow syntax; places say `--set KEY`.
WEFT_API Value parse_option(std::string_view text, const std::string& option);
/// YAML text that parse() reads back to an equal Value; ends with a newline.
WEFT_API std::string to_yaml(const Value& value);

/// Walks a map and refuses what nobody asked for: take() each known key, then finish().
class WEFT_API MapReader {
 public:
  /// `what` names the map in messages (`the recipe`, `adapters[2]`). RecipeError if `value` is not a map.
  MapReader(const Value& value, std::string what);
  /// The value of an optional key, or nullptr.
  const Value* take(std::string_view key);
  /// The value of a required key. RecipeError when absent.
  const Value& need(std::string_view key);
  /// Text of a scalar; RecipeError otherwise.
  std::string take_text(std::string_view key, std::string fallback);
  /// RecipeError at the first key not taken, with the nearest known key.
  void finish() const;

 private:
  const Value& value_;
  std::string what_;
  std::vector<std::string> known_;
};

}  // namespace weft::recipe
