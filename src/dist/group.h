#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dist/placement.h"

namespace weft::dist {

class Peers;

/**
 * The processes that share one piece of work, under the launchers people already have. All ranks call the same
 * collectives in the same order, each from one thread at a time. Nothing waits for ever: a peer that does not come,
 * ends early, dies or falls out of step makes every other rank throw Error within the timeouts of Placement (an early
 * end is seen within a second, a death within a minute).
 *
 * A group of one needs no store and opens no socket. When a group is destroyed, the rank that holds the store waits for
 * the others to leave, a few seconds only if it is leaving because of an exception.
 */
class Group {
 public:
  /// A group of one.
  Group();
  /// Meets the peers. @throws Error when they cannot be reached or do not come.
  explicit Group(const Placement& placement);
  /// The group that the launcher of this process describes: see read_placement(). Only what spreads its work asks for
  /// it.
  static Group from_environment();
  ~Group();
  Group(Group&&) noexcept;
  Group& operator=(Group&&) noexcept;

  int rank() const;
  int size() const;

  /// What every rank gave, by rank; any lengths. All must fit into the memory of the rank or launcher with the store.
  std::vector<std::string> all_gather(const std::string& bytes) const;
  /// What rank `from` gave; the others' `bytes` do not matter. The sender does not wait for the receivers.
  std::string broadcast(const std::string& bytes, int from = 0) const;
  /// Returns when all ranks have come here.
  void barrier() const;
  /**
   * Runs `work`, which may use collectives, and returns only if it succeeded on every rank. A rank whose own work threw
   * throws that again; the others throw Error naming the first rank that failed and its error, with the same blame. The
   * group is of no further use then: a rank that fails does not wait for the others.
   */
  void agree(const std::function<void()>& work) const;

 private:
  std::unique_ptr<Peers> peers_;
};

}  // namespace weft::dist
