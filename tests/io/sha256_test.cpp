#include "io/sha256.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "core/staged.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

using namespace weft;

TEST_CASE("io/sha256: the vectors of FIPS 180-4, from memory and from files") {
  const test::TempDir dir;
  const std::pair<std::string, const char*> cases[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const auto& [text, expected] : cases) {
    CHECK(io::sha256(text.data(), text.size()) == expected);
    write_file(dir / "x", text);
    CHECK(io::sha256_file(dir / "x") == expected);
  }
}

TEST_CASE("io/sha256: files around the buffer's size hash as one piece") {
  const test::TempDir dir;
  for (const size_t size : {(size_t{1} << 20) - 1, size_t{1} << 20, (size_t{1} << 20) + 65}) {
    std::string text(size, '\0');
    for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31);
    write_file(dir / "x", text);
    CHECK(io::sha256_file(dir / "x") == io::sha256(text.data(), text.size()));
  }
  CHECK_THROWS_AS(io::sha256_file(dir / "none"), InputError);
  CHECK_THROWS_AS(io::sha256_file(dir.path()), InputError);
}
