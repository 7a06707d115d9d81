#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dist/heartbeat.h"
#include "dist/placement.h"
#include "dist/store.h"

namespace weft::dist {

/**
 * The other ranks, as messages through the store. Turn t of rank r lies under `t/r`: a letter for the kind of turn, the
 * number of further pieces, and the bytes. `beat/r` counts while r lives, `left/r` appears when it ends and says its
 * failure.
 */
class Peers {
 public:
  /// Meets all of them. @throws Error when they do not come in time or are not of the same build.
  explicit Peers(const Placement& placement);
  /// Says goodbye; the rank with the store waits for the others.
  ~Peers();
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  const Placement& placement() const { return at_; }

  /// One turn in which every rank gives bytes and gets those of all. @throws Error when a peer fails or is missing.
  std::vector<std::string> exchange(char kind, const std::string& bytes);
  /// One turn in which only rank `from` gives bytes.
  std::string hear(char kind, const std::string& bytes, int from);
  /// Tells the peers that the work of this rank failed, without waiting for them; the group is broken then. `failure`:
  /// a digit for the blame, and the text.
  void fail(const std::string& failure);
  /// Breaks the group off with the failure of another rank.
  [[noreturn]] void pass_on(int rank, const std::string& failure);
  /// True once a turn has failed; all further ones fail with the same text.
  bool broken() const { return !broken_.empty(); }

 private:
  void meet();
  void greet(std::chrono::milliseconds patience);
  std::string key(std::int64_t turn, int rank) const;
  void give(char kind, const std::string& bytes);
  std::string take(char kind, int rank);
  void await(const std::vector<int>& ranks, std::chrono::milliseconds patience);
  void check_alive(int rank);
  void forget_old_turns();
  [[noreturn]] void break_off(const std::string& text, Blame blame = Blame::kSystem);
  void say_goodbye();

  Placement at_;
  bool listens_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Heartbeat> heartbeat_;
  std::string prefix_;
  std::int64_t turn_ = 0;
  std::vector<std::string> given_;  // own keys that some peer may still have to read
  std::vector<LastSign> signs_;
  std::string failure_;  // of this rank
  std::string broken_;   // why the group is
  Blame blame_ = Blame::kSystem;
  int exceptions_;  // in flight when this was made
};

}  // namespace weft::dist
