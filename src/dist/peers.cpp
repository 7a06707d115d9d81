#include "dist/peers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <thread>
#include <utility>

#include "weft/core/version.h"

namespace weft::dist {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr char kGreeting = 'h', kAgreement = 'a';
constexpr milliseconds kSlice{250};        // between two looks at whether the awaited peers live
constexpr milliseconds kLastGrace{10000};  // for peers to notice that the holder of the store is about to fail

milliseconds left_until(Clock::time_point end) {
  return std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(end - Clock::now()));
}

std::string seconds_text(milliseconds time) { return fmt::format("{:g} s", static_cast<double>(time.count()) / 1000); }

const char* turn_name(char kind) {
  switch (kind) {
    case 'g': return "all_gather";
    case 'b': return "broadcast";
    case 'w': return "barrier";
    case kAgreement: return "agree";
    case kGreeting: return "the greeting";
    default: return "something unknown";
  }
}

}  // namespace

Peers::Peers(const Placement& placement)
    : at_(placement),
      listens_(!placement.launcher && placement.rank == 0),
      signs_(static_cast<size_t>(placement.size)),
      exceptions_(std::uncaught_exceptions()) {
  meet();
}

// A client may still reach the store of an earlier run on the same port, which is about to end: it then tries again.
void Peers::meet() {
  const Clock::time_point end = Clock::now() + at_.join_timeout;
  for (;;) {
    try {
      store_ = std::make_unique<Store>(at_, listens_, left_until(end));
      greet(left_until(end));
      break;
    } catch (const StoreLost&) {
      if (listens_ || Clock::now() >= end) throw;
      std::this_thread::sleep_for(kSlice);
    }
  }
  heartbeat_ = std::make_unique<Heartbeat>(std::make_unique<Store>(at_, false, left_until(end)),
                                           prefix_ + fmt::format("beat/{}", at_.rank), at_.beat);
  for (LastSign& sign : signs_) sign = {};
}

// A launcher's store outlives us: each start of a program under the same launcher has keys of its own.
void Peers::greet(milliseconds patience) {
  const std::string attempt = fmt::format("weft/{}/", at_.attempt);
  prefix_ = fmt::format("{}{}/", attempt, store_->add(fmt::format("{}starts/{}", attempt, at_.rank), 1));
  turn_ = 0, given_.clear();
  const std::string mine = fmt::format("weft {}, {} ranks", version(), at_.size);
  give(kGreeting, mine);
  std::vector<int> all;
  for (int rank = 0; rank < at_.size; ++rank) all.push_back(rank);
  await(all, patience);
  for (const int rank : all) {
    const std::string theirs = take(kGreeting, rank);
    if (theirs != mine)
      throw UsageError(
          fmt::format("rank {} is {}, rank {} is {}: all ranks must be the same program and agree on "
                      "WORLD_SIZE",
                      at_.rank, mine, rank, theirs));
  }
  ++turn_;
}

std::string Peers::key(std::int64_t turn, int rank) const { return fmt::format("{}{}/{}", prefix_, turn, rank); }

// The piece that peers wait for comes last.
void Peers::give(char kind, const std::string& bytes) {
  const std::string name = key(turn_, at_.rank);
  const size_t further = bytes.size() / Store::kMostBytes;
  for (size_t i = 1; i <= further; ++i) {
    given_.push_back(fmt::format("{}/{}", name, i));
    store_->put(given_.back(), bytes.substr(i * Store::kMostBytes, Store::kMostBytes));
  }
  given_.push_back(name);
  store_->put(name, fmt::format("{}{}\n", kind, further) + bytes.substr(0, Store::kMostBytes));
}

std::string Peers::take(char kind, int rank) {
  const std::string name = key(turn_, rank), first = store_->get(name);
  const size_t line = first.find('\n');
  size_t further = 0;
  const char* end = first.data() + std::min(line, first.size());
  if (line == std::string::npos || std::from_chars(first.data() + 1, end, further).ptr != end)
    break_off(fmt::format("rank {} sent something that this version of Weft does not understand", rank));
  std::string bytes = first.substr(line + 1);
  for (size_t i = 1; i <= further; ++i) bytes += store_->get(fmt::format("{}/{}", name, i));
  if (first[0] == kind) return bytes;
  if (first[0] == kAgreement && !bytes.empty())  // its work failed while we were still in the midst of ours
    pass_on(rank, bytes);
  break_off(fmt::format("the ranks are out of step: rank {} is in {}, rank {} in {}", at_.rank, turn_name(kind), rank,
                        turn_name(first[0])));
}

void Peers::await(const std::vector<int>& ranks, milliseconds patience) {
  std::vector<std::string> names;
  for (const int rank : ranks) names.push_back(key(turn_, rank));
  const Clock::time_point end = Clock::now() + patience;
  while (!store_->wait(names, std::min(kSlice, left_until(end)))) {
    std::vector<int> missing;
    for (const int rank : ranks)
      if (!store_->has(key(turn_, rank))) missing.push_back(rank);
    if (heartbeat_ != nullptr) {
      for (const int rank : missing) check_alive(rank);
    }
    if (Clock::now() < end || missing.empty()) continue;
    if (heartbeat_ == nullptr)
      throw Error(fmt::format(
          "of {} ranks, these did not come within {}: {} (rank {} waited at {}:{}); start them all, "
          "or set WEFT_DIST_TIMEOUT to more seconds",
          at_.size, seconds_text(at_.join_timeout), fmt::join(missing, ", "), at_.rank, at_.host, at_.port));
    break_off(
        fmt::format("rank {} waited {} for an answer of rank {}; WEFT_DIST_TIMEOUT sets how many seconds it waits",
                    at_.rank, seconds_text(patience), fmt::join(missing, ", ")));
  }
}

void Peers::check_alive(int rank) {
  if (rank == at_.rank) return;
  const std::string goodbye = fmt::format("{}left/{}", prefix_, rank);
  if (store_->has(goodbye) && !store_->has(key(turn_, rank))) {
    const std::string failure = store_->get(goodbye);
    if (!failure.empty()) pass_on(rank, failure);
    break_off(fmt::format("rank {} has ended early; it says why in its own output", rank));
  }
  LastSign& sign = signs_[static_cast<size_t>(rank)];
  const std::int64_t count = store_->add(fmt::format("{}beat/{}", prefix_, rank), 0);
  if (count != sign.count)
    sign = {count, Clock::now()};
  else if (Clock::now() - sign.when > at_.silence)
    break_off(fmt::format("rank {} has died: no sign of life for {}", rank, seconds_text(at_.silence)));
}

std::vector<std::string> Peers::exchange(char kind, const std::string& bytes) {
  if (broken()) throw Error(broken_, blame_);
  give(kind, bytes);
  std::vector<int> others;
  for (int rank = 0; rank < at_.size; ++rank)
    if (rank != at_.rank) others.push_back(rank);
  await(others, at_.timeout);
  std::vector<std::string> out(static_cast<size_t>(at_.size));
  out[static_cast<size_t>(at_.rank)] = bytes;
  for (const int rank : others) out[static_cast<size_t>(rank)] = take(kind, rank);
  forget_old_turns();
  ++turn_;
  return out;
}

std::string Peers::hear(char kind, const std::string& bytes, int from) {
  if (broken()) throw Error(broken_, blame_);
  std::string out = bytes;
  if (from == at_.rank) {
    give(kind, bytes);
  } else {
    await({from}, at_.timeout);
    out = take(kind, from);
  }
  ++turn_;
  return out;
}

// Everybody has given this turn, so everybody has read the turns before it.
void Peers::forget_old_turns() {
  const std::string now = key(turn_, at_.rank);
  const auto old = std::stable_partition(given_.begin(), given_.end(), [&](const std::string& name) {
    return name == now || name.starts_with(now + "/");
  });
  for (auto name = old; name != given_.end(); ++name) store_->remove(*name);
  given_.erase(old, given_.end());
}

void Peers::break_off(const std::string& text, Blame blame) {
  broken_ = text, blame_ = blame;
  throw Error(text, blame);
}

void Peers::fail(const std::string& failure) {
  failure_ = failure;
  try {
    if (!broken()) give(kAgreement, failure);
    store_->put(fmt::format("{}left/{}", prefix_, at_.rank), failure);
  } catch (const StoreLost&) {  // then the peers notice that
  }
  if (!broken()) broken_ = failure.substr(1), blame_ = static_cast<Blame>(failure[0] - '0');
}

void Peers::pass_on(int rank, const std::string& failure) {
  break_off(fmt::format("rank {} failed: {}", rank, failure.substr(1)), static_cast<Blame>(failure[0] - '0'));
}

void Peers::say_goodbye() {
  store_->put(fmt::format("{}left/{}", prefix_, at_.rank), failure_);
  if (!listens_) return;
  const bool failing = broken() || std::uncaught_exceptions() > exceptions_;
  const Clock::time_point end = Clock::now() + (failing ? kLastGrace : at_.timeout);
  std::vector<std::string> names;
  for (int rank = 0; rank < at_.size; ++rank) names.push_back(fmt::format("{}left/{}", prefix_, rank));
  while (Clock::now() < end && !store_->wait(names, std::min(kSlice, left_until(end))))
    for (int rank = 0; rank < at_.size; ++rank) {
      if (!store_->has(names[static_cast<size_t>(rank)])) check_alive(rank);
    }
}

Peers::~Peers() {
  try {
    say_goodbye();
  } catch (const std::exception&) {  // a peer that died meanwhile: nobody is left to tell
  }
  heartbeat_.reset();
}

}  // namespace weft::dist
