#include <fmt/format.h>

#include <algorithm>

#include "data/formats/formats.h"

namespace weft::data {

namespace {

std::vector<std::string> read_choices(const Record& record) {
  const Value& choices = *record.map.find("choices");
  if (!choices.is_list()) record.fail(fmt::format("'choices' is {}, expected a list of texts", brief(choices)));
  std::vector<std::string> out;
  for (const Value& choice : choices.list) {
    if (!choice.is_scalar() || !choice.quoted)
      record.fail(fmt::format("choice {} is {}, expected a string", out.size() + 1, brief(choice)));
    out.push_back(choice.scalar);
  }
  return out;
}

/// The index, or the text, of one of the choices.
std::int64_t read_right_choice(const Record& record, const std::vector<std::string>& choices) {
  const Value& answer = *record.map.find("answer");
  if (answer.is_scalar() && answer.quoted) {
    const auto found = std::find(choices.begin(), choices.end(), answer.scalar);
    if (found != choices.end()) return found - choices.begin();
    const std::string near = nearest(answer.scalar, choices);
    record.fail(fmt::format("'answer' is {}, which is none of the choices{}", brief(answer),
                            near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
  }
  const auto index = answer.integer();
  if (!index) record.fail(fmt::format("'answer' is {}, expected a choice or its index", brief(answer)));
  if (*index < 0 || *index >= static_cast<std::int64_t>(choices.size()))
    record.fail(fmt::format("'answer' is {}, but there are {} choices, counted from 0", *index, choices.size()));
  return *index;
}

}  // namespace

/// A prompt and texts that may follow it, of which one is right.
Format choice_format() {
  return {R"({"prompt": ..., "choices": [...], "answer": ...})",
          Kind::kChoice,
          {{kPromptKeys, &Forms::prompt}, {{"choices"}}, {{"answer"}}},
          [](const Record& record, const Forms& forms) {
            Example out;
            out.text = part_text(record, forms.prompt, kPromptKeys, true);
            const std::vector<std::string> choices = read_choices(record);
            set_choices(record, forms.completion, choices, out);
            out.answer = read_right_choice(record, choices);
            return out;
          }};
}

}  // namespace weft::data
