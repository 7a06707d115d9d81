#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weft/core/value.h"
#include "weft/data/examples.h"

namespace weft::data {

struct Record;

/// A text with fields of a record in it: `{field}`, `{{`, `}}`.
class TextTemplate {
 public:
  /// Nothing: not given.
  TextTemplate() = default;
  /// `name` is what messages call it. @throws UsageError on a brace that is not closed or not opened, or an empty
  /// field.
  TextTemplate(std::string_view name, std::string_view text);

  bool given() const { return !pieces_.empty(); }
  bool names(std::string_view field) const;

  /// The text for a record. @throws FormatError at the record when it lacks a field, a field cannot be written as text,
  /// or the text grows beyond what any example needs; so do the others.
  std::string fill(const Record& record) const;
  /// As fill; a field that is a list stands for each of its entries in turn: one text per entry.
  std::vector<std::string> fill_each(const Record& record) const;
  /// As fill, once per choice, which `{choice}` stands for.
  std::vector<std::string> fill_choices(const Record& record, const std::vector<std::string>& choices) const;

 private:
  struct Piece {
    std::string text;  // literal text, or the field's name
    bool is_field = false;
  };
  void add_literal(char c);
  /// What every piece that is a field other than `but` stands for; the others have nullptr.
  std::vector<const Value*> look_up(const Record& record, std::string_view but = {}) const;
  /// `each` stands for the fields without a value.
  std::string compose(const Record& record, const std::vector<const Value*>& values, std::string_view each) const;

  std::string name_;
  std::vector<Piece> pieces_;
};

/// The templates that a caller gave.
struct Forms {
  Forms() = default;
  /// @throws UsageError when one is malformed, or when `text` comes with another.
  explicit Forms(const Template& form);
  bool any() const { return prompt.given() || completion.given() || text.given(); }

  TextTemplate prompt, completion, text;
};

}  // namespace weft::data
