#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/error_text.h"
#include "text/regex.h"

using weft::test::error_text;
using weft::test::says;
using weft::text::Regex;

namespace {

/// The text with each match in brackets, as the tokenizers library replaces them.
std::string marked(const std::string& pattern, const std::string& text) {
  std::vector<std::pair<size_t, size_t>> matches;
  Regex(pattern, "t.json").find_all(text, matches);
  std::string out;
  size_t at = 0;
  for (const auto& [begin, end] : matches) {
    out += text.substr(at, begin - at) + "[" + text.substr(begin, end - begin) + "]";
    at = end;
  }
  return out + text.substr(at);
}

std::string pattern_error(const std::string& pattern) {
  return error_text([&] { Regex(pattern, "t.json"); });
}

}  // namespace

TEST_CASE("text/regex: choices in order, greedy, lazy and possessive") {
  CHECK(marked("a|ab", "abab") == "[a]b[a]b");
  CHECK(marked("(?:ab|a)b", "abb ab") == "[abb] [ab]");
  CHECK(marked("<.+>", "<a><b>") == "[<a><b>]");
  CHECK(marked("<.+?>", "<a><b>") == "[<a>][<b>]");
  CHECK(marked("a++a|b", "aaab") == "aaa[b]");
  CHECK(marked("(?>a+)a|b", "aaab") == "aaa[b]");
  CHECK(marked("(?:xy){2,3}?", "xyxyxyxy") == "[xyxy][xyxy]");
  CHECK(marked("(?:a|b)*c", "abac ab") == "[abac] ab");
  CHECK(marked("(?:a*)*b", "aab b") == "[aab] [b]");
}

TEST_CASE("text/regex: Oniguruma's own ways") {
  CHECK(marked("\\d{1,2}+", "12345") == "[12345]");  // a repeated {1,2}, not a possessive one
  CHECK(marked("a{2}?", "aaa") == "[aa]a[]");        // an optional {2}, not a lazy one
  CHECK(marked("\\h+", "xfF0 g") == "x[fF0] g");     // hexadecimal digits
  CHECK(marked("^a|b$", "a\nab\nb") == "[a]\n[a][b]\n[b]");
  CHECK(marked("[^(\\s|[.,])]+", "a(b|c), d") == "[a]([b]|[c]), [d]");  // brackets within brackets
  CHECK(marked("[]a]+", "a]b") == "[a]]b");
  CHECK(marked("\\w+", "a\u00b2_\u0301") == "[a\u00b2_\u0301]");
  CHECK(marked("[\\w]+", "a\u00b2_\u0301") == "[a]\u00b2[_\u0301]");
  CHECK(marked("\\s", "\u00a0\u180e\u0085") == "[\u00a0]\u180e[\u0085]");
}

TEST_CASE("text/regex: classes, properties and case") {
  CHECK(marked("\\p{L}+|\\p{N}", "a\u00e912\u4e2d") == "[a\u00e9][1][2][\u4e2d]");
  CHECK(marked("[\\p{Lu}\\p{^L}]+", "aB1c") == "a[B1]c");
  CHECK(marked("\\P{L}+", "a1-b") == "a[1-]b");
  CHECK(marked("(?i:'S|'re)", "'s'\u017f'RE're") == "['s]['\u017f]['RE]['re]");
  CHECK(marked("a(?i)b|C", "aB c") == "[aB] [c]");
  CHECK(marked("\\bab?\\b", "a ab ba") == "[a] [ab] ba");
  CHECK(marked("(?<!x)y(?=z)|(?<=q)r", "yz xyz qr") == "[y]z xyz q[r]");
  CHECK(marked("\\s+(?!\\S)|\\s+", "a   b  ") == "a[  ][ ]b[  ]");
}

TEST_CASE("text/regex: empty matches") {
  CHECK(marked("", "ab") == "[]a[]b[]");
  CHECK(marked("b*", "abba") == "[]a[bb]a[]");
}

TEST_CASE("text/regex: what is not an expression or not known is refused by name") {
  for (const char* const bad : {"a)", "(a", "[a", "a\\", "*a", "[b-a]", "\\p{L", "\\x{110000}"})
    CHECK(says(pattern_error(bad), "cannot be used"));
  for (const char* const unknown :
       {"\\1", "\\R", "\\X", "\\K", "(?<n>a)", "(?x)a", "[a&&b]", "[[:alpha:]]", "\\p{Greek}", "\\pL", "(?<=a+)b",
        "(?i:\u00e9)", "(?i:ss)", "a{2000}", "(?=a)*", "((((a{99}){99}){99}){99})", "((((){999}){999}){999})"})
    CHECK(says(pattern_error(unknown), "not supported"));
}

TEST_CASE("text/regex: matching that explodes stops") {
  const std::string text = std::string(60, 'a') + "!";
  CHECK(says(error_text([&] { marked("(a|a)+$", text); }), "too many steps"));
  CHECK(says(error_text([&] { marked("(?:a*)*c", text + text); }), "too many steps"));
}
