#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/core/value.h"

namespace weft::model {

/// Typed access to one mapping of a `config.json`. A key that is null counts as absent. Messages name file, line and
/// column, what was found and what was expected.
class ConfigReader {
 public:
  static constexpr std::int64_t kLargest = (std::int64_t{1} << 31) - 1;
  static constexpr std::int64_t kMostLayers = 10000;

  /// `config` must be a map and outlive the reader. `file`: the path, for messages without a place.
  ConfigReader(const Value& config, std::string file);

  using Keys = std::initializer_list<std::string_view>;
  /// The first of `keys` that is there and not null, or nullptr.
  const Value* find(Keys keys) const;
  /// True if the key is there, null or not.
  bool has(std::string_view key) const { return config_->find(key) != nullptr; }

  /// An integer in [low, high]; `fallback` where no key is there, InputError where there is none.
  std::int64_t integer(Keys keys, std::optional<std::int64_t> fallback = {}, std::int64_t low = 1,
                       std::int64_t high = kLargest) const;
  /// A number of layers: an integer that bounds how long building a model can take.
  std::int64_t layers(Keys keys, std::optional<std::int64_t> fallback = {}) const;
  /// A finite number.
  double number(Keys keys, std::optional<double> fallback = {}) const;
  /// A finite number above 0.
  double positive(Keys keys, std::optional<double> fallback = {}) const;
  bool flag(Keys keys, bool fallback) const;
  std::string text(Keys keys, std::optional<std::string> fallback = {}) const;
  /// A list of finite numbers of length `count`.
  std::vector<double> numbers(std::string_view key, std::int64_t count) const;
  /// A list of texts of length `count`, or empty where the key is absent.
  std::vector<std::string> texts(std::string_view key, std::int64_t count) const;
  /// A nested mapping, or nothing.
  std::optional<ConfigReader> map(std::string_view key) const;

  /// UnsupportedError unless `key` is absent, null, or the flag `expected`.
  void require_flag(std::string_view key, bool expected, std::string_view why) const;
  /// UnsupportedError at the place of `key`.
  [[noreturn]] void refuse(std::string_view key, std::string_view why) const;
  /// FormatError at the place of `key`.
  [[noreturn]] void fail(std::string_view key, std::string_view why) const;

  const std::string& file() const { return file_; }
  const Value& value() const { return *config_; }

 private:
  std::string place_of(std::string_view key) const;
  const Value* config_;
  std::string file_;
};

}  // namespace weft::model
