#include <fmt/format.h>

#include <algorithm>

#include "data/formats/formats.h"

namespace weft::data {

namespace {

constexpr size_t kMostDemonstrations = 2;

std::string compose_instruction(const Record& record) {
  const Value& definition = record.field("Definition", "prompt");
  return fmt::format("Definition: {}\n\nNow complete the following example -\nInput: {}\nOutput:",
                     as_sentence(definition.scalar), as_sentence(record.text("input", true)));
}

std::string demonstration_part(const Value& example, std::string_view key) {
  const Value* value = example.is_map() ? example.find(key) : nullptr;
  if (value != nullptr && value->is_list() && !value->list.empty()) value = &value->list.front();
  if (value == nullptr || !value->is_scalar() || !value->quoted)
    throw FormatError(example.place.text(), fmt::format("a positive example without a text '{}'", key));
  return as_sentence(value->scalar);
}

}  // namespace

std::string as_sentence(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\r\f\v";
  constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  const size_t from = text.find_first_not_of(kBlanks);
  std::string out(from == std::string_view::npos ? "" : text.substr(from, text.find_last_not_of(kBlanks) - from + 1));
  if (out.empty() || kPunctuation.find(out.back()) == std::string_view::npos) out += '.';
  return out;
}

std::string compose_demonstrations(const Value& examples) {
  if (!examples.is_list())
    throw FormatError(examples.place.text(),
                      fmt::format("'Positive Examples' is {}, expected a list", brief(examples)));
  std::string out;
  for (size_t i = 0; i < std::min(examples.list.size(), kMostDemonstrations); ++i) {
    const std::string input = demonstration_part(examples.list[i], "input");
    out += fmt::format(" Positive Example {} -\nInput: {}\n Output: {}\n\n", i + 1, input,
                       demonstration_part(examples.list[i], "output"));
  }
  return out;
}

const Format& instruction_format() {
  static const Format format = {R"({"input": ..., "output": [...]})",
                                Kind::kCompletion,
                                {{{"input"}, &Forms::prompt}, {{"output"}, &Forms::completion}},
                                [](const Record& record, const Forms& forms) {
                                  Example out;
                                  out.text =
                                      forms.prompt.given() ? forms.prompt.fill(record) : compose_instruction(record);
                                  read_answers(record, forms.completion, {"output"}, out);
                                  return out;
                                }};
  return format;
}

}  // namespace weft::data
