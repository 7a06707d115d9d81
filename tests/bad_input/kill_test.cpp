// A run that is killed while it writes leaves the old output, the new one whole, or nothing.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "bad_input/process.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"

namespace {

namespace fs = std::filesystem;

constexpr const char* kKillConfig = R"({"peft_type": "LORA", "r": 8, "lora_alpha": 8})";

fs::path write_pool_member(const fs::path& folder) {
  weft::test::NamedTensors tensors;
  for (int layer = 0; layer < 24; ++layer)
    weft::test::add_pair(tensors, "model.layers." + std::to_string(layer) + ".q", 1024, 1024, 8);
  return weft::test::write_peft(folder, kKillConfig, tensors);
}

bool has_leftovers(const fs::path& folder) {
  return std::any_of(fs::directory_iterator(folder), fs::directory_iterator(), [](const fs::directory_entry& entry) {
    return entry.path().filename().string().find(".weft-") != std::string::npos;
  });
}

}  // namespace

TEST_CASE("bad_input/kill: never a partial output, inputs untouched, leftovers cleared by the next run") {
  at::manual_seed(11);
  weft::test::TempDir dir;
  const fs::path a = write_pool_member(dir / "a"), b = write_pool_member(dir / "b"), out = dir / "out";
  const auto inputs = std::make_pair(weft::test::contents_of(a), weft::test::contents_of(b));
  const std::vector<std::string> arguments = {"merge", a, b, "--method", "cat", "--force", "-o", out};
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(weft::test::run_weft(arguments, dir / "err").code == 0);
  const auto whole_run = std::chrono::steady_clock::now() - start;
  const auto fresh = weft::test::contents_of(out), old = inputs.first;

  constexpr int kKills = 10;
  for (int i = 0; i < kKills; ++i) {
    fs::remove_all(out);
    const bool replaces = i % 2 == 0;
    if (replaces) fs::copy(a, out);
    const pid_t pid = weft::test::start_weft(arguments, dir / "err");
    // Spread over the second half of a run: the first is spent loading libraries.
    std::this_thread::sleep_for(whole_run * (kKills + i) / (2 * kKills));
    ::kill(pid, SIGKILL);
    weft::test::wait_for(pid);
    if (!fs::exists(out)) {
      CHECK_FALSE(replaces);
      continue;
    }
    const auto now = weft::test::contents_of(out);
    CHECK((now == fresh || (replaces && now == old)));
  }
  CHECK(weft::test::run_weft(arguments, dir / "err").code == 0);
  CHECK(weft::test::contents_of(out) == fresh);
  CHECK_FALSE(has_leftovers(dir.path()));
  CHECK(std::make_pair(weft::test::contents_of(a), weft::test::contents_of(b)) == inputs);
}
