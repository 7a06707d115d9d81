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
};

/// `text`, `prompt/completion`, `text/label`.
WEFT_API std::string_view kind_name(Kind kind);

/// One example. Texts are valid UTF-8.
struct Example {
  std::string text;               ///< the text or the prompt; only a prompt may be empty
  std::string completion;         ///< kCompletion; never empty
  std::string label;              ///< kLabel: its name, or empty when the file gives an index
  std::int64_t label_index = -1;  ///< kLabel: its index when the file gives one, at least 0
  int line = 0;                   ///< where it stands in its file, counted from 1
};

/// The examples of one file, all of one kind, in file order; at least one.
struct Examples {
  std::filesystem::path file;
  Kind kind = Kind::kText;
  std::vector<Example> list;

  /// `file:line` of example `index`, for messages.
  WEFT_API Place place(size_t index) const;
};

/**
 * Reads and checks a whole file of examples in JSON lines: `{"text"}`, `{"prompt", "completion"}`, or `{"text",
 * "label"}` where the label is a name or an index. Other keys are ignored unless they look like a misspelt one of
 * these. A byte order mark, CRLF and blank lines at the end are tolerated.
 * @throws InputError when there is no such file; FormatError with `file:line` when a line is not UTF-8, not JSON, no
 *         object or of an unknown shape, when a text, completion or label is missing or empty, when kinds are mixed;
 *         FormatError when the file is empty.
 */
WEFT_API Examples read_examples(const std::filesystem::path& path);

/**
 * The lines of a text file, split at `\n` alone: an empty line is an empty text, a newline at the end of the file ends
 * the last line and begins no further one. A byte order mark is dropped.
 * @throws InputError when there is no such file; FormatError with `file:line` on a line that is not UTF-8, FormatError
 *         when the file is empty.
 */
WEFT_API std::vector<std::string> read_lines(const std::filesystem::path& path);

}  // namespace weft::data
