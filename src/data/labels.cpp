#include "data/labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "data/formats/formats.h"
#include "io/json.h"

namespace weft::data {

namespace {

constexpr size_t kLabelFileLimit = size_t{16} << 20;

std::vector<std::string> check_label_names(std::vector<std::string> names, const std::string& file) {
  if (names.empty()) throw FormatError(file, "has no labels");
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    if (name.empty()) throw FormatError(file, "a label is empty");
    if (!seen.insert(name).second) throw FormatError(file, fmt::format("the label {} occurs twice", brief_text(name)));
  }
  return names;
}

std::vector<std::string> read_label_names(const std::filesystem::path& file) {
  Value root = io::read_json(file, kLabelFileLimit);
  if (!root.is_list())
    throw FormatError(root.place.text(), fmt::format("{}, expected a list of label names", brief(root)));
  std::vector<std::string> names;
  for (Value& entry : root.list) {
    if (!entry.is_scalar() || !entry.quoted)
      throw FormatError(entry.place.text(), fmt::format("{}, expected a label name in quotes", brief(entry)));
    names.push_back(std::move(entry.scalar));
  }
  return check_label_names(std::move(names), file.string());
}

/// The names that occur, in order of appearance.
std::vector<std::string> occurring_labels(const Examples& examples) {
  std::vector<std::string> out;
  std::unordered_set<std::string_view> seen;
  for (const Example& example : examples.list)
    if (seen.insert(example.label).second) out.push_back(example.label);
  return out;
}

}  // namespace

LabelNames LabelNames::beside(const std::filesystem::path& file) {
  LabelNames out;
  out.file_ = file.parent_path() / "labels.json";
  return out;
}

LabelNames LabelNames::of(std::vector<std::string> names) {
  LabelNames out;
  out.file_ = "labels.json";
  out.names_ = check_label_names(std::move(names), "labels.json");
  out.read_ = true;
  return out;
}

const std::vector<std::string>* LabelNames::get() const {
  std::error_code unreadable;  // then there is none for us
  if (!read_ && std::filesystem::exists(file_, unreadable)) names_ = read_label_names(file_);
  read_ = true;
  return names_ ? &*names_ : nullptr;
}

std::int64_t LabelNames::index(const std::string& label, const Place& at) const {
  const auto found = std::find(names_->begin(), names_->end(), label);
  if (found != names_->end()) return found - names_->begin();
  const std::string near = nearest(label, *names_);
  throw FormatError(at.text(), fmt::format("the label {} is not in '{}'{}", brief_text(label), file_.string(),
                                           near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
}

void settle_labels(Examples& examples, const LabelNames& names) {
  if (examples.kind != Kind::kLabel) return;
  const bool has_indices = std::any_of(examples.list.begin(), examples.list.end(),
                                       [](const Example& example) { return example.label_index >= 0; });
  const std::vector<std::string>* known = names.get();
  if (known == nullptr) {
    if (!has_indices) examples.labels = occurring_labels(examples);
    return;
  }
  examples.labels = *known;
  const std::unordered_set<std::string_view> set(known->begin(), known->end());
  for (size_t i = 0; i < examples.list.size(); ++i) {
    const Example& example = examples.list[i];
    if (example.label_index >= static_cast<std::int64_t>(known->size()))
      throw FormatError(examples.place(i).text(), fmt::format("the label {}, but labels.json has {} names, from 0",
                                                              example.label_index, known->size()));
    if (example.label_index < 0 && !set.contains(example.label)) names.index(example.label, examples.place(i));
  }
}

}  // namespace weft::data
