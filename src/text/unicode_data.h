#pragma once

#include <cstddef>
#include <cstdint>

namespace weft::text {

struct CodeRange {
  std::uint32_t first, last;
};
/// Every `step`-th code point from first to last has its lower case `delta` further.
struct LowerRun {
  std::uint32_t first, last;
  std::int32_t step, delta;
};

/// Where runs of equal general category begin: code point * 32 + Category.
extern const std::uint32_t kCategoryRuns[];
extern const size_t kCategoryRunsSize;
// Where the classes of unicode.h differ from what the general category says.
extern const CodeRange kPunctuationFlips[], kNonspacingFlips[], kCombiningFlips[], kNumericFlips[], kWordFlips[],
    kControlFlips[];
extern const size_t kPunctuationFlipsSize, kNonspacingFlipsSize, kCombiningFlipsSize, kNumericFlipsSize, kWordFlipsSize,
    kControlFlipsSize;
/// Code points that the library's normalisation forms do not know.
extern const CodeRange kInert[];
extern const size_t kInertSize;
extern const LowerRun kLowerRuns[];
extern const size_t kLowerRunsSize;

}  // namespace weft::text
