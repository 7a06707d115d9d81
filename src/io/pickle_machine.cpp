#include "io/pickle_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "weft/core/error.h"

namespace weft::io {

namespace {

constexpr size_t kMaxMarks = 10'000;

}  // namespace

PickleMachine::PickleMachine(const Bytes& bytes, size_t begin, size_t end, const std::string& file)
    : bytes_(bytes), begin_(begin), at_(begin), end_(end), file_(file) {}

void PickleMachine::fail(const std::string& what) const {
  throw FormatError(file_, fmt::format("pickle, byte {}: {}", at_ - begin_, what));
}

std::uint64_t PickleMachine::number(size_t width) {
  if (width > end_ - at_) fail("the pickle is cut off");
  at_ += width;
  return read_le(bytes_.data + at_ - width, width);
}

std::string_view PickleMachine::take(std::uint64_t length) {
  if (length > end_ - at_) fail(fmt::format("{} bytes are announced, {} are left", length, end_ - at_));
  at_ += static_cast<size_t>(length);
  return bytes_.text(at_ - static_cast<size_t>(length), static_cast<size_t>(length));
}

std::string_view PickleMachine::line() {
  const std::string_view rest = bytes_.text(at_, std::min<size_t>(end_ - at_, 1024));
  const size_t stop = rest.find('\n');
  if (stop == std::string_view::npos) fail("a name without end");
  at_ += stop + 1;
  return rest.substr(0, stop);
}

void PickleMachine::push(PickleNode node) {
  if (nodes_.size() >= kMaxNodes) fail(fmt::format("more than {} values", kMaxNodes));
  stack_.push_back(static_cast<std::uint32_t>(nodes_.size()));
  nodes_.push_back(std::move(node));
}

PickleNode& PickleMachine::push_kind(Kind kind) {
  PickleNode node;
  node.kind = kind;
  push(std::move(node));
  return nodes_.back();
}

std::uint32_t PickleMachine::pop() {
  const size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() <= floor) fail("a value is missing on the stack");
  const std::uint32_t out = stack_.back();
  stack_.pop_back();
  return out;
}

PickleNode& PickleMachine::top() {
  if (stack_.empty()) fail("a value is missing on the stack");
  return nodes_[stack_.back()];
}

std::vector<std::uint32_t> PickleMachine::pop_to_mark() {
  if (marks_.empty()) fail("a mark is missing on the stack");
  const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<std::uint32_t> out(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return out;
}

void PickleMachine::collect(Kind kind, size_t count) {
  std::vector<std::uint32_t> items(count);
  for (size_t i = count; i-- > 0;) items[i] = pop();
  push_kind(kind).items = std::move(items);
}

void PickleMachine::set_items(const std::vector<std::uint32_t>& items) {
  PickleNode& dict = top();
  if (dict.kind != Kind::kDict) fail("items are set on something that is not a dict");
  if (items.size() % 2 != 0) fail("a key without a value");
  dict.items.insert(dict.items.end(), items.begin(), items.end());
}

void PickleMachine::append_items(const std::vector<std::uint32_t>& items) {
  PickleNode& list = top();
  if (list.kind != Kind::kList && list.kind != Kind::kSet) fail("items are appended to something that is not a list");
  list.items.insert(list.items.end(), items.begin(), items.end());
}

void PickleMachine::long_integer(std::uint64_t length) {
  const std::string_view raw = take(length);
  if (raw.size() > 8) {
    push_kind(Kind::kBigInt).text = raw;
    return;
  }
  std::uint64_t bits = 0;
  for (size_t i = 0; i < raw.size(); ++i) bits |= std::uint64_t{static_cast<unsigned char>(raw[i])} << (8 * i);
  const bool negative = !raw.empty() && (static_cast<unsigned char>(raw.back()) & 0x80) != 0;
  if (negative && raw.size() < 8) bits |= ~std::uint64_t{0} << (8 * raw.size());
  push_kind(Kind::kInt).integer = static_cast<std::int64_t>(bits);
}

bool PickleMachine::step_scalar(unsigned char op) {
  switch (op) {
    case 'N': push_kind(Kind::kNone); return true;
    case 0x88:
    case 0x89: push_kind(Kind::kBool).integer = op == 0x88; return true;
    case 'J': push_kind(Kind::kInt).integer = static_cast<std::int32_t>(number(4)); return true;
    case 'K': push_kind(Kind::kInt).integer = static_cast<std::int64_t>(number(1)); return true;
    case 'M': push_kind(Kind::kInt).integer = static_cast<std::int64_t>(number(2)); return true;
    case 0x8a: long_integer(number(1)); return true;
    case 0x8b: long_integer(number(4)); return true;
    case 'G': {
      // Big-endian, unlike everything else.
      const std::uint64_t bits = __builtin_bswap64(number(8));
      push_kind(Kind::kFloat).real = std::bit_cast<double>(bits);
      return true;
    }
    default: return false;
  }
}

bool PickleMachine::step_text(unsigned char op) {
  switch (op) {
    case 0x8c:
    case 'U': push_text(Kind::kString, number(1)); return true;
    case 'X':
    case 'T': push_text(Kind::kString, number(4)); return true;
    case 0x8d: push_text(Kind::kString, number(8)); return true;
    case 'C': push_text(Kind::kBytes, number(1)); return true;
    case 'B': push_text(Kind::kBytes, number(4)); return true;
    case 0x8e: push_text(Kind::kBytes, number(8)); return true;
    default: return false;
  }
}

bool PickleMachine::step_container(unsigned char op) {
  switch (op) {
    case '(':
      if (marks_.size() >= kMaxMarks) fail(fmt::format("more than {} open marks", kMaxMarks));
      marks_.push_back(stack_.size());
      return true;
    case '}': push_kind(Kind::kDict); return true;
    case ']': push_kind(Kind::kList); return true;
    case 0x8f: push_kind(Kind::kSet); return true;
    case ')': push_kind(Kind::kTuple); return true;
    case 0x85: collect(Kind::kTuple, 1); return true;
    case 0x86: collect(Kind::kTuple, 2); return true;
    case 0x87: collect(Kind::kTuple, 3); return true;
    case 't':
    case 'l': {
      auto items = pop_to_mark();
      push_kind(op == 't' ? Kind::kTuple : Kind::kList).items = std::move(items);
      return true;
    }
    case 'd': {
      const auto items = pop_to_mark();
      push_kind(Kind::kDict);
      set_items(items);
      return true;
    }
    case 'u': set_items(pop_to_mark()); return true;
    case 'e':
    case 0x90: append_items(pop_to_mark()); return true;
    case 's': {
      const std::uint32_t value = pop(), key = pop();
      set_items({key, value});
      return true;
    }
    case 'a': append_items({pop()}); return true;
    default: return false;
  }
}

bool PickleMachine::step_memo(unsigned char op) {
  const auto put = [&](std::uint64_t key) {
    top();
    if (memo_.size() >= kMaxNodes) fail(fmt::format("more than {} memo entries", kMaxNodes));
    memo_[key] = stack_.back();
  };
  const auto get = [&](std::uint64_t key) {
    const auto it = memo_.find(key);
    if (it == memo_.end()) fail(fmt::format("memo {} was never written", key));
    if (stack_.size() >= kMaxNodes) fail(fmt::format("more than {} values", kMaxNodes));
    stack_.push_back(it->second);
  };
  switch (op) {
    case 'q': put(number(1)); return true;
    case 'r': put(number(4)); return true;
    case 0x94: put(memo_.size()); return true;
    case 'h': get(number(1)); return true;
    case 'j': get(number(4)); return true;
    case '0': pop(); return true;
    case '1': pop_to_mark(); return true;
    default: return false;
  }
}

/// Opcodes that build objects of arbitrary classes, or belong to protocols torch never wrote.
void PickleMachine::refuse(unsigned char op) {
  if (op == 'i') {
    const std::string_view module = line();
    return global(module, line());
  }
  if (op == 'o' || op == 0x81 || op == 0x92)
    fail("makes an object of a class; only tensors and plain containers are read, and nothing is executed");
  fail(fmt::format("opcode 0x{:02x} is not part of torch.save's format", op));
}

bool PickleMachine::step(unsigned char op) {
  if (op == '.') return false;
  if (op == 0x80) {
    const std::uint64_t protocol = number(1);
    if (protocol < 2 || protocol > 5) fail(fmt::format("pickle protocol {}, expected 2 to 5", protocol));
    return true;
  }
  if (op == 0x95) return number(8), true;  // frames change nothing
  if (op == 'c') {
    const std::string_view module = line();
    return global(module, line()), true;
  }
  if (op == 0x93) {
    const PickleNode& name = nodes_[pop()];
    const PickleNode& module = nodes_[pop()];
    if (name.kind != Kind::kString || module.kind != Kind::kString) fail("a global without a name");
    return global(module.text, name.text), true;
  }
  if (op == 'Q') return persistent(), true;
  if (op == 'R') return reduce(), true;
  if (op == 'b') return build(), true;
  if (!step_scalar(op) && !step_text(op) && !step_container(op) && !step_memo(op)) {
    refuse(op);
    fail("makes an object of a class");
  }
  return true;
}

std::uint32_t PickleMachine::run() {
  while (step(static_cast<unsigned char>(number(1)))) {
  }
  if (stack_.size() != 1 || !marks_.empty()) fail("the pickle ends with values left over");
  return stack_.back();
}

}  // namespace weft::io
