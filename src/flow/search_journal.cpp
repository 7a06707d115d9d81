#include "flow/search_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/staged.h"
#include "io/json.h"
#include "weft/core/error.h"
#include "weft/core/value.h"

namespace weft::flow {

namespace {

constexpr size_t kMostJournal = size_t{1} << 31;

/// JSON has no NaN.
Value journal_number(double number) { return std::isfinite(number) ? Value::of(number) : Value(); }

Value number_list(const search::Point& numbers) {
  Value out = Value::make_list();
  for (const double number : numbers) out.list.push_back(journal_number(number));
  return out;
}

double read_number(const Value& value, const std::string& where) {
  if (value.is_null()) return std::nan("");
  const auto number = value.number();
  if (!number) throw FormatError(where, fmt::format("{} in place of a number", value.describe()));
  return *number;
}

search::Point read_numbers(const Value* value, const std::string& where) {
  if (value == nullptr || !value->is_list()) throw FormatError(where, "a list of numbers is missing");
  search::Point out;
  for (const Value& item : value->list) out.push_back(read_number(item, where));
  return out;
}

Value answer_value(const Answer& answer) {
  Value out = Value::make_map();
  out.set("score", journal_number(answer.score));
  if (answer.held_out) out.set("held_out", journal_number(*answer.held_out));
  if (!answer.gradient.empty()) out.set("gradient", number_list(answer.gradient));
  if (answer.dropped) out.set("dropped", Value::of(true));
  return out;
}

Answer read_answer(const Value& value, const std::string& where) {
  const Value* score = value.is_map() ? value.find("score") : nullptr;
  if (score == nullptr) throw FormatError(where, "an evaluation without a score");
  Answer out;
  out.score = read_number(*score, where);
  if (const Value* held = value.find("held_out")) out.held_out = read_number(*held, where);
  if (const Value* gradient = value.find("gradient")) out.gradient = read_numbers(gradient, where);
  out.dropped = value.find("dropped") != nullptr;
  return out;
}

std::string head_text(const std::string& fingerprint) {
  Value head = Value::make_map();
  head.set("weft_search", Value::of_int(1));
  head.set("job", Value::text(fingerprint));
  return io::to_json(head, -1);
}

/// The fingerprint itself does not count: it may be of another job.
bool is_start_of(const std::string& text, const std::string& head) {
  const size_t certain = std::min(text.size(), head.rfind(':') + 2);
  return text.compare(0, certain, head, 0, certain) == 0 && text.size() <= head.size();
}

JournalEntry read_entry(const std::string& text, const std::string& where) {
  try {
    return JournalEntry::parse(text, where);
  } catch (const FormatError& error) {
    const std::string_view said = error.what();
    const size_t begin = std::min(said.size(), said.find_first_not_of(": ", where.size()));
    throw FormatError(where, fmt::format("{}; the journal is damaged, delete it to begin anew", said.substr(begin)));
  }
}

}  // namespace

std::string Answer::text() const { return io::to_json(answer_value(*this), -1); }

Answer Answer::parse(const std::string& text, const std::string& where) {
  return read_answer(io::parse_json(text, where), where);
}

std::string JournalEntry::text() const {
  Value line = Value::make_map();
  line.set("phase", Value::text(phase));
  line.set("point", number_list(point));
  const Value numbers = answer_value(answer);
  for (const auto& [key, value] : numbers.map) line.set(key, value);
  return io::to_json(line, -1);
}

JournalEntry JournalEntry::parse(const std::string& text, const std::string& where) {
  const Value value = io::parse_json(text, where);
  JournalEntry out;
  out.answer = read_answer(value, where);
  out.point = read_numbers(value.find("point"), where);
  if (const Value* phase = value.find("phase")) out.phase = phase->scalar;
  return out;
}

std::filesystem::path journal_path(const std::filesystem::path& output) {
  std::filesystem::path folder = output.lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  return folder.string() + ".journal";
}

Journal::Journal(std::filesystem::path path, std::string fingerprint) : path_(std::move(path)) {
  std::error_code ignored;
  std::filesystem::create_directories(path_.parent_path(), ignored);
  if (std::filesystem::is_directory(path_, ignored))
    throw InputError(
        fmt::format("{}: is a folder, expected the journal of a search or nothing; move it away", path_.string()));
  lock();
  try {
    read(fingerprint);
    out_.open(path_, std::ios::app | std::ios::binary);
    if (empty_) {
      out_ << head_text(fingerprint) << "\n" << std::flush;
    }
    if (!out_) throw Error(fmt::format("{}: cannot write the journal of the search", path_.string()));
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

Journal::~Journal() {
  if (empty_) remove();
  ::close(lock_);
}

// The process before may remove the file between opening and locking: what was locked must still be what is there.
void Journal::lock() {
  constexpr int kTries = 10;
  for (int i = 0; i < kTries; ++i) {
    lock_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock_ < 0)
      throw Error(fmt::format("{}: cannot write the journal of the search: {}", path_.string(),
                              std::system_category().message(errno)));
    const bool taken = ::flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    struct stat mine = {}, there = {};
    const bool same = ::fstat(lock_, &mine) == 0 && ::stat(path_.c_str(), &there) == 0 && mine.st_ino == there.st_ino &&
                      mine.st_dev == there.st_dev;
    if (same && !taken) return;
    ::close(std::exchange(lock_, -1));
    if (taken)
      throw UsageError(
          fmt::format("{}: another search is writing it; wait for it, or choose another output", path_.string()));
  }
  throw Error(fmt::format("{}: the journal of the search is removed again and again", path_.string()));
}

void Journal::check_head(const std::string& text, const std::string& where) const {
  const Value value = io::parse_json(text, where);
  const Value* job = value.is_map() ? value.find("job") : nullptr;
  if (job == nullptr || value.find("weft_search") == nullptr)
    throw FormatError(where, "is no journal of a search; move it away");
}

void Journal::read(const std::string& fingerprint) {
  const std::string text = read_file(path_, kMostJournal);
  // A first line that was cut short may as well be of another file that happens to have this name.
  if (!text.empty() && text.find('\n') == std::string::npos && !is_start_of(text, head_text(fingerprint)))
    throw FormatError(path_.string(), "is no journal of a search; move it away");
  std::string job;
  size_t begin = 0, whole = 0;
  for (size_t line = 1; begin < text.size(); ++line) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // cut short: that evaluation is made again
    const std::string where = fmt::format("{}:{}", path_.string(), line);
    const std::string content = text.substr(begin, end - begin);
    if (line == 1) {
      check_head(content, where);
      job = io::parse_json(content, where).find("job")->scalar;
    } else {
      entries_.push_back(read_entry(content, where));
    }
    begin = whole = end + 1;
  }
  empty_ = entries_.empty();
  if (!empty_ && job != fingerprint)
    throw InputError(
        fmt::format("{}: belongs to a search with other inputs or options; finish that one, or delete the "
                    "journal to begin anew",
                    path_.string()));
  if (empty_) whole = 0;
  if (whole == text.size()) return;
  std::error_code failed;
  std::filesystem::resize_file(path_, whole, failed);
  if (failed) throw Error(fmt::format("{}: cannot be written: {}", path_.string(), failed.message()));
}

void Journal::add(const JournalEntry& entry) {
  out_ << entry.text() << "\n" << std::flush;
  if (!out_) throw Error(fmt::format("{}: cannot add to the journal; the disk may be full", path_.string()));
  empty_ = false;
}

void Journal::remove() {
  out_.close();
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

}  // namespace weft::flow
