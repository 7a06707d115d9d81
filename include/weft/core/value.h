#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weft/core/error.h"

namespace weft {

/**
 * A parsed YAML or JSON value that remembers where it was written. Owned by value, no references to the text.
 * Scalars keep their spelling; `quoted` tells the text "1" from the number 1. Key order is file order.
 */
struct WEFT_API Value {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  std::string scalar;                              ///< kScalar: the text
  bool quoted = false;                             ///< kScalar: written in quotes, so always text
  std::vector<Value> list;                         ///< kList
  std::vector<std::pair<std::string, Value>> map;  ///< kMap, keys unique
  std::vector<Place> key_places;                   ///< kMap: where each key stands (same order)
  Place place;                                     ///< where the value starts

  // Out of line: the implicit ones would need `map`'s pair before it is complete, which clang 14 does not forgive.
  Value();
  ~Value();
  Value(const Value&);
  Value(Value&&) noexcept;
  Value& operator=(const Value&);
  Value& operator=(Value&&) noexcept;

  static Value of(std::string text);    ///< an unquoted scalar
  static Value text(std::string text);  ///< a quoted scalar
  static Value of(double number);       ///< shortest spelling that reads back the same
  static Value of(bool flag);
  static Value of_int(long long number);
  static Value make_list();
  static Value make_map();

  bool is_null() const { return kind == Kind::kNull; }
  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }

  /// The value of `key`, or nullptr; only for maps.
  const Value* find(std::string_view key) const;
  /// Appends or replaces `key`; only for maps. Returns the stored value.
  Value& set(std::string_view key, Value value);
  /// The number, or nothing when this is not an unquoted finite number. Accepts YAML spellings such as 1e-3.
  std::optional<double> number() const;
  /// The integer, or nothing.
  std::optional<long long> integer() const;
  /// true/false, or nothing.
  std::optional<bool> boolean() const;
  /// True if kind, spelling, order and content are the same; places do not count.
  bool same_as(const Value& other) const;
  /// For messages: `'abc'`, `a list`, `a mapping`, `nothing`.
  std::string describe() const;
};

/// The candidate nearest to `word` by edit distance, or an empty string when none is near.
WEFT_API std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// `'; did you mean 'x'?'` or `'; expected one of a, b, c'`: the tail of a message about an unknown word.
WEFT_API std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace weft
