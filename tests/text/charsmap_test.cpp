#include <doctest/doctest.h>

#include <string>

#include "support/error_text.h"
#include "support/tokenizer_golden.h"
#include "text/charsmap.h"

using weft::test::error_text;
using weft::test::says;

namespace {

/// The map of a seed of the fuzz corpus: a to b, e and acute to é, the ligature fi, tab to blank, no soft hyphens.
std::string seed_map() {
  const auto path = std::filesystem::path(WEFT_SOURCE_DIR) / "tests/fuzz/corpus/tokenizer/good_unigram";
  return weft::io::read_json(path)
      .find("normalizer")
      ->find("normalizers")
      ->list.at(0)
      .find("precompiled_charsmap")
      ->scalar;
}

std::string mapped(std::string text) {
  bool leading = true;
  weft::text::make_precompiled(seed_map(), "t.json")->apply(text, leading);
  CHECK(leading);
  return text;
}

}  // namespace

TEST_CASE("text/charsmap: characters, and short clusters by their first match") {
  CHECK(mapped("xay") == "xby");
  CHECK(mapped("e\u0301") == "\u00E9");
  CHECK(mapped("e\u0301\u0301") == "\u00E9");                     // five bytes: looked up whole, the rest is lost
  CHECK(mapped("e\u0301\u0301\u0301") == "e\u0301\u0301\u0301");  // seven bytes: character by character
  CHECK(mapped("a\u0301") == "b");
  CHECK(mapped("a\u200D\u0301") == "b\u200D\u0301");
  CHECK(mapped("\uFB01\u00ADx\t") == "fix ");
  CHECK(mapped(std::string("\0a", 2)) == std::string("\0b", 2));
  CHECK(mapped("a\u0897") == "b");  // a mark since Unicode 16
  CHECK(mapped("") == "");
}

TEST_CASE("text/charsmap: damaged maps are refused") {
  const auto refuse = [](const std::string& map) {
    return error_text<weft::FormatError>([&] { weft::text::make_precompiled(map, "t.json"); });
  };
  CHECK(says(refuse("a"), "t.json: precompiled_charsmap is not base64"));
  CHECK(says(refuse("????"), "base64"));
  CHECK(says(refuse(""), "no tree"));
  CHECK(says(refuse("AAAAAAAAAAA="), "does not fit"));
  CHECK(says(refuse(seed_map().substr(0, 400)), "does not fit"));
  const std::string map = seed_map();
  CHECK(says(refuse(map.substr(0, map.size() - 8)), "a replacement"));
}
