#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "data/parse.h"
#include "weft/core/error.h"

namespace weft::fuzz {

/// Aborts unless an example is what the header promises.
inline void check_example(const data::Examples& all, const data::Example& example) {
  const auto promise = [](bool kept) {
    if (!kept) std::abort();
  };
  const bool completes = all.kind == data::Kind::kCompletion, chooses = all.kind == data::Kind::kChoice;
  promise(example.line > 0);
  promise(completes || chooses || !example.text.empty());
  promise(completes == !example.completion.empty());
  promise(example.answers.empty() || (example.answers.size() > 1 && example.answers.front() == example.completion));
  promise(chooses == (example.choices.size() > 1));
  promise(std::set(example.choices.begin(), example.choices.end()).size() == example.choices.size());
  promise(!chooses || (example.answer >= 0 && static_cast<size_t>(example.answer) < example.choices.size()));
  promise((all.kind == data::Kind::kLabel) == (!example.label.empty() || example.label_index >= 0));
}

/// Anything may be refused with an InputError or, for the templates, a UsageError; nothing else may happen. A prompt
/// template stands before a `\1`, then a completion template before another; the file is what follows.
inline void try_examples(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  data::ReadOptions options;
  for (std::string* part : {&options.form.prompt, &options.form.completion}) {
    const std::size_t end = text.find('\1');
    if (end == std::string_view::npos) break;
    *part = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  try {
    const data::Examples got = data::parse_examples(text, "fuzz.json", options, data::LabelNames::of({"yes", "no"}));
    if (got.list.empty()) std::abort();
    for (const data::Example& example : got.list) check_example(got, example);
  } catch (const InputError&) {
  } catch (const UsageError&) {
  }
}

}  // namespace weft::fuzz
