#include "core/staged.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "support/error_text.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

namespace fs = std::filesystem;
using namespace weft;

namespace {

size_t entries_of(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// A folder that --force may replace.
void make_old_adapter(const fs::path& folder) {
  fs::create_directories(folder);
  write_file(folder / "adapter_config.json", "old");
}

}  // namespace

TEST_CASE("core/staged: the folder appears at commit, whole") {
  const test::TempDir dir;
  {
    StagedFolder staged(dir / "a" / "b" / "out/", false);
    write_file(staged.path() / "x", "text");
    CHECK(!fs::exists(dir / "a" / "b" / "out"));
    CHECK(staged.path().parent_path() == dir / "a" / "b");
    staged.commit();
  }
  CHECK(read_file(dir / "a" / "b" / "out" / "x", 10) == "text");
  CHECK(entries_of(dir / "a" / "b") == 1);
}

TEST_CASE("core/staged: without commit nothing stays, not even new parents") {
  const test::TempDir dir;
  {
    StagedFolder staged(dir / "a" / "b" / "out", false);
    write_file(staged.path() / "x", "text");
  }
  CHECK(entries_of(dir.path()) == 0);
}

TEST_CASE("core/staged: an existing folder needs force, and stays until the new one is there") {
  const test::TempDir dir;
  make_old_adapter(dir / "out");
  const std::string text = test::error_text<UsageError>([&] { StagedFolder(dir / "out", false); });
  CHECK(text.find("exists already; --force replaces it") != std::string::npos);
  {
    StagedFolder given_up(dir / "out", true);
    write_file(given_up.path() / "x", "new");
  }
  CHECK(read_file(dir / "out" / "adapter_config.json", 10) == "old");
  StagedFolder staged(dir / "out", true);
  write_file(staged.path() / "x", "new");
  staged.commit();
  CHECK(!fs::exists(dir / "out" / "adapter_config.json"));
  CHECK(read_file(dir / "out" / "x", 10) == "new");
  CHECK(entries_of(dir.path()) == 1);
}

TEST_CASE("core/staged: force deletes only what is an adapter or empty") {
  const test::TempDir dir;
  fs::create_directories(dir / "empty");
  StagedFolder(dir / "empty", true).commit();
  fs::create_directories(dir / "photos");
  write_file(dir / "photos" / "cat.jpg", "meow");
  const std::string text = test::error_text<UsageError>([&] { StagedFolder(dir / "photos", true); });
  CHECK(text.find("refusing to delete it") != std::string::npos);
  write_file(dir / "file", "x");
  CHECK(test::error_text<UsageError>([&] { StagedFolder(dir / "file", true); }).find("is a file") != std::string::npos);
  CHECK_THROWS_AS(StagedFolder("", true), UsageError);
  CHECK_THROWS_AS(StagedFolder("/", true), UsageError);
  CHECK_THROWS_AS(StagedFolder(dir.path() / "..", true), UsageError);
  CHECK(read_file(dir / "photos" / "cat.jpg", 10) == "meow");
}

TEST_CASE("core/staged: a destination that appears meanwhile is not overwritten") {
  const test::TempDir dir;
  {
    StagedFolder staged(dir / "out", false);
    make_old_adapter(dir / "out");
    CHECK_THROWS_AS(staged.commit(), UsageError);
  }
  CHECK(read_file(dir / "out" / "adapter_config.json", 10) == "old");
  CHECK(entries_of(dir.path()) == 1);
  fs::remove_all(dir / "out");
  StagedFolder forced(dir / "out", true);
  fs::create_directories(dir / "out");
  write_file(dir / "out" / "mine", "x");
  CHECK_THROWS_AS(forced.commit(), UsageError);
  CHECK(fs::exists(dir / "out" / "mine"));
}

TEST_CASE("core/staged: leftovers of dead processes are cleared, of living ones kept") {
  const test::TempDir dir;
  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  ::waitpid(dead, nullptr, 0);
  const fs::path leftover = dir / (".out.weft-" + std::to_string(dead) + "-0");
  const fs::path living = dir / (".out.weft-" + std::to_string(::getppid()) + "-0");
  const fs::path other = dir / (".other.weft-" + std::to_string(dead) + "-0");
  const fs::path strange = dir / ".out.weft-notes";
  for (const fs::path& p : {leftover, living, other, strange}) fs::create_directories(p / "sub");
  StagedFolder(dir / "out", false).commit();
  CHECK(!fs::exists(leftover));
  CHECK(fs::exists(living));
  CHECK(fs::exists(other));
  CHECK(fs::exists(strange));
}

TEST_CASE("core/staged: a link to a folder keeps being a link") {
  const test::TempDir dir;
  make_old_adapter(dir / "real");
  fs::create_directory_symlink(dir / "real", dir / "link");
  StagedFolder staged(dir / "link", true);
  write_file(staged.path() / "x", "new");
  staged.commit();
  CHECK(fs::is_symlink(dir / "link"));
  CHECK(read_file(dir / "real" / "x", 10) == "new");
  fs::create_directory_symlink(dir / "nowhere", dir / "dangling");
  CHECK_THROWS_AS(StagedFolder(dir / "dangling", false), UsageError);
}

TEST_CASE("core/staged: places that cannot be written are named") {
  const test::TempDir dir;
  write_file(dir / "file", "x");
  const std::string below_file = test::error_text([&] { StagedFolder(dir / "file" / "out", false); });
  CHECK(below_file.find("Not a directory") != std::string::npos);
  CHECK(test::error_text([] { StagedFolder("/proc/weft-test/out", false); }).find("/proc/weft-test") !=
        std::string::npos);
  CHECK(test::error_text([&] { write_file(dir / "no" / "x", "a"); }).find("No such file or directory") !=
        std::string::npos);
  CHECK(test::error_text([] { write_file("/dev/full", "a"); }) == "/dev/full: cannot write: No space left on device");
}

TEST_CASE("core/staged: read_file refuses what is missing, no file, or too large") {
  const test::TempDir dir;
  write_file(dir / "x", "12345");
  CHECK(read_file(dir / "x", 5) == "12345");
  CHECK_THROWS_AS(read_file(dir / "x", 4), InputError);
  CHECK_THROWS_AS(read_file(dir / "none", 4), InputError);
  CHECK_THROWS_AS(read_file(dir.path(), 4), InputError);
  ::mkfifo((dir / "pipe").c_str(), 0600);
  CHECK_THROWS_AS(read_file(dir / "pipe", 4), InputError);
}

TEST_CASE("core/staged: a single file appears at commit, whole") {
  const test::TempDir dir;
  {
    StagedFile staged(dir / "a" / "out", false);
    write_file(staged.path(), "text");
    CHECK(!fs::exists(dir / "a" / "out"));
    staged.commit();
  }
  CHECK(read_file(dir / "a" / "out", 10) == "text");
  CHECK(entries_of(dir / "a") == 1);
  { StagedFile staged(dir / "b" / "out", false); }
  CHECK(entries_of(dir.path()) == 1);
}

TEST_CASE("core/staged: an existing file needs force; folders and devices are refused even so") {
  const test::TempDir dir;
  write_file(dir / "out", "old");
  CHECK(test::says(test::error_text<UsageError>([&] { StagedFile(dir / "out", false); }), "--force replaces it"));
  {
    StagedFile staged(dir / "out", true);
    write_file(staged.path(), "new");
    CHECK(read_file(dir / "out", 10) == "old");
    staged.commit();
  }
  CHECK(read_file(dir / "out", 10) == "new");
  CHECK(entries_of(dir.path()) == 1);
  {
    StagedFile staged(dir / "late", false);
    write_file(dir / "late", "somebody else's");
    CHECK(test::says(test::error_text<UsageError>([&] { staged.commit(); }), "exists already"));
  }
  CHECK(read_file(dir / "late", 20) == "somebody else's");
  CHECK(test::says(test::error_text<UsageError>([&] { StagedFile(dir.path(), true); }), "is a folder"));
  CHECK(test::says(test::error_text<UsageError>([&] { StagedFile("/dev/null", true); }), "is no regular file"));
  CHECK(test::says(test::error_text<UsageError>([&] { StagedFile("", true); }), "cannot be an output file"));
}
