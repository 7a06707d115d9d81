#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "weft/search/optimizer.h"

namespace weft::search {

/**
 * Turns a routine that calls the function itself into questions and answers: it runs on a thread of its own, which
 * sleeps until each answer comes. The two never run at the same time. The destructor hangs up and waits for the thread.
 */
class Conversation {
 public:
  /// Asks for the score at a point; empty: nobody is listening any more, the routine must return soon.
  using Evaluate = std::function<std::optional<double>(const Point& point)>;
  using Routine = std::function<void(const Evaluate& evaluate)>;

  explicit Conversation(Routine routine) : routine_(std::move(routine)) {}
  ~Conversation();
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  /// The point the routine wants to know about; empty: it has returned. Throws what it threw.
  std::optional<Point> next();
  /// Answers the last one.
  void answer(double score);

 private:
  enum class Turn { kRoutine, kCaller, kOver };

  void run();
  std::optional<double> evaluate(const Point& point);

  Routine routine_;
  std::mutex mutex_;
  std::condition_variable turned_;
  Turn turn_ = Turn::kRoutine;
  Point point_;
  double score_ = 0;
  bool hung_up_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace weft::search
