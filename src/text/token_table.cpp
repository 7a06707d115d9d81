#include "text/token_table.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace weft::text {

namespace {

std::uint32_t token_hash(std::string_view text) {
  const std::uint64_t h = std::hash<std::string_view>{}(text);
  return static_cast<std::uint32_t>(h ^ (h >> 32U));
}

}  // namespace

void TokenTable::reserve(size_t tokens, size_t bytes) {
  bytes_.reserve(bytes);
  entries_.reserve(tokens);
  by_id_.reserve(tokens);
  size_t slots = 16;
  while (slots < 2 * tokens) slots *= 2;
  if (slots > slots_.size()) grow(slots);
}

void TokenTable::grow(size_t slots) {
  slots_.assign(slots, -1);
  for (size_t i = 0; i < entries_.size(); ++i) {
    size_t at = entries_[i].hash & (slots - 1);
    while (slots_[at] >= 0) at = (at + 1) & (slots - 1);
    slots_[at] = static_cast<std::int32_t>(i);
  }
}

bool TokenTable::add(std::string_view text, std::int64_t id) {
  if (id < 0 || id > kMaxTokenId || text.size() > std::numeric_limits<std::uint32_t>::max()) return false;
  if (static_cast<size_t>(id) < by_id_.size() && by_id_[static_cast<size_t>(id)] >= 0) return false;
  if (slots_.size() < 2 * (entries_.size() + 1)) grow(std::max<size_t>(16, 2 * slots_.size()));
  const std::uint32_t hash = token_hash(text);
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  for (; slots_[at] >= 0; at = (at + 1) & mask) {
    const Entry& entry = entries_[static_cast<size_t>(slots_[at])];
    if (entry.hash == hash && this->text(entry) == text) return false;
  }
  slots_[at] = static_cast<std::int32_t>(entries_.size());
  if (static_cast<size_t>(id) >= by_id_.size()) by_id_.resize(static_cast<size_t>(id) + 1, -1);
  by_id_[static_cast<size_t>(id)] = slots_[at];
  entries_.push_back({bytes_.size(), static_cast<std::uint32_t>(text.size()), hash, static_cast<std::int32_t>(id)});
  bytes_ += text;
  return true;
}

std::int64_t TokenTable::id(std::string_view text) const {
  if (slots_.empty()) return -1;
  const std::uint32_t hash = token_hash(text);
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask; slots_[at] >= 0; at = (at + 1) & mask) {
    const Entry& entry = entries_[static_cast<size_t>(slots_[at])];
    if (entry.hash == hash && this->text(entry) == text) return entry.id;
  }
  return -1;
}

std::optional<std::string_view> TokenTable::token(std::int64_t id) const {
  if (id < 0 || id >= size() || by_id_[static_cast<size_t>(id)] < 0) return std::nullopt;
  return text(entries_[static_cast<size_t>(by_id_[static_cast<size_t>(id)])]);
}

}  // namespace weft::text
