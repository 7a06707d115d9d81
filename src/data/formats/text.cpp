#include "data/formats/formats.h"

namespace weft::data {

/// A text, all of it to be predicted.
Format text_format() {
  return {R"({"text": ...})", Kind::kText, {"text"}, [](Record& record) {
            Example out;
            out.text = record.take_text("text");
            return out;
          }};
}

}  // namespace weft::data
