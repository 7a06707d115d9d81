#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "text/components.h"
#include "weft/core/value.h"

namespace weft::text {

/// The options of one component of tokenizer.json, with errors that name it.
class ComponentFields {
 public:
  /// `where` is its place in the file (`normalizer`, `pre_tokenizer`, …). @throws FormatError unless it has a type.
  ComponentFields(const Value& json, std::string where, const std::string& file);

  const std::string& type() const { return type_; }
  const std::string& where() const { return where_; }
  /// @throws UnsupportedError when there is an option besides these and `type`.
  void only(std::initializer_list<std::string_view> names) const;
  /// The component is not known.
  [[noreturn]] void unknown() const;
  [[noreturn]] void bad(const std::string& what) const;
  [[noreturn]] void unsupported(const std::string& what) const;

  /// The option, or null when it is missing or null.
  const Value* find(std::string_view name) const;
  const Value& get(std::string_view name) const;
  bool boolean(std::string_view name) const;
  bool boolean(std::string_view name, bool fallback) const;
  std::string text(std::string_view name) const;
  /// A text of one character.
  std::string character(std::string_view name) const;
  std::int64_t count(std::string_view name) const;
  /// `{"String": …}` or `{"Regex": …}`.
  SearchFor search(std::string_view name) const;
  Behavior behavior(std::string_view name) const;
  Prepend prepend_scheme() const;
  /// `["token", id]`.
  std::int64_t token_id(std::string_view name) const;

 private:
  const Value& json_;
  std::string where_;
  const std::string& file_;
  std::string type_;
};

}  // namespace weft::text
