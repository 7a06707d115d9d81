#pragma once

#include <string>
#include <utility>

#include "weft/core/error.h"

namespace weft::test {

/// The text of the E that `action` throws; "no error" when it throws nothing; other exceptions pass through.
template <class E = Error, class Action>
std::string error_text(Action&& action) {
  try {
    std::forward<Action>(action)();
  } catch (const E& error) {
    return error.what();
  }
  return "no error";
}

/// True if `part` stands somewhere in `text`.
inline bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace weft::test
