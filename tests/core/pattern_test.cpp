#include <doctest/doctest.h>

#include <string>

#include "core/pattern.h"
#include "weft/core/error.h"

using weft::Pattern;

namespace {

bool tail(const std::string& pattern, const std::string& key) { return Pattern(pattern, "test").matches_tail(key); }
bool whole(const std::string& pattern, const std::string& key) { return Pattern(pattern, "test").matches_whole(key); }

}  // namespace

TEST_CASE("core/pattern: a tail begins at the start or after a dot") {
  const std::string key = "model.layers.1.mlp.up_proj";
  for (const char* hit :
       {"up_proj", "mlp.up_proj", "model.layers.1.mlp.up_proj", "layers.1.mlp.up_proj", "^model.layers.1.mlp.up_proj",
        "^model\\.layers\\.1\\.mlp\\.up_proj$", "mlp.up.proj", "layers\\.\\d+\\.mlp.up_proj", "(up|down)_proj", "up_.*",
        ".*", "mlp\\.(up|gate)_proj", "model\\..*", "l.yers.1.mlp.up_proj", "layers\\.[0-1]\\..*"})
    CHECK_MESSAGE(tail(hit, key), hit);
  for (const char* miss : {"p_proj", "mlp", "up_pro", "^mlp.up_proj", "layers.1", "\\.mlp\\.up_proj", "mlp\\.down_proj",
                           "proj", "odel\\..*up_proj", "xmodel.layers.1.mlp.up_proj", "up_proj.", "(down|gate)_proj"})
    CHECK_FALSE_MESSAGE(tail(miss, key), miss);
}

TEST_CASE("core/pattern: an unescaped dot is any one character, also of several bytes") {
  CHECK(tail("a.c", "x.a.c"));
  CHECK(tail("a.c", "abc"));
  CHECK_FALSE(tail("a\\.c", "abc"));
  CHECK(tail("a.c",
             "x.a\xC3\xA4"
             "c"));
  CHECK_FALSE(tail("a..c",
                   "x.a\xC3\xA4"
                   "c"));
  CHECK(tail("(a.c)",
             "x.a\xC3\xA4"
             "c"));
}

TEST_CASE("core/pattern: a whole match leaves nothing over") {
  CHECK(whole("q_proj", "q_proj"));
  CHECK_FALSE(whole("q_proj", "a.q_proj"));
  CHECK(whole(".*\\.(q|v)_proj", "a.b.v_proj"));
  CHECK_FALSE(whole(".*\\.(q|v)_proj", "a.b.v_proj2"));
  CHECK(whole("a|b", "b"));
  CHECK_FALSE(whole("a|b", "bc"));
}

TEST_CASE("core/pattern: what cannot be used is named") {
  for (const char* bad : {"(", "[a", "a{2,1}", "*a", "a)|(b", "(?<n>", "\\C"}) {
    try {
      Pattern(bad, "dir/adapter_config.json: rank_pattern");
      FAIL(bad << " was accepted");
    } catch (const weft::InputError& e) {
      const std::string text = e.what();
      CHECK(text.find("dir/adapter_config.json: rank_pattern") == 0);
      CHECK(text.find("'" + std::string(bad) + "'") != std::string::npos);
    }
  }
  CHECK_THROWS_AS(Pattern(std::string(100'000, 'a'), "test"), weft::InputError);
  CHECK_THROWS_AS(Pattern(std::string(5'000, '('), "test"), weft::InputError);
}

TEST_CASE("core/pattern: a hostile pattern stops at the limit") {
  const Pattern pattern("(a+)+b?$", "dir/adapter_config.json: rank_pattern");
  const std::string key(60, 'a');
  CHECK(pattern.matches_tail(key));
  try {
    pattern.matches_tail(key + "!");
    FAIL("ran to its end");
  } catch (const weft::InputError& e) {
    CHECK(std::string(e.what()).find("too many steps") != std::string::npos);
    CHECK(std::string(e.what()).find("(a+)+b?$") != std::string::npos);
  }
}
