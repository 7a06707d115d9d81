#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "text/regex_program.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

constexpr int kRegexMaxDepth = 50;
constexpr size_t kRegexMaxLength = 20'000;
constexpr int kRegexMaxRepeat = 1000;

using NodePtr = std::unique_ptr<RegexNode>;

NodePtr make_node(RegexNode::Kind kind) {
  auto node = std::make_unique<RegexNode>();
  node->kind = kind;
  return node;
}

bool ascii_letter(char32_t c) { return c < 128 && std::isalpha(static_cast<int>(c)) != 0; }

class RegexParser {
 public:
  RegexParser(std::string_view pattern, const std::string& file, std::vector<CharSet>& sets)
      : pattern_(pattern), file_(file), sets_(sets) {}

  NodePtr parse() {
    if (pattern_.size() > kRegexMaxLength)
      unsupported(fmt::format("an expression longer than {} characters", kRegexMaxLength));
    NodePtr root = choice();
    if (!done()) bad("a ')' without its '('");
    return root;
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    throw FormatError(
        file_, fmt::format("the regular expression '{}' cannot be used: {} at character {}", shown(), what, at_));
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    throw UnsupportedError(fmt::format("{}: the regular expression '{}' has {} at character {}, which is not supported",
                                       file_, shown(), what, at_));
  }
  std::string shown() const { return std::string(pattern_.size() > 200 ? pattern_.substr(0, 200) : pattern_); }

  bool done() const { return at_ >= pattern_.size(); }
  bool next_is(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  bool take(std::string_view text) {
    if (!next_is(text)) return false;
    at_ += text.size();
    return true;
  }
  char32_t code() {
    if (done()) bad("the end");
    return next_code(pattern_, at_);
  }

  int add_set(CharSet set) {
    set.finish();
    sets_.push_back(std::move(set));
    return static_cast<int>(sets_.size()) - 1;
  }
  NodePtr set_node(CharSet set) {
    NodePtr node = make_node(RegexNode::Kind::kSet);
    node->set = add_set(std::move(set));
    return node;
  }
  static NodePtr assertion(RegexNode::Assert what) {
    NodePtr node = make_node(RegexNode::Kind::kAssert);
    node->what = what;
    return node;
  }

  NodePtr choice() {
    if (++depth_ > kRegexMaxDepth) unsupported(fmt::format("groups nested deeper than {}", kRegexMaxDepth));
    NodePtr node = make_node(RegexNode::Kind::kChoice);
    const bool caseless = caseless_;  // (?i) holds to the end of its group
    do node->children.push_back(sequence());
    while (take("|"));
    caseless_ = caseless;
    --depth_;
    if (node->children.size() == 1) return std::move(node->children[0]);
    return node;
  }

  NodePtr sequence() {
    NodePtr node = make_node(RegexNode::Kind::kSequence);
    while (!done() && !next_is("|") && !next_is(")")) {
      NodePtr item = atom();
      if (item) node->children.push_back(quantified(std::move(item)));
    }
    return node;
  }

  NodePtr quantified(NodePtr item) {
    while (!done()) {
      int low = 0, high = 0;
      bool braces = false;
      if (take("*"))
        high = RegexNode::kUnlimited;
      else if (take("+"))
        low = 1, high = RegexNode::kUnlimited;
      else if (take("?"))
        high = 1;
      else if (next_is("{") && interval(low, high))
        braces = true;
      else
        break;
      if (item->kind == RegexNode::Kind::kAssert || item->kind == RegexNode::Kind::kLook)
        unsupported("a repeated assertion");
      NodePtr node = make_node(RegexNode::Kind::kRepeat);
      node->low = low;
      node->high = high;
      // In this syntax {n}? is an optional {n}, and {n,m}+ a repeated {n,m}.
      if (!(braces && low == high) && take("?"))
        node->mode = RegexNode::Mode::kLazy;
      else if (!braces && take("+"))
        node->mode = RegexNode::Mode::kPossessive;
      node->children.push_back(std::move(item));
      item = std::move(node);
      if (++depth_of_repeats_ > kRegexMaxRepeat) unsupported("too many repetitions");
    }
    return item;
  }

  /// {n}, {n,}, {,m}, {n,m}; anything else is plain text.
  bool interval(int& low, int& high) {
    const size_t start = at_;
    ++at_;
    const std::optional<int> first = digits();
    std::optional<int> second = first;
    if (take(",")) {
      second = digits();
      if (!first && !second) return at_ = start, false;
      if (!second) second = RegexNode::kUnlimited;
    }
    if (!second || !take("}")) return at_ = start, false;
    low = first.value_or(0);
    high = *second;
    if (high < low) unsupported("a repetition {n,m} with n > m");
    return true;
  }

  std::optional<int> digits() {
    std::optional<int> value;
    while (!done() && pattern_[at_] >= '0' && pattern_[at_] <= '9') {
      value = value.value_or(0) * 10 + (pattern_[at_++] - '0');
      if (*value > kRegexMaxRepeat) unsupported(fmt::format("a repetition of more than {}", kRegexMaxRepeat));
    }
    return value;
  }

  NodePtr atom() {
    if (take("(")) return group();
    if (take("[")) return set_node(char_class());
    if (take("\\")) return escape();
    if (take(".")) {
      CharSet set;
      set.add('\n', '\n');
      set.negate();
      return set_node(std::move(set));
    }
    if (take("^")) return assertion(RegexNode::Assert::kLineStart);
    if (take("$")) return assertion(RegexNode::Assert::kLineEnd);
    if (next_is("*") || next_is("+") || next_is("?")) bad("nothing to repeat");
    return literal(code());
  }

  NodePtr literal(char32_t c) {
    // Where case does not matter, ligatures and sharp s match two letters.
    static constexpr std::string_view kTwoLetters[] = {"ff", "fi", "fl", "ss", "st"};
    if (caseless_ && ascii_letter(c) && at_ >= 2) {
      std::string pair(pattern_.substr(at_ - 2, 2));
      for (char& letter : pair) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
      if (std::find(std::begin(kTwoLetters), std::end(kTwoLetters), pair) != std::end(kTwoLetters))
        unsupported(fmt::format("the letters '{}' where case does not matter", pair));
    }
    CharSet set;
    add_literal(set, c, c);
    return set_node(std::move(set));
  }

  /// A range of characters, with its other cases where case does not matter.
  void add_literal(CharSet& set, char32_t first, char32_t last) {
    set.add(first, last);
    if (!caseless_) return;
    if (last > 127) unsupported("a character outside ASCII where case does not matter");
    for (char32_t c = first; c <= last; ++c) {
      if (!ascii_letter(c)) continue;
      set.add(c ^ 0x20U, c ^ 0x20U);
      if ((c | 0x20U) == 's') set.add(0x17F, 0x17F);
      if ((c | 0x20U) == 'k') set.add(0x212A, 0x212A);
    }
  }

  NodePtr group() {
    if (!take("?")) return closed(choice());
    if (take(":")) return closed(choice());
    if (take(">")) {
      NodePtr node = make_node(RegexNode::Kind::kAtomic);
      node->children.push_back(closed(choice()));
      return node;
    }
    for (const auto& [sign, behind, negated] : {std::tuple{"=", false, false}, std::tuple{"!", false, true},
                                                std::tuple{"<=", true, false}, std::tuple{"<!", true, true}}) {
      if (!take(sign)) continue;
      NodePtr node = make_node(RegexNode::Kind::kLook);
      node->behind = behind;
      node->negated = negated;
      node->children.push_back(closed(choice()));
      return node;
    }
    const bool before = caseless_;
    const bool on = !take("-");
    if (!take("i")) unsupported("a group of a kind");
    caseless_ = on;
    if (take(")")) return make_node(RegexNode::Kind::kEmpty);  // choice() ends it
    if (!take(":")) unsupported("an option of a group");
    NodePtr node = closed(choice());
    caseless_ = before;
    return node;
  }

  NodePtr closed(NodePtr node) {
    if (!take(")")) bad("a '(' without its ')'");
    return node;
  }

  NodePtr escape() {
    using Assert = RegexNode::Assert;
    for (const auto& [letter, what] : {std::pair{"A", Assert::kTextStart}, std::pair{"z", Assert::kTextEnd},
                                       std::pair{"Z", Assert::kTextEndOrNewline}, std::pair{"b", Assert::kWordEdge},
                                       std::pair{"B", Assert::kNoWordEdge}})
      if (take(letter)) return assertion(what);
    CharSet set;
    if (shorthand(set, false)) return set_node(std::move(set));
    return literal(escaped_code());
  }

  /// \s \d \w \h \p and their negations; false when something else stands there.
  bool shorthand(CharSet& set, bool in_brackets) {
    if (done()) bad("a backslash at the end");
    const char letter = pattern_[at_];
    CharSet inner;
    switch (std::tolower(letter)) {
      case 's': inner.add_space(); break;
      case 'd': inner.add(mask_of(Category::kNd)); break;
      case 'w': inner.add_word(in_brackets); break;
      case 'h':
        inner.add('0', '9');
        inner.add('a', 'f');
        inner.add('A', 'F');
        break;
      case 'p': return property(set);
      default: return false;
    }
    ++at_;
    set.add(inner, std::isupper(static_cast<unsigned char>(letter)) != 0);
    return true;
  }

  bool property(CharSet& set) {
    bool negated = pattern_[at_] == 'P';
    ++at_;
    if (!take("{")) unsupported("\\p without braces");
    if (take("^")) negated = !negated;
    const size_t end = pattern_.find('}', at_);
    if (end == std::string_view::npos) bad("\\p{ without its '}'");
    std::string name;
    for (const char c : pattern_.substr(at_, end - at_))
      if (c != ' ' && c != '_' && c != '-') name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const std::optional<CategoryMask> found = regex_property(name);
    if (!found) unsupported("a property of characters");
    constexpr CategoryMask kCased = mask_of(Category::kLu) | mask_of(Category::kLl) | mask_of(Category::kLt);
    if (caseless_ && (*found & kCased) != 0 && (*found & kCased) != kCased)
      unsupported("a property of case where case does not matter");
    at_ = end + 1;
    CharSet inner;
    inner.add(*found);
    set.add(inner, negated);
    return true;
  }

  char32_t escaped_code() {
    const char32_t c = code();
    switch (c) {
      case 't': return '\t';
      case 'n': return '\n';
      case 'r': return '\r';
      case 'f': return '\f';
      case 'v': return '\v';
      case 'a': return '\a';
      case 'e': return 0x1B;
      case 'x':
        if (take("{")) {
          const char32_t value = hexadecimal(1, 8);
          if (!take("}")) bad("\\x{ without its '}'");
          return value;
        }
        return hexadecimal(1, 2);
      case 'u': return hexadecimal(4, 4);
      default: break;
    }
    if (ascii_letter(c) || (c >= '0' && c <= '9')) {
      --at_;
      unsupported(fmt::format("the escape \\{}", static_cast<char>(c)));
    }
    return c;
  }

  char32_t hexadecimal(size_t least, size_t most) {
    char32_t value = 0;
    size_t n = 0;
    for (; n < most && !done() && std::isxdigit(static_cast<unsigned char>(pattern_[at_])) != 0; ++n, ++at_) {
      const int c = std::tolower(static_cast<unsigned char>(pattern_[at_]));
      value = value * 16 + static_cast<char32_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    if (n < least || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) bad("not a character's number");
    if (most == 2 && value > 0x7F) unsupported("a byte outside ASCII");
    return value;
  }

  /// Behind the opening bracket. A class inside a class is part of the union.
  CharSet char_class() {
    if (++depth_ > kRegexMaxDepth) unsupported("classes nested too deeply");
    CharSet set;
    const bool negated = take("^");
    for (bool first = true;; first = false) {
      if (done()) bad("a '[' without its ']'");
      if (!first && take("]")) break;
      if (next_is("&&")) unsupported("an intersection of classes");
      if (next_is("[:")) unsupported("a POSIX bracket");
      if (take("[")) {
        set.add(char_class(), false);
        continue;
      }
      class_member(set);
    }
    if (negated) set.negate();
    set.finish();
    --depth_;
    return set;
  }

  void class_member(CharSet& set) {
    if (take("\\")) {
      if (shorthand(set, true)) {
        if (next_is("-") && !next_is("-]")) unsupported("a range that begins with a class");
        return;
      }
      if (next_is("b")) unsupported("the escape \\b in a class");
      --at_;
    }
    const char32_t first = class_code();
    if (!next_is("-") || next_is("-]") || next_is("-[")) return add_literal(set, first, first);
    ++at_;
    if (next_is("\\") && at_ + 1 < pattern_.size() &&
        std::string_view("sdwhpSDWHP").find(pattern_[at_ + 1]) != std::string_view::npos)
      unsupported("a range that ends with a class");
    const char32_t last = class_code();
    if (last < first) bad("a range whose end is before its start");
    add_literal(set, first, last);
  }

  char32_t class_code() { return take("\\") ? escaped_code() : code(); }

  std::string_view pattern_;
  const std::string& file_;
  std::vector<CharSet>& sets_;
  size_t at_ = 0;
  int depth_ = 0, depth_of_repeats_ = 0;
  bool caseless_ = false;
};

}  // namespace

std::unique_ptr<RegexNode> parse_regex(std::string_view pattern, const std::string& file, std::vector<CharSet>& sets) {
  return RegexParser(pattern, file, sets).parse();
}

}  // namespace weft::text
