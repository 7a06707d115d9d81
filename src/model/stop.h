#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weft::model {

/**
 * Looks for stop strings in text that comes in pieces. Text that may be the beginning of one is held back. Of several
 * stop strings the one that is complete first counts (of those the longest), however the text is cut.
 */
class StopWatch {
 public:
  /// `stops`: not empty strings. The strings must outlive the watch.
  explicit StopWatch(const std::vector<std::string>& stops) : stops_(&stops) {}

  /// Takes a piece; returns the text that no stop string can claim any more. Nothing after a stop was found.
  std::string push(std::string_view piece);
  /// The text ends: returns what was held back.
  std::string finish();
  /// True once a stop string was found; it and what follows it are never given out.
  bool found() const { return found_; }

 private:
  std::string give_out(size_t count);

  const std::vector<std::string>* stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace weft::model
