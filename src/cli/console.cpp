#include "cli/console.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "cli/table.h"

namespace weft::cli {

namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kLineEvery = std::chrono::seconds(5);
constexpr size_t kBarCells = 24, kFewestCells = 6;

size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string remaining_time(double elapsed, std::int64_t done, std::int64_t total) {
  if (done <= 0) return {};
  return format_seconds(elapsed * static_cast<double>(total - done) / static_cast<double>(done)) + " left";
}

void print_labelled(const Session& session, std::string_view label, int colour, std::string_view given) {
  const std::string text = printable(given, true);
  if (session.color)
    session.err << fmt::format("weft: \033[{}m{}:\033[0m {}\n", colour, label, text);
  else
    session.err << fmt::format("weft: {}: {}\n", label, text);
}

}  // namespace

std::string format_seconds(double seconds) {
  if (seconds < 0.0995) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<long long>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

void print_error(const Session& session, std::string_view text) { print_labelled(session, "error", 31, text); }

void print_warning(const Session& session, std::string_view text) { print_labelled(session, "warning", 33, text); }

Console::Console(Session& session, bool quiet)
    : session_(session), quiet_(quiet), exceptions_(std::uncaught_exceptions()) {}

Console::~Console() {
  clear_bar();
  if (std::uncaught_exceptions() > exceptions_)
    session_.held = std::move(pending_);
  else
    print_pending();
}

void Console::warning(std::string_view text) {
  if (quiet_ || !said_.emplace(text).second) return;
  pending_.emplace_back(text);
  if (session_.tty) print_pending();
}

void Console::print_pending() {
  if (pending_.empty()) return;
  clear_bar();
  for (const std::string& text : pending_) print_warning(session_, text);
  pending_.clear();
}

void Console::clear_bar() {
  if (bar_shown_) session_.err << "\r\033[K" << std::flush;
  bar_shown_ = false;
}

void Console::draw_bar(std::string_view what, std::int64_t done, std::int64_t total, std::string_view now) {
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const std::string tail = fmt::format("] {}/{} {}  {}", done, total,
                                       remaining_time(elapsed, done - first_, total - first_), printable(now));
  // The bar gives way to what is said behind it.
  const size_t width = terminal_width() - 1, others = what.size() + 2 + tail.size();
  const size_t cells = std::clamp(width > others ? width - others : 0, kFewestCells, kBarCells);
  const size_t full = cells * static_cast<size_t>(done) / static_cast<size_t>(total);
  std::string line = fmt::format("{} [{}{}{}", what, std::string(full, '#'), std::string(cells - full, '.'), tail);
  line.resize(std::min(line.size(), width));
  session_.err << "\r\033[K" << line << std::flush;
  bar_shown_ = true;
}

void Console::progress(std::string_view what, std::int64_t done, std::int64_t total, std::string_view now) {
  if (quiet_ || total <= 0) return;
  const Clock::time_point moment = Clock::now();
  if (what != what_ || done == 0) {
    what_ = what;
    first_ = done;
    start_ = last_ = moment;
    return;
  }
  if (done >= total) {
    clear_bar();
    return;
  }
  if (moment - last_ < (session_.tty ? Clock::duration(kRedraw) : Clock::duration(kLineEvery))) return;
  last_ = moment;
  if (session_.tty) {
    draw_bar(what, done, total, now);
    return;
  }
  print_pending();
  const double elapsed = std::chrono::duration<double>(moment - start_).count();
  session_.err << fmt::format("weft: {} {} of {}, {}{}{}\n", what, done, total,
                              remaining_time(elapsed, done - first_, total - first_), now.empty() ? "" : "; ",
                              printable(now))
               << std::flush;
}

}  // namespace weft::cli
