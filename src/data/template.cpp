#include "data/template.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "data/formats/formats.h"
#include "weft/core/error.h"

namespace weft::data {

namespace {

[[noreturn]] void refuse_template(std::string_view name, std::string_view text, const std::string& what) {
  throw UsageError(fmt::format("the {} template '{}': {}", name, text, what));
}

/// Lists of scalars are joined; null and objects have no text.
std::string field_text(const Value& value, const std::string& field, const Record& record) {
  if (value.is_scalar()) return value.scalar;
  if (value.is_list()) {
    std::vector<std::string_view> parts;
    for (const Value& entry : value.list) {
      if (!entry.is_scalar())
        record.fail(
            fmt::format("the template's field '{}' is a list with {} in it, which has no text", field, brief(entry)));
      parts.push_back(entry.scalar);
    }
    return fmt::format("{}", fmt::join(parts, ", "));
  }
  record.fail(fmt::format("the template's field '{}' is {}, which has no text", field, brief(value)));
}

}  // namespace

TextTemplate::TextTemplate(std::string_view name, std::string_view text) : name_(name) {
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const bool doubled = at + 1 < text.size() && text[at + 1] == c;
    if (c != '{' && c != '}') {
      add_literal(c);
    } else if (doubled) {
      add_literal(c);
      ++at;
    } else if (c == '}') {
      refuse_template(name, text, fmt::format("'}}' at character {} closes no field; write }}}} for a brace", at + 1));
    } else {
      const size_t end = text.find_first_of("{}", at + 1);
      if (end == std::string_view::npos || text[end] == '{')
        refuse_template(name, text, fmt::format("'{{' at character {} is not closed; write {{{{ for a brace", at + 1));
      if (end == at + 1) refuse_template(name, text, fmt::format("an empty field at character {}", at + 1));
      pieces_.push_back({std::string(text.substr(at + 1, end - at - 1)), true});
      at = end;
    }
  }
}

void TextTemplate::add_literal(char c) {
  if (pieces_.empty() || pieces_.back().is_field) pieces_.push_back({});
  pieces_.back().text += c;
}

bool TextTemplate::names(std::string_view field) const {
  return std::any_of(pieces_.begin(), pieces_.end(),
                     [&](const Piece& piece) { return piece.is_field && piece.text == field; });
}

std::vector<const Value*> TextTemplate::look_up(const Record& record, std::string_view but) const {
  std::vector<const Value*> out;
  for (const Piece& piece : pieces_)
    out.push_back(piece.is_field && piece.text != but ? &record.field(piece.text, name_) : nullptr);
  return out;
}

std::string TextTemplate::compose(const Record& record, const std::vector<const Value*>& values,
                                  std::string_view each) const {
  std::string out;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (!pieces_[i].is_field)
      out += pieces_[i].text;
    else if (values[i] == nullptr)
      out += each;
    else
      out += field_text(*values[i], pieces_[i].text, record);
    check_composed_size(record, out.size());
  }
  return out;
}

std::string TextTemplate::fill(const Record& record) const { return compose(record, look_up(record), {}); }

std::vector<std::string> TextTemplate::fill_each(const Record& record) const {
  std::vector<const Value*> values = look_up(record);
  const Value* listed = nullptr;
  std::string name;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (values[i] == nullptr || !values[i]->is_list()) continue;
    if (listed != nullptr && listed != values[i])
      record.fail(fmt::format("the {} template has two fields that are lists, '{}' and '{}'; one may be", name_, name,
                              pieces_[i].text));
    listed = std::exchange(values[i], nullptr);
    name = pieces_[i].text;
  }
  if (listed == nullptr) return {compose(record, values, {})};
  size_t bytes = 0;
  std::vector<std::string> out;
  for (const Value& entry : listed->list) {
    if (!entry.is_scalar()) field_text(*listed, name, record);  // refuses
    out.push_back(compose(record, values, entry.scalar));
    check_composed_size(record, bytes += out.back().size());
  }
  return out;
}

std::vector<std::string> TextTemplate::fill_choices(const Record& record,
                                                    const std::vector<std::string>& choices) const {
  const std::vector<const Value*> values = look_up(record, "choice");
  size_t bytes = 0;
  std::vector<std::string> out;
  for (const std::string& choice : choices) {
    out.push_back(compose(record, values, choice));
    check_composed_size(record, bytes += out.back().size());
  }
  return out;
}

Forms::Forms(const Template& form)
    : prompt("prompt", form.prompt), completion("completion", form.completion), text("text", form.text) {
  if (text.given() && (prompt.given() || completion.given()))
    throw UsageError(fmt::format("a text template and a {} template; a text has neither prompt nor completion",
                                 prompt.given() ? "prompt" : "completion"));
}

}  // namespace weft::data
