#include <doctest/doctest.h>

#include <chrono>
#include <sstream>
#include <string>
#include <thread>

#include "cli/console.h"
#include "cli/table.h"

namespace {

/// Two steps of a job, far enough apart for a terminal to be drawn again.
std::string after_two_steps(bool tty, bool quiet) {
  std::ostringstream out, err;
  weft::cli::Session session{out, err, tty, false};
  {
    weft::cli::Console console(session, quiet);
    console.progress("merging", 0, 4, "");
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    console.progress("merging", 2, 4, "layers.1");
    console.warning("odd");
    console.warning("odd");
  }
  return err.str();
}

}  // namespace

TEST_CASE("cli/console: a bar on a terminal, nothing for short jobs elsewhere, warnings once") {
  const std::string bar = after_two_steps(true, false);
  CHECK(bar.find("merging [############............] 2/4 ") != std::string::npos);
  CHECK(bar.find(" left") != std::string::npos);
  CHECK(bar.ends_with("\r\033[Kweft: warning: odd\n"));
  CHECK(after_two_steps(false, false) == "weft: warning: odd\n");
  CHECK(after_two_steps(true, true).empty());
}

TEST_CASE("cli/console: times and numbers for people") {
  CHECK(weft::cli::format_seconds(0.0123) == "12 ms");
  CHECK(weft::cli::format_seconds(3.25) == "3.2 s");
  CHECK(weft::cli::format_seconds(125) == "2 min 05 s");
  CHECK(weft::cli::format_seconds(7260) == "2 h 01 min");
  CHECK(weft::cli::format_count(1234567) == "1 234 567");
  CHECK(weft::cli::format_count(-123) == "-123");
}

TEST_CASE("cli/table: columns align, also with accents") {
  weft::cli::Table table({"name", ">n"});
  table.add({"a·b", "10"});
  table.add({"x", "7"});
  CHECK(table.text() == "name   n\na·b   10\nx      7\n");
}
