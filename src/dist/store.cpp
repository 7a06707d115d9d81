#include "dist/store.h"

#include <fmt/format.h>

#include <c10/util/Logging.h>

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

namespace weft::dist {

namespace {

// What libtorch says, without its stack.
std::string first_line(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  std::string line = text.substr(0, text.find('\n'));
  if (line.ends_with('.')) line.pop_back();
  return line;
}

// c10d prints a stack whenever a peer ends, and throws besides; our own errors say it in one line. Who wants libtorch's
// voice sets its own variable.
void quiet_c10d() {
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = std::max(FLAGS_caffe2_log_level, 3);
}

}  // namespace

struct Store::Connection {
  std::string address;
  c10::intrusive_ptr<c10d::TCPStore> store;

  // Runs one exchange with the store.
  template <class Exchange>
  auto run(Exchange&& exchange) {
    try {
      return exchange(*store);
    } catch (const c10::Error& error) {
      throw StoreLost(
          fmt::format("the ranks have lost touch: the store at {} does not answer ({}); the process that "
                      "holds it, rank 0 or the launcher, has probably ended",
                      address, first_line(error)));
    }
  }
};

Store::Store(const Placement& placement, bool listens, std::chrono::milliseconds patience)
    : connection_(new Connection{fmt::format("{}:{}", placement.host, placement.port), nullptr}) {
  quiet_c10d();
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(placement.port);
  options.isServer = listens;
  options.waitWorkers = false;
  options.timeout = patience;
  try {
    connection_->store = c10::make_intrusive<c10d::TCPStore>(placement.host, options);
  } catch (const c10::Error& error) {
    const std::string said = first_line(error);
    if (listens)
      throw Error(
          fmt::format("rank 0 cannot listen on port {}: {}; set MASTER_PORT to a free one", placement.port, said));
    throw StoreLost(fmt::format(
        "rank {} of {} cannot reach {} within {:.0f} s: {}; check MASTER_ADDR and MASTER_PORT, and "
        "that rank 0 runs",
        placement.rank, placement.size, connection_->address, static_cast<double>(patience.count()) / 1000, said));
  }
}

Store::~Store() = default;

void Store::put(const std::string& key, const std::string& bytes) {
  connection_->run(
      [&](c10d::TCPStore& store) { store.set(key, std::vector<std::uint8_t>(bytes.begin(), bytes.end())); });
}

std::string Store::get(const std::string& key) {
  return connection_->run([&](c10d::TCPStore& store) {
    const std::vector<std::uint8_t> bytes = store.get(key);
    return std::string(bytes.begin(), bytes.end());
  });
}

// Asks again and again instead of TCPStore's own wait, which takes a timeout for an error and prints it.
bool Store::wait(const std::vector<std::string>& keys, std::chrono::milliseconds patience) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now(), end = start + patience;
  for (;;) {
    if (connection_->run([&](c10d::TCPStore& store) { return store.check(keys); })) return true;
    const Clock::time_point now = Clock::now();
    if (now >= end) return false;
    // At most a tenth later than it could be, and not too often where there are many ranks.
    const Clock::duration pause =
        std::clamp<Clock::duration>((now - start) / 10, std::chrono::microseconds(100), std::chrono::milliseconds(20));
    std::this_thread::sleep_for(std::min<Clock::duration>(pause, end - now));
  }
}

bool Store::has(const std::string& key) {
  return connection_->run([&](c10d::TCPStore& store) { return store.check({key}); });
}

std::int64_t Store::add(const std::string& key, std::int64_t amount) {
  return connection_->run([&](c10d::TCPStore& store) { return store.add(key, amount); });
}

void Store::remove(const std::string& key) {
  connection_->run([&](c10d::TCPStore& store) { store.deleteKey(key); });
}

}  // namespace weft::dist
