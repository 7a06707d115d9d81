#include "model/stop.h"

#include <algorithm>
#include <utility>

namespace weft::model {

namespace {

/// Length of the longest end of `text` that is a beginning of `stop`, but not all of it.
size_t begun_stop(std::string_view text, std::string_view stop) {
  for (size_t length = std::min(text.size(), stop.size() - 1); length > 0; --length)
    if (text.substr(text.size() - length) == stop.substr(0, length)) return length;
  return 0;
}

}  // namespace

std::string StopWatch::give_out(size_t count) {
  std::string out = held_.substr(0, count);
  held_.erase(0, count);
  return out;
}

std::string StopWatch::push(std::string_view piece) {
  if (found_) return {};
  if (stops_->empty()) return std::string(piece);
  held_ += piece;
  size_t first = std::string::npos, first_end = std::string::npos, begun = 0;
  for (const std::string& stop : *stops_) {
    begun = std::max(begun, begun_stop(held_, stop));
    const size_t at = held_.find(stop);
    if (at == std::string::npos) continue;
    const size_t end = at + stop.size();
    if (end < first_end || (end == first_end && at < first)) first = at, first_end = end;
  }
  found_ = first != std::string::npos;
  std::string out = give_out(found_ ? first : held_.size() - begun);
  if (found_) held_.clear();
  return out;
}

std::string StopWatch::finish() { return std::exchange(held_, {}); }

}  // namespace weft::model
