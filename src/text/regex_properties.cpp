#include <algorithm>
#include <array>

#include "text/regex_program.h"

namespace weft::text {

namespace {

struct PropertyName {
  std::string_view name;
  CategoryMask mask;
};

constexpr CategoryMask one(Category c) { return mask_of(c); }

/// The names of \p{…}, in lower case without blanks, dashes and underscores.
constexpr std::array<PropertyName, 52> kProperties = {{
    {"l", kLetters},
    {"letter", kLetters},
    {"m", kMarks},
    {"mark", kMarks},
    {"n", kNumbers},
    {"number", kNumbers},
    {"p", kPunctuation},
    {"punctuation", kPunctuation},
    {"s", kSymbols},
    {"symbol", kSymbols},
    {"z", kSeparators},
    {"separator", kSeparators},
    {"c", kOthers},
    {"other", kOthers},
    {"lu", one(Category::kLu)},
    {"ll", one(Category::kLl)},
    {"lt", one(Category::kLt)},
    {"lm", one(Category::kLm)},
    {"lo", one(Category::kLo)},
    {"mn", one(Category::kMn)},
    {"mc", one(Category::kMc)},
    {"me", one(Category::kMe)},
    {"nd", one(Category::kNd)},
    {"nl", one(Category::kNl)},
    {"no", one(Category::kNo)},
    {"pc", one(Category::kPc)},
    {"pd", one(Category::kPd)},
    {"ps", one(Category::kPs)},
    {"pe", one(Category::kPe)},
    {"pi", one(Category::kPi)},
    {"pf", one(Category::kPf)},
    {"po", one(Category::kPo)},
    {"sm", one(Category::kSm)},
    {"sc", one(Category::kSc)},
    {"sk", one(Category::kSk)},
    {"so", one(Category::kSo)},
    {"zs", one(Category::kZs)},
    {"zl", one(Category::kZl)},
    {"zp", one(Category::kZp)},
    {"cc", one(Category::kCc)},
    {"cf", one(Category::kCf)},
    {"co", one(Category::kCo)},
    {"cn", one(Category::kCn)},
    {"uppercaseletter", one(Category::kLu)},
    {"lowercaseletter", one(Category::kLl)},
    {"titlecaseletter", one(Category::kLt)},
    {"modifierletter", one(Category::kLm)},
    {"otherletter", one(Category::kLo)},
    {"decimalnumber", one(Category::kNd)},
    {"letternumber", one(Category::kNl)},
    {"othernumber", one(Category::kNo)},
    {"nonspacingmark", one(Category::kMn)},
}};

}  // namespace

std::optional<CategoryMask> regex_property(std::string_view name) {
  const auto* const found =
      std::find_if(kProperties.begin(), kProperties.end(), [&](const PropertyName& p) { return p.name == name; });
  if (found == kProperties.end()) return std::nullopt;
  return found->mask;
}

}  // namespace weft::text
