#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "text/regex_program.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

constexpr size_t kRegexMaxSteps = 20'000;
constexpr size_t kRegexMaxEmitted = 200'000;  // nodes, repetitions written out; empty ones make no steps

/// Which bytes a match of the node can begin with; `empty` when it can match nothing.
struct RegexFirst {
  std::bitset<256> bytes;
  bool empty = false;
};

std::bitset<256> first_bytes(const CharSet& set) {
  std::bitset<256> bytes;
  for (char32_t c = 0; c < 128; ++c) bytes[c] = set.has(c);
  for (size_t b = 0xC2; b < 0xF5; ++b) bytes[b] = true;  // beyond ASCII: not worth telling apart
  return bytes;
}

RegexFirst first_of(const RegexNode& node, const std::vector<CharSet>& sets) {
  RegexFirst first;
  switch (node.kind) {
    case RegexNode::Kind::kSet: first.bytes = first_bytes(sets[static_cast<size_t>(node.set)]); return first;
    case RegexNode::Kind::kSequence:
      first.empty = true;
      for (const auto& child : node.children) {
        const RegexFirst next = first_of(*child, sets);
        first.bytes |= next.bytes;
        if (!next.empty) return first.empty = false, first;
      }
      return first;
    case RegexNode::Kind::kChoice:
      for (const auto& child : node.children) {
        const RegexFirst next = first_of(*child, sets);
        first.bytes |= next.bytes;
        first.empty |= next.empty;
      }
      return first;
    case RegexNode::Kind::kRepeat:
    case RegexNode::Kind::kAtomic:
      first = first_of(*node.children[0], sets);
      if (node.kind == RegexNode::Kind::kRepeat && node.low == 0) first.empty = true;
      return first;
    case RegexNode::Kind::kEmpty:
    case RegexNode::Kind::kAssert:
    case RegexNode::Kind::kLook: break;
  }
  first.empty = true;
  return first;
}

/// How many characters the node matches, when that is fixed.
std::optional<int> fixed_length(const RegexNode& node) {
  switch (node.kind) {
    case RegexNode::Kind::kSet: return 1;
    case RegexNode::Kind::kSequence: {
      int total = 0;
      for (const auto& child : node.children) {
        const std::optional<int> length = fixed_length(*child);
        if (!length || (total += *length) > 1000) return std::nullopt;
      }
      return total;
    }
    case RegexNode::Kind::kChoice: {
      const std::optional<int> length = fixed_length(*node.children[0]);
      for (const auto& child : node.children)
        if (fixed_length(*child) != length) return std::nullopt;
      return length;
    }
    case RegexNode::Kind::kRepeat: {
      const std::optional<int> length = fixed_length(*node.children[0]);
      if (!length || node.low != node.high || *length * node.low > 1000) return std::nullopt;
      return *length * node.low;
    }
    case RegexNode::Kind::kAtomic: return fixed_length(*node.children[0]);
    case RegexNode::Kind::kEmpty:
    case RegexNode::Kind::kAssert:
    case RegexNode::Kind::kLook: break;
  }
  return 0;
}

class RegexCompiler {
 public:
  RegexCompiler(std::vector<CharSet> sets, std::string_view pattern, const std::string& file)
      : pattern_(pattern), file_(file) {
    program_.sets = std::move(sets);
  }

  RegexProgram compile(const RegexNode& root) {
    emit(root);
    add(RegexStep::Op::kMatch);
    return std::move(program_);
  }

 private:
  using Op = RegexStep::Op;

  [[noreturn]] void unsupported(const std::string& what) const {
    throw UnsupportedError(fmt::format("{}: the regular expression '{}' has {}, which is not supported", file_,
                                       pattern_.substr(0, 200), what));
  }

  size_t add(Op op) {
    if (program_.steps.size() >= kRegexMaxSteps) unsupported("too many repetitions");
    program_.steps.emplace_back().op = op;
    return program_.steps.size() - 1;
  }
  RegexStep& step(size_t i) { return program_.steps[i]; }
  int here() const { return static_cast<int>(program_.steps.size()); }

  size_t fork(const RegexNode& branch) {
    const size_t at = add(Op::kFork);
    const RegexFirst first = first_of(branch, program_.sets);
    if (first.empty) return at;
    step(at).first = static_cast<int>(program_.firsts.size());
    program_.firsts.push_back(first.bytes);
    return at;
  }

  void emit(const RegexNode& node) {
    if (++emitted_ > kRegexMaxEmitted) unsupported("too many repetitions");
    switch (node.kind) {
      case RegexNode::Kind::kEmpty: return;
      case RegexNode::Kind::kSet: {
        const size_t at = add(Op::kSet);
        step(at).set = node.set;
        return;
      }
      case RegexNode::Kind::kSequence:
        for (const auto& child : node.children) emit(*child);
        return;
      case RegexNode::Kind::kChoice: return emit_choice(node);
      case RegexNode::Kind::kRepeat: return emit_repeat(node);
      case RegexNode::Kind::kAssert: {
        const size_t at = add(Op::kAssert);
        step(at).what = node.what;
        return;
      }
      case RegexNode::Kind::kLook: return emit_look(node);
      case RegexNode::Kind::kAtomic: {
        const size_t at = add(Op::kAtomic);
        emit(*node.children[0]);
        add(Op::kMatch);
        step(at).to = here();
        return;
      }
    }
  }

  void emit_choice(const RegexNode& node) {
    std::vector<size_t> ends;
    for (size_t i = 0; i < node.children.size(); ++i) {
      const bool last = i + 1 == node.children.size();
      const size_t at = last ? 0 : fork(*node.children[i]);
      emit(*node.children[i]);
      if (last) break;
      ends.push_back(add(Op::kJump));
      step(at).to = here();
    }
    for (const size_t end : ends) step(end).to = here();
  }

  void emit_repeat(const RegexNode& node) {
    const RegexNode& child = *node.children[0];
    if (child.kind == RegexNode::Kind::kSet) {
      const size_t at = add(Op::kRun);
      step(at).set = child.set;
      step(at).low = node.low;
      step(at).high = node.high;
      step(at).mode = node.mode;
      return;
    }
    std::optional<size_t> atomic;
    if (node.mode == RegexNode::Mode::kPossessive) atomic = add(Op::kAtomic);
    for (int i = 0; i < node.low; ++i) emit(child);
    if (node.high == RegexNode::kUnlimited)
      emit_loop(node, child);
    else
      emit_optional(node, child);
    if (atomic) {
      add(Op::kMatch);
      step(*atomic).to = here();
    }
  }

  size_t emit_branch(const RegexNode& node, const RegexNode& child) {
    return node.mode == RegexNode::Mode::kLazy ? add(Op::kForkLate) : fork(child);
  }

  /// kFork goes on into the loop's body, kForkLate jumps over it first.
  void emit_loop(const RegexNode& node, const RegexNode& child) {
    const int top = here();
    const size_t branch = emit_branch(node, child);
    const size_t mark = add(Op::kMark);
    step(mark).set = program_.slots;
    const int slot = program_.slots++;
    emit(child);
    const size_t moved = add(Op::kMoved);
    step(moved).set = slot;
    const size_t back = add(Op::kJump);
    step(back).to = top;
    step(branch).to = here();
    step(moved).to = here();
  }

  void emit_optional(const RegexNode& node, const RegexNode& child) {
    std::vector<size_t> branches;
    for (int i = node.low; i < node.high; ++i) {
      branches.push_back(emit_branch(node, child));
      emit(child);
    }
    for (const size_t branch : branches) step(branch).to = here();
  }

  void emit_look(const RegexNode& node) {
    const size_t at = add(Op::kLook);
    step(at).behind = node.behind;
    step(at).negated = node.negated;
    if (node.behind) {
      const std::optional<int> length = fixed_length(*node.children[0]);
      if (!length) unsupported("a look-behind of varying length");
      step(at).low = *length;
    }
    emit(*node.children[0]);
    add(Op::kMatch);
    step(at).to = here();
  }

  RegexProgram program_;
  size_t emitted_ = 0;
  std::string_view pattern_;
  const std::string& file_;
};

}  // namespace

RegexProgram compile_regex(const RegexNode& root, std::vector<CharSet> sets, std::string_view pattern,
                           const std::string& file) {
  return RegexCompiler(std::move(sets), pattern, file).compile(root);
}

}  // namespace weft::text
