#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "dist/store.h"

namespace weft::dist {

/// Counts up a key of the store from a thread of its own, so that the peers see that this process lives.
class Heartbeat {
 public:
  Heartbeat(std::unique_ptr<Store> store, std::string key, std::chrono::milliseconds every);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

 private:
  void run();

  std::unique_ptr<Store> store_;
  std::string key_;
  std::chrono::milliseconds every_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

/// What one rank knows of the signs of life of another.
struct LastSign {
  std::int64_t count = -1;
  std::chrono::steady_clock::time_point when = std::chrono::steady_clock::now();
};

}  // namespace weft::dist
