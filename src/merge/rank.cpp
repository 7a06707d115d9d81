#include "merge/rank.h"

#include <algorithm>
#include <vector>

namespace weft::merge {

std::int64_t wanted_rank(const RankRule& rule, std::int64_t largest_input, std::int64_t out, std::int64_t in) {
  switch (rule.kind) {
    case RankRule::Kind::kExact: return 0;
    case RankRule::Kind::kEnergy: return -1;
    case RankRule::Kind::kKeep: return std::min({largest_input, out, in});
    case RankRule::Kind::kFixed: return std::min({static_cast<std::int64_t>(rule.number), out, in});
  }
  return 0;
}

linalg::RankChoice rank_choice(const RankRule& rule, std::int64_t wanted) {
  if (rule.kind == RankRule::Kind::kEnergy)
    return [share = rule.number](const std::vector<double>& sigma, double norm) {
      double kept = 0;
      for (size_t i = 0; i < sigma.size(); ++i) {
        kept += sigma[i] * sigma[i];
        // A share of 1 must survive rounding of the sums.
        if (kept >= share * norm * norm * (1 - 1e-12)) return static_cast<std::int64_t>(i + 1);
      }
      return static_cast<std::int64_t>(sigma.size());
    };
  return [wanted](const std::vector<double>& sigma, double) {
    const auto all = static_cast<std::int64_t>(sigma.size());
    return wanted > 0 ? std::min(wanted, all) : all;
  };
}

}  // namespace weft::merge
