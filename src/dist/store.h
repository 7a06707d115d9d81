#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dist/placement.h"
#include "weft/core/error.h"

namespace weft::dist {

/// The store does not answer any more: its process has ended, or the network is down.
class StoreLost : public Error {
 public:
  using Error::Error;
};

/**
 * The table of keys and bytes that all ranks share: c10d's TCPStore, held by the launcher or by rank 0. One user at a
 * time. Everything throws StoreLost when the store is gone.
 *
 * Groups are built on the store alone, not on Gloo. What ranks tell each other are scores and weights, kilobytes a
 * minute, where the store's fraction of a millisecond is nothing; Gloo would want a second connection between every two
 * ranks through a network interface that has to be guessed, and headers of another year than the code in libtorch.
 */
class Store {
 public:
  /// Connects, and first listens if `listens`. @throws Error when the port is taken or nobody answers in time.
  Store(const Placement& placement, bool listens, std::chrono::milliseconds patience);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Sets a key, at most kMostBytes.
  void put(const std::string& key, const std::string& bytes);
  /// The bytes of a key that is there.
  std::string get(const std::string& key);
  /// True as soon as all keys are there, false when they are not after `patience`.
  bool wait(const std::vector<std::string>& keys, std::chrono::milliseconds patience);
  bool has(const std::string& key);
  /// Adds to the number under a key, zero at first, and returns it.
  std::int64_t add(const std::string& key, std::int64_t amount);
  void remove(const std::string& key);

  /// What fits under one key; the store itself refuses more than eight times this.
  static constexpr size_t kMostBytes = size_t{1} << 20;

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace weft::dist
