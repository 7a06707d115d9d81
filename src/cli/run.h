#pragma once

#include <ostream>

namespace weft::cli {

/**
 * The whole program: parses, runs one command, reports errors. Results go to `out`; errors, warnings and progress to
 * `err`, the first line of an error beginning with `weft: error: `.
 * @param tty `err` is a terminal: progress bars and, without NO_COLOR, colours
 * @return 0 done, 1 failed, 2 wrong usage or recipe, 3 bad input
 */
int run(int argc, const char* const* argv, std::ostream& out, std::ostream& err, bool tty);

}  // namespace weft::cli
