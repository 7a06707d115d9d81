// The presets: rows that fill in the parts. None of them is a code path of its own.
#include <fmt/format.h>

#include <utility>

#include "weft/merge/spec.h"

namespace weft::merge {

namespace {

struct Parts {
  Space space = Space::kDelta;
  Sparsify sparsify = Sparsify::kNone;
  Consensus consensus = Consensus::kNone;
  Combine combine = Combine::kSum;
  RankRule::Kind rank = RankRule::Kind::kKeep;
};

std::string parts_text(const Parts& p) {
  static const char* const kSpaces[] = {"delta", "factors"};
  static const char* const kSparsifiers[] = {"none", "magnitude", "random"};
  static const char* const kConsensus[] = {"none", "sign_total", "sign_frequency"};
  static const char* const kCombiners[] = {"sum", "mean"};
  return fmt::format("{} · {} · {} · {} · {}", kSpaces[static_cast<int>(p.space)],
                     kSparsifiers[static_cast<int>(p.sparsify)], kConsensus[static_cast<int>(p.consensus)],
                     kCombiners[static_cast<int>(p.combine)], p.rank == RankRule::Kind::kExact ? "exact" : "keep");
}

/// Which laws hold, from the parts alone; identity is meant at density 1.
std::vector<std::string> laws_of(const Parts& p) {
  std::vector<std::string> laws = {"identity", "permutation", "scale", "rescaling"};
  if (p.space == Space::kDelta) laws.emplace_back("gauge");
  return laws;
}

Method preset(std::string name, std::string title, std::string paper, const Parts& p) {
  Method m;
  m.spec.method = name;
  m.spec.space = p.space;
  m.spec.sparsify = p.sparsify;
  m.spec.consensus = p.consensus;
  m.spec.combine = p.combine;
  m.spec.rank = RankRule{p.rank, 0};
  m.spec.peft = name.starts_with("peft_");
  m.name = std::move(name);
  m.title = std::move(title);
  m.paper = std::move(paper);
  m.parts = parts_text(p);
  m.laws = laws_of(p);
  return m;
}

constexpr const char* kTies = "TIES-Merging, Yadav et al. 2023, arXiv:2306.01708";
constexpr const char* kDare = "DARE, Yu et al. 2023, arXiv:2311.03099";
constexpr const char* kPeft = "PEFT 0.21.2 add_weighted_adapter";

std::vector<Method> make_methods() {
  constexpr auto kMagnitude = Sparsify::kMagnitude, kRandom = Sparsify::kRandom;
  constexpr auto kSignTotal = Consensus::kSignTotal;
  constexpr auto kSum = Combine::kSum, kMean = Combine::kMean;
  constexpr auto kDelta = Space::kDelta;
  constexpr auto kFactors = Space::kFactors;
  constexpr auto kExact = RankRule::Kind::kExact;
  constexpr auto kKeep = RankRule::Kind::kKeep;
  constexpr auto nothing = Consensus::kNone;
  constexpr auto dense = Sparsify::kNone;
  std::vector<Method> m;
  m.push_back(preset("linear", "weighted sum of the updates, exact",
                     "Model soups, Wortsman et al. 2022, arXiv:2203.05482", {kDelta, dense, nothing, kSum, kExact}));
  m.push_back(preset("task_arithmetic", "weighted sum times lambda, exact; negative weights unlearn",
                     "Ilharco et al. 2023, arXiv:2212.04089", {kDelta, dense, nothing, kSum, kExact}));
  m.push_back(preset("cat", "weighted sum by stacking the factors, exact",
                     "PEFT 0.21.2 combination_type cat; LoRA Soups, arXiv:2410.13025",
                     {kDelta, dense, nothing, kSum, kExact}));
  m.push_back(preset("svd", "weighted sum, best approximation of the rank asked for",
                     "Eckart & Young 1936; PEFT 0.21.2 combination_type svd", {kDelta, dense, nothing, kSum, kKeep}));
  m.push_back(preset("ties", "largest entries, elected signs, mean of those that agree", kTies,
                     {kDelta, kMagnitude, kSignTotal, kMean, kKeep}));
  m.push_back(preset("dare_linear", "random entries rescaled, then the weighted sum", kDare,
                     {kDelta, kRandom, nothing, kSum, kKeep}));
  m.push_back(preset("dare_ties", "random entries rescaled, then TIES' election and mean", kDare,
                     {kDelta, kRandom, kSignTotal, kMean, kKeep}));
  m.push_back(preset("magnitude_prune", "largest entries, then the weighted sum",
                     "PEFT 0.21.2 combination_type magnitude_prune", {kDelta, kMagnitude, nothing, kSum, kKeep}));
  m.push_back(preset("peft_linear", "A and B summed apart, cross terms included", kPeft,
                     {kFactors, dense, nothing, kSum, kKeep}));
  m.push_back(preset("peft_cat", "stacked factors", kPeft, {kDelta, dense, nothing, kSum, kExact}));
  m.push_back(preset("peft_svd", "SVD of the weighted sum", kPeft, {kDelta, dense, nothing, kSum, kKeep}));
  m.push_back(preset("peft_ties", "TIES on A and on B apart", kPeft, {kFactors, kMagnitude, kSignTotal, kMean, kKeep}));
  m.push_back(preset("peft_ties_svd", "TIES on the updates, then an SVD", kPeft,
                     {kDelta, kMagnitude, kSignTotal, kMean, kKeep}));
  m.push_back(preset("peft_dare_linear", "DARE on A and on B apart", kPeft, {kFactors, kRandom, nothing, kSum, kKeep}));
  m.push_back(preset("peft_dare_linear_svd", "DARE on the updates, then an SVD", kPeft,
                     {kDelta, kRandom, nothing, kSum, kKeep}));
  m.push_back(preset("peft_dare_ties", "DARE and TIES on A and on B apart", kPeft,
                     {kFactors, kRandom, kSignTotal, kMean, kKeep}));
  m.push_back(preset("peft_dare_ties_svd", "DARE and TIES on the updates, then an SVD", kPeft,
                     {kDelta, kRandom, kSignTotal, kMean, kKeep}));
  m.push_back(preset("peft_magnitude_prune", "largest entries of A and of B apart", kPeft,
                     {kFactors, kMagnitude, nothing, kSum, kKeep}));
  m.push_back(preset("peft_magnitude_prune_svd", "largest entries of the updates, then an SVD", kPeft,
                     {kDelta, kMagnitude, nothing, kSum, kKeep}));
  return m;
}

}  // namespace

const std::vector<Method>& methods() {
  static const std::vector<Method> all = make_methods();
  return all;
}

const Method& find_method(const std::string& name, const Place& place) {
  std::vector<std::string> names;
  for (const Method& m : methods()) {
    if (m.name == name) return m;
    names.push_back(m.name);
  }
  throw RecipeError(place, fmt::format("unknown method '{}'{}", name, suggestion(name, names)));
}

}  // namespace weft::merge
