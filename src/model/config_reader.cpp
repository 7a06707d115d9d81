#include "model/config_reader.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace weft::model {

ConfigReader::ConfigReader(const Value& config, std::string file) : config_(&config), file_(std::move(file)) {
  if (!config.is_map()) throw FormatError(file_, fmt::format("expected an object, got {}", config.describe()));
}

const Value* ConfigReader::find(Keys keys) const {
  for (const std::string_view key : keys)
    if (const Value* value = config_->find(key); value != nullptr && !value->is_null()) return value;
  return nullptr;
}

std::string ConfigReader::place_of(std::string_view key) const {
  const Value* value = config_->find(key);
  return value == nullptr || value->place.file.empty() ? file_ : value->place.text();
}

void ConfigReader::refuse(std::string_view key, std::string_view why) const {
  throw UnsupportedError(fmt::format("{}: {}: {}", place_of(key), key, why));
}

void ConfigReader::fail(std::string_view key, std::string_view why) const {
  throw FormatError(place_of(key), fmt::format("{}: {}", key, why));
}

std::int64_t ConfigReader::integer(Keys keys, std::optional<std::int64_t> fallback, std::int64_t low,
                                   std::int64_t high) const {
  const std::string_view name = *keys.begin();
  for (const std::string_view key : keys) {
    const Value* value = config_->find(key);
    if (value == nullptr || value->is_null()) continue;
    const auto number = value->number();
    if (!number || *number != std::floor(*number) || *number < static_cast<double>(low) ||
        *number > static_cast<double>(high))
      fail(key, fmt::format("is {}, expected an integer from {} to {}", value->describe(), low, high));
    return static_cast<std::int64_t>(*number);
  }
  if (!fallback) fail(name, "is missing");
  return *fallback;
}

std::int64_t ConfigReader::layers(Keys keys, std::optional<std::int64_t> fallback) const {
  return integer(keys, fallback, 1, kMostLayers);
}

double ConfigReader::number(Keys keys, std::optional<double> fallback) const {
  for (const std::string_view key : keys) {
    const Value* value = config_->find(key);
    if (value == nullptr || value->is_null()) continue;
    const auto number = value->number();
    if (!number) fail(key, fmt::format("is {}, expected a number", value->describe()));
    return *number;
  }
  if (!fallback) fail(*keys.begin(), "is missing");
  return *fallback;
}

double ConfigReader::positive(Keys keys, std::optional<double> fallback) const {
  const double out = number(keys, fallback);
  for (const std::string_view key : keys)
    if (find({key}) != nullptr && !(out > 0)) fail(key, fmt::format("is {}, expected a number above 0", out));
  return out;
}

bool ConfigReader::flag(Keys keys, bool fallback) const {
  for (const std::string_view key : keys) {
    const Value* value = config_->find(key);
    if (value == nullptr || value->is_null()) continue;
    const auto flag = value->boolean();
    if (!flag) fail(key, fmt::format("is {}, expected true or false", value->describe()));
    return *flag;
  }
  return fallback;
}

std::string ConfigReader::text(Keys keys, std::optional<std::string> fallback) const {
  for (const std::string_view key : keys) {
    const Value* value = config_->find(key);
    if (value == nullptr || value->is_null()) continue;
    if (!value->is_scalar() || !value->quoted) fail(key, fmt::format("is {}, expected a text", value->describe()));
    return value->scalar;
  }
  if (!fallback) fail(*keys.begin(), "is missing");
  return *fallback;
}

std::vector<double> ConfigReader::numbers(std::string_view key, std::int64_t count) const {
  const Value* value = find({key});
  if (value == nullptr) fail(key, "is missing");
  if (!value->is_list() || static_cast<std::int64_t>(value->list.size()) != count)
    fail(key, fmt::format("is {}, expected a list of {} numbers", value->describe(), count));
  std::vector<double> out;
  for (const Value& item : value->list) {
    const auto number = item.number();
    if (!number) fail(key, fmt::format("holds {}, expected numbers", item.describe()));
    out.push_back(*number);
  }
  return out;
}

std::vector<std::string> ConfigReader::texts(std::string_view key, std::int64_t count) const {
  const Value* value = find({key});
  if (value == nullptr) return {};
  if (!value->is_list() || static_cast<std::int64_t>(value->list.size()) < count)
    fail(key, fmt::format("is {}, expected a list of {} texts", value->describe(), count));
  std::vector<std::string> out;
  for (const Value& item : value->list) {
    if (!item.is_scalar() || !item.quoted) fail(key, fmt::format("holds {}, expected texts", item.describe()));
    out.push_back(item.scalar);
  }
  return out;
}

std::optional<ConfigReader> ConfigReader::map(std::string_view key) const {
  const Value* value = find({key});
  if (value == nullptr) return {};
  if (!value->is_map()) fail(key, fmt::format("is {}, expected an object", value->describe()));
  return ConfigReader(*value, file_);
}

void ConfigReader::require_flag(std::string_view key, bool expected, std::string_view why) const {
  if (flag({key}, expected) != expected) refuse(key, why);
}

}  // namespace weft::model
