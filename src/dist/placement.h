#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace weft::dist {

/// Where this process stands among its peers and how it reaches them.
struct Placement {
  int rank = 0;
  int size = 1;
  std::string host;       ///< MASTER_ADDR
  int port = 0;           ///< MASTER_PORT
  bool launcher = false;  ///< the launcher itself listens there (torchrun); otherwise rank 0 does
  std::string attempt;    ///< which restart of the launcher this is, empty if it counts none
  std::chrono::milliseconds join_timeout = std::chrono::minutes(5);  ///< for all ranks to come
  std::chrono::milliseconds timeout = std::chrono::minutes(30);      ///< for one collective
  std::chrono::milliseconds beat = std::chrono::seconds(2);          ///< between two signs of life
  std::chrono::milliseconds silence = std::chrono::seconds(60);      ///< without any: the peer is taken for dead
};

/// The value of an environment variable, nothing where it is not set.
using Variables = std::function<std::optional<std::string>(const char* name)>;

/**
 * Reads RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT as torchrun sets them; in their place SLURM_PROCID and
 * SLURM_NTASKS, or OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE, where MASTER_ADDR and MASTER_PORT are there too (a
 * batch script of Slurm has the first two without being spread). WEFT_DIST_TIMEOUT, in seconds, replaces both timeouts.
 * None of these: a group of one. @throws UsageError naming a variable that is missing or malformed, and its value.
 */
Placement read_placement(const Variables& variables);

/// The variables of this process.
Variables process_environment();

}  // namespace weft::dist
