// The one list of options of static composition.
#include <utility>

#include "weft/merge/spec.h"

namespace weft::merge {

namespace {

Field number_field(std::string name, std::string fallback, double low, double high, bool low_open, std::string doc,
                   bool per_adapter) {
  Field f;
  f.name = std::move(name);
  f.type = Field::Type::kNumber;
  f.fallback = std::move(fallback);
  f.low = low;
  f.high = high;
  f.low_open = low_open;
  f.doc = std::move(doc);
  f.per_adapter = per_adapter;
  f.per_module = true;
  return f;
}

Field plain_field(std::string name, Field::Type type, std::string fallback, std::vector<std::string> choices,
                  std::string doc) {
  Field f;
  f.name = std::move(name);
  f.type = type;
  f.fallback = std::move(fallback);
  f.choices = std::move(choices);
  f.doc = std::move(doc);
  f.low = type == Field::Type::kInteger ? 0.0 : -1e301;
  f.high = type == Field::Type::kInteger ? 9.0e15 : 1e301;
  return f;
}

std::vector<Field> make_fields() {
  constexpr double kAny = 1e301;
  using Type = Field::Type;
  std::vector<Field> f;
  f.push_back(
      number_field("weight", "1", -kAny, kAny, false, "factor of an adapter's update, negative ones subtract", true));
  f.push_back(number_field("density", "0.5", 0, 1, true, "share of entries that sparsify keeps", true));
  f.push_back(number_field("lambda", "1", -kAny, kAny, false, "factor of the result, as in task arithmetic", false));
  f.push_back(
      plain_field("rank", Type::kRank, "", {}, "rank of the result; exact is lossless, keep the largest input rank"));
  f.back().per_module = true;
  f.push_back(plain_field("space", Type::kChoice, "delta", {"delta", "factors"},
                          "what is combined: the updates themselves, or A and B apart (adds cross terms)"));
  f.push_back(plain_field("sparsify", Type::kChoice, "none", {"none", "magnitude", "random"},
                          "what each update gives up first: nothing, its smallest entries, or random ones (DARE)"));
  f.push_back(
      plain_field("consensus", Type::kChoice, "none", {"none", "sign_total", "sign_frequency"},
                  "how conflicts are settled: not at all, by the sign of the sum, or by the more frequent sign"));
  f.push_back(
      plain_field("combine", Type::kChoice, "sum", {"sum", "mean"},
                  "how what is left becomes one; mean divides by the adapters, with consensus by those that agree"));
  f.push_back(plain_field("normalize", Type::kBoolean, "false", {}, "divide the weights by their sum first"));
  f.push_back(
      plain_field("rescale", Type::kBoolean, "true", {}, "random sparsification divides survivors by the density"));
  f.push_back(plain_field("missing", Type::kChoice, "zero", {"zero", "renormalize"},
                          "an adapter without the module counts as a zero update, or not at all"));
  f.push_back(plain_field("vote", Type::kChoice, "unweighted", {"unweighted", "weighted"},
                          "signs are elected by the updates as they are (PEFT), or times their weights (mergekit)"));
  f.push_back(plain_field("divisor", Type::kChoice, "count", {"count", "weight"},
                          "mean divides by how many take part (PEFT), or by the sum of their |weights| (mergekit)"));
  f.push_back(plain_field("factor_weights", Type::kChoice, "root", {"root", "whole"},
                          "space factors: A and B each take the root of the weight (PEFT), or all of it (LoRAHub)"));
  f.push_back(plain_field("seed", Type::kInteger, "0", {}, "seed of random sparsification"));
  f.push_back(plain_field("full_tensors", Type::kText, "refuse", {},
                          "heads, biases and token rows of several adapters: refuse | from:NAME | mean | drop"));
  return f;
}

}  // namespace

const std::vector<Field>& fields() {
  static const std::vector<Field> all = make_fields();
  return all;
}

}  // namespace weft::merge
