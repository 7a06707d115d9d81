#include "conversation.h"

#include <fmt/format.h>

#include <exception>
#include <system_error>
#include <utility>

namespace weft::search {

Conversation::~Conversation() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    hung_up_ = true;
    if (turn_ == Turn::kCaller) turn_ = Turn::kRoutine;
  }
  turned_.notify_all();
  thread_.join();
}

std::optional<Point> Conversation::next() {
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& error) {
      throw Error(fmt::format("no thread could be started for the search: {}", error.what()));
    }
  }
  std::unique_lock lock(mutex_);
  turned_.wait(lock, [&] { return turn_ != Turn::kRoutine; });
  if (turn_ == Turn::kCaller) return point_;
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  return std::nullopt;
}

void Conversation::answer(double score) {
  {
    const std::lock_guard lock(mutex_);
    if (turn_ != Turn::kCaller) return;
    score_ = score;
    turn_ = Turn::kRoutine;
  }
  turned_.notify_all();
}

void Conversation::run() {
  std::exception_ptr failure;
  try {
    routine_([this](const Point& point) { return evaluate(point); });
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  failure_ = failure;
  turn_ = Turn::kOver;
  turned_.notify_all();
}

std::optional<double> Conversation::evaluate(const Point& point) {
  std::unique_lock lock(mutex_);
  if (hung_up_) return std::nullopt;
  point_ = point;
  turn_ = Turn::kCaller;
  turned_.notify_all();
  turned_.wait(lock, [&] { return turn_ == Turn::kRoutine; });
  if (hung_up_) return std::nullopt;
  return score_;
}

}  // namespace weft::search
