#include "text/label_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/core/error.h"

namespace weft::text {

namespace {

constexpr std::string_view kLabelField = "{label}";

}  // namespace

std::string label_text(std::string_view form, std::string_view label) {
  std::string name(label);
  std::replace(name.begin(), name.end(), '_', ' ');
  std::string out;
  for (size_t at = 0; at < form.size();) {
    const size_t field = std::min(form.find(kLabelField, at), form.size());
    out += form.substr(at, field - at);
    if (field < form.size()) out += name;
    at = field + kLabelField.size();
  }
  return out;
}

void check_label_template(std::string_view form) {
  if (form.find(kLabelField) == std::string_view::npos)
    throw UsageError(fmt::format("label_template is '{}', without {{label}}: all labels would look the same", form));
}

}  // namespace weft::text
