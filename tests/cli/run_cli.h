#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "cli/run.h"

namespace weft::test {

/// What a run of the program printed and returned.
struct CliResult {
  int code = 0;
  std::string out, err;
};

/// Runs the program inside this process, without a terminal unless asked.
inline CliResult run_cli(const std::vector<std::string>& arguments, bool tty = false) {
  std::vector<const char*> argv = {"weft"};
  for (const std::string& text : arguments) argv.push_back(text.c_str());
  std::ostringstream out, err;
  CliResult result;
  result.code = cli::run(static_cast<int>(argv.size()), argv.data(), out, err, tty);
  result.out = out.str();
  result.err = err.str();
  return result;
}

}  // namespace weft::test
