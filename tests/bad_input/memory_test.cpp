// Memory that runs out while a model runs: a message that says what to lower, no abort.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "bad_input/process.h"
#include "support/error_text.h"
#include "support/id_model.h"
#include "support/temp_dir.h"

#if !defined(__SANITIZE_ADDRESS__)  // its shadow alone is beyond any limit

namespace {

/// Address space of this process, which has libtorch loaded as the program will have it.
rlim_t own_address_space() {
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("bad_input/memory: an evaluation that does not fit says what to lower") {
  const weft::test::TempDir dir;
  const std::string base = weft::test::write_id_model(dir / "base", "llama").string();
  const std::string data = (dir / "data.jsonl").string();
  {
    std::ofstream file(data);
    // 3.2 million tokens at once: 300 MB for one tensor of states, of which a forward pass holds several.
    for (int i = 0; i < 100000; ++i)
      file << "{\"text\": \"5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 "
              "36\"}\n";
  }
  const rlim_t limit = own_address_space() + (rlim_t{512} << 20);  // enough to start
  const auto result = weft::test::run_weft({"eval", "--base", base, "--data", data, "--batch-tokens", "1000000000"},
                                           dir / "err", [limit] {
                                             const struct rlimit small = {limit, limit};
                                             ::setrlimit(RLIMIT_AS, &small);
                                           });
  CHECK(result.code == 1);
  CHECK_MESSAGE(weft::test::says(result.err, "weft: error: out of memory; lower --batch-tokens"), result.err);
}
#endif
