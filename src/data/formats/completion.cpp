#include "data/formats/formats.h"

namespace weft::data {

/// A prompt and what should follow it. Only the tokenizer can tell whether an empty prompt will do.
Format completion_format() {
  return {R"({"prompt": ..., "completion": ...})", Kind::kCompletion, {"prompt", "completion"}, [](Record& record) {
            Example out;
            out.text = record.take_text("prompt", true);
            out.completion = record.take_text("completion");
            return out;
          }};
}

}  // namespace weft::data
