#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "data/formats/formats.h"

namespace weft::data {

namespace {

/// A small record and a template must not make an endless text.
constexpr size_t kMostComposedBytes = size_t{64} << 20;

const std::string& key_that_is_there(const Record& record, const std::vector<std::string>& keys) {
  for (const std::string& key : keys)
    if (record.map.find(key) != nullptr) return key;
  record.fail(fmt::format("'{}' is missing", fmt::join(keys, "' or '")));
}

std::vector<std::string> listed_answers(const Record& record, const std::string& key) {
  const Value& value = *record.map.find(key);
  if (!value.is_list()) return {record.text(key)};
  if (value.list.empty()) record.fail(fmt::format("'{}' is an empty list, expected an answer or more", key));
  std::vector<std::string> out;
  for (const Value& entry : value.list) {
    if (!entry.is_scalar() || !entry.quoted)
      record.fail(fmt::format("entry {} of '{}' is {}, expected a string", out.size() + 1, key, brief(entry)));
    if (entry.scalar.empty()) record.fail(fmt::format("entry {} of '{}' is empty", out.size() + 1, key));
    out.push_back(entry.scalar);
  }
  return out;
}

std::vector<std::string> composed_answers(const Record& record, const TextTemplate& form) {
  std::vector<std::string> out = form.fill_each(record);
  if (out.empty()) record.fail("the completion template's list is empty, expected an answer or more");
  if (std::any_of(out.begin(), out.end(), [](const std::string& text) { return text.empty(); }))
    record.fail("the completion template gives an empty text");
  return out;
}

}  // namespace

void check_composed_size(const Record& record, size_t bytes) {
  if (bytes > kMostComposedBytes)
    record.fail(fmt::format("the template makes more than {} MiB of this record", kMostComposedBytes >> 20));
}

const Value* Around::field(const std::string& name) const {
  if (const auto made = composed.find(name); made != composed.end()) return &made->second;
  const Value* own = fields.find(name);
  if (name == kDemonstrationsKey && own != nullptr)
    return &composed.emplace(name, Value::text(compose_demonstrations(*own))).first->second;
  if (own != nullptr || name != "options") return own;
  const std::vector<std::string>* names = labels.get();
  if (names == nullptr) return nullptr;
  return &composed.emplace(name, Value::text(fmt::format("{}", fmt::join(*names, ", ")))).first->second;
}

void Record::fail(const std::string& what) const { throw FormatError(place.text(), what); }

std::string Record::text(std::string_view key, bool may_be_empty) const {
  const Value* value = map.find(key);
  if (value == nullptr) fail(fmt::format("'{}' is missing", key));
  if (!value->is_scalar() || !value->quoted) fail(fmt::format("'{}' is {}, expected a string", key, brief(*value)));
  if (value->scalar.empty() && !may_be_empty) fail(fmt::format("'{}' is empty", key));
  return value->scalar;
}

const Value& Record::field(const std::string& name, std::string_view which_template) const {
  if (const Value* own = map.find(name)) return *own;
  if (const Value* shared = around.field(name)) return *shared;
  constexpr size_t kMostNames = 20;
  std::vector<std::string> known;
  for (const Value* fields : {&map, &around.fields})
    for (const auto& [key, value] : fields->map)
      if (known.size() < kMostNames) known.push_back(brief_text(key));
  fail(fmt::format("the {} template names the field '{}', which the record lacks; it has {}", which_template, name,
                   known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
}

std::string part_text(const Record& record, const TextTemplate& form, const std::vector<std::string>& keys,
                      bool may_be_empty) {
  if (!form.given()) return record.text(key_that_is_there(record, keys), may_be_empty);
  std::string out = form.fill(record);
  if (out.empty() && !may_be_empty) record.fail("the text template gives an empty text");
  return out;
}

void read_answers(const Record& record, const TextTemplate& form, const std::vector<std::string>& keys, Example& out) {
  std::vector<std::string> answers =
      form.given() ? composed_answers(record, form) : listed_answers(record, key_that_is_there(record, keys));
  std::set<std::string> seen;
  for (std::string& answer : answers)
    if (seen.insert(answer).second) out.answers.push_back(std::move(answer));
  out.completion = out.answers.front();
  if (out.answers.size() == 1) out.answers.clear();
}

void set_choices(const Record& record, const TextTemplate& form, const std::vector<std::string>& choices,
                 Example& out) {
  if (choices.size() < 2)
    record.fail(fmt::format("{} choice{}, expected two or more", choices.size(), choices.size() == 1 ? "" : "s"));
  for (size_t i = 0; i < choices.size(); ++i)
    if (choices[i].empty()) record.fail(fmt::format("choice {} is empty", i + 1));
  out.choices = form.given() ? form.fill_choices(record, choices) : choices;
  std::set<std::string_view> seen;
  for (const std::string& choice : out.choices)
    if (!seen.insert(choice).second) record.fail(fmt::format("the choice {} occurs twice", brief_text(choice)));
}

}  // namespace weft::data
