#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "dist/group.h"
#include "dist/ranks.h"
#include "support/temp_dir.h"

namespace weft::dist {

// What each rank does under the launcher, in a process of its own; never chosen without being asked for.
TEST_CASE("dist/torchrun_rank: gathers and leaves" * doctest::skip()) {
  const char* out = std::getenv("WEFT_TEST_OUT");
  REQUIRE(out != nullptr);
  const Group group = Group::from_environment();
  std::string said;
  for (const std::string& text : group.all_gather(fmt::format("rank {} of {}; ", group.rank(), group.size())))
    said += text;
  group.barrier();
  test::leave_word(std::filesystem::path(out) / std::to_string(group.rank()), said + group.broadcast(said, 1));
}

TEST_CASE("dist/torchrun: two ranks under the launcher find each other, twice under the same one") {
  const test::TempDir dir;
  const std::string rank = fmt::format("'{}' --no-skip --test-case='dist/torchrun_rank:*'",
                                       std::filesystem::read_symlink("/proc/self/exe").string());
  const std::string log = (dir / "log").string();
  const int status = std::system(fmt::format("WEFT_TEST_OUT='{}' '{}/tools/torchrun' --standalone --nproc-per-node=2 "
                                             "bash -c \"{} && {}\" >'{}' 2>&1",
                                             dir.path().string(), WEFT_SOURCE_DIR, rank, rank, log)
                                     .c_str());
  if (WEXITSTATUS(status) == 77) {
    MESSAGE("skipped: " << test::word_of(log));
    return;
  }
  INFO(test::word_of(log));
  CHECK(status == 0);
  const std::string all = "rank 0 of 2; rank 1 of 2; ";
  for (const char* name : {"0", "1"}) CHECK(test::word_of(dir / name) == all + all);
}

}  // namespace weft::dist
