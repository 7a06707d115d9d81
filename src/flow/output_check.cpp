#include "flow/output_check.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "adapter/output_place.h"
#include "weft/core/error.h"

namespace weft::flow {

namespace {

namespace fs = std::filesystem;

/// The folder that would have to be written: the nearest ancestor that exists.
fs::path nearest_existing_parent(const fs::path& output) {
  std::error_code ignored;
  fs::path folder = fs::absolute(output, ignored).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  do folder = folder.parent_path();
  while (!fs::exists(folder, ignored) && folder != folder.parent_path());
  return folder;
}

}  // namespace

void check_output(const ComposeJob& job) {
  if (job.output.empty())
    throw UsageError("no output folder: say 'output: {path: …}' in the recipe or -o OUT on the command line");
  std::error_code ignored;
  for (const auto& source : job.adapters)
    if (fs::equivalent(source.path, job.output, ignored) && !ignored)
      throw UsageError(fmt::format("{}: the output is an input; choose another folder", job.output.string()));
  if (fs::exists(fs::symlink_status(job.output, ignored)) && !job.force)
    throw UsageError(
        fmt::format("{}: exists already; choose another folder or replace it with --force", job.output.string()));
  if (!job.base_model.empty() && adapter::would_replace(job.output, job.base_model))
    throw UsageError(fmt::format("{}: the output would replace the base model ({}); choose another folder",
                                 job.output.string(), job.base_model));
  const fs::path parent = nearest_existing_parent(job.output);
  if (!fs::is_directory(parent, ignored))
    throw Error(fmt::format("{}: cannot be made, {} is not a folder", job.output.string(), parent.string()));
  if (::access(parent.c_str(), W_OK) != 0)
    throw Error(
        fmt::format("{}: cannot be written: {}: {}", job.output.string(), parent.string(), std::strerror(errno)));
}

}  // namespace weft::flow
