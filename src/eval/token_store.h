#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft::eval {

/// Many sequences of token ids in one block of memory, four bytes an id.
class TokenStore {
 public:
  TokenStore() : ends_{0} {}
  void add(const std::vector<std::int64_t>& ids) {
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    ends_.push_back(ids_.size());
  }
  std::int64_t length(size_t index) const { return static_cast<std::int64_t>(ends_[index + 1] - ends_[index]); }
  std::vector<std::int64_t> get(size_t index) const {
    return {ids_.begin() + static_cast<std::ptrdiff_t>(ends_[index]),
            ids_.begin() + static_cast<std::ptrdiff_t>(ends_[index + 1])};
  }

 private:
  std::vector<std::int32_t> ids_;
  std::vector<size_t> ends_;
};

}  // namespace weft::eval
