#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/data/examples.h"

namespace weft::data {

/// The names of a `labels.json`, a list of different texts, read when they are first asked for.
class LabelNames {
 public:
  /// Those of the `labels.json` in the folder of `file`, if there is one.
  static LabelNames beside(const std::filesystem::path& file);
  /// Given ones. @throws FormatError when they are none, empty or not all different.
  static LabelNames of(std::vector<std::string> names);

  /// The names, or nullptr when there is no such file. @throws FormatError when it is malformed.
  const std::vector<std::string>* get() const;
  /// Which one `label` is. @throws FormatError at `at` with the nearest when it is none of them; they must be there.
  std::int64_t index(const std::string& label, const Place& at) const;

 private:
  std::filesystem::path file_;
  mutable bool read_ = false;
  mutable std::optional<std::vector<std::string>> names_;
};

/// Fills in the labels of labelled examples. @throws FormatError when one is not among the names.
void settle_labels(Examples& examples, const LabelNames& names);

}  // namespace weft::data
