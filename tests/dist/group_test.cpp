#include "dist/group.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "dist/ranks.h"
#include "support/error_text.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

namespace weft::dist {

using test::run_ranks;
using test::says;

namespace {

// A text of this many bytes, of all values, another for each rank.
std::string bytes_of_rank(int rank, size_t count) {
  std::string out(count, '\0');
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<char>((i * 31 + static_cast<size_t>(rank) * 7) % 256);
  return out;
}

using Clock = std::chrono::steady_clock;

}  // namespace

TEST_CASE("dist/group: a group of one needs nothing") {
  const Group group;
  CHECK(group.rank() == 0);
  CHECK(group.size() == 1);
  CHECK(group.all_gather("x") == std::vector<std::string>{"x"});
  CHECK(group.broadcast("y") == "y");
  CHECK_NOTHROW(group.barrier());
  bool ran = false;
  group.agree([&] { ran = true; });
  CHECK(ran);
  CHECK(test::error_text<InputError>([&] { group.agree([] { throw InputError("bad file"); }); }) == "bad file");
  CHECK(says(test::error_text<UsageError>([&] { group.broadcast("", 1); }), "there is no rank 1"));
}

TEST_CASE("dist/group: gathers and broadcasts bytes of any length, many times") {
  const auto said = run_ranks(3, [](const Placement& at) -> std::string {
    const Group group(at);
    for (const size_t count : {size_t{0}, size_t{1}, size_t{1000}, (size_t{1} << 20) - 1, size_t{1} << 20,
                               (size_t{2} << 20) + 17, size_t{9} << 20}) {
      // Each rank another length, so that whole and split messages meet.
      const auto all = group.all_gather(bytes_of_rank(group.rank(), count + static_cast<size_t>(group.rank())));
      for (int rank = 0; rank < group.size(); ++rank)
        if (all.at(static_cast<size_t>(rank)) != bytes_of_rank(rank, count + static_cast<size_t>(rank)))
          return fmt::format("gathering {} bytes: wrong from rank {}", count, rank);
    }
    for (int turn = 0; turn < 200; ++turn) {
      const int from = turn % 3;
      const std::string text = fmt::format("turn {} of rank {}", turn, group.rank());
      if (group.broadcast(text, from) != fmt::format("turn {} of rank {}", turn, from)) return "broadcast is wrong";
      if (turn % 50 == 0) group.barrier();
    }
    return fmt::format("rank {} of {} fine", group.rank(), group.size());
  });
  CHECK(said == std::vector<std::string>{"rank 0 of 3 fine", "rank 1 of 3 fine", "rank 2 of 3 fine"});
}

TEST_CASE("dist/group: nobody passes a barrier before the last has come") {
  const test::TempDir dir;
  const auto said = run_ranks(2, [&](const Placement& at) -> std::string {
    const Group group(at);
    group.barrier();
    if (group.rank() == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      test::leave_word(dir / "word", "here");
    }
    group.barrier();
    return test::word_of(dir / "word");
  });
  CHECK(said == std::vector<std::string>{"here", "here"});
}

TEST_CASE("dist/group: an error of one rank reaches all of them soon, with its text and its blame") {
  for (const int failing : {0, 1}) {
    INFO(failing);
    const auto start = Clock::now();
    const auto said = run_ranks(3, [&](const Placement& at) -> std::string {
      const Group group(at);
      try {
        group.agree([] {});
        group.agree([&] {
          if (group.rank() == failing) throw InputError("few.jsonl: line 3 is no JSON");
        });
      } catch (const Error& error) {
        return (error.blame() == Blame::kInput ? "input: " : "other: ") + std::string(error.what());
      }
      return "no error";
    });
    for (int rank = 0; rank < 3; ++rank) {
      const std::string text = "few.jsonl: line 3 is no JSON";
      CHECK(said[static_cast<size_t>(rank)] ==
            "input: " + (rank == failing ? text : fmt::format("rank {} failed: {}", failing, text)));
    }
    CHECK(Clock::now() - start < std::chrono::seconds(30));
  }
}

TEST_CASE("dist/group: an error between the collectives of a work reaches ranks that wait inside them") {
  const auto start = Clock::now();
  const auto said = run_ranks(3, [](const Placement& at) -> std::string {
    const Group group(at);
    group.agree([&] {
      group.all_gather("fine so far");
      if (group.rank() == 1) throw Error("disk full");
      group.broadcast("ahead", 0);
      group.all_gather("never complete");
    });
    return "no error";
  });
  CHECK(said == std::vector<std::string>{"error: rank 1 failed: disk full", "error: disk full",
                                         "error: rank 1 failed: disk full"});
  CHECK(Clock::now() - start < std::chrono::seconds(30));
}

TEST_CASE("dist/group: an early end and a lost store are noticed") {
  const auto early = run_ranks(2, [](const Placement& at) -> std::string {
    const Group group(at);
    if (group.rank() == 1) return "left";
    group.barrier();
    return "no error";
  });
  CHECK(early[0] == "error: rank 1 has ended early; it says why in its own output");
  CHECK(early[1] == "left");

  const auto lost = run_ranks(2, [](const Placement& at) -> std::string {
    const Group group(at);
    group.barrier();
    if (group.rank() == 0) ::raise(SIGKILL);
    group.barrier();
    return "no error";
  });
  CHECK(lost[0] == "killed");
  CHECK(says(lost[1], "error: the ranks have lost touch"));
}

TEST_CASE("dist/group: a rank that dies or hangs is noticed by the missing signs of life") {
  for (const bool dies : {true, false}) {
    INFO(dies);
    const auto said = run_ranks(2, [dies](const Placement& placement) -> std::string {
      Placement at = placement;
      at.beat = std::chrono::milliseconds(100);
      if (dies && at.rank == 0) at.silence = std::chrono::seconds(2);
      if (!dies && at.rank == 0) at.timeout = std::chrono::seconds(2);
      const Group group(at);
      group.barrier();
      if (group.rank() == 1 && dies) ::raise(SIGKILL);
      // A rank that lives, but does not answer within the timeout of the other.
      if (group.rank() == 1) std::this_thread::sleep_for(std::chrono::seconds(4));
      group.barrier();
      return "no error";
    });
    CHECK(said[0] == (dies
                          ? "error: rank 1 has died: no sign of life for 2 s"
                          : "error: rank 0 waited 2 s for an answer of rank 1; WEFT_DIST_TIMEOUT sets how many seconds "
                            "it waits"));
  }
}

TEST_CASE("dist/group: ranks that fall out of step say so") {
  const auto said = run_ranks(2, [](const Placement& at) -> std::string {
    const Group group(at);
    if (group.rank() == 0)
      group.all_gather("x");
    else
      group.barrier();
    return "no error";
  });
  CHECK(said[0] == "error: the ranks are out of step: rank 0 is in all_gather, rank 1 in barrier");
  CHECK(said[1] == "error: the ranks are out of step: rank 1 is in barrier, rank 0 in all_gather");
}

TEST_CASE("dist/group: peers that do not come, and a port that is taken") {
  const auto alone = run_ranks(1, [](const Placement& placement) -> std::string {
    Placement at = placement;
    at.size = 3;
    at.join_timeout = std::chrono::seconds(1);
    const Group group(at);
    return "no error";
  });
  CHECK(says(alone[0], "error: of 3 ranks, these did not come within 1 s: 1, 2"));

  const auto lonely = run_ranks(1, [](const Placement& placement) -> std::string {
    Placement at = placement;
    at.size = 2, at.rank = 1;
    at.join_timeout = std::chrono::seconds(1);
    const Group group(at);
    return "no error";
  });
  CHECK(says(lonely[0], "error: rank 1 of 2 cannot reach 127.0.0.1:"));

  const auto taken = run_ranks(1, [](const Placement& placement) -> std::string {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t length = sizeof address;
    ::bind(listener, reinterpret_cast<sockaddr*>(&address), length);
    ::listen(listener, 1);
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
    Placement at = placement;
    at.size = 2, at.port = ntohs(address.sin_port);
    const Group group(at);
    return "no error";
  });
  CHECK(says(taken[0], "error: rank 0 cannot listen on port "));
}

TEST_CASE("dist/group: groups that follow each other on one port, as programs of a script do") {
  const auto said = run_ranks(2, [](const Placement& at) -> std::string {
    std::string out;
    for (int program = 0; program < 3; ++program) {
      const Group group(at);
      for (const std::string& text : group.all_gather(fmt::format("{}.{} ", program, group.rank()))) out += text;
    }
    return out;
  });
  CHECK(said == std::vector<std::string>{"0.0 0.1 1.0 1.1 2.0 2.1 ", "0.0 0.1 1.0 1.1 2.0 2.1 "});
}

}  // namespace weft::dist
