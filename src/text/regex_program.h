#pragma once

#include <bitset>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/char_set.h"

namespace weft::text {

/// What a parsed expression consists of.
struct RegexNode {
  enum class Kind { kEmpty, kSet, kSequence, kChoice, kRepeat, kAssert, kLook, kAtomic };
  enum class Mode { kGreedy, kLazy, kPossessive };
  enum class Assert { kLineStart, kLineEnd, kTextStart, kTextEnd, kTextEndOrNewline, kWordEdge, kNoWordEdge };
  static constexpr int kUnlimited = std::numeric_limits<int>::max();

  Kind kind = Kind::kEmpty;
  int set = 0;                                       ///< kSet: index into the sets
  int low = 0, high = 0;                             ///< kRepeat
  Mode mode = Mode::kGreedy;                         ///< kRepeat
  Assert what = Assert::kLineStart;                  ///< kAssert
  bool behind = false, negated = false;              ///< kLook
  std::vector<std::unique_ptr<RegexNode>> children;  ///< kSequence, kChoice; one for kRepeat, kLook, kAtomic
};

/// One step of the matching machine.
struct RegexStep {
  enum class Op : std::uint8_t {
    kSet,       ///< one character of `set`
    kRun,       ///< low to high characters of `set`, by `mode`
    kFork,      ///< goes on behind, or else at `to`; when the next byte is not in `first`, at `to` at once
    kForkLate,  ///< goes on at `to`, or else behind
    kJump,      ///< goes on at `to`
    kMark,      ///< notes the place in slot `set`
    kMoved,     ///< fails over to `to` when nothing was matched since kMark of slot `set`
    kAssert,    ///< `what`
    kLook,      ///< the steps behind it, up to kMatch, as a look-around of `low` characters back; goes on at `to`
    kAtomic,    ///< the steps behind it, up to kMatch, without way back; goes on at `to`
    kMatch
  };
  Op op = Op::kMatch;
  RegexNode::Mode mode = RegexNode::Mode::kGreedy;
  RegexNode::Assert what = RegexNode::Assert::kLineStart;
  bool behind = false, negated = false;
  int set = 0, to = 0, first = -1;
  int low = 0, high = 0;
};

struct RegexProgram {
  std::vector<CharSet> sets;
  std::vector<RegexStep> steps;
  std::vector<std::bitset<256>> firsts;  ///< for kFork: bytes that the branch can begin with
  int slots = 0;
};

/// The categories that \p{name} stands for; `name` in lower case without blanks, dashes and underscores.
std::optional<CategoryMask> regex_property(std::string_view name);
/// Parses; `sets` receives the character classes.
std::unique_ptr<RegexNode> parse_regex(std::string_view pattern, const std::string& file, std::vector<CharSet>& sets);
/// Turns a parsed expression into steps.
RegexProgram compile_regex(const RegexNode& root, std::vector<CharSet> sets, std::string_view pattern,
                           const std::string& file);

}  // namespace weft::text
