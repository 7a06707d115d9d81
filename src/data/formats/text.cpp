#include "data/formats/formats.h"

namespace weft::data {

/// A text, all of it to be predicted.
Format text_format() {
  return {R"({"text": ...})", Kind::kText, {{{"text"}, &Forms::text}}, [](const Record& record, const Forms& forms) {
            Example out;
            out.text = part_text(record, forms.text, {"text"}, false);
            return out;
          }};
}

}  // namespace weft::data
