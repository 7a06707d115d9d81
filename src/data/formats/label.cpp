#include <fmt/format.h>

#include "data/formats/formats.h"

namespace weft::data {

namespace {

/// A label is a name or an index; which ones there are, the model knows.
void read_label(const Record& record, Example& out) {
  const Value& label = *record.map.find("label");
  if (label.is_scalar() && label.quoted) {
    out.label = record.text("label");
    return;
  }
  const auto index = label.integer();
  if (!index || *index < 0) record.fail(fmt::format("'label' is {}, expected a name or an index from 0", brief(label)));
  out.label_index = *index;
}

}  // namespace

/// A text and the class that it belongs to.
Format label_format() {
  return {R"({"text": ..., "label": ...})",
          Kind::kLabel,
          {{{"text"}, &Forms::text}, {{"label"}}},
          [](const Record& record, const Forms& forms) {
            Example out;
            out.text = part_text(record, forms.text, {"text"}, false);
            read_label(record, out);
            return out;
          }};
}

}  // namespace weft::data
