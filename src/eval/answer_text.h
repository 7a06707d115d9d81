#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weft/data/examples.h"

namespace weft::eval {

/// Every answer that counts as right: the completion and its alternatives, the right choice. Views into the example.
std::vector<std::string_view> right_answers(const data::Example& example);
/// Why such examples have no answer to generate, or an empty text.
std::string answer_misfit(data::Kind kind);
/// Without white space at either end: what Python's `str.strip` takes for that. `text` is valid UTF-8.
std::string_view stripped(std::string_view text);
/// Lower case of all of Unicode, a sigma at the end of a word included, as Python's `str.lower` has it.
std::string lower_case(std::string_view text);

}  // namespace weft::eval
