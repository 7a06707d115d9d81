#pragma once

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "cli/session.h"
#include "weft/core/log.h"

namespace weft::cli {

/// The library's log on the terminal: warnings once each, a progress bar on a terminal and sparse lines elsewhere.
/// Without a terminal warnings wait for the end of the run, so that an error comes first.
class Console : public Log {
 public:
  Console(Session& session, bool quiet);
  ~Console() override;
  void warning(std::string_view text) override;
  void progress(std::string_view what, std::int64_t done, std::int64_t total, std::string_view now) override;

 private:
  using Clock = std::chrono::steady_clock;
  void clear_bar();
  void print_pending();
  void draw_bar(std::string_view what, std::int64_t done, std::int64_t total, std::string_view now);

  Session& session_;
  bool quiet_;
  bool bar_shown_ = false;
  std::string what_;
  std::int64_t first_ = 0;  ///< steps that were done when it began
  Clock::time_point start_, last_;
  std::set<std::string> said_;
  std::vector<std::string> pending_;
  int exceptions_;  ///< in flight when the run began
};

/// `weft: error: ` on `err`, red on a terminal.
void print_error(const Session& session, std::string_view text);
/// `weft: warning: ` on `err`, yellow on a terminal.
void print_warning(const Session& session, std::string_view text);
/// `0.4 s`, `2 min 05 s`.
std::string format_seconds(double seconds);

}  // namespace weft::cli
