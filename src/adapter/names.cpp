#include "adapter/names.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace weft::adapter {
namespace {

/// Components of a path that tell an adapter apart, outermost first.
std::vector<std::string> telling_components(const std::filesystem::path& path) {
  const std::filesystem::path whole = std::filesystem::absolute(path).lexically_normal();
  std::vector<std::string> parts;
  for (const auto& part : whole.relative_path())
    if (!part.empty() && part != ".") parts.push_back(part.string());
  if (parts.empty()) return {whole.generic_string()};
  for (const std::string_view usual : {"adapter_model.safetensors", "adapter_model.bin"})
    if (parts.back() == usual && parts.size() > 1) {
      parts.pop_back();
      return parts;
    }
  const std::filesystem::path last = parts.back();
  for (const std::string_view known : {".safetensors", ".bin", ".pt"})
    if (last.extension() == known && !last.stem().empty()) parts.back() = last.stem().string();
  return parts;
}

std::string joined_suffix(const std::vector<std::string>& parts, size_t length) {
  std::string out;
  for (size_t i = parts.size() - std::min(length, parts.size()); i < parts.size(); ++i)
    out += (out.empty() ? "" : "/") + parts[i];
  return out;
}

}  // namespace

std::vector<std::string> distinctive_names(const std::vector<std::filesystem::path>& paths,
                                           const std::vector<std::string>& taken) {
  const std::unordered_set<std::string> occupied(taken.begin(), taken.end());
  std::vector<std::vector<std::string>> parts;
  size_t longest = 1;
  for (const auto& path : paths) {
    parts.push_back(telling_components(path));
    longest = std::max(longest, parts.back().size());
  }
  std::vector<std::string> names(paths.size());
  std::vector<size_t> open(paths.size());
  for (size_t i = 0; i < open.size(); ++i) open[i] = i;
  for (size_t length = 1; length <= longest && !open.empty(); ++length) {
    // Counted over every path, so that a longer suffix of one never becomes the name of another.
    std::unordered_map<std::string, int> count;
    for (const auto& p : parts) ++count[joined_suffix(p, length)];
    std::vector<size_t> unsettled;
    for (const size_t i : open) {
      names[i] = joined_suffix(parts[i], length);
      if (count[names[i]] > 1 || occupied.count(names[i]) != 0) unsettled.push_back(i);
    }
    open = std::move(unsettled);
  }
  return names;
}

}  // namespace weft::adapter
