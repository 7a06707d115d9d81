#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data/formats/formats.h"

namespace weft::data {

namespace {

/// One of the names of labels.json is right: the one under `label`.
Example read_named_choice(const Record& record, const Forms& forms) {
  const std::vector<std::string>* names = record.around.labels.get();
  if (names == nullptr)
    record.fail("the choices are the labels, but no labels.json stands beside the file; it lists their names");
  Example out;
  const std::string label = record.text("label");
  out.text = forms.prompt.given()
                 ? forms.prompt.fill(record)
                 : fmt::format("Option: {} \n{}\nAnswer:", fmt::join(*names, ", "), record.text("sentence"));
  set_choices(record, forms.completion, *names, out);
  out.answer = record.around.labels.index(label, record.place);
  return out;
}

}  // namespace

/// O-LoRA's records: a sentence and the name of its class, which is generated. The benchmark asks for one of the
/// options; the instruction that it puts first is not in the files, so a prompt template must give it.
Format sentence_format() {
  return {R"({"sentence": ..., "label": ...} with labels.json)",
          Kind::kChoice,
          {{{"sentence"}}, {{"label"}}},
          read_named_choice};
}

/// Any labelled record, when templates for the prompt and for a `{choice}` say how it is put.
Format named_choice_format() {
  return {{}, Kind::kChoice, {{{}, &Forms::prompt}, {{}, &Forms::completion}, {{"label"}}}, read_named_choice};
}

}  // namespace weft::data
