#pragma once

#include <string>
#include <string_view>

namespace weft::text {

/// What is embedded for a label: `form` with every `{label}` replaced by the name, `_` of the name read as a space.
std::string label_text(std::string_view form, std::string_view label);

/// @throws UsageError when `form` has no `{label}`: all labels would look the same.
void check_label_template(std::string_view form);

}  // namespace weft::text
