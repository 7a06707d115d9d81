#include "dist/heartbeat.h"

#include <utility>

namespace weft::dist {

Heartbeat::Heartbeat(std::unique_ptr<Store> store, std::string key, std::chrono::milliseconds every)
    : store_(std::move(store)), key_(std::move(key)), every_(every), thread_([this] { run(); }) {}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Heartbeat::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    try {
      store_->add(key_, 1);
    } catch (const Error&) {
      return;  // the collectives of this rank meet the same loss and report it
    }
    lock.lock();
    wake_.wait_for(lock, every_, [this] { return stop_; });
  }
}

}  // namespace weft::dist
