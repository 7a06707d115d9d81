#include "flow/search_fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "io/json.h"
#include "io/sha256.h"
#include "weft/adapter/adapter.h"

namespace weft::flow {

namespace {

/// The content of small files; of a base model's weights, which may be many gigabytes, names and sizes.
void put_base(const std::filesystem::path& base, std::string& all) {
  std::vector<std::string> files;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(base, ignored)) {
    std::error_code unknown;
    const auto size = entry.file_size(unknown);
    const std::string extension = entry.path().extension().string();
    const bool weights = extension == ".safetensors" || extension == ".bin";
    files.push_back(fmt::format("{} {} {}\n", entry.path().filename().string(), unknown ? 0 : size,
                                extension == ".json" && !weights ? io::sha256_file(entry.path()) : ""));
  }
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) all += file;
}

}  // namespace

std::string fingerprint_of(const SearchJob& job, const SearchSetup& setup) {
  SearchJob portable = job;
  portable.output.clear();
  portable.force = false;
  portable.options.jobs = 1;
  portable.runtime.adapters.clear();
  portable.runtime.base.clear();
  portable.data.clear();
  std::string all = io::to_json(to_recipe(portable), -1) + "\n";
  all += job.runtime.dtype + " " + job.runtime.device + "\n";
  put_base(job.runtime.base, all);
  for (const auto& source : setup.sources) {
    const adapter::Adapter member = adapter::Adapter::open(source.path, source.name);
    all += source.name + " " + io::sha256_file(member.info().tensors) + "\n";
    if (std::error_code ignored; std::filesystem::exists(source.path / "adapter_config.json", ignored))
      all += io::sha256_file(source.path / "adapter_config.json") + "\n";
  }
  if (!job.data.empty()) all += io::sha256_file(job.data) + "\n";
  if (!job.options.held_out.empty()) all += io::sha256_file(job.options.held_out) + "\n";
  if (job.custom != nullptr) all += "custom\n";
  return io::sha256(all.data(), all.size());
}

}  // namespace weft::flow
