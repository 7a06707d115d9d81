#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "weft/core/error.h"

namespace weft::data {

/// What an example asks of a model.
enum class Kind {
  kText,        ///< a text to predict
  kCompletion,  ///< a prompt and the completion to predict
  kLabel,       ///< a text and its class
  kChoice,      ///< a prompt and several completions, one of which is right
};

/// `text`, `prompt/completion`, `text/label`, `prompt/choices`.
WEFT_API std::string_view kind_name(Kind kind);

/// One example. Texts are valid UTF-8.
struct Example {
  std::string text;        ///< the text or the prompt; only a prompt may be empty
  std::string completion;  ///< kCompletion; never empty
  /// kCompletion: every answer that counts as right, `completion` first, all different, when the file gives several;
  /// else empty.
  std::vector<std::string> answers;
  std::vector<std::string> choices;  ///< kChoice: two or more, none empty, all different
  std::int64_t answer = -1;          ///< kChoice: which of them is right
  std::string label;                 ///< kLabel: its name, or empty when the file gives an index
  std::int64_t label_index = -1;     ///< kLabel: its index when the file gives one, at least 0
  int line = 0;                      ///< where it stands in its file, counted from 1
  int column = 0;                    ///< the same, where the whole file is one JSON document; 0 in JSON lines
};

/// The examples of one file, all of one kind, in file order; at least one.
struct Examples {
  std::filesystem::path file;
  Kind kind = Kind::kText;
  std::vector<Example> list;
  /// kLabel: the names that a label can have: those of a `labels.json` beside the file where there is one, which an
  /// index counts, else those that occur, in order of appearance; empty when the file gives indices. A label that is
  /// not in `labels.json` is refused.
  std::vector<std::string> labels;

  /// `file:line`, in a JSON document `file:line:column`, of example `index`, for messages.
  WEFT_API Place place(size_t index) const;
};

/**
 * Texts made of a record's fields. `{input}` stands for the text of the field `input`: a text as it is, a number, true
 * or false as the file spells it, a list of these joined by `, `. `{{` and `}}` stand for braces. Empty: as the format
 * has it.
 *
 * With templates a record may have any keys: one for each part that its kind of example has, where the record does not
 * have that part under its usual key. `prompt` and `completion` make prompt/completion examples of any record, `text`
 * texts or labelled texts. In `completion` a field that is a list stands for each entry in turn: they all are right
 * answers. A `completion` that names `{choice}` is applied to each of the record's `choices` or, where it has `label`
 * instead, to each name in `labels.json`. Beside a record's own fields there are the fields of its document
 * (`{Definition}`,
 * and `{Positive Examples}`: the first two, as Super-NaturalInstructions puts them before a task) and `{options}`: the
 * names in `labels.json`, joined by `, `.
 */
struct Template {
  std::string prompt;      ///< kCompletion, kChoice
  std::string completion;  ///< kCompletion, and every choice (`{choice}`)
  std::string text;        ///< kText, kLabel
};

/// How a file of examples is read.
struct ReadOptions {
  Template form;
};

/**
 * Reads and checks a whole file of examples.
 *
 * JSON lines: `{"text"}`, `{"prompt", "completion"}`, `{"prompt", "choices", "answer"}` with the index (from 0) or the
 * text of a choice, or `{"text", "label"}` where the label is a name or an index. `input` may stand for `prompt`;
 * `output` and `target` for `completion`, and each of the three may be a list: all its texts are right answers. Other
 * keys are ignored unless they look like a misspelt one of these or could be meant instead. A byte order mark, CRLF and
 * blank lines at the end are tolerated.
 *
 * A file that is one JSON document: a list of such records, or an object with it under `examples` (BIG-Bench Hard);
 * O-LoRA's, records `{"sentence", "label"}` with `labels.json` beside it, which become choices among its names, all of
 * them listed in the prompt as the benchmark does: `Option: A, B \n{sentence}\nAnswer:` (its instructions are not in
 * the files; a template may put them first); Super-NaturalInstructions (`Definition`, `Instances`), with the
 * benchmark's prompt of definition and input.
 *
 * @throws InputError when there is no such file; FormatError with `file:line` when a line is not UTF-8, not JSON, no
 *         object or of an unknown shape, when a text, completion or label is missing, empty or unknown, when choices
 *         are not two or more different ones or the answer is none of them, when kinds are mixed, when a record lacks
 *         a field that a template names; FormatError when the file is empty; UsageError when a template is malformed,
 *         or makes a part that the examples do not have.
 */
WEFT_API Examples read_examples(const std::filesystem::path& path, const ReadOptions& options = {});

/**
 * The lines of a text file, split at `\n` alone: an empty line is an empty text, a newline at the end of the file ends
 * the last line and begins no further one. A byte order mark is dropped.
 * @throws InputError when there is no such file; FormatError with `file:line` on a line that is not UTF-8, FormatError
 *         when the file is empty.
 */
WEFT_API std::vector<std::string> read_lines(const std::filesystem::path& path);

}  // namespace weft::data
