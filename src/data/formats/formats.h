#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/labels.h"
#include "data/template.h"
#include "weft/core/value.h"
#include "weft/data/examples.h"

namespace weft::data {

/// A key of Super-NaturalInstructions' documents.
inline constexpr const char* kDemonstrationsKey = "Positive Examples";

/// What a file has beside its records.
struct Around {
  Value fields = Value::make_map();  ///< what a whole document says once for all records; templates may name it
  LabelNames labels;
  mutable std::map<std::string, Value> composed;  ///< fields that were made when a template first named them

  /// The document's field, or `options`: the label names; or nullptr. `Positive Examples` are a text.
  const Value* field(const std::string& name) const;
};

/// One object of a file, on its way to become an example.
struct Record {
  Value map;
  Place place;
  const Around& around;

  /// The string under `key`. @throws FormatError at the record when it is missing, no string, or empty unless
  /// `may_be_empty`.
  std::string text(std::string_view key, bool may_be_empty = false) const;
  /// What a template's field stands for: the record's own, else Around's.
  /// @throws FormatError at the record with the fields that there are.
  const Value& field(const std::string& name, std::string_view which_template) const;
  [[noreturn]] void fail(const std::string& what) const;
};

/// A value, or a text, for messages: cut short.
std::string brief(const Value& value);
std::string brief_text(std::string_view text);

/// A part of a shape: a record has one of these keys, unless a template stands for it.
struct Part {
  std::vector<std::string> keys;        ///< none: only the template can
  TextTemplate Forms::*form = nullptr;  ///< the template that may stand for it
};

/// A shape that records may have. One file of this folder each.
struct Format {
  std::string_view shape;  ///< for messages: `{"text": ...}`; empty for what only templates can ask for
  Kind kind = Kind::kText;
  std::vector<Part> parts;
  Example (*read)(const Record& record, const Forms& forms) = nullptr;
};

/// The formats of records in general.
const std::vector<Format>& formats();
/// A record of a Super-NaturalInstructions document, which only means something in one.
const Format& instruction_format();
bool is_format_key(const std::string& key);

/// The format of a record: the one with the most parts among those that fit. @throws FormatError at the record when
/// there is none, or when it has further keys that belong to another format or look like a misspelt one; UsageError
/// when a template was given for what such an example does not have.
const Format& format_of(const Record& record, const Forms& forms, const std::vector<Format>& among);

inline const std::vector<std::string> kPromptKeys = {"prompt", "input"};
inline const std::vector<std::string> kCompletionKeys = {"completion", "output", "target"};

/// @throws FormatError at the record when a template made more of it than any example needs.
void check_composed_size(const Record& record, size_t bytes);
/// The text under the first of `keys` that the record has, or what the template makes of the record.
std::string part_text(const Record& record, const TextTemplate& form, const std::vector<std::string>& keys,
                      bool may_be_empty);
/// Every right answer, the first one as completion: a text or a list of texts under one of `keys`, or what the template
/// makes of the record.
void read_answers(const Record& record, const TextTemplate& form, const std::vector<std::string>& keys, Example& out);
/// `choices`, each through the template where there is one. @throws FormatError unless they are two or more different
/// ones, none empty.
void set_choices(const Record& record, const TextTemplate& form, const std::vector<std::string>& choices, Example& out);

Format text_format();
Format completion_format();
Format label_format();
Format choice_format();
Format sentence_format();
Format named_choice_format();

/// `text` without white space at its ends, and with a full stop unless it ends in punctuation: how the benchmark writes
/// the parts of its prompts.
std::string as_sentence(std::string_view text);
/// The first two entries of `Positive Examples` as the benchmark writes them before a task. @throws FormatError when
/// they are none of its.
std::string compose_demonstrations(const Value& examples);

}  // namespace weft::data
