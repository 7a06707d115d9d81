#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::text {

/// Ids above this are refused: a hostile file must not make us allocate by naming a huge id.
inline constexpr std::int64_t kMaxTokenId = 16'000'000;

/// Token texts and their ids, both ways, in few allocations. A text has one id and an id one text.
class TokenTable {
 public:
  /// Room for so many tokens of so many bytes together.
  void reserve(size_t tokens, size_t bytes);
  /// Adds a token. False if the text or the id is there already, or the id is negative or above kMaxTokenId.
  bool add(std::string_view text, std::int64_t id);
  /// -1 when there is no such token.
  std::int64_t id(std::string_view text) const;
  std::optional<std::string_view> token(std::int64_t id) const;
  /// How many tokens.
  size_t count() const { return entries_.size(); }
  /// One more than the largest id.
  std::int64_t size() const { return static_cast<std::int64_t>(by_id_.size()); }

 private:
  struct Entry {
    size_t offset;
    std::uint32_t length, hash;
    std::int32_t id;
  };
  std::string_view text(const Entry& entry) const { return {bytes_.data() + entry.offset, entry.length}; }
  void grow(size_t slots);

  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<std::int32_t> by_id_;  // index into entries_, -1: no token
  std::vector<std::int32_t> slots_;  // open addressing, index into entries_, -1: free
};

}  // namespace weft::text
