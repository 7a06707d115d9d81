// Outputs that cannot be written, and streams that lead nowhere.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <filesystem>
#include <string>
#include <vector>

#include "bad_input/process.h"
#include "cli/run_cli.h"
#include "support/error_text.h"
#include "support/temp_dir.h"
#include "support/zoo.h"

namespace {

namespace fs = std::filesystem;
using weft::test::says;

/// Two adapters and the arguments of their merge.
struct OutputPlace {
  weft::test::TempDir dir;
  std::string a = weft::test::write_zoo_adapter(dir / "a", 1, 3).string();
  std::string b = weft::test::write_zoo_adapter(dir / "b", 2, 2).string();

  std::vector<std::string> merge_to(const fs::path& out) const {
    return {"merge", a, b, "--method", "ties", "--force", "-o", out.string()};
  }
  weft::test::ProcessResult run(const fs::path& out, const std::function<void()>& prepare) const {
    return weft::test::run_weft(merge_to(out), dir / "err", prepare);
  }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()));
  }
};

}  // namespace

TEST_CASE("bad_input/output: an input is never replaced, whatever it is called") {
  const OutputPlace place;
  const auto before = weft::test::contents_of(place.a);
  fs::create_directory_symlink(place.a, place.dir / "link");
  for (const std::string& out : {place.a, place.a + "/", place.a + "/.", place.a + "/../a",
                                 (place.dir / "link").string(), place.dir.path().string()}) {
    const auto result = weft::test::run_cli(place.merge_to(out));
    CHECK_MESSAGE(result.code == 2, out);
    CHECK(says(result.err, "input"));
  }
  CHECK(weft::test::contents_of(place.a) == before);
}

TEST_CASE("bad_input/output: names that cannot be resolved are not taken for inputs") {
  const OutputPlace place;
  fs::create_symlink(place.dir / "loop", place.dir / "loop");
  for (const fs::path& out : {place.dir / "loop", place.dir / "loop" / "x", place.dir / std::string(300, 'n')}) {
    const auto result = weft::test::run_cli(place.merge_to(out));
    CHECK((result.code == 1 || result.code == 2));
    CHECK(result.err.starts_with("weft: error: "));
    CHECK_FALSE(says(result.err, "replace the input"));
  }
}

TEST_CASE("bad_input/output: a device, a file and a path below a file") {
  const OutputPlace place;
  CHECK(weft::test::run_cli(place.merge_to("/dev/full")).code == 2);
  CHECK(weft::test::run_cli(place.merge_to(place.a + "/adapter_config.json")).code == 2);
  CHECK(weft::test::run_cli(place.merge_to("/dev/null/x")).code == 1);
}

#ifdef WEFT_BINARY

TEST_CASE("bad_input/output: a write that fails half-way is reported and leaves nothing") {
  const OutputPlace place;
  const auto result = place.run(place.dir / "out", [] {
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  });
  CHECK(result.code == 1);
  CHECK(says(result.err, "weft: error: "));
  CHECK(says(result.err, "File too large"));
  CHECK(place.entries() == 3);  // a, b, err
}

TEST_CASE("bad_input/output: standard output on a full disk is an error") {
  const OutputPlace place;
  for (const char* verb : {"methods", "--version"}) {
    const auto result =
        weft::test::run_weft({verb}, place.dir / "err", [] { ::dup2(::open("/dev/full", O_WRONLY), STDOUT_FILENO); });
    CHECK(result.code == 1);
    CHECK(result.err == "weft: error: cannot write to standard output: No space left on device\n");
  }
}

TEST_CASE("bad_input/output: closed standard streams do not end up in a file") {
  const OutputPlace place;
  REQUIRE(place.run(place.dir / "open", {}).code == 0);
  const auto result = place.run(place.dir / "closed", [] {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(fd);
  });
  CHECK(result.code == 0);
  CHECK(weft::test::contents_of(place.dir / "closed") == weft::test::contents_of(place.dir / "open"));
}

#endif
