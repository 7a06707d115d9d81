#pragma once

#include <cstdint>
#include <string>

namespace weft::text {

/// One entry of `added_tokens`.
struct AddedToken {
  std::string content;
  std::int64_t id = 0;
  bool special = false;
  bool single_word = false;  ///< only where no letter, digit or underscore is next to it
  bool lstrip = false;       ///< swallows blanks before it
  bool rstrip = false;       ///< swallows blanks after it
  bool normalized = false;   ///< looked for (itself normalised) in the normalised text
};

}  // namespace weft::text
