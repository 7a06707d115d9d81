#include "data/formats/formats.h"

namespace weft::data {

/// A prompt and what should follow it. Only the tokenizer can tell whether an empty prompt will do.
Format completion_format() {
  return {R"({"prompt": ..., "completion": ...}, {"input": ..., "output": ...})",
          Kind::kCompletion,
          {{kPromptKeys, &Forms::prompt}, {kCompletionKeys, &Forms::completion}},
          [](const Record& record, const Forms& forms) {
            Example out;
            out.text = part_text(record, forms.prompt, kPromptKeys, true);
            read_answers(record, forms.completion, kCompletionKeys, out);
            return out;
          }};
}

}  // namespace weft::data
