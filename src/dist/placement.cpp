#include "dist/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "weft/core/error.h"

namespace weft::dist {

namespace {

constexpr int kMostRanks = 1 << 20;
constexpr int kLongestWait = 7 * 24 * 3600;

int number_in_variable(const char* name, const std::string& text, int from, int to) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < from || value > to)
    throw UsageError(fmt::format("the environment variable {} is \"{}\", expected a whole number from {} to {}", name,
                                 text, from, to));
  return value;
}

std::string needed_variable(const Variables& variables, const char* name, const char* because) {
  const std::optional<std::string> text = variables(name);
  if (!text || text->empty())
    throw UsageError(
        fmt::format("the environment variable {} is not set, but {} is: launch with torchrun, or set RANK, "
                    "WORLD_SIZE, MASTER_ADDR and MASTER_PORT, or none of them",
                    name, because));
  return *text;
}

// The pair of variables that says rank and size, or nulls.
struct RankNames {
  const char* rank = nullptr;
  const char* size = nullptr;
};

RankNames names_in_use(const Variables& variables) {
  if (variables("RANK") || variables("WORLD_SIZE")) return {"RANK", "WORLD_SIZE"};
  if (!variables("MASTER_ADDR") || !variables("MASTER_PORT")) return {};
  for (const RankNames& names :
       {RankNames{"SLURM_PROCID", "SLURM_NTASKS"}, RankNames{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}})
    if (variables(names.rank) && variables(names.size)) return names;
  return {};
}

}  // namespace

Placement read_placement(const Variables& variables) {
  Placement out;
  if (const auto seconds = variables("WEFT_DIST_TIMEOUT")) {
    out.timeout = std::chrono::seconds(number_in_variable("WEFT_DIST_TIMEOUT", *seconds, 1, kLongestWait));
    out.join_timeout = out.timeout;
  }
  const RankNames names = names_in_use(variables);
  if (names.rank == nullptr) return out;
  const std::string size = needed_variable(variables, names.size, names.rank);
  const std::string rank = needed_variable(variables, names.rank, names.size);
  out.size = number_in_variable(names.size, size, 1, kMostRanks);
  out.rank = number_in_variable(names.rank, rank, 0, out.size - 1);
  if (out.size == 1) return out;
  out.host = needed_variable(variables, "MASTER_ADDR", names.size);
  out.port = number_in_variable("MASTER_PORT", needed_variable(variables, "MASTER_PORT", names.size), 1, 65535);
  out.launcher = variables("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
  if (out.launcher) out.attempt = variables("TORCHELASTIC_RESTART_COUNT").value_or("");
  return out;
}

Variables process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

}  // namespace weft::dist
