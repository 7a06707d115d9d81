#include "text/regex.h"

#include <fmt/format.h>

#include "text/regex_program.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

/// Steps that all matches in one text may take together: this many, and so many for each byte. Honest expressions need
/// some 20 for a byte.
constexpr size_t kRegexBudget = 5'000'000;
constexpr size_t kRegexBudgetPerByte = 500;
constexpr size_t kRegexMaxWays = 4'000'000;

/// One text being matched.
class RegexRun {
 public:
  RegexRun(const RegexProgram& program, std::string_view text)
      : program_(program), text_(text), budget_(kRegexBudget + kRegexBudgetPerByte * text.size()) {
    slots_.resize(static_cast<size_t>(program.slots));
  }

  /// Matches from step `step` at `at` to the next kMatch; false when it does not, or when the budget is used up.
  bool match(size_t step, size_t at, size_t& end);
  bool exhausted() const { return budget_ == 0; }

 private:
  using Op = RegexStep::Op;
  using Mode = RegexNode::Mode;
  /// A way back: another step to go on at, a shorter or longer run, or a slot's old value.
  struct Way {
    enum class Kind : std::uint8_t { kStep, kShorter, kLonger, kSlot };
    Kind kind;
    int more = 0;  // kLonger: how many characters are left to take
    size_t step, at, low;
  };

  bool back(size_t base, size_t& step, size_t& at);
  bool run(const RegexStep& code, size_t step, size_t& at);
  bool look(const RegexStep& code, size_t step, size_t at);
  bool assertion(RegexNode::Assert what, size_t at) const;
  bool word_before(size_t at) const { return at > 0 && is_onig_word(previous_code(text_, at)); }
  bool word_at(size_t at) const { return at < text_.size() && is_onig_word(next_code(text_, at)); }
  bool one(int set, size_t& at) const {
    if (at >= text_.size()) return false;
    size_t next = at;
    if (!program_.sets[static_cast<size_t>(set)].has(next_code(text_, next))) return false;
    at = next;
    return true;
  }

  const RegexProgram& program_;
  std::string_view text_;
  size_t budget_;
  std::vector<size_t> slots_;
  std::vector<Way> ways_;
};

bool RegexRun::assertion(RegexNode::Assert what, size_t at) const {
  using Assert = RegexNode::Assert;
  const size_t size = text_.size();
  switch (what) {
    case Assert::kLineStart: return at == 0 || (at < size && text_[at - 1] == '\n');
    case Assert::kLineEnd: return at == size || text_[at] == '\n';
    case Assert::kTextStart: return at == 0;
    case Assert::kTextEnd: return at == size;
    case Assert::kTextEndOrNewline: return at == size || (at + 1 == size && text_[at] == '\n');
    case Assert::kWordEdge: return word_before(at) != word_at(at);
    case Assert::kNoWordEdge: return word_before(at) == word_at(at);
  }
  return false;
}

/// Takes the last way back; false when there is none.
bool RegexRun::back(size_t base, size_t& step, size_t& at) {
  while (ways_.size() > base) {
    Way& way = ways_.back();
    step = way.step;
    at = way.at;
    switch (way.kind) {
      case Way::Kind::kStep: ways_.pop_back(); return true;
      case Way::Kind::kSlot:
        slots_[way.low] = way.at;
        ways_.pop_back();
        continue;
      case Way::Kind::kShorter:
        previous_code(text_, at);
        way.at = at;
        if (at <= way.low) ways_.pop_back();
        return true;
      case Way::Kind::kLonger: {
        if (!one(program_.steps[step - 1].set, at)) {
          ways_.pop_back();
          continue;
        }
        way.at = at;
        if (--way.more == 0) ways_.pop_back();
        return true;
      }
    }
  }
  return false;
}

bool RegexRun::run(const RegexStep& code, size_t step, size_t& at) {
  size_t low = at;
  int count = 0;
  const auto take = [&](int most) {
    while (count < most && one(code.set, at)) {
      ++count;
      if (count == code.low) low = at;
      if (budget_ > 0) --budget_;
    }
  };
  take(code.mode == Mode::kLazy ? code.low : code.high);
  if (count < code.low) return false;
  if (code.mode == Mode::kGreedy && at > low) ways_.push_back({Way::Kind::kShorter, 0, step + 1, at, low});
  if (code.mode == Mode::kLazy && code.high > code.low)
    ways_.push_back(
        {Way::Kind::kLonger, code.high == RegexNode::kUnlimited ? code.high : code.high - code.low, step + 1, at, 0});
  return true;
}

bool RegexRun::look(const RegexStep& code, size_t step, size_t at) {
  bool found = true;
  if (code.behind) {
    for (int i = 0; i < code.low && found; ++i) {
      found = at > 0;
      if (found) previous_code(text_, at);
    }
  }
  size_t end = 0;
  if (found) found = match(step + 1, at, end);
  return found != code.negated;
}

bool RegexRun::match(size_t step, size_t at, size_t& end) {
  const size_t base = ways_.size();
  while (true) {
    if (ways_.size() > kRegexMaxWays) budget_ = 0;
    if (budget_ == 0) return false;
    --budget_;
    const RegexStep& code = program_.steps[step];
    bool ok = true;
    switch (code.op) {
      case Op::kSet:
        ok = one(code.set, at);
        ++step;
        break;
      case Op::kRun:
        ok = run(code, step, at);
        ++step;
        break;
      case Op::kFork:
        if (code.first >= 0 &&
            (at >= text_.size() ||
             !program_.firsts[static_cast<size_t>(code.first)][static_cast<unsigned char>(text_[at])])) {
          step = static_cast<size_t>(code.to);
          break;
        }
        ways_.push_back({Way::Kind::kStep, 0, static_cast<size_t>(code.to), at, 0});
        ++step;
        break;
      case Op::kForkLate:
        ways_.push_back({Way::Kind::kStep, 0, step + 1, at, 0});
        step = static_cast<size_t>(code.to);
        break;
      case Op::kJump: step = static_cast<size_t>(code.to); break;
      case Op::kMark: {
        size_t& slot = slots_[static_cast<size_t>(code.set)];
        ways_.push_back({Way::Kind::kSlot, 0, 0, slot, static_cast<size_t>(code.set)});
        slot = at;
        ++step;
        break;
      }
      case Op::kMoved:
        step = at == slots_[static_cast<size_t>(code.set)] ? static_cast<size_t>(code.to) : step + 1;
        break;
      case Op::kAssert:
        ok = assertion(code.what, at);
        ++step;
        break;
      case Op::kLook:
        ok = look(code, step, at);
        step = static_cast<size_t>(code.to);
        break;
      case Op::kAtomic: {
        size_t behind = at;
        ok = match(step + 1, at, behind);
        at = behind;
        step = static_cast<size_t>(code.to);
        break;
      }
      case Op::kMatch:
        ways_.resize(base);
        end = at;
        return true;
    }
    if (!ok && !back(base, step, at)) return false;
  }
}

}  // namespace

Regex::Regex(std::string pattern, std::string file) : pattern_(std::move(pattern)), file_(std::move(file)) {
  std::vector<CharSet> sets;
  const std::unique_ptr<RegexNode> root = parse_regex(pattern_, file_, sets);
  program_ = std::make_shared<const RegexProgram>(compile_regex(*root, std::move(sets), pattern_, file_));
}

void Regex::find_all(std::string_view text, std::vector<std::pair<size_t, size_t>>& matches) const {
  RegexRun run(*program_, text);
  size_t behind = std::string_view::npos;  // where the last match ended
  for (size_t at = 0; at <= text.size();) {
    size_t end = 0;
    const bool found = run.match(0, at, end);
    if (run.exhausted())
      throw InputError(
          fmt::format("{}: matching a text of {} bytes with the regular expression '{}' takes too many steps", file_,
                      text.size(), pattern_.substr(0, 200)));
    if (found && (end > at || behind != end)) {
      matches.emplace_back(at, end);
      behind = end;
      if (end > at) {
        at = end;
        continue;
      }
    }
    if (at == text.size()) break;
    next_code(text, at);
  }
}

}  // namespace weft::text
