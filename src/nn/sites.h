#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "nn/network.h"

namespace weft::nn {

/// A place in a network that adapters name.
struct Site {
  std::string name;
  LinearGroup* group = nullptr;  ///< exactly one of group, embedding and norm is set
  size_t part = 0;               ///< of the group
  Embedding* embedding = nullptr;
  Norm* norm = nullptr;

  const Linear* linear() const { return group == nullptr ? nullptr : &group->parts[part]; }
};

/// All places of a network, in its order, found by name with and without the usual prefixes on either side.
class Sites {
 public:
  /// `network` must stay where it is.
  explicit Sites(Network& network);

  const std::vector<Site>& all() const { return sites_; }
  /// Index of the place, or -1; `why` then says what is wrong, with the nearest name.
  std::int64_t find(std::string_view name, std::string& why) const;

 private:
  std::vector<Site> sites_;
  std::map<std::string, std::int64_t, std::less<>> by_name_;
  std::multimap<std::string, std::int64_t, std::less<>> by_core_;
};

}  // namespace weft::nn
